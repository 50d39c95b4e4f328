/* learner.c - opening a model for training; see learner.h. What is missing is made by
 * learner_init.c, the parameters are learner_params.c, the way out is export.c. */
#include "encoder/model/learner_inside.h"

#include "src/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- labels -------------------------------------------------------------------------------------
 */

static bool has_label(const struct model_config *c, const char *label)
{
    for (size_t i = 0; i < c->n_labels; i++)
        if (!strcmp(c->label[i], label))
            return true;
    return false;
}

/* Whether the head of the folder is the one that is wanted. */
static bool head_fits(const struct model_config *c, const struct learner_options *o)
{
    if (!c->has_head || c->head != o->head)
        return false;
    if (!head_has_labels(o->head) || o->n_labels == 0)
        return true;
    if (o->head == HEAD_SEQUENCE && (c->problem == PROBLEM_REGRESSION) != o->regression)
        return false;
    if (o->regression)
        return c->n_labels == 1;
    for (int i = 0; i < o->n_labels; i++)
        if (!has_label(c, o->label[i]))
            return false;
    return true;
}

static int settle_labels(struct learner *l, const struct learner_options *o, bool keep,
                         struct err *err)
{
    struct model_config *c = &l->model.config;
    if (keep || !head_has_labels(o->head)) {
        l->n_labels = (int)c->n_labels;
        l->regression = o->head == HEAD_SEQUENCE && c->problem == PROBLEM_REGRESSION;
        return 0;
    }
    if (o->n_labels < 1)
        return err_kind_set(err, ERR_USAGE, "the model '%s' (%s) has no head for %s", c->name,
                            c->task, head_task(o->head));
    c->n_labels = (size_t)o->n_labels;
    c->label = arena_alloc(&c->arena, c->n_labels * sizeof *c->label);
    for (int i = 0; i < o->n_labels; i++) {
        const char *name = o->label ? o->label[i] : "LABEL_0";
        c->label[i] = arena_strndup(&c->arena, name, strlen(name));
    }
    c->problem = o->regression ? PROBLEM_REGRESSION : PROBLEM_SINGLE_LABEL;
    l->n_labels = o->n_labels;
    l->regression = o->regression;
    return 0;
}

/* ---- opening ------------------------------------------------------------------------------------
 */

static int set_dropout(struct model_config *c, double p, struct err *err)
{
    const float v = (float)p;
    if (p < 0)
        return 0;
    if (!(p < 1))
        return err_kind_set(err, ERR_USAGE, "a dropout of %g: must be at least 0 and below 1", p);
    c->dropout = (struct dropout){v, v, v, v, c->family->keys->span_dropout ? v : 0};
    return 0;
}

/* Everything between the description and the weights' numbers. */
static int prepare(struct learner *l, const struct learner_options *o, bool keep, struct err *err)
{
    struct model_config *c = &l->model.config;
    l->model.head = o->head;
    l->bf16 = o->bf16;
    if (o->bf16 && !kern.has_bf16) {
        err_kind_set(err, ERR_USAGE, "this CPU has no instructions for bf16");
        return err_hint(err, "train in fp32");
    }
    if (!c->sentence_encoder)
        c->normalise = true;
    if (set_dropout(c, o->dropout, err) || settle_labels(l, o, keep, err))
        return -1;
    c->has_head = o->head != HEAD_SENTENCE;
    c->head = o->head;
    c->task = head_task(o->head);
    return learner_declare(l, err) || learner_allocate(l, err) ? -1 : 0;
}

static int finish(struct learner *l, const struct learner_options *o, struct err *err)
{
    struct params *s = &l->model.params;
    l->file_name = xcalloc((size_t)s->n + 1, sizeof *l->file_name);
    for (int i = 0; i < s->n; i++) {
        char name[NAME_PARTS][FULL_NAME_BYTES];
        learner_names(l, i, name);
        l->file_name[i] = xstrdup(name[0]);
    }
    for (size_t i = 0; i < o->n_freeze; i++)
        if (learner_freeze(l, o->freeze[i], err))
            return -1;
    for (int i = 0; i < s->n && l->model.head == HEAD_SENTENCE; i++)
        if (!strncmp(s->p[i]->name, "pooler.", 7))
            s->p[i]->dx = NULL;
    l->model.loaded = true;
    l->model.info.parameters = l->n_weights;
    learner_refresh(l, NULL);
    return 0;
}

int learner_open(const char *dir, const struct learner_options *o, struct learner **out,
                 struct err *err)
{
    struct learner *l = xcalloc(1, sizeof *l);
    struct model *m = &l->model;
    const struct model_options options = {.pooling = o->pooling};
    struct hash128 weights;
    *out = NULL;
    int rc = kernels_init(err) || model_read(m, dir, &options, &weights, err) ? -1 : 0;
    const bool keep = !rc && head_fits(&m->config, o);
    if (rc || prepare(l, o, keep, err) || learner_read_params(l, keep, o->seed, err) ||
        learner_keep_files(l, NULL, err)) {
        learner_close(l);
        return err_wrap(err, "cannot open the model '%s'", dir);
    }
    model_describe(m, weights);
    if (finish(l, o, err)) {
        learner_close(l);
        return -1;
    }
    *out = l;
    return 0;
}

