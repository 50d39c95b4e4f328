/* chunk.h - cuts a document into passages that fit the encoder's window.
 *
 * Passages begin and end on token boundaries of the model, preferably at block boundaries
 * (headings, paragraphs, code, tables); they never cross a page, slide or sheet. What is embedded
 * is "title > heading path" and then the passage, and both count in the budget. CHUNKER_VERSION is
 * part of the index's fingerprint: raise it when any result changes.
 */
#ifndef SEMSEARCH_INDEX_CHUNK_H
#define SEMSEARCH_INDEX_CHUNK_H

#include "index/doc.h"
#include "src/base/embedder.h"
#include "src/base/err.h"

#define CHUNKER_VERSION 2

struct chunk_options {
    int target_tokens;  /* 0: the measured default */
    int overlap_tokens; /* < 0: the measured default */
};

struct chunk {
    size_t start, end;        /* bytes of doc.text: the passage, without surrounding white space */
    int page;                 /* 0: none */
    int line_start, line_end; /* 1-based, inclusive, of doc.text */
    char *heading;            /* owned: "Install > From source", NULL: none */
    char *embed_text;         /* owned: what the encoder gets */
    int n_tokens;             /* of embed_text, special tokens and prompt included */
};

struct chunk_list {
    struct chunk *item;
    size_t n, cap;
};

/* Appends the passages of `d` to `out` in order. A document without a letter or digit gives none.
 * `embedder` supplies token boundaries and the window. Fails on memory, or when
 * asked to stop. */
int chunk_document(const struct doc *d, const struct embedder *embedder,
                   const struct chunk_options *options, struct chunk_list *out,
                   struct err *err) WARN_UNUSED;
void chunk_list_release(struct chunk_list *list);

#endif
