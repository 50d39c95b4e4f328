/* gate.c - see gate.h. */
#include "encoder/model/gate.h"

#include "encoder/model/cache.h"
#include "src/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SEMSEARCH_VERSION
#define SEMSEARCH_VERSION "0"
#endif

static const double order_gap = 0.02;

/* ---- comparing ----------------------------------------------------------------------------------
 */

struct vectors {
    const float *exact, *low;
    int questions, passages;
    size_t dim;
};

static double cosine(const struct vectors *v, const float *a, int i, const float *b, int j)
{
    return kern.dot_wide(a + (size_t)i * v->dim, b + (size_t)j * v->dim, v->dim);
}

/* Counts the decisions about question q, and those that `questions` x low passages make alike. */
static void count_order(const struct vectors *v, int q, long *clear, long *kept)
{
    for (int i = v->questions; i < v->questions + v->passages; i++)
        for (int k = i + 1; k < v->questions + v->passages; k++) {
            const double gap =
                cosine(v, v->exact, q, v->exact, i) - cosine(v, v->exact, q, v->exact, k);
            if (gap < order_gap && gap > -order_gap)
                continue;
            const double low = cosine(v, v->low, q, v->low, i) - cosine(v, v->low, q, v->low, k);
            const double mixed =
                cosine(v, v->exact, q, v->low, i) - cosine(v, v->exact, q, v->low, k);
            *clear += 2;
            *kept += (low * gap > 0) + (mixed * gap > 0);
        }
}

void gate_compare(const float *exact, const float *low, int questions, int passages, int dim,
                  struct gate_figures *out)
{
    const struct vectors v = {exact, low, questions, passages, (size_t)dim};
    const int n = questions + passages;
    long clear = 0, kept = 0;
    double sum = 0;
    *out = (struct gate_figures){.worst = 1};
    for (int i = 0; i < n; i++) {
        const double c = cosine(&v, exact, i, low, i);
        sum += c;
        out->worst = c >= out->worst ? out->worst : c;
    }
    for (int q = 0; q < questions; q++)
        count_order(&v, q, &clear, &kept);
    out->mean = n ? sum / n : 0;
    out->order = clear ? (double)kept / (double)clear : 1;
}

bool gate_passes(enum precision p, const struct gate_figures *f)
{
    static const double mean[PRECISIONS] = {
        [PRECISION_FP32] = 0, [PRECISION_BF16] = 0.9999, [PRECISION_INT8] = 0.997};
    return f->mean >= mean[p] && f->order >= 0.99; /* false for what is not a number */
}

static int embed_texts(const struct model *m, int threads, const struct span *text, size_t n,
                       float *out, struct err *err)
{
    struct encoder *e;
    const struct encode_options options = {.normalize = 1, .prompt = ""};
    if (encoder_open(m, threads, &e, err))
        return -1;
    const int rc = encoder_embed(e, text, n, &options, out, NULL, err);
    encoder_close(e);
    return rc;
}

int gate_measure(const struct model *exact, const struct model *low, int threads,
                 struct gate_figures *out, struct err *err)
{
    const int dim = exact->config.dim;
    const size_t n = (size_t)gate_questions + (size_t)gate_passages;
    struct span *text = xcalloc(n, sizeof *text);
    for (size_t i = 0; i < n; i++)
        text[i] = span_of(gate_text[i]);
    float *a = xcalloc(n * (size_t)dim, sizeof *a), *b = xcalloc(n * (size_t)dim, sizeof *b);
    const int rc =
        embed_texts(exact, threads, text, n, a, err) || embed_texts(low, threads, text, n, b, err)
            ? -1
            : 0;
    if (rc == 0)
        gate_compare(a, b, gate_questions, gate_passages, dim, out);
    free(a);
    free(b);
    free(text);
    return rc;
}

/* ---- remembering --------------------------------------------------------------------------------
 */

static struct hash128 key_of(const char *fingerprint, enum precision p)
{
    struct hasher *h = hasher_new();
    hasher_text(h, span_of("semsearch gate 2 " SEMSEARCH_VERSION));
    hasher_text(h, span_of(fingerprint));
    hasher_text(h, span_of(precision_name(p)));
    hasher_text(h, span_of(kern.isa));
    return hasher_finish(h);
}

/* Three numbers and a checksum over them and the key. */
static void result_text(const struct gate_figures *f, struct hash128 key, char out[128])
{
    const int n = snprintf(out, 96, "%.9f %.9f %.9f", f->mean, f->worst, f->order);
    const uint64_t check = hash64_seed(out, (size_t)n, hash64(key.b, sizeof key.b));
    snprintf(out + n, (size_t)(128 - n), " %016llx\n", (unsigned long long)check);
}

/* False: never measured, or the note is not what we wrote. */
static bool recall(const char *fingerprint, enum precision p, struct gate_figures *f)
{
    const struct hash128 key = key_of(fingerprint, p);
    char *path = cache_path(key, ".gate"), again[128];
    struct str text = {0};
    struct err ignored = {0};
    bool ok = path && file_exists(path) && file_read(path, 256, &text, &ignored) == 0 && text.n &&
              sscanf(text.p, "%lf %lf %lf", &f->mean, &f->worst, &f->order) == 3 && f->mean <= 2 &&
              f->worst <= 2 && f->order <= 2;
    if (ok) {
        result_text(f, key, again);
        ok = span_eq(str_view(&text), again);
    }
    str_release(&text);
    free(path);
    return ok;
}

