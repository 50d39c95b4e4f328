/* vec_neon.h - vectors of four floats: Advanced SIMD of 64-bit ARM, see vec.h; with the dot
 * products of bytes (+dotprod) and of brain floats (+bf16) where the level's flags say so;
 * included by the files of one instruction set. */
#ifndef SEMSEARCH_KERNELS_VEC_NEON_H
#define SEMSEARCH_KERNELS_VEC_NEON_H

#include "src/kernels/half.h"

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef V_INLINE
#define V_INLINE static inline __attribute__((always_inline))
#endif

#define VW 4

typedef float32x4_t vf;
typedef int32x4_t vi;

V_INLINE vf v_set1(float x)
{
    return vdupq_n_f32(x);
}
V_INLINE vf v_load(const float *p)
{
    return vld1q_f32(p);
}
V_INLINE void v_store(float *p, vf v)
{
    vst1q_f32(p, v);
}
V_INLINE uint32x4_t v_lanes(size_t n) /* the first n, n <= 4 */
{
    static const uint32_t index[4] = {0, 1, 2, 3};
    return vcltq_u32(vld1q_u32(index), vdupq_n_u32((uint32_t)n));
}
V_INLINE vf v_load_n(const float *p, size_t n)
{
    float all[4] = {0};
    memcpy(all, p, n * sizeof *p);
    return vld1q_f32(all);
}
V_INLINE void v_store_n(float *p, vf v, size_t n)
{
    float all[4];
    vst1q_f32(all, v);
    memcpy(p, all, n * sizeof *p);
}
V_INLINE vf v_keep_n(vf v, size_t n)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), v_lanes(n)));
}
V_INLINE vf v_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
V_INLINE vf v_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}
V_INLINE vf v_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}
V_INLINE vf v_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}
V_INLINE vf v_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}
V_INLINE vf v_max(vf a, vf b) /* not the instruction, which lets no NaN pass by: see vec.h */
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}
V_INLINE vf v_min(vf a, vf b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}
V_INLINE vf v_abs(vf a)
{
    return vabsq_f32(a);
}
V_INLINE vf v_copysign(vf magnitude, vf sign)
{
    return vbslq_f32(vdupq_n_u32(0x80000000U), sign, magnitude);
}
V_INLINE vf v_if_less(vf a, vf b, vf yes, vf no)
{
    return vbslq_f32(vcltq_f32(a, b), yes, no);
}
V_INLINE float v_sum(vf a)
{
    return vaddvq_f32(a);
}
V_INLINE float v_hmax(vf a)
{
    return vmaxvq_f32(a);
}
V_INLINE vf v_round(vf x)
{
    return vrndnq_f32(x);
}

/* Bytes 4i .. 4i + 3 of the table make up entry i. */
V_INLINE vf v_pick(const float *table, vf shifted)
{
    const uint32x4_t i = vandq_u32(vreinterpretq_u32_f32(shifted), vdupq_n_u32(15));
    const uint32x4_t bytes = vmlaq_n_u32(vdupq_n_u32(0x03020100U), i, 0x04040404U);
    const uint8x16x4_t all = vld1q_u8_x4((const uint8_t *)table);
    return vreinterpretq_f32_u8(vqtbl4q_u8(all, vreinterpretq_u8_u32(bytes)));
}

/* 2^n for integers n in [-126, 127] */
V_INLINE vf v_power2(int32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}
V_INLINE vf v_scale2(vf x, vf n)
{
    const int32x4_t whole = vcvtnq_s32_f32(n), half = vshrq_n_s32(whole, 1);
    return vmulq_f32(vmulq_f32(x, v_power2(half)), v_power2(vsubq_s32(whole, half)));
}
V_INLINE vf v_load_f16(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
V_INLINE void v_store_f16(uint16_t *p, vf v)
{
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
}
V_INLINE vf v_load_bf16(const uint16_t *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}

/* To nearest even: add just under half of the last place that stays, more if that is odd. NaN
 * becomes quiet instead. */
V_INLINE uint32x4_t v_bf16_words(vf v)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(v);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t up = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    return vshrq_n_u32(vbslq_u32(vceqq_f32(v, v), up, quiet), 16);
}
V_INLINE void v_store_bf16(uint16_t *p, vf v)
{
    vst1_u16(p, vmovn_u32(v_bf16_words(v)));
}
V_INLINE void v_store_bf16_n(uint16_t *p, vf v, size_t n)
{
    uint16_t all[4];
    v_store_bf16(all, v);
    memcpy(p, all, n * sizeof *p);
}
V_INLINE void v_store_bf16_pairs(void *p, vf even, vf odd)
{
    const uint32x4_t words = vsliq_n_u32(v_bf16_words(even), v_bf16_words(odd), 16);
    memcpy(p, &words, sizeof words);
}

