/* bench_churn.c - recall while an index changes, on vectors of your own.
 *
 *   bench_churn DIR --docs FILE.npy --queries FILE.npy [--ann auto|flat|bits|hnsw] [--steps 6]
 *
 * Makes a store in DIR (which must not have one) of 70 % of the rows, ten to a document, and its
 * caches. Then 30 % of the documents are deleted and as many others put in, in some steps, by the
 * calls that `semsearch index` makes: after each step caches are brought up to date where it would
 * do that. After each: recall@10 of the index against the exact answer over the same rows, as a
 * query that starts then finds it; once more before the caches know of the step ("stale"), as a
 * query finds it that is asked while `index` runs. npy files are float32 [n, dim].
 */
#include "index/snapshot.h"
#include "src/base/clock.h"
#include "src/base/hash.h"
#include "src/kernels/kernels.h"
#include "tests/bench/vectors.h"

enum { ROWS_PER_DOC = 10, K = 10, BYTES = 8 /* of a passage's text */ };
static const char print[] = "bench";

struct churn {
    struct store *s;
    struct matrix docs, queries;
    const char *ann;
    int64_t *id; /* of documents, 0: not in the store */
    int64_t n;   /* documents that the rows make */
};

/* Document d: rows 10 d .. 10 d + 9. */
static void put(struct churn *c, int64_t d)
{
    struct err e = {0};
    struct store_chunk chunk[ROWS_PER_DOC];
    const uint16_t *vector[ROWS_PER_DOC];
    const size_t dim = (size_t)c->docs.dim;
    uint16_t *half = xmalloc(ROWS_PER_DOC * dim * sizeof *half);
    char path[32], text[ROWS_PER_DOC * BYTES + 1] = "";
    snprintf(path, sizeof path, "%lld.txt", (long long)d);
    for (int i = 0; i < ROWS_PER_DOC; i++) {
        const int64_t row = d * ROWS_PER_DOC + i;
        snprintf(text + i * BYTES, BYTES + 1, "%-7lld\n", (long long)row % 10000000);
        chunk[i] = (struct store_chunk){.ord = i,
                                        .start = i * BYTES,
                                        .end = (i + 1) * BYTES,
                                        .n_tokens = 1,
                                        .embed_hash = hash_bytes(&row, sizeof row)};
        vector[i] = half + (size_t)i * dim;
        kern.f32_to_f16(half + (size_t)i * dim, c->docs.x + row * c->docs.dim, dim);
    }
    struct store_doc doc = {.kind = KIND_TEXT, .state = DOC_INDEXED, .path = path};
    doc.content = hash_bytes(&d, sizeof d);
    if (store_put(c->s, &doc, span_of(text), chunk, ROWS_PER_DOC, vector, c->docs.dim, &e))
        die(&e);
    c->id[d] = doc.id;
    free(half);
}

/* Puts documents from a list of all in scattered order: of `add` that are not there, and deletes
 * `gone` of those that are. */
static void change(struct churn *c, const int64_t *order, int64_t gone, int64_t add)
{
    struct err e = {0};
    if (store_begin(c->s, &e))
        die(&e);
    for (int64_t i = 0; i < c->n && (gone || add); i++) {
        const int64_t d = order[i];
        if (c->id[d] > 0 && gone) {
            if (store_delete(c->s, c->id[d], &e))
                die(&e);
            c->id[d] = -1; /* it does not come back */
            gone--;
        } else if (c->id[d] == 0 && add) {
            put(c, d);
            add--;
        }
    }
    if (store_commit(c->s, &e))
        die(&e);
}

static void report(struct churn *c, const char *what)
{
    struct err e = {0};
    struct snapshot *shot;
    struct snapshot_state state;
    int64_t found = 0, want = 0;
    if (snapshot_open(c->s, print, c->docs.dim, &shot, &e))
        die(&e);
    snapshot_state(shot, &state);
    for (int64_t q = 0; q < c->queries.n; q++) {
        const float *x = c->queries.x + q * c->queries.dim;
        struct hit hit[K], exact[K];
        const int64_t n = snapshot_nearest(shot, x, K, NULL, false, hit);
        const int64_t m = snapshot_nearest(shot, x, K, NULL, true, exact);
        for (int64_t i = 0; i < n; i++)
            found += hit[i].score >= exact[m - 1].score;
        want += m;
    }
    printf("  %-28s %s, %lld rows in the file: recall@10 %.4f%s%s\n", what, state.kind,
           (long long)state.count, (double)found / (double)want, state.problem[0] ? ", " : "",
           state.problem);
    snapshot_close(shot);
}

static void refresh(struct churn *c, bool force, const char *what)
{
    struct err e = {0};
    char label[64];
    const double begin = clock_ms();
    if (snapshot_build(c->s, print, c->docs.dim, c->ann, force, NULL, &e))
        die(&e);
    snprintf(label, sizeof label, "%s, %.1f s", what, (clock_ms() - begin) / 1000);
    report(c, label);
}

/* Every document once, in an order without any. */
static int64_t *scattered(int64_t n)
{
    int64_t *order = xmalloc((size_t)n * sizeof *order);
    for (int64_t i = 0; i < n; i++) {
        const int64_t j = (int64_t)(hash64(&i, sizeof i) % (uint64_t)(i + 1));
        order[i] = order[j];
        order[j] = i;
    }
    return order;
}

int main(int argc, char **argv)
{
    struct err e = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *docs = option(argc, argv, "--docs", NULL);
    const char *queries = option(argc, argv, "--queries", NULL);
    const int steps = atoi(option(argc, argv, "--steps", "6"));
    if (argc < 2 || !docs || !queries || steps < 1)
        return fprintf(stderr, "usage: see the head of tests/bench/bench_churn.c\n"), 2;
    struct churn c = {.ann = option(argc, argv, "--ann", "auto")};
    if (kernels_init(&e) || store_open(argv[1], STORE_CREATE, NULL, &c.s, &e))
        die(&e);
    c.docs = load_npy(docs);
    c.queries = load_npy(queries);
    c.n = c.docs.n / ROWS_PER_DOC;
    c.id = xcalloc((size_t)c.n, sizeof *c.id);
    int64_t *order = scattered(c.n);
    change(&c, order, 0, c.n * 7 / 10);
    refresh(&c, true, "whole");
    for (int i = 1; i <= steps; i++) {
        char what[48];
        const int64_t n = c.n * 3 / 10 * i / steps - c.n * 3 / 10 * (i - 1) / steps;
        snprintf(what, sizeof what, "step %d of %d", i, steps);
        change(&c, order, n, n);
        report(&c, "  stale");
        refresh(&c, false, what);
    }
    store_close(c.s);
    free(order);
    free(c.id);
    free(c.docs.x);
    free(c.queries.x);
    return 0;
}
