/* internal.h - what the files of this folder share; callers use tokenizer.h.
 *
 * A tokenizer is one block of memory without pointers in it (the "blob"): a header with the
 * options, then plain arrays. Loading a model folder builds the blob; a saved blob is mapped and
 * used in place. `struct tokenizer` is the blob's arrays as pointers plus small tables derived from
 * the options.
 *
 *     header | first[n_ids + 1] | slot[1 << slot_bits] | filter[(1 << filter_bits) / 64] | pool
 *
 * first[]  where the text of id i begins in the pool; first[i + 1] is where it ends. An empty text
 *          means that there is no such id.
 * slot[]   hash table of what can match inside a word, see vocab.h.
 * filter[] one bit per hash value that occurs in slot[]: most candidates that do not exist are
 *          turned away by it without touching the large table.
 *
 * The pipeline is normaliser -> pre-tokeniser -> model -> template. BERT's normaliser and
 * pre-tokeniser are fused in segment.c, which hands one word at a time to the model
 * (vocab_pieces()); template.c puts special tokens around and truncates.
 */
#ifndef SEMSEARCH_ENCODER_TOKENIZER_INTERNAL_H
#define SEMSEARCH_ENCODER_TOKENIZER_INTERNAL_H

#include "encoder/tokenizer/tokenizer.h"
#include "src/base/file.h"
#include "src/base/mem.h"

enum {
    MAX_WORD_CHARS = 1000,               /* ceiling of max_input_chars_per_word (BERT: 100) */
    MAX_WORD_BYTES = MAX_WORD_CHARS * 4, /* and so of a token that can match */
    MAX_PREFIX = 32,                     /* bytes of continuing_subword_prefix (BERT: "##") */
    MAX_IDS = 1 << 22,                   /* ids of a vocabulary */
    REACH_SIZE = 1024,
    MAX_TEMPLATE = 16 /* items of a template (BERT: 3 and 5) */
};

enum { ITEM_A = -1, ITEM_B = -2 };
struct template_item {
    int32_t id; /* a special token's id, ITEM_A or ITEM_B */
    int32_t type;
};
struct template
{
    uint32_t n;
    struct template_item item[MAX_TEMPLATE];
};

enum strip_marks { STRIP_NONE, STRIP_NONSPACING, STRIP_ALL };

/* Everything but the vocabulary that decides ids, in the form that the loaders produce. */
struct token_spec {
    uint8_t clean;    /* drop controls, make white space U+0020 */
    uint8_t cjk;      /* every Chinese character is a word */
    uint8_t nfd;      /* canonical decomposition */
    uint8_t strip;    /* enum strip_marks */
    uint8_t lower;    /* lower-case each code point */
    uint8_t cut_left; /* truncation keeps the end of a text */
    uint8_t unused[2];
    uint32_t max_chars; /* longer words are [UNK] */
    uint32_t unk;
    int32_t special[5]; /* by enum special_token; -1: none */
    int32_t model_max_length;
    uint32_t n_prefix;
    char prefix[MAX_PREFIX];
    struct template single, pair;
};

struct slot {
    uint64_t head; /* first 8 bytes, little-endian, zero-padded */
    uint32_t id;
    uint16_t len;  /* bytes, without the continuing prefix; 0: free slot */
    uint16_t cont; /* 1: matches inside a word, 0: at its start */
};

struct blob_header {
    char magic[8];
    uint64_t n_bytes;  /* of the whole blob */
    uint64_t checksum; /* of everything after this field */
    uint32_t byte_order;
    uint32_t n_ids, n_pool;
    uint32_t slot_bits, filter_bits;
    uint32_t longest[2];          /* bytes of the longest token: at the start of a word, inside */
    uint32_t unmatched;           /* a hash of the ids that no text gets; 0: every token matches */
    uint32_t unused;              /* no padding: the header is saved as it lies */
    uint8_t reach[2][REACH_SIZE]; /* the same by a hash of the first two bytes; 255: or more */
    struct token_spec spec;
};

