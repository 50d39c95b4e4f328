/* level_avxvnni.c - as level_avx2.c, with the byte dot products of AVX-VNNI (the VEX encoding, of
 * CPUs without AVX-512). */
#include "src/kernels/levels.h"

#define V_DPBUSD_256(acc, a, b) _mm256_dpbusd_avx_epi32(acc, a, b)
#define TILE_ROWS               6
#define TILE_VECS               2
#define BF16_ROWS               4
#include "src/kernels/body.inc"

const struct kernels kernels_avxvnni = {
    .isa = "avxvnni", .features = "avx2+fma+f16c, vnni", .has_i8 = true, KERNEL_ENTRIES};
