/* test_precision.c - bf16 and int8 as kinds of the linear op: near fp32, the same numbers whatever
 * the threads and neighbours, models opened in each, and the gate that decides what auto is. */
#include "encoder/model/gate.h"
#include "encoder/tape/linear.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODELS "tests/golden/models/"

/* ---- the op -------------------------------------------------------------------------------------
 */

static unsigned seed = 1;

static float noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)((double)(seed >> 8) / (1 << 24) - 0.5);
}

static void *block(size_t bytes)
{
    void *p;
    assert_int_equal(mem_try(&p, bytes, "test", NULL), 0);
    memset(p, 0, bytes);
    return p;
}

/* A linear layer with an activation and a residual, over rows of an embedding. */
struct layer {
    int in, out, tokens;
    enum activation act;
};

enum { VOCAB = 50 };

/* Numbers that do not depend on the precision. */
static void fill(struct params *set)
{
    seed = 7;
    for (int i = 0; i < set->n; i++) {
        struct param *p = set->p[i];
        const size_t n = (size_t)p->rows * (size_t)p->cols;
        float *x = block(n * sizeof *x);
        for (size_t k = 0; k < n; k++)
            x[k] = noise();
        p->x = x;
        void *w = NULL;
        if (p->kind == PARAM_MATRIX && p->precision == PRECISION_FP32) {
            w = block(kern.gemm_packed_floats(p->rows, p->cols) * sizeof(float));
            kern.gemm_pack(w, x, p->cols, p->rows, p->cols);
            p->packed = (struct packed_f32){p->rows, p->cols, w};
        } else if (p->kind == PARAM_MATRIX && p->precision == PRECISION_BF16) {
            w = block(kern.gemm_bf16_packed_bytes(p->rows, p->cols));
            kern.gemm_bf16_pack(w, x, p->cols, p->rows, p->cols);
            p->packed_bf16 = (struct packed_bf16){p->rows, p->cols, w};
        } else if (p->kind == PARAM_MATRIX) {
            w = block(kern.gemm_i8_packed_bytes(p->rows, p->cols));
            kern.gemm_i8_pack(w, x, p->cols, p->rows, p->cols);
            p->packed_i8 = (struct packed_i8){p->rows, p->cols, w};
        }
    }
    set->frozen = true;
}

static void drop(struct params *set)
{
    for (int i = 0; i < set->n; i++) {
        struct param *p = set->p[i];
        free((void *)(uintptr_t)p->x);
        free((void *)(uintptr_t)p->packed.data);
        free((void *)(uintptr_t)p->packed_bf16.data);
        free((void *)(uintptr_t)p->packed_i8.data);
    }
    params_release(set);
}

static int build(struct tape *t, const struct layer *l)
{
    const int x = tape_embed(t, "embed", VOCAB, 0, 0, 0, l->in);
    const int residual = tape_embed(t, "other", VOCAB, 0, 0, 0, l->out);
    return tape_linear(t, "linear", x, l->out, true, l->act, residual);
}

/* out: [tokens, l->out] */
static void run_layer(const struct layer *l, enum precision p, struct pool *pool, float *out)
{
    struct params set = {0};
    struct tape t;
    int token[512];
    for (int round = 0; round < 2; round++) { /* declared, then run */
        tape_init(&t, &set, TAPE_INFER);
        t.precision = p;
        const int y = build(&t, l);
        assert_int_equal(tape_finish(&t, y, NULL), 0);
        assert_ptr_equal(t.op[t.n_ops - 1].kind, p == PRECISION_FP32   ? &op_linear
                                                 : p == PRECISION_BF16 ? &op_linear_bf16
                                                                       : &op_linear_int8);
        if (round == 1) {
            for (int i = 0; i < l->tokens; i++)
                token[i] = i * 7 % VOCAB;
            const int start[] = {0, l->tokens};
            const struct batch b = {.n_tok = l->tokens, .n_seq = 1, .token = token, .start = start};
            t.pool = pool;
            assert_int_equal(tape_bind(&t, &b, NULL), 0);
            tape_forward(&t);
            memcpy(out, t.slot[y].x, (size_t)l->tokens * (size_t)l->out * sizeof *out);
        } else {
            fill(&set);
        }
        tape_release(&t);
    }
    drop(&set);
}

