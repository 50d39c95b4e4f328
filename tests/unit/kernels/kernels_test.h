/* kernels_test.h - what the tests of the kernels share: the levels of this CPU, and numbers that
 * are the same in every run. */
#ifndef SEMSEARCH_TESTS_KERNELS_TEST_H
#define SEMSEARCH_TESTS_KERNELS_TEST_H

#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* From the worst to the best. */
static const char *const level_names[] = {"scalar",  "neon",   "neondot",    "neonbf16",  "avx2",
                                          "avxvnni", "avx512", "avx512vnni", "avx512bf16"};

#ifdef STAND_IN_AVXVNNI
extern const struct kernels stand_in_avxvnni;
#endif

/* Calls `check` with the table of every level that this CPU has; fails when there is none. */
static inline void each_level(void (*check)(const struct kernels *k))
{
    int n = 0;
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        const struct kernels *const k = kernels_level(level_names[i]);
        if (!k)
            continue;
        n++;
        check(k);
    }
    assert_true(n > 0);
#ifdef STAND_IN_AVXVNNI
    if (!kernels_level("avxvnni") && __builtin_cpu_supports("avx512vnni") &&
        __builtin_cpu_supports("avx512vl"))
        check(&stand_in_avxvnni);
#endif
}

/* The reference twin of every level. */
static inline const struct kernels *twin(void)
{
    return kernels_level("scalar");
}

static inline uint32_t next_random(void)
{
    static uint32_t state = 12345;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* Uniform in [-scale, scale]. */
static inline float random_float(float scale)
{
    return ((float)(next_random() >> 8) / 8388608.0F - 1.0F) * scale;
}

/* Exactly n floats (so that AddressSanitizer sees a step past the end), off the 64-byte grid. */
static inline float *random_floats(size_t n, float scale)
{
    float *const p = xmalloc(n * sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = random_float(scale);
    return p;
}

static inline void *aligned_block(size_t n)
{
    struct err err = {0};
    void *p = NULL;
    assert_int_equal(mem_try(&p, n, "test data", &err), 0);
    return p;
}

/* Bit for bit, so that -0 and NaN count too. */
static inline void assert_same_bits(const float *a, const float *b, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0)
            fail_msg("%s: element %zu is %.9g, not %.9g", what, i, (double)a[i], (double)b[i]);
}

/* |got - want| in the Frobenius norm, relative to |want| (to 0.1 per element where that is more, as
 * a single small number says nothing). */
static inline double relative_error(const float *got, const double *want, size_t n)
{
    double difference = 0.0, norm = 0.01 * (double)n;
    for (size_t i = 0; i < n; i++) {
        difference += (got[i] - want[i]) * (got[i] - want[i]);
        norm += want[i] * want[i];
    }
    return isnan(difference) ? INFINITY : sqrt(difference / norm);
}

#endif
