/* searcher.h - the inside of a searcher, for eval/ which ranks without showing. */
#ifndef SEMSEARCH_INDEX_SEARCH_SEARCHER_H
#define SEMSEARCH_INDEX_SEARCH_SEARCHER_H

#include "index/search/filter.h"
#include "index/search/fuse.h"
#include "index/snapshot.h"
#include "src/base/embedder.h"

struct searcher {
    struct store *store;       /* borrowed */
    struct embedder *embedder; /* borrowed; NULL: keyword mode only */
    struct snapshot *snapshot;
    struct background bg;
    struct filter_docs docs; /* read at the first question with filters */
    int dim;
};

#endif
