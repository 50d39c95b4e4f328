/* test_kernels_gemm.c - the matrix product of every level against a product in double, over odd
 * shapes, and its promise that a row never depends on its neighbours. */
#include "tests/unit/kernels/kernels_test.h"

struct shape {
    int m, n, k;
};

/* Around every edge: one tile, one panel, one block of k (384) and of rows (128). */
static const struct shape shapes[] = {
    {1, 1, 1},     {1, 48, 384},  {2, 3, 5},      {3, 49, 7},    {5, 17, 33},    {7, 95, 16},
    {8, 96, 383},  {9, 97, 385},  {11, 31, 100},  {13, 1, 769},  {16, 384, 384}, {23, 144, 48},
    {47, 50, 801}, {127, 20, 64}, {129, 60, 130}, {257, 49, 10}, {6, 16, 0},
};

/* One problem; leading dimensions are larger than the rows, and the gaps of C hold a mark. */
struct problem {
    struct shape s;
    int lda, ldc, ld_res;
    float *a, *w, *bias, *residual, *c, *packed_data;
    struct packed_f32 packed;
};

static const float mark = 12345.5F;

static void problem_init(struct problem *p, const struct kernels *k, struct shape s)
{
    const size_t m = (size_t)s.m, n = (size_t)s.n, depth = (size_t)s.k;
    *p = (struct problem){.s = s, .lda = s.k + 3, .ldc = s.n + 5, .ld_res = s.n + 2};
    p->a = random_floats(m * (depth + 3), 1.0F);
    p->w = random_floats(n * (depth + 1), 1.0F);
    p->bias = random_floats(n, 1.0F);
    p->residual = random_floats(m * (n + 2), 1.0F);
    p->c = random_floats(m * (n + 5), 1.0F);
    p->packed_data = aligned_block(k->gemm_packed_floats(s.n, s.k) * sizeof(float));
    k->gemm_pack(p->packed_data, p->w, s.k + 1, s.n, s.k);
    p->packed = (struct packed_f32){.n_out = s.n, .k = s.k, .data = p->packed_data};
    for (size_t i = 0; i < m * (n + 5); i++)
        p->c[i] = mark;
}

static void problem_release(struct problem *p)
{
    free(p->a);
    free(p->w);
    free(p->bias);
    free(p->residual);
    free(p->c);
    free(p->packed_data);
}

static struct gemm_f32 call_of(const struct problem *p)
{
    return (struct gemm_f32){.a = p->a,
                             .lda = p->lda,
                             .m = p->s.m,
                             .w = &p->packed,
                             .c = p->c,
                             .ldc = p->ldc,
                             .residual = NULL,
                             .ld_res = p->ld_res};
}

