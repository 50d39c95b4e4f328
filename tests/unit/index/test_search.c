/* Tests of search: modes and their signals, filters inside, collapse, calibration, limits. */
#include "index/search.h"
#include "index/snapshot.h"
#include "index/update.h"
#include "src/base/mem.h"
#include "src/kernels/kernels.h"
#include "tests/unit/index/fake_embedder.h"
#include "tests/unit/index/tempdir.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ground {
    char *dir;
    struct store *s;
    struct embedder *e;
    struct searcher *q;
};

static void set_meta(struct ground *g)
{
    char print[33], dim[16];
    update_fingerprint(g->e, print);
    snprintf(dim, sizeof dim, "%d", g->e->dim);
    OK(store_meta_set(g->s, "fingerprint", print, &err));
    OK(store_meta_set(g->s, "dim", dim, &err));
}

static int set_up(void **state)
{
    struct ground *g = xcalloc(1, sizeof *g);
    g->dir = tempdir_new();
    OK(store_open(g->dir, STORE_CREATE, NULL, &g->s, &err));
    g->e = fake_embedder_new(1, 256);
    set_meta(g);
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;
    searcher_close(g->q);
    g->e->close(g->e);
    store_close(g->s);
    tempdir_free(g->dir);
    free(g);
    return 0;
}

/* Stores a document whose passages are its paragraphs (split at "\n\n"). */
static int64_t put(struct ground *g, const char *path, const char *text, enum doc_kind kind,
                   int64_t mtime_ns)
{
    struct store_chunk chunk[128] = {0};
    uint16_t half[128][FAKE_DIM];
    const uint16_t *vector[128];
    size_t n = 0;
    for (const char *p = text; *p; n++) {
        const char *end = strstr(p, "\n\n");
        const size_t len = end ? (size_t)(end - p) : strlen(p);
        const struct span passage = {p, len};
        float full[FAKE_DIM];
        OK(g->e->embed(g->e, &passage, 1, EMBED_PASSAGE, full, NULL, &err));
        kern.f32_to_f16(half[n], full, FAKE_DIM);
        vector[n] = half[n];
        chunk[n] =
            (struct store_chunk){.ord = (int)n, .start = p - text, .end = p - text + (int)len};
        chunk[n].embed_hash = hash_bytes(p, len);
        chunk[n].line_start = chunk[n].line_end = 1 + 2 * (int)n;
        p += len + (end ? 2 : 0);
    }
    struct store_doc d = {
        .path = (char *)path, .state = DOC_INDEXED, .kind = kind, .verbatim = true};
    d.extractor = (char *)"text 1";
    d.stamp.mtime_ns = mtime_ns;
    d.content = hash_bytes(text, strlen(text));
    d.text_bytes = (int64_t)strlen(text);
    d.n_chunks = (int64_t)n;
    OK(store_put(g->s, &d, span_of(text), chunk, n, vector, FAKE_DIM, &err));
    return d.id;
}

static void note(struct ground *g, const char *path, const char *text)
{
    put(g, path, text, KIND_TEXT, 1000);
}

static void open_searcher(struct ground *g)
{
    searcher_close(g->q);
    OK(searcher_open(g->s, g->e, &g->q, &err));
}

static struct search_options usual(enum search_mode mode, int k)
{
    return (struct search_options){
        .mode = mode, .k = k, .min_score = -1, .since_ns = INT64_MIN, .until_ns = INT64_MAX};
}

static struct search_answer ask(struct ground *g, const char *text, const struct search_options *o)
{
    struct search_answer a;
    OK(search_text(g->q, span_of(text), o, &a, &err));
    for (size_t i = 0; i < a.n; i++) {
        assert_int_equal(a.item[i].rank, i + 1);
        assert_true(a.item[i].score >= 0 && a.item[i].score <= 1);
        assert_true(i == 0 || a.item[i].score <= a.item[i - 1].score);
        assert_int_equal(a.item[i].weak, a.item[i].score < 0.5);
        assert_non_null(a.item[i].snippet);
        assert_true(a.item[i].explain[0]);
    }
    return a;
}

static bool has_path(const struct search_answer *a, const char *path)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->item[i].doc.path, path) == 0)
            return true;
    return false;
}

