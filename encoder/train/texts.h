/* texts.h - what the readers of tables share. */
#ifndef SEMSEARCH_ENCODER_TRAIN_TEXTS_H
#define SEMSEARCH_ENCODER_TRAIN_TEXTS_H

#include "encoder/train/dataset.h"

/* Without white space at both ends, as sentence-transformers strips what it encodes. */
struct span text_strip(struct span s);

/* Appends one text, or a pair, with the special tokens, cut to the dataset's length. */
int text_encode(const struct dataset *d, const struct tokenizer *t, struct span a,
                const struct span *b, int item, struct encoding *e, struct sequences *out,
                int64_t *n_cut, struct err *err) WARN_UNUSED;

/* Adds a table's bad rows to the dataset's count. */
void texts_count_skipped(struct dataset *d, const struct table *t);

#endif
