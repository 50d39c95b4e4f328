/* cmd_bench.c - `semsearch bench`: how fast the encoder and a question are here.
 *
 * Texts of one fixed word list in three lengths, in every precision that this CPU has, on one
 * thread and on all. Each sample is paired with the roof measured just before and after it
 * (roof.h), and figures are medians over the rounds: of the rates, and of the ratios to the roof.
 * Comparisons with other programs are in tests/bench.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/output.h"
#include "cli/place.h"
#include "cli/roof.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 5, TEXTS = 64, CALLS = 4096, CALL_TOKENS = 2048, QUERY_TOKENS = 16 };
static const int lengths[] = {16, 128, 256};
static const double default_seconds = 20; /* of measuring, all samples together */

struct rate {
    enum precision precision;
    int threads, tokens; /* tokens: of each text */
    double texts_per_s, tokens_per_s;
    double roof, of_roof; /* operations a second; 0: no probe */
};
struct latency {
    enum precision precision;
    int tokens; /* 0: questions to an index */
    double median_ms, p95_ms;
};

struct bench {
    const struct args *args;
    struct rate rate[PRECISIONS * 2 * ARRAY_LEN(lengths)];
    size_t n_rates;
    struct latency one[PRECISIONS]; /* one short text */
    size_t n_one;
    bool here[PRECISIONS]; /* this CPU has its instructions */
    bool all;              /* of them are to be measured */
    bool has_index;
    struct latency index;
    int64_t passages;
    char *model;
    int threads;
    double sample_ms;
    double ms[CALLS];
};

static char *make_text(int n_words, int seed)
{
    static const char *const words[] = {"the",    "house",   "water",   "after", "people", "small",
                                        "music",  "between", "world",   "story", "system", "river",
                                        "school", "light",   "history", "paper"};
    struct str s = {0};
    for (int i = 0; i < n_words; i++) {
        str_puts(&s, i ? " " : "");
        str_puts(&s, words[(i * 7 + seed * 3 + i / 5) % (int)ARRAY_LEN(words)]);
    }
    return str_take(&s);
}

/* A text of n tokens, special ones counted: common words are one token each in most vocabularies;
 * where they are several, the text is a little shorter. */
static char *fit_text(const struct tokenizer *t, int n, int seed)
{
    struct encoding e = {0};
    int n_words = n - 2;
    char *text = make_text(n_words, seed);
    while (n_words > 1 && tokenizer_encode(t, span_of(text), NULL, NULL, &e, NULL) == 0 &&
           e.n > n) {
        n_words = n_words * n / e.n;
        free(text);
        text = make_text(n_words, seed);
    }
    encoding_release(&e);
    return text;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_value);
    return n ? x[n / 2] : 0;
}

/* ---- texts a second ---- */

/* What is encoded in one call, and where it goes. */
struct texts {
    struct span text[TEXTS];
    int tokens[TEXTS];
    size_t n;
    float *out;
};

static void texts_make(struct texts *t, const struct model *m, int tokens, size_t n)
{
    t->n = n;
    t->out = xcalloc(n * (size_t)model_info(m)->dim, sizeof *t->out);
    for (size_t i = 0; i < n; i++)
        t->text[i] = span_of(fit_text(model_tokenizer(m), tokens, (int)i));
}

static void texts_release(struct texts *t)
{
    for (size_t i = 0; i < t->n; i++)
        free((char *)(uintptr_t)t->text[i].p);
    free(t->out);
}

static int encode(struct encoder *e, struct texts *t, struct err *err)
{
    const struct encode_options o = {.normalize = -1};
    if (stop_requested())
        return err_kind_set(err, ERR_STOPPED, "stopped");
    return encoder_embed(e, t->text, t->n, &o, t->out, t->tokens, err);
}

/* Calls for so long, at least one; *rate: texts a second. */
static int encode_for(struct encoder *e, struct texts *t, double ms, double *rate, struct err *err)
{
    const double start = clock_ms();
    double end = start;
    size_t done = 0;
    do {
        if (encode(e, t, err))
            return -1;
        done += t->n;
        end = clock_ms();
    } while (end - start < ms);
    *rate = (double)done * 1e3 / (end - start);
    return 0;
}

