/* cmd_train.c - `semsearch train TASK`: options to a run, its progress on a terminal, its report.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/output.h"
#include "cli/train_files.h"
#include "encoder/train/train.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- options ------------------------------------------------------------------------------------
 */

static int usage(struct err *err, const char *what, const char *hint)
{
    err_kind_set(err, ERR_USAGE, "%s", what);
    return err_hint(err, "%s", hint);
}

static void set_real(double *to, double given)
{
    if (given >= 0)
        *to = given;
}

static void set_int(int *to, int64_t given)
{
    if (given >= 0)
        *to = (int)given;
}

static void set_long(int64_t *to, int64_t given)
{
    if (given >= 0)
        *to = given;
}

/* "0:5" */
static int score_scale(const char *text, struct data_options *o, struct err *err)
{
    char *end;
    if (!text)
        return 0;
    o->score_low = strtod(text, &end);
    if (end != text && *end == ':') {
        const char *high = end + 1;
        o->score_high = strtod(high, &end);
        if (end != high && !*end && isfinite(o->score_low) && isfinite(o->score_high) &&
            o->score_low < o->score_high)
            return 0;
    }
    err_kind_set(err, ERR_USAGE, "'%s' is no value for --score-scale", text);
    return err_hint(err, "expected LOW:HIGH, such as 0:5");
}

/* "384,256,128" */
static int matryoshka(const char *text, struct loss_options *o, struct err *err)
{
    struct span rest = span_of(text), piece;
    while (span_split(&rest, ',', &piece)) {
        char number[24], *end;
        snprintf(number, sizeof number, "%.*s", (int)(piece.n < 23 ? piece.n : 23), piece.p);
        const long v = strtol(number, &end, 10);
        if (end == number || *end || v < 1 || v > 1 << 20 || o->n_matryoshka == MATRYOSHKA_MAX) {
            err_kind_set(err, ERR_USAGE, "'%s' is no value for --matryoshka", text);
            return err_hint(err, "expected up to %d widths, such as 384,256,128,64",
                            MATRYOSHKA_MAX);
        }
        o->matryoshka[o->n_matryoshka++] = (int)v;
    }
    return 0;
}

static int loss_settings(const struct train_args *t, struct train_options *o, struct err *err)
{
    static const char *const distances[] = {"euclidean", "cosine", "manhattan"};
    enum loss_kind kind;
    if (t->loss && loss_find(t->loss, &kind))
        o->loss = (int)kind;
    o->losses.margin = t->margin >= 0 ? (float)t->margin : -1;
    if (t->scale >= 0)
        o->losses.scale = (float)t->scale;
    o->losses.symmetric = t->symmetric;
    o->losses.mask_duplicates = t->mask_duplicates;
    for (size_t i = 0; t->distance && i < ARRAY_LEN(distances); i++)
        if (strcmp(distances[i], t->distance) == 0)
            o->losses.distance = (enum loss_distance)i;
    return matryoshka(t->matryoshka, &o->losses, err);
}

static void rates(const struct train_args *t, struct train_options *o)
{
    static const char *const schedules[] = {"linear", "cosine", "constant"};
    set_real(&o->epochs, t->epochs);
    set_real(&o->adamw.lr, t->learning_rate);
    set_real(&o->adamw.weight_decay, t->weight_decay);
    set_real(&o->adamw.beta1, t->beta1);
    set_real(&o->adamw.beta2, t->beta2);
    set_real(&o->adamw.eps, t->epsilon);
    set_real(&o->adamw.layer_decay, t->layer_decay);
    set_real(&o->warmup_ratio, t->warmup_ratio);
    set_real(&o->max_grad_norm, t->max_grad_norm);
    set_real(&o->dropout, t->dropout);
    for (size_t i = 0; t->lr_scheduler && i < ARRAY_LEN(schedules); i++)
        if (strcmp(schedules[i], t->lr_scheduler) == 0)
            o->schedule = (enum schedule_kind)i;
}

static void counts(const struct train_args *t, struct train_options *o)
{
    set_long(&o->max_steps, t->max_steps);
    set_int(&o->batch_size, t->batch_size);
    set_int(&o->accumulation, t->accumulation);
    set_int(&o->mini_batch, t->mini_batch);
    set_long(&o->logging_steps, t->logging_steps);
    set_long(&o->eval_steps, t->eval_steps);
    set_long(&o->save_steps, t->save_steps);
    set_int(&o->save_total_limit, t->save_total_limit);
    set_int(&o->early_stopping, t->early_stopping);
    set_int(&o->save_max_length, t->save_max_length);
    if (t->seed >= 0)
        o->seed = (uint64_t)t->seed;
    o->load_best = t->load_best;
    o->shuffle = !t->no_shuffle;
    o->freeze = t->freeze.item;
    o->n_freeze = t->freeze.n;
}

