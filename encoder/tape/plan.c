/* plan.c - which values are alive when, and where a batch puts them; see struct life in tape.h.
 *
 * A value is alive from the op that writes it to the last that reads it. Going up only, that is
 * all. A training tape goes up and down again, and three more things have lives: what backward
 * reads stays until the last backward that does; cheap outputs (an activation, a normalisation) are
 * given up after their last forward and made again when backward first needs them; gradients live
 * from the backward of the slot's last reader to that of the op that wrote it. Where nothing below
 * is trained there is no gradient and nothing is kept.
 *
 * Lives get places once, before any batch is known: widest first, each at the smallest gap that is
 * free for its whole time (the greedy-by-size rule of memory planners for neural networks,
 * Pisarchyk and Lee 2020). An op that may work in place prolongs the life of its input instead of
 * beginning one. In BERT's inference tape H + 4H + H floats a token remain of about 13 slots a
 * layer. Binding a batch then only multiplies: offset times rows, rounded up to a cache line.
 */
#include "encoder/tape/tape.h"

#include "src/base/mem.h"

#include <stdlib.h>

enum { LINE = 16 }; /* floats of a cache line */

int tape_slot_rows(const struct slot *s, const struct batch *b)
{
    switch (s->rows) {
    case ROWS_TOK:
        return b->n_tok;
    case ROWS_SEQ:
        return b->n_seq;
    case ROWS_PICK:
        return b->n_pick;
    case ROWS_FIXED:
        break;
    }
    return s->n_fixed;
}

static size_t line_up(size_t n)
{
    return (n + LINE - 1) / LINE * LINE;
}

/* ---- what is trained ------------------------------------------------------------------------- */

static bool has_trained_param(const struct tape *t, const struct op *o)
{
    for (int k = 0; k < OP_MAX_PARAMS; k++)
        if (o->w[k] >= 0 && t->params->p[o->w[k]]->dx)
            return true;
    return false;
}

/* Active ops: something at or below them is trained, and their result reaches a kept slot. */
static void mark_active(struct tape *t)
{
    for (int i = 0; i < t->n_ops; i++) {
        struct op *o = &t->op[i];
        o->active = has_trained_param(t, o);
        for (int k = 0; k < OP_MAX_IN; k++)
            o->active |= o->in[k] >= 0 && t->slot[o->in[k]].wanted;
        t->slot[o->out].wanted = o->active;
    }
    for (int i = t->n_ops - 1; i >= 0; i--) { /* slots that nothing reads lead nowhere */
        struct op *o = &t->op[i];
        struct slot *out = &t->slot[o->out];
        bool reached = out->kept;
        for (int c = i + 1; c < t->n_ops && !reached; c++)
            for (int k = 0; k < OP_MAX_IN; k++)
                reached |= t->op[c].in[k] == o->out && t->op[c].active;
        o->active &= reached;
        out->wanted &= reached;
    }
}

/* ---- lives ----------------------------------------------------------------------------------- */

static int new_life(struct tape *t, const struct slot *s, int from, int to)
{
    VEC_GROW(t->life, t->n_lives, t->cap_lives);
    const size_t cols =
        s->rows == ROWS_FIXED ? line_up((size_t)s->cols * (size_t)s->n_fixed) : (size_t)s->cols;
    t->life[t->n_lives] = (struct life){.rows = s->rows, .from = from, .to = to, .cols = cols};
    return t->n_lives++;
}

static void prolong(struct tape *t, int life, int to)
{
    t->life[life].to = to > t->life[life].to ? to : t->life[life].to;
}

static bool same_shape(const struct slot *a, const struct slot *b)
{
    return a->rows == b->rows && a->n_fixed == b->n_fixed && a->cols == b->cols;
}

/* Whether o reads the slot of its input k in no other role. */
static bool reads_once(const struct op *o, int k)
{
    for (int i = 0; i < OP_MAX_IN; i++)
        if (i != k && o->in[i] == o->in[k])
            return false;
    return true;
}

static int down(const struct tape *t, int i)
{
    return 2 * t->n_ops - i;
}

/* When, going down, the value of a slot is read; to < 0: never. */
struct reads {
    int from, to;
};

static void note_read(struct reads *r, int from, int to)
{
    r->from = r->to < 0 || from < r->from ? from : r->from;
    r->to = to > r->to ? to : r->to;
}

/* Fills r[n_slots], from the last op to the first: an output that is made again reads its inputs at
 * that moment, before its own backward. */
