/* Tests of index/ann: the exact scan equals a full scan in every case, the graph finds what it
 * should, and no content of a file makes either leave its bounds. */
#include "index/ann/ann.h"
#include "index/ann/hnsw_graph.h"
#include "src/base/mem.h"
#include "src/kernels/kernels.h"
#include "tests/unit/test.h"

#include <malloc.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed;
static float uniform(void) /* -1..1 */
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(seed >> 32) / 2147483648.0f;
}

struct set {
    float *x; /* [n, dim] */
    struct cachefile file;
    struct vectors v;
};

enum { DIM_MAX = 256, DIM_FREE = 24 };

/* What models make fills few of its directions: numbers beyond the first are sums of these. */
static void spread(float *x, size_t dim)
{
    for (size_t i = DIM_FREE; i < dim; i++) {
        x[i] = 0;
        for (size_t j = 0; j < DIM_FREE; j++)
            x[i] += (i * 37 + j * j * 11) % 7 < 3 ? x[j] : -x[j];
        x[i] /= sqrtf(DIM_FREE);
    }
}

/* n unit vectors in `clusters` clusters (0: anywhere), of each hundred the first `heavy` close
 * together in one, every tenth a copy of the one before; the widest ones have no more directions
 * than DIM_FREE. */
static void set_make_like(struct set *s, int64_t n, int dim, int clusters, int heavy, float shift)
{
    struct cache_writer *w;
    struct cache_stamp stamp = {.count = n, .dim = dim};
    struct map map;
    const size_t d = (size_t)dim;
    float *centre = xcalloc((size_t)clusters * d + 1, sizeof *centre);
    uint16_t *half = xcalloc(d, sizeof *half);
    struct vectors_builder *b = vectors_builder_new(dim, NULL, NULL);
    assert_non_null(b);
    seed = (uint64_t)n * 31 + (uint64_t)dim;
    s->x = xcalloc((size_t)n * d + 1, sizeof *s->x);
    for (size_t i = 0; i < (size_t)clusters * d; i++)
        centre[i] = uniform();
    OK(cache_writer_open(NULL, &w, &err));
    vectors_begin(b, w);
    for (int64_t r = 0; r < n; r++) {
        float *x = s->x + (size_t)r * d, sum = 0;
        const bool alike = r % 100 < heavy;
        const size_t c = clusters && !alike ? (size_t)(seed >> 40) % (size_t)clusters : 0;
        for (size_t i = 0; i < d; i++) {
            x[i] = r % 10 == 9 ? x[i - d]
                               : (clusters ? centre[c * d + i] : 0) +
                                     uniform() * (alike ? 0.3f : 1) + shift;
        }
        if (dim == DIM_MAX)
            spread(x, d);
        for (size_t i = 0; i < d; i++)
            sum += x[i] * x[i];
        for (size_t i = 0; i < d; i++)
            x[i] /= sqrtf(sum);
        kern.f32_to_f16(half, x, d);
        kern.f16_to_f32(x, half, d);
        vectors_add(b, half);
    }
    OK(vectors_finish(b, &err));
    OK(cache_writer_commit(w, &stamp, &map, &err));
    OK(cachefile_of_map(map, "test", &s->file, &err));
    OK(vectors_open(&s->file, n, dim, &s->v, &err));
    vectors_builder_free(b);
    free(centre);
    free(half);
}

static void set_make(struct set *s, int64_t n, int dim, int clusters)
{
    set_make_like(s, n, dim, clusters, 0, 0);
}

static void set_release(struct set *s)
{
    cachefile_close(&s->file);
    free(s->x);
}

static void a_query(const struct set *s, int q, float *x)
{
    float sum = 0;
    seed = (uint64_t)q * 977 + 5;
    const int64_t near = s->v.n ? (int64_t)(seed * 31 % (uint64_t)s->v.n) : 0;
    for (int i = 0; i < s->v.dim; i++)
        x[i] = uniform() + (q % 3 && s->v.n ? 4 * s->x[near * s->v.dim + i] : 0);
    if (s->v.dim == DIM_MAX)
        spread(x, DIM_MAX);
    for (int i = 0; i < s->v.dim; i++)
        sum += x[i] * x[i];
    for (int i = 0; i < s->v.dim; i++)
        x[i] /= sqrtf(sum);
}

