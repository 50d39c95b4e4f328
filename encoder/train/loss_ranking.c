/* loss_ranking.c - multiple-negatives ranking, which is InfoNCE with in-batch negatives (Henderson
 * et al. 2017; van den Oord et al. 2018), as MultipleNegativesRankingLoss of sentence-transformers.
 *
 *     S[i, k] = scale * a_i . c_k          candidates c: all positives of the batch, then all
 *                                          negatives of each further column; unit rows
 *     L = mean over i of (log sum_k exp S[i, k] - S[i, i])
 *     dL/dS = (softmax over the row - [k = i]) / n = G / scale
 *     da = G c,  dc = G^T a
 * A hard negative is a candidate for every anchor, not only for its own. The symmetric form
 * (directions query_to_doc and doc_to_query, a softmax each) is the mean of L and of the same over
 * the anchors for each positive j, without the hard negatives: log sum_i exp S[i, j] - S[j, j].
 * A masked entry is no candidate in either direction.
 *
 * The three products are matrix products; everything else is one pass over S.
 */
#include "encoder/train/loss_parts.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define MASKED ((loss_real)-1e30) /* exp() of it is 0 beside any score */

enum { TURN = 32 }; /* edge of the squares in which a matrix is transposed */

struct scores {
    loss_real *s; /* [n, m], becomes G in place */
    loss_real *t; /* symmetric: [n, n], the transposed scores of the positives, then their part of G
                     transposed */
    int n, m;
    double *row; /* [n], losses a row; [n, 2n) those of the other direction */
    double each; /* what every row's derivative is multiplied with */
    const struct loss_mask *mask;
    loss_real scale;
};

/* ---- transposition ------------------------------------------------------------------------------
 */

struct turn {
    loss_real *to;
    const loss_real *from;
    int rows, cols, ld; /* of `from` */
};

static void turn_strip(void *ctx, int item, int worker)
{
    const struct turn *t = ctx;
    (void)worker;
    const int c0 = item * TURN, c1 = t->cols < c0 + TURN ? t->cols : c0 + TURN;
    for (int r0 = 0; r0 < t->rows; r0 += TURN)
        for (int c = c0; c < c1; c++) {
            loss_real *const to = t->to + (size_t)c * (size_t)t->rows;
            for (int r = r0; r < t->rows && r < r0 + TURN; r++)
                to[r] = t->from[(size_t)r * (size_t)t->ld + (size_t)c];
        }
}

/* to[cols, rows] = the first cols columns of from[rows, ld], turned. */
static void turn(loss_real *to, const loss_real *from, int rows, int cols, int ld,
                 struct pool *pool)
{
    struct turn t = {.to = to, .from = from, .rows = rows, .cols = cols, .ld = ld};
    loss_run(pool, (cols + TURN - 1) / TURN, turn_strip, &t);
}

/* ---- scores to losses and derivatives -----------------------------------------------------------
 */

static void score_row(void *ctx, int item, int worker)
{
    const struct scores *s = ctx;
    (void)worker;
    loss_real *const x = s->s + (size_t)item * (size_t)s->m;
    for (int k = 0; k < s->m; k++)
        x[k] *= s->scale;
    for (int k = s->mask->start[item]; k < s->mask->start[item + 1]; k++)
        x[s->mask->column[k]] = MASKED;
}

/* Softmax, loss and derivative of one row of S or of its transposed part. */
static double softmax_row(loss_real *x, int n, int own, double each)
{
    const double right = (double)x[own];
    const double loss = loss_softmax(x, n) - right;
    x[own] -= 1;
    for (int k = 0; k < n; k++)
        x[k] *= (loss_real)each;
    return loss;
}

static void forward_row(void *ctx, int item, int worker)
{
    const struct scores *s = ctx;
    (void)worker;
    s->row[item] = softmax_row(s->s + (size_t)item * (size_t)s->m, s->m, item, s->each);
}

static void backward_row(void *ctx, int item, int worker)
{
    const struct scores *s = ctx;
    (void)worker;
    s->row[s->n + item] = softmax_row(s->t + (size_t)item * (size_t)s->n, s->n, item, s->each);
}

