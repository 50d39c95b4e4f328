/* op_attention.c - softmax(Q K^T / sqrt(d)) V within each sequence, one head at a time.
 *
 * The unit of work is one head of one sequence; units write disjoint columns and rows, so they may
 * run on any worker. The kernel holds one block of rows of the weights at a time; backward can
 * recompute them from q and k, so nothing is saved for it here.
 */
#include "encoder/tape/tape.h"

#include <math.h>

struct heads {
    struct tape *t;
    const struct op *o;
    const struct batch *b;
};

static void run_head(void *ctx, int item, int worker)
{
    const struct heads *h = ctx;
    const struct slot *in = &h->t->slot[h->o->in[0]], *out = &h->t->slot[h->o->out];
    const int seq = item / h->o->heads, head = item % h->o->heads;
    const int row0 = h->b->start[seq], n = h->b->start[seq + 1] - row0;
    const int hidden = out->cols, d = h->o->head_dim;
    const float *q = in->x + (size_t)row0 * (size_t)in->cols + (size_t)(head * d);
    const struct attention_f32 a = {
        .q = q,
        .k = q + hidden,
        .v = q + 2 * (size_t)hidden,
        .ld_qkv = in->cols,
        .n = n,
        .head_dim = d,
        .row0 = 0,
        .row1 = n,
        .window = h->o->window,
        .scale = h->o->scale,
        .out = out->x + (size_t)row0 * (size_t)hidden + (size_t)(head * d),
        .ld_out = hidden,
        .scratch = h->t->scratch + (size_t)worker * h->t->scratch_floats};
    kern.attention(&a);
}

static void forward(struct tape *t, struct op *o, const struct batch *b)
{
    struct heads h = {t, o, b};
    tape_run(t, b->n_seq * o->heads, run_head, &h);
}

static size_t scratch(const struct op *o, const struct batch *b)
{
    int longest = 0;
    for (int s = 0; s < b->n_seq; s++) {
        const int n = b->start[s + 1] - b->start[s];
        longest = n > longest ? n : longest;
    }
    return kern.attention_scratch_floats(longest, o->head_dim);
}

const struct op_kind op_attention = {
    .name = "attention", .forward = forward, .scratch = scratch, .in_place = -1};

int tape_attention(struct tape *t, int qkv, int heads, int window)
{
    if (t->failed)
        return 0;
    const int hidden = t->slot[qkv].cols / 3;
    if (heads < 1 || hidden * 3 != t->slot[qkv].cols || hidden % heads)
        tape_fail(t, "attention: %d columns do not divide into q, k, v of %d heads",
                  t->slot[qkv].cols, heads);
    struct op *o = tape_op(t, &op_attention, ROWS_TOK, 0, hidden);
    if (!o)
        return 0;
    o->in[0] = qkv;
    o->heads = heads;
    o->window = window;
    o->head_dim = hidden / heads;
    o->scale = 1.0f / sqrtf((float)o->head_dim);
    return o->out;
}
