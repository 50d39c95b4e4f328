/* train.h - the door of encoder/train: labelled data, training runs, and the measures that score a
 * model.
 *
 * Nothing else inside encoder/ includes this folder.
 */
#ifndef SEMSEARCH_ENCODER_TRAIN_H
#define SEMSEARCH_ENCODER_TRAIN_H

#include "encoder/train/loss.h"
#include "encoder/train/optim.h"
#include "src/base/err.h"
#include "src/base/progress.h"
#include "src/base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- labelled data
 * -----------------------------------------------------------------------------------------------
 */

/* A file of named columns, read whole: TSV (UTF-8, TAB between, no quoting, the first line names
 * the columns), CSV (RFC 4180, by its ending .csv) or JSONL (by its ending .jsonl or .json:
 * objects, the same names as keys; numbers are taken as they are written). */
struct table {
    char *name; /* of the file, for messages */
    size_t n_rows, n_columns;
    char **cell;   /* [n_rows * n_columns], NUL-terminated UTF-8; NULL: the column is not there */
    int64_t *line; /* [n_rows] where each row begins in the file */
    bool *has;     /* [n_columns] the file has that column */
    char *columns; /* "a, b, c": the names in the file, for messages */
    size_t n_skipped;         /* bad rows left out */
    struct err first_skipped; /* what was wrong with the first of them */
};

/* Reads the wanted columns, in that order. `rename`: "wanted=name in the file" pairs, one or
 * several with commas between, may be NULL. A missing column, a row with another number of fields,
 * invalid UTF-8: one message with file and line. */
int table_read(const char *path, const char *const *wanted, size_t n_wanted,
               const char *const *rename, size_t n_rename, struct table *t,
               struct err *err) WARN_UNUSED;

/* The same with columns that may be absent, and with bad rows left out. In a JSONL file a column is
 * there when any row has it; then every row must. */
struct table_request {
    const char *const *wanted;
    size_t n_wanted, n_required; /* the first n_required must be there */
    const char *const *rename;
    size_t n_rename;
    bool skip_bad_rows;
};
int table_load(const char *path, const struct table_request *q, struct table *t,
               struct err *err) WARN_UNUSED;
void table_release(struct table *t);
const char *table_cell(const struct table *t, size_t row, size_t column);

/* A cell as a finite number; the message names file, line and column. */
int table_number(const struct table *t, size_t row, size_t column, const char *column_name,
                 double *out, struct err *err) WARN_UNUSED;

/* ---- training
 * -----------------------------------------------------------------------------------------------
 */

enum train_task {
    TASK_SENTENCE_SIMILARITY,
    TASK_TEXT_CLASSIFICATION,
    TASK_TOKEN_CLASSIFICATION,
    TASK_QUESTION_ANSWERING,
    TASK_FILL_MASK,
    TASK_PRETRAINING
};
/* "sentence-similarity", ... ; false: unknown. */
bool train_task_find(const char *name, enum train_task *task);
const char *train_task_name(enum train_task task);

/* How a task's data files are read. */
struct data_options {
    const char *const *file;
    size_t n_files;
    const char *const *rename; /* columns, as table_read takes them */
    size_t n_rename;
    const char *labels; /* "neg,pos": their order; NULL: from the data */
    int column;         /* token-classification: which column holds the tag, from 1; 0: the last */
    bool skip_bad_rows;
    int max_length; /* tokens; 0: the model's window (question-answering: at most 384) */
    int doc_stride, max_query_length; /* 128, 64 */
    double score_low, score_high;     /* scores from here to there become 0 to 1; equal: as is */
    double mask_probability;          /* .15 */
    bool whole_word;
    /* The (one) file was made for this run: it is kept in the run's folder under this name, by
     * which training.json calls it. NULL: the files are the user's. */
    const char *keep;
};
void data_defaults(struct data_options *o);