static int measure_rate(struct bench *b, struct encoder *e, struct pool *pool,
                        const struct model *m, struct rate *r, struct err *err)
{
    struct texts t = {0};
    size_t n = (size_t)(CALL_TOKENS * r->threads / r->tokens);
    n = n < 2 ? 2 : n > TEXTS ? TEXTS : n;
    texts_make(&t, m, r->tokens, n);
    double rate[ROUNDS], roof[ROUNDS], share[ROUNDS], unused;
    int rc = encode_for(e, &t, 0, &unused, err); /* memory, caches */
    const int tokens = t.tokens[0];
    const double work = roof_work(model_info(m), tokens);
    for (int i = 0; i < ROUNDS && rc == 0; i++) {
        roof[i] = roof_rate(pool, r->precision);
        rc = encode_for(e, &t, b->sample_ms, &rate[i], err);
        roof[i] = (roof[i] + roof_rate(pool, r->precision)) / 2;
        share[i] = roof[i] > 0 ? rate[i] * work / roof[i] : 0;
    }
    if (rc == 0) {
        r->texts_per_s = median(rate, ROUNDS);
        r->tokens_per_s = r->texts_per_s * tokens;
        r->roof = median(roof, ROUNDS);
        r->of_roof = median(share, ROUNDS);
    }
    texts_release(&t);
    return rc;
}

/* ---- one text, one question ---- */

static void summarise(struct bench *b, size_t n, struct latency *out)
{
    out->median_ms = median(b->ms, n);
    out->p95_ms = n ? b->ms[n * 95 / 100] : 0; /* sorted now */
}

/* A short text by itself, again and again: the model is warm, all threads work on it. */
static int measure_one(struct bench *b, struct encoder *e, const struct model *m,
                       struct latency *out, struct err *err)
{
    struct texts t = {0};
    size_t n = 0;
    double unused;
    texts_make(&t, m, out->tokens, 1);
    int rc = encode_for(e, &t, b->sample_ms / 2, &unused, err);
    const double end = clock_ms() + b->sample_ms * 2;
    while (rc == 0 && n < CALLS && (n == 0 || clock_ms() < end)) {
        const double start = clock_ms();
        rc = encode(e, &t, err);
        b->ms[n++] = clock_ms() - start;
    }
    summarise(b, n, out);
    texts_release(&t);
    return rc;
}

static int ask_all(struct bench *b, struct searcher *s, struct err *err)
{
    static const char *const question[] = {"how do I undo the last change",
                                           "where is the configuration kept",
                                           "what happens when the connection fails",
                                           "list of supported formats",
                                           "who may read these files",
                                           "cost of a request",
                                           "installing on another machine",
                                           "meaning of the error codes"};
    const struct search_options o = {
        .k = 10, .min_score = -1, .per_file = 3, .since_ns = INT64_MIN, .until_ns = INT64_MAX};
    const double end = clock_ms() + b->sample_ms * 4;
    size_t n = 0;
    for (size_t i = 0; n < CALLS && (i < 2 * ARRAY_LEN(question) || clock_ms() < end); i++) {
        struct search_answer answer = {0};
        const double start = clock_ms();
        if (stop_requested())
            return err_kind_set(err, ERR_STOPPED, "stopped");
        if (search_text(s, span_of(question[i % ARRAY_LEN(question)]), &o, &answer, err))
            return -1;
        if (i >= ARRAY_LEN(question)) /* the first time round warms up */
            b->ms[n++] = clock_ms() - start;
        search_answer_release(&answer);
    }
    summarise(b, n, &b->index);
    return 0;
}

