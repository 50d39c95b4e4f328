/* predict_words.c - tags of words, and the entities that they make.
 *
 * A word's tag is read at its first sub-token, as in training. A text over the window is read in
 * windows that share a quarter; a word counts where it has most context. Entities are found in the
 * tags as conlleval does (Tjong Kim Sang and De Meulder 2003): one begins at B or S, at another tag
 * after O, E or S, and where the type changes.
 */
#include "encoder/model/predict.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Whether token i goes on with the word before: "##" of WordPiece, no "▁" or "Ġ" elsewhere. */
static bool continues(const struct tokenizer *t, const struct encoding *e, int i)
{
    const struct span text = tokenizer_token(t, e->id[i]);
    if (i == 0 || span_starts(text, "##"))
        return i > 0;
    const struct span before = tokenizer_token(t, e->id[i - 1]);
    const bool marked = span_starts(before, "\xE2\x96\x81") || span_starts(before, "\xC4\xA0");
    return marked && e->start[i] == e->end[i - 1] && !span_starts(text, "\xE2\x96\x81") &&
           !span_starts(text, "\xC4\xA0");
}

static void append(struct encoding *to, const struct encoding *from)
{
    for (int i = 0; i < from->n; i++) {
        if (to->n == to->cap) {
            to->cap = to->cap ? 2 * to->cap : 64;
            to->id = xrealloc_array(to->id, (size_t)to->cap, sizeof *to->id);
            to->start = xrealloc_array(to->start, (size_t)to->cap, sizeof *to->start);
            to->end = xrealloc_array(to->end, (size_t)to->cap, sizeof *to->end);
        }
        to->id[to->n] = from->id[i];
        to->start[to->n] = from->start[i];
        to->end[to->n++] = from->end[i];
    }
}

/* Words that are given are tokenised one by one. */
static int read_given(struct work *w, struct encoding *e, struct err *err)
{
    const struct tokenize_options o = {.no_special = true};
    int cap = 0;
    for (size_t i = 0; i < w->in->n_words; i++) {
        if (tokenizer_encode(w->model->tokenizer, w->in->word[i], NULL, &o, e, err))
            return -1;
        append(&w->text, e);
        if (w->text.cap > cap) {
            cap = w->text.cap;
            w->word = xrealloc_array(w->word, (size_t)cap, sizeof *w->word);
        }
        for (int k = 0; k < e->n; k++)
            w->word[w->text.n - e->n + k] = k ? -1 : (int)i;
    }
    w->n_words = (int)w->in->n_words;
    return 0;
}

static int read_running(struct work *w, struct err *err)
{
    const struct tokenize_options o = {.no_special = true};
    const struct tokenizer *t = w->model->tokenizer;
    if (tokenizer_encode(t, w->in->text, NULL, &o, &w->text, err))
        return -1;
    w->word = xcalloc((size_t)w->text.n + 1, sizeof *w->word);
    for (int i = 0; i < w->text.n; i++)
        w->word[i] = continues(t, &w->text, i) ? -1 : w->n_words++;
    return 0;
}

static int read_words(struct work *w, struct encoding *e, struct err *err)
{
    struct frame_ids f;
    if (frame_of(w->model, false, &f, err) ||
        (w->in->word ? read_given(w, e, err) : read_running(w, err)))
        return -1;
    const int room = w->model->config.max_tokens - f.n_pre - f.n_post;
    for (int from = 0; w->text.n; from += room - room / 4) {
        const int to = from + room < w->text.n ? from + room : w->text.n;
        struct window *win = work_window(w);
        *win = (struct window){.at = w->n, .first = f.n_pre, .from = from, .to = to};
        for (int i = 0; i < f.n_pre; i++)
            work_token(w, f.pre[i], 0);
        for (int i = from; i < to; i++)
            work_token(w, w->text.id[i], 0);
        for (int i = 0; i < f.n_post; i++)
            work_token(w, f.post[i], 0);
        win->n = w->n - win->at;
        if (to == w->text.n)
            break;
    }
    return 0;
}

static void take_tokens(struct work *w, struct window *win, const struct seq_output *o)
{
    const size_t n = (size_t)win->n * w->model->config.n_labels;
    win->z = xcalloc(n, sizeof *win->z);
    memcpy(win->z, o->out, n * sizeof *win->z);
}

