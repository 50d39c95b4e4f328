/* test_kernels_scan.c - half and brain floats over all their values, and the scans of vector
 * search. */
#include "tests/unit/kernels/kernels_test.h"

enum { ALL = 65536 };

/* The value of an f16 by its definition. */
static double f16_by_definition(uint16_t h)
{
    const int exponent = h >> 10 & 31, mantissa = h & 1023;
    const double magnitude = exponent == 0    ? ldexp(mantissa, -24)
                             : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                              : ldexp(1024 + mantissa, exponent - 25);
    return h & 0x8000 ? -magnitude : magnitude;
}

static void f16_of_level(const struct kernels *k)
{
    uint16_t *const h = xmalloc(ALL * sizeof *h), *const back = xmalloc(ALL * sizeof *back);
    float *const f = xmalloc(ALL * sizeof *f), *const g = xmalloc(ALL * sizeof *g);
    for (int i = 0; i < ALL; i++)
        h[i] = (uint16_t)i;
    k->f16_to_f32(f, h, ALL);
    twin()->f16_to_f32(g, h, ALL);
    assert_same_bits(f, g, ALL, k->isa);
    k->f32_to_f16(back, f, ALL);
    for (int i = 0; i < ALL; i++) {
        const double want = f16_by_definition(h[i]);
        if (isnan(want)) { /* comes back as the same NaN, made quiet */
            assert_true(isnan(f[i]));
            assert_int_equal(back[i], h[i] | 0x200);
        } else {
            assert_true(f[i] == want && !signbit(f[i]) == !(h[i] >> 15));
            assert_int_equal(back[i], h[i]);
        }
    }
    free(h);
    free(back);
    free(f);
    free(g);
}

static void test_f16(void **state)
{
    (void)state;
    each_level(f16_of_level);
}

/* Rounding: every midpoint between neighbours, and the floats just below and above it. */
static void f16_rounding_of_level(const struct kernels *k)
{
    for (int i = 0; i < 0x7c00; i++) {
        const double low = f16_by_definition((uint16_t)i);
        const double high = i == 0x7bff ? 65536.0 : f16_by_definition((uint16_t)(i + 1));
        const float middle = (float)((low + high) / 2.0);
        /* 17 values, so that both the vectors and the software tail see them */
        float f[17];
        uint16_t h[17];
        for (int j = 0; j < 17; j++)
            f[j] = j % 3 == 0   ? middle
                   : j % 3 == 1 ? nextafterf(middle, 0.0F)
                                : -nextafterf(middle, INFINITY);
        k->f32_to_f16(h, f, 17);
        for (int j = 0; j < 17; j++) {
            const int want = j % 3 == 0 ? i + (i & 1) : j % 3 == 1 ? i : (i + 1) | 0x8000;
            if (h[j] != want)
                fail_msg("%s: %.9g becomes %04x, not %04x", k->isa, (double)f[j], h[j], want);
        }
    }
}

static void test_f16_rounding(void **state)
{
    (void)state;
    each_level(f16_rounding_of_level);
}

/* Arbitrary floats, NaN payloads among them: bit for bit the scalar twin's. */
static void f16_random_of_level(const struct kernels *k)
{
    enum { N = 100003 };
    float *const f = xmalloc(N * sizeof *f);
    uint16_t *const got = xmalloc(N * sizeof *got), *const want = xmalloc(N * sizeof *want);
    for (int i = 0; i < N; i++) {
        const uint32_t bits = next_random();
        memcpy(f + i, &bits, sizeof bits);
    }
    k->f32_to_f16(got, f, N);
    twin()->f32_to_f16(want, f, N);
    assert_memory_equal(got, want, N * sizeof *got);
    free(f);
    free(got);
    free(want);
}

static void test_f16_random(void **state)
{
    (void)state;
    each_level(f16_random_of_level);
}

static void bf16_of_level(const struct kernels *k)
{
    uint16_t *const h = xmalloc(ALL * sizeof *h);
    float *const f = xmalloc(ALL * sizeof *f);
    for (int i = 0; i < ALL; i++)
        h[i] = (uint16_t)i;
    k->bf16_to_f32(f, h, ALL - 1); /* an odd number */
    for (int i = 0; i < ALL - 1; i++) {
        uint32_t bits;
        memcpy(&bits, f + i, sizeof bits);
        assert_int_equal(bits, (uint32_t)i << 16);
    }
    free(h);
    free(f);
}

static void test_bf16(void **state)
{
    (void)state;
    each_level(bf16_of_level);
}

static const size_t dims[] = {1, 3, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 384, 385, 1024};

static void float_scans_of_level(const struct kernels *k)
{
    enum { ROWS = 7 };
    for (size_t c = 0; c < ARRAY_LEN(dims); c++) {
        const size_t d = dims[c];
        float *const a = random_floats(d, 1.0F), *const rows = random_floats(ROWS * d, 1.0F);
        uint16_t *const half = xmalloc(ROWS * d * sizeof *half);
        float *const widened = xmalloc(ROWS * d * sizeof *widened);
        float out[ROWS], out_half[ROWS];
        k->f32_to_f16(half, rows, ROWS * d);
        k->f16_to_f32(widened, half, ROWS * d);
        k->dot_rows_f32(out, a, rows, ROWS, d);
        k->dot_rows_f16(out_half, a, half, ROWS, d);
        for (int i = 0; i < ROWS; i++) {
            double want = 0.0, want_half = 0.0;
            for (size_t j = 0; j < d; j++) {
                want += (double)a[j] * (double)rows[i * d + j];
                want_half += (double)a[j] * (double)widened[i * d + j];
            }
            assert_true(fabs(out[i] - want) <= 1e-6 * (double)d);
            assert_true(fabs(out_half[i] - want_half) <= 1e-6 * (double)d);
            float one;
            k->dot_rows_f16(&one, a, half + i * d, 1, d);
            assert_same_bits(&one, out_half + i, 1, k->isa);
            k->dot_rows_f32(&one, a, rows + i * d, 1, d);
            assert_same_bits(&one, out + i, 1, k->isa);
        }
        free(a);
        free(rows);
        free(half);
        free(widened);
    }
}

static void test_float_scans(void **state)
{
    (void)state;
    each_level(float_scans_of_level);
}

/* Exact, the extremes -128 . -128 included: no saturation anywhere. */
static void byte_scans_of_level(const struct kernels *k)
{
    enum { ROWS = 5 };
    for (size_t c = 0; c < ARRAY_LEN(dims); c++)
        for (int extreme = 0; extreme < 4; extreme++) {
            const size_t d = dims[c];
            int8_t *const a = xmalloc(d), *const rows = xmalloc(ROWS * d);
            for (size_t j = 0; j < d; j++)
                a[j] = extreme & 1 ? -128 : (int8_t)next_random();
            for (size_t j = 0; j < ROWS * d; j++)
                rows[j] = extreme == 1 ? -128 : extreme == 3 ? 127 : (int8_t)next_random();
            int32_t out[ROWS];
            k->dot_rows_i8(out, a, rows, ROWS, d);
            for (int i = 0; i < ROWS; i++) {
                int32_t want = 0;
                for (size_t j = 0; j < d; j++)
                    want += a[j] * rows[i * d + j];
                assert_int_equal(out[i], want);
            }
            free(a);
            free(rows);
        }
}

static void test_byte_scans(void **state)
{
    (void)state;
    each_level(byte_scans_of_level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16),         cmocka_unit_test(test_f16_rounding),
        cmocka_unit_test(test_f16_random),  cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_float_scans), cmocka_unit_test(test_byte_scans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
