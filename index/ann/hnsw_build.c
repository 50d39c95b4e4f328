/* hnsw_build.c - building the graph of ann_hnsw, on all cores and always the same.
 *
 * Rows are put in batches. All rows of a batch look for their neighbours in the graph as it was
 * before the batch, so they can do it side by side; then the links back are made, each row's by one
 * worker. What comes out depends on the rows and the size of batches, not on threads. A batch is at
 * most a fiftieth of the rows that are in (Manohar et al., "ParlayANN: Scalable and Deterministic
 * Parallel Graph-Based Approximate Nearest Neighbor Search Algorithms", 2024), and rows are taken
 * in an order that scatters neighbours in the store (passages of one document are alike), so
 * hardly any row misses a neighbour for having come with it.
 *
 * Which neighbours become links: best first, each unless it is nearer to a link taken already than
 * to the row itself (Malkov and Yashunin, algorithm 4). While building, a block has room for half
 * as many links more than it keeps, so that it is thinned once for many links back and not for
 * each.
 *
 * The rows of the highest level go in first: from then on every search begins among all of them.
 */
#include "index/ann/hnsw_graph.h"

#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/base/thread.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINKS = 32,       /* of a row on the base level, at the end */
    LINKS_FIRST = 32, /* that it chooses when it goes in, at most; the others are links back */
    ROOM = 48,        /* while building */
    UPPER_LINKS = 16, /* on the levels above, which hold one row of 16 each time */
    EF_BUILD = 200,   /* rows to choose links from */
    BATCH_MAX = 4096,
    BATCH_SHARE = 50,
    CHUNK = 8, /* rows that a worker takes at a time */
};
/* A link back that is asked for: `to` gets `from` on `level`. */
struct wish {
    uint32_t to, from, level;
};

struct worker {
    struct hnsw_scratch scratch;
    struct near_row *chosen;
};

struct build {
    const struct vectors *v;
    struct hnsw_graph g;
    uint32_t *base, *place, *upper, *top; /* what g points to */
    uint64_t *signs;
    float *centre;
    uint8_t *level;  /* [n] */
    uint32_t *order; /* [n] in which rows go in */
    uint32_t n_top;  /* of top; g.n_top of them are in */
    struct worker *worker;
    const uint32_t *batch; /* rows going in */
    int n_batch;
    struct wish *wish; /* [n_batch][wishes_of_row] */
    size_t n_wish, cap_wish;
    size_t *group; /* where the wishes of each row begin, and the end */
    size_t n_group, cap_group;
};

static const int8_t *row_i8(const struct vectors *v, uint32_t row)
{
    return v->i8 + (size_t)row * (size_t)v->dim;
}

static uint32_t *block_of(const struct build *b, uint32_t row, uint32_t level)
{
    if (level == 0)
        return b->base + (size_t)row * ROOM;
    return b->upper + ((size_t)b->place[row] + level - 2) * UPPER_LINKS;
}

/* ---- choosing links */

/* Is the candidate nearer to a link taken already than to the row? All scores up to scale[row]. */
static bool is_covered(const struct build *b, struct near_row c, float row_scale,
                       const uint32_t *taken, size_t n)
{
    const struct vectors *v = b->v;
    const float own = c.score * row_scale;
    for (size_t at = 0; at < n; at += 8) {
        int32_t dot[8];
        float score[8];
        const size_t m = n - at < 8 ? n - at : 8;
        hnsw_estimate(v, row_i8(v, c.row), taken + at, m, dot, score);
        for (size_t i = 0; i < m; i++)
            if (score[i] * v->scale[c.row] > own)
                return true;
    }
    return false;
}

/* Candidates best first, scores without the scale of `row`; fills block [room]. */
static void choose_links(const struct build *b, uint32_t row, const struct near_row *c, size_t n,
                         uint32_t *block, size_t most, size_t room)
{
    size_t kept = 0;
    for (size_t i = 0; i < n && kept < most; i++)
        if (c[i].row != row && !is_covered(b, c[i], b->v->scale[row], block, kept))
            block[kept++] = c[i].row;
    for (; kept < room; kept++)
        block[kept] = HNSW_NONE;
}

/* ---- a batch, first half: new rows find their neighbours */

