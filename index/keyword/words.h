/* words.h - cuts text into the words of keyword search, for passages and questions alike.
 *
 * A word is a run of letters and digits, lower-cased, accents folded, English plurals made
 * singular. Things that people type as one (node.js, 1.0.21, foo_bar, fooBar, --dry-run, C++,
 * e-mail addresses, paths) give the whole and its parts: the parts take consecutive positions, the
 * whole stands at the position of its first part. Scripts written without spaces give every
 * character and every pair of neighbours. See words.c for the rules.
 */
#ifndef SEMSEARCH_INDEX_KEYWORD_WORDS_H
#define SEMSEARCH_INDEX_KEYWORD_WORDS_H

#include "src/base/str.h"

#include <stdint.h>

enum { WORD_BYTES_MAX = 64 }; /* longer ones are cut (parts) or left out (wholes) */

struct word {
    struct span term;  /* as indexed; valid during the call only */
    size_t start, end; /* bytes of the source text */
    uint32_t pos;      /* position; rises within one text */
    uint32_t cover;    /* positions that it takes: > 1 for a whole of several parts */
    bool part;         /* inside a larger unit that was given too (and first) */
    bool unit;         /* counts in the length of a passage: no whole, no pair */
    bool minor; /* a character inside a run: the pairs ask better, so questions leave it out */
    bool stop;  /* so common in English that it says nothing alone */
};

/* Calls fn for every word of text; positions begin at `pos`. Returns the position after the last.
 */
uint32_t words_split(struct span text, uint32_t pos, void (*fn)(void *ctx, const struct word *w),
                     void *ctx);

/* Takes English endings off a word of lower-case ASCII letters, in place; returns the new length.
 */
size_t words_stem(char *word, size_t n);

bool words_is_stop(struct span term);

#endif
