/* cmd_tune.c - `semsearch tune`: better search from a folder alone.
 *
 * Pairs are made from the indexed documents (index/tune/pairs.h), a share of the documents is held
 * out, and something is trained on the rest: a map of questions over the vectors that are there
 * (seconds), or with --full the encoder itself. Then the held-out questions are asked before and
 * after, and the new state is taken only when search is better beyond what chance explains.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/output.h"
#include "cli/place.h"
#include "encoder/train/train.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    QUESTIONS_MAX = 400,
    QUESTIONS_MIN = 30, /* fewer tell nothing */
    PASSAGES_MAX = 3000,
    PAIRS_MAX = 6000, /* that are trained on */
    PAIRS_MIN = 100,
    SEED = 42,
    N_MODES = 3
};
#define HELD_SHARE 0.2

struct tune {
    const struct args *a;
    struct place place;
    struct store *store;
    struct engine engine; /* its embedder is the bare model's */
    struct bar bar;
    struct pair_list pairs;
    const struct pair **train; /* [n_train] those that are trained on */
    size_t n_train;
    char *scratch;
    struct held_report held;
    uint64_t *group; /* [held.questions] */
    struct evaluate_report before, after;
    double *ndcg_before, *ndcg_after; /* [held.questions * N_MODES] */
    struct verdict verdict[N_MODES];
    bool measured, better, switched;
    char *model; /* --full: the new model's folder */
    double started_ms;
};

static void tune_release(struct tune *t)
{
    free(t->train);
    free(t->group);
    free(t->ndcg_before);
    free(t->ndcg_after);
    free(t->model);
    pair_list_release(&t->pairs);
    engine_close(&t->engine);
    store_close(t->store);
    place_release(&t->place);
    if (t->scratch && dir_remove_tree(t->scratch, NULL))
        note("cannot remove the scratch folder '%s'", t->scratch);
    free(t->scratch);
}

/* ---- the index ---- */

/* DIR's index, or the one that --index or the current folder names. */
static int open_place(struct tune *t, struct err *err)
{
    struct args with = *t->a;
    char *dir = NULL, *found = NULL;
    if (t->a->n_pos > 1) {
        err_kind_set(err, ERR_USAGE, "expected at most one DIR");
        return err_hint(err, "semsearch tune ~/notes");
    }
    if (t->a->n_pos == 1 && !t->a->index) {
        dir = path_absolute(t->a->pos[0], err);
        if (!dir)
            return err_hint(err, "give a folder that exists");
        found = place_above(dir);
        if (!found) {
            err_kind_set(err, ERR_NO_INDEX, "there is no index at or above '%s'", t->a->pos[0]);
            free(dir);
            return err_hint(err, "semsearch index '%s' makes one", t->a->pos[0]);
        }
        with.index = found;
    }
    const int rc = place_open(&with, STORE_READ, NULL, &t->place, &t->store, err);
    free(dir);
    free(found);
    return rc;
}

/* ---- pairs ---- */

static int by_draw(const void *a, const void *b)
{
    const struct pair *x = *(const struct pair *const *)a, *y = *(const struct pair *const *)b;
    const uint64_t hx = hash64_seed(x->anchor, strlen(x->anchor), SEED);
    const uint64_t hy = hash64_seed(y->anchor, strlen(y->anchor), SEED);
    return hx < hy ? -1 : hx > hy;
}

static int collect(struct tune *t, struct err *err)
{
    const struct pairs_options o = {.seed = SEED, .held_share = HELD_SHARE};
    if (pairs_collect(t->store, &o, &t->bar.sink, &t->pairs, err))
        return -1;
    t->train = xcalloc(t->pairs.n + 1, sizeof *t->train);
    for (size_t i = 0; i < t->pairs.n; i++)
        if (!t->pairs.item[i].held)
            t->train[t->n_train++] = &t->pairs.item[i];
    qsort(t->train, t->n_train, sizeof *t->train, by_draw);
    t->n_train = t->n_train < PAIRS_MAX ? t->n_train : PAIRS_MAX;
    return 0;
}

