/* vec_scalar.h - vectors of one float: portable C, see vec.h. No fused multiply-add: without the
 * instruction fmaf() is a slow library call. */
#ifndef SEMSEARCH_KERNELS_VEC_SCALAR_H
#define SEMSEARCH_KERNELS_VEC_SCALAR_H

#include "src/kernels/half.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef V_INLINE
#define V_INLINE static inline __attribute__((always_inline))
#endif

#define VW 1

typedef float vf;

V_INLINE vf v_set1(float x)
{
    return x;
}
V_INLINE vf v_load(const float *p)
{
    return *p;
}
V_INLINE void v_store(float *p, vf v)
{
    *p = v;
}
/* The first n lanes, 0 < n < VW; the others are 0. Never reached with one lane. */
V_INLINE vf v_load_n(const float *p, size_t n)
{
    return n ? *p : 0.0F;
}
V_INLINE void v_store_n(float *p, vf v, size_t n)
{
    if (n)
        *p = v;
}
V_INLINE vf v_keep_n(vf v, size_t n) /* the first n lanes of v, 0 in the others */
{
    return n ? v : 0.0F;
}
V_INLINE vf v_add(vf a, vf b)
{
    return a + b;
}
V_INLINE vf v_sub(vf a, vf b)
{
    return a - b;
}
V_INLINE vf v_mul(vf a, vf b)
{
    return a * b;
}
V_INLINE vf v_div(vf a, vf b)
{
    return a / b;
}
V_INLINE vf v_fma(vf a, vf b, vf c) /* a * b + c */
{
    return a * b + c;
}
V_INLINE vf v_max(vf a, vf b)
{
    return a > b ? a : b;
}
V_INLINE vf v_min(vf a, vf b)
{
    return a < b ? a : b;
}
V_INLINE vf v_abs(vf a)
{
    return fabsf(a);
}
V_INLINE vf v_copysign(vf magnitude, vf sign)
{
    return copysignf(magnitude, sign);
}
V_INLINE vf v_if_less(vf a, vf b, vf yes, vf no) /* a < b ? yes : no */
{
    return a < b ? yes : no;
}
V_INLINE float v_sum(vf a)
{
    return a;
}
V_INLINE float v_hmax(vf a)
{
    return a;
}

/* The nearest integer, for |x| < 2^22: adding and taking away 1.5 * 2^23 rounds to nearest even. */
V_INLINE vf v_round(vf x)
{
    return (x + 12582912.0F) - 12582912.0F;
}

/* table[i] of sixteen, i the last four bits of the representation of `shifted`: a number 0..15 to
 * which 1.5 * 2^23 was added. */
V_INLINE vf v_pick(const float *table, vf shifted)
{
    return table[bits_of_float(shifted) & 15U];
}

/* x * 2^n for integer-valued n in [-250, 128]. Two factors, because 2^128 alone is no float
 * (and 2^-127 no normal one). */
V_INLINE vf v_scale2(vf x, vf n)
{
    const int32_t half = (int32_t)n >> 1, rest = (int32_t)n - half;
    const uint32_t bits[2] = {(uint32_t)(half + 127) << 23, (uint32_t)(rest + 127) << 23};
    float f[2];
    memcpy(f, bits, sizeof f);
    return x * f[0] * f[1];
}

V_INLINE vf v_load_f16(const uint16_t *p)
{
    return f16_value(*p);
}
V_INLINE void v_store_f16(uint16_t *p, vf v)
{
    *p = f16_bits(v);
}
V_INLINE vf v_load_bf16(const uint16_t *p)
{
    return bf16_value(*p);
}

V_INLINE void v_store_bf16(uint16_t *p, vf v)
{
    *p = bf16_bits(v);
}
V_INLINE void v_store_bf16_n(uint16_t *p, vf v, size_t n) /* 0 < n <= VW */
{
    (void)n;
    *p = bf16_bits(v);
}
/* Words of two: even in the lower half. */
V_INLINE void v_store_bf16_pairs(void *p, vf even, vf odd)
{
    const uint32_t pair = bf16_bits(even) | (uint32_t)bf16_bits(odd) << 16;
    memcpy(p, &pair, sizeof pair);
}

/* dst[c * ldd + r] = src[r * lds + c] for r, c < VW; rows from n on are not read and count as 0. */
V_INLINE void v_transpose(float *dst, size_t ldd, const float *src, size_t lds, int n)
{
    (void)ldd;
    (void)lds;
    (void)n;
    *dst = *src;
}

/* Four sums at once. */
V_INLINE void v_sum4(float out[4], vf a, vf b, vf c, vf d)
{
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
}

V_INLINE void v_max4(float out[4], vf a, vf b, vf c, vf d) /* four largest lanes */
{
    v_sum4(out, a, b, c, d);
}

/* Byte products: an accumulator of 32-bit lanes, I8W bytes a step. The sum of v_i8_dot is that of
 * a[i] * (b[i] + I8_OFFSET). */
#define I8W       1
#define I8_OFFSET 0

typedef int32_t vi;

V_INLINE vi v_i8_zero(void)
{
    return 0;
}
V_INLINE vi v_i8_dot(vi sum, const int8_t *a, const int8_t *b)
{
    return sum + *a * *b;
}
V_INLINE void v_i8_sum4(int32_t out[4], vi a, vi b, vi c, vi d)
{
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
}

/* Vectors of words of 4 bytes, and the products of narrow numbers in them: see bf16.inc and
 * int8.inc. */
V_INLINE vi v_words(const void *p)
{
    vi v;
    memcpy(&v, p, sizeof v);
    return v;
}
V_INLINE vi v_word1(const void *p) /* one word in all lanes */
{
    return v_words(p);
}
V_INLINE void v_store_words(void *p, vi v)
{
    memcpy(p, &v, sizeof v);
}
V_INLINE vi v_add_words(vi a, vi b)
{
    return a + b;
}
V_INLINE vf v_float(vi v) /* the values of integers */
{
    return (float)v;
}
V_INLINE vi v_bits(vf v) /* the words that hold floats, and back */
{
    return v_words(&v);
}
V_INLINE vf v_of_bits(vi v)
{
    return float_of_bits((uint32_t)v);
}
V_INLINE vi v_max_words(vi a, vi b)
{
    return a > b ? a : b;
}
V_INLINE vi v_max_unsigned(vi a, vi b)
{
    return (uint32_t)a > (uint32_t)b ? a : b;
}
V_INLINE vf v_bf16_mac(vf acc, vi a, vi b)
{
    acc += float_of_bits((uint32_t)a & 0xffff0000U) * float_of_bits((uint32_t)b & 0xffff0000U);
    return acc + float_of_bits((uint32_t)a << 16) * float_of_bits((uint32_t)b << 16);
}

#define I8_WORD 4 /* integers in a word */

V_INLINE vi v_i8_mac(vi acc, vi a, vi b)
{
    for (int shift = 0; shift < 32; shift += 8)
        acc += (int8_t)((uint32_t)a >> shift) * (int8_t)((uint32_t)b >> shift);
    return acc;
}
/* Elements [at, at + VW) of a row of A: v rounded to even, + I8_OFFSET. */
V_INLINE void v_store_i8(void *row, size_t at, vf v)
{
    ((int8_t *)row)[at] = (int8_t)v_round(v);
}

#endif
