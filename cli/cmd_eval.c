/* cmd_eval.c - `semsearch eval TASK --data PATH`: scores on labelled data. */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/output.h"
#include "encoder/train/train.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <stdlib.h>
#include <string.h>

/* ---- sentence-similarity
 * ----------------------------------------------------------------------------------------- */

enum { BATCH_PAIRS = 128 };

/* The cosine of every pair of the table (columns 0 and 1). */
static int cosines(const struct table *t, const struct engine *e, double *out, struct err *err)
{
    const int dim = model_info(e->model)->dim;
    const struct encode_options o = {.normalize = -1};
    struct span text[2 * BATCH_PAIRS];
    struct encoder *encoder;
    if (encoder_open(e->model, e->threads, &encoder, err))
        return -1;
    float *v = xcalloc((size_t)(2 * BATCH_PAIRS) * (size_t)dim, sizeof *v);
    int rc = 0;
    for (size_t at = 0; at < t->n_rows && rc == 0; at += BATCH_PAIRS) {
        const size_t n = t->n_rows - at < BATCH_PAIRS ? t->n_rows - at : BATCH_PAIRS;
        for (size_t i = 0; i < n; i++) {
            text[2 * i] = span_of(table_cell(t, at + i, 0));
            text[2 * i + 1] = span_of(table_cell(t, at + i, 1));
        }
        rc = encoder_embed(encoder, text, 2 * n, &o, v, NULL, err);
        for (size_t i = 0; i < n && rc == 0; i++)
            out[at + i] =
                engine_cosine(v + 2 * i * (size_t)dim, v + (2 * i + 1) * (size_t)dim, dim);
    }
    free(v);
    encoder_close(encoder);
    return rc;
}

static void similarity_report(const struct args *a, const struct engine *e, size_t pairs,
                              double rho, double r)
{
    struct str out = {0};
    if (a->json || a->jsonl) {
        struct json_writer w;
        json_begin(&w, &out);
        jw_ktext(&w, "task", "sentence-similarity");
        jw_ktext(&w, "model", e->from.name);
        jw_kint(&w, "pairs", (int64_t)pairs);
        jw_kfloat(&w, "spearman", rho, 6);
        jw_kfloat(&w, "pearson", r, 6);
        json_finish(&w);
    } else {
        str_printf(&out, "%s, %zu pairs: Spearman %.4f, Pearson %.4f\n", e->from.name, pairs, rho,
                   r);
    }
    out_str(&out);
}

static int eval_similarity(const struct args *a, struct err *err)
{
    static const char *const columns[] = {"sentence1", "sentence2", "score"};
    struct table t;
    struct engine e = {0};
    if (table_read(a->data, columns, 3, a->columns.item, a->columns.n, &t, err))
        return -1;
    double *gold = xcalloc(t.n_rows, sizeof *gold), *ours = xcalloc(t.n_rows, sizeof *ours);
    int rc = 0;
    for (size_t i = 0; i < t.n_rows && rc == 0; i++)
        rc = table_number(&t, i, 2, "score", &gold[i], err);
    if (rc == 0)
        rc = engine_open(a, a->model, &e, err);
    if (rc == 0)
        rc = cosines(&t, &e, ours, err);
    if (rc == 0)
        similarity_report(a, &e, t.n_rows, spearman(ours, gold, t.n_rows),
                          pearson(ours, gold, t.n_rows));
    free(gold);
    free(ours);
    engine_close(&e);
    table_release(&t);
    return rc;
}

/* ---- search
 * ------------------------------------------------------------------------------------------------------
 */

static const char *const mode_names[] = {
    [SEARCH_HYBRID] = "hybrid", [SEARCH_VECTOR] = "vector", [SEARCH_KEYWORD] = "keyword"};
static const enum search_mode mode_order[] = {SEARCH_KEYWORD, SEARCH_VECTOR, SEARCH_HYBRID};

