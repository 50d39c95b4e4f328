/* bits.c - a scan of one bit a number, then the best of it more exactly.
 *
 * Section: bits.codes, for 64 rows after the other the signs of x - mean as kern.scan_nibbles takes
 * them (byte p of a row: numbers 8p .. 8p+7; rows and numbers that do not exist are zeros).
 *
 * A row is seen through its signs s, a query q through sums of its numbers:
 *
 *     <q, x> = <q, mean> + <q, x - mean>  about  constant + c <q, s>
 *
 * which is wrong by some hundredths for a cosine, but leaves the best rows among the best R by
 * <q, s>. These are estimated again from int8 and the best of them scored from f16. R was chosen on
 * real vectors, see R_PER_HIT; where they do not do, R grows (see count_late). Signs are taken
 * around the mean because vectors of some models share a direction, which would fill the bits with
 * what all rows have in common. Gao and Long, "RaBitQ", 2024, for the idea that one bit a number is
 * enough for a first look; their factor for each row changed the outcome by less than 0.1 % of
 * recall, and without it scores are small integers that are compared 32 at a time.
 */
#include "index/ann/ann.h"

#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    GROUP = 64,   /* rows that codes are padded to: two blocks of the kernel, a word of a filter */
    BLOCK = 2048, /* rows of a step of the scan */
    BLOCK_FIRST = 256,
    ENTRY_MAX = 63, /* of a table, see kernels.h */
    R_MIN = 200,
    R_PER_HIT = 5,
    R_DIM = 384,       /* what they were measured with */
    R_GROWS = 4,       /* times, */
    LATE_SHARE = 10,   /* while one of so many hits */
    LATE_FROM = 3,     /* stood behind the first third of R */
    ESTIMATES = 32,    /* kept beyond 2 k for the last look */
    ROWS_PER_INT8 = 4, /* rows of signs that are scanned while one of int8 is */
};

/* Bytes of a row: eight numbers each, in steps of the kernel. */
static size_t row_pairs(int dim)
{
    return ((size_t)dim + 31) / 32 * 4;
}

/* ---- the file */

static int bits_build(const struct vectors *v, struct cache_writer *w,
                      const struct progress_sink *sink, struct err *err)
{
    const size_t n_pairs = row_pairs(v->dim), dim = (size_t)v->dim;
    float *mean = xcalloc(dim, sizeof *mean), *x = xcalloc(dim, sizeof *x);
    uint8_t *codes = xmalloc(GROUP * n_pairs);
    (void)sink;
    (void)err;
    vectors_mean(v, mean);
    cache_section(w, "bits.codes");
    for (int64_t row0 = 0; row0 < v->n; row0 += GROUP) {
        memset(codes, 0, GROUP * n_pairs);
        for (int64_t r = row0; r < v->n && r < row0 + GROUP; r++) {
            uint8_t *c = codes + (size_t)(r - row0) / 32 * 32 * n_pairs + (size_t)(r - row0) % 32;
            kern.f16_to_f32(x, v->f16 + r * v->dim, dim);
            for (size_t d = 0; d < dim; d++)
                c[d / 8 * 32] |= (uint8_t)((x[d] > mean[d]) << d % 8);
        }
        cache_add(w, codes, GROUP * n_pairs);
    }
    free(mean);
    free(x);
    free(codes);
    return 0;
}

static int bits_open(const struct cachefile *f, const struct vectors *v, void **state,
                     struct err *err)
{
    int64_t n = 0;
    const uint8_t *codes = cachefile_get(f, "bits.codes", GROUP * row_pairs(v->dim), &n);
    if (!codes || n != (v->n + GROUP - 1) / GROUP)
        return err_kind_set(err, ERR_CORRUPT, "the signs of the vectors do not fit them");
    *state = (void *)(uintptr_t)codes;
    return 0;
}

/* ---- the tables of a query */

struct tables {
    uint8_t *entry; /* as kern.scan_nibbles takes them */
    uint32_t most;  /* no row scores more */
};

/* Entry b of a group: the sum of 2 |q_d| over those of its numbers whose sign is that of bit d of
 * b, which is <q, s> moved to begin at zero; in units that fit the largest group into ENTRY_MAX,
 * and all groups into 16 bits. */
