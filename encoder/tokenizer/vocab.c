/* vocab.c - WordPiece matching; see vocab.h. */
#include "encoder/tokenizer/vocab.h"

static bool same_tail(const struct tokenizer *t, const struct slot *s, const unsigned char *text)
{
    const size_t skip = s->cont ? t->h->spec.n_prefix : 0;
    return memcmp(t->pool + t->first[s->id] + skip + 8, text + 8, s->len - 8u) == 0;
}

static bool may_exist(const struct tokenizer *t, uint64_t hash)
{
    const uint64_t bit = hash & t->filter_mask;
    return t->filter[bit / 64] >> (bit % 64) & 1;
}

static const struct slot *probe(const struct tokenizer *t, uint64_t hash, uint64_t head,
                                const unsigned char *text, size_t len, unsigned cont)
{
    const size_t mask = t->slot_mask;
    for (size_t i = slot_index(t, hash);; i = (i + 1) & mask) {
        const struct slot *s = &t->slot[i];
        if (!s->len)
            return NULL;
        if (s->len == len && s->head == head && s->cont == cont &&
            (len <= 8 || same_tail(t, s, text)))
            return s;
    }
}

static uint64_t block_at(const unsigned char *text, size_t len)
{
    return len >= 8 ? load8(text) : load_below8(text, len);
}

const struct slot *vocab_find(const struct tokenizer *t, const unsigned char *text, size_t len,
                              unsigned cont)
{
    if (len > t->h->longest[cont])
        return NULL;
    uint64_t fold = 0;
    size_t at = 0;
    for (; len - at > 8; at += 8)
        fold = hash_fold(fold, load8(text + at));
    const uint64_t hash = hash_finish(fold, block_at(text + at, len - at), len, cont);
    return may_exist(t, hash) ? probe(t, hash, block_at(text, len), text, len, cont) : NULL;
}

/* The longest entry that text[0..n) begins with. */
static const struct slot *longest_prefix(const struct tokenizer *t, const unsigned char *text,
                                         size_t n, unsigned cont)
{
    if (n > t->h->longest[cont])
        n = t->h->longest[cont];
    const uint64_t head = load8(text);
    const size_t reach = t->h->reach[cont][reach_index(head)];
    if (n > 1 && n > reach && reach < 255) /* texts of one byte are not in reach[] */
        n = reach ? reach : 1;
    uint64_t fold[MAX_WORD_BYTES / 8 + 1];
    fold[0] = 0;
    for (size_t j = 0; j < n / 8; j++)
        fold[j + 1] = hash_fold(fold[j], load8(text + 8 * j));
    for (; n > 0; n--) {
        if ((text[n] & 0xC0) == 0x80) /* inside a character: no token ends there */
            continue;
        const size_t j = (n - 1) / 8;
        const uint64_t rest = keep_bytes(load8(text + 8 * j), n - 8 * j);
        const uint64_t hash = hash_finish(fold[j], rest, n, cont);
        if (!may_exist(t, hash))
            continue;
        const struct slot *s = probe(t, hash, n < 8 ? keep_bytes(head, n) : head, text, n, cont);
        if (s)
            return s;
    }
    return NULL;
}

int vocab_pieces(const struct tokenizer *t, const unsigned char *word, size_t n,
                 struct encoding *out, struct err *err)
{
    const int before = out->n;
    for (size_t at = 0; at < n;) {
        const struct slot *s = longest_prefix(t, word + at, n - at, at > 0);
        if (out->n == out->cap && encoding_grow(out, err) != 0)
            return -1;
        if (!s) {
            out->n = before;
            out->id[out->n] = (int)t->h->spec.unk;
            out->start[out->n] = 0;
            out->end[out->n++] = (uint32_t)n;
            return 0;
        }
        out->id[out->n] = (int)s->id;
        out->start[out->n] = (uint32_t)at;
        at += s->len;
        out->end[out->n++] = (uint32_t)at;
    }
    return 0;
}
