/* tape.c - building a tape, and running it; see tape.h. Memory is planned in plan.c. */
#include "encoder/tape/tape.h"

#include "src/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void tape_init(struct tape *t, struct params *params, enum tape_mode mode)
{
    *t = (struct tape){.mode = mode, .fuse = mode == TAPE_INFER, .params = params};
}

void tape_release(struct tape *t)
{
    free(t->op);
    free(t->slot);
    free(t->buffer);
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
    const int i = params_get(t->params, full, kind, rows, cols, &t->err);
    t->failed = i < 0;
    return i < 0 ? 0 : i;
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
    for (int i = 0; i < t->n_ops; i++)
        t->op[i].kind->forward(t, &t->op[i], t->batch);
}
