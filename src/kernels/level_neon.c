/* level_neon.c - Advanced SIMD, the baseline of 64-bit ARM: 8 rows x 3 vectors of accumulators, 3
 * vectors of B and a broadcast in 32 registers. Narrow products are emulated and need registers for
 * that. */
#include "src/kernels/levels.h"

#define TILE_ROWS 8
#define TILE_VECS 3
#define BF16_ROWS 6
#define I8_ROWS   6
#include "src/kernels/body.inc"

const struct kernels kernels_neon = {.isa = "neon", .features = "advanced simd", KERNEL_ENTRIES};