static void insert_row(struct build *b, struct worker *w, uint32_t row)
{
    const struct vectors *v = b->v;
    const struct hnsw_aim aim = hnsw_aim_at(&b->g, v, row_i8(v, row));
    uint32_t level = b->level[row];
    hnsw_descend(&b->g, v, &aim, level, &w->scratch);
    for (;; level--) {
        const size_t room = level ? UPPER_LINKS : ROOM;
        hnsw_gather(&b->g, v, &aim, level, EF_BUILD, &w->scratch);
        choose_links(b, row, w->scratch.pool, w->scratch.n_pool, block_of(b, row, level),
                     level ? UPPER_LINKS : LINKS_FIRST, room);
        if (level == 0)
            return;
    }
}

static void insert_chunk(void *ctx, int item, int worker)
{
    struct build *b = ctx;
    for (int i = item * CHUNK; i < (item + 1) * CHUNK && i < b->n_batch; i++)
        insert_row(b, &b->worker[worker], b->batch[i]);
}

/* ---- second half: links back */

static int wish_cmp(const void *pa, const void *pb)
{
    const struct wish *a = pa, *b = pb;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    if (a->level != b->level)
        return a->level < b->level ? -1 : 1;
    return (a->from > b->from) - (a->from < b->from);
}

static void collect_wishes(struct build *b)
{
    b->n_wish = 0;
    for (int i = 0; i < b->n_batch; i++)
        for (uint32_t l = 0; l <= b->level[b->batch[i]]; l++) {
            const uint32_t *block = block_of(b, b->batch[i], l);
            const size_t room = l ? UPPER_LINKS : ROOM;
            for (size_t k = 0; k < room && block[k] != HNSW_NONE; k++) {
                VEC_GROW(b->wish, b->n_wish, b->cap_wish);
                b->wish[b->n_wish++] = (struct wish){block[k], b->batch[i], l};
            }
        }
    qsort(b->wish, b->n_wish, sizeof *b->wish, wish_cmp);
    b->n_group = 0;
    for (size_t i = 0; i <= b->n_wish; i++)
        if (i == 0 || i == b->n_wish || b->wish[i].to != b->wish[i - 1].to ||
            b->wish[i].level != b->wish[i - 1].level) {
            VEC_GROW(b->group, b->n_group, b->cap_group);
            b->group[b->n_group++] = i;
        }
}

