/* optim.c - the norm of all gradients and AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW:
 *
 *     w -= lr * decay * w
 *     m += (1 - b1) (g - m)
 *     v  = b2 v + (1 - b2) g^2
 *     w -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
 *
 * Both are bound by memory: one pass, in pieces of all parameters that the workers share. Every
 * element is computed by itself, and the norm adds up its pieces in their order, so threads change
 * no bit.
 *
 * What decays: tables and matrices. Vectors do not; in every family they are exactly the biases and
 * the parameters of norms, which is what the Hugging Face Trainer finds by module type and name.
 */
#include "encoder/train/optim.h"

#include "src/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 14 }; /* elements that a worker takes at a time */

/* Where the pieces of all trained parameters lie: parameter i has pieces first[i] .. first[i + 1).
 */
struct pieces {
    const struct params *p;
    int *first; /* [p->n + 1] */
};

static size_t elements(const struct param *p)
{
    return (size_t)p->rows * (size_t)p->cols;
}

static bool trained(const struct param *p)
{
    return p->dx != NULL && p->w != NULL;
}

static void pieces_init(struct pieces *s, const struct params *p)
{
    s->p = p;
    s->first = xcalloc((size_t)p->n + 1, sizeof *s->first);
    for (int i = 0; i < p->n; i++) {
        const size_t n = p->p[i]->dx ? elements(p->p[i]) : 0;
        s->first[i + 1] = s->first[i] + (int)((n + PIECE - 1) / PIECE);
    }
}

/* The parameter of a piece, and the elements [*from, *to) of it. */
static int piece_at(const struct pieces *s, int item, size_t *from, size_t *to)
{
    int lo = 0, hi = s->p->n - 1;
    while (lo < hi) { /* the last parameter whose first piece is not after item */
        const int mid = lo + (hi - lo + 1) / 2;
        if (s->first[mid] <= item)
            lo = mid;
        else
            hi = mid - 1;
    }
    const size_t n = elements(s->p->p[lo]);
    *from = (size_t)(item - s->first[lo]) * PIECE;
    *to = *from + PIECE < n ? *from + PIECE : n;
    return lo;
}

static void run(struct pool *pool, int n, void (*fn)(void *, int, int), void *ctx)
{
    if (pool) {
        pool_run(pool, n, fn, ctx);
        return;
    }
    for (int i = 0; i < n; i++)
        fn(ctx, i, 0);
}

/* ---- the norm -----------------------------------------------------------------------------------
 */

struct norm_job {
    struct pieces pieces;
    double *sum; /* of each piece */
};

static void norm_piece(void *ctx, int item, int worker)
{
    const struct norm_job *j = ctx;
    size_t from, to;
    (void)worker;
    const struct param *const p = j->pieces.p->p[piece_at(&j->pieces, item, &from, &to)];
    j->sum[item] = kern.dot_wide(p->dx + from, p->dx + from, to - from);
}

double gradients_norm(const struct params *p, struct pool *pool)
{
    struct norm_job j;
    pieces_init(&j.pieces, p);
    const int n = j.pieces.first[p->n];
    j.sum = xcalloc((size_t)n, sizeof *j.sum);
    run(pool, n, norm_piece, &j);
    double total = 0;
    for (int i = 0; i < n; i++)
        total += j.sum[i];
    free(j.sum);
    free(j.pieces.first);
    return sqrt(total);
}

/* ---- AdamW --------------------------------------------------------------------------------------
 */

size_t adamw_bytes(const struct params *p)
{
    size_t n = 0;
    for (int i = 0; i < p->n; i++)
        if (trained(p->p[i]))
            n += 2 * sizeof(float) * elements(p->p[i]);
    return n;
}