int train_data_settings(const struct args *a, struct data_options *o, struct err *err)
{
    const struct train_args *t = &a->train;
    o->file = t->data.item;
    o->n_files = t->data.n;
    o->rename = a->columns.item;
    o->n_rename = a->columns.n;
    o->labels = t->labels;
    set_int(&o->column, t->column);
    o->skip_bad_rows = t->skip_bad_rows;
    o->max_length = (int)a->max_length;
    set_int(&o->doc_stride, t->doc_stride);
    set_int(&o->max_query_length, t->max_query_length);
    set_real(&o->mask_probability, t->mlm_probability);
    o->whole_word = t->whole_word;
    return score_scale(t->score_scale, o, err);
}

/* Options that only some tasks have. */
static int check_task(const struct args *a, enum train_task task, struct err *err)
{
    const struct train_args *t = &a->train;
    const struct {
        bool given;
        const char *option;
        unsigned tasks;
    } rows[] = {
        {t->loss || t->matryoshka || t->symmetric || t->score_scale || t->scale >= 0 ||
             t->margin >= 0 || t->distance || t->mine_negatives >= 0 || t->mask_duplicates,
         "the options of losses over embeddings", 1u << TASK_SENTENCE_SIMILARITY},
        {t->teacher, "--teacher", 1u << TASK_SENTENCE_SIMILARITY | 1u << TASK_FILL_MASK},
        {t->labels, "--labels", 1u << TASK_TEXT_CLASSIFICATION | 1u << TASK_TOKEN_CLASSIFICATION},
        {t->column >= 0, "--column", 1u << TASK_TOKEN_CLASSIFICATION},
        {t->doc_stride >= 0 || t->max_query_length >= 0, "--doc-stride and --max-query-length",
         1u << TASK_QUESTION_ANSWERING},
        {t->mlm_probability >= 0 || t->whole_word, "--mlm-probability and --whole-word",
         1u << TASK_FILL_MASK | 1u << TASK_PRETRAINING},
        {t->vocab_size >= 0 || t->min_frequency >= 0 || t->lowercase,
         "--vocab-size, --min-frequency and --lowercase", 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].given && !(rows[i].tasks >> task & 1)) {
            err_kind_set(err, ERR_USAGE, "%s: not for %s", rows[i].option, train_task_name(task));
            return err_hint(err, "`semsearch train --help` says which task each option is for");
        }
    return 0;
}

static int precision(const struct args *a, struct train_options *o, struct err *err)
{
    if (!a->precision || strcmp(a->precision, "fp32") == 0 || strcmp(a->precision, "auto") == 0)
        return 0;
    if (strcmp(a->precision, "bf16") == 0) {
        o->bf16 = true;
        return 0;
    }
    return usage(err, "int8 is no precision to train in", "use fp32, or bf16 where the CPU has it");
}

/* Where weights begin: `entry` is filled when it is a base. */
static int beginning(const struct args *a, struct train_options *o, struct registry_entry *entry,
                     struct err *err)
{
    const struct train_args *t = &a->train;
    if (t->init && t->base)
        return usage(err, "--base and --init random exclude each other",
                     "a base model has weights; --init random begins from a shape alone");
    if (t->init && (!t->config || !t->tokenizer))
        return usage(err, "--init random needs --config FILE and --tokenizer DIR",
                     "semsearch train tokenizer makes one from plain text");
    if (!t->init && (t->config || t->tokenizer))
        return usage(err, "--config and --tokenizer are for --init random",
                     "a base model brings its own");
    o->config_file = t->config;
    o->tokenizer_dir = t->tokenizer;
    if (t->init)
        return 0;
    if (registry_resolve(t->base, entry, err))
        return -1;
    o->base = entry->path;
    o->pooling = entry->pooling;
    return 0;
}

/* The command as it was typed, for messages and training.json. */
static void typed(const struct args *a, struct str *out)
{
    str_puts(out, "semsearch train");
    for (int i = 0; i < a->n_words; i++) {
        const char *w = a->word[i];
        const bool plain =
            *w && strspn(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "_-+=.,:/@%") == strlen(w);
        str_putc(out, ' ');
        if (plain) {
            str_puts(out, w);
            continue;
        }
        str_putc(out, '\'');
        for (; *w; w++)
            if (*w == '\'')
                str_puts(out, "'\\''");
            else
                str_putc(out, *w);
        str_putc(out, '\'');
    }
}