static int64_t brute(const struct set *s, const float *query, int64_t k, const uint64_t *bits,
                     struct hit *out)
{
    struct topk top = {.item = out, .k = k};
    for (int64_t r = 0; r < s->v.n; r++)
        if (!bits || bit_get(bits, r))
            topk_push(&top, r, vectors_dot(&s->v, query, r));
    return topk_finish(&top);
}

static uint64_t *some_rows(int64_t n, int of_1000, int64_t *n_allowed)
{
    uint64_t *bits = xcalloc((size_t)bit_words(n) + 1, sizeof *bits);
    for (int64_t r = 0; r < n; r++)
        if ((int)(hash64(&r, sizeof r) % 1000) < of_1000)
            bit_set(bits, r);
    *n_allowed = bit_count(bits, n);
    return bits;
}

/* ---- small parts */

static void best_of_many(void **state)
{
    (void)state;
    struct hit item[7];
    struct topk t = {.item = item, .k = 7};
    assert_true(topk_floor(&t) == -INFINITY);
    for (int i = 0; i < 500; i++)
        topk_push(&t, i, (float)(i * 7919 % 100));
    topk_push(&t, 900, NAN);
    assert_true(topk_floor(&t) == 98);
    assert_int_equal(topk_finish(&t), 7);
    static const float want[] = {99, 99, 99, 99, 99, 98, 98};
    for (int i = 0; i < 7; i++) {
        assert_true(item[i].score == want[i]);
        assert_true(i == 0 || item[i - 1].score > item[i].score || item[i - 1].row < item[i].row);
    }
    struct topk none = {.item = item, .k = 0};
    topk_push(&none, 1, 1);
    assert_int_equal(topk_finish(&none), 0);
}

static void int8_errors_are_bounded(void **state)
{
    (void)state;
    for (int dim = 1; dim < 500; dim += 61) {
        float x[500], scale;
        int8_t q[500];
        double sum = 0;
        seed = (uint64_t)dim;
        for (int i = 0; i < dim; i++)
            x[i] = uniform() * uniform();
        const float error = quantise_row(x, dim, q, &scale);
        for (int i = 0; i < dim; i++)
            sum += ((double)x[i] - (double)scale * q[i]) * ((double)x[i] - (double)scale * q[i]);
        assert_true(sqrt(sum) <= error && error <= 1.01 * sqrt(sum) + 1e-9);
    }
    float zero[8] = {0}, scale = 1;
    int8_t q[8];
    assert_true(quantise_row(zero, 8, q, &scale) == 0 && scale == 0);
}

/* ---- searches */

static void expect_equal(const struct hit *a, const struct hit *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        assert_true(a[i].row == b[i].row && a[i].score == b[i].score);
}

static void flat_is_exact(void **state)
{
    static const struct {
        int64_t n;
        int dim, clusters;
    } shape[] = {{0, 8, 0},     {1, 8, 0},     {5, 3, 0},      {1000, 384, 20}, {3001, 33, 0},
                 {5000, 64, 5}, {4096, 17, 1}, {1025, 768, 3}, {2500, 1, 0}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(shape); i++) {
        struct set s;
        set_make(&s, shape[i].n, shape[i].dim, shape[i].clusters);
        struct hit *a = xmalloc(((size_t)shape[i].n + 20) * sizeof *a);
        struct hit *b = xmalloc(((size_t)shape[i].n + 20) * sizeof *b);
        float *x = xcalloc((size_t)shape[i].dim, sizeof *x);
        static const int share[] = {1000, 999, 500, 100, 10, 1, 0};
        for (size_t f = 0; f < ARRAY_LEN(share); f++) {
            struct row_filter filter;
            uint64_t *bits = some_rows(shape[i].n, share[f], &filter.n_allowed);
            filter.bits = bits;
            const struct row_filter *use = f ? &filter : NULL;
            for (int q = 0; q < 4; q++) {
                static const int64_t ks[] = {1, 10, 200, 0};
                const int64_t k = ks[q] ? ks[q] : shape[i].n + 20;
                a_query(&s, q, x);
                const int64_t n = flat_search(&s.v, x, k, use, a);
                assert_int_equal(n, brute(&s, x, k, f ? bits : NULL, b));
                expect_equal(a, b, n);
            }
            free(bits);
        }
        free(a);
        free(b);
        free(x);
        set_release(&s);
    }
}

