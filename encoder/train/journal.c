/* journal.c - what a run tells about itself: metrics.jsonl while it goes on, training.json once.
 *
 * metrics.jsonl is written a whole line at a time. After a kill it may hold steps that the newest
 * checkpoint does not know; they are run again, so resuming first cuts the file back to the
 * checkpoint's step.
 */
#include "encoder/train/run.h"

#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_METRICS_BYTES ((size_t)1 << 30)

/* ---- metrics.jsonl ------------------------------------------------------------------------------
 */

static int write_file(const char *path, struct span text, struct err *err)
{
    struct outfile f;
    if (outfile_open(&f, path, err))
        return -1;
    outfile_write(&f, text.p, text.n);
    return outfile_commit(&f, err);
}

/* The whole lines of steps up to `last`. */
static void keep_lines(struct span text, int64_t last, struct str *out)
{
    struct span line;
    while (span_split(&text, '\n', &line)) {
        if (!text.p) /* no '\n' behind it: cut short */
            break;
        struct err ignored;
        json_value *v = js_parse(line, "metrics.jsonl", &ignored);
        if (v && js_int(js_get(v, "step"), INT64_MAX) <= last) {
            str_span(out, line);
            str_putc(out, '\n');
        }
        js_free(v);
    }
}

int journal_open(struct journal *j, const char *out, const char *from, int64_t after_step,
                 struct err *err)
{
    char *path = path_join(out, "metrics.jsonl"), *source = path_join(from, "metrics.jsonl");
    struct str old = {.max = MAX_METRICS_BYTES}, kept = {.max = MAX_METRICS_BYTES};
    int rc = 0;
    j->fd = -1;
    if (after_step >= 0 && file_exists(source)) {
        rc = file_read(source, MAX_METRICS_BYTES, &old, err);
        keep_lines(str_view(&old), after_step, &kept);
    }
    if (rc == 0)
        rc = write_file(path, str_view(&kept), err);
    if (rc == 0) {
        j->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (j->fd < 0)
            rc = err_errno(err, "cannot open '%s'", path);
    }
    str_release(&old);
    str_release(&kept);
    free(path);
    free(source);
    return rc;
}

void journal_close(struct journal *j)
{
    if (j->fd >= 0)
        close(j->fd);
    j->fd = -1;
}

static int put_line(struct journal *j, struct str *line, struct err *err)
{
    str_putc(line, '\n');
    const int rc = fd_write_all(j->fd, line->p, line->n, err);
    str_release(line);
    return rc ? err_wrap(err, "metrics.jsonl") : 0;
}

int journal_step(struct journal *j, const struct train_step *s, struct err *err)
{
    struct str line = {0};
    struct json_writer w;
    jw_init(&w, &line);
    jw_object(&w);
    jw_kint(&w, "step", s->step);
    jw_kfloat(&w, "epoch", s->epoch, 8);
    jw_kfloat(&w, "loss", s->loss, 9);
    jw_kfloat(&w, "lr", s->lr, 12);
    jw_kfloat(&w, "grad_norm", s->grad_norm, 9);
    jw_kfloat(&w, "tokens_per_s", s->tokens_per_s, 6);
    jw_end(&w);
    return put_line(j, &line, err);
}

static void write_measures(struct json_writer *w, const struct evaluation *e)
{
    jw_object(w);
    jw_kint(w, "n", e->n);
    if (isfinite(e->loss))
        jw_kfloat(w, "loss", e->loss, 9);
    for (int i = 0; i < e->n_measures; i++)
        jw_kfloat(w, e->measure[i].name, e->measure[i].value, 9);
    jw_end(w);
}

int journal_evaluation(struct journal *j, int64_t step, const struct evaluation *e, struct err *err)
{
    struct str line = {0};
    struct json_writer w;
    jw_init(&w, &line);
    jw_object(&w);
    jw_kint(&w, "step", step);
    jw_key(&w, "eval");
    write_measures(&w, e);
    jw_end(&w);
    return put_line(j, &line, err);
}

int journal_keep_data(const struct data_options *data, const char *out, struct err *err)
{
    struct map m;
    if (!data->keep)
        return 0;
    if (map_open(&m, data->file[0], err))
        return -1;
    char *path = path_join(out, data->keep);
    const int rc = write_file(path, (struct span){(const char *)m.p, m.n}, err);
    map_close(&m);
    free(path);
    return rc;
}

/* ---- training.json ------------------------------------------------------------------------------
 */

static void write_data(struct json_writer *w, const char *key, const struct dataset *d)
{
    jw_key(w, key);
    jw_array(w);
    for (size_t i = 0; d && i < d->options.n_files; i++) {
        const char *name = d->options.keep ? d->options.keep : d->options.file[i];
        char hex[33];
        hash_hex(d->hash[i], hex);
        jw_object(w);
        jw_kstring(w, "file", span_of(name));
        jw_ktext(w, "hash", hex);
        jw_end(w);
    }
    jw_end(w);
}

