/* learner.h - a model whose weights can change: heads, masters in fp32, and the way out to a
 * folder.
 *
 * model.h's model is read-only and packed. A learner holds the same parameters as row-major fp32
 * masters (param->w, and x pointing to them) with gradients (param->dx), builds tapes for training
 * and for evaluation over them, and saves a folder in Hugging Face layout. The matrices' packed
 * forms follow the masters at learner_refresh().
 *
 * Heads are rows of a table beside the families (head.c): which operations follow the encoder, how
 * each family names their tensors, which `architectures` the folder states.
 */
#ifndef SEMSEARCH_ENCODER_MODEL_LEARNER_H
#define SEMSEARCH_ENCODER_MODEL_LEARNER_H

#include "encoder/encoder.h"
#include "encoder/model/head.h"
#include "encoder/tape/tape.h"

struct learner_options {
    enum head_kind head;
    int n_labels;
    const char *const *label;  /* [n_labels], copied */
    bool regression;           /* HEAD_SEQUENCE with one label and problem_type regression */
    double dropout;            /* every dropout of the model; < 0: as config.json says */
    uint64_t seed;             /* of weights that must be made */
    const char *pooling;       /* HEAD_SENTENCE of a folder without modules.json; NULL: mean */
    const char *const *freeze; /* [n_freeze] shell globs over file names of tensors */
    size_t n_freeze;
    bool bf16; /* matrix products in bf16 over fp32 masters */
};

struct learner;

/* From a base folder; a head of the same kind that the folder has is kept when its labels cover the
 * wanted ones in any order (the folder's order then stands; learner_labels tells), else a new one
 * is made (learner_new_head tells). */
int learner_open(const char *dir, const struct learner_options *o, struct learner **out,
                 struct err *err) WARN_UNUSED;
/* Random weights (initializer_range of the config) and a tokenizer's folder. */
int learner_random(const char *config_file, const char *tokenizer_dir,
                   const struct learner_options *o, struct learner **out,
                   struct err *err) WARN_UNUSED;
void learner_close(struct learner *l);

bool learner_new_head(const struct learner *l);
const char *const *learner_labels(const struct learner *l, int *n);
const struct model_info *learner_info(const struct learner *l);
const struct tokenizer *learner_tokenizer(const struct learner *l);
struct params *learner_params(struct learner *l);
/* The name in the file of a parameter's first part, for messages and globs; borrowed. */
const char *learner_file_name(const struct learner *l, int param);

/* A tape over the learner's parameters (borrowed). TAPE_INFER: without dropout, fused. The caller
 * releases it; `pool` may be NULL. */
int learner_tape(struct learner *l, enum tape_mode mode, struct pool *pool, struct tape *t,
                 struct learner_slots *slots, struct err *err) WARN_UNUSED;

/* The same with hidden states that stay: the caller reads them after tape_forward, and in a
 * training tape writes the derivative by them before tape_backward. */
int learner_tape_states(struct learner *l, enum tape_mode mode, struct pool *pool, struct tape *t,
                        struct learner_slots *slots, struct err *err) WARN_UNUSED;

/* After the masters changed: packs what forward and backward multiply with. */
void learner_refresh(struct learner *l, struct pool *pool);

/* Whether the model can have a window of so many tokens. */
int learner_check_window(const struct learner *l, int max_tokens, struct err *err) WARN_UNUSED;
/* Writes the model's folder into the existing empty `dir` (config.json, model.safetensors in F32,
 * tokenizer files, and for HEAD_SENTENCE modules.json and pooling), every file synced. Not atomic
 * by itself: the caller gives a temporary folder and renames it. max_tokens > 0: a new window. */
int learner_save(struct learner *l, const char *dir, int max_tokens, struct err *err) WARN_UNUSED;

/* Of HEAD_SPAN: the data had no question without an answer, so `predict` is to answer always. Saved
 * as "always_answers" in config.json, where transformers ignores it. */
void learner_set_always_answers(struct learner *l, bool always);

/* Bytes of masters and gradients. */
size_t learner_bytes(const struct learner *l);

#endif
