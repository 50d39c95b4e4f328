/* cmd_train.c - `semsearch train TASK`. */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/train_files.h"

#include <stdlib.h>
#include <string.h>

/* Also of a run that was stopped: its curves so far. */
static int plot(const struct args *a, const struct train_options *o, const char *dir, int rc,
                struct err *err)
{
    struct err failed = {0};
    if (!a->train.plot || !dir || (rc && err->kind != ERR_STOPPED))
        return rc;
    if (train_plot(dir, a->train.plot, train_task_name(o->task), &failed) == 0)
        return rc;
    if (rc == 0)
        *err = failed;
    return -1;
}

static int run(const struct args *a, struct train_options *o, struct err *err)
{
    struct train_report r;
    struct bar bar;
    bar_init(&bar, a);
    const struct train_sink sink = train_show(&bar);
    int rc = train_run(o, &sink, &r, err);
    bar_end(&bar);
    char *dir = train_out_dir(o->out, o->resume);
    rc = plot(a, o, dir, rc, err);
    if (rc == 0)
        train_report_out(a, o, &r, dir);
    free(dir);
    train_report_release(&r);
    return rc;
}

static int train_words(const struct args *a, struct err *err)
{
    const struct train_args *t = &a->train;
    struct tokenizer_train_options o;
    struct bar bar;
    tokenizer_train_defaults(&o);
    if (t->vocab_size >= 0)
        o.vocab_size = (int)t->vocab_size;
    if (t->min_frequency >= 0)
        o.min_frequency = (int)t->min_frequency;
    o.lowercase = t->lowercase;
    if (a->max_length)
        o.max_length = (int)a->max_length;
    if (train_check_out(t->out, t->overwrite, err))
        return -1;
    bar_init(&bar, a);
    o.progress = &bar.sink;
    const int rc = tokenizer_train(t->data.item, t->data.n, &o, t->out, err);
    bar_end(&bar);
    if (rc)
        return -1;
    struct tokenizer *made;
    if (model_open_tokenizer(t->out, &made, err))
        return -1;
    struct str out = {0};
    if (a->json || a->jsonl) {
        struct json_writer w;
        json_begin(&w, &out);
        jw_ktext(&w, "task", "tokenizer");
        jw_kstring(&w, "out", span_of(t->out));
        jw_kint(&w, "vocab", tokenizer_vocab_size(made));
        json_finish(&w);
    } else {
        str_printf(&out, "%d tokens in %s\n", tokenizer_vocab_size(made), t->out);
    }
    out_str(&out);
    tokenizer_free(made);
    return 0;
}

static int unknown_task(const char *name, struct err *err)
{
    const char *best = NULL;
    int distance = 5;
    for (int i = 0; i <= TASK_PRETRAINING; i++) {
        const int d = str_distance(name, train_task_name((enum train_task)i));
        if (d < distance) {
            distance = d;
            best = train_task_name((enum train_task)i);
        }
    }
    err_kind_set(err, ERR_USAGE, "unknown task '%s'", name);
    if (best)
        return err_hint(err, "did you mean '%s'?", best);
    return err_hint(err, "tasks: sentence-similarity, text-classification, token-classification, "
                         "question-answering, fill-mask, pretraining, tokenizer");
}

static int usage(struct err *err, const char *what, const char *hint)
{
    err_kind_set(err, ERR_USAGE, "%s", what);
    return err_hint(err, "%s", hint);
}

static int train_model(const struct args *a, enum train_task task, struct err *err)
{
    struct train_options o;
    struct registry_entry base = {0}, teacher = {0};
    struct str command = {0};
    struct mined mined = {0};
    struct judged_folder *judged = NULL;
    train_defaults(&o, task);
    train_typed(a, &command);
    o.command = command.p;
    int rc = train_settings(a, &o, err);
    if (rc == 0)
        rc = train_beginning(a, &o, &base, err);
    if (rc == 0 && a->train.teacher)
        rc = registry_resolve(a->train.teacher, &teacher, err);
    o.teacher = teacher.path;
    if (rc == 0)
        rc = train_judged(a, &o, &judged, err);
    if (rc == 0)
        rc = train_mine(a, &o, &mined, err);
    if (rc == 0)
        rc = run(a, &o, err);
    mined_release(&mined);
    judged_folder_free(judged);
    registry_entry_release(&base);
    registry_entry_release(&teacher);
    str_release(&command);
    return rc;
}

int cmd_train(const struct args *a, struct err *err)
{
    const struct train_args *t = &a->train;
    enum train_task task = TASK_SENTENCE_SIMILARITY;
    if (a->n_pos != 1)
        return usage(err, a->n_pos ? "expected one TASK" : "no TASK",
                     "semsearch train TASK --data FILE --out DIR; `semsearch train --help`");
    const bool words = strcmp(a->pos[0], "tokenizer") == 0;
    if (!words && !train_task_find(a->pos[0], &task))
        return unknown_task(a->pos[0], err);
    if (t->data.n == 0) {
        err_kind_set(err, ERR_USAGE, "no data (--data FILE)");
        return t->resume ? train_resume_hint(t->resume, err)
                         : err_hint(err, "semsearch train %s --data FILE --out DIR", a->pos[0]);
    }
    if (!t->out && !t->resume)
        return usage(err, "no folder to write to (--out DIR)",
                     "the model, its checkpoints and metrics.jsonl go there");
    return words ? train_words(a, err) : train_model(a, task, err);
}