static void write_rates(struct json_writer *w, const struct train_options *o)
{
    static const char *const schedules[] = {"linear", "cosine", "constant"};
    jw_kfloat(w, "learning_rate", o->adamw.lr, 12);
    jw_kfloat(w, "weight_decay", o->adamw.weight_decay, 12);
    jw_kfloat(w, "adam_beta1", o->adamw.beta1, 12);
    jw_kfloat(w, "adam_beta2", o->adamw.beta2, 12);
    jw_kfloat(w, "adam_epsilon", o->adamw.eps, 12);
    jw_kfloat(w, "layer_decay", o->adamw.layer_decay, 12);
    jw_kfloat(w, "max_grad_norm", o->max_grad_norm, 12);
    jw_kfloat(w, "warmup_ratio", o->warmup_ratio, 12);
    jw_ktext(w, "lr_scheduler", schedules[o->schedule]);
}

static void write_settings(struct json_writer *w, const struct train_options *o,
                           const struct dataset *d, int64_t total, int64_t warmup)
{
    jw_key(w, "settings");
    jw_object(w);
    jw_kstring(w, "base", span_of(o->base));
    jw_kstring(w, "config", span_of(o->config_file));
    jw_kfloat(w, "epochs", o->epochs, 12);
    jw_kint(w, "max_steps", o->max_steps);
    jw_kint(w, "total_steps", total);
    jw_kint(w, "warmup_steps", warmup);
    jw_kint(w, "batch_size", o->batch_size);
    jw_kint(w, "gradient_accumulation", o->accumulation);
    jw_kint(w, "mini_batch", o->mini_batch);
    write_rates(w, o);
    jw_kint(w, "max_length", d->max_length);
    jw_kint(w, "seed", (int64_t)o->seed);
    jw_kbool(w, "shuffle", o->shuffle);
    if (o->dropout >= 0)
        jw_kfloat(w, "dropout", o->dropout, 12);
    else
        jw_knull(w, "dropout");
    jw_ktext(w, "precision", o->bf16 ? "bf16" : "fp32");
    jw_kint(w, "eval_steps", o->eval_steps);
    jw_kint(w, "save_steps", o->save_steps);
    jw_kint(w, "save_total_limit", o->save_total_limit);
    jw_kint(w, "logging_steps", o->logging_steps);
    jw_kint(w, "early_stopping", o->early_stopping);
    jw_kbool(w, "load_best", o->load_best);
    if (o->task == TASK_SENTENCE_SIMILARITY) {
        jw_ktext(w, "loss", loss_name(d->loss));
        jw_kfloat(w, "scale", o->losses.scale, 9);
        jw_kfloat(w, "margin", o->losses.margin, 9);
        jw_kbool(w, "symmetric", o->losses.symmetric);
        jw_key(w, "matryoshka");
        jw_array(w);
        for (int i = 0; i < o->losses.n_matryoshka; i++)
            jw_int(w, o->losses.matryoshka[i]);
        jw_end(w);
        jw_kstring(w, "teacher", span_of(o->teacher));
    }
    if (o->task == TASK_FILL_MASK || o->task == TASK_PRETRAINING) {
        jw_kfloat(w, "mlm_probability", o->data.mask_probability, 9);
        jw_kbool(w, "whole_word", o->data.whole_word);
    }
    jw_key(w, "freeze");
    jw_array(w);
    for (size_t i = 0; i < o->n_freeze; i++)
        jw_text(w, o->freeze[i]);
    jw_end(w);
    jw_end(w);
}

static void write_report(struct json_writer *w, const struct train_report *r)
{
    jw_key(w, "result");
    jw_object(w);
    jw_kint(w, "steps", r->steps);
    jw_kfloat(w, "loss", r->loss, 9);
    jw_kfloat(w, "seconds", r->seconds, 6);
    jw_kfloat(w, "tokens_per_s", r->tokens_per_s, 6);
    jw_kint(w, "tokens", r->tokens);
    jw_kint(w, "rows_skipped", r->rows_skipped);
    if (r->best_step)
        jw_kint(w, "best_step", r->best_step);
    if (r->evaluated) {
        jw_key(w, "eval");
        write_measures(w, &r->after);
    }
    if (r->compared) {
        jw_key(w, "eval_before");
        write_measures(w, &r->before);
        jw_kint(w, "better", r->verdict.better);
        jw_key(w, "difference_95");
        jw_array(w);
        jw_float(w, r->verdict.low, 9);
        jw_float(w, r->verdict.high, 9);
        jw_end(w);
    }
    jw_end(w);
}

int journal_settings(const struct train_options *o, const struct dataset *d,
                     const struct dataset *eval, const struct learner *l, int64_t total_steps,
                     int64_t warmup, const struct train_report *report, struct err *err)
{
    struct str text = {0};
    struct json_writer w;
    int n_labels = 0;
    const char *const *label = learner_labels(l, &n_labels);
    jw_init(&w, &text);
    jw_object(&w);
    jw_kint(&w, "schema", 1);
    jw_ktext(&w, "task", train_task_name(o->task));
    jw_ktext(&w, "version", o->version);
    jw_kstring(&w, "command", span_of(o->command));
    write_data(&w, "data", d);
    write_data(&w, "eval_data", eval);
    jw_kint(&w, "rows", d->rows);
    jw_kint(&w, "examples", d->n);
    jw_key(&w, "labels");
    jw_array(&w);
    for (int i = 0; i < n_labels; i++)
        jw_text(&w, label[i]);
    jw_end(&w);
    write_settings(&w, o, d, total_steps, warmup);
    if (report)
        write_report(&w, report);
    jw_end(&w);
    str_putc(&text, '\n');
    char *path = path_join(o->out, "training.json");
    const int rc = write_file(path, str_view(&text), err);
    free(path);
    str_release(&text);
    return rc;
}