static void remember(const char *fingerprint, enum precision p, const struct gate_figures *f)
{
    const struct hash128 key = key_of(fingerprint, p);
    char *path = cache_path(key, ".gate"), text[128];
    struct err ignored = {0};
    struct outfile file;
    if (path && cache_make_dir() && outfile_open(&file, path, &ignored) == 0) {
        result_text(f, key, text);
        outfile_write(&file, text, strlen(text));
        if (outfile_commit(&file, &ignored))
            ignored.kind = ERR_IO; /* it will be measured again */
    }
    free(path);
}

/* ---- choosing -----------------------------------------------------------------------------------
 */

static bool here(enum precision p)
{
    return p == PRECISION_FP32 || (p == PRECISION_BF16 ? kern.has_bf16 : kern.has_i8);
}

int gate_available(enum precision p, struct err *err)
{
    static const char *const need[PRECISIONS] = {"", "AVX512-BF16 instructions",
                                                 "VNNI (or on ARM: dot product) instructions"};
    if (here(p))
        return 0;
    err_kind_set(err, ERR_USAGE, "precision %s needs %s, which %s lacks", precision_name(p),
                 need[p], getenv("SEMSEARCH_ISA") ? "the forced SEMSEARCH_ISA" : "this CPU");
    return err_hint(err, "it has fp32%s%s; auto takes the fastest that suits the model",
                    here(PRECISION_BF16) ? ", bf16" : "", here(PRECISION_INT8) ? ", int8" : "");
}

/* The fastest that is here and has passed. False: one that is here was never measured. */
static bool choose(const char *fingerprint, enum precision *out)
{
    static const enum precision by_speed[] = {PRECISION_INT8, PRECISION_BF16};
    *out = PRECISION_FP32;
    for (size_t i = 0; i < ARRAY_LEN(by_speed); i++) {
        struct gate_figures f;
        if (!here(by_speed[i]))
            continue;
        if (!recall(fingerprint, by_speed[i], &f))
            return false;
        if (gate_passes(by_speed[i], &f)) {
            *out = by_speed[i];
            return true;
        }
    }
    return true;
}

int model_settle_precision(struct model *m, const struct model_options *options, struct err *err)
{
    const char *wanted = options && options->precision ? options->precision : "fp32";
    enum precision *p = &m->precision;
    if (strcmp(wanted, "auto") == 0) {
        if (!choose(m->info.fingerprint, p) && options->unchecked &&
            (!precision_find(options->unchecked, p) || !here(*p)))
            *p = PRECISION_FP32;
    } else if (!precision_find(wanted, p)) {
        err_kind_set(err, ERR_USAGE, "there is no precision '%s'", wanted);
        return err_hint(err, "use fp32, bf16, int8 or auto");
    }
    m->info.precision = precision_name(*p);
    return gate_available(*p, err);
}

/* ---- the door -----------------------------------------------------------------------------------
 */

static int measure(const char *dir, const struct model_options *options, int threads,
                   const struct model *exact, enum precision p, struct gate_figures *f,
                   struct err *err)
{
    struct model_options with = *options;
    struct model *low = NULL;
    with.precision = precision_name(p);
    if (model_open(dir, &with, &low, err))
        return -1;
    const int rc = gate_measure(exact, low, threads, f, err);
    if (rc == 0)
        remember(exact->info.fingerprint, p, f);
    model_close(low);
    return rc;
}

static void fill(struct model_fitness *out, enum precision p, const struct gate_figures *f)
{
    out->known = true;
    out->passed = gate_passes(p, f);
    out->mean_cosine = f->mean;
    out->worst_cosine = f->worst;
    out->order = f->order;
}

static void tell(const char *fingerprint, enum precision p, struct model_fitness *out)
{
    struct gate_figures f;
    *out = (struct model_fitness){.precision = precision_name(p), .here = here(p)};
    if (recall(fingerprint, p, &f))
        fill(out, p, &f);
}

int model_check(const char *dir, const struct model_options *options, bool run, int threads,
                struct model_fitness out[MODEL_FITNESSES], struct err *err)
{
    static const enum precision all[MODEL_FITNESSES] = {PRECISION_BF16, PRECISION_INT8};
    struct model_options with = options ? *options : (struct model_options){0};
    struct model *exact = NULL;
    with.precision = NULL;
    with.task = NULL;
    if (kernels_init(err) || model_inspect(dir, &with, &exact, err))
        return -1;
    int rc = 0;
    for (int i = 0; i < MODEL_FITNESSES && rc == 0; i++) {
        tell(exact->info.fingerprint, all[i], &out[i]);
        if (!run || out[i].known || !out[i].here)
            continue;
        if (!exact->loaded) {
            model_close(exact);
            exact = NULL;
            rc = model_open(dir, &with, &exact, err);
        }
        struct gate_figures f = {0};
        if (rc == 0)
            rc = measure(dir, &with, threads, exact, all[i], &f, err);
        if (rc == 0)
            fill(&out[i], all[i], &f);
    }
    model_close(exact);
    return rc;
}
