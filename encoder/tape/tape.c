/* tape.c - building a tape, and running it; see tape.h. Memory is planned in plan.c. */
#include "encoder/tape/tape.h"

#include "src/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tape_init(struct tape *t, struct params *params, enum tape_mode mode)
{
    *t = (struct tape){.mode = mode, .fuse = mode == TAPE_INFER, .params = params};
}

void tape_release(struct tape *t)
{
    free(t->op);
    free(t->slot);
    free(t->life);
    free(t->arena);
    *t = (struct tape){0};
}

void tape_fail(struct tape *t, const char *fmt, ...)
{
    if (t->failed)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->err.msg, sizeof t->err.msg, fmt, ap);
    va_end(ap);
    t->failed = true;
}

struct op *tape_op(struct tape *t, const struct op_kind *kind, enum rows rows, int n_fixed,
                   int cols)
{
    if (t->failed)
        return NULL;
    VEC_GROW(t->slot, t->n_slots, t->cap_slots);
    VEC_GROW(t->op, t->n_ops, t->cap_ops);
    struct op *o = &t->op[t->n_ops++];
    *o = (struct op){.kind = kind, .out = t->n_slots, .window = -1};
    for (int i = 0; i < OP_MAX_IN; i++)
        o->in[i] = -1;
    for (int i = 0; i < OP_MAX_PARAMS; i++)
        o->w[i] = -1;
    t->slot[t->n_slots++] = (struct slot){.rows = rows,
                                          .n_fixed = n_fixed,
                                          .cols = cols,
                                          .first = t->n_ops - 1,
                                          .last = t->n_ops - 1};
    return o;
}

int tape_param_named(struct tape *t, const char *full_name, enum param_kind kind, int rows,
                     int cols)
{
    if (t->failed)
        return 0;
    const int i = params_get(t->params, full_name, kind, rows, cols, &t->err);
    t->failed = i < 0;
    return i < 0 ? 0 : i;
}

int tape_param(struct tape *t, const char *name, const char *part, enum param_kind kind, int rows,
               int cols)
{
    char full[256];
    if (t->failed)
        return 0;
    if ((size_t)snprintf(full, sizeof full, "%s.%s", name, part) >= sizeof full) {
        tape_fail(t, "the parameter name '%s.%s' is too long", name, part);
        return 0;
    }
    return tape_param_named(t, full, kind, rows, cols);
}

void tape_run(struct tape *t, int n_items, void (*fn)(void *ctx, int item, int worker), void *ctx)
{
    if (t->pool && n_items > 1) {
        pool_run(t->pool, n_items, fn, ctx);
        return;
    }
    for (int i = 0; i < n_items; i++)
        fn(ctx, i, 0);
}

void tape_forward(struct tape *t)
{
    for (int i = 0; i < t->n_slots; i++) {
        t->slot[i].x = t->slot[i].x_up;
        t->slot[i].remade = false;
    }
    for (int i = 0; i < t->n_ops; i++)
        t->op[i].kind->forward(t, &t->op[i], t->batch);
}

/* ---- going down ------------------------------------------------------------------------------ */

/* A value that was given up is written again, after those that it is made from. */
static void remake(struct tape *t, int s)
{
    struct slot *slot = &t->slot[s];
    if (!slot->x_down || slot->remade)
        return;
    struct op *o = &t->op[slot->first];
    for (int k = 0; k < OP_MAX_IN; k++)
        if (o->in[k] >= 0)
            remake(t, o->in[k]);
    slot->remade = true;
    slot->x = slot->x_down;
    o->kind->forward(t, o, t->batch);
}

static void backward_op(struct tape *t, struct op *o)
{
    if (!o->active)
        return;
    for (int k = 0; k < OP_MAX_IN && (o->kind->back & BACK_IN); k++)
        if (o->in[k] >= 0)
            remake(t, o->in[k]);
    if (o->kind->back & BACK_OUT)
        remake(t, o->out);
    o->kind->backward(t, o, t->batch);
}

void tape_backward(struct tape *t)
{
    for (int i = 0; i < t->n_slots; i++)
        t->slot[i].has_dx = t->slot[i].kept;
    for (int i = t->n_ops - 1; i >= 0; i--)
        backward_op(t, &t->op[i]);
}

float *tape_grad(struct tape *t, const struct op *o, int k, bool *add)
{
    struct slot *in = o->in[k] < 0 ? NULL : &t->slot[o->in[k]];
    if (!in || !in->wanted)
        return NULL;
    *add = in->has_dx;
    in->has_dx = true;
    return in->dx;
}

struct pass {
    float *dx;
    const float *dy;
    size_t n;
    bool add;
};

enum { PASS_FLOATS = 1 << 14 }; /* of one item */

static void pass_piece(void *ctx, int item, int worker)
{
    (void)worker;
    const struct pass *p = ctx;
    const size_t from = (size_t)item * PASS_FLOATS;
    const size_t n = p->n - from < PASS_FLOATS ? p->n - from : PASS_FLOATS;
    if (p->add)
        kern.add(p->dx + from, p->dy + from, n);
    else
        memcpy(p->dx + from, p->dy + from, n * sizeof *p->dx);
}

void tape_grad_pass(struct tape *t, const struct op *o, int k)
{
    const struct slot *out = &t->slot[o->out];
    struct pass p = {.dy = out->dx};
    p.dx = tape_grad(t, o, k, &p.add);
    if (!p.dx || (p.dx == p.dy && !p.add))
        return;
    p.n = (size_t)tape_slot_rows(out, t->batch) * (size_t)out->cols;
    tape_run(t, (int)((p.n + PASS_FLOATS - 1) / PASS_FLOATS), pass_piece, &p);
}
