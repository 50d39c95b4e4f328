/* cmd_bench.c - `semsearch bench`: how fast the encoder is here, as a table or JSON.
 *
 * Uniform lengths on one fixed word list, so that runs and machines can be compared; one warm-up,
 * then rounds of about half a second, the median of three. The comparison with other programs is in
 * tests/bench.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/output.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 3, TEXTS = 64 };

struct rate {
    int tokens;                       /* of each text */
    double texts_per_s, tokens_per_s; /* all threads, many texts at once */
    double one_ms;                    /* one text alone, all threads on it */
};

/* A text of about n tokens (special ones counted): common words are one token each in every
 * vocabulary. */
static char *make_text(int n, int seed)
{
    static const char *const words[] = {"the",    "house",   "water",   "after", "people", "small",
                                        "music",  "between", "world",   "story", "system", "river",
                                        "school", "light",   "history", "paper"};
    struct str s = {0};
    for (int i = 0; i < n - 2; i++) {
        str_puts(&s, i ? " " : "");
        str_puts(&s, words[(i * 7 + seed * 3 + i / 5) % (int)ARRAY_LEN(words)]);
    }
    return str_take(&s);
}

static int median3(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Texts per second for batches of n texts: median of the rounds. */
static int measure(struct encoder *e, const struct span *text, size_t n, float *out,
                   double *per_second, struct err *err)
{
    const struct encode_options o = {.normalize = -1};
    double round[ROUNDS];
    for (int r = -1; r < ROUNDS; r++) {
        const double start = clock_ms();
        size_t done = 0;
        do {
            if (stop_requested())
                return err_kind_set(err, ERR_STOPPED, "stopped");
            if (encoder_embed(e, text, n, &o, out, NULL, err))
                return -1;
            done += n;
        } while (clock_ms() - start < (r < 0 ? 100 : 500));
        if (r >= 0)
            round[r] = (double)done * 1e3 / (clock_ms() - start);
    }
    qsort(round, ROUNDS, sizeof round[0], median3);
    *per_second = round[ROUNDS / 2];
    return 0;
}

static int measure_length(struct encoder *e, int tokens, float *out, struct rate *rate,
                          struct err *err)
{
    struct span text[TEXTS];
    for (int i = 0; i < TEXTS; i++)
        text[i] = span_of(make_text(tokens, i));
    double alone = 0;
    int rc = measure(e, text, TEXTS, out, &rate->texts_per_s, err);
    if (rc == 0)
        rc = measure(e, text, 1, out, &alone, err);
    rate->tokens = tokens;
    rate->tokens_per_s = rate->texts_per_s * tokens;
    rate->one_ms = alone > 0 ? 1e3 / alone : 0;
    for (int i = 0; i < TEXTS; i++)
        free((char *)(uintptr_t)text[i].p);
    return rc;
}

static void rates_json(const struct engine *e, const struct rate *r, size_t n, struct str *out)
{
    struct json_writer w;
    json_begin(&w, out);
    jw_ktext(&w, "model", e->from.name);
    jw_ktext(&w, "isa", kern.isa);
    jw_kint(&w, "threads", e->threads);
    jw_key(&w, "encode");
    jw_array(&w);
    for (size_t i = 0; i < n; i++) {
        jw_object(&w);
        jw_ktext(&w, "precision", "fp32");
        jw_kint(&w, "tokens", r[i].tokens);
        jw_kfloat(&w, "texts_per_s", r[i].texts_per_s, 5);
        jw_kfloat(&w, "tokens_per_s", r[i].tokens_per_s, 6);
        jw_kfloat(&w, "one_text_ms", r[i].one_ms, 4);
        jw_end(&w);
    }
    jw_end(&w);
    json_finish(&w);
}

static void rates_text(const struct engine *e, const struct rate *r, size_t n, struct str *out)
{
    str_printf(out, "%s, %s, %d threads\n\n", e->from.name, kern.isa, e->threads);
    str_puts(out, "precision  tokens   texts/s   tokens/s   one text\n");
    for (size_t i = 0; i < n; i++)
        str_printf(out, "fp32       %6d %9.1f %10.0f %7.2f ms\n", r[i].tokens, r[i].texts_per_s,
                   r[i].tokens_per_s, r[i].one_ms);
}

int cmd_bench(const struct args *a, struct err *err)
{
    static const int lengths[] = {16, 128, 256};
    if (a->n_pos)
        return err_kind_set(err, ERR_USAGE, "unexpected argument '%s'", a->pos[0]);
    struct engine e;
    if (engine_open(a, a->model, &e, err))
        return -1;
    struct encoder *encoder = NULL;
    float *out = xcalloc((size_t)TEXTS * (size_t)model_info(e.model)->dim, sizeof *out);
    struct rate rate[ARRAY_LEN(lengths)] = {0};
    int rc = encoder_open(e.model, e.threads, &encoder, err);
    size_t n = 0;
    for (; n < ARRAY_LEN(lengths) && rc == 0 && lengths[n] <= model_info(e.model)->max_tokens; n++)
        rc = measure_length(encoder, lengths[n], out, &rate[n], err);
    if (rc == 0) {
        struct str text = {0};
        if (a->json || a->jsonl)
            rates_json(&e, rate, n, &text);
        else
            rates_text(&e, rate, n, &text);
        out_str(&text);
    }
    encoder_close(encoder);
    free(out);
    engine_close(&e);
    return rc;
}
