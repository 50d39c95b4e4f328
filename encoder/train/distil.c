/* distil.c - masked words learned from a teacher, as DistilBERT was (Sanh et al. 2019).
 *
 *   loss = 5 T^2 KL(teacher / T || student / T) + 2 CE(masked words) + 1 (1 - cos(states)),  T = 2
 *
 * The first and the last are means over all tokens, the second over the masked ones; both models
 * see the same holes. The weights are those of the command in DistilBERT's README. Every token
 * needs a row as wide as the vocabulary from both models, so few tokens are run at once.
 */
#include "encoder/train/run.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define TEMPERATURE   2.0
#define WEIGHT_WORDS  5.0
#define WEIGHT_MASKED 2.0

int distiller_open(struct distiller *d, const char *dir, const struct learner *student,
                   struct pool *pool, struct err *err)
{
    const struct learner_options o = {.head = HEAD_MLM, .dropout = 0};
    const struct model_info *s = learner_info(student);
    *d = (struct distiller){0};
    if (learner_open(dir, &o, &d->teacher, err))
        return -1;
    const struct model_info *t = learner_info(d->teacher);
    if (learner_new_head(d->teacher))
        return err_kind_set(err, ERR_USAGE, "the teacher '%s' has no head for masked words", dir);
    if (!hash_equal(tokenizer_fingerprint(learner_tokenizer(student)),
                    tokenizer_fingerprint(learner_tokenizer(d->teacher))) ||
        s->vocab != t->vocab) {
        err_kind_set(err, ERR_USAGE, "the teacher '%s' has another vocabulary", dir);
        return err_hint(err, "words can be compared only when both models have the same tokens");
    }
    d->states = s->hidden == t->hidden;
    return learner_tape_states(d->teacher, TAPE_INFER, pool, &d->tape, &d->slots, err);
}

void distiller_close(struct distiller *d)
{
    if (!d->teacher)
        return;
    tape_release(&d->tape);
    learner_close(d->teacher);
    *d = (struct distiller){0};
}

/* y = a y + b x */
static void blend(float *y, double a, const float *x, double b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(a * y[i] + b * x[i]);
}

/* What is compared has as many rows as the group has tokens, whatever the slice. */
int distil_slice(struct stepper *s, const int *label, double divisor, double *loss, struct err *err)
{
    struct distiller *d = s->distiller;
    const struct batch *b = &s->slice.batch;
    struct slot *out = &s->tape.slot[s->slots.out], *states = &s->tape.slot[s->slots.hidden];
    const struct slot *words = &d->tape.slot[d->slots.out],
                      *theirs = &d->tape.slot[d->slots.hidden];
    const size_t n = (size_t)b->n_pick * (size_t)out->cols;
    const double tokens = s->packed.n_tok;
    void *p;
    if (tape_bind(&d->tape, b, err) ||
        mem_try(&p, n * sizeof(float), "the gradients of words", err))
        return -1;
    float *masked = p;
    tape_forward(&d->tape);
    *loss = WEIGHT_WORDS *
            loss_kl(out->x, words->x, b->n_pick, out->cols, TEMPERATURE, tokens, out->dx);
    if (divisor > 0) {
        *loss += WEIGHT_MASKED * loss_cross_entropy(out->x, label, b->n_pick, out->cols, divisor,
                                                    masked, NULL, s->pool);
        blend(out->dx, WEIGHT_WORDS, masked, WEIGHT_MASKED, n);
    } else {
        kern.scale(out->dx, (float)WEIGHT_WORDS, n);
    }
    if (d->states) /* of weight 1, so the derivative needs no scaling */
        *loss += loss_cosine(states->x, theirs->x, b->n_tok, states->cols, tokens, states->dx);
    free(masked);
    return 0;
}
