/* model.h - the inside of a model and of an encoder, for the files of this folder and their tests.
 */
#ifndef SEMSEARCH_ENCODER_MODEL_MODEL_H
#define SEMSEARCH_ENCODER_MODEL_MODEL_H

#include "encoder/encoder.h"
#include "encoder/model/config.h"
#include "encoder/model/load.h"

struct model {
    struct model_config config;
    struct tokenizer *tokenizer;
    struct map tokenizer_map; /* of its tables, when they came from the cache */
    struct weight_sources sources;
    struct params params;
    struct image image;
    struct model_info info;
    enum head_kind head; /* what it was opened for */
    enum precision precision;
    bool loaded; /* false: opened by model_inspect */
};

/* Opening by steps, into a zeroed model that model_release() empties whatever happens: all but the
 * weights, whose hash comes back; and two of its parts, for models that are not a folder yet. */
int model_read(struct model *m, const char *dir, const struct model_options *options,
               struct hash128 *weights, struct err *err) WARN_UNUSED;
int model_read_tokenizer(struct model *m, struct err *err) WARN_UNUSED;
void model_describe(struct model *m, struct hash128 weights); /* fills info */
void model_release(struct model *m);                          /* model_close() without the free */

/* The prompt of a role: "" when there is none (encoder.h says which). */
const char *model_role_prompt(const struct model *m, enum embed_role role);

/* A tape of this model and its head with its own memory, borrowing the model's parameters. Vectors
 * of a HEAD_SENTENCE are not normalised by a final Normalize. */
int model_tape(const struct model *m, struct tape *t, struct learner_slots *slots,
               struct err *err) WARN_UNUSED;

/* The encoder's memory for activations, all threads together, most so far. */
size_t encoder_peak_bytes(const struct encoder *e);

/* For measurements and comparisons: sequence s is ids[start[s]..start[s + 1]), given as they are
 * (no prompt, no special tokens added, at most the window each, below the vocabulary). out: [n,
 * dim]. The path through batches and threads is that of encoder_embed. */
int encoder_embed_ids(struct encoder *e, const int *ids, const int *start, size_t n, int normalize,
                      float *out, struct err *err) WARN_UNUSED;

#endif