/* anchor, positive and kind, one pair a line: what `train sentence-similarity` reads. */
static int write_pairs(const struct tune *t, const char *path, bool all, struct err *err)
{
    struct outfile f;
    struct str s = {0};
    if (outfile_open(&f, path, err))
        return -1;
    str_puts(&s, "anchor\tpositive\tkind\theld_out\n");
    const size_t n = all ? t->pairs.n : t->n_train;
    for (size_t i = 0; i < n; i++) {
        const struct pair *p = all ? &t->pairs.item[i] : t->train[i];
        str_printf(&s, "%s\t%s\t%s\t%d\n", p->anchor, p->passage, pair_kind_name(p->kind), p->held);
        outfile_write(&f, s.p, s.n);
        str_clear(&s);
    }
    str_release(&s);
    return outfile_commit(&f, err);
}

/* ---- the map of questions ---- */

static int embed_side(const struct tune *t, bool anchors, float *out, struct err *err)
{
    struct embedder *e = t->engine.embedder;
    enum { PART = 512 }; /* so that stop and progress are seen */
    struct span text[PART];
    for (size_t at = 0; at < t->n_train; at += PART) {
        const size_t n = t->n_train - at < PART ? t->n_train - at : PART;
        const struct progress p = {.done = (int64_t)at,
                                   .total = (int64_t)t->n_train,
                                   .phase = anchors ? "embedding questions" : "embedding passages"};
        t->bar.sink.update(t->bar.sink.ctx, &p);
        for (size_t i = 0; i < n; i++)
            text[i] = span_of(anchors ? t->train[at + i]->anchor : t->train[at + i]->passage);
        if (stop_requested())
            return err_kind_set(err, ERR_STOPPED, "stopped");
        if (e->embed(e, text, n, anchors ? EMBED_QUERY : EMBED_PASSAGE, out + at * (size_t)e->dim,
                     NULL, err))
            return -1;
    }
    return 0;
}

/* *out stays NULL when no map was better than none on the pairs that chose it. */
static int train_map(const struct tune *t, struct adapter **out, struct err *err)
{
    const int dim = t->engine.embedder->dim;
    const size_t floats = t->n_train * (size_t)dim;
    float *q = xcalloc(floats, sizeof *q), *p = xcalloc(floats, sizeof *p);
    float *d = xcalloc((size_t)dim * (size_t)dim, sizeof *d);
    uint64_t *group = xcalloc(t->n_train, sizeof *group);
    struct query_map_options o;
    struct query_map_report r;
    query_map_defaults(&o);
    for (size_t i = 0; i < t->n_train; i++)
        group[i] = (uint64_t)t->train[i]->doc;
    int rc = embed_side(t, true, q, err);
    if (rc == 0)
        rc = embed_side(t, false, p, err);
    if (rc == 0)
        rc = query_map_train(q, p, group, t->n_train, dim, &o, d, &r, err);
    if (rc == 0 && r.epoch > 0)
        *out = adapter_new(t->engine.embedder->fingerprint, dim, d);
    free(q);
    free(p);
    free(d);
    free(group);
    return rc;
}

/* ---- measuring ---- */

static int make_scratch(struct tune *t, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = path_join(tmp && *tmp ? tmp : "/tmp", "semsearch-tune-XXXXXX");
    if (!mkdtemp(dir)) {
        err_errno(err, "cannot make a scratch folder '%s'", dir);
        err_hint(err, "set TMPDIR to a folder with room");
        free(dir);
        return -1;
    }
    t->scratch = dir;
    char *data = path_join(dir, "data");
    const int rc =
        held_write(&t->pairs, data, QUESTIONS_MAX, PASSAGES_MAX, SEED, &t->held, &t->group, err);
    free(data);
    return rc;
}

static int open_bench(const struct tune *t, const char *name, struct embedder *e,
                      struct evaluation_bench **out, struct err *err)
{
    char *data = path_join(t->scratch, "data"), *index = path_join(t->scratch, name);
    const struct evaluate_options o = {.data = data, .scratch = index};
    const int rc = evaluate_open(&o, e, &t->bar.sink, out, err);
    free(data);
    free(index);
    return rc;
}

