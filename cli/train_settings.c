/* train_settings.c - options of `semsearch train` to a run; see train_files.h. */
#include "cli/train_files.h"
#include "src/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int train_settings(const struct args *a, struct train_options *o, struct err *err)
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

int train_beginning(const struct args *a, struct train_options *o, struct registry_entry *entry,
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

void train_typed(const struct args *a, struct str *out)
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
