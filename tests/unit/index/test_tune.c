/* Tests of index/tune: pairs from documents, the held-out collection, the map of questions. */
#include "index/eval/beir.h"
#include "index/index.h"
#include "index/tune/pairs_text.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/kernels/kernels.h"
#include "tests/unit/index/fake_embedder.h"
#include "tests/unit/index/tempdir.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- text ---- */

static void expect_plain(const char *from, const char *to)
{
    struct str s = {0};
    text_plain(span_of(from), 1000, &s);
    assert_string_equal(s.p ? s.p : "", to);
    str_release(&s);
}

static void plain_text_has_no_markup(void **state)
{
    (void)state;
    expect_plain("## How to  undo\na *commit*", "How to undo a commit");
    expect_plain("see [the guide](../a/b.md#x) now", "see the guide now");
    expect_plain("see link:git-add.html[git add] now", "see git add now");
    expect_plain("<a name=\"x\"></a>Title", "Title");
    expect_plain("if (a < b) and c > d", "if (a < b) and c > d");
    expect_plain("mail <a@b.org> it", "mail <a@b.org> it");
    expect_plain("[not a link] here", "[not a link] here");
    expect_plain("", "");
}

static void plain_text_is_cut_between_words(void **state)
{
    struct str s = {0};
    (void)state;
    text_plain(span_of("alpha beta gamma"), 12, &s);
    assert_string_equal(s.p, "alpha beta");
    str_release(&s);
}

static void sentences_end_where_they_should(void **state)
{
    (void)state;
    assert_int_equal(text_sentence(span_of("It works. Then it stops.")), 9);
    assert_int_equal(text_sentence(span_of("Use e.g. Git or so.")), 0);
    assert_int_equal(text_sentence(span_of("By J. Smith. He wrote it.")), 12);
    assert_int_equal(text_sentence(span_of("version 1.0 is out")), 0);
    assert_true(text_asks(span_of("How to unsubscribe")));
    assert_true(text_asks(span_of("Ready?")));
    assert_false(text_asks(span_of("However it is")));
}

static void count_link(void *ctx, struct span label, struct span target)
{
    str_printf(ctx, "%.*s=%.*s;", (int)label.n, label.p, (int)target.n, target.p);
}

static void links_are_found(void **state)
{
    struct str s = {0};
    (void)state;
    text_links(span_of("a [one](x.md) b ![two](y.png) xref:z.adoc[three] [open](never"), count_link,
               &s);
    assert_string_equal(s.p, "one=x.md;two=y.png;three=z.adoc;");
    str_release(&s);
}

static void docstrings_are_found(void **state)
{
    struct str s = {0};
    (void)state;
    text_docstrings(span_of("def f(x):\n    \"\"\"Adds one. More.\"\"\"\n    return x + 1\n\n"
                            "/* Frees the list.\n * All of it. */\nvoid list_free(void *p)\n{\n}\n"
                            "/* no code */\n\nint x;\n"),
                    count_link, &s);
    assert_string_equal(s.p, "Adds one. More.=def f(x):\n\n    return x + 1\n;"
                             "Frees the list.\nAll of it.\n=void list_free(void *p)\n{\n}\n"
                             "/* no code */\n;");
    str_release(&s);
}

/* ---- pairs of a small index ---- */

struct page {
    const char *path, *title, *heading, *text;
};

static const struct page pages[] = {
    {"a/cats.md", "All about cats", NULL,
     "Cats sleep for most of the day and hunt at night, which is why they wake you so early in the "
     "morning. See [keeping dogs well](../b/dogs.md) for another animal of the house."},
    {"b/dogs.md", "Keeping a dog", NULL,
     "A dog wants company, a walk three times a day, and a place of its own near the people that "
     "it takes for its pack."},
    {"b/fish.md", "Keeping a dog", NULL,
     "Fish need clean water of the right warmth and hardness, and not too much food on any single "
     "day of the week."},
    {"c/birds.md", NULL, "Birds > What do birds eat?",
     "Most birds of the garden eat seeds in winter and insects in summer, when they feed their "
     "young many times an hour."},
    {"c/birds2.md", NULL, "Birds > What they like to eat",
     "Most birds of the garden eat seeds in winter and insects in summer, when they feed their "
     "young many times an hour."},
    {"d/plain.txt", NULL, NULL,
     "The old bridge was closed in the spring of that year. Nobody crossed it again until the "
     "engineers had replaced every one of its cables and the town had paid for them."},
};

