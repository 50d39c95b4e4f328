/* present.c - from a ranked row to a search_result.
 *
 * Words are found in a passage by the same splitter that indexed it, so that what is marked is what
 * counted: plurals, folded accents, parts of identifiers.
 */
#include "index/search/present.h"

#include "index/keyword/words.h"
#include "index/search/snippet.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SNIPPET_DEFAULT = 300, SNIPPET_PASSAGE_MAX = 1 << 16, TERMS_MAX = 512 };

void present_words_make(struct present_words *w, struct snapshot *s,
                        const struct keyword_query *words)
{
    *w = (struct present_words){0};
    if (!words)
        return;
    w->n = keyword_terms(words, &w->term);
    w->n = w->n < TERMS_MAX ? w->n : TERMS_MAX;
    w->weight = xcalloc(w->n, sizeof *w->weight);
    /* beyond what a snippet's choice looks at, weights are not needed */
    for (size_t i = 0; i < w->n && i < SNIPPET_TERMS; i++)
        w->weight[i] = rank_term_weight(s, words, i);
}

void present_words_release(struct present_words *w)
{
    free(w->weight);
    *w = (struct present_words){0};
}

/* ---- the query's words in a passage ---- */

struct finder {
    const struct present_words *words;
    struct snippet_match *match;
    size_t n, cap;
};

static void find_word(void *ctx, const struct word *w)
{
    struct finder *f = ctx;
    for (size_t t = 0; t < f->words->n; t++) {
        if (!span_equal(f->words->term[t], w->term))
            continue;
        VEC_GROW(f->match, f->n, f->cap);
        f->match[f->n++] = (struct snippet_match){w->start, w->end, (int)t};
        return;
    }
}

static int match_cmp(const void *pa, const void *pb)
{
    const struct snippet_match *a = pa, *b = pb;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return (a->end < b->end) - (a->end > b->end);
}

static bool has_markup(enum doc_kind kind)
{
    return kind == KIND_MARKDOWN || kind == KIND_NOTEBOOK || kind == KIND_TEXT;
}

void present_snippet(struct search_result *r, struct span passage, const struct present_words *w,
                     int snippet_bytes)
{
    struct finder f = {.words = w};
    struct snippet s;
    size_t end = passage.n < SNIPPET_PASSAGE_MAX ? passage.n : SNIPPET_PASSAGE_MAX;
    while (end < passage.n && end > 0 && ((unsigned char)passage.p[end] & 0xC0) == 0x80)
        end--;
    passage = span_sub(passage, 0, end);
    if (w->n)
        words_split(passage, 0, find_word, &f);
    if (f.n > 1)
        qsort(f.match, f.n, sizeof *f.match, match_cmp);
    snippet_make(passage, f.match, f.n, w->weight, w->n,
                 snippet_bytes > 0 ? (size_t)snippet_bytes : SNIPPET_DEFAULT,
                 has_markup(r->doc.kind), &s);
    free(f.match);
    r->snippet = s.text;
    r->mark = s.mark;
    r->n_marks = s.n_marks;
}

/* ---- signals ---- */

static int side_text(char *out, size_t size, const char *name, double value, const char *measure,
                     double measured, int rank)
{
    const int n = rank ? snprintf(out, size, "%s %.3f (%s %.2f, rank %d)", name, value, measure,
                                  measured, rank)
                       : snprintf(out, size, "%s %.3f (%s %.2f, not among its best)", name, value,
                                  measure, measured);
    return n < 0 ? 0 : n;
}

static void explain(struct search_result *r, const struct ranked_row *row,
                    const struct rank_query *q, const struct ranking *k)
{
    char vector[96] = "", words[96] = "no word in common";
    const double cover = k->ceiling > 0 ? row->bm25 / k->ceiling : 0;
    if (q->mode != SEARCH_KEYWORD)
        side_text(vector, sizeof vector, "cosine", row->cosine, "z", fuse_z(&q->bg, row->cosine),
                  row->vector_rank);
    if (row->bm25 > 0)
        side_text(words, sizeof words, "BM25", row->bm25, "share of the best possible", cover,
                  row->keyword_rank);
    if (q->mode == SEARCH_VECTOR)
        snprintf(r->explain, sizeof r->explain, "%s -> %.3f", vector, r->score);
    else if (q->mode == SEARCH_KEYWORD)
        snprintf(r->explain, sizeof r->explain, "%s -> %.3f", words, r->score);
    else
        snprintf(r->explain, sizeof r->explain,
                 "%s + %s; words weigh %.2f for this question -> %.3f", vector, words,
                 k->fusion.weight, r->score);
}

void present_signals(struct search_result *r, const struct ranked_row *row,
                     const struct rank_query *q, const struct ranking *ranking)
{
    r->score = row->score;
    r->weak = row->score < SCORE_WEAK;
    if (q->mode != SEARCH_KEYWORD) {
        r->has_cosine = true;
        r->cosine = row->cosine;
        r->has_vector_rank = row->vector_rank > 0;
        r->vector_rank = row->vector_rank;
    }
    if (q->mode != SEARCH_VECTOR && row->bm25 > 0) {
        r->has_keyword = true;
        r->keyword = row->bm25;
        r->has_keyword_rank = row->keyword_rank > 0;
        r->keyword_rank = row->keyword_rank;
    }
    explain(r, row, q, ranking);
}
