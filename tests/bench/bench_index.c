/* bench_index.c - what an index run does with its time.
 *
 *     bench_index MODEL DIR... [--precision P] [--threads N] [--seconds LIMIT] [--json FILE]
 *
 * Indexes the folders anew, each into a store of its own under a temporary folder, and prints how
 * much of the wall time of all threads the encoder's arithmetic (tape_forward) filled, and what the
 * other steps took. The functions that are timed are wrapped by the linker (--wrap, see
 * CMakeLists.txt): what is measured is the product as it is.
 *
 * Two shares, for two questions: "of wall" is arithmetic / (wall x threads), which a busy machine
 * lowers; "of cpu" is arithmetic / processor time of this process and the extraction workers,
 * which it does not: what is missing there is other work, what is missing only in the first is
 * waiting. Steps inside one another are counted in both.
 */
#include "encoder/encoder.h"
#include "encoder/tape/tape.h"
#include "index/chunk.h"
#include "index/extract/extract.h"
#include "index/search.h"
#include "index/snapshot.h"
#include "index/store/store.h"
#include "index/update.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- the clocks of steps ---- */

enum step { ARITHMETIC, EXTRACT, CHUNK, STORE_PUT, COMMIT, CALIBRATE, CACHES, STEPS };
static const char *const step_name[STEPS] = {"arithmetic", "extraction",  "passages", "store rows",
                                             "commits",    "calibration", "caches"};
static struct {
    atomic_llong wall_us, cpu_us, calls;
} taken[STEPS];
static int n_threads;

static int64_t us_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct stopwatch {
    int64_t wall, cpu;
};
static struct stopwatch now(void)
{
    return (struct stopwatch){us_of(CLOCK_MONOTONIC), us_of(CLOCK_THREAD_CPUTIME_ID)};
}

/* `threads` have been at it. */
static void took(enum step s, struct stopwatch since, int threads)
{
    const struct stopwatch t = now();
    atomic_fetch_add(&taken[s].wall_us, (t.wall - since.wall) * threads);
    atomic_fetch_add(&taken[s].cpu_us, (t.cpu - since.cpu) * threads);
    atomic_fetch_add(&taken[s].calls, 1);
}

#define WRAPPED(step, result, name, params, ...)           \
    result __real_##name params;                           \
    result __wrap_##name params;                           \
    result __wrap_##name params                            \
    {                                                      \
        const struct stopwatch started = now();            \
        const result outcome = __real_##name(__VA_ARGS__); \
        took(step, started, 1);                            \
        return outcome;                                    \
    }

void __real_tape_forward(struct tape *t);
void __wrap_tape_forward(struct tape *t);
void __wrap_tape_forward(struct tape *t)
{
    const struct stopwatch start = now();
    __real_tape_forward(t);
    took(ARITHMETIC, start, t->pool ? n_threads : 1);
}

WRAPPED(EXTRACT, int, extract_fd,
        (struct extractor * x, int fd, const char *name, struct extract_result *r, struct err *e),
        x, fd, name, r, e)
WRAPPED(CHUNK, int, chunk_document,
        (const struct doc *d, const struct embedder *b, const struct chunk_options *o,
         struct chunk_list *l, struct err *e),
        d, b, o, l, e)
WRAPPED(COMMIT, int, store_commit, (struct store * s, struct err *e), s, e)
WRAPPED(CALIBRATE, int, search_calibrate, (struct store * s, struct embedder *b, struct err *e), s,
        b, e)
WRAPPED(CACHES, int, snapshot_build,
        (struct store * s, const char *fingerprint, int dim, const char *ann, bool force,
         const struct progress_sink *sink, struct err *e),
        s, fingerprint, dim, ann, force, sink, e)
WRAPPED(STORE_PUT, int, store_put,
        (struct store * s, struct store_doc *d, struct span text, struct store_chunk *c, size_t n,
         const uint16_t *const *v, int dim, struct err *e),
        s, d, text, c, n, v, dim, e)

/* ---- the runs ---- */

struct total {
    double wall_s, cpu_s, child_cpu_s;
    int64_t documents, passages, tokens;
    long peak_kb, child_peak_kb;
};

static void die(const struct err *e)
{
    fprintf(stderr, "bench_index: %s\n", e->msg);
    exit(2);
}

static double cpu_seconds(const struct rusage *r)
{
    return (double)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) +
           (double)(r->ru_utime.tv_usec + r->ru_stime.tv_usec) * 1e-6;
}

static void index_one(const char *dir, const char *into, double limit, struct embedder *embedder,
                      struct total *t)
{
    struct err err = {0};
    struct store *s;
    struct update_report r;
    const struct update_options o = {.time_limit_s = limit};
    char *root = realpath(dir, NULL);
    if (!root) {
        err_errno(&err, "cannot index '%s'", dir);
        die(&err);
    }
    if (store_open(into, STORE_CREATE, NULL, &s, &err) ||
        update_run(s, root, embedder, &o, NULL, &r, &err))
        die(&err);
    t->documents += r.indexed;
    t->passages += r.chunks;
    t->tokens += r.tokens;
    t->wall_s += r.seconds;
    update_report_release(&r);
    store_close(s);
    free(root);
}