/* ---- tags ---------------------------------------------------------------------------------------
 */

/* A word's tag, where its first token stands, and how far that is from a window's cut. */
struct tagged {
    int tag, token, last, margin; /* token, last: of the text; -1: the word has none */
    double p;
};

static void tag_window(const struct work *w, const struct window *win, struct tagged *word,
                       double *p)
{
    const int n = (int)w->model->config.n_labels;
    for (int i = win->from; i < win->to; i++) {
        if (w->word[i] < 0)
            continue;
        const int left = win->from ? i - win->from : INT_MAX;
        const int right = win->to < w->text.n ? win->to - 1 - i : INT_MAX;
        struct tagged *t = &word[w->word[i]];
        if (t->token >= 0 && (left < right ? left : right) <= t->margin)
            continue;
        const int tag =
            softmax_row(win->z + (size_t)(win->first + i - win->from) * (size_t)n, n, p);
        *t = (struct tagged){
            .tag = tag, .token = i, .last = i, .margin = left < right ? left : right, .p = p[tag]};
    }
}

/* "B-PER" is 'B' and "PER"; a tag without such a prefix counts as inside of its own type. */
static char prefix_of(const char *tag)
{
    if (!strcmp(tag, "O"))
        return 'O';
    return tag[0] && tag[1] == '-' && strchr("BIELSU", tag[0]) ? tag[0] : 'I';
}

static const char *type_of(const char *tag)
{
    return tag[0] && tag[1] == '-' && strchr("BIELSU", tag[0]) ? tag + 2 : tag;
}

static bool begins(const char *before, const char *now)
{
    const char p = prefix_of(before), q = prefix_of(now);
    return q == 'B' || q == 'S' || q == 'U' || strchr("OELSU", p) ||
           strcmp(type_of(before), type_of(now)) != 0;
}

/* The label that stands for "no tag", for words without tokens; -1: none. */
static int outside(const struct model_config *c)
{
    for (size_t i = 0; i < c->n_labels; i++)
        if (!strcmp(c->label[i], "O"))
            return (int)i;
    return -1;
}

static void add_word(struct work *w, const struct tagged *t, int i, const char *before,
                     const char *tag, int *in_entity)
{
    struct prediction *out = w->out;
    const bool given = w->in->word != NULL;
    if (begins(before, tag)) {
        out->entity[out->n_entities++] = (struct predicted_entity){
            .label = type_of(tag), .start = given ? (size_t)i : w->text.start[t->token]};
        *in_entity = 0;
    }
    struct predicted_entity *e = &out->entity[out->n_entities - 1];
    e->end = given ? (size_t)i + 1 : w->text.end[t->last];
    e->score += (t->p - e->score) / ++*in_entity; /* the running mean */
}

static void finish_words(struct work *w)
{
    const struct model_config *c = &w->model->config;
    const size_t n = (size_t)w->n_words;
    struct tagged *word = xcalloc(n + 1, sizeof *word);
    double *p = xcalloc(c->n_labels, sizeof *p);
    const int none = outside(c);
    w->out->entity = xcalloc(n + 1, sizeof *w->out->entity);
    w->out->tag = xcalloc(n + 1, sizeof *w->out->tag);
    for (size_t i = 0; i < n; i++)
        word[i] = (struct tagged){.tag = none, .token = -1};
    for (int k = 0; k < w->n_win; k++)
        tag_window(w, &w->win[k], word, p);
    for (int i = 0, at = -1; i < w->text.n; i++) { /* a word ends with its last sub-token */
        at = w->word[i] >= 0 ? w->word[i] : at;
        if (at >= 0)
            word[at].last = i;
    }
    const char *before = "O";
    int in_entity = 0;
    for (size_t i = 0; i < n; i++) {
        const char *tag = word[i].tag < 0 ? "O" : c->label[word[i].tag];
        w->out->tag[i] = word[i].tag < 0 ? 0 : word[i].tag;
        if (prefix_of(tag) != 'O')
            add_word(w, &word[i], (int)i, before, tag, &in_entity);
        before = tag;
    }
    free(word);
    free(p);
}

const struct predict_kind predict_words = {read_words, take_tokens, finish_words};