/* Vectors that are no unit vectors, zeros, and a query that is none: the bound must still hold. */
static void flat_is_exact_off_the_sphere(void **state)
{
    (void)state;
    enum { N = 3000, DIM = 40, K = 25 };
    struct cache_writer *w;
    struct cache_stamp stamp = {.count = N, .dim = DIM};
    struct map map;
    struct set s = {0};
    struct vectors_builder *b = vectors_builder_new(DIM, NULL, NULL);
    OK(cache_writer_open(NULL, &w, &err));
    vectors_begin(b, w);
    seed = 3;
    for (int r = 0; r < N; r++) {
        float x[DIM];
        uint16_t half[DIM];
        const float size = r % 50 == 0 ? 0 : powf(10, 1.5f * uniform());
        for (int i = 0; i < DIM; i++)
            x[i] = size * uniform();
        kern.f32_to_f16(half, x, DIM);
        vectors_add(b, r % 77 ? half : NULL);
    }
    OK(vectors_finish(b, &err));
    OK(cache_writer_commit(w, &stamp, &map, &err));
    OK(cachefile_of_map(map, "test", &s.file, &err));
    OK(vectors_open(&s.file, N, DIM, &s.v, &err));
    for (int q = 0; q < 20; q++) {
        float x[DIM];
        struct hit a[K], c[K];
        for (int i = 0; i < DIM; i++)
            x[i] = (float)q * uniform();
        assert_int_equal(flat_search(&s.v, x, K, NULL, a), K);
        brute(&s, x, K, NULL, c);
        expect_equal(a, c, K);
    }
    vectors_builder_free(b);
    set_release(&s);
}

struct graph {
    const struct ann_kind *kind;
    struct cachefile file;
    void *state;
};

static void graph_make(struct graph *g, const struct vectors *v, const struct ann_kind *kind)
{
    struct cache_writer *w;
    struct cache_stamp stamp = {.count = v->n, .dim = v->dim};
    struct map map;
    g->kind = kind;
    OK(cache_writer_open(NULL, &w, &err));
    OK(kind->build(v, w, NULL, &err));
    OK(cache_writer_commit(w, &stamp, &map, &err));
    OK(cachefile_of_map(map, "graph", &g->file, &err));
    OK(kind->open(&g->file, v, &g->state, &err));
}

static void graph_release(struct graph *g)
{
    if (g->kind->close)
        g->kind->close(g->state);
    cachefile_close(&g->file);
}

static void fail_on_problem(void *ctx, const char *what)
{
    (void)ctx;
    fail_msg("%s", what);
}

static void count_problem(void *ctx, const char *what)
{
    (void)what;
    ++*(int *)ctx;
}

/* What both kinds that may miss a row must hold, and the ways to ask them that do not scan. */
struct approximate {
    const struct ann_kind *kind;
    int64_t (*ask)(const void *state, const struct vectors *v, const float *query,
                   const struct row_filter *filter, struct hit *out);
    int dim;      /* graphs are lost where all is equally far, signs where there are few */
    double least; /* recall; lower where rows fill few of the directions (DIM_MAX): many signs then
                   * say the same, and a walk that trusts them passes by some rows */
};

enum { K = 10 };

static int64_t ask_bits(const void *state, const struct vectors *v, const float *query,
                        const struct row_filter *filter, struct hit *out)
{
    return bits_scan(state, v, query, K, filter, 800, out, NULL);
}

