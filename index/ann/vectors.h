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

/* x [dim] = scale * q + e; returns |e|, rounded up. */
float quantise_row(const float *x, int dim, int8_t *q, float *scale);

/* Cosines with one row; `query` is [dim] fp32. */
float vectors_dot(const struct vectors *v, const float *query, int64_t row);

#endif
