/* learner_init.c - weights that must be made: new heads, models from nothing.
 *
 * As transformers' _init_weights: matrices and tables from a normal distribution around 0 with the
 * config's initializer_range, biases 0, norms 1 and 0, padding rows 0. The numbers come from a
 * counter, not from a stream, so that they depend on the seed and on their place alone: the
 * SplitMix64 finaliser (Steele et al. 2014) of the place gives two uniforms, Box and Muller's
 * transform two normals.
 */
#include "encoder/model/learner_inside.h"

#include <math.h>
#include <string.h>

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* In (0, 1]. */
static double uniform(uint64_t x)
{
    return ((double)(mix(x) >> 11) + 1) * 0x1p-53;
}

static void fill_normal(float *w, size_t n, double deviation, uint64_t key)
{
    for (size_t i = 0; i < n; i += 2) {
        const double r = sqrt(-2 * log(uniform(key + 2 * i)));
        const double angle = 6.283185307179586 * uniform(key + 2 * i + 1);
        w[i] = (float)(deviation * r * cos(angle));
        if (i + 1 < n)
            w[i + 1] = (float)(deviation * r * sin(angle));
    }
}

void learner_init(const struct learner *l, int param, uint64_t seed)
{
    const struct model_config *c = &l->model.config;
    const struct param *p = l->model.params.p[param];
    const size_t n = (size_t)p->rows * (size_t)p->cols;
    if (p->kind == PARAM_VECTOR) {
        const bool gain = strstr(p->name, "norm") && span_ends(span_of(p->name), ".weight");
        for (size_t i = 0; i < n; i++)
            p->w[i] = gain ? 1.0f : 0.0f;
        return;
    }
    fill_normal(p->w, n, c->initializer_range, mix(hash64_seed(p->name, strlen(p->name), seed)));
    const bool padded = !strcmp(p->name, "embed.word") ||
                        (!strcmp(p->name, "embed.pos") && c->family->positions_skip_pad);
    if (padded && c->pad >= 0 && c->pad < p->rows)
        memset(p->w + (size_t)c->pad * (size_t)p->cols, 0, (size_t)p->cols * sizeof *p->w);
}
