/* Tests of index/snapshot: the caches follow the store, survive damage, and searches see base,
 * delta, fresh rows and removals as one. */
#include "index/keyword/keyword.h"
#include "index/snapshot.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/kernels/kernels.h"
#include "tests/unit/index/tempdir.h"
#include "tests/unit/test.h"

#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIM = 24 };
static const char print[] = "0123456789abcdef0123456789abcdef";

struct ground {
    char *dir;
    struct store *s;
};

static int set_up(void **state)
{
    struct ground *g = xcalloc(1, sizeof *g);
    struct err err = {0};
    g->dir = tempdir_new();
    *state = g;
    return kernels_init(&err) || store_open(g->dir, STORE_CREATE, NULL, &g->s, &err);
}

static int tear_down(void **state)
{
    struct ground *g = *state;
    store_close(g->s);
    tempdir_free(g->dir);
    free(g);
    return 0;
}

/* ---- documents: number i of version v has one passage per word of its text */

static void vector_of(int i, int v, int ord, uint16_t *out)
{
    float x[DIM], sum = 0;
    uint64_t r = hash64_seed(&ord, sizeof ord, (uint64_t)i * 1000 + (uint64_t)v);
    for (int d = 0; d < DIM; d++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        x[d] = (float)(int)(r >> 40) / 8388608.0f - 1;
        sum += x[d] * x[d];
    }
    for (int d = 0; d < DIM; d++)
        x[d] /= sqrtf(sum);
    kern.f32_to_f16(out, x, DIM);
}

static void put(struct store *s, int i, int v, int n_chunks)
{
    struct store_doc d = {.kind = KIND_TEXT, .state = DOC_INDEXED, .verbatim = true};
    struct str text = {0};
    struct store_chunk *c = xcalloc((size_t)n_chunks, sizeof *c);
    uint16_t(*f)[DIM] = xcalloc((size_t)n_chunks, sizeof *f);
    const uint16_t **vec = xcalloc((size_t)n_chunks, sizeof *vec);
    d.path = xasprintf("doc%d.txt", i);
    for (int o = 0; o < n_chunks; o++) {
        const size_t start = text.n;
        str_printf(&text, "common words of document number%d version%d passage%d and row%d.", i, v,
                   o, i * 100 + o);
        c[o] = (struct store_chunk){.ord = o,
                                    .start = (int64_t)start,
                                    .end = (int64_t)text.n,
                                    .n_tokens = 5,
                                    .embed_hash = hash_bytes(text.p + start, text.n - start)};
        str_putc(&text, '\n');
        vector_of(i, v, o, f[o]);
        vec[o] = f[o];
    }
    d.content = hash_bytes(text.p, text.n);
    OK(store_put(s, &d, str_view(&text), c, (size_t)n_chunks, vec, DIM, &err));
    str_release(&text);
    free(d.path);
    free(c);
    free(f);
    free(vec);
}

static void delete_doc(struct store *s, int i)
{
    struct store_doc d;
    struct err e = {0};
    char *path = xasprintf("doc%d.txt", i);
    assert_int_equal(store_doc_by_path(s, path, &d, &e), 1);
    OK(store_delete(s, d.id, &err));
    store_doc_release(&d);
    free(path);
}

/* ---- what must hold of every snapshot of the store */

struct truth {
    int64_t *chunk;
    uint16_t *vec;
    size_t n, cap, cap_vec;
};

static int collect(void *ctx, const struct store_row *row, struct err *err)
{
    struct truth *t = ctx;
    (void)err;
    VEC_GROW(t->chunk, t->n, t->cap);
    t->vec = xrealloc(t->vec, (t->n + 1) * DIM * sizeof *t->vec);
    memcpy(t->vec + t->n * DIM, row->vector, DIM * sizeof *t->vec);
    t->chunk[t->n++] = row->chunk_id;
    return 0;
}

/* The live rows are the store's chunks; the nearest to any vector are those of a full scan; each
 * passage is found by its own words. */
