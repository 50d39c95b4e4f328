/* score_words.c - entities of token classification, by the rules of conlleval as seqeval's default
 * mode has them: an entity begins at B or S, at I or E after O, E or S, or where the type changes;
 * it counts as right when type, first and last word are equal. */
#include "encoder/train/score.h"

#include "src/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* "B-PER": prefix 'B', type "PER". A tag without a dash is a prefix alone, with type "_". */
static char prefix_of(const char *tag)
{
    return tag[0];
}

static const char *type_of(const char *tag)
{
    return tag[0] && tag[1] == '-' ? tag + 2 : tag[0] == 'O' && !tag[1] ? "" : "_";
}

static bool ends(const char *before, const char *now)
{
    const char p = prefix_of(before), q = prefix_of(now);
    if (p == 'E' || p == 'S')
        return true;
    if (p == 'O')
        return false;
    return q == 'B' || q == 'S' || q == 'O' || strcmp(type_of(before), type_of(now)) != 0;
}

static bool begins(const char *before, const char *now)
{
    const char p = prefix_of(before), q = prefix_of(now);
    if (q == 'B' || q == 'S')
        return true;
    if (q == 'O')
        return false;
    return p == 'O' || p == 'E' || p == 'S' || strcmp(type_of(before), type_of(now)) != 0;
}

struct walker {
    const char *before;
    const char *type; /* of the open entity; NULL: none */
    size_t first;
};

/* Steps to word i; true: an entity [*first, i) of *type has ended. */
static bool walk(struct walker *w, const char *tag, size_t i, size_t *first, const char **type)
{
    bool ended = false;
    if (w->type && ends(w->before, tag)) {
        *first = w->first;
        *type = w->type;
        w->type = NULL;
        ended = true;
    }
    if (begins(w->before, tag)) {
        w->type = type_of(tag);
        w->first = i;
    }
    w->before = tag;
    return ended;
}

void entities_count(const char *const *gold, const char *const *found, size_t n,
                    struct entity_counts *c)
{
    struct walker g = {.before = "O"}, f = {.before = "O"};
    for (size_t i = 0; i <= n; i++) { /* one O after the last */
        size_t a = 0, b = 0;
        const char *s = NULL, *t = NULL;
        const bool x = walk(&g, i < n ? gold[i] : "O", i, &a, &s);
        const bool y = walk(&f, i < n ? found[i] : "O", i, &b, &t);
        c->gold += x;
        c->found += y;
        c->right += x && y && a == b && strcmp(s, t) == 0;
    }
}

int score_words(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
                struct evaluation *out, struct err *err)
{
    const struct slot *y = &s->tape.slot[s->slots.out];
    const char **gold = NULL, **found = NULL;
    size_t room = 0;
    struct entity_counts c = {0};
    struct packed p = {0};
    struct slice slice = {0};
    int64_t words = 0, right = 0, at = 0;
    double loss = 0;
    while (at >= 0 && at < d->n) {
        at = scorer_forward(s, d, at, &p, &slice, sink, err);
        if (at < 0)
            break;
        loss += loss_cross_entropy(y->x, p.tag, p.n_tok, y->cols, 1, NULL, NULL, s->pool);
        for (int q = 0; q < p.n_seq; q++) {
            size_t n = 0;
            if ((size_t)(p.start[q + 1] - p.start[q]) > room) {
                room = 2 * (size_t)(p.start[q + 1] - p.start[q]);
                gold = xrealloc_array(gold, room, sizeof *gold);
                found = xrealloc_array(found, room, sizeof *found);
            }
            for (int k = p.start[q]; k < p.start[q + 1]; k++) {
                if (p.tag[k] < 0)
                    continue;
                const float *row = y->x + (size_t)k * (size_t)y->cols;
                int best = 0;
                for (int j = 1; j < y->cols; j++)
                    best = row[j] > row[best] ? j : best;
                gold[n] = d->class_name[p.tag[k]];
                found[n++] = d->class_name[best];
                right += best == p.tag[k];
            }
            words += (int64_t)n;
            entities_count(gold, found, n, &c);
        }
    }
    packed_release(&p);
    slice_release(&slice);
    free(gold);
    free(found);
    if (at < 0)
        return -1;
    const double precision = c.found ? (double)c.right / (double)c.found : 0;
    const double recall = c.gold ? (double)c.right / (double)c.gold : 0;
    out->loss = words ? loss / (double)words : 0;
    out->main = 0;
    evaluation_add(out, "f1",
                   precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0);
    evaluation_add(out, "precision", precision);
    evaluation_add(out, "recall", recall);
    evaluation_add(out, "accuracy", words ? (double)right / (double)words : 0);
    evaluation_add(out, "entities", (double)c.gold);
    return 0;
}
