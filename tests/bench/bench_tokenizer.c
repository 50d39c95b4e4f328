/* bench_tokenizer.c - loading time and encoding speed of the tokenizer, one thread.
 *
 *     bench_tokenizer MODEL_DIR TEXTS [REPEATS]
 *
 * TEXTS holds one text after the other, each ended by a NUL byte (tests/bench/peers/tokenizer.py
 * writes such a file and times the reference library on it in the same run). Prints one line of
 * JSON; the figures are those of the fastest repeat.
 */
#include "encoder/tokenizer/tokenizer.h"
#include "src/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Processor time, so that a busy machine does not count. */
static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double load_ms(const char *dir, struct tokenizer **out, int repeats, struct err *err)
{
    double best = 1e9;
    *out = NULL;
    for (int i = 0; i < repeats; i++) {
        tokenizer_free(*out);
        *out = NULL;
        const double from = cpu_ms();
        if (tokenizer_open(dir, out, err) != 0)
            return -1;
        const double took = cpu_ms() - from;
        best = took < best ? took : best;
    }
    return best;
}

static double blob_ms(const struct tokenizer *t, int repeats, struct err *err)
{
    struct str blob = {0};
    double best = 1e9;
    tokenizer_save(t, &blob);
    void *copy = aligned_alloc(64, (blob.n + 63) / 64 * 64);
    if (!copy || blob.failed)
        return -1;
    for (size_t i = 0; i < blob.n; i++)
        ((char *)copy)[i] = blob.p[i];
    for (int i = 0; i < repeats; i++) {
        struct tokenizer *again;
        const double from = cpu_ms();
        if (tokenizer_from_blob(copy, blob.n, &again, err) != 0)
            return -1;
        const double took = cpu_ms() - from;
        best = took < best ? took : best;
        tokenizer_free(again);
    }
    free(copy);
    str_release(&blob);
    return best;
}

/* One pass over all texts; returns milliseconds, or -1. */
static double encode_all(const struct tokenizer *t, struct span texts, int64_t *n_tok, int64_t *n,
                         struct err *err)
{
    struct encoding e = {0};
    struct span text;
    *n_tok = *n = 0;
    const double from = cpu_ms();
    while (span_split(&texts, '\0', &text)) {
        if (!texts.p && !text.n)
            break;
        if (tokenizer_encode(t, text, NULL, NULL, &e, err) != 0)
            return -1;
        *n_tok += e.n;
        (*n)++;
    }
    const double took = cpu_ms() - from;
    encoding_release(&e);
    return took;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct tokenizer *t = NULL;
    struct map file = {0};
    int rc = 2;
    if (argc < 3) {
        fprintf(stderr, "usage: bench_tokenizer MODEL_DIR TEXTS [REPEATS]\n");
        return 2;
    }
    const int repeats = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 5;
    double best = 1e18;
    int64_t n_tok = 0, n = 0;
    const double load = load_ms(argv[1], &t, repeats, &err);
    const double blob = load < 0 ? -1 : blob_ms(t, repeats, &err);
    if (load < 0 || blob < 0 || map_open(&file, argv[2], &err) != 0)
        goto out;
    for (int i = 0; i < repeats; i++) {
        const double took =
            encode_all(t, (struct span){(const char *)file.p, file.n}, &n_tok, &n, &err);
        if (took < 0)
            goto out;
        best = took < best ? took : best;
    }
    printf("{\"load_ms\": %.2f, \"load_blob_ms\": %.2f, \"texts\": %lld, \"bytes\": %zu, "
           "\"tokens\": %lld, \"mb_per_s\": %.1f, \"tokens_per_s\": %.0f}\n",
           load, blob, (long long)n, file.n, (long long)n_tok, (double)file.n / best / 1e3,
           (double)n_tok / best * 1e3);
    rc = 0;
out:
    if (rc)
        fprintf(stderr, "bench_tokenizer: %s\n", err.msg);
    map_close(&file);
    tokenizer_free(t);
    return rc;
}
