/* calibrate.c - what cosines look like between this index's passages and questions that have
 * nothing to do with them.
 *
 * A few dozen questions of everyday life, from bread to volcanoes, are encoded as questions are,
 * and compared with a sample of the stored passages. The middle of these cosines is the centre of
 * the background, half the distance between their 16 % and 84 % quantiles its scale (one standard
 * deviation, were they normal). Quantiles, because a collection may well be about some of the
 * subjects: a handful of true answers among the pairs then moves nothing.
 *
 * The obvious alternative, cosines between passages of the index, measures another thing: in a
 * folder about one subject all passages are near each other, and its own questions would look like
 * background. It also cannot know of a model that encodes questions unlike passages. That
 * distribution is measured too, as `spread`: how far apart the passages are, which tells how much
 * cosines can say about which of them is meant.
 *
 * The sample takes every n-th vector in order of chunk id, and pairs by a fixed stride, so that
 * the same index always gives the same numbers.
 */
#include "index/search/calibrate.h"

#include "index/search.h"
#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define META_KEY "calibration"

enum {
    SAMPLE_MAX = 2000, /* passages */
    PAIRS_MAX = 8000,
    PAIRS_PRIOR = 100 /* the usual spread counts as that many pairs */
};

#define SPREAD_USUAL 1.9 /* in scales; six collections lie between 1.6 and 2.0 */
#define SCALE_MIN    1e-3

static const char *const probes[] = {
    "how long should bread dough rise before baking",
    "what is the best season to prune apple trees",
    "who won the football match last night",
    "how do I tune the strings of a guitar",
    "why does the moon look larger near the horizon",
    "what does a notary do when a house is sold",
    "how can I get rid of a headache without tablets",
    "which train goes to the coast on Sunday morning",
    "how do bees find their way back to the hive",
    "what caused the fall of the Roman empire",
    "how to teach a puppy to walk on a lead",
    "how much does it cost to renew a passport",
    "what makes a watercolour painting look transparent",
    "how are interest rates set by a central bank",
    "why do leaves change colour in autumn",
    "how do I change a flat bicycle tyre",
    "what should I pack for a week in the mountains",
    "how does a refrigerator keep food cold",
    "who wrote the first detective novel",
    "how do vaccines protect children against measles",
    "what is the difference between alligators and crocodiles",
    "how do I remove a red wine stain from a shirt",
    "when was the printing press invented",
    "how is steel made from iron ore",
    "what are the rules of chess castling",
    "how many calories are in a bowl of rice",
    "why is the sea salty",
    "how do I ask for a raise at work",
    "what is a good wedding gift for a colleague",
    "how does an election in a parliamentary system work",
    "what causes earthquakes and volcanoes",
    "how do I knit a pair of socks",
    "which wine goes well with grilled fish",
    "how do airplanes stay in the air",
    "what is the meaning of a recurring dream",
    "how do I plan a birthday party for a five year old",
    "how can a small shop attract more customers",
    "what is the capital city of Australia",
    "how does a computer store numbers",
    "how do I install a program on a new laptop",
    "what happens to plastic after recycling",
    "how did people tell the time before clocks",
    "what is the best way to learn a foreign language",
    "how do I repair a leaking tap",
    "why do cats purr",
    "what is the theory of relativity in simple words",
    "how do I write a letter of complaint to a landlord",
    "which exercises strengthen the lower back",
};

enum { N_PROBES = ARRAY_LEN(probes) };

static int float_cmp(const void *pa, const void *pb)
{
    const float a = *(const float *)pa, b = *(const float *)pb;
    return (a > b) - (a < b);
}

static double quantile(const float *sorted, size_t n, double q)
{
    return sorted[(size_t)(q * (double)(n - 1) + 0.5)];
}

/* Standard deviation of cosines between passages of different documents (of different passages
 * where there is one document only); *n_pairs how many were looked at. */
static double spread_of(const float *passage, const int64_t *doc, size_t n, int dim,
                        size_t *n_pairs)
{
    double sum = 0, squares = 0;
    size_t used = 0;
    const bool one_doc = n == 0 || doc[0] == doc[n - 1];
    for (size_t step = 1; step < n && used < PAIRS_MAX; step = step * 3 + 1)
        for (size_t i = 0; i < n && used < PAIRS_MAX; i++) {
            const size_t j = (i + step) % n;
            if (i == j || (!one_doc && doc[i] == doc[j]))
                continue;
            const double c =
                kern.dot(passage + i * (size_t)dim, passage + j * (size_t)dim, (size_t)dim);
            sum += c;
            squares += c * c;
            used++;
        }
    *n_pairs = used;
    if (used < 2)
        return 0;
    const double mean = sum / (double)used;
    return sqrt(fmax(0, squares / (double)used - mean * mean));
}

