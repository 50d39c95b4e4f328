/* op_linear.c - y = act(x W^T + b) + residual, and its parts as ops of their own.
 *
 * Inference fuses activation and residual into the matrix product's epilogue, where the tile is
 * still in cache. A tape that does not fuse runs `linear`, `activate`, `add` one after the other:
 * then the input of the activation stays, which its gradient needs.
 *
 * When one batch is shared by several threads the product is cut into ranges of whole panels of
 * output columns. A column's sum does not depend on the cut, so neither do the numbers.
 */
#include "encoder/tape/linear.h"

#include <string.h>

enum { PACK_PANELS = 4 }; /* panels that a worker packs at a time */

/* How the weights of a product are at hand. */
enum weights {
    WEIGHTS_PACKED,
    WEIGHTS_ROWS,   /* [n_out, k] row-major: packed piece by piece as they are used */
    WEIGHTS_COLUMNS /* [k, n_out] row-major, so */
};

struct split {
    const struct tape *t;
    struct gemm_f32 g;
    enum weights form;
    const float *w;
    int n_out, step; /* step: columns of an item, whole panels */
};

/* Columns [n0, n1): a worker packs the panels of a few into its scratch. */
static void run_unpacked(const struct split *s, int n0, int n1, int worker)
{
    float *const panels = s->t->scratch + (size_t)worker * s->t->scratch_floats;
    const int k = s->g.w->k, most = PACK_PANELS * kern.gemm_panel;
    for (int j = n0; j < n1; j += most) {
        const int n = n1 - j < most ? n1 - j : most;
        if (s->form == WEIGHTS_ROWS)
            kern.gemm_pack(panels, s->w + (size_t)j * (size_t)k, k, n, k);
        else
            kern.train.gemm_pack_rows(panels, s->w + j, s->n_out, n, k);
        const struct packed_f32 w = {n, k, panels};
        struct gemm_f32 g = s->g;
        g.w = &w;
        g.bias = g.bias ? g.bias + j : NULL;
        g.residual = g.residual ? g.residual + j : NULL;
        g.c += j;
        kern.gemm(&g, 0, n);
    }
}

static void run_columns(void *ctx, int item, int worker)
{
    const struct split *s = ctx;
    const int n0 = item * s->step;
    const int n1 = n0 + s->step < s->n_out ? n0 + s->step : s->n_out;
    if (s->form == WEIGHTS_PACKED)
        kern.gemm(&s->g, n0, n1);
    else
        run_unpacked(s, n0, n1, worker);
}

/* Twice as many items as workers, so that a late one does not hold up the rest. */
static void run_split(struct tape *t, struct split *s)
{
    int items = 1;
    s->step = s->n_out;
    if (t->pool) {
        const int panels = (s->n_out + kern.gemm_panel - 1) / kern.gemm_panel;
        const int want = pool_size(t->pool) * 2;
        const int per_item = (panels + want - 1) / want;
        s->step = per_item * kern.gemm_panel;
        items = (panels + per_item - 1) / per_item;
    }
    tape_run(t, items, run_columns, s);
}

static size_t linear_scratch(const struct op *o, const struct batch *b)
{
    (void)b;
    return (size_t)(PACK_PANELS * kern.gemm_panel) * (size_t)o->depth;
}

static void linear_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[LINEAR_X]], *out = &t->slot[o->out];
    const struct slot *res = o->in[LINEAR_RESIDUAL] < 0 ? NULL : &t->slot[o->in[LINEAR_RESIDUAL]];
    const struct param *w = t->params->p[o->w[LINEAR_WEIGHT]];
    struct split s = {
        .t = t,
        .g = {.a = in->x,
              .lda = in->cols,
              .m = tape_slot_rows(out, b),
              .w = &w->packed,
              .bias = o->w[LINEAR_BIAS] < 0 ? NULL : t->params->p[o->w[LINEAR_BIAS]]->x,
              .residual = res ? res->x : NULL,
              .ld_res = out->cols,
              .act = o->act,
              .c = out->x,
              .ldc = out->cols},
        .form = w->packed.data ? WEIGHTS_PACKED : WEIGHTS_ROWS,
        .w = w->x,
        .n_out = out->cols};
    const struct packed_f32 shape = {out->cols, in->cols, NULL};
    if (s.form != WEIGHTS_PACKED)
        s.g.w = &shape;
    run_split(t, &s);
}

