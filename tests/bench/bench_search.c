/* bench_search.c - how fast and how exact the searches are, on vectors of your own.
 *
 *   bench_search vectors [--rows N] [--docs FILE.npy --queries FILE.npy]
 *       every kind of search: time to build, median and p95 of a query, recall against the exact
 *       answer, filters of several selectivities. More rows than the file has are made by turning
 *       copies away from the originals; without a file, vectors are made in clusters.
 *   bench_search serve --docs FILE.npy --queries FILE.npy [--rows N]
 *       answers commands from standard input, for a comparison that takes turns with others:
 *         build KIND             seconds, CPU seconds of all threads (one a core that the process
 * may use), bytes k NUMBER               how many to find, 10 at first filter FILE | none     a
 * byte for each row: 1, it may be found run KIND NUMBER FILE   all queries, ef or r as given, 0: as
 * the program would; milliseconds; row numbers to FILE as int32 [queries, k] bench_search index DIR
 * [--rows N] [--docs FILE.npy] [--text DIR] [--ann KIND] fills a store in DIR with passages of 1000
 * bytes of the files below --text (made-up words without it or when they do not suffice) and builds
 * the caches. bench_search grow DIR --rows N [--docs FILE.npy] [--text DIR] the same into an index
 * that `semsearch index` made (DIR is its .semsearch), so that `semsearch query` can be asked over
 * as many passages as one likes. bench_search cold DIR [--times N] one question (200 by words, 200
 * by vector) in fresh processes: wall time from fork to exit, and its steps.
 *
 * Times of single steps are CPU time of one thread; npy files are float32 [n, dim].
 */
#include "index/ann/ann.h"
#include "index/keyword/keyword.h"
#include "index/snapshot.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/thread.h"
#include "src/base/unicode.h"
#include "src/kernels/kernels.h"
#include "tests/bench/vectors.h"

#include <fts.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DIM_DEFAULT = 384, QUERIES_MAX = 1000, COPY_DIM_MAX = 4096 };
static const char print[] = "bench";
static const char question[] = "how do i configure the access policy of a storage bucket";

/* CPU time of this thread: unlike wall time it does not measure the neighbours. */
static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Of all its threads. */
static double process_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static uint64_t seed = 88172645463325252u;
static float noise(void) /* about normal */
{
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        sum += (float)(int32_t)(seed >> 32) / 2147483648.0f;
    }
    return sum * 0.866f;
}

static void normalise(float *x, int dim)
{
    const float n = 1 / sqrtf(kern.dot(x, x, (size_t)dim));
    for (int i = 0; i < dim; i++)
        x[i] *= n;
}

/* ---- vectors */

/* 200 clusters of unit vectors */
static struct matrix make_clusters(int64_t n, int dim)
{
    struct matrix m = {xmalloc((size_t)n * (size_t)dim * sizeof(float)), n, dim};
    float *centre = xmalloc((size_t)200 * (size_t)dim * sizeof *centre);
    for (int i = 0; i < 200 * dim; i++)
        centre[i] = noise();
    for (int64_t r = 0; r < n; r++) {
        const float *c = centre + (seed >> 20) % 200 * (uint64_t)dim;
        for (int d = 0; d < dim; d++)
            m.x[r * dim + d] = c[d] + 1.5f * noise();
        normalise(m.x + r * dim, dim);
    }
    free(centre);
    return m;
}

/* More rows by turning copies by about 30 degrees. */
static void grow(struct matrix *m, int64_t n)
{
    const int64_t own = m->n;
    if (n <= own) {
        m->n = n;
        return;
    }
    m->x = xrealloc(m->x, (size_t)n * (size_t)m->dim * sizeof *m->x);
    const float size = 0.6f / sqrtf((float)m->dim);
    for (int64_t r = own; r < n; r++) {
        for (int d = 0; d < m->dim; d++)
            m->x[r * m->dim + d] = m->x[r % own * m->dim + d] + size * noise();
        normalise(m->x + r * m->dim, m->dim);
    }
    m->n = n;
}

