/* query_map.c - a linear map of questions, learned on frozen vectors.
 *
 * The cheapest way to bend search towards one's own words: q' = (I + D) q, D [dim, dim] from zero,
 * the loss of sentence encoders (loss.h, multiple negatives ranking), AdamW with decay on D, so
 * that without evidence nothing changes. Some hundred thousand numbers and vectors that are already
 * there: seconds, where training the encoder takes minutes to hours. As any map with dim^2 numbers
 * it learns small sets by heart; so a share of the documents is kept aside, and the epoch that does
 * best on those is taken, which may be epoch 0: no map.
 */
#include "encoder/train/draw.h"
#include "encoder/train/loss.h"
#include "encoder/train/optim.h"
#include "encoder/train/train.h"
#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <stdlib.h>
#include <string.h>

struct fit {
    const float *anchor, *passage;
    int dim;
    const struct query_map_options *o;
    struct param param;
    struct params params;
    struct param *only;
    struct adamw adamw;
    struct loss_options loss;
    size_t *train, *held; /* pairs of each side */
    size_t n_train, n_held;
    float *x, *dx; /* [2 * batch, dim] anchors mapped, passages; and the gradient */
};

void query_map_defaults(struct query_map_options *o)
{
    *o = (struct query_map_options){.epochs = 20,
                                    .batch = 128,
                                    .rate = 3e-4,
                                    .decay = 0.1,
                                    .scale = 20,
                                    .validation = 0.15,
                                    .seed = 42};
}

/* y = x + D x */
static void map_row(const struct fit *f, float *y, const float *x)
{
    const size_t n = (size_t)f->dim;
    for (size_t r = 0; r < n; r++)
        y[r] = x[r] + kern.dot(f->param.w + r * n, x, n);
}

/* dD += dy x^T */
static void add_gradient(struct fit *f, const float *dy, const float *x)
{
    const size_t n = (size_t)f->dim;
    for (size_t r = 0; r < n; r++)
        for (size_t c = 0; c < n; c++)
            f->param.dx[r * n + c] += dy[r] * x[c];
}

/* The loss of one batch of pairs; with `learn` also the gradient of D. */
static int batch_loss(struct fit *f, const size_t *pair, size_t n, bool learn, double *loss,
                      struct err *err)
{
    const size_t dim = (size_t)f->dim;
    for (size_t i = 0; i < n; i++) {
        map_row(f, f->x + i * dim, f->anchor + pair[i] * dim);
        memcpy(f->x + (n + i) * dim, f->passage + pair[i] * dim, dim * sizeof *f->x);
    }
    const struct embedding_batch b = {
        .x = f->x, .dx = learn ? f->dx : NULL, .n = (int)n, .n_columns = 2, .dim = f->dim};
    if (loss_embeddings(&b, &f->loss, loss, err))
        return -1;
    for (size_t i = 0; learn && i < n; i++)
        add_gradient(f, f->dx + i * dim, f->anchor + pair[i] * dim);
    return 0;
}

static size_t batch_at(const struct fit *f, size_t total, size_t at)
{
    const size_t left = total - at, size = (size_t)f->o->batch;
    return left < size ? left : size;
}

/* Mean over the kept-aside pairs; batches of one are no ranking and do not count. */
static int held_loss(struct fit *f, double *out, struct err *err)
{
    double sum = 0, loss;
    size_t count = 0;
    for (size_t at = 0; at < f->n_held; at += (size_t)f->o->batch) {
        const size_t n = batch_at(f, f->n_held, at);
        if (n < 2)
            continue;
        if (batch_loss(f, f->held + at, n, false, &loss, err))
            return -1;
        sum += loss * (double)n;
        count += n;
    }
    *out = count ? sum / (double)count : 0;
    return 0;
}

static void shuffle(struct fit *f, int epoch)
{
    const uint64_t stream = draw_stream(f->o->seed, DRAW_ORDER, (uint64_t)epoch, 0);
    for (size_t i = f->n_train; i > 1; i--) {
        const size_t j = (size_t)draw_below(stream, i, i);
        const size_t t = f->train[i - 1];
        f->train[i - 1] = f->train[j];
        f->train[j] = t;
    }
}