static int64_t ask_hnsw(const void *state, const struct vectors *v, const float *query,
                        const struct row_filter *filter, struct hit *out)
{
    return hnsw_walk(state, v, query, K, filter, 100, INT64_MAX, out);
}

static const struct approximate approximate[] = {{&ann_bits, ask_bits, 128, 0.97},
                                                 {&ann_hnsw, ask_hnsw, 24, 0.99},
                                                 {&ann_hnsw, ask_hnsw, DIM_MAX, 0.96}};

/* Recall over some queries; every hit is allowed and has the score of its row. */
static double recall_of(const struct approximate *a, const struct set *s, const void *state,
                        const struct row_filter *filter)
{
    enum { QUERIES = 60 };
    int64_t found = 0, want = 0;
    for (int q = 0; q < QUERIES; q++) {
        float x[DIM_MAX];
        struct hit hit[K], best[K];
        a_query(s, q, x);
        const int64_t n = a->ask(state, &s->v, x, filter, hit);
        const int64_t m = brute(s, x, K, filter ? filter->bits : NULL, best);
        assert_int_equal(n, m);
        for (int64_t i = 0; i < n; i++) {
            assert_true(!filter || bit_get(filter->bits, hit[i].row));
            assert_true(hit[i].score == vectors_dot(&s->v, x, hit[i].row));
            assert_true(i == 0 || hit[i - 1].score >= hit[i].score);
            found += hit[i].score >= best[m - 1].score;
        }
        want += m;
    }
    return (double)found / (double)want;
}

/* ef and r are far below n here, so that graph and signs are what answers. */
static void recall_with_filters(void **state)
{
    (void)state;
    enum { N = 12000 };
    struct set s;
    static const int share[] = {1000, 900, 500, 100, 10, 1};
    for (size_t a = 0; a < ARRAY_LEN(approximate); a++) {
        struct graph g;
        set_make(&s, N, approximate[a].dim, 60);
        graph_make(&g, &s.v, approximate[a].kind);
        if (g.kind->verify)
            g.kind->verify(g.state, &s.v, fail_on_problem, NULL);
        for (size_t f = 0; f < ARRAY_LEN(share); f++) {
            struct row_filter filter;
            uint64_t *bits = some_rows(N, share[f], &filter.n_allowed);
            filter.bits = bits;
            const double recall = recall_of(&approximate[a], &s, g.state, f ? &filter : NULL);
            if (recall < approximate[a].least)
                fail_msg("%s: with %d of 1000 rows allowed recall is %.4f", g.kind->name, share[f],
                         recall);
            free(bits);
        }
        graph_release(&g);
        set_release(&s);
    }
}

/* A filter that allows only what is far from every query: the walk must not be content with what it
 * met on its way. */
static void recall_far_away(void **state)
{
    (void)state;
    enum { N = 6000 };
    struct set s;
    set_make(&s, N, 24, 30);
    for (size_t a = 0; a < ARRAY_LEN(approximate); a++) {
        struct graph g;
        int64_t found = 0;
        graph_make(&g, &s.v, approximate[a].kind);
        for (int q = 0; q < 20; q++) {
            float x[DIM_MAX];
            struct hit *all = xmalloc(N * sizeof *all), hit[K];
            a_query(&s, q, x);
            brute(&s, x, N, NULL, all);
            uint64_t *bits = xcalloc((size_t)bit_words(N), sizeof *bits);
            for (int i = N / 2; i < N; i++)
                bit_set(bits, all[i].row);
            const struct row_filter filter = {bits, N / 2};
            const int64_t n = g.kind->search(g.state, &s.v, x, K, &filter, hit);
            assert_int_equal(n, K);
            for (int i = 0; i < K; i++)
                found += hit[i].score >= all[N / 2 + K - 1].score;
            free(bits);
            free(all);
        }
        if (found < 20 * K * 98 / 100)
            fail_msg("%s finds %lld of %d", g.kind->name, (long long)found, 20 * K);
        graph_release(&g);
    }
    set_release(&s);
}

