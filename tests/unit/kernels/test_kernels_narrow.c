/* test_kernels_narrow.c - products over bf16 and int8 of every level: against double over the
 * rounded numbers, the integers against the scalar twin bit for bit, rows and splits independent,
 * and what rounding does with odd rows. */
#include "tests/unit/kernels/kernels_test.h"

struct shape {
    int m, n, k;
};

/* Around every edge: a tile, a panel, a word, a block of words of k (384), a block of rows (128).
 */
static const struct shape shapes[] = {{1, 1, 1},     {1, 48, 384},  {2, 3, 5},      {3, 49, 7},
                                      {4, 17, 33},   {5, 95, 16},   {6, 96, 767},   {7, 97, 769},
                                      {8, 31, 100},  {9, 1, 1537},  {10, 100, 384}, {11, 20, 2},
                                      {12, 12, 3},   {13, 50, 4},   {14, 144, 48},  {15, 49, 3073},
                                      {16, 96, 386}, {17, 60, 130}, {129, 49, 64}};

struct problem {
    struct shape s;
    int lda_bf16, lda_i8, ldc;
    float *a, *w, *bias, *residual, *c, *scale, *shift;
    uint16_t *a_bf16;
    char *a_i8;
    void *w_bf16, *w_i8;
    struct packed_bf16 packed_bf16;
    struct packed_i8 packed_i8;
};

static const float mark = 12345.5F;

static void problem_init(struct problem *p, const struct kernels *k, struct shape s)
{
    const size_t m = (size_t)s.m, n = (size_t)s.n, depth = (size_t)s.k;
    *p = (struct problem){.s = s,
                          .lda_bf16 = (int)k->bf16_row(s.k) + 2,
                          .lda_i8 = (int)k->i8_row(s.k) + 4,
                          .ldc = s.n + 5};
    p->a = random_floats(m * (depth + 3), 1.0F);
    p->w = random_floats(n * (depth + 1), 1.0F);
    p->bias = random_floats(n, 1.0F);
    p->residual = random_floats(m * (n + 5), 1.0F);
    p->c = random_floats(m * (n + 5), 1.0F);
    p->scale = random_floats(m, 1.0F);
    p->shift = random_floats(m, 1.0F);
    p->a_bf16 = xmalloc(m * (size_t)p->lda_bf16 * sizeof *p->a_bf16);
    p->a_i8 = xmalloc(m * (size_t)p->lda_i8);
    p->w_bf16 = aligned_block(k->gemm_bf16_packed_bytes(s.n, s.k));
    p->w_i8 = aligned_block(k->gemm_i8_packed_bytes(s.n, s.k));
    k->gemm_bf16_pack(p->w_bf16, p->w, s.k + 1, s.n, s.k);
    k->gemm_i8_pack(p->w_i8, p->w, s.k + 1, s.n, s.k);
    k->rows_to_bf16(p->a_bf16, p->lda_bf16, p->a, s.k + 3, s.m, s.k);
    k->rows_to_i8(p->a_i8, p->lda_i8, p->scale, NULL, p->a, s.k + 3, s.m, s.k);
    p->packed_bf16 = (struct packed_bf16){s.n, s.k, p->w_bf16};
    p->packed_i8 = (struct packed_i8){s.n, s.k, p->w_i8};
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
    free(p->scale);
    free(p->shift);
    free(p->a_bf16);
    free(p->a_i8);
    free(p->w_bf16);
    free(p->w_i8);
}

static struct gemm_bf16 call_bf16(const struct problem *p)
{
    return (struct gemm_bf16){.a = p->a_bf16,
                              .lda = p->lda_bf16,
                              .m = p->s.m,
                              .w = &p->packed_bf16,
                              .ld_res = p->ldc,
                              .c = p->c,
                              .ldc = p->ldc};
}

static struct gemm_i8 call_i8(const struct problem *p)
{
    return (struct gemm_i8){.a = p->a_i8,
                            .lda = p->lda_i8,
                            .m = p->s.m,
                            .a_scale = p->scale,
                            .w = &p->packed_i8,
                            .ld_res = p->ldc,
                            .c = p->c,
                            .ldc = p->ldc};
}