static void expect_true(struct store *s, const struct snapshot *shot)
{
    struct truth t = {0};
    OK(store_each_row(s, 0, false, collect, &t, &err));
    size_t n = 0;
    for (int64_t r = 0; r < snapshot_rows(shot); r++)
        if (snapshot_live(shot, r))
            assert_true(n < t.n && snapshot_chunk(shot, r) == t.chunk[n++]);
    assert_int_equal(n, t.n);
    struct hit *hit = xmalloc((t.n + 10) * sizeof *hit);
    for (int q = 0; q < 5 && t.n; q++) {
        float x[DIM], *score = xmalloc(t.n * sizeof *score);
        uint16_t h[DIM];
        vector_of(q, 77, 0, h);
        kern.f16_to_f32(x, h, DIM);
        kern.dot_rows_f16(score, x, t.vec, t.n, DIM);
        const int64_t got =
            snapshot_nearest((struct snapshot *)shot, x, (int64_t)t.n + 10, NULL, true, hit);
        assert_int_equal(got, t.n);
        for (int64_t i = 0; i < got; i++) {
            assert_true(snapshot_live(shot, hit[i].row));
            assert_true(i == 0 || hit[i].score <= hit[i - 1].score);
            for (size_t j = 0; j < t.n; j++)
                if (t.chunk[j] == snapshot_chunk(shot, hit[i].row))
                    assert_true(score[j] == hit[i].score);
        }
        free(score);
    }
    free(hit);
    free(t.chunk);
    free(t.vec);
}

static struct snapshot *open_shot(struct store *s)
{
    struct snapshot *shot = NULL;
    OK(snapshot_open(s, print, DIM, &shot, &err));
    expect_true(s, shot);
    return shot;
}

static void expect_state(struct store *s, int64_t count, bool stale, const char *kind)
{
    struct snapshot *shot = open_shot(s);
    struct snapshot_state st;
    snapshot_state(shot, &st);
    assert_string_equal(st.problem, "");
    assert_int_equal(st.count, count);
    assert_int_equal(st.stale, stale);
    assert_string_equal(st.kind, kind);
    snapshot_close(shot);
}

static void build(struct store *s, const char *ann, bool force)
{
    OK(snapshot_build(s, print, DIM, ann, force, NULL, &err));
}

static void count_problem(void *ctx, const struct store_problem *p)
{
    (void)p;
    ++*(int *)ctx;
}

static int verify(struct store *s)
{
    int n = 0;
    OK(snapshot_verify(s, print, DIM, count_problem, &n, &err));
    return n;
}

static int64_t ask(struct snapshot *shot, const char *text, struct hit *hit, int64_t k)
{
    struct keyword_query *q = keyword_parse(span_of(text));
    const int64_t n = snapshot_keyword(shot, q, k, NULL, hit);
    keyword_query_free(q);
    return n;
}

/* ---- tests */

static void works_without_caches(void **state)
{
    struct ground *g = *state;
    expect_state(g->s, 0, true, "flat"); /* an empty store has a generation too */
    for (int i = 0; i < 20; i++)
        put(g->s, i, 0, 1 + i % 4);
    expect_state(g->s, 0, true, "flat");
    char *cache = path_join(g->dir, "cache");
    assert_false(file_exists(cache));
    free(cache);
}

static void follows_the_store(void **state)
{
    struct ground *g = *state;
    struct hit hit[10];
    for (int i = 0; i < 50; i++)
        put(g->s, i, 0, 2);
    build(g->s, "auto", false);
    expect_state(g->s, 100, false, "flat");
    put(g->s, 3, 1, 3);
    delete_doc(g->s, 7);
    put(g->s, 60, 0, 1);
    expect_state(g->s, 100, true, "flat");
    struct snapshot *shot = open_shot(g->s);
    assert_int_equal(snapshot_rows(shot), 104);
    assert_int_equal(ask(shot, "number7", hit, 10), 0);
    assert_int_equal(ask(shot, "number60", hit, 10), 1);
    assert_int_equal(hit[0].row, 103);
    assert_int_equal(ask(shot, "number3", hit, 10), 3);
    assert_int_equal(ask(shot, "version1 common", hit, 3), 3);
    assert_int_equal(hit[0].row, 100); /* ties by row */
    snapshot_close(shot);
    assert_int_equal(verify(g->s), 0);
    build(g->s, "auto", false);
    expect_state(g->s, 100, false, "flat");
    assert_int_equal(verify(g->s), 0);
}

