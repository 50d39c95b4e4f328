/* test_table.c - labelled data from TSV, CSV and JSONL, and correlation. */
#include "encoder/train/train.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const wanted[] = {"a", "b"};

/* Writes `text` to a file of that name and reads columns a and b. */
static int read_text(const char *name, const char *text, const char *const *rename, size_t n_rename,
                     struct table *t, struct err *err)
{
    char *path = scratch_put(name, text, strlen(text));
    memset(err, 0, sizeof *err);
    const int rc = table_read(path, wanted, 2, rename, n_rename, t, err);
    free(path);
    return rc;
}

static void expect(const char *name, const char *text, size_t rows, const char *first_a,
                   const char *last_b)
{
    struct table t;
    struct err err;
    if (read_text(name, text, NULL, 0, &t, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(t.n_rows, rows);
    assert_string_equal(table_cell(&t, 0, 0), first_a);
    assert_string_equal(table_cell(&t, rows - 1, 1), last_b);
    table_release(&t);
}

static void refuse(const char *name, const char *text, const char *message)
{
    struct table t;
    struct err err;
    assert_int_equal(read_text(name, text, NULL, 0, &t, &err), -1);
    if (!strstr(err.msg, message))
        fail_msg("'%s' does not say '%s'", err.msg, message);
}

static void test_formats(void **state)
{
    (void)state;
    expect("x.tsv", "b\tc\ta\n1\t2\t3\n4\t5\t6\n", 2, "3", "4");
    expect("x.tsv",
           "\xEF\xBB\xBF"
           "a\tb\r\n\"x\t y\"\r\n",
           1, "\"x", " y\"");                          /* no quoting; CRLF; mark */
    expect("x.tsv", "a\tb\n1\t\n\n2\t3", 2, "1", "3"); /* empty cell, empty line, no end */
    expect("x.csv", "a,b\n\"x, \"\"y\"\"\nz\",1\n2,\"\"\n", 2, "x, \"y\"\nz", "");
    expect("x.jsonl", "{\"b\": 2.5, \"a\": \"x\\ty\"}\n\n{\"a\": 1, \"b\": \"z\"}\n", 2, "x\ty",
           "z");
}

static void test_refusals(void **state)
{
    (void)state;
    refuse("x.tsv", "", "empty");
    refuse("x.tsv", "a\tb\n", "no rows");
    refuse("x.tsv", "a\tc\n1\t2\n", "line 1: no column 'b'");
    refuse("x.tsv", "a\tb\n1\t2\n3\n", "line 3: 1 fields");
    refuse("x.tsv", "a\tb\n1\t\xFF\n", "line 2: not valid UTF-8");
    refuse("x.csv", "a,b\n1,\"2\n", "line 2: a quoted field has no end");
    refuse("x.csv", "a,b\n1,\"2\"3\n", "line 2: text after a quoted field");
    refuse("x.jsonl", "{\"a\": 1}\n", "line 1: expected an object with 'b'");
    refuse("x.jsonl", "{\"a\": 1, \"b\": 2}\n[1]\n", "line 2");
}

static void test_rename_and_numbers(void **state)
{
    (void)state;
    const char *const rename[] = {"a=x", "b=y"};
    struct table t;
    struct err err;
    double v;
    assert_int_equal(read_text("x.tsv", "y\tx\n0.5\tnan\n", rename, 2, &t, &err), 0);
    assert_int_equal(table_number(&t, 0, 1, "b", &v, &err), 0);
    assert_true(fabs(v - 0.5) < 1e-12);
    assert_int_equal(table_number(&t, 0, 0, "a", &v, &err), -1);
    assert_non_null(strstr(err.msg, "line 2"));
    table_release(&t);
}

/* Expected values: scipy.stats.pearsonr and spearmanr. */
static void test_correlation(void **state)
{
    (void)state;
    const double x[] = {1, 2, 2, 4, 5, 1e9}, y[] = {2, 1, 3, 3, 7, 5};
    assert_true(fabs(pearson(x, y, 5) - 0.8139847818) < 1e-6);
    assert_true(fabs(spearman(x, y, 6) - 0.8088235294) < 1e-6);
    assert_true(isnan(pearson(x, y, 1)));
    const double flat[] = {3, 3, 3};
    assert_true(isnan(spearman(flat, y, 3)));
    assert_true(fabs(spearman(x, x, 6) - 1) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_formats, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_refusals, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_rename_and_numbers, scratch_make, scratch_remove),
        cmocka_unit_test(test_correlation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
