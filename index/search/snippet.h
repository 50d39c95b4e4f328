/* snippet.h - the best sentence(s) of a passage for a query, on one line, with the matched words
 * marked. */
#ifndef SEMSEARCH_INDEX_SEARCH_SNIPPET_H
#define SEMSEARCH_INDEX_SEARCH_SNIPPET_H

#include "index/search.h"
#include "src/base/str.h"

/* A query word found in the passage: bytes [start, end) of it, and which of the terms it is. */
struct snippet_match {
    size_t start, end;
    int term;
};

struct snippet {
    char *text;              /* owned: UTF-8, one line, at most max_bytes long */
    struct span_range *mark; /* bytes of it */
    size_t n_marks;          /* rising, not overlapping */
};

#define SNIPPET_TERMS 64 /* terms from this number on count for marks, not for the choice */

/* Chooses and renders. match [n_match]: rising by start; weight [n_terms]: how telling each term is
 * (its idf), so that one rare word outweighs several common ones; markup: the passage may hold
 * Markdown, whose signs are left out. Without any match the first real sentences are taken. A
 * snippet that begins or ends inside a sentence has an ellipsis there. Never fails; release with
 * snippet_release. */
void snippet_make(struct span passage, const struct snippet_match *match, size_t n_match,
                  const double *weight, size_t n_terms, size_t max_bytes, bool markup,
                  struct snippet *out);
void snippet_release(struct snippet *s);

#endif
