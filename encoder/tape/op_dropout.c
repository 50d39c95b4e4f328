/* op_dropout.c - y = x * mask + residual, mask 0 with probability p, else 1 / (1 - p).
 *
 * Masks are never stored: backward draws the same ones again. The unit of work is a sequence.
 * Source: Srivastava et al. 2014, in the inverted form, so that nothing is scaled later.
 */
#include "encoder/tape/dropout.h"

#include <string.h>

enum { IN_X, IN_RESIDUAL };

/* Mixes all bits of x (the finaliser of splitmix64, Steele et al. 2014). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

struct dropout_mask dropout_of(const struct tape *t, const struct op *o, const struct batch *b,
                               int s, int part)
{
    const uint64_t place = (o->site << 32) | (uint64_t)(uint32_t)part;
    const uint64_t key = mix(mix(mix(t->seed + 0x9E3779B97F4A7C15U) ^ t->step) ^ place);
    return (struct dropout_mask){.key = key,
                                 .sequence = b->seq_key ? b->seq_key[s] : (uint64_t)s,
                                 .threshold = (uint32_t)((double)o->drop * 4294967296.0),
                                 .keep = 1.0F / (1.0F - o->drop)};
}

void dropout_place(struct tape *t, struct op *o, float p)
{
    if (!(p >= 0.0F && p < 1.0F))
        tape_fail(t, "dropout: a probability of %g is not in [0, 1)", (double)p);
    o->drop = p;
    o->site = (uint64_t)t->n_sites++;
}

/* The first picked token that is not before `token`. */
static int first_pick(const struct batch *b, int token)
{
    int lo = 0, hi = b->n_pick;
    while (lo < hi) {
        const int mid = (lo + hi) / 2;
        if (b->pick[mid] < token)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Rows of sequence s: [*from, *to). */
static void rows_of(const struct slot *x, const struct batch *b, int s, int *from, int *to)
{
    if (x->rows == ROWS_TOK) {
        *from = b->start[s];
        *to = b->start[s + 1];
    } else if (x->rows == ROWS_PICK) {
        *from = first_pick(b, b->start[s]);
        *to = first_pick(b, b->start[s + 1]);
    } else {
        *from = s;
        *to = s + 1;
    }
}

/* The token of row i, counted from the start of its sequence. */
static uint32_t token_of(const struct slot *x, const struct batch *b, int s, int i)
{
    if (x->rows == ROWS_SEQ)
        return 0;
    return (uint32_t)((x->rows == ROWS_PICK ? b->pick[i] : i) - b->start[s]);
}

struct work {
    const struct tape *t;
    const struct op *o;
    const struct batch *b;
    const struct slot *shape;
    const float *x, *residual;
    float *y;
    bool add;
};

static void drop_sequence(void *ctx, int s, int worker)
{
    const struct work *w = ctx;
    const struct dropout_mask d = dropout_of(w->t, w->o, w->b, s, 0);
    const size_t cols = (size_t)w->shape->cols;
    float *const mask = w->t->scratch + (size_t)worker * w->t->scratch_floats;
    int from, to;
    rows_of(w->shape, w->b, s, &from, &to);
    for (int i = from; i < to; i++) {
        const size_t at = (size_t)i * cols;
        kern.train.dropout_row(mask, cols, &d, token_of(w->shape, w->b, s, i));
        if (w->add) {
            kern.train.multiply(mask, w->x + at, mask, cols);
            kern.add(w->y + at, mask, cols);
            continue;
        }
        kern.train.multiply(w->y + at, w->x + at, mask, cols);
        if (w->residual)
            kern.add(w->y + at, w->residual + at, cols);
    }
}

static void dropout_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[IN_X]], *out = &t->slot[o->out];
    const float *residual = o->in[IN_RESIDUAL] < 0 ? NULL : t->slot[o->in[IN_RESIDUAL]].x;
    struct work w = {t, o, b, out, in->x, residual, out->x, false};
    tape_run(t, b->n_seq, drop_sequence, &w);
}

/* y = x mask + residual: dx = dy mask, dresidual = dy. */
static void dropout_backward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *out = &t->slot[o->out];
    struct work w = {.t = t, .o = o, .b = b, .shape = out, .x = out->dx};
    w.y = tape_grad(t, o, IN_X, &w.add);
    if (w.y)
        tape_run(t, b->n_seq, drop_sequence, &w);
    tape_grad_pass(t, o, IN_RESIDUAL);
}

static size_t dropout_scratch(const struct op *o, const struct batch *b)
{
    (void)b;
    return (size_t)o->depth;
}

/* With a residual the gradient passes to it unchanged, and may stay where it is. */
const struct op_kind op_dropout = {.name = "dropout",
                                   .forward = dropout_forward,
                                   .backward = dropout_backward,
                                   .scratch = dropout_scratch,
                                   .in_place = IN_X,
                                   .back_in_place = IN_X},
                     op_dropout_add = {.name = "dropout_add",
                                       .forward = dropout_forward,
                                       .backward = dropout_backward,
                                       .scratch = dropout_scratch,
                                       .in_place = IN_X,
                                       .back_in_place = IN_RESIDUAL};

static int dropout_add(struct tape *t, int x, float p, int residual)
{
    const struct slot in = t->slot[x];
    if (in.rows == ROWS_FIXED)
        tape_fail(t, "dropout: takes rows of sequences");
    struct op *o = tape_op(t, residual < 0 ? &op_dropout : &op_dropout_add, in.rows, 0, in.cols);
    if (!o)
        return 0;
    o->in[IN_X] = x;
    o->in[IN_RESIDUAL] = residual;
    o->depth = in.cols;
    dropout_place(t, o, p);
    return t->failed ? 0 : o->out;
}

int tape_dropout(struct tape *t, int x, float p)
{
    return t->failed || t->mode != TAPE_TRAIN || p == 0.0F ? x : dropout_add(t, x, p, -1);
}

int tape_linear_dropout(struct tape *t, const char *name, int x, int out, bool bias,
                        enum activation act, float p, int residual)
{
    if (t->failed || t->mode != TAPE_TRAIN || p == 0.0F)
        return tape_linear(t, name, x, out, bias, act, residual);
    const int y = tape_linear(t, name, x, out, bias, act, -1);
    return t->failed ? 0 : dropout_add(t, y, p, residual);
}
