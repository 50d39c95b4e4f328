/* test_metrics.c - measures beside those of seqeval, scikit-learn, scipy and SQuAD's script
 * (tests/golden/metrics.json). */
#include "encoder/train/score.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_value *golden;

static int setup(void **state)
{
    (void)state;
    struct err e = {0};
    golden = js_read_file("tests/golden/metrics.json", 1 << 24, &e);
    return golden ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    js_free(golden);
    return 0;
}

static void near(const char *what, size_t row, double x, const json_value *expected)
{
    const double y = js_number(expected, NAN);
    if (!(fabs(x - y) < 1e-9))
        fail_msg("row %zu: %s is %.12g, expected %.12g", row, what, x, y);
}

static void test_answers(void **state)
{
    (void)state;
    const json_value *rows = js_get(golden, "answers");
    assert_true(js_count(rows) >= 100);
    for (size_t i = 0; i < js_count(rows); i++) {
        const json_value *r = js_at(rows, i);
        const struct span gold = js_string(js_get(r, "gold"), "");
        const struct span found = js_string(js_get(r, "found"), "");
        near("exact match", i, squad_exact(found, gold), js_get(r, "exact"));
        near("F1", i, squad_f1(found, gold), js_get(r, "f1"));
    }
}

static size_t texts(const json_value *list, char **out)
{
    for (size_t i = 0; i < js_count(list); i++) {
        const struct span s = js_string(js_at(list, i), "");
        out[i] = xstrndup(s.p, s.n);
    }
    return js_count(list);
}

static void test_entities(void **state)
{
    (void)state;
    const json_value *rows = js_get(golden, "entities");
    assert_true(js_count(rows) >= 100);
    for (size_t i = 0; i < js_count(rows); i++) {
        const json_value *r = js_at(rows, i), *counts = js_get(r, "counts");
        char *gold[16], *found[16];
        const size_t n = texts(js_get(r, "gold"), gold);
        struct entity_counts c = {0};
        assert_int_equal(texts(js_get(r, "found"), found), n);
        entities_count((const char *const *)gold, (const char *const *)found, n, &c);
        near("entities", i, (double)c.gold, js_at(counts, 0));
        near("entities found", i, (double)c.found, js_at(counts, 1));
        near("right ones", i, (double)c.right, js_at(counts, 2));
        for (size_t k = 0; k < n; k++) {
            free(gold[k]);
            free(found[k]);
        }
    }
}

static void test_classes(void **state)
{
    (void)state;
    const json_value *rows = js_get(golden, "classes");
    assert_true(js_count(rows) >= 20);
    for (size_t i = 0; i < js_count(rows); i++) {
        const json_value *r = js_at(rows, i), *gold = js_get(r, "gold"),
                         *found = js_get(r, "found");
        const int n = (int)js_int(js_get(r, "n"), 0);
        int64_t m[25] = {0};
        for (size_t k = 0; k < js_count(gold); k++)
            m[js_int(js_at(gold, k), 0) * n + js_int(js_at(found, k), 0)]++;
        near("accuracy", i, matrix_accuracy(m, n), js_get(r, "accuracy"));
        near("macro F1", i, matrix_macro_f1(m, n), js_get(r, "macro_f1"));
        near("MCC", i, matrix_mcc(m, n), js_get(r, "mcc"));
        if (js_get(r, "f1"))
            near("F1", i, matrix_f1(m, n, 1), js_get(r, "f1"));
    }
}

static void test_correlations(void **state)
{
    (void)state;
    const json_value *rows = js_get(golden, "correlations");
    assert_true(js_count(rows) >= 10);
    for (size_t i = 0; i < js_count(rows); i++) {
        const json_value *r = js_at(rows, i), *x = js_get(r, "x"), *y = js_get(r, "y");
        double a[32], b[32];
        const size_t n = js_count(x);
        for (size_t k = 0; k < n; k++) {
            a[k] = js_number(js_at(x, k), NAN);
            b[k] = js_number(js_at(y, k), NAN);
        }
        near("Spearman", i, spearman(a, b, n), js_get(r, "spearman"));
        near("Pearson", i, pearson(a, b, n), js_get(r, "pearson"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers), cmocka_unit_test(test_entities),
        cmocka_unit_test(test_classes), cmocka_unit_test(test_correlations)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
