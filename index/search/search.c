/* search.c - the searcher: an index opened for questions, and the three ways to ask it.
 *
 * Every question takes the same way: filters to a set of rows, candidates from both sides
 * (rank.c), one calibrated order (fuse.c), the k that are shown (pick.c), their snippets
 * (present.c). Only the passages that are shown are read from the store.
 *
 * The list of candidates is a few hundred rows of each side. When that is not enough for k results,
 * because neighbours and copies were passed over, it is taken four times deeper until it is.
 */
#include "index/search.h"

#include "index/search/calibrate.h"
#include "index/search/pick.h"
#include "index/search/present.h"
#include "index/search/searcher.h"
#include "index/update.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUERY_BYTES_MAX = 1 << 16, /* far more than any encoder's window; the rest is not read */
    LIKE_BYTES_MAX = 4096,     /* of a document's text, for the words of "like this" */
    RESULTS_MAX = 10000,
    DEPTH_MIN = 300,
};

/* ---- opening ---- */

static int read_dim(struct searcher *s, struct err *err)
{
    char *value = NULL;
    if (store_meta_get(s->store, "dim", &value, err))
        return -1;
    s->dim = value ? atoi(value) : s->embedder ? s->embedder->dim : 1;
    free(value);
    if (s->embedder && s->dim != s->embedder->dim)
        return err_kind_set(err, ERR_INCOMPATIBLE,
                            "the index has vectors of %d numbers, the model gives %d", s->dim,
                            s->embedder->dim);
    return 0;
}

/* Reads the index's fingerprint (owned) and compares it with the embedder's. */
static int read_fingerprint(struct searcher *s, char **out, struct err *err)
{
    char mine[33];
    if (store_meta_get(s->store, "fingerprint", out, err))
        return -1;
    if (!s->embedder)
        return 0;
    update_fingerprint(s->embedder, mine);
    if (*out && strcmp(*out, mine) != 0) {
        err_kind_set(err, ERR_INCOMPATIBLE,
                     "the index was made with another model than '%s', or "
                     "by another version of semsearch",
                     s->embedder->name);
        return err_hint(err, "ask with the model of the index, or index again with --reembed");
    }
    return 0;
}

static int read_background(struct searcher *s, struct err *err)
{
    s->bg = BACKGROUND_DEFAULT;
    if (!s->embedder)
        return 0;
    const int found = background_load(s->store, s->embedder, &s->bg, err);
    return found ? (found < 0 ? -1 : 0) : background_measure(s->store, s->embedder, &s->bg, err);
}

int searcher_open(struct store *store, struct embedder *embedder, struct searcher **out,
                  struct err *err)
{
    struct searcher *s = xcalloc(1, sizeof *s);
    char *fingerprint = NULL;
    s->store = store;
    s->embedder = embedder;
    int rc = -1;
    if (read_fingerprint(s, &fingerprint, err) || read_dim(s, err) ||
        snapshot_open(store, fingerprint ? fingerprint : "", s->dim, &s->snapshot, err) ||
        read_background(s, err)) {
        searcher_close(s);
        s = NULL;
    } else {
        rc = 0;
    }
    free(fingerprint);
    *out = s;
    return rc;
}

void searcher_close(struct searcher *s)
{
    if (!s)
        return;
    snapshot_close(s->snapshot);
    filter_docs_release(&s->docs);
    free(s);
}

/* ---- one question ---- */

/* A question on its way: what is asked by meaning and by words, and what may answer. */
struct question {
    struct rank_query rank;
    float *vector;               /* owned */
    struct keyword_query *words; /* owned */
    struct filter_rows filter;
};

static void question_release(struct question *q)
{
    free(q->vector);
    keyword_query_free(q->words);
    filter_release(&q->filter);
}

static int question_begin(struct question *q, struct searcher *s, const struct search_options *o,
                          struct filter_without without, struct err *err)
{
    *q = (struct question){.rank = {.mode = o->mode, .bg = s->bg, .exact = o->exact}};
    if (o->k < 1)
        return err_kind_set(err, ERR_USAGE, "the number of results must be at least 1");
    if (filter_wanted(o) && filter_docs_read(&s->docs, s->store, err))
        return -1;
    filter_make(&q->filter, s->snapshot, &s->docs, o, without);
    return 0;
}

static void question_words(struct question *q, struct searcher *s, struct span text)
{
    if (q->rank.mode == SEARCH_VECTOR)
        return;
    q->words = keyword_parse(text);
    q->rank.words = q->words;
    if (q->rank.mode == SEARCH_HYBRID)
        rank_constrain(s->snapshot, q->words, &q->filter);
}

/* Cuts at the start of a code point. */
static struct span head_of(struct span text, size_t max)
{
    size_t n = text.n < max ? text.n : max;
    while (n > 0 && n < text.n && ((unsigned char)text.p[n] & 0xC0) == 0x80)
        n--;
    return span_sub(text, 0, n);
}

