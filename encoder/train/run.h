/* run.h - the inside of a training run, for the files of this folder and their tests. */
#ifndef SEMSEARCH_ENCODER_TRAIN_RUN_H
#define SEMSEARCH_ENCODER_TRAIN_RUN_H

#include "encoder/model/learner.h"
#include "encoder/train/batch.h"
#include "encoder/train/dataset.h"
#include "encoder/train/optim.h"

/* ---- one step (step.c)
 * --------------------------------------------------------------------------------
 */

/* A model whose predictions of masked words, and whose states, another one learns to have
 * (distil.c). */
struct distiller {
    struct learner *teacher;
    struct tape tape;
    struct learner_slots slots;
    bool states; /* both have states of one width: they are compared too */
};
int distiller_open(struct distiller *d, const char *dir, const struct learner *student,
                   struct pool *pool, struct err *err) WARN_UNUSED;
void distiller_close(struct distiller *d);

/* What a step needs beside the learner; made once a run. */
struct stepper {
    struct learner *learner;
    struct tape tape;
    struct learner_slots slots;
    struct pool *pool;
    const struct dataset *data;
    const struct loss_options *losses;
    const float *teacher;        /* [n examples * columns, dim], or NULL */
    struct distiller *distiller; /* fill-mask; or NULL */
    uint64_t seed;
    int micro_tokens;    /* of one run of the tape */
    int micro_sequences; /* 0: any */
    bool cached;         /* embeddings: always by cached gradients */

    struct packed packed;
    struct slice slice;
    float *x, *dx, *target, *label; /* of a whole batch of embeddings */
    uint64_t *text, *anchor;
    size_t cap_x, cap_rows;
    size_t peak_bytes;
};
int stepper_init(struct stepper *s, struct learner *l, const struct dataset *d, struct pool *pool,
                 struct distiller *distiller, struct err *err) WARN_UNUSED;
void stepper_release(struct stepper *s);

/* Adds the gradient of the loss over batches [b0, b1) of the plan to the parameters' dx. The loss
 * is the mean over all their rows (labelled tokens, windows, masked tokens); losses over a batch as
 * a whole are averaged by its rows, CoSENT and online-contrastive evenly. It does not depend on how
 * the work is cut into runs of the tape. */
int stepper_run(struct stepper *s, const struct plan *p, int64_t b0, int64_t b1, struct moment m,
                int64_t step, double *loss, int64_t *n_tokens, struct err *err) WARN_UNUSED;

/* The losses of the slice that has been run up, by student and teacher; divisor: masked tokens of
 * the group. Writes the derivatives. */
int distil_slice(struct stepper *s, const int *label, double divisor, double *loss,
                 struct err *err) WARN_UNUSED;

/* The largest number of tokens and of sequences that a batch of the plan has. */
size_t stepper_bytes(const struct stepper *s, int n_tok, int n_seq, int n_pick);

/* ---- scoring (evaluate.c)
 * ------------------------------------------------------------------------------
 */

struct scorer {
    struct learner *learner;
    struct tape tape; /* TAPE_INFER */
    struct learner_slots slots;
    struct pool *pool;
    const struct loss_options *losses;
    int batch_size;
    double null_threshold;
};
int scorer_init(struct scorer *s, struct learner *l, struct pool *pool,
                struct err *err) WARN_UNUSED;
void scorer_release(struct scorer *s);
int scorer_run(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
               struct evaluation *out, struct err *err) WARN_UNUSED;

/* ---- checkpoints (checkpoint.c)
 * ------------------------------------------------------------------------
 */

/* Where a run stands. */
struct run_state {
    int64_t step, epoch, group; /* updates done; the next group of that epoch */
    int64_t rows, tokens;
    double best; /* of the deciding measure */
    int64_t best_step;
    int worse;         /* evaluations since the best one */
    int64_t evaluated; /* the step of the last evaluation; -1: none */
    double log_loss;   /* summed since the last logged step */
    int64_t log_steps, log_tokens;
    int micro_tokens; /* how the work was cut: the order of sums depends on it */
    bool cached;
    uint64_t settings; /* a hash of what the rest of the run is made from */
};

/* Writes OUT/checkpoint-STEP: the model's folder, optimizer.safetensors, state.json with the
 * checksums of all others. Under a temporary name, synced, renamed; a failure leaves nothing of
 * it. */
int checkpoint_save(const char *out, struct learner *l, const struct adamw *a,
                    const struct run_state *s, struct err *err) WARN_UNUSED;
/* The newest checkpoint in a run's folder whose checksums hold, or `path` itself when it is one.
 * Owned. NULL with err: none. Notes which ones were passed over. */
