/* update.h - brings an index up to date with its folder: walk, extract, chunk, embed, store,
 * caches.
 *
 * One document is one transaction, so a kill at any moment loses at most the documents in flight.
 * Memory is bounded: files stream through a bounded queue between the reading thread (walk,
 * extract, chunk) and the encoding thread; what is encoded is stored by a third one meanwhile.
 */
#ifndef SEMSEARCH_INDEX_UPDATE_H
#define SEMSEARCH_INDEX_UPDATE_H

#include "index/store/store.h"
#include "index/walk.h"
#include "src/base/embedder.h"
#include "src/base/err.h"
#include "src/base/progress.h"

struct update_options {
    struct walk_options walk;
    const char *const *sub; /* sub-folders or files of the root, relative to it; n_sub 0: all */
    size_t n_sub;
    bool dry_run; /* report what would be done; writes nothing */
    bool force;   /* look at every file anew, whatever its stamp says (the embedding cache still
                     serves) */
    bool reembed; /* the index is of another model: replace all vectors; `sub` must then cover all
                     that the index is of */
    bool no_prune;
    double
        time_limit_s; /* 0: none; may end inside a file, which then is done anew by the next run */
};

struct update_failure {
    char *path, *reason, *hint;
};
struct update_report {
    int64_t indexed, unchanged, removed, skipped, failed, chunks, tokens;
    double seconds;
    bool complete; /* false: time limit or stop */
    struct update_failure *failure;
    size_t n_failures;
};
void update_report_release(struct update_report *r);

/* root: the folder's absolute path. The store is open for writing (for dry_run: reading; s == NULL
 * with dry_run: no index yet). A fingerprint in the store other than the embedder's (with the
 * chunker) is ERR_INCOMPATIBLE unless reembed. On ERR_STOPPED the report is filled too. */
int update_run(struct store *s, const char *root, struct embedder *embedder,
               const struct update_options *options, const struct progress_sink *sink,
               struct update_report *report, struct err *err) WARN_UNUSED;

/* The identity that the index stores for an embedder: its fingerprint and the chunker's version. */
void update_fingerprint(const struct embedder *e, char out[33]);

/* How the disk differs from the index: `status --check`. */
struct update_diff {
    int64_t changed, added, gone;
};
int update_check(struct store *s, const char *root, const char *const *sub, size_t n_sub,
                 const struct walk_options *walk, struct update_diff *out,
                 struct err *err) WARN_UNUSED;

#endif
