/* score_pairs.c - scores of sentence embeddings: correlation with labels, or retrieval among the
 * held-out texts; and the loss of training on them.
 *
 * Retrieval (sentence-transformers' InformationRetrievalEvaluator, binary gains): every distinct
 * anchor is a question; every distinct text of the other columns is in the pool; right are the
 * positives of all rows with that anchor. A text equal to the question is not counted against it.
 */
#include "encoder/train/score.h"

#include "src/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COMPARISONS                                                      \
    1000000000 /* questions times texts; more questions are left out, evenly \
                */

/* ---- embeddings ---------------------------------------------------------------------------------
 */

/* Sequences of the dataset from `from` on, as many as make about 4096 tokens. */
static size_t pack_some(struct packed *p, const struct dataset *d, size_t from)
{
    packed_clear(p);
    while (from < d->seqs.n && (p->n_seq == 0 || p->n_tok < 4096)) {
        packed_sequence(p, d, from, from);
        from++;
    }
    return from;
}

static int embed_all(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
                     float *x, struct err *err)
{
    struct packed p = {0};
    struct slice slice = {0};
    const struct slot *y = &s->tape.slot[s->slots.out];
    int rc = 0;
    for (size_t at = 0; at < d->seqs.n && rc == 0;) {
        float *to = x + at * (size_t)y->cols;
        at = pack_some(&p, d, at);
        packed_slice(&p, 0, p.n_seq, &slice);
        rc = tape_bind(&s->tape, &slice.batch, err);
        if (rc)
            break;
        tape_forward(&s->tape);
        memcpy(to, y->x, (size_t)p.n_seq * (size_t)y->cols * sizeof *x);
        if (sink && sink->phase) {
            const struct progress g = {
                .done = (int64_t)at, .total = (int64_t)d->seqs.n, .phase = "evaluating"};
            sink->phase(sink->ctx, &g);
        }
    }
    packed_release(&p);
    slice_release(&slice);
    return rc;
}

/* ---- the loss of training -----------------------------------------------------------------------
 */

/* Mean over batches in the file's order; raw embeddings. */
static int loss_of(struct scorer *s, const struct dataset *d, const float *x, int dim, double *loss,
                   struct err *err)
{
    const size_t columns = (size_t)d->columns, size = (size_t)dim * sizeof *x;
    const struct plan_options o = {.batch_size = s->batch_size,
                                   .distinct = d->loss == LOSS_MNRL && d->columns > 1};
    struct loss_options lo = *s->losses;
    struct plan plan;
    plan_make(&plan, d, &o);
    const size_t room = (size_t)s->batch_size * columns;
    float *part = xcalloc(room, size), *label = xcalloc(room, sizeof *label);
    uint64_t *text = xcalloc(room, sizeof *text), *anchor = xcalloc(room, sizeof *anchor);
    double sum = 0;
    int rc = 0;
    lo.kind = d->loss;
    for (int64_t b = 0; b < plan.n_batches && rc == 0; b++) {
        const int64_t *row = plan.order + plan.start[b];
        const int n = (int)(plan.start[b + 1] - plan.start[b]);
        double one;
        for (size_t c = 0; c < columns; c++)
            for (int i = 0; i < n; i++) {
                const size_t q = (size_t)row[i] * columns + c, at = c * (size_t)n + (size_t)i;
                memcpy(part + at * (size_t)dim, x + q * (size_t)dim, size);
                text[at] = d->key[q];
                label[i] = d->score[row[i]];
                anchor[i] = d->key[(size_t)row[i] * columns];
            }
        const struct embedding_batch batch = {.x = part,
                                              .n = n,
                                              .n_columns = d->columns,
                                              .dim = dim,
                                              .label = d->scored ? label : NULL,
                                              .anchor = anchor,
                                              .text = text,
                                              .pool = s->pool};
        rc = loss_embeddings(&batch, &lo, &one, err);
        sum += rc ? 0 : one * n;
    }
    *loss = sum / (double)plan.n;
    plan_release(&plan);
    free(part);
    free(label);
    free(text);
    free(anchor);
    return rc;
}

/* ---- retrieval ----------------------------------------------------------------------------------
 */

