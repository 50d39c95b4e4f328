/* test_kernels_bits.c - table scans over rows of half bytes and products with chosen rows: every
 * level against the definition, which is exact. */
#include "tests/unit/kernels/kernels_test.h"

static uint16_t sum_by_definition(const uint8_t *table, const uint8_t *codes, size_t n_pairs,
                                  size_t row)
{
    const uint8_t *const c = codes + row / 32 * n_pairs * 32 + row % 32;
    unsigned sum = 0;
    for (size_t p = 0; p < n_pairs; p++)
        sum += table[32 * p + (c[32 * p] & 15)] + table[32 * (n_pairs + p) + (c[32 * p] >> 4)];
    return (uint16_t)sum;
}

static void fill_table(uint8_t *table, size_t n_pairs, unsigned most)
{
    for (size_t t = 0; t < 2 * n_pairs; t++)
        for (size_t i = 0; i < 16; i++) {
            const unsigned x = most == 0           ? 0
                               : next_random() % 3 ? next_random() % (most + 1)
                                                   : most;
            table[32 * t + i] = table[32 * t + 16 + i] = (uint8_t)x;
        }
}

/* Sums near 65535 included: what the widening defers must come out right. */
static void nibbles_of_level(const struct kernels *k)
{
    static const size_t pairs[] = {4, 8, 48, 128, 520, 2048};
    for (size_t c = 0; c < ARRAY_LEN(pairs); c++)
        for (size_t n_blocks = 1; n_blocks < 6; n_blocks++) {
            const size_t n = pairs[c];
            const unsigned fits = 65535 / (2 * (unsigned)n);
            uint8_t *const table = xmalloc(64 * n), *const codes = xmalloc(32 * n * n_blocks);
            uint16_t *const out = xmalloc(32 * n_blocks * sizeof *out);
            fill_table(table, n, fits < 63 ? fits : 63);
            for (size_t i = 0; i < 32 * n * n_blocks; i++)
                codes[i] = (uint8_t)next_random();
            k->scan_nibbles(out, table, codes, n_blocks, n);
            for (size_t r = 0; r < 32 * n_blocks; r++)
                assert_int_equal(out[r], sum_by_definition(table, codes, n, r));
            free(table);
            free(codes);
            free(out);
        }
}

static void test_nibbles(void **state)
{
    (void)state;
    each_level(nibbles_of_level);
}

static void floors_of_level(const struct kernels *k)
{
    enum { N = 192 };
    uint16_t *const score = xmalloc(N * sizeof *score);
    uint64_t bits[N / 64];
    static const uint16_t floors[] = {0, 1, 100, 32767, 32768, 40000, 65535};
    for (size_t f = 0; f < ARRAY_LEN(floors); f++) {
        for (int i = 0; i < N; i++)
            score[i] = i % 3 ? (uint16_t)next_random() : (uint16_t)(floors[f] + i % 5 - 2);
        k->at_least_u16(bits, score, N, floors[f]);
        for (int i = 0; i < N; i++)
            assert_int_equal(bits[i / 64] >> i % 64 & 1, score[i] >= floors[f]);
    }
    free(score);
}

static void test_floors(void **state)
{
    (void)state;
    each_level(floors_of_level);
}

static void gather_of_level(const struct kernels *k)
{
    enum { ROWS = 40 };
    static const size_t dims[] = {1, 15, 16, 63, 64, 65, 100, 384, 385, 1024};
    for (size_t c = 0; c < ARRAY_LEN(dims); c++) {
        const size_t d = dims[c];
        int8_t *const a = xmalloc(d), *const rows = xmalloc(ROWS * d);
        uint32_t index[ROWS];
        int32_t want[ROWS], got[ROWS];
        for (size_t i = 0; i < d; i++)
            a[i] = (int8_t)next_random();
        for (size_t i = 0; i < ROWS * d; i++)
            rows[i] = i % 7 ? (int8_t)next_random() : -128;
        for (uint32_t i = 0; i < ROWS; i++)
            index[i] = i * 17 % ROWS;
        k->dot_rows_i8(want, a, rows, ROWS, d);
        for (size_t n = 0; n <= ROWS; n += n < 10 ? 1 : 10) {
            k->dot_gather_i8(got, a, rows, index, n, d);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(got[i], want[index[i]]);
        }
        free(a);
        free(rows);
    }
}

static void test_gather(void **state)
{
    (void)state;
    each_level(gather_of_level);
}

/* The numbers end where their memory does: nothing behind them may be read (sanitizers see it).
 */
static void gather_bits_of_level(const struct kernels *k)
{
    enum { ROWS = 11, WORDS_MAX = 17 };
    static const size_t dims[] = {1, 15, 31, 32, 33, 63, 64, 65, 100, 191, 384, 385, 1024, 1025};
    uint64_t rows[ROWS * WORDS_MAX];
    for (size_t c = 0; c < ARRAY_LEN(dims); c++) {
        const size_t d = dims[c], words = (d + 63) / 64;
        int8_t *const a = xmalloc(d);
        uint32_t index[ROWS];
        int32_t got[ROWS];
        memset(rows, 0, sizeof rows);
        for (size_t i = 0; i < d; i++)
            a[i] = i % 7 ? (int8_t)next_random() : -128;
        for (uint32_t r = 0; r < ROWS; r++) {
            index[r] = r * 7 % ROWS;
            for (size_t i = 0; i < d; i++) /* row 1 has all, row 2 none */
                if (r == 1 || (r != 2 && next_random() & 1))
                    rows[r * words + i / 64] |= (uint64_t)1 << i % 64;
        }
        k->dot_gather_bits(got, a, rows, index, ROWS, d);
        for (size_t r = 0; r < ROWS; r++) {
            int32_t want = 0;
            for (size_t i = 0; i < d; i++)
                want += rows[index[r] * words + i / 64] >> i % 64 & 1 ? a[i] : 0;
            assert_int_equal(got[r], want);
        }
        free(a);
    }
}

static void test_gather_bits(void **state)
{
    (void)state;
    each_level(gather_bits_of_level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nibbles),
        cmocka_unit_test(test_floors),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_gather_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
