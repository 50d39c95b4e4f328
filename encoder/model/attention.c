/* attention.c - the attention weights of one sequence, for looking at; see encoder.h.
 *
 * The model's own tape runs; only the kind of its attention operations is another one, which lets
 * the kernel hand out the weights while it computes what it computes anyway. So what is shown is
 * what was used, not a second computation.
 */
#include "encoder/model/model.h"
#include "src/base/mem.h"

#include <stdlib.h>

/* A tape with a place for the weights. Operations get a pointer to the tape, the first member. */
struct watched_tape {
    struct tape tape;
    float *weight; /* [layers, heads, n, n] */
    int layer;     /* next */
    float *scratch;
};

static void watched_forward(struct tape *t, struct op *o, const struct batch *b)
{
    struct watched_tape *const w = (struct watched_tape *)t;
    const struct slot *const in = &t->slot[o->in[0]], *const out = &t->slot[o->out];
    const size_t n = (size_t)b->n_tok, heads = (size_t)o->heads;
    for (int h = 0; h < o->heads; h++) {
        const float *const q = in->x + (size_t)h * (size_t)o->head_dim;
        const struct attention_f32 a = {.q = q,
                                        .k = q + out->cols,
                                        .v = q + 2 * (size_t)out->cols,
                                        .ld_qkv = in->cols,
                                        .n = b->n_tok,
                                        .head_dim = o->head_dim,
                                        .row1 = b->n_tok,
                                        .window = o->window,
                                        .scale = o->scale,
                                        .out = out->x + (size_t)h * (size_t)o->head_dim,
                                        .ld_out = out->cols,
                                        .probs = w->weight +
                                                 ((size_t)w->layer * heads + (size_t)h) * n * n,
                                        .scratch = w->scratch};
        kern.attention(&a);
    }
    w->layer++;
}

static const struct op_kind op_attention_watched = {
    .name = "attention_watched", .forward = watched_forward, .in_place = -1};

/* All attention operations of the tape become watched ones. Returns how many there are. */
static int watch(struct tape *t, size_t n_heads)
{
    int n = 0;
    for (int i = 0; i < t->n_ops; i++)
        if (t->op[i].kind == &op_attention && (size_t)t->op[i].heads == n_heads) {
            t->op[i].kind = &op_attention_watched;
            n++;
        }
    return n;
}

static int check_ids(const struct model *m, const int *id, const int *type, int n, struct err *err)
{
    if (n < 1 || n > m->config.max_tokens)
        return err_kind_set(err, ERR_LIMIT, "%d tokens: the model takes 1 to %d", n,
                            m->config.max_tokens);
    for (int i = 0; i < n; i++) {
        if (id[i] < 0 || id[i] >= m->config.vocab)
            return err_set(err, "token %d is not one of the model's %d", id[i], m->config.vocab);
        if (type && m->config.types > 0 && (type[i] < 0 || type[i] >= m->config.types))
            return err_set(err, "this model does not know text %d of a pair", type[i] + 1);
    }
    return 0;
}

/* Runs the watched tape over the sequence. */
static int run(struct watched_tape *w, const struct model *m, const int *id, const int *type, int n,
               struct err *err)
{
    const int start[2] = {0, n};
    const struct batch b = {.n_tok = n, .n_seq = 1, .token = id, .type = type, .start = start};
    const size_t floats = kern.attention_scratch_floats(n, m->config.hidden / m->config.heads);
    void *scratch;
    if (mem_try(&scratch, floats * sizeof(float), "attention", err))
        return -1;
    w->scratch = scratch;
    const int rc = tape_bind(&w->tape, &b, err);
    if (rc == 0)
        tape_forward(&w->tape);
    free(scratch);
    return rc;
}

int model_attention(const struct model *m, const int *id, const int *type, int n, float **weights,
                    struct err *err)
{
    struct watched_tape w = {0};
    struct learner_slots slots;
    size_t bytes;
    void *p = NULL;
    if (check_ids(m, id, type, n, err))
        return -1;
    const size_t layers = (size_t)m->config.layers, heads = (size_t)m->config.heads;
    if (!mul_size((size_t)n * (size_t)n, layers * heads * sizeof(float), &bytes))
        return err_kind_set(err, ERR_LIMIT, "the weights of %d tokens are too many", n);
    if (mem_try(&p, bytes, "attention weights", err) || model_tape(m, &w.tape, &slots, err)) {
        free(p);
        return -1;
    }
    w.weight = p;
    int rc = 0;
    if (watch(&w.tape, heads) != m->config.layers)
        rc = err_set(err, "the attention of this model in %s cannot be shown", m->info.precision);
    if (rc == 0)
        rc = run(&w, m, id, m->config.types > 0 ? type : NULL, n, err);
    tape_release(&w.tape);
    if (rc)
        free(p);
    else
        *weights = p;
    return rc;
}
