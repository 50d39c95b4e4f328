/* clean.h - text as the encoder should read it: without markup, every byte knowing its source.
 *
 * Link targets, HTML tags, table rules and rows of dashes cost tokens of a small window and mean
 * nothing to an encoder. Cleaning drops or blanks bytes, it never adds or reorders words, so a
 * passage found in the clean text has an exact place in the file.
 */
#ifndef SEMSEARCH_INDEX_CLEAN_H
#define SEMSEARCH_INDEX_CLEAN_H

#include "src/base/str.h"

#include <stdint.h>

enum clean_style {
    CLEAN_PLAIN,    /* rows of one punctuation mark are cut to one, blanks fold */
    CLEAN_CODE,     /* the same, but indentation stays */
    CLEAN_MARKDOWN, /* and without links' targets, emphasis, tags, escapes, heading marks */
    CLEAN_TABLE     /* as Markdown, and cell borders become blanks */
};

struct clean {
    struct str text;
    uint32_t *at; /* [text.n]: where the byte stood in the source, rising */
    size_t cap;
};

/* Appends the cleaned source[from, to); positions in `at` count from the source's begin, which may
 * be 4 GiB long at most. */
void clean_add(struct clean *c, struct span source, size_t from, size_t to, enum clean_style style);
/* Appends a byte that stands for none of the source (a border between blocks). */
void clean_putc(struct clean *c, char byte, size_t at);
void clean_clear(struct clean *c);
void clean_release(struct clean *c);

#endif