/* G[i, j] += T[j, i] for the positives j. */
static void join_row(void *ctx, int item, int worker)
{
    const struct scores *s = ctx;
    (void)worker;
    loss_real *const g = s->s + (size_t)item * (size_t)s->m;
    for (int j = 0; j < s->n; j++)
        g[j] += s->t[(size_t)j * (size_t)s->n + (size_t)item];
}

/* From cosines in s->s to G in s->s; returns the loss. */
static double scores_to_gradient(struct scores *s, bool symmetric, struct pool *pool)
{
    double sum = 0;
    const int terms = symmetric ? 2 * s->n : s->n;
    s->each = (double)s->scale / terms;
    loss_run(pool, s->n, score_row, s);
    if (symmetric)
        turn(s->t, s->s, s->n, s->n, s->m, pool);
    loss_run(pool, s->n, forward_row, s);
    if (symmetric) {
        loss_run(pool, s->n, backward_row, s);
        loss_run(pool, s->n, join_row, s);
    }
    for (int i = 0; i < terms; i++)
        sum += s->row[i];
    return sum / terms;
}

/* da = G c, dc = G^T a, both as products with turned right-hand sides. `spare` holds
 * m * (dim + n) numbers. */
static int scores_back(const struct loss_rows *r, const struct scores *s, loss_real *spare,
                       struct err *err)
{
    const int n = s->n, m = s->m, dim = r->dim;
    const loss_real *const a = r->y, *const c = r->y + (size_t)n * (size_t)dim;
    loss_real *const turned = spare, *const g_turned = spare + (size_t)m * (size_t)dim;
    turn(turned, c, m, dim, dim, r->b->pool);
    if (loss_product(r->dy, s->s, turned, n, dim, m, r->b->pool, err))
        return -1;
    turn(turned, a, n, dim, dim, r->b->pool);
    turn(g_turned, s->s, n, m, m, r->b->pool);
    return loss_product(r->dy + (size_t)n * (size_t)dim, g_turned, turned, m, dim, n, r->b->pool,
                        err);
}

/* Room for S, its transposed part and the spare matrices, or a message. */
static int scores_alloc(struct scores *s, int dim, bool symmetric, bool gradient, loss_real **spare,
                        struct err *err)
{
    const size_t n = (size_t)s->n, m = (size_t)s->m;
    size_t all = n * m + (symmetric ? n * n : 0), bytes;
    if (gradient)
        all += m * (n + (size_t)dim);
    void *p;
    if (!mul_size(all, sizeof(loss_real), &bytes))
        return err_kind_set(err, ERR_LIMIT, "a batch of %d rows is too large for its loss", s->n);
    if (mem_try(&p, bytes, "the scores of a batch against each other", err))
        return err_hint(err, "lower --batch-size");
    s->s = p;
    s->t = s->s + n * m;
    *spare = s->t + (symmetric ? n * n : 0);
    s->row = xmalloc(2 * n * sizeof *s->row);
    return 0;
}

int loss_ranking(const struct loss_rows *r, const struct loss_options *o, double *loss,
                 struct err *err)
{
    struct scores s = {.n = r->n, .m = r->n * (r->n_columns - 1), .scale = (loss_real)o->scale};
    struct loss_mask mask = {0};
    loss_real *spare = NULL;
    if (scores_alloc(&s, r->dim, o->symmetric, r->dy != NULL, &spare, err))
        return -1;
    int rc = -1;
    if (o->mask_duplicates) {
        if (loss_mask_duplicates(r->b, &mask, err))
            goto out;
    } else {
        mask.start = xcalloc((size_t)r->n + 1, sizeof *mask.start);
    }
    s.mask = &mask;
    if (loss_product(s.s, r->y, r->y + (size_t)r->n * (size_t)r->dim, s.n, s.m, r->dim, r->b->pool,
                     err))
        goto out;
    *loss = scores_to_gradient(&s, o->symmetric, r->b->pool);
    if (!r->dy || scores_back(r, &s, spare, err) == 0)
        rc = 0;
out:
    loss_mask_release(&mask);
    free(s.row);
    free(s.s);
    return rc;
}
