/* plan.c - which slots share memory, and where a batch puts them.
 *
 * A slot is alive from the op that writes it to the last that reads it. The plan is made once,
 * before any batch is known: slots of one row kind whose lives do not meet take turns in a
 * *buffer*, whose width is the widest of them. Among the free buffers the one that wastes least is
 * taken; an op that may work in place takes over its input's. In BERT's inference tape three
 * buffers of H + 4H + H floats a token remain of about 13 slots a layer.
 *
 * Binding a batch then only multiplies: height of the row kind times width, rounded to a cache
 * line.
 */
#include "encoder/tape/tape.h"

#include "src/base/mem.h"

#include <stdlib.h>

enum { LINE = 16 }; /* floats of a cache line */

int tape_slot_rows(const struct slot *s, const struct batch *b)
{
    return s->rows == ROWS_TOK ? b->n_tok : s->rows == ROWS_SEQ ? b->n_seq : s->n_fixed;
}

static bool same_height(const struct buffer *b, const struct slot *s)
{
    return b->rows == s->rows && b->n_fixed == s->n_fixed;
}

/* The buffer that fits `s` with the least waste (or growth) and is free at op `at`; a new one when
 * there is none. */
static int take_buffer(struct tape *t, const struct slot *s, int at)
{
    int best = -1;
    long best_cost = 0;
    for (int i = 0; i < t->n_buffers; i++) {
        const struct buffer *b = &t->buffer[i];
        if (!same_height(b, s) || b->free_after >= at)
            continue;
        const long cost = labs((long)b->cols - s->cols);
        if (best < 0 || cost < best_cost) {
            best = i;
            best_cost = cost;
        }
    }
    if (best < 0) {
        VEC_GROW(t->buffer, t->n_buffers, t->cap_buffers);
        best = t->n_buffers++;
        t->buffer[best] = (struct buffer){s->rows, s->n_fixed, s->cols, -1};
    }
    return best;
}

/* The buffer of the input that op i may overwrite; -1: it may not. */
static int take_over(const struct tape *t, int i, const struct slot *out)
{
    const struct op *o = &t->op[i];
    const int in = o->kind->in_place < 0 ? -1 : o->in[o->kind->in_place];
    if (t->mode == TAPE_TRAIN || in < 0 || t->slot[in].last != i || t->slot[in].cols != out->cols ||
        t->slot[in].rows != out->rows)
        return -1;
    for (int k = 0; k < OP_MAX_IN; k++) /* read a second time in another role */
        if (k != o->kind->in_place && o->in[k] == in)
            return -1;
    return t->slot[in].buffer;
}

static void plan_buffers(struct tape *t, int out)
{
    for (int i = 0; i < t->n_ops; i++)
        for (int k = 0; k < OP_MAX_IN; k++)
            if (t->op[i].in[k] >= 0)
                t->slot[t->op[i].in[k]].last = i;
    t->slot[out].last = t->n_ops;
    for (int i = 0; i < t->n_ops; i++) {
        struct slot *s = &t->slot[t->op[i].out];
        if (t->mode == TAPE_TRAIN)
            s->last = t->n_ops;
        const int in_place = take_over(t, i, s);
        s->buffer = in_place >= 0 ? in_place : take_buffer(t, s, i);
        struct buffer *b = &t->buffer[s->buffer];
        b->cols = s->cols > b->cols ? s->cols : b->cols;
        b->free_after = s->last;
    }
}

int tape_finish(struct tape *t, int out, struct err *err)
{
    if (t->n_ops == 0)
        tape_fail(t, "a tape without operations");
    for (int i = 0; i < t->n_ops && t->mode == TAPE_TRAIN; i++)
        if (!t->op[i].kind->backward)
            tape_fail(t, "operation '%s' has no backward and cannot be trained",
                      t->op[i].kind->name);
    if (t->failed) {
        if (err)
            *err = t->err;
        return -1;
    }
    plan_buffers(t, out);
    return 0;
}

void tape_plan_floats(const struct tape *t, size_t *per_tok, size_t *per_seq, size_t *fixed)
{
    *per_tok = *per_seq = *fixed = 0;
    for (int i = 0; i < t->n_buffers; i++) {
        const struct buffer *b = &t->buffer[i];
        if (b->rows == ROWS_TOK)
            *per_tok += (size_t)b->cols;
        else if (b->rows == ROWS_SEQ)
            *per_seq += (size_t)b->cols;
        else
            *fixed += (size_t)b->n_fixed * (size_t)b->cols;
    }
}

static size_t line_up(size_t n)
{
    return (n + LINE - 1) / LINE * LINE;
}

static size_t buffer_floats(const struct buffer *b, const struct batch *batch)
{
    const struct slot as_slot = {.rows = b->rows, .n_fixed = b->n_fixed};
    return line_up((size_t)tape_slot_rows(&as_slot, batch) * (size_t)b->cols);
}

static size_t scratch_floats(const struct tape *t, const struct batch *b)
{
    size_t most = 0;
    for (int i = 0; i < t->n_ops; i++)
        if (t->op[i].kind->scratch) {
            const size_t n = t->op[i].kind->scratch(&t->op[i], b);
            most = n > most ? n : most;
        }
    return line_up(most);
}

static int grow_arena(struct tape *t, size_t floats, struct err *err)
{
    if (floats <= t->arena_floats)
        return 0;
    const size_t want = floats + floats / 4; /* a batch that is a little larger costs nothing */
    free(t->arena);
    t->arena = NULL;
    t->arena_floats = 0;
    void *p;
    if (mem_try(&p, want * sizeof *t->arena, "the activations of a batch", err))
        return -1;
    t->arena = p;
    t->arena_floats = want;
    return 0;
}

/* Sizes cannot overflow: a batch is at most some thousand tokens of a few ten thousand columns. */
int tape_bind(struct tape *t, const struct batch *b, struct err *err)
{
    t->scratch_floats = scratch_floats(t, b);
    size_t total = t->scratch_floats * (size_t)(t->pool ? pool_size(t->pool) : 1);
    const size_t scratch_end = total;
    for (int i = 0; i < t->n_buffers; i++)
        total += buffer_floats(&t->buffer[i], b);
    if (grow_arena(t, total, err))
        return -1;
    t->peak_bytes = total * sizeof(float) > t->peak_bytes ? total * sizeof(float) : t->peak_bytes;
    t->scratch = t->arena;
    for (int i = 0; i < t->n_slots; i++) {
        float *at = t->arena + scratch_end;
        for (int k = 0; k < t->slot[i].buffer; k++)
            at += buffer_floats(&t->buffer[k], b);
        t->slot[i].x = at;
    }
    t->batch = b;
    return 0;
}

size_t tape_peak_bytes(const struct tape *t)
{
    return t->peak_bytes;
}