/* dX (+)= dY W */
static void linear_dx(struct tape *t, const struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[LINEAR_X]], *out = &t->slot[o->out];
    const struct packed_f32 shape = {in->cols, out->cols, NULL};
    bool add;
    float *dx = tape_grad(t, o, LINEAR_X, &add);
    if (!dx)
        return;
    struct split s = {.t = t,
                      .g = {.a = out->dx,
                            .lda = out->cols,
                            .m = tape_slot_rows(out, b),
                            .w = &shape,
                            .residual = add ? dx : NULL,
                            .ld_res = in->cols,
                            .c = dx,
                            .ldc = in->cols},
                      .form = WEIGHTS_COLUMNS,
                      .w = t->params->p[o->w[LINEAR_WEIGHT]]->x,
                      .n_out = in->cols};
    run_split(t, &s);
}

enum { OUTER_ROWS = 384, OUTER_LEAST = 96 }; /* rows or columns of dW of one item */

struct outer {
    const struct tape *t;
    struct gemm_outer g;
    float *bias;
    int rows, cols; /* of an item */
};

/* Cuts dW into pieces that are large on both sides, because each packs its rows and columns. */
static int cut_outer(struct outer *w)
{
    const int want = w->t->pool ? pool_size(w->t->pool) * 2 : 1, panel = kern.gemm_panel;
    int items;
    w->rows = w->g.m < OUTER_ROWS ? w->g.m : OUTER_ROWS;
    w->cols = w->g.n;
    for (;;) {
        items = (w->g.m + w->rows - 1) / w->rows * ((w->g.n + w->cols - 1) / w->cols);
        if (items >= want || (w->rows <= OUTER_LEAST && w->cols <= OUTER_LEAST))
            return items;
        if (w->rows >= w->cols)
            w->rows = (w->rows / 2 + 23) / 24 * 24; /* whole tiles of any level */
        else
            w->cols = (w->cols / 2 + panel - 1) / panel * panel;
    }
}

static void run_outer(void *ctx, int item, int worker)
{
    const struct outer *w = ctx;
    const int across = (w->g.n + w->cols - 1) / w->cols;
    const int i = item / across * w->rows, j = item % across * w->cols;
    struct gemm_outer g = w->g;
    g.a += i;
    g.b += j;
    g.m = g.m - i < w->rows ? g.m - i : w->rows;
    g.n = g.n - j < w->cols ? g.n - j : w->cols;
    g.c += (size_t)i * (size_t)g.ldc + (size_t)j;
    g.sum = w->bias && j == 0 ? w->bias + i : NULL;
    g.scratch = w->t->scratch + (size_t)worker * w->t->scratch_floats;
    kern.train.gemm_outer(&g);
}

static void add_rows(float *sum, const float *x, int rows, size_t cols)
{
    for (int i = 0; i < rows; i++)
        kern.add(sum, x + (size_t)i * cols, cols);
}

void linear_dw(struct tape *t, const struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[LINEAR_X]], *out = &t->slot[o->out];
    const struct param *w = t->params->p[o->w[LINEAR_WEIGHT]];
    const struct param *bias = o->w[LINEAR_BIAS] < 0 ? NULL : t->params->p[o->w[LINEAR_BIAS]];
    const int rows = tape_slot_rows(out, b);
    if (!w->dx) {
        if (bias && bias->dx)
            add_rows(bias->dx, out->dx, rows, (size_t)out->cols);
        return;
    }
    struct outer job = {.t = t,
                        .g = {.a = out->dx,
                              .b = in->x,
                              .lda = out->cols,
                              .ldb = in->cols,
                              .k = rows,
                              .m = out->cols,
                              .n = in->cols,
                              .c = w->dx,
                              .ldc = in->cols},
                        .bias = bias ? bias->dx : NULL};
    tape_run(t, cut_outer(&job), run_outer, &job);
}

/* y = x W^T + b + residual (the activation is an op of its own here):
 * dx = dy W, dW = dy^T x, db = sum of dy, dresidual = dy. */
