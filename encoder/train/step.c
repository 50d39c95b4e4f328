/* step.c - the gradient of one update, in as many runs of the tape as memory asks for.
 *
 * Losses that are sums over rows or tokens (cross-entropy, squared error, spans, masked words) are
 * cut freely: each part is divided by what counts in the whole group, so the sum of the parts is
 * the gradient of the whole.
 *
 * Losses over a batch of embeddings are not: every row meets every other. When a batch fits, it is
 * one run. Otherwise its gradient is cached (Gao et al. 2021, "Scaling Deep Contrastive Learning
 * Batch Size under Memory Limited Setup"): embed all parts and keep only the embeddings; the loss
 * and its derivative by the whole matrix; then run each part again, with the dropout masks of the
 * first time, and go down from its rows of that derivative. Dropout knows a sequence by its place
 * in the group, so parts of any size give the masks of the whole.
 */
#include "encoder/train/run.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { MICRO_TOKENS = 4096 };

int stepper_init(struct stepper *s, struct learner *l, const struct dataset *d, struct pool *pool,
                 struct distiller *distiller, struct err *err)
{
    *s = (struct stepper){.learner = l,
                          .data = d,
                          .pool = pool,
                          .distiller = distiller,
                          .micro_tokens = MICRO_TOKENS};
    return distiller ? learner_tape_states(l, TAPE_TRAIN, pool, &s->tape, &s->slots, err)
                     : learner_tape(l, TAPE_TRAIN, pool, &s->tape, &s->slots, err);
}

void stepper_release(struct stepper *s)
{
    tape_release(&s->tape);
    packed_release(&s->packed);
    slice_release(&s->slice);
    free(s->x);
    free(s->dx);
    free(s->target);
    free(s->label);
    free(s->text);
    free(s->anchor);
    *s = (struct stepper){0};
}

size_t stepper_bytes(const struct stepper *s, int n_tok, int n_seq, int n_pick)
{
    const struct batch b = {.n_tok = n_tok, .n_seq = n_seq, .n_pick = n_pick};
    int *start = xcalloc((size_t)n_seq + 1, sizeof *start);
    for (int i = 0; i <= n_seq; i++)
        start[i] = (int)((int64_t)n_tok * i / n_seq);
    struct batch with = b;
    with.start = start;
    const size_t bytes = tape_bytes(&s->tape, &with);
    free(start);
    return bytes;
}

/* Runs sequences [s0, s1) of the packed ones up. */
static int forward(struct stepper *s, int s0, int s1, int64_t step, struct err *err)
{
    packed_slice(&s->packed, s0, s1, &s->slice);
    s->tape.seed = s->seed;
    s->tape.step = (uint64_t)step;
    if (tape_bind(&s->tape, &s->slice.batch, err))
        return -1;
    if (tape_peak_bytes(&s->tape) > s->peak_bytes)
        s->peak_bytes = tape_peak_bytes(&s->tape);
    tape_forward(&s->tape);
    /* states that are looked at without a loss of their own */
    const struct slot *hidden = &s->tape.slot[s->slots.hidden];
    if (s->slots.hidden != s->slots.out && hidden->kept && hidden->dx)
        memset(hidden->dx, 0,
               (size_t)tape_slot_rows(hidden, &s->slice.batch) * (size_t)hidden->cols *
                   sizeof *hidden->dx);
    return 0;
}

/* ---- sums over rows -----------------------------------------------------------------------------
 */

static double loss_of_slice(struct stepper *s, int s0, double divisor)
{
    const struct dataset *d = s->data;
    const struct packed *p = &s->packed;
    const struct batch *b = &s->slice.batch;
    struct slot *out = &s->tape.slot[s->slots.out];
    const int *pick_label = p->pick_label + s->slice.first_pick;
    double loss = 0;
    switch (d->task) {
    case TASK_TEXT_CLASSIFICATION:
        if (d->regression)
            return loss_mse(out->x, p->score + s0, (size_t)b->n_seq, divisor, out->dx);
        return loss_cross_entropy(out->x, p->label + s0, b->n_seq, out->cols, divisor, out->dx,
                                  NULL, s->pool);
    case TASK_TOKEN_CLASSIFICATION:
        return loss_cross_entropy(out->x, p->tag + p->start[s0], b->n_tok, out->cols, divisor,
                                  out->dx, NULL, s->pool);
    case TASK_QUESTION_ANSWERING:
        return loss_span(out->x, b->start, b->n_seq, p->begin + s0, p->end + s0, divisor, out->dx);
    case TASK_PRETRAINING: {
        struct slot *next = &s->tape.slot[s->slots.out2];
        loss = loss_cross_entropy(next->x, p->label + s0, b->n_seq, 2, p->n_seq, next->dx, NULL,
                                  s->pool);
        break;
    }
    case TASK_FILL_MASK:
    case TASK_SENTENCE_SIMILARITY:
        break;
    }
    if (b->n_pick)
        loss += loss_cross_entropy(out->x, pick_label, b->n_pick, out->cols, divisor, out->dx, NULL,
                                   s->pool);
    return loss;
}