static const struct layer layers[] = {
    {64, 96, 16, ACT_NONE},   {40, 50, 1, ACT_GELU},     {384, 1152, 9, ACT_NONE},
    {130, 384, 70, ACT_GELU}, {256, 100, 300, ACT_TANH}, {33, 17, 5, ACT_RELU},
};

/* The size of the difference against the size of the product: sqrt(sum d^2 / sum y^2). */
static void test_near_fp32(void **state)
{
    (void)state;
    static const double bound[PRECISIONS] = {[PRECISION_BF16] = 4e-3, [PRECISION_INT8] = 1.2e-2};
    for (size_t i = 0; i < ARRAY_LEN(layers); i++) {
        const size_t n = (size_t)layers[i].tokens * (size_t)layers[i].out;
        float *exact = xcalloc(n, sizeof *exact), *low = xcalloc(n, sizeof *low);
        run_layer(&layers[i], PRECISION_FP32, NULL, exact);
        for (int p = PRECISION_BF16; p < PRECISIONS; p++) {
            run_layer(&layers[i], (enum precision)p, NULL, low);
            double d2 = 0, y2 = 0;
            for (size_t k = 0; k < n; k++) {
                d2 += pow((double)low[k] - (double)exact[k], 2);
                y2 += pow((double)exact[k], 2);
            }
            if (!(sqrt(d2 / y2) < bound[p]) || d2 == 0)
                fail_msg("layer %zu in %s is off by %g", i, precision_name((enum precision)p),
                         sqrt(d2 / y2));
        }
        free(exact);
        free(low);
    }
}

static void test_threads_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(layers); i++) {
        const size_t n = (size_t)layers[i].tokens * (size_t)layers[i].out;
        float *one = xcalloc(n, sizeof *one), *many = xcalloc(n, sizeof *many);
        for (int p = PRECISION_BF16; p < PRECISIONS; p++) {
            run_layer(&layers[i], (enum precision)p, NULL, one);
            for (int threads = 1; threads <= 5; threads += 2) {
                struct pool *pool = pool_new(threads);
                run_layer(&layers[i], (enum precision)p, pool, many);
                assert_memory_equal(one, many, n * sizeof *one);
                pool_free(pool);
            }
        }
        free(one);
        free(many);
    }
}

/* What follows pooling is fp32, and so are heads; a loaded parameter is not read in another form.
 */
static void test_where_precision_applies(void **state)
{
    (void)state;
    static const enum pool_mode mean[] = {POOL_MEAN};
    struct params set = {0};
    struct tape t;
    tape_init(&t, &set, TAPE_INFER);
    t.precision = PRECISION_INT8;
    int x = tape_embed(&t, "embed", VOCAB, 0, 0, 0, 32);
    x = tape_linear(&t, "a", x, 32, true, ACT_NONE, -1);
    x = tape_linear(&t, "b", tape_pool(&t, x, mean, 1), 8, true, ACT_NONE, -1);
    assert_int_equal(tape_finish(&t, x, NULL), 0);
    assert_ptr_equal(t.op[1].kind, &op_linear_int8);
    assert_ptr_equal(t.op[3].kind, &op_linear);
    tape_release(&t);
    set.frozen = true;
    struct err e = {0};
    tape_init(&t, &set, TAPE_INFER);
    x = tape_embed(&t, "embed", VOCAB, 0, 0, 0, 32);
    x = tape_linear(&t, "a", x, 32, true, ACT_NONE, -1);
    assert_int_equal(tape_finish(&t, x, &e), -1);
    assert_non_null(strstr(e.msg, "'a.weight'"));
    assert_non_null(strstr(e.msg, "int8"));
    tape_release(&t);
    params_release(&set);
}

