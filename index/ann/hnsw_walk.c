/* hnsw_walk.c - following links towards a query; see hnsw_graph.h.
 *
 * Malkov and Yashunin, algorithms 2 and 5: the best rows whose links were not followed yet are
 * taken until none of the ef best is left. The ef best are one sorted array, which for some
 * hundreds of rows is faster than the two heaps of the paper.
 *
 * Time goes where memory is waited for: the links of HNSW_WIDE rows are collected together (nearly
 * all of the pool is followed in the end, so hardly one is in vain), the signs of all of them are
 * on their way before the first is looked at, and so are the rows that remain. Against one row at a
 * time, every link in int8, that is 1.7 times as fast on 100 thousand rows of 384 numbers.
 */
#include "index/ann/hnsw_graph.h"

#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <math.h>
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

size_t hnsw_unseen_links(const struct hnsw_graph *g, uint32_t row, uint32_t level, size_t words,
                         size_t n, struct hnsw_scratch *s)
{
    uint32_t n_block;
    const uint32_t *block = hnsw_block(g, row, level, &n_block);
    for (uint32_t i = 0; i < n_block && block[i] < g->n; i++)
        if (!bit_get(s->seen, block[i])) {
            const uint64_t *signs = g->signs + block[i] * words;
            touch(s, block[i]);
            __builtin_prefetch(signs);
            __builtin_prefetch(signs + words - 1);
            s->ids[n++] = block[i];
        }
    return n;
}

static void prefetch_row(const struct vectors *v, uint32_t row)
{
    const int8_t *p = v->i8 + (size_t)row * (size_t)v->dim;
    __builtin_prefetch(&v->scale[row]);
    for (int at = 0; at < v->dim; at += 64)
        __builtin_prefetch(p + at);
}

size_t hnsw_score_likely(const struct hnsw_graph *g, const struct vectors *v,
                         const struct hnsw_aim *aim, float floor, size_t n, struct hnsw_scratch *s)
{
    size_t kept = n;
    if (floor > -INFINITY && aim->base < INFINITY) {
        kept = 0;
        kern.dot_gather_bits(s->dot, aim->q, g->signs, s->ids, n, (size_t)v->dim);
        for (size_t i = 0; i < n; i++)
            if (aim->base + aim->step * (float)s->dot[i] >= floor) {
                prefetch_row(v, s->ids[i]);
                s->ids[kept++] = s->ids[i];
            }
    }
    hnsw_estimate(v, aim->q, s->ids, kept, s->dot, s->score);
    return kept;
}

/* Marks the next rows of the pool as followed and collects their links; *at moves past them. */
static size_t follow(const struct hnsw_graph *g, uint32_t level, size_t words, size_t *at,
                     struct hnsw_scratch *s)
{
    uint32_t row[HNSW_WIDE];
    size_t n_row = 0, n = 0;
    for (; *at < s->n_pool && n_row < HNSW_WIDE; ++*at) {
        struct near_row *p = &s->pool[*at];
        if (!(p->row & FOLLOWED))
            row[n_row++] = p->row;
        p->row |= FOLLOWED;
    }
    for (size_t i = 0; i < n_row; i++)
        n = hnsw_unseen_links(g, row[i], level, words, n, s);
    return n;
}

static void prefetch_links(const struct hnsw_graph *g, uint32_t row)
{
    const uint32_t *block = g->base + (size_t)row * g->base_links;
    for (uint32_t at = 0; at < g->base_links; at += 16)
        __builtin_prefetch(block + at);
}

void hnsw_gather(const struct hnsw_graph *g, const struct vectors *v, const struct hnsw_aim *aim,
                 uint32_t level, size_t ef, struct hnsw_scratch *s)
{
    const size_t words = hnsw_sign_words(v->dim);
    hnsw_pool_reserve(s, ef);
    if (s->n_pool > ef)
        s->n_pool = ef;
    for (size_t i = 0; i < s->n_pool; i++)
        touch(s, s->pool[i].row);
    for (size_t at = 0; at < s->n_pool;) {
        size_t n = follow(g, level, words, &at, s), first = at;
        n = hnsw_score_likely(g, v, aim, s->n_pool == ef ? s->pool[ef - 1].score : -INFINITY, n, s);
        for (size_t i = 0; i < n; i++) {
            const struct near_row x = {s->score[i], s->ids[i]};
            const size_t place = hnsw_pool_add(s->pool, &s->n_pool, ef, x);
            first = place < first ? place : first;
            if (place < ef && level == 0)
                prefetch_links(g, x.row);
        }
        at = first;
    }
    for (size_t i = 0; i < s->n_pool; i++)
        s->pool[i].row &= ~FOLLOWED;
    forget(s);
}

void hnsw_descend(const struct hnsw_graph *g, const struct vectors *v, const struct hnsw_aim *aim,
                  uint32_t to, struct hnsw_scratch *s)
{
    hnsw_pool_reserve(s, HNSW_STARTS);
    s->n_pool = 0;
    for (size_t at = 0; at < g->n_top;) {
        size_t n = 0;
        for (; at < g->n_top && n < HNSW_MET_MAX; at++)
            if (g->top[at] < g->n) {
                prefetch_row(v, g->top[at]);
                s->ids[n++] = g->top[at];
            }
        hnsw_estimate(v, aim->q, s->ids, n, s->dot, s->score);
        for (size_t i = 0; i < n; i++)
            hnsw_pool_add(s->pool, &s->n_pool, HNSW_STARTS,
                          (struct near_row){s->score[i], s->ids[i]});
    }
    for (uint32_t level = g->top_level; level > to + 1; level--)
        hnsw_gather(g, v, aim, level - 1, HNSW_STARTS, s);
}
