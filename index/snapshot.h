/* snapshot.h - the caches that queries read: rows, vectors, keyword postings, graph; built from the
 * store, mmapped.
 *
 * A snapshot covers the chunks of one generation of the store, in order of chunk id; "row" r is its
 * r-th chunk. Its files live in <index folder>/cache/, each checksummed, written under a temporary
 * name and renamed, and stamped with generation, count, dimension and model fingerprint. Truth is
 * the store: chunks that came since are given by store_each_row(after last_chunk_id), chunks that
 * went by store_removed(); a file that is missing, stale beyond use or damaged is never trusted.
 */
#ifndef SEMSEARCH_INDEX_SNAPSHOT_H
#define SEMSEARCH_INDEX_SNAPSHOT_H

#include "index/hit.h"
#include "index/store/store.h"
#include "src/base/err.h"
#include "src/base/progress.h"

#include <stdbool.h>
#include <stdint.h>

struct snapshot;

/* Opens the caches of the store's folder and brings them up to date in memory with what came and
 * went since (a small delta). A missing or broken cache: rebuilt in memory for this process (and
 * said by snapshot_state). Read-only; never fails because of a bad cache file. fingerprint, dim: of
 * the index. */
int snapshot_open(struct store *s, const char *fingerprint, int dim, struct snapshot **out,
                  struct err *err) WARN_UNUSED;
void snapshot_close(struct snapshot *s);

/* Writes new cache files when the present ones are missing, broken or so stale that queries suffer
 * (`force`: always), and tells the store to forget removed ids. Needs a store opened for writing.
 * ann: "auto" (by count), "flat", "bits", "hnsw", or "present": a graph that still fits stays, none
 * is built. */
int snapshot_build(struct store *s, const char *fingerprint, int dim, const char *ann, bool force,
                   const struct progress_sink *sink, struct err *err) WARN_UNUSED;

int64_t snapshot_rows(
    const struct snapshot *s); /* rows, removed ones included; valid row numbers are below it */
int64_t snapshot_chunk(const struct snapshot *s, int64_t row); /* its chunk id */
int64_t snapshot_doc(const struct snapshot *s, int64_t row);   /* its document id */
bool snapshot_live(const struct snapshot *s, int64_t row);     /* false: removed since */

/* The k allowed rows with the largest cosine to `query` (unit, [dim] fp32), best first, ties by
 * row; exact = true scans. Returns the number of hits. Scores are cosines from the stored vectors,
 * not approximations. */
int64_t snapshot_nearest(struct snapshot *s, const float *query, int64_t k,
                         const struct row_filter *filter, bool exact, struct hit *out);
/* Exact cosines of n rows (fp32 from the stored f16); out [n]. Rising rows are faster. */
void snapshot_cosines(struct snapshot *s, const float *query, const int64_t *rows, size_t n,
                      float *out);

/* Keyword search: BM25 over passages. */
struct keyword_query; /* parsed: words, "phrases", -exclusions; never a syntax error */
struct keyword_query *keyword_parse(struct span text);
void keyword_query_free(struct keyword_query *q);
size_t keyword_terms(const struct keyword_query *q,
                     const struct span **terms); /* distinct positive terms, for marking */

/* The k allowed rows with the largest BM25 score, best first. Phrases must occur, excluded terms
 * must not. */
int64_t snapshot_keyword(struct snapshot *s, const struct keyword_query *q, int64_t k,
                         const struct row_filter *filter, struct hit *out);
/* BM25 of given rows (0 where no term occurs). */
void snapshot_keyword_score(struct snapshot *s, const struct keyword_query *q, const int64_t *rows,
                            size_t n, float *out);
/* Sum over the query's terms of their largest possible BM25 contribution: what a perfect passage
 * would reach. */
float snapshot_keyword_ceiling(struct snapshot *s, const struct keyword_query *q);

struct snapshot_state {
    const char *kind;  /* "flat", "bits", "hnsw" */
    int64_t count;     /* rows covered by the file */
    bool stale;        /* the store has moved on since it was written */
    char problem[256]; /* empty, or what was wrong with a cache file */
};
void snapshot_state(const struct snapshot *s, struct snapshot_state *out);

/* Checks the cache files' checksums and contents against the store; calls fn for each problem (a
 * stale cache is none). */
int snapshot_verify(struct store *s, const char *fingerprint, int dim,
                    void (*fn)(void *ctx, const struct store_problem *p), void *ctx,
                    struct err *err) WARN_UNUSED;

#endif