/* One mode's figures, question by question; evaluation_release() would free the groups too. */
static struct evaluation figures(const struct tune *t, const double *ndcg, size_t mode)
{
    const size_t n = t->held.questions;
    struct evaluation e = {.group = t->group, .n_units = n, .n_measures = 1};
    e.unit = xcalloc(n, sizeof *e.unit);
    e.measure[0].name = "ndcg@10";
    for (size_t i = 0; i < n; i++) {
        e.unit[i] = ndcg[i * N_MODES + mode];
        e.measure[0].value += e.unit[i] / (double)n;
    }
    return e;
}

static void compare(struct tune *t)
{
    t->measured = true;
    for (size_t mode = 0; mode < N_MODES; mode++) {
        const struct evaluation before = figures(t, t->ndcg_before, mode),
                                after = figures(t, t->ndcg_after, mode);
        evaluation_compare(&before, &after, SEED, &t->verdict[mode]);
        free(before.unit);
        free(after.unit);
    }
    t->better = t->verdict[SEARCH_HYBRID].better > 0 && t->verdict[SEARCH_VECTOR].better >= 0;
}

/* As search is now, with the map that the index may have already. */
static int measure_before(struct tune *t, struct evaluation_bench *b, struct err *err)
{
    struct embedder *e = t->engine.embedder;
    struct adapter *have;
    if (adapter_load(t->place.index_dir, e->fingerprint, e->dim, &have, NULL) < 0)
        note("the query adapter of this index is damaged; measured without it");
    if (!have)
        return evaluate_ask(b, e, &t->before, &t->ndcg_before, err);
    struct embedder *with = adapter_embedder(e, false, have);
    const int rc = evaluate_ask(b, with, &t->before, &t->ndcg_before, err);
    with->close(with);
    return rc;
}

/* ---- first rung ---- */

/* Puts the map in place; from then on every query goes through it. */
static int switch_map(struct tune *t, const struct adapter *a, struct embedder *with,
                      struct err *err)
{
    struct store *s;
    if (store_open(t->place.index_dir, STORE_WRITE, &t->bar.sink, &s, err))
        return -1;
    int rc = adapter_save(t->place.index_dir, a, err);
    if (rc == 0)
        rc = search_calibrate(s, with, err);
    store_close(s);
    t->switched = rc == 0;
    return rc;
}

static int tune_map(struct tune *t, struct err *err)
{
    struct adapter *map = NULL;
    struct evaluation_bench *bench = NULL;
    struct embedder *with = NULL;
    int rc = train_map(t, &map, err);
    if (rc == 0)
        rc = open_bench(t, "index", t->engine.embedder, &bench, err);
    if (rc == 0)
        rc = measure_before(t, bench, err);
    with = map ? adapter_embedder(t->engine.embedder, false, map) : NULL;
    if (rc == 0 && with)
        rc = evaluate_ask(bench, with, &t->after, &t->ndcg_after, err);
    if (rc == 0 && with)
        compare(t);
    if (rc == 0 && t->better)
        rc = switch_map(t, map, with, err);
    evaluate_close(bench);
    if (with)
        with->close(with);
    return rc;
}

/* ---- the encoder itself ---- */

static void on_step(void *ctx, const struct train_step *s)
{
    const struct tune *t = ctx;
    const struct progress p = {.done = s->step, .total = s->total, .phase = "training"};
    t->bar.sink.update(t->bar.sink.ctx, &p);
}

static char *model_folder(const struct tune *t, struct err *err)
{
    char *data = xdg_data_dir(err), *out = NULL;
    for (int i = 1; data && (!out || file_exists(out)); i++) {
        free(out);
        out = xasprintf("%s/tuned/%s-%d", data, t->engine.from.name, i);
    }
    free(data);
    return out;
}

static int train_encoder(struct tune *t, struct err *err)
{
    char *file = path_join(t->scratch, "pairs.tsv");
    const char *files[] = {file};
    struct train_options o;
    struct train_report r = {0};
    const struct train_sink sink = {.step = on_step, .ctx = t};
    train_defaults(&o, TASK_SENTENCE_SIMILARITY);
    o.data.file = files;
    o.data.n_files = 1;
    o.data.max_length = 256;
    o.base = t->engine.from.path;
    o.pooling = t->engine.from.pooling;
    o.epochs = 1;
    o.batch_size = 64;
    o.out = t->model;
    o.threads = t->engine.threads;
    int rc = write_pairs(t, file, false, err);
    if (rc == 0)
        rc = train_run(&o, &sink, &r, err);
    train_report_release(&r);
    free(file);
    return rc;
}

