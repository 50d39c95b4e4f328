/* hnsw_build.h - builds the graph of ann_hnsw; the only way to hnswlib. */
#ifndef SEMSEARCH_INDEX_ANN_HNSW_BUILD_H
#define SEMSEARCH_INDEX_ANN_HNSW_BUILD_H

#ifdef __cplusplus
extern "C" {
#endif

#include "src/base/err.h"
#include "src/base/progress.h"

#include <stddef.h>
#include <stdint.h>

/* Links as flat arrays. A block is a count and that many row numbers. */
struct hnsw_graph {
    uint32_t n;           /* rows */
    uint32_t base_links;  /* most links of a row on the base level: blocks of base_links + 1 */
    uint32_t upper_links; /* and on each level above */
    uint32_t entry, top_level;
    uint32_t *base;  /* [n][base_links + 1] */
    uint32_t *place; /* [n] 0: on the base level only; else 1 + index of its block of level 1 */
    uint32_t *upper; /* [n_upper][upper_links + 1]; a row's blocks of levels 1, 2, ... in order */
    size_t n_upper;
};

struct hnsw_input {
    const int8_t *i8; /* [n, dim] */
    const float *scale;
    int64_t n;
    int dim;
};

/* Fails on memory, on more than 2^31 rows, or when asked to stop. */
int hnsw_build(const struct hnsw_input *in, const struct progress_sink *sink,
               struct hnsw_graph *out, struct err *err) WARN_UNUSED;
void hnsw_graph_release(struct hnsw_graph *g);

#ifdef __cplusplus
}
#endif

#endif