/* ---- progress -----------------------------------------------------------------------------------
 */

struct show {
    struct bar bar;
};

static void left_text(double seconds, char out[24])
{
    const long s = seconds > 0 && seconds < 1e7 ? (long)(seconds + .5) : 0;
    if (s >= 3600)
        snprintf(out, 24, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 24, "%ld:%02ld", s / 60, s % 60);
}

static void show_step(void *ctx, const struct train_step *s)
{
    struct show *w = ctx;
    const double now = clock_ms();
    if (!w->bar.on || (now - w->bar.drawn_ms < 100 && s->step != s->total))
        return;
    enum { WIDTH = 10 }; /* what matters less stands where a narrow terminal cuts */
    const int full = (int)(WIDTH * s->step / s->total);
    char left[24], line[256];
    left_text(s->seconds_left, left);
    snprintf(line, sizeof line,
             "step %lld/%lld [%.*s%.*s] %s left, loss %.4f, lr %.1e, %.0f tokens/s",
             (long long)s->step, (long long)s->total, full, "##########", WIDTH - full,
             "..........", left, s->loss, s->lr, s->tokens_per_s);
    bar_line(&w->bar, line);
}

static void show_phase(void *ctx, const struct progress *p)
{
    struct show *w = ctx;
    w->bar.sink.update(w->bar.sink.ctx, p);
}

static void show_note(void *ctx, const char *line)
{
    struct show *w = ctx;
    w->bar.sink.note(w->bar.sink.ctx, line);
}

/* ---- report -------------------------------------------------------------------------------------
 */

static void json_measures(struct json_writer *w, const struct evaluation *e)
{
    jw_object(w);
    jw_kint(w, "n", e->n);
    if (isfinite(e->loss))
        jw_kfloat(w, "loss", e->loss, 6);
    for (int i = 0; i < e->n_measures; i++)
        jw_kfloat(w, e->measure[i].name, e->measure[i].value, 6);
    jw_end(w);
}

static const char *verdict_word(const struct verdict *v)
{
    return v->better > 0 ? "better" : v->better < 0 ? "worse" : "no difference";
}

static void report_json(const struct train_options *o, const struct train_report *r,
                        const char *out_dir, struct str *out)
{
    struct json_writer w;
    json_begin(&w, out);
    jw_ktext(&w, "task", train_task_name(o->task));
    jw_kstring(&w, "out", span_of(out_dir));
    jw_kint(&w, "steps", r->steps);
    jw_kint(&w, "rows", r->rows);
    jw_kint(&w, "rows_skipped", r->rows_skipped);
    jw_kint(&w, "tokens", r->tokens);
    jw_kfloat(&w, "loss", r->loss, 6);
    jw_kfloat(&w, "seconds", r->seconds, 6);
    jw_kfloat(&w, "tokens_per_s", r->tokens_per_s, 6);
    jw_kint(&w, "parameters", r->parameters);
    jw_kbool(&w, "new_head", r->new_head);
    if (r->best_step)
        jw_kint(&w, "best_step", r->best_step);
    if (r->evaluated) {
        jw_key(&w, "eval");
        json_measures(&w, &r->after);
        if (r->shared_rows >= 0)
            jw_kint(&w, "shared_rows", r->shared_rows);
    }
    if (r->compared) {
        jw_key(&w, "eval_before");
        json_measures(&w, &r->before);
        jw_ktext(&w, "verdict", verdict_word(&r->verdict));
        jw_kfloat(&w, "difference", r->verdict.after - r->verdict.before, 6);
        jw_key(&w, "difference_95");
        jw_array(&w);
        jw_float(&w, r->verdict.low, 6);
        jw_float(&w, r->verdict.high, 6);
        jw_end(&w);
    }
    json_finish(&w);
}

static void report_measures(const struct evaluation *e, struct str *out)
{
    for (int i = 0; i < e->n_measures; i++) {
        const double v = e->measure[i].value;
        str_printf(out, v == floor(v) && fabs(v) >= 2 ? "%s%s %.0f" : "%s%s %.4f", i ? ", " : "",
                   e->measure[i].name, v);
    }
}

static void report_verdict(const struct train_report *r, struct str *out)
{
    const struct verdict *v = &r->verdict;
    str_printf(out, "%s %.4f before, %.4f after: ", r->after.measure[r->after.main].name, v->before,
               v->after);
    const char *said = v->better > 0   ? "the new model is better"
                       : v->better < 0 ? "the new model is WORSE"
                                       : "no difference that this data can show";
    styled(out, v->better > 0 ? STYLE_GOOD : v->better < 0 ? STYLE_BAD : STYLE_BOLD, span_of(said));
    str_printf(out, " (difference %+.4f, 95%% interval %+.4f to %+.4f)\n", v->after - v->before,
               v->low, v->high);
}

