/* fuse.h - two kinds of evidence, meaning and words, to one ranking and one 0..1 score. */
#ifndef SEMSEARCH_INDEX_SEARCH_FUSE_H
#define SEMSEARCH_INDEX_SEARCH_FUSE_H

#include <stdbool.h>
#include <stddef.h>

/* The background of an index: cosines between its passages and questions about something else
 * (centre and scale), and how far its passages lie from each other (spread). */
struct background {
    double centre, scale; /* of unrelated question-passage cosines; scale > 0 */
    double spread;        /* of passage-passage cosines; > 0 */
};

/* What a model of which nothing is known is taken for. */
#define BACKGROUND_DEFAULT ((struct background){.centre = 0.0, .scale = 0.066, .spread = 0.125})

/* Below this score a passage counts as unrelated to the question. */
#define SCORE_WEAK 0.5

/* One question: the index's background and what its candidates reach. */
struct fusion {
    struct background bg;
    double ceiling; /* the BM25 that a perfect passage would have; 0: no words to go by */
    double best_z;  /* of all candidates: standardised cosine */
    double weight;  /* of words against meaning, for this question */
    double best;    /* evidence of the best candidate */
    double level;   /* its log-odds */
};

/* Standardised cosine: how many scales above the background. */
double fuse_z(const struct background *bg, double cosine);
/* BM25 as a part of the ceiling, 0..1; 0 when the ceiling is 0. */
double fuse_cover(const struct fusion *f, double bm25);

/* Prepares a question from both scores of all its candidates, cosine [n] and bm25 [n]. share: the
 * part of the question's words (each counting its idf) that the candidate of the largest BM25
 * holds. */
void fuse_begin(struct fusion *f, const struct background *bg, double ceiling, double share,
                const float *cosine, const float *bm25, size_t n);

/* Log-odds that a candidate is related, by both signals; rises with either of them. */
double fuse_hybrid(const struct fusion *f, double cosine, double bm25);
/* The same scale from one signal alone. */
double fuse_vector(const struct background *bg, double cosine);
double fuse_keyword(double ceiling, double bm25);

/* Log-odds as the 0..1 score that people see. */
double fuse_score(double log_odds);

#endif
