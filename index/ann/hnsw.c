/* hnsw.c - walking a navigable graph in place, in the mapped file.
 *
 * Sections: hnsw.shape (struct shape), hnsw.base, hnsw.place, hnsw.upper (see struct hnsw_graph).
 * Opening reads the shape and compares lengths; a query touches only the blocks that it visits, so
 * a fresh process answers at once. Every link is compared with the number of rows before it is
 * followed: a damaged graph answers badly, never out of bounds.
 *
 * Search (Malkov and Yashunin, algorithms 2 and 5): greedy from the entry row down to level 1, then
 * on the base level the best unexpanded row is expanded until it is worse than the `ef` best found.
 * Distances on the way are int8 estimates; the ef best are scored from f16 at the end, so the
 * estimates cost a little recall at the margin of ef and nothing in the scores.
 *
 * With a filter every row is still walked, only allowed ones are kept. The rarer they are, the
 * longer the walk (ef / share of allowed rows); where a scan of the allowed rows is cheaper, or the
 * walk ends with too few, flat_search answers.
 */
#include "index/ann/ann.h"
#include "index/ann/hnsw_build.h"
#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EF_MIN = 200,      /* recall@10 above 0.99 on real vectors */
    EF_PER_HIT = 2,    /* and the same for large k */
    ROWS_PER_EF = 150, /* a scan of this many int8 rows takes as long as one unit of ef */
};

struct shape {
    uint32_t n, base_links, upper_links, entry, top_level, zero;
    uint64_t n_upper;
};

struct state {
    struct shape shape;
    const uint32_t *base, *place, *upper;
};

/* ---- the file */

static int hnsw_kind_build(const struct vectors *v, struct cache_writer *w,
                           const struct progress_sink *sink, struct err *err)
{
    struct hnsw_graph g;
    const struct hnsw_input in = {v->i8, v->scale, v->n, v->dim};
    if (hnsw_build(&in, sink, &g, err))
        return -1;
    const struct shape s = {.n = g.n,
                            .base_links = g.base_links,
                            .upper_links = g.upper_links,
                            .entry = g.entry,
                            .top_level = g.top_level,
                            .n_upper = g.n_upper};
    cache_section(w, "hnsw.shape");
    cache_add(w, &s, sizeof s);
    cache_section(w, "hnsw.base");
    cache_add(w, g.base, (size_t)g.n * (g.base_links + 1) * sizeof *g.base);
    cache_section(w, "hnsw.place");
    cache_add(w, g.place, (size_t)g.n * sizeof *g.place);
    cache_section(w, "hnsw.upper");
    cache_add(w, g.upper, g.n_upper * (g.upper_links + 1) * sizeof *g.upper);
    hnsw_graph_release(&g);
    return 0;
}

static int hnsw_kind_open(const struct cachefile *f, const struct vectors *v, void **state,
                          struct err *err)
{
    int64_t n_shape = 0, n_base = 0, n_place = 0, n_upper = 0;
    struct state s = {0};
    const struct shape *shape = cachefile_get(f, "hnsw.shape", sizeof *shape, &n_shape);
    s.base = cachefile_get(f, "hnsw.base", sizeof *s.base, &n_base);
    s.place = cachefile_get(f, "hnsw.place", sizeof *s.place, &n_place);
    s.upper = cachefile_get(f, "hnsw.upper", sizeof *s.upper, &n_upper);
    if (!shape || n_shape != 1 || !s.base || !s.place || !s.upper)
        return err_kind_set(err, ERR_CORRUPT, "the vector graph is damaged");
    s.shape = *shape;
    const struct shape *p = &s.shape;
    if (p->n != v->n || p->base_links > 1024 || p->upper_links > 1024 || p->top_level > 64 ||
        n_place != v->n || n_base != v->n * (p->base_links + 1) || p->n_upper > (uint64_t)n_upper ||
        (int64_t)p->n_upper * (p->upper_links + 1) != n_upper)
        return err_kind_set(err, ERR_CORRUPT, "the vector graph does not fit the vectors");
    struct state *out = xmalloc(sizeof *out);
    *out = s;
    *state = out;
    return 0;
}