static struct tables make_tables(const float *query, int dim)
{
    const size_t n_pairs = row_pairs(dim), n_groups = 2 * n_pairs, fits = 65535 / n_groups;
    struct tables t = {.entry = xmalloc(32 * n_groups)};
    float *q = xcalloc(4 * n_groups, sizeof *q), top = 0;
    for (int d = 0; d < dim; d++)
        q[d] = 2 * query[d];
    for (size_t d = 0; d < 4 * n_groups; d += 4) {
        const float sum = fabsf(q[d]) + fabsf(q[d + 1]) + fabsf(q[d + 2]) + fabsf(q[d + 3]);
        top = sum > top ? sum : top;
    }
    const float units = top > 0 ? (float)(fits < ENTRY_MAX ? fits : ENTRY_MAX) / top * 0.9999F : 0;
    for (size_t g = 0; g < n_groups; g++) {
        float sum[16] = {0};
        uint8_t *e = t.entry + 32 * (g % 2 * n_pairs + g / 2), most = 0;
        for (size_t d = 0; d < 4; d++)
            sum[0] -= q[4 * g + d] < 0 ? q[4 * g + d] : 0;
        for (size_t d = 0; d < 4; d++)
            for (size_t b = 0; b < (size_t)1 << d; b++)
                sum[b + ((size_t)1 << d)] = sum[b] + q[4 * g + d];
        for (size_t b = 0; b < 16; b++) {
            const float x = sum[b] * units;
            e[b] = (uint8_t)(x > 0 ? (int)(x + 0.5F) : 0); /* rounding may leave -0.0001 */
            most = e[b] > most ? e[b] : most;
        }
        memcpy(e + 16, e, 16);
        t.most += most;
    }
    free(q);
    return t;
}

/* ---- the best R of a scan, or somewhat more: rows above a floor that rises with what was seen */

enum { BINS = 2048 };

struct best {
    uint32_t *row; /* rising */
    uint16_t *score;
    size_t n, cap, keep;
    uint16_t floor; /* `keep` rows reach it */
    int shift;      /* a score's bin is score >> shift */
    uint32_t bin[BINS];
};

static struct best *best_new(size_t keep, uint32_t most)
{
    struct best *p = xcalloc(1, sizeof *p);
    p->keep = keep;
    while (most >> p->shift >= BINS)
        p->shift++;
    return p;
}

static void best_free(struct best *p)
{
    free(p->row);
    free(p->score);
    free(p);
}

static void best_reserve(struct best *p, size_t more)
{
    if (p->n + more <= p->cap)
        return;
    p->cap = 2 * p->cap + more;
    p->row = xrealloc_array(p->row, p->cap, sizeof *p->row);
    p->score = xrealloc_array(p->score, p->cap, sizeof *p->score);
}

static void best_add(struct best *p, const uint16_t *score, int64_t row0, uint64_t word)
{
    for (; word; word &= word - 1) {
        const int i = __builtin_ctzll(word);
        p->row[p->n] = (uint32_t)(row0 + i);
        p->score[p->n++] = score[i];
        p->bin[score[i] >> p->shift]++;
    }
}

static void best_raise(struct best *p)
{
    size_t above = 0, b = BINS;
    while (b > 0 && above < p->keep)
        above += p->bin[--b];
    if (above >= p->keep)
        p->floor = (uint16_t)(b << p->shift);
}

/* Drops what came in before the floor rose above it. */
static void best_finish(struct best *p)
{
    size_t kept = 0;
    best_raise(p);
    for (size_t i = 0; i < p->n; i++) {
        p->row[kept] = p->row[i];
        p->score[kept] = p->score[i];
        kept += p->score[i] >= p->floor;
    }
    p->n = kept;
}

/* ---- searching */

static void scan_block(const uint8_t *codes, const struct tables *t, const struct vectors *v,
                       const uint64_t *bits, int64_t row0, int64_t n, struct best *best)
{
    const size_t n_pairs = row_pairs(v->dim), n_words = (size_t)bit_words(n);
    uint16_t score[BLOCK];
    uint64_t good[BLOCK / 64], any = 0;
    for (size_t w = 0; bits && w < n_words; w++)
        any |= bits[row0 / 64 + (int64_t)w];
    if (bits && !any)
        return;
    kern.scan_nibbles(score, t->entry, codes + (size_t)row0 * n_pairs, 2 * n_words, n_pairs);
    kern.at_least_u16(good, score, 64 * n_words, best->floor);
    best_reserve(best, 64 * n_words);
    for (size_t w = 0; w < n_words; w++) {
        const int64_t at = row0 + (int64_t)w * 64;
        uint64_t word = good[w] & (bits ? bits[at / 64] : ~(uint64_t)0);
        if (v->n - at < 64)
            word &= ((uint64_t)1 << (v->n - at)) - 1;
        best_add(best, score + 64 * w, at, word);
    }
    best_raise(best);
}