int learner_random(const char *config_file, const char *tokenizer_dir,
                   const struct learner_options *o, struct learner **out, struct err *err)
{
    struct learner *l = xcalloc(1, sizeof *l);
    struct model *m = &l->model;
    const struct model_options options = {.pooling = o->pooling};
    const struct hash128 none = {{0}};
    *out = NULL;
    if (kernels_init(err) ||
        config_read_new(&m->config, config_file, tokenizer_dir, &options, err) ||
        model_read_tokenizer(m, err) || prepare(l, o, false, err) ||
        learner_keep_files(l, config_file, err)) {
        learner_close(l);
        return err_wrap(err, "cannot make a model from '%s'", config_file);
    }
    for (int i = 0; i < m->params.n; i++)
        learner_init(l, i, o->seed);
    l->new_head = o->head != HEAD_SENTENCE;
    model_describe(m, none);
    if (finish(l, o, err)) {
        learner_close(l);
        return -1;
    }
    *out = l;
    return 0;
}

void learner_close(struct learner *l)
{
    if (!l)
        return;
    for (int i = 0; l->file_name && i < l->model.params.n; i++)
        free(l->file_name[i]);
    free(l->file_name);
    for (int i = 0; i < l->n_kept; i++)
        str_release(&l->kept[i].bytes);
    free(l->weights);
    free(l->gradients);
    free(l->packed);
    model_release(&l->model);
    free(l);
}

/* ---- looking at it, running it ------------------------------------------------------------------
 */

bool learner_new_head(const struct learner *l)
{
    return l->new_head;
}

const char *const *learner_labels(const struct learner *l, int *n)
{
    *n = l->n_labels;
    return (const char *const *)l->model.config.label;
}

const struct model_info *learner_info(const struct learner *l)
{
    return &l->model.info;
}

const struct tokenizer *learner_tokenizer(const struct learner *l)
{
    return l->model.tokenizer;
}

struct params *learner_params(struct learner *l)
{
    return &l->model.params;
}

const char *learner_file_name(const struct learner *l, int param)
{
    return l->file_name[param];
}

void learner_set_always_answers(struct learner *l, bool always)
{
    l->model.config.always_answers = always;
}

size_t learner_bytes(const struct learner *l)
{
    return l->bytes;
}

static int make_tape(struct learner *l, enum tape_mode mode, struct pool *pool, bool states,
                     struct tape *t, struct learner_slots *slots, struct err *err)
{
    tape_init(t, &l->model.params, mode);
    t->precision = l->bf16 ? PRECISION_BF16 : PRECISION_FP32;
    t->pool = pool;
    *slots = head_build(&l->model.config, l->model.head, l->n_labels, t);
    if (states)
        tape_keep(t, slots->hidden);
    if (tape_finish(t, slots->out, err) == 0)
        return 0;
    tape_release(t);
    return -1;
}

int learner_tape(struct learner *l, enum tape_mode mode, struct pool *pool, struct tape *t,
                 struct learner_slots *slots, struct err *err)
{
    return make_tape(l, mode, pool, false, t, slots, err);
}

int learner_tape_states(struct learner *l, enum tape_mode mode, struct pool *pool, struct tape *t,
                        struct learner_slots *slots, struct err *err)
{
    return make_tape(l, mode, pool, true, t, slots, err);
}

static void pack_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct params *s = ctx;
    const struct param *p = s->p[item];
    if (p->kind != PARAM_MATRIX)
        return;
    if (p->precision == PRECISION_BF16)
        kern.gemm_bf16_pack((void *)(uintptr_t)p->packed_bf16.data, p->w, p->cols, p->rows,
                            p->cols);
    else
        kern.gemm_pack((float *)(uintptr_t)p->packed.data, p->w, p->cols, p->rows, p->cols);
}

/* A square of the matrix at a time, so that both sides stay in cache. */
static void transpose(float *to, const struct param *p)
{
    enum { SIDE = 32 };
    for (int i0 = 0; i0 < p->rows; i0 += SIDE)
        for (int j0 = 0; j0 < p->cols; j0 += SIDE)
            for (int i = i0; i < p->rows && i < i0 + SIDE; i++)
                for (int j = j0; j < p->cols && j < j0 + SIDE; j++)
                    to[(size_t)j * (size_t)p->rows + (size_t)i] =
                        p->w[(size_t)i * (size_t)p->cols + (size_t)j];
}

void learner_refresh(struct learner *l, struct pool *pool)
{
    struct params *s = &l->model.params;
    if (pool)
        pool_run(pool, s->n, pack_item, s);
    for (int i = 0; i < s->n && !pool; i++)
        pack_item(s, i, 0);
    for (int i = 0; i < s->n; i++) {
        const struct param *p = s->p[i];
        if (!p->back_bf16.data)
            continue;
        transpose(l->packed, p);
        kern.gemm_bf16_pack((void *)(uintptr_t)p->back_bf16.data, l->packed, p->rows, p->cols,
                            p->rows);
    }
}
