/* prepare_data.c - the data of a run: read, fitted to the model, and what of it was seen before;
 * see run.h. */
#include "encoder/train/run.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

static void tell_skipped(const struct run *r, const struct dataset *d, const char *which)
{
    if (d->skipped)
        run_note(r->sink, "%s: %lld bad row%s left out%s: %s", which, (long long)d->skipped,
                 d->skipped == 1 ? "" : "s", d->skipped == 1 ? "" : ", the first",
                 d->first_skipped.msg);
}

static int read_evaluation_data(struct run *r, struct err *err)
{
    const struct train_options *o = r->o;
    struct data_options eo = o->data;
    if (o->n_eval_files == 0 && !o->eval_judged)
        return 0;
    r->has_eval = true;
    eo.keep = NULL;
    if (o->eval_judged) {
        dataset_judged(&r->eval, &eo, o->eval_judged);
        return 0;
    }
    eo.file = o->eval_file;
    eo.n_files = o->n_eval_files;
    /* the evaluation data may be of another kind than the training data: pairs with scores for a
     * model trained on positives */
    if (dataset_read(&r->eval, o->task, &eo, TRAIN_LOSS_AUTO, o->teacher != NULL, err))
        return -1;
    if (r->eval.regression != r->data.regression)
        return err_kind_set(err, ERR_FORMAT,
                            "the labels of '%s' are numbers, those of the %s data are classes",
                            r->eval.regression ? o->eval_file[0] : o->data.file[0],
                            r->eval.regression ? "training" : "evaluation");
    return 0;
}

int run_read_data(struct run *r, struct err *err)
{
    const struct train_options *o = r->o;
    if (dataset_read(&r->data, o->task, &o->data, o->loss, o->teacher != NULL, err))
        return -1;
    if (o->task == TASK_SENTENCE_SIMILARITY &&
        (o->teacher != NULL) != (r->data.loss == LOSS_EMBEDDING_MSE))
        return err_kind_set(err, ERR_USAGE, "--teacher and --loss %s do not go together",
                            loss_name(o->teacher ? r->data.loss : LOSS_EMBEDDING_MSE));
    return read_evaluation_data(r, err);
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void name_row(const struct dataset *d, size_t row, bool more, struct str *out)
{
    struct span text = d->text[row * (size_t)d->columns];
    for (text.n = text.n < 60 ? text.n : 60; text.n && (text.p[text.n - 1] & 0x80);)
        text.n--; /* not in the middle of a character */
    str_puts(out, more ? "; " : "");
    if (d->origin)
        str_printf(out, "%s, line %lld", d->options.file[d->origin[row].file],
                   (long long)d->origin[row].line);
    else
        str_printf(out, "'%.*s'", (int)text.n, text.p);
}

/* Held-out rows whose texts were trained on say nothing about new texts. */
static void find_shared(struct run *r)
{
    const struct dataset *d = &r->data, *e = &r->eval;
    r->report->shared_rows = -1;
    if (!r->has_eval || !d->key || !e->key)
        return;
    const size_t n = d->n_items * (size_t)d->columns, c = (size_t)e->columns;
    uint64_t *key = xcalloc(n + 1, sizeof *key);
    memcpy(key, d->key, n * sizeof *key);
    qsort(key, n, sizeof *key, by_value);
    const size_t rows = e->n_items - e->n_pool;
    size_t shared = 0, named = 0;
    struct str names = {0};
    for (size_t i = 0; i < rows; i++) {
        bool hit = false;
        for (size_t k = 0; k < c; k++)
            hit |= bsearch(&e->key[i * c + k], key, n, sizeof *key, by_value) != NULL;
        shared += hit;
        if (hit && named++ < 3)
            name_row(e, i, named > 1, &names);
    }
    r->report->shared_rows = (int64_t)shared;
    if (shared)
        run_note(r->sink,
                 "warning: %zu of %zu rows of the evaluation data share a text with the training "
                 "data (%s): what is measured on them is no evidence about new texts",
                 shared, rows, names.p);
    str_release(&names);
    free(key);
}

/* Without unanswerable questions a model never learns to give no answer. */
static bool always_answers(const struct dataset *d)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (d->question[i].n_answers == 0)
            return false;
    return true;
}

/* Classes by the model's order, which is the base's when its head was kept. */
static int settle_labels(struct run *r, struct err *err)
{
    int n;
    if (r->o->task == TASK_QUESTION_ANSWERING)
        learner_set_always_answers(r->learner, always_answers(&r->data));
    const char *const *label = learner_labels(r->learner, &n);
    if (r->data.regression ||
        (r->o->task != TASK_TEXT_CLASSIFICATION && r->o->task != TASK_TOKEN_CLASSIFICATION))
        return 0;
    if (dataset_use_labels(&r->data, label, n, err))
        return -1;
    return r->has_eval ? dataset_use_labels(&r->eval, label, n, err) : 0;
}

static int tokenise(struct run *r, struct err *err)
{
    const struct tokenizer *t = learner_tokenizer(r->learner);
    const int window = learner_info(r->learner)->max_tokens;
    if (dataset_tokenise(&r->data, t, window, r->pool, err))
        return -1;
    if (r->data.n_cut)
        run_note(r->sink, "%lld texts reach %d tokens; longer ones are cut%s",
                 (long long)r->data.n_cut, r->data.max_length,
                 r->o->task == TASK_QUESTION_ANSWERING ? " into windows" : "");
    if (r->data.n_lonely)
        run_note(
            r->sink,
            "%lld of %zu documents have one sentence (line) only: they cannot be first parts of "
            "a pair",
            (long long)r->data.n_lonely, r->data.n_items);
    return r->has_eval ? dataset_tokenise(&r->eval, t, window, r->pool, err) : 0;
}

int run_fit_data(struct run *r, struct err *err)
{
    if (settle_labels(r, err) || tokenise(r, err))
        return -1;
    tell_skipped(r, &r->data, "training data");
    tell_skipped(r, &r->eval, "evaluation data");
    find_shared(r);
    return 0;
}
