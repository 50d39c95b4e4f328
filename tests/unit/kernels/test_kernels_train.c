/* test_kernels_train.c - the kernels of training on every level, beside plain loops in double. */
#include "tests/unit/kernels/kernels_test.h"

static void check_close(const float *x, const double *want, size_t n, double tolerance,
                        const char *what, const char *isa)
{
    double size = 1e-6;
    for (size_t i = 0; i < n; i++)
        size = fmax(size, fabs(want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)x[i] - want[i]) <= tolerance * size))
            fail_msg("%s on %s: number %zu is %.9g, not %.9g", what, isa, i, (double)x[i], want[i]);
}

/* ---- products ---------------------------------------------------------------------------------
 */

static void outer_case(const struct kernels *k, int tokens, int m, int n)
{
    float *a = random_floats((size_t)(tokens * m), 1), *b = random_floats((size_t)(tokens * n), 1);
    float *c = random_floats((size_t)(m * n), 1), *sum = random_floats((size_t)m, 1);
    double *want = xcalloc((size_t)(m * n), sizeof *want), *sums = xcalloc((size_t)m, sizeof *sums);
    float *scratch = random_floats(k->train.gemm_outer_scratch_floats(m), NAN);
    for (int i = 0; i < m; i++) {
        sums[i] = sum[i];
        for (int p = 0; p < tokens; p++)
            sums[i] += a[p * m + i];
        for (int j = 0; j < n; j++) {
            want[i * n + j] = c[i * n + j];
            for (int p = 0; p < tokens; p++)
                want[i * n + j] += (double)a[p * m + i] * b[p * n + j];
        }
    }
    float *again = xcalloc((size_t)(m * n), sizeof *again);
    memcpy(again, c, (size_t)(m * n) * sizeof *c);
    struct gemm_outer g = {a, b, m, n, tokens, m, n, c, n, sum, scratch};
    k->train.gemm_outer(&g);
    check_close(c, want, (size_t)(m * n), 2e-6, "outer product", k->isa);
    check_close(sum, sums, (size_t)m, 2e-6, "sums", k->isa);
    /* in two pieces each way: the same bits */
    const int mi = m / 2, nj = n / 3;
    for (int part = 0; part < 4; part++) {
        struct gemm_outer h = g;
        h.a += part & 1 ? mi : 0;
        h.b += part & 2 ? nj : 0;
        h.c = again + (part & 1 ? mi : 0) * n + (part & 2 ? nj : 0);
        h.m = part & 1 ? m - mi : mi;
        h.n = part & 2 ? n - nj : nj;
        h.sum = NULL;
        k->train.gemm_outer(&h);
    }
    assert_memory_equal(c, again, (size_t)(m * n) * sizeof *c);
    free(a), free(b), free(c), free(sum), free(want), free(sums), free(scratch), free(again);
}

static void check_outer(const struct kernels *k)
{
    outer_case(k, 1, 1, 1);
    outer_case(k, 7, 8, 48);
    outer_case(k, 385, 13, 97);
    outer_case(k, 800, 30, 50);
}

/* x W with W packed from its rows is x (W^T)^T packed the usual way. */
static void check_pack_rows(const struct kernels *k)
{
    enum { N = 101, DEPTH = 19, LD = 110 };
    float *w = random_floats(DEPTH * LD, 1), turned[N * DEPTH];
    for (int p = 0; p < DEPTH; p++)
        for (int j = 0; j < N; j++)
            turned[j * DEPTH + p] = w[p * LD + j];
    const size_t floats = k->gemm_packed_floats(N, DEPTH);
    float *rows = aligned_block(floats * sizeof *rows),
          *usual = aligned_block(floats * sizeof *rows);
    k->train.gemm_pack_rows(rows, w, LD, N, DEPTH);
    k->gemm_pack(usual, turned, DEPTH, N, DEPTH);
    assert_memory_equal(rows, usual, floats * sizeof *rows);
    free(w), free(rows), free(usual);
}

/* ---- activations, norms -----------------------------------------------------------------------
 */