static void put_page(struct store *s, const struct page *p)
{
    struct err err = {0};
    struct store_doc d = {.path = (char *)p->path,
                          .state = DOC_INDEXED,
                          .kind = strstr(p->path, ".md") ? KIND_MARKDOWN : KIND_TEXT,
                          .title = (char *)p->title,
                          .extractor = (char *)"test 1",
                          .verbatim = true,
                          .text_bytes = (int64_t)strlen(p->text),
                          .n_chunks = 1};
    d.content = hash_bytes(p->text, strlen(p->text));
    struct store_chunk c = {.end = (int64_t)strlen(p->text), .heading = (char *)p->heading};
    c.embed_hash = hash_bytes(p->path, strlen(p->path));
    const uint16_t v[8] = {0x3c00};
    const uint16_t *vectors[] = {v};
    if (store_put(s, &d, span_of(p->text), &c, 1, vectors, 8, &err))
        fail_msg("%s", err.msg);
}

static struct store *small_store(const char *dir)
{
    struct store *s = NULL;
    OK(store_open(dir, STORE_CREATE, NULL, &s, &err));
    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        put_page(s, &pages[i]);
    return s;
}

static const struct pair *find(const struct pair_list *l, const char *anchor)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->item[i].anchor, anchor) == 0)
            return &l->item[i];
    return NULL;
}

static void pairs_come_from_titles_headings_links_sentences(void **state)
{
    char *dir = tempdir_new();
    struct store *s = small_store(dir);
    struct pair_list l;
    const struct pairs_options o = {.seed = 1, .held_share = 0};
    (void)state;
    OK(pairs_collect(s, &o, NULL, &l, &err));
    assert_int_equal(l.documents, 6);
    assert_int_equal(l.held_documents, 0);
    const struct pair *p = find(&l, "All about cats");
    assert_non_null(p);
    assert_int_equal(p->kind, PAIR_TITLE);
    assert_null(strstr(p->passage, "](")); /* markup is gone */
    p = find(&l, "keeping dogs well");
    assert_non_null(p);
    assert_int_equal(p->kind, PAIR_LINK);
    assert_int_equal(strncmp(p->passage, "A dog wants", 11), 0);
    assert_true(p->doc != p->anchor_doc);
    p = find(&l, "What do birds eat?");
    assert_non_null(p);
    assert_int_equal(p->kind, PAIR_QUESTION);
    p = find(&l, "The old bridge was closed in the spring of that year.");
    assert_non_null(p);
    assert_int_equal(p->kind, PAIR_SENTENCE);
    assert_int_equal(strncmp(p->passage, "Nobody crossed", 14), 0);
    /* what would mislead */
    assert_null(find(&l, "Keeping a dog"));         /* of two documents */
    assert_null(find(&l, "What they like to eat")); /* its passage is there already */
    assert_int_equal(l.common, 2);
    assert_int_equal(l.near, 1);
    pair_list_release(&l);
    store_close(s);
    tempdir_free(dir);
}

static void held_out_documents_give_no_training_pair(void **state)
{
    char *dir = tempdir_new();
    struct store *s = small_store(dir);
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        const struct pairs_options o = {.seed = seed, .held_share = 0.5};
        struct pair_list l;
        OK(pairs_collect(s, &o, NULL, &l, &err));
        for (size_t i = 0; i < l.n; i++)
            for (size_t j = 0; j < l.n; j++)
                if (l.item[i].held && !l.item[j].held) {
                    assert_true(l.item[i].doc != l.item[j].doc);
                    assert_true(l.item[i].doc != l.item[j].anchor_doc);
                    assert_true(l.item[i].anchor_doc != l.item[j].doc);
                }
        pair_list_release(&l);
    }
    store_close(s);
    tempdir_free(dir);
}

static void the_held_out_part_is_a_collection(void **state)
{
    char *dir = tempdir_new(), *data = path_join(dir, "data");
    struct store *s = small_store(dir);
    const struct pairs_options o = {.seed = 1, .held_share = 1};
    struct pair_list l;
    struct held_report r;
    uint64_t *group;
    struct names docs = {0};
    struct beir_queries q = {0};
    (void)state;
    OK(pairs_collect(s, &o, NULL, &l, &err));
    OK(held_write(&l, data, 100, 100, 1, &r, &group, &err));
    assert_int_equal(r.questions, l.n);
    OK(beir_names(data, &docs, &err));
    assert_int_equal(docs.n, r.passages);
    OK(beir_queries_read(data, NULL, &docs, &q, &err));
    assert_int_equal(q.n, r.questions);
    for (size_t i = 0; i < q.n; i++)
        assert_int_equal(q.item[i].n_relevant, 1);
    free(group);
    OK(held_write(&l, data, 2, 3, 1, &r, &group, &err));
    assert_int_equal(r.questions, 2);
    free(group);
    beir_queries_release(&q);
    names_release(&docs);
    pair_list_release(&l);
    store_close(s);
    free(data);
    tempdir_free(dir);
}

/* ---- the map ---- */

static const char fingerprint[] = "0123456789abcdef0123456789abcdef";

