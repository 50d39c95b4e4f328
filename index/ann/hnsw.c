/* hnsw.c - searching a navigable graph in place, in the mapped file.
 *
 * Sections: hnsw.shape (struct shape), hnsw.base, hnsw.place, hnsw.upper, hnsw.top, hnsw.signs,
 * hnsw.centre (see hnsw_graph.h).
 * Opening reads the shape and compares lengths; a query touches only the blocks that it visits, so
 * a fresh process answers at once. Every link is compared with the number of rows before it is
 * followed: a damaged graph answers badly, never out of bounds.
 *
 * Scores on the way are estimates by signs and int8; somewhat more than k of the best are scored
 * from f16 at the end. With a filter every row is still walked, only allowed ones are kept: the
 * walk ends when the best row to be followed is worse than the `ef` best allowed ones.
 * Signs are not asked then: allowed rows may be far from the query, where all are about equally
 * far. The rarer these are, the longer it gets (ef / share of allowed rows); where a scan of the
 * allowed rows is cheaper, or the walk turns out to be longer than that scan, flat_search answers.
 */
#include "index/ann/ann.h"
#include "index/ann/hnsw_graph.h"
#include "src/base/mem.h"
#include "src/base/thread.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EF_MIN = 96,      /* recall@10 above 0.99 on real vectors */
    ROWS_PER_EF = 20, /* int8 rows that a walk multiplies for each of its ef */
};

struct shape {
    uint32_t n, base_links, upper_links, top_level;
    uint64_t n_upper;
};

/* ---- the file */

static int hnsw_kind_build(const struct vectors *v, struct cache_writer *w,
                           const struct progress_sink *sink, struct err *err)
{
    struct hnsw_graph g;
    if (hnsw_build(v, thread_default_count(), sink, &g, err))
        return -1;
    const struct shape s = {.n = g.n,
                            .base_links = g.base_links,
                            .upper_links = g.upper_links,
                            .top_level = g.top_level,
                            .n_upper = g.n_upper};
    cache_section(w, "hnsw.shape");
    cache_add(w, &s, sizeof s);
    cache_section(w, "hnsw.base");
    cache_add(w, g.base, (size_t)g.n * g.base_links * sizeof *g.base);
    cache_section(w, "hnsw.place");
    cache_add(w, g.place, (size_t)g.n * sizeof *g.place);
    cache_section(w, "hnsw.upper");
    cache_add(w, g.upper, g.n_upper * g.upper_links * sizeof *g.upper);
    cache_section(w, "hnsw.top");
    cache_add(w, g.top, g.n_top * sizeof *g.top);
    cache_section(w, "hnsw.signs");
    cache_add(w, g.signs, (size_t)g.n * hnsw_sign_words(v->dim) * sizeof *g.signs);
    cache_section(w, "hnsw.centre");
    cache_add(w, g.centre, ((size_t)v->dim + 2) * sizeof *g.centre);
    hnsw_graph_release(&g);
    return 0;
}

static int hnsw_kind_open(const struct cachefile *f, const struct vectors *v, void **state,
                          struct err *err)
{
    int64_t n_shape = 0, n_base = 0, n_place = 0, n_upper = 0, n_top = 0, n_signs = 0, n_centre = 0;
    const struct shape *p = cachefile_get(f, "hnsw.shape", sizeof *p, &n_shape);
    struct hnsw_graph g = {0};
    g.base = cachefile_get(f, "hnsw.base", sizeof *g.base, &n_base);
    g.place = cachefile_get(f, "hnsw.place", sizeof *g.place, &n_place);
    g.upper = cachefile_get(f, "hnsw.upper", sizeof *g.upper, &n_upper);
    g.top = cachefile_get(f, "hnsw.top", sizeof *g.top, &n_top);
    g.signs = cachefile_get(f, "hnsw.signs", hnsw_sign_words(v->dim) * sizeof *g.signs, &n_signs);
    g.centre = cachefile_get(f, "hnsw.centre", sizeof *g.centre, &n_centre);
    if (!g.signs || !g.top)
        return err_kind_set(err, ERR_INCOMPATIBLE, "the vector graph is of an older version");
    if (!p || n_shape != 1 || !g.base || !g.place || !g.upper || !g.centre)
        return err_kind_set(err, ERR_CORRUPT, "the vector graph is damaged");
    if (p->n != v->n || p->base_links > HNSW_LINKS_MAX || p->upper_links > HNSW_LINKS_MAX ||
        p->top_level > HNSW_LEVELS_MAX || n_top < 1 || n_top > p->n || n_place != v->n ||
        n_signs != v->n || n_centre != v->dim + 2 || n_base != v->n * p->base_links ||
        p->n_upper > (uint64_t)n_upper || (int64_t)(p->n_upper * p->upper_links) != n_upper)
        return err_kind_set(err, ERR_CORRUPT, "the vector graph does not fit the vectors");
    g.n = p->n;
    g.base_links = p->base_links;
    g.upper_links = p->upper_links;
    g.n_top = (uint32_t)n_top;
    g.top_level = p->top_level;
    g.n_upper = p->n_upper;
    struct hnsw_graph *out = xmalloc(sizeof *out);
    *out = g;
    *state = out;
    return 0;
}

