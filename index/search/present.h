/* present.h - what people see of a ranked row: passage, snippet with marks, explanation. */
#ifndef SEMSEARCH_INDEX_SEARCH_PRESENT_H
#define SEMSEARCH_INDEX_SEARCH_PRESENT_H

#include "index/search/rank.h"

/* The question's words and how telling each is, for snippets. */
struct present_words {
    const struct span *term; /* borrowed from the keyword query */
    double *weight;
    size_t n;
};
void present_words_make(struct present_words *w, struct snapshot *s,
                        const struct keyword_query *words);
void present_words_release(struct present_words *w);

/* Fills snippet and marks of a result from its passage. */
void present_snippet(struct search_result *r, struct span passage, const struct present_words *w,
                     int snippet_bytes);
/* Fills score, signals and explain. */
void present_signals(struct search_result *r, const struct ranked_row *row,
                     const struct rank_query *q, const struct ranking *ranking);

#endif
