/* wordpiece_learn.c - pieces from counted words: byte-pair encoding (Gage 1994; Sennrich et al.
 * 2016) over characters, of which WordPiece keeps the vocabulary. So does the WordPieceTrainer of
 * Hugging Face tokenizers, which this follows.
 *
 * Every word begins as its characters, all but the first marked "##". The most frequent pair of
 * neighbours is joined everywhere, becomes a piece, and so on; of equally frequent pairs the one
 * with the smaller ids. Ids are settled by code points and by the order of joining, never by a
 * hash, so the same counts give the same vocabulary.
 *
 * A pair knows the words that it may occur in; a heap has the pairs by their count when they were
 * put there. Counts of waiting pairs mostly fall; such an entry is put back when it comes up.
 */
#include "encoder/train/wordpiece.h"
#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/base/unicode.h"

#include <stdlib.h>
#include <string.h>

/* ---- the list of pieces -------------------------------------------------------------------------
 */

void piece_list_release(struct piece_list *l)
{
    free(l->piece);
    free(l->slot);
    arena_release(&l->text);
    *l = (struct piece_list){0};
}

static uint32_t *piece_slot(const struct piece_list *l, struct span token)
{
    size_t i = hash64(token.p, token.n) & (l->n_slots - 1);
    while (l->slot[i] && !span_equal(l->piece[l->slot[i] - 1], token))
        i = (i + 1) & (l->n_slots - 1);
    return &l->slot[i];
}

int32_t piece_list_add(struct piece_list *l, struct span token)
{
    if (2 * (l->n + 1) > l->n_slots) {
        free(l->slot);
        l->n_slots = l->n_slots ? 2 * l->n_slots : 1 << 10;
        l->slot = xcalloc(l->n_slots, sizeof *l->slot);
        for (size_t i = 0; i < l->n; i++)
            *piece_slot(l, l->piece[i]) = (uint32_t)(i + 1);
    }
    uint32_t *const slot = piece_slot(l, token);
    if (!*slot) {
        VEC_GROW(l->piece, l->n, l->cap);
        l->piece[l->n++] = (struct span){arena_strndup(&l->text, token.p, token.n), token.n};
        *slot = (uint32_t)l->n;
    }
    return (int32_t)(*slot - 1);
}

/* ---- the learner --------------------------------------------------------------------------------
 */

/* Two neighbours. */
struct pair {
    int32_t a, b;
    int64_t count;
    int32_t *word; /* those that may have it; some twice, some no longer */
    size_t n, cap;
};

struct waiting {
    int64_t count;
    uint32_t pair;
};

struct learner {
    const struct word_counts *w;
    struct piece_list *out;
    int32_t *symbol; /* the pieces of all words, each word's first length[i] from at[i] on */
    size_t *at;
    uint32_t *length;
    struct pair *pair;
    size_t n_pairs, cap_pairs;
    uint32_t *slot; /* (a, b) -> index + 1 */
    size_t n_slots;
    struct waiting *heap;
    size_t n_heap, cap_heap;
    struct str joined; /* scratch */
};

static size_t pair_hash(int32_t a, int32_t b)
{
    uint64_t h = ((uint64_t)(uint32_t)a << 32 | (uint32_t)b) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(h ^ h >> 29);
}

static uint32_t *pair_slot(const struct learner *l, int32_t a, int32_t b)
{
    size_t i = pair_hash(a, b) & (l->n_slots - 1);
    while (l->slot[i] && (l->pair[l->slot[i] - 1].a != a || l->pair[l->slot[i] - 1].b != b))
        i = (i + 1) & (l->n_slots - 1);
    return &l->slot[i];
}

/* The index of a pair, which is added when it is new. */
static uint32_t pair_of(struct learner *l, int32_t a, int32_t b)
{
    if (2 * (l->n_pairs + 1) > l->n_slots) {
        free(l->slot);
        l->n_slots = l->n_slots ? 2 * l->n_slots : 1 << 12;
        l->slot = xcalloc(l->n_slots, sizeof *l->slot);
        for (size_t i = 0; i < l->n_pairs; i++)
            *pair_slot(l, l->pair[i].a, l->pair[i].b) = (uint32_t)(i + 1);
    }
    uint32_t *const slot = pair_slot(l, a, b);
    if (!*slot) {
        VEC_GROW(l->pair, l->n_pairs, l->cap_pairs);
        l->pair[l->n_pairs++] = (struct pair){.a = a, .b = b};
        *slot = (uint32_t)l->n_pairs;
    }
    return *slot - 1;
}

/* ---- the heap -----------------------------------------------------------------------------------
 */

/* x comes up before y. */
static bool before(const struct learner *l, const struct waiting *x, const struct waiting *y)
{
    const struct pair *const p = &l->pair[x->pair], *const q = &l->pair[y->pair];
    if (x->count != y->count)
        return x->count > y->count;
    return p->a != q->a ? p->a < q->a : p->b < q->b;
}

