/* vectors.c - stored vectors and their int8 shadows; see vectors.h. */
#include "index/ann/vectors.h"

#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct vectors_builder {
    int dim;
    struct cache_writer *w;
    struct scratch *i8, *facts; /* rows of int8; pairs of scale and error */
    uint16_t *zeros;
    float *x;
    int8_t *q;
    double longest;
};

void vectors_builder_free(struct vectors_builder *b)
{
    if (!b)
        return;
    scratch_close(b->i8);
    scratch_close(b->facts);
    free(b->zeros);
    free(b->x);
    free(b->q);
    free(b);
}

struct vectors_builder *vectors_builder_new(int dim, const char *scratch_dir, struct err *err)
{
    struct vectors_builder *b = xcalloc(1, sizeof *b);
    b->dim = dim;
    if (scratch_open(scratch_dir, &b->i8, err) || scratch_open(scratch_dir, &b->facts, err)) {
        vectors_builder_free(b);
        return NULL;
    }
    b->zeros = xcalloc((size_t)dim, sizeof *b->zeros);
    b->x = xcalloc((size_t)dim, sizeof *b->x);
    b->q = xcalloc((size_t)dim, 1);
    return b;
}

void vectors_begin(struct vectors_builder *b, struct cache_writer *w)
{
    b->w = w;
    cache_section(w, "vec.f16");
}

float quantise_row(const float *x, int dim, int8_t *q, float *scale)
{
    const size_t n = (size_t)dim;
    float top = 0;
    for (size_t i = 0; i < n; i++)
        top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
    if (!(top > 0) || !isfinite(top)) {
        memset(q, 0, n);
        *scale = 0;
        return isfinite(top) ? 0 : INFINITY;
    }
    *scale = top / 127;
    const float inverse = 127 / top;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        q[i] = (int8_t)lrintf(x[i] * inverse);
        const double e = (double)x[i] - (double)*scale * q[i];
        sum += e * e;
    }
    return (float)(sqrt(sum) * 1.000001);
}

void vectors_add(struct vectors_builder *b, const uint16_t *row)
{
    const uint16_t *r = row ? row : b->zeros;
    cache_add(b->w, r, (size_t)b->dim * sizeof *r);
    kern.f16_to_f32(b->x, r, (size_t)b->dim);
    float facts[2];
    facts[1] = quantise_row(b->x, b->dim, b->q, &facts[0]);
    const double length = sqrt(kern.dot_wide(b->x, b->x, (size_t)b->dim));
    if (!(length <= b->longest)) /* a NaN is the longest of all */
        b->longest = length;
    scratch_add(b->i8, b->q, (size_t)b->dim);
    scratch_add(b->facts, facts, sizeof facts);
}

int vectors_finish(struct vectors_builder *b, struct err *err)
{
    struct map i8 = {0}, facts = {0};
    int rc = scratch_map(b->i8, &i8, err);
    if (rc == 0)
        rc = scratch_map(b->facts, &facts, err);
    if (rc == 0) {
        const float longest = (float)(b->longest * 1.000001);
        cache_section(b->w, "vec.i8");
        cache_add(b->w, i8.p, i8.n);
        for (int part = 0; part < 2; part++) {
            cache_section(b->w, part ? "vec.error" : "vec.scale");
            for (size_t at = (size_t)part * sizeof(float); at < facts.n; at += 2 * sizeof(float))
                cache_add(b->w, facts.p + at, sizeof(float));
        }
        cache_section(b->w, "vec.longest");
        cache_add(b->w, &longest, sizeof longest);
    }
    map_close(&i8);
    map_close(&facts);
    return rc;
}

int vectors_open(const struct cachefile *f, int64_t n_rows, int dim, struct vectors *v,
                 struct err *err)
{
    int64_t n[5] = {0};
    memset(v, 0, sizeof *v);
    if (dim < 1 || dim > VECTOR_DIM_MAX)
        return err_kind_set(err, ERR_CORRUPT, "vectors of %d numbers are not possible", dim);
    v->n = n_rows;
    v->dim = dim;
    v->f16 = cachefile_get(f, "vec.f16", (size_t)dim * sizeof *v->f16, &n[0]);
    v->i8 = cachefile_get(f, "vec.i8", (size_t)dim, &n[1]);
    v->scale = cachefile_get(f, "vec.scale", sizeof *v->scale, &n[2]);
    v->error = cachefile_get(f, "vec.error", sizeof *v->error, &n[3]);
    const float *longest = cachefile_get(f, "vec.longest", sizeof *longest, &n[4]);
    if (!v->f16 || !v->i8 || !v->scale || !v->error || !longest || n[4] != 1)
        return err_kind_set(err, ERR_CORRUPT, "the vectors are damaged");
    for (int i = 0; i < 4; i++)
        if (n[i] != n_rows)
            return err_kind_set(err, ERR_CORRUPT, "the vectors are not %lld in number",
                                (long long)n_rows);
    v->longest = *longest;
    cachefile_sparse(f, v->f16, (size_t)n_rows * (size_t)dim * sizeof *v->f16);
    return 0;
}

void vectors_mean(const struct vectors *v, float *mean)
{
    const size_t dim = (size_t)v->dim;
    double *sum = xcalloc(dim, sizeof *sum);
    float *x = xmalloc(dim * sizeof *x);
    int64_t n = 0;
    for (int64_t r = 0; r < v->n; r++) {
        if (!(v->scale[r] > 0)) /* nothing in it, or nothing finite */
            continue;
        kern.f16_to_f32(x, v->f16 + r * v->dim, dim);
        for (size_t d = 0; d < dim; d++)
            sum[d] += (double)x[d];
        n++;
    }
    for (size_t d = 0; d < dim; d++)
        mean[d] = n ? (float)(sum[d] / (double)n) : 0;
    free(sum);
    free(x);
}

float vectors_dot(const struct vectors *v, const float *query, int64_t row)
{
    float out;
    kern.dot_rows_f16(&out, query, v->f16 + row * v->dim, 1, (size_t)v->dim);
    return out;
}

void quick_query_init(struct quick_query *q, const struct vectors *v, const float *query)
{
    q->q = xcalloc(((size_t)v->dim + 63) / 64, 64); /* damaged signs may go beyond dim */
    q->error = quantise_row(query, v->dim, q->q, &q->scale);
}

void quick_query_release(struct quick_query *q)
{
    free(q->q);
}

/* What rounding took away points anywhere, so of its length about 1 / sqrt(dim) shows in a product;
 * five times that is more than any row of 100 thousand was off. */
static float doubt(const struct vectors *v, const struct quick_query *q, int64_t row)
{
    return 5 * (q->error + v->error[row]) / sqrtf((float)v->dim);
}

int64_t vectors_settle(const struct vectors *v, const struct quick_query *q, const float *query,
                       const struct hit *about, int64_t n, int64_t k, struct hit *out)
{
    struct topk top = {.item = out, .k = k};
    const int64_t enough = k + k / 16 + 32, most = enough < n ? enough : n;
    int64_t end = n < k ? n : k;
    if (end > 0) {
        const struct hit last = about[end - 1];
        const float floor = last.score * q->scale - doubt(v, q, last.row);
        while (end < most && !(about[end].score * q->scale + doubt(v, q, about[end].row) < floor))
            end++;
    }
    for (int64_t i = 0; i < end; i++) {
        if (i + VECTORS_AHEAD < end)
            vectors_prefetch(v, about[i + VECTORS_AHEAD].row);
        topk_push(&top, about[i].row, vectors_dot(v, query, about[i].row));
    }
    return topk_finish(&top);
}
