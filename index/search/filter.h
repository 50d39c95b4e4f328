/* filter.h - which rows of a snapshot a question may be answered from. */
#ifndef SEMSEARCH_INDEX_SEARCH_FILTER_H
#define SEMSEARCH_INDEX_SEARCH_FILTER_H

#include "index/search.h"
#include "index/snapshot.h"
#include "src/base/mem.h"

/* What filters look at, of every document; read from the store once. */
struct filter_doc {
    int64_t id, mtime_ns;
    const char *path;
    enum doc_kind kind;
};
struct filter_docs {
    struct filter_doc *item; /* rising by id */
    size_t n, cap;
    struct arena paths;
    bool ready;
};
int filter_docs_read(struct filter_docs *d, struct store *s, struct err *err) WARN_UNUSED;
void filter_docs_release(struct filter_docs *d);

/* Rows that are left out whatever the options say. */
struct filter_without {
    int64_t doc, chunk; /* 0: none */
};

/* A set of rows; bits == NULL: all of them. */
struct filter_rows {
    struct row_filter set;
    uint64_t *bits; /* owned */
};

bool filter_wanted(const struct search_options *o);
/* The rows that pass path, kind and time; d must be ready when filter_wanted(o). */
void filter_make(struct filter_rows *f, const struct snapshot *s, const struct filter_docs *d,
                 const struct search_options *o, struct filter_without without);
/* Leaves only the rows (keep = true) or removes them (keep = false). */
void filter_restrict(struct filter_rows *f, int64_t n_rows, const struct hit *hit, int64_t n,
                     bool keep);
const struct row_filter *filter_get(const struct filter_rows *f); /* NULL: all */
void filter_release(struct filter_rows *f);

#endif