static void hnsw_kind_close(void *state)
{
    free(state);
}

/* ---- the walk */

static const uint32_t *links_of(const struct state *s, uint32_t row, uint32_t level, uint32_t *n)
{
    const uint32_t *block = NULL;
    uint32_t most = s->shape.base_links;
    if (level == 0) {
        block = s->base + (size_t)row * (most + 1);
    } else {
        most = s->shape.upper_links;
        const uint64_t at = (uint64_t)s->place[row] + level - 2;
        if (s->place[row] && at < s->shape.n_upper)
            block = s->upper + at * (most + 1);
    }
    *n = !block ? 0 : block[0] < most ? block[0] : most;
    return block ? block + 1 : NULL;
}

struct walk {
    const struct state *s;
    const struct vectors *v;
    const int8_t *p; /* the query in int8 */
    uint64_t *seen;
    struct hit *heap; /* rows to expand, the nearest on top */
    size_t n_heap, cap_heap;
};

/* An int8 estimate of the cosine, up to the query's own scale. */
static float estimate(const struct walk *w, uint32_t row)
{
    int32_t dot;
    kern.dot_rows_i8(&dot, w->p, w->v->i8 + (size_t)row * (size_t)w->v->dim, 1, (size_t)w->v->dim);
    return (float)dot * w->v->scale[row];
}

