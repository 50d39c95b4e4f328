/* vectors.h - the stored vectors of a set of rows, as searches read them.
 *
 * Truth is f16 [n, dim]; beside it every row once more in int8 with a scale of its own, for scans
 * that read half the bytes:
 *
 *     x = scale * q + e,   q in [-127, 127],   error = |e|  (the length of what was rounded away)
 *
 * The error is kept, so that a scan can say how far its estimate of a cosine can be off.
 */
#ifndef SEMSEARCH_INDEX_ANN_VECTORS_H
#define SEMSEARCH_INDEX_ANN_VECTORS_H

#include "index/cachefile.h"
#include "index/hit.h"
#include "src/base/err.h"

#include <stdint.h>

enum { VECTOR_DIM_MAX = 16384 };

struct vectors {
    const uint16_t *f16;
    const int8_t *i8;
    const float *scale, *error;
    float longest; /* no row is longer than this */
    int64_t n;
    int dim;
};

/* Streaming writer: f16 goes to the section being written, the rest to scratch until the end. */
struct vectors_builder;
struct vectors_builder *vectors_builder_new(int dim, const char *scratch_dir, struct err *err);
void vectors_builder_free(struct vectors_builder *b); /* NULL is fine */
/* Begins section "vec.f16" of w; rows follow. row: f16 [dim], NULL gives zeros. */
void vectors_begin(struct vectors_builder *b, struct cache_writer *w);
void vectors_add(struct vectors_builder *b, const uint16_t *row);
int vectors_finish(struct vectors_builder *b, struct err *err) WARN_UNUSED;

/* -1: the file has no usable vectors of that shape. */
int vectors_open(const struct cachefile *f, int64_t n_rows, int dim, struct vectors *v,
                 struct err *err) WARN_UNUSED;

/* The mean of the rows that have something in them, [dim]. */
void vectors_mean(const struct vectors *v, float *mean);

/* x [dim] = scale * q + e; returns |e|, rounded up. */
float quantise_row(const float *x, int dim, int8_t *q, float *scale);

/* Asks memory for a row of f16 that will be scored after VECTORS_AHEAD others. */
enum { VECTORS_AHEAD = 6 };
static inline void vectors_prefetch(const struct vectors *v, int64_t row)
{
    const char *p = (const char *)(v->f16 + row * v->dim);
    for (size_t at = 0; at < (size_t)v->dim * sizeof *v->f16; at += 64)
        __builtin_prefetch(p + at);
}

/* Cosines with one row; `query` is [dim] fp32. */
float vectors_dot(const struct vectors *v, const float *query, int64_t row);

/* A query in int8, for estimates: <query, x> is about scale * <q, row of i8> * v->scale[row]. */
struct quick_query {
    int8_t *q; /* [dim], then zeros up to a multiple of 64; owned */
    float scale, error;
};
void quick_query_init(struct quick_query *q, const struct vectors *v, const float *query);
void quick_query_release(struct quick_query *q);

/* The k best by their true score of n rows that are sorted by their estimate (divided by q->scale),
 * best first. Only the front is scored: as far as an estimate may have put a row behind the k-th
 * that belongs before it, within reason. Returns how many, out [k]. */
int64_t vectors_settle(const struct vectors *v, const struct quick_query *q, const float *query,
                       const struct hit *about, int64_t n, int64_t k, struct hit *out);

#endif
