/* plan.c - the order of an epoch and its cut into batches; see batch.h.
 *
 * The order is a Fisher-Yates shuffle whose choices are hashes of (seed, epoch, place): any epoch's
 * order can be made again from two numbers, which is all that a checkpoint has to keep.
 *
 * With in-batch negatives a row whose text already stands in the batch would be told to be its own
 * opposite. Such a row waits for the next batch: rows are taken in order from a list of those that
 * are left. When very many in a row must wait, the batch is closed short instead of searching
 * the whole rest each time.
 */
#include "encoder/train/batch.h"
#include "encoder/train/draw.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { PATIENCE = 20000 }; /* rows that may be passed over for one batch */

static void shuffle(int64_t *order, int64_t n, uint64_t seed, int64_t epoch)
{
    const uint64_t s = draw_stream(seed, DRAW_ORDER, (uint64_t)epoch, 0);
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = (int64_t)draw_below(s, (uint64_t)i, (uint64_t)i + 1);
        const int64_t t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

static void cut_evenly(struct plan *p, int batch_size)
{
    p->n_batches = (p->n + batch_size - 1) / batch_size;
    p->start = xcalloc((size_t)p->n_batches + 1, sizeof *p->start);
    for (int64_t b = 0; b <= p->n_batches; b++)
        p->start[b] = b < p->n_batches ? b * batch_size : p->n;
}

/* The texts of the batch being filled: open addressing, emptied by a new stamp. */
struct seen {
    uint64_t *key;
    uint32_t *stamp;
    size_t mask;
    uint32_t now;
};

static size_t seen_place(const struct seen *s, uint64_t key)
{
    size_t at = (size_t)draw_mix(key) & s->mask;
    while (s->stamp[at] == s->now && s->key[at] != key)
        at = (at + 1) & s->mask;
    return at;
}

static bool seen_any(const struct seen *s, const uint64_t *key, int n)
{
    for (int c = 0; c < n; c++)
        if (s->stamp[seen_place(s, key[c])] == s->now)
            return true;
    return false;
}

static void seen_add(struct seen *s, const uint64_t *key, int n)
{
    for (int c = 0; c < n; c++) {
        const size_t at = seen_place(s, key[c]);
        s->key[at] = key[c];
        s->stamp[at] = s->now;
    }
}

static void cut_distinct(struct plan *p, const struct dataset *d, int batch_size)
{
    const int columns = d->columns;
    size_t room = 64;
    while (room < 4 * (size_t)batch_size * (size_t)columns)
        room *= 2;
    struct seen seen = {.key = xcalloc(room, sizeof *seen.key),
                        .stamp = xcalloc(room, sizeof *seen.stamp),
                        .mask = room - 1};
    int64_t *next = xcalloc((size_t)p->n + 1, sizeof *next);
    int64_t *cut = xcalloc((size_t)p->n, sizeof *cut);
    int64_t n = 0;
    size_t cap = 0;
    for (int64_t i = 0; i < p->n; i++)
        next[i] = i + 1; /* list node i + 1 is place i of the order; node 0 is the head */
    next[p->n] = 0;
    while (n < p->n) {
        int64_t before = 0;
        int in_batch = 0, passed = 0;
        seen.now++;
        VEC_GROW(p->start, (size_t)p->n_batches, cap);
        p->start[p->n_batches++] = n;
        for (int64_t at = next[0]; at && in_batch < batch_size && passed < PATIENCE;
             at = next[at]) {
            const int64_t row = p->order[at - 1];
            const uint64_t *key = d->key + row * columns;
            if (seen_any(&seen, key, columns)) {
                before = at;
                passed++;
                continue;
            }
            seen_add(&seen, key, columns);
            next[before] = next[at];
            cut[n++] = row;
            in_batch++;
        }
        p->moved += passed;
    }
    p->start = xrealloc_array(p->start, (size_t)p->n_batches + 1, sizeof *p->start);
    p->start[p->n_batches] = n;
    memcpy(p->order, cut, (size_t)n * sizeof *cut);
    free(cut);
    free(next);
    free(seen.key);
    free(seen.stamp);
}

void plan_make(struct plan *p, const struct dataset *d, const struct plan_options *o)
{
    *p = (struct plan){.n = d->n, .order = xcalloc((size_t)d->n + 1, sizeof *p->order)};
    for (int64_t i = 0; i < p->n; i++)
        p->order[i] = i;
    if (o->shuffle)
        shuffle(p->order, p->n, o->seed, o->epoch);
    if (o->distinct)
        cut_distinct(p, d, o->batch_size);
    else
        cut_evenly(p, o->batch_size);
}

void plan_release(struct plan *p)
{
    free(p->order);
    free(p->start);
    *p = (struct plan){0};
}
