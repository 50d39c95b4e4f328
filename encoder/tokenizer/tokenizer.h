/* tokenizer.h - text to token ids, with byte offsets into the original text.
 *
 * normaliser -> pre-tokeniser -> model -> template, read from a model folder's tokenizer.json
 * (first choice) or vocab.txt + tokenizer_config.json. Ids equal those of the Hugging Face
 * `tokenizers` library with encode_special_tokens on: the strings of special tokens inside a text
 * are plain text. A tokenizer is immutable after loading and shared by threads; every call may run
 * at the same time.
 */
#ifndef SEMSEARCH_ENCODER_TOKENIZER_H
#define SEMSEARCH_ENCODER_TOKENIZER_H

#include "src/base/err.h"
#include "src/base/hash.h"
#include "src/base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct tokenizer;

/* Loads from a folder. Unknown component types are refused by name, never skipped. */
int tokenizer_open(const char *dir, struct tokenizer **out, struct err *err) WARN_UNUSED;
void tokenizer_free(struct tokenizer *t);

/* The same from memory: a whole blob that tokenizer_save() appended to `out` (look at out->failed),
 * for instance a mapped file, 8-byte aligned. Everything is checked before use. The blob is
 * borrowed and must outlive the tokenizer. */
void tokenizer_save(const struct tokenizer *t, struct str *out);
int tokenizer_from_blob(const void *blob, size_t n, struct tokenizer **out,
                        struct err *err) WARN_UNUSED;
/* The same for a blob that the caller knows, by a hash of its own over blob and fingerprint, to be
 * what a sound tokenizer of that fingerprint was saved as: it is not gone through again. */
int tokenizer_from_known(const void *blob, size_t n, struct hash128 fingerprint,
                         struct tokenizer **out, struct err *err) WARN_UNUSED;

/* From the text of a tokenizer.json alone (no tokenizer_config.json beside it); `name` is the file
 * in messages. */
int tokenizer_from_json(struct span json, const char *name, struct tokenizer **out,
                        struct err *err) WARN_UNUSED;

struct encoding {
    int n, cap;
    int *id, *type;        /* type: segment 0 or 1 */
    uint32_t *start, *end; /* bytes of the own text (of a or b); 0,0 for special tokens */
    uint8_t *segment;      /* 0 special, 1 from a, 2 from b */
};
void encoding_release(struct encoding *e); /* frees; reusable after */

struct tokenize_options {
    int max_length;  /* 0: no truncation; else counts special tokens; pairs are cut longest-first */
    bool no_special; /* leave out [CLS], [SEP] ... */
};

/* Replaces the content of `out`. b may be NULL (single text). Text need not be valid UTF-8 (each
 * invalid byte counts as U+FFFD). Fails only on memory, on texts of 4 GiB and more, and when
 * max_length cannot hold the special tokens. */
int tokenizer_encode(const struct tokenizer *t, struct span a, const struct span *b,
                     const struct tokenize_options *options, struct encoding *out,
                     struct err *err) WARN_UNUSED;

int tokenizer_vocab_size(const struct tokenizer *t); /* largest id + 1 */
int tokenizer_special_count(const struct tokenizer *t,
                            bool pair); /* tokens that the template adds */
struct span tokenizer_token(const struct tokenizer *t,
                            int id); /* the token's text as in the vocabulary; p == NULL: none */
int tokenizer_id(const struct tokenizer *t, struct span token); /* -1: not in the vocabulary */
enum special_token { TOKEN_PAD, TOKEN_UNK, TOKEN_CLS, TOKEN_SEP, TOKEN_MASK };
int tokenizer_special_id(const struct tokenizer *t, enum special_token which); /* -1: none */
int tokenizer_model_max_length(
    const struct tokenizer *t); /* of tokenizer_config.json; 0: not given (or absurd) */
bool tokenizer_lowercases(const struct tokenizer *t);

/* What decides its ids: kind, options and vocabulary. Equal for tokenizer.json and vocab.txt of the
 * same model. */
struct hash128 tokenizer_fingerprint(const struct tokenizer *t);

#endif
