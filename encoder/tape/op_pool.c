/* op_pool.c - from the token vectors of a sequence to one vector, and its normalisation.
 *
 * With T tokens of which the first `skip` (a prompt that is not to be pooled) are left out, and
 * x[t] the vector of token t (definitions of sentence-transformers 5.7, Pooling):
 *   cls            x[skip]: the first token
 *   max            the largest of each column
 *   mean           sum of x[t] / n,                n = T - skip
 *   mean_sqrt_len  sum of x[t] / sqrt(n)
 *   weightedmean   sum of (t + 1) x[t] / sum of (t + 1), t counted from the sequence's start
 *   lasttoken      x[T - 1]
 * Special tokens count like any other. When the prompt fills the whole window nothing is left: cls
 * and max then look at all tokens, the others give zeros.
 *
 * lasttoken is here for contrast. It is how decoder-style embedders pool: under a causal mask only
 * the last token has seen the whole text. In a bidirectional encoder every token has, and the last
 * one ([SEP] as a rule) is nothing special; a folder that asks for it with a BERT-family encoder is
 * an experiment.
 */
#include "encoder/tape/tape.h"

#include <math.h>
#include <string.h>

struct rows_of {
    const float *x; /* the sequence's first row */
    int n, skip, cols;
};

static const float *row(const struct rows_of *r, int t)
{
    return r->x + (size_t)t * (size_t)r->cols;
}

static void pool_max(float *y, const struct rows_of *r)
{
    const int first = r->skip < r->n ? r->skip : 0;
    memcpy(y, row(r, first), (size_t)r->cols * sizeof *y);
    for (int t = first + 1; t < r->n; t++) {
        const float *x = row(r, t);
        for (int j = 0; j < r->cols; j++)
            y[j] = x[j] > y[j] ? x[j] : y[j];
    }
}

static void pool_sum(float *y, const struct rows_of *r, bool weighted)
{
    memset(y, 0, (size_t)r->cols * sizeof *y);
    for (int t = r->skip; t < r->n; t++) {
        const float *x = row(r, t);
        const float w = weighted ? (float)(t + 1) : 1.0f;
        for (int j = 0; j < r->cols; j++)
            y[j] += w * x[j];
    }
}

static void divide(float *y, int n, float by)
{
    for (int j = 0; j < n; j++)
        y[j] /= by;
}

static void pool_one(float *y, const struct rows_of *r, enum pool_mode mode)
{
    const float n = (float)(r->n - r->skip);
    const float first = (float)(r->skip + 1), last = (float)r->n;
    const size_t bytes = (size_t)r->cols * sizeof *y;
    switch (mode) {
    case POOL_CLS:
        memcpy(y, row(r, r->skip < r->n ? r->skip : 0), bytes);
        break;
    case POOL_MAX:
        pool_max(y, r);
        break;
    case POOL_MEAN:
        pool_sum(y, r, false);
        divide(y, r->cols, fmaxf(n, 1e-9f));
        break;
    case POOL_MEAN_SQRT_LEN:
        pool_sum(y, r, false);
        divide(y, r->cols, sqrtf(fmaxf(n, 1e-9f)));
        break;
    case POOL_WEIGHTEDMEAN:
        pool_sum(y, r, true);
        divide(y, r->cols, fmaxf((first + last) * n / 2, 1e-9f));
        break;
    case POOL_LASTTOKEN:
        if (r->skip < r->n)
            memcpy(y, row(r, r->n - 1), bytes);
        else
            memset(y, 0, bytes);
        break;
    }
}

static struct rows_of sequence_rows(const struct slot *in, const struct batch *b, int s)
{
    const int n = b->start[s + 1] - b->start[s], skip = b->skip ? b->skip[s] : 0;
    return (struct rows_of){in->x + (size_t)b->start[s] * (size_t)in->cols, n, skip < n ? skip : n,
                            in->cols};
}

static void pool_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[0]], *out = &t->slot[o->out];
    for (int s = 0; s < b->n_seq; s++) {
        const struct rows_of r = sequence_rows(in, b, s);
        for (int k = 0; k < o->n_pool; k++)
            pool_one(out->x + (size_t)s * (size_t)out->cols + (size_t)(k * in->cols), &r,
                     o->pool[k]);
    }
}

/* ---- down ------------------------------------------------------------------------------------ */

/* The first token (of those that count) where column j is largest gets its gradient. */
static void pool_max_back(float *dx, const float *dy, const struct rows_of *r)
{
    const int first = r->skip < r->n ? r->skip : 0;
    for (int j = 0; j < r->cols; j++) {
        int best = first;
        for (int t = first + 1; t < r->n; t++)
            best = row(r, t)[j] > row(r, best)[j] ? t : best;
        dx[(size_t)best * (size_t)r->cols + (size_t)j] += dy[j];
    }
}

/* dx[t] += dy * weight(t), the weights of the sum divided as in pool_one. */
static void pool_sum_back(float *dx, const float *dy, const struct rows_of *r, float by,
                          bool weighted)
{
    for (int t = r->skip; t < r->n; t++)
        kern.train.add_scaled(dx + (size_t)t * (size_t)r->cols,
                              (weighted ? (float)(t + 1) : 1.0F) / by, dy, (size_t)r->cols);
}

