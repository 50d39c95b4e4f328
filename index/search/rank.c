/* rank.c - candidates from both sides, both signals for each, one order.
 *
 * A passage that only one side proposes has a place on the other side too: its cosine or its BM25
 * is looked up, not taken for zero. That is what lets fuse.c add evidence instead of ranks.
 */
#include "index/search/rank.h"

#include "index/keyword/query.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

static int row_cmp(const void *pa, const void *pb)
{
    const struct ranked_row *a = pa, *b = pb;
    return (a->row > b->row) - (a->row < b->row);
}

static int rank_cmp(const void *pa, const void *pb)
{
    const struct ranked_row *a = pa, *b = pb;
    if (a->log_odds != b->log_odds)
        return a->log_odds > b->log_odds ? -1 : 1;
    if (a->cosine != b->cosine)
        return a->cosine > b->cosine ? -1 : 1;
    if (a->bm25 != b->bm25)
        return a->bm25 > b->bm25 ? -1 : 1;
    return row_cmp(a, b);
}

/* ---- candidates ---- */

static size_t take_vector(struct snapshot *s, const struct rank_query *q,
                          const struct row_filter *filter, int64_t depth, struct hit *hit,
                          struct ranked_row *out)
{
    const int64_t n = snapshot_nearest(s, q->vector, depth, filter, q->exact, hit);
    for (int64_t i = 0; i < n; i++)
        out[i] = (struct ranked_row){
            .row = hit[i].row, .cosine = hit[i].score, .vector_rank = (int)i + 1};
    return (size_t)n;
}

static size_t take_words(struct snapshot *s, const struct rank_query *q,
                         const struct row_filter *filter, int64_t depth, struct hit *hit,
                         struct ranked_row *out)
{
    const int64_t n = snapshot_keyword(s, q->words, depth, filter, hit);
    for (int64_t i = 0; i < n; i++)
        out[i] = (struct ranked_row){
            .row = hit[i].row, .bm25 = hit[i].score, .keyword_rank = (int)i + 1};
    return (size_t)n;
}

/* Joins the entries of one row (at most two, one of each side). */
static size_t join_sides(struct ranked_row *item, size_t n)
{
    size_t kept = 0;
    if (n > 1)
        qsort(item, n, sizeof *item, row_cmp);
    for (size_t i = 0; i < n; i++) {
        if (kept && item[kept - 1].row == item[i].row) {
            struct ranked_row *to = &item[kept - 1];
            const struct ranked_row *v = to->vector_rank ? to : &item[i];
            const struct ranked_row *w = to->vector_rank ? &item[i] : to;
            *to = (struct ranked_row){.row = v->row,
                                      .cosine = v->cosine,
                                      .vector_rank = v->vector_rank,
                                      .bm25 = w->bm25,
                                      .keyword_rank = w->keyword_rank};
        } else {
            item[kept++] = item[i];
        }
    }
    return kept;
}

static void fill_signals(struct snapshot *s, const struct rank_query *q, struct ranked_row *item,
                         size_t n)
{
    int64_t *row = xmalloc(n * sizeof *row);
    float *signal = xmalloc(n * sizeof *signal);
    size_t missing = 0, m = 0;
    for (size_t i = 0; i < n; i++)
        if (!item[i].vector_rank)
            row[missing++] = item[i].row;
    snapshot_cosines(s, q->vector, row, missing, signal);
    for (size_t i = 0; i < n; i++)
        if (!item[i].vector_rank)
            item[i].cosine = signal[m++];
    missing = m = 0;
    for (size_t i = 0; i < n; i++)
        if (!item[i].keyword_rank)
            row[missing++] = item[i].row;
    if (missing)
        snapshot_keyword_score(s, q->words, row, missing, signal);
    for (size_t i = 0; i < n; i++)
        if (!item[i].keyword_rank)
            item[i].bm25 = signal[m++];
    free(row);
    free(signal);
}

/* ---- scores ---- */

enum { SHARE_TERMS_MAX = 64 }; /* no longer question is looked at word by word */

/* One of the question's terms as a question of its own; borrows from `words`. */
static struct keyword_query term_alone(const struct keyword_query *words, size_t term)
{
    return (struct keyword_query){
        .term = words->term + term, .times = words->times + term, .n_terms = 1};
}

double rank_term_weight(struct snapshot *s, const struct keyword_query *words, size_t term)
{
    const struct keyword_query one = term_alone(words, term);
    return snapshot_keyword_ceiling(s, &one);
}

