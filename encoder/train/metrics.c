/* metrics.c - correlation; see train.h. Sums in double over centred values, so that a large mean
 * costs no digits. */
#include "encoder/train/train.h"

#include "src/base/mem.h"

#include <math.h>
#include <stdlib.h>

double pearson(const double *x, const double *y, size_t n)
{
    if (n < 2)
        return NAN;
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        mx += x[i] / (double)n;
        my += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        const double a = x[i] - mx, b = y[i] - my;
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

struct ranked {
    double value;
    size_t at;
};

static int by_value(const void *a, const void *b)
{
    const double x = ((const struct ranked *)a)->value, y = ((const struct ranked *)b)->value;
    return (x > y) - (x < y);
}

double *ranks(const double *x, size_t n)
{
    struct ranked *r = xcalloc(n, sizeof *r);
    double *out = xcalloc(n, sizeof *out);
    for (size_t i = 0; i < n; i++)
        r[i] = (struct ranked){x[i], i};
    qsort(r, n, sizeof *r, by_value);
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && r[j].value <= r[i].value; j++)
            ;
        for (size_t k = i; k < j; k++)
            out[r[k].at] = (double)(i + 1 + j) / 2;
    }
    free(r);
    return out;
}

double spearman(const double *x, const double *y, size_t n)
{
    double *rx = ranks(x, n), *ry = ranks(y, n);
    const double rho = pearson(rx, ry, n);
    free(rx);
    free(ry);
    return rho;
}
