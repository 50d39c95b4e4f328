/* predict.c - inputs through a head: tokenised by all workers, run in batches, made into
 * predictions; see predict.h. */
#include "encoder/model/predict.h"

#include "encoder/model/encode.h"
#include "src/base/stop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WAVE_INPUTS = 1024, WAVE_BYTES = 4 << 20 };

static const struct predict_kind *const kinds[HEAD_KINDS] = {[HEAD_SEQUENCE] = &predict_classes,
                                                             [HEAD_TOKEN] = &predict_words,
                                                             [HEAD_SPAN] = &predict_answer,
                                                             [HEAD_MLM] = &predict_masks,
                                                             [HEAD_NSP] = &predict_next};

void predict_defaults(struct predict_options *o)
{
    *o = (struct predict_options){
        .top = 5, .max_answer_length = 30, .doc_stride = 128, .max_query_length = 64};
}

void prediction_release(struct prediction *p)
{
    free(p->score);
    free(p->entity);
    free(p->tag);
    free(p->word);
    *p = (struct prediction){0};
}

bool model_regression(const struct model *m)
{
    return m->config.problem == PROBLEM_REGRESSION;
}

const char *model_task(const struct model *m)
{
    return head_task(m->head);
}

/* ---- for the kinds ------------------------------------------------------------------------------
 */

void work_token(struct work *w, int id, int type)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 64;
        w->id = xrealloc_array(w->id, (size_t)w->cap, sizeof *w->id);
        w->type = xrealloc_array(w->type, (size_t)w->cap, sizeof *w->type);
    }
    w->id[w->n] = id;
    w->type[w->n++] = type;
}

struct window *work_window(struct work *w)
{
    VEC_GROW(w->win, w->n_win, w->cap_win);
    w->win[w->n_win] = (struct window){.at = w->n};
    return &w->win[w->n_win++];
}

static int keep_special(int *list, int *n, int id)
{
    if (*n == 8)
        return -1;
    list[(*n)++] = id;
    return 0;
}

/* Reads the template off an encoding: what lies before, between and after the tokens of the texts.
 */
int frame_of(const struct model *m, bool pair, struct frame_ids *f, struct err *err)
{
    struct encoding e = {0};
    const struct span x = span_of("a");
    *f = (struct frame_ids){0};
    int rc =
        tokenizer_encode(m->tokenizer, x, pair ? &x : NULL, &(struct tokenize_options){0}, &e, err);
    int seen = 0;
    for (int i = 0; i < e.n && !rc; i++) {
        if (e.segment[i]) {
            seen = e.segment[i];
            f->second = seen == 2 ? e.type[i] : f->second;
        } else if (seen == 0) {
            rc = keep_special(f->pre, &f->n_pre, e.id[i]);
        } else if (seen == 1 && pair) {
            f->mid_type[f->n_mid & 7] = e.type[i];
            rc = keep_special(f->mid, &f->n_mid, e.id[i]);
        } else {
            rc = keep_special(f->post, &f->n_post, e.id[i]);
        }
        if (rc)
            err_kind_set(err, ERR_FORMAT, "the tokenizer's template has too many special tokens");
    }
    encoding_release(&e);
    return rc;
}

int softmax_row(const float *z, int n, double *p)
{
    int best = 0;
    double sum = 0;
    for (int i = 1; i < n; i++)
        best = z[i] > z[best] ? i : best;
    for (int i = 0; i < n; i++)
        sum += p[i] = exp((double)z[i] - (double)z[best]);
    for (int i = 0; i < n; i++)
        p[i] /= sum;
    return best;
}

/* ---- a wave -------------------------------------------------------------------------------------
 */

struct flow {
    struct encoder *e;
    const struct predict_kind *kind;
    struct work *work;
    struct run_sequence *seq; /* of the run: window `window[i]` of work `owner[i]` */
    int *owner, *window;
    struct failure failure;
    atomic_size_t first_failed;
};

static void read_item(void *ctx, int item, int worker)
{
    struct flow *f = ctx;
    struct err err = {0};
    if (failure_seen(&f->failure))
        return;
    if (stop_requested())
        err_kind_set(&err, ERR_STOPPED, "stopped");
    else if (f->kind->read(&f->work[item], encoder_scratch(f->e, worker), &err) == 0)
        return;
    bool no = false;
    if (atomic_compare_exchange_strong(&f->failure.set, &no, true)) {
        f->failure.err = err;
        atomic_store(&f->first_failed, (size_t)item);
    }
}