struct keyed {
    uint64_t key;
    int64_t at;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static int by_place(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

struct search {
    const struct dataset *d;
    const float *x;
    int dim;
    struct keyed *anchor; /* [d->n] rows sorted by anchor */
    int64_t *query;       /* [n_queries] where each begins in `anchor` */
    struct keyed *text;   /* [n_texts] distinct texts by key; at: their sequence */
    float *rows;          /* [n_texts, dim] */
    size_t n_texts;
    float *scratch; /* a row of scores a worker */
    int *seen;      /* [n_texts] a worker: the question that counted this text last, plus 1 */
    struct pair_ranking *r;
    double *mrr, *accuracy, *recall;
};

static int64_t text_of(const struct search *s, uint64_t key)
{
    size_t a = 0, b = s->n_texts;
    while (a < b) {
        const size_t mid = a + (b - a) / 2;
        if (s->text[mid].key < key)
            a = mid + 1;
        else
            b = mid;
    }
    return a < s->n_texts && s->text[a].key == key ? (int64_t)a : -1;
}

static double gain(int64_t rank)
{
    return 1 / log2((double)rank + 1);
}

/* The place of text t by score; the text equal to the question (own) is passed over. */
static int64_t rank_of(const float *score, size_t n, int64_t t, int64_t own)
{
    int64_t rank = 1;
    for (size_t i = 0; i < n; i++)
        rank +=
            (score[i] > score[t] || (score[i] == score[t] && (int64_t)i < t)) && (int64_t)i != own;
    return rank;
}

static void rank_query(void *ctx, int item, int worker)
{
    struct search *s = ctx;
    const size_t columns = (size_t)s->d->columns, dim = (size_t)s->dim;
    float *score = s->scratch + (size_t)worker * s->n_texts;
    const int64_t first = s->query[item];
    const uint64_t key = s->anchor[first].key;
    const int64_t row = s->anchor[first].at;
    int *seen = s->seen + (size_t)worker * s->n_texts;
    double dcg = 0, ideal = 0, best = 0, hits = 0;
    int64_t n_right = 0;
    const int64_t own = text_of(s, key);
    kern.dot_rows_f32(score, s->x + (size_t)row * columns * dim, s->rows, s->n_texts, dim);
    for (int64_t i = first; i < s->d->n && s->anchor[i].key == key; i++) {
        const int64_t t = text_of(s, s->d->key[(size_t)s->anchor[i].at * columns + 1]);
        if (seen[t] == item + 1) /* the same pair twice */
            continue;
        seen[t] = item + 1;
        const int64_t rank = rank_of(score, s->n_texts, t, own == t ? -1 : own);
        n_right++;
        if (n_right <= 10)
            ideal += gain(n_right);
        if (rank <= 10) {
            dcg += gain(rank);
            hits++;
            if (1 / (double)rank > best)
                best = 1 / (double)rank;
        }
    }
    s->r->row[item] = row;
    s->r->ndcg[item] = dcg / ideal;
    s->mrr[item] = best;
    s->accuracy[item] = best == 1;
    s->recall[item] = hits / (double)n_right;
}

/* Distinct texts of all columns but the first, and those that stand behind the rows. */
static void gather_texts(struct search *s)
{
    const struct dataset *d = s->d;
    const size_t columns = (size_t)d->columns, all = (size_t)d->n * columns + d->n_pool;
    struct keyed *k = xcalloc(all + 1, sizeof *k);
    size_t n = 0;
    for (size_t row = 0; row < (size_t)d->n; row++)
        for (size_t c = 1; c < columns; c++)
            k[n++] = (struct keyed){d->key[row * columns + c], (int64_t)(row * columns + c)};
    for (size_t q = (size_t)d->n * columns; q < all; q++)
        k[n++] = (struct keyed){d->key[q], (int64_t)q};
    qsort(k, n, sizeof *k, by_key);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || k[i].key != k[i - 1].key)
            k[kept++] = k[i];
    s->text = k;
    s->n_texts = kept;
    s->rows = xcalloc(kept, (size_t)s->dim * sizeof *s->rows);
    for (size_t i = 0; i < kept; i++)
        memcpy(s->rows + i * (size_t)s->dim, s->x + (size_t)k[i].at * (size_t)s->dim,
               (size_t)s->dim * sizeof *s->rows);
}

/* Distinct anchors, in the order of their first rows, thinned when they are too many. */
static void gather_queries(struct search *s)
{
    const struct dataset *d = s->d;
    s->anchor = xcalloc((size_t)d->n + 1, sizeof *s->anchor);
    for (int64_t i = 0; i < d->n; i++)
        s->anchor[i] = (struct keyed){d->key[i * d->columns], i};
    qsort(s->anchor, (size_t)d->n, sizeof *s->anchor, by_key);
    struct keyed *first = xcalloc((size_t)d->n + 1, sizeof *first);
    int64_t n = 0;
    for (int64_t i = 0; i < d->n; i++)
        if (i == 0 || s->anchor[i].key != s->anchor[i - 1].key)
            first[n++] = (struct keyed){(uint64_t)i, s->anchor[i].at};
    qsort(first, (size_t)n, sizeof *first, by_place);
    const int64_t most = MAX_COMPARISONS / (int64_t)(s->n_texts + 1) + 1;
    const int64_t kept = n < most ? n : most;
    s->query = xcalloc((size_t)kept + 1, sizeof *s->query);
    for (int64_t i = 0; i < kept; i++)
        s->query[i] = (int64_t)first[i * n / kept].key;
    s->r->n_queries = kept;
    s->r->n_left_out = n - kept;
    free(first);
}

static double mean_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return n ? sum / (double)n : 0;
}

