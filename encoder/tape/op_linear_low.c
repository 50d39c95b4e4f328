/* op_linear_low.c - the linear layer over bf16 and over int8: op_linear's kinds for tapes of those
 * precisions.
 *
 * The input rows are narrowed into scratch, then multiplied with weights that were narrowed when
 * the model was packed; sums, bias, activation, residual and result are fp32, so the ops around it
 * see no difference. bf16 rounds both sides to 8 bits of mantissa. int8 has one scale per output
 * column of the weights, which are symmetric, and a scale and a middle per row of the input, found
 * anew for every row (dynamic, per token): a text's numbers cannot depend on its neighbours, nor on
 * a calibration set, and a token whose numbers are large spoils no other token's. Outliers within a
 * token (columns of a norm's result that are always large) usually stand on one side, which the
 * middle takes back; scaling columns down in the norm and up in the weights (SmoothQuant) is not
 * open to these blocks, since the residual reads the norm's result too. A model for which this is
 * not enough fails its gate and runs in bf16.
 *
 * Sharing one batch between threads: few rows are cut by output columns as in op_linear.c, and each
 * worker narrows all rows for itself when it takes its first piece: that costs less than to wait
 * for each other once more. Many rows are cut by rows. A row's numbers depend on neither.
 *
 * Training in bf16 keeps masters, gradients, sums and everything between the products in fp32;
 * narrowed are the weights and the rows that they are multiplied with, going up and going down
 * (Micikevicius et al. 2018; bf16 has fp32's range, so that no loss is scaled).
 */
#include "encoder/tape/linear.h"

#include <string.h>

enum {
    ROWS_SPLIT = 64,   /* rows a worker from which the batch is cut by rows */
    ROWS_PIECE = 64,   /* rows of such a piece */
    MAX_WORKERS = 1024 /* that are known to have narrowed their rows; others do so every time */
};

struct piece {
    struct tape *t;
    const struct packed_bf16 *w_bf16;
    const struct packed_i8 *w_i8;
    const float *x, *bias, *residual;
    enum activation act;
    float *y;
    int m, k, n;
    int step; /* columns of an item, or rows when by_rows */
    bool by_rows;
    unsigned char narrowed[MAX_WORKERS];
    void (*narrow)(const struct piece *p, void *scratch, int row0, int rows);
    void (*multiply)(const struct piece *p, const void *scratch, int row0, int rows, int n0,
                     int n1);
};

static size_t line_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* ---- bf16: scratch holds the rows ---------------------------------------------------------------
 */

static void narrow_bf16(const struct piece *p, void *scratch, int row0, int rows)
{
    kern.rows_to_bf16(scratch, (int)kern.bf16_row(p->k), p->x + (size_t)row0 * (size_t)p->k, p->k,
                      rows, p->k);
}

static void multiply_bf16(const struct piece *p, const void *scratch, int row0, int rows, int n0,
                          int n1)
{
    const size_t at = (size_t)row0 * (size_t)p->n;
    const struct gemm_bf16 g = {.a = scratch,
                                .lda = (int)kern.bf16_row(p->k),
                                .m = rows,
                                .w = p->w_bf16,
                                .bias = p->bias,
                                .residual = p->residual ? p->residual + at : NULL,
                                .ld_res = p->n,
                                .act = p->act,
                                .c = p->y + at,
                                .ldc = p->n};
    kern.gemm_bf16(&g, n0, n1);
}

static size_t bytes_bf16(int rows, int k)
{
    return (size_t)rows * kern.bf16_row(k) * sizeof(uint16_t);
}

/* ---- int8: scratch holds the rows' scales and shifts, then the rows -----------------------------
 */

static size_t scales_bytes(int rows)
{
    return line_up(2 * (size_t)rows * sizeof(float));
}

static void narrow_int8(const struct piece *p, void *scratch, int row0, int rows)
{
    float *const scale = scratch;
    kern.rows_to_i8((char *)scratch + scales_bytes(rows), (int)kern.i8_row(p->k), scale,
                    scale + rows, p->x + (size_t)row0 * (size_t)p->k, p->k, rows, p->k);
}

static void multiply_int8(const struct piece *p, const void *scratch, int row0, int rows, int n0,
                          int n1)
{
    const size_t at = (size_t)row0 * (size_t)p->n;
    const struct gemm_i8 g = {.a = (const char *)scratch + scales_bytes(rows),
                              .lda = (int)kern.i8_row(p->k),
                              .m = rows,
                              .a_scale = scratch,
                              .a_shift = (const float *)scratch + rows,
                              .w = p->w_i8,
                              .bias = p->bias,
                              .residual = p->residual ? p->residual + at : NULL,
                              .ld_res = p->n,
                              .act = p->act,
                              .c = p->y + at,
                              .ldc = p->n};
    kern.gemm_i8(&g, n0, n1);
}

static size_t bytes_int8(int rows, int k)
{
    return scales_bytes(rows) + (size_t)rows * kern.i8_row(k);
}

/* ---- both ---------------------------------------------------------------------------------------
 */

