/* test_optim.c - AdamW, clipping and schedules against torch and transformers
 * (tests/golden/make_losses.py). */
#include "encoder/train/optim.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_value *golden;

static int setup(void **state)
{
    (void)state;
    struct err err = {0};
    golden = js_read_file("tests/golden/train/optim.json", 1 << 22, &err);
    return kernels_init(&err) || !golden ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    js_free(golden);
    return 0;
}

static void fill(float *to, const json_value *from)
{
    for (size_t i = 0; i < js_count(from); i++)
        to[i] = (float)js_number(js_at(from, i), NAN);
}

static void expect(const float *got, const json_value *want, const char *what)
{
    for (size_t i = 0; i < js_count(want); i++) {
        const double w = js_number(js_at(want, i), NAN);
        if (!(fabs((double)got[i] - w) <= 2e-6 * fmax(1, fabs(w))))
            fail_msg("%s[%zu] is %.9g, not %.9g", what, i, (double)got[i], w);
    }
}

/* A set like the golden's, and a frozen parameter that nothing may touch. */
static void params_make(struct params *set, json_value *shapes)
{
    struct err err = {0};
    for (void *it = js_iter(shapes); it; it = js_iter_next(shapes, it)) {
        const char *const name = js_iter_key(it);
        const int rows = (int)js_int(js_at(js_iter_value(it), 0), 0);
        const int cols = (int)js_int(js_at(js_iter_value(it), 1), 0);
        const int i = params_get(set, name, strstr(name, "bias") ? PARAM_VECTOR : PARAM_MATRIX,
                                 rows, cols, &err);
        assert_true(i >= 0);
        set->p[i]->w = xcalloc((size_t)(rows * cols), sizeof(float));
        set->p[i]->dx = xcalloc((size_t)(rows * cols), sizeof(float));
    }
    const int frozen = params_get(set, "frozen", PARAM_MATRIX, 2, 2, &err);
    set->p[frozen]->w = xcalloc(4, sizeof(float));
    set->p[frozen]->w[1] = 7;
}

static void params_drop(struct params *set)
{
    for (int i = 0; i < set->n; i++) {
        free(set->p[i]->w);
        free(set->p[i]->dx);
    }
    params_release(set);
}

static void one_case(json_value *v)
{
    struct params set = {0};
    struct err err = {0};
    params_make(&set, js_get(v, "shapes"));
    for (int i = 0; i < set.n - 1; i++)
        fill(set.p[i]->w, js_get(js_get(v, "first"), set.p[i]->name));
    const struct adamw_options o = {.lr = js_number(js_get(v, "lr"), 0),
                                    .beta1 = js_number(js_get(v, "beta1"), 0),
                                    .beta2 = js_number(js_get(v, "beta2"), 0),
                                    .eps = js_number(js_get(v, "eps"), 0),
                                    .weight_decay = js_number(js_get(v, "decay"), 0),
                                    .layer_decay = 1};
    struct adamw a;
    assert_int_equal(adamw_init(&a, &set, &o, &err), 0);
    assert_int_equal(adamw_bytes(&set), (12 + 3 + 10) * 8);
    const json_value *const steps = js_get(v, "steps");
    const double max_norm = js_number(js_get(v, "max_norm"), INFINITY);
    for (size_t s = 0; s < js_count(steps); s++) {
        const json_value *const at = js_at(steps, s);
        for (int i = 0; i < set.n - 1; i++)
            fill(set.p[i]->dx, js_get(js_get(at, "grad"), set.p[i]->name));
        const double norm = gradients_norm(&set, NULL);
        const double want = js_number(js_get(at, "norm"), NAN);
        assert_true(fabs(norm - want) < 1e-6 * want);
        const double lr =
            o.lr * schedule_factor(SCHEDULE_LINEAR, (int64_t)s, 2, (int64_t)js_count(steps));
        assert_true(fabs(lr - js_number(js_get(at, "lr"), NAN)) < 1e-12);
        adamw_step(&a, lr, fmin(1, max_norm / (norm + 1e-6)), NULL);
        for (int i = 0; i < set.n - 1; i++) {
            expect(set.p[i]->w, js_get(js_get(at, "w"), set.p[i]->name), set.p[i]->name);
            for (int k = 0; k < set.p[i]->rows * set.p[i]->cols; k++)
                assert_true(set.p[i]->dx[k] == 0);
        }
        assert_true(set.p[set.n - 1]->w[1] == 7);
    }
    adamw_release(&a);
    params_drop(&set);
}

