/* hnsw_signs.c - one bit a number beside the graph; see hnsw_graph.h for what it is good for.
 *
 * With a = mean of <r, s> = |r|_1 and b = mean of |r|^2 over all rows, unit = b / a, and the part
 * of r that its signs do not show has the length
 *
 *     sqrt(b) sqrt(1 / rho^2 - 1),   rho = a / sqrt(dim b)
 *
 * in any direction, so of a query it takes or gives 1 / sqrt(dim) of that, times |q|.
 */
#include "index/ann/hnsw_graph.h"

#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How much of that error is allowed for: the k best lie well above the worst of the ef best. With
 * fewer numbers the error is larger than that distance, and little memory is saved. */
static const float tolerance = 0.5F;
enum { DIM_MIN = 256 };

void hnsw_make_signs(const struct vectors *v, uint64_t *signs, float *centre)
{
    const size_t dim = (size_t)v->dim, words = hnsw_sign_words(v->dim);
    float *x = xmalloc(dim * sizeof *x);
    double a = 0, b = 0;
    vectors_mean(v, centre);
    for (int64_t r = 0; r < v->n; r++) {
        uint64_t *s = signs + (size_t)r * words;
        kern.f16_to_f32(x, v->f16 + r * v->dim, dim);
        memset(s, 0, words * sizeof *s);
        for (size_t d = 0; d < dim; d++) {
            x[d] -= centre[d];
            s[d / 64] |= (uint64_t)(x[d] > 0) << d % 64;
        }
        if (!(v->scale[r] > 0)) /* nothing in it, or nothing finite */
            continue;
        for (size_t d = 0; d < dim; d++) {
            a += (double)fabsf(x[d]);
            b += (double)x[d] * (double)x[d];
        }
    }
    const double n = (double)v->n, rho2 = b > 0 ? a * a / (n * (double)dim * b) : 1;
    centre[dim] = a > 0 ? (float)(b / a) : 0;
    centre[dim + 1] = (float)sqrt(b / n * (1 / rho2 - 1) / (double)dim);
    free(x);
}

struct hnsw_aim hnsw_aim_at(const struct hnsw_graph *g, const struct vectors *v, const int8_t *q)
{
    const float unit = g->centre[v->dim], doubt = g->centre[v->dim + 1];
    double on_mean = 0;
    int64_t sum = 0, square = 0;
    for (int d = 0; d < v->dim; d++) {
        on_mean += (double)g->centre[d] * q[d];
        sum += q[d];
        square += q[d] * q[d];
    }
    if (v->dim < DIM_MIN)
        return (struct hnsw_aim){.q = q, .base = INFINITY};
    const double off = (double)tolerance * (double)doubt * sqrt((double)square);
    return (struct hnsw_aim){q, (float)(on_mean - (double)unit * (double)sum + off), 2 * unit};
}
