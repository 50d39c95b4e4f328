/* ann.h - nearest rows by cosine: the kinds of vector search behind one table.
 *
 * Every kind searches the same `struct vectors`; what it needs beside them (a graph) is its own
 * file, a cache. Scores that come out are always cosines of the stored f16 vectors: a kind may miss
 * a row, never misstate one.
 *
 *   flat   exact. Nothing but the vectors.
 *   bits   a scan of one bit a number, the best of it scored exactly.
 *   hnsw   a navigable graph (Malkov and Yashunin, "Efficient and robust approximate nearest
 *          neighbor search using Hierarchical Navigable Small World graphs", 2018), walked in place
 *          in the mapped file.
 */
#ifndef SEMSEARCH_INDEX_ANN_ANN_H
#define SEMSEARCH_INDEX_ANN_ANN_H

#include "index/ann/vectors.h"
#include "index/cachefile.h"
#include "index/hit.h"
#include "src/base/err.h"
#include "src/base/progress.h"

/* "auto" takes the exact scan up to the one number of rows, bits up to the other, the graph beyond.
 * See ann.c for the measurement. */
enum { ANN_FLAT_ROWS_MAX = 20000, ANN_BITS_ROWS_MAX = 2000000 };

struct ann_kind {
    const char *name;
    /* Writes the sections that this kind needs; NULL: none. */
    int (*build)(const struct vectors *v, struct cache_writer *w, const struct progress_sink *sink,
                 struct err *err);
    /* Looks into a file of sections and fills a state that borrows from it. NULL: nothing to open.
     * Touches no more than a few pages. */
    int (*open)(const struct cachefile *f, const struct vectors *v, void **state, struct err *err);
    void (*close)(void *state); /* NULL: nothing to close */
    /* The k allowed rows with the largest cosine to `query`, best first, ties by row; returns how
     * many: min(k, allowed rows). out [k]. Safe against any content of the file. */
    int64_t (*search)(const void *state, const struct vectors *v, const float *query, int64_t k,
                      const struct row_filter *filter, struct hit *out);
    /* Reads all of it; fn for each thing that is wrong. NULL: nothing of its own. */
    void (*verify)(const void *state, const struct vectors *v,
                   void (*fn)(void *ctx, const char *what), void *ctx);
};

const struct ann_kind *ann_find(const char *name); /* NULL: no such kind */
/* The kind for a wish ("auto", "flat", "bits", "hnsw") and a number of rows; NULL: no such wish. */
const struct ann_kind *ann_choose(const char *wish, int64_t n_rows);

extern const struct ann_kind ann_flat, ann_bits, ann_hnsw;

/* The exact answer, whatever the kind: used for few rows, for `--exact`, and as last resort. */
int64_t flat_search(const struct vectors *v, const float *query, int64_t k,
                    const struct row_filter *filter, struct hit *out);

/* What flat_search does for n_allowed of n rows, in rows of an int8 scan. */
int64_t flat_cost(int64_t n, int64_t n_allowed);

/* Each kind by itself, whatever a scan would cost; what .search does where it pays. For tests and
 * measurements. bits: the r best by signs are looked at again; *n_late (NULL: not asked) becomes
 * the number of hits that stood in the last two thirds of these, which says whether r was enough.
 * hnsw: the walk keeps the `ef` >= k nearest rows; with a filter it gives up after multiplying
 * `budget` rows, and flat_search answers. */
int64_t bits_scan(const void *state, const struct vectors *v, const float *query, int64_t k,
                  const struct row_filter *filter, int64_t r, struct hit *out, int64_t *n_late);
int64_t hnsw_walk(const void *state, const struct vectors *v, const float *query, int64_t k,
                  const struct row_filter *filter, int64_t ef, int64_t budget, struct hit *out);

#endif