/* What the sum over the whole group is divided by; 0: nothing counts. */
static double divisor_of(const struct dataset *d, const struct packed *p)
{
    int n = 0;
    switch (d->task) {
    case TASK_TOKEN_CLASSIFICATION:
        for (int i = 0; i < p->n_tok; i++)
            n += p->tag[i] >= 0;
        return n;
    case TASK_FILL_MASK:
    case TASK_PRETRAINING:
        return p->n_pick;
    default:
        return p->n_seq;
    }
}

static int run_rows(struct stepper *s, const struct plan *p, int64_t b0, int64_t b1,
                    struct moment m, int64_t step, double *loss, struct err *err)
{
    packed_clear(&s->packed);
    for (int64_t i = p->start[b0]; i < p->start[b1]; i++)
        packed_example(&s->packed, s->data, p->order[i], m, (uint64_t)(i - p->start[b0]));
    const double divisor = divisor_of(s->data, &s->packed);
    if (s->distiller)
        packed_pick_all(&s->packed);
    *loss = 0;
    if (divisor == 0 && s->data->task != TASK_PRETRAINING)
        return 0;
    for (int s0 = 0, s1; s0 < s->packed.n_seq; s0 = s1) {
        s1 = packed_cut(&s->packed, s0, s->micro_tokens, s->micro_sequences);
        if (s->data->task == TASK_FILL_MASK) { /* nothing hidden here: nothing to learn */
            packed_slice(&s->packed, s0, s1, &s->slice);
            if (s->slice.batch.n_pick == 0)
                continue;
        }
        if (forward(s, s0, s1, step, err))
            return -1;
        if (s->distiller) {
            double part;
            if (distil_slice(s, s->packed.pick_label + s->slice.first_pick, divisor, &part, err))
                return -1;
            *loss += part;
        } else {
            *loss += loss_of_slice(s, s0, divisor);
        }
        tape_backward(&s->tape);
    }
    return 0;
}

/* ---- losses over a batch of embeddings ----------------------------------------------------------
 */

static int room_embeddings(struct stepper *s, size_t rows, size_t columns, size_t dim,
                           struct err *err)
{
    const size_t n = rows * columns;
    if (n * dim > s->cap_x) {
        free(s->x);
        free(s->dx);
        free(s->target);
        s->x = s->dx = s->target = NULL;
        s->cap_x = 0;
        void *x = NULL, *dx = NULL, *target = NULL;
        if (mem_try(&x, n * dim * sizeof *s->x, "the embeddings of a batch", err) ||
            mem_try(&dx, n * dim * sizeof *s->dx, "the gradients of a batch", err) ||
            (s->teacher &&
             mem_try(&target, n * dim * sizeof *s->dx, "the teacher's embeddings", err))) {
            free(x);
            free(dx);
            return -1;
        }
        s->x = x;
        s->dx = dx;
        s->target = target;
        s->cap_x = n * dim;
    }
    if (n > s->cap_rows) {
        s->cap_rows = n;
        s->label = xrealloc_array(s->label, n, sizeof *s->label);
        s->text = xrealloc_array(s->text, n, sizeof *s->text);
        s->anchor = xrealloc_array(s->anchor, n, sizeof *s->anchor);
    }
    return 0;
}

/* Column after column, as the loss wants its rows. `first`: of the group's rows. */
static void pack_columns(struct stepper *s, const int64_t *order, int n, int64_t first, size_t dim)
{
    const struct dataset *d = s->data;
    const size_t columns = (size_t)d->columns;
    packed_clear(&s->packed);
    for (size_t c = 0; c < columns; c++)
        for (int i = 0; i < n; i++) {
            const size_t q = (size_t)order[i] * columns + c, at = c * (size_t)n + (size_t)i;
            packed_sequence(&s->packed, d, q, ((uint64_t)first + (uint64_t)i) * columns + c);
            s->text[at] = d->key[q];
            if (s->teacher)
                memcpy(s->target + at * dim, s->teacher + q * dim, dim * sizeof *s->target);
        }
    for (int i = 0; i < n; i++) {
        s->label[i] = d->score[order[i]];
        s->anchor[i] = d->key[(size_t)order[i] * columns];
    }
}