static double activation_of(double x, enum activation act)
{
    switch (act) {
    case ACT_GELU:
        return 0.5 * x * erfc(-x / sqrt(2.0));
    case ACT_GELU_TANH:
        return 0.5 * x * (1.0 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
    case ACT_RELU:
        return x > 0.0 ? x : 0.0;
    case ACT_SILU:
        return x / (1.0 + exp(-x));
    case ACT_TANH:
        return tanh(x);
    case ACT_NONE:
        break;
    }
    return x;
}

static void check_against_double(const struct problem *p, const struct gemm_f32 *g, const char *isa)
{
    const struct shape s = p->s;
    const size_t cells = (size_t)s.m * (size_t)s.n;
    double *const want = xcalloc(cells, sizeof *want);
    float *const got = xcalloc(cells, sizeof *got);
    for (int i = 0; i < s.m; i++)
        for (int j = 0; j < s.n; j++) {
            double x = g->bias ? g->bias[j] : 0.0;
            for (int q = 0; q < s.k; q++)
                x += (double)p->a[i * p->lda + q] * (double)p->w[j * (s.k + 1) + q];
            x = activation_of(x, g->act);
            x += g->residual ? p->residual[i * p->ld_res + j] : 0.0;
            want[i * s.n + j] = x;
            got[i * s.n + j] = p->c[i * p->ldc + j];
        }
    const double error = relative_error(got, want, cells);
    if (error > 2e-6)
        fail_msg("%s: %d x %d x %d, activation %d: relative error %g", isa, s.m, s.n, s.k,
                 (int)g->act, error);
    for (int i = 0; i < s.m; i++)
        for (int j = s.n; j < p->ldc; j++)
            assert_true(p->c[i * p->ldc + j] == mark);
    free(want);
    free(got);
}

static void products_of_level(const struct kernels *k)
{
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        for (int act = ACT_NONE; act <= ACT_TANH; act++)
            for (int extras = 0; extras < 4; extras++) {
                struct problem p;
                problem_init(&p, k, shapes[i]);
                struct gemm_f32 g = call_of(&p);
                g.act = (enum activation)act;
                g.bias = extras & 1 ? p.bias : NULL;
                g.residual = extras & 2 ? p.residual : NULL;
                k->gemm(&g, 0, p.s.n);
                check_against_double(&p, &g, k->isa);
                problem_release(&p);
            }
}

static void test_products(void **state)
{
    (void)state;
    each_level(products_of_level);
}

/* The residual may be C itself, also with several blocks of k. */
static void residual_in_place_of_level(const struct kernels *k)
{
    struct problem p;
    problem_init(&p, k, (struct shape){131, 101, 900});
    struct gemm_f32 g = call_of(&p);
    g.bias = p.bias;
    g.residual = p.residual;
    k->gemm(&g, 0, p.s.n);
    const size_t cells = 131 * (101 + 5);
    float *const apart = xmalloc(cells * sizeof *apart);
    memcpy(apart, p.c, cells * sizeof *apart);
    for (int i = 0; i < p.s.m; i++)
        memcpy(p.c + i * p.ldc, p.residual + i * p.ld_res, sizeof(float) * 101);
    g.residual = p.c;
    g.ld_res = p.ldc;
    k->gemm(&g, 0, p.s.n);
    assert_same_bits(p.c, apart, cells, k->isa);
    free(apart);
    problem_release(&p);
}

static void test_residual_in_place(void **state)
{
    (void)state;
    each_level(residual_in_place_of_level);
}

/* Every row alone, batches of every height, and every split of the columns give the same bits. */
static void rows_alone_of_level(const struct kernels *k)
{
    struct problem p;
    problem_init(&p, k, (struct shape){137, 2 * 48 + 21, 500});
    struct gemm_f32 g = call_of(&p);
    g.bias = p.bias;
    g.residual = p.residual;
    g.act = ACT_GELU;
    k->gemm(&g, 0, p.s.n);
    const size_t cells = 137 * (size_t)p.ldc;
    float *const whole = xmalloc(cells * sizeof *whole);
    memcpy(whole, p.c, cells * sizeof *whole);
    for (int height = 1; height < 20; height++) {
        memset(p.c, 0, cells * sizeof *p.c);
        for (int i = 0; i < p.s.m; i += height) {
            struct gemm_f32 part = g;
            part.a = p.a + i * p.lda;
            part.c = p.c + i * p.ldc;
            part.residual = p.residual + i * p.ld_res;
            part.m = height < p.s.m - i ? height : p.s.m - i;
            k->gemm(&part, 0, p.s.n);
        }
        for (int i = 0; i < p.s.m; i++)
            assert_same_bits(p.c + i * p.ldc, whole + i * p.ldc, (size_t)p.s.n, k->isa);
    }
    for (int at = k->gemm_panel; at < p.s.n; at += k->gemm_panel) {
        memset(p.c, 0, cells * sizeof *p.c);
        k->gemm(&g, at, p.s.n);
        k->gemm(&g, 0, at);
        for (int i = 0; i < p.s.m; i++)
            assert_same_bits(p.c + i * p.ldc, whole + i * p.ldc, (size_t)p.s.n, k->isa);
    }
    free(whole);
    problem_release(&p);
}

static void test_rows_alone(void **state)
{
    (void)state;
    each_level(rows_alone_of_level);
}

/* A panel holds [k][columns], and what is past the last column is 0. */
static void packing_of_level(const struct kernels *k)
{
    const int n = 2 * k->gemm_panel + 3, depth = 37, ld = 40, panel = k->gemm_panel;
    float *const w = random_floats((size_t)(n * ld), 1.0F);
    assert_int_equal(k->gemm_packed_floats(n, depth), 3 * panel * depth);
    float *const packed = random_floats((size_t)(3 * panel * depth), 1.0F);
    k->gemm_pack(packed, w, ld, n, depth);
    for (int j = 0; j < 3 * panel; j++)
        for (int p = 0; p < depth; p++) {
            const float got = packed[j / panel * panel * depth + p * panel + j % panel];
            assert_true(got == (j < n ? w[j * ld + p] : 0.0F));
        }
    free(w);
    free(packed);
}

static void test_packing(void **state)
{
    (void)state;
    each_level(packing_of_level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_residual_in_place),
        cmocka_unit_test(test_rows_alone),
        cmocka_unit_test(test_packing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
