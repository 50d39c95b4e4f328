/* engine.h - a model opened for a command: resolved by name, loaded, and wrapped as an embedder for
 * index/. */
#ifndef SEMSEARCH_CLI_ENGINE_H
#define SEMSEARCH_CLI_ENGINE_H

#include "cli/args.h"
#include "cli/registry.h"
#include "encoder/encoder.h"
#include "index/index.h"

struct engine {
    struct registry_entry from; /* what it is called, where it lies */
    struct model *model;
    struct embedder *embedder; /* NULL until engine_embedder() */
    int threads;
};

/* `model`: a name or folder, NULL: the default. In --precision, fp32 without it; one that this CPU
 * lacks is refused. auto runs the model's gate (model_check) where it never was. */
int engine_open(const struct args *a, const char *model, struct engine *e,
                struct err *err) WARN_UNUSED;
int engine_embedder(struct engine *e, struct err *err) WARN_UNUSED;
void engine_close(struct engine *e);

/* The engine of an index: the model that it was made with, found again by name or by folder
 * (--model overrides). Without --precision it is auto. */
int engine_of_index(const struct args *a, struct store *s, struct engine *e,
                    struct err *err) WARN_UNUSED;
/* The same for questions, which must not wait: auto never runs the gate. Where there is no result
 * (the cache folder was emptied), it is the precision of the index's last run, or fp32 on a machine
 * that lacks it. */
int engine_for_questions(const struct args *a, struct store *s, struct engine *e,
                         struct err *err) WARN_UNUSED;

/* Questions go through the query adapter of the index folder, when it has one of this model: true.
 * A damaged one is told on standard error and left out. */
bool engine_adapt(struct engine *e, const char *index_dir);

/* Cosine of two vectors of `dim` numbers, summed in double; 0 when one of them is zero. */
double engine_cosine(const float *a, const float *b, int dim);

/* Options of several commands in the form index/ wants. */
void walk_options_of(const struct args *a, struct walk_options *o);

#endif