/* One thread, three threads: the same arrays. */
static void graph_does_not_depend_on_threads(void **state)
{
    (void)state;
    struct set s;
    struct hnsw_graph a, b;
    set_make(&s, 5000, 32, 20);
    OK(hnsw_build(&s.v, 1, NULL, &a, &err));
    OK(hnsw_build(&s.v, 3, NULL, &b, &err));
    assert_int_equal(a.n_top, b.n_top);
    assert_memory_equal(a.top, b.top, a.n_top * sizeof *a.top);
    assert_int_equal(a.n_upper, b.n_upper);
    assert_true(a.n_upper > 0);
    assert_memory_equal(a.base, b.base, 5000 * a.base_links * sizeof *a.base);
    assert_memory_equal(a.place, b.place, 5000 * sizeof *a.place);
    assert_memory_equal(a.upper, b.upper, a.n_upper * a.upper_links * sizeof *a.upper);
    hnsw_graph_release(&a);
    hnsw_graph_release(&b);
    set_release(&s);
}

/* Signs of vectors that share a direction are taken around it. */
static void bits_look_around_the_mean(void **state)
{
    (void)state;
    enum { N = 4000, DIM = 128 };
    struct set s;
    struct graph g;
    set_make_like(&s, N, DIM, 0, 0, 3);
    graph_make(&g, &s.v, &ann_bits);
    assert_true(recall_of(&approximate[0], &s, g.state, NULL) >= 0.95);
    graph_release(&g);
    set_release(&s);
}

/* Where all rows are about equally near, as many copies of one passage are, the best by signs are
 * not the best: a look at the first of them says so, and a search goes on. */
static void bits_look_further_where_rows_are_alike(void **state)
{
    (void)state;
    enum { N = 9000, DIM = 240, QUERIES = 30, FEW = 640 };
    struct set s;
    struct graph g;
    int64_t found = 0, found_few = 0, late = 0;
    set_make(&s, N, DIM, 2);
    graph_make(&g, &s.v, &ann_bits);
    for (int q = 0; q < QUERIES; q++) {
        float x[DIM_MAX];
        struct hit best[K], few[K], hit[K];
        int64_t n_late;
        a_query(&s, 3 * q, x); /* near no row above others */
        assert_int_equal(brute(&s, x, K, NULL, best), K);
        assert_int_equal(bits_scan(g.state, &s.v, x, K, NULL, FEW, few, &n_late), K);
        assert_int_equal(ann_bits.search(g.state, &s.v, x, K, NULL, hit), K);
        late += n_late;
        for (int i = 0; i < K; i++) {
            found_few += few[i].score >= best[K - 1].score;
            found += hit[i].score >= best[K - 1].score;
        }
    }
    assert_true(late >= QUERIES && found_few < QUERIES * K * 98 / 100);
    if (found < QUERIES * K * 99 / 100)
        fail_msg("%lld of %d found, %lld without a second look", (long long)found, QUERIES * K,
                 (long long)found_few);
    graph_release(&g);
    set_release(&s);
}

/* Tables whose entries all round to nothing, or overflow if nobody looks. */
static void bits_of_odd_queries(void **state)
{
    (void)state;
    static const int dims[] = {1, 7, 33, 1500};
    for (size_t d = 0; d < ARRAY_LEN(dims); d++) {
        struct set s;
        struct graph g;
        struct hit hit[K], best[K];
        const int dim = dims[d];
        float *x = xcalloc((size_t)dim, sizeof *x);
        set_make(&s, 700, dim, 0);
        graph_make(&g, &s.v, &ann_bits);
        for (int kind = 0; kind < 4; kind++) {
            for (int i = 0; i < dim; i++)
                x[i] = kind == 0 ? 0 : kind == 1 ? 1e30F : kind == 2 ? 1e-30F : (float)(i == 0);
            assert_int_equal(bits_scan(g.state, &s.v, x, K, NULL, 700, hit, NULL), K);
            brute(&s, x, K, NULL, best);
            for (int i = 0; i < K; i++)
                assert_true(hit[i].score == best[i].score);
        }
        free(x);
        graph_release(&g);
        set_release(&s);
    }
}

