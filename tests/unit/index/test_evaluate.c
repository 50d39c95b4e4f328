/* Tests of evaluation: figures against worked examples, reading of judged collections, the whole
 * way from a folder to a report and runs. */
#include "index/eval/beir.h"
#include "index/eval/evaluate.h"
#include "index/eval/metrics.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/kernels/kernels.h"
#include "tests/unit/index/fake_embedder.h"
#include "tests/unit/index/tempdir.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct err failure; /* of the last call that was to fail */

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

/* ---- figures ---- */

/* Relevant at ranks 1 (grade 2), 3 (1) and 12 (3), one more (1) not retrieved. */
static void figures_are_those_of_trec_eval(void **state)
{
    (void)state;
    struct ranked item[12] = {{0}};
    int grade[] = {1, 2, 1, 3};
    item[0].grade = 2;
    item[2].grade = 1;
    item[11].grade = 3;
    item[5].grade = -1; /* judged, and found not relevant */
    const struct metrics m = metrics_of(item, 12, grade, 4);
    const double ideal = 3 + 2 / log2(3) + 1 / log2(4) + 1 / log2(5);
    NEAR(m.ndcg10, (2 + 1 / log2(4)) / ideal);
    NEAR(m.recall10, 0.5);
    NEAR(m.recall100, 0.75);
    NEAR(m.mrr10, 1);
    NEAR(m.map, (1.0 + 2.0 / 3 + 3.0 / 12) / 4);
}

static void late_and_missing_answers_count_nothing(void **state)
{
    (void)state;
    struct ranked item[150] = {{0}};
    int grade[] = {1, 1};
    item[10].grade = 1;
    item[120].grade = 1;
    const struct metrics m = metrics_of(item, 150, grade, 2);
    NEAR(m.ndcg10, 0);
    NEAR(m.mrr10, 0);
    NEAR(m.recall10, 0);
    NEAR(m.recall100, 0.5);
    NEAR(m.map, (1.0 / 11 + 2.0 / 121) / 2);
    const struct metrics none = metrics_of(item, 0, grade, 2);
    NEAR(none.ndcg10 + none.map + none.recall100, 0);
    const struct metrics unjudged = metrics_of(item, 150, NULL, 0);
    NEAR(unjudged.ndcg10 + unjudged.map, 0);
}

static void ideal_order_has_ten_places(void **state)
{
    (void)state;
    struct ranked item[10] = {{0}};
    int grade[30];
    for (int i = 0; i < 30; i++)
        grade[i] = 1;
    for (int i = 0; i < 10; i++)
        item[i].grade = 1;
    NEAR(metrics_of(item, 10, grade, 30).ndcg10, 1);
}