static void heap_push(struct walk *w, uint32_t row, float score)
{
    VEC_GROW(w->heap, w->n_heap, w->cap_heap);
    size_t i = w->n_heap++;
    for (; i > 0 && w->heap[(i - 1) / 2].score < score; i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = (struct hit){row, score};
}

static struct hit heap_pop(struct walk *w)
{
    const struct hit top = w->heap[0], x = w->heap[--w->n_heap];
    size_t i = 0;
    for (size_t c = 1; c < w->n_heap; c = 2 * i + 1) {
        if (c + 1 < w->n_heap && w->heap[c + 1].score > w->heap[c].score)
            c++;
        if (w->heap[c].score <= x.score)
            break;
        w->heap[i] = w->heap[c];
        i = c;
    }
    w->heap[i] = x;
    return top;
}

static uint32_t descend(const struct walk *w)
{
    uint32_t row = w->s->shape.entry;
    if (row >= w->s->shape.n)
        row = 0;
    float best = estimate(w, row);
    for (uint32_t level = w->s->shape.top_level; level > 0; level--)
        for (bool moved = true; moved;) {
            uint32_t n;
            const uint32_t *link = links_of(w->s, row, level, &n);
            moved = false;
            for (uint32_t i = 0; i < n; i++) {
                if (link[i] >= w->s->shape.n)
                    continue;
                const float score = estimate(w, link[i]);
                if (score > best) {
                    best = score;
                    row = link[i];
                    moved = true;
                }
            }
        }
    return row;
}

static void visit(struct walk *w, struct topk *found, const uint64_t *bits, uint32_t row)
{
    bit_set(w->seen, row);
    const float score = estimate(w, row);
    if (!(score >= topk_floor(found)))
        return;
    heap_push(w, row, score);
    if (!bits || bit_get(bits, row))
        topk_push(found, row, score);
}

static void walk_base(struct walk *w, struct topk *found, const uint64_t *bits)
{
    visit(w, found, bits, descend(w));
    while (w->n_heap) {
        const struct hit next = heap_pop(w);
        if (next.score < topk_floor(found))
            break;
        uint32_t n;
        const uint32_t *link = links_of(w->s, (uint32_t)next.row, 0, &n);
        for (uint32_t i = 0; i < n; i++)
            if (link[i] < w->s->shape.n)
                __builtin_prefetch(w->v->i8 + (size_t)link[i] * (size_t)w->v->dim);
        for (uint32_t i = 0; i < n; i++)
            if (link[i] < w->s->shape.n && !bit_get(w->seen, link[i]))
                visit(w, found, bits, link[i]);
    }
}

/* Would a scan of the allowed rows be cheaper than a walk that keeps ef of them? */
static bool scan_is_cheaper(int64_t n, int64_t n_allowed, int64_t ef)
{
    const double walk = (double)ef * (double)n / (double)(n_allowed + 1) * ROWS_PER_EF;
    const double scan = n_allowed < n / 8 ? 8.0 * (double)n_allowed : (double)n;
    return scan <= walk;
}

int64_t hnsw_walk(const void *state, const struct vectors *v, const float *query, int64_t k,
                  const struct row_filter *filter, int64_t ef, struct hit *out)
{
    const uint64_t *bits = filter ? filter->bits : NULL;
    const int64_t n_allowed = bits ? filter->n_allowed : v->n;
    int8_t *p = xmalloc((size_t)v->dim);
    float scale;
    quantise_row(query, v->dim, p, &scale);
    struct walk w = {.s = state, .v = v, .p = p};
    w.seen = xcalloc((size_t)bit_words(v->n), sizeof *w.seen);
    struct topk found = {.item = xmalloc((size_t)ef * sizeof *found.item), .k = ef};
    walk_base(&w, &found, bits);
    struct topk top = {.item = out, .k = k};
    for (int64_t i = 0; i < found.n; i++)
        topk_push(&top, found.item[i].row, vectors_dot(v, query, found.item[i].row));
    free(found.item);
    free(w.heap);
    free(w.seen);
    free(p);
    if (top.n < k && top.n < n_allowed)
        return flat_search(v, query, k, filter, out);
    return topk_finish(&top);
}

static int64_t hnsw_kind_search(const void *state, const struct vectors *v, const float *query,
                                int64_t k, const struct row_filter *filter, struct hit *out)
{
    const int64_t n_allowed = filter && filter->bits ? filter->n_allowed : v->n;
    const int64_t ef = k * EF_PER_HIT > EF_MIN ? k * EF_PER_HIT : EF_MIN;
    if (k <= 0)
        return 0;
    if (ef >= v->n || scan_is_cheaper(v->n, n_allowed, ef))
        return flat_search(v, query, k, filter, out);
    return hnsw_walk(state, v, query, k, filter, ef, out);
}

/* ---- integrity */

static bool block_is_sound(const struct state *s, const uint32_t *block, uint32_t most)
{
    if (block[0] > most)
        return false;
    for (uint32_t i = 1; i <= block[0]; i++)
        if (block[i] >= s->shape.n)
            return false;
    return true;
}

static void hnsw_kind_verify(const void *state, const struct vectors *v,
                             void (*fn)(void *ctx, const char *what), void *ctx)
{
    const struct state *s = state;
    const struct shape *p = &s->shape;
    int64_t broken = 0;
    for (int64_t r = 0; r < v->n; r++)
        broken += !block_is_sound(s, s->base + (size_t)r * (p->base_links + 1), p->base_links) ||
                  s->place[r] > p->n_upper;
    for (uint64_t i = 0; i < p->n_upper; i++)
        broken += !block_is_sound(s, s->upper + i * (p->upper_links + 1), p->upper_links);
    char what[96];
    snprintf(what, sizeof what, "%lld lists of links are damaged", (long long)broken);
    if (broken)
        fn(ctx, what);
    if (p->entry >= p->n)
        fn(ctx, "the entry row does not exist");
}

const struct ann_kind ann_hnsw = {.name = "hnsw",
                                  .build = hnsw_kind_build,
                                  .open = hnsw_kind_open,
                                  .close = hnsw_kind_close,
                                  .search = hnsw_kind_search,
                                  .verify = hnsw_kind_verify};
