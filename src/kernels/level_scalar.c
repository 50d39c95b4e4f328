/* level_scalar.c - the portable level: plain C for any CPU, and the twin that tests compare the
 * others with. On aarch64, whose baseline includes Advanced SIMD, the same body as the compiler
 * vectorises it is the level "neon". */
#include "src/kernels/levels.h"

#define TILE_ROWS 2
#define TILE_VECS 4
#include "src/kernels/body.inc"

#ifdef __aarch64__
#define SCALAR_NAME "neon"
#else
#define SCALAR_NAME "scalar"
#endif

const struct kernels kernels_scalar = {
    .isa = SCALAR_NAME, .features = "portable C", KERNEL_ENTRIES};
