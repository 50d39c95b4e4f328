/* test_attention.c - attention weights for looking at, beside transformers
 * (tests/golden/make_attention.py). */
#include "encoder/encoder.h"
#include "src/base/file.h"
#include "src/kernels/kernels.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
    return scratch_make(state) || kernels_init(NULL);
}

static struct model *model_named(struct span name)
{
    char path[128];
    struct model *m;
    struct err err = {0};
    snprintf(path, sizeof path, "tests/golden/models/%.*s", (int)name.n, name.p);
    if (model_open(path, &(struct model_options){0}, &m, &err))
        fail_msg("%s", err.msg);
    return m;
}

static int ints(const json_value *v, int out[16])
{
    for (size_t i = 0; i < js_count(v); i++)
        out[i] = (int)js_int(js_at(v, i), -1);
    return (int)js_count(v);
}

static void one_case(const json_value *v)
{
    struct model *const m = model_named(js_string(js_get(v, "model"), ""));
    const json_value *const want = js_get(v, "weights");
    const int layers = (int)js_int(js_get(v, "layers"), 0),
              heads = (int)js_int(js_get(v, "heads"), 0);
    int id[16], type[16];
    float *w;
    struct err err = {0};
    const int n = ints(js_get(v, "ids"), id);
    ints(js_get(v, "types"), type);
    assert_int_equal(model_info(m)->layers, layers);
    assert_int_equal(model_info(m)->heads, heads);
    if (model_attention(m, id, type, n, &w, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(js_count(want), layers * heads * n * n);
    for (size_t i = 0; i < js_count(want); i++)
        if (!(fabs((double)w[i] - js_number(js_at(want, i), NAN)) < 2e-6))
            fail_msg("weight %zu is %.8g, not %.8g", i, (double)w[i],
                     js_number(js_at(want, i), NAN));
    for (int row = 0; row < layers * heads * n; row++) {
        double sum = 0;
        for (int j = 0; j < n; j++)
            sum += (double)w[row * n + j];
        assert_true(fabs(sum - 1) < 1e-5);
    }
    free(w);
    model_close(m);
}

static void golden(void **state)
{
    (void)state;
    struct err err = {0};
    json_value *const all = js_read_file("tests/golden/attention.json", 1 << 20, &err);
    assert_true(js_count(all) >= 4);
    for (size_t i = 0; i < js_count(all); i++)
        one_case(js_at(all, i));
    js_free(all);
}

static void refused(void **state)
{
    (void)state;
    struct model *const m = model_named(span_of("bert"));
    struct err err = {0};
    float *w;
    static int many[1000];
    assert_int_equal(model_attention(m, many, NULL, 0, &w, &err), -1);
    assert_int_equal(model_attention(m, many, NULL, 1000, &w, &err), -1);
    assert_non_null(strstr(err.msg, "1000 tokens"));
    assert_int_equal(model_attention(m, (const int[]){1 << 20}, NULL, 1, &w, &err), -1);
    assert_int_equal(model_attention(m, (const int[]){2}, (const int[]){7}, 1, &w, &err), -1);
    model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, setup, scratch_remove);
}
