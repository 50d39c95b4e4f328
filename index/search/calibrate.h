/* calibrate.h - the background of an index: measured, kept, read back. */
#ifndef SEMSEARCH_INDEX_SEARCH_CALIBRATE_H
#define SEMSEARCH_INDEX_SEARCH_CALIBRATE_H

#include "index/search/fuse.h"
#include "index/store/store.h"
#include "src/base/embedder.h"
#include "src/base/err.h"

#include <stdint.h>

/* From a sample of passages and the probe questions, both unit vectors: passage [n, dim] with their
 * documents doc [n], probe [n_probes, dim]. Few passages pull the result towards what is usual;
 * with none it is BACKGROUND_DEFAULT. */
struct background background_of(const float *passage, const int64_t *doc, size_t n,
                                const float *probe, size_t n_probes, int dim);

/* The background kept in the store's meta for this embedder: 1, or 0 when there is none. */
int background_load(struct store *s, const struct embedder *e, struct background *out,
                    struct err *err) WARN_UNUSED;
/* Measures the background of the stored vectors. */
int background_measure(struct store *s, struct embedder *e, struct background *out,
                       struct err *err) WARN_UNUSED;

#endif