/* Questions to the current index, from text to ranked passages with snippets. */
static int measure_index(struct bench *b, struct err *err)
{
    struct place place = {0};
    struct store *store = NULL;
    struct engine e = {0};
    struct searcher *s = NULL;
    struct store_counts counts = {0};
    int rc = place_open(b->args, STORE_READ, NULL, &place, &store, err);
    if (rc)
        return err->kind == ERR_NO_INDEX && !b->args->index ? 0 : -1;
    rc = store_counts(store, &counts, err);
    if (rc == 0)
        rc = engine_for_questions(b->args, store, &e, err);
    if (rc == 0) {
        engine_adapt(&e, place.index_dir);
        precision_find(model_info(e.model)->precision, &b->index.precision);
        rc = searcher_open(store, e.embedder, &s, err);
    }
    if (rc == 0)
        rc = ask_all(b, s, err);
    b->has_index = rc == 0;
    b->passages = counts.chunks;
    searcher_close(s);
    engine_close(&e);
    store_close(store);
    place_release(&place);
    return rc;
}

/* ---- all precisions ---- */

static int measure_threads(struct bench *b, const struct model *model, enum precision p,
                           int threads, struct err *err)
{
    struct encoder *e = NULL;
    const struct model_info *m = model_info(model);
    struct pool *pool = pool_new(threads);
    int rc = encoder_open(model, threads, &e, err);
    for (size_t i = 0; i < ARRAY_LEN(lengths) && rc == 0 && lengths[i] <= m->max_tokens; i++) {
        struct rate *r = &b->rate[b->n_rates++];
        *r = (struct rate){.precision = p, .threads = threads, .tokens = lengths[i]};
        rc = measure_rate(b, e, pool, model, r, err);
    }
    if (rc == 0 && threads == b->threads) {
        struct latency *one = &b->one[b->n_one++];
        const int tokens = m->max_tokens < QUERY_TOKENS ? m->max_tokens : QUERY_TOKENS;
        *one = (struct latency){.precision = p, .tokens = tokens};
        rc = measure_one(b, e, model, one, err);
    }
    encoder_close(e);
    pool_free(pool);
    return rc;
}

/* Which precisions this CPU has, by the first opened model. */
static int look_around(struct bench *b, const struct engine *e, struct err *err)
{
    struct model_fitness f[MODEL_FITNESSES];
    b->model = xstrdup(e->from.name);
    b->threads = e->threads;
    b->here[PRECISION_FP32] = true;
    if (model_check(e->from.path, NULL, false, e->threads, f, err))
        return -1;
    for (int i = 0; i < MODEL_FITNESSES; i++) {
        enum precision p;
        if (precision_find(f[i].precision, &p))
            b->here[p] = f[i].here;
    }
    return 0;
}

static int measure_precision(struct bench *b, enum precision p, struct err *err)
{
    struct args a = *b->args;
    struct engine e;
    a.precision = precision_name(p);
    if (engine_open(&a, a.model, &e, err))
        return -1;
    int rc = b->model ? 0 : look_around(b, &e, err);
    if (rc == 0 && e.threads > 1)
        rc = measure_threads(b, e.model, p, 1, err);
    if (rc == 0)
        rc = measure_threads(b, e.model, p, e.threads, err);
    engine_close(&e);
    return rc;
}

static int measure_all(struct bench *b, struct err *err)
{
    enum precision only = PRECISION_FP32;
    const char *name = b->args->precision;
    b->all = !name || !precision_find(name, &only);
    const double seconds = b->args->time_limit > 0 ? b->args->time_limit : default_seconds;
    const double samples = (b->all ? PRECISIONS : 1) * (2.0 * ARRAY_LEN(lengths) * ROUNDS + 8);
    b->sample_ms = seconds * 1e3 / samples;
    if (measure_precision(b, only, err))
        return -1;
    for (int p = PRECISION_FP32 + 1; b->all && p < PRECISIONS; p++)
        if (b->here[p] && measure_precision(b, (enum precision)p, err))
            return -1;
    struct err why = {0};
    if (measure_index(b, &why) == 0)
        return 0;
    if (b->args->index || why.kind == ERR_STOPPED) {
        *err = why;
        return -1;
    }
    note("no question was asked of the index here: %s", why.msg);
    return 0;
}

/* ---- output ---- */

static void latency_json(struct json_writer *w, const struct latency *l)
{
    jw_ktext(w, "precision", precision_name(l->precision));
    jw_kfloat(w, "median_ms", l->median_ms, 4);
    jw_kfloat(w, "p95_ms", l->p95_ms, 4);
}

