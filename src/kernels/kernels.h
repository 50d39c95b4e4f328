/* kernels.h - arithmetic on this CPU: one table of functions, filled once at start from CPUID.
 *
 * Everything is plain pointers, shapes and leading dimensions: no models, no documents, no
 * allocation, no threads. Rules that every entry keeps on every ISA:
 *  - a row of a result depends only on its own inputs, never on how many rows are processed
 * together, on where a tile ends or on how columns are split between threads: the same numbers, bit
 * for bit (for one ISA);
 *  - no -ffast-math; FMA contraction is allowed here and nowhere else;
 *  - the scalar level is the reference twin that tests compare with;
 *  - pointers need no alignment unless said; `ld*` are row strides in elements.
 * SEMSEARCH_ISA=scalar|avx2|avx512|avx512vnni|neon forces a level (one that this CPU lacks is an
 * error of kernels_init).
 */
#ifndef SEMSEARCH_KERNELS_KERNELS_H
#define SEMSEARCH_KERNELS_KERNELS_H

#include "src/base/err.h"

#include <stddef.h>
#include <stdint.h>

enum activation { ACT_NONE, ACT_GELU, ACT_GELU_TANH, ACT_RELU, ACT_SILU, ACT_TANH };

/* Weights [n_out, k] repacked once at load into panels of `kern.gemm_panel` output columns
 * ([panel][k][gemm_panel], the tail padded with zeros), so that the micro-kernel streams them.
 * `data` is 64-byte aligned, gemm_packed_floats() long. */
struct packed_f32 {
    int n_out, k;
    const float *data;
};

/* C[m, n0..n1) = act(A[m,k] * W^T + bias) + residual. bias [n_out] or NULL; residual [m, n_out] or
 * NULL (may be C itself). Columns are absolute: element (i, j) is c[i*ldc + j], residual[i*ld_res +
 * j], bias[j]. */
struct gemm_f32 {
    const float *a;
    int lda, m;
    const struct packed_f32 *w;
    const float *bias;
    const float *residual;
    int ld_res;
    enum activation act;
    float *c;
    int ldc;
};

/* Attention of one head of one sequence: out[i] = softmax(scale * q[i].k[j] over j in the window) *
 * v, rows i in [row0, row1). q, k, v: [n, head_dim] with their strides; window < 0: all keys, else
 * |i - j| <= window. `scratch` has attention_scratch_floats(n, head_dim) floats. If probs is not
 * NULL, row i of it ([n, n]) receives the weights. scale > 0; n >= 1; out must not overlap the
 * inputs. Vaswani et al. 2017, equation 1. */
struct attention_f32 {
    const float *q, *k, *v;
    int ld_qkv;
    int n, head_dim, row0, row1, window;
    float scale;
    float *out;
    int ld_out;
    float *probs;
    float *scratch;
};

struct kernels {
    const char *isa;      /* "scalar", "avx2", "avx512", "avx512vnni", "neon" */
    const char *features; /* for people: "avx512f+bw+dq+vl, vnni" */
    int gemm_panel;       /* columns of a panel, 48 on avx512 */

    size_t (*gemm_packed_floats)(int n_out, int k);
    void (*gemm_pack)(float *dst, const float *w, int ldw, int n_out, int k); /* w: [n_out, k] */
    void (*gemm)(const struct gemm_f32 *g, int n0,
                 int n1); /* n0, n1: multiples of gemm_panel, or n1 == n_out */

    size_t (*attention_scratch_floats)(int n, int head_dim);
    void (*attention)(const struct attention_f32 *a);

    /* y[m,n] = (x - mean) / sqrt(var + eps) * gamma + beta, per row, biased variance, two passes;
     * beta may be NULL; y may be x. */
    void (*layer_norm)(float *y, const float *x, const float *gamma, const float *beta, int m,
                       int n, float eps);
    void (*activate)(float *x, size_t n, enum activation act); /* in place */
    void (*add)(float *y, const float *x, size_t n);           /* y += x */
    void (*scale)(float *y, float a, size_t n);                /* y *= a */
    void (*softmax)(float *x, int m, int n);                   /* rows, in place */
    float (*dot)(const float *a, const float *b, size_t n);
    double (*dot_wide)(const float *a, const float *b, size_t n); /* sums in double: norms, tests */

    void (*f16_to_f32)(float *dst, const uint16_t *src, size_t n);
    void (*f32_to_f16)(uint16_t *dst, const float *src, size_t n); /* round to nearest even */
    void (*bf16_to_f32)(float *dst, const uint16_t *src, size_t n);

    /* Scans of vector search: out[i] = a . row i, rows packed without gaps. The one of bytes is
     * exact for dim <= 32768. */
    void (*dot_rows_f32)(float *out, const float *a, const float *rows, size_t n_rows, size_t dim);
    void (*dot_rows_f16)(float *out, const float *a, const uint16_t *rows, size_t n_rows,
                         size_t dim);
    void (*dot_rows_i8)(int32_t *out, const int8_t *a, const int8_t *rows, size_t n_rows,
                        size_t dim);
};

/* The table of this process. Valid after kernels_init(), which is called once before threads start;
 * calling it again is harmless. */
extern struct kernels kern;
int kernels_init(struct err *err) WARN_UNUSED;

/* For tests: the table of one level, or NULL when this CPU or build has none. */
const struct kernels *kernels_level(const char *isa);

#endif