static uint16_t score_of(const struct best *p, int64_t row)
{
    size_t a = 0, b = p->n;
    while (b - a > 1) {
        const size_t mid = (a + b) / 2;
        if (p->row[mid] <= row)
            a = mid;
        else
            b = mid;
    }
    return p->score[a];
}

/* How many of the n rows did not stand in the front of R by their signs. Rows far from all others
 * are at the very front; where thousands lie about equally near (copies of one passage, say), signs
 * hardly tell them apart, the best are strewn over all of R, and some lie behind it. Measured: with
 * 20 thousand noisy copies among 4 thousand other rows, recall of 10 rises from .883 to .996; with
 * 100 thousand real rows one question of 13 is scanned twice, recall of 300 rises from .993 to
 * .999. */
static int64_t count_late(struct best *p, const struct hit *hit, int64_t n)
{
    int64_t late = 0;
    p->keep /= LATE_FROM;
    best_raise(p);
    for (int64_t i = 0; i < n; i++)
        late += score_of(p, hit[i].row) < p->floor;
    return late;
}

/* int8 estimates of the best, then f16 for the best of those. */
static int64_t score_best(const struct vectors *v, const float *query, int64_t k,
                          const struct best *best, struct hit *out)
{
    const int64_t more = 2 * k + ESTIMATES;
    int32_t *dot = xmalloc((best->n + 1) * sizeof *dot);
    struct quick_query q;
    struct topk about = {.item = xmalloc((size_t)more * sizeof(struct hit)), .k = more};
    quick_query_init(&q, v, query);
    kern.dot_gather_i8(dot, q.q, v->i8, best->row, best->n, (size_t)v->dim);
    for (size_t i = 0; i < best->n; i++)
        topk_push(&about, best->row[i], (float)dot[i] * v->scale[best->row[i]]);
    const int64_t n = vectors_settle(v, &q, query, about.item, topk_finish(&about), k, out);
    quick_query_release(&q);
    free(dot);
    free(about.item);
    return n;
}

static int64_t scan(const uint8_t *codes, const struct vectors *v, const float *query, int64_t k,
                    int64_t r, const uint64_t *bits, struct hit *out, int64_t *n_late)
{
    const struct tables t = make_tables(query, v->dim);
    struct best *best = best_new((size_t)r, t.most);
    int64_t step = BLOCK_FIRST; /* the first ones are short, since all of them is let in */
    for (int64_t row0 = 0; row0 < v->n; row0 += step, step = 2 * step < BLOCK ? 2 * step : BLOCK)
        scan_block(codes, &t, v, bits, row0, v->n - row0 < step ? v->n - row0 : step, best);
    best_finish(best);
    const int64_t n = score_best(v, query, k, best, out);
    if (n_late)
        *n_late = count_late(best, out, n);
    best_free(best);
    free(t.entry);
    return n;
}

int64_t bits_scan(const void *state, const struct vectors *v, const float *query, int64_t k,
                  const struct row_filter *filter, int64_t r, struct hit *out, int64_t *n_late)
{
    const uint64_t *bits = filter ? filter->bits : NULL;
    const int64_t n_allowed = bits ? filter->n_allowed : v->n;
    k = k < n_allowed ? k : n_allowed;
    if (k <= 0)
        return 0;
    const int64_t n = scan(state, v, query, k, r > k ? r : k, bits, out, n_late);
    return n == k ? n : flat_search(v, query, k, filter, out);
}

/* The fewer the bits, the less they say: the error of <q, s> goes with 1 / sqrt(dim). */
static int64_t rows_to_see(int64_t k, int dim)
{
    const int64_t r = R_MIN + k * R_PER_HIT;
    return dim >= R_DIM ? r : r * R_DIM / dim * R_DIM / dim;
}

static int64_t bits_kind_search(const void *state, const struct vectors *v, const float *query,
                                int64_t k, const struct row_filter *filter, struct hit *out)
{
    const int64_t n_allowed = filter && filter->bits ? filter->n_allowed : v->n;
    const int64_t exact = flat_cost(v->n, n_allowed);
    for (int64_t r = rows_to_see(k, v->dim);; r *= R_GROWS) {
        int64_t n_late = 0;
        if (n_allowed <= 2 * r || exact < v->n / ROWS_PER_INT8 + 2 * r)
            return flat_search(v, query, k, filter, out);
        const int64_t n = bits_scan(state, v, query, k, filter, r, out, &n_late);
        if (LATE_SHARE * n_late < n)
            return n;
    }
}

const struct ann_kind ann_bits = {
    .name = "bits", .build = bits_build, .open = bits_open, .search = bits_kind_search};
