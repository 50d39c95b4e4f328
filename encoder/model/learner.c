/* learner.c - opening a model for training; see learner.h. What is missing is made by
 * learner_init.c, the way out is export.c. */
#include "encoder/model/learner_inside.h"

#include "src/base/file.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names --------------------------------------------------------------------------------------
 */

static bool is_head(const struct param *p)
{
    return !strncmp(p->name, "head.", 5);
}

static bool is_module(const struct param *p)
{
    return !strncmp(p->name, "module.", 7);
}

int learner_names(const struct learner *l, int param, char name[NAME_PARTS][FULL_NAME_BYTES])
{
    const struct model *m = &l->model;
    const struct param *p = m->params.p[param];
    char plain[NAME_PARTS][NAME_MAX_BYTES];
    if (is_module(p)) {
        snprintf(name[0], FULL_NAME_BYTES, "%s", p->name);
        return 1;
    }
    const int n = family_file_names(m->config.family, p->name, plain);
    const bool prefixed = m->head != HEAD_SENTENCE && !is_head(p);
    for (int k = 0; k < n; k++)
        snprintf(name[k], FULL_NAME_BYTES, "%s%.*s", prefixed ? m->config.family->prefix : "",
                 NAME_MAX_BYTES - 1, plain[k]);
    return n;
}

/* Parts of a parameter whose name a glob matches; with or without the family's prefix. */
static int parts_matched(const struct learner *l, int param, const char *glob, int *parts)
{
    char name[NAME_PARTS][FULL_NAME_BYTES], full[FULL_NAME_BYTES + 32];
    const char *prefix = l->model.config.family->prefix;
    int hits = 0;
    *parts = learner_names(l, param, name);
    for (int k = 0; k < *parts; k++) {
        const bool has = span_starts(span_of(name[k]), prefix);
        snprintf(full, sizeof full, "%.30s%.*s", prefix, FULL_NAME_BYTES - 1, name[k]);
        hits += fnmatch(glob, name[k], 0) == 0 || fnmatch(glob, full, 0) == 0 ||
                (has && fnmatch(glob, name[k] + strlen(prefix), 0) == 0);
    }
    return hits;
}

/* A glob freezes whole parameters; query, key and value are one of them. */
static int freeze(struct learner *l, const char *glob, struct err *err)
{
    bool any = false;
    for (int i = 0; i < l->model.params.n; i++) {
        int parts;
        const int hits = parts_matched(l, i, glob, &parts);
        if (hits && hits < parts) {
            err_kind_set(err, ERR_USAGE, "'%s' freezes only a part of '%s'", glob,
                         l->model.params.p[i]->name);
            return err_hint(err, "query, key and value of a layer are frozen together: use a "
                                 "pattern that all three match");
        }
        if (hits) {
            l->model.params.p[i]->dx = NULL;
            any = true;
        }
    }
    if (any)
        return 0;
    err_kind_set(err, ERR_USAGE, "no tensor matches '%s' (to freeze)", glob);
    return err_hint(err, "names are those of model.safetensors, such as "
                         "'embeddings.*' or 'encoder.layer.0.*'");
}

/* ---- the parameters -----------------------------------------------------------------------------
 */

/* The class without a head has a pooler in the families that have one: nobody reads it here, but
 * the folder goes on having it. */
static int declare_pooler(struct learner *l, struct err *err)
{
    const struct model_config *c = &l->model.config;
    if (l->model.head != HEAD_SENTENCE || !c->family->head->pooler)
        return 0;
    return params_get(&l->model.params, "pooler.weight", PARAM_MATRIX, c->hidden, c->hidden, err) <
                       0 ||
                   params_get(&l->model.params, "pooler.bias", PARAM_VECTOR, 1, c->hidden, err) < 0
               ? -1
               : 0;
}

static int declare(struct learner *l, struct err *err)
{
    struct tape t;
    tape_init(&t, &l->model.params, TAPE_INFER);
    t.precision = l->bf16 ? PRECISION_BF16 : PRECISION_FP32;
    const struct learner_slots slots = head_build(&l->model.config, l->model.head, l->n_labels, &t);
    const int rc = tape_finish(&t, slots.out, err) || declare_pooler(l, err) ? -1 : 0;
    tape_release(&t);
    l->model.params.frozen = rc == 0;
    return rc;
}

