/* level_avx512_bf16.c - as level_avx512_vnni.c, with the dot products of brain floats. */
#include "src/kernels/levels.h"

#define TILE_ROWS 8
#define TILE_VECS 3
#include "src/kernels/body.inc"

const struct kernels kernels_avx512_bf16 = {.isa = "avx512bf16",
                                            .features = "avx512f+bw+dq+vl, vnni, bf16",
                                            .has_bf16 = true,
                                            .has_i8 = true,
                                            KERNEL_ENTRIES};
