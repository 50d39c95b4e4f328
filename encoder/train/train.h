/* train.h - the door of encoder/train: labelled data and the measures that score a model on it.
 *
 * Nothing else inside encoder/ includes this folder.
 */
#ifndef SEMSEARCH_ENCODER_TRAIN_H
#define SEMSEARCH_ENCODER_TRAIN_H

#include "src/base/err.h"
#include "src/base/progress.h"
#include "src/base/str.h"

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
    char **cell;   /* [n_rows * n_columns], NUL-terminated UTF-8 */
    int64_t *line; /* [n_rows] where each row begins in the file */
};

/* Reads the wanted columns, in that order. `rename`: "wanted=name in the file" pairs, one or
 * several with commas between, may be NULL. A missing column, a row with another number of fields,
 * invalid UTF-8: one message with file and line. */
int table_read(const char *path, const char *const *wanted, size_t n_wanted,
               const char *const *rename, size_t n_rename, struct table *t,
               struct err *err) WARN_UNUSED;
void table_release(struct table *t);
const char *table_cell(const struct table *t, size_t row, size_t column);

/* A cell as a finite number; the message names file, line and column. */
int table_number(const struct table *t, size_t row, size_t column, const char *column_name,
                 double *out, struct err *err) WARN_UNUSED;

/* ---- measures
 * ----------------------------------------------------------------------------------------------------
 */

/* Pearson's correlation; NAN when n < 2 or one side is constant. */
double pearson(const double *x, const double *y, size_t n);
/* Spearman's: Pearson's of the ranks, ties at their mean rank (as scipy.stats.spearmanr). */
double spearman(const double *x, const double *y, size_t n);

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
