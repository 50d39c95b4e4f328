/* flat.c - the exact scan, at the price of an int8 scan.
 *
 * With a row x = s q + e and a query y = t p + g (e and g: what rounding to int8 took away),
 *
 *     <y, x> = s t <p, q> + <g, s q> + <y, e>
 *     |<y, x> - s t <p, q>| <= |g| (|x| + |e|) + |y| |e|             (Cauchy-Schwarz)
 *
 * so the integer product bounds the true one from both sides. A first pass over the int8 rows keeps
 * the k best lower bounds; a row whose upper bound is below the k-th of them cannot be among the k
 * best. The few that can (some hundreds) are scored from f16. The answer is that of a full f16
 * scan, proven per query and not tuned, for half the memory traffic and far less arithmetic.
 *
 * When a filter lets few rows pass, these alone are looked at, and very few from f16 at once.
 */
#include "index/ann/ann.h"

#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum {
    BLOCK = 1024,
    GATHER = 2,      /* a row that stands alone costs as much as this many one after the other */
    EXACT_ROWS = 64, /* fewer are not worth a first pass */
};

/* fp32 sums of up to 16384 products of unit vectors are off by less than this. */
static const float rounding = 4e-6f;

struct candidate {
    int64_t row;
    float upper;
};

struct scan {
    const struct vectors *v;
    const uint64_t *bits;
    int8_t *p;              /* the query in int8 */
    float t, margin, reach; /* a row is off by less than margin + reach |e| */
    struct topk lower;      /* the best lower bounds */
    struct candidate *candidate;
    size_t n, cap;
};

/* What the product of a row in int8 says. */
static void consider(struct scan *s, int64_t row, int32_t dot)
{
    const struct vectors *v = s->v;
    const float about = (float)dot * v->scale[row] * s->t;
    const float off = s->margin + s->reach * v->error[row];
    if (!(about + off >= topk_floor(&s->lower)))
        return;
    topk_push(&s->lower, row, about - off);
    VEC_GROW(s->candidate, s->n, s->cap);
    s->candidate[s->n++] = (struct candidate){row, about + off};
}

/* Rows [from, to), which are all multiplied and then filtered. */
static void score_block(struct scan *s, int64_t from, int64_t to)
{
    const struct vectors *v = s->v;
    int32_t dot[BLOCK];
    kern.dot_rows_i8(dot, s->p, v->i8 + from * v->dim, (size_t)(to - from), (size_t)v->dim);
    for (int64_t r = from; r < to; r++)
        if (!s->bits || bit_get(s->bits, r))
            consider(s, r, dot[r - from]);
}

/* The same for the allowed rows alone; returns where the next block begins. */
static int64_t score_allowed(struct scan *s, int64_t from)
{
    const struct vectors *v = s->v;
    int32_t dot[BLOCK];
    uint32_t row[BLOCK] = {0};
    size_t n = 0;
    int64_t w = from / 64;
    for (; w < bit_words(v->n) && n + 64 <= BLOCK; w++)
        for (uint64_t left = s->bits[w]; left; left &= left - 1) {
            const int64_t r = w * 64 + __builtin_ctzll(left);
            if (r < v->n)
                row[n++] = (uint32_t)r;
        }
    kern.dot_gather_i8(dot, s->p, v->i8, row, n, (size_t)v->dim);
    for (size_t i = 0; i < n; i++)
        consider(s, row[i], dot[i]);
    return w * 64;
}

/* Early candidates were let in by a floor that has risen since. */
static void drop_hopeless(struct scan *s)
{
    const float floor = topk_floor(&s->lower);
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->candidate[i].upper >= floor)
            s->candidate[kept++] = s->candidate[i];
    s->n = kept;
}

static int64_t scan_twice(const struct vectors *v, const float *query, int64_t k,
                          const uint64_t *bits, bool gather, struct hit *out)
{
    struct scan s = {.v = v, .bits = bits};
    s.p = xmalloc((size_t)v->dim);
    const float g = quantise_row(query, v->dim, s.p, &s.t);
    const float length = (float)sqrt(kern.dot_wide(query, query, (size_t)v->dim)) * 1.000001f;
    s.reach = fminf((g + length) * 1.000001f, FLT_MAX); /* no number may be made of |e| = 0 */
    s.margin = g * v->longest * 1.000001f + rounding * (1 + length * v->longest);
    s.lower = (struct topk){.item = out, .k = k};
    for (int64_t from = 0; from < v->n;) {
        const int64_t to = from + BLOCK < v->n ? from + BLOCK : v->n;
        if (gather) {
            from = score_allowed(&s, from);
        } else {
            score_block(&s, from, to);
            from = to;
        }
        if (s.n > 65536)
            drop_hopeless(&s);
    }
    drop_hopeless(&s);
    struct topk top = {.item = out, .k = k};
    for (size_t i = 0; i < s.n; i++) {
        if (i + VECTORS_AHEAD < s.n)
            vectors_prefetch(v, s.candidate[i + VECTORS_AHEAD].row);
        topk_push(&top, s.candidate[i].row, vectors_dot(v, query, s.candidate[i].row));
    }
    free(s.p);
    free(s.candidate);
    return topk_finish(&top);
}

static int64_t scan_exact(const struct vectors *v, const float *query, int64_t k,
                          const uint64_t *bits, struct hit *out)
{
    struct topk top = {.item = out, .k = k};
    for (int64_t w = 0; w < bit_words(v->n); w++)
        for (uint64_t left = bits ? bits[w] : ~(uint64_t)0; left; left &= left - 1) {
            const int64_t r = w * 64 + __builtin_ctzll(left);
            if (r < v->n)
                topk_push(&top, r, vectors_dot(v, query, r));
        }
    return topk_finish(&top);
}

int64_t flat_cost(int64_t n, int64_t n_allowed)
{
    return n_allowed < n / GATHER ? n_allowed * GATHER : n;
}

int64_t flat_search(const struct vectors *v, const float *query, int64_t k,
                    const struct row_filter *filter, struct hit *out)
{
    const uint64_t *bits = filter ? filter->bits : NULL;
    const int64_t n_allowed = bits ? filter->n_allowed : v->n;
    if (k > v->n)
        k = v->n;
    if (k <= 0)
        return 0;
    if (n_allowed <= EXACT_ROWS || n_allowed <= k || !isfinite(v->longest))
        return scan_exact(v, query, k, bits, out);
    return scan_twice(v, query, k, bits, flat_cost(v->n, n_allowed) < v->n, out);
}

static int64_t flat_kind_search(const void *state, const struct vectors *v, const float *query,
                                int64_t k, const struct row_filter *filter, struct hit *out)
{
    (void)state;
    return flat_search(v, query, k, filter, out);
}

const struct ann_kind ann_flat = {.name = "flat", .search = flat_kind_search};
