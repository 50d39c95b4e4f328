/* train.h - the kernels that only training needs: gradients, and the masks of dropout.
 *
 * Part of the table of kernels.h, under its rules. Gradients are derivatives of one number (the
 * loss) by a value: dx by x. `add`: the result is added to what is there, else it is overwritten.
 */
#ifndef SEMSEARCH_KERNELS_TRAIN_H
#define SEMSEARCH_KERNELS_TRAIN_H

#include "src/kernels/activation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whose mask: a function of these and of the element's row and column, by a counter-based
 * generator (Philox4x32-10, Salmon et al. 2011), the same on every level. An element is dropped
 * when its 32 random bits are below `threshold`; what stays is multiplied by `keep`. */
struct dropout_mask {
    uint64_t key, sequence;
    uint32_t threshold; /* 2^32 times the probability */
    float keep;         /* 1 / (1 - probability) */
};

/* C[m, n] += A^T B, and sum[m] += the sums of A's columns: the gradients of a linear layer's
 * weights and bias, A = dY [k, m], B = X [k, n], k tokens. The tokens are added up in blocks of a
 * fixed length in rising order, so neither cuts of m nor of n change a number. */
struct gemm_outer {
    const float *a, *b;
    int lda, ldb, k, m, n;
    float *c;
    int ldc;
    float *sum; /* or NULL */
    float *scratch;
};

/* Attention of one head of one sequence with dropout on its weights, up (writes out) and down
 * (reads out and dout, writes dq, dk, dv). Shapes and strides as attention_f32, which is the same
 * with threshold 0. */
struct attention_train {
    const float *q, *k, *v;
    int ld_qkv, n, head_dim, window;
    float scale;
    struct dropout_mask drop;
    float *out;
    const float *dout;
    int ld_out;
    float *dq, *dk, *dv;
    int ld_dqkv;
    bool add;
    float *scratch;
};

struct train_kernels {
    /* Panels as gemm_pack makes them, but of the transpose: w is [k, n_out]. */
    void (*gemm_pack_rows)(float *dst, const float *w, int ldw, int n_out, int k);
    size_t (*gemm_outer_scratch_floats)(int m);
    void (*gemm_outer)(const struct gemm_outer *g);

    /* dx (+)= dy * act'(x); dx may be dy. */
    void (*activate_backward)(float *dx, const float *dy, const float *x, size_t n,
                              enum activation act, bool add);
    /* Of layer_norm's rows, whose mean and deviation are found again from x. dx may be dy, or NULL;
     * dgamma [n] and dbeta [n] are added to, in the order of the rows; both or none NULL. */
    void (*layer_norm_backward)(float *dx, float *dgamma, float *dbeta, const float *dy,
                                const float *x, const float *gamma, int m, int n, float eps,
                                bool add);
    size_t (*attention_scratch_floats)(int n, int head_dim);
    void (*attention)(const struct attention_train *a);
    void (*attention_backward)(const struct attention_train *a);

    /* mask[j] = 0 or d->keep for the columns j of a row. */
    void (*dropout_row)(float *mask, size_t n, const struct dropout_mask *d, uint32_t row);
    void (*multiply)(float *y, const float *a, const float *b, size_t n); /* y = a * b */
    void (*add_scaled)(float *y, float a, const float *x, size_t n);      /* y += a * x */
};

#endif