static int measure_model(struct tune *t, struct err *err)
{
    struct engine e = {0};
    struct evaluation_bench *b = NULL;
    int rc = open_bench(t, "before", t->engine.embedder, &b, err);
    if (rc == 0)
        rc = measure_before(t, b, err);
    evaluate_close(b);
    b = NULL;
    if (rc == 0)
        rc = engine_open(t->a, t->model, &e, err);
    if (rc == 0)
        rc = engine_embedder(&e, err);
    if (rc == 0)
        rc = open_bench(t, "after", e.embedder, &b, err);
    if (rc == 0)
        rc = evaluate_ask(b, e.embedder, &t->after, &t->ndcg_after, err);
    evaluate_close(b);
    engine_close(&e);
    if (rc == 0)
        compare(t);
    return rc;
}

static int tune_full(struct tune *t, struct err *err)
{
    t->model = model_folder(t, err);
    if (!t->model || train_encoder(t, err))
        return -1;
    return measure_model(t, err);
}

/* The index is embedded anew with the better model: what `index --reembed` does. */
static int switch_model(const struct tune *t, struct err *err)
{
    const char *root[] = {t->place.root};
    struct args again = *t->a;
    again.model = t->model;
    again.index = t->place.index_dir;
    again.reembed = true;
    again.pos = root;
    again.n_pos = 1;
    again.json = again.jsonl = false;
    again.dry_run = false;
    note("embedding all passages anew with '%s'; until then search goes on as before", t->model);
    return cmd_index(&again, err);
}

/* ---- report ---- */

static const char *const mode_names[N_MODES] = {
    [SEARCH_HYBRID] = "hybrid", [SEARCH_VECTOR] = "vector", [SEARCH_KEYWORD] = "keyword"};

static void report_json(const struct tune *t, struct str *out)
{
    struct json_writer w;
    json_begin(&w, out);
    jw_kint(&w, "documents", t->pairs.documents);
    jw_kint(&w, "held_out_documents", t->pairs.held_documents);
    jw_key(&w, "found");
    jw_object(&w);
    for (int k = 0; k < PAIR_KINDS; k++)
        jw_kint(&w, pair_kind_name((enum pair_kind)k), t->pairs.found[k]);
    jw_end(&w);
    jw_key(&w, "left_out");
    jw_object(&w);
    jw_kint(&w, "common", t->pairs.common);
    jw_kint(&w, "near_duplicate", t->pairs.near);
    jw_kint(&w, "across", t->pairs.across);
    jw_end(&w);
    jw_kint(&w, "trained_on", (int64_t)t->n_train);
    jw_kint(&w, "questions", (int64_t)t->held.questions);
    jw_kint(&w, "passages", (int64_t)t->held.passages);
    jw_key(&w, "ndcg@10");
    if (!t->measured)
        jw_null(&w);
    else
        jw_object(&w);
    for (int m = 0; t->measured && m < N_MODES; m++) {
        jw_key(&w, mode_names[m]);
        jw_object(&w);
        jw_kfloat(&w, "before", t->verdict[m].before, 6);
        jw_kfloat(&w, "after", t->verdict[m].after, 6);
        jw_kfloat(&w, "low", t->verdict[m].low, 6);
        jw_kfloat(&w, "high", t->verdict[m].high, 6);
        jw_end(&w);
    }
    if (t->measured)
        jw_end(&w);
    jw_kbool(&w, "better", t->better);
    jw_kbool(&w, "switched", t->switched);
    jw_ktext(&w, "model", t->model);
    jw_kfloat(&w, "seconds", (clock_ms() - t->started_ms) / 1000, 6);
    json_finish(&w);
}

static void report_pairs(const struct tune *t, struct str *out)
{
    str_printf(out, "%lld documents, %lld of them held out; pairs:", (long long)t->pairs.documents,
               (long long)t->pairs.held_documents);
    for (int k = 0; k < PAIR_KINDS; k++)
        if (t->pairs.found[k])
            str_printf(out, " %lld %s", (long long)t->pairs.found[k],
                       pair_kind_name((enum pair_kind)k));
    str_printf(out,
               "\nleft out: %lld with an anchor of several passages, %lld near duplicates, %lld "
               "across the two sides\n",
               (long long)t->pairs.common, (long long)t->pairs.near, (long long)t->pairs.across);
}

