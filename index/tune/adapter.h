/* adapter.h - a linear map of an index's questions, so that search follows the user's own words
 * while every stored vector stays as it is.
 *
 * q' = (I + D) q, scaled to length 1. D is learned from pairs of the user's documents (cli/ asks
 * encoder/train for it); this file keeps it beside the index and applies it. It belongs to one
 * fingerprint: an index of another model does not take it. Passages are never changed.
 */
#ifndef SEMSEARCH_INDEX_TUNE_ADAPTER_H
#define SEMSEARCH_INDEX_TUNE_ADAPTER_H

#include "src/base/embedder.h"
#include "src/base/err.h"

#define ADAPTER_FILE "adapter"

struct adapter;

/* d: [dim, dim], copied. */
struct adapter *adapter_new(const char *fingerprint, int dim, const float *d);
void adapter_free(struct adapter *a); /* NULL is fine */

/* The adapter of the index folder: 1; 0 with *out NULL when there is none or it is of another
 * model; -1 when it is damaged (ERR_CORRUPT; the hint says how to go on). */
int adapter_load(const char *index_dir, const char *fingerprint, int dim, struct adapter **out,
                 struct err *err) WARN_UNUSED;
/* Written under a temporary name, synced and renamed. */
int adapter_save(const char *index_dir, const struct adapter *a, struct err *err) WARN_UNUSED;
/* 1: removed, 0: there was none. */
int adapter_remove(const char *index_dir, struct err *err) WARN_UNUSED;

/* An embedder that asks `inner` and maps the vectors of questions (EMBED_QUERY only). It owns the
 * adapter, and inner when `own`: closing it closes those. */
struct embedder *adapter_embedder(struct embedder *inner, bool own, struct adapter *a);

#endif
