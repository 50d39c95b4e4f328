/* keyword.c - ranking by BM25 with one accumulator per row of a step.
 *
 *     score(row) = sum over words w of  times(w) * idf(w) * impact(w, row)
 *
 * Rows are taken in steps whose scores stay in the nearest cache: what each word's postings say of
 * them is added into score[row], then one pass over the scores keeps the best k. Each posting is
 * read once. No order of impacts and no early end: 350 thousand postings of a long question take
 * 0.3 ms, less than any other step of answering it.
 *
 * Phrases and exclusions become a set of rows first. A phrase's rows are found from its rarest
 * word: for each of its rows the other words are looked up by bisection and their positions
 * compared.
 */
#include "index/keyword/keyword.h"

#include "index/keyword/query.h"
#include "src/base/mem.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    POSITIONS_MAX = 4096, /* of one word in one passage; passages are far shorter */
    STEP_ROWS = 4096,
    GROUP_ROWS = 16, /* looked at together */
};

size_t keyword_term_count(const struct keyword_query *q)
{
    return q->n_terms;
}

void keyword_weights(const struct keyword_query *q, const struct postings *const *part,
                     size_t n_parts, float *weight)
{
    double n_rows = 0;
    for (size_t i = 0; i < n_parts; i++)
        n_rows += (double)part[i]->n_rows;
    for (size_t t = 0; t < q->n_terms; t++) {
        double n = 0;
        for (size_t i = 0; i < n_parts; i++)
            n += postings_find(part[i], q->term[t]).n;
        n = n < n_rows ? n : n_rows;
        weight[t] = (float)((double)q->times[t] * log(1 + (n_rows - n + 0.5) / (n + 0.5)));
    }
}

/* The first index whose row is not below `row`, searching [from, n). */
static uint32_t bisect(const struct posting_list *l, uint32_t from, int64_t row)
{
    uint32_t a = from, b = l->n;
    while (a < b) {
        const uint32_t m = a + (b - a) / 2;
        if (l->row[m] < row)
            a = m + 1;
        else
            b = m;
    }
    return a;
}

/* ---- phrases */

struct phrase_words {
    struct posting_list list[64];
    uint32_t at[64]; /* where the row stands in each list */
    uint32_t *own, *other;
};

/* Drops the starts (positions of the first word, in own [n]) after which word w is not in place. */
static size_t keep_starts(const struct postings *p, const struct phrase *ph, struct phrase_words *f,
                          size_t n, size_t w)
{
    const size_t n_other = postings_positions(p, &f->list[w], f->at[w], f->other, POSITIONS_MAX);
    size_t kept = 0;
    for (size_t i = 0, j = 0; i < n; i++) {
        const uint64_t want = (uint64_t)f->own[i] + ph->offset[w];
        while (j < n_other && f->other[j] < want)
            j++;
        if (j < n_other && f->other[j] == want)
            f->own[kept++] = f->own[i];
    }
    return kept;
}

static bool phrase_in_row(const struct postings *p, const struct phrase *ph, struct phrase_words *f,
                          int64_t row)
{
    for (size_t w = 0; w < ph->n; w++) {
        f->at[w] = bisect(&f->list[w], 0, row);
        if (f->at[w] >= f->list[w].n || f->list[w].row[f->at[w]] != row)
            return false;
    }
    if (ph->n == 1)
        return true;
    size_t n = postings_positions(p, &f->list[0], f->at[0], f->own, POSITIONS_MAX);
    for (size_t w = 1; w < ph->n && n; w++)
        n = keep_starts(p, ph, f, n, w);
    return n > 0;
}

/* Sets the bit of every row where the phrase occurs. */
static void phrase_rows(const struct postings *p, const struct phrase *ph, uint64_t *bits)
{
    struct phrase_words f;
    size_t rarest = 0;
    for (size_t w = 0; w < ph->n; w++) {
        f.list[w] = postings_find(p, ph->word[w]);
        if (f.list[w].n < f.list[rarest].n)
            rarest = w;
    }
    f.own = xmalloc(2 * POSITIONS_MAX * sizeof *f.own);
    f.other = f.own + POSITIONS_MAX;
    for (uint32_t i = 0; i < f.list[rarest].n; i++) {
        const int64_t row = f.list[rarest].row[i];
        if (row < p->n_rows && phrase_in_row(p, ph, &f, row))
            bit_set(bits, row);
    }
    free(f.own);
}