static void run_piece(void *ctx, int item, int worker)
{
    struct piece *p = ctx;
    void *scratch = p->t->scratch + (size_t)worker * p->t->scratch_floats;
    const int from = item * p->step, all = p->by_rows ? p->m : p->n;
    const int to = from + p->step < all ? from + p->step : all;
    if (p->by_rows) {
        p->narrow(p, scratch, from, to - from);
        p->multiply(p, scratch, from, to - from, 0, p->n);
        return;
    }
    if (worker >= MAX_WORKERS || !p->narrowed[worker]) {
        p->narrow(p, scratch, 0, p->m);
        if (worker < MAX_WORKERS)
            p->narrowed[worker] = 1;
    }
    p->multiply(p, scratch, 0, p->m, from, to);
}

/* Sets how the work is cut and returns the number of items. */
static int cut(struct piece *p)
{
    const int workers = p->t->pool ? pool_size(p->t->pool) : 1;
    p->by_rows = workers == 1 || p->m >= workers * ROWS_SPLIT;
    if (p->by_rows) {
        p->step = workers == 1 ? p->m : ROWS_PIECE;
        return (p->m + p->step - 1) / p->step;
    }
    const int panels = (p->n + kern.gemm_panel - 1) / kern.gemm_panel;
    const int per_item = (panels + 2 * workers - 1) / (2 * workers);
    p->step = per_item * kern.gemm_panel;
    return (panels + per_item - 1) / per_item;
}

static void run(struct tape *t, struct piece *p)
{
    p->t = t;
    const int items = cut(p);
    if (!p->by_rows)
        memset(p->narrowed, 0, sizeof p->narrowed);
    tape_run(t, items, run_piece, p);
}

/* Everything of the way up but the weights. */
static void set_up(struct piece *p, struct tape *t, const struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[LINEAR_X]], *out = &t->slot[o->out];
    const struct slot *res = o->in[LINEAR_RESIDUAL] < 0 ? NULL : &t->slot[o->in[LINEAR_RESIDUAL]];
    p->x = in->x;
    p->bias = o->w[LINEAR_BIAS] < 0 ? NULL : t->params->p[o->w[LINEAR_BIAS]]->x;
    p->residual = res ? res->x : NULL;
    p->act = o->act;
    p->y = out->x;
    p->m = tape_slot_rows(out, b);
    p->k = in->cols;
    p->n = out->cols;
}

static void forward_bf16(struct tape *t, struct op *o, const struct batch *b)
{
    struct piece p;
    p.narrow = narrow_bf16;
    p.multiply = multiply_bf16;
    p.w_bf16 = &t->params->p[o->w[LINEAR_WEIGHT]]->packed_bf16;
    set_up(&p, t, o, b);
    run(t, &p);
}

static void forward_int8(struct tape *t, struct op *o, const struct batch *b)
{
    struct piece p;
    p.narrow = narrow_int8;
    p.multiply = multiply_int8;
    p.w_i8 = &t->params->p[o->w[LINEAR_WEIGHT]]->packed_i8;
    set_up(&p, t, o, b);
    run(t, &p);
}

/* For all rows at once, which is the most that a worker narrows. */
static size_t scratch_bf16(const struct op *o, const struct batch *b)
{
    return bytes_bf16(b->n_tok, o->depth) / sizeof(float);
}

static size_t scratch_int8(const struct op *o, const struct batch *b)
{
    return bytes_int8(b->n_tok, o->depth) / sizeof(float);
}

/* ---- training in bf16 ---------------------------------------------------------------------------
 */

/* dx (+)= dy W, with dy and W narrowed; in place of op_linear's. */
static void dx_bf16(struct tape *t, const struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[LINEAR_X]], *out = &t->slot[o->out];
    bool add;
    float *dx = tape_grad(t, o, LINEAR_X, &add);
    if (!dx)
        return;
    struct piece p;
    p.narrow = narrow_bf16;
    p.multiply = multiply_bf16;
    p.w_bf16 = &t->params->p[o->w[LINEAR_WEIGHT]]->back_bf16;
    p.x = out->dx;
    p.bias = NULL;
    p.residual = add ? dx : NULL;
    p.act = ACT_NONE;
    p.y = dx;
    p.m = tape_slot_rows(out, b);
    p.k = out->cols;
    p.n = in->cols;
    run(t, &p);
}

static void backward_mixed(struct tape *t, struct op *o, const struct batch *b)
{
    linear_dw(t, o, b);
    dx_bf16(t, o, b);
    tape_grad_pass(t, o, LINEAR_RESIDUAL);
}

static size_t back_scratch_mixed(const struct op *o, const struct batch *b)
{
    const size_t dw = linear_back_scratch(o, b);
    const size_t dx = bytes_bf16(b->n_tok, o->width) / sizeof(float) + 1;
    return dw > dx ? dw : dx;
}

const struct op_kind op_linear_mixed = {.name = "linear_mixed",
                                        .forward = forward_bf16,
                                        .backward = backward_mixed,
                                        .scratch = scratch_bf16,
                                        .in_place = LINEAR_RESIDUAL,
                                        .back = BACK_IN,
                                        .back_in_place = LINEAR_RESIDUAL,
                                        .back_scratch = back_scratch_mixed};
const struct op_kind op_linear_bf16 = {.name = "linear_bf16",
                                       .forward = forward_bf16,
                                       .scratch = scratch_bf16,
                                       .in_place = LINEAR_RESIDUAL};
const struct op_kind op_linear_int8 = {.name = "linear_int8",
                                       .forward = forward_int8,
                                       .scratch = scratch_int8,
                                       .in_place = LINEAR_RESIDUAL};
