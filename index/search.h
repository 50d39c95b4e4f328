/* search.h - a question to ranked passages: candidates by meaning and by words, fused, calibrated,
 * with snippets.
 *
 * hybrid (default), vector, keyword. Every mode's score is one 0..1 scale ("how likely is this
 * passage about what was asked"), calibrated on the index's own background distribution; results
 * fall by it. How and why: search.c.
 */
#ifndef SEMSEARCH_INDEX_SEARCH_H
#define SEMSEARCH_INDEX_SEARCH_H

#include "index/doc.h"
#include "index/store/store.h"
#include "src/base/embedder.h"
#include "src/base/err.h"

enum search_mode { SEARCH_HYBRID, SEARCH_VECTOR, SEARCH_KEYWORD };

struct search_options {
    enum search_mode mode;
    int k;                   /* >= 1 */
    double min_score;        /* < 0: keep all and mark weak ones */
    int per_file;            /* 0: no limit beyond collapsing neighbours and duplicates */
    bool exact;              /* no ANN */
    const char *const *path; /* globs, any may match */
    size_t n_path;
    uint32_t kinds;             /* bit per enum doc_kind; 0: all */
    int64_t since_ns, until_ns; /* file mtime, inclusive; INT64_MIN / INT64_MAX: open */
    int snippet_bytes;          /* 0: 300 */
};

struct search_result {
    int rank;     /* 1-based */
    double score; /* 0..1 */
    bool weak;    /* the calibration takes it for unrelated */
    struct store_doc doc;
    struct store_chunk chunk;
    char *snippet; /* the best sentence(s) of the passage for this query, one line */
    struct span_range {
        size_t start, end;
    } * mark; /* matched words inside the snippet, rising */
    size_t n_marks;
    /* signals; has_*: false means null */
    bool has_cosine, has_vector_rank, has_keyword, has_keyword_rank;
    double cosine, keyword;        /* raw cosine, raw BM25 */
    int vector_rank, keyword_rank; /* 1-based among the candidates of that side */
    char explain[512];             /* one line: how the two were fused */
};

struct search_answer {
    struct search_result *item;
    size_t n;
    double closest;     /* best score before --min-score, NAN when there was no candidate */
    char *closest_path; /* owned; NULL: none */
    double took_ms;
};

/* An open index for questions: store, snapshot, calibration. embedder may be NULL for keyword mode
 * only (no model is loaded); its fingerprint must be that of the index (ERR_INCOMPATIBLE
 * otherwise). Borrowed: store and embedder must outlive it. */
struct searcher;
int searcher_open(struct store *s, struct embedder *embedder, struct searcher **out,
                  struct err *err) WARN_UNUSED;
void searcher_close(struct searcher *s);

int search_text(struct searcher *s, struct span query, const struct search_options *options,
                struct search_answer *out, struct err *err) WARN_UNUSED;
/* Passages like a stored document (all of its chunks; the document is left out) or like one chunk
 * (left out itself). */
int search_like_doc(struct searcher *s, int64_t doc_id, const struct search_options *options,
                    struct search_answer *out, struct err *err) WARN_UNUSED;
int search_like_chunk(struct searcher *s, int64_t chunk_id, const struct search_options *options,
                      struct search_answer *out, struct err *err) WARN_UNUSED;
void search_answer_release(struct search_answer *a);

/* Measures the background distribution of cosines on the stored vectors (a deterministic sample)
 * against questions about nothing in particular, asked through `embedder`, and keeps it in the
 * store's meta; called at the end of an index run that changed anything. A searcher of an index
 * without it measures for itself when it opens. Needs a store opened for writing. */
int search_calibrate(struct store *s, struct embedder *embedder, struct err *err) WARN_UNUSED;

#endif