static void hnsw_kind_close(void *state)
{
    free(state);
}

/* ---- searching */

/* ---- with a filter: rows to be followed in one heap, allowed ones in the pool */

struct filtered {
    const struct hnsw_graph *g;
    const struct vectors *v;
    const int8_t *q;
    const uint64_t *bits;
    size_t ef, n_heap, cap_heap;
    int64_t budget;        /* rows that may still be multiplied */
    struct near_row *heap; /* the nearest on top */
    struct hnsw_scratch *s;
};

static void heap_push(struct filtered *f, struct near_row x)
{
    VEC_GROW(f->heap, f->n_heap, f->cap_heap);
    size_t i = f->n_heap++;
    for (; i > 0 && f->heap[(i - 1) / 2].score < x.score; i = (i - 1) / 2)
        f->heap[i] = f->heap[(i - 1) / 2];
    f->heap[i] = x;
}

static struct near_row heap_pop(struct filtered *f)
{
    const struct near_row top = f->heap[0], x = f->heap[--f->n_heap];
    size_t i = 0;
    for (size_t c = 1; c < f->n_heap; c = 2 * i + 1) {
        if (c + 1 < f->n_heap && f->heap[c + 1].score > f->heap[c].score)
            c++;
        if (f->heap[c].score <= x.score)
            break;
        f->heap[i] = f->heap[c];
        i = c;
    }
    f->heap[i] = x;
    return top;
}

/* A row whose score is known: it is followed if it may lead to better ones, kept if it is allowed.
 */
static void meet(struct filtered *f, struct near_row x)
{
    struct hnsw_scratch *s = f->s;
    if (s->n_pool == f->ef && x.score <= s->pool[f->ef - 1].score)
        return;
    heap_push(f, x);
    if (bit_get(f->bits, x.row))
        hnsw_pool_add(s->pool, &s->n_pool, f->ef, x);
}

/* Fills the pool with allowed rows, from those that it holds; false: it takes longer than the
 * budget. */
static bool walk_filtered(struct filtered *f)
{
    struct hnsw_scratch *s = f->s;
    const size_t words = hnsw_sign_words(f->v->dim), n_start = s->n_pool;
    struct near_row start[HNSW_STARTS];
    memcpy(start, s->pool, n_start * sizeof *start);
    hnsw_pool_reserve(s, f->ef);
    s->n_pool = 0;
    for (size_t i = 0; i < n_start; i++) {
        bit_set(s->seen, start[i].row);
        meet(f, start[i]);
    }
    while (f->n_heap && f->budget >= 0) {
        size_t n = 0;
        for (int i = 0; i < HNSW_WIDE && f->n_heap; i++) {
            const struct near_row next = heap_pop(f);
            if (s->n_pool == f->ef && next.score < s->pool[f->ef - 1].score)
                f->n_heap = 0; /* and so are all others */
            else
                n = hnsw_unseen_links(f->g, next.row, 0, words, n, s);
        }
        f->budget -= (int64_t)n;
        hnsw_estimate(f->v, f->q, s->ids, n, s->dot, s->score);
        for (size_t i = 0; i < n; i++)
            meet(f, (struct near_row){s->score[i], s->ids[i]});
    }
    return f->n_heap == 0;
}

