/* hnsw_walk.c - following links towards a query; see hnsw_graph.h.
 *
 * Malkov and Yashunin, algorithms 2 and 5: greedy on the upper levels, then the best row whose
 * links were not followed yet is taken until none of the ef best is left. The ef best are one
 * sorted array, which for some hundreds of rows is faster than the two heaps of the paper.
 *
 * Time goes where memory is waited for: a row is six cache lines in int8, so all links of a block
 * that were not seen are collected first and multiplied together, the later ones on their way while
 * the first are worked on.
 */
#include "index/ann/hnsw_graph.h"

#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

#define FOLLOWED 0x80000000u

const uint32_t *hnsw_block(const struct hnsw_graph *g, uint32_t row, uint32_t level, uint32_t *n)
{
    if (level == 0) {
        *n = g->base_links;
        return g->base + (size_t)row * g->base_links;
    }
    const uint64_t at = (uint64_t)g->place[row] + level - 2;
    *n = g->place[row] && at < g->n_upper ? g->upper_links : 0;
    return *n ? g->upper + at * g->upper_links : NULL;
}

void hnsw_scratch_init(struct hnsw_scratch *s, int64_t n_rows)
{
    *s = (struct hnsw_scratch){0};
    s->seen = xcalloc((size_t)bit_words(n_rows) + 1, sizeof *s->seen);
}

void hnsw_scratch_release(struct hnsw_scratch *s)
{
    free(s->pool);
    free(s->seen);
    free(s->touched);
    *s = (struct hnsw_scratch){0};
}

void hnsw_estimate(const struct vectors *v, const int8_t *q, const uint32_t *ids, size_t n,
                   int32_t *dot, float *score)
{
    kern.dot_gather_i8(dot, q, v->i8, ids, n, (size_t)v->dim);
    for (size_t i = 0; i < n; i++)
        score[i] = (float)dot[i] * v->scale[ids[i]];
}

uint32_t hnsw_greedy(const struct hnsw_graph *g, const struct vectors *v, const int8_t *q,
                     uint32_t from, uint32_t level, struct hnsw_scratch *s)
{
    float score[HNSW_LINKS_MAX], best;
    hnsw_estimate(v, q, &from, 1, s->dot, &best);
    for (bool moved = true; moved;) {
        uint32_t n_block, n = 0;
        const uint32_t *block = hnsw_block(g, from, level, &n_block);
        moved = false;
        for (; n < n_block && block[n] < g->n; n++)
            s->ids[n] = block[n];
        hnsw_estimate(v, q, s->ids, n, s->dot, score);
        for (uint32_t i = 0; i < n; i++)
            if (score[i] > best) {
                best = score[i];
                from = s->ids[i];
                moved = true;
            }
    }
    return from;
}

static void touch(struct hnsw_scratch *s, uint32_t row)
{
    bit_set(s->seen, row);
    VEC_GROW(s->touched, s->n_touched, s->cap_touched);
    s->touched[s->n_touched++] = row;
}

static void forget(struct hnsw_scratch *s)
{
    for (size_t i = 0; i < s->n_touched; i++)
        s->seen[s->touched[i] >> 6] = 0;
    s->n_touched = 0;
}

void hnsw_pool_reserve(struct hnsw_scratch *s, size_t ef)
{
    if (s->cap_pool <= ef)
        s->pool = xrealloc_array(s->pool, s->cap_pool = ef + 1, sizeof *s->pool);
}

void hnsw_start(const struct vectors *v, const int8_t *q, uint32_t row, struct hnsw_scratch *s)
{
    hnsw_pool_reserve(s, 1);
    s->pool[0].row = row;
    hnsw_estimate(v, q, &row, 1, s->dot, &s->pool[0].score);
    s->n_pool = 1;
}

size_t hnsw_pool_add(struct near_row *pool, size_t *n, size_t ef, struct near_row x)
{
    size_t a = 0, b = *n;
    if (b == ef && !(x.score > pool[ef - 1].score))
        return ef;
    while (a < b) {
        const size_t mid = (a + b) / 2;
        if (pool[mid].score >= x.score)
            a = mid + 1;
        else
            b = mid;
    }
    if (*n < ef)
        ++*n;
    memmove(pool + a + 1, pool + a, (*n - 1 - a) * sizeof *pool);
    pool[a] = x;
    return a;
}

size_t hnsw_unseen_links(const struct hnsw_graph *g, const struct vectors *v, uint32_t row,
                         uint32_t level, struct hnsw_scratch *s)
{
    uint32_t n_block;
    size_t n = 0;
    const uint32_t *block = hnsw_block(g, row, level, &n_block);
    for (uint32_t i = 0; i < n_block && block[i] < g->n; i++)
        if (!bit_get(s->seen, block[i])) {
            touch(s, block[i]);
            __builtin_prefetch(&v->scale[block[i]]);
            s->ids[n++] = block[i];
        }
    return n;
}

void hnsw_gather(const struct hnsw_graph *g, const struct vectors *v, const int8_t *q,
                 uint32_t level, size_t ef, struct hnsw_scratch *s)
{
    hnsw_pool_reserve(s, ef);
    if (s->n_pool > ef)
        s->n_pool = ef;
    for (size_t i = 0; i < s->n_pool; i++) {
        s->pool[i].row &= ~FOLLOWED;
        touch(s, s->pool[i].row);
    }
    for (size_t at = 0; at < s->n_pool;) {
        struct near_row *next = &s->pool[at];
        if (next->row & FOLLOWED) {
            at++;
            continue;
        }
        const size_t n = hnsw_unseen_links(g, v, next->row, level, s);
        float score[HNSW_LINKS_MAX];
        next->row |= FOLLOWED;
        size_t first = ++at;
        hnsw_estimate(v, q, s->ids, n, s->dot, score);
        for (size_t i = 0; i < n; i++) {
            const size_t place =
                hnsw_pool_add(s->pool, &s->n_pool, ef, (struct near_row){score[i], s->ids[i]});
            first = place < first ? place : first;
        }
        at = first;
        if (at < s->n_pool && level == 0)
            __builtin_prefetch(g->base + (size_t)(s->pool[at].row & ~FOLLOWED) * g->base_links);
    }
    for (size_t i = 0; i < s->n_pool; i++)
        s->pool[i].row &= ~FOLLOWED;
    forget(s);
}