/* The part of the question's words, by weight, that occur in the candidate of the largest BM25. */
static double best_share(struct snapshot *s, const struct keyword_query *words,
                         const struct ranking *r)
{
    const struct ranked_row *best = &r->item[0];
    double held = 0;
    for (size_t i = 1; i < r->n; i++)
        if (r->item[i].bm25 > best->bm25)
            best = &r->item[i];
    if (best->bm25 <= 0 || !(r->ceiling > 0) || words->n_terms > SHARE_TERMS_MAX)
        return 0;
    for (size_t t = 0; t < words->n_terms; t++) {
        const struct keyword_query one = term_alone(words, t);
        float bm25;
        snapshot_keyword_score(s, &one, &best->row, 1, &bm25);
        held += bm25 > 0 ? snapshot_keyword_ceiling(s, &one) : 0;
    }
    return held / r->ceiling;
}

static void score_hybrid(struct snapshot *s, const struct rank_query *q, struct ranking *r)
{
    float *cosine = xmalloc(r->n * sizeof *cosine), *bm25 = xmalloc(r->n * sizeof *bm25);
    for (size_t i = 0; i < r->n; i++) {
        cosine[i] = r->item[i].cosine;
        bm25[i] = r->item[i].bm25;
    }
    fuse_begin(&r->fusion, &q->bg, r->ceiling, best_share(s, q->words, r), cosine, bm25, r->n);
    for (size_t i = 0; i < r->n; i++)
        r->item[i].log_odds = fuse_hybrid(&r->fusion, cosine[i], bm25[i]);
    free(cosine);
    free(bm25);
}

static void score_single(const struct rank_query *q, struct ranking *r)
{
    for (size_t i = 0; i < r->n; i++)
        r->item[i].log_odds = q->mode == SEARCH_VECTOR ? fuse_vector(&q->bg, r->item[i].cosine)
                                                       : fuse_keyword(r->ceiling, r->item[i].bm25);
}

void rank_rows(struct snapshot *s, const struct rank_query *q, const struct filter_rows *filter,
               int64_t depth, struct ranking *out)
{
    const struct row_filter *f = filter_get(filter);
    const int64_t n_rows = snapshot_rows(s);
    *out = (struct ranking){.complete = true};
    depth = depth < n_rows ? depth : n_rows;
    if (depth <= 0 || (f && f->n_allowed == 0))
        return;
    struct hit *hit = xmalloc((size_t)depth * sizeof *hit);
    out->item = xmalloc(2 * (size_t)depth * sizeof *out->item);
    if (q->words)
        out->ceiling = snapshot_keyword_ceiling(s, q->words);
    if (q->mode != SEARCH_KEYWORD)
        out->n = take_vector(s, q, f, depth, hit, out->item);
    const size_t n_vector = out->n;
    if (q->mode != SEARCH_VECTOR)
        out->n += take_words(s, q, f, depth, hit, out->item + n_vector);
    free(hit);
    out->complete = (int64_t)n_vector < depth && (int64_t)(out->n - n_vector) < depth;
    if (depth == n_rows)
        out->complete = true;
    if (q->mode == SEARCH_HYBRID) {
        out->n = join_sides(out->item, out->n);
        if (out->n) {
            fill_signals(s, q, out->item, out->n);
            score_hybrid(s, q, out);
        }
    } else {
        score_single(q, out);
    }
    for (size_t i = 0; i < out->n; i++)
        out->item[i].score = fuse_score(out->item[i].log_odds);
    if (out->n > 1)
        qsort(out->item, out->n, sizeof *out->item, rank_cmp);
}

void ranking_release(struct ranking *r)
{
    free(r->item);
    *r = (struct ranking){0};
}

/* ---- phrases and exclusions ---- */

void rank_constrain(struct snapshot *s, const struct keyword_query *words, struct filter_rows *f)
{
    const int64_t n_rows = snapshot_rows(s);
    if (n_rows == 0)
        return;
    for (size_t i = 0; i < words->n_phrases; i++) {
        struct phrase phrase = words->phrase[i];
        const bool excluded = phrase.excluded;
        float times[64];
        struct keyword_query one = {.term = phrase.word, .times = times, .phrase = &phrase};
        one.n_terms = phrase.n < ARRAY_LEN(times) ? phrase.n : ARRAY_LEN(times);
        one.n_phrases = 1;
        for (size_t t = 0; t < one.n_terms; t++)
            times[t] = 1;
        phrase.excluded = false;
        struct hit *hit = xmalloc((size_t)n_rows * sizeof *hit);
        const int64_t n = snapshot_keyword(s, &one, n_rows, NULL, hit);
        filter_restrict(f, n_rows, hit, n, !excluded);
        free(hit);
    }
}