static struct vectors to_vectors(const struct matrix *m, struct cachefile *file)
{
    struct err e = {0};
    struct cache_writer *w;
    struct cache_stamp stamp = {.count = m->n, .dim = m->dim};
    struct map map;
    struct vectors v;
    uint16_t half[COPY_DIM_MAX];
    struct vectors_builder *b = vectors_builder_new(m->dim, NULL, &e);
    if (!b || cache_writer_open(NULL, &w, &e))
        die(&e);
    vectors_begin(b, w);
    for (int64_t r = 0; r < m->n; r++) {
        kern.f32_to_f16(half, m->x + r * m->dim, (size_t)m->dim);
        vectors_add(b, half);
    }
    if (vectors_finish(b, &e) || cache_writer_commit(w, &stamp, &map, &e) ||
        cachefile_of_map(map, "vectors", file, &e) || vectors_open(file, m->n, m->dim, &v, &e))
        die(&e);
    vectors_builder_free(b);
    return v;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *what, double *ms, int n)
{
    qsort(ms, (size_t)n, sizeof *ms, by_value);
    printf("  %-34s p50 %8.3f ms   p95 %8.3f ms", what, ms[n / 2], ms[n * 95 / 100]);
}

/* A kind of search with what it has built. */
struct trial {
    const struct ann_kind *kind;
    void *state;
    struct cachefile file;
    const struct vectors *v;
    const struct matrix *queries;
};

/* Seconds that building took. */
static double trial_build(struct trial *t)
{
    struct err e = {0};
    struct cache_writer *w;
    struct cache_stamp stamp = {.count = t->v->n, .dim = t->v->dim};
    struct map map;
    const double begin = clock_ms();
    if (!t->kind->build)
        return 0;
    if (cache_writer_open(NULL, &w, &e) || t->kind->build(t->v, w, NULL, &e))
        die(&e);
    const double took = (clock_ms() - begin) / 1000;
    if (cache_writer_commit(w, &stamp, &map, &e) ||
        cachefile_of_map(map, t->kind->name, &t->file, &e) ||
        t->kind->open(&t->file, t->v, &t->state, &e))
        die(&e);
    return took;
}

static void trial_close(struct trial *t)
{
    if (t->kind->close)
        t->kind->close(t->state);
    cachefile_close(&t->file);
}

/* Times one kind and compares it with a scan of f16 alone. */
static void try_kind(const struct trial *t, int64_t k, const struct row_filter *filter,
                     const char *note)
{
    double ms[QUERIES_MAX];
    const int n = t->queries->n < QUERIES_MAX ? (int)t->queries->n : QUERIES_MAX;
    struct hit *hit = xmalloc((size_t)k * sizeof *hit);
    float *score = xmalloc((size_t)t->v->n * sizeof *score);
    int64_t found = 0, want = 0;
    for (int q = 0; q < n; q++) {
        const float *x = t->queries->x + (int64_t)q * t->queries->dim;
        const double begin = cpu_ms();
        const int64_t got = t->kind->search(t->state, t->v, x, k, filter, hit);
        ms[q] = cpu_ms() - begin;
        if (q % 4)
            continue; /* recall on every fourth */
        kern.dot_rows_f16(score, x, t->v->f16, (size_t)t->v->n, (size_t)t->v->dim);
        struct topk top = {.item = xmalloc((size_t)k * sizeof(struct hit)), .k = k};
        for (int64_t r = 0; r < t->v->n; r++)
            if (!filter || bit_get(filter->bits, r))
                topk_push(&top, r, score[r]);
        want += top.n;
        for (int64_t i = 0; i < got; i++)
            found += hit[i].score >= top.item[0].score;
        free(top.item);
    }
    char what[64];
    snprintf(what, sizeof what, "%s, k %lld%s", t->kind->name, (long long)k, note);
    print_times(what, ms, n);
    printf("   recall %.4f\n", (double)found / (double)want);
    free(hit);
    free(score);
}

static void try_all(const struct trial *t)
{
    try_kind(t, 10, NULL, "");
    try_kind(t, 300, NULL, "");
    static const int percent[] = {1, 10, 50};
    uint64_t *bits = xcalloc((size_t)bit_words(t->v->n), sizeof *bits);
    for (size_t i = 0; i < ARRAY_LEN(percent); i++) {
        memset(bits, 0, (size_t)bit_words(t->v->n) * sizeof *bits);
        for (int64_t r = 0; r < t->v->n; r++)
            if (hash64(&r, sizeof r) % 100 < (uint64_t)percent[i])
                bit_set(bits, r);
        const struct row_filter f = {bits, bit_count(bits, t->v->n)};
        char note[32];
        snprintf(note, sizeof note, ", %d %% allowed", percent[i]);
        try_kind(t, 10, &f, note);
    }
    free(bits);
}