static double rounded(float x) /* to 8 bits, ties to even */
{
    int exponent;
    const double part = frexp(x, &exponent);
    return ldexp(nearbyint(ldexp(part, 8)), exponent - 8);
}

static double activation_of(double x, enum activation act)
{
    return act == ACT_GELU ? 0.5 * x * erfc(-x / sqrt(2.0)) : x;
}

enum form { BF16, SYMMETRIC, MIDDLE }; /* of the rows of A */

/* One row of weights or of A as integers and back, by the definition. */
static void quantised(const float *x, size_t n, bool middle, double *q)
{
    float up = 0.0F, down = 0.0F;
    for (size_t i = 0; i < n; i++) {
        up = fmaxf(x[i], up);
        down = fmaxf(-x[i], down);
    }
    const float half = middle ? 0.5F * up + 0.5F * down : fmaxf(up, down);
    const float shift = middle ? 0.5F * up - 0.5F * down : 0.0F;
    for (size_t i = 0; i < n; i++) {
        const float step = fmaf(x[i], 127.0F / half, -shift * (127.0F / half));
        q[i] = nearbyint(step) * (double)(half / 127.0F) + (double)shift;
    }
}

/* What A W^T is over the rounded numbers. */
static double *product(const struct problem *p, enum form form)
{
    const size_t m = (size_t)p->s.m, n = (size_t)p->s.n, k = (size_t)p->s.k;
    double *const want = xcalloc(m * n, sizeof *want);
    double *const a = xcalloc(m * k, sizeof *a), *const w = xcalloc(n * k, sizeof *w);
    for (size_t i = 0; i < m && form != BF16; i++)
        quantised(p->a + i * (k + 3), k, form == MIDDLE, a + i * k);
    for (size_t j = 0; j < n && form != BF16; j++)
        quantised(p->w + j * (k + 1), k, false, w + j * k);
    for (size_t i = 0; i < m * k && form == BF16; i++)
        a[i] = rounded(p->a[i / k * (k + 3) + i % k]);
    for (size_t i = 0; i < n * k && form == BF16; i++)
        w[i] = rounded(p->w[i / k * (k + 1) + i % k]);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            for (size_t q = 0; q < k; q++)
                want[i * n + j] += a[i * k + q] * w[j * k + q];
    free(a);
    free(w);
    return want;
}

/* GELU after narrow products is within 1.2e-4. */
static void check_result(const struct problem *p, const double *want, const float *bias,
                         const float *residual, enum activation act, const char *what)
{
    for (int i = 0; i < p->s.m; i++) {
        for (int j = 0; j < p->s.n; j++) {
            double x = want[i * p->s.n + j] + (bias ? bias[j] : 0.0);
            x = activation_of(x, act) + (residual ? residual[i * p->ldc + j] : 0.0);
            const double got = p->c[i * p->ldc + j];
            const double most = 1e-5 + 1e-6 * sqrt(p->s.k) + 2e-6 * fabs(x);
            if (!(fabs(got - x) <= most + (act == ACT_GELU ? 1.2e-4 : 0.0)))
                fail_msg("%s: %d x %d x %d: [%d][%d] is %.9g, not %.9g", what, p->s.m, p->s.n,
                         p->s.k, i, j, got, x);
        }
        for (int j = p->s.n; j < p->ldc; j++)
            assert_true(p->c[i * p->ldc + j] == mark);
    }
}

