/* op_norm.c - layer normalisation.
 *
 * y = (x - mean) / sqrt(var + eps) * gamma + beta over the columns of each row, biased variance.
 */
#include "encoder/tape/tape.h"

enum { W_GAMMA, W_BETA };

static void forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *in = &t->slot[o->in[0]], *out = &t->slot[o->out];
    kern.layer_norm(out->x, in->x, t->params->p[o->w[W_GAMMA]]->x, t->params->p[o->w[W_BETA]]->x,
                    tape_slot_rows(out, b), out->cols, o->eps);
}

const struct op_kind op_norm = {.name = "norm", .forward = forward};

int tape_norm(struct tape *t, const char *name, int x, float eps)
{
    if (t->failed)
        return 0;
    const struct slot in = t->slot[x];
    struct op *o = tape_op(t, &op_norm, in.rows, in.n_fixed, in.cols);
    if (!o)
        return 0;
    o->in[0] = x;
    o->eps = eps;
    o->w[W_GAMMA] = tape_param(t, name, "weight", PARAM_VECTOR, 1, in.cols);
    o->w[W_BETA] = tape_param(t, name, "bias", PARAM_VECTOR, 1, in.cols);
    return o->out;
}
