/* cmd_eval.c - `semsearch eval TASK --data PATH`: scores on labelled data. */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/output.h"
#include "cli/place.h"
#include "cli/registry.h"
#include "cli/train_files.h"
#include "encoder/train/train.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/base/thread.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tasks of training
 * ---------------------------------------------------------------------------------------------- */

static void task_json(const struct args *a, const char *model, const struct evaluation *v)
{
    struct str out = {0};
    struct json_writer w;
    json_begin(&w, &out);
    jw_ktext(&w, "task", a->pos[0]);
    jw_ktext(&w, "model", model);
    jw_kint(&w, "examples", v->n);
    jw_kfloat(&w, "loss", v->loss, 6);
    for (int i = 0; i < v->n_measures; i++)
        jw_kfloat(&w, v->measure[i].name, v->measure[i].value, 6);
    json_finish(&w);
    out_str(&out);
}

static void task_text(const char *model, const struct evaluation *v)
{
    struct str out = {0};
    str_printf(&out, "%s, %lld examples:", model, (long long)v->n);
    if (isfinite(v->loss))
        str_printf(&out, " loss %.4f%s", v->loss, v->n_measures ? "," : "");
    for (int i = 0; i < v->n_measures; i++) {
        const struct measure *m = &v->measure[i];
        const bool count = m->value >= 1 && m->value == floor(m->value);
        str_printf(&out, "%s %s %.*f", i ? "," : "", m->name, count ? 0 : 4, m->value);
    }
    str_putc(&out, '\n');
    out_str(&out);
}

static void show_phase(void *ctx, const struct progress *p)
{
    struct bar *bar = ctx;
    bar->sink.update(bar->sink.ctx, p);
}

/* By the same readers and measures that score a model while it is trained. */
static int eval_task(const struct args *a, struct err *err)
{
    struct registry_entry from = {0};
    struct data_options data;
    struct evaluation v = {0};
    struct bar bar;
    enum train_task task;
    if (!train_task_find(a->pos[0], &task))
        return err_kind_set(err, ERR_USAGE, "unknown task '%s'", a->pos[0]);
    if (a->precision && strcmp(a->precision, "fp32") != 0 && strcmp(a->precision, "auto") != 0)
        return err_kind_set(err, ERR_USAGE, "eval %s computes in fp32 only", a->pos[0]);
    data_defaults(&data);
    if (train_data_settings(a, &data, err))
        return -1;
    data.file = &a->data;
    data.n_files = 1;
    if (registry_resolve(a->model, &from, err))
        return -1;
    bar_init(&bar, a);
    const struct train_sink sink = {.phase = show_phase, .ctx = &bar};
    const int threads = a->threads ? (int)a->threads : thread_default_count();
    const int rc = train_evaluate(from.path, task, &data, a->pooling ? a->pooling : from.pooling,
                                  threads, &sink, &v, err);
    bar_end(&bar);
    if (rc == 0 && (a->json || a->jsonl))
        task_json(a, from.name, &v);
    else if (rc == 0)
        task_text(from.name, &v);
    evaluation_release(&v);
    registry_entry_release(&from);
    return rc;
}

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

static int score_similarity(const struct args *a, const struct table *t, struct err *err)
{
    struct engine e = {0};
    double *gold = xcalloc(t->n_rows, sizeof *gold), *ours = xcalloc(t->n_rows, sizeof *ours);
    int rc = 0;
    for (size_t i = 0; i < t->n_rows && rc == 0; i++)
        rc = table_number(t, i, 2, "score", &gold[i], err);
    if (rc == 0)
        rc = engine_open(a, a->model, &e, err);
    if (rc == 0)
        rc = cosines(t, &e, ours, err);
    if (rc == 0)
        similarity_report(a, &e, t->n_rows, spearman(ours, gold, t->n_rows),
                          pearson(ours, gold, t->n_rows));
    free(gold);
    free(ours);
    engine_close(&e);
    return rc;
}

/* Pairs with a score are compared here, in any precision; the other data of training (pairs that
 * belong together, labels 0 and 1) by the measures of training. */
static int eval_similarity(const struct args *a, struct err *err)
{
    static const char *const columns[] = {"sentence1", "sentence2", "score", "label", "anchor"};
    const struct table_request q = {.wanted = columns,
                                    .n_wanted = 5,
                                    .rename = a->columns.item,
                                    .n_rename = a->columns.n,
                                    .skip_bad_rows = a->train.skip_bad_rows};
    struct table t;
    if (table_load(a->data, &q, &t, err))
        return -1;
    const bool other = t.has[4] || (t.has[3] && !t.has[2]);
    table_release(&t);
    if (other)
        return eval_task(a, err);
    const struct table_request scored = {.wanted = columns,
                                         .n_wanted = 3,
                                         .n_required = 3,
                                         .rename = a->columns.item,
                                         .n_rename = a->columns.n,
                                         .skip_bad_rows = a->train.skip_bad_rows};
    if (table_load(a->data, &scored, &t, err))
        return -1;
    const int rc = score_similarity(a, &t, err);
    table_release(&t);
    return rc;
}