static double value(double x, enum activation act)
{
    switch (act) {
    case ACT_GELU:
        return x * 0.5 * erfc(-x * M_SQRT1_2);
    case ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ACT_RELU:
        return x > 0 ? x : 0;
    case ACT_SILU:
        return x / (1 + exp(-x));
    case ACT_TANH:
        return tanh(x);
    case ACT_NONE:
        break;
    }
    return x;
}

static void check_slopes(const struct kernels *k)
{
    enum { N = 40001 };
    float *x = xcalloc(N, sizeof *x), *dy = xcalloc(N, sizeof *dy), *dx = xcalloc(N, sizeof *dx);
    float *sign = xcalloc(N, sizeof *sign);
    for (int act = ACT_NONE; act <= ACT_TANH; act++) {
        for (int i = 0; i < N; i++) {
            x[i] = (float)(i - 20000) / 1500 + 1e-4F;
            dy[i] = 1;
            dx[i] = 5;
        }
        k->train.activate_backward(dx, dy, x, N, (enum activation)act, false);
        for (int i = 0; i < N; i++) { /* by Richardson's differences of the definition */
            const double v = x[i], h = 2e-3;
            const double near = (value(v + h, act) - value(v - h, act)) / (2 * h);
            const double wide = (value(v + 2 * h, act) - value(v - 2 * h, act)) / (4 * h);
            const double want = act == ACT_RELU ? x[i] > 0 : (4 * near - wide) / 3;
            if (!(fabs(dx[i] - want) <= 7e-7))
                fail_msg("slope %d on %s at %g: %.9g, not %.9g", act, k->isa, v, dx[i], want);
        }
        memcpy(dy, dx, N * sizeof *dx); /* in place, and added */
        for (int i = 0; i < N; i++)
            sign[i] = dx[i] < 0 ? -1 : 1;
        k->train.activate_backward(dy, dy, x, N, (enum activation)act, false);
        k->train.activate_backward(dx, dx, x, N, (enum activation)act, true);
        for (int i = 0; i < N; i++) /* s + s s and s s, s the slope */
            assert_true(fabsf(dx[i] - (dy[i] + sqrtf(fabsf(dy[i])) * sign[i])) < 2e-6F);
    }
    const float edge[2] = {100, -100}, one[2] = {1, 1};
    float out[2];
    k->train.activate_backward(out, one, edge, 2, ACT_GELU, false);
    assert_true(out[0] == 1 && fabsf(out[1]) < 1e-6F);
    free(x), free(dy), free(dx), free(sign);
}

static void norm_case(const struct kernels *k, int m, int n)
{
    float *x = random_floats((size_t)(m * n), 2), *dy = random_floats((size_t)(m * n), 1);
    float *gamma = random_floats((size_t)n, 1), *dx = random_floats((size_t)(m * n), 1);
    float *dgamma = xcalloc((size_t)n, sizeof *dgamma), *dbeta = xcalloc((size_t)n, sizeof *dbeta);
    double *want = xcalloc((size_t)(m * n), sizeof *want),
           *plus = xcalloc((size_t)(m * n), sizeof *plus);
    double *wg = xcalloc((size_t)n, sizeof *wg), *wb = xcalloc((size_t)n, sizeof *wb);
    for (int i = 0; i < m; i++) {
        const float *xi = x + i * n, *d = dy + i * n;
        double mean = 0, var = 0, h1 = 0, h2 = 0;
        for (int j = 0; j < n; j++)
            mean += xi[j] / (double)n;
        for (int j = 0; j < n; j++)
            var += (xi[j] - mean) * (xi[j] - mean) / n;
        const double inv = 1 / sqrt(var + 1e-5);
        for (int j = 0; j < n; j++) {
            const double xh = (xi[j] - mean) * inv;
            h1 += (double)d[j] * gamma[j] / n;
            h2 += (double)d[j] * gamma[j] * xh / n;
            wg[j] += d[j] * xh;
            wb[j] += d[j];
        }
        for (int j = 0; j < n; j++) {
            want[i * n + j] = inv * ((double)d[j] * gamma[j] - h1 - (xi[j] - mean) * inv * h2);
            plus[i * n + j] = want[i * n + j] + dx[i * n + j];
        }
    }
    k->train.layer_norm_backward(dx, dgamma, dbeta, dy, x, gamma, m, n, 1e-5F, true);
    check_close(dx, plus, (size_t)(m * n), 4e-6, "norm, added", k->isa);
    check_close(dgamma, wg, (size_t)n, 4e-6, "gamma", k->isa);
    check_close(dbeta, wb, (size_t)n, 4e-6, "beta", k->isa);
    k->train.layer_norm_backward(dy, NULL, NULL, dy, x, gamma, m, n, 1e-5F, false);
    check_close(dy, want, (size_t)(m * n), 4e-6, "norm, in place", k->isa);
    free(x), free(dy), free(gamma), free(dx), free(dgamma), free(dbeta), free(want), free(plus);
    free(wg), free(wb);
}

