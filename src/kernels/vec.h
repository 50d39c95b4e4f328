/* vec.h - one small vocabulary of float vectors, so that every algorithm is written once.
 *
 * A level of the kernels is one C file compiled with that level's flags; it includes this header
 * and the bodies (*.inc). `vf` holds VW floats: 16 with AVX-512, 8 with AVX2 and FMA, 4 with NEON
 * (a file of such a level is compiled with KERNELS_NEON), 1 otherwise (the scalar level, which the
 * tests use as the reference twin). Everything is static, so no code made for one level can be
 * linked into another.
 *
 * Semantics worth knowing: v_max(a, b) is a > b ? a : b and v_min(a, b) is a < b ? a : b, which is
 * what the x86 instructions do: a NaN in `b` comes through, a NaN in `a` does not.
 */
#ifndef SEMSEARCH_KERNELS_VEC_H
#define SEMSEARCH_KERNELS_VEC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define V_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#include "src/kernels/vec_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "src/kernels/vec_avx2.h"
#elif defined(__ARM_NEON) && defined(KERNELS_NEON)
#include "src/kernels/vec_neon.h"
#else
#include "src/kernels/vec_scalar.h"
#endif

/* How many vectors take each step of a long chain together, and a loop over them. */
#if VW == 1
#define V_GROUP 1
#elif VW == 16
#define V_GROUP 4
#else
#define V_GROUP 2
#endif
#define V_EACH(g) _Pragma("GCC unroll 4") for (size_t g = 0; g < V_GROUP; g++)

#endif
