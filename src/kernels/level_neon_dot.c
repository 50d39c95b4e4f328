/* level_neon_dot.c - as level_neon.c, with the dot products of bytes (dotprod). */
#include "src/kernels/levels.h"

#define TILE_ROWS 8
#define TILE_VECS 3
#define BF16_ROWS 6
#include "src/kernels/body.inc"

const struct kernels kernels_neon_dot = {
    .isa = "neondot", .features = "advanced simd, dotprod", .has_i8 = true, KERNEL_ENTRIES};
