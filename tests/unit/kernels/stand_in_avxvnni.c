/* stand_in_avxvnni.c - the level avxvnni for CPUs that have its byte dot product only in the EVEX
 * encoding (AVX512-VNNI with VL): the same code but for that one instruction, so that its
 * arithmetic is tested there too. */
#include "src/kernels/levels.h"

#include <immintrin.h>

static inline __attribute__((always_inline)) __m256i dpbusd_evex(__m256i acc, __m256i a, __m256i b)
{
    __asm__("%{evex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b));
    return acc;
}

#define V_DPBUSD_256(acc, a, b) dpbusd_evex(acc, a, b)
#define TILE_ROWS               6
#define TILE_VECS               2
#define BF16_ROWS               4
#include "src/kernels/body.inc"

extern const struct kernels stand_in_avxvnni;
const struct kernels stand_in_avxvnni = {
    .isa = "avxvnni", .features = "stand-in", .has_i8 = true, KERNEL_ENTRIES};
