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

static void pool_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[0]], *out = &t->slot[o->out];
    for (int s = 0; s < b->n_seq; s++) {
        const int n = b->start[s + 1] - b->start[s];
        int skip = b->skip ? b->skip[s] : 0;
        skip = skip < n ? skip : n;
        const struct rows_of r = {in->x + (size_t)b->start[s] * (size_t)in->cols, n, skip,
                                  in->cols};
        for (int k = 0; k < o->n_pool; k++)
            pool_one(out->x + (size_t)s * (size_t)out->cols + (size_t)(k * in->cols), &r,
                     o->pool[k]);
    }
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

const struct op_kind op_pool = {.name = "pool", .forward = pool_forward, .in_place = -1};
const struct op_kind op_normalise = {.name = "normalise", .forward = normalise_forward};

int tape_pool(struct tape *t, int x, const enum pool_mode *mode, int n)
{
    if (t->failed)
        return 0;
    if (n < 1 || n > POOL_MODES || t->slot[x].rows != ROWS_TOK)
        tape_fail(t, "pool: takes one row a token and 1 to %d modes", POOL_MODES);
    struct op *o = tape_op(t, &op_pool, ROWS_SEQ, 0, t->slot[x].cols * n);
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