static int question_encode(struct question *q, struct searcher *s, struct span text,
                           struct err *err)
{
    if (q->rank.mode == SEARCH_KEYWORD)
        return 0;
    if (!s->embedder) {
        err_kind_set(err, ERR_USAGE, "searching by meaning needs a model");
        return err_hint(err, "use --mode keyword, or name a model");
    }
    q->vector = xmalloc((size_t)s->dim * sizeof *q->vector);
    q->rank.vector = q->vector;
    return s->embedder->embed(s->embedder, &text, 1, EMBED_QUERY, q->vector, NULL, err);
}

/* ---- the answer ---- */

static int fill_result(struct searcher *s, const struct picker *p, struct picked *from,
                       const struct question *q, const struct ranking *ranking,
                       const struct present_words *words, int snippet_bytes,
                       struct search_result *r, struct err *err)
{
    const int found = store_doc_by_id(s->store, from->chunk.doc_id, &r->doc, err);
    if (found <= 0)
        return found;
    present_signals(r, &from->row, &q->rank, ranking);
    present_snippet(r, pick_passage(p, from), words, snippet_bytes);
    r->chunk = from->chunk;
    from->chunk = (struct store_chunk){0};
    return 1;
}

static int fill_answer(struct searcher *s, const struct question *q, const struct ranking *ranking,
                       struct picker *p, int snippet_bytes, struct search_answer *out,
                       struct err *err)
{
    struct present_words words;
    int found = 0;
    out->item = xcalloc(p->n, sizeof *out->item);
    present_words_make(&words, s->snapshot, q->words);
    for (size_t i = 0; i < p->n && found >= 0; i++) {
        struct search_result *r = &out->item[out->n];
        found = fill_result(s, p, &p->item[i], q, ranking, &words, snippet_bytes, r, err);
        if (found == 1)
            r->rank = (int)++out->n;
    }
    present_words_release(&words);
    return found < 0 ? -1 : 0;
}

static int note_closest(struct searcher *s, const struct ranking *r, struct search_answer *out,
                        struct err *err)
{
    struct store_doc doc;
    if (r->n == 0)
        return 0;
    out->closest = r->item[0].score;
    const int found =
        store_doc_by_id(s->store, snapshot_doc(s->snapshot, r->item[0].row), &doc, err);
    if (found == 1) {
        out->closest_path = xstrdup(doc.path);
        store_doc_release(&doc);
    }
    return found < 0 ? -1 : 0;
}

/* The passages that answer, and where they stand; reads the store. */
static int find_answer(struct searcher *s, const struct question *q, const struct search_options *o,
                       struct search_answer *out, struct err *err)
{
    const int k = o->k < RESULTS_MAX ? o->k : RESULTS_MAX;
    const double min_score = o->min_score >= 0 ? o->min_score : -1;
    int64_t depth = k * 3 > DEPTH_MIN ? k * 3 : DEPTH_MIN;
    struct ranking ranking = {0};
    struct picker p = {0};
    int rc;
    for (;; depth *= 4) {
        picker_release(&p);
        ranking_release(&ranking);
        p = (struct picker){.store = s->store, .k = k, .per_file = o->per_file};
        rank_rows(s->snapshot, &q->rank, &q->filter, depth, &ranking);
        rc = pick_rows(&p, s->snapshot, &ranking, min_score, err);
        const bool weaker_left =
            !ranking.complete && ranking.n && ranking.item[ranking.n - 1].score >= min_score;
        if (rc || p.n_plain >= (size_t)k || !weaker_left)
            break;
    }
    if (rc == 0)
        rc = fill_answer(s, q, &ranking, &p, o->snippet_bytes, out, err);
    if (rc == 0)
        rc = note_closest(s, &ranking, out, err);
    picker_release(&p);
    ranking_release(&ranking);
    return rc;
}

static int answer(struct searcher *s, const struct question *q, const struct search_options *o,
                  struct search_answer *out, struct err *err)
{
    bool began;
    if (store_view_begin(s->store, &began, err))
        return -1;
    const int rc = find_answer(s, q, o, out, err);
    store_view_end(s->store, began);
    return rc;
}

static int finish(struct question *q, double began, struct search_answer *out, int rc)
{
    question_release(q);
    if (rc)
        search_answer_release(out);
    out->took_ms = clock_ms() - began;
    return rc;
}

int search_text(struct searcher *s, struct span query, const struct search_options *o,
                struct search_answer *out, struct err *err)
{
    const double began = clock_ms();
    struct question q;
    *out = (struct search_answer){.closest = NAN};
    query = head_of(span_trim(query), QUERY_BYTES_MAX);
    int rc = question_begin(&q, s, o, (struct filter_without){0}, err);
    if (rc == 0 && query.n) {
        question_words(&q, s, query);
        rc = question_encode(&q, s, query, err);
        if (rc == 0)
            rc = answer(s, &q, o, out, err);
    }
    return finish(&q, began, out, rc);
}