static void heap_put(struct learner *l, uint32_t pair)
{
    VEC_GROW(l->heap, l->n_heap, l->cap_heap);
    const struct waiting item = {l->pair[pair].count, pair};
    size_t i = l->n_heap++;
    for (; i && before(l, &item, &l->heap[(i - 1) / 2]); i = (i - 1) / 2)
        l->heap[i] = l->heap[(i - 1) / 2];
    l->heap[i] = item;
}

static struct waiting heap_take(struct learner *l)
{
    const struct waiting top = l->heap[0], item = l->heap[--l->n_heap];
    size_t i = 0;
    for (size_t next; (next = 2 * i + 1) < l->n_heap; i = next) {
        if (next + 1 < l->n_heap && before(l, &l->heap[next + 1], &l->heap[next]))
            next++;
        if (!before(l, &l->heap[next], &item))
            break;
        l->heap[i] = l->heap[next];
    }
    l->heap[i] = item;
    return top;
}

/* ---- the alphabet -------------------------------------------------------------------------------
 */

struct letter {
    uint32_t cp;
    int64_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct letter *const x = a, *const y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->cp < y->cp ? -1 : x->cp > y->cp;
}

static int by_code(const void *a, const void *b)
{
    const struct letter *const x = a, *const y = b;
    return x->cp < y->cp ? -1 : x->cp > y->cp;
}

static struct span letter_text(uint32_t cp, bool inside, char buf[8])
{
    memcpy(buf, "##", 2);
    const size_t n = (size_t)utf8_put(cp, buf + 2);
    return inside ? (struct span){buf, n + 2} : (struct span){buf + 2, n};
}

/* The most frequent characters, by code point: first as they are, then those that occur inside
 * words. plain[cp] and inside[cp] become their ids. */
static void add_alphabet(struct learner *l, size_t most, int32_t *plain, int32_t *inside)
{
    enum { ALL = 0x110000 };
    int64_t *const count = xcalloc(ALL, sizeof *count);
    unsigned char *const is_inside = xcalloc(ALL, 1);
    for (size_t i = 0; i < l->w->n; i++) {
        const struct span word = word_text(l->w, i);
        for (size_t at = 0; at < word.n;) {
            uint32_t cp;
            const bool first = at == 0;
            at += (size_t)utf8_next(word.p + at, word.n - at, &cp);
            count[cp] += l->w->word[i].count;
            is_inside[cp] |= !first;
        }
    }
    struct letter *letter = NULL;
    size_t n = 0, cap = 0;
    for (uint32_t cp = 0; cp < ALL; cp++)
        if (count[cp]) {
            VEC_GROW(letter, n, cap);
            letter[n++] = (struct letter){cp, count[cp]};
        }
    if (n > most) {
        qsort(letter, n, sizeof *letter, by_count);
        n = most;
        qsort(letter, n, sizeof *letter, by_code);
    }
    char buf[8];
    for (size_t i = 0; i < n; i++)
        plain[letter[i].cp] = piece_list_add(l->out, letter_text(letter[i].cp, false, buf));
    for (size_t i = 0; i < n; i++)
        if (is_inside[letter[i].cp])
            inside[letter[i].cp] = piece_list_add(l->out, letter_text(letter[i].cp, true, buf));
    free(letter);
    free(is_inside);
    free(count);
}

/* Words to symbols; characters outside the alphabet are left out, as in the reference. */
static void spell_words(struct learner *l, size_t alphabet)
{
    enum { ALL = 0x110000 };
    int32_t *const plain = xcalloc(ALL, sizeof *plain), *const inside =
                                                            xcalloc(ALL, sizeof *inside);
    add_alphabet(l, alphabet, plain, inside);
    l->symbol = xcalloc(l->w->pool.n + 1, sizeof *l->symbol);
    l->at = xcalloc(l->w->n + 1, sizeof *l->at);
    l->length = xcalloc(l->w->n + 1, sizeof *l->length);
    size_t to = 0;
    for (size_t i = 0; i < l->w->n; i++) {
        const struct span word = word_text(l->w, i);
        l->at[i] = to;
        for (size_t at = 0; at < word.n;) {
            uint32_t cp;
            const int32_t *const id = at ? inside : plain;
            at += (size_t)utf8_next(word.p + at, word.n - at, &cp);
            if (plain[cp]) /* never 0: the special tokens come first */
                l->symbol[to++] = id[cp];
        }
        l->length[i] = (uint32_t)(to - l->at[i]);
    }
    free(plain);
    free(inside);
}

/* ---- joining ------------------------------------------------------------------------------------
 */

/* The pair (a, b) occurs `by` more times in word i. */
static void change(struct learner *l, int32_t a, int32_t b, size_t i, int by)
{
    const uint32_t index = pair_of(l, a, b); /* may move the table */
    struct pair *const p = &l->pair[index];
    p->count += by * l->w->word[i].count;
    if (by > 0 && (p->n == 0 || p->word[p->n - 1] != (int32_t)i)) {
        VEC_GROW(p->word, p->n, p->cap);
        p->word[p->n++] = (int32_t)i;
    }
}

/* Pairs that gained in a joining: they go into the heap when their new counts are known. */
struct touched {
    int32_t (*pair)[2];
    size_t n, cap;
};

