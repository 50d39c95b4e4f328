/* test_kernels_attention.c - attention of every level against the formula in double, over odd
 * lengths, head sizes and windows, and its promise that a row never depends on the rows computed
 * with it. */
#include "tests/unit/kernels/kernels_test.h"

struct shape {
    int n, d, window;
};

static const struct shape shapes[] = {
    {1, 1, -1},   {1, 32, -1},   {2, 64, 0},     {5, 7, -1},    {15, 32, -1},   {16, 32, -1},
    {17, 32, 3},  {33, 20, 1},   {48, 64, -1},   {49, 48, 10},  {63, 96, -1},   {97, 128, 17},
    {130, 16, 8}, {150, 33, 40}, {200, 64, 500}, {513, 32, -1}, {700, 32, 128},
};

/* Q, K and V are thirds of one matrix, as in the encoder; out has a stride of its own. */
struct problem {
    struct attention_f32 call;
    float *qkv, *out, *probs, *scratch;
};

static void problem_init(struct problem *p, const struct kernels *k, struct shape s)
{
    const size_t need = k->attention_scratch_floats(s.n, s.d);
    const size_t need_bf16 = k->attention_bf16_scratch_floats(s.n, s.d);
    const size_t n = (size_t)s.n, d = (size_t)s.d;
    p->qkv = random_floats(n * (3 * d + 5), 3.0F);
    p->out = random_floats(n * (d + 3), 1.0F);
    p->probs = random_floats(n * n, 1.0F);
    p->scratch = xmalloc((need > need_bf16 ? need : need_bf16) * sizeof(float));
    p->call = (struct attention_f32){.q = p->qkv,
                                     .k = p->qkv + d,
                                     .v = p->qkv + 2 * d,
                                     .ld_qkv = 3 * s.d + 5,
                                     .n = s.n,
                                     .head_dim = s.d,
                                     .row1 = s.n,
                                     .window = s.window,
                                     .scale = 1.0F / sqrtf((float)s.d),
                                     .out = p->out,
                                     .ld_out = s.d + 3,
                                     .probs = p->probs,
                                     .scratch = p->scratch};
}

static void problem_release(struct problem *p)
{
    free(p->qkv);
    free(p->out);
    free(p->probs);
    free(p->scratch);
}

/* Row i of the weights, in double. */
static void weights_of(const struct attention_f32 *a, int i, double *weight)
{
    double top = -INFINITY, sum = 0.0;
    for (int j = 0; j < a->n; j++) {
        double s = 0.0;
        for (int c = 0; c < a->head_dim; c++)
            s += (double)a->q[i * a->ld_qkv + c] * (double)a->k[j * a->ld_qkv + c];
        const int seen = a->window < 0 || abs(i - j) <= a->window;
        weight[j] = seen ? s * a->scale : -INFINITY;
        top = fmax(top, weight[j]);
    }
    for (int j = 0; j < a->n; j++)
        sum += weight[j] = exp(weight[j] - top);
    for (int j = 0; j < a->n; j++)
        weight[j] /= sum;
}

/* Weights and results may be off by so much; weights outside the window are 0 exactly. */
struct bounds {
    double weight, out;
};

static void check_against_double(const struct attention_f32 *a, struct bounds bounds,
                                 const char *isa)
{
    double *const weight = xcalloc((size_t)a->n, sizeof *weight);
    for (int i = 0; i < a->n; i++) {
        weights_of(a, i, weight);
        for (int j = 0; j < a->n; j++) {
            const double got = a->probs[i * a->n + j];
            if (!(fabs(got - weight[j]) <= bounds.weight) || (weight[j] == 0.0 && got != 0.0))
                fail_msg("%s: n %d, window %d: weight [%d][%d] is %g, not %g", isa, a->n, a->window,
                         i, j, got, weight[j]);
        }
        for (int c = 0; c < a->head_dim; c++) {
            double want = 0.0;
            for (int j = 0; j < a->n; j++)
                want += weight[j] * (double)a->v[j * a->ld_qkv + c];
            const double got = a->out[i * a->ld_out + c];
            if (!(fabs(got - want) <= bounds.out))
                fail_msg("%s: n %d, d %d, window %d: out [%d][%d] is %g, not %g", isa, a->n,
                         a->head_dim, a->window, i, c, got, want);
        }
    }
    free(weight);
}

static void formula_of_level(const struct kernels *k)
{
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        struct problem p;
        problem_init(&p, k, shapes[i]);
        k->attention(&p.call);
        check_against_double(&p.call, (struct bounds){3e-6, 1e-5}, k->isa);
        for (int j = 0; j < p.call.n * p.call.ld_qkv; j++)
            p.qkv[j] *= 1.0F / 3.0F;
        k->attention_bf16(&p.call); /* of numbers up to 1 */
        check_against_double(&p.call, (struct bounds){0.01, 0.01}, k->isa);
        problem_release(&p);
    }
}

