/* beir.h - judged collections in the layout of BEIR. */
#ifndef SEMSEARCH_INDEX_EVAL_BEIR_H
#define SEMSEARCH_INDEX_EVAL_BEIR_H

#include "index/eval/names.h"
#include "src/base/err.h"

/* One line of corpus.jsonl; spans valid during the call only. */
struct beir_doc {
    struct span id, title, text;
};

/* Calls fn for every document of DIR/corpus.jsonl in order; fn returns 0 to go on, else the walk
 * ends and fails. */
int beir_each_doc(const char *dir, int (*fn)(void *ctx, const struct beir_doc *d, struct err *err),
                  void *ctx, struct err *err) WARN_UNUSED;

/* The ids of all documents, numbered in their order; an id that comes twice is an error. */
int beir_names(const char *dir, struct names *out, struct err *err) WARN_UNUSED;

struct beir_judgement {
    uint32_t doc; /* number in the corpus */
    int grade;
};

struct beir_query {
    const char *id, *text;
    struct beir_judgement *judged; /* rising by doc */
    size_t n_judged, cap;
    size_t n_relevant; /* grade > 0 */
};

/* The questions that have a relevant document, in the order of their file. */
struct beir_queries {
    struct beir_query *item;
    size_t n, cap;
    struct arena memory;
};

/* Reads judgements and questions. qrels NULL: DIR/qrels/test.tsv, else dev.tsv, else train.tsv,
 * else the only .tsv there. For qrels SPLIT.tsv the questions are DIR/queries.SPLIT.jsonl where
 * that exists, else DIR/queries.jsonl. A judged document that is not among `docs`, a judged
 * question without a text, and a collection without a relevant document are errors. */
int beir_queries_read(const char *dir, const char *qrels, const struct names *docs,
                      struct beir_queries *out, struct err *err) WARN_UNUSED;
void beir_queries_release(struct beir_queries *q);

/* The grade of a document for a question; 0 when it was not judged. */
int beir_grade(const struct beir_query *q, uint32_t doc);

#endif
