/* learner_params.c - the parameters of a learner: names in files, memory, numbers; see learner.h.
 */
#include "encoder/model/learner_inside.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int learner_freeze(struct learner *l, const char *glob, struct err *err)
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

int learner_declare(struct learner *l, struct err *err)
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

int learner_allocate(struct learner *l, struct err *err)
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

int learner_read_params(struct learner *l, bool keep, uint64_t seed, struct err *err)
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
