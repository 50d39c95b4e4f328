/* half.h - half and brain floats in software: for the scalar level, and for the tails of the
 * others. Agrees with the hardware bit for bit, NaN payloads included (a signalling NaN becomes
 * quiet).
 *
 * f16 is 1 sign, 5 exponent (bias 15) and 10 mantissa bits; bf16 is the upper half of an f32.
 */
#ifndef SEMSEARCH_KERNELS_HALF_H
#define SEMSEARCH_KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

static inline float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t bits_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float f16_value(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000U) << 16;
    const uint32_t exponent = (h >> 10) & 31U, mantissa = h & 1023U;
    if (exponent == 0) /* zero or subnormal: mantissa * 2^-24 is exact in f32 */
        return float_of_bits(sign | bits_of_float((float)mantissa * 0x1p-24F));
    if (exponent == 31)
        return float_of_bits(sign | 0x7f800000U | mantissa << 13 | (mantissa ? 0x00400000U : 0));
    return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

/* Rounds to nearest, ties to even; from 65520 on inf. */
static inline uint16_t f16_bits(float f)
{
    const uint32_t bits = bits_of_float(f);
    const uint32_t sign = bits >> 16 & 0x8000U, a = bits & 0x7fffffffU;
    if (a > 0x7f800000U)
        return (uint16_t)(sign | 0x7e00U | (a >> 13 & 0x3ffU));
    if (a >= 0x477ff000U)
        return (uint16_t)(sign | 0x7c00U);
    if (a < 0x38800000U) /* below 2^-14: adding 1/2 rounds to a multiple of 2^-24, which is then
                            the lowest bits of the sum */
        return (uint16_t)(sign | (bits_of_float(float_of_bits(a) + 0.5F) - 0x3f000000U));
    const uint32_t odd = a >> 13 & 1U;
    return (uint16_t)(sign | (a - 0x38000000U + 0xfffU + odd) >> 13);
}

static inline float bf16_value(uint16_t h)
{
    return float_of_bits((uint32_t)h << 16);
}

/* Rounds to nearest, ties to even; a NaN becomes quiet. */
static inline uint16_t bf16_bits(float f)
{
    const uint32_t bits = bits_of_float(f);
    if ((bits & 0x7fffffffU) > 0x7f800000U)
        return (uint16_t)(bits >> 16 | 0x40U);
    return (uint16_t)((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

#endif