/* ---- like a document, like a passage ---- */

/* The words of a stored text as a question: signs that mean something to a question are blanked. */
static void like_words(struct question *q, struct searcher *s, struct span text)
{
    struct str plain = {0};
    text = head_of(text, LIKE_BYTES_MAX);
    for (size_t i = 0; i < text.n; i++) {
        const bool dash = text.p[i] == '-' && (i == 0 || strchr(" \t\r\n", text.p[i - 1]));
        str_putc(&plain, dash || text.p[i] == '"' || text.p[i] == '\0' ? ' ' : text.p[i]);
    }
    question_words(q, s, str_view(&plain));
    str_release(&plain);
}

/* The middle of the passages' stored vectors, as a unit vector. */
static int like_vector(struct question *q, struct searcher *s, const struct store_chunk *chunk,
                       size_t n, struct err *err)
{
    const size_t dim = (size_t)s->dim;
    if (q->rank.mode == SEARCH_KEYWORD)
        return 0;
    uint16_t *half = xmalloc(dim * sizeof *half);
    float *one = xmalloc(dim * sizeof *one);
    q->vector = xcalloc(dim, sizeof *q->vector);
    q->rank.vector = q->vector;
    int found = 1;
    for (size_t i = 0; i < n && found >= 0; i++) {
        found = store_vector(s->store, chunk[i].embed_hash, half, s->dim, err);
        if (found != 1)
            continue;
        kern.f16_to_f32(one, half, dim);
        for (size_t d = 0; d < dim; d++)
            q->vector[d] += one[d];
    }
    const double norm = sqrt(kern.dot_wide(q->vector, q->vector, dim));
    for (size_t d = 0; norm > 0 && d < dim; d++)
        q->vector[d] = (float)(q->vector[d] / norm);
    free(half);
    free(one);
    return found < 0 ? -1 : 0;
}

static int like(struct searcher *s, struct filter_without without, const struct store_chunk *chunk,
                size_t n, struct span text, const struct search_options *o,
                struct search_answer *out, struct err *err)
{
    struct question q;
    int rc = question_begin(&q, s, o, without, err);
    if (rc == 0)
        rc = like_vector(&q, s, chunk, n, err);
    if (rc == 0 && n) {
        like_words(&q, s, text);
        rc = answer(s, &q, o, out, err);
    }
    question_release(&q);
    return rc;
}

int search_like_doc(struct searcher *s, int64_t doc_id, const struct search_options *o,
                    struct search_answer *out, struct err *err)
{
    const double began = clock_ms();
    struct store_chunk *chunk = NULL;
    struct str text = {0};
    size_t n = 0;
    *out = (struct search_answer){.closest = NAN};
    int rc = store_chunks_of(s->store, doc_id, &chunk, &n, err);
    if (rc == 0)
        rc = store_text(s->store, doc_id, &text, err);
    if (rc == 0)
        rc =
            like(s, (struct filter_without){.doc = doc_id}, chunk, n, str_view(&text), o, out, err);
    for (size_t i = 0; i < n; i++)
        store_chunk_release(&chunk[i]);
    free(chunk);
    str_release(&text);
    out->took_ms = clock_ms() - began;
    if (rc)
        search_answer_release(out);
    return rc;
}

int search_like_chunk(struct searcher *s, int64_t chunk_id, const struct search_options *o,
                      struct search_answer *out, struct err *err)
{
    const double began = clock_ms();
    struct store_chunk chunk = {0};
    struct str text = {0};
    *out = (struct search_answer){.closest = NAN};
    const int found = store_chunk(s->store, chunk_id, &chunk, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_kind_set(err, ERR_NOT_FOUND, "the index has no passage %lld",
                            (long long)chunk_id);
    int rc = store_text(s->store, chunk.doc_id, &text, err);
    if (rc == 0) {
        const struct span passage =
            span_sub(str_view(&text), (size_t)chunk.start, (size_t)chunk.end);
        rc = like(s, (struct filter_without){.chunk = chunk_id}, &chunk, 1, passage, o, out, err);
    }
    store_chunk_release(&chunk);
    str_release(&text);
    out->took_ms = clock_ms() - began;
    if (rc)
        search_answer_release(out);
    return rc;
}

void search_answer_release(struct search_answer *a)
{
    for (size_t i = 0; i < a->n; i++) {
        store_doc_release(&a->item[i].doc);
        store_chunk_release(&a->item[i].chunk);
        free(a->item[i].snippet);
        free(a->item[i].mark);
    }
    free(a->item);
    free(a->closest_path);
    *a = (struct search_answer){.closest = NAN};
}
