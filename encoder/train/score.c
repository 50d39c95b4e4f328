/* score.c - scores of a learner on labelled data: what is common, classes, masked words; see run.h.
 */
#include "encoder/train/score.h"

#include "src/base/mem.h"
#include "src/base/stop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_TOKENS = 4096 };
/* Masks of an evaluation are always the same: models are compared on equal holes. */
static const struct moment evaluation_moment = {.seed = 0, .epoch = UINT64_MAX};

int scorer_init(struct scorer *s, struct learner *l, struct pool *pool, struct err *err)
{
    *s = (struct scorer){.learner = l, .pool = pool, .batch_size = 32};
    return learner_tape(l, TAPE_INFER, pool, &s->tape, &s->slots, err);
}

void scorer_release(struct scorer *s)
{
    tape_release(&s->tape);
    *s = (struct scorer){0};
}

void evaluation_add(struct evaluation *e, const char *name, double value)
{
    if (e->n_measures < MEASURES_MAX)
        e->measure[e->n_measures++] = (struct measure){name, value};
}

void evaluation_release(struct evaluation *e)
{
    free(e->unit);
    free(e->group);
    free(e->gold);
    *e = (struct evaluation){0};
}

double evaluation_main(const struct evaluation *e)
{
    return e->main >= 0 ? e->measure[e->main].value : -e->loss;
}

int64_t scorer_forward(struct scorer *s, const struct dataset *d, int64_t from,
                       struct packed *packed, struct slice *slice, const struct train_sink *sink,
                       struct err *err)
{
    packed_clear(packed);
    int64_t i = from;
    if (stop_requested())
        return err_kind_set(err, ERR_STOPPED, "stopped");
    while (i < d->n && (i == from || packed->n_tok < RUN_TOKENS)) {
        packed_example(packed, d, i, evaluation_moment, (uint64_t)i);
        i++;
    }
    packed_slice(packed, 0, packed->n_seq, slice);
    if (tape_bind(&s->tape, &slice->batch, err))
        return -1;
    tape_forward(&s->tape);
    if (sink && sink->phase) {
        const struct progress p = {.done = i, .total = d->n, .phase = "evaluating"};
        sink->phase(sink->ctx, &p);
    }
    return i;
}

int scorer_run(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
               struct evaluation *out, struct err *err)
{
    *out = (struct evaluation){.n = d->rows, .loss = NAN, .main = -1};
    int rc = -1;
    switch (d->task) {
    case TASK_SENTENCE_SIMILARITY:
        rc = score_pairs(s, d, sink, out, err);
        break;
    case TASK_TEXT_CLASSIFICATION:
        rc = score_classes(s, d, sink, out, err);
        break;
    case TASK_TOKEN_CLASSIFICATION:
        rc = score_words(s, d, sink, out, err);
        break;
    case TASK_QUESTION_ANSWERING:
        rc = score_answers(s, d, sink, out, err);
        break;
    case TASK_FILL_MASK:
    case TASK_PRETRAINING:
        rc = score_masks(s, d, sink, out, err);
        break;
    }
    if (rc)
        evaluation_release(out);
    return rc;
}

/* ---- classes ------------------------------------------------------------------------------------
 */

double matrix_accuracy(const int64_t *m, int n)
{
    double right = 0, all = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            all += (double)m[i * n + j];
            right += i == j ? (double)m[i * n + j] : 0;
        }
    return all > 0 ? right / all : 0;
}

static void margins(const int64_t *m, int n, int class, double *gold, double *found)
{
    *gold = *found = 0;
    for (int i = 0; i < n; i++) {
        *gold += (double)m[class * n + i];
        *found += (double)m[i * n + class];
    }
}

double matrix_f1(const int64_t *m, int n, int class)
{
    double gold, found;
    margins(m, n, class, &gold, &found);
    return gold + found > 0 ? 2 * (double)m[class * n + class] / (gold + found) : 0;
}

double matrix_macro_f1(const int64_t *m, int n)
{
    double sum = 0, gold, found;
    int classes = 0;
    for (int i = 0; i < n; i++) {
        margins(m, n, i, &gold, &found);
        if (gold + found == 0)
            continue;
        sum += matrix_f1(m, n, i);
        classes++;
    }
    return classes ? sum / classes : 0;
}

