/* bench_store.c - the store at 100,000 passages: writing, opening, streaming, fetching, checking.
 *
 * bench_store [N_CHUNKS [FOLDER]]; the index is made anew in FOLDER (default: a new folder in
 * $TMPDIR). Ten passages a document, about 1000 bytes and 384 half floats each; the words of the
 * texts are made up, so they compress better than prose does: the line with the bytes says how
 * well.
 */
#include "index/store/store.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/index/store_sample.h"
#include "tests/unit/index/tempdir.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { DIM = 384, PER_DOC = 10, TEXT = 1000 };

static void need(int rc, const struct err *err)
{
    if (rc < 0) {
        fprintf(stderr, "bench_store: %s\n", err->msg);
        exit(2);
    }
}

/* Processor time of this process: on a busy machine the clock on the wall says little. */
static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct took {
    double wall, cpu;
};

static struct took now(void)
{
    return (struct took){clock_ms(), cpu_ms()};
}

static void add(struct took *sum, struct took began)
{
    sum->wall += clock_ms() - began.wall;
    sum->cpu += cpu_ms() - began.cpu;
}

static void print_rate(const char *what, double n, const char *unit, struct took t)
{
    printf("%-36s %8.0f %s/s (%.0f a second of processor)\n", what, n / t.wall * 1e3, unit,
           n / t.cpu * 1e3);
}

/* Documents are made beforehand in blocks, so that the time is the store's. */
static struct took write_all(const char *dir, int n_docs, bool grouped, double *text_bytes)
{
    struct err err = {0};
    struct store *s;
    need(store_open(dir, STORE_CREATE, NULL, &s, &err), &err);
    enum { BLOCK = 100 };
    struct sample *m = xcalloc(BLOCK, sizeof *m);
    struct took sum = {0};
    for (int at = 0; at < n_docs; at += BLOCK) {
        for (int i = 0; i < BLOCK; i++)
            sample_make(&m[i], at + i, 0, PER_DOC, TEXT, DIM);
        const struct took t = now();
        if (grouped)
            need(store_begin(s, &err), &err);
        for (int i = 0; i < BLOCK; i++) {
            const struct span text = {m[i].text, (size_t)m[i].doc.text_bytes};
            need(store_put(s, &m[i].doc, text, m[i].chunk, PER_DOC, m[i].vector, DIM, &err), &err);
            *text_bytes += (double)text.n;
        }
        if (grouped)
            need(store_commit(s, &err), &err);
        add(&sum, t);
        for (int i = 0; i < BLOCK; i++)
            sample_release(&m[i]);
    }
    const struct took t = now();
    store_close(s);
    add(&sum, t);
    free(m);
    return sum;
}

static int take(void *ctx, const struct store_row *row, struct err *err)
{
    (void)err;
    *(size_t *)ctx += row->text.n + row->vector[0];
    return 0;
}

static struct took stream(struct store *s, bool text)
{
    struct err err = {0};
    size_t sum = 0;
    const struct took t = now();
    struct took took = {0};
    need(store_each_row(s, 0, text, take, &sum, &err), &err);
    add(&took, t);
    return took;
}

/* What a query does for its ten results; the median of many. */
static int by_value(const void *a, const void *b)
{
    const double d = *(const double *)a - *(const double *)b;
    return d < 0 ? -1 : d > 0;
}

static double fetch_ten(struct store *s, int n_chunks)
{
    enum { RUNS = 301 };
    static double ms[RUNS];
    struct err err = {0};
    unsigned seed = 1;
    for (int r = 0; r < RUNS; r++) {
        const double t = clock_ms();
        for (int k = 0; k < 10; k++) {
            seed = seed * 1664525u + 1013904223u;
            struct store_chunk c;
            struct store_doc d;
            struct str text = {0};
            need(store_chunk(s, 1 + (int64_t)(seed >> 8) % n_chunks, &c, &err), &err);
            need(store_doc_by_id(s, c.doc_id, &d, &err), &err);
            need(store_text(s, c.doc_id, &text, &err), &err);
            store_chunk_release(&c);
            store_doc_release(&d);
            str_release(&text);
        }
        ms[r] = clock_ms() - t;
    }
    qsort(ms, RUNS, sizeof *ms, by_value);
    return ms[RUNS / 2];
}

static double open_median(const char *dir, bool with_counts)
{
    enum { RUNS = 51 };
    double ms[RUNS];
    struct err err = {0};
    for (int r = 0; r < RUNS; r++) {
        struct store *s;
        struct store_counts c;
        const double t = clock_ms();
        need(store_open(dir, STORE_READ, NULL, &s, &err), &err);
        if (with_counts)
            need(store_counts(s, &c, &err), &err);
        ms[r] = clock_ms() - t;
        store_close(s);
    }
    qsort(ms, RUNS, sizeof *ms, by_value);
    return ms[RUNS / 2];
}

static void ignore(void *ctx, const struct store_problem *p)
{
    ++*(int *)ctx;
    fprintf(stderr, "bench_store: %s %s: %s\n", p->part, p->where, p->what);
}

int main(int argc, char **argv)
{
    const int n_chunks = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 100000;
    const int n_docs = n_chunks / PER_DOC;
    char *dir = argc > 2 ? xstrdup(argv[2]) : tempdir_new();
    char *index = path_join(dir, "index");
    struct err err = {0};
    if (file_exists(index))
        need(dir_remove_tree(index, &err), &err);
    double text_bytes = 0;
    struct took t = write_all(index, n_docs, false, &text_bytes);
    print_rate("put, one transaction a document", n_chunks, "chunks", t);
    char *file = path_join(index, "index.db");
    struct stat st;
    need(stat(file, &st), &err);
    printf("on disk                              %8.0f bytes/chunk (text %.0f, vector %d)\n",
           (double)st.st_size / n_chunks, text_bytes / n_chunks, DIM * 2);
    printf("open for reading                     %8.3f ms, with counts %.3f ms\n",
           open_median(index, false), open_median(index, true));
    struct store *s;
    need(store_open(index, STORE_READ, NULL, &s, &err), &err);
    for (int run = 0; run < 2; run++) {
        print_rate(run ? "each row with text, again" : "each row with text", n_chunks, "rows",
                   stream(s, true));
        print_rate(run ? "each row without, again" : "each row without", n_chunks, "rows",
                   stream(s, false));
    }
    printf("ten results: chunk, doc, text        %8.3f ms\n", fetch_ten(s, n_chunks));
    int bad = 0;
    t = (struct took){0};
    const struct took began = now();
    need(store_verify(s, ignore, &bad, &err), &err);
    add(&t, began);
    print_rate("verify", n_chunks, "chunks", t);
    store_close(s);
    need(dir_remove_tree(index, &err), &err);
    text_bytes = 0;
    t = write_all(index, n_docs, true, &text_bytes);
    print_rate("put, 100 documents a transaction", n_chunks, "chunks", t);
    if (argc <= 2)
        tempdir_free(dir);
    free(index);
    free(file);
    return bad != 0;
}