/* The rows that the filter and all phrases and exclusions allow; NULL when that is simply the
 * filter. Freed by the caller. */
static uint64_t *allowed_rows(const struct keyword_query *q, const struct postings *p,
                              const struct row_filter *filter)
{
    if (q->n_phrases == 0)
        return NULL;
    const size_t words = (size_t)bit_words(p->n_rows) + 1;
    uint64_t *bits = xmalloc(words * sizeof *bits), *one = xmalloc(words * sizeof *one);
    if (filter && filter->bits)
        memcpy(bits, filter->bits, (size_t)bit_words(p->n_rows) * sizeof *bits);
    else
        memset(bits, 0xFF, words * sizeof *bits);
    for (size_t i = 0; i < q->n_phrases; i++) {
        memset(one, 0, words * sizeof *one);
        phrase_rows(p, &q->phrase[i], one);
        for (size_t w = 0; w < words; w++)
            bits[w] &= q->phrase[i].excluded ? ~one[w] : one[w];
    }
    free(one);
    return bits;
}

/* ---- scores */

/* Adds the postings of rows [from, to) to score[row - from]; *at is where the list stands. */
static void accumulate(const struct posting_list *l, uint32_t *at, float weight, int64_t from,
                       int64_t to, float *score)
{
    uint32_t i = *at;
    for (; i < l->n && l->row[i] < to; i++)
        if (l->row[i] >= from) /* always, in a sound list */
            score[l->row[i] - from] += weight * posting_impact(l->impact[i]);
    *at = i;
}

static bool any_reaches(const float *score, float floor)
{
    int n = 0;
    for (int i = 0; i < GROUP_ROWS; i++)
        n |= score[i] >= floor;
    return n != 0;
}

/* The rows of a step that match, reach the floor and are allowed. */
static void take_best(const float score[STEP_ROWS], int64_t from, const uint64_t *bits,
                      int64_t row0, struct topk *top)
{
    float floor = fmaxf(topk_floor(top), FLT_MIN);
    for (int64_t group = 0; group < STEP_ROWS; group += GROUP_ROWS) {
        if (!any_reaches(score + group, floor))
            continue;
        for (int64_t i = group; i < group + GROUP_ROWS; i++)
            if (score[i] >= floor && (!bits || bit_get(bits, from + i))) {
                topk_push(top, row0 + from + i, score[i]);
                floor = fmaxf(topk_floor(top), FLT_MIN);
            }
    }
}

void keyword_search(const struct keyword_query *q, const struct postings *p, const float *weight,
                    const struct row_filter *filter, int64_t row0, struct topk *top)
{
    if (q->n_terms == 0 || p->n_rows == 0)
        return;
    struct posting_list *list = xmalloc(q->n_terms * sizeof *list);
    uint32_t *at = xcalloc(q->n_terms, sizeof *at);
    float score[STEP_ROWS];
    for (size_t t = 0; t < q->n_terms; t++)
        list[t] = postings_find(p, q->term[t]);
    uint64_t *own = allowed_rows(q, p, filter);
    const uint64_t *bits = own ? own : filter ? filter->bits : NULL;
    for (int64_t from = 0; from < p->n_rows; from += STEP_ROWS) {
        const int64_t n = p->n_rows - from < STEP_ROWS ? p->n_rows - from : STEP_ROWS;
        memset(score, 0, sizeof score);
        for (size_t t = 0; t < q->n_terms; t++)
            accumulate(&list[t], &at[t], weight[t], from, from + n, score);
        take_best(score, from, bits, row0, top);
    }
    free(own);
    free(at);
    free(list);
}

void keyword_score(const struct keyword_query *q, const struct postings *p, const float *weight,
                   int64_t row0, const int64_t *rows, size_t n, float *out)
{
    for (size_t t = 0; t < q->n_terms; t++) {
        const struct posting_list l = postings_find(p, q->term[t]);
        for (size_t i = 0; i < n && l.n; i++) {
            const int64_t row = rows[i] - row0;
            if (row < 0 || row >= p->n_rows)
                continue;
            const uint32_t at = bisect(&l, 0, row);
            if (at < l.n && l.row[at] == row)
                out[i] += weight[t] * posting_impact(l.impact[at]);
        }
    }
}
