/* fuse.c - how meaning and words become one score, and why this way.
 *
 * Two numbers are known of every candidate: the cosine of its vector with the question's, and its
 * BM25. Neither means anything by itself: cosines of one model lie between -0.1 and 0.7, of another
 * between 0.7 and 1; BM25 grows with the number of words asked. Ranks throw away what the numbers
 * do say, and stretching each list to 0..1 (min-max) makes the best of a useless list as good as
 * the best of a good one. So each number is first measured against what it would be by chance.
 *
 *   Meaning. z = (cosine - centre) / scale, with centre and scale those of cosines between this
 *   index's passages and questions about other things (calibrate.c). This is comparable between
 *   models and collections: on six judged collections the best relevant passage lies at z = 9 to 11
 *   and the best of the whole collection for a foreign question at 2 to 4.6.
 *
 *   Words. cover = BM25 / ceiling, the part of the asked information (sum of idf) that the passage
 *   holds, and t = cover * ceiling^0.6. By chance, BM25 is a sum over nearly independent words, so
 *   it scatters about like the square root of what is summed: t is to BM25 what z is to cosine.
 *   Undivided BM25 drowns the cosine in long questions, and cover alone is drowned in them.
 *
 * Both are then evidence on one scale, and evidence of nearly independent kinds adds up:
 *
 *     s = z + weight * t * (1 + cover)
 *     weight = W * (spread / scale) / 1.9 * trust(best z of this question)
 *
 * spread / scale: where the passages of a collection differ much from each other, a step of z tells
 * them apart less. trust: when the best passage by meaning stands out, words can add less; when
 * none rises above what foreign questions reach (names, numbers, identifiers that the encoder does
 * not know), the vector list is noise and words decide. The factor (1 + cover) pays a passage that
 * holds nearly all that was asked. One constant, W, was fitted, on the mean nDCG@10 over the
 * collections; it stays within 0.003 of its best for W from 0.9 to 1.25.
 *
 * The score is a probability of being related, by a logistic curve. Where it stands (level) was
 * fitted on questions asked to their own collection against questions asked to a foreign one:
 *
 *     level = A * (best z - Z_RELATED) + B * max(0, share - SHARE_CHANCE)
 *     score = sigmoid(level - A * (best s - s))
 *
 * share is the part of the question's words that the best passage by words holds: foreign questions
 * share some words with any text, hardly ever three quarters of them. So the score falls strictly
 * with s inside one answer, and the best one's tells whether the question has an answer here at
 * all: over the six collections it ranks own above foreign questions with AUC 0.997; below
 * SCORE_WEAK fall 96 % of the foreign and 1.6 % of the own ones. A and B are half of what that fit
 * gave: no score crosses one half by it, and there is room left to tell good passages from very
 * good ones. The modes of one signal use the same curve over z, or one over cover and t, which is
 * less sure (AUC 0.955): common words are shared by unrelated texts too.
 */
#include "index/search/fuse.h"

#include <math.h>

#define W            1.04
#define TRUST_SLOPE  0.05 /* per unit of best z, around Z_USUAL */
#define TRUST_BELOW  0.5  /* more weight for words per unit of best z below Z_RELATED */
#define Z_USUAL      9.5
#define Z_RELATED    7.0
#define SHARE_CHANCE 0.75
#define A            0.6
#define B            12.5
#define ROOT         0.6
#define CEILING_MAX  105.0 /* some 25 words; in longer questions words repeat each other */
#define KEYWORD_T    1.6
#define KEYWORD_C    10.0
#define KEYWORD_0    4.8

double fuse_score(double log_odds)
{
    return 1.0 / (1.0 + exp(-log_odds));
}

double fuse_z(const struct background *bg, double cosine)
{
    return (cosine - bg->centre) / bg->scale;
}

static double cover_of(double ceiling, double bm25)
{
    if (!(ceiling > 0) || !(bm25 > 0))
        return 0;
    return bm25 < ceiling ? bm25 / ceiling : 1;
}

double fuse_cover(const struct fusion *f, double bm25)
{
    return cover_of(f->ceiling, bm25);
}

static double scatter(double ceiling)
{
    return pow(ceiling < CEILING_MAX ? ceiling : CEILING_MAX, ROOT);
}

static double trust_in_words(double best_z)
{
    best_z = fmin(fmax(best_z, 0), 20);
    const double low = best_z < Z_RELATED ? Z_RELATED - best_z : 0;
    return exp(-TRUST_SLOPE * (best_z - Z_USUAL)) * (1 + TRUST_BELOW * low);
}

/* s of the comment above. */
static double evidence(const struct fusion *f, double cosine, double bm25)
{
    const double cover = fuse_cover(f, bm25);
    const double t = cover > 0 ? cover * scatter(f->ceiling) : 0;
    return fuse_z(&f->bg, cosine) + f->weight * t * (1 + cover);
}

void fuse_begin(struct fusion *f, const struct background *bg, double ceiling, double share,
                const float *cosine, const float *bm25, size_t n)
{
    *f = (struct fusion){.bg = *bg, .ceiling = ceiling, .best_z = -INFINITY, .best = -INFINITY};
    for (size_t i = 0; i < n; i++)
        f->best_z = fmax(f->best_z, fuse_z(bg, cosine[i]));
    if (n == 0)
        f->best_z = 0;
    f->weight = W * (bg->spread / bg->scale) / 1.9 * trust_in_words(f->best_z);
    for (size_t i = 0; i < n; i++)
        f->best = fmax(f->best, evidence(f, cosine[i], bm25[i]));
    f->level = A * (f->best_z - Z_RELATED) + B * fmax(0, share - SHARE_CHANCE);
}

double fuse_hybrid(const struct fusion *f, double cosine, double bm25)
{
    return f->level - A * (f->best - evidence(f, cosine, bm25));
}

double fuse_vector(const struct background *bg, double cosine)
{
    return A * (fuse_z(bg, cosine) - Z_RELATED);
}

double fuse_keyword(double ceiling, double bm25)
{
    const double cover = cover_of(ceiling, bm25);
    return KEYWORD_C * cover + KEYWORD_T * cover * scatter(ceiling) - KEYWORD_0;
}