static void find_reads(const struct tape *t, struct reads *r)
{
    for (int s = 0; s < t->n_slots; s++)
        r[s] = (struct reads){0, -1};
    for (int i = t->n_ops - 1; i >= 0; i--) {
        const struct op *o = &t->op[i];
        const int at = down(t, i);
        if (!o->active)
            continue;
        if (o->kind->back & BACK_OUT)
            note_read(&r[o->out], at, at);
        const bool again = (o->kind->back & BACK_REMAKE) && r[o->out].to >= 0;
        for (int k = 0; k < OP_MAX_IN; k++)
            if (o->in[k] >= 0 && (o->kind->back & BACK_IN))
                note_read(&r[o->in[k]], again ? r[o->out].from : at, at);
    }
}

/* The life of the value that op i writes: its input's prolonged, where that is read no more, or one
 * of its own. */
static void plan_value(struct tape *t, int i, const struct reads *down_reads)
{
    const struct op *o = &t->op[i];
    struct slot *out = &t->slot[o->out];
    int to = out->last;
    if (down_reads && down_reads->to >= 0) {
        if ((o->kind->back & BACK_REMAKE) && o->active)
            out->again = new_life(t, out, down_reads->from, down_reads->to);
        else
            to = down_reads->to;
    }
    const int from = o->kind->in_place < 0 ? -1 : o->in[o->kind->in_place];
    if (from >= 0 && t->life[t->slot[from].life].to == i && same_shape(&t->slot[from], out) &&
        reads_once(o, o->kind->in_place)) {
        out->life = t->slot[from].life;
        prolong(t, out->life, to);
    } else
        out->life = new_life(t, out, i, to);
}

/* The life of the gradient of slot s, which op i wrote. The gradient of an op's result is planned
 * before those of its inputs. */
static void plan_gradient(struct tape *t, int s, int i)
{
    struct slot *slot = &t->slot[s];
    const int last = slot->last;
    if (slot->kept || last >= t->n_ops) {
        slot->dlife = new_life(t, slot, t->n_ops, down(t, i));
        return;
    }
    const struct op *o = &t->op[last]; /* the first backward that writes it */
    const int k = o->kind->back_in_place;
    struct slot *out = &t->slot[o->out];
    if (o->active && k >= 0 && o->in[k] == s && reads_once(o, k) && same_shape(out, slot) &&
        t->life[out->dlife].to == down(t, last)) {
        slot->dlife = out->dlife;
        prolong(t, slot->dlife, down(t, i));
    } else
        slot->dlife = new_life(t, slot, down(t, last), down(t, i));
}

static void plan_training(struct tape *t)
{
    struct reads *r = xcalloc((size_t)t->n_slots, sizeof *r);
    mark_active(t);
    find_reads(t, r);
    for (int i = 0; i < t->n_ops; i++)
        plan_value(t, i, &r[t->op[i].out]);
    for (int i = t->n_ops - 1; i >= 0; i--)
        if (t->slot[t->op[i].out].wanted || t->slot[t->op[i].out].kept)
            plan_gradient(t, t->op[i].out, i);
    free(r);
}

static void plan_lives(struct tape *t)
{
    for (int s = 0; s < t->n_slots; s++)
        t->slot[s].life = t->slot[s].again = t->slot[s].dlife = -1;
    for (int i = 0; i < t->n_ops; i++)
        for (int k = 0; k < OP_MAX_IN; k++)
            if (t->op[i].in[k] >= 0)
                t->slot[t->op[i].in[k]].last = i;
    for (int s = 0; s < t->n_slots; s++)
        if (t->slot[s].kept)
            t->slot[s].last = t->n_ops;
    if (t->mode == TAPE_TRAIN)
        plan_training(t);
    else
        for (int i = 0; i < t->n_ops; i++)
            plan_value(t, i, NULL);
}

/* ---- places ---------------------------------------------------------------------------------- */

static bool meet(const struct life *a, const struct life *b)
{
    return a->rows == b->rows && a->from <= b->to && b->from <= a->to;
}

/* The smallest gap for `l` between the placed lives it meets, else the place behind them. */
static size_t find_gap(const struct life *l, const struct life *const *placed, int n)
{
    size_t at = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
    for (;;) { /* `at` goes from the end of one neighbour to the beginning of the next */
        size_t next = SIZE_MAX, end = at;
        for (int i = 0; i < n; i++)
            if (meet(l, placed[i])) {
                const size_t from = placed[i]->offset, to = from + placed[i]->cols;
                if (from <= at && to > end)
                    end = to;
                if (from > at && from < next)
                    next = from;
            }
        if (end > at) {
            at = end;
            continue;
        }
        if (next == SIZE_MAX)
            return best == SIZE_MAX ? at : best;
        if (next - at >= l->cols && next - at < best_gap) {
            best = at;
            best_gap = next - at;
        }
        at = next;
    }
}

