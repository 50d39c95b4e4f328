/* predict_mask.c - the likeliest words for masked places. The text's own mask token and "[MASK]"
 * are masks; everything between them is tokenised as text. */
#include "encoder/model/predict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The first mask in `rest`: the text before it, and what is left after it. */
static bool split_mask(struct span *rest, struct span mask, struct span *before)
{
    const struct span names[] = {mask, span_of("[MASK]")};
    const char *at = NULL;
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        const char *hit =
            names[i].n && rest->n ? memmem(rest->p, rest->n, names[i].p, names[i].n) : NULL;
        if (hit && (!at || hit < at)) {
            at = hit;
            n = names[i].n;
        }
    }
    if (!at)
        return false;
    *before = span_sub(*rest, 0, (size_t)(at - rest->p));
    *rest = span_sub(*rest, (size_t)(at - rest->p) + n, rest->n);
    return true;
}

static int add_text(struct work *w, struct span text, int room, struct encoding *e, struct err *err)
{
    const struct tokenize_options o = {.no_special = true};
    if (tokenizer_encode(w->model->tokenizer, text, NULL, &o, e, err))
        return -1;
    for (int i = 0; i < e->n && w->n < room; i++)
        work_token(w, e->id[i], 0);
    return 0;
}

static int add_mask(struct work *w, int mask, int room, struct err *err)
{
    if (w->n >= room)
        return err_kind_set(err, ERR_LIMIT, "a mask lies beyond the model's window of %d tokens",
                            w->model->config.max_tokens);
    w->pick = xrealloc_array(w->pick, (size_t)w->n_pick + 1, sizeof *w->pick);
    w->pick[w->n_pick++] = w->n;
    work_token(w, mask, 0);
    return 0;
}

static int read_masked(struct work *w, struct encoding *e, struct err *err)
{
    const struct tokenizer *t = w->model->tokenizer;
    const int mask = tokenizer_special_id(t, TOKEN_MASK);
    struct span rest = w->in->text, before;
    struct frame_ids f;
    if (mask < 0)
        return err_kind_set(err, ERR_USAGE, "the model's tokenizer has no mask token");
    if (frame_of(w->model, false, &f, err))
        return -1;
    const int room = w->model->config.max_tokens - f.n_post;
    work_window(w);
    for (int i = 0; i < f.n_pre; i++)
        work_token(w, f.pre[i], 0);
    const struct span name = tokenizer_token(t, mask);
    while (split_mask(&rest, name, &before))
        if (add_text(w, before, room, e, err) || add_mask(w, mask, room, err))
            return -1;
    if (w->n_pick == 0)
        return err_kind_set(err, ERR_FORMAT, "no mask in the text: expected %.*s", (int)name.n,
                            name.p);
    if (add_text(w, rest, room, e, err))
        return -1;
    for (int i = 0; i < f.n_post; i++)
        work_token(w, f.post[i], 0);
    w->win[0].n = w->n;
    return 0;
}

/* The `top` largest of n logits, falling; equal ones by number. */
static void best_words(const float *z, int n, struct predicted_word *best, int top)
{
    int have = 0;
    for (int i = 0; i < n; i++) {
        if (have == top && z[i] <= z[best[top - 1].id])
            continue;
        int k = have < top ? have++ : top - 1;
        for (; k > 0 && z[i] > z[best[k - 1].id]; k--)
            best[k] = best[k - 1];
        best[k].id = i;
    }
    double sum = 0;
    const double most = (double)z[best[0].id];
    for (int i = 0; i < n; i++)
        sum += exp((double)z[i] - most);
    for (int i = 0; i < top; i++)
        best[i].score = exp((double)z[best[i].id] - most) / sum;
}

/* The logits of a mask are as many as there are words: they are read here and not kept. */
static void take_masks(struct work *w, struct window *win, const struct seq_output *o)
{
    const int vocab = w->model->config.vocab;
    struct prediction *out = w->out;
    (void)win;
    out->n_masks = w->n_pick;
    out->top = w->options->top < vocab ? w->options->top : vocab;
    out->word = xcalloc((size_t)out->n_masks * (size_t)out->top, sizeof *out->word);
    for (int i = 0; i < out->n_masks; i++)
        best_words(o->out + (size_t)i * (size_t)vocab, vocab,
                   out->word + (size_t)i * (size_t)out->top, out->top);
}

static void finish_masks(struct work *w)
{
    (void)w;
}

const struct predict_kind predict_masks = {read_masked, take_masks, finish_masks};