static int embedding_loss(struct stepper *s, int n, int dim, const float *x, float *dx,
                          double weight, double *loss, struct err *err)
{
    const struct dataset *d = s->data;
    struct loss_options o = *s->losses;
    o.kind = d->loss;
    o.teacher = s->teacher ? s->target : NULL;
    const struct embedding_batch b = {.x = x,
                                      .dx = dx,
                                      .n = n,
                                      .n_columns = d->columns,
                                      .dim = dim,
                                      .label = d->scored ? s->label : NULL,
                                      .anchor = s->anchor,
                                      .text = s->text,
                                      .pool = s->pool};
    if (loss_embeddings(&b, &o, loss, err))
        return -1;
    const size_t floats = (size_t)n * (size_t)d->columns * (size_t)dim;
    if (weight != 1)
        kern.scale(dx, (float)weight, floats);
    *loss *= weight;
    return 0;
}

/* Embeds part by part, then goes down part by part, the last one first: its run still stands. */
static int run_cached(struct stepper *s, int n, int dim, double weight, int64_t step, double *loss,
                      struct err *err)
{
    const struct packed *p = &s->packed;
    int *cut = xcalloc((size_t)p->n_seq + 1, sizeof *cut), parts = 0, rc = 0;
    while (cut[parts] < p->n_seq) {
        cut[parts + 1] = packed_cut(p, cut[parts], s->micro_tokens, s->micro_sequences);
        parts++;
    }
    for (int i = 0; i < parts && rc == 0; i++) {
        rc = forward(s, cut[i], cut[i + 1], step, err);
        if (rc == 0)
            memcpy(s->x + (size_t)cut[i] * (size_t)dim, s->tape.slot[s->slots.out].x,
                   (size_t)(cut[i + 1] - cut[i]) * (size_t)dim * sizeof *s->x);
    }
    if (rc == 0)
        rc = embedding_loss(s, n, dim, s->x, s->dx, weight, loss, err);
    for (int i = parts - 1; i >= 0 && rc == 0; i--) {
        if (i < parts - 1)
            rc = forward(s, cut[i], cut[i + 1], step, err);
        if (rc)
            break;
        memcpy(s->tape.slot[s->slots.out].dx, s->dx + (size_t)cut[i] * (size_t)dim,
               (size_t)(cut[i + 1] - cut[i]) * (size_t)dim * sizeof *s->dx);
        tape_backward(&s->tape);
    }
    free(cut);
    return rc;
}

static int run_embeddings(struct stepper *s, const struct plan *p, int64_t b0, int64_t b1,
                          int64_t step, double *loss, int64_t *n_tokens, struct err *err)
{
    const struct dataset *d = s->data;
    const int dim = s->tape.slot[s->slots.out].cols;
    const bool evenly = d->loss == LOSS_COSENT || d->loss == LOSS_ONLINE_CONTRASTIVE;
    const double rows = (double)(p->start[b1] - p->start[b0]);
    *loss = 0;
    for (int64_t b = b0; b < b1; b++) {
        const int n = (int)(p->start[b + 1] - p->start[b]);
        const double weight = evenly ? 1 / (double)(b1 - b0) : n / rows;
        double part;
        if (room_embeddings(s, (size_t)n, (size_t)d->columns, (size_t)dim, err))
            return -1;
        pack_columns(s, p->order + p->start[b], n, p->start[b] - p->start[b0], (size_t)dim);
        *n_tokens += s->packed.n_tok;
        if (s->cached || s->packed.n_tok > s->micro_tokens) {
            if (run_cached(s, n, dim, weight, step, &part, err))
                return -1;
        } else {
            if (forward(s, 0, s->packed.n_seq, step, err))
                return -1;
            struct slot *out = &s->tape.slot[s->slots.out];
            if (embedding_loss(s, n, dim, out->x, out->dx, weight, &part, err))
                return -1;
            tape_backward(&s->tape);
        }
        *loss += part;
    }
    return 0;
}

int stepper_run(struct stepper *s, const struct plan *p, int64_t b0, int64_t b1, struct moment m,
                int64_t step, double *loss, int64_t *n_tokens, struct err *err)
{
    *n_tokens = 0;
    if (s->data->task == TASK_SENTENCE_SIMILARITY)
        return run_embeddings(s, p, b0, b1, step, loss, n_tokens, err);
    const int rc = run_rows(s, p, b0, b1, m, step, loss, err);
    *n_tokens = s->packed.n_tok;
    return rc;
}
