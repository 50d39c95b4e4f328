/* hnsw_graph.h - the links of a navigable graph as flat arrays, and the walk over them that both
 * building and searching do. Only hnsw*.c include this.
 *
 * A block is a fixed number of row numbers; the first one that is not below n ends it. Rows of the
 * base level have one block each; the few that reach higher levels have one more for each of these,
 * side by side in `upper`, found through `place`. The rows of the highest level, HNSW_TOP_MAX at
 * most where there is a level below, are listed in `top` and are all compared with a query: links
 * alone do not lead everywhere (from thousands of copies of one passage they lead to copies), and
 * rows drawn from everywhere do.
 *
 * Beside the links, a row is kept once more as one bit a number: whether x_d > mean_d. With s the
 * signs these are, r = x - mean and a query q,
 *
 *     <q, x> = <q, mean> + <q, r>  about  <q, mean> + unit <q, s>,    unit = |r|^2 / <r, s>
 *
 * (Gao and Long, "RaBitQ", 2024; unit here is that of all rows together). A walk meets rows that
 * lie anywhere in memory, and most are nowhere near: 48 bytes of signs tell that as well as the 384
 * of int8, which are read only for rows whose estimate, with `doubt` of its error, could be among
 * the best.
 */
#ifndef SEMSEARCH_INDEX_ANN_HNSW_GRAPH_H
#define SEMSEARCH_INDEX_ANN_HNSW_GRAPH_H

#include "index/ann/vectors.h"
#include "src/base/progress.h"

#include <stddef.h>
#include <stdint.h>

enum {
    HNSW_LINKS_MAX = 256,
    HNSW_LEVELS_MAX = 32,
    HNSW_TOP_MAX = 2048, /* rows of the highest level, if there is another one below */
    HNSW_WIDE = 3, /* rows whose links are followed together, so that one memory wait serves all */
    HNSW_STARTS = 8, /* rows that a walk of the base level begins at: one alone may lie where no way
                      * leads to those that are looked for */
    HNSW_MET_MAX = HNSW_WIDE * HNSW_LINKS_MAX,
};
#define HNSW_NONE UINT32_MAX

struct hnsw_graph {
    uint32_t n;           /* rows */
    uint32_t base_links;  /* size of a block of the base level */
    uint32_t upper_links; /* and of the levels above */
    uint32_t top_level, n_top;
    const uint32_t *top;  /* [n_top] the rows of top_level */
    const uint32_t *base; /* [n][base_links] */
    const uint32_t
        *place; /* [n] 0: on the base level only; else 1 + index of its block of level 1 */
    const uint32_t *upper; /* [n_upper][upper_links] */
    uint64_t n_upper;
    const uint64_t *signs; /* [n][hnsw_sign_words(dim)] */
    const float *centre;   /* [dim] the mean of all rows, then unit, then doubt for |q| = 1 */
};

static inline size_t hnsw_sign_words(int dim)
{
    return ((size_t)dim + 63) / 64;
}

/* What the signs of a row say for a query of int8: below base + step * (sum of its numbers whose
 * bit is set) its score is hardly ever above. */
struct hnsw_aim {
    const int8_t *q; /* [dim] */
    float base, step;
};

/* signs [n][words], centre [dim + 2] */
void hnsw_make_signs(const struct vectors *v, uint64_t *signs, float *centre);
struct hnsw_aim hnsw_aim_at(const struct hnsw_graph *g, const struct vectors *v, const int8_t *q);

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
    uint32_t ids[HNSW_MET_MAX];
    int32_t dot[HNSW_MET_MAX];
    float score[HNSW_MET_MAX];
};
void hnsw_scratch_init(struct hnsw_scratch *s, int64_t n_rows);
void hnsw_scratch_release(struct hnsw_scratch *s);

/* Fills s->pool with the at most ef nearest rows that a walk from the pool's present rows meets on
 * a level; scores are int8 estimates up to the scale of q. */
void hnsw_gather(const struct hnsw_graph *g, const struct vectors *v, const struct hnsw_aim *aim,
                 uint32_t level, size_t ef, struct hnsw_scratch *s);
/* From the best rows of the highest level down to a level, exclusive: the pool is then where a walk
 * of `to` begins. */
void hnsw_descend(const struct hnsw_graph *g, const struct vectors *v, const struct hnsw_aim *aim,
                  uint32_t to, struct hnsw_scratch *s);
/* The pieces: room for ef rows; putting a row in its place among the ef best (returns the place, or
 * ef when it is not one of them); the links of a row that were not seen yet, appended to the n of
 * s->ids, returns how many there are then; of those the ones whose signs do not rule out that they
 * reach `floor`, scored, returns how many. */
void hnsw_pool_reserve(struct hnsw_scratch *s, size_t ef);
size_t hnsw_pool_add(struct near_row *pool, size_t *n, size_t ef, struct near_row x);
size_t hnsw_unseen_links(const struct hnsw_graph *g, uint32_t row, uint32_t level, size_t words,
                         size_t n, struct hnsw_scratch *s);
size_t hnsw_score_likely(const struct hnsw_graph *g, const struct vectors *v,
                         const struct hnsw_aim *aim, float floor, size_t n, struct hnsw_scratch *s);

/* Estimates for n rows at once: score[i] = scale of ids[i] * <q, ids[i]>; n <=
 * HNSW_MET_MAX. */
void hnsw_estimate(const struct vectors *v, const int8_t *q, const uint32_t *ids, size_t n,
                   int32_t *dot, float *score);

/* Builds the graph of v. The same vectors give the same graph, whatever the number of threads.
 * Fails on memory, on more than 2^31 rows, or when asked to stop. Arrays are owned by *out. */
int hnsw_build(const struct vectors *v, int threads, const struct progress_sink *sink,
               struct hnsw_graph *out, struct err *err) WARN_UNUSED;
void hnsw_graph_release(struct hnsw_graph *g);

#endif
