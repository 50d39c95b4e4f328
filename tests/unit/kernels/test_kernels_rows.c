/* test_kernels_rows.c - activations, sums, softmax, layer norm and dot products of every level
 * against double, with the error bounds that the kernels promise. */
#include "tests/unit/kernels/kernels_test.h"

static double reference(double x, enum activation act)
{
    switch (act) {
    case ACT_GELU:
        return 0.5 * x * erfc(-x / sqrt(2.0));
    case ACT_GELU_TANH:
        return x / (1.0 + exp(-2.0 * 0.79788456080286536 * (x + 0.044715 * x * x * x)));
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

/* The distance of floats next to x (not subnormal). */
static double ulp(double x)
{
    return ldexp(1.0, ilogb(fmax(fabs(x), 0x1p-126)) - 23);
}

enum { SWEEP = 640001 };

/* The largest error over a fine sweep of [-20, 20], in ulp of max(1, |x|): the products that
 * follow add such numbers, so smaller results need no smaller error. tanh, whose results are at
 * most 1, in ulp of the result. */
static void activation_of_level(const struct kernels *k)
{
    static const struct {
        enum activation act;
        double bound;
    } cases[] = {{ACT_NONE, 0.0}, {ACT_GELU, 1.0}, {ACT_GELU_TANH, 2.0},
                 {ACT_RELU, 0.0}, {ACT_SILU, 2.0}, {ACT_TANH, 2.0}};
    float *const x = xmalloc(SWEEP * sizeof *x), *const y = xmalloc(SWEEP * sizeof *y);
    for (int i = 0; i < SWEEP; i++)
        x[i] = (float)(i - SWEEP / 2) * 6.25e-5F;
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        memcpy(y, x, SWEEP * sizeof *y);
        k->activate(y, SWEEP, cases[c].act);
        double worst = 0.0;
        for (int i = 0; i < SWEEP; i++) {
            const double want = reference(x[i], cases[c].act);
            const double unit = cases[c].act == ACT_TANH ? ulp(want) : ulp(fmax(1.0, fabs(x[i])));
            const double error = fabs(y[i] - want) / unit;
            worst = error > worst || isnan(error) ? error : worst;
        }
        if (!(worst <= cases[c].bound))
            fail_msg("%s: activation %d: error %g ulp", k->isa, (int)cases[c].act, worst);
    }
    free(x);
    free(y);
}

static void test_activations(void **state)
{
    (void)state;
    each_level(activation_of_level);
}

/* Small arguments keep their relative precision; zero stays zero; infinities and NaN behave. */
static void special_values_of_level(const struct kernels *k)
{
    for (int act = ACT_GELU; act <= ACT_TANH; act++) {
        float x[] = {0.0F, 1e-6F, 30.0F, 3e38F, NAN, -30.0F, INFINITY, 1e-30F};
        k->activate(x, ARRAY_LEN(x), (enum activation)act);
        assert_true(x[0] == 0.0F);
        const double slope = act == ACT_RELU || act == ACT_TANH ? 1.0 : 0.5;
        assert_true(fabs(x[1] - slope * 1e-6) < 2e-12);
        assert_true(fabs(x[7] - slope * 1e-30) < 1e-35);
        assert_true(x[2] == (act == ACT_TANH ? 1.0F : 30.0F));
        assert_true(x[3] == (act == ACT_TANH ? 1.0F : 3e38F));
        assert_true(isnan(x[4]));
        assert_true(fabs(x[5] + (act == ACT_TANH)) < 1e-9);
        assert_true(x[6] == (act == ACT_TANH ? 1.0F : INFINITY));
    }
}

static void test_special_values(void **state)
{
    (void)state;
    each_level(special_values_of_level);
}

/* The row {0, x} of softmax: e^x / (1 + e^x) within 2.5 ulp: one of the exponential, up to one of
 * the sum, whose last place may be twice the result's, and half of one of the division. */
static void exponential_of_level(const struct kernels *k)
{
    for (double x = -87.3; x <= 0.0; x += 0.0003) {
        float row[2] = {0.0F, (float)x};
        k->softmax(row, 1, 2);
        const double want = exp((double)(float)x) / (1.0 + exp((double)(float)x));
        const double error = fabs(row[1] - want) / ulp(want);
        if (!(error <= 2.5))
            fail_msg("%s: softmax of {0, %g}: error %g ulp", k->isa, x, error);
    }
}

static void test_exponential(void **state)
{
    (void)state;
    each_level(exponential_of_level);
}

static const int lengths[] = {1,  2,  3,  7,  8,  9,   15,  16,  17,
                              31, 33, 63, 64, 65, 100, 129, 384, 1000};

static void softmax_of_level(const struct kernels *k)
{
    for (size_t c = 0; c < ARRAY_LEN(lengths); c++) {
        const int n = lengths[c], m = 3;
        float *const x = random_floats((size_t)(m * n), 20.0F);
        float *const y = xmalloc((size_t)(m * n) * sizeof *y);
        memcpy(y, x, (size_t)(m * n) * sizeof *y);
        y[n - 1] = x[n - 1] = n > 1 ? -INFINITY : 0.0F;
        k->softmax(y, m, n);
        for (int i = 0; i < m; i++) {
            double sum = 0.0, top = -INFINITY;
            for (int j = 0; j < n; j++)
                top = fmax(top, x[i * n + j]);
            for (int j = 0; j < n; j++)
                sum += exp(x[i * n + j] - top);
            for (int j = 0; j < n; j++)
                assert_true(fabs(y[i * n + j] - exp(x[i * n + j] - top) / sum) <= 5e-7);
        }
        float *const alone = xmalloc((size_t)n * sizeof *alone);
        memcpy(alone, x + n, (size_t)n * sizeof *alone);
        k->softmax(alone, 1, n);
        assert_same_bits(alone, y + n, (size_t)n, k->isa);
        free(x);
        free(y);
        free(alone);
    }
}

static void test_softmax(void **state)
{
    (void)state;
    each_level(softmax_of_level);
}

static void check_norm_row(const float *y, const float *x, const float *gamma, const float *beta,
                           int n, double eps, const char *isa)
{
    double mean = 0.0, var = 0.0;
    for (int j = 0; j < n; j++)
        mean += x[j];
    mean /= n;
    for (int j = 0; j < n; j++)
        var += (x[j] - mean) * (x[j] - mean);
    var /= n;
    for (int j = 0; j < n; j++) {
        const double want = (x[j] - mean) / sqrt(var + eps) * gamma[j] + (beta ? beta[j] : 0.0);
        if (!(fabs(y[j] - want) <= 4e-6))
            fail_msg("%s: layer norm of %d: [%d] is %.9g, not %.9g", isa, n, j, (double)y[j], want);
    }
}

/* Rows with a mean fifty times their spread too: one pass over squares would lose those. */
static void layer_norm_of_level(const struct kernels *k)
{
    for (size_t c = 0; c < ARRAY_LEN(lengths); c++) {
        const int n = lengths[c], m = 5;
        float *const x = random_floats((size_t)(m * n), 2.0F);
        float *const y = xmalloc((size_t)(m * n) * sizeof *y);
        float *const gamma = random_floats((size_t)n, 1.0F), *const beta =
                                                                 random_floats((size_t)n, 1.0F);
        for (int with_beta = 0; with_beta < 2; with_beta++) {
            const float *const b = with_beta ? beta : NULL;
            k->layer_norm(y, x, gamma, b, m, n, 1e-3F);
            for (int i = 0; i < m; i++)
                check_norm_row(y + i * n, x + i * n, gamma, b, n, 1e-3F, k->isa);
        }
        float *const alone = xmalloc((size_t)n * sizeof *alone);
        k->layer_norm(alone, x + 3 * n, gamma, beta, 1, n, 1e-3F);
        assert_same_bits(alone, y + 3 * n, (size_t)n, k->isa);
        memcpy(alone, x, (size_t)n * sizeof *alone);
        k->layer_norm(alone, alone, gamma, beta, 1, n, 1e-3F);
        assert_same_bits(alone, y, (size_t)n, k->isa);
        free(x);
        free(y);
        free(gamma);
        free(beta);
        free(alone);
    }
    float row[384], ones[384], out[384];
    for (int j = 0; j < 384; j++) {
        row[j] = 64.0F + random_float(1.0F);
        ones[j] = 1.0F;
    }
    k->layer_norm(out, row, ones, NULL, 1, 384, 0.0F);
    double squares = 0.0;
    for (int j = 0; j < 384; j++)
        squares += (double)out[j] * (double)out[j];
    assert_true(fabs(squares / 384.0 - 1.0) < 1e-5);
}

static void test_layer_norm(void **state)
{
    (void)state;
    each_level(layer_norm_of_level);
}

static void sums_of_level(const struct kernels *k)
{
    for (size_t c = 0; c < ARRAY_LEN(lengths); c++) {
        const size_t n = (size_t)lengths[c];
        float *const a = random_floats(n, 1.0F), *const b = random_floats(n, 1.0F);
        double want = 0.0, size = 0.0;
        for (size_t i = 0; i < n; i++) {
            want += (double)a[i] * (double)b[i];
            size += fabs((double)a[i] * (double)b[i]);
        }
        assert_true(fabs(k->dot(a, b, n) - want) <= 1e-6 * size);
        assert_true(fabs(k->dot_wide(a, b, n) - want) <= 1e-15 * size);
        const double wide = k->dot_wide(a, b, n), twin_wide = twin()->dot_wide(a, b, n);
        assert_memory_equal(&wide, &twin_wide, sizeof wide);
        float *const y = xmalloc(n * sizeof *y);
        memcpy(y, a, n * sizeof *y);
        k->add(y, b, n);
        k->scale(y, 0.3F, n);
        for (size_t i = 0; i < n; i++)
            assert_true(y[i] == (a[i] + b[i]) * 0.3F);
        free(a);
        free(b);
        free(y);
    }
    float none = 7.0F; /* nothing to do is allowed */
    k->activate(&none, 0, ACT_GELU);
    k->softmax(&none, 0, 5);
    k->add(&none, &none, 0);
    assert_true(k->dot(&none, &none, 0) == 0.0F && none == 7.0F);
}

static void test_sums(void **state)
{
    (void)state;
    each_level(sums_of_level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations), cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_exponential), cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_layer_norm),  cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
