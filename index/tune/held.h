/* held.h - the held-out pairs as a judged collection, to measure search on. */
#ifndef SEMSEARCH_INDEX_TUNE_HELD_H
#define SEMSEARCH_INDEX_TUNE_HELD_H

#include "index/tune/pairs.h"

struct held_report {
    size_t questions, passages;
};

/* Writes DIR/corpus.jsonl, queries.jsonl and qrels/test.tsv: at most max_questions anchors of
 * held-out pairs, each judged with its passage, among the passages of all held-out pairs and, up to
 * max_passages, of others. Which are taken depends on the seed only. *group: [questions] the
 * document of each question, in the order of queries.jsonl; owned by the caller. */
int held_write(const struct pair_list *l, const char *dir, size_t max_questions,
               size_t max_passages, uint64_t seed, struct held_report *out, uint64_t **group,
               struct err *err) WARN_UNUSED;

#endif