struct background background_of(const float *passage, const int64_t *doc, size_t n,
                                const float *probe, size_t n_probes, int dim)
{
    struct background bg = BACKGROUND_DEFAULT;
    const size_t n_cos = n * n_probes;
    if (n_cos == 0)
        return bg;
    float *cosine = xmalloc(n_cos * sizeof *cosine);
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < n_probes; p++)
            cosine[i * n_probes + p] =
                kern.dot(passage + i * (size_t)dim, probe + p * (size_t)dim, (size_t)dim);
    qsort(cosine, n_cos, sizeof *cosine, float_cmp);
    bg.centre = quantile(cosine, n_cos, 0.5);
    bg.scale = (quantile(cosine, n_cos, 0.84) - quantile(cosine, n_cos, 0.16)) / 2;
    free(cosine);
    bg.scale = isfinite(bg.scale) ? fmax(bg.scale, SCALE_MIN) : SCALE_MIN;
    bg.centre = isfinite(bg.centre) ? bg.centre : 0;

    size_t n_pairs;
    const double usual = SPREAD_USUAL * bg.scale;
    const double measured = spread_of(passage, doc, n, dim, &n_pairs);
    const double variance = ((double)n_pairs * measured * measured + PAIRS_PRIOR * usual * usual) /
                            ((double)n_pairs + PAIRS_PRIOR);
    bg.spread = fmin(fmax(sqrt(variance), 1.2 * bg.scale), 2.8 * bg.scale);
    return bg;
}

/* ---- the sample ---- */

struct sample {
    int64_t n_rows, row, stride;
    int dim;
    float *vector; /* [SAMPLE_MAX, dim] */
    int64_t *doc;
    size_t n;
};

static int sample_row(void *ctx, const struct store_row *r, struct err *err)
{
    struct sample *s = ctx;
    (void)err;
    if (s->row++ % s->stride == 0 && s->n < SAMPLE_MAX && r->dim == (size_t)s->dim) {
        kern.f16_to_f32(s->vector + s->n * (size_t)s->dim, r->vector, (size_t)s->dim);
        s->doc[s->n++] = r->doc_id;
    }
    return 0;
}

int background_measure(struct store *s, struct embedder *e, struct background *out, struct err *err)
{
    struct store_counts counts;
    struct span text[N_PROBES];
    struct sample sample = {.dim = e->dim};
    float *probe = xmalloc(N_PROBES * (size_t)e->dim * sizeof *probe);
    int rc = -1;
    for (size_t i = 0; i < N_PROBES; i++)
        text[i] = span_of(probes[i]);
    sample.vector = xmalloc(SAMPLE_MAX * (size_t)e->dim * sizeof *sample.vector);
    sample.doc = xmalloc(SAMPLE_MAX * sizeof *sample.doc);
    if (store_counts(s, &counts, err))
        goto end;
    sample.stride = counts.chunks / SAMPLE_MAX + 1;
    if (e->embed(e, text, N_PROBES, EMBED_QUERY, probe, NULL, err) ||
        store_each_row(s, 0, false, sample_row, &sample, err))
        goto end;
    *out = background_of(sample.vector, sample.doc, sample.n, probe, N_PROBES, e->dim);
    rc = 0;
end:
    free(probe);
    free(sample.vector);
    free(sample.doc);
    return rc;
}

/* ---- kept as "1 <fingerprint of the embedder> centre scale spread" ---- */

int background_load(struct store *s, const struct embedder *e, struct background *out,
                    struct err *err)
{
    char *value = NULL, of[40] = "";
    struct background bg;
    if (store_meta_get(s, META_KEY, &value, err))
        return -1;
    const bool good =
        value && sscanf(value, "1 %39s %lf %lf %lf", of, &bg.centre, &bg.scale, &bg.spread) == 4 &&
        strcmp(of, e->fingerprint) == 0 && isfinite(bg.centre) && bg.scale >= SCALE_MIN &&
        bg.spread > 0 && isfinite(bg.scale) && isfinite(bg.spread);
    free(value);
    if (good)
        *out = bg;
    return good;
}

int search_calibrate(struct store *s, struct embedder *e, struct err *err)
{
    struct background bg;
    if (background_measure(s, e, &bg, err))
        return err_wrap(err, "cannot calibrate scores");
    char *value = xasprintf("1 %s %.9g %.9g %.9g", e->fingerprint, bg.centre, bg.scale, bg.spread);
    const int rc = store_meta_set(s, META_KEY, value, err);
    free(value);
    return rc;
}
