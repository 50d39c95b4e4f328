/* encoder.h - the door of encoder/: open a model folder, look at it, embed with it.
 *
 * A model is immutable after loading and shared by threads; a session (inside) belongs to one
 * thread. A folder is Hugging Face or sentence-transformers layout: config.json, model.safetensors
 * (or its sharded index), tokenizer.json or vocab.txt, and, where it is a sentence encoder,
 * modules.json with its modules.
 */
#ifndef SEMSEARCH_ENCODER_ENCODER_H
#define SEMSEARCH_ENCODER_ENCODER_H

#include "encoder/tokenizer/tokenizer.h"
#include "src/base/embedder.h"
#include "src/base/err.h"
#include "src/base/json.h"
#include "src/base/thread.h"

struct model;

struct model_options {
    const char *pooling;   /* for folders without modules.json: "mean" (default), "cls", "max", ...;
                              NULL: as the folder says */
    int max_tokens;        /* 0: as the folder says */
    const char *precision; /* "fp32", "bf16", "int8"; "auto": the fastest that this CPU has and that
                              this model is known to do well in (model_check); NULL: fp32 */
    const char *unchecked; /* what "auto" is as long as model_check was not run; NULL: fp32 */
    const char *task;      /* what to open the folder for: NULL: its vectors; "auto": what the head
                              that it has does; else a task's name, whose head must be there */
};
int model_open(const char *dir, const struct model_options *options, struct model **out,
               struct err *err) WARN_UNUSED;
void model_close(struct model *m);

struct model_prompt {
    const char *name, *text;
};
struct model_info {
    const char *name; /* the folder's last component, or config.json's _name_or_path */
    const char *path, *family, *pooling, *activation,
        *task; /* task: "sentence-similarity", "text-classification", ... */
    int layers, hidden, heads, intermediate, vocab, max_tokens, dim;
    bool normalize;
    const struct model_prompt *prompt;
    size_t n_prompts;
    const char *default_prompt; /* a name, or NULL */
    const char *const *label;
    size_t n_labels;
    int64_t parameters;
    const char *precision; /* that it was opened in; NULL: opened by model_inspect */
    char fingerprint[33];
};
const struct model_info *model_info(const struct model *m);
const struct tokenizer *model_tokenizer(const struct model *m);

/* Looks at a folder without loading its weights (model show, doctor): info says what model_open
 * with the same options (NULL: none) would. info->fingerprint is filled too (it hashes the weights'
 * files, so it reads them once; remembered in the cache folder). The result is freed with
 * model_close. */
int model_inspect(const char *dir, const struct model_options *options, struct model **out,
                  struct err *err) WARN_UNUSED;

/* How a model fares in a precision, compared with itself in fp32 on some dozens of texts that come
 * with the program. */
struct model_fitness {
    const char *precision;
    bool here;                        /* this CPU has the instructions */
    bool known;                       /* it was measured; the rest is 0 otherwise */
    bool passed;                      /* good enough for "auto" */
    double mean_cosine, worst_cosine; /* to the vectors of fp32 */
    double order; /* share of clear decisions between two passages for a question that stay */
};
enum { MODEL_FITNESSES = 2 };
/* Fills out[0] for bf16 and out[1] for int8. Measured once per model, precision, instruction set
 * and version of the program, and remembered in the cache folder. run false: only what is
 * remembered; else what is missing is measured, which takes about a second. options: as for
 * model_open; its precision is not looked at. */
int model_check(const char *dir, const struct model_options *options, bool run, int threads,
                struct model_fitness out[MODEL_FITNESSES], struct err *err) WARN_UNUSED;

/* The tokenizer alone, from the folder where model_open looks for it; neither weights nor
 * config.json need be there. Freed with tokenizer_free. */
int model_open_tokenizer(const char *dir, struct tokenizer **out, struct err *err) WARN_UNUSED;

struct encode_options {
    enum embed_role role;
    const char *prompt; /* NULL: the role's; else exactly this text */
    int normalize;      /* -1: as the folder's modules say; 0 no; 1 yes */
};
struct encoder;
/* threads >= 1. The encoder borrows the model, which must outlive it. */
int encoder_open(const struct model *m, int threads, struct encoder **out,
                 struct err *err) WARN_UNUSED;
void encoder_close(struct encoder *e);
/* out: [n, dim]. tokens (may be NULL): [n], tokens of each text that went through the encoder,
 * special ones counted. */
int encoder_embed(struct encoder *e, const struct span *texts, size_t n,
                  const struct encode_options *options, float *out, int *tokens,
                  struct err *err) WARN_UNUSED;

/* The same as an embedder for index/: always unit vectors. close() also closes the encoder; the
 * model stays. */
int encoder_embedder(const struct model *m, int threads, struct embedder **out,
                     struct err *err) WARN_UNUSED;

/* The attention weights of one token sequence (special tokens and all, at most the window), as they
 * are computed in fp32: *weights is [layers, heads, n, n], row i what token i takes from each
 * token, adding up to 1; the caller frees it. type: [n] segments, NULL: all 0. Fails on ids that
 * the model has not, on memory, and for a model that was not opened in fp32. */
int model_attention(const struct model *m, const int *id, const int *type, int n, float **weights,
                    struct err *err) WARN_UNUSED;

/* ---- what a head says ---------------------------------------------------------------------------
 * For models that were opened for a task other than their vectors (model_options.task). */

struct predict_input {
    struct span text, pair; /* pair.p NULL: one text. question-answering: question and context */
    const struct span
        *word; /* token-classification: the text's words, [n_words], instead of text */
    size_t n_words;
};

struct predict_options {
    int top;               /* fill-mask: words for each mask: 5 */
    int max_answer_length; /* question-answering, in tokens: 30 */
    int doc_stride;        /* tokens that windows of a long context share: 128 */
    int max_query_length;  /* tokens of a question that count: 64 */
    double null_threshold; /* no answer when null_score - score is above: 0 */
};
void predict_defaults(struct predict_options *o);

struct predicted_entity {
    const char *label; /* without B- or I- */
    size_t start, end; /* bytes of the text, or words */
    double score;      /* mean probability of its words' tags */
};
struct predicted_word {
    int id;
    double score; /* probability */
};

/* What came out for one input; which members, by the model's task. Freed by prediction_release. */
struct prediction {
    /* text-classification: probabilities in the order of the labels, `best` the largest (of a
     * regression: the value alone); next-sentence: the probability that the pair follows */
    double *score;
    int n_scores, best;
    /* token-classification */
    struct predicted_entity *entity;
    size_t n_entities;
    int *tag; /* [n_words of the input] a label's number */
    /* question-answering: bytes of the context; spanned: a span exists; answered: and it beats "no
     * answer" */
    bool spanned, answered;
    size_t start, end;
    double answer_score, null_score;
    /* fill-mask: mask i's words are word[i * top ..], by falling probability */
    struct predicted_word *word;
    int n_masks, top;
};
void prediction_release(struct prediction *p);

/* out: [n], overwritten. Texts over the window are cut; of token-classification and
 * question-answering they are read in windows. Fails on an input that the task cannot have (no
 * mask, no pair), and then *failed (may be NULL) is its number. */
int encoder_predict(struct encoder *e, const struct predict_input *in, size_t n,
                    const struct predict_options *o, struct prediction *out, size_t *failed,
                    struct err *err) WARN_UNUSED;
/* What the labels' numbers mean: the value of a regression rather than probabilities of classes. */
bool model_regression(const struct model *m);
/* The task it was opened for. */
const char *model_task(const struct model *m);

#endif