static void small_library(struct ground *g)
{
    note(g, "sea/boats.txt", "Boats lie in the harbour and wait for the morning tide.");
    note(g, "sea/storm.txt", "The storm broke two masts and the harbour wall.");
    note(g, "land/bread.txt", "Bread dough rises in a warm kitchen before baking.");
    note(g, "land/trees.txt", "Apple trees are pruned late in winter.");
    note(g, "code/main.txt", "The function snapshot_build writes cache files.");
    open_searcher(g);
}

static void every_mode_finds_and_tells_its_signals(void **state)
{
    struct ground *g = *state;
    small_library(g);
    for (int mode = 0; mode < 3; mode++) {
        const struct search_options o = usual((enum search_mode)mode, 3);
        struct search_answer a = ask(g, "harbour storm masts", &o);
        assert_true(a.n >= 1);
        assert_string_equal(a.item[0].doc.path, "sea/storm.txt");
        assert_int_equal(a.item[0].has_cosine, mode != SEARCH_KEYWORD);
        assert_int_equal(a.item[0].has_vector_rank, mode != SEARCH_KEYWORD);
        assert_int_equal(a.item[0].has_keyword, mode != SEARCH_VECTOR);
        assert_int_equal(a.item[0].has_keyword_rank, mode != SEARCH_VECTOR);
        if (mode != SEARCH_KEYWORD)
            assert_int_equal(a.item[0].vector_rank, 1);
        if (mode != SEARCH_VECTOR)
            assert_int_equal(a.item[0].keyword_rank, 1);
        assert_non_null(strstr(a.item[0].snippet, "storm"));
        if (mode != SEARCH_VECTOR) {
            assert_true(a.item[0].n_marks >= 3);
            assert_memory_equal(a.item[0].snippet + a.item[0].mark[0].start, "storm", 5);
        }
        assert_true(a.took_ms >= 0);
        search_answer_release(&a);
    }
}

static void a_word_in_no_vector_list_gets_its_cosine(void **state)
{
    struct ground *g = *state;
    small_library(g);
    const struct search_options o = usual(SEARCH_HYBRID, 5);
    struct search_answer a = ask(g, "bread dough", &o);
    assert_int_equal(a.n, 5);
    assert_string_equal(a.item[0].doc.path, "land/bread.txt");
    for (size_t i = 0; i < a.n; i++)
        assert_true(a.item[i].has_cosine && isfinite(a.item[i].cosine));
    assert_false(a.item[4].has_keyword);
    search_answer_release(&a);
}

static void filters_act_inside(void **state)
{
    struct ground *g = *state;
    char path[64], text[160];
    for (int i = 0; i < 600; i++) {
        snprintf(path, sizeof path, "%s/n%03d.txt", i % 30 ? "many" : "few", i);
        snprintf(text, sizeof text, "harbour report %d about boats number %d%s", i, i * 7,
                 i % 30 ? " harbour boats" : " and other unrelated things of the town");
        put(g, path, text, i % 2 ? KIND_MARKDOWN : KIND_TEXT, (int64_t)i * 1000);
    }
    open_searcher(g);
    const char *const glob = "few/**";
    for (int mode = 0; mode < 3; mode++) {
        struct search_options o = usual((enum search_mode)mode, 12);
        o.path = &glob;
        o.n_path = 1;
        struct search_answer a = ask(g, "harbour boats", &o);
        assert_int_equal(a.n, 12);
        for (size_t i = 0; i < a.n; i++)
            assert_memory_equal(a.item[i].doc.path, "few/", 4);
        search_answer_release(&a);

        o = usual((enum search_mode)mode, 400);
        o.kinds = 1U << KIND_MARKDOWN;
        o.since_ns = 300 * 1000;
        o.until_ns = 320 * 1000;
        a = ask(g, "harbour boats", &o);
        assert_int_equal(a.n, 10); /* the odd ones of 300..320 */
        for (size_t i = 0; i < a.n; i++) {
            assert_int_equal(a.item[i].doc.kind, KIND_MARKDOWN);
            assert_in_range(a.item[i].doc.stamp.mtime_ns, 300 * 1000, 320 * 1000);
        }
        search_answer_release(&a);
    }
    const char *const nowhere = "nowhere/*";
    struct search_options o = usual(SEARCH_HYBRID, 5);
    o.path = &nowhere;
    o.n_path = 1;
    struct search_answer a = ask(g, "harbour", &o);
    assert_int_equal(a.n, 0);
    assert_true(isnan(a.closest));
    search_answer_release(&a);
}

