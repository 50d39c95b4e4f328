/* names.c - a hash table from names to consecutive numbers: open addressing, linear probing, at
 * most half full. */
#include "index/eval/names.h"

#include "src/base/hash.h"

#include <stdlib.h>

/* The slot where the name is, or the empty one where it belongs. */
static size_t place_of(const struct names *t, struct span name)
{
    size_t at = hash64(name.p, name.n) & (t->n_slots - 1);
    while (t->slot[at] && !span_equal(span_of(t->item[t->slot[at] - 1]), name))
        at = (at + 1) & (t->n_slots - 1);
    return at;
}

static void grow(struct names *t)
{
    t->n_slots = t->n_slots ? t->n_slots * 2 : 64;
    free(t->slot);
    t->slot = xcalloc(t->n_slots, sizeof *t->slot);
    for (size_t i = 0; i < t->n; i++)
        t->slot[place_of(t, span_of(t->item[i]))] = (uint32_t)i + 1;
}

int64_t names_find(const struct names *t, struct span name)
{
    return t->n_slots ? (int64_t)t->slot[place_of(t, name)] - 1 : -1;
}

int64_t names_add(struct names *t, struct span name)
{
    if (2 * (t->n + 1) > t->n_slots)
        grow(t);
    const size_t at = place_of(t, name);
    if (t->slot[at])
        return -1;
    VEC_GROW(t->item, t->n, t->cap);
    t->item[t->n++] = arena_strndup(&t->memory, name.p, name.n);
    t->slot[at] = (uint32_t)t->n;
    return (int64_t)t->n - 1;
}

void names_release(struct names *t)
{
    free(t->item);
    free(t->slot);
    arena_release(&t->memory);
    *t = (struct names){0};
}