static void check_norm(const struct kernels *k)
{
    norm_case(k, 1, 5);
    norm_case(k, 9, 33);
    norm_case(k, 4, 384);
}

static void check_small(const struct kernels *k)
{
    float a[37], b[37], y[37];
    for (int i = 0; i < 37; i++) {
        a[i] = random_float(1);
        b[i] = random_float(1);
        y[i] = 1;
    }
    k->train.add_scaled(y, 0.5F, a, 37);
    for (int i = 0; i < 37; i++)
        assert_true(fabsf(y[i] - (1 + 0.5F * a[i])) < 1e-6F);
    k->train.multiply(y, a, b, 37);
    for (int i = 0; i < 37; i++)
        assert_true(y[i] == a[i] * b[i]);
}

/* ---- attention --------------------------------------------------------------------------------
 */

enum { MOST = 70 };

static void attention_case(const struct kernels *k, int n, int d, int window, double drop)
{
    const int ld = 3 * d + 1;
    const size_t size = (size_t)(n * ld);
    float *x = random_floats(size, 1.5F), *dx = random_floats(size, 1),
          *was = xcalloc(size, sizeof *was);
    float *out = random_floats((size_t)(n * d), 1), *dout = random_floats((size_t)(n * d), 1);
    float *scratch = random_floats(k->train.attention_scratch_floats(n, d), NAN);
    double *want = xcalloc(size, sizeof *want), *o = xcalloc((size_t)(n * d), sizeof *o);
    const struct dropout_mask mask = {99, 7, (uint32_t)(drop * 4294967296.0),
                                      (float)(1 / (1 - drop))};
    const double scale = 1 / sqrt(d);
    memcpy(was, dx, size * sizeof *dx);
    for (size_t i = 0; i < size; i++)
        want[i] = dx[i];
    for (int i = 0; i < n; i++) {
        double p[MOST], dp[MOST], total = 0, along = 0;
        float m[MOST];
        const float *q = x + i * ld;
        twin()->train.dropout_row(m, (size_t)n, &mask, (uint32_t)i);
        for (int j = 0; j < n; j++) {
            double s = 0;
            for (int c = 0; c < d; c++)
                s += (double)q[c] * x[j * ld + d + c];
            p[j] = window < 0 || abs(i - j) <= window ? exp(scale * s) : 0;
            total += p[j];
        }
        for (int j = 0; j < n; j++) {
            p[j] /= total;
            dp[j] = 0;
            for (int c = 0; c < d; c++) {
                const double v = x[j * ld + 2 * d + c];
                o[i * d + c] += p[j] * m[j] * v;
                dp[j] += dout[i * d + c] * v * m[j];
                want[j * ld + 2 * d + c] += p[j] * m[j] * dout[i * d + c];
            }
            along += dp[j] * p[j];
        }
        for (int j = 0; j < n; j++)
            for (int c = 0; c < d; c++) {
                const double ds = scale * p[j] * (dp[j] - along);
                want[i * ld + c] += ds * x[j * ld + d + c];
                want[j * ld + d + c] += ds * q[c];
            }
    }
    const struct attention_train a = {x,      x + d,        x + 2 * d,  ld,  n,    d,
                                      window, (float)scale, mask,       out, dout, d,
                                      dx,     dx + d,       dx + 2 * d, ld,  true, scratch};
    k->train.attention(&a);
    check_close(out, o, (size_t)(n * d), 2e-6, "attention", k->isa);
    k->train.attention_backward(&a);
    check_close(dx, want, size, 5e-6, "attention backward", k->isa);
    struct attention_train over = a; /* overwriting what is there */
    over.add = false;
    k->train.attention_backward(&over);
    for (size_t i = 0; i < size; i++)
        want[i] -= i % (size_t)ld < (size_t)(3 * d) ? was[i] : 0;
    check_close(dx, want, size, 5e-6, "attention backward, overwriting", k->isa);
    free(x), free(dx), free(was), free(out), free(dout), free(scratch), free(want), free(o);
}