/* ---- models -------------------------------------------------------------------------------------
 */

static bool lacks(enum precision p)
{
    assert_int_equal(kernels_init(NULL), 0);
    return gate_available(p, NULL) != 0;
}

static struct model *open_in(const char *path, const char *precision)
{
    struct model *m;
    struct err e = {0};
    const struct model_options o = {.precision = precision};
    if (model_open(path, &o, &m, &e))
        fail_msg("%s (%s)", e.msg, e.hint);
    return m;
}

static const struct span text[] = {
    {"a cat", 5}, {"The dog sleeps on the mat while it rains.", 41},
    {"x", 1},     {"one two three four five six seven eight nine ten eleven twelve", 62},
    {"", 0},
};
enum { TEXTS = sizeof text / sizeof *text, DIM_MAX = 256 };

static void embed_in(const struct model *m, int threads, const struct span *list, size_t n,
                     float *out)
{
    struct encoder *e;
    const struct encode_options o = {.normalize = 1};
    assert_int_equal(encoder_open(m, threads, &e, NULL), 0);
    assert_int_equal(encoder_embed(e, list, n, &o, out, NULL, NULL), 0);
    encoder_close(e);
}

static void test_models(void **state)
{
    (void)state;
    static const char *const names[] = {"bert", "poolings", "dense_f16", "roberta", "distilbert"};
    static const double least[PRECISIONS] = {1, 0.9999, 0.995};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        for (int p = PRECISION_BF16; p < PRECISIONS; p++) {
            char path[128];
            float exact[TEXTS * DIM_MAX], low[TEXTS * DIM_MAX], other[TEXTS * DIM_MAX];
            if (lacks((enum precision)p))
                continue;
            snprintf(path, sizeof path, MODELS "%s", names[i]);
            struct model *a = open_in(path, NULL), *b = open_in(path, precision_name(p));
            const size_t dim = (size_t)model_info(a)->dim;
            assert_string_equal(model_info(a)->precision, "fp32");
            assert_string_equal(model_info(b)->precision, precision_name(p));
            assert_string_equal(model_info(a)->fingerprint, model_info(b)->fingerprint);
            embed_in(a, 1, text, TEXTS, exact);
            embed_in(b, 1, text, TEXTS, low);
            for (size_t k = 0; k < TEXTS; k++) {
                const double c = kern.dot_wide(exact + k * dim, low + k * dim, dim);
                if (!(c >= least[p]) && text[k].n)
                    fail_msg("%s in %s: cosine %g of text %zu", names[i], precision_name(p), c, k);
                embed_in(b, 3, &text[k], 1, other); /* alone, and split over threads */
                assert_memory_equal(low + k * dim, other, dim * sizeof *other);
            }
            assert_memory_not_equal(exact, low, dim * sizeof *low);
            struct model *again = open_in(path, precision_name(p)); /* mapped from the cache */
            assert_non_null(again->image.map.p);
            embed_in(again, 2, text, TEXTS, other);
            assert_memory_equal(low, other, TEXTS * dim * sizeof *low);
            model_close(again);
            model_close(a);
            model_close(b);
        }
}

static void test_unknown_precision(void **state)
{
    (void)state;
    struct model *m;
    struct err e = {0};
    const struct model_options o = {.precision = "fp4"};
    assert_int_equal(model_open(MODELS "bert", &o, &m, &e), -1);
    assert_int_equal(e.kind, ERR_USAGE);
    assert_non_null(strstr(e.msg, "fp4"));
    for (int p = PRECISION_BF16; p < PRECISIONS; p++) {
        const struct model_options low = {.precision = precision_name((enum precision)p)};
        if (!lacks((enum precision)p))
            continue;
        assert_int_equal(model_open(MODELS "bert", &low, &m, &e), -1);
        assert_int_equal(e.kind, ERR_USAGE);
        assert_non_null(strstr(e.hint, "fp32"));
    }
}