static void products_of_level(const struct kernels *k)
{
    for (size_t s = 0; s < ARRAY_LEN(shapes); s++) {
        struct problem p;
        problem_init(&p, k, shapes[s]);
        for (enum form form = BF16; form <= MIDDLE; form++) {
            if (form == MIDDLE) { /* mostly on one side */
                for (int i = 0; i < p.s.m * (p.s.k + 3); i++)
                    p.a[i] = fmaxf(-0.2F, p.a[i]);
                k->rows_to_i8(p.a_i8, p.lda_i8, p.scale, p.shift, p.a, p.s.k + 3, p.s.m, p.s.k);
            }
            double *const want = product(&p, form);
            for (int extras = 0; extras < 8; extras++) {
                struct gemm_bf16 gb = call_bf16(&p);
                struct gemm_i8 gi = call_i8(&p);
                gb.bias = gi.bias = extras & 1 ? p.bias : NULL;
                gb.residual = gi.residual = extras & 2 ? p.residual : NULL;
                gb.act = gi.act = extras & 4 ? ACT_GELU : ACT_NONE;
                gi.a_shift = form == MIDDLE ? p.shift : NULL;
                if (form == BF16)
                    k->gemm_bf16(&gb, 0, p.s.n);
                else
                    k->gemm_i8(&gi, 0, p.s.n);
                check_result(&p, want, gb.bias, gb.residual, gb.act, k->isa);
            }
            free(want);
        }
        problem_release(&p);
    }
}

static void test_products(void **state)
{
    (void)state;
    each_level(products_of_level);
}

/* The integers are exact, and what is done to them without a bias rounds alike everywhere: the
 * same bits on every level, also where sums are largest. */
static void integers_of_level(const struct kernels *k)
{
    for (size_t s = 0; s < ARRAY_LEN(shapes) + 1; s++) {
        const bool largest = s == ARRAY_LEN(shapes);
        const struct shape shape = largest ? (struct shape){3, 50, 20000} : shapes[s];
        struct problem p, q;
        problem_init(&p, k, shape);
        problem_init(&q, twin(), shape);
        const size_t m = (size_t)shape.m, n = (size_t)shape.n, depth = (size_t)shape.k;
        for (size_t i = 0; i < m * (depth + 3); i++)
            q.a[i] = p.a[i] = largest ? 1.0F : p.a[i];
        for (size_t i = 0; i < n * (depth + 1); i++)
            q.w[i] = p.w[i] = largest ? (i % 2 ? 2.0F : 2.1F) : p.w[i];
        k->gemm_i8_pack(p.w_i8, p.w, shape.k + 1, shape.n, shape.k);
        k->rows_to_i8(p.a_i8, p.lda_i8, p.scale, NULL, p.a, shape.k + 3, shape.m, shape.k);
        twin()->gemm_i8_pack(q.w_i8, q.w, shape.k + 1, shape.n, shape.k);
        twin()->rows_to_i8(q.a_i8, q.lda_i8, q.scale, NULL, q.a, shape.k + 3, shape.m, shape.k);
        const struct gemm_i8 mine = call_i8(&p), theirs = call_i8(&q);
        k->gemm_i8(&mine, 0, shape.n);
        twin()->gemm_i8(&theirs, 0, shape.n);
        assert_same_bits(p.scale, q.scale, m, k->isa);
        assert_same_bits(p.c, q.c, m * (n + 5), k->isa);
        problem_release(&p);
        problem_release(&q);
    }
}

static void test_integers_are_exact(void **state)
{
    (void)state;
    each_level(integers_of_level);
}

static void run_part(const struct kernels *k, const struct problem *p, bool integers, int row0,
                     int row1, int n0, int n1)
{
    struct gemm_bf16 gb = call_bf16(p);
    struct gemm_i8 gi = call_i8(p);
    gb.bias = gi.bias = p->bias;
    gb.act = gi.act = ACT_GELU;
    gb.residual = gi.residual = p->residual + row0 * p->ldc;
    gb.c = gi.c = p->c + row0 * p->ldc;
    gb.m = gi.m = row1 - row0;
    gb.a += row0 * p->lda_bf16;
    gi.a = p->a_i8 + row0 * p->lda_i8;
    gi.a_scale += row0;
    if (integers)
        k->gemm_i8(&gi, n0, n1);
    else
        k->gemm_bf16(&gb, n0, n1);
}

