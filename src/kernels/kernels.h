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
 * SEMSEARCH_ISA=scalar|avx2|avxvnni|avx512|avx512vnni|avx512bf16|neon|neondot|neonbf16 forces a
 * level (one that this CPU lacks is an error of kernels_init).
 */
#ifndef SEMSEARCH_KERNELS_KERNELS_H
#define SEMSEARCH_KERNELS_KERNELS_H

#include "src/base/err.h"
#include "src/kernels/activation.h"
#include "src/kernels/train.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* The same product over narrow numbers. The weights are one block of gemm_*_packed_bytes(), 64-byte
 * aligned and free of pointers (it may be written to a file and mapped again, for the same level):
 * panels as above whose element is a word of 4 bytes, holding two bf16 or four (where the level
 * lacks VNNI: two) small integers of neighbouring k. The block of int8 also has a scale and a sum
 * per output column: w[j][p] ~ scale[j] * q[j][p], scale[j] = max |w[j]| / 127. */
struct packed_bf16 {
    int n_out, k;
    const void *data;
};
struct packed_i8 {
    int n_out, k; /* k <= 65536, so that sums stay in 31 bits */
    const void *data;
};

/* C = act(A W^T + bias) + residual with A from rows_to_bf16, everything else as in gemm_f32: sums,
 * bias, residual and the result are fp32. */
struct gemm_bf16 {
    const uint16_t *a;
    int lda, m;
    const struct packed_bf16 *w;
    const float *bias;
    const float *residual;
    int ld_res;
    enum activation act;
    float *c;
    int ldc;
};

/* C = act(scale[j] * (a_scale[i] * (sum of q_a q_w) + a_shift[i] * (sum of q_w)) + bias) + residual
 * with A from rows_to_i8; the sum is exact, so the same on every level. */
struct gemm_i8 {
    const void *a;
    int lda; /* bytes */
    int m;
    const float *a_scale; /* [m] */
    const float *a_shift; /* [m], or NULL: none */
    const struct packed_i8 *w;
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
    const char *isa;      /* the name of the level, as in SEMSEARCH_ISA */
    const char *features; /* for people: "avx512f+bw+dq+vl, vnni" */
    int gemm_panel;       /* columns of a panel, 48 on avx512 */

    size_t (*gemm_packed_floats)(int n_out, int k);
    void (*gemm_pack)(float *dst, const float *w, int ldw, int n_out, int k); /* w: [n_out, k] */
    void (*gemm)(const struct gemm_f32 *g, int n0,
                 int n1); /* n0, n1: multiples of gemm_panel, or n1 == n_out */

    /* Narrow products. n0, n1 as for gemm. Every level computes them right; has_bf16 and has_i8 say
     * that it has instructions for them, so that they are faster than fp32. */
    bool has_bf16, has_i8;
    size_t (*gemm_bf16_packed_bytes)(int n_out, int k);
    void (*gemm_bf16_pack)(void *dst, const float *w, int ldw, int n_out, int k);
    void (*gemm_bf16)(const struct gemm_bf16 *g, int n0, int n1);
    size_t (*gemm_i8_packed_bytes)(int n_out, int k);
    void (*gemm_i8_pack)(void *dst, const float *w, int ldw, int n_out, int k);
    void (*gemm_i8)(const struct gemm_i8 *g, int n0, int n1);

    /* Rows [m, k] as the narrow products want them, made once per matrix. A row of the result is
     * bf16_row(k) elements or i8_row(k) bytes long, padding (zeros) included; ldd is at least that
     * (ldd in elements, of int8 in bytes). bf16 rounds to nearest even. int8 has a
     * scale per row, and with `shift` a middle: x ~ scale * q + shift, where shift is the middle
     * between the row's smallest and largest number and 0, scale half their distance / 127. Without
     * it (NULL) the row is symmetric about 0, its scale max |row| / 127. A row of zeros (or below
     * 1e-35) gets the scale 0, a row with an infinity or NaN the scale NaN, so that its results are
     * NaN. */
    size_t (*bf16_row)(int k);
    void (*rows_to_bf16)(uint16_t *dst, int ldd, const float *src, int lds, int m, int k);
    size_t (*i8_row)(int k);
    void (*rows_to_i8)(void *dst, int ldd, float *scale, float *shift, const float *src, int lds,
                       int m, int k);

    size_t (*attention_scratch_floats)(int n, int head_dim);
    void (*attention)(const struct attention_f32 *a);
    /* The same with both products in bf16 (inputs, softmax, sums and result in fp32). The scratch
     * is its own. Against `attention` of inputs of size 1 the error stays below 1 %. */
    size_t (*attention_bf16_scratch_floats)(int n, int head_dim);
    void (*attention_bf16)(const struct attention_f32 *a);

    /* Busy loops of independent multiply-adds on registers, the roof of one thread: return how many
     * operations (a multiply and an add are two) `iterations` rounds did. For benches. */
    double (*peak_f32)(size_t iterations);
    double (*peak_bf16)(size_t iterations);
    double (*peak_i8)(size_t iterations);

    struct train_kernels train;

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
    /* The same for n rows given by number: out[i] = a . row index[i]. */
    void (*dot_gather_i8)(int32_t *out, const int8_t *a, const int8_t *rows, const uint32_t *index,
                          size_t n, size_t dim);
    /* And for rows of one bit a number: out[i] = the sum of the numbers of a [dim] whose bit is set
     * in row index[i]. A row is (dim + 63) / 64 words, number 0 the lowest bit of the first; bits
     * of numbers that do not exist are zero. */
    void (*dot_gather_bits)(int32_t *out, const int8_t *a, const uint64_t *rows,
                            const uint32_t *index, size_t n, size_t dim);

    /* Sums of table entries over rows of half bytes, exact: out[r] = sum over pairs p of
     * table[0][p][low half of c] + table[1][p][high half of c], where c is byte [r / 32][p][r % 32]
     * of codes. table: [2][n_pairs][32], 16 entries twice; entries <= 63 and their sums < 65536.
     * n_pairs is a multiple of 4; out: [32 * n_blocks]. */
    void (*scan_nibbles)(uint16_t *out, const uint8_t *table, const uint8_t *codes, size_t n_blocks,
                         size_t n_pairs);
    /* Bit i of bits: score[i] >= floor. n is a multiple of 64. */
    void (*at_least_u16)(uint64_t *bits, const uint16_t *score, size_t n, uint16_t floor);
};

/* The table of this process. Valid after kernels_init(), which chooses once; calling it again, from
 * any thread, changes nothing once it has succeeded. */
extern struct kernels kern;
int kernels_init(struct err *err) WARN_UNUSED;

/* What kernels_init takes for a value of SEMSEARCH_ISA (NULL or "": the best level of this CPU).
 * NULL with `err` set for a level that does not exist or that this CPU lacks. */
const struct kernels *kernels_choose(const char *isa, struct err *err);

/* For tests: the table of one level, or NULL when this CPU or build has none. */
const struct kernels *kernels_level(const char *isa);

#endif
