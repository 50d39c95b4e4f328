/* op_embed.c - from token ids to the first hidden vectors.
 *
 * x[t] = word[token[t]] + type[segment[t]] + pos[pos_offset + t - start of t's sequence].
 * The reference adds word and type first, then position; we keep that order. RoBERTa's positions
 * begin at its padding id + 1 (pos_offset); its one row of types serves both segments.
 */
#include "encoder/tape/tape.h"

#include <string.h>

enum { W_WORD, W_TYPE, W_POS };

static const struct param *table(const struct tape *t, const struct op *o, int role)
{
    return o->w[role] < 0 ? NULL : t->params->p[o->w[role]];
}

static int segment_row(const struct param *type, const struct batch *b, int i)
{
    return b->type && b->type[i] < type->rows ? b->type[i] : 0;
}

/* Rows of a large table lie anywhere in memory: the next one is asked for while this one is copied.
 */
static void fetch_row(const float *row, size_t n)
{
    for (size_t i = 0; i < n; i += 16)
        __builtin_prefetch(row + i);
}

static void embed_forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *out = &t->slot[o->out];
    const struct param *word = table(t, o, W_WORD), *type = table(t, o, W_TYPE);
    const struct param *pos = table(t, o, W_POS);
    const size_t h = (size_t)out->cols;
    for (int s = 0; s < b->n_seq; s++)
        for (int i = b->start[s]; i < b->start[s + 1]; i++) {
            float *x = out->x + (size_t)i * h;
            if (i + 1 < b->n_tok)
                fetch_row(word->x + (size_t)b->token[i + 1] * h, h);
            memcpy(x, word->x + (size_t)b->token[i] * h, h * sizeof *x);
            if (type)
                kern.add(x, type->x + (size_t)segment_row(type, b, i) * h, h);
            if (pos)
                kern.add(x, pos->x + (size_t)(o->pos_offset + i - b->start[s]) * h, h);
        }
}

/* Columns [from, from + n) of the gradients: rows of tables get those of the tokens that read them,
 * in the order of the tokens. */
struct scatter {
    const struct batch *b;
    const struct param *word, *type, *pos;
    int pos_offset, cols;
    const float *dy;
};

enum { SCATTER_COLS = 64 }; /* of one item: columns may be shared between workers, rows may not */

static void scatter_columns(void *ctx, int item, int worker)
{
    (void)worker;
    const struct scatter *w = ctx;
    const struct batch *b = w->b;
    const int from = item * SCATTER_COLS;
    const size_t n = (size_t)(w->cols - from < SCATTER_COLS ? w->cols - from : SCATTER_COLS);
    for (int s = 0; s < b->n_seq; s++)
        for (int i = b->start[s]; i < b->start[s + 1]; i++) {
            const float *dy = w->dy + (size_t)i * (size_t)w->cols + from;
            const size_t cols = (size_t)w->cols, at = (size_t)from;
            if (w->word && w->word->dx)
                kern.add(w->word->dx + (size_t)b->token[i] * cols + at, dy, n);
            if (w->type && w->type->dx)
                kern.add(w->type->dx + (size_t)segment_row(w->type, b, i) * cols + at, dy, n);
            if (w->pos && w->pos->dx)
                kern.add(w->pos->dx + (size_t)(w->pos_offset + i - b->start[s]) * cols + at, dy, n);
        }
}

/* x[t] = word[token[t]] + type[segment[t]] + pos[...]: each table's row gets dx[t]. */
static void embed_backward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *out = &t->slot[o->out];
    struct scatter w = {.b = b,
                        .word = table(t, o, W_WORD),
                        .type = table(t, o, W_TYPE),
                        .pos = table(t, o, W_POS),
                        .pos_offset = o->pos_offset,
                        .cols = out->cols,
                        .dy = out->dx};
    tape_run(t, (out->cols + SCATTER_COLS - 1) / SCATTER_COLS, scatter_columns, &w);
}

const struct op_kind op_embed = {.name = "embed",
                                 .forward = embed_forward,
                                 .backward = embed_backward,
                                 .in_place = -1,
                                 .back_in_place = -1};

int tape_embed(struct tape *t, const char *name, int n_word, int n_type, int n_pos, int pos_offset,
               int hidden)
{
    struct op *o = tape_op(t, &op_embed, ROWS_TOK, 0, hidden);
    if (!o)
        return 0;
    o->w[W_WORD] = tape_param(t, name, "word", PARAM_TABLE, n_word, hidden);
    if (n_type)
        o->w[W_TYPE] = tape_param(t, name, "type", PARAM_TABLE, n_type, hidden);
    if (n_pos)
        o->w[W_POS] = tape_param(t, name, "pos", PARAM_TABLE, n_pos, hidden);
    o->pos_offset = pos_offset;
    return o->out;
}