static void check_attention(const struct kernels *k)
{
    attention_case(k, 1, 8, -1, 0);
    attention_case(k, 5, 3, -1, 0.25);
    attention_case(k, 49, 32, -1, 0.1);
    attention_case(k, MOST, 64, -1, 0);
    attention_case(k, MOST, 24, 6, 0.5);
}

/* ---- dropout ----------------------------------------------------------------------------------
 */

/* The known answer of Philox4x32-10 for counter and key 0 (Random123's kat_vectors): its words are
 * columns 0, 16, 32, 48. */
static void check_philox(const struct kernels *k)
{
    static const uint32_t answer[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    float mask[64];
    for (int w = 0; w < 4; w++) {
        struct dropout_mask d = {.threshold = answer[w], .keep = 2};
        k->train.dropout_row(mask, 64, &d, 0);
        assert_true(mask[16 * w] == 2);
        d.threshold++;
        k->train.dropout_row(mask, 64, &d, 0);
        assert_true(mask[16 * w] == 0);
    }
    float whole[500], part[500], other[500];
    const struct dropout_mask d = {1ull << 40 | 5, 1ull << 50 | 3, 1u << 30, 4.0F / 3};
    twin()->train.dropout_row(whole, 500, &d, 9);
    for (size_t n = 1; n < 500; n += 41) {
        k->train.dropout_row(part, n, &d, 9);
        assert_memory_equal(part, whole, n * sizeof *part);
    }
    k->train.dropout_row(other, 500, &d, 10);
    assert_memory_not_equal(other, whole, sizeof other);
}

/* Half a million decisions: their mean, and their agreement between neighbouring columns, rows,
 * sequences and keys, within four standard deviations. */
static void test_statistics(void **state)
{
    (void)state;
    enum { ROWS = 1000, COLS = 512 };
    const struct kernels *k = twin();
    static float m[4][COLS];
    const double p = 0.1, n = (double)ROWS * COLS;
    double dropped = 0, both[4] = {0};
    for (uint32_t r = 0; r < ROWS; r++) {
        struct dropout_mask d = {77, 5, (uint32_t)(p * 4294967296.0), 1};
        k->train.dropout_row(m[0], COLS, &d, r);
        k->train.dropout_row(m[1], COLS, &d, r + 1);
        d.sequence++;
        k->train.dropout_row(m[2], COLS, &d, r);
        d.sequence--;
        d.key++;
        k->train.dropout_row(m[3], COLS, &d, r);
        for (int j = 0; j < COLS; j++) {
            dropped += m[0][j] == 0;
            both[0] += m[0][j] == 0 && m[0][(j + 1) % COLS] == 0;
            for (int o = 1; o < 4; o++)
                both[o] += m[0][j] == 0 && m[o][j] == 0;
        }
    }
    assert_true(fabs(dropped / n - p) < 4 * sqrt(p * (1 - p) / n));
    for (int o = 0; o < 4; o++)
        assert_true(fabs(both[o] / n - p * p) < 4 * sqrt(p * p / n));
}

#define ON_EACH_LEVEL(check)               \
    static void test_##check(void **state) \
    {                                      \
        (void)state;                       \
        each_level(check_##check);         \
    }
ON_EACH_LEVEL(outer)
ON_EACH_LEVEL(pack_rows)
ON_EACH_LEVEL(slopes)
ON_EACH_LEVEL(norm)
ON_EACH_LEVEL(small)
ON_EACH_LEVEL(attention)
ON_EACH_LEVEL(philox)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outer),  cmocka_unit_test(test_pack_rows),
        cmocka_unit_test(test_slopes), cmocka_unit_test(test_norm),
        cmocka_unit_test(test_small),  cmocka_unit_test(test_attention),
        cmocka_unit_test(test_philox), cmocka_unit_test(test_statistics)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