/* One bit per property of a code point, see classes.c. */
enum {
    CLASS_OTHER = 1,  /* Cc, Cf, Co */
    CLASS_SPACE = 2,  /* White_Space */
    CLASS_CJK = 4,    /* gets spaces around it */
    CLASS_PUNCT = 8,  /* a word of its own */
    CLASS_MN = 16,    /* nonspacing mark */
    CLASS_MARK = 32,  /* any mark */
    CLASS_NFD = 64,   /* decomposes, or has a combining class */
    CLASS_LOWER = 128 /* may have another lower-case form */
};

enum ascii_kind { KIND_WORD, KIND_SPACE, KIND_PUNCT, KIND_SLOW };

struct tokenizer {
    const struct blob_header *h;
    const uint32_t *first;
    const struct slot *slot;
    const uint64_t *filter;
    const char *pool;
    uint32_t slot_shift; /* 64 - slot_bits */
    size_t slot_mask;
    uint64_t filter_mask;
    struct hash128 fingerprint;
    uint8_t kind[256];      /* enum ascii_kind of a byte */
    uint32_t ascii_id[128]; /* of an ASCII character that is a word alone */
    uint8_t class[0x10000]; /* of the basic plane */
    void *owned;            /* the blob when it is ours to free */
};

/* ---- classes.c, classes_table.c (generated) ---- */
struct class_range {
    uint32_t first, last;
    uint8_t class;
};
struct lower_range { /* last - first + 1 code points, each `by` above its lower-case form */
    uint32_t first, last;
    int32_t by;
};
extern const struct class_range class_ranges[];
extern const size_t n_class_ranges;
extern const struct lower_range lower_ranges[]; /* what uni_lower() does not know yet */
extern const size_t n_lower_ranges;

uint8_t class_of(const struct tokenizer *t, uint32_t cp);
void class_fill(uint8_t class[0x10000]);
int class_lower(uint32_t cp, uint32_t out[2]); /* full lower-case mapping, 1 or 2 code points */

/* ---- segment.c: normalise, split into words, look up ---- */

/* Appends the tokens of one text to out (id, start, end; not type and segment), stopping at the
 * first word that ends with out->n >= limit. */
int segment_text(const struct tokenizer *t, struct span text, int limit, struct encoding *out,
                 struct err *err) WARN_UNUSED;
/* Calls word() for every word of a text as the model would see it (normalised, borrowed until it
 * returns), without looking it up; words longer than max_chars are left out. */
int segment_words(const struct tokenizer *t, struct span text,
                  void (*word)(void *ctx, struct span word), void *ctx,
                  struct err *err) WARN_UNUSED;
int encoding_grow(struct encoding *out, struct err *err) WARN_UNUSED; /* room for more tokens */

/* ---- template.c ---- */
int template_encode(const struct tokenizer *t, struct span a, const struct span *b,
                    const struct tokenize_options *options, struct encoding *out,
                    struct err *err) WARN_UNUSED;
int template_special_count(const struct template *p);

/* ---- blob.c ---- */

/* Builds a tokenizer from a specification and the text of every id (n == 0: no such id). Texts are
 * copied. `last_wins`: of two ids with one text the higher counts and the other is emptied in
 * token[]; otherwise that is an error. unmatched[id] (may be NULL): an added special token, which
 * has a text but never matches. `name` is the file in messages. */
int blob_build(const struct token_spec *spec, struct span *token, uint32_t n_ids,
               const uint8_t *unmatched, bool last_wins, const char *name, struct tokenizer **out,
               struct err *err) WARN_UNUSED;

/* ---- vocab_json.c ---- */

struct token_list {
    struct span *token; /* by id; n == 0: none */
    size_t n, cap;      /* n: largest id + 1 */
    size_t n_entries;
    struct arena text; /* tokens that were written with escapes */
};
void token_list_release(struct token_list *list);
/* Sets the text of an id, growing the list; fails past MAX_IDS. */
int token_list_set(struct token_list *list, int64_t id, struct span token, const char *name,
                   struct err *err) WARN_UNUSED;

/* Reads "model": {"vocab": {...}} of a tokenizer.json straight from its bytes (the tokens borrow
 * them), and appends to `rest` the same JSON with the large values "vocab" and "merges" emptied. */
int vocab_json_read(struct span json, const char *name, struct token_list *list, struct str *rest,
                    struct err *err) WARN_UNUSED;

#endif