static struct matrix queries_of(const char *path, const struct matrix *m)
{
    struct err e = {0};
    struct matrix q = path ? load_npy(path) : make_clusters(200, m->dim);
    if (!path)
        for (int64_t i = 0; i < q.n; i++)
            memcpy(q.x + i * q.dim, m->x + i * 7 % m->n * m->dim, (size_t)m->dim * sizeof *q.x);
    if (m->dim > COPY_DIM_MAX || q.dim != m->dim) {
        err_set(&e, "queries of %d numbers and rows of %d", q.dim, m->dim);
        die(&e);
    }
    return q;
}

static const char *const kind_names[] = {"flat", "bits", "hnsw"};

static void bench_vectors(int64_t rows, const char *docs, const char *queries)
{
    struct matrix m = docs ? load_npy(docs) : make_clusters(rows, DIM_DEFAULT);
    struct matrix q = queries_of(queries, &m);
    struct cachefile file;
    grow(&m, rows);
    const struct vectors v = to_vectors(&m, &file);
    printf("%lld vectors of %d, %s, kernels: %s\n", (long long)v.n, v.dim,
           docs ? docs : "made in clusters", kern.features);
    for (size_t i = 0; i < ARRAY_LEN(kind_names); i++) {
        struct trial t = {.kind = ann_find(kind_names[i]), .v = &v, .queries = &q};
        const double took = trial_build(&t);
        if (t.kind->build)
            printf("  %s built in %.2f s with %d threads, %.1f MB\n", t.kind->name, took,
                   thread_default_count(), (double)t.file.map.n / 1e6);
        try_all(&t);
        trial_close(&t);
    }
    cachefile_close(&file);
    free(m.x);
    free(q.x);
}

/* ---- taking turns */

struct serving {
    struct vectors v;
    struct matrix queries;
    struct trial trial[ARRAY_LEN(kind_names)];
    uint64_t *bits;
    struct row_filter filter;
    int64_t k;
};

static void serve_filter(struct serving *s, const char *path)
{
    struct err e = {0};
    struct str mask = {.max = (size_t)1 << 31};
    free(s->bits);
    s->bits = NULL;
    if (strcmp(path, "none") != 0) {
        if (file_read(path, (size_t)1 << 31, &mask, &e))
            die(&e);
        s->bits = xcalloc((size_t)bit_words(s->v.n), sizeof *s->bits);
        for (int64_t r = 0; r < s->v.n && r < (int64_t)mask.n; r++)
            if (mask.p[r])
                bit_set(s->bits, r);
        s->filter = (struct row_filter){s->bits, bit_count(s->bits, s->v.n)};
    }
    str_release(&mask);
    printf("ok\n");
}

static int64_t search_with(const struct trial *t, const float *x, int64_t k,
                           const struct row_filter *f, int64_t number, struct hit *hit)
{
    if (number && strcmp(t->kind->name, "bits") == 0)
        return bits_scan(t->state, t->v, x, k, f, number, hit, NULL);
    if (number && strcmp(t->kind->name, "hnsw") == 0)
        return hnsw_walk(t->state, t->v, x, k, f, number, INT64_MAX, hit);
    return t->kind->search(t->state, t->v, x, k, f, hit);
}

