/* op_attention.c - softmax(Q K^T / sqrt(d)) V within each sequence, one head at a time.
 *
 * The unit of work is one head of one sequence; units write disjoint columns and rows, so they may
 * run on any worker. The kernel holds one block of rows of the weights at a time; backward can
 * recompute them from q and k, so nothing is saved for it here.
 *
 * In tapes of bf16 and int8 both products are in bf16 (softmax and sums in fp32), where the CPU has
 * it: int8 is too coarse for q and k, whose products go through an exponential.
 */
#include "encoder/tape/dropout.h"

#include <math.h>

struct heads {
    struct tape *t;
    void (*attention)(const struct attention_f32 *a);
    const struct op *o;
    const struct batch *b;
    float *dx; /* going down: of qkv */
    bool add;
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
    h->attention(&a);
}

static void attention_forward(struct tape *t, struct op *o, const struct batch *b)
{
    struct heads h = {.t = t, .o = o, .b = b, .attention = kern.attention};
    tape_run(t, b->n_seq * o->heads, run_head, &h);
}

static void attention_bf16_forward(struct tape *t, struct op *o, const struct batch *b)
{
    struct heads h = {.t = t, .o = o, .b = b, .attention = kern.attention_bf16};
    tape_run(t, b->n_seq * o->heads, run_head, &h);
}

static int longest_sequence(const struct batch *b)
{
    int longest = 0;
    for (int s = 0; s < b->n_seq; s++) {
        const int n = b->start[s + 1] - b->start[s];
        longest = n > longest ? n : longest;
    }
    return longest;
}

static size_t attention_scratch(const struct op *o, const struct batch *b)
{
    return kern.attention_scratch_floats(longest_sequence(b), o->head_dim);
}

static size_t attention_bf16_scratch(const struct op *o, const struct batch *b)
{
    return kern.attention_bf16_scratch_floats(longest_sequence(b), o->head_dim);
}

static size_t attention_train_scratch(const struct op *o, const struct batch *b)
{
    return kern.train.attention_scratch_floats(longest_sequence(b), o->head_dim);
}

/* ---- with dropout, and its gradient -------------------------------------------------------------
 */

static struct attention_train train_head(const struct heads *h, int item, int worker)
{
    const struct slot *in = &h->t->slot[h->o->in[0]], *out = &h->t->slot[h->o->out];
    const int seq = item / h->o->heads, head = item % h->o->heads, hidden = out->cols;
    const size_t row0 = (size_t)h->b->start[seq], column = (size_t)(head * h->o->head_dim);
    const float *q = in->x + row0 * (size_t)in->cols + column;
    return (struct attention_train){.q = q,
                                    .k = q + hidden,
                                    .v = q + 2 * (size_t)hidden,
                                    .ld_qkv = in->cols,
                                    .n = h->b->start[seq + 1] - h->b->start[seq],
                                    .head_dim = h->o->head_dim,
                                    .window = h->o->window,
                                    .scale = h->o->scale,
                                    .drop = dropout_of(h->t, h->o, h->b, seq, head),
                                    .out = out->x + row0 * (size_t)hidden + column,
                                    .ld_out = hidden,
                                    .scratch =
                                        h->t->scratch + (size_t)worker * h->t->scratch_floats};
}

static void drop_head(void *ctx, int item, int worker)
{
    const struct attention_train a = train_head(ctx, item, worker);
    kern.train.attention(&a);
}

static void attention_drop_forward(struct tape *t, struct op *o, const struct batch *b)
{
    struct heads h = {.t = t, .o = o, .b = b};
    tape_run(t, b->n_seq * o->heads, drop_head, &h);
}

static void back_head(void *ctx, int item, int worker)
{
    const struct heads *h = ctx;
    const struct slot *in = &h->t->slot[h->o->in[0]], *out = &h->t->slot[h->o->out];
    struct attention_train a = train_head(h, item, worker);
    a.dout = out->dx + (a.out - out->x);
    a.dq = h->dx + (a.q - in->x);
    a.dk = a.dq + out->cols;
    a.dv = a.dk + out->cols;
    a.ld_dqkv = in->cols;
    a.add = h->add;
    kern.train.attention_backward(&a);
}

/* With P = softmax(s Q K^T), M its mask, O = (P M) V: dV = (P M)^T dO, dP = (dO V^T) M,
 * dS = P (dP - rowsum(dO O)), dQ = s dS K, dK = s dS^T Q. P is found again. */
static void attention_backward(struct tape *t, struct op *o, const struct batch *b)
{
    struct heads h = {.t = t, .o = o, .b = b};
    h.dx = tape_grad(t, o, 0, &h.add);
    if (h.dx)
        tape_run(t, b->n_seq * o->heads, back_head, &h);
}

const struct op_kind op_attention = {.name = "attention",
                                     .forward = attention_forward,
                                     .backward = attention_backward,
                                     .scratch = attention_scratch,
                                     .in_place = -1,
                                     .back = BACK_IN | BACK_OUT,
                                     .back_in_place = -1,
                                     .back_scratch = attention_train_scratch},
                     op_attention_bf16 = {.name = "attention_bf16",
                                          .forward = attention_bf16_forward,
                                          .scratch = attention_bf16_scratch,
                                          .in_place = -1},
                     op_attention_dropout = {.name = "attention_dropout",
                                             .forward = attention_drop_forward,
                                             .backward = attention_backward,
                                             .scratch = attention_train_scratch,
                                             .in_place = -1,
                                             .back = BACK_IN | BACK_OUT,
                                             .back_in_place = -1,
                                             .back_scratch = attention_train_scratch};

static int append(struct tape *t, const struct op_kind *kind, int qkv, int heads, int window)
{
    if (t->failed)
        return 0;
    const int hidden = t->slot[qkv].cols / 3;
    if (heads < 1 || hidden * 3 != t->slot[qkv].cols || hidden % heads)
        tape_fail(t, "attention: %d columns do not divide into q, k, v of %d heads",
                  t->slot[qkv].cols, heads);
    struct op *o = tape_op(t, kind, ROWS_TOK, 0, hidden);
    if (!o)
        return 0;
    o->in[0] = qkv;
    o->heads = heads;
    o->window = window;
    o->head_dim = hidden / heads;
    o->scale = 1.0f / sqrtf((float)o->head_dim);
    return o->out;
}

int tape_attention(struct tape *t, int qkv, int heads, int window)
{
    const bool narrow = t->precision != PRECISION_FP32 && t->mode == TAPE_INFER && kern.has_bf16;
    return append(t, narrow ? &op_attention_bf16 : &op_attention, qkv, heads, window);
}

int tape_attention_dropout(struct tape *t, int qkv, int heads, int window, float p)
{
    if (t->mode != TAPE_TRAIN || p == 0.0F)
        return tape_attention(t, qkv, heads, window);
    const int y = append(t, &op_attention_dropout, qkv, heads, window);
    if (!t->failed)
        dropout_place(t, &t->op[t->n_ops - 1], p);
    return y;
}
