/* query.h - a parsed keyword question, as the ranking sees it. */
#ifndef SEMSEARCH_INDEX_KEYWORD_QUERY_H
#define SEMSEARCH_INDEX_KEYWORD_QUERY_H

#include "src/base/mem.h"
#include "src/base/str.h"

#include <stdint.h>

/* Words that must stand at fixed distances; with one word it only must occur. */
struct phrase {
    struct span *word;
    uint32_t *offset; /* of each word's position from the first one's */
    size_t n;
    bool excluded;
};

struct keyword_query {
    struct arena memory;
    struct span *term; /* distinct words to rank by */
    float *times;      /* how often each was asked; a whole beside its parts counts less */
    size_t n_terms;
    struct phrase *phrase;
    size_t n_phrases;
};

#endif
