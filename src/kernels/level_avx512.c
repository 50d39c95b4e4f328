/* level_avx512.c - AVX-512 F, BW, DQ, VL: 8 rows x 3 vectors of accumulators, 3 vectors of B and a
 * broadcast in 32 registers. Narrow products are emulated and need registers for that. */
#include "src/kernels/levels.h"

#define TILE_ROWS 8
#define TILE_VECS 3
#define BF16_ROWS 6
#include "src/kernels/body.inc"

const struct kernels kernels_avx512 = {
    .isa = "avx512", .features = "avx512f+bw+dq+vl", KERNEL_ENTRIES};
