/* metrics.c - nDCG, recall, reciprocal rank and average precision of one ranking.
 *
 * The definitions are those of trec_eval (ndcg_cut, recall, map) and of BEIR (mrr@10), so that the
 * figures can stand beside published ones. Two of its habits matter and are kept: equal scores are
 * ordered by document name, falling, whatever order the run had; and the gain of a document is its
 * grade itself (not 2^grade - 1), with the ideal order made from all judged documents.
 */
#include "index/eval/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ranked_cmp(const void *pa, const void *pb)
{
    const struct ranked *a = pa, *b = pb;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return strcmp(b->id, a->id);
}

void metrics_sort(struct ranked *item, size_t n)
{
    if (n > 1)
        qsort(item, n, sizeof *item, ranked_cmp);
}

static int grade_cmp(const void *pa, const void *pb)
{
    const int a = *(const int *)pa, b = *(const int *)pb;
    return (a < b) - (a > b);
}

static double discount(size_t i)
{
    return 1.0 / log2((double)i + 2.0);
}

/* DCG of the first 10 in the best possible order. */
static double ideal_dcg10(int *grade, size_t n)
{
    double dcg = 0;
    qsort(grade, n, sizeof *grade, grade_cmp);
    for (size_t i = 0; i < n && i < 10; i++)
        dcg += grade[i] * discount(i);
    return dcg;
}

struct metrics metrics_of(const struct ranked *item, size_t n, int *grade, size_t n_grades)
{
    struct metrics m = {0};
    size_t found = 0;
    double dcg = 0;
    if (n_grades == 0)
        return m;
    for (size_t i = 0; i < n; i++) {
        if (item[i].grade <= 0)
            continue;
        found++;
        m.map += (double)found / (double)(i + 1);
        if (i < 10) {
            dcg += item[i].grade * discount(i);
            m.recall10 += 1;
            if (found == 1)
                m.mrr10 = 1.0 / (double)(i + 1);
        }
        if (i < 100)
            m.recall100 += 1;
    }
    m.ndcg10 = dcg / ideal_dcg10(grade, n_grades);
    m.recall10 /= (double)n_grades;
    m.recall100 /= (double)n_grades;
    m.map /= (double)n_grades;
    return m;
}

void metrics_add(struct metrics *sum, const struct metrics *m)
{
    sum->ndcg10 += m->ndcg10;
    sum->recall10 += m->recall10;
    sum->recall100 += m->recall100;
    sum->mrr10 += m->mrr10;
    sum->map += m->map;
}

void metrics_scale(struct metrics *m, double factor)
{
    m->ndcg10 *= factor;
    m->recall10 *= factor;
    m->recall100 *= factor;
    m->mrr10 *= factor;
    m->map *= factor;
}

static int double_cmp(const void *pa, const void *pb)
{
    const double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

double metrics_quantile(double *x, size_t n, double q)
{
    if (n == 0)
        return NAN;
    qsort(x, n, sizeof *x, double_cmp);
    const double at = q * (double)(n - 1);
    const size_t lo = (size_t)at;
    const size_t hi = lo + 1 < n ? lo + 1 : lo;
    return x[lo] + (at - (double)lo) * (x[hi] - x[lo]);
}