static double share(enum step s, bool wall, const struct total *t)
{
    const double all = wall ? t->wall_s * n_threads : t->cpu_s + t->child_cpu_s;
    const int64_t us = wall ? atomic_load(&taken[s].wall_us) : atomic_load(&taken[s].cpu_us);
    return all > 0 ? (double)us * 1e-6 / all : 0;
}

static void print_table(const struct total *t, const char *precision)
{
    printf(
        "%s: %lld documents, %lld passages, %lld tokens in %.2f s (%d threads), %.0f tokens/s\n"
        "processor time %.2f s, extraction workers %.2f s; peak memory %.0f MB, worker %.0f MB\n",
        precision, (long long)t->documents, (long long)t->passages, (long long)t->tokens, t->wall_s,
        n_threads, (double)t->tokens / t->wall_s, t->cpu_s, t->child_cpu_s,
        (double)t->peak_kb / 1e3, (double)t->child_peak_kb / 1e3);
    printf("%-12s %9s %9s %9s %9s %8s\n", "step", "calls", "wall s", "cpu s", "of wall", "of cpu");
    for (int i = 0; i < STEPS; i++)
        printf("%-12s %9lld %9.2f %9.2f %8.1f%% %7.1f%%\n", step_name[i],
               (long long)atomic_load(&taken[i].calls),
               (double)atomic_load(&taken[i].wall_us) * 1e-6,
               (double)atomic_load(&taken[i].cpu_us) * 1e-6, share(i, true, t) * 100,
               share(i, false, t) * 100);
}

static void write_json(const struct total *t, const char *precision, const char *path)
{
    struct str out = {0};
    struct json_writer w;
    jw_init(&w, &out);
    jw_object(&w);
    jw_ktext(&w, "precision", precision);
    jw_kint(&w, "threads", n_threads);
    jw_kint(&w, "documents", t->documents);
    jw_kint(&w, "passages", t->passages);
    jw_kint(&w, "tokens", t->tokens);
    jw_kfloat(&w, "seconds", t->wall_s, 5);
    jw_kfloat(&w, "cpu_s", t->cpu_s, 5);
    jw_kfloat(&w, "worker_cpu_s", t->child_cpu_s, 5);
    jw_kfloat(&w, "peak_mb", (double)t->peak_kb / 1e3, 4);
    jw_kfloat(&w, "worker_peak_mb", (double)t->child_peak_kb / 1e3, 4);
    jw_key(&w, "steps");
    jw_object(&w);
    for (int i = 0; i < STEPS; i++) {
        jw_key(&w, step_name[i]);
        jw_object(&w);
        jw_kfloat(&w, "of_wall", share(i, true, t), 4);
        jw_kfloat(&w, "of_cpu", share(i, false, t), 4);
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    str_putc(&out, '\n');
    FILE *f = fopen(path, "w");
    if (!f || fputs(out.p, f) < 0 || fclose(f)) {
        fprintf(stderr, "bench_index: cannot write '%s'\n", path);
        exit(2);
    }
    str_release(&out);
}

static void run(const char *model_dir, const char *precision, char **dir, int n, double limit,
                const char *json)
{
    struct err err = {0};
    struct model *m;
    struct embedder *embedder;
    struct total t = {0};
    char scratch[] = "/tmp/bench-index-XXXXXX";
    if (model_open(model_dir, &(struct model_options){.precision = precision}, &m, &err) ||
        encoder_embedder(m, n_threads, &embedder, &err))
        die(&err);
    if (!mkdtemp(scratch)) {
        err_errno(&err, "cannot make a temporary folder");
        die(&err);
    }
    struct rusage before, after, children;
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < n; i++) {
        char *into = xasprintf("%s/%d", scratch, i);
        index_one(dir[i], into, limit, embedder, &t);
        free(into);
    }
    getrusage(RUSAGE_SELF, &after);
    getrusage(RUSAGE_CHILDREN, &children);
    t.cpu_s = cpu_seconds(&after) - cpu_seconds(&before);
    t.child_cpu_s = cpu_seconds(&children);
    t.peak_kb = after.ru_maxrss;
    t.child_peak_kb = children.ru_maxrss;
    print_table(&t, precision);
    if (json)
        write_json(&t, precision, json);
    embedder->close(embedder);
    model_close(m);
    fflush(stdout);
    char *gone[] = {"rm", "-rf", scratch, NULL};
    execvp(gone[0], gone);
}

int main(int argc, char **argv)
{
    const char *precision = "fp32", *json = NULL;
    double limit = 0;
    int n = 0;
    char **dir = xcalloc((size_t)argc, sizeof *dir);
    n_threads = thread_default_count();
    for (int i = 1; i < argc; i++) {
        const bool more = i + 1 < argc;
        if (more && strcmp(argv[i], "--precision") == 0)
            precision = argv[++i];
        else if (more && strcmp(argv[i], "--threads") == 0)
            n_threads = atoi(argv[++i]);
        else if (more && strcmp(argv[i], "--seconds") == 0)
            limit = atof(argv[++i]);
        else if (more && strcmp(argv[i], "--json") == 0)
            json = argv[++i];
        else
            dir[n++] = argv[i];
    }
    if (n < 2 || n_threads < 1) {
        fprintf(stderr, "usage: bench_index MODEL DIR... [--precision P] [--threads N] "
                        "[--seconds LIMIT] [--json FILE]\n");
        return 2;
    }
    run(dir[0], precision, dir + 1, n - 1, limit, json);
    return 1;
}
