/* predict_answer.c - extractive question answering: the span of the context with the largest sum of
 * start and end logits, over all windows of a long context.
 *
 * As run_squad of BERT and its followers: windows of question and context overlap by the stride; a
 * span lies inside the context and has at most max_answer_length tokens; "no answer" scores the sum
 * at the first token ([CLS]), the smallest over the windows (Devlin et al. 2019, 4.3).
 */
#include "encoder/model/predict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_MAX = 384 }; /* what such models are trained with */

static void add_window(struct work *w, const struct frame_ids *f, const int *ask, int n_ask,
                       int from, int to)
{
    struct window *win = work_window(w);
    for (int i = 0; i < f->n_pre; i++)
        work_token(w, f->pre[i], 0);
    for (int i = 0; i < n_ask; i++)
        work_token(w, ask[i], 0);
    for (int i = 0; i < f->n_mid; i++)
        work_token(w, f->mid[i], f->mid_type[i]);
    win->first = w->n - win->at;
    win->from = from;
    win->to = to;
    for (int i = from; i < to; i++)
        work_token(w, w->text.id[i], f->second);
    for (int i = 0; i < f->n_post; i++)
        work_token(w, f->post[i], f->second);
    win->n = w->n - win->at;
}

static int read_question(struct work *w, struct encoding *e, struct err *err)
{
    const struct tokenize_options o = {.no_special = true};
    const struct tokenizer *t = w->model->tokenizer;
    struct frame_ids f;
    const int window =
        w->model->config.max_tokens < WINDOW_MAX ? w->model->config.max_tokens : WINDOW_MAX;
    if (!w->in->pair.p)
        return err_kind_set(err, ERR_FORMAT, "expected \"question\" and \"context\"");
    if (frame_of(w->model, true, &f, err) ||
        tokenizer_encode(t, span_trim(w->in->text), NULL, &o, e, err) ||
        tokenizer_encode(t, w->in->pair, NULL, &o, &w->text, err))
        return -1;
    const int special = f.n_pre + f.n_mid + f.n_post, half = (window - special) / 2;
    int ask = e->n < w->options->max_query_length ? e->n : w->options->max_query_length;
    ask = ask < half ? ask : half; /* a small window: the context keeps its half */
    const int room = window - special - ask;
    if (room < 1)
        return err_kind_set(err, ERR_USAGE, "a window of %d tokens leaves no room for a context",
                            window);
    const int stride = w->options->doc_stride <= room / 2 ? w->options->doc_stride : room / 2;
    for (int from = 0;; from += room - stride) {
        const int to = from + room < w->text.n ? from + room : w->text.n;
        add_window(w, &f, e->id, ask, from, to);
        if (to == w->text.n)
            return 0;
    }
}

static void take_logits(struct work *w, struct window *win, const struct seq_output *o)
{
    (void)w;
    win->z = xcalloc(2 * (size_t)win->n, sizeof *win->z);
    memcpy(win->z, o->out, 2 * (size_t)win->n * sizeof *win->z);
}

/* The best span of a window; first and last are tokens of the context. */
static void best_span(const struct work *w, const struct window *win, struct prediction *best)
{
    const float *z = win->z + 2 * (size_t)win->first;
    const int n = win->to - win->from;
    for (int i = 0; i < n; i++)
        for (int j = i; j < n && j < i + w->options->max_answer_length; j++) {
            const double score = (double)z[2 * i] + (double)z[2 * j + 1];
            if (best->spanned && score <= best->answer_score)
                continue;
            best->spanned = true;
            best->answer_score = score;
            best->start = w->text.start[win->from + i];
            best->end = w->text.end[win->from + j];
        }
}

static void finish_answer(struct work *w)
{
    struct prediction *out = w->out;
    out->null_score = INFINITY;
    for (int k = 0; k < w->n_win; k++) {
        const struct window *win = &w->win[k];
        out->null_score = fmin(out->null_score, (double)win->z[0] + (double)win->z[1]);
        best_span(w, win, out);
    }
    out->answered =
        out->spanned && (w->model->config.always_answers ||
                         out->null_score - out->answer_score <= w->options->null_threshold);
}

const struct predict_kind predict_answer = {read_question, take_logits, finish_answer};
