/* op_embed.c - from token ids to the first hidden vectors.
 *
 * x[t] = word[token[t]] + type[segment[t]] + pos[pos_offset + t - start of t's sequence].
 * The reference adds word and type first, then position; we keep that order. RoBERTa's positions
 * begin at its padding id + 1 (pos_offset); its one row of types serves both segments.
 */
#include "encoder/tape/tape.h"

#include <string.h>

enum { W_WORD, W_TYPE, W_POS };

static void forward(struct tape *t, struct op *o, const struct batch *b)
{
    const struct slot *out = &t->slot[o->out];
    const struct param *word = t->params->p[o->w[W_WORD]];
    const struct param *type = o->w[W_TYPE] < 0 ? NULL : t->params->p[o->w[W_TYPE]];
    const struct param *pos = o->w[W_POS] < 0 ? NULL : t->params->p[o->w[W_POS]];
    const size_t h = (size_t)out->cols;
    for (int s = 0; s < b->n_seq; s++)
        for (int i = b->start[s]; i < b->start[s + 1]; i++) {
            float *x = out->x + (size_t)i * h;
            memcpy(x, word->x + (size_t)b->token[i] * h, h * sizeof *x);
            if (type) {
                const int segment = b->type && b->type[i] < type->rows ? b->type[i] : 0;
                kern.add(x, type->x + (size_t)segment * h, h);
            }
            if (pos)
                kern.add(x, pos->x + (size_t)(o->pos_offset + i - b->start[s]) * h, h);
        }
}

const struct op_kind op_embed = {.name = "embed", .forward = forward, .in_place = -1};

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
