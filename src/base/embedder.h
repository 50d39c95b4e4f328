/* embedder.h - the bridge between encoder/ and index/, which never include each other.
 *
 * Whoever turns text into unit vectors fills this table; whoever stores and searches vectors uses
 * it. index/ is tested with a fake one. All functions take the embedder itself as first argument
 * and are called through the inline wrappers.
 */
#ifndef SEMSEARCH_BASE_EMBEDDER_H
#define SEMSEARCH_BASE_EMBEDDER_H

#include "src/base/err.h"
#include "src/base/precision.h"
#include "src/base/str.h"

#include <stdint.h>

enum embed_role {
    EMBED_DEFAULT, /* the model's default prompt, else none */
    EMBED_QUERY,   /* a question: the prompt "query" where the model has one */
    EMBED_PASSAGE  /* a document: the first non-empty of "passage", "document", "corpus" */
};

/* One token of a text: bytes [start, end) of that text. Tokens rise and do not overlap; bytes
 * between them (white space, dropped characters) belong to none. */
struct token_range {
    uint32_t start, end;
};

struct embedder {
    int dim;    /* numbers per vector */
    int window; /* most tokens of a text, special tokens and prompt included; longer texts are cut
                 */
    enum precision precision; /* what its vectors are computed in; not part of the fingerprint */
    char name[128];           /* for people */
    char fingerprint[33];     /* hex; equal exactly when the vectors of two embedders may be mixed:
                                 weights, tokenizer, pooling, prompts, window (the index adds its
                                 chunker to it) */

    /* out: [n, dim] unit vectors, row i for texts[i]. The result for a text never depends on the
     * others, their order or the number of threads. *n_tokens (may be NULL) gets the tokens that
     * went through the encoder. One call at a time per embedder. Fails on memory or when asked to
     * stop. */
    int (*embed)(struct embedder *e, const struct span *texts, size_t n, enum embed_role role,
                 float *out, int64_t *n_tokens, struct err *err);
    /* The tokens of a text without special tokens, prompt or truncation; *ranges is owned by the
     * caller (free). Any thread, any number at once. */
    int (*tokens)(const struct embedder *e, struct span text, struct token_range **ranges,
                  size_t *n, struct err *err);
    /* How many of `window` are taken by special tokens and the prompt of that role. */
    int (*overhead)(const struct embedder *e, enum embed_role role);
    void (*close)(struct embedder *e); /* frees it */
};

#endif
