/* hnsw_graph.h - the links of a navigable graph as flat arrays, and the walk over them that both
 * building and searching do. Only hnsw*.c include this.
 *
 * A block is a fixed number of row numbers; the first one that is not below n ends it. Rows of the
 * base level have one block each; the few that reach higher levels have one more for each of these,
 * side by side in `upper`, found through `place`.
 */
#ifndef SEMSEARCH_INDEX_ANN_HNSW_GRAPH_H
#define SEMSEARCH_INDEX_ANN_HNSW_GRAPH_H

#include "index/ann/vectors.h"
#include "src/base/progress.h"

#include <stddef.h>
#include <stdint.h>

enum { HNSW_LINKS_MAX = 256, HNSW_LEVELS_MAX = 32 };
#define HNSW_NONE UINT32_MAX

struct hnsw_graph {
    uint32_t n;           /* rows */
    uint32_t base_links;  /* size of a block of the base level */
    uint32_t upper_links; /* and of the levels above */
    uint32_t entry, top_level;
    const uint32_t *base; /* [n][base_links] */
    const uint32_t
        *place; /* [n] 0: on the base level only; else 1 + index of its block of level 1 */
    const uint32_t *upper; /* [n_upper][upper_links] */
    uint64_t n_upper;
};

/* A row's block on a level; *n gets its size (0 where the row has none: a damaged graph). */
const uint32_t *hnsw_block(const struct hnsw_graph *g, uint32_t row, uint32_t level, uint32_t *n);

struct near_row {
    float score;
    uint32_t row; /* the top bit: its links were followed */
};

/* What one walk at a time needs. */
struct hnsw_scratch {
    struct near_row *pool; /* the nearest rows met, best first; [ef + 1] */
    size_t n_pool;
    uint64_t *seen;    /* a bit for each row */
    uint32_t *touched; /* rows whose bit is set */
    size_t n_touched, cap_touched, cap_pool;
    uint32_t ids[HNSW_LINKS_MAX];
    int32_t dot[HNSW_LINKS_MAX];
};
void hnsw_scratch_init(struct hnsw_scratch *s, int64_t n_rows);
void hnsw_scratch_release(struct hnsw_scratch *s);

/* The row that greedy steps from `from` on a level end at: none of its links is nearer to q (int8
 * [dim]). */
uint32_t hnsw_greedy(const struct hnsw_graph *g, const struct vectors *v, const int8_t *q,
                     uint32_t from, uint32_t level, struct hnsw_scratch *s);
/* Fills s->pool with the at most ef nearest rows that a walk from the pool's present rows meets;
 * scores are int8 estimates up to the scale of q. */
void hnsw_gather(const struct hnsw_graph *g, const struct vectors *v, const int8_t *q,
                 uint32_t level, size_t ef, struct hnsw_scratch *s);
/* Makes one row the start of the next hnsw_gather. */
void hnsw_start(const struct vectors *v, const int8_t *q, uint32_t row, struct hnsw_scratch *s);

/* The pieces: room for ef rows; putting a row in its place among the ef best (returns the place, or
 * ef when it is not one of them); the links of a row that were not seen yet, into s->ids. */
void hnsw_pool_reserve(struct hnsw_scratch *s, size_t ef);
size_t hnsw_pool_add(struct near_row *pool, size_t *n, size_t ef, struct near_row x);
size_t hnsw_unseen_links(const struct hnsw_graph *g, const struct vectors *v, uint32_t row,
                         uint32_t level, struct hnsw_scratch *s);

/* Estimates for n rows at once: score[i] = scale of ids[i] * <q, ids[i]>; overwrites s->dot. n <=
 * HNSW_LINKS_MAX. */
void hnsw_estimate(const struct vectors *v, const int8_t *q, const uint32_t *ids, size_t n,
                   int32_t *dot, float *score);

/* Builds the graph of v. The same vectors give the same graph, whatever the number of threads.
 * Fails on memory, on more than 2^31 rows, or when asked to stop. Arrays are owned by *out. */
int hnsw_build(const struct vectors *v, int threads, const struct progress_sink *sink,
               struct hnsw_graph *out, struct err *err) WARN_UNUSED;
void hnsw_graph_release(struct hnsw_graph *g);

#endif
