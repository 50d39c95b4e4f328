/* sequences.c - token sequences end to end, and the special tokens around them; see dataset.h. */
#include "encoder/train/dataset.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

void sequences_begin(struct sequences *s, int item)
{
    VEC_GROW(s->seq, s->n, s->cap);
    s->seq[s->n++] = (struct sequence){.at = s->n_tok, .item = item};
}

static void sequences_room(struct sequences *s, size_t n)
{
    if (s->n_tok + n <= s->cap_tok)
        return;
    s->cap_tok = 2 * (s->n_tok + n) + 64;
    s->token = xrealloc_array(s->token, s->cap_tok, sizeof *s->token);
    s->flag = xrealloc_array(s->flag, s->cap_tok, sizeof *s->flag);
    if (s->tags)
        s->tag = xrealloc_array(s->tag, s->cap_tok, sizeof *s->tag);
    if (s->offsets) {
        s->from = xrealloc_array(s->from, s->cap_tok, sizeof *s->from);
        s->to = xrealloc_array(s->to, s->cap_tok, sizeof *s->to);
    }
}

void sequences_token(struct sequences *s, int token, int flag, int tag, uint32_t from, uint32_t to)
{
    sequences_room(s, 1);
    s->token[s->n_tok] = token;
    s->flag[s->n_tok] = (uint8_t)flag;
    if (s->tags)
        s->tag[s->n_tok] = tag;
    if (s->offsets) {
        s->from[s->n_tok] = from;
        s->to[s->n_tok] = to;
    }
    s->n_tok++;
    s->seq[s->n - 1].n++;
}

void sequences_append(struct sequences *s, const struct sequences *more)
{
    if (more->n == 0)
        return;
    sequences_room(s, more->n_tok);
    if (more->n_tok) {
        memcpy(s->token + s->n_tok, more->token, more->n_tok * sizeof *s->token);
        memcpy(s->flag + s->n_tok, more->flag, more->n_tok * sizeof *s->flag);
        if (s->tags)
            memcpy(s->tag + s->n_tok, more->tag, more->n_tok * sizeof *s->tag);
        if (s->offsets) {
            memcpy(s->from + s->n_tok, more->from, more->n_tok * sizeof *s->from);
            memcpy(s->to + s->n_tok, more->to, more->n_tok * sizeof *s->to);
        }
    }
    for (size_t i = 0; i < more->n; i++) {
        VEC_GROW(s->seq, s->n, s->cap);
        s->seq[s->n] = more->seq[i];
        s->seq[s->n++].at += s->n_tok;
    }
    s->n_tok += more->n_tok;
}

void sequences_release(struct sequences *s)
{
    free(s->token);
    free(s->flag);
    free(s->tag);
    free(s->from);
    free(s->to);
    free(s->seq);
    *s = (struct sequences){.tags = s->tags, .offsets = s->offsets};
}

/* ---- special tokens -----------------------------------------------------------------------------
 */

/* Looks at where the template puts a text (or two) of one word. */
int frame_find(struct frame *f, const struct tokenizer *t, bool pair, struct err *err)
{
    struct encoding e = {0};
    const struct span word = span_of("a");
    *f = (struct frame){0};
    if (tokenizer_encode(t, word, pair ? &word : NULL, NULL, &e, err))
        return -1;
    int seen = 0, rc = 0; /* the text that was met last */
    for (int i = 0; i < e.n && rc == 0; i++) {
        if (e.segment[i]) {
            seen = e.segment[i];
            f->second = seen == 2 && e.type[i] ? FLAG_SECOND : 0;
            continue;
        }
        const bool middle = pair && seen == 1;
        int *n = seen == 0 ? &f->n_pre : middle ? &f->n_mid : &f->n_post;
        int *ids = seen == 0 ? f->pre : middle ? f->mid : f->post;
        const int room = (int)(middle ? ARRAY_LEN(f->mid) : ARRAY_LEN(f->pre));
        if (*n == room) {
            rc = err_set(err, "the tokenizer puts more than %d special tokens in one place", room);
            break;
        }
        if (middle)
            f->mid_flag[*n] = e.type[i] ? FLAG_SECOND : 0;
        ids[(*n)++] = e.id[i];
    }
    encoding_release(&e);
    return rc;
}

void frame_pre(const struct frame *f, struct sequences *s)
{
    for (int i = 0; i < f->n_pre; i++)
        sequences_token(s, f->pre[i], FLAG_SPECIAL, -1, 0, 0);
}

void frame_mid(const struct frame *f, struct sequences *s)
{
    for (int i = 0; i < f->n_mid; i++)
        sequences_token(s, f->mid[i], FLAG_SPECIAL | f->mid_flag[i], -1, 0, 0);
}

void frame_post(const struct frame *f, struct sequences *s)
{
    for (int i = 0; i < f->n_post; i++)
        sequences_token(s, f->post[i], FLAG_SPECIAL | f->second, -1, 0, 0);
}

/* WordPiece marks the later pieces of a word; the piece models mark the first; byte-level ones
 * begin a word with the blank before it. */
bool token_continues(const struct tokenizer *t, const struct encoding *e, int i)
{
    if (i == 0 || e->segment[i] == 0 || e->segment[i - 1] != e->segment[i])
        return false;
    const struct span text = tokenizer_token(t, e->id[i]);
    if (span_starts(text, "##"))
        return true;
    const struct span before = tokenizer_token(t, e->id[i - 1]);
    const bool marked = span_starts(before, "\xE2\x96\x81") || span_starts(before, "\xC4\xA0");
    return marked && e->start[i] == e->end[i - 1] && !span_starts(text, "\xE2\x96\x81") &&
           !span_starts(text, "\xC4\xA0");
}
