/* bits.h - vectors of VW 32-bit words, for dropout's generator; beside vec.h. */
#ifndef SEMSEARCH_KERNELS_BITS_H
#define SEMSEARCH_KERNELS_BITS_H

#include "src/kernels/vec.h"

/* u_multiply: *high, *low = the two halves of a * c in each lane.
 * u_below: yes where a < limit, else no; without sign. */
#if VW == 16

typedef __m512i vu;

V_INLINE vu u_set1(uint32_t x)
{
    return _mm512_set1_epi32((int)x);
}
V_INLINE vu u_count(uint32_t from) /* from, from + 1, ... */
{
    return _mm512_add_epi32(
        u_set1(from), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}
V_INLINE vu u_xor3(vu a, vu b, vu c)
{
    return _mm512_ternarylogic_epi32(a, b, c, 0x96);
}
V_INLINE void u_multiply(vu a, uint32_t c, vu *high, vu *low)
{
    const __m512i by = _mm512_set1_epi64((long long)c);
    const __m512i even = _mm512_mul_epu32(a, by);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), by);
    *high = _mm512_mask_mov_epi32(_mm512_srli_epi64(even, 32), 0xaaaa, odd);
    *low = _mm512_mask_mov_epi32(even, 0xaaaa, _mm512_slli_epi64(odd, 32));
}
V_INLINE vf u_below(vu a, uint32_t limit, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmplt_epu32_mask(a, u_set1(limit)), no, yes);
}

#elif VW == 8

typedef __m256i vu;

V_INLINE vu u_set1(uint32_t x)
{
    return _mm256_set1_epi32((int)x);
}
V_INLINE vu u_count(uint32_t from)
{
    return _mm256_add_epi32(u_set1(from), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
V_INLINE vu u_xor3(vu a, vu b, vu c)
{
    return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
}
V_INLINE void u_multiply(vu a, uint32_t c, vu *high, vu *low)
{
    const __m256i by = _mm256_set1_epi64x((long long)c);
    const __m256i even = _mm256_mul_epu32(a, by);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), by);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}
V_INLINE vf u_below(vu a, uint32_t limit, vf yes, vf no)
{
    const __m256i top = _mm256_set1_epi32(INT32_MIN);
    const __m256i less =
        _mm256_cmpgt_epi32(_mm256_xor_si256(u_set1(limit), top), _mm256_xor_si256(a, top));
    return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(less));
}

#elif VW == 4

typedef uint32x4_t vu;

V_INLINE vu u_set1(uint32_t x)
{
    return vdupq_n_u32(x);
}
V_INLINE vu u_count(uint32_t from)
{
    static const uint32_t index[4] = {0, 1, 2, 3};
    return vaddq_u32(vld1q_u32(index), vdupq_n_u32(from));
}
V_INLINE vu u_xor3(vu a, vu b, vu c)
{
    return veorq_u32(veorq_u32(a, b), c);
}
V_INLINE void u_multiply(vu a, uint32_t c, vu *high, vu *low)
{
    const uint64x2_t first = vmull_n_u32(vget_low_u32(a), c);
    const uint64x2_t second = vmull_n_u32(vget_high_u32(a), c);
    *low = vuzp1q_u32(vreinterpretq_u32_u64(first), vreinterpretq_u32_u64(second));
    *high = vuzp2q_u32(vreinterpretq_u32_u64(first), vreinterpretq_u32_u64(second));
}
V_INLINE vf u_below(vu a, uint32_t limit, vf yes, vf no)
{
    return vbslq_f32(vcltq_u32(a, u_set1(limit)), yes, no);
}

#elif VW == 4

typedef uint32x4_t vu;

V_INLINE vu u_set1(uint32_t x)
{
    return vdupq_n_u32(x);
}
V_INLINE vu u_count(uint32_t from)
{
    static const uint32_t lane[4] = {0, 1, 2, 3};
    return vaddq_u32(u_set1(from), vld1q_u32(lane));
}
V_INLINE vu u_xor3(vu a, vu b, vu c)
{
    return veorq_u32(veorq_u32(a, b), c);
}
V_INLINE void u_multiply(vu a, uint32_t c, vu *high, vu *low)
{
    const uint32x2_t by = vdup_n_u32(c);
    const uint32x4_t lo = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), by));
    const uint32x4_t hi = vreinterpretq_u32_u64(vmull_u32(vget_high_u32(a), by));
    *low = vuzp1q_u32(lo, hi);
    *high = vuzp2q_u32(lo, hi);
}
V_INLINE vf u_below(vu a, uint32_t limit, vf yes, vf no)
{
    return vbslq_f32(vcltq_u32(a, u_set1(limit)), yes, no);
}

#else

typedef uint32_t vu;

V_INLINE vu u_set1(uint32_t x)
{
    return x;
}
V_INLINE vu u_count(uint32_t from)
{
    return from;
}
V_INLINE vu u_xor3(vu a, vu b, vu c)
{
    return a ^ b ^ c;
}
V_INLINE void u_multiply(vu a, uint32_t c, vu *high, vu *low)
{
    const uint64_t product = (uint64_t)a * c;
    *high = (uint32_t)(product >> 32);
    *low = (uint32_t)product;
}
V_INLINE vf u_below(vu a, uint32_t limit, vf yes, vf no)
{
    return a < limit ? yes : no;
}

#endif

#endif
