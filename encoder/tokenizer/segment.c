/* segment.c - BERT's normaliser and pre-tokeniser in one pass over the bytes.
 *
 * Two speeds. Runs of ASCII letters and digits that end at a space, a punctuation character or the
 * text's end are words as they stand: they are cut, lower-cased and hashed eight bytes at a time
 * (ascii_words). Anything else near a word (a byte >= 0x80, a control character) sends the stretch
 * from the word's start to the next ASCII space or punctuation through the exact pipeline, one code
 * point at a time (struct normaliser):
 *
 *     clean -> Chinese characters -> NFD -> strip marks -> lower-case -> white space and
 * punctuation
 *
 * The order, the character classes and the source range of every produced byte are those of the
 * Hugging Face `tokenizers` library: BertNormalizer, NormalizedString, BertPreTokenizer. Cutting at
 * ASCII is exact because ASCII characters are starters, so that no canonical reordering crosses
 * them.
 */
#include "encoder/tokenizer/vocab.h"
#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#define ONES UINT64_C(0x0101010101010101)
#define HIGH (ONES * 0x80)

/* Five parallel arrays grow together, so that nothing is half grown after a failure. */
int encoding_grow(struct encoding *out, struct err *err)
{
    if (out->cap > INT_MAX / 2)
        return err_kind_set(err, ERR_LIMIT, "text has too many tokens");
    const int cap = out->cap ? out->cap * 2 : 256;
    const size_t size[5] = {sizeof *out->id, sizeof *out->type, sizeof *out->start,
                            sizeof *out->end, sizeof *out->segment};
    void *const old[5] = {out->id, out->type, out->start, out->end, out->segment};
    void *new[5] = {0};
    for (int i = 0; i < 5; i++) {
        if (mem_try(&new[i], (size_t)cap * size[i], "tokens", err) != 0) {
            for (int j = 0; j < i; j++)
                free(new[j]);
            return -1;
        }
        if (out->n)
            memcpy(new[i], old[i], (size_t)out->n * size[i]);
    }
    for (int i = 0; i < 5; i++)
        free(old[i]);
    out->id = new[0];
    out->type = new[1];
    out->start = new[2];
    out->end = new[3];
    out->segment = new[4];
    out->cap = cap;
    return 0;
}

static inline int push(struct encoding *out, uint32_t id, uint32_t start, uint32_t end,
                       struct err *err)
{
    if (out->n == out->cap && encoding_grow(out, err) != 0)
        return -1;
    out->id[out->n] = (int)id;
    out->start[out->n] = start;
    out->end[out->n++] = end;
    return 0;
}

/* ---- the exact pipeline ---- */

struct source {
    uint32_t start, end; /* bytes of the text */
};

/* A code point waiting for canonical ordering. The library orders pairs (character, change) and
 * gives out source positions afterwards: a character with `extra` (second or later part of a
 * decomposition) shares the position given out last, any other takes the next one. */
struct pending {
    uint32_t cp;
    uint8_t combining, extra;
};

struct normaliser {
    const struct tokenizer *t;
    struct encoding *out;
    struct err *err;
    void (*word)(void *ctx, struct span word); /* not NULL: gets the words, nothing is looked up */
    void *ctx;

    struct pending *wait, wait_few[32]; /* marks since the last starter */
    struct source *from, from_few[32];  /* source positions not yet given out */
    size_t n_wait, cap_wait, n_from, cap_from;
    struct source last; /* given out last */

    uint32_t n_chars; /* of the current word, those beyond the ceiling too */
    size_t n_bytes;   /* kept in byte[] */
    struct source whole;
    unsigned char byte[MAX_WORD_BYTES + 8];
    uint32_t start[MAX_WORD_BYTES], end[MAX_WORD_BYTES]; /* source range of every byte */
};

/* The word so far becomes tokens. */
static int end_word(struct normaliser *z)
{
    if (!z->n_chars)
        return 0;
    const struct token_spec *spec = &z->t->h->spec;
    const uint32_t n_chars = z->n_chars;
    const size_t n_bytes = z->n_bytes;
    z->n_chars = 0;
    z->n_bytes = 0;
    if (z->word) {
        if (n_chars <= spec->max_chars)
            z->word(z->ctx, (struct span){(const char *)z->byte, n_bytes});
        return 0;
    }
    if (n_chars > spec->max_chars)
        return push(z->out, spec->unk, z->whole.start, z->whole.end, z->err);
    memset(z->byte + n_bytes, 0, 8);
    const struct slot *s = vocab_find(z->t, z->byte, n_bytes, 0);
    if (s)
        return push(z->out, s->id, z->whole.start, z->whole.end, z->err);
    const int before = z->out->n;
    if (vocab_pieces(z->t, z->byte, n_bytes, z->out, z->err) != 0)
        return -1;
    for (int i = before; i < z->out->n; i++) {
        z->out->start[i] = z->start[z->out->start[i]];
        z->out->end[i] = z->end[z->out->end[i] - 1];
    }
    return 0;
}