char *checkpoint_find(const char *path, const struct train_sink *sink, struct err *err);
int checkpoint_read_state(const char *dir, struct run_state *s, struct err *err) WARN_UNUSED;
int checkpoint_read_optimizer(const char *dir, const struct learner *l, struct adamw *a,
                              struct err *err) WARN_UNUSED;
/* Removes all but the newest `keep` and the one of step `best`; keep 0: none is removed. */
int checkpoint_prune(const char *out, int keep, int64_t best, struct err *err) WARN_UNUSED;
/* Removes what an interrupted write left. */
void checkpoint_clean(const char *out);

/* ---- the run's files (journal.c)
 * -----------------------------------------------------------------------
 */

struct journal {
    int fd; /* metrics.jsonl */
};
/* Begins metrics.jsonl; after_step >= 0: keeps the whole lines of steps up to there (of the folder
 * `from`). */
int journal_open(struct journal *j, const char *out, const char *from, int64_t after_step,
                 struct err *err) WARN_UNUSED;
int journal_step(struct journal *j, const struct train_step *s, struct err *err) WARN_UNUSED;
int journal_evaluation(struct journal *j, int64_t step, const struct evaluation *e,
                       struct err *err) WARN_UNUSED;
void journal_close(struct journal *j);
/* Copies data that was made for this run (data_options.keep) into its folder. */
int journal_keep_data(const struct data_options *data, const char *out,
                      struct err *err) WARN_UNUSED;

/* training.json: all settings, hashes of the data, version; with `report` also how it ended. */
int journal_settings(const struct train_options *o, const struct dataset *d,
                     const struct dataset *eval, const struct learner *l, int64_t total_steps,
                     int64_t warmup, const struct train_report *report,
                     struct err *err) WARN_UNUSED;

/* ---- the output folder (outdir.c)
 * ----------------------------------------------------------------------
 */

struct outdir {
    const char *path;
    int lock; /* a descriptor of the folder, locked; -1: none */
};
/* Refuses a folder that holds something, unless it is to be gone on with or overwritten. Changes
 * nothing. */
int outdir_check(const struct train_options *o, struct err *err) WARN_UNUSED;
/* Makes the folder, locks it, removes what an interrupted run left and, to overwrite, what a run
 * writes: nothing else is touched. */
int outdir_open(struct outdir *d, const char *path, bool overwrite, struct err *err) WARN_UNUSED;
void outdir_close(struct outdir *d);
bool outdir_same(const char *a, const char *b); /* two names of one existing folder */
/* Saves the model into a temporary folder and moves its files to their places, config.json and
 * modules.json last: before them nobody takes the folder for a model. */
int outdir_install(const struct outdir *d, struct learner *l, int max_tokens,
                   struct err *err) WARN_UNUSED;

/* ---- a run (prepare*.c, run.c)
 * --------------------------------------------------------------------------
 */

struct run {
    const struct train_options *o;
    const struct train_sink *sink;
    struct train_report *report;
    char *out;     /* of the options, or of what is resumed */
    char *resume;  /* the checkpoint; NULL: a new run */
    bool in_place; /* resumed in the run's own folder */
    struct outdir dir;
    struct pool *pool;
    struct dataset data, eval;
    bool has_eval;
    struct learner *learner;
    struct loss_options losses;
    float *teacher;
    struct distiller distiller;
    struct stepper stepper;
    struct scorer scorer;
    struct adamw adamw;
    bool has_adamw;
    struct journal journal;
    struct plan plan;
    struct run_state state;
    int64_t total, warmup;
    int64_t saved; /* the step of the last checkpoint of this process; -1: none */
    double started_ms;
};
/* Everything before the first step. On failure nothing was written (a run_release is due). */
int run_prepare(struct run *r, struct err *err) WARN_UNUSED;
void run_release(struct run *r);
/* Training and evaluation data; before there is a model. */
int run_read_data(struct run *r, struct err *err) WARN_UNUSED;
/* Labels in the model's order, tokens; tells of rows that are on both sides. */
int run_fit_data(struct run *r, struct err *err) WARN_UNUSED;
/* How much of a batch goes through the tape at once, so that it fits; refuses what cannot. */
int run_settle_memory(struct run *r, struct err *err) WARN_UNUSED;
/* The learner of a folder, with the head that the task and the data want. */
int run_open_learner(struct run *r, const char *dir, struct err *err) WARN_UNUSED;
/* Plan of the given epoch. */
void run_plan(struct run *r, int64_t epoch);
int64_t run_groups(const struct run *r); /* updates in the planned epoch */
void run_note(const struct train_sink *sink, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