/* Held-out questions over a collection of texts: `pair` says which texts are right for which. All
 * is borrowed. */
struct judged_pair {
    uint32_t question, text;
};
struct judged {
    const char *name; /* for messages and training.json */
    const struct span *question, *text;
    const struct judged_pair *pair;
    size_t n_questions, n_texts, n;
};

enum train_loss { TRAIN_LOSS_AUTO = -1 }; /* else an enum loss_kind */

/* Everything a run is made from; the names are those of the options. */
struct train_options {
    enum train_task task;
    struct data_options data;
    const char *const *eval_file;
    size_t n_eval_files;
    const struct judged *eval_judged; /* sentence-similarity only: instead of files */
    const char *out,
        *resume; /* resume: a run's folder or one of its checkpoints; NULL: a new run */
    bool overwrite;
    const char *base;                        /* a model folder; NULL: from config and tokenizer */
    const char *config_file, *tokenizer_dir; /* random weights */
    const char *pooling, *teacher;
    int loss;                   /* enum loss_kind, or TRAIN_LOSS_AUTO: as the columns say */
    struct loss_options losses; /* scale, symmetric, ... ; kind is not looked at */
    double epochs;
    int64_t max_steps; /* 0: by epochs */
    int batch_size, accumulation, mini_batch;
    struct adamw_options adamw;
    enum schedule_kind schedule;
    double warmup_ratio, max_grad_norm, dropout; /* dropout < 0: as the model's config says */
    uint64_t seed;
    bool shuffle, load_best, bf16;
    int64_t logging_steps, eval_steps, save_steps;
    int save_total_limit, early_stopping, save_max_length;
    const char *const *freeze;
    size_t n_freeze;
    int threads;
    const char *version; /* of the program, for training.json */
    const char *command; /* as it was typed, for training.json and messages; may be NULL */
};
void train_defaults(struct train_options *o, enum train_task task);

/* One number that an evaluation gives. */
struct measure {
    const char *name;
    double value;
};
enum { MEASURES_MAX = 12 };
struct evaluation {
    int64_t n;   /* rows, sentences, questions */
    double loss; /* NAN where the task has none on this data */
    struct measure measure[MEASURES_MAX];
    int n_measures;
    int main;        /* the measure that decides which model is better; -1: the loss, lower */
    double *unit;    /* [n_units] what the measure is made of, for comparing two models on the
                        same data: a score a row; owned */
    uint64_t *group; /* [n_units] rows of one group are drawn together; owned */
    double *gold;    /* [n_units] correlation: the labels; NULL: the measure is the mean; owned */
    size_t n_units;
};
void evaluation_release(struct evaluation *e);
double evaluation_main(const struct evaluation *e); /* larger is better */

/* Is the second evaluation better than the first, of the same data? By the paired bootstrap (Efron
 * and Tibshirani 1993; Koehn 2004) over the groups: the 95 % interval of the difference. */
struct verdict {
    double before, after, low, high; /* low, high: of after - before */
    int better;                      /* 1 better, -1 worse, 0: this data cannot tell */
};
void evaluation_compare(const struct evaluation *before, const struct evaluation *after,
                        uint64_t seed, struct verdict *v);

struct train_step {
    int64_t step, total;
    double epoch, loss, lr, grad_norm, tokens_per_s, seconds_left;
};
/* What a run tells while it goes on; any of the functions may be NULL. */
struct train_sink {
    void (*step)(void *ctx, const struct train_step *s);
    void (*phase)(void *ctx, const struct progress *p); /* reading, evaluating */
    void (*note)(void *ctx, const char *line);
    void *ctx;
};

struct train_report {
    int64_t steps, rows, tokens, rows_skipped, rows_moved, parameters;
    double loss, seconds, tokens_per_s;
    size_t peak_bytes;
    bool early; /* ended by --early-stopping */
    bool evaluated;
    struct evaluation before, after; /* of --eval-data; before: sentence-similarity only */
    bool compared;
    struct verdict verdict;
    int64_t best_step;   /* with load_best; 0: none */
    int64_t shared_rows; /* rows of the evaluation data whose texts are in the training data too;
                            -1: the task's data is not compared */
    bool new_head;
};
void train_report_release(struct train_report *r);

