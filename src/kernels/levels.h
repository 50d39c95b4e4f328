/* levels.h - the tables that level_*.c define; kernels.c chooses. Which of them exist is decided by
 * the build (KERNELS_X86, KERNELS_ARM). */
#ifndef SEMSEARCH_KERNELS_LEVELS_H
#define SEMSEARCH_KERNELS_LEVELS_H

#include "src/kernels/kernels.h"

extern const struct kernels kernels_scalar;
extern const struct kernels kernels_avx2, kernels_avxvnni;
extern const struct kernels kernels_avx512, kernels_avx512_vnni, kernels_avx512_bf16;
extern const struct kernels kernels_neon, kernels_neon_dot, kernels_neon_bf16;

#endif
