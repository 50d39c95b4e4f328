/* tune.h - the inside of `semsearch tune`, for its files. */
#ifndef SEMSEARCH_CLI_TUNE_H
#define SEMSEARCH_CLI_TUNE_H

#include "cli/engine.h"
#include "cli/output.h"
#include "cli/place.h"
#include "encoder/train/train.h"

enum { TUNE_SEED = 42, TUNE_MODES = 3 };

struct tune {
    const struct args *a;
    struct place place;
    struct store *store;
    struct engine engine; /* its embedder is the bare model's */
    struct bar bar;
    struct pair_list pairs;
    const struct pair **train; /* [n_train] those that are trained on */
    size_t n_train;
    char *scratch;
    struct held_report held;
    uint64_t *group; /* [held.questions] */
    struct evaluate_report before, after;
    double *ndcg_before, *ndcg_after; /* [held.questions * TUNE_MODES] */
    struct verdict verdict[TUNE_MODES];
    bool measured, better, switched;
    char *model; /* --full: the new model's folder */
    int updates; /* --full: of this process */
    double started_ms;
};

/* The map of questions (tune_map.c): trained, measured, and put in place when search is better. */
int tune_map(struct tune *t, struct err *err) WARN_UNUSED;
int tune_map_remove(struct tune *t, struct err *err) WARN_UNUSED; /* the exit code, or -1 */

/* The encoder itself (tune_model.c): trained and measured. */
int tune_model(struct tune *t, struct err *err) WARN_UNUSED;
/* The index is embedded anew with the better model; the exit code, or -1. */
int tune_model_switch(struct tune *t, struct err *err) WARN_UNUSED;

/* For both (tune_measure.c). Pairs as TSV: anchor, positive, kind, held_out; all, or those that are
 * trained on. */
int tune_write_pairs(const struct tune *t, const char *path, bool all, struct err *err) WARN_UNUSED;
/* The held-out collection, indexed below the scratch folder. */
int tune_bench(const struct tune *t, const char *name, struct embedder *e,
               struct evaluation_bench **out, struct err *err) WARN_UNUSED;
/* Asks as search is now, with the map that the index may have already. */
int tune_measure_before(struct tune *t, struct evaluation_bench *b, struct err *err) WARN_UNUSED;
/* Sets the verdicts and `better` from the figures before and after. */
void tune_compare(struct tune *t);

void tune_report(const struct tune *t);

#endif