static void serve_run(struct serving *s, const struct trial *t, int64_t number, const char *path)
{
    struct err e = {0};
    const int64_t n = s->queries.n, k = s->k;
    int32_t *row = xcalloc((size_t)(n * k), sizeof *row);
    struct hit *hit = xmalloc((size_t)k * sizeof *hit);
    const double wall = clock_ms(), cpu = cpu_ms();
    for (int64_t q = 0; q < n; q++) {
        const int64_t got = search_with(t, s->queries.x + q * s->queries.dim, k,
                                        s->bits ? &s->filter : NULL, number, hit);
        for (int64_t i = 0; i < k; i++)
            row[q * k + i] = i < got ? (int32_t)hit[i].row : -1;
    }
    const double wall_end = clock_ms(), cpu_end = cpu_ms();
    struct outfile f;
    if (outfile_open(&f, path, &e))
        die(&e);
    outfile_write(&f, row, (size_t)(n * k) * sizeof *row);
    if (outfile_commit(&f, &e))
        die(&e);
    printf("%.6f %.6f\n", wall_end - wall, cpu_end - cpu);
    free(row);
    free(hit);
}

static void bench_serve(int64_t rows, const char *docs, const char *queries)
{
    struct serving s = {.k = 10};
    struct matrix m = load_npy(docs);
    struct cachefile file;
    char word[16], path[512];
    long long number;
    s.queries = queries_of(queries, &m);
    grow(&m, rows ? rows : m.n);
    s.v = to_vectors(&m, &file);
    free(m.x);
    for (size_t i = 0; i < ARRAY_LEN(kind_names); i++)
        s.trial[i] =
            (struct trial){.kind = ann_find(kind_names[i]), .v = &s.v, .queries = &s.queries};
    printf("ready\n");
    while (scanf("%15s", word) == 1) {
        const bool filter = strcmp(word, "filter") == 0, run = strcmp(word, "run") == 0;
        if (filter && scanf("%511s", path) == 1) {
            serve_filter(&s, path);
            continue;
        }
        if (strcmp(word, "k") == 0 && scanf("%lld", &number) == 1 && number > 0) {
            s.k = number;
            printf("ok\n");
            continue;
        }
        struct trial *t = NULL;
        if (scanf("%15s", word) != 1)
            return;
        for (size_t i = 0; i < ARRAY_LEN(kind_names); i++)
            if (strcmp(word, kind_names[i]) == 0)
                t = &s.trial[i];
        if (!t || (run && scanf("%lld %511s", &number, path) != 2))
            return;
        if (run) {
            serve_run(&s, t, number, path);
        } else {
            trial_close(t);
            *t = (struct trial){.kind = t->kind, .v = &s.v, .queries = &s.queries};
            const double cpu = process_ms(), took = trial_build(t);
            printf("%.3f %.3f %zu\n", took, (process_ms() - cpu) / 1e3, t->file.map.n);
        }
    }
}

/* ---- a whole index */

struct filling {
    struct store *s;
    struct matrix vectors;
    int64_t rows, done;
    struct str text;
};

static void put_document(struct filling *f, const char *path)
{
    enum { PIECE = 1000, PIECES_MAX = 4096 };
    struct err e = {0};
    size_t n = (f->text.n + PIECE - 1) / PIECE;
    if (n > PIECES_MAX)
        n = PIECES_MAX;
    if ((int64_t)n > f->rows - f->done)
        n = (size_t)(f->rows - f->done);
    struct store_doc d = {.kind = KIND_TEXT, .state = DOC_INDEXED, .path = (char *)(uintptr_t)path};
    struct store_chunk *c = xcalloc(n + 1, sizeof *c);
    const uint16_t **vec = xcalloc(n + 1, sizeof *vec);
    uint16_t *half = xcalloc(n + 1, (size_t)f->vectors.dim * sizeof *half);
    for (size_t i = 0; i < n; i++) {
        const int64_t end = (int64_t)((i + 1) * PIECE);
        const int64_t key = f->done + (int64_t)i;
        c[i] = (struct store_chunk){.ord = (int)i,
                                    .start = (int64_t)(i * PIECE),
                                    .end = end < (int64_t)f->text.n ? end : (int64_t)f->text.n,
                                    .n_tokens = 200,
                                    .embed_hash = hash_bytes(&key, sizeof key)};
        kern.f32_to_f16(half + i * (size_t)f->vectors.dim,
                        f->vectors.x + key % f->vectors.n * f->vectors.dim, (size_t)f->vectors.dim);
        vec[i] = half + i * (size_t)f->vectors.dim;
    }
    d.content = hash_bytes(f->text.p, f->text.n);
    if (n && store_put(f->s, &d, str_view(&f->text), c, n, vec, f->vectors.dim, &e))
        die(&e);
    f->done += (int64_t)n;
    free(c);
    free(vec);
    free(half);
}