/* ---- search
 * ------------------------------------------------------------------------------------------------------
 */

static const char *const mode_names[] = {
    [SEARCH_HYBRID] = "hybrid", [SEARCH_VECTOR] = "vector", [SEARCH_KEYWORD] = "keyword"};
static const enum search_mode mode_order[] = {SEARCH_KEYWORD, SEARCH_VECTOR, SEARCH_HYBRID};

/* The model that is measured, and whether questions go through an index's query adapter. */
struct searching {
    struct engine engine;
    bool adapted;
};

static void search_json(const struct searching *s, const struct evaluate_report *r, struct str *out)
{
    struct json_writer w;
    json_begin(&w, out);
    jw_ktext(&w, "task", "search");
    jw_ktext(&w, "model", s->engine.from.name);
    jw_kbool(&w, "adapter", s->adapted);
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

static void search_text_report(const struct searching *s, const struct evaluate_report *r,
                               struct str *out)
{
    str_printf(out, "%s%s: %lld queries over %lld documents\n\n", s->engine.from.name,
               s->adapted ? ", questions through the query adapter" : "", (long long)r->queries,
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

/* With --index: the model of that index and what `tune` taught it of questions, in the precision of
 * all measures (fp32), so that runs with and without it differ in nothing else. */
static int open_searching(const struct args *a, struct searching *s, struct err *err)
{
    struct args with = *a;
    struct place p;
    struct store *store;
    if (!a->index)
        return engine_open(a, a->model, &s->engine, err) || engine_embedder(&s->engine, err) ? -1
                                                                                             : 0;
    if (place_open(a, STORE_READ, NULL, &p, &store, err))
        return -1;
    if (!with.precision)
        with.precision = "fp32";
    const int rc = engine_of_index(&with, store, &s->engine, err);
    if (rc == 0) {
        s->adapted = engine_adapt(&s->engine, p.index_dir);
        if (!s->adapted)
            note("this index has no query adapter of the model '%s'", s->engine.from.name);
    }
    store_close(store);
    place_release(&p);
    return rc;
}

static int eval_search(const struct args *a, struct err *err)
{
    struct searching s = {0};
    struct evaluate_report r = {0};
    struct bar bar;
    char *scratch = scratch_folder(err);
    if (!scratch)
        return -1;
    const struct evaluate_options o = {
        .data = a->data, .qrels = a->qrels, .run = a->run, .scratch = scratch, .chunk = a->chunk};
    int rc = open_searching(a, &s, err);
    bar_init(&bar, a);
    if (rc == 0)
        rc = evaluate_search(&o, s.engine.embedder, &bar.sink, &r, err);
    bar_end(&bar);
    if (rc == 0) {
        struct str out = {0};
        if (a->json || a->jsonl)
            search_json(&s, &r, &out);
        else
            search_text_report(&s, &r, &out);
        out_str(&out);
    }
    engine_close(&s.engine);
    if (dir_remove_tree(scratch, NULL))
        note("cannot remove the scratch folder '%s'", scratch);
    free(scratch);
    return rc;
}

static const struct {
    const char *name;
    int (*run)(const struct args *a, struct err *err);
} tasks[] = {{"search", eval_search},
             {"sentence-similarity", eval_similarity},
             {"text-classification", eval_task},
             {"token-classification", eval_task},
             {"question-answering", eval_task},
             {"fill-mask", eval_task},
             {"pretraining", eval_task}};

int cmd_eval(const struct args *a, struct err *err)
{
    if (a->n_pos != 1 || !a->data) {
        err_kind_set(err, ERR_USAGE, "expected one TASK and --data PATH");
        return err_hint(
            err, "semsearch eval search --data FOLDER, or eval text-classification --data FILE");
    }
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
        if (strcmp(tasks[i].name, a->pos[0]) == 0)
            return tasks[i].run(a, err);
    err_kind_set(err, ERR_USAGE, "unknown task '%s'", a->pos[0]);
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
        if (str_distance(tasks[i].name, a->pos[0]) <= 4)
            return err_hint(err, "did you mean '%s'?", tasks[i].name);
    return err_hint(err, "tasks: search, sentence-similarity, text-classification, "
                         "token-classification, question-answering, fill-mask, pretraining");
}
