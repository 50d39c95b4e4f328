/* runner.h - token sequences through a model's tape, in batches, on several threads.
 *
 * Sequences are sorted by length and packed into batches of about RUN_TOKENS: enough rows for the
 * matrix product, few enough that activations stay in the L2 cache. Workers take whole batches,
 * each with a tape of its own. When there is only one batch (a query), that one tape is split over
 * the workers instead, by output columns and attention heads. Neither changes any number: a row
 * depends on its own sequence alone.
 */
#ifndef SEMSEARCH_ENCODER_MODEL_RUNNER_H
#define SEMSEARCH_ENCODER_MODEL_RUNNER_H

#include "encoder/model/model.h"

#include <stdatomic.h>

enum {
    RUN_TOKENS = 128,    /* a batch is closed before it passes this; a longer text is a batch */
    RUN_SPLIT = 64,      /* fewer tokens a worker are one batch, split over the workers */
    RUN_SEQUENCES = 4096 /* at most so many a run */
};

struct run_sequence {
    const int *id, *type; /* [n]; type NULL: all 0 */
    int n;                /* 0: passes through no batch */
    const int *pick;      /* [n_pick] positions, rising, that a HEAD_MLM answers */
    int n_pick;
};

/* What the tape gave for one sequence: its first row of each output, in the slot's row kind (one
 * row, n rows or n_pick rows). NULL for a sequence without tokens. */
struct seq_output {
    const float *out, *out2;
};

struct runner {
    const struct model *model;
    struct pool *pool;
    int n_workers;
    struct session *session; /* [n_workers] and one more, whose tape is split over the pool */
    int *order;              /* sequences by falling length */
    int *batch_start;        /* batch b is order[batch_start[b]..batch_start[b + 1]) */
};

int runner_open(struct runner *r, const struct model *m, int threads, struct err *err) WARN_UNUSED;
void runner_close(struct runner *r); /* safe on a zeroed one */

/* Runs n <= RUN_SEQUENCES sequences. take() is called once for each, from whichever worker has it;
 * the output is only valid inside. `skip`: leading tokens that pooling leaves out. Fails on memory
 * and when the program is asked to stop. */
int runner_run(struct runner *r, const struct run_sequence *seq, int n, int skip,
               void (*take)(void *ctx, int item, const struct seq_output *o), void *ctx,
               struct err *err) WARN_UNUSED;

size_t runner_peak_bytes(const struct runner *r); /* all sessions' activations, most so far */

/* The first failure of several workers. */
struct failure {
    atomic_bool set;
    struct err err; /* written by the first to fail */
};
void failure_set(struct failure *f, const struct err *err);
bool failure_seen(struct failure *f);

#endif
