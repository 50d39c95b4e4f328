/* Tests of index/store: what is put comes back, ids are never used twice, transactions are whole.
 */
#include "index/store/store.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/index/store_sample.h"
#include "tests/unit/index/tempdir.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ground {
    char *dir;
    struct store *s;
};

static int set_up(void **state)
{
    struct ground *g = xcalloc(1, sizeof *g);
    char *top = tempdir_new();
    g->dir = top;
    struct err err = {0};
    if (store_open(g->dir, STORE_CREATE, NULL, &g->s, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return -1;
    }
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;
    store_close(g->s);
    tempdir_free(g->dir);
    free(g);
    return 0;
}

static void reopen(struct ground *g, enum store_mode mode)
{
    store_close(g->s);
    g->s = NULL;
    OK(store_open(g->dir, mode, NULL, &g->s, &err));
}

static void expect_sound(struct store *s)
{
    char first[1024];
    struct err err = {0};
    if (sample_verify(s, first, &err) != 0)
        fail_msg("verify: %s%s", first, err.msg);
}

static void expect_sample(struct store *s, int i, int v)
{
    int found;
    const char *bad = sample_compare(s, i, v, &found);
    if (bad || !found)
        fail_msg("document %d: %s", i, bad ? bad : "missing");
}

static void puts_and_gets_back(void **state)
{
    struct ground *g = *state;
    for (int i = 0; i < 40; i++)
        OK(sample_put(g->s, i, 0, &err));
    for (int i = 0; i < 40; i++)
        expect_sample(g->s, i, 0);
    expect_sound(g->s);
    reopen(g, STORE_READ);
    for (int i = 0; i < 40; i++)
        expect_sample(g->s, i, 0);
    struct store_counts c;
    OK(store_counts(g->s, &c, &err));
    assert_int_equal(c.documents, 40);
    assert_int_equal(c.chunks, 80);
    assert_int_equal(c.vectors, 80);
    expect_sound(g->s);
}

static int remember_id(void *ctx, const struct store_row *row, struct err *err)
{
    int64_t *last = ctx;
    (void)err;
    assert_true(row->chunk_id > *last);
    *last = row->chunk_id;
    return 0;
}

static void never_gives_an_id_twice(void **state)
{
    struct ground *g = *state;
    OK(sample_put(g->s, 3, 1, &err));
    struct store_doc a, b;
    char *path = sample_path(3);
    assert_int_equal(store_doc_by_path(g->s, path, &a, NULL), 1);
    int64_t last = 0, before;
    OK(store_each_row(g->s, 0, true, remember_id, &last, &err));
    before = last;
    OK(store_delete(g->s, a.id, &err));
    reopen(g, STORE_WRITE);
    OK(sample_put(g->s, 3, 1, &err));
    assert_int_equal(store_doc_by_path(g->s, path, &b, NULL), 1);
    assert_true(b.id > a.id);
    OK(store_each_row(g->s, before, true, remember_id, &last, &err));
    assert_int_equal(last, before + 4);
    struct store_chunk gone;
    assert_int_equal(store_chunk(g->s, before, &gone, NULL), 0);
    store_doc_release(&a);
    store_doc_release(&b);
    free(path);
}

static void replaces_by_path(void **state)
{
    struct ground *g = *state;
    OK(sample_put(g->s, 4, 0, &err));
    OK(sample_put(g->s, 5, 0, &err));
    OK(sample_put(g->s, 4, 2, &err));
    expect_sample(g->s, 4, 2);
    expect_sample(g->s, 5, 0);
    struct store_counts c;
    OK(store_counts(g->s, &c, &err));
    assert_int_equal(c.documents, 2);
    assert_int_equal(c.chunks, 6);
    assert_int_equal(c.vectors, 10);
    int64_t n;
    OK(store_vectors_prune(g->s, &n, &err));
    assert_int_equal(n, 4);
    expect_sample(g->s, 4, 2);
    expect_sound(g->s);
}

static void keeps_failed_and_skipped_ones(void **state)
{
    struct ground *g = *state;
    struct store_doc d = {.path = "bad\n\xff name",
                          .state = DOC_FAILED,
                          .reason = "no such charm",
                          .hint = "say please",
                          .kind = KIND_PDF,
                          .stamp = {1, 2, 3, 4}};
    OK(store_put(g->s, &d, (struct span){0}, NULL, 0, NULL, 0, &err));
    struct store_doc e = {
        .path = "big", .state = DOC_SKIPPED, .reason = "too large", .kind = KIND_DATA};
    OK(store_put(g->s, &e, (struct span){0}, NULL, 0, NULL, 0, &err));
    struct store_doc back;
    assert_int_equal(store_doc_by_path(g->s, "bad\n\xff name", &back, NULL), 1);
    assert_int_equal(back.state, DOC_FAILED);
    assert_string_equal(back.reason, "no such charm");
    assert_string_equal(back.hint, "say please");
    assert_null(back.title);
    store_doc_release(&back);
    struct store_counts c;
    OK(store_counts(g->s, &c, &err));
    assert_int_equal(c.failed, 1);
    assert_int_equal(c.skipped, 1);
    assert_int_equal(c.documents, 0);
    struct str text = {0};
    OK(store_text(g->s, d.id, &text, &err));
    assert_int_equal(text.n, 0);
    expect_sound(g->s);
}

static void refuses_nonsense(void **state)
{
    struct ground *g = *state;
    static const char *const path[] = {"", "/etc/passwd", "a/../b", "..", "a//b", "./a", "a/"};
    for (size_t i = 0; i < ARRAY_LEN(path); i++) {
        struct store_doc d = {.path = (char *)(uintptr_t)path[i], .state = DOC_SKIPPED};
        struct err why = {0};
        if (store_put(g->s, &d, (struct span){0}, NULL, 0, NULL, 0, &why) == 0)
            fail_msg("path '%s' was taken", path[i]);
    }
    struct sample m;
    sample_make(&m, 1, 1, 2, 100, SAMPLE_DIM);
    m.chunk[1].end = m.doc.text_bytes + 1;
    struct err why = {0};
    const struct span text = {m.text, (size_t)m.doc.text_bytes};
    assert_int_equal(store_put(g->s, &m.doc, text, m.chunk, 2, m.vector, m.dim, &why), -1);
    m.chunk[1].end--;
    assert_int_equal(store_put(g->s, &m.doc, text, m.chunk, 2, NULL, 0, &why), -1);
    OK(store_put(g->s, &m.doc, text, m.chunk, 2, m.vector, m.dim, &err));
    m.chunk[0].embed_hash.b[3] ^= 1; /* a new vector, of another dimension */
    assert_int_equal(store_put(g->s, &m.doc, text, m.chunk, 2, m.vector, m.dim - 1, &why), -1);
    assert_int_equal(why.kind, ERR_INCOMPATIBLE);
    sample_release(&m);
    struct store_counts c;
    OK(store_counts(g->s, &c, &err));
    assert_int_equal(c.chunks, 2);
    expect_sound(g->s);
}

static void copies_a_document_without_vectors(void **state)
{
    struct ground *g = *state;
    OK(sample_put(g->s, 9, 1, &err));
    struct sample m;
    struct store_doc d;
    sample_make(&m, 9, 1, 5, 200 + 9 * 150, SAMPLE_DIM);
    assert_int_equal(store_doc_by_content(g->s, m.doc.content, 2, &d, NULL), 0);
    assert_int_equal(store_doc_by_content(g->s, m.doc.content, 1, &d, NULL), 1);
    struct str text = {0};
    struct store_chunk *c;
    size_t n;
    OK(store_text(g->s, d.id, &text, &err));
    OK(store_chunks_of(g->s, d.id, &c, &n, &err));
    assert_int_equal(n, 5);
    const int64_t was = d.id;
    free(d.path);
    d.path = xstrdup("elsewhere/copy.md");
    const uint16_t *none[5] = {0};
    OK(store_put(g->s, &d, str_view(&text), c, n, none, SAMPLE_DIM, &err));
    assert_true(d.id > was);
    for (size_t k = 0; k < n; k++) {
        assert_int_equal(c[k].doc_id, d.id);
        struct store_chunk back;
        assert_int_equal(store_chunk(g->s, c[k].id, &back, NULL), 1);
        assert_true(hash_equal(back.embed_hash, m.chunk[k].embed_hash));
        store_chunk_release(&back);
        store_chunk_release(&c[k]);
    }
    free(c);
    struct store_counts counts;
    OK(store_counts(g->s, &counts, &err));
    assert_int_equal(counts.vectors, 5);
    assert_int_equal(counts.chunks, 10);
    str_release(&text);
    store_doc_release(&d);
    sample_release(&m);
    expect_sound(g->s);
}

static void touches_and_moves(void **state)
{
    struct ground *g = *state;
    OK(sample_put(g->s, 1, 1, &err));
    OK(sample_put(g->s, 2, 1, &err));
    struct store_doc d;
    char *path = sample_path(1), *other = sample_path(2);
    assert_int_equal(store_doc_by_path(g->s, path, &d, NULL), 1);
    const struct file_stamp stamp = {7, 8, 9, 10};
    int64_t before, after;
    OK(store_generation(g->s, &before, &err));
    OK(store_touch(g->s, d.id, NULL, &stamp, &err));
    OK(store_generation(g->s, &after, &err));
    assert_int_equal(before, after);
    OK(store_touch(g->s, d.id, other, &stamp, &err)); /* moved over the other one */
    OK(store_generation(g->s, &after, &err));
    assert_true(after > before);
    const int64_t id = d.id;
    store_doc_release(&d);
    assert_int_equal(store_doc_by_path(g->s, path, &d, NULL), 0);
    assert_int_equal(store_doc_by_path(g->s, other, &d, NULL), 1);
    assert_int_equal(d.id, id);
    assert_memory_equal(&d.stamp, &stamp, sizeof stamp);
    store_doc_release(&d);
    free(path);
    free(other);
    expect_sound(g->s);
}

static void groups_are_whole_or_nothing(void **state)
{
    struct ground *g = *state;
    struct hash128 before, after;
    OK(sample_put(g->s, 1, 1, &err));
    OK(sample_digest(g->s, &before, &err));
    OK(store_begin(g->s, &err));
    OK(sample_put(g->s, 2, 1, &err));
    OK(sample_put(g->s, 1, 2, &err));
    expect_sample(g->s, 2, 1);
    store_rollback(g->s);
    OK(sample_digest(g->s, &after, &err));
    assert_true(hash_equal(before, after));
    OK(store_begin(g->s, &err));
    OK(sample_put(g->s, 2, 1, &err));
    struct store_doc bad = {.path = "../up", .state = DOC_SKIPPED};
    struct err why = {0};
    assert_int_equal(store_put(g->s, &bad, (struct span){0}, NULL, 0, NULL, 0, &why), -1);
    OK(sample_put(g->s, 3, 1, &err)); /* a failed part does not spoil the group */
    OK(store_commit(g->s, &err));
    expect_sample(g->s, 1, 1);
    expect_sample(g->s, 2, 1);
    expect_sample(g->s, 3, 1);
    expect_sound(g->s);
}

static void keeps_named_values(void **state)
{
    struct ground *g = *state;
    char *v;
    OK(store_meta_get(g->s, "root", &v, &err));
    assert_null(v);
    OK(store_meta_set(g->s, "root", "/home/me/notes", &err));
    OK(store_meta_set(g->s, "root", "/home/me/papers", &err));
    reopen(g, STORE_READ);
    OK(store_meta_get(g->s, "root", &v, &err));
    assert_string_equal(v, "/home/me/papers");
    free(v);
    struct err why = {0};
    assert_int_equal(store_meta_set(g->s, "root", "x", &why), -1); /* opened for reading */
}

static void remembers_removed_passages(void **state)
{
    struct ground *g = *state;
    int64_t *ids;
    size_t n;
    for (int i = 1; i <= 4; i++) /* chunks 1, 2-3, 4-6, 7-10 */
        OK(sample_put(g->s, i, 0, &err));
    OK(store_delete(g->s, 2, &err));
    OK(store_delete(g->s, 4, &err));
    OK(store_removed(g->s, 8, &ids, &n, &err));
    assert_int_equal(n, 4);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[1], 3);
    assert_int_equal(ids[2], 7);
    assert_int_equal(ids[3], 8);
    free(ids);
    OK(store_removed_clear(g->s, 8, &err));
    OK(store_removed(g->s, 100, &ids, &n, &err));
    assert_int_equal(n, 2);
    assert_int_equal(ids[0], 9);
    free(ids);
    expect_sound(g->s);
}

