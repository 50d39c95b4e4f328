/* rank.h - the rows of a snapshot that answer a question, best first. */
#ifndef SEMSEARCH_INDEX_SEARCH_RANK_H
#define SEMSEARCH_INDEX_SEARCH_RANK_H

#include "index/search.h"
#include "index/search/filter.h"
#include "index/search/fuse.h"
#include "index/snapshot.h"

struct rank_query {
    enum search_mode mode;
    const float *vector;               /* [dim], unit; NULL in keyword mode */
    const struct keyword_query *words; /* NULL in vector mode */
    struct background bg;
    bool exact; /* no ANN */
};

struct ranked_row {
    int64_t row;
    double log_odds;               /* of being related: what is ranked by */
    double score;                  /* the same as 0..1 */
    float cosine, bm25;            /* 0 where the mode does not use them; bm25 0: no word in it */
    int vector_rank, keyword_rank; /* 1-based in the list of that side; 0: not in it */
};

struct ranking {
    struct ranked_row *item; /* by log_odds, then cosine, BM25 and row: no two are equal */
    size_t n;
    struct fusion fusion; /* hybrid mode: how the two were weighed */
    double ceiling;       /* BM25 of a perfect passage; 0 without words */
    bool complete;        /* no allowed row outside of it could have been found */
};

/* Takes up to `depth` rows from each side, gives every one of them both signals, and orders them by
 * the fused score. Filters act inside; in hybrid mode the question's phrases and exclusions are one
 * more filter. */
void rank_rows(struct snapshot *s, const struct rank_query *q, const struct filter_rows *filter,
               int64_t depth, struct ranking *out);
/* The largest BM25 that one of the question's terms can give. */
double rank_term_weight(struct snapshot *s, const struct keyword_query *words, size_t term);
void ranking_release(struct ranking *r);

/* Leaves only the rows that hold every phrase of the question and nothing that it excludes. */
void rank_constrain(struct snapshot *s, const struct keyword_query *words, struct filter_rows *f);

#endif
