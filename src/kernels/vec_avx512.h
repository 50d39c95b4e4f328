/* vec_avx512.h - vectors of sixteen floats: AVX-512 F, BW, DQ and VL, see vec.h;
 * included by the files of one instruction set. */
#ifndef SEMSEARCH_KERNELS_VEC_AVX512_H
#define SEMSEARCH_KERNELS_VEC_AVX512_H

#include "src/kernels/half.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#ifndef V_INLINE
#define V_INLINE static inline __attribute__((always_inline))
#endif

#define VW                  16
#define FINISH_IN_REGISTERS /* there are 32 */

typedef __m512 vf;

V_INLINE vf v_set1(float x)
{
    return _mm512_set1_ps(x);
}
V_INLINE vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
V_INLINE void v_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}
V_INLINE __mmask16 v_lanes(size_t n) /* the first n, n <= 16 */
{
    return (__mmask16)((1U << n) - 1U);
}
V_INLINE vf v_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(v_lanes(n), p);
}
V_INLINE void v_store_n(float *p, vf v, size_t n)
{
    _mm512_mask_storeu_ps(p, v_lanes(n), v);
}
V_INLINE vf v_keep_n(vf v, size_t n)
{
    return _mm512_maskz_mov_ps(v_lanes(n), v);
}
V_INLINE vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
V_INLINE vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
V_INLINE vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
V_INLINE vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
V_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
V_INLINE vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
V_INLINE vf v_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
V_INLINE vf v_abs(vf a)
{
    return _mm512_abs_ps(a);
}
V_INLINE vf v_copysign(vf magnitude, vf sign)
{
    const __m512i top = _mm512_set1_epi32(INT32_MIN);
    /* bitwise top ? sign : magnitude */
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(top, _mm512_castps_si512(sign),
                                                         _mm512_castps_si512(magnitude), 0xca));
}
V_INLINE vf v_if_less(vf a, vf b, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}
V_INLINE float v_sum(vf a)
{
    return _mm512_reduce_add_ps(a);
}
V_INLINE float v_hmax(vf a)
{
    return _mm512_reduce_max_ps(a);
}
V_INLINE vf v_round(vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
V_INLINE vf v_pick(const float *table, vf shifted)
{
    return _mm512_permutexvar_ps(_mm512_castps_si512(shifted), _mm512_loadu_ps(table));
}
V_INLINE vf v_scale2(vf x, vf n)
{
    return _mm512_scalef_ps(x, n);
}
/* y - floor(y), 0 for infinities; x * 2^floor(n), 0 for n = -inf. */
#define V_HAVE_FRACTION 1
V_INLINE vf v_fraction(vf y)
{
    return _mm512_reduce_ps(y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
V_INLINE vf v_scale2_floor(vf x, vf n)
{
    return _mm512_scalef_ps(x, n);
}
V_INLINE vf v_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
V_INLINE void v_store_f16(uint16_t *p, vf v)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
V_INLINE vf v_load_bf16(const uint16_t *p)
{
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

#ifdef __AVX512BF16__

/* The instruction rounds subnormal numbers to 0. */
V_INLINE __m256i v_bf16(vf v)
{
    return (__m256i)_mm512_cvtneps_pbh(v);
}

#else

/* To nearest even: add just under half of the last place that stays, more if that is odd. NaN
 * becomes quiet instead. */
V_INLINE __m256i v_bf16(vf v)
{
    const __m512i bits = _mm512_castps_si512(v), one = _mm512_set1_epi32(1);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
    const __m512i up = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __m512i rounded = _mm512_mask_or_epi32(up, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), bits,
                                                 _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

#endif

V_INLINE void v_store_bf16(uint16_t *p, vf v)
{
    _mm256_storeu_si256((__m256i *)p, v_bf16(v));
}
V_INLINE void v_store_bf16_n(uint16_t *p, vf v, size_t n)
{
    _mm256_mask_storeu_epi16(p, v_lanes(n), v_bf16(v));
}
V_INLINE void v_store_bf16_pairs(void *p, vf even, vf odd)
{
    const __m512i upper = _mm512_slli_epi32(_mm512_cvtepu16_epi32(v_bf16(odd)), 16);
    _mm512_storeu_si512(p, _mm512_or_si512(_mm512_cvtepu16_epi32(v_bf16(even)), upper));
}

/* Four rounds of interleaving: pairs of floats, pairs of doubles, then 128-bit quarters twice. */
V_INLINE void v_transpose(float *dst, size_t ldd, const float *src, size_t lds, int n)
{
    __m512 a[16], b[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        a[i] = i < n ? _mm512_loadu_ps(src + (size_t)i * lds) : _mm512_setzero_ps();
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
    /* a[4g + c]: column c of every 128-bit quarter, for the four rows of group g */
#pragma GCC unroll 4
    for (int g = 0; g < 16; g += 4)
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            const __m512d lo = _mm512_castps_pd(b[g + h]), hi = _mm512_castps_pd(b[g + h + 2]);
            a[g + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(lo, hi));
            a[g + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(lo, hi));
        }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        const __m512 even01 = _mm512_shuffle_f32x4(a[c], a[4 + c], 0x88);
        const __m512 odd01 = _mm512_shuffle_f32x4(a[c], a[4 + c], 0xdd);
        const __m512 even23 = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0x88);
        const __m512 odd23 = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0xdd);
        float *const to = dst + (size_t)c * ldd;
        _mm512_storeu_ps(to, _mm512_shuffle_f32x4(even01, even23, 0x88));
        _mm512_storeu_ps(to + 4 * ldd, _mm512_shuffle_f32x4(odd01, odd23, 0x88));
        _mm512_storeu_ps(to + 8 * ldd, _mm512_shuffle_f32x4(even01, even23, 0xdd));
        _mm512_storeu_ps(to + 12 * ldd, _mm512_shuffle_f32x4(odd01, odd23, 0xdd));
    }
}

/* Two rounds of interleaved addition leave the four sums side by side in each 128-bit quarter. */
V_INLINE void v_sum4(float out[4], vf a, vf b, vf c, vf d)
{
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const __m512d lo = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    const __m512d hi = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    const __m512 quarters = _mm512_add_ps(_mm512_castpd_ps(lo), _mm512_castpd_ps(hi));
    const __m256 halves =
        _mm256_add_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
    _mm_storeu_ps(out,
                  _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
}

V_INLINE void v_max4(float out[4], vf a, vf b, vf c, vf d)
{
    const __m512 ab = _mm512_max_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const __m512 cd = _mm512_max_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const __m512d lo = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    const __m512d hi = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    const __m512 quarters = _mm512_max_ps(_mm512_castpd_ps(lo), _mm512_castpd_ps(hi));
    const __m256 halves =
        _mm256_max_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
    _mm_storeu_ps(out,
                  _mm_max_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
}

typedef __m512i vi;

V_INLINE vi v_i8_zero(void)
{
    return _mm512_setzero_si512();
}

#ifdef __AVX512VNNI__

/* VNNI multiplies unsigned by signed bytes: b + 128 (its top bit flipped) is unsigned. The form
 * used does not saturate. */
#define I8W       64
#define I8_OFFSET 128

V_INLINE vi v_i8_dot(vi sum, const int8_t *a, const int8_t *b)
{
    const __m512i unsigned_b = _mm512_xor_si512(_mm512_loadu_si512(b), _mm512_set1_epi8(INT8_MIN));
    return _mm512_dpbusd_epi32(sum, unsigned_b, _mm512_loadu_si512(a));
}

#else

/* Bytes are widened to 16 bits; pairs of products are added in 32. */
#define I8W       32
#define I8_OFFSET 0

V_INLINE vi v_i8_dot(vi sum, const int8_t *a, const int8_t *b)
{
    const __m512i wa = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)a));
    const __m512i wb = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)b));
    return _mm512_add_epi32(sum, _mm512_madd_epi16(wa, wb));
}