static void report_text(const struct train_report *r, const char *out_dir, struct str *out)
{
    str_printf(out, "%lld step%s over %lld rows in %.1f s, %.0f tokens/s; last loss %.4f\n",
               (long long)r->steps, r->steps == 1 ? "" : "s", (long long)r->rows, r->seconds,
               r->tokens_per_s, r->loss);
    if (r->best_step)
        str_printf(out, "best evaluation: step %lld\n", (long long)r->best_step);
    if (r->evaluated) {
        str_puts(out, "evaluation: ");
        report_measures(&r->after, out);
        str_putc(out, '\n');
    }
    if (r->compared)
        report_verdict(r, out);
    str_puts(out, "model: ");
    styled(out, STYLE_PATH, span_of(out_dir));
    str_putc(out, '\n');
}

static void tell_beginning(const struct train_report *r, const struct train_options *o)
{
    if (r->new_head && o->base)
        note("a new head was made for the labels of the data");
    if (r->rows_moved)
        note("%lld times a row met its own text in a batch and went to a later one",
             (long long)r->rows_moved);
    if (!o->n_eval_files && !o->eval_judged && o->task == TASK_SENTENCE_SIMILARITY)
        note("without --eval-data nothing says whether the new model is better");
}

/* ---- the command --------------------------------------------------------------------------------
 */

static int run(const struct args *a, struct train_options *o, struct err *err)
{
    struct train_report r;
    struct show show;
    bar_init(&show.bar, a);
    const struct train_sink sink = {
        .step = show_step, .phase = show_phase, .note = show_note, .ctx = &show};
    int rc = train_run(o, &sink, &r, err);
    bar_end(&show.bar);
    char *out_dir = train_out_dir(o->out, o->resume);
    if (rc == 0)
        tell_beginning(&r, o);
    if (a->train.plot && out_dir && (rc == 0 || err->kind == ERR_STOPPED)) {
        struct err plot_err = {0};
        if (train_plot(out_dir, a->train.plot, train_task_name(o->task), &plot_err)) {
            if (rc == 0)
                *err = plot_err;
            rc = -1;
        }
    }
    if (rc == 0) {
        struct str out = {0};
        if (a->json || a->jsonl)
            report_json(o, &r, out_dir, &out);
        else
            report_text(&r, out_dir, &out);
        out_str(&out);
    }
    free(out_dir);
    train_report_release(&r);
    return rc;
}

static int train_words(const struct args *a, struct err *err)
{
    const struct train_args *t = &a->train;
    struct tokenizer_train_options o;
    struct bar bar;
    tokenizer_train_defaults(&o);
    set_int(&o.vocab_size, t->vocab_size);
    set_int(&o.min_frequency, t->min_frequency);
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

static int settings(const struct args *a, struct train_options *o, struct err *err)
{
    const struct train_args *t = &a->train;
    o->out = t->out;
    o->resume = t->resume;
    o->overwrite = t->overwrite;
    o->eval_file = t->eval_data.item;
    o->n_eval_files = t->eval_data.n;
    o->threads = (int)(a->threads ? a->threads : thread_default_count());
    o->version = train_version();
    rates(t, o);
    counts(t, o);
    return check_task(a, o->task, err) || train_data_settings(a, &o->data, err) ||
                   loss_settings(t, o, err) || precision(a, o, err)
               ? -1
               : 0;
}

int cmd_train(const struct args *a, struct err *err)
{
    const struct train_args *t = &a->train;
    enum train_task task;
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
    if (words)
        return train_words(a, err);
    struct train_options o;
    struct registry_entry base = {0}, teacher = {0};
    struct str command = {0};
    struct mined mined = {0};
    struct judged_folder *judged = NULL;
    train_defaults(&o, task);
    typed(a, &command);
    o.command = command.p;
    int rc = settings(a, &o, err);
    if (rc == 0)
        rc = beginning(a, &o, &base, err);
    if (rc == 0 && t->teacher)
        rc = registry_resolve(t->teacher, &teacher, err);
    o.teacher = teacher.path;
    if (rc == 0)
        rc = train_judged(a, &o, &judged, err);
    if (rc == 0 && t->mine_margin >= 0 && t->mine_negatives < 0)
        rc = usage(err, "--mine-margin is for --mine-negatives", "semsearch train --help");
    if (rc == 0 && t->mine_negatives >= 0)
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
