/* predict_text.c - heads on whole texts: classification, regression, and whether the second text
 * follows the first. Probabilities: softmax over the classes, a logistic function of each when a
 * text may have several labels, the value as it is of a regression; as transformers' pipelines. */
#include "encoder/model/predict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int read_text(struct work *w, struct encoding *e, struct err *err)
{
    const struct tokenize_options o = {.max_length = w->model->config.max_tokens};
    const bool pair = w->in->pair.p != NULL;
    if (tokenizer_encode(w->model->tokenizer, w->in->text, pair ? &w->in->pair : NULL, &o, e, err))
        return -1;
    struct window *win = work_window(w);
    for (int i = 0; i < e->n; i++)
        work_token(w, e->id[i], e->type[i]);
    win->n = e->n;
    return 0;
}

static void keep_row(struct window *win, const struct seq_output *o, int n)
{
    win->z = xcalloc((size_t)n, sizeof *win->z);
    if (o->out)
        memcpy(win->z, o->out, (size_t)n * sizeof *win->z);
}

static void take_classes(struct work *w, struct window *win, const struct seq_output *o)
{
    keep_row(win, o, (int)w->model->config.n_labels);
}

static void finish_classes(struct work *w)
{
    const struct model_config *c = &w->model->config;
    struct prediction *out = w->out;
    const float *z = w->win[0].z;
    out->n_scores = (int)c->n_labels;
    out->score = xcalloc(c->n_labels, sizeof *out->score);
    if (c->problem == PROBLEM_SINGLE_LABEL) {
        out->best = softmax_row(z, out->n_scores, out->score);
        return;
    }
    for (int i = 0; i < out->n_scores; i++) {
        const double x = (double)z[i];
        out->score[i] = c->problem == PROBLEM_REGRESSION ? x : 1 / (1 + exp(-x));
        out->best = z[i] > z[out->best] ? i : out->best;
    }
}

const struct predict_kind predict_classes = {read_text, take_classes, finish_classes};

static int read_pair(struct work *w, struct encoding *e, struct err *err)
{
    if (!w->in->pair.p)
        return err_kind_set(err, ERR_FORMAT, "expected two texts, \"text\" and \"text_pair\"");
    return read_text(w, e, err);
}

static void take_next(struct work *w, struct window *win, const struct seq_output *o)
{
    (void)w;
    keep_row(win, o, 2);
}

static void finish_next(struct work *w)
{
    double p[2];
    softmax_row(w->win[0].z, 2, p);
    w->out->score = xcalloc(1, sizeof *w->out->score);
    w->out->score[0] = p[0]; /* class 0: it follows */
    w->out->n_scores = 1;
}

const struct predict_kind predict_next = {read_pair, take_next, finish_next};
