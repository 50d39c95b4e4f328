/* loss_parts.h - what the loss_*.c files share; callers use loss.h. */
#ifndef SEMSEARCH_ENCODER_TRAIN_LOSS_PARTS_H
#define SEMSEARCH_ENCODER_TRAIN_LOSS_PARTS_H

#include "encoder/train/loss.h"

/* The rows that a loss over embeddings sees: cut to a Matryoshka width and made unit vectors by
 * loss.c where the loss wants that (so a cosine is a plain dot product), and the derivative by
 * them, which loss.c takes back to the batch. */
struct loss_rows {
    const loss_real *y; /* [n_columns * n, dim] */
    loss_real *dy;      /* same shape, zero on entry; NULL: loss only */
    int n, n_columns, dim;
    const loss_real *teacher; /* [n_columns * n, ld_teacher], of which dim columns count */
    int ld_teacher;
    const struct embedding_batch *b; /* labels, keys, pool */
};

/* Each adds its derivative to dy and sets *loss. */
int loss_ranking(const struct loss_rows *r, const struct loss_options *o, double *loss,
                 struct err *err) WARN_UNUSED;
void loss_cosent(const struct loss_rows *r, const struct loss_options *o, double *loss);
void loss_cosine_mse(const struct loss_rows *r, const struct loss_options *o, double *loss);
void loss_contrastive(const struct loss_rows *r, const struct loss_options *o, double *loss);
void loss_online_contrastive(const struct loss_rows *r, const struct loss_options *o, double *loss);
void loss_triplet(const struct loss_rows *r, const struct loss_options *o, double *loss);
void loss_embedding_mse(const struct loss_rows *r, const struct loss_options *o, double *loss);

/* Which entries [row, column] of the n x m scores are no negatives (loss_mask.c): those of anchor i
 * are column[start[i] .. start[i + 1]), its own positive never among them. */
struct loss_mask {
    int *start; /* [n + 1] */
    int *column;
};
int loss_mask_duplicates(const struct embedding_batch *b, struct loss_mask *m,
                         struct err *err) WARN_UNUSED;
void loss_mask_release(struct loss_mask *m);

/* ---- loss_math.c: arithmetic in the losses' type; the tests have a plain twin in double ---------
 */

/* C[m, n] = A[m, k] B[n, k]^T, all without gaps. */
int loss_product(loss_real *c, const loss_real *a, const loss_real *b, int m, int n, int k,
                 struct pool *pool, struct err *err) WARN_UNUSED;
/* x[0..n) becomes its softmax; returns log(sum(exp(x))) in double. n >= 1. */
double loss_softmax(loss_real *x, int n);
double loss_max(const loss_real *x, int n); /* the largest, NaN left out */

/* As pool_run, or in this thread. */
void loss_run(struct pool *pool, int n_items, void (*fn)(void *ctx, int item, int worker),
              void *ctx);

/* ---- small ones -------------------------------------------------------------------------------
 */

/* In double, in four chains that are the same whatever the caller. */
static inline double loss_dot(const loss_real *a, const loss_real *b, int n)
{
    double s[4] = {0, 0, 0, 0};
    int i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++)
            s[j] += (double)a[i + j] * (double)b[i + j];
    for (; i < n; i++)
        s[0] += (double)a[i] * (double)b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* y += a * x */
static inline void loss_add(loss_real *y, double a, const loss_real *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = (loss_real)((double)y[i] + a * (double)x[i]);
}

/* Row i of a column. */
static inline const loss_real *loss_row(const struct loss_rows *r, int column, int i)
{
    return r->y + ((size_t)column * (size_t)r->n + (size_t)i) * (size_t)r->dim;
}

static inline loss_real *loss_drow(const struct loss_rows *r, int column, int i)
{
    return r->dy + ((size_t)column * (size_t)r->n + (size_t)i) * (size_t)r->dim;
}

#endif
