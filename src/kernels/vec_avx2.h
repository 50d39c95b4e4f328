/* vec_avx2.h - vectors of eight floats: AVX2, FMA and F16C, see vec.h;
 * included by the files of one instruction set. */
#ifndef SEMSEARCH_KERNELS_VEC_AVX2_H
#define SEMSEARCH_KERNELS_VEC_AVX2_H

#include "src/kernels/half.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef V_INLINE
#define V_INLINE static inline __attribute__((always_inline))
#endif

#define VW 8

typedef __m256 vf;

V_INLINE vf v_set1(float x)
{
    return _mm256_set1_ps(x);
}
V_INLINE vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
V_INLINE void v_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}
V_INLINE __m256i v_lanes(size_t n) /* the first n, n <= 8 */
{
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), index);
}
V_INLINE vf v_load_n(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, v_lanes(n));
}
V_INLINE void v_store_n(float *p, vf v, size_t n)
{
    _mm256_maskstore_ps(p, v_lanes(n), v);
}
V_INLINE vf v_keep_n(vf v, size_t n)
{
    return _mm256_and_ps(v, _mm256_castsi256_ps(v_lanes(n)));
}
V_INLINE vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
V_INLINE vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
V_INLINE vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
V_INLINE vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
V_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
V_INLINE vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
V_INLINE vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
V_INLINE vf v_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a);
}
V_INLINE vf v_copysign(vf magnitude, vf sign)
{
    const __m256 top = _mm256_set1_ps(-0.0F);
    return _mm256_or_ps(_mm256_andnot_ps(top, magnitude), _mm256_and_ps(top, sign));
}
V_INLINE vf v_if_less(vf a, vf b, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
V_INLINE float v_sum(vf a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
V_INLINE float v_hmax(vf a)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
V_INLINE vf v_round(vf x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

V_INLINE vf v_pick(const float *table, vf shifted)
{
    const __m256i i = _mm256_castps_si256(shifted); /* bit 3 chooses the half: moved to the sign */
    const vf low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i);
    const vf high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), i);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));
}

/* 2^n for integers n in [-126, 127] */
V_INLINE vf v_power2(__m256i n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
V_INLINE vf v_scale2(vf x, vf n)
{
    const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return _mm256_mul_ps(_mm256_mul_ps(x, v_power2(half)), v_power2(_mm256_sub_epi32(whole, half)));
}
V_INLINE vf v_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}
V_INLINE void v_store_f16(uint16_t *p, vf v)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
V_INLINE vf v_load_bf16(const uint16_t *p)
{
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

/* To nearest even: add just under half of the last place that stays, more if that is odd. NaN
 * becomes quiet instead. */
V_INLINE __m256i v_bf16_words(vf v)
{
    const __m256i bits = _mm256_castps_si256(v), one = _mm256_set1_epi32(1);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), one);
    const __m256i up = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256 is_nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
    return _mm256_srli_epi32(_mm256_castps_si256(_mm256_blendv_ps(
                                 _mm256_castsi256_ps(up), _mm256_castsi256_ps(quiet), is_nan)),
                             16);
}
V_INLINE void v_store_bf16(uint16_t *p, vf v)
{
    const __m256i words = v_bf16_words(v);
    _mm_storeu_si128((__m128i *)p, _mm_packus_epi32(_mm256_castsi256_si128(words),
                                                    _mm256_extracti128_si256(words, 1)));
}
V_INLINE void v_store_bf16_n(uint16_t *p, vf v, size_t n)
{
    uint16_t all[8];
    v_store_bf16(all, v);
    memcpy(p, all, n * sizeof *p);
}
V_INLINE void v_store_bf16_pairs(void *p, vf even, vf odd)
{
    const __m256i upper = _mm256_slli_epi32(v_bf16_words(odd), 16);
    _mm256_storeu_si256((__m256i *)p, _mm256_or_si256(v_bf16_words(even), upper));
}

/* Three rounds of interleaving: pairs of floats, pairs of doubles, then 128-bit halves. */
V_INLINE void v_transpose(float *dst, size_t ldd, const float *src, size_t lds, int n)
{
    __m256 a[8], b[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        a[i] = i < n ? _mm256_loadu_ps(src + (size_t)i * lds) : _mm256_setzero_ps();
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
#pragma GCC unroll 2
    for (int g = 0; g < 8; g += 4)
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            const __m256d lo = _mm256_castps_pd(b[g + h]), hi = _mm256_castps_pd(b[g + h + 2]);
            a[g + 2 * h] = _mm256_castpd_ps(_mm256_unpacklo_pd(lo, hi));
            a[g + 2 * h + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(lo, hi));
        }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        float *const to = dst + (size_t)c * ldd;
        _mm256_storeu_ps(to, _mm256_permute2f128_ps(a[c], a[4 + c], 0x20));
        _mm256_storeu_ps(to + 4 * ldd, _mm256_permute2f128_ps(a[c], a[4 + c], 0x31));
    }
}

