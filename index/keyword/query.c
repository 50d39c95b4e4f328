/* query.c - a question typed by a person to words, phrases and exclusions.
 *
 *   "two words"     must stand together in this order
 *   -word  -"..."   must not occur; the '-' begins a word and something to exclude follows at once
 *   anything else   words to rank by
 *
 * There is no wrong question: an odd quotation mark, NEAR(, * and lone signs are text like any
 * other. An excluded word may be several terms (node.js, two CJK characters); it is then excluded
 * as a phrase. Common English words are left out of the ranking unless nothing else was asked.
 */
#include "index/keyword/query.h"

#include "index/keyword/keyword.h"
#include "index/keyword/words.h"
#include "index/snapshot.h"
#include "src/base/hash.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { QUERY_BYTES_MAX = 1 << 16, TYPED_BYTES_MAX = 256, PHRASES_MAX = 32, PHRASE_WORDS_MAX = 64 };

static struct span keep(struct keyword_query *q, struct span s)
{
    return (struct span){arena_strndup(&q->memory, s.p, s.n), s.n};
}

static void add_term(struct keyword_query *q, struct span term, float weight)
{
    for (size_t i = 0; i < q->n_terms; i++)
        if (span_equal(q->term[i], term)) {
            q->times[i] += weight;
            return;
        }
    if (q->n_terms == KEYWORD_TERMS_MAX)
        return;
    q->term[q->n_terms] = keep(q, term);
    q->times[q->n_terms++] = weight;
}

/* A whole and its parts say nearly the same, so together they count about as much as one word more
 * than the parts alone. What looks like a name (node.js, foo_bar, fooBar) is asked for as it
 * stands; in what may be prose (and/or, long-term, a@b) the parts carry the meaning. Measured on
 * the collections of words.c: .513 nDCG@10, with everything at full weight .511. */
static float weight_of(const struct word *w)
{
    if (w->unit)
        return w->part ? 0.5f : 1;
    for (size_t i = 0; i < w->term.n; i++)
        if (strchr("/-&:@", w->term.p[i]))
            return 0.25f;
    return 1;
}

struct reading {
    struct keyword_query *q;
    bool rank, want_stop;    /* add to the ranked terms; those that are stop words */
    struct phrase *phrase;   /* NULL: not inside one */
    uint32_t first, covered; /* position of its first word; positions below are covered */
};

static void on_word(void *ctx, const struct word *w)
{
    struct reading *r = ctx;
    if (r->rank && !w->minor && w->stop == r->want_stop)
        add_term(r->q, w->term, weight_of(w));
    struct phrase *p = r->phrase;
    if (!p || w->part || p->n == PHRASE_WORDS_MAX)
        return;
    if (p->n == 0)
        r->first = w->pos;
    p->word[p->n] = keep(r->q, w->term);
    p->offset[p->n++] = w->pos - r->first;
}

static struct phrase *new_phrase(struct keyword_query *q, bool excluded)
{
    if (q->n_phrases == PHRASES_MAX)
        return NULL;
    struct phrase *p = &q->phrase[q->n_phrases];
    p->word = arena_alloc(&q->memory, PHRASE_WORDS_MAX * sizeof *p->word);
    p->offset = arena_alloc(&q->memory, PHRASE_WORDS_MAX * sizeof *p->offset);
    p->n = 0;
    p->excluded = excluded;
    return p;
}

/* A phrase or an exclusion. A phrase of one word only needs no places compared. */
static void read_phrase(struct keyword_query *q, struct span text, bool excluded, bool stops)
{
    struct reading r = {.q = q, .rank = !excluded, .want_stop = stops};
    r.phrase = stops ? NULL : new_phrase(q, excluded);
    words_split(text, 0, on_word, &r);
    if (r.phrase && r.phrase->n)
        q->n_phrases++;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Does a word to be excluded begin after the '-' at i? */
static bool is_exclusion(struct span t, size_t i)
{
    if (i + 2 >= t.n || t.p[i] != '-')
        return false;
    const char a = t.p[i + 1];
    return a != '-' && !is_blank(a) && !(a >= '0' && a <= '9') && !is_blank(t.p[i + 2]);
}

/* The end of the word at i: the next blank. */
static size_t word_end(struct span t, size_t i)
{
    while (i < t.n && !is_blank(t.p[i]))
        i++;
    return i;
}

/* Reads the whole question, its common words only or all but these. */
static void read_query(struct keyword_query *q, struct span t, bool stops)
{
    const bool typed = t.n <= TYPED_BYTES_MAX || t.p[0] == '"';
    size_t plain = 0; /* where text that is nothing special began */
    for (size_t i = 0; i <= t.n;) {
        const bool at_word = typed && i < t.n && (i == 0 || is_blank(t.p[i - 1]));
        const bool minus = at_word && is_exclusion(t, i);
        const size_t quote = i + minus;
        const char *close = i < t.n && (at_word || minus) && t.p[quote] == '"'
                                ? memchr(t.p + quote + 1, '"', t.n - quote - 1)
                                : NULL;
        if (!minus && !close && i < t.n) {
            i++;
            continue;
        }
        struct reading r = {.q = q, .rank = true, .want_stop = stops};
        words_split(span_sub(t, plain, i), 0, on_word, &r);
        if (i == t.n)
            return;
        const size_t from = close ? quote + 1 : quote;
        const size_t end = close ? (size_t)(close - t.p) : word_end(t, quote);
        if (!(minus && stops))
            read_phrase(q, span_sub(t, from, end), minus, stops);
        plain = i = end + (close != NULL);
    }
}

struct keyword_query *keyword_parse(struct span text)
{
    struct keyword_query *q = xcalloc(1, sizeof *q);
    q->term = arena_alloc(&q->memory, KEYWORD_TERMS_MAX * sizeof *q->term);
    q->times = arena_alloc(&q->memory, KEYWORD_TERMS_MAX * sizeof *q->times);
    q->phrase = arena_alloc(&q->memory, PHRASES_MAX * sizeof *q->phrase);
    const struct span t = span_sub(text, 0, QUERY_BYTES_MAX);
    if (t.n == 0)
        return q;
    read_query(q, t, false);
    if (q->n_terms == 0)
        read_query(q, t, true);
    return q;
}

void keyword_query_free(struct keyword_query *q)
{
    if (!q)
        return;
    arena_release(&q->memory);
    free(q);
}

size_t keyword_terms(const struct keyword_query *q, const struct span **terms)
{
    *terms = q->term;
    return q->n_terms;
}
