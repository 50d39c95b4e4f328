/* score.h - the scorers of tasks, and the plain measures under them, for this folder and its tests.
 */
#ifndef SEMSEARCH_ENCODER_TRAIN_SCORE_H
#define SEMSEARCH_ENCODER_TRAIN_SCORE_H

#include "encoder/train/run.h"

void evaluation_add(struct evaluation *e, const char *name, double value);

/* Runs examples [from, ...) of the dataset up, as many as fit in one run; the tape's slots then
 * hold the outputs of `packed` [0, n_seq). Returns where the next run begins; -1 with err. */
int64_t scorer_forward(struct scorer *s, const struct dataset *d, int64_t from,
                       struct packed *packed, struct slice *slice, const struct train_sink *sink,
                       struct err *err);

int score_pairs(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
                struct evaluation *out, struct err *err) WARN_UNUSED;
int score_classes(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
                  struct evaluation *out, struct err *err) WARN_UNUSED;
int score_words(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
                struct evaluation *out, struct err *err) WARN_UNUSED;
int score_answers(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
                  struct evaluation *out, struct err *err) WARN_UNUSED;
int score_masks(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
                struct evaluation *out, struct err *err) WARN_UNUSED;

/* Rankings: of each distinct anchor against all distinct other texts, embeddings [n * columns, dim]
 * of unit length. ndcg [n_queries] etc. are filled for queries in the order of their first row. */
struct pair_ranking {
    int64_t n_queries, n_texts, n_left_out;
    double ndcg10, mrr10, accuracy1, recall10;
    double *ndcg; /* [n_queries]; owned */
    int64_t *row; /* [n_queries] the first row; owned */
};
void rank_pairs(const struct dataset *d, const float *x, int dim, struct pool *pool,
                struct pair_ranking *r);
void rank_pairs_release(struct pair_ranking *r);

/* Of a confusion matrix [n, n], gold by rows. */
double matrix_accuracy(const int64_t *m, int n);
double matrix_f1(const int64_t *m, int n, int class);
double matrix_macro_f1(const int64_t *m, int n); /* over the classes that occur in either */
double matrix_mcc(const int64_t *m, int n);      /* Gorodkin 2004 for more than two */

/* Entities of tag sequences as seqeval's default mode (conlleval) finds them. */
struct entity_counts {
    int64_t gold, found, right;
};
void entities_count(const char *const *gold, const char *const *found, size_t n,
                    struct entity_counts *c);

/* SQuAD's evaluate-v2.0.py: lower case, no ASCII punctuation, no articles, single blanks. */
void squad_normalise(struct span text, struct str *out);
double squad_exact(struct span found, struct span gold);
double squad_f1(struct span found, struct span gold);

#endif