/* Begins every parameter at a cache line. */
static size_t line_up(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

/* Floats of the forms of a parameter that ops multiply with. */
static size_t form_floats(const struct param *p)
{
    if (p->kind != PARAM_MATRIX)
        return 0;
    if (p->precision != PRECISION_BF16)
        return line_up(kern.gemm_packed_floats(p->rows, p->cols));
    return line_up(kern.gemm_bf16_packed_bytes(p->rows, p->cols) / sizeof(float) + 1) +
           line_up(kern.gemm_bf16_packed_bytes(p->cols, p->rows) / sizeof(float) + 1);
}

static void point_forms(struct param *p, float *form)
{
    if (p->precision != PRECISION_BF16) {
        p->packed = (struct packed_f32){.n_out = p->rows, .k = p->cols, .data = form};
        return;
    }
    const size_t up = line_up(kern.gemm_bf16_packed_bytes(p->rows, p->cols) / sizeof(float) + 1);
    p->packed_bf16 = (struct packed_bf16){.n_out = p->rows, .k = p->cols, .data = form};
    p->back_bf16 = (struct packed_bf16){.n_out = p->cols, .k = p->rows, .data = form + up};
}

static int allocate(struct learner *l, struct err *err)
{
    struct params *s = &l->model.params;
    size_t floats = 0, packed = 0;
    void *w, *g, *k;
    for (int i = 0; i < s->n; i++) {
        const struct param *p = s->p[i];
        const size_t n = (size_t)p->rows * (size_t)p->cols;
        floats += line_up(n);
        l->n_weights += (int64_t)n;
        packed += form_floats(p);
        l->largest = p->precision == PRECISION_BF16 && n > l->largest ? n : l->largest;
    }
    if (mem_try(&w, (floats + 1) * sizeof(float), "the model's weights", err))
        return -1;
    l->weights = w;
    if (mem_try(&g, (floats + 1) * sizeof(float), "the gradients", err))
        return -1;
    l->gradients = g;
    packed += line_up(l->largest);
    if (mem_try(&k, (packed + 1) * sizeof(float), "the packed weights", err))
        return -1;
    l->packed = k;
    memset(l->weights, 0, floats * sizeof(float));
    memset(l->gradients, 0, floats * sizeof(float));
    l->bytes = (2 * floats + packed) * sizeof(float);
    float *x = l->weights, *dx = l->gradients, *form = l->packed + line_up(l->largest);
    for (int i = 0; i < s->n; i++) {
        struct param *p = s->p[i];
        const size_t n = line_up((size_t)p->rows * (size_t)p->cols);
        p->w = x;
        p->x = x;
        p->dx = dx;
        x += n;
        dx += n;
        if (p->kind == PARAM_MATRIX)
            point_forms(p, form);
        form += form_floats(p);
    }
    return 0;
}

/* ---- from files ---------------------------------------------------------------------------------
 */

static void copy_parts(struct param *p, const struct found *f)
{
    float *w = p->w;
    for (int k = 0; k < f->n; k++) {
        tensor_widen(w, f->part[k]);
        w += f->part[k]->n_elements;
    }
}

/* Tensors of a head that the base is not known to have are taken where they fit (a checkpoint of
 * pre-training has the masked-language head) unless their meaning depends on labels. */
static int read_param(struct learner *l, struct tensors *files, int i, bool keep, uint64_t seed,
                      struct err *err)
{
    struct param *p = l->model.params.p[i];
    const bool head = is_head(p), pooler = !strncmp(p->name, "pooler.", 7);
    const bool optional = pooler || (head && !keep);
    const bool fresh =
        head && !keep && (head_has_labels(l->model.head) || l->model.head == HEAD_SPAN);
    struct found f;
    struct err ignored = {0};
    if (!fresh && tensors_find(files, p, &f, optional ? &ignored : err) == 0) {
        copy_parts(p, &f);
        return 0;
    }
    if (!optional && !fresh)
        return -1;
    l->new_head |= head;
    learner_init(l, i, seed);
    return 0;
}

static int read_params(struct learner *l, bool keep, uint64_t seed, struct err *err)
{
    struct tensors files;
    int rc = tensors_open(&files, &l->model.config, &l->model.sources, err);
    for (int i = 0; i < l->model.params.n && !rc; i++)
        rc = read_param(l, &files, i, keep, seed, err);
    if (!rc)
        rc = tensors_check_unused(&files, err);
    tensors_close(&files);
    return rc;
}

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
    return declare(l, err) || allocate(l, err) ? -1 : 0;
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
        if (freeze(l, o->freeze[i], err))
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
    if (rc || prepare(l, o, keep, err) || read_params(l, keep, o->seed, err) ||
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
