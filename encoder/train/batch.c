/* batch.c - examples end to end, with their masks, pairs and labels; see batch.h.
 *
 * Masked words (Devlin et al. 2019, drawn anew each time as in Liu et al. 2019): every token that
 * is not special is chosen with probability p; of those 80 % become the mask, 10 % a token drawn
 * from the whole vocabulary, 10 % stay (transformers' DataCollatorForLanguageModeling). With
 * whole_word the choice falls once for all pieces of a word, and each piece then has its own fate.
 *
 * Next sentences: the label first, half and half; then the second part is the true rest of the
 * chunk (label 0) or as many sentences of another document (label 1).
 */
#include "encoder/train/batch.h"
#include "encoder/train/draw.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* ---- growing ------------------------------------------------------------------------------------
 */

static void room_tok(struct packed *p, int n)
{
    if (p->n_tok + n <= p->cap_tok)
        return;
    p->cap_tok = 2 * (p->n_tok + n);
    const size_t cap = (size_t)p->cap_tok;
    p->token = xrealloc_array(p->token, cap, sizeof *p->token);
    p->type = xrealloc_array(p->type, cap, sizeof *p->type);
    p->tag = xrealloc_array(p->tag, cap, sizeof *p->tag);
}

static void room_seq(struct packed *p)
{
    if (p->n_seq + 1 < p->cap_seq)
        return;
    p->cap_seq = p->cap_seq ? 2 * p->cap_seq : 64;
    const size_t cap = (size_t)p->cap_seq;
    p->start = xrealloc_array(p->start, cap, sizeof *p->start);
    p->key = xrealloc_array(p->key, cap, sizeof *p->key);
    p->label = xrealloc_array(p->label, cap, sizeof *p->label);
    p->score = xrealloc_array(p->score, cap, sizeof *p->score);
    p->begin = xrealloc_array(p->begin, cap, sizeof *p->begin);
    p->end = xrealloc_array(p->end, cap, sizeof *p->end);
    p->example = xrealloc_array(p->example, cap, sizeof *p->example);
}

void packed_clear(struct packed *p)
{
    p->n_tok = p->n_seq = p->n_pick = 0;
}

void packed_release(struct packed *p)
{
    free(p->token);
    free(p->type);
    free(p->tag);
    free(p->start);
    free(p->key);
    free(p->label);
    free(p->score);
    free(p->begin);
    free(p->end);
    free(p->example);
    free(p->pick);
    free(p->pick_label);
    *p = (struct packed){0};
}

static void begin_sequence(struct packed *p, int64_t example, uint64_t key)
{
    room_seq(p);
    const int s = p->n_seq++;
    p->start[s] = p->start[s + 1] = p->n_tok;
    p->key[s] = key;
    p->label[s] = -1;
    p->score[s] = 0;
    p->begin[s] = p->end[s] = -1;
    p->example[s] = example;
}

static void add_token(struct packed *p, int token, int flag, int tag)
{
    room_tok(p, 1);
    p->token[p->n_tok] = token;
    p->type[p->n_tok] = flag & FLAG_SECOND ? 1 : 0;
    p->tag[p->n_tok] = tag;
    p->start[p->n_seq] = ++p->n_tok;
}

void packed_sequence(struct packed *p, const struct dataset *d, size_t s, uint64_t key)
{
    const struct sequences *from = &d->seqs;
    const struct sequence *q = &from->seq[s];
    begin_sequence(p, (int64_t)s, key);
    for (size_t k = q->at; k < q->at + (size_t)q->n; k++)
        add_token(p, from->token[k], from->flag[k], from->tag ? from->tag[k] : -1);
    p->begin[p->n_seq - 1] = q->begin;
    p->end[p->n_seq - 1] = q->end;
}

/* ---- masks --------------------------------------------------------------------------------------
 */

static void pick(struct packed *p, int token)
{
    if (p->n_pick == p->cap_pick) {
        p->cap_pick = p->cap_pick ? 2 * p->cap_pick : 256;
        p->pick = xrealloc_array(p->pick, (size_t)p->cap_pick, sizeof *p->pick);
        p->pick_label = xrealloc_array(p->pick_label, (size_t)p->cap_pick, sizeof *p->pick_label);
    }
    p->pick[p->n_pick] = token;
    p->pick_label[p->n_pick++] = p->token[token];
}