static void forgets_a_model(void **state)
{
    struct ground *g = *state;
    OK(sample_put(g->s, 3, 0, &err));
    OK(sample_put(g->s, 4, 0, &err));
    OK(store_forget_vectors(g->s, &err));
    struct store_counts c;
    OK(store_counts(g->s, &c, &err));
    assert_int_equal(c.documents, 2);
    assert_int_equal(c.chunks, 0);
    assert_int_equal(c.vectors, 0);
    struct store_doc d;
    char *path = sample_path(3);
    assert_int_equal(store_doc_by_path(g->s, path, &d, NULL), 1);
    assert_int_equal(d.extract_version, -1); /* nothing of it counts as done */
    assert_true(d.text_bytes > 0);
    store_doc_release(&d);
    free(path);
    int64_t *ids;
    size_t n;
    OK(store_removed(g->s, INT64_MAX, &ids, &n, &err));
    assert_int_equal(n, 7);
    free(ids);
    expect_sound(g->s);
    struct sample m; /* another dimension now fits */
    sample_make(&m, 3, 0, 2, 100, 8);
    OK(store_put(g->s, &m.doc, (struct span){m.text, (size_t)m.doc.text_bytes}, m.chunk, 2,
                 m.vector, 8, &err));
    sample_release(&m);
    expect_sound(g->s);
}