static void touch(struct learner *l, struct touched *t, int32_t a, int32_t b, size_t i)
{
    change(l, a, b, i, 1);
    VEC_GROW(t->pair, t->n, t->cap);
    t->pair[t->n][0] = a;
    t->pair[t->n++][1] = b;
}

/* Joins a and b into `to` in word i, left to right. */
static void join_word(struct learner *l, size_t i, int32_t a, int32_t b, int32_t to,
                      struct touched *t)
{
    int32_t *const s = l->symbol + l->at[i];
    uint32_t n = l->length[i];
    for (uint32_t k = 0; k + 1 < n; k++) {
        if (s[k] != a || s[k + 1] != b)
            continue;
        if (k > 0) {
            change(l, s[k - 1], a, i, -1);
            touch(l, t, s[k - 1], to, i);
        }
        if (k + 2 < n) {
            change(l, b, s[k + 2], i, -1);
            touch(l, t, to, s[k + 2], i);
        }
        s[k] = to;
        memmove(s + k + 1, s + k + 2, (n - k - 2) * sizeof *s);
        n--;
    }
    l->length[i] = n;
}

static int32_t joined_piece(struct learner *l, int32_t a, int32_t b)
{
    const struct span right = l->out->piece[b];
    str_clear(&l->joined);
    str_span(&l->joined, l->out->piece[a]);
    str_span(&l->joined, span_starts(right, "##") ? span_sub(right, 2, right.n) : right);
    return piece_list_add(l->out, str_view(&l->joined));
}

static int by_pair(const void *a, const void *b)
{
    const int32_t *const x = a, *const y = b;
    if (x[0] != y[0])
        return x[0] < y[0] ? -1 : 1;
    return x[1] < y[1] ? -1 : x[1] > y[1];
}

static void join(struct learner *l, uint32_t index)
{
    const int32_t a = l->pair[index].a, b = l->pair[index].b, to = joined_piece(l, a, b);
    int32_t *const word = l->pair[index].word; /* the table of pairs may move */
    const size_t n = l->pair[index].n;
    struct touched t = {0};
    l->pair[index].word = NULL;
    l->pair[index].n = l->pair[index].cap = 0;
    for (size_t i = 0; i < n; i++)
        join_word(l, (size_t)word[i], a, b, to, &t);
    l->pair[index].count = 0;
    free(word);
    if (t.n)
        qsort(t.pair, t.n, sizeof *t.pair, by_pair);
    for (size_t i = 0; i < t.n; i++) {
        if (i && by_pair(t.pair[i], t.pair[i - 1]) == 0)
            continue;
        const uint32_t gained = pair_of(l, t.pair[i][0], t.pair[i][1]);
        if (l->pair[gained].count > 0)
            heap_put(l, gained);
    }
    free(t.pair);
}

static void learner_release(struct learner *l)
{
    for (size_t i = 0; i < l->n_pairs; i++)
        free(l->pair[i].word);
    free(l->pair);
    free(l->slot);
    free(l->heap);
    free(l->symbol);
    free(l->at);
    free(l->length);
    str_release(&l->joined);
}

/* Joins until there are enough pieces. */
static int join_all(struct learner *l, const struct tokenizer_train_options *o, struct err *err)
{
    const size_t want = (size_t)o->vocab_size;
    while (l->out->n < want && l->n_heap) {
        const struct waiting top = heap_take(l);
        const int64_t count = l->pair[top.pair].count;
        if (top.count != count) {
            if (count > 0 && count < top.count)
                heap_put(l, top.pair);
            continue; /* a larger count is in the heap already */
        }
        if (count < 1 || count < o->min_frequency)
            break;
        join(l, top.pair);
        if (l->out->n % 256 == 0) {
            if (stop_requested())
                return err_kind_set(err, ERR_STOPPED, "stopped");
            if (o->progress && o->progress->update)
                o->progress->update(o->progress->ctx,
                                    &(struct progress){.done = (int64_t)l->out->n,
                                                       .total = o->vocab_size,
                                                       .phase = "joining pieces"});
        }
    }
    return 0;
}

int pieces_learn(const struct word_counts *w, const struct tokenizer_train_options *o,
                 struct piece_list *out, struct err *err)
{
    struct learner l = {.w = w, .out = out};
    int rc = 0;
    spell_words(&l, (size_t)o->alphabet);
    if (out->n > (size_t)o->vocab_size) {
        rc = err_kind_set(err, ERR_USAGE,
                          "a vocabulary of %d tokens cannot hold the %zu that the special tokens "
                          "and the characters of these texts need",
                          o->vocab_size, out->n);
        err_hint(err, "give a larger --vocab-size");
    }
    for (size_t i = 0; i < w->n && rc == 0; i++)
        for (uint32_t k = 0; k + 1 < l.length[i]; k++)
            change(&l, l.symbol[l.at[i] + k], l.symbol[l.at[i] + k + 1], i, 1);
    for (size_t i = 0; i < l.n_pairs && rc == 0; i++)
        heap_put(&l, (uint32_t)i);
    if (rc == 0)
        rc = join_all(&l, o, err);
    learner_release(&l);
    return rc;
}