int adamw_init(struct adamw *a, struct params *params, const struct adamw_options *o,
               struct err *err)
{
    *a = (struct adamw){.params = params, .options = *o};
    a->m = xcalloc((size_t)params->n, sizeof *a->m);
    a->v = xcalloc((size_t)params->n, sizeof *a->v);
    for (int i = 0; i < params->n; i++) {
        if (!trained(params->p[i]))
            continue;
        size_t bytes;
        void *block;
        if (!mul_size(elements(params->p[i]), 2 * sizeof(float), &bytes) ||
            mem_try(&block, bytes, "the optimiser's moments", err)) {
            adamw_release(a);
            return -1;
        }
        memset(block, 0, bytes);
        a->m[i] = block;
        a->v[i] = a->m[i] + elements(params->p[i]);
    }
    return 0;
}

void adamw_release(struct adamw *a)
{
    for (int i = 0; a->m && i < a->params->n; i++)
        free(a->m[i]); /* v lies in the same block */
    free(a->m);
    free(a->v);
    *a = (struct adamw){0};
}

double adamw_rate(const struct adamw *a, const struct param *p)
{
    int layer = a->options.layers; /* poolers and heads: the full rate */
    if (a->options.layer_decay == 0 || a->options.layer_decay == 1)
        return 1;
    if (strncmp(p->name, "embed.", 6) == 0)
        layer = -1;
    else
        sscanf(p->name, "layer.%d.", &layer);
    return pow(a->options.layer_decay, a->options.layers - layer);
}

bool adamw_decays(const struct param *p)
{
    return p->kind != PARAM_VECTOR;
}

/* The numbers of one parameter's update. */
struct step {
    float clip, keep; /* gradient times clip; w times keep = 1 - lr * decay */
    float b1, b2;     /* 1 - beta1; beta2 */
    float rest;       /* 1 - beta2 */
    float rate;       /* lr / (1 - beta1^t) */
    float root;       /* sqrt(1 - beta2^t) */
    float eps;
};

/* Alone in a function, so that the compiler makes vectors of it. */
static void update(float *restrict w, float *restrict g, float *restrict m, float *restrict v,
                   size_t n, struct step s)
{
    for (size_t i = 0; i < n; i++) {
        const float d = g[i] * s.clip;
        m[i] += s.b1 * (d - m[i]);
        v[i] = v[i] * s.b2 + s.rest * d * d;
        w[i] = w[i] * s.keep - s.rate * m[i] / (sqrtf(v[i]) / s.root + s.eps);
        g[i] = 0;
    }
}

struct step_job {
    struct pieces pieces;
    const struct adamw *a;
    struct step *step; /* of each parameter */
};

static void step_piece(void *ctx, int item, int worker)
{
    const struct step_job *j = ctx;
    size_t from, to;
    (void)worker;
    const int i = piece_at(&j->pieces, item, &from, &to);
    const struct param *const p = j->pieces.p->p[i];
    if (trained(p))
        update(p->w + from, p->dx + from, j->a->m[i] + from, j->a->v[i] + from, to - from,
               j->step[i]);
}

void adamw_step(struct adamw *a, double lr, double clip, struct pool *pool)
{
    const struct adamw_options *const o = &a->options;
    struct step_job j = {.a = a, .step = xcalloc((size_t)a->params->n, sizeof *j.step)};
    a->step++;
    const double first = 1 - pow(o->beta1, (double)a->step);
    const double second = 1 - pow(o->beta2, (double)a->step);
    for (int i = 0; i < a->params->n; i++) {
        const struct param *const p = a->params->p[i];
        const double rate = lr * adamw_rate(a, p);
        j.step[i] = (struct step){
            .clip = (float)clip,
            .keep = adamw_decays(p) ? (float)(1 - rate * o->weight_decay) : 1,
            .b1 = (float)(1 - o->beta1),
            .b2 = (float)o->beta2,
            .rest = (float)(1 - o->beta2),
            .rate = (float)(rate / first),
            .root = (float)sqrt(second),
            .eps = (float)o->eps,
        };
    }
    pieces_init(&j.pieces, a->params);
    run(pool, j.pieces.first[a->params->n], step_piece, &j);
    free(j.pieces.first);
    free(j.step);
}
