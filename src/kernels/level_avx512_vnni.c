/* level_avx512_vnni.c - as level_avx512.c, with the byte dot products of VNNI. */
#include "src/kernels/levels.h"

#define TILE_ROWS 8
#define TILE_VECS 3
#define BF16_ROWS 6
#include "src/kernels/body.inc"

const struct kernels kernels_avx512_vnni = {
    .isa = "avx512vnni", .features = "avx512f+bw+dq+vl, vnni", .has_i8 = true, KERNEL_ENTRIES};