static int wider_first(const void *a, const void *b)
{
    const struct life *x = *(const struct life *const *)a, *y = *(const struct life *const *)b;
    if (x->cols != y->cols)
        return x->cols < y->cols ? 1 : -1;
    return x->from < y->from ? -1 : x->from > y->from;
}

static void place_lives(struct tape *t)
{
    struct life **order = xcalloc((size_t)t->n_lives, sizeof(struct life *));
    for (int i = 0; i < t->n_lives; i++)
        order[i] = &t->life[i];
    qsort(order, (size_t)t->n_lives, sizeof *order, wider_first);
    for (int i = 0; i < t->n_lives; i++) {
        struct life *l = order[i];
        l->offset = find_gap(l, (const struct life *const *)order, i);
        size_t *const width = &t->width[l->rows];
        *width = l->offset + l->cols > *width ? l->offset + l->cols : *width;
    }
    free(order);
}

void tape_keep(struct tape *t, int slot)
{
    if (!t->failed)
        t->slot[slot].kept = true;
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
    tape_keep(t, out);
    plan_lives(t);
    place_lives(t);
    return 0;
}

/* ---- a batch --------------------------------------------------------------------------------- */

void tape_plan_floats(const struct tape *t, size_t *per_tok, size_t *per_seq, size_t *fixed)
{
    *per_tok = t->width[ROWS_TOK];
    *per_seq = t->width[ROWS_SEQ];
    *fixed = t->width[ROWS_FIXED];
}

/* Floats between one column's worth of a row kind and the next. */
static size_t column_floats(enum rows rows, const struct batch *b)
{
    const struct slot as_slot = {.rows = rows, .n_fixed = 1};
    return rows == ROWS_FIXED ? 1 : line_up((size_t)tape_slot_rows(&as_slot, b));
}

struct scratch {
    size_t worker, shared;
};

static void at_least(size_t *most, size_t (*need)(const struct op *, const struct batch *),
                     const struct op *o, const struct batch *b)
{
    const size_t n = need ? line_up(need(o, b)) : 0;
    *most = n > *most ? n : *most;
}

static struct scratch scratch_floats(const struct tape *t, const struct batch *b)
{
    struct scratch s = {0, 0};
    for (int i = 0; i < t->n_ops; i++) {
        const struct op *o = &t->op[i];
        at_least(&s.worker, o->kind->scratch, o, b);
        if (!o->active)
            continue;
        at_least(&s.worker, o->kind->back_scratch, o, b);
        at_least(&s.shared, o->kind->back_shared, o, b);
    }
    return s;
}

static size_t total_floats(const struct tape *t, const struct batch *b, const struct scratch *s)
{
    size_t total = s->worker * (size_t)(t->pool ? pool_size(t->pool) : 1) + s->shared;
    for (int r = 0; r < ROW_KINDS; r++)
        total += t->width[r] * column_floats((enum rows)r, b);
    return total;
}

size_t tape_bytes(const struct tape *t, const struct batch *b)
{
    const struct scratch s = scratch_floats(t, b);
    return total_floats(t, b, &s) * sizeof(float);
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
    const struct scratch s = scratch_floats(t, b);
    const size_t total = total_floats(t, b, &s);
    if (grow_arena(t, total, err))
        return -1;
    t->peak_bytes = total * sizeof(float) > t->peak_bytes ? total * sizeof(float) : t->peak_bytes;
    t->scratch = t->arena;
    t->scratch_floats = s.worker;
    t->shared = t->arena + s.worker * (size_t)(t->pool ? pool_size(t->pool) : 1);
    size_t base[ROW_KINDS], at = (size_t)(t->shared - t->arena) + s.shared;
    for (int r = 0; r < ROW_KINDS; r++) {
        base[r] = at;
        at += t->width[r] * column_floats((enum rows)r, b);
    }
    for (int i = 0; i < t->n_slots; i++) {
        struct slot *slot = &t->slot[i];
        const size_t column = column_floats(slot->rows, b);
        float *const from = t->arena + base[slot->rows];
        slot->x = slot->x_up = from + t->life[slot->life].offset * column;
        slot->x_down = slot->again < 0 ? NULL : from + t->life[slot->again].offset * column;
        slot->dx = slot->dlife < 0 ? NULL : from + t->life[slot->dlife].offset * column;
    }
    t->batch = b;
    return 0;
}

size_t tape_peak_bytes(const struct tape *t)
{
    return t->peak_bytes;
}