static void keeps_a_delta_beside_a_large_base(void **state)
{
    struct ground *g = *state;
    OK(store_begin(g->s, &err));
    for (int i = 0; i < 300; i++)
        put(g->s, i, 0, 8);
    OK(store_commit(g->s, &err));
    build(g->s, "auto", false);
    char *base = path_join(g->dir, "cache/base"), *delta = path_join(g->dir, "cache/delta");
    struct stat before, after;
    assert_int_equal(stat(base, &before), 0);
    for (int round = 0; round < 3; round++) {
        put(g->s, 10 + round, 1, 4);
        delete_doc(g->s, 100 + round);
        put(g->s, 1000 + round, 0, 3);
        expect_state(g->s, 2400 + (round ? 7 * round : 0), true, "flat");
        build(g->s, "auto", false);
        expect_state(g->s, 2400 + 7 * (round + 1), false, "flat");
        assert_int_equal(verify(g->s), 0);
    }
    put(g->s, 2000, 0, 2); /* base, delta and fresh rows at once */
    expect_state(g->s, 2421, true, "flat");
    assert_true(file_exists(delta));
    assert_int_equal(stat(base, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    for (int i = 20; i < 60; i++)
        put(g->s, i, 1, 8);
    build(g->s, "auto", false);
    assert_false(file_exists(delta));
    expect_state(g->s, 2375, false, "flat");
    assert_int_equal(verify(g->s), 0);
    free(base);
    free(delta);
}

/* The part of the ten nearest that the default search finds. */
static double recall_now(struct store *s)
{
    enum { QUERIES = 60, K = 10 };
    struct snapshot *shot = open_shot(s);
    int found = 0;
    for (int q = 0; q < QUERIES; q++) {
        float x[DIM];
        uint16_t h[DIM];
        struct hit a[K], b[K];
        vector_of(q * 5, 99, q, h);
        kern.f16_to_f32(x, h, DIM);
        assert_int_equal(snapshot_nearest(shot, x, K, NULL, false, a), K);
        assert_int_equal(snapshot_nearest(shot, x, K, NULL, true, b), K);
        for (int i = 0; i < K; i++) {
            assert_true(snapshot_live(shot, a[i].row));
            found += a[i].score >= b[K - 1].score;
        }
    }
    snapshot_close(shot);
    return (double)found / (QUERIES * K);
}

/* A third of the documents go or change, a tenth at a time: what stands beside the graph is
 * scanned, what left it is masked, and when that is too much the graph is made anew. */
static void keeps_recall_through_churn(void **state)
{
    struct ground *g = *state;
    OK(store_begin(g->s, &err));
    for (int i = 0; i < 400; i++)
        put(g->s, i, 0, 9);
    OK(store_commit(g->s, &err));
    build(g->s, "hnsw", false);
    assert_true(recall_now(g->s) >= 0.98);
    for (int round = 0; round < 3; round++) {
        OK(store_begin(g->s, &err));
        for (int i = round * 40; i < (round + 1) * 40; i++)
            if (i % 2)
                delete_doc(g->s, i);
            else
                put(g->s, i, round + 1, 9);
        OK(store_commit(g->s, &err));
        const double before = recall_now(g->s);
        build(g->s, "hnsw", false);
        const double after = recall_now(g->s);
        if (before < 0.98 || after < 0.98)
            fail_msg("round %d: recall %.4f, %.4f after the build", round, before, after);
        assert_int_equal(verify(g->s), 0);
    }
}

static void builds_and_drops_a_graph(void **state)
{
    struct ground *g = *state;
    OK(store_begin(g->s, &err));
    for (int i = 0; i < 300; i++)
        put(g->s, i, 0, 9);
    OK(store_commit(g->s, &err));
    build(g->s, "hnsw", false);
    expect_state(g->s, 2700, false, "hnsw");
    put(g->s, 5, 1, 2);
    delete_doc(g->s, 6);
    build(g->s, "hnsw", false);
    expect_state(g->s, 2702, false, "hnsw");
    assert_int_equal(verify(g->s), 0);
    struct snapshot *shot = open_shot(g->s);
    float x[DIM];
    uint16_t h[DIM];
    struct hit a[10], b[10];
    for (int q = 0; q < 20; q++) {
        vector_of(q, 3, 0, h);
        kern.f16_to_f32(x, h, DIM);
        assert_int_equal(snapshot_nearest(shot, x, 10, NULL, false, a), 10);
        assert_int_equal(snapshot_nearest(shot, x, 10, NULL, true, b), 10);
        assert_true(a[0].score == b[0].score);
    }
    snapshot_close(shot);
    put(g->s, 7, 1, 2);
    build(g->s, "present", false); /* as a run does that was cut short */
    expect_state(g->s, 2704, false, "hnsw");
    build(g->s, "bits", false);
    expect_state(g->s, 2704, false, "bits");
    assert_int_equal(verify(g->s), 0);
    shot = open_shot(g->s);
    assert_int_equal(snapshot_nearest(shot, x, 10, NULL, false, a), 10);
    assert_true(a[0].score == b[0].score);
    snapshot_close(shot);
    build(g->s, "flat", false);
    expect_state(g->s, 2704, false, "flat");
    build(g->s, "present", false);
    expect_state(g->s, 2704, false, "flat");
    struct err err = {0};
    assert_int_equal(snapshot_build(g->s, print, DIM, "nonsense", false, NULL, &err), -1);
    assert_non_null(strstr(err.msg, "nonsense"));
}

static void filters_reach_every_part(void **state)
{
    struct ground *g = *state;
    for (int i = 0; i < 70; i++)
        put(g->s, i, 0, 1);
    build(g->s, "auto", false);
    for (int i = 0; i < 70; i++)
        put(g->s, 100 + i, 0, 1);
    delete_doc(g->s, 20);
    struct snapshot *shot = open_shot(g->s);
    uint64_t bits[3] = {0};
    for (int r = 1; r < 140; r += 3)
        bit_set(bits, r);
    const struct row_filter f = {bits, bit_count(bits, 140)};
    struct hit hit[200];
    float x[DIM] = {1};
    const int64_t n = snapshot_nearest(shot, x, 200, &f, false, hit);
    assert_int_equal(n, f.n_allowed - (20 % 3 == 1));
    for (int64_t i = 0; i < n; i++)
        assert_true(hit[i].row % 3 == 1);
    struct keyword_query *q = keyword_parse(span_of("common"));
    assert_int_equal(snapshot_keyword(shot, q, 200, &f, hit), n);
    for (int64_t i = 0; i < n; i++)
        assert_true(hit[i].row % 3 == 1);
    int64_t rows[2] = {1, 139};
    float score[2];
    snapshot_keyword_score(shot, q, rows, 2, score);
    assert_true(score[0] > 0 && score[1] > 0);
    assert_true(snapshot_keyword_ceiling(shot, q) > score[0]);
    keyword_query_free(q);
    snapshot_close(shot);
}

static void another_model_is_not_mixed(void **state)
{
    struct ground *g = *state;
    for (int i = 0; i < 10; i++)
        put(g->s, i, 0, 1);
    build(g->s, "auto", false);
    struct snapshot *shot;
    struct snapshot_state st;
    OK(snapshot_open(g->s, "another", DIM, &shot, &err));
    snapshot_state(shot, &st);
    assert_int_equal(st.count, 0);
    assert_true(st.stale);
    snapshot_close(shot);
}

static void works_in_a_read_only_folder(void **state)
{
    struct ground *g = *state;
    for (int i = 0; i < 10; i++)
        put(g->s, i, 0, 2);
    store_close(g->s);
    chmod(g->dir, 0555);
    OK(store_open(g->dir, STORE_READ, NULL, &g->s, &err));
    snapshot_close(open_shot(g->s));
    chmod(g->dir, 0755);
}

static void a_kill_leaves_no_litter(void **state)
{
    struct ground *g = *state;
    put(g->s, 1, 0, 1);
    tempdir_write(g->dir, "cache/base.tmp-AbCdEf", "half a file");
    build(g->s, "auto", false);
    char *litter = path_join(g->dir, "cache/base.tmp-AbCdEf");
    assert_false(file_exists(litter));
    free(litter);
}

static void an_empty_index_is_an_index(void **state)
{
    struct ground *g = *state;
    struct hit hit;
    build(g->s, "auto", true);
    expect_state(g->s, 0, false, "flat");
    build(g->s, "hnsw", true);
    struct snapshot *shot = open_shot(g->s);
    float x[DIM] = {1};
    assert_int_equal(snapshot_nearest(shot, x, 1, NULL, false, &hit), 0);
    assert_int_equal(ask(shot, "anything", &hit, 1), 0);
    assert_false(snapshot_live(shot, 0));
    snapshot_close(shot);
    assert_int_equal(verify(g->s), 0);
}

/* The child owns the store for writing and changes it for ever; returns its pid. */
static pid_t start_writer(struct ground *g, void (*work)(struct store *s, int round))
{
    store_close(g->s);
    g->s = NULL;
    const pid_t pid = fork();
    if (pid)
        return pid;
    struct err err = {0};
    struct store *s;
    if (store_open(g->dir, STORE_WRITE, NULL, &s, &err))
        _exit(1);
    for (int round = 0;; round++)
        work(s, round);
}

static void stop_writer(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status)); /* it did not end by itself */
}