/* Batches of every height and every split of the columns give the same bits. */
static void splits_of_level(const struct kernels *k)
{
    struct problem p;
    problem_init(&p, k, (struct shape){137, 2 * 48 + 21, 801});
    const size_t cells = 137 * (size_t)p.ldc;
    float *const whole = xmalloc(cells * sizeof *whole);
    for (int integers = 0; integers < 2; integers++) {
        run_part(k, &p, integers, 0, p.s.m, 0, p.s.n);
        memcpy(whole, p.c, cells * sizeof *whole);
        for (int height = 1; height < 20; height++) {
            for (int i = 0; i < p.s.m; i++)
                memset(p.c + i * p.ldc, 0, sizeof *p.c * (size_t)p.s.n);
            for (int i = 0; i < p.s.m; i += height)
                run_part(k, &p, integers, i, i + height < p.s.m ? i + height : p.s.m, 0, p.s.n);
            assert_same_bits(p.c, whole, cells, k->isa);
        }
        for (int at = k->gemm_panel; at < p.s.n; at += k->gemm_panel) {
            for (int i = 0; i < p.s.m; i++)
                memset(p.c + i * p.ldc, 0, sizeof *p.c * (size_t)p.s.n);
            run_part(k, &p, integers, 0, p.s.m, at, p.s.n);
            run_part(k, &p, integers, 0, p.s.m, 0, at);
            assert_same_bits(p.c, whole, cells, k->isa);
        }
    }
    free(whole);
    problem_release(&p);
}

static void test_splits(void **state)
{
    (void)state;
    each_level(splits_of_level);
}

/* Rounding to bf16: nearest, ties to even, NaN quiet, infinities kept, rows padded with 0. */
static void bf16_rows_of_level(const struct kernels *k)
{
    float x[] = {1.0F,      1.00390625F, 1.01171875F, 1.0039064F, -1.00390625F, 3.4e38F, INFINITY,
                 -INFINITY, NAN,         0.0F,        -0.0F,      65280.5F,     1e-30F,  0.1F,
                 -0.3F,     1e30F,       2.5F,        7.0F,       1e-37F};
    const uint16_t want[] = {0x3f80, 0x3f80, 0x3f82, 0x3f81, 0xbf80, 0x7f80, 0x7f80,
                             0xff80, 0x7fc0, 0x0000, 0x8000, 0x477f, 0x0da2, 0x3dcd,
                             0xbe9a, 0x714a, 0x4020, 0x40e0, 0x0208};
    const size_t row = k->bf16_row(ARRAY_LEN(x));
    assert_true(row >= ARRAY_LEN(x) && row * 2 % 64 == 0);
    uint16_t *const got = xmalloc(2 * row * sizeof *got);
    memset(got, 0xff, 2 * row * sizeof *got);
    k->rows_to_bf16(got, (int)row, x, 0, 2, ARRAY_LEN(x));
    for (size_t i = 0; i < 2 * row; i++)
        assert_int_equal(got[i], i % row < ARRAY_LEN(x) ? want[i % row] : 0);
    free(got);
}

static void test_bf16_rows(void **state)
{
    (void)state;
    each_level(bf16_rows_of_level);
}

/* Rows of zeros and of next to nothing give 0, rows that are not finite give NaN, and neither
 * disturbs its neighbours; the same for output channels. */
