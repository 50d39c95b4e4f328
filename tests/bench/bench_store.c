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

enum { DIM = 384, PER_DOC = 10, TEXT = 1000 };

static void need(int rc, const struct err *err)
{
    if (rc < 0) {
        fprintf(stderr, "bench_store: %s\n", err->msg);
        exit(2);
    }
}

/* Documents are made beforehand in blocks, so that the time is the store's. */
static double write_all(const char *dir, int n_docs, bool grouped, double *text_bytes)
{
    struct err err = {0};
    struct store *s;
    need(store_open(dir, STORE_CREATE, NULL, &s, &err), &err);
    enum { BLOCK = 100 };
    struct sample *m = xcalloc(BLOCK, sizeof *m);
    double ms = 0;
    for (int at = 0; at < n_docs; at += BLOCK) {
        for (int i = 0; i < BLOCK; i++)
            sample_make(&m[i], at + i, 0, PER_DOC, TEXT, DIM);
        const double t = clock_ms();
        if (grouped)
            need(store_begin(s, &err), &err);
        for (int i = 0; i < BLOCK; i++) {
            const struct span text = {m[i].text, (size_t)m[i].doc.text_bytes};
            need(store_put(s, &m[i].doc, text, m[i].chunk, PER_DOC, m[i].vector, DIM, &err), &err);
            *text_bytes += (double)text.n;
        }
        if (grouped)
            need(store_commit(s, &err), &err);
        ms += clock_ms() - t;
        for (int i = 0; i < BLOCK; i++)
            sample_release(&m[i]);
    }
    const double t = clock_ms();
    store_close(s);
    free(m);
    return ms + clock_ms() - t;
}

static int take(void *ctx, const struct store_row *row, struct err *err)
{
    (void)err;
    *(size_t *)ctx += row->text.n + row->vector[0];
    return 0;
}

static double stream(struct store *s, bool text)
{
    struct err err = {0};
    size_t sum = 0;
    const double t = clock_ms();
    need(store_each_row(s, 0, text, take, &sum, &err), &err);
    return clock_ms() - t;
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
    double ms = write_all(index, n_docs, false, &text_bytes);
    printf("put, one transaction a document   %8.0f chunks/s\n", n_chunks / ms * 1e3);
    char *file = path_join(index, "index.db");
    struct stat st;
    need(stat(file, &st), &err);
    printf("on disk                           %8.0f bytes/chunk (text %.0f, vector %d)\n",
           (double)st.st_size / n_chunks, text_bytes / n_chunks, DIM * 2);
    printf("open for reading                  %8.3f ms, with counts %.3f ms\n",
           open_median(index, false), open_median(index, true));
    struct store *s;
    need(store_open(index, STORE_READ, NULL, &s, &err), &err);
    for (int run = 0; run < 2; run++)
        printf("each row%s                %8.0f rows/s with text, %.0f without\n",
               run ? ", again    " : "           ", n_chunks / stream(s, true) * 1e3,
               n_chunks / stream(s, false) * 1e3);
    printf("ten results: chunk, doc, text     %8.3f ms\n", fetch_ten(s, n_chunks));
    int bad = 0;
    double t = clock_ms();
    need(store_verify(s, ignore, &bad, &err), &err);
    printf("verify                            %8.0f ms, %d problems\n", clock_ms() - t, bad);
    store_close(s);
    need(dir_remove_tree(index, &err), &err);
    text_bytes = 0;
    ms = write_all(index, n_docs, true, &text_bytes);
    printf("put, 100 documents a transaction  %8.0f chunks/s\n", n_chunks / ms * 1e3);
    if (argc <= 2)
        tempdir_free(dir);
    free(index);
    free(file);
    return bad != 0;
}