/* Nine rows of ten are close together, and the links of a row lead to others of these: rows
 * elsewhere are found all the same. */
static void graph_leads_out_of_the_crowd(void **state)
{
    (void)state;
    enum { N = 12000, DIM = 64, QUERIES = 60 };
    struct set s;
    struct graph g;
    int64_t found = 0;
    set_make_like(&s, N, DIM, 40, 90, 0);
    graph_make(&g, &s.v, &ann_hnsw);
    for (int q = 0; q < QUERIES; q++) {
        struct hit best[K], hit[K];
        const float *row = s.x + (q * (N / QUERIES) + 90 + q % 10) * DIM;
        float x[DIM];
        for (int i = 0; i < DIM; i++)
            x[i] = row[i] + uniform() / 4;
        brute(&s, x, K, NULL, best);
        assert_int_equal(hnsw_walk(g.state, &s.v, x, K, NULL, 60, INT64_MAX, hit), K);
        for (int i = 0; i < K; i++)
            found += hit[i].score >= best[K - 1].score;
    }
    if (found < QUERIES * K * 97 / 100)
        fail_msg("%lld of %d found", (long long)found, QUERIES * K);
    graph_release(&g);
    set_release(&s);
}

static void graph_of_few_rows(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 40; n += 13) {
        struct set s;
        struct graph g;
        float x[8];
        struct hit a[50], b[50];
        set_make(&s, n, 8, 0);
        graph_make(&g, &s.v, &ann_hnsw);
        a_query(&s, 1, x);
        assert_int_equal(ann_hnsw.search(g.state, &s.v, x, 50, NULL, a), n);
        brute(&s, x, 50, NULL, b);
        expect_equal(a, b, n);
        graph_release(&g);
        set_release(&s);
    }
}

/* The file of a graph, to be spoiled. */
static struct cachefile copy_of(const struct cachefile *f)
{
    struct cachefile copy = *f;
    void *p = xmalloc(f->map.n);
    memcpy(p, f->map.p, f->map.n);
    copy.map.p = p;
    return copy;
}

static void spoil(const struct cachefile *f, int round)
{
    uint32_t *words = (uint32_t *)(uintptr_t)f->map.p;
    const size_t n_words = f->map.n / 4, n = round < 20 ? 50 : n_words / 2;
    seed = (uint64_t)round + 1;
    for (size_t i = 0; i < n; i++) {
        uniform();
        words[16 + (seed >> 33) % (n_words - 16)] = (uint32_t)(seed >> (round % 3 * 12));
    }
}

/* A graph whose numbers are anything, under a footer that says they are right; returns how many
 * problems were told. */
static int walk_spoiled_graphs(int64_t n_rows, int dim)
{
    struct set s;
    struct graph g;
    set_make(&s, n_rows, dim, 0);
    graph_make(&g, &s.v, &ann_hnsw);
    struct hit hit[10];
    float *x = xcalloc((size_t)dim, sizeof *x);
    int told = 0;
    for (int round = 0; round < 40; round++) {
        const struct cachefile bad = copy_of(&g.file);
        void *st = NULL;
        spoil(&bad, round);
        if (ann_hnsw.open(&bad, &s.v, &st, NULL) == 0) {
            for (int q = 0; q < 3; q++) {
                a_query(&s, q, x);
                const int64_t n = hnsw_walk(st, &s.v, x, 10, NULL, 50, INT64_MAX, hit);
                assert_int_equal(n, 10); /* the last resort is the scan */
                for (int64_t i = 0; i < n; i++)
                    assert_in_range(hit[i].row, 0, n_rows - 1);
            }
            ann_hnsw.verify(st, &s.v, count_problem, &told);
            ann_hnsw.close(st);
        }
        free((void *)(uintptr_t)bad.map.p);
    }
    free(x);
    graph_release(&g);
    set_release(&s);
    return told;
}

