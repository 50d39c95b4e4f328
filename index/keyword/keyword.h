/* keyword.h - questions in words: parsed, weighted, and ranked by BM25 over one or more postings.
 *
 * The rows of an index may lie in several postings ("parts"): what was built, and what came since.
 * Word weights are taken over all parts together, so that the scores of their rows compare.
 */
#ifndef SEMSEARCH_INDEX_KEYWORD_KEYWORD_H
#define SEMSEARCH_INDEX_KEYWORD_KEYWORD_H

#include "index/hit.h"
#include "index/keyword/postings.h"
#include "src/base/str.h"

struct keyword_query; /* see index/snapshot.h for keyword_parse, keyword_query_free, keyword_terms
                       */

enum { KEYWORD_TERMS_MAX = 512 };

/* weight [keyword_term_count(q)]: idf * times asked, idf = ln(1 + (N - n + 0.5) / (n + 0.5)). */
size_t keyword_term_count(const struct keyword_query *q);
void keyword_weights(const struct keyword_query *q, const struct postings *const *part,
                     size_t n_parts, float *weight);

/* Pushes the allowed rows of one part, row numbers raised by row0. Every phrase must occur, nothing
 * excluded may; rows where no word occurs are no hits. */
void keyword_search(const struct keyword_query *q, const struct postings *p, const float *weight,
                    const struct row_filter *filter, int64_t row0, struct topk *top);

/* Adds to out[i] the BM25 of row rows[i] where that is a row of this part (whose first is row0). */
void keyword_score(const struct keyword_query *q, const struct postings *p, const float *weight,
                   int64_t row0, const int64_t *rows, size_t n, float *out);

#endif