static void equal_scores_go_by_name_falling(void **state)
{
    (void)state;
    struct ranked item[] = {{"a", 1, 0}, {"c", 1, 0}, {"b", 2, 0}, {"10", 1, 0}, {"9", 1, 0}};
    static const char *const want[] = {"b", "c", "a", "9", "10"};
    metrics_sort(item, 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal(item[i].id, want[i]);
}

static void quantiles_interpolate(void **state)
{
    (void)state;
    double x[] = {4, 1, 3, 2};
    NEAR(metrics_quantile(x, 4, 0.5), 2.5);
    NEAR(metrics_quantile(x, 4, 1), 4);
    NEAR(metrics_quantile(x, 1, 0.95), 1);
    assert_true(isnan(metrics_quantile(x, 0, 0.5)));
}

/* ---- collections ---- */

struct ground {
    char *dir, *scratch;
    struct embedder *e;
};

static int set_up(void **state)
{
    struct ground *g = xcalloc(1, sizeof *g);
    g->dir = tempdir_new();
    g->scratch = path_join(g->dir, "scratch");
    g->e = fake_embedder_new(1, 256);
    tempdir_write(g->dir, "corpus.jsonl",
                  "{\"_id\": \"d1\", \"title\": \"Boats\", \"text\": \"boats in the harbour\"}\n"
                  "{\"_id\": \"d2\", \"title\": \"\", \"text\": \"bread in the oven\"}\n"
                  "\n"
                  "{\"_id\": \"d3\", \"text\": \"trees in winter\"}\n"
                  "{\"_id\": 4, \"title\": \"Empty\", \"text\": \"\"}\n");
    tempdir_write(g->dir, "queries.jsonl",
                  "{\"_id\": \"q1\", \"text\": \"harbour boats\"}\n"
                  "{\"_id\": \"q2\", \"text\": \"bread oven\"}\n"
                  "{\"_id\": \"q3\", \"text\": \"nobody judged this\"}\n"
                  "{\"_id\": \"q4\", \"text\": \"judged, nothing relevant\"}\n");
    tempdir_write(
        g->dir, "qrels/test.tsv",
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td3\t0\nq2\td2\t1\nq2\t4\t1\nq4\td1\t0\n");
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;
    g->e->close(g->e);
    free(g->scratch);
    tempdir_free(g->dir);
    free(g);
    return 0;
}

static int read_queries(const struct ground *g, const char *qrels, struct beir_queries *q)
{
    struct names docs;
    failure = (struct err){0};
    if (beir_names(g->dir, &docs, &failure))
        return -1;
    const int rc = beir_queries_read(g->dir, qrels, &docs, q, &failure);
    names_release(&docs);
    return rc;
}

static void collections_are_read(void **state)
{
    const struct ground *g = *state;
    struct beir_queries q;
    assert_int_equal(read_queries(g, NULL, &q), 0);
    assert_int_equal(q.n, 2); /* those with a relevant document */
    assert_string_equal(q.item[0].text, "harbour boats");
    assert_int_equal(beir_grade(&q.item[0], 0), 2);
    assert_int_equal(beir_grade(&q.item[0], 1), 0);
    assert_int_equal(q.item[1].n_relevant, 2);
    assert_int_equal(beir_grade(&q.item[1], 3), 1);
    beir_queries_release(&q);
}

static void splits_have_their_own_questions(void **state)
{
    const struct ground *g = *state;
    struct beir_queries q;
    tempdir_write(g->dir, "qrels/dev.tsv",
                  "query-id\tcorpus-id\tscore\nq1\td2\t1\r\nq1\td2\t3\r\n");
    tempdir_write(g->dir, "queries.dev.jsonl", "{\"_id\": \"q1\", \"text\": \"of dev\"}\n");
    char *path = path_join(g->dir, "qrels/dev.tsv");
    assert_int_equal(read_queries(g, path, &q), 0);
    free(path);
    assert_string_equal(q.item[0].text, "of dev");
    assert_int_equal(q.item[0].n_relevant, 1); /* judged twice: the higher grade */
    assert_int_equal(beir_grade(&q.item[0], 1), 3);
    beir_queries_release(&q);
}

static void expect_refusal(const struct ground *g, const char *qrels, const char *names)
{
    struct beir_queries q;
    tempdir_write(g->dir, "qrels/test.tsv", qrels);
    assert_int_equal(read_queries(g, NULL, &q), -1);
    if (!strstr(failure.msg, names))
        fail_msg("'%s' does not name '%s'", failure.msg, names);
}

static void what_does_not_fit_is_named(void **state)
{
    const struct ground *g = *state;
    struct names docs;
    expect_refusal(g, "q\tc\ts\nq1\tnowhere\t1\n", "nowhere");
    expect_refusal(g, "q\tc\ts\nq9\td1\t1\n", "q9");
    expect_refusal(g, "q\tc\ts\nq1 d1 1\n", "line 2");
    expect_refusal(g, "q\tc\ts\nq1\td1\tmuch\n", "much");
    expect_refusal(g, "q\tc\ts\nq1\td1\t0\n", "no question");
    tempdir_remove(g->dir, "qrels/test.tsv");
    struct beir_queries q;
    assert_int_equal(read_queries(g, NULL, &q), -1);
    assert_non_null(strstr(failure.msg, "qrels"));
    tempdir_write(g->dir, "corpus.jsonl", "{\"_id\": \"a\"}\n{\"_id\": \"a\"}\n");
    assert_int_equal(beir_names(g->dir, &docs, &failure), -1);
    assert_non_null(strstr(failure.msg, "twice"));
    assert_non_null(strstr(failure.msg, "line 2"));
    tempdir_write(g->dir, "corpus.jsonl", "{\"_id\": \"a\"\n");
    assert_int_equal(beir_names(g->dir, &docs, &failure), -1);
    tempdir_remove(g->dir, "corpus.jsonl");
    failure = (struct err){0};
    assert_int_equal(beir_names(g->dir, &docs, &failure), -1);
    assert_non_null(strstr(failure.hint, "corpus.jsonl"));
}

static void a_collection_is_scored_in_all_modes(void **state)
{
    const struct ground *g = *state;
    char *run = path_join(g->dir, "run");
    const struct evaluate_options o = {.data = g->dir, .scratch = g->scratch, .run = run};
    struct evaluate_report r;
    OK(evaluate_search(&o, g->e, NULL, &r, &err));
    assert_int_equal(r.queries, 2);
    assert_int_equal(r.documents, 4);
    /* q1: d1 first; q2: d2 is found by its word, document 4 shares nothing */
    NEAR(r.mode[SEARCH_KEYWORD].recall10, (1 + 0.5) / 2);
    NEAR(r.mode[SEARCH_KEYWORD].mrr10, 1);
    NEAR(r.mode[SEARCH_KEYWORD].ndcg10, (1 + 1 / (1 + 1 / log2(3))) / 2);
    NEAR(r.mode[SEARCH_KEYWORD].map, (1 + 0.5) / 2);
    NEAR(r.mode[SEARCH_VECTOR].recall10, 1);
    NEAR(r.mode[SEARCH_HYBRID].recall10, 1);
    NEAR(r.mode[SEARCH_HYBRID].mrr10, 1);
    NEAR(r.ann_recall10, 1);
    assert_true(r.p50_ms > 0 && r.p95_ms >= r.p50_ms);
    struct str text = {0};
    char *path = path_join(g->dir, "run.keyword");
    OK(file_read(path, 1 << 20, &text, &err));
    assert_memory_equal(text.p, "q1 Q0 d1 1 ", 11);
    assert_non_null(strstr(text.p, "\nq2 Q0 d2 1 "));
    assert_non_null(strstr(text.p, " semsearch-keyword\n"));
    assert_null(strstr(text.p, "q3 "));
    str_release(&text);
    free(path);
    free(run);
}

static void a_document_counts_by_its_best_passage(void **state)
{
    const struct ground *g = *state;
    struct str corpus = {0};
    str_puts(&corpus, "{\"_id\": \"long\", \"title\": \"\", \"text\": \"");
    for (int i = 0; i < 600; i++)
        str_printf(&corpus, "filler%d sentence about nothing. ", i);
    str_puts(&corpus,
             "harbour boats at the very end\"}\n{\"_id\": \"d1\", \"text\": \"one boat\"}\n");
    tempdir_write(g->dir, "corpus.jsonl", corpus.p);
    str_release(&corpus);
    tempdir_write(g->dir, "qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\tlong\t1\n");
    const struct evaluate_options o = {.data = g->dir, .scratch = g->scratch, .chunk = true};
    struct evaluate_report r;
    OK(evaluate_search(&o, g->e, NULL, &r, &err));
    assert_int_equal(r.documents, 2);
    NEAR(r.mode[SEARCH_KEYWORD].mrr10, 1);
    NEAR(r.mode[SEARCH_VECTOR].recall100, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    struct err err = {0};
    if (kernels_init(&err))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_trec_eval),
        cmocka_unit_test(late_and_missing_answers_count_nothing),
        cmocka_unit_test(ideal_order_has_ten_places),
        cmocka_unit_test(equal_scores_go_by_name_falling),
        cmocka_unit_test(quantiles_interpolate),
        TEST(collections_are_read),
        TEST(splits_have_their_own_questions),
        TEST(what_does_not_fit_is_named),
        TEST(a_collection_is_scored_in_all_modes),
        TEST(a_document_counts_by_its_best_passage),
    };
    return cmocka_run_group_tests_name("evaluate", tests, NULL, NULL);
}