#endif

V_INLINE void v_i8_sum4(int32_t out[4], vi a, vi b, vi c, vi d)
{
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    const __m512i quarters =
        _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i halves =
        _mm256_add_epi32(_mm512_castsi512_si256(quarters), _mm512_extracti64x4_epi64(quarters, 1));
    _mm_storeu_si128((__m128i *)out, _mm_add_epi32(_mm256_castsi256_si128(halves),
                                                   _mm256_extracti128_si256(halves, 1)));
}

V_INLINE vi v_words(const void *p)
{
    return _mm512_loadu_si512(p);
}
V_INLINE vi v_word1(const void *p)
{
    int32_t w;
    memcpy(&w, p, sizeof w);
    return _mm512_set1_epi32(w);
}
V_INLINE void v_store_words(void *p, vi v)
{
    _mm512_storeu_si512(p, v);
}
V_INLINE vi v_add_words(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
V_INLINE vf v_float(vi v)
{
    return _mm512_cvtepi32_ps(v);
}
V_INLINE vi v_bits(vf v)
{
    return _mm512_castps_si512(v);
}
V_INLINE vf v_of_bits(vi v)
{
    return _mm512_castsi512_ps(v);
}
V_INLINE vi v_max_words(vi a, vi b)
{
    return _mm512_max_epi32(a, b);
}
V_INLINE vi v_max_unsigned(vi a, vi b)
{
    return _mm512_max_epu32(a, b);
}

#ifdef __AVX512BF16__

V_INLINE vf v_bf16_mac(vf acc, vi a, vi b)
{
    return _mm512_dpbf16_ps(acc, (__m512bh)a, (__m512bh)b);
}

#else

V_INLINE vf v_bf16_mac(vf acc, vi a, vi b)
{
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000U);
    acc = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(a, upper)),
                          _mm512_castsi512_ps(_mm512_and_si512(b, upper)), acc);
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(a, 16)),
                           _mm512_castsi512_ps(_mm512_slli_epi32(b, 16)), acc);
}

#endif

#ifdef __AVX512VNNI__

#define I8_WORD 4

V_INLINE vi v_i8_mac(vi acc, vi a, vi b)
{
    return _mm512_dpbusd_epi32(acc, a, b);
}
V_INLINE void v_store_i8(void *row, size_t at, vf v)
{
    const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v));
    _mm_storeu_si128((__m128i *)((char *)row + at), _mm_xor_si128(bytes, _mm_set1_epi8(INT8_MIN)));
}

#else

#define I8_WORD 2

V_INLINE vi v_i8_mac(vi acc, vi a, vi b)
{
    return _mm512_add_epi32(acc, _mm512_madd_epi16(a, b));
}
V_INLINE void v_store_i8(void *row, size_t at, vf v)
{
    _mm256_storeu_si256((__m256i *)((char *)row + 2 * at),
                        _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(v)));
}

#endif

#endif