static void test_formula(void **state)
{
    (void)state;
    each_level(formula_of_level);
}

/* Any split of the rows, with or without the weights written out, gives the same bits; rows outside
 * [row0, row1) are not touched. */
static void splits_of(const struct kernels *k, void (*attention)(const struct attention_f32 *a))
{
    static const struct shape split_shapes[] = {{131, 32, -1}, {131, 40, 21}, {96, 64, 5}};
    for (size_t s = 0; s < ARRAY_LEN(split_shapes); s++) {
        struct problem p;
        problem_init(&p, k, split_shapes[s]);
        attention(&p.call);
        const size_t cells = (size_t)(p.call.n * p.call.ld_out);
        float *const whole = xmalloc(cells * sizeof *whole);
        memcpy(whole, p.out, cells * sizeof *whole);
        p.call.probs = NULL;
        for (int height = 1; height < p.call.n; height += height < 20 ? 1 : 29) {
            for (int i = 0; i < p.call.n; i++)
                memset(p.out + i * p.call.ld_out, 0xff, sizeof(float) * (size_t)p.call.head_dim);
            for (int i = 0; i < p.call.n; i += height) {
                p.call.row0 = i;
                p.call.row1 = i + height < p.call.n ? i + height : p.call.n;
                attention(&p.call);
                if (p.call.row1 < p.call.n)
                    assert_true(isnan(p.out[p.call.row1 * p.call.ld_out]));
            }
            assert_same_bits(p.out, whole, cells, k->isa);
        }
        free(whole);
        problem_release(&p);
    }
}

static void splits_of_level(const struct kernels *k)
{
    splits_of(k, k->attention);
    splits_of(k, k->attention_bf16);
}

static void test_splits(void **state)
{
    (void)state;
    each_level(splits_of_level);
}

/* Scores far apart: one key takes all the weight, nothing overflows. */
static void extremes_of(const struct kernels *k, void (*attention)(const struct attention_f32 *a),
                        double slack)
{
    struct problem p;
    problem_init(&p, k, (struct shape){60, 32, -1});
    for (int i = 0; i < 60; i++)
        for (int c = 0; c < 64; c++)
            p.qkv[i * p.call.ld_qkv + c] *= 1e4F;
    attention(&p.call);
    for (int i = 0; i < 60; i++) {
        double sum = 0.0;
        for (int j = 0; j < 60; j++)
            sum += p.probs[i * 60 + j];
        assert_true(fabs(sum - 1.0) < slack);
        for (int c = 0; c < 32; c++)
            assert_true(fabsf(p.out[i * p.call.ld_out + c]) <= 3.0 * (1.0 + slack));
    }
    problem_release(&p);
}

static void extremes_of_level(const struct kernels *k)
{
    extremes_of(k, k->attention, 1e-5);
    extremes_of(k, k->attention_bf16, 0x1p-8);
}

static void test_extremes(void **state)
{
    (void)state;
    each_level(extremes_of_level);
}

/* A long sequence works in its scratch, which is linear in n. */
static void long_of_level(const struct kernels *k)
{
    const int n = 8192, d = 32;
    assert_true(k->attention_scratch_floats(n, d) < (size_t)n * (2 * 48 + 64));
    float *const qkv = random_floats((size_t)n * 3 * d, 1.0F);
    float *const out = xcalloc((size_t)n * d, sizeof *out);
    float *const scratch = xmalloc(k->attention_scratch_floats(n, d) * sizeof *scratch);
    struct attention_f32 a = {.q = qkv,
                              .k = qkv + d,
                              .v = qkv + 2 * d,
                              .ld_qkv = 3 * d,
                              .n = n,
                              .head_dim = d,
                              .row0 = 8180,
                              .row1 = n,
                              .window = -1,
                              .scale = 0.1F,
                              .out = out,
                              .ld_out = d,
                              .scratch = scratch};
    k->attention(&a);
    double *const weight = xcalloc((size_t)n, sizeof *weight);
    weights_of(&a, n - 1, weight);
    for (int c = 0; c < d; c++) {
        double want = 0.0;
        for (int j = 0; j < n; j++)
            want += weight[j] * (double)a.v[j * a.ld_qkv + c];
        assert_true(fabs(out[(n - 1) * d + c] - want) < 1e-6);
    }
    free(qkv);
    free(out);
    free(scratch);
    free(weight);
}

static void test_long(void **state)
{
    (void)state;
    each_level(long_of_level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