static void linear_backward(struct tape *t, struct op *o, const struct batch *b)
{
    linear_dw(t, o, b);
    linear_dx(t, o, b);
    tape_grad_pass(t, o, LINEAR_RESIDUAL);
}

size_t linear_back_scratch(const struct op *o, const struct batch *b)
{
    (void)b;
    const size_t dw = kern.train.gemm_outer_scratch_floats(OUTER_ROWS);
    const size_t dx = (size_t)(PACK_PANELS * kern.gemm_panel) * (size_t)o->width;
    return dw > dx ? dw : dx;
}

/* ---- elementwise parts --------------------------------------------------------------------------
 */

enum { PIECE_FLOATS = 1 << 14 }; /* of one item */

struct elements {
    float *to;
    const float *x, *y;
    size_t n;
    enum activation act;
    bool add;
};

static int pieces(const struct elements *e)
{
    return (int)((e->n + PIECE_FLOATS - 1) / PIECE_FLOATS);
}

static size_t piece_length(const struct elements *e, int item)
{
    const size_t left = e->n - (size_t)item * PIECE_FLOATS;
    return left < PIECE_FLOATS ? left : PIECE_FLOATS;
}

static void activate_piece(void *ctx, int item, int worker)
{
    (void)worker;
    const struct elements *e = ctx;
    const size_t at = (size_t)item * PIECE_FLOATS, n = piece_length(e, item);
    if (e->to != e->x)
        memcpy(e->to + at, e->x + at, n * sizeof *e->to);
    kern.activate(e->to + at, n, e->act);
}

/* out = act(in) */
static void activate_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[0]], *out = &t->slot[o->out];
    struct elements e = {.to = out->x, .x = in->x, .act = o->act};
    e.n = (size_t)tape_slot_rows(out, b) * (size_t)out->cols;
    tape_run(t, pieces(&e), activate_piece, &e);
}

static void slope_piece(void *ctx, int item, int worker)
{
    (void)worker;
    const struct elements *e = ctx;
    const size_t at = (size_t)item * PIECE_FLOATS;
    kern.train.activate_backward(e->to + at, e->y + at, e->x + at, piece_length(e, item), e->act,
                                 e->add);
}

/* y = act(x): dx = dy act'(x) */
static void activate_backward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[0]], *out = &t->slot[o->out];
    struct elements e = {.x = in->x, .y = out->dx, .act = o->act};
    e.to = tape_grad(t, o, 0, &e.add);
    e.n = (size_t)tape_slot_rows(out, b) * (size_t)out->cols;
    if (e.to)
        tape_run(t, pieces(&e), slope_piece, &e);
}

static void add_piece(void *ctx, int item, int worker)
{
    (void)worker;
    const struct elements *e = ctx;
    const size_t at = (size_t)item * PIECE_FLOATS, n = piece_length(e, item);
    if (e->to != e->x)
        memcpy(e->to + at, e->x + at, n * sizeof *e->to);
    kern.add(e->to + at, e->y + at, n);
}

/* out = in0 + in1 */
static void add_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *x = &t->slot[o->in[0]], *y = &t->slot[o->in[1]], *out = &t->slot[o->out];
    struct elements e = {.to = out->x, .x = x->x, .y = y->x};
    e.n = (size_t)tape_slot_rows(out, b) * (size_t)out->cols;
    tape_run(t, pieces(&e), add_piece, &e);
}

/* y = a + b: da = db = dy */
static void add_backward(struct tape *t, struct op *o, const struct batch *b)
{
    (void)b;
    tape_grad_pass(t, o, 1);
    tape_grad_pass(t, o, 0);
}

const struct op_kind op_linear = {.name = "linear",
                                  .forward = linear_forward,
                                  .backward = linear_backward,
                                  .scratch = linear_scratch,
                                  .in_place = LINEAR_RESIDUAL,
                                  .back = BACK_IN,
                                  .back_in_place = LINEAR_RESIDUAL,
                                  .back_scratch = linear_back_scratch};
const struct op_kind op_activate = {.name = "activate",
                                    .forward = activate_forward,
                                    .backward = activate_backward,
                                    .back = BACK_IN | BACK_REMAKE};
