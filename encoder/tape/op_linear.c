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

struct split {
    struct gemm_f32 g;
    int n_out, step; /* step: columns of an item, whole panels */
};

static void run_columns(void *ctx, int item, int worker)
{
    (void)worker;
    const struct split *s = ctx;
    const int n0 = item * s->step;
    kern.gemm(&s->g, n0, n0 + s->step < s->n_out ? n0 + s->step : s->n_out);
}

static void linear_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[LINEAR_X]], *out = &t->slot[o->out];
    const struct slot *res = o->in[LINEAR_RESIDUAL] < 0 ? NULL : &t->slot[o->in[LINEAR_RESIDUAL]];
    struct split s = {
        .g = {.a = in->x,
              .lda = in->cols,
              .m = tape_slot_rows(out, b),
              .w = &t->params->p[o->w[LINEAR_WEIGHT]]->packed,
              .bias = o->w[LINEAR_BIAS] < 0 ? NULL : t->params->p[o->w[LINEAR_BIAS]]->x,
              .residual = res ? res->x : NULL,
              .ld_res = out->cols,
              .act = o->act,
              .c = out->x,
              .ldc = out->cols},
        .n_out = out->cols,
        .step = out->cols};
    int items = 1;
    if (t->pool) { /* twice as many items as workers, so that a late one does not hold up the rest
                    */
        const int panels = (out->cols + kern.gemm_panel - 1) / kern.gemm_panel;
        const int want = pool_size(t->pool) * 2;
        const int per_item = (panels + want - 1) / want;
        s.step = per_item * kern.gemm_panel;
        items = (panels + per_item - 1) / per_item;
    }
    tape_run(t, items, run_columns, &s);
}

/* out = act(in) */
static void activate_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[0]], *out = &t->slot[o->out];
    const size_t n = (size_t)tape_slot_rows(out, b) * (size_t)out->cols;
    if (out->x != in->x)
        memcpy(out->x, in->x, n * sizeof *out->x);
    kern.activate(out->x, n, o->act);
}

/* out = in0 + in1 */
static void add_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *x = &t->slot[o->in[0]], *y = &t->slot[o->in[1]], *out = &t->slot[o->out];
    const size_t n = (size_t)tape_slot_rows(out, b) * (size_t)out->cols;
    if (out->x != x->x)
        memcpy(out->x, x->x, n * sizeof *out->x);
    kern.add(out->x, y->x, n);
}

const struct op_kind op_linear = {
    .name = "linear", .forward = linear_forward, .in_place = LINEAR_RESIDUAL};
const struct op_kind op_activate = {.name = "activate", .forward = activate_forward};
const struct op_kind op_add = {.name = "add", .forward = add_forward};

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
    return in->rows == ROWS_TOK ? t->precision : PRECISION_FP32;
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
    struct op *o = tape_op(t, kind[precision], in.rows, in.n_fixed, out);
    if (!o)
        return 0;
    o->in[LINEAR_X] = x;
    o->depth = in.cols;
    o->w[LINEAR_WEIGHT] = tape_param(t, name, "weight", PARAM_MATRIX, out, in.cols);
    want_precision(t, o->w[LINEAR_WEIGHT], precision);
    if (bias)
        o->w[LINEAR_BIAS] = tape_param(t, name, "bias", PARAM_VECTOR, 1, out);
    int y = o->out;
    if (t->fuse) {
        o->act = act;
        o->in[LINEAR_RESIDUAL] = residual;
        return y;
    }
    if (act != ACT_NONE)
        y = activate(t, y, act);
    return residual < 0 ? y : add(t, y, residual);
}
