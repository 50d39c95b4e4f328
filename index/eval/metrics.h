/* metrics.h - what a ranking is worth, computed as trec_eval and BEIR compute it. */
#ifndef SEMSEARCH_INDEX_EVAL_METRICS_H
#define SEMSEARCH_INDEX_EVAL_METRICS_H

#include <stddef.h>

/* Figures of one query, or their mean. */
struct metrics {
    double ndcg10, recall10, recall100, mrr10, map;
};

/* One retrieved document of a ranking. */
struct ranked {
    const char *id; /* the document's name, borrowed */
    float score;
    int grade; /* of the judgement; 0: not judged or not relevant */
};

/* Sorts as trec_eval does: score falling, equal scores by name falling (strcmp). */
void metrics_sort(struct ranked *item, size_t n);

/* The figures of one query. item [n]: its ranking, in order. grade [n_grades]: the grades > 0 of
 * every judged document, retrieved or not, in any order (the array is sorted in place); with none
 * all figures are 0.
 *   ndcg10    sum of grade / log2(rank + 1) over the first 10, by the same of the ideal order
 *   recallK   relevant among the first K, by all relevant ones
 *   mrr10     1 / rank of the first relevant one within 10, else 0
 *   map       mean over all relevant ones of the precision at their rank (0 when not retrieved) */
struct metrics metrics_of(const struct ranked *item, size_t n, int *grade, size_t n_grades);

void metrics_add(struct metrics *sum, const struct metrics *m);
void metrics_scale(struct metrics *m, double factor);

/* The q-quantile (0..1) of n numbers by linear interpolation (the array is sorted in place); NAN
 * without numbers. */
double metrics_quantile(double *x, size_t n, double q);

#endif