/* The whole run: from files to the model's folder. Everything is checked before the first step. On
 * ERR_STOPPED a checkpoint was saved, and the hint says how to go on. */
int train_run(const struct train_options *o, const struct train_sink *sink, struct train_report *r,
              struct err *err) WARN_UNUSED;

/* Scores a model folder on labelled data in the formats of training; the labels are the model's. */
int train_evaluate(const char *model_dir, enum train_task task, const struct data_options *data,
                   const char *pooling, int threads, const struct train_sink *sink,
                   struct evaluation *out, struct err *err) WARN_UNUSED;

/* ---- measures
 * ----------------------------------------------------------------------------------------------------
 */

/* Pearson's correlation; NAN when n < 2 or one side is constant. */
double pearson(const double *x, const double *y, size_t n);
/* Spearman's: Pearson's of the ranks, ties at their mean rank (as scipy.stats.spearmanr). */
double spearman(const double *x, const double *y, size_t n);
/* Ranks from 1; equal values share the mean of theirs. Owned. */
double *ranks(const double *x, size_t n);

/* ---- a linear map of questions
 * ----------------------------------------------------------------------------------
 */

struct query_map_options {
    int epochs, batch;
    double rate, decay; /* AdamW; the decay pulls towards no change */
    float scale;        /* of the cosines: 20 */
    double validation;  /* share of the pairs that chooses the epoch */
    uint64_t seed;
};
void query_map_defaults(struct query_map_options *o);
struct query_map_report {
    int epoch;            /* that was kept; 0: none was better than no change */
    double before, after; /* loss on the validation pairs */
};
/* Learns D of q' = (I + D) q from n pairs of unit vectors, anchor and passage [n, dim], with the
 * multiple-negatives ranking loss: each anchor's own passage against the others of its batch.
 * group [n]: pairs of equal groups (a document's) stay on one side of the validation split. d:
 * [dim, dim], overwritten; zero when nothing helped. Fails on memory and when asked to stop. */
int query_map_train(const float *anchor, const float *passage, const uint64_t *group, size_t n,
                    int dim, const struct query_map_options *o, float *d,
                    struct query_map_report *r, struct err *err) WARN_UNUSED;

/* ---- a vocabulary of one's own ------------------------------------------------------------------
 */

struct tokenizer_train_options {
    int vocab_size;     /* tokens, special ones counted: 30000 */
    int min_frequency;  /* of a pair of pieces that is joined: 2 */
    int alphabet;       /* characters that may be pieces, the most frequent: 1000 */
    bool lowercase;     /* and strip accents, as BERT's uncased models; true */
    int max_length;     /* model_max_length of tokenizer_config.json: 512 */
    int64_t max_memory; /* refuse texts whose distinct words need more bytes; 0: 4 GiB */
    const struct progress_sink *progress; /* may be NULL */
};
void tokenizer_train_defaults(struct tokenizer_train_options *o);

/* Learns a WordPiece vocabulary from plain texts (UTF-8, invalid bytes as U+FFFD), as the trainer
 * of Hugging Face tokenizers does: pieces joined by falling frequency. Equal texts and options give
 * the same bytes. Writes tokenizer.json, vocab.txt, tokenizer_config.json and
 * special_tokens_map.json, each whole or not at all, into out_dir, which is made when it is
 * missing. Fails on no files, on files without words, on a vocab_size that cannot hold the
 * alphabet, and on memory; stopped by stop_requested(). */
int tokenizer_train(const char *const *files, size_t n, const struct tokenizer_train_options *o,
                    const char *out_dir, struct err *err) WARN_UNUSED;

#endif