static void change_and_build(struct store *s, int round)
{
    struct err err = {0};
    put(s, round % 40, round, 3);
    if (round % 7 == 0)
        delete_doc(s, round % 40);
    if (snapshot_build(s, print, DIM,
                       round % 3 == 1   ? "hnsw"
                       : round % 3 == 2 ? "bits"
                                        : "flat",
                       round % 3 == 0, NULL, &err))
        _exit(1);
}

static void a_kill_leaves_a_sound_cache(void **state)
{
    struct ground *g = *state;
    for (int i = 0; i < 40; i++)
        put(g->s, i, 1, 4);
    for (int round = 0; round < 12; round++) {
        const pid_t pid = start_writer(g, change_and_build);
        usleep(5000 + 7001 * (unsigned)round);
        stop_writer(pid);
        OK(store_open(g->dir, STORE_WRITE, NULL, &g->s, &err));
        snapshot_close(open_shot(g->s));
        assert_int_equal(verify(g->s), 0);
    }
    build(g->s, "flat", false);
    assert_int_equal(verify(g->s), 0);
}

/* While files are replaced and removals forgotten, a reader sees a state of the store as it was. */
static void readers_beside_a_writer(void **state)
{
    struct ground *g = *state;
    for (int i = 0; i < 40; i++)
        put(g->s, i, 1, 4);
    const pid_t pid = start_writer(g, change_and_build);
    int compared = 0;
    for (int round = 0; round < 60; round++) {
        struct store *s;
        struct snapshot *shot;
        int64_t before, after;
        struct truth t = {0};
        OK(store_open(g->dir, STORE_READ, NULL, &s, &err));
        OK(store_generation(s, &before, &err));
        OK(snapshot_open(s, print, DIM, &shot, &err));
        OK(store_each_row(s, 0, false, collect, &t, &err));
        OK(store_generation(s, &after, &err));
        size_t n = 0;
        for (int64_t r = 0; before == after && r < snapshot_rows(shot); r++)
            if (snapshot_live(shot, r))
                assert_true(n < t.n && t.chunk[n++] == snapshot_chunk(shot, r));
        compared += before == after && n == t.n;
        assert_true(before != after || n == t.n);
        free(t.chunk);
        free(t.vec);
        snapshot_close(shot);
        store_close(s);
    }
    stop_writer(pid);
    assert_true(compared > 0);
    OK(store_open(g->dir, STORE_WRITE, NULL, &g->s, &err));
}