static void steps(void **state)
{
    (void)state;
    const json_value *const all = js_get(golden, "adamw");
    assert_int_equal(js_count(all), 4);
    for (size_t i = 0; i < js_count(all); i++)
        one_case(js_at(all, i));
}

static void schedules(void **state)
{
    (void)state;
    const json_value *const all = js_get(golden, "schedule");
    assert_true(js_count(all) >= 12);
    for (size_t i = 0; i < js_count(all); i++) {
        const json_value *const v = js_at(all, i), *const factor = js_get(v, "factor");
        const struct span name = js_string(js_get(v, "kind"), "");
        const enum schedule_kind kind = span_eq(name, "linear")   ? SCHEDULE_LINEAR
                                        : span_eq(name, "cosine") ? SCHEDULE_COSINE
                                                                  : SCHEDULE_CONSTANT;
        const int64_t warmup = js_int(js_get(v, "warmup"), -1);
        const int64_t total = js_int(js_get(v, "total"), -1);
        /* past its end the reference's cosine rises again; ours is asked up to the end */
        for (size_t s = 0; s <= (size_t)total; s++)
            assert_true(fabs(schedule_factor(kind, (int64_t)s, warmup, total) -
                             js_number(js_at(factor, s), NAN)) < 1e-12);
    }
}

/* Large parameters over several threads: the same bits as over one. */
static void threads(void **state)
{
    (void)state;
    enum { N = 100003 };
    static float w[2][N], g[N];
    double norm[2];
    struct pool *const pool = pool_new(3);
    for (int run = 0; run < 2; run++) {
        struct params set = {0};
        struct err err = {0};
        assert_int_equal(params_get(&set, "empty", PARAM_VECTOR, 1, 5, &err), 0);
        assert_int_equal(params_get(&set, "layer.1.ffn_in.weight", PARAM_MATRIX, 1, N, &err), 1);
        set.p[1]->w = w[run];
        set.p[1]->dx = g;
        for (int i = 0; i < N; i++)
            w[run][i] = (float)sin(i);
        struct adamw a;
        const struct adamw_options o = {1e-3, .9, .999, 1e-8, .01, 1, 2};
        assert_int_equal(adamw_init(&a, &set, &o, &err), 0);
        for (int s = 0; s < 3; s++) {
            for (int i = 0; i < N; i++)
                g[i] = (float)cos(i + s);
            norm[run] = gradients_norm(&set, run ? pool : NULL);
            adamw_step(&a, 1e-3, .5, run ? pool : NULL);
        }
        adamw_release(&a);
        params_release(&set);
    }
    pool_free(pool);
    assert_true(norm[0] == norm[1]);
    assert_memory_equal(w[0], w[1], sizeof w[0]);
}

static void layer_rates(void **state)
{
    (void)state;
    const struct adamw a = {.options = {.layer_decay = 0.5, .layers = 3}};
    const struct {
        const char *name;
        double rate;
    } rows[] = {{"embed.word", 0.0625},
                {"embed.norm.weight", 0.0625},
                {"layer.0.qkv.weight", 0.125},
                {"layer.2.norm2.bias", 0.5},
                {"head.dense.weight", 1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct param p = {.name = (char *)rows[i].name};
        assert_true(adamw_rate(&a, &p) == rows[i].rate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps), cmocka_unit_test(schedules),
                                       cmocka_unit_test(threads), cmocka_unit_test(layer_rates)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