static int nearer_first(const void *pa, const void *pb)
{
    const struct near_row *a = pa, *b = pb;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

/* Chooses anew among the links of `row` and the rows that want to be. */
static void thin(const struct build *b, struct worker *w, uint32_t row, uint32_t level,
                 const uint32_t *ids, size_t n, size_t most)
{
    float score[HNSW_LINKS_MAX];
    struct near_row *c = w->chosen;
    hnsw_estimate(b->v, row_i8(b->v, row), ids, n, w->scratch.dot, score);
    for (size_t i = 0; i < n; i++)
        c[i] = (struct near_row){score[i], ids[i]};
    qsort(c, n, sizeof *c, nearer_first);
    choose_links(b, row, c, n, block_of(b, row, level), most, level ? UPPER_LINKS : ROOM);
}

static void link_back(struct build *b, struct worker *w, const struct wish *wish, size_t n_wish)
{
    const uint32_t row = wish->to, level = wish->level;
    const size_t room = level ? UPPER_LINKS : ROOM;
    uint32_t *block = block_of(b, row, level);
    uint32_t ids[HNSW_LINKS_MAX];
    size_t n = 0;
    while (n < room && block[n] != HNSW_NONE)
        n++;
    for (size_t at = 0; at < n_wish;) {
        for (; at < n_wish && n < room; at++)
            block[n++] = wish[at].from;
        if (at == n_wish)
            return;
        memcpy(ids, block, n * sizeof *ids);
        for (; at < n_wish && n < HNSW_LINKS_MAX; at++)
            ids[n++] = wish[at].from;
        thin(b, w, row, level, ids, n, level ? UPPER_LINKS : LINKS);
        for (n = 0; n < room && block[n] != HNSW_NONE;)
            n++;
    }
}

static void link_chunk(void *ctx, int item, int worker)
{
    struct build *b = ctx;
    for (size_t i = (size_t)item * CHUNK; i < (size_t)(item + 1) * CHUNK && i + 1 < b->n_group; i++)
        link_back(b, &b->worker[worker], b->wish + b->group[i], b->group[i + 1] - b->group[i]);
}

static void thin_chunk(void *ctx, int item, int worker)
{
    struct build *b = ctx;
    enum { ROWS = 256 };
    for (uint32_t r = (uint32_t)item * ROWS; r < b->g.n && r < (uint32_t)(item + 1) * ROWS; r++) {
        uint32_t *block = block_of(b, r, 0);
        uint32_t ids[ROOM];
        if (block[LINKS] == HNSW_NONE)
            continue;
        size_t n = 0;
        for (; n < ROOM && block[n] != HNSW_NONE; n++)
            ids[n] = block[n];
        thin(b, &b->worker[worker], r, 0, ids, n, LINKS);
    }
}

/* ---- the whole */

/* The level of a row: above level l is one row of UPPER_LINKS of those on l. */
static uint8_t level_of(int64_t row)
{
    const double u = ((double)(hash64(&row, sizeof row) >> 11) + 1) / 9007199254740993.0;
    const double level = -log(u) / log((double)UPPER_LINKS);
    return (uint8_t)(level < HNSW_LEVELS_MAX - 1 ? level : HNSW_LEVELS_MAX - 1);
}

/* Draws the levels of all rows; the highest is the lowest one that no more than HNSW_TOP_MAX rows
 * reach. */
static void draw_levels(struct build *b)
{
    uint32_t reach[HNSW_LEVELS_MAX + 1] = {0}, top = 0;
    b->level = xmalloc(b->g.n);
    for (uint32_t r = 0; r < b->g.n; r++) {
        b->level[r] = level_of(r);
        for (uint32_t l = 0; l <= b->level[r]; l++)
            reach[l]++;
        top = b->level[r] > top ? b->level[r] : top;
    }
    while (top > 1 && reach[top - 1] <= HNSW_TOP_MAX)
        top--;
    for (uint32_t r = 0; r < b->g.n; r++) {
        b->level[r] = b->level[r] < top ? b->level[r] : (uint8_t)top;
        b->g.n_upper += b->level[r];
    }
    b->g.top_level = top;
}

static int alloc_arrays(struct build *b, struct err *err)
{
    const size_t n = b->g.n;
    void *p[5] = {NULL};
    draw_levels(b);
    const size_t upper = (size_t)b->g.n_upper * UPPER_LINKS * sizeof(uint32_t);
    if (mem_try(&p[0], n * ROOM * sizeof(uint32_t), "the vector graph", err))
        return -1;
    b->base = p[0];
    if (mem_try(&p[1], n * sizeof(uint32_t), "the vector graph", err))
        return -1;
    b->place = p[1];
    if (mem_try(&p[2], upper + 1, "the vector graph", err))
        return -1;
    b->upper = p[2];
    if (mem_try(&p[3], n * hnsw_sign_words(b->v->dim) * sizeof *b->signs, "the vector graph", err))
        return -1;
    b->signs = p[3];
    if (mem_try(&p[4], ((size_t)b->v->dim + 2) * sizeof *b->centre, "the vector graph", err))
        return -1;
    b->centre = p[4];
    hnsw_make_signs(b->v, b->signs, b->centre);
    memset(b->base, 0xFF, n * ROOM * sizeof(uint32_t));
    memset(b->upper, 0xFF, upper);
    uint32_t next = 0;
    for (size_t r = 0; r < n; r++) {
        b->place[r] = b->level[r] ? next + 1 : 0;
        next += b->level[r];
    }
    b->g.base = b->base;
    b->g.place = b->place;
    b->g.upper = b->upper;
    b->g.signs = b->signs;
    b->g.centre = b->centre;
    b->g.base_links = ROOM;
    b->g.upper_links = UPPER_LINKS;
    return 0;
}

/* b->order and b->top: first the rows of the highest level, then all others, both in large steps:
 * i * step mod n, step prime to n and about the golden section of it. */
static void scatter_rows(struct build *b)
{
    const uint32_t n = b->g.n;
    b->order = xmalloc((size_t)n * sizeof *b->order);
    uint64_t step = (uint64_t)((double)n * 0.6180339887498949) | 1, x = n, y = step;
    for (;; step += 2, x = n, y = step) {
        while (y) {
            const uint64_t rest = x % y;
            x = y;
            y = rest;
        }
        if (x == 1)
            break;
    }
    uint32_t kept = 0, n_top = 0;
    for (int others = 0; others < 2; others++) {
        for (uint64_t i = 0, at = 0; i < n; i++, at = (at + step) % n)
            if ((b->level[at] < b->g.top_level) == others)
                b->order[kept++] = (uint32_t)at;
        n_top = others ? n_top : kept;
    }
    b->top = xmalloc((size_t)n_top * sizeof *b->top);
    memcpy(b->top, b->order, (size_t)n_top * sizeof *b->top);
    b->n_top = n_top;
    b->g.top = b->top;
}

static void report(const struct progress_sink *sink, int64_t done, int64_t total)
{
    if (!sink || !sink->update)
        return;
    const struct progress p = {.done = done, .total = total, .phase = "building the vector index"};
    sink->update(sink->ctx, &p);
}

static int insert_all(struct build *b, struct pool *pool, const struct progress_sink *sink,
                      struct err *err)
{
    const uint32_t n = b->g.n;
    int rc = 0;
    for (uint32_t done = 1; rc == 0 && done < n; done += (uint32_t)b->n_batch) {
        uint32_t take = done / BATCH_SHARE + 1;
        take = take < BATCH_MAX ? take : BATCH_MAX;
        b->g.n_top = done < b->n_top ? done : b->n_top;
        b->n_batch = (int)(take < n - done ? take : n - done);
        b->batch = b->order + done;
        pool_run(pool, (b->n_batch + CHUNK - 1) / CHUNK, insert_chunk, b);
        collect_wishes(b);
        pool_run(pool, (int)((b->n_group + CHUNK - 1) / CHUNK), link_chunk, b);
        report(sink, done, n);
        if (stop_requested())
            rc = err_kind_set(err, ERR_STOPPED, "stopped while building the vector graph");
    }
    b->g.n_top = b->n_top;
    return rc;
}

/* Blocks of LINKS in place of blocks of ROOM. */
static void close_up(struct build *b)
{
    for (size_t r = 0; r < b->g.n; r++)
        memmove(b->base + r * LINKS, b->base + r * ROOM, LINKS * sizeof *b->base);
    b->g.base_links = LINKS;
}

static void workers_release(struct build *b, int n)
{
    for (int i = 0; b->worker && i < n; i++) {
        hnsw_scratch_release(&b->worker[i].scratch);
        free(b->worker[i].chosen);
    }
    free(b->worker);
    free(b->wish);
    free(b->group);
    free(b->level);
    free(b->order);
}

int hnsw_build(const struct vectors *v, int threads, const struct progress_sink *sink,
               struct hnsw_graph *out, struct err *err)
{
    *out = (struct hnsw_graph){0};
    if (v->n < 1 || v->n > INT32_MAX)
        return err_set(err, "a vector graph of %lld rows is not possible", (long long)v->n);
    struct build b = {.v = v, .g.n = (uint32_t)v->n};
    int rc = alloc_arrays(&b, err);
    if (rc == 0) {
        scatter_rows(&b);
        struct pool *pool = pool_new(threads);
        b.worker = xcalloc((size_t)pool_size(pool), sizeof *b.worker);
        for (int i = 0; i < pool_size(pool); i++) {
            hnsw_scratch_init(&b.worker[i].scratch, v->n);
            b.worker[i].chosen = xmalloc(HNSW_LINKS_MAX * sizeof *b.worker[i].chosen);
        }
        rc = insert_all(&b, pool, sink, err);
        if (rc == 0) {
            pool_run(pool, (int)((b.g.n + 255) / 256), thin_chunk, &b);
            close_up(&b);
        }
        workers_release(&b, pool_size(pool));
        pool_free(pool);
    } else {
        workers_release(&b, 0);
    }
    *out = b.g;
    if (rc) {
        out->base = b.base;
        out->place = b.place;
        out->upper = b.upper;
        out->top = b.top;
        out->signs = b.signs;
        out->centre = b.centre;
        hnsw_graph_release(out);
    }
    return rc;
}

void hnsw_graph_release(struct hnsw_graph *g)
{
    free((void *)(uintptr_t)g->base);
    free((void *)(uintptr_t)g->place);
    free((void *)(uintptr_t)g->upper);
    free((void *)(uintptr_t)g->top);
    free((void *)(uintptr_t)g->signs);
    free((void *)(uintptr_t)g->centre);
    *g = (struct hnsw_graph){0};
}