static void rate_json(struct json_writer *w, const struct rate *r)
{
    jw_object(w);
    jw_ktext(w, "precision", precision_name(r->precision));
    jw_kint(w, "tokens", r->tokens);
    jw_kint(w, "threads", r->threads);
    jw_kfloat(w, "texts_per_s", r->texts_per_s, 5);
    jw_kfloat(w, "tokens_per_s", r->tokens_per_s, 6);
    jw_kfloat(w, "peak_gops", r->roof * 1e-9, 5);
    jw_kfloat(w, "of_peak", r->of_roof, 4);
    jw_end(w);
}

static void bench_json(const struct bench *b, struct str *out)
{
    struct json_writer w;
    json_begin(&w, out);
    jw_ktext(&w, "model", b->model);
    jw_ktext(&w, "isa", kern.isa);
    jw_ktext(&w, "features", kern.features);
    jw_kint(&w, "threads", b->threads);
    jw_key(&w, "encode");
    jw_array(&w);
    for (size_t i = 0; i < b->n_rates; i++)
        rate_json(&w, &b->rate[i]);
    jw_end(&w);
    jw_key(&w, "one_text");
    jw_array(&w);
    for (size_t i = 0; i < b->n_one; i++) {
        jw_object(&w);
        jw_kint(&w, "tokens", b->one[i].tokens);
        latency_json(&w, &b->one[i]);
        jw_end(&w);
    }
    jw_end(&w);
    jw_key(&w, "query");
    if (b->has_index) {
        jw_object(&w);
        jw_kint(&w, "passages", b->passages);
        latency_json(&w, &b->index);
        jw_end(&w);
    } else {
        jw_null(&w);
    }
    jw_key(&w, "missing");
    jw_array(&w);
    for (int p = 0; p < PRECISIONS && b->all; p++)
        if (!b->here[p])
            jw_text(&w, precision_name((enum precision)p));
    jw_end(&w);
    json_finish(&w);
}

static void bench_text(const struct bench *b, struct str *out)
{
    str_printf(out, "%s, %s (%s), %d threads\n\n", b->model, kern.isa, kern.features, b->threads);
    str_puts(out, "precision  tokens  threads    texts/s   tokens/s  peak Gop/s  of peak\n");
    for (size_t i = 0; i < b->n_rates; i++) {
        const struct rate *r = &b->rate[i];
        str_printf(out, "%-9s %7d %8d %10.1f %10.0f %11.1f %7.1f%%\n", precision_name(r->precision),
                   r->tokens, r->threads, r->texts_per_s, r->tokens_per_s, r->roof * 1e-9,
                   r->of_roof * 100);
    }
    for (int p = 0; p < PRECISIONS && b->all; p++)
        if (!b->here[p])
            str_printf(out, "%-9s not on this machine\n", precision_name((enum precision)p));
    str_puts(out, "\n");
    for (size_t i = 0; i < b->n_one; i++)
        str_printf(out, "one text of %d tokens in %s: %.2f ms (p95 %.2f)\n", b->one[i].tokens,
                   precision_name(b->one[i].precision), b->one[i].median_ms, b->one[i].p95_ms);
    if (b->has_index)
        str_printf(out, "a question to %lld passages in %s: %.2f ms (p95 %.2f)\n",
                   (long long)b->passages, precision_name(b->index.precision), b->index.median_ms,
                   b->index.p95_ms);
}

int cmd_bench(const struct args *a, struct err *err)
{
    if (a->n_pos)
        return err_kind_set(err, ERR_USAGE, "unexpected argument '%s'", a->pos[0]);
    struct bench *b = xcalloc(1, sizeof *b);
    b->args = a;
    const int rc = measure_all(b, err);
    if (rc == 0) {
        struct str text = {0};
        if (a->json || a->jsonl)
            bench_json(b, &text);
        else
            bench_text(b, &text);
        out_str(&text);
    }
    free(b->model);
    free(b);
    return rc;
}
