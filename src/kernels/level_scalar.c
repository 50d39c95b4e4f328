/* level_scalar.c - the portable level: plain C for any CPU, and the twin that tests compare the
 * others with. */
#include "src/kernels/levels.h"

#define TILE_ROWS 2
#define TILE_VECS 4
#include "src/kernels/body.inc"

const struct kernels kernels_scalar = {.isa = "scalar", .features = "portable C", KERNEL_ENTRIES};