static void expect_precisions(struct store *s, int64_t fp32, int64_t bf16, int64_t int8)
{
    struct store_counts c;
    OK(store_counts(s, &c, &err));
    assert_int_equal(c.by_precision[PRECISION_FP32], fp32);
    assert_int_equal(c.by_precision[PRECISION_BF16], bf16);
    assert_int_equal(c.by_precision[PRECISION_INT8], int8);
    assert_int_equal(c.vectors, fp32 + bf16 + int8);
}

/* What computed each vector stays known: over closing, undoing, replacing and pruning. */
static void knows_what_computed_a_vector(void **state)
{
    struct ground *g = *state;
    int64_t n;
    OK(sample_put(g->s, 2, 0, &err));
    store_vectors_are(g->s, PRECISION_INT8);
    OK(sample_put(g->s, 3, 0, &err));
    OK(store_begin(g->s, &err));
    OK(sample_put(g->s, 14, 0, &err));
    expect_precisions(g->s, 2, 0, 7);
    store_rollback(g->s);
    expect_precisions(g->s, 2, 0, 3);
    reopen(g, STORE_WRITE);
    expect_precisions(g->s, 2, 0, 3);
    store_vectors_are(g->s, PRECISION_BF16);
    OK(sample_put(g->s, 4, 0, &err));
    OK(sample_put(g->s, 2, 0, &err)); /* whose vectors are there already */
    expect_precisions(g->s, 2, 4, 3);
    OK(sample_put(g->s, 3, 1, &err)); /* 4 others; the old 3 are not used any more */
    OK(store_vectors_prune(g->s, &n, &err));
    assert_int_equal(n, 3);
    expect_precisions(g->s, 2, 8, 0);
    expect_sample(g->s, 2, 0);
    expect_sample(g->s, 3, 1);
    expect_sample(g->s, 4, 0);
    expect_sound(g->s);
    int64_t fixed;
    OK(store_repair(g->s, &fixed, &err));
    assert_int_equal(fixed, 0);
    OK(store_meta_set(g->s, "narrow_vectors", "1 1", &err));
    char first[1024];
    assert_int_equal(sample_verify(g->s, first, NULL), 1); /* a wrong count is seen, */
    OK(store_repair(g->s, &fixed, &err));                  /* and mended */
    expect_precisions(g->s, 2, 8, 0);
    expect_sound(g->s);
    OK(store_forget_vectors(g->s, &err));
    expect_precisions(g->s, 0, 0, 0);
    expect_sound(g->s);
}