static void a_map_is_kept_and_belongs_to_one_model(void **state)
{
    char *dir = tempdir_new();
    float d[16] = {0};
    struct adapter *a, *back;
    (void)state;
    assert_int_equal(adapter_load(dir, fingerprint, 4, &back, NULL), 0);
    d[1] = 0.5F;
    a = adapter_new(fingerprint, 4, d);
    OK(adapter_save(dir, a, &err));
    assert_int_equal(adapter_load(dir, fingerprint, 4, &back, NULL), 1);
    adapter_free(back);
    assert_int_equal(adapter_load(dir, "another", 4, &back, NULL), 0);
    assert_null(back);
    assert_int_equal(adapter_load(dir, fingerprint, 5, &back, NULL), 0);
    assert_int_equal(adapter_remove(dir, NULL), 1);
    assert_int_equal(adapter_remove(dir, NULL), 0);
    adapter_free(a);
    tempdir_free(dir);
}

static void a_damaged_map_is_told(void **state)
{
    char *dir = tempdir_new(), *path = path_join(dir, ADAPTER_FILE);
    float d[16] = {0};
    struct adapter *a = adapter_new(fingerprint, 4, d), *back;
    struct str file = {0};
    (void)state;
    OK(adapter_save(dir, a, &err));
    OK(file_read(path, 1 << 20, &file, &err));
    for (size_t i = 0; i < file.n; i += 7) {
        struct err err = {0};
        const int fd = open(path, O_WRONLY);
        const char flipped = (char)(file.p[i] ^ 0x10);
        assert_int_equal(pwrite(fd, &flipped, 1, (off_t)i), 1);
        const int found = adapter_load(dir, fingerprint, 4, &back, &err);
        assert_true(found < 0 || found == 0 || file.p[i] == 0); /* never taken with other numbers */
        if (found > 0)
            adapter_free(back);
        assert_int_equal(pwrite(fd, &file.p[i], 1, (off_t)i), 1);
        close(fd);
    }
    assert_int_equal(truncate(path, (off_t)file.n / 2), 0);
    struct err err = {0};
    assert_int_equal(adapter_load(dir, fingerprint, 4, &back, &err), -1);
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_true(err.hint[0]);
    str_release(&file);
    adapter_free(a);
    free(path);
    tempdir_free(dir);
}

static void questions_are_mapped_and_passages_are_not(void **state)
{
    struct embedder *plain = fake_embedder_new(1, 0);
    const int dim = plain->dim;
    float *d = xcalloc((size_t)dim * (size_t)dim, sizeof *d);
    float *x = xcalloc((size_t)dim, sizeof *x), *y = xcalloc((size_t)dim, sizeof *y);
    const struct span text = span_of("some words to embed");
    (void)state;
    for (int r = 0; r < dim; r++)
        d[r * dim + (r + 1) % dim] = 0.5F;
    struct embedder *e = adapter_embedder(plain, true, adapter_new(plain->fingerprint, dim, d));
    assert_string_equal(e->fingerprint, plain->fingerprint);
    OK(plain->embed(plain, &text, 1, EMBED_PASSAGE, x, NULL, &err));
    OK(e->embed(e, &text, 1, EMBED_PASSAGE, y, NULL, &err));
    assert_memory_equal(x, y, (size_t)dim * sizeof *x);
    OK(plain->embed(plain, &text, 1, EMBED_QUERY, x, NULL, &err));
    OK(e->embed(e, &text, 1, EMBED_QUERY, y, NULL, &err));
    double want[4096], length = 0, unit = 0;
    for (int r = 0; r < dim; r++) {
        want[r] = (double)x[r] + 0.5 * (double)x[(r + 1) % dim];
        length += want[r] * want[r];
    }
    for (int r = 0; r < dim; r++) {
        assert_true(fabs(want[r] / sqrt(length) - (double)y[r]) < 1e-6);
        unit += (double)y[r] * (double)y[r];
    }
    assert_true(fabs(unit - 1) < 1e-5);
    e->close(e);
    free(d);
    free(x);
    free(y);
}

static int start(void **state)
{
    struct err err = {0};
    (void)state;
    return kernels_init(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_has_no_markup),
        cmocka_unit_test(plain_text_is_cut_between_words),
        cmocka_unit_test(sentences_end_where_they_should),
        cmocka_unit_test(links_are_found),
        cmocka_unit_test(docstrings_are_found),
        cmocka_unit_test(pairs_come_from_titles_headings_links_sentences),
        cmocka_unit_test(held_out_documents_give_no_training_pair),
        cmocka_unit_test(the_held_out_part_is_a_collection),
        cmocka_unit_test(a_map_is_kept_and_belongs_to_one_model),
        cmocka_unit_test(a_damaged_map_is_told),
        cmocka_unit_test(questions_are_mapped_and_passages_are_not),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
