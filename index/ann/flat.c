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
 * When a filter lets few rows pass, these alone are scored from f16.
 */
#include "index/ann/ann.h"

#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>

enum {
    BLOCK = 1024,
    GATHER = 8, /* one row gathered from f16 costs about as much as this many scanned in int8 */
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
    int8_t *p; /* the query in int8 */
    float t, margin, length;
    struct topk lower; /* the best lower bounds */
    struct candidate *candidate;
    size_t n, cap;
};

static void score_block(struct scan *s, int64_t from, int64_t to)
{
    const struct vectors *v = s->v;
    int32_t dot[BLOCK];
    kern.dot_rows_i8(dot, s->p, v->i8 + from * v->dim, (size_t)(to - from), (size_t)v->dim);
    for (int64_t r = from; r < to; r++) {
        const float about = (float)dot[r - from] * v->scale[r] * s->t;
        const float off = s->margin + s->length * v->error[r];
        const float floor = topk_floor(&s->lower);
        if (!(about + off >= floor) || (s->bits && !bit_get(s->bits, r)))
            continue;
        topk_push(&s->lower, r, about - off);
        VEC_GROW(s->candidate, s->n, s->cap);
        s->candidate[s->n++] = (struct candidate){r, about + off};
    }
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

static int64_t scan_all(const struct vectors *v, const float *query, int64_t k,
                        const uint64_t *bits, struct hit *out)
{
    struct scan s = {.v = v, .bits = bits};
    s.p = xmalloc((size_t)v->dim);
    const float g = quantise_row(query, v->dim, s.p, &s.t);
    s.length = (float)sqrt(kern.dot_wide(query, query, (size_t)v->dim)) * 1.000001f;
    /* |e| is at most |x| for every row that quantise_row made */
    s.margin = g * 2 * v->longest + rounding * (1 + s.length * v->longest);
    s.lower = (struct topk){.item = out, .k = k};
    for (int64_t from = 0; from < v->n; from += BLOCK) {
        score_block(&s, from, from + BLOCK < v->n ? from + BLOCK : v->n);
        if (s.n > 65536)
            drop_hopeless(&s);
    }
    drop_hopeless(&s);
    struct topk top = {.item = out, .k = k};
    for (size_t i = 0; i < s.n; i++)
        topk_push(&top, s.candidate[i].row, vectors_dot(v, query, s.candidate[i].row));
    free(s.p);
    free(s.candidate);
    return topk_finish(&top);
}

/* Rows that stand alone come from memory one after the other unless they are asked for early. */
static void fetch_rows(const struct vectors *v, uint64_t bits, int64_t row0)
{
    for (; bits; bits &= bits - 1) {
        const int64_t r = row0 + __builtin_ctzll(bits);
        const char *row = (const char *)(v->f16 + r * v->dim);
        for (size_t at = 0; r < v->n && at < (size_t)v->dim * sizeof *v->f16; at += 64)
            __builtin_prefetch(row + at);
    }
}

static int64_t scan_exact(const struct vectors *v, const float *query, int64_t k,
                          const uint64_t *bits, struct hit *out)
{
    struct topk top = {.item = out, .k = k};
    const int64_t words = bit_words(v->n);
    for (int64_t w = 0; w < words; w++) {
        if (bits && w + 1 < words)
            fetch_rows(v, bits[w + 1], 64 * (w + 1));
        for (uint64_t left = bits ? bits[w] : ~(uint64_t)0; left; left &= left - 1) {
            const int64_t r = w * 64 + __builtin_ctzll(left);
            if (r < v->n)
                topk_push(&top, r, vectors_dot(v, query, r));
        }
    }
    return topk_finish(&top);
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
    if (n_allowed <= v->n / GATHER || n_allowed <= k || !isfinite(v->longest))
        return scan_exact(v, query, k, bits, out);
    return scan_all(v, query, k, bits, out);
}

static int64_t flat_kind_search(const void *state, const struct vectors *v, const float *query,
                                int64_t k, const struct row_filter *filter, struct hit *out)
{
    (void)state;
    return flat_search(v, query, k, filter, out);
}

const struct ann_kind ann_flat = {.name = "flat", .search = flat_kind_search};