static int run_epoch(struct fit *f, int epoch, struct err *err)
{
    shuffle(f, epoch);
    for (size_t at = 0; at < f->n_train; at += (size_t)f->o->batch) {
        const size_t n = batch_at(f, f->n_train, at);
        double loss;
        if (n < 2)
            continue;
        if (stop_requested())
            return err_kind_set(err, ERR_STOPPED, "stopped");
        if (batch_loss(f, f->train + at, n, true, &loss, err))
            return -1;
        adamw_step(&f->adamw, f->o->rate, 1.0, NULL);
    }
    return 0;
}

/* Whole groups go to one side. */
static void split(struct fit *f, const uint64_t *group, size_t n)
{
    f->train = xcalloc(n + 1, sizeof *f->train);
    f->held = xcalloc(n + 1, sizeof *f->held);
    for (size_t i = 0; i < n; i++) {
        const double u = (double)(hash64_seed(&group[i], sizeof group[i], f->o->seed) >> 11);
        if (u * 0x1p-53 < f->o->validation)
            f->held[f->n_held++] = i;
        else
            f->train[f->n_train++] = i;
    }
}

static int fit_init(struct fit *f, const uint64_t *group, size_t n, float *d, struct err *err)
{
    const size_t dim = (size_t)f->dim, rows = 2 * (size_t)f->o->batch;
    const struct adamw_options adamw = {.lr = f->o->rate,
                                        .beta1 = 0.9,
                                        .beta2 = 0.999,
                                        .eps = 1e-8,
                                        .weight_decay = f->o->decay,
                                        .layer_decay = 1};
    memset(d, 0, dim * dim * sizeof *d);
    f->param = (struct param){.name = (char *)"query_map.weight",
                              .kind = PARAM_MATRIX,
                              .rows = f->dim,
                              .cols = f->dim,
                              .x = d,
                              .w = d,
                              .dx = xcalloc(dim * dim, sizeof *d)};
    f->only = &f->param;
    f->params = (struct params){.p = &f->only, .n = 1, .frozen = true};
    loss_defaults(&f->loss, LOSS_MNRL);
    f->loss.scale = f->o->scale;
    f->x = xcalloc(rows * dim, sizeof *f->x);
    f->dx = xcalloc(rows * dim, sizeof *f->dx);
    split(f, group, n);
    return adamw_init(&f->adamw, &f->params, &adamw, err);
}

static void fit_release(struct fit *f)
{
    adamw_release(&f->adamw);
    free(f->param.dx);
    free(f->x);
    free(f->dx);
    free(f->train);
    free(f->held);
}

static int fit_run(struct fit *f, float *d, struct query_map_report *r, struct err *err)
{
    const size_t bytes = (size_t)f->dim * (size_t)f->dim * sizeof *d;
    float *best = xcalloc(1, bytes);
    int rc = held_loss(f, &r->before, err);
    r->after = r->before;
    for (int epoch = 1; epoch <= f->o->epochs && rc == 0 && f->n_train > 1; epoch++) {
        double loss = 0;
        rc = run_epoch(f, epoch, err);
        if (rc == 0)
            rc = held_loss(f, &loss, err);
        if (rc == 0 && loss < r->after) {
            r->after = loss;
            r->epoch = epoch;
            memcpy(best, d, bytes);
        } else if (rc == 0 && epoch - r->epoch >= 3) {
            break; /* it has learned what carries over */
        }
    }
    memcpy(d, best, bytes);
    free(best);
    return rc;
}

int query_map_train(const float *anchor, const float *passage, const uint64_t *group, size_t n,
                    int dim, const struct query_map_options *o, float *d,
                    struct query_map_report *r, struct err *err)
{
    struct fit f = {.anchor = anchor, .passage = passage, .dim = dim, .o = o};
    *r = (struct query_map_report){0};
    int rc = fit_init(&f, group, n, d, err);
    if (rc == 0)
        rc = fit_run(&f, d, r, err);
    fit_release(&f);
    return rc;
}