static void any_graph_is_safe(void **state)
{
    (void)state;
    assert_true(walk_spoiled_graphs(6000, 8) > 0);
    assert_true(walk_spoiled_graphs(1500, 300) > 0); /* signs are asked */
}

/* The next memory of that size is likely this one. */
static void leave_rubbish(size_t n)
{
    volatile char *p = xmalloc(n);
    for (size_t i = 0; i < malloc_usable_size((void *)(uintptr_t)p); i++)
        p[i] = -128;
    free((void *)(uintptr_t)p);
}

/* Bits of the last word of a row that stand for no number: whatever they are, what lies behind the
 * query is not added. */
static void signs_end_with_the_numbers(void **state)
{
    (void)state;
    enum { N = 1500, DIM = 300 };
    struct set s;
    struct graph g;
    struct hit hit[10], same[10];
    float x[DIM];
    set_make(&s, N, DIM, 0);
    graph_make(&g, &s.v, &ann_hnsw);
    const struct cachefile bad = copy_of(&g.file);
    const size_t words = hnsw_sign_words(DIM);
    int64_t n = 0;
    void *st = NULL;
    uint64_t *signs =
        (uint64_t *)(uintptr_t)cachefile_get(&bad, "hnsw.signs", words * sizeof *signs, &n);
    assert_int_equal(n, N);
    for (size_t r = 0; r < N; r++)
        signs[r * words + words - 1] |= ~(uint64_t)0 << DIM % 64;
    OK(ann_hnsw.open(&bad, &s.v, &st, &err));
    for (int q = 0; q < 10; q++) {
        a_query(&s, q, x);
        assert_int_equal(hnsw_walk(g.state, &s.v, x, 10, NULL, 50, INT64_MAX, hit), 10);
        leave_rubbish(DIM);
        assert_int_equal(hnsw_walk(st, &s.v, x, 10, NULL, 50, INT64_MAX, same), 10);
        expect_equal(same, hit, 10);
    }
    ann_hnsw.close(st);
    free((void *)(uintptr_t)bad.map.p);
    graph_release(&g);
    set_release(&s);
}

static void kinds_are_chosen_by_size(void **state)
{
    (void)state;
    assert_ptr_equal(ann_choose("auto", 10), &ann_flat);
    assert_ptr_equal(ann_choose("auto", ANN_FLAT_ROWS_MAX), &ann_flat);
    assert_ptr_equal(ann_choose("auto", ANN_FLAT_ROWS_MAX + 1), &ann_bits);
    assert_ptr_equal(ann_choose("auto", ANN_BITS_ROWS_MAX), &ann_bits);
    assert_ptr_equal(ann_choose("auto", ANN_BITS_ROWS_MAX + 1), &ann_hnsw);
    assert_ptr_equal(ann_choose("bits", 10), &ann_bits);
    assert_ptr_equal(ann_choose("hnsw", 10), &ann_hnsw);
    assert_null(ann_choose("tree", 10));
}

static int start(void **state)
{
    struct err err = {0};
    (void)state;
    return kernels_init(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_of_many),
        cmocka_unit_test(int8_errors_are_bounded),
        cmocka_unit_test(flat_is_exact),
        cmocka_unit_test(flat_is_exact_off_the_sphere),
        cmocka_unit_test(recall_with_filters),
        cmocka_unit_test(recall_far_away),
        cmocka_unit_test(graph_does_not_depend_on_threads),
        cmocka_unit_test(bits_look_around_the_mean),
        cmocka_unit_test(bits_look_further_where_rows_are_alike),
        cmocka_unit_test(bits_of_odd_queries),
        cmocka_unit_test(graph_leads_out_of_the_crowd),
        cmocka_unit_test(graph_of_few_rows),
        cmocka_unit_test(any_graph_is_safe),
        cmocka_unit_test(signs_end_with_the_numbers),
        cmocka_unit_test(kinds_are_chosen_by_size),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
