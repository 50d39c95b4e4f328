/* level_avx2.c - AVX2 with FMA and F16C: 6 rows x 2 vectors of accumulators, 2 vectors of B and a
 * broadcast in 16 registers. Narrow products are emulated and need registers for that. */
#include "src/kernels/levels.h"

#define TILE_ROWS 6
#define TILE_VECS 2
#define BF16_ROWS 4
#define I8_ROWS   4
#include "src/kernels/body.inc"

const struct kernels kernels_avx2 = {.isa = "avx2", .features = "avx2+fma+f16c", KERNEL_ENTRIES};