static void odd_rows_of_level(const struct kernels *k)
{
    enum { ROWS = 7, N = 7, K = 37 };
    struct problem p;
    problem_init(&p, k, (struct shape){ROWS, N, K});
    static const float odd[] = {0.0F, 1e-39F, INFINITY, NAN, -INFINITY};
    for (int weights = 0; weights < 2; weights++) {
        problem_release(&p);
        problem_init(&p, k, (struct shape){ROWS, N, K});
        const struct gemm_i8 g = call_i8(&p);
        k->gemm_i8(&g, 0, N);
        float normal[ROWS * (N + 5)];
        memcpy(normal, p.c, sizeof normal);
        float *const x = weights ? p.w : p.a;
        const int ld = weights ? K + 1 : K + 3;
        for (int r = 0; r < 5; r++)
            for (int q = 0; q < K; q++)
                x[(r + 1) * ld + q] = r < 2 || q == 5 * r ? odd[r] : x[(r + 1) * ld + q];
        k->gemm_i8_pack(p.w_i8, p.w, K + 1, N, K);
        k->rows_to_i8(p.a_i8, p.lda_i8, p.scale, NULL, p.a, K + 3, ROWS, K);
        k->gemm_i8(&g, 0, N);
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < N; j++) {
                const int r = weights ? j : i;
                const float got = p.c[i * p.ldc + j];
                if (r == 1 || r == 2)
                    assert_true(got == 0.0F);
                else if (r >= 3 && r <= 5)
                    assert_true(isnan(got));
                else
                    assert_true(got == normal[i * p.ldc + j]);
            }
    }
    problem_release(&p);
}

static void test_odd_rows(void **state)
{
    (void)state;
    each_level(odd_rows_of_level);
}

/* The error of quantisation itself: at most half a step on each number. */
static void steps_of_level(const struct kernels *k)
{
    enum { K = 70 };
    float *const x = random_floats(K, 3.0F), unit[K * K] = {0};
    for (int i = 0; i < K; i++)
        unit[i * K + i] = 1.0F;
    char *const row = xmalloc(k->i8_row(K));
    void *const w = aligned_block(k->gemm_i8_packed_bytes(K, K));
    k->gemm_i8_pack(w, unit, K, K, K);
    const struct packed_i8 packed = {K, K, w};
    for (int middle = 0; middle < 2; middle++) {
        float scale, shift, c[K], up = 0.0F, down = 0.0F;
        for (int i = 0; i < K; i++) {
            x[i] = middle ? fabsf(x[i]) : x[i];
            up = fmaxf(up, x[i]);
            down = fmaxf(down, -x[i]);
        }
        k->rows_to_i8(row, (int)k->i8_row(K), &scale, middle ? &shift : NULL, x, K, 1, K);
        const struct gemm_i8 g = {.a = row,
                                  .m = 1,
                                  .a_scale = &scale,
                                  .a_shift = middle ? &shift : NULL,
                                  .w = &packed,
                                  .c = c,
                                  .ldc = K};
        k->gemm_i8(&g, 0, K);
        const float half = middle ? 0.5F * up : fmaxf(up, down);
        for (int i = 0; i < K; i++)
            assert_true(fabsf(c[i] - x[i]) <= 0.5001F * half / 127.0F);
    }
    free(x);
    free(row);
    free(w);
}

static void test_steps(void **state)
{
    (void)state;
    each_level(steps_of_level);
}

/* Strides are whole cache lines and never a multiple of 4 KiB. */
static void strides_of_level(const struct kernels *k)
{
    for (int n = 1; n < 9000; n++) {
        const size_t bf16 = 2 * k->bf16_row(n), i8 = k->i8_row(n);
        assert_true(bf16 >= 2 * (size_t)n && bf16 % 64 == 0 && bf16 % 4096 != 0);
        assert_true(i8 >= (size_t)n && i8 % 64 == 0 && i8 % 4096 != 0);
    }
}

static void test_strides(void **state)
{
    (void)state;
    each_level(strides_of_level);
}

static void roofs_of_level(const struct kernels *k)
{
    assert_true(k->peak_f32(3) > 0.0);
    assert_true(k->peak_bf16(6) == 2.0 * k->peak_bf16(3));
    assert_true(k->peak_i8(3) >= k->peak_bf16(3));
}

static void test_roofs(void **state)
{
    (void)state;
    each_level(roofs_of_level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products), cmocka_unit_test(test_integers_are_exact),
        cmocka_unit_test(test_splits),   cmocka_unit_test(test_bf16_rows),
        cmocka_unit_test(test_odd_rows), cmocka_unit_test(test_steps),
        cmocka_unit_test(test_strides),  cmocka_unit_test(test_roofs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