/* From some number of documents on, texts are stored with a dictionary that is trained then. */
static void texts_outlive_a_dictionary(void **state)
{
    enum { MANY = 260 };
    struct ground *g = *state;
    for (int i = 0; i < 150; i++)
        OK(sample_put(g->s, i, 1, &err));
    OK(store_begin(g->s, &err)); /* trained in here, and taken back */
    for (int i = 150; i < MANY; i++)
        OK(sample_put(g->s, i, 1, &err));
    store_rollback(g->s);
    OK(store_begin(g->s, &err));
    for (int i = 150; i < MANY; i++)
        OK(sample_put(g->s, i, 1, &err));
    OK(store_commit(g->s, &err));
    expect_sound(g->s);
    reopen(g, STORE_WRITE);
    OK(sample_put(g->s, 7, 2, &err));
    reopen(g, STORE_READ);
    for (int i = 0; i < MANY; i++)
        expect_sample(g->s, i, i == 7 ? 2 : 1);
    expect_sound(g->s);
}

static int path_rises(void *ctx, const struct store_doc *d, struct err *err)
{
    char **last = ctx;
    (void)err;
    if (*last)
        assert_true(strcmp(*last, d->path) < 0);
    free(*last);
    *last = xstrdup(d->path);
    return 0;
}