static void search_json(const struct engine *e, const struct evaluate_report *r, struct str *out)
{
    struct json_writer w;
    json_begin(&w, out);
    jw_ktext(&w, "task", "search");
    jw_ktext(&w, "model", e->from.name);
    jw_kint(&w, "queries", r->queries);
    jw_kint(&w, "documents", r->documents);
    jw_key(&w, "modes");
    jw_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(mode_order); i++) {
        const struct metrics *m = &r->mode[mode_order[i]];
        jw_key(&w, mode_names[mode_order[i]]);
        jw_object(&w);
        jw_kfloat(&w, "ndcg@10", m->ndcg10, 6);
        jw_kfloat(&w, "recall@10", m->recall10, 6);
        jw_kfloat(&w, "recall@100", m->recall100, 6);
        jw_kfloat(&w, "mrr@10", m->mrr10, 6);
        jw_kfloat(&w, "map", m->map, 6);
        jw_end(&w);
    }
    jw_end(&w);
    jw_kfloat(&w, "ann_recall@10", r->ann_recall10, 6);
    jw_key(&w, "latency_ms");
    jw_object(&w);
    jw_kfloat(&w, "p50", r->p50_ms, 4);
    jw_kfloat(&w, "p95", r->p95_ms, 4);
    json_finish(&w);
}

static void search_text_report(const struct engine *e, const struct evaluate_report *r,
                               struct str *out)
{
    str_printf(out, "%s: %lld queries over %lld documents\n\n", e->from.name, (long long)r->queries,
               (long long)r->documents);
    str_puts(out, "mode      nDCG@10  recall@10  recall@100  MRR@10     MAP\n");
    for (size_t i = 0; i < ARRAY_LEN(mode_order); i++) {
        const struct metrics *m = &r->mode[mode_order[i]];
        str_printf(out, "%-8s  %7.4f  %9.4f  %10.4f  %6.4f  %6.4f\n", mode_names[mode_order[i]],
                   m->ndcg10, m->recall10, m->recall100, m->mrr10, m->map);
    }
    str_printf(out,
               "\nrecall@10 of the vector index against exact search: %.4f\nlatency: %.2f ms "
               "median, %.2f ms 95th percentile\n",
               r->ann_recall10, r->p50_ms, r->p95_ms);
}

/* A folder of our own below TMPDIR, removed afterwards. */
static char *scratch_folder(struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = path_join(tmp && *tmp ? tmp : "/tmp", "semsearch-eval-XXXXXX");
    if (mkdtemp(dir))
        return dir;
    err_errno(err, "cannot make a scratch folder '%s'", dir);
    err_hint(err, "set TMPDIR to a folder with room");
    free(dir);
    return NULL;
}

static int eval_search(const struct args *a, struct err *err)
{
    struct engine e = {0};
    struct evaluate_report r = {0};
    struct bar bar;
    char *scratch = scratch_folder(err);
    if (!scratch)
        return -1;
    const struct evaluate_options o = {
        .data = a->data, .qrels = a->qrels, .run = a->run, .scratch = scratch, .chunk = a->chunk};
    int rc = engine_open(a, a->model, &e, err);
    if (rc == 0)
        rc = engine_embedder(&e, err);
    bar_init(&bar, a);
    if (rc == 0)
        rc = evaluate_search(&o, e.embedder, &bar.sink, &r, err);
    bar_end(&bar);
    if (rc == 0) {
        struct str out = {0};
        if (a->json || a->jsonl)
            search_json(&e, &r, &out);
        else
            search_text_report(&e, &r, &out);
        out_str(&out);
    }
    engine_close(&e);
    if (dir_remove_tree(scratch, NULL))
        note("cannot remove the scratch folder '%s'", scratch);
    free(scratch);
    return rc;
}

static const struct {
    const char *name;
    int (*run)(const struct args *a, struct err *err);
} tasks[] = {{"search", eval_search}, {"sentence-similarity", eval_similarity}};

int cmd_eval(const struct args *a, struct err *err)
{
    if (a->n_pos != 1 || !a->data) {
        err_kind_set(err, ERR_USAGE, "expected one TASK and --data PATH");
        return err_hint(
            err, "semsearch eval search --data FOLDER, or eval sentence-similarity --data FILE");
    }
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
        if (strcmp(tasks[i].name, a->pos[0]) == 0)
            return tasks[i].run(a, err);
    err_kind_set(err, ERR_USAGE, "unknown task '%s'", a->pos[0]);
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
        if (str_distance(tasks[i].name, a->pos[0]) <= 4)
            return err_hint(err, "did you mean '%s'?", tasks[i].name);
    return err_hint(err, "tasks: search, sentence-similarity");
}