/* Hides tokens of the sequence added last; `flag` has one entry a token of it. */
static void mask_sequence(struct packed *p, const struct dataset *d, const uint8_t *flag,
                          uint64_t stream)
{
    const int first = p->start[p->n_seq - 1], n = p->n_tok - first;
    bool chosen = false;
    for (int k = 0; k < n; k++) {
        if (flag[k] & FLAG_SPECIAL)
            continue;
        const uint64_t i = 3 * (uint64_t)k;
        if (!d->options.whole_word || !(flag[k] & FLAG_CONTINUES))
            chosen = draw_unit(stream, i) < d->options.mask_probability;
        if (!chosen)
            continue;
        pick(p, first + k);
        const double fate = draw_unit(stream, i + 1);
        if (fate < .8)
            p->token[first + k] = d->mask_id;
        else if (fate < .9)
            p->token[first + k] = (int)draw_below(stream, i + 2, (uint64_t)d->vocab);
    }
}

/* ---- next sentences -----------------------------------------------------------------------------
 */

/* Tokens [a, b) of the dataset. */
struct stretch {
    size_t a, b;
};

static struct stretch sentences(const struct dataset *d, size_t first, size_t last)
{
    const struct sequence *q = d->seqs.seq;
    return (struct stretch){q[first].at, q[last - 1].at + (size_t)q[last - 1].n};
}

static size_t length_of(struct stretch s)
{
    return s.b - s.a;
}

/* About `target` tokens from a random sentence of a random other document. */
static struct stretch other_document(const struct dataset *d, int own, size_t target,
                                     uint64_t stream)
{
    size_t doc = draw_below(stream, 2, d->n_items - 1);
    doc += doc >= (size_t)own;
    while ((int)doc == own || d->document_first[doc] == d->document_first[doc + 1])
        doc = (doc + 1) % d->n_items;
    const size_t first = d->document_first[doc], end = d->document_first[doc + 1];
    const size_t at = first + draw_below(stream, 3, end - first);
    size_t last = at + 1;
    while (last < end && length_of(sentences(d, at, last)) < target)
        last++;
    return sentences(d, at, last);
}

/* Takes tokens off the longer one, at its front or its back, until both fit. */
static void cut_pair(struct stretch *a, struct stretch *b, size_t most, uint64_t stream)
{
    for (uint64_t i = 8; length_of(*a) + length_of(*b) > most; i++) {
        struct stretch *s = length_of(*a) > length_of(*b) ? a : b;
        if (draw_bits(stream, i) >> 63)
            s->a++;
        else
            s->b--;
    }
}

static void add_stretch(struct packed *p, const struct dataset *d, struct stretch s, uint8_t second,
                        uint8_t *flag, int *n)
{
    for (size_t k = s.a; k < s.b; k++) {
        const uint8_t first = k == s.a ? (uint8_t)~FLAG_CONTINUES : 0xff;
        flag[*n] = (uint8_t)((d->seqs.flag[k] & first) | second);
        add_token(p, d->seqs.token[k], flag[(*n)++], -1);
    }
}

static void add_special(struct packed *p, const int *id, const uint8_t *own, uint8_t flags, int n,
                        uint8_t *flag, int *at)
{
    for (int i = 0; i < n; i++) {
        flag[*at] = (uint8_t)(FLAG_SPECIAL | (own ? own[i] : flags));
        add_token(p, id[i], flag[(*at)++], -1);
    }
}