const struct op_kind op_add = {.name = "add", .forward = add_forward, .backward = add_backward};

static int activate(struct tape *t, int x, enum activation act)
{
    struct op *o =
        t->failed ? NULL
                  : tape_op(t, &op_activate, t->slot[x].rows, t->slot[x].n_fixed, t->slot[x].cols);
    if (!o)
        return 0;
    o->in[0] = x;
    o->act = act;
    return o->out;
}

static int add(struct tape *t, int x, int y)
{
    struct op *o = t->failed
                       ? NULL
                       : tape_op(t, &op_add, t->slot[x].rows, t->slot[x].n_fixed, t->slot[x].cols);
    if (!o)
        return 0;
    o->in[0] = x;
    o->in[1] = y;
    return o->out;
}

enum { INT8_DEPTH_MAX = 65536 }; /* of gemm_i8 */

/* Only rows of tokens are many: what follows pooling stays fp32. */
static enum precision precision_of(const struct tape *t, const struct slot *in)
{
    const bool trains = t->mode == TAPE_TRAIN && t->precision != PRECISION_BF16;
    return in->rows == ROWS_TOK && !trains ? t->precision : PRECISION_FP32;
}

/* A new parameter is to be packed in that precision; one that is loaded must be. */
static void want_precision(struct tape *t, int param, enum precision precision)
{
    if (t->failed)
        return;
    struct param *p = t->params->p[param];
    if (!t->params->frozen)
        p->precision = precision;
    else if (p->precision != precision)
        tape_fail(t, "the weights of '%s' are loaded in %s, not in %s", p->name,
                  precision_name(p->precision), precision_name(precision));
}

int tape_linear(struct tape *t, const char *name, int x, int out, bool bias, enum activation act,
                int residual)
{
    if (t->failed)
        return 0;
    const struct slot in = t->slot[x];
    if (residual >= 0 && (t->slot[residual].cols != out || t->slot[residual].rows != in.rows))
        tape_fail(t, "linear '%s': the residual has another shape", name);
    static const struct op_kind *const kind[PRECISIONS] = {[PRECISION_FP32] = &op_linear,
                                                           [PRECISION_BF16] = &op_linear_bf16,
                                                           [PRECISION_INT8] = &op_linear_int8};
    const enum precision precision = precision_of(t, &in);
    if (precision == PRECISION_INT8 && in.cols > INT8_DEPTH_MAX)
        tape_fail(t, "linear '%s': %d columns are too many for int8", name, in.cols);
    const bool mixed = precision == PRECISION_BF16 && t->mode == TAPE_TRAIN;
    struct op *o = tape_op(t, mixed ? &op_linear_mixed : kind[precision], in.rows, in.n_fixed, out);
    if (!o)
        return 0;
    o->in[LINEAR_X] = x;
    o->depth = in.cols;
    o->width = out;
    o->w[LINEAR_WEIGHT] = tape_param(t, name, "weight", PARAM_MATRIX, out, in.cols);
    want_precision(t, o->w[LINEAR_WEIGHT], precision);
    if (bias)
        o->w[LINEAR_BIAS] = tape_param(t, name, "bias", PARAM_VECTOR, 1, out);
    int y = o->out;
    if (t->fuse || (t->mode == TAPE_TRAIN && act == ACT_NONE)) {
        o->act = act;
        o->in[LINEAR_RESIDUAL] = residual;
        return y;
    }
    if (act != ACT_NONE)
        y = activate(t, y, act);
    return residual < 0 ? y : add(t, y, residual);
}

int tape_linear_tied(struct tape *t, const char *table, const char *bias, int x, int out)
{
    if (t->failed)
        return 0;
    const struct slot in = t->slot[x];
    struct op *o = tape_op(t, &op_linear, in.rows, in.n_fixed, out);
    if (!o)
        return 0;
    o->in[LINEAR_X] = x;
    o->depth = in.cols;
    o->width = out;
    o->w[LINEAR_WEIGHT] = tape_param_named(t, table, PARAM_TABLE, out, in.cols);
    o->w[LINEAR_BIAS] = tape_param_named(t, bias, PARAM_VECTOR, 1, out);
    return o->out;
}
