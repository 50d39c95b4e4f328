/* tune_model.c - `semsearch tune --full`: the encoder itself learns; see tune.h. */
#include "cli/commands.h"
#include "cli/train_files.h"
#include "cli/tune.h"
#include "src/base/file.h"
#include "src/base/hash.h"
#include "src/base/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TOLD_AFTER = 3, /* updates, by which what is left can be told */
    WORTH_TELLING = 20
};

static void on_step(void *ctx, const struct train_step *s)
{
    struct tune *t = ctx;
    const struct progress p = {.done = s->step, .total = s->total, .phase = "training"};
    t->bar.sink.update(t->bar.sink.ctx, &p);
    if (++t->updates != TOLD_AFTER || s->seconds_left < WORTH_TELLING)
        return;
    char line[120];
    snprintf(line, sizeof line,
             "training takes about %.0f %s more; Ctrl-C saves, the same command then goes on",
             s->seconds_left < 120 ? s->seconds_left : s->seconds_left / 60,
             s->seconds_left < 120 ? "seconds" : "minutes");
    t->bar.sink.note(t->bar.sink.ctx, line);
}

/* One folder for one model and set of pairs: a run that was interrupted is found again, and one
 * that has ended is not trained twice. */
static char *model_folder(const struct tune *t, struct err *err)
{
    struct hasher *h = hasher_new();
    char hex[33];
    hasher_text(h, span_of(t->engine.embedder->fingerprint));
    for (size_t i = 0; i < t->n_train; i++) {
        hasher_text(h, span_of(t->train[i]->anchor));
        hasher_text(h, span_of(t->train[i]->passage));
    }
    hash_hex(hasher_finish(h), hex);
    char *data = xdg_data_dir(err);
    char *out = data ? xasprintf("%s/tuned/%s-%.8s", data, t->engine.from.name, hex) : NULL;
    free(data);
    return out;
}

static bool holds(const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);
    bool found = false;
    for (struct dirent *e; d && !found && (e = readdir(d));)
        found = span_starts(span_of(e->d_name), prefix);
    if (d)
        closedir(d);
    return found;
}

static void recipe(const struct tune *t, struct train_options *o)
{
    const int window = model_info(t->engine.model)->max_tokens;
    train_defaults(o, TASK_SENTENCE_SIMILARITY);
    o->data.max_length = window < 256 ? window : 256;
    o->base = t->engine.from.path;
    o->pooling = t->engine.from.pooling;
    o->epochs = 1;
    o->batch_size = 64;
    o->save_steps = 25;
    o->save_total_limit = 1;
    o->threads = t->engine.threads;
    o->version = train_version();
    if (holds(t->model, "checkpoint-"))
        o->resume = t->model;
    else
        o->out = t->model;
    o->overwrite = !o->resume;
}

static int train_encoder(struct tune *t, struct err *err)
{
    char *file = path_join(t->scratch, "pairs.tsv");
    const char *files[] = {file};
    struct train_options o;
    struct train_report r = {0};
    const struct train_sink sink = {.step = on_step, .ctx = t};
    recipe(t, &o);
    o.data.file = files;
    o.data.n_files = 1;
    if (o.resume)
        note("going on with the training in '%s'", t->model);
    int rc = tune_write_pairs(t, file, false, err);
    if (rc == 0)
        rc = train_run(&o, &sink, &r, err);
    if (rc && err->kind == ERR_STOPPED)
        err_hint(err, "the same command goes on from there");
    train_report_release(&r);
    free(file);
    return rc;
}

static int measure_model(struct tune *t, struct err *err)
{
    struct engine e = {0};
    struct evaluation_bench *b = NULL;
    int rc = tune_bench(t, "before", t->engine.embedder, &b, err);
    if (rc == 0)
        rc = tune_measure_before(t, b, err);
    evaluate_close(b);
    b = NULL;
    if (rc == 0)
        rc = engine_open(t->a, t->model, &e, err);
    if (rc == 0)
        rc = engine_embedder(&e, err);
    if (rc == 0)
        rc = tune_bench(t, "after", e.embedder, &b, err);
    if (rc == 0)
        rc = evaluate_ask(b, e.embedder, &t->after, &t->ndcg_after, err);
    evaluate_close(b);
    engine_close(&e);
    if (rc == 0)
        tune_compare(t);
    return rc;
}

int tune_model(struct tune *t, struct err *err)
{
    t->model = model_folder(t, err);
    if (!t->model)
        return -1;
    if (holds(t->model, "config.json"))
        note("already trained on these pairs: '%s'", t->model);
    else if (train_encoder(t, err))
        return -1;
    return measure_model(t, err);
}

/* The index is embedded anew with the better model: what `index --reembed` does. */
int tune_model_switch(struct tune *t, struct err *err)
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
