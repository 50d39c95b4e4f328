/* hit.h - what the searches over rows share: a hit, a set of allowed rows, and the best k of many.
 */
#ifndef SEMSEARCH_INDEX_HIT_H
#define SEMSEARCH_INDEX_HIT_H

#include <stdbool.h>
#include <stdint.h>

struct hit {
    int64_t row;
    float score;
};

/* A set of allowed rows: bit r of bits; NULL: all. Filters act inside the searches: k hits come
 * back when k allowed rows exist. */
struct row_filter {
    const uint64_t *bits;
    int64_t n_allowed;
};

static inline bool bit_get(const uint64_t *bits, int64_t i)
{
    return bits[i >> 6] >> (i & 63) & 1;
}

static inline void bit_set(uint64_t *bits, int64_t i)
{
    bits[i >> 6] |= (uint64_t)1 << (i & 63);
}

static inline void bit_clear(uint64_t *bits, int64_t i)
{
    bits[i >> 6] &= ~((uint64_t)1 << (i & 63));
}

static inline int64_t bit_words(int64_t n)
{
    return (n + 63) >> 6;
}

int64_t bit_count(const uint64_t *bits, int64_t n); /* set bits among the first n */

/* The best k of the hits pushed: larger score first, ties by the smaller row; NaN is refused. A
 * heap with the worst on top, kept in the caller's `item` [k]. */
struct topk {
    struct hit *item;
    int64_t n, k;
};

/* The score that a hit must not be below to have a chance: -INFINITY while there is room. */
float topk_floor(const struct topk *t);
void topk_push(struct topk *t, int64_t row, float score);
int64_t topk_finish(struct topk *t); /* sorts, best first; returns n */

#endif
