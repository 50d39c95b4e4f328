/* predict.h - the inside of encoder_predict(): one input on its way through a head.
 *
 * Each kind of head has a row {read, take, finish}: read() makes the input's token windows, take()
 * receives the head's rows for one window on whichever thread computed them, and finish() makes the
 * prediction when all windows of the input are through.
 */
#ifndef SEMSEARCH_ENCODER_MODEL_PREDICT_H
#define SEMSEARCH_ENCODER_MODEL_PREDICT_H

#include "encoder/model/runner.h"

struct window {
    int at, n;    /* tokens of the work */
    int first;    /* the token, counted from `at`, that is number `from` of the text */
    int from, to; /* tokens of the text, or of the context, that it shows */
    float *z;     /* what take() keeps */
};

struct work {
    const struct model *model;
    const struct predict_options *options;
    const struct predict_input *in;
    struct prediction *out;
    int *id, *type; /* [n] tokens of all windows, end to end */
    int n, cap;
    struct window *win;
    int n_win, cap_win;
    /* token-classification and question-answering: the text's own tokens */
    struct encoding text;
    int *word; /* [text.n] the word that begins there; -1: none */
    int n_words;
    int *pick; /* fill-mask: positions of the masks in the window */
    int n_pick;
};

struct predict_kind {
    int (*read)(struct work *w, struct encoding *scratch, struct err *err);
    void (*take)(struct work *w, struct window *win, const struct seq_output *o);
    void (*finish)(struct work *w);
};
extern const struct predict_kind predict_classes, predict_words, predict_answer, predict_masks,
    predict_next;

/* The special tokens that stand around and between texts: those of the template. */
struct frame_ids {
    int pre[8], mid[8], post[8], mid_type[8];
    int n_pre, n_mid, n_post, second; /* second: the type of the second text and after */
};
int frame_of(const struct model *m, bool pair, struct frame_ids *f, struct err *err) WARN_UNUSED;

void work_token(struct work *w, int id, int type);
struct window *work_window(struct work *w); /* a new one at the end of the tokens */

/* Probabilities of n logits; returns the largest one's number. */
int softmax_row(const float *z, int n, double *p);

#endif