static void neighbours_do_not_fill_the_list(void **state)
{
    struct ground *g = *state;
    struct str text = {0};
    for (int i = 0; i < 40; i++)
        str_printf(&text, "%sharbour boats tide part %d of the long report", i ? "\n\n" : "", i);
    note(g, "long.txt", text.p);
    str_release(&text);
    char path[32], one[96];
    for (int i = 0; i < 12; i++) {
        snprintf(path, sizeof path, "s%d.txt", i);
        snprintf(one, sizeof one, "harbour boats seen on day %d of a quiet month", i);
        note(g, path, one);
    }
    open_searcher(g);
    struct search_options o = usual(SEARCH_HYBRID, 10);
    struct search_answer a = ask(g, "harbour boats tide", &o);
    assert_int_equal(a.n, 10);
    for (size_t i = 0; i < a.n; i++)
        for (size_t j = 0; j < i; j++)
            if (a.item[i].doc.id == a.item[j].doc.id)
                assert_true(abs(a.item[i].chunk.ord - a.item[j].chunk.ord) > 1);
    search_answer_release(&a);

    o.per_file = 1;
    a = ask(g, "harbour boats tide", &o);
    assert_int_equal(a.n, 10);
    for (size_t i = 0; i < a.n; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(a.item[i].doc.id, a.item[j].doc.id);
    search_answer_release(&a);

    /* nothing else to show: the neighbours come back, but no more of a file than asked for */
    const char *const only = "long.txt";
    o = usual(SEARCH_HYBRID, 35);
    o.path = &only;
    o.n_path = 1;
    a = ask(g, "harbour boats tide", &o);
    assert_int_equal(a.n, 35);
    search_answer_release(&a);
    o.per_file = 3;
    a = ask(g, "harbour boats tide", &o);
    assert_int_equal(a.n, 3);
    search_answer_release(&a);
}

static void copies_are_shown_once(void **state)
{
    struct ground *g = *state;
    note(g, "a.txt", "The lighthouse keeper lit the lamp early in the evening.");
    note(g, "b.txt", "The lighthouse keeper lit the lamp early in the evening.");
    note(g, "c.txt", "The lighthouse  keeper lit\nthe lamp early in the evening.");
    note(g, "d.txt", "The lighthouse was painted white.");
    open_searcher(g);
    const struct search_options o = usual(SEARCH_HYBRID, 10);
    struct search_answer a = ask(g, "lighthouse keeper lamp", &o);
    assert_int_equal(a.n, 2);
    assert_string_equal(a.item[0].doc.path, "a.txt");
    assert_string_equal(a.item[1].doc.path, "d.txt");
    search_answer_release(&a);
}

static void min_score_names_the_closest(void **state)
{
    struct ground *g = *state;
    small_library(g);
    struct search_options o = usual(SEARCH_HYBRID, 5);
    o.min_score = 0.5;
    struct search_answer a = ask(g, "quantum chromodynamics lagrangian", &o);
    assert_int_equal(a.n, 0);
    assert_true(a.closest >= 0 && a.closest < 0.5);
    assert_non_null(a.closest_path);
    search_answer_release(&a);
    o.min_score = -1;
    a = ask(g, "quantum chromodynamics lagrangian", &o);
    assert_int_equal(a.n, 5);
    assert_true(a.item[0].weak);
    search_answer_release(&a);
    o.min_score = 0.5;
    a = ask(g, "snapshot_build", &o);
    assert_true(a.n >= 1);
    assert_string_equal(a.item[0].doc.path, "code/main.txt");
    search_answer_release(&a);
}

static void odd_questions_are_harmless(void **state)
{
    struct ground *g = *state;
    static const char *const odd[] = {"",      "  \t\n ",  "\"",   "-",        "*",
                                      "NEAR(", "\xff\xfe", "\"\"", "-\"a b\"", "the of and"};
    small_library(g);
    for (int mode = 0; mode < 3; mode++)
        for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
            const struct search_options o = usual((enum search_mode)mode, 3);
            struct search_answer a = ask(g, odd[i], &o);
            if (i < 2)
                assert_true(a.n == 0 && isnan(a.closest) && !a.closest_path);
            search_answer_release(&a);
        }
    struct str big = {0};
    while (big.n < 10 * 1000 * 1000)
        str_puts(&big, "harbour storm \xc3\xa9t\xc3\xa9 ");
    const struct search_options o = usual(SEARCH_HYBRID, 3);
    struct search_answer a = ask(g, big.p, &o);
    assert_int_equal(a.n, 3);
    search_answer_release(&a);
    str_release(&big);
}