static void pool_one_back(float *dx, const float *dy, const struct rows_of *r, enum pool_mode mode)
{
    const float n = (float)(r->n - r->skip);
    const float first = (float)(r->skip + 1), last = (float)r->n;
    const size_t cols = (size_t)r->cols;
    switch (mode) {
    case POOL_CLS: /* y = x[skip] */
        kern.add(dx + (size_t)(r->skip < r->n ? r->skip : 0) * cols, dy, cols);
        break;
    case POOL_MAX: /* y[j] = max over t of x[t][j] */
        pool_max_back(dx, dy, r);
        break;
    case POOL_MEAN: /* y = sum of x[t] / n */
        pool_sum_back(dx, dy, r, fmaxf(n, 1e-9f), false);
        break;
    case POOL_MEAN_SQRT_LEN: /* y = sum of x[t] / sqrt(n) */
        pool_sum_back(dx, dy, r, sqrtf(fmaxf(n, 1e-9f)), false);
        break;
    case POOL_WEIGHTEDMEAN: /* y = sum of (t + 1) x[t] / sum of (t + 1) */
        pool_sum_back(dx, dy, r, fmaxf((first + last) * n / 2, 1e-9f), true);
        break;
    case POOL_LASTTOKEN: /* y = x[T - 1] */
        if (r->skip < r->n)
            kern.add(dx + (size_t)(r->n - 1) * cols, dy, cols);
        break;
    }
}

struct pool_work {
    const struct op *o;
    const struct batch *b;
    const struct slot *in, *out;
    float *dx;
    bool add;
};

static void pool_sequence_back(void *ctx, int s, int worker)
{
    (void)worker;
    const struct pool_work *w = ctx;
    const struct rows_of r = sequence_rows(w->in, w->b, s);
    float *dx = w->dx + (r.x - w->in->x);
    if (!w->add)
        memset(dx, 0, (size_t)r.n * (size_t)r.cols * sizeof *dx);
    for (int k = 0; k < w->o->n_pool; k++)
        pool_one_back(dx, w->out->dx + (size_t)s * (size_t)w->out->cols + (size_t)(k * w->in->cols),
                      &r, w->o->pool[k]);
}

static void pool_backward(struct tape *t, struct op *o, const struct batch *b)
{
    struct pool_work w = {.o = o, .b = b, .in = &t->slot[o->in[0]], .out = &t->slot[o->out]};
    w.dx = tape_grad(t, o, 0, &w.add);
    if (w.dx)
        tape_run(t, b->n_seq, pool_sequence_back, &w);
}

void normalise_row(float *y, const float *x, int n)
{
    const double norm = sqrt(kern.dot_wide(x, x, (size_t)n));
    const float by = norm > 1e-12 ? (float)norm : 1e-12f;
    for (int j = 0; j < n; j++)
        y[j] = x[j] / by;
}

static void normalise_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[0]], *out = &t->slot[o->out];
    const int rows = tape_slot_rows(out, b);
    for (int i = 0; i < rows; i++)
        normalise_row(out->x + (size_t)i * (size_t)out->cols, in->x + (size_t)i * (size_t)in->cols,
                      out->cols);
}

/* y = x / |x|: dx = (dy - y (y . dy)) / |x|; where the norm counts as 1e-12, dx = dy / 1e-12. */
static void normalise_row_back(float *dx, const float *dy, const float *x, int n, bool add)
{
    const double norm = sqrt(kern.dot_wide(x, x, (size_t)n));
    const double by = norm > 1e-12 ? norm : 1e-12;
    const double along = norm > 1e-12 ? kern.dot_wide(x, dy, (size_t)n) / (norm * norm) : 0.0;
    for (int j = 0; j < n; j++) {
        const double d = ((double)dy[j] - (double)x[j] * along) / by;
        dx[j] = (float)(add ? (double)dx[j] + d : d);
    }
}

static void normalise_backward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[0]], *out = &t->slot[o->out];
    bool add = false;
    float *dx = tape_grad(t, o, 0, &add);
    const int rows = tape_slot_rows(out, b);
    for (int i = 0; i < rows && dx; i++) {
        const size_t at = (size_t)i * (size_t)out->cols;
        normalise_row_back(dx + at, out->dx + at, in->x + at, out->cols, add);
    }
}

const struct op_kind op_pool = {.name = "pool",
                                .forward = pool_forward,
                                .backward = pool_backward,
                                .in_place = -1,
                                .back_in_place = -1};
/* The largest of a column is known only from the values. */
const struct op_kind op_pool_max = {.name = "pool_max",
                                    .forward = pool_forward,
                                    .backward = pool_backward,
                                    .in_place = -1,
                                    .back = BACK_IN,
                                    .back_in_place = -1};
const struct op_kind op_normalise = {.name = "normalise",
                                     .forward = normalise_forward,
                                     .backward = normalise_backward,
                                     .back = BACK_IN};

int tape_pool(struct tape *t, int x, const enum pool_mode *mode, int n)
{
    if (t->failed)
        return 0;
    if (n < 1 || n > POOL_MODES || t->slot[x].rows != ROWS_TOK)
        tape_fail(t, "pool: takes one row a token and 1 to %d modes", POOL_MODES);
    bool max = false;
    for (int k = 0; k < n && !t->failed; k++)
        max |= mode[k] == POOL_MAX;
    struct op *o = tape_op(t, max ? &op_pool_max : &op_pool, ROWS_SEQ, 0, t->slot[x].cols * n);
    if (!o)
        return 0;
    o->in[0] = x;
    o->n_pool = n;
    memcpy(o->pool, mode, (size_t)n * sizeof *mode);
    return o->out;
}

int tape_normalise(struct tape *t, int x)
{
    if (t->failed)
        return 0;
    const struct slot in = t->slot[x];
    struct op *o = tape_op(t, &op_normalise, in.rows, in.n_fixed, in.cols);
    if (!o)
        return 0;
    o->in[0] = x;
    return o->out;
}
