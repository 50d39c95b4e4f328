/* evaluate.c - rankings by the search that users run, scored with metrics.c.
 *
 * The rows of the scratch index are ranked by rank_rows(), the same call that search_text() makes,
 * only deeper. A document counts by its best passage. Scores in the runs are log-odds, because the
 * 0..1 score has no room left between the best documents once it is written in decimal.
 */
#include "index/eval/evaluate.h"

#include "index/eval/beir.h"
#include "index/eval/collection.h"
#include "index/search/rank.h"
#include "index/search/searcher.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 1000, CHUNK_DEPTH = 5000, N_MODES = 3, ANN_K = 10 };

static const char *const mode_name[N_MODES] = {
    [SEARCH_HYBRID] = "hybrid", [SEARCH_VECTOR] = "vector", [SEARCH_KEYWORD] = "keyword"};

struct evaluation_bench {
    struct evaluate_options options; /* its strings are borrowed while asking */
    struct embedder *embedder;       /* that asks */
    const struct progress_sink *sink;
    struct names docs;
    struct collection collection;
    struct beir_queries queries;
    struct searcher *searcher;
    float *vector;  /* [queries.n, dim] */
    uint32_t *seen; /* [documents]: the last question + mode that ranked it, from 1 */
    uint32_t turn;
    struct outfile run[N_MODES];
    bool has_run[N_MODES];
};

/* ---- one ranking ---- */

/* Documents in the order of their best passage. */
static size_t rank_documents(struct evaluation_bench *v, const struct beir_query *q,
                             const struct ranking *r, struct ranked *out)
{
    const struct collection *s = &v->collection;
    size_t n = 0;
    v->turn++;
    for (size_t i = 0; i < r->n && n < DEPTH; i++) {
        const int64_t id = snapshot_doc(v->searcher->snapshot, r->item[i].row);
        const uint32_t doc = id >= 0 && (size_t)id < s->n_ids ? s->doc_of[id] : UINT32_MAX;
        if (doc == UINT32_MAX || v->seen[doc] == v->turn)
            continue;
        v->seen[doc] = v->turn;
        out[n++] = (struct ranked){.id = v->docs.item[doc],
                                   .score = (float)r->item[i].log_odds,
                                   .grade = beir_grade(q, doc)};
    }
    metrics_sort(out, n);
    return n;
}

static void write_run(struct evaluation_bench *v, enum search_mode mode, const struct beir_query *q,
                      const struct ranked *item, size_t n)
{
    struct str line = {0};
    for (size_t i = 0; i < n && i < EVALUATE_RUN_DEPTH; i++)
        str_printf(&line, "%s Q0 %s %zu %.9g semsearch-%s\n", q->id, item[i].id, i + 1,
                   (double)item[i].score, mode_name[mode]);
    outfile_write(&v->run[mode], line.p, line.n);
    str_release(&line);
}

/* Returns the question's nDCG@10. */
static double ask(struct evaluation_bench *v, size_t i, enum search_mode mode, struct metrics *sum)
{
    const struct beir_query *q = &v->queries.item[i];
    const struct filter_rows everything = {0};
    struct ranking ranking;
    struct ranked *docs = xmalloc(DEPTH * sizeof *docs);
    int *grade = xmalloc(q->n_relevant * sizeof *grade);
    size_t n_grades = 0;
    struct keyword_query *words = keyword_parse(span_of(q->text));
    struct rank_query rank = {.mode = mode, .bg = v->searcher->bg, .exact = true};
    rank.vector = mode == SEARCH_KEYWORD ? NULL : v->vector + i * (size_t)v->embedder->dim;
    rank.words = mode == SEARCH_VECTOR ? NULL : words;
    rank_rows(v->searcher->snapshot, &rank, &everything, v->options.chunk ? CHUNK_DEPTH : DEPTH,
              &ranking);
    const size_t n = rank_documents(v, q, &ranking, docs);
    for (size_t j = 0; j < q->n_judged; j++)
        if (q->judged[j].grade > 0)
            grade[n_grades++] = q->judged[j].grade;
    const struct metrics m = metrics_of(docs, n, grade, n_grades);
    metrics_add(sum, &m);
    if (v->has_run[mode])
        write_run(v, mode, q, docs, n);
    keyword_query_free(words);
    ranking_release(&ranking);
    free(docs);
    free(grade);
    return m.ndcg10;
}

/* ---- default against exact search ---- */

static double ann_recall(struct evaluation_bench *v)
{
    struct hit exact[ANN_K], found[ANN_K];
    double sum = 0;
    for (size_t i = 0; i < v->queries.n; i++) {
        const float *q = v->vector + i * (size_t)v->embedder->dim;
        const int64_t n = snapshot_nearest(v->searcher->snapshot, q, ANN_K, NULL, true, exact);
        const int64_t m = snapshot_nearest(v->searcher->snapshot, q, ANN_K, NULL, false, found);
        int64_t same = 0;
        for (int64_t a = 0; a < n; a++)
            for (int64_t b = 0; b < m; b++)
                same += exact[a].row == found[b].row;
        sum += n ? (double)same / (double)n : 1;
    }
    return sum / (double)v->queries.n;
}

/* ---- the whole ---- */

static void tell(const struct evaluation_bench *v, size_t done, const char *phase)
{
    const struct progress p = {
        .done = (int64_t)done, .total = (int64_t)v->queries.n, .phase = phase};
    if (v->sink && v->sink->update)
        v->sink->update(v->sink->ctx, &p);
}