static void report_text(const struct tune *t, struct str *out)
{
    report_pairs(t, out);
    if (t->a->dry_run) {
        str_printf(out, "would train on %zu pairs, measure with %zu questions over %zu passages\n",
                   t->n_train, t->held.questions, t->held.passages);
        return;
    }
    str_printf(out, "trained on %zu pairs, measured with %zu questions over %zu passages\n\n",
               t->n_train, t->held.questions, t->held.passages);
    if (!t->measured) {
        str_puts(out, "no map of questions was better than none on the documents kept aside; "
                      "nothing is changed\n");
        return;
    }
    str_puts(out, "nDCG@10  before   after    difference (95 % interval)\n");
    for (int m = 0; m < N_MODES; m++) {
        const struct verdict *v = &t->verdict[m];
        str_printf(out, "%-7s  %.4f   %.4f   %+.4f (%+.4f to %+.4f)\n", mode_names[m], v->before,
                   v->after, v->after - v->before, v->low, v->high);
    }
    if (t->better)
        str_printf(out, "\nbetter: %s\n",
                   t->model ? "the index takes the new model"
                            : "queries now go through the new map (`semsearch tune --remove` "
                              "takes it away)");
    else
        str_puts(out, t->verdict[SEARCH_HYBRID].better < 0 || t->verdict[SEARCH_VECTOR].better < 0
                          ? "\nworse: nothing is changed\n"
                          : "\nno difference that these documents can show: nothing is changed\n");
    if (t->model && !t->better)
        str_printf(out, "the trained model stays in '%s'\n", t->model);
}

static void report(const struct tune *t)
{
    struct str out = {0};
    if (t->a->json || t->a->jsonl)
        report_json(t, &out);
    else
        report_text(t, &out);
    out_str(&out);
}

/* ---- the command ---- */

static int remove_map(struct tune *t, struct err *err)
{
    struct store *s; /* the writer's lock; and the background of plain questions comes back */
    if (store_open(t->place.index_dir, STORE_WRITE, &t->bar.sink, &s, err))
        return -1;
    int removed = adapter_remove(t->place.index_dir, err);
    if (removed > 0 && search_calibrate(s, t->engine.embedder, err))
        removed = -1;
    store_close(s);
    if (removed < 0)
        return -1;
    note(removed ? "removed; queries are the model's own again"
                 : "this index has no query adapter");
    return removed ? EXIT_FOUND : EXIT_NOTHING;
}

static int too_few(const struct tune *t, struct err *err)
{
    err_kind_set(err, ERR_NOT_FOUND,
                 "too little to learn from: %zu pairs to train on (at least %d), %zu questions to "
                 "measure with (at least %d)",
                 t->n_train, PAIRS_MIN, t->held.questions, QUESTIONS_MIN);
    return err_hint(err, "index more documents that have titles and headings");
}

static int run(struct tune *t, struct err *err)
{
    if (open_place(t, err) || engine_of_index(t->a, t->store, &t->engine, err))
        return -1;
    if (t->a->remove)
        return remove_map(t, err);
    if (collect(t, err) || make_scratch(t, err))
        return -1;
    if (t->a->pairs && write_pairs(t, t->a->pairs, true, err))
        return -1;
    if (t->a->dry_run) {
        bar_end(&t->bar);
        report(t);
        return EXIT_FOUND;
    }
    if (t->n_train < PAIRS_MIN || t->held.questions < QUESTIONS_MIN)
        return too_few(t, err);
    if ((t->a->full ? tune_full(t, err) : tune_map(t, err)))
        return -1;
    bar_end(&t->bar);
    report(t);
    return t->better && t->model ? switch_model(t, err) : EXIT_FOUND;
}

int cmd_tune(const struct args *a, struct err *err)
{
    struct tune t = {.a = a, .started_ms = clock_ms()};
    bar_init(&t.bar, a);
    const int rc = run(&t, err);
    bar_end(&t.bar);
    tune_release(&t);
    return rc;
}