V_INLINE void v_transpose(float *dst, size_t ldd, const float *src, size_t lds, int n)
{
    const vf zero = vdupq_n_f32(0.0F), r0 = vld1q_f32(src);
    const vf r1 = n > 1 ? vld1q_f32(src + lds) : zero, r2 = n > 2 ? vld1q_f32(src + 2 * lds) : zero;
    const vf r3 = n > 3 ? vld1q_f32(src + 3 * lds) : zero;
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r0, r1));
    const float64x2_t b = vreinterpretq_f64_f32(vtrn2q_f32(r0, r1));
    const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(r2, r3));
    const float64x2_t d = vreinterpretq_f64_f32(vtrn2q_f32(r2, r3));
    vst1q_f32(dst, vreinterpretq_f32_f64(vzip1q_f64(a, c)));
    vst1q_f32(dst + ldd, vreinterpretq_f32_f64(vzip1q_f64(b, d)));
    vst1q_f32(dst + 2 * ldd, vreinterpretq_f32_f64(vzip2q_f64(a, c)));
    vst1q_f32(dst + 3 * ldd, vreinterpretq_f32_f64(vzip2q_f64(b, d)));
}

V_INLINE void v_sum4(float out[4], vf a, vf b, vf c, vf d)
{
    vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}
V_INLINE void v_max4(float out[4], vf a, vf b, vf c, vf d)
{
    vst1q_f32(out, vpmaxq_f32(vpmaxq_f32(a, b), vpmaxq_f32(c, d)));
}

/* acc + the products of sixteen bytes, four to a lane. */
V_INLINE vi v_bytes_mac(vi acc, int8x16_t a, int8x16_t b)
{
#ifdef __ARM_FEATURE_DOTPROD
    return vdotq_s32(acc, a, b);
#else
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(a, b));
    return vaddq_s32(acc, vpaddq_s32(low, high));
#endif
}

#define I8W       16
#define I8_OFFSET 0

V_INLINE vi v_i8_zero(void)
{
    return vdupq_n_s32(0);
}
V_INLINE vi v_i8_dot(vi sum, const int8_t *a, const int8_t *b)
{
    return v_bytes_mac(sum, vld1q_s8(a), vld1q_s8(b));
}
V_INLINE void v_i8_sum4(int32_t out[4], vi a, vi b, vi c, vi d)
{
    vst1q_s32(out, vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)));
}

V_INLINE vi v_words(const void *p)
{
    vi v;
    memcpy(&v, p, sizeof v);
    return v;
}
V_INLINE vi v_word1(const void *p)
{
    int32_t w;
    memcpy(&w, p, sizeof w);
    return vdupq_n_s32(w);
}
V_INLINE void v_store_words(void *p, vi v)
{
    memcpy(p, &v, sizeof v);
}
V_INLINE vi v_add_words(vi a, vi b)
{
    return vaddq_s32(a, b);
}
V_INLINE vf v_float(vi v)
{
    return vcvtq_f32_s32(v);
}
V_INLINE vi v_bits(vf v)
{
    return vreinterpretq_s32_f32(v);
}
V_INLINE vf v_of_bits(vi v)
{
    return vreinterpretq_f32_s32(v);
}
V_INLINE vi v_max_words(vi a, vi b)
{
    return vmaxq_s32(a, b);
}
V_INLINE vi v_max_unsigned(vi a, vi b)
{
    return vreinterpretq_s32_u32(vmaxq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
}
V_INLINE vf v_bf16_mac(vf acc, vi a, vi b)
{
#ifdef __ARM_FEATURE_BF16_VECTOR_ARITHMETIC
    return vbfdotq_f32(acc, vreinterpretq_bf16_s32(a), vreinterpretq_bf16_s32(b));
#else
    const vi upper = vdupq_n_s32((int32_t)0xffff0000U);
    acc = vfmaq_f32(acc, vreinterpretq_f32_s32(vandq_s32(a, upper)),
                    vreinterpretq_f32_s32(vandq_s32(b, upper)));
    return vfmaq_f32(acc, vreinterpretq_f32_s32(vshlq_n_s32(a, 16)),
                     vreinterpretq_f32_s32(vshlq_n_s32(b, 16)));
#endif
}

#define I8_WORD 4

V_INLINE vi v_i8_mac(vi acc, vi a, vi b)
{
    return v_bytes_mac(acc, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b));
}
V_INLINE void v_store_i8(void *row, size_t at, vf v)
{
    const int16x4_t halves = vmovn_s32(vcvtnq_s32_f32(v));
    const int8x8_t bytes = vmovn_s16(vcombine_s16(halves, halves));
    memcpy((char *)row + at, &bytes, 4);
}

#endif