static int encode_queries(struct evaluation_bench *v, struct err *err)
{
    const size_t dim = (size_t)v->embedder->dim, n = v->queries.n;
    struct span *text = xmalloc(n * sizeof *text);
    for (size_t i = 0; i < n; i++)
        text[i] = span_of(v->queries.item[i].text);
    v->vector = xmalloc(n * dim * sizeof *v->vector);
    const int rc = v->embedder->embed(v->embedder, text, n, EMBED_QUERY, v->vector, NULL, err);
    free(text);
    return rc;
}

static int ask_all(struct evaluation_bench *v, struct evaluate_report *out, double *ndcg,
                   struct err *err)
{
    for (size_t i = 0; i < v->queries.n; i++) {
        tell(v, i, "ranking");
        if (stop_requested())
            return err_kind_set(err, ERR_STOPPED, "stopped");
        for (int mode = 0; mode < N_MODES; mode++)
            ndcg[i * N_MODES + (size_t)mode] = ask(v, i, (enum search_mode)mode, &out->mode[mode]);
    }
    for (int mode = 0; mode < N_MODES; mode++)
        metrics_scale(&out->mode[mode], 1.0 / (double)v->queries.n);
    out->ann_recall10 = ann_recall(v);
    return 0;
}

static int time_all(struct evaluation_bench *v, struct evaluate_report *out, struct err *err)
{
    const struct search_options o = {
        .k = 10, .min_score = -1, .since_ns = INT64_MIN, .until_ns = INT64_MAX};
    double *ms = xmalloc(v->queries.n * sizeof *ms);
    int rc = 0;
    for (size_t i = 0; i < v->queries.n && rc == 0; i++) {
        struct search_answer a;
        tell(v, i, "timing");
        if (stop_requested()) {
            rc = err_kind_set(err, ERR_STOPPED, "stopped");
            break;
        }
        rc = search_text(v->searcher, span_of(v->queries.item[i].text), &o, &a, err);
        ms[i] = a.took_ms;
        if (rc == 0)
            search_answer_release(&a);
    }
    if (rc == 0) {
        out->p50_ms = metrics_quantile(ms, v->queries.n, 0.5);
        out->p95_ms = metrics_quantile(ms, v->queries.n, 0.95);
    }
    free(ms);
    return rc;
}

static int runs_open(struct evaluation_bench *v, struct err *err)
{
    for (int mode = 0; v->options.run && mode < N_MODES; mode++) {
        char *path = xasprintf("%s.%s", v->options.run, mode_name[mode]);
        v->has_run[mode] = outfile_open(&v->run[mode], path, err) == 0;
        free(path);
        if (!v->has_run[mode])
            return -1;
    }
    return 0;
}

static int runs_close(struct evaluation_bench *v, int rc, struct err *err)
{
    for (int mode = 0; mode < N_MODES; mode++) {
        if (!v->has_run[mode])
            continue;
        if (rc == 0)
            rc = outfile_commit(&v->run[mode], err);
        else
            outfile_abandon(&v->run[mode]);
    }
    return rc;
}

int evaluate_open(const struct evaluate_options *o, struct embedder *e,
                  const struct progress_sink *sink, struct evaluation_bench **out, struct err *err)
{
    struct evaluation_bench *v = xcalloc(1, sizeof *v);
    v->options = *o;
    v->sink = sink;
    *out = NULL;
    int rc = beir_names(o->data, &v->docs, err); /* what is wrong is told before the long work */
    if (rc == 0)
        rc = beir_queries_read(o->data, o->qrels, &v->docs, &v->queries, err);
    if (rc == 0)
        rc = collection_build(&v->collection, o->data, o->scratch, e, o->chunk, sink, err);
    if (rc) {
        evaluate_close(v);
        return -1;
    }
    v->seen = xcalloc(v->docs.n, sizeof *v->seen);
    *out = v;
    return 0;
}

void evaluate_close(struct evaluation_bench *v)
{
    if (!v)
        return;
    searcher_close(v->searcher);
    beir_queries_release(&v->queries);
    collection_close(&v->collection);
    names_release(&v->docs);
    free(v->vector);
    free(v->seen);
    free(v);
}

int evaluate_ask(struct evaluation_bench *v, struct embedder *e, struct evaluate_report *out,
                 double **ndcg, struct err *err)
{
    double *each = xcalloc(v->queries.n * N_MODES, sizeof *each);
    *out =
        (struct evaluate_report){.queries = (int64_t)v->queries.n, .documents = (int64_t)v->docs.n};
    v->embedder = e;
    searcher_close(v->searcher);
    v->searcher = NULL;
    free(v->vector);
    v->vector = NULL;
    int rc = search_calibrate(v->collection.store, e, err);
    if (rc == 0)
        rc = searcher_open(v->collection.store, e, &v->searcher, err);
    if (rc == 0)
        rc = runs_open(v, err);
    if (rc == 0)
        rc = encode_queries(v, err);
    if (rc == 0)
        rc = ask_all(v, out, each, err);
    if (rc == 0)
        rc = time_all(v, out, err);
    rc = runs_close(v, rc, err);
    if (rc == 0 && ndcg)
        *ndcg = each;
    else
        free(each);
    return rc;
}

int evaluate_search(const struct evaluate_options *o, struct embedder *e,
                    const struct progress_sink *sink, struct evaluate_report *out, struct err *err)
{
    struct evaluation_bench *b = NULL;
    *out = (struct evaluate_report){0};
    int rc = evaluate_open(o, e, sink, &b, err);
    if (rc == 0)
        rc = evaluate_ask(b, e, out, NULL, err);
    evaluate_close(b);
    return rc;
}
