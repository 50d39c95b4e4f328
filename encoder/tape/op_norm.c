/* op_norm.c - layer normalisation.
 *
 * y = (x - mean) / sqrt(var + eps) * gamma + beta over the columns of each row, biased variance.
 */
#include "encoder/tape/tape.h"

#include <string.h>

enum { W_GAMMA, W_BETA };

enum { NORM_ROWS = 128 }; /* of one item; its sums of dgamma and dbeta are added up later */

struct norm_work {
    const struct op *o;
    const float *x, *dy, *gamma, *beta;
    float *y, *dx, *part; /* part: [items, 2 * cols], NULL: no gradient of gamma and beta */
    int rows, cols;
    bool add;
};

static void norm_rows(void *ctx, int item, int worker)
{
    (void)worker;
    const struct norm_work *w = ctx;
    const int from = item * NORM_ROWS, left = w->rows - from;
    const size_t at = (size_t)from * (size_t)w->cols;
    kern.layer_norm(w->y + at, w->x + at, w->gamma, w->beta, left < NORM_ROWS ? left : NORM_ROWS,
                    w->cols, w->o->eps);
}

static void norm_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[0]], *out = &t->slot[o->out];
    struct norm_work w = {.o = o,
                          .x = in->x,
                          .gamma = t->params->p[o->w[W_GAMMA]]->x,
                          .beta = t->params->p[o->w[W_BETA]]->x,
                          .y = out->x,
                          .rows = tape_slot_rows(out, b),
                          .cols = out->cols};
    tape_run(t, (w.rows + NORM_ROWS - 1) / NORM_ROWS, norm_rows, &w);
}

static void norm_rows_backward(void *ctx, int item, int worker)
{
    (void)worker;
    const struct norm_work *w = ctx;
    const int from = item * NORM_ROWS, left = w->rows - from;
    const size_t cols = (size_t)w->cols, at = (size_t)from * cols;
    float *part = w->part ? w->part + (size_t)item * 2 * cols : NULL;
    if (part)
        memset(part, 0, 2 * cols * sizeof *part);
    kern.train.layer_norm_backward(w->dx ? w->dx + at : NULL, part, part ? part + cols : NULL,
                                   w->dy + at, w->x + at, w->gamma,
                                   left < NORM_ROWS ? left : NORM_ROWS, w->cols, w->o->eps, w->add);
}

/* y = xh gamma + beta, xh = (x - mean) inv: with h = dy gamma,
 * dx = inv (h - mean(h) - xh mean(h xh)), dgamma = sum of dy xh, dbeta = sum of dy. */
static void norm_backward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[0]], *out = &t->slot[o->out];
    const struct param *gamma = t->params->p[o->w[W_GAMMA]], *beta = t->params->p[o->w[W_BETA]];
    struct norm_work w = {.o = o,
                          .x = in->x,
                          .dy = out->dx,
                          .gamma = gamma->x,
                          .part = gamma->dx || beta->dx ? t->shared : NULL,
                          .rows = tape_slot_rows(out, b),
                          .cols = out->cols};
    w.dx = tape_grad(t, o, 0, &w.add);
    const int items = (w.rows + NORM_ROWS - 1) / NORM_ROWS;
    tape_run(t, items, norm_rows_backward, &w);
    for (int i = 0; i < items && w.part; i++) {
        const float *part = w.part + (size_t)i * 2 * (size_t)w.cols;
        if (gamma->dx)
            kern.add(gamma->dx, part, (size_t)w.cols);
        if (beta->dx)
            kern.add(beta->dx, part + w.cols, (size_t)w.cols);
    }
}

static size_t norm_shared(const struct op *o, const struct batch *b)
{
    const size_t rows = (size_t)(b->n_tok > b->n_pick ? b->n_tok : b->n_pick);
    return (rows + NORM_ROWS - 1) / NORM_ROWS * 2 * (size_t)o->depth;
}

const struct op_kind op_norm = {.name = "norm",
                                .forward = norm_forward,
                                .backward = norm_backward,
                                .back = BACK_IN | BACK_REMAKE,
                                .back_shared = norm_shared};

int tape_norm(struct tape *t, const char *name, int x, float eps)
{
    if (t->failed)
        return 0;
    const struct slot in = t->slot[x];
    struct op *o = tape_op(t, &op_norm, in.rows, in.n_fixed, in.cols);
    if (!o)
        return 0;
    o->in[0] = x;
    o->eps = eps;
    o->depth = in.cols;
    o->w[W_GAMMA] = tape_param(t, name, "weight", PARAM_VECTOR, 1, in.cols);
    o->w[W_BETA] = tape_param(t, name, "bias", PARAM_VECTOR, 1, in.cols);
    return o->out;
}