/* ---- the gate -----------------------------------------------------------------------------------
 */

enum { Q = 4, P = 12, GDIM = 24 };

static void unit_rows(float *x)
{
    seed = 3;
    for (int i = 0; i < Q + P; i++) {
        for (int k = 0; k < GDIM; k++)
            x[i * GDIM + k] = noise();
        normalise_row(x + i * GDIM, x + i * GDIM, GDIM);
    }
}

static void test_gate_compare(void **state)
{
    (void)state;
    float exact[(Q + P) * GDIM], low[(Q + P) * GDIM];
    struct gate_figures f;
    assert_int_equal(kernels_init(NULL), 0);
    unit_rows(exact);
    gate_compare(exact, exact, Q, P, GDIM, &f);
    assert_float_equal(f.mean, 1, 1e-6);
    assert_float_equal(f.worst, 1, 1e-6);
    assert_true(f.order == 1);
    assert_true(gate_passes(PRECISION_BF16, &f) && gate_passes(PRECISION_INT8, &f));

    /* one text far off: the worst tells, the mean fails for bf16 first */
    memcpy(low, exact, sizeof low);
    memcpy(low + 5 * GDIM, exact + 6 * GDIM, GDIM * sizeof *low);
    gate_compare(exact, low, Q, P, GDIM, &f);
    const double c = kern.dot_wide(exact + 5 * GDIM, exact + 6 * GDIM, GDIM);
    assert_float_equal(f.worst, c, 1e-9);
    assert_float_equal(f.mean, (Q + P - 1 + c) / (Q + P), 1e-6);
    assert_false(gate_passes(PRECISION_BF16, &f));

    /* near in angle, but two passages have changed places for every question */
    f = (struct gate_figures){.mean = 0.9999, .worst = 0.9999, .order = 0.98};
    assert_false(gate_passes(PRECISION_BF16, &f) || gate_passes(PRECISION_INT8, &f));
    f.order = 0.99;
    assert_true(gate_passes(PRECISION_BF16, &f) && gate_passes(PRECISION_INT8, &f));
    f.mean = 0.998;
    assert_false(gate_passes(PRECISION_BF16, &f));
    assert_true(gate_passes(PRECISION_INT8, &f));
    f.mean = 0.9969;
    assert_false(gate_passes(PRECISION_INT8, &f));

    low[3] = NAN;
    gate_compare(exact, low, Q, P, GDIM, &f);
    assert_false(gate_passes(PRECISION_INT8, &f) || gate_passes(PRECISION_BF16, &f));
}

static void test_gate_order(void **state)
{
    (void)state;
    /* question (1, 0); passages at cosines .9, .8, .79: the last two are a close call */
    const float exact[] = {1, 0, 0.9f, 0.435890f, 0.8f, 0.6f, 0.79f, 0.613107f};
    const float close[] = {1, 0, 0.9f, 0.435890f, 0.79f, 0.613107f, 0.8f, 0.6f};
    const float wrong[] = {1, 0, 0.7f, 0.714143f, 0.8f, 0.6f, 0.79f, 0.613107f};
    struct gate_figures f;
    gate_compare(exact, close, 1, 3, 2, &f);
    assert_true(f.order == 1);
    gate_compare(exact, wrong, 1, 3, 2, &f);
    assert_true(f.order == 0);
}

