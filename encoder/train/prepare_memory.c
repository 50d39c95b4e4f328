/* prepare_memory.c - how much memory a run needs, and how its batches are cut to fit; see run.h. */
#include "encoder/train/memory.h"
#include "encoder/train/run.h"

enum {
    DISTIL_TOKENS = 512,     /* the same where every token has words to compare */
    ROW_TOKENS = 4096,       /* of a run of the tape, for losses that are sums over rows */
    EMBEDDING_TOKENS = 65536 /* for losses over a whole batch: larger ones cache their gradients */
};
#define RESERVE      ((size_t)32 << 20) /* for all that is not counted one by one */
#define MEMORY_SHARE 0.6                /* of what is available that activations may take */

/* The most tokens of one batch (all columns), and the longest sequence. */
static void measure_batches(const struct run *r, int64_t *most, int *longest)
{
    const struct dataset *d = &r->data;
    const int64_t c = d->task == TASK_SENTENCE_SIMILARITY ? d->columns : 1;
    *most = *longest = 0;
    if (d->task == TASK_PRETRAINING) {
        *longest = d->max_length;
        *most = (int64_t)r->o->batch_size * d->max_length;
        return;
    }
    for (size_t i = 0; i < d->seqs.n; i++)
        if (d->seqs.seq[i].n > *longest)
            *longest = d->seqs.seq[i].n;
    for (int64_t b = 0; b < r->plan.n_batches; b++) {
        int64_t tokens = 0;
        for (int64_t i = r->plan.start[b]; i < r->plan.start[b + 1]; i++)
            for (int64_t k = 0; k < c; k++)
                tokens += d->seqs.seq[r->plan.order[i] * c + k].n;
        if (tokens > *most)
            *most = tokens;
    }
}

static size_t tape_need(const struct run *r, int64_t tokens, int longest)
{
    const bool masks = r->o->task == TASK_FILL_MASK || r->o->task == TASK_PRETRAINING;
    const int n_seq = (int)((tokens + longest - 1) / longest);
    /* chance may hide more than its share; a teacher is asked about every token */
    const double share = r->stepper.distiller ? 1 : r->o->data.mask_probability * 1.3;
    const int n_pick = masks ? (int)((double)tokens * share) + 8 : 0;
    return stepper_bytes(&r->stepper, (int)tokens, n_seq, n_pick);
}

/* How much of a batch goes through the tape at once, so that it fits. */
int run_settle_memory(struct run *r, struct err *err)
{
    const bool embeddings = r->o->task == TASK_SENTENCE_SIMILARITY;
    int64_t most;
    int longest;
    measure_batches(r, &most, &longest);
    const size_t available = memory_available();
    const size_t budget =
        available == SIZE_MAX ? SIZE_MAX : (size_t)((double)available * MEMORY_SHARE);
    const size_t fixed = RESERVE + adamw_bytes(learner_params(r->learner)) +
                         2 * (size_t)r->o->batch_size * (size_t)r->data.columns *
                             (size_t)learner_info(r->learner)->dim * sizeof(float);
    int64_t tokens = embeddings             ? EMBEDDING_TOKENS
                     : r->stepper.distiller ? DISTIL_TOKENS
                                            : ROW_TOKENS;
    if (tokens > most + most / 4) /* other epochs' batches are a little longer */
        tokens = most + most / 4;
    if (tokens < longest)
        tokens = longest;
    while (tokens > longest && fixed + tape_need(r, tokens, longest) > budget)
        tokens = tokens * 3 / 4 > longest ? tokens * 3 / 4 : longest;
    const size_t need = fixed + tape_need(r, tokens, longest);
    char a[32], b[32];
    memory_text(need + learner_bytes(r->learner), a);
    memory_text(available, b);
    if (available != SIZE_MAX && need > available) {
        err_kind_set(err, ERR_MEMORY,
                     "training needs about %s of memory beside the model, %s are available", a, b);
        return err_hint(err,
                        "a smaller --max-length (the longest text has %d tokens), --freeze "
                        "for parts of the model, or a smaller model",
                        longest);
    }
    r->stepper.micro_tokens = (int)tokens;
    r->stepper.micro_sequences = r->o->mini_batch;
    r->stepper.cached = embeddings && r->o->mini_batch > 0;
    r->report->peak_bytes = need + learner_bytes(r->learner);
    return 0;
}
