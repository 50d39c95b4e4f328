/* level_neon_bf16.c - as level_neon_dot.c, with the dot products of brain floats. */
#include "src/kernels/levels.h"

#define TILE_ROWS 8
#define TILE_VECS 3
#include "src/kernels/body.inc"

const struct kernels kernels_neon_bf16 = {.isa = "neonbf16",
                                          .features = "advanced simd, dotprod, bf16",
                                          .has_bf16 = true,
                                          .has_i8 = true,
                                          KERNEL_ENTRIES};
