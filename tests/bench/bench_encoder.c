/* bench_encoder.c - texts and tokens a second of the encoder.
 *
 *     bench_encoder [--precision P] MODEL [TEXTS]
 *         the table: 16, 128, 256 tokens and TEXTS, 1 and 2 threads
 *     bench_encoder [--precision P] MODEL CASE THREADS SECONDS
 *         one line of JSON; CASE is a number of tokens or a file
 *
 * A number N means texts of exactly N tokens: [CLS], ids 1000 + k * 7919 mod 20000 (k counting on
 * through all texts), [SEP]; given as ids, so that tests/bench/peers/encoder.py can feed the very
 * same to others. A file holds texts, each ended by a NUL byte, tokenised here as part of the time.
 * Figures are those of the fastest pass; cpu_s is processor time, which a busy machine inflates
 * less.
 */
#include "encoder/model/model.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct work {
    int *id, *start; /* uniform */
    struct span *text;
    size_t n;
    long tokens;
    struct str bytes;
};

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const struct err *e)
{
    fprintf(stderr, "bench_encoder: %s\n", e->msg);
    exit(2);
}

static void make_uniform(struct work *w, int len)
{
    w->n = (size_t)(8192 / len);
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

static void pass(struct encoder *e, struct work *w, float *out)
{
    struct err err = {0};
    if (w->id) {
        if (encoder_embed_ids(e, w->id, w->start, w->n, -1, out, &err))
            die(&err);
        return;
    }
    int *tokens = xcalloc(w->n + 1, sizeof *tokens);
    if (encoder_embed(e, w->text, w->n, NULL, out, tokens, &err))
        die(&err);
    w->tokens = 0;
    for (size_t i = 0; i < w->n; i++)
        w->tokens += tokens[i];
    free(tokens);
}

struct figures {
    double texts_s, tokens_s, cpu_s, peak_mb;
    size_t texts;
};

static struct figures measure(const struct model *m, const char *name, int threads, double seconds)
{
    struct err err = {0};
    struct encoder *e;
    struct work w = {0};
    if (strspn(name, "0123456789") == strlen(name))
        make_uniform(&w, atoi(name));
    else
        read_texts(&w, name);
    if (encoder_open(m, threads, &e, &err))
        die(&err);
    float *out = xcalloc(w.n * (size_t)model_info(m)->dim, sizeof *out);
    double best = 1e30, best_cpu = 1e30;
    const double end = clock_ms() + seconds * 1000;
    for (int i = 0; i < 1 || clock_ms() < end; i++) {
        const double t = clock_ms(), c = cpu_ms();
        pass(e, &w, out);
        const double dt = clock_ms() - t, dc = cpu_ms() - c;
        best = dt < best ? dt : best;
        best_cpu = dc < best_cpu ? dc : best_cpu;
    }
    const struct figures f = {.texts_s = (double)w.n / best * 1e3,
                              .tokens_s = (double)w.tokens / best * 1e3,
                              .cpu_s = best_cpu / 1e3,
                              .peak_mb = (double)encoder_peak_bytes(e) / 1e6,
                              .texts = w.n};
    encoder_close(e);
    free(out);
    free(w.id);
    free(w.start);
    free(w.text);
    str_release(&w.bytes);
    return f;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct model *m;
    struct model_options options = {0};
    if (argc > 2 && strcmp(argv[1], "--precision") == 0) {
        options.precision = argv[2];
        argv += 2;
        argc -= 2;
    }
    if (argc < 2 || argc > 5) {
        fprintf(stderr, "usage: bench_encoder [--precision P] MODEL [TEXTS | CASE THREADS "
                        "SECONDS]\n");
        return 2;
    }
    const double t0 = clock_ms();
    if (model_open(argv[1], &options, &m, &err))
        die(&err);
    const double opened = clock_ms() - t0;
    if (argc == 5) {
        const struct figures f = measure(m, argv[2], atoi(argv[3]), atof(argv[4]));
        printf("{\"texts\": %zu, \"texts_s\": %.2f, \"tokens_s\": %.1f, \"cpu_s\": %.4f}\n",
               f.texts, f.texts_s, f.tokens_s, f.cpu_s);
    } else {
        const char *const cases[] = {"16", "128", "256", argc > 2 ? argv[2] : NULL};
        printf("%s, %s, %s (%s); opened in %.1f ms\n", model_info(m)->name,
               model_info(m)->precision, kern.isa, kern.features, opened);
        printf("%10s %8s %12s %12s %14s\n", "tokens", "threads", "texts/s", "tokens/s",
               "activations");
        for (int i = 0; i < 4 && cases[i]; i++)
            for (int threads = 1; threads <= 2; threads++) {
                const struct figures f = measure(m, cases[i], threads, 2);
                printf("%10s %8d %12.1f %12.0f %11.2f MB\n", i < 3 ? cases[i] : "file", threads,
                       f.texts_s, f.tokens_s, f.peak_mb);
            }
    }
    model_close(m);
    return 0;
}