/* Every byte of every file may be wrong: nothing crashes, answers stay in range, verify tells. */
/* Vectors shorter than the dimension that was asked for are not read past their ends. */
static void refuses_another_dimension(void **state)
{
    struct ground *g = *state;
    put(g->s, 1, 0, 3);
    struct snapshot *shot = NULL;
    struct err why = {0};
    assert_int_equal(snapshot_open(g->s, print, 4096, &shot, &why), -1);
    assert_int_equal(why.kind, ERR_INCOMPATIBLE);
    assert_null(shot);
    build(g->s, "flat", false);
    assert_int_equal(verify(g->s), 0);
}

static void survives_damage_to(struct ground *g, const char *name, size_t step)
{
    char *path = path_join(g->dir, name);
    struct str good = {0};
    OK(file_read(path, 1 << 26, &good, &err));
    struct hit hit[40];
    float x[DIM];
    uint16_t h[DIM];
    vector_of(1, 2, 3, h);
    kern.f16_to_f32(x, h, DIM);
    for (size_t at = 0; at < good.n; at += step) {
        char *bad = xmalloc(good.n);
        memcpy(bad, good.p, good.n);
        bad[at] = (char)(bad[at] ^ (at % 3 == 0 ? 0xFF : 1 << at % 8));
        tempdir_write_bytes(g->dir, name, bad, good.n);
        struct snapshot *shot = NULL;
        OK(snapshot_open(g->s, print, DIM, &shot, &err));
        for (int exact = 0; exact < 2; exact++) {
            const int64_t n = snapshot_nearest(shot, x, 40, NULL, exact, hit);
            for (int64_t i = 0; i < n; i++)
                assert_in_range(hit[i].row, 0, snapshot_rows(shot) - 1);
        }
        ask(shot, "common \"document number3\" -passage1 row205", hit, 40);
        snapshot_close(shot);
        if (verify(g->s) == 0)
            fail_msg("%s: a flipped bit in byte %zu of %zu goes unnoticed", name, at, good.n);
        free(bad);
    }
    for (size_t cut = 0; cut < good.n; cut += good.n / 7 + 1) {
        tempdir_write_bytes(g->dir, name, good.p, cut);
        snapshot_close(open_shot(g->s));
    }
    tempdir_write_bytes(g->dir, name, good.p, good.n);
    snapshot_close(open_shot(g->s));
    str_release(&good);
    free(path);
}