static void fill_from(struct filling *f, const char *dir)
{
    char *roots[] = {(char *)(uintptr_t)dir, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    for (FTSENT *ent; fts && f->done < f->rows && (ent = fts_read(fts));) {
        struct err e = {0};
        str_clear(&f->text);
        if (ent->fts_info == FTS_F && file_read(ent->fts_path, 1 << 26, &f->text, &e) == 0 &&
            utf8_valid(str_view(&f->text)))
            put_document(f, ent->fts_path + strlen(dir) + 1);
    }
    if (fts)
        fts_close(fts);
}

static void fill_with_words(struct filling *f)
{
    for (int i = 0; f->done < f->rows; i++) {
        char path[32];
        snprintf(path, sizeof path, "made/%d.txt", i);
        str_clear(&f->text);
        while (f->text.n < 20000)
            str_printf(&f->text, "word%d ", (int)(fabsf(noise() * noise() * noise()) * 20000));
        put_document(f, path);
    }
}

/* The question's vector is kept beside the index: a stored one, turned a little. */
static void write_query(const char *dir, const struct matrix *m)
{
    struct matrix q = {xmalloc((size_t)m->dim * sizeof *q.x), 1, m->dim};
    struct err e = {0};
    struct outfile f;
    char *path = path_join(dir, "question.f32");
    for (int d = 0; d < m->dim; d++)
        q.x[d] = m->x[m->n / 2 * m->dim + d] + 0.6f / sqrtf((float)m->dim) * noise();
    normalise(q.x, m->dim);
    if (outfile_open(&f, path, &e))
        die(&e);
    outfile_write(&f, q.x, (size_t)m->dim * sizeof *q.x);
    if (outfile_commit(&f, &e))
        die(&e);
    free(path);
    free(q.x);
}

struct answer_times {
    double store, open, words, vectors;
};

static struct answer_times ask(const char *dir)
{
    enum { K = 200 };
    struct err e = {0};
    struct store *s;
    struct snapshot *shot;
    struct hit hit[K];
    struct str x = {0};
    struct answer_times t;
    char *path = path_join(dir, "question.f32");
    if (file_read(path, 1 << 20, &x, &e))
        die(&e);
    const int dim = (int)(x.n / sizeof(float));
    const double a = cpu_ms();
    if (store_open(dir, STORE_READ, NULL, &s, &e))
        die(&e);
    const double b = cpu_ms();
    if (snapshot_open(s, print, dim, &shot, &e))
        die(&e);
    const double c = cpu_ms();
    struct keyword_query *q = keyword_parse(span_of(question));
    const int64_t n_words = snapshot_keyword(shot, q, K, NULL, hit);
    const double d = cpu_ms();
    const int64_t n_near =
        snapshot_nearest(shot, (const float *)(const void *)x.p, K, NULL, false, hit);
    t = (struct answer_times){b - a, c - b, d - c, cpu_ms() - d};
    if (n_words == 0 || n_near == 0)
        fprintf(stderr, "bench_search: %lld and %lld hits\n", (long long)n_words,
                (long long)n_near);
    keyword_query_free(q);
    snapshot_close(shot);
    store_close(s);
    str_release(&x);
    free(path);
    return t;
}

/* Passages up to `rows`, then the caches, in an open store. */
static void fill(struct filling *f, const char *fingerprint, const char *text, const char *ann)
{
    struct err e = {0};
    double t = clock_ms();
    if (store_begin(f->s, &e))
        die(&e);
    if (text)
        fill_from(f, text);
    fill_with_words(f);
    if (store_commit(f->s, &e))
        die(&e);
    printf("%lld passages stored in %.1f s\n", (long long)f->done, (clock_ms() - t) / 1000);
    t = clock_ms();
    if (snapshot_build(f->s, fingerprint, f->vectors.dim, ann, true, NULL, &e))
        die(&e);
    printf("caches (%s) built in %.1f s\n", ann, (clock_ms() - t) / 1000);
}

static void bench_grow(const char *dir, int64_t rows, const char *docs, const char *text,
                       const char *ann)
{
    struct err e = {0};
    struct filling f = {.rows = rows};
    char *dim = NULL, *fingerprint = NULL;
    struct store_counts now;
    if (store_open(dir, STORE_WRITE, NULL, &f.s, &e) || store_meta_get(f.s, "dim", &dim, &e) ||
        store_meta_get(f.s, "fingerprint", &fingerprint, &e) || store_counts(f.s, &now, &e))
        die(&e);
    f.vectors = docs ? load_npy(docs) : make_clusters(rows, dim ? atoi(dim) : DIM_DEFAULT);
    if (!dim || !fingerprint || atoi(dim) != f.vectors.dim) {
        err_set(&e, "'%s' has vectors of %s numbers", dir, dim ? dim : "no");
        die(&e);
    }
    grow(&f.vectors, rows);
    f.done = now.chunks;
    fill(&f, fingerprint, text, ann);
    store_close(f.s);
    free(f.vectors.x);
    free(dim);
    free(fingerprint);
    str_release(&f.text);
}

static void bench_index(const char *dir, int64_t rows, const char *docs, const char *text,
                        const char *ann)
{
    struct err e = {0};
    struct filling f = {.rows = rows};
    f.vectors = docs ? load_npy(docs) : make_clusters(rows, DIM_DEFAULT);
    grow(&f.vectors, rows);
    if (store_open(dir, STORE_CREATE, NULL, &f.s, &e))
        die(&e);
    fill(&f, print, text, ann);
    write_query(dir, &f.vectors);
    store_close(f.s);
    free(f.vectors.x);
    str_release(&f.text);
}

static void bench_cold(const char *dir, int times)
{
    double *wall = xcalloc((size_t)times, sizeof *wall), *cpu = xcalloc((size_t)times, sizeof *cpu);
    for (int i = 0; i < times; i++) {
        const double begin = clock_ms();
        const pid_t pid = fork();
        if (pid == 0) {
            execl("/proc/self/exe", "bench_search", "once", dir, (char *)NULL);
            _exit(127);
        }
        int status;
        struct rusage u;
        if (pid < 0 || wait4(pid, &status, 0, &u) < 0 || status != 0)
            exit(2);
        wall[i] = clock_ms() - begin;
        cpu[i] = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
                 (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
    }
    print_times("fresh process, wall time", wall, times);
    printf("\n");
    print_times("fresh process, CPU time", cpu, times);
    struct answer_times first = ask(dir), warm = ask(dir);
    printf("\n  store %.2f, caches %.2f, words %.2f, vectors %.2f ms first; "
           "%.2f, %.2f, %.2f, %.2f ms again\n",
           first.store, first.open, first.words, first.vectors, warm.store, warm.open, warm.words,
           warm.vectors);
    free(wall);
    free(cpu);
}

int main(int argc, char **argv)
{
    struct err e = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (kernels_init(&e))
        die(&e);
    const char *mode = argc > 1 ? argv[1] : "vectors";
    const int64_t rows = strtoll(option(argc, argv, "--rows", "20000"), NULL, 10);
    const char *docs = option(argc, argv, "--docs", NULL);
    if (strcmp(mode, "vectors") == 0)
        bench_vectors(rows, docs, option(argc, argv, "--queries", NULL));
    else if (strcmp(mode, "serve") == 0 && docs)
        bench_serve(strtoll(option(argc, argv, "--rows", "0"), NULL, 10), docs,
                    option(argc, argv, "--queries", NULL));
    else if (strcmp(mode, "index") == 0 && argc > 2)
        bench_index(argv[2], rows, docs, option(argc, argv, "--text", NULL),
                    option(argc, argv, "--ann", "auto"));
    else if (strcmp(mode, "grow") == 0 && argc > 2)
        bench_grow(argv[2], rows, docs, option(argc, argv, "--text", NULL),
                   option(argc, argv, "--ann", "auto"));
    else if (strcmp(mode, "cold") == 0 && argc > 2)
        bench_cold(argv[2], atoi(option(argc, argv, "--times", "50")));
    else if (strcmp(mode, "once") == 0 && argc > 2)
        ask(argv[2]);
    else
        return fprintf(stderr, "usage: see the head of tests/bench/bench_search.c\n"), 2;
    return 0;
}
