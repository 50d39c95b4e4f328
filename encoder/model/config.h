/* config.h - what the JSON files of a model folder say, checked and in one struct.
 *
 * Two layouts: a plain Hugging Face folder (config.json beside the weights), and a
 * sentence-transformers folder, where modules.json lists what runs after the encoder. Of the latter
 * two spellings exist: up to version 5.1 class paths such as sentence_transformers.models.Pooling
 * and a boolean per pooling mode; from 5.7 full class paths and the mode by name. The last
 * component of the class path decides here, and both pooling spellings are read.
 */
#ifndef SEMSEARCH_ENCODER_MODEL_CONFIG_H
#define SEMSEARCH_ENCODER_MODEL_CONFIG_H

#include "encoder/encoder.h"
#include "encoder/model/family.h"
#include "encoder/model/head.h"
#include "encoder/tape/tape.h"
#include "src/base/mem.h"

enum module_kind { MODULE_POOL, MODULE_DENSE, MODULE_NORM, MODULE_NORMALISE };
enum { MODULES_MAX = 16 };

struct module {
    enum module_kind kind;
    const char *dir;                 /* the folder of its weights; NULL: it has none */
    enum pool_mode pool[POOL_MODES]; /* MODULE_POOL */
    int n_pool;
    bool include_prompt;
    int in, out; /* MODULE_DENSE; of MODULE_NORM both are its width */
    bool bias;
    enum activation act;
};

struct model_config {
    struct arena arena;      /* of all strings below */
    const char *dir;         /* the model folder, absolute */
    const char *encoder_dir; /* where config.json, weights and tokenizer are */
    const char *name;

    const struct family *family;
    int layers, hidden, heads, intermediate, vocab, positions, types, pos_offset;
    int pad; /* pad_token_id, whose row of the word table stays 0; -1: none */
    enum activation act;
    const char *act_name;
    float eps;
    struct dropout {
        float hidden, attention, seq, token, span;
    } dropout; /* of training; the last three: before the heads of those kinds */
    double initializer_range;
    bool untied; /* tie_word_embeddings is false: the decoder has a matrix of its own */

    const char *task;
    bool has_head;       /* architectures names one */
    enum head_kind head; /* which */
    enum problem problem;
    bool always_answers;   /* question answering: was not trained on questions without an answer */
    bool sentence_encoder; /* there is a modules.json */
    const char **label;    /* of a head that has labels: one for each output */
    size_t n_labels;

    struct module module[MODULES_MAX]; /* the first is MODULE_POOL */
    int n_modules;
    bool normalise;    /* a Normalize stood at the end; it is not among `module` */
    int max_tokens;    /* of modules' settings, tokenizer and position table, the smallest */
    bool lower_case;   /* the settings ask for lower-casing before the tokenizer */
    int stated_tokens; /* what the sentence-transformers settings say; 0: nothing */
    struct model_prompt *prompt;
    size_t n_prompts;
    const char *default_prompt; /* a name; NULL: none */
    char pooling_text[128];     /* "mean", "cls+max" */
    int dim;
};

/* Reads everything but weights and tokenizer. `options` may be NULL. max_tokens is the limit of the
 * settings and the position table; the caller lowers it by the tokenizer's own limit. */
int config_read(struct model_config *c, const char *dir, const struct model_options *options,
                struct err *err) WARN_UNUSED;
/* Only as far as to know encoder_dir; config.json is not needed. */
int config_find_encoder(struct model_config *c, const char *dir, struct err *err) WARN_UNUSED;
/* For a model that is yet to be made: a file in the form of config.json, and the folder of its
 * tokenizer, which counts as the model's. */
int config_read_new(struct model_config *c, const char *file, const char *tokenizer_dir,
                    const struct model_options *options, struct err *err) WARN_UNUSED;
void config_release(struct model_config *c);

/* The two halves of modules.c. The first reads modules.json and what belongs to it, and finds the
 * encoder's folder; a folder without one gets the pooling of the options, mean by default. The
 * second checks the modules' widths against the encoder's, and settles dim, max_tokens and task. */
int config_read_modules(struct model_config *c, const struct model_options *options,
                        struct err *err) WARN_UNUSED;
/* Instead of the first, as if there were no modules.json. */
int config_plain_modules(struct model_config *c, const struct model_options *options,
                         struct err *err) WARN_UNUSED;
int config_check_modules(struct model_config *c, const struct model_options *options,
                         struct err *err) WARN_UNUSED;

/* The Pooling module's config.json, in the spelling with a boolean for each mode (which cannot say
 * an order other than its own). */
void config_pooling_json(const struct model_config *c, struct str *out);

/* Appends to a tape (build.c) and returns the slot of the result: the encoder, [n_tok, hidden]; the
 * modules of a sentence encoder on its output x, [n_seq, dim], before the final Normalize. Heads on
 * x are head_build()'s. */
int config_build_encoder(const struct model_config *c, struct tape *t);
int config_build_modules(const struct model_config *c, struct tape *t, int x);
/* Both. */
int config_build(const struct model_config *c, struct tape *t);

/* For messages and tables: the activation of that name in config.json; false: unknown. */
bool activation_find(struct span name, enum activation *act);
char *config_path(struct model_config *c, const char *dir, const char *name); /* in the arena */

#endif