static int stop_at_third(void *ctx, const struct store_doc *d, struct err *err)
{
    (void)d;
    (void)err;
    return ++*(int *)ctx == 3 ? 42 : 0;
}

static void walks_documents_by_path(void **state)
{
    struct ground *g = *state;
    for (int i = 30; i > 0; i--)
        OK(sample_put(g->s, i, 0, &err));
    char *last = NULL;
    OK(store_each_doc(g->s, path_rises, &last, &err));
    free(last);
    int seen = 0;
    struct err why = {0};
    assert_int_equal(store_each_doc(g->s, stop_at_third, &seen, &why), 42);
    assert_int_equal(seen, 3);
}

static void tells_a_missing_index(void **state)
{
    (void)state;
    char *top = tempdir_new(), *dir = path_join(top, "none");
    struct store *s;
    for (int mode = STORE_READ; mode <= STORE_WRITE; mode++) {
        struct err why = {0};
        assert_int_equal(store_open(dir, (enum store_mode)mode, NULL, &s, &why), -1);
        assert_int_equal(why.kind, ERR_NO_INDEX);
        assert_null(s);
    }
    assert_false(file_exists(dir));
    free(dir);
    tempdir_free(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(puts_and_gets_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(never_gives_an_id_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replaces_by_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_failed_and_skipped_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_nonsense, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copies_a_document_without_vectors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(touches_and_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups_are_whole_or_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_named_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(remembers_removed_passages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgets_a_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(knows_what_computed_a_vector, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_outlive_a_dictionary, set_up, tear_down),
        cmocka_unit_test_setup_teardown(walks_documents_by_path, set_up, tear_down),
        cmocka_unit_test(tells_a_missing_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