static void add_to_word(struct normaliser *z, uint32_t cp, struct source from)
{
    if (!z->n_chars)
        z->whole.start = from.start;
    z->whole.end = from.end;
    if (++z->n_chars > z->t->h->spec.max_chars)
        return;
    const int n = utf8_put(cp, (char *)z->byte + z->n_bytes);
    for (int i = 0; i < n; i++) {
        z->start[z->n_bytes] = from.start;
        z->end[z->n_bytes++] = from.end;
    }
}

/* A code point after NFD: strip, lower-case, and into the word. */
static int settle(struct normaliser *z, uint32_t cp, uint8_t class, struct source from)
{
    static const uint8_t stripped[] = {[STRIP_NONSPACING] = CLASS_MN, [STRIP_ALL] = CLASS_MARK};
    const struct token_spec *spec = &z->t->h->spec;
    if (class & stripped[spec->strip])
        return 0;
    if (class & CLASS_PUNCT) {
        if (end_word(z) != 0)
            return -1;
        add_to_word(z, cp, from);
        return end_word(z);
    }
    if (spec->lower && class & CLASS_LOWER) {
        uint32_t low[2];
        const int n = class_lower(cp, low);
        for (int i = 0; i < n; i++)
            add_to_word(z, low[i], from);
    } else {
        add_to_word(z, cp, from);
    }
    return 0;
}

/* Canonical ordering: a stable sort by combining class. Runs of marks are short, except hostile
 * ones. */
static int order_pending(struct normaliser *z)
{
    if (z->n_wait > ARRAY_LEN(z->wait_few)) {
        size_t at[257] = {0};
        void *sorted;
        if (mem_try(&sorted, z->n_wait * sizeof *z->wait, "combining marks", z->err) != 0)
            return -1;
        for (size_t i = 0; i < z->n_wait; i++)
            at[z->wait[i].combining + 1]++;
        for (int c = 0; c < 256; c++)
            at[c + 1] += at[c];
        for (size_t i = 0; i < z->n_wait; i++)
            ((struct pending *)sorted)[at[z->wait[i].combining]++] = z->wait[i];
        memcpy(z->wait, sorted, z->n_wait * sizeof *z->wait);
        free(sorted);
        return 0;
    }
    for (size_t i = 1; i < z->n_wait; i++) {
        const struct pending p = z->wait[i];
        size_t j = i;
        for (; j > 0 && z->wait[j - 1].combining > p.combining; j--)
            z->wait[j] = z->wait[j - 1];
        z->wait[j] = p;
    }
    return 0;
}

static int flush_pending(struct normaliser *z)
{
    if (!z->n_wait)
        return 0;
    if (order_pending(z) != 0)
        return -1;
    size_t used = 0;
    for (size_t i = 0; i < z->n_wait; i++) {
        const struct pending *p = &z->wait[i];
        if (!p->extra)
            z->last = z->from[used++];
        if (settle(z, p->cp, class_of(z->t, p->cp), z->last) != 0)
            return -1;
    }
    assert(used == z->n_from);
    z->n_wait = 0;
    z->n_from = 0;
    return 0;
}

/* Doubles an array that begins as a small one inside the struct. */
static int grow_array(void **array, const void *small, size_t *cap, size_t size, struct err *err)
{
    void *more;
    if (mem_try(&more, *cap * 2 * size, "combining marks", err) != 0)
        return -1;
    memcpy(more, *array, *cap * size);
    if (*array != small)
        free(*array);
    *array = more;
    *cap *= 2;
    return 0;
}

static int wait_for_order(struct normaliser *z, uint32_t cp, uint8_t combining, bool extra,
                          struct source from)
{
    if (z->n_wait == z->cap_wait &&
        grow_array((void **)&z->wait, z->wait_few, &z->cap_wait, sizeof *z->wait, z->err) != 0)
        return -1;
    if (z->n_from == z->cap_from &&
        grow_array((void **)&z->from, z->from_few, &z->cap_from, sizeof *z->from, z->err) != 0)
        return -1;
    z->wait[z->n_wait++] = (struct pending){cp, combining, extra};
    if (!extra)
        z->from[z->n_from++] = from;
    return 0;
}

