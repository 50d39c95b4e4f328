/* batch.h - which rows make a batch, and the batch as the tape wants it. */
#ifndef SEMSEARCH_ENCODER_TRAIN_BATCH_H
#define SEMSEARCH_ENCODER_TRAIN_BATCH_H

#include "encoder/tape/tape.h"
#include "encoder/train/dataset.h"

/* ---- the order of one epoch ---------------------------------------------------------------------
 */

struct plan {
    int64_t *order; /* [n] examples */
    int64_t n;
    int64_t *start; /* [n_batches + 1] batch b is order[start[b]] .. order[start[b + 1]] */
    int64_t n_batches;
    int64_t moved; /* rows that met their own text in a batch and went to a later one */
};

struct plan_options {
    uint64_t seed;
    int64_t epoch;
    int batch_size;
    bool shuffle;  /* else the file's order */
    bool distinct; /* no two rows of a batch share a text, in whatever columns: for in-batch
                      negatives (sentence-transformers' NoDuplicatesBatchSampler) */
};
/* A function of the data and the options alone. A short last batch is kept. */
void plan_make(struct plan *p, const struct dataset *d, const struct plan_options *o);
void plan_release(struct plan *p);

/* ---- examples end to end ------------------------------------------------------------------------
 */

struct packed {
    int n_tok, n_seq, n_pick;
    int cap_tok, cap_seq, cap_pick;
    int *token, *type;
    int *tag;   /* [n_tok] token-classification */
    int *start; /* [n_seq + 1] */
    uint64_t *key;
    int *label; /* [n_seq] class, or 0 the next text, 1 another */
    float *score;
    int *begin, *end;
    int64_t *example;
    int *pick, *pick_label; /* [n_pick] masked tokens and what they were */
};
void packed_clear(struct packed *p);
void packed_release(struct packed *p);

/* What an epoch's random choices (masks, pairs) depend on. */
struct moment {
    uint64_t seed, epoch;
};

/* Appends sequence `s` of the dataset as it is, known to dropout as `key`. */
void packed_sequence(struct packed *p, const struct dataset *d, size_t s, uint64_t key);
/* Appends example i with its labels; masks and pairs are drawn here. Not for sentence-similarity,
 * whose examples are several sequences. */
void packed_example(struct packed *p, const struct dataset *d, int64_t i, struct moment m,
                    uint64_t key);

/* Every token becomes a pick; those that were none before get the label -1. */
void packed_pick_all(struct packed *p);

/* Sequences [s0, s1) as a batch of their own. The slice owns what had to be renumbered. */
struct slice {
    struct batch batch;
    int *start, *pick;
    int cap_seq, cap_pick;
    int first_pick; /* the packed one's number of the slice's first pick */
};
void packed_slice(const struct packed *p, int s0, int s1, struct slice *out);
void slice_release(struct slice *s);

/* Where the micro-batch that begins at sequence s0 ends: at most `tokens` tokens (but at least one
 * sequence) and at most `sequences` sequences (0: any). */
int packed_cut(const struct packed *p, int s0, int tokens, int sequences);

#endif
