/* learner_inside.h - the struct behind learner.h, for learner*.c and export.c. */
#ifndef SEMSEARCH_ENCODER_MODEL_LEARNER_INSIDE_H
#define SEMSEARCH_ENCODER_MODEL_LEARNER_INSIDE_H

#include "encoder/model/learner.h"
#include "encoder/model/model.h"

/* A file of the base folder that goes into every saved folder. Kept in memory: the base may be a
 * checkpoint that is removed while the run goes on. */
struct kept_file {
    const char *name; /* static */
    struct str bytes;
};
enum { KEPT_MAX = 16 };

struct learner {
    struct model model; /* without an image; its params are ours */
    int n_labels;
    bool regression, new_head;
    bool bf16;
    int64_t n_weights; /* numbers of all parameters */
    float *weights;    /* all masters */
    float *gradients;  /* all gradients */
    float *packed;     /* [largest] scratch, then forms of the matrices that ops multiply with */
    size_t largest;    /* numbers of the largest matrix in bf16 */
    size_t bytes;
    char **file_name; /* [params.n] */
    struct kept_file kept[KEPT_MAX];
    int n_kept;
};

enum { FULL_NAME_BYTES = NAME_MAX_BYTES + 32 }; /* with the prefix */

/* The names in the saved folder of the parts of parameter p, with the family's prefix where task
 * models have it; returns how many. Parameters of modules have one part, in a file of their own. */
int learner_names(const struct learner *l, int param, char name[NAME_PARTS][FULL_NAME_BYTES]);

/* Names, shapes and kinds of all parameters, from the tape of the model's head. */
int learner_declare(struct learner *l, struct err *err) WARN_UNUSED;
/* Their masters, gradients and packed forms, zero. */
int learner_allocate(struct learner *l, struct err *err) WARN_UNUSED;
/* Their numbers from the base's files; keep: its head is the one that is wanted. */
int learner_read_params(struct learner *l, bool keep, uint64_t seed, struct err *err) WARN_UNUSED;
/* A glob freezes whole parameters; query, key and value are one of them. */
int learner_freeze(struct learner *l, const char *glob, struct err *err) WARN_UNUSED;

/* Numbers for a tensor that no file has: N(0, initializer_range) for matrices and tables, whose
 * padding row is 0; 1 for a norm's weight, else 0. A function of seed, name and place. */
void learner_init(const struct learner *l, int param, uint64_t seed);

/* Reads the files of `kept` that are there: config.json (or config_file in its place), those of the
 * tokenizer and the sentence-transformers settings. */
int learner_keep_files(struct learner *l, const char *config_file, struct err *err) WARN_UNUSED;

#endif