/* The rows of the pool in the form that vectors_settle takes. */
static int64_t settle(const struct vectors *v, const struct quick_query *q, const float *query,
                      int64_t k, const struct hnsw_scratch *s, struct hit *out)
{
    struct hit *about = xmalloc((s->n_pool + 1) * sizeof *about);
    for (size_t i = 0; i < s->n_pool; i++)
        about[i] = (struct hit){s->pool[i].row, s->pool[i].score};
    const int64_t n = vectors_settle(v, q, query, about, (int64_t)s->n_pool, k, out);
    free(about);
    return n;
}

int64_t hnsw_walk(const void *state, const struct vectors *v, const float *query, int64_t k,
                  const struct row_filter *filter, int64_t ef, int64_t budget, struct hit *out)
{
    const struct hnsw_graph *g = state;
    const uint64_t *bits = filter ? filter->bits : NULL;
    const int64_t n_allowed = bits ? filter->n_allowed : v->n;
    struct hnsw_scratch s;
    struct quick_query q;
    bool done = true;
    quick_query_init(&q, v, query);
    hnsw_scratch_init(&s, v->n);
    const struct hnsw_aim aim = hnsw_aim_at(g, v, q.q);
    hnsw_descend(g, v, &aim, 0, &s);
    if (bits) {
        struct filtered f = {.g = g, .v = v, .q = q.q, .bits = bits, .s = &s};
        f.ef = (size_t)ef;
        f.budget = budget;
        done = walk_filtered(&f);
        free(f.heap);
    } else {
        hnsw_gather(g, v, &aim, 0, (size_t)ef, &s);
    }
    const int64_t n = done ? settle(v, &q, query, k, &s, out) : -1;
    hnsw_scratch_release(&s);
    quick_query_release(&q);
    return n == k || n == n_allowed ? n : flat_search(v, query, k, filter, out);
}

static int64_t hnsw_kind_search(const void *state, const struct vectors *v, const float *query,
                                int64_t k, const struct row_filter *filter, struct hit *out)
{
    const int64_t n_allowed = filter && filter->bits ? filter->n_allowed : v->n;
    const int64_t ef = k + k / 2 + EF_MIN - 10;
    const int64_t scan = flat_cost(v->n, n_allowed);
    if (k <= 0)
        return 0;
    k = k < n_allowed ? k : n_allowed;
    if (ef >= n_allowed ||
        (double)ef * (double)v->n / (double)n_allowed * ROWS_PER_EF > (double)scan)
        return flat_search(v, query, k, filter, out);
    return hnsw_walk(state, v, query, k, filter, ef, scan, out);
}

/* ---- integrity */

/* Row numbers, then nothing: what ends a block fills the rest of it. */
static bool block_is_sound(const struct hnsw_graph *g, const uint32_t *block, uint32_t most)
{
    uint32_t n = 0;
    while (n < most && block[n] < g->n)
        n++;
    while (n < most && block[n] == HNSW_NONE)
        n++;
    return n == most;
}

static void hnsw_kind_verify(const void *state, const struct vectors *v,
                             void (*fn)(void *ctx, const char *what), void *ctx)
{
    const struct hnsw_graph *g = state;
    int64_t broken = 0;
    for (int64_t r = 0; r < v->n; r++)
        broken += !block_is_sound(g, g->base + (size_t)r * g->base_links, g->base_links) ||
                  g->place[r] > g->n_upper;
    for (uint64_t i = 0; i < g->n_upper; i++)
        broken += !block_is_sound(g, g->upper + i * g->upper_links, g->upper_links);
    for (uint32_t i = 0; i < g->n_top; i++)
        broken += g->top[i] >= g->n;
    char what[96];
    snprintf(what, sizeof what, "%lld lists of links are damaged", (long long)broken);
    if (broken)
        fn(ctx, what);
}

const struct ann_kind ann_hnsw = {.name = "hnsw",
                                  .build = hnsw_kind_build,
                                  .open = hnsw_kind_open,
                                  .close = hnsw_kind_close,
                                  .search = hnsw_kind_search,
                                  .verify = hnsw_kind_verify};