static void pretraining_example(struct packed *p, const struct dataset *d, int64_t i,
                                struct moment m)
{
    const struct chunk *c = &d->chunk[i];
    const struct frame *f = &d->pair_frame;
    const uint64_t s = draw_stream(m.seed, DRAW_PAIR, m.epoch, (uint64_t)i);
    const int label = draw_unit(s, 0) < .5 ? 0 : 1;
    const size_t cut = c->first + 1 + draw_below(s, 1, (uint64_t)c->n - 1);
    struct stretch a = sentences(d, c->first, cut), b;
    if (label == 0) {
        b = sentences(d, cut, c->first + (size_t)c->n);
    } else {
        const size_t have = length_of(a), want = (size_t)c->target;
        b = other_document(d, c->document, want > have ? want - have : 1, s);
    }
    cut_pair(&a, &b, (size_t)(d->max_length - frame_size(f)), s);
    uint8_t *flag = xmalloc((size_t)d->max_length);
    int n = 0;
    add_special(p, f->pre, NULL, 0, f->n_pre, flag, &n);
    add_stretch(p, d, a, 0, flag, &n);
    add_special(p, f->mid, f->mid_flag, 0, f->n_mid, flag, &n);
    add_stretch(p, d, b, f->second, flag, &n);
    add_special(p, f->post, NULL, f->second, f->n_post, flag, &n);
    p->label[p->n_seq - 1] = label;
    mask_sequence(p, d, flag, draw_stream(m.seed, DRAW_MASK, m.epoch, (uint64_t)i));
    free(flag);
}

/* ---- examples -----------------------------------------------------------------------------------
 */

void packed_example(struct packed *p, const struct dataset *d, int64_t i, struct moment m,
                    uint64_t key)
{
    if (d->task == TASK_PRETRAINING) {
        begin_sequence(p, i, key);
        pretraining_example(p, d, i, m);
        return;
    }
    packed_sequence(p, d, (size_t)i, key);
    const int s = p->n_seq - 1;
    if (d->task == TASK_FILL_MASK)
        mask_sequence(p, d, d->seqs.flag + d->seqs.seq[i].at,
                      draw_stream(m.seed, DRAW_MASK, m.epoch, (uint64_t)i));
    else if (d->task == TASK_TEXT_CLASSIFICATION && d->regression)
        p->score[s] = d->score[i];
    else if (d->task == TASK_TEXT_CLASSIFICATION)
        p->label[s] = d->label[i];
}

void packed_pick_all(struct packed *p)
{
    int *label = xcalloc((size_t)p->n_tok + 1, sizeof *label);
    for (int i = 0; i < p->n_tok; i++)
        label[i] = -1;
    for (int i = 0; i < p->n_pick; i++)
        label[p->pick[i]] = p->pick_label[i];
    p->n_pick = 0;
    for (int i = 0; i < p->n_tok; i++) {
        pick(p, i);
        p->pick_label[i] = label[i];
    }
    free(label);
}

/* ---- slices -------------------------------------------------------------------------------------
 */

int packed_cut(const struct packed *p, int s0, int tokens, int sequences)
{
    int s1 = s0 + 1;
    while (s1 < p->n_seq && p->start[s1 + 1] - p->start[s0] <= tokens &&
           (sequences == 0 || s1 - s0 < sequences))
        s1++;
    return s1;
}

void packed_slice(const struct packed *p, int s0, int s1, struct slice *out)
{
    const int t0 = p->start[s0], t1 = p->start[s1];
    if (s1 - s0 + 1 > out->cap_seq) {
        out->cap_seq = 2 * (s1 - s0 + 1);
        out->start = xrealloc_array(out->start, (size_t)out->cap_seq, sizeof *out->start);
    }
    for (int s = s0; s <= s1; s++)
        out->start[s - s0] = p->start[s] - t0;
    int a = 0, b = p->n_pick; /* the first pick from t0 on; picks rise */
    while (a < b) {
        const int mid = a + (b - a) / 2;
        if (p->pick[mid] < t0)
            a = mid + 1;
        else
            b = mid;
    }
    out->first_pick = a;
    while (b < p->n_pick && p->pick[b] < t1)
        b++;
    if (b - a > out->cap_pick) {
        out->cap_pick = 2 * (b - a);
        out->pick = xrealloc_array(out->pick, (size_t)out->cap_pick, sizeof *out->pick);
    }
    for (int k = a; k < b; k++)
        out->pick[k - a] = p->pick[k] - t0;
    out->batch = (struct batch){.n_tok = t1 - t0,
                                .n_seq = s1 - s0,
                                .token = p->token + t0,
                                .type = p->type + t0,
                                .start = out->start,
                                .pick = out->pick,
                                .n_pick = b - a,
                                .seq_key = p->key + s0};
}

void slice_release(struct slice *s)
{
    free(s->start);
    free(s->pick);
    *s = (struct slice){0};
}