double matrix_mcc(const int64_t *m, int n)
{
    double all = 0, right = 0, tp = 0, tt = 0, pp = 0;
    for (int i = 0; i < n; i++) {
        double gold, found;
        margins(m, n, i, &gold, &found);
        right += (double)m[i * n + i];
        all += gold;
        tp += gold * found;
        tt += gold * gold;
        pp += found * found;
    }
    const double below = (all * all - pp) * (all * all - tt);
    return below > 0 ? (right * all - tp) / sqrt(below) : 0;
}

static void class_measures(const int64_t *m, int n, struct evaluation *out)
{
    out->main = 0;
    evaluation_add(out, "accuracy", matrix_accuracy(m, n));
    evaluation_add(out, "macro_f1", matrix_macro_f1(m, n));
    evaluation_add(out, "mcc", matrix_mcc(m, n));
    if (n == 2)
        evaluation_add(out, "f1", matrix_f1(m, n, 1));
}

static int largest(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

int score_classes(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
                  struct evaluation *out, struct err *err)
{
    const struct slot *y = &s->tape.slot[s->slots.out];
    const int n = y->cols;
    int64_t *m = xcalloc((size_t)n * (size_t)n, sizeof *m), at = 0;
    double *found = xcalloc((size_t)d->n, sizeof *found),
           *gold = xcalloc((size_t)d->n, sizeof *gold);
    struct packed p = {0};
    struct slice slice = {0};
    double loss = 0;
    while (at >= 0 && at < d->n) {
        const int64_t from = at;
        at = scorer_forward(s, d, at, &p, &slice, sink, err);
        for (int i = 0; at >= 0 && i < p.n_seq; i++) {
            const float *row = y->x + (size_t)i * (size_t)n;
            found[from + i] = row[0];
            gold[from + i] = p.score[i];
            if (!d->regression)
                m[p.label[i] * n + largest(row, n)]++;
        }
        if (at >= 0 && d->regression)
            loss += loss_mse(y->x, p.score, (size_t)p.n_seq, (double)d->n, NULL);
        else if (at >= 0)
            loss +=
                loss_cross_entropy(y->x, p.label, p.n_seq, n, (double)d->n, NULL, NULL, s->pool);
    }
    out->loss = loss;
    if (at >= 0 && d->regression) {
        out->main = 0;
        evaluation_add(out, "spearman", spearman(found, gold, (size_t)d->n));
        evaluation_add(out, "pearson", pearson(found, gold, (size_t)d->n));
        evaluation_add(out, "mse", loss);
    } else if (at >= 0) {
        class_measures(m, n, out);
    }
    packed_release(&p);
    slice_release(&slice);
    free(m);
    free(found);
    free(gold);
    return at < 0 ? -1 : 0;
}

/* ---- masked words -------------------------------------------------------------------------------
 */

int score_masks(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
                struct evaluation *out, struct err *err)
{
    const struct slot *y = &s->tape.slot[s->slots.out];
    struct packed p = {0};
    struct slice slice = {0};
    double loss = 0, next_loss = 0;
    int64_t masked = 0, right = 0, next_right = 0, at = 0;
    while (at >= 0 && at < d->n) {
        int n_right = 0;
        at = scorer_forward(s, d, at, &p, &slice, sink, err);
        if (at >= 0 && p.n_pick) {
            loss += loss_cross_entropy(y->x, p.pick_label, p.n_pick, y->cols, 1, NULL, &n_right,
                                       s->pool);
            right += n_right;
            masked += p.n_pick;
        }
        if (at >= 0 && d->task == TASK_PRETRAINING) {
            next_loss += loss_cross_entropy(s->tape.slot[s->slots.out2].x, p.label, p.n_seq, 2, 1,
                                            NULL, &n_right, s->pool);
            next_right += n_right;
        }
    }
    packed_release(&p);
    slice_release(&slice);
    if (at < 0)
        return -1;
    const double mean = masked ? loss / (double)masked : 0;
    out->loss = mean;
    evaluation_add(out, "perplexity", exp(mean));
    evaluation_add(out, "accuracy", masked ? (double)right / (double)masked : 0);
    evaluation_add(out, "masked", (double)masked);
    if (d->task == TASK_PRETRAINING) {
        out->loss += next_loss / (double)d->n;
        evaluation_add(out, "mlm_loss", mean);
        evaluation_add(out, "next_accuracy", (double)next_right / (double)d->n);
    }
    return 0;
}