/* One code point into NFD. A starter ends the run of marks before it. */
static int decompose(struct normaliser *z, uint32_t cp, uint8_t class, struct source from)
{
    if (!(class & CLASS_NFD)) {
        if (flush_pending(z) != 0)
            return -1;
        z->last = from;
        return settle(z, cp, class, from);
    }
    uint32_t part[18];
    const int n = uni_decompose(cp, part);
    for (int i = 0; i < n; i++) {
        const uint8_t c = class_of(z->t, part[i]);
        const int combining = c & CLASS_NFD ? uni_combining_class(part[i]) : 0;
        if (!combining && flush_pending(z) != 0)
            return -1;
        if (wait_for_order(z, part[i], (uint8_t)combining, i > 0, from) != 0)
            return -1;
    }
    return 0;
}

static int end_run(struct normaliser *z)
{
    return flush_pending(z) != 0 ? -1 : end_word(z);
}

static int feed(struct normaliser *z, uint32_t cp, struct source from)
{
    const struct token_spec *spec = &z->t->h->spec;
    const uint8_t class = class_of(z->t, cp);
    const bool line_or_tab = cp == '\t' || cp == '\n' || cp == '\r';
    if (spec->clean && !line_or_tab && (class & CLASS_OTHER || cp == 0xFFFD))
        return 0;
    if (class & CLASS_SPACE)
        return end_run(z);
    const bool alone = spec->cjk && class & CLASS_CJK;
    if (alone && end_run(z) != 0)
        return -1;
    if ((spec->nfd ? decompose(z, cp, class, from) : settle(z, cp, class, from)) != 0)
        return -1;
    return alone ? end_run(z) : 0;
}

/* The stretch from `at` to the next ASCII space or punctuation, exactly. *at moves behind it. */
static int exact_stretch(struct normaliser *z, struct span text, size_t *at, int limit)
{
    size_t i = *at;
    while (i < text.n && z->out->n < limit) {
        const uint8_t kind = z->t->kind[(unsigned char)text.p[i]];
        if (kind == KIND_SPACE || kind == KIND_PUNCT)
            break;
        uint32_t cp;
        const size_t n = (size_t)utf8_next(text.p + i, text.n - i, &cp);
        if (feed(z, cp, (struct source){(uint32_t)i, (uint32_t)(i + n)}) != 0)
            return -1;
        i += n;
    }
    *at = i;
    return end_run(z);
}

/* ---- the fast path ---- */

/* High bit of every byte that is an ASCII letter or digit; *lowered is the block in lower case. */
static inline uint64_t word_bytes(uint64_t block, uint64_t lower_bit, uint64_t *lowered)
{
    const uint64_t low7 = block & ~HIGH;
    const uint64_t folded = low7 | ONES * 0x20;
    const uint64_t letter = (folded + ONES * (0x80 - 'a')) & ~(folded + ONES * (0x7F - 'z'));
    const uint64_t digit = (low7 + ONES * (0x80 - '0')) & ~(low7 + ONES * (0x7F - '9'));
    *lowered = block | ((letter & HIGH & ~block) >> 2 & lower_bit);
    return (letter | digit) & ~block & HIGH;
}

static inline uint64_t block_of(struct span text, size_t at)
{
    return text.n - at >= 8 ? load8(text.p + at) : load_below8(text.p + at, text.n - at);
}

enum { LONG_ASCII = 64 }; /* longer words take the exact pipeline */

/* A word of 8 and more bytes, `first` being its first block in lower case. Returns its length, or 0
 * when it is not plain. word[] gets it in lower case, zero-padded. */
static size_t long_word(const struct tokenizer *t, struct span text, size_t at, uint64_t first,
                        uint64_t lower_bit, unsigned char word[LONG_ASCII + 16])
{
    uint64_t block = little_endian(first);
    memcpy(word, &block, 8);
    for (size_t n = 8; n <= LONG_ASCII; n += 8) {
        uint64_t lowered;
        const uint64_t stop = ~word_bytes(block_of(text, at + n), lower_bit, &lowered) & HIGH;
        if (!stop) {
            block = little_endian(lowered);
            memcpy(word + n, &block, 8);
            continue;
        }
        const size_t more = (size_t)__builtin_ctzll(stop) / 8;
        block = more ? little_endian(keep_bytes(lowered, more)) : 0;
        memcpy(word + n, &block, 8);
        memset(word + n + 8, 0, 8);
        n += more;
        const bool plain = at + n == text.n || t->kind[(unsigned char)text.p[at + n]] != KIND_SLOW;
        return plain && n <= t->h->spec.max_chars ? n : 0;
    }
    return 0;
}

