/* collection.h - a judged collection as an ordinary index. */
#ifndef SEMSEARCH_INDEX_EVAL_COLLECTION_H
#define SEMSEARCH_INDEX_EVAL_COLLECTION_H

#include "index/store/store.h"
#include "src/base/embedder.h"
#include "src/base/progress.h"

struct collection {
    struct store *store;
    uint32_t *doc_of; /* [n_ids]: number of the document with that id in the store */
    size_t n_ids, cap_ids;
};

/* Indexes DIR/corpus.jsonl into the folder `index`, which must not hold an index: one passage a
 * document (title, one space, text; cut at the encoder's window), or the chunker's passages. */
int collection_build(struct collection *s, const char *dir, const char *index, struct embedder *e,
                     bool chunk, const struct progress_sink *sink, struct err *err) WARN_UNUSED;
void collection_close(struct collection *s);

#endif
