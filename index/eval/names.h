/* names.h - the names of documents and questions in a judged collection, numbered as they come. */
#ifndef SEMSEARCH_INDEX_EVAL_NAMES_H
#define SEMSEARCH_INDEX_EVAL_NAMES_H

#include "src/base/mem.h"
#include "src/base/str.h"

#include <stdint.h>

struct names {
    const char **item; /* [n], NUL-terminated, in order of arrival */
    size_t n, cap;
    uint32_t *slot; /* open addressing: number + 1, 0: empty */
    size_t n_slots; /* a power of two */
    struct arena memory;
};

/* The number of a name, or -1. */
int64_t names_find(const struct names *t, struct span name);
/* Adds a name; -1 when it is there already. */
int64_t names_add(struct names *t, struct span name);
void names_release(struct names *t);

#endif