V_INLINE void v_sum4(float out[4], vf a, vf b, vf c, vf d)
{
    const __m256 quarters = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(out,
                  _mm_add_ps(_mm256_castps256_ps128(quarters), _mm256_extractf128_ps(quarters, 1)));
}

V_INLINE void v_max4(float out[4], vf a, vf b, vf c, vf d)
{
    const __m256 ab = _mm256_max_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const __m256 cd = _mm256_max_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    const __m256d lo = _mm256_unpacklo_pd(_mm256_castps_pd(ab), _mm256_castps_pd(cd));
    const __m256d hi = _mm256_unpackhi_pd(_mm256_castps_pd(ab), _mm256_castps_pd(cd));
    const __m256 halves = _mm256_max_ps(_mm256_castpd_ps(lo), _mm256_castpd_ps(hi));
    _mm_storeu_ps(out,
                  _mm_max_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
}

typedef __m256i vi;

V_INLINE vi v_i8_zero(void)
{
    return _mm256_setzero_si256();
}

#ifdef V_DPBUSD_256

/* VNNI multiplies unsigned by signed bytes: b + 128 (its top bit flipped) is unsigned. The form
 * used does not saturate. */
#define I8W       32
#define I8_OFFSET 128

V_INLINE vi v_i8_dot(vi sum, const int8_t *a, const int8_t *b)
{
    const __m256i unsigned_b =
        _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)b), _mm256_set1_epi8(INT8_MIN));
    return V_DPBUSD_256(sum, unsigned_b, _mm256_loadu_si256((const __m256i *)a));
}

#else

/* Bytes are widened to 16 bits; pairs of products are added in 32. */
#define I8W       16
#define I8_OFFSET 0

V_INLINE vi v_i8_dot(vi sum, const int8_t *a, const int8_t *b)
{
    const __m256i wa = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)a));
    const __m256i wb = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)b));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(wa, wb));
}

#endif

V_INLINE void v_i8_sum4(int32_t out[4], vi a, vi b, vi c, vi d)
{
    const __m256i quarters = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    _mm_storeu_si128((__m128i *)out, _mm_add_epi32(_mm256_castsi256_si128(quarters),
                                                   _mm256_extracti128_si256(quarters, 1)));
}

V_INLINE vi v_words(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}
V_INLINE vi v_word1(const void *p)
{
    int32_t w;
    memcpy(&w, p, sizeof w);
    return _mm256_set1_epi32(w);
}
V_INLINE void v_store_words(void *p, vi v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}
V_INLINE vi v_add_words(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}
V_INLINE vf v_float(vi v)
{
    return _mm256_cvtepi32_ps(v);
}
V_INLINE vi v_bits(vf v)
{
    return _mm256_castps_si256(v);
}
V_INLINE vf v_of_bits(vi v)
{
    return _mm256_castsi256_ps(v);
}
V_INLINE vi v_max_words(vi a, vi b)
{
    return _mm256_max_epi32(a, b);
}
V_INLINE vi v_max_unsigned(vi a, vi b)
{
    return _mm256_max_epu32(a, b);
}
V_INLINE vf v_bf16_mac(vf acc, vi a, vi b)
{
    const __m256i upper = _mm256_set1_epi32((int)0xffff0000U);
    acc = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(a, upper)),
                          _mm256_castsi256_ps(_mm256_and_si256(b, upper)), acc);
    return _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)),
                           _mm256_castsi256_ps(_mm256_slli_epi32(b, 16)), acc);
}

#ifdef V_DPBUSD_256 /* VNNI on 256 bits, in whichever encoding the level's file names */

#define I8_WORD 4

V_INLINE vi v_i8_mac(vi acc, vi a, vi b)
{
    return V_DPBUSD_256(acc, a, b);
}
V_INLINE void v_store_i8(void *row, size_t at, vf v)
{
    const __m256i words = _mm256_cvtps_epi32(v);
    const __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    const __m128i bytes = _mm_packs_epi16(halves, halves);
    _mm_storel_epi64((__m128i *)((char *)row + at), _mm_xor_si128(bytes, _mm_set1_epi8(INT8_MIN)));
}

#else

#define I8_WORD 2

V_INLINE vi v_i8_mac(vi acc, vi a, vi b)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
}
V_INLINE void v_store_i8(void *row, size_t at, vf v)
{
    const __m256i words = _mm256_cvtps_epi32(v);
    _mm_storeu_si128(
        (__m128i *)((char *)row + 2 * at),
        _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

#endif

#endif
