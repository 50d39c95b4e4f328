/* op_pick.c - the rows of some tokens, before a layer that is too wide to run on all of them.
 *
 * y[i] = x[pick[i]]; picks rise strictly, so no two gradients meet.
 */
#include "encoder/tape/tape.h"

#include <string.h>

static void pick_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[0]], *out = &t->slot[o->out];
    const size_t cols = (size_t)in->cols;
    for (int i = 0; i < b->n_pick; i++)
        memcpy(out->x + (size_t)i * cols, in->x + (size_t)b->pick[i] * cols, cols * sizeof *out->x);
}

/* y[i] = x[pick[i]]: dx[pick[i]] = dy[i], elsewhere 0. */
static void pick_backward(struct tape *t, struct op *o, const struct batch *b)
{
    bool add;
    float *dx = tape_grad(t, o, 0, &add);
    const float *dy = t->slot[o->out].dx;
    const size_t cols = (size_t)t->slot[o->out].cols;
    if (!dx)
        return;
    if (!add)
        memset(dx, 0, (size_t)b->n_tok * cols * sizeof *dx);
    for (int i = 0; i < b->n_pick; i++)
        kern.add(dx + (size_t)b->pick[i] * cols, dy + (size_t)i * cols, cols);
}

const struct op_kind op_pick = {.name = "pick",
                                .forward = pick_forward,
                                .backward = pick_backward,
                                .in_place = -1,
                                .back_in_place = -1};

int tape_pick(struct tape *t, int x)
{
    if (t->failed)
        return 0;
    if (t->slot[x].rows != ROWS_TOK)
        tape_fail(t, "pick: takes one row a token");
    struct op *o = tape_op(t, &op_pick, ROWS_PICK, 0, t->slot[x].cols);
    if (!o)
        return 0;
    o->in[0] = x;
    return o->out;
}
