/* train_report.c - what `semsearch train` shows: progress on a terminal, and the report; see
 * train_files.h. */
#include "cli/train_files.h"
#include "src/base/clock.h"

#include <math.h>
#include <stdio.h>

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
    struct bar *bar = ctx;
    const double now = clock_ms();
    if (!bar->on || (now - bar->drawn_ms < 100 && s->step != s->total))
        return;
    enum { WIDTH = 10 }; /* what matters less stands where a narrow terminal cuts */
    const int full = (int)(WIDTH * s->step / s->total);
    char left[24], line[256];
    left_text(s->seconds_left, left);
    snprintf(line, sizeof line,
             "step %lld/%lld [%.*s%.*s] %s left, loss %.4f, lr %.1e, %.0f tokens/s",
             (long long)s->step, (long long)s->total, full, "##########", WIDTH - full,
             "..........", left, s->loss, s->lr, s->tokens_per_s);
    bar_line(bar, line);
}

static void show_phase(void *ctx, const struct progress *p)
{
    struct bar *bar = ctx;
    bar->sink.update(bar->sink.ctx, p);
}

static void show_note(void *ctx, const char *line)
{
    struct bar *bar = ctx;
    bar->sink.note(bar->sink.ctx, line);
}

struct train_sink train_show(struct bar *bar)
{
    return (struct train_sink){
        .step = show_step, .phase = show_phase, .note = show_note, .ctx = bar};
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

void train_report_out(const struct args *a, const struct train_options *o,
                      const struct train_report *r, const char *out_dir)
{
    struct str out = {0};
    tell_beginning(r, o);
    if (a->json || a->jsonl)
        report_json(o, r, out_dir, &out);
    else
        report_text(r, out_dir, &out);
    out_str(&out);
}
