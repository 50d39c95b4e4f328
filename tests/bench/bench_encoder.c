/* bench_encoder.c - texts and tokens a second of the encoder, and the roof beside them.
 *
 *     bench_encoder MODEL [PRECISION] [TEXTS]   a table: 16, 128, 256 tokens and TEXTS
 *     bench_encoder MODEL PRECISION --serve     answers requests on standard input, a line each,
 * words parted by tabs:
 *
 *         ids TOKENS TEXTS THREADS SECONDS      TEXTS texts a call, again and again
 *         file PATH THREADS SECONDS             all texts of a file, each ended by a NUL byte
 *         one TOKENS THREADS SECONDS            one text a call, all threads on it
 *         roof THREADS                          multiply-adds on registers alone
 *
 * Answers are one line of JSON. A persistent server lets tests/bench/peers interleave us with
 * others without paying for process starts. Uniform texts are ids, the very same that the peers
 * get: [CLS], 1000 + k * 7919 mod 20000 (k counting on through all texts), [SEP]. Texts of a file
 * are tokenised here, as part of the time.
 */
#include "cli/roof.h"
#include "encoder/model/model.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_THREADS = 64, MAX_CALLS = 100000 };

struct bench {
    struct model *model;
    enum precision precision;
    struct encoder *encoder[MAX_THREADS + 1]; /* by threads, opened when asked for */
    struct pool *pool[MAX_THREADS + 1];
    double ms[MAX_CALLS]; /* of the calls of one request */
};

struct work {
    int *id, *start; /* uniform */
    struct span *text;
    size_t n;
    long tokens;
    struct str bytes;
};

static void die(const struct err *e)
{
    fprintf(stderr, "bench_encoder: %s\n", e->msg);
    exit(2);
}

static void make_uniform(struct work *w, int len, size_t n)
{
    w->n = n;
    w->id = xcalloc(w->n * (size_t)len, sizeof *w->id);
    w->start = xcalloc(w->n + 1, sizeof *w->start);
    for (size_t s = 0, k = 0; s < w->n; s++) {
        int *id = w->id + s * (size_t)len;
        for (int i = 1; i + 1 < len; i++)
            id[i] = 1000 + (int)(k++ * 7919 % 20000);
        id[0] = 101;
        id[len - 1] = 102;
        w->start[s + 1] = (int)(s + 1) * len;
    }
    w->tokens = (long)w->n * len;
}

static void read_texts(struct work *w, const char *path)
{
    struct err e = {0};
    size_t cap = 0;
    if (file_read(path, (size_t)1 << 30, &w->bytes, &e))
        die(&e);
    for (size_t at = 0; at < w->bytes.n;) {
        const size_t len = strnlen(w->bytes.p + at, w->bytes.n - at);
        VEC_GROW(w->text, w->n, cap);
        w->text[w->n++] = (struct span){w->bytes.p + at, len};
        at += len + 1;
    }
}

static void work_release(struct work *w)
{
    free(w->id);
    free(w->start);
    free(w->text);
    str_release(&w->bytes);
}