static void phrases_and_exclusions_bind_both_sides(void **state)
{
    struct ground *g = *state;
    small_library(g);
    const struct search_options o = usual(SEARCH_HYBRID, 5);
    struct search_answer a = ask(g, "harbour -storm", &o);
    assert_int_equal(a.n, 4);
    assert_false(has_path(&a, "sea/storm.txt"));
    assert_string_equal(a.item[0].doc.path, "sea/boats.txt");
    search_answer_release(&a);
    a = ask(g, "boats \"harbour wall\"", &o);
    assert_int_equal(a.n, 1);
    assert_string_equal(a.item[0].doc.path, "sea/storm.txt");
    search_answer_release(&a);
}

static void like_leaves_out_what_was_asked_by(void **state)
{
    struct ground *g = *state;
    const int64_t id =
        put(g, "a.md", "boats in the harbour\n\nstorm over the harbour wall", KIND_TEXT, 1);
    note(g, "b.md", "boats near the harbour wall in a storm");
    note(g, "c.md", "bread rises in the kitchen");
    open_searcher(g);
    for (int mode = 0; mode < 3; mode++) {
        const struct search_options o = usual((enum search_mode)mode, 5);
        struct search_answer a;
        OK(search_like_doc(g->q, id, &o, &a, &err));
        assert_true(a.n >= 1);
        assert_string_equal(a.item[0].doc.path, "b.md");
        assert_false(has_path(&a, "a.md"));
        const int64_t chunk = a.item[0].chunk.id;
        search_answer_release(&a);
        OK(search_like_chunk(g->q, chunk, &o, &a, &err));
        assert_true(a.n >= 1);
        assert_string_equal(a.item[0].doc.path, "a.md");
        assert_false(has_path(&a, "b.md"));
        search_answer_release(&a);
    }
    struct err err = {0};
    struct search_answer a;
    const struct search_options o = usual(SEARCH_HYBRID, 5);
    assert_int_equal(search_like_chunk(g->q, 99999, &o, &a, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void deep_lists_are_whole_and_repeatable(void **state)
{
    struct ground *g = *state;
    char path[32], text[96];
    for (int i = 0; i < 1500; i++) {
        snprintf(path, sizeof path, "n%04d.txt", i);
        snprintf(text, sizeof text, "report %d harbour item%d item%d", i, i % 97, i % 31);
        note(g, path, text);
    }
    open_searcher(g);
    for (int mode = 0; mode < 3; mode++) {
        const struct search_options o = usual((enum search_mode)mode, 1000);
        struct search_answer a = ask(g, "harbour item5", &o), b = ask(g, "harbour item5", &o);
        assert_int_equal(a.n, 1000);
        assert_int_equal(b.n, 1000);
        for (size_t i = 0; i < a.n; i++) {
            assert_int_equal(a.item[i].chunk.id, b.item[i].chunk.id);
            assert_true(a.item[i].score == b.item[i].score);
        }
        search_answer_release(&a);
        search_answer_release(&b);
    }
}

static void removed_documents_are_gone(void **state)
{
    struct ground *g = *state;
    small_library(g);
    struct store_doc d;
    assert_int_equal(store_doc_by_path(g->s, "sea/storm.txt", &d, NULL), 1);
    OK(store_delete(g->s, d.id, &err));
    store_doc_release(&d);
    const struct search_options o = usual(SEARCH_HYBRID, 10);
    struct search_answer a = ask(g, "harbour storm masts", &o); /* still on the old snapshot */
    assert_false(has_path(&a, "sea/storm.txt"));
    search_answer_release(&a);
    open_searcher(g);
    a = ask(g, "harbour storm masts", &o);
    assert_int_equal(a.n, 4);
    assert_false(has_path(&a, "sea/storm.txt"));
    search_answer_release(&a);
}

static void what_cannot_be_asked_is_said(void **state)
{
    struct ground *g = *state;
    small_library(g);
    struct search_answer a;
    struct err refused = {0};
    struct search_options o = usual(SEARCH_HYBRID, 0);
    assert_int_equal(search_text(g->q, span_of("x"), &o, &a, &refused), -1);
    assert_int_equal(refused.kind, ERR_USAGE);

    struct searcher *words;
    OK(searcher_open(g->s, NULL, &words, &err));
    o = usual(SEARCH_KEYWORD, 3);
    OK(search_text(words, span_of("bread"), &o, &a, &err));
    assert_int_equal(a.n, 1);
    search_answer_release(&a);
    o.mode = SEARCH_HYBRID;
    refused = (struct err){0};
    assert_int_equal(search_text(words, span_of("bread"), &o, &a, &refused), -1);
    assert_int_equal(refused.kind, ERR_USAGE);
    searcher_close(words);

    struct embedder *other = fake_embedder_new(2, 256);
    refused = (struct err){0};
    assert_int_equal(searcher_open(g->s, other, &words, &refused), -1);
    assert_int_equal(refused.kind, ERR_INCOMPATIBLE);
    assert_null(words);
    other->close(other);
}

static void calibration_is_kept(void **state)
{
    struct ground *g = *state;
    small_library(g);
    const struct search_options o = usual(SEARCH_VECTOR, 3);
    struct search_answer a = ask(g, "harbour storm", &o);
    const double before = a.item[0].score;
    search_answer_release(&a);
    OK(search_calibrate(g->s, g->e, &err));
    char *value;
    OK(store_meta_get(g->s, "calibration", &value, &err));
    assert_non_null(value);
    free(value);
    const int64_t calls = fake_embedder_of(g->e)->n_calls;
    open_searcher(g);
    assert_int_equal(fake_embedder_of(g->e)->n_calls, calls); /* read, not measured again */
    a = ask(g, "harbour storm", &o);
    assert_true(fabs(a.item[0].score - before) < 1e-6);
    search_answer_release(&a);
    static const char *const broken[] = {"", "1", "1 x nan nan nan", "2 a 0 1 1", "1 x 0 0 0"};
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        OK(store_meta_set(g->s, "calibration", broken[i], &err));
        open_searcher(g);
        a = ask(g, "harbour storm", &o);
        assert_true(fabs(a.item[0].score - before) < 1e-6);
        search_answer_release(&a);
    }
}

static void an_empty_index_answers_nothing(void **state)
{
    struct ground *g = *state;
    open_searcher(g);
    for (int mode = 0; mode < 3; mode++) {
        const struct search_options o = usual((enum search_mode)mode, 3);
        struct search_answer a = ask(g, "anything at all", &o);
        assert_int_equal(a.n, 0);
        search_answer_release(&a);
    }
    OK(search_calibrate(g->s, g->e, &err));
}

static void failures_of_the_encoder_are_passed_on(void **state)
{
    struct ground *g = *state;
    small_library(g);
    struct fake_embedder *f = fake_embedder_of(g->e);
    f->fail_at_call = (int)f->n_calls + 1;
    struct search_answer a;
    struct err err = {0};
    const struct search_options o = usual(SEARCH_HYBRID, 3);
    assert_int_equal(search_text(g->q, span_of("harbour"), &o, &a, &err), -1);
    assert_true(err.msg[0]);
    assert_int_equal(a.n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    struct err err = {0};
    if (kernels_init(&err))
        return 1;
    const struct CMUnitTest tests[] = {
        TEST(every_mode_finds_and_tells_its_signals),
        TEST(a_word_in_no_vector_list_gets_its_cosine),
        TEST(filters_act_inside),
        TEST(neighbours_do_not_fill_the_list),
        TEST(copies_are_shown_once),
        TEST(min_score_names_the_closest),
        TEST(odd_questions_are_harmless),
        TEST(phrases_and_exclusions_bind_both_sides),
        TEST(like_leaves_out_what_was_asked_by),
        TEST(deep_lists_are_whole_and_repeatable),
        TEST(removed_documents_are_gone),
        TEST(what_cannot_be_asked_is_said),
        TEST(calibration_is_kept),
        TEST(an_empty_index_answers_nothing),
        TEST(failures_of_the_encoder_are_passed_on),
    };
    return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