/* Tokens of a word that is not in the vocabulary whole. */
static int ascii_pieces(const struct tokenizer *t, const unsigned char *word, size_t n, size_t at,
                        struct encoding *out, struct err *err)
{
    const int before = out->n;
    if (vocab_pieces(t, word, n, out, err) != 0)
        return -1;
    for (int i = before; i < out->n; i++) {
        out->start[i] += (uint32_t)at;
        out->end[i] += (uint32_t)at;
    }
    return 0;
}

/* Takes words, spaces and punctuation from *pos on until the text or the limit ends (returns 0), or
 * up to the start of something that needs the exact pipeline (returns 1). */
static int ascii_words(const struct tokenizer *t, struct span text, size_t *pos, int limit,
                       struct encoding *out, struct err *err)
{
    const uint64_t lower_bit = t->h->spec.lower ? ONES * 0x20 : 0;
    unsigned char buffer[LONG_ASCII + 16];
    size_t at = *pos;
    while (at < text.n && out->n < limit) {
        uint64_t head;
        const uint64_t stop = ~word_bytes(block_of(text, at), lower_bit, &head) & HIGH;
        size_t n = stop ? (size_t)__builtin_ctzll(stop) / 8 : 8;
        const struct slot *s;
        if (n == 0) {
            const unsigned char c = (unsigned char)text.p[at];
            if (t->kind[c] == KIND_SLOW)
                break;
            if (t->kind[c] == KIND_PUNCT &&
                push(out, t->ascii_id[c], (uint32_t)at, (uint32_t)at + 1, err) != 0)
                return -1;
            at++;
            continue;
        }
        if (n < 8) {
            if (at + n < text.n && t->kind[(unsigned char)text.p[at + n]] == KIND_SLOW)
                break;
            if (n > t->h->spec.max_chars)
                break;
            head = keep_bytes(head, n);
            s = vocab_find8(t, head, n, 0);
            if (!s) {
                const uint64_t bytes[2] = {little_endian(head), 0};
                memcpy(buffer, bytes, 16);
            }
        } else {
            n = long_word(t, text, at, head, lower_bit, buffer);
            if (n == 0)
                break;
            s = vocab_find(t, buffer, n, 0);
        }
        if (s ? push(out, s->id, (uint32_t)at, (uint32_t)(at + n), err) != 0
              : ascii_pieces(t, buffer, n, at, out, err) != 0)
            return -1;
        at += n;
    }
    *pos = at;
    return at < text.n && out->n < limit;
}

/* Set field by field: it has 36 KB of arrays that need no start value. */
static void normaliser_init(struct normaliser *z, const struct tokenizer *t, struct encoding *out,
                            struct err *err)
{
    z->t = t;
    z->out = out;
    z->err = err;
    z->word = NULL;
    z->wait = z->wait_few;
    z->from = z->from_few;
    z->cap_wait = ARRAY_LEN(z->wait_few);
    z->cap_from = ARRAY_LEN(z->from_few);
    z->n_wait = z->n_from = z->n_bytes = 0;
    z->n_chars = 0;
    z->last = (struct source){0, 0};
}

static void normaliser_release(struct normaliser *z)
{
    if (z->wait != z->wait_few)
        free(z->wait);
    if (z->from != z->from_few)
        free(z->from);
}

int segment_words(const struct tokenizer *t, struct span text,
                  void (*word)(void *ctx, struct span word), void *ctx, struct err *err)
{
    struct normaliser z;
    int rc = 0;
    normaliser_init(&z, t, NULL, err);
    z.word = word;
    z.ctx = ctx;
    for (size_t i = 0; i < text.n && rc == 0;) {
        uint32_t cp;
        i += (size_t)utf8_next(text.p + i, text.n - i, &cp);
        rc = feed(&z, cp, (struct source){0, 0});
    }
    if (rc == 0)
        rc = end_run(&z);
    normaliser_release(&z);
    return rc;
}

int segment_text(const struct tokenizer *t, struct span text, int limit, struct encoding *out,
                 struct err *err)
{
    struct normaliser z;
    int rc;
    size_t at = 0;
    normaliser_init(&z, t, out, err);
    while ((rc = ascii_words(t, text, &at, limit, out, err)) == 1) {
        rc = exact_stretch(&z, text, &at, limit);
        if (rc != 0)
            break;
    }
    normaliser_release(&z);
    return rc;
}