static void pass(struct encoder *e, struct work *w, float *out)
{
    struct err err = {0};
    if (w->id) {
        if (encoder_embed_ids(e, w->id, w->start, w->n, 1, out, &err))
            die(&err);
        return;
    }
    int *tokens = xcalloc(w->n + 1, sizeof *tokens);
    const struct encode_options o = {.normalize = 1};
    if (encoder_embed(e, w->text, w->n, &o, out, tokens, &err))
        die(&err);
    w->tokens = 0;
    for (size_t i = 0; i < w->n; i++)
        w->tokens += tokens[i];
    free(tokens);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct figures {
    double texts_s, tokens_s, median_ms;
    size_t calls;
};

/* Calls for so long; the rate is over all of them. */
static struct figures measure(struct bench *b, struct work *w, int threads, double seconds)
{
    struct err err = {0};
    if (!b->encoder[threads] && encoder_open(b->model, threads, &b->encoder[threads], &err))
        die(&err);
    float *out = xcalloc(w->n * (size_t)model_info(b->model)->dim, sizeof *out);
    const double start = clock_ms();
    double end = start;
    size_t n = 0;
    while (n == 0 || (end - start < seconds * 1e3 && n < MAX_CALLS)) {
        const double t = end;
        pass(b->encoder[threads], w, out);
        end = clock_ms();
        b->ms[n++] = end - t;
    }
    free(out);
    const double per_s = (double)n / (end - start) * 1e3;
    qsort(b->ms, n, sizeof *b->ms, by_value);
    return (struct figures){.texts_s = (double)w->n * per_s,
                            .tokens_s = (double)w->tokens * per_s,
                            .median_ms = b->ms[n / 2],
                            .calls = n};
}

static double roof(struct bench *b, int threads)
{
    if (!b->pool[threads])
        b->pool[threads] = pool_new(threads);
    return roof_rate(b->pool[threads], b->precision);
}

/* ---- requests ---- */

static int thread_count(const char *s)
{
    const int n = s ? atoi(s) : 0;
    return n < 1 || n > MAX_THREADS ? 1 : n;
}

static void answer(struct bench *b, char *line)
{
    char *word[6] = {0}, *rest = line;
    int n = 0;
    while (n < 5 && (word[n] = strtok_r(rest, "\t\n", &rest)))
        n++;
    struct work w = {0};
    int threads = 1;
    double seconds = 0;
    if (n == 2 && strcmp(word[0], "roof") == 0) {
        printf("{\"roof\": %.6g}\n", roof(b, thread_count(word[1])));
        return;
    }
    if (n == 5 && strcmp(word[0], "ids") == 0) {
        make_uniform(&w, atoi(word[1]), strtoul(word[2], NULL, 10));
        threads = thread_count(word[3]);
        seconds = atof(word[4]);
    } else if (n == 4 && strcmp(word[0], "file") == 0) {
        read_texts(&w, word[1]);
        threads = thread_count(word[2]);
        seconds = atof(word[3]);
    } else if (n == 4 && strcmp(word[0], "one") == 0) {
        make_uniform(&w, atoi(word[1]), 1);
        threads = thread_count(word[2]);
        seconds = atof(word[3]);
    } else {
        printf("{\"error\": \"what?\"}\n");
        return;
    }
    const struct figures f = measure(b, &w, threads, seconds);
    printf(
        "{\"texts\": %zu, \"texts_s\": %.6g, \"tokens_s\": %.6g, \"ms\": %.6g, \"calls\": %zu}\n",
        w.n, f.texts_s, f.tokens_s, f.median_ms, f.calls);
    work_release(&w);
}

static void serve(struct bench *b)
{
    const struct model_info *m = model_info(b->model);
    printf(
        "{\"ready\": true, \"isa\": \"%s\", \"features\": \"%s\", \"work\": [%.6g, %.6g, %.6g]}\n",
        kern.isa, kern.features, roof_work(m, 16), roof_work(m, 128), roof_work(m, 256));
    fflush(stdout);
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, stdin) > 0) {
        answer(b, line);
        fflush(stdout);
    }
    free(line);
}

/* ---- the table ---- */

static void table(struct bench *b, const char *texts, double opened)
{
    static const int lengths[] = {16, 128, 256};
    const struct model_info *m = model_info(b->model);
    printf("%s, %s, %s (%s); opened in %.1f ms\n", m->name, precision_name(b->precision), kern.isa,
           kern.features, opened);
    printf("%10s %8s %12s %12s %8s\n", "tokens", "threads", "texts/s", "tokens/s", "of roof");
    for (size_t i = 0; i < ARRAY_LEN(lengths) + (texts != NULL); i++)
        for (int threads = 1; threads <= thread_default_count(); threads *= 2) {
            const bool file = i == ARRAY_LEN(lengths);
            struct work w = {0};
            if (file)
                read_texts(&w, texts);
            else
                make_uniform(&w, lengths[i], (size_t)(4096 / lengths[i]));
            const double before = roof(b, threads);
            const struct figures f = measure(b, &w, threads, 1);
            const double top = (before + roof(b, threads)) / 2;
            const int len = file ? (int)(w.tokens / (long)w.n) : lengths[i];
            printf("%10d %8d %12.1f %12.0f %7.1f%%\n", len, threads, f.texts_s, f.tokens_s,
                   top > 0 ? f.texts_s * roof_work(m, len) / top * 100 : 0);
            work_release(&w);
        }
}

int main(int argc, char **argv)
{
    struct err err = {0};
    static struct bench b;
    const bool serving = argc == 4 && strcmp(argv[3], "--serve") == 0;
    if (argc < 2 || argc > 4 || (argc > 2 && !precision_find(argv[2], &b.precision))) {
        fprintf(stderr, "usage: bench_encoder MODEL [fp32|bf16|int8 [TEXTS | --serve]]\n");
        return 2;
    }
    const double t0 = clock_ms();
    const struct model_options options = {.precision = precision_name(b.precision)};
    if (model_open(argv[1], &options, &b.model, &err))
        die(&err);
    if (serving)
        serve(&b);
    else
        table(&b, argc > 3 ? argv[3] : NULL, clock_ms() - t0);
    for (int i = 0; i <= MAX_THREADS; i++) {
        encoder_close(b.encoder[i]);
        pool_free(b.pool[i]);
    }
    model_close(b.model);
    return 0;
}
