/* loss.h - what training makes small: functions from outputs and labels to a loss and its gradient.
 *
 * A loss is no operation of the tape but a pure function beside it: it reads a matrix that a tape
 * (or several runs of one, see gradient caching) has written, and writes the derivative of the loss
 * by that matrix. So it is tested without a model, and a batch may be larger than a tape.
 * Definitions are those of sentence-transformers and transformers, named at each function; sums are
 * in double and in a fixed order, so the numbers depend on neither threads nor batches' cuts.
 *
 * A NaN or an infinity in the outputs makes the loss NaN, so one look at the loss finds divergence.
 * Every d* output is overwritten, has the shape of its input and may be NULL (loss only).
 *
 * Sources: sentence-transformers 5.7, sentence_transformer/losses; torch 2 nn.functional.
 */
#ifndef SEMSEARCH_ENCODER_TRAIN_LOSS_H
#define SEMSEARCH_ENCODER_TRAIN_LOSS_H

#include "src/base/err.h"
#include "src/base/thread.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers of a loss. The tests compile these files once more in double, where central
 * differences are exact enough to show a wrong term. */
#ifdef LOSS_IN_DOUBLE
typedef double loss_real;
#else
typedef float loss_real;
#endif

/* What all losses over embeddings share. Rows of x are the raw outputs of the model (the cosine is
 * taken inside); x holds n_columns blocks of n rows: block c is column c of the data (anchor,
 * positive, negative_1, ...), [n_columns * n, dim]. */
struct embedding_batch {
    const loss_real *x;
    loss_real *dx; /* NULL: loss only */
    int n, n_columns, dim;
    const loss_real *label; /* [n] score or 0/1 label; NULL where the loss has none */
    const uint64_t *anchor; /* [n] equal keys: the same anchor; NULL: all differ */
    const uint64_t *text;   /* [n_columns * n] equal keys: the same text; NULL: all differ */
    struct pool *pool;      /* NULL: this thread */
};

enum loss_kind {
    LOSS_MNRL, /* multiple negatives ranking = InfoNCE, in-batch negatives and hard negatives */
    LOSS_COSENT,
    LOSS_COSINE_MSE,
    LOSS_CONTRASTIVE,
    LOSS_ONLINE_CONTRASTIVE,
    LOSS_TRIPLET,
    LOSS_EMBEDDING_MSE /* distillation: to rows of a teacher */
};

enum loss_distance { DISTANCE_EUCLIDEAN, DISTANCE_COSINE, DISTANCE_MANHATTAN };

enum { MATRYOSHKA_MAX = 16 };

struct loss_options {
    enum loss_kind kind;
    float scale;          /* MNRL, CoSENT: 20 */
    bool symmetric;       /* MNRL */
    bool mask_duplicates; /* MNRL: another positive of the same anchor, or the same text, is no
                             negative */
    float margin;         /* contrastive .5, triplet 5 */
    enum loss_distance distance; /* triplet */
    bool normalize; /* triplet, distillation: the rows are made unit vectors first, as by the
                       Normalize module that most folders end with (the cosines of the others do
                       not ask). Default true; false for a folder without that module */
    int matryoshka[MATRYOSHKA_MAX], n_matryoshka; /* widths, each loss over rows cut to it and made
                                                     unit vectors, added up; 0: whole rows only */
    const loss_real *teacher;                     /* LOSS_EMBEDDING_MSE: [n_columns * n, dim] */
};
void loss_defaults(struct loss_options *o, enum loss_kind kind);
/* "mnrl" (also "infonce"), "cosent", "cosine-mse", "contrastive", "online-contrastive", "triplet",
 * "embedding-mse"; false: unknown. loss_name: the first of them. */
bool loss_find(const char *name, enum loss_kind *kind);
const char *loss_name(enum loss_kind kind);

/* Returns the loss (a mean over the batch as its definition says; online contrastive and CoSENT as
 * theirs say) and fills b->dx. Fails on memory and on a batch that the loss cannot have (columns,
 * labels missing, a Matryoshka width over dim). */
int loss_embeddings(const struct embedding_batch *b, const struct loss_options *o, double *loss,
                    struct err *err) WARN_UNUSED;

/* Cross-entropy over rows [n, n_classes]; label[i] < 0: row i does not count. `divisor`: what the
 * sum is divided by (the valid rows of the whole accumulated batch); 0: the valid rows here.
 * *n_right (may be NULL): rows whose largest logit (the
 * first of equal ones) is the label. dlogits may be logits itself. No row that counts: 0. */
double loss_cross_entropy(const loss_real *logits, const int *label, int n, int n_classes,
                          double divisor, loss_real *dlogits, int *n_right, struct pool *pool);

/* Mean squared error of [n] outputs; divisor as above. */
double loss_mse(const loss_real *x, const loss_real *label, size_t n, double divisor,
                loss_real *dx);

/* Extractive question answering: logits [n_tok, 2] (start, end) of n_seq packed windows, the
 * softmax over each window's tokens; begin and end are token positions within their window, < 0:
 * the window is left out. (CE(start) + CE(end)) / 2, mean over `divisor` windows. */
double loss_span(const loss_real *logits, const int *start, int n_seq, const int *begin,
                 const int *end, double divisor, loss_real *dlogits);

/* Distillation of logits: T^2 * KL(softmax(teacher / T) || softmax(student / T)), mean over rows.
 */
double loss_kl(const loss_real *student, const loss_real *teacher, int n, int n_classes, double t,
               double divisor, loss_real *dstudent);
/* Mean over rows of 1 - cos(student, teacher), as DistilBERT takes it of hidden states. */
double loss_cosine(const loss_real *student, const loss_real *teacher, int n, int dim,
                   double divisor, loss_real *dstudent);

#endif