void rank_pairs(const struct dataset *d, const float *x, int dim, struct pool *pool,
                struct pair_ranking *r)
{
    struct search s = {.d = d, .x = x, .dim = dim, .r = r};
    *r = (struct pair_ranking){0};
    gather_texts(&s);
    gather_queries(&s);
    const size_t n = (size_t)r->n_queries;
    r->ndcg = xcalloc(n + 1, sizeof *r->ndcg);
    r->row = xcalloc(n + 1, sizeof *r->row);
    s.mrr = xcalloc(3 * n + 1, sizeof *s.mrr);
    s.accuracy = s.mrr + n;
    s.recall = s.accuracy + n;
    const size_t room = (size_t)(pool ? pool_size(pool) : 1) * s.n_texts;
    s.scratch = xcalloc(room, sizeof *s.scratch);
    s.seen = xcalloc(room, sizeof *s.seen);
    if (pool)
        pool_run(pool, (int)n, rank_query, &s);
    for (size_t i = 0; !pool && i < n; i++)
        rank_query(&s, (int)i, 0);
    r->n_texts = (int64_t)s.n_texts;
    r->ndcg10 = mean_of(r->ndcg, r->n_queries);
    r->mrr10 = mean_of(s.mrr, r->n_queries);
    r->accuracy1 = mean_of(s.accuracy, r->n_queries);
    r->recall10 = mean_of(s.recall, r->n_queries);
    free(s.mrr);
    free(s.scratch);
    free(s.seen);
    free(s.anchor);
    free(s.query);
    free(s.text);
    free(s.rows);
}

void rank_pairs_release(struct pair_ranking *r)
{
    free(r->ndcg);
    free(r->row);
    *r = (struct pair_ranking){0};
}

/* ---- the door -----------------------------------------------------------------------------------
 */

static void correlate(const struct dataset *d, const float *x, int dim, struct evaluation *out)
{
    const size_t n = (size_t)d->n;
    out->unit = xcalloc(n, sizeof *out->unit);
    out->gold = xcalloc(n, sizeof *out->gold);
    out->group = xcalloc(n, sizeof *out->group);
    out->n_units = n;
    for (size_t i = 0; i < n; i++) {
        const float *a = x + 2 * i * (size_t)dim;
        out->unit[i] = kern.dot_wide(a, a + dim, (size_t)dim);
        out->gold[i] = d->score[i];
        out->group[i] = d->group[i];
    }
    out->main = 0;
    evaluation_add(out, "spearman", spearman(out->unit, out->gold, n));
    evaluation_add(out, "pearson", pearson(out->unit, out->gold, n));
}

static void retrieve(const struct dataset *d, const float *x, int dim, struct pool *pool,
                     struct evaluation *out)
{
    struct pair_ranking r;
    rank_pairs(d, x, dim, pool, &r);
    out->main = 0;
    evaluation_add(out, "ndcg@10", r.ndcg10);
    evaluation_add(out, "mrr@10", r.mrr10);
    evaluation_add(out, "accuracy@1", r.accuracy1);
    evaluation_add(out, "recall@10", r.recall10);
    evaluation_add(out, "questions", (double)r.n_queries);
    evaluation_add(out, "texts", (double)r.n_texts);
    out->unit = r.ndcg;
    r.ndcg = NULL;
    out->n_units = (size_t)r.n_queries;
    out->group = xcalloc(out->n_units + 1, sizeof *out->group);
    for (size_t i = 0; i < out->n_units; i++)
        out->group[i] = d->group[r.row[i]];
    rank_pairs_release(&r);
}

int score_pairs(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
                struct evaluation *out, struct err *err)
{
    const int dim = s->tape.slot[s->slots.out].cols;
    void *p;
    size_t bytes;
    if (!mul_size(d->seqs.n, (size_t)dim * sizeof(float), &bytes) ||
        mem_try(&p, bytes, "the embeddings of the evaluation data", err))
        return -1;
    float *x = p;
    int rc = embed_all(s, d, sink, x, err);
    if (rc == 0 && s->losses && d->loss != LOSS_EMBEDDING_MSE)
        rc = loss_of(s, d, x, dim, &out->loss, err);
    for (size_t i = 0; rc == 0 && i < d->seqs.n; i++)
        normalise_row(x + i * (size_t)dim, x + i * (size_t)dim, dim);
    if (rc == 0 && d->scored)
        correlate(d, x, dim, out);
    else if (rc == 0 && d->columns > 1)
        retrieve(d, x, dim, s->pool, out);
    free(x);
    return rc;
}
