/* vocab.h - WordPiece: the longest token at each place of a word.
 *
 * One open-addressing hash table holds two kinds of entries: texts that match at the start of a
 * word, and texts that match inside it (the tokens that begin with the continuing prefix "##",
 * stored without it). An entry carries its first eight bytes, its length and its id in 16 bytes, so
 * a word of up to eight bytes is decided in one cache line.
 *
 * The hash of a text is a fold over its whole 8-byte blocks and one zero-padded rest, so the hashes
 * of all prefixes of a word come from its blocks without touching the bytes again:
 *     fold_0 = 0,  fold_{j+1} = (rotl(fold_j, 29) ^ block_j) * K1
 *     hash(prefix of k bytes) = finish(fold_{(k-1)/8} ^ rest, k, inside)
 * Most words of running text are one token and need one probe; the others try their prefixes from
 * the longest down against the filter. A trie (LinMaxMatch, Song et al. 2021) needs no retries, but
 * its steps are dependent loads and it is more work to build, which every cold query would pay.
 */
#ifndef SEMSEARCH_ENCODER_TOKENIZER_VOCAB_H
#define SEMSEARCH_ENCODER_TOKENIZER_VOCAB_H

#include "encoder/tokenizer/internal.h"

#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline uint64_t little_endian(uint64_t v)
{
    return v;
}
#else
static inline uint64_t little_endian(uint64_t v)
{
    return __builtin_bswap64(v);
}
#endif

static inline uint64_t load8(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return little_endian(v);
}

/* The first n < 8 bytes at p, zero-padded. */
static inline uint64_t load_below8(const void *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return little_endian(v);
}

/* Keeps the first n bytes (1..8) of a block. */
static inline uint64_t keep_bytes(uint64_t block, size_t n)
{
    return block & (~UINT64_C(0) >> (64 - 8 * n));
}

static inline uint64_t hash_fold(uint64_t fold, uint64_t block)
{
    return ((fold << 29 | fold >> 35) ^ block) * UINT64_C(0x9E3779B97F4A7C15);
}

static inline uint64_t hash_finish(uint64_t fold, uint64_t rest, size_t len, unsigned cont)
{
    uint64_t x = (fold ^ rest) * UINT64_C(0xD6E8FEB86659FD93);
    x ^= x >> 32;
    x += (uint64_t)len << 1 | cont;
    x *= UINT64_C(0xA0761D6478BD642F);
    return x ^ x >> 32;
}

static inline size_t slot_index(const struct tokenizer *t, uint64_t hash)
{
    return (size_t)(hash >> t->slot_shift);
}

/* The place in reach[] of what begins with the first two bytes of a block. */
static inline unsigned reach_index(uint64_t block)
{
    return (unsigned)((block & 0xFFFF) * 40503 >> 6) % REACH_SIZE;
}

/* The entry of a text of up to 8 bytes; NULL: none. */
static inline const struct slot *vocab_find8(const struct tokenizer *t, uint64_t head, size_t len,
                                             unsigned cont)
{
    const size_t mask = t->slot_mask;
    for (size_t i = slot_index(t, hash_finish(0, head, len, cont));; i = (i + 1) & mask) {
        const struct slot *s = &t->slot[i];
        if (s->len == len && s->head == head && s->cont == cont)
            return s;
        if (!s->len)
            return NULL;
    }
}

/* The entry of a text of any length >= 1. */
const struct slot *vocab_find(const struct tokenizer *t, const unsigned char *text, size_t len,
                              unsigned cont);

/* Splits one word of n >= 1 bytes greedily into tokens: appends ids, with start and end counted in
 * bytes of the word. When some place has no token, the whole word becomes one [UNK]. 8 bytes past
 * the word must be readable. */
int vocab_pieces(const struct tokenizer *t, const unsigned char *word, size_t n,
                 struct encoding *out, struct err *err) WARN_UNUSED;

#endif
