/* evaluate.h - how good search is, on a judged collection. */
#ifndef SEMSEARCH_INDEX_EVAL_EVALUATE_H
#define SEMSEARCH_INDEX_EVAL_EVALUATE_H

#include "index/eval/metrics.h"
#include "index/search.h"
#include "src/base/embedder.h"
#include "src/base/err.h"
#include "src/base/progress.h"

struct evaluate_options {
    const char *data;    /* a folder in BEIR's layout */
    const char *qrels;   /* NULL: its qrels/test.tsv, dev.tsv, train.tsv or only .tsv */
    const char *scratch; /* an empty or missing folder for the index; left as it is afterwards */
    const char *run;     /* NULL: none; else TREC runs run.keyword, run.vector, run.hybrid */
    bool chunk;          /* documents cut into passages; a document counts by its best one */
};

#define EVALUATE_RUN_DEPTH 100 /* documents a question in the TREC runs */

struct evaluate_report {
    int64_t queries, documents; /* questions that have a relevant document; all documents */
    struct metrics mode[3];     /* by enum search_mode */
    double ann_recall10;        /* default search against exact search */
    double p50_ms, p95_ms;      /* of a whole hybrid question for ten results, encoding included */
};

/* The same in parts, to ask one indexed collection through several embedders of equal vectors for
 * passages (a query adapter, say). */
struct evaluation_bench;
int evaluate_open(const struct evaluate_options *o, struct embedder *e,
                  const struct progress_sink *sink, struct evaluation_bench **out,
                  struct err *err) WARN_UNUSED;
/* Measures the background anew with this embedder, asks, and scores. ndcg (may be NULL): for each
 * question and mode its nDCG@10, [queries * 3], owned by the caller; questions in a fixed order. */
int evaluate_ask(struct evaluation_bench *b, struct embedder *e, struct evaluate_report *out,
                 double **ndcg, struct err *err) WARN_UNUSED;
void evaluate_close(struct evaluation_bench *b); /* NULL is fine */

/* Indexes the collection, asks all questions in all modes (exact search), and scores the rankings
 * 1000 deep, as trec_eval does. Fails on unreadable or inconsistent data, and when asked to stop.
 */
int evaluate_search(const struct evaluate_options *o, struct embedder *e,
                    const struct progress_sink *sink, struct evaluate_report *out,
                    struct err *err) WARN_UNUSED;

#endif