/* A quantiser that spoils one matrix: the model opens and runs, and does not pass. */
static void test_gate_planted(void **state)
{
    (void)state;
    for (int p = PRECISION_BF16; p < PRECISIONS; p++) {
        struct gate_figures f;
        struct err e = {0};
        if (lacks((enum precision)p))
            continue;
        setenv("XDG_CACHE_HOME", "/dev/null", 1); /* no cache: the image is ours to spoil */
        struct model *exact = open_in(MODELS "bert", NULL);
        struct model *low = open_in(MODELS "bert", precision_name((enum precision)p));
        setenv("XDG_CACHE_HOME", dir, 1);
        assert_int_equal(gate_measure(exact, low, 2, &f, &e), 0);
        assert_true(gate_passes((enum precision)p, &f));
        const int i = params_get(&low->params, "layer.0.ffn_out.weight", PARAM_MATRIX,
                                 low->config.hidden, low->config.intermediate, NULL);
        struct param *w = low->params.p[i];
        const void *data = p == PRECISION_BF16 ? w->packed_bf16.data : w->packed_i8.data;
        const size_t bytes = p == PRECISION_BF16 ? kern.gemm_bf16_packed_bytes(w->rows, w->cols)
                                                 : kern.gemm_i8_packed_bytes(w->rows, w->cols);
        assert_non_null(low->image.owned);
        memset((char *)(uintptr_t)data + bytes / 2, 0, bytes / 2);
        assert_int_equal(gate_measure(exact, low, 2, &f, &e), 0);
        assert_false(gate_passes((enum precision)p, &f));
        assert_true(f.worst <= f.mean);
        model_close(exact);
        model_close(low);
    }
}

static const char *opened_as(const char *unchecked)
{
    struct model *m;
    struct err e = {0};
    const struct model_options o = {.precision = "auto", .unchecked = unchecked};
    if (model_open(MODELS "poolings", &o, &m, &e))
        fail_msg("%s", e.msg);
    enum precision p;
    assert_true(precision_find(model_info(m)->precision, &p));
    model_close(m);
    return precision_name(p);
}

/* auto: fp32 (or what the caller says) until the gate was run, then the fastest that passed; the
 * result is remembered, and a damaged note of it is not believed. */
static void test_auto(void **state)
{
    (void)state;
    struct model_fitness fit[MODEL_FITNESSES];
    struct err e = {0};
    const bool any = !lacks(PRECISION_BF16) || !lacks(PRECISION_INT8);
    assert_string_equal(opened_as(NULL), "fp32");
    assert_string_equal(opened_as("bf16"), any && !lacks(PRECISION_BF16) ? "bf16" : "fp32");
    assert_string_equal(opened_as("nonsense"), "fp32");
    assert_int_equal(model_check(MODELS "poolings", NULL, false, 1, fit, &e), 0);
    assert_false(fit[0].known || fit[1].known);
    assert_int_equal(model_check(MODELS "poolings", NULL, true, 2, fit, &e), 0);
    const char *best = "fp32";
    for (int i = 0; i < MODEL_FITNESSES; i++) {
        assert_int_equal(fit[i].known, fit[i].here);
        if (fit[i].here && fit[i].passed)
            best = fit[i].precision;
    }
    assert_string_equal(opened_as(NULL), best);
    if (!any)
        return;
    assert_true(strcmp(best, "fp32") != 0);
    assert_int_equal(model_check(MODELS "poolings", NULL, false, 1, fit, &e), 0);
    assert_true(fit[0].known || fit[1].known);
    assert_int_equal(system("for f in \"$XDG_CACHE_HOME\"/semsearch/models/*.gate; do printf "
                            "'1 1 1 0000000000000000\\n' > \"$f\"; done"),
                     0);
    assert_int_equal(model_check(MODELS "poolings", NULL, false, 1, fit, &e), 0);
    assert_false(fit[0].known || fit[1].known);
    assert_string_equal(opened_as(NULL), "fp32");
}

/* each with a cache of its own */
#define SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(test_unknown_precision), /* also fills kern */
        SCRATCH(test_near_fp32),
        SCRATCH(test_threads_change_nothing),
        SCRATCH(test_where_precision_applies),
        SCRATCH(test_models),
        SCRATCH(test_gate_compare),
        SCRATCH(test_gate_order),
        SCRATCH(test_gate_planted),
        SCRATCH(test_auto),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