static void take_item(void *ctx, int item, const struct seq_output *o)
{
    struct flow *f = ctx;
    struct work *w = &f->work[f->owner[item]];
    f->kind->take(w, &w->win[f->window[item]], o);
}

/* Runs the windows collected so far. */
static int run_windows(struct flow *f, int *n, struct err *err)
{
    const int rc = runner_run(encoder_runner(f->e), f->seq, *n, 0, take_item, f, err);
    *n = 0;
    return rc;
}

static int run_wave(struct flow *f, int n_work, struct err *err)
{
    int n = 0, rc = 0;
    for (int i = 0; i < n_work && !rc; i++) {
        struct work *w = &f->work[i];
        for (int k = 0; k < w->n_win && !rc; k++) {
            const struct window *win = &w->win[k];
            f->owner[n] = i;
            f->window[n] = k;
            f->seq[n++] = (struct run_sequence){.id = w->id + win->at,
                                                .type = w->type + win->at,
                                                .n = win->n,
                                                .pick = w->pick,
                                                .n_pick = w->n_pick};
            if (n == RUN_SEQUENCES)
                rc = run_windows(f, &n, err);
        }
    }
    return rc ? rc : run_windows(f, &n, err);
}

static void release_work(struct work *w)
{
    for (int k = 0; k < w->n_win; k++)
        free(w->win[k].z);
    free(w->win);
    free(w->id);
    free(w->type);
    free(w->word);
    free(w->pick);
    encoding_release(&w->text);
    *w = (struct work){0};
}

static int predict_wave(struct flow *f, const struct predict_input *in, int n,
                        const struct predict_options *o, struct prediction *out, struct err *err)
{
    const struct model *m = encoder_runner(f->e)->model;
    for (int i = 0; i < n; i++)
        f->work[i] = (struct work){.model = m, .options = o, .in = &in[i], .out = &out[i]};
    pool_run(encoder_runner(f->e)->pool, n, read_item, f);
    int rc = 0;
    if (failure_seen(&f->failure)) {
        if (err)
            *err = f->failure.err;
        rc = -1;
    }
    if (!rc)
        rc = run_wave(f, n, err);
    for (int i = 0; i < n && !rc; i++)
        f->kind->finish(&f->work[i]);
    for (int i = 0; i < n; i++)
        release_work(&f->work[i]);
    return rc;
}

static size_t input_bytes(const struct predict_input *in)
{
    size_t sum = in->text.n + in->pair.n;
    for (size_t i = 0; i < in->n_words; i++)
        sum += in->word[i].n;
    return sum;
}

int encoder_predict(struct encoder *e, const struct predict_input *in, size_t n,
                    const struct predict_options *o, struct prediction *out, size_t *failed,
                    struct err *err)
{
    const struct model *m = encoder_runner(e)->model;
    struct flow f = {.e = e, .kind = kinds[m->head]};
    memset(out, 0, n * sizeof *out);
    if (failed)
        *failed = n;
    if (!f.kind)
        return err_kind_set(err, ERR_USAGE, "the model '%s' was not opened for a head",
                            m->info.name);
    f.work = xcalloc(WAVE_INPUTS, sizeof *f.work);
    f.seq = xcalloc(RUN_SEQUENCES, sizeof *f.seq);
    f.owner = xcalloc(2 * RUN_SEQUENCES, sizeof *f.owner);
    f.window = f.owner + RUN_SEQUENCES;
    int rc = 0;
    for (size_t done = 0; done < n && !rc;) {
        size_t wave = 0, bytes = 0;
        while (done + wave < n && wave < WAVE_INPUTS && (wave == 0 || bytes < WAVE_BYTES))
            bytes += input_bytes(&in[done + wave++]);
        rc = predict_wave(&f, in + done, (int)wave, o, out + done, err);
        if (rc && failed && failure_seen(&f.failure))
            *failed = done + atomic_load(&f.first_failed);
        done += wave;
    }
    for (size_t i = 0; i < n && rc; i++)
        prediction_release(&out[i]);
    free(f.work);
    free(f.seq);
    free(f.owner);
    return rc;
}