static void survives_damage(void **state)
{
    struct ground *g = *state;
    OK(store_begin(g->s, &err));
    for (int i = 0; i < 70; i++)
        put(g->s, i, 0, 30);
    OK(store_commit(g->s, &err));
    build(g->s, "hnsw", false);
    put(g->s, 500, 0, 3);
    build(g->s, "hnsw", false);
    survives_damage_to(g, "cache/base", 4999);
    survives_damage_to(g, "cache/delta", 101);
    survives_damage_to(g, "cache/graph", 3001);
    OK(snapshot_build(g->s, print, DIM, "hnsw", true, NULL, &err));
    assert_int_equal(verify(g->s), 0);
}

/* The last test: a stop request stays. It ends the comparison of rows, and is not damage. */
static void verify_stops_when_asked_to(void **state)
{
    struct ground *g = *state;
    struct err err = {0};
    int n = 0;
    put(g->s, 100, 0, 3);
    build(g->s, "hnsw", true);
    stop_install();
    raise(SIGINT);
    assert_int_equal(snapshot_verify(g->s, print, DIM, count_problem, &n, &err), -1);
    assert_int_equal(err.kind, ERR_STOPPED);
    assert_int_equal(n, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(works_without_caches),
        T(follows_the_store),
        T(keeps_a_delta_beside_a_large_base),
        T(keeps_recall_through_churn),
        T(builds_and_drops_a_graph),
        T(filters_reach_every_part),
        T(another_model_is_not_mixed),
        T(works_in_a_read_only_folder),
        T(a_kill_leaves_no_litter),
        T(an_empty_index_is_an_index),
        T(a_kill_leaves_a_sound_cache),
        T(readers_beside_a_writer),
        T(refuses_another_dimension),
        T(survives_damage),
        T(verify_stops_when_asked_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
