/* tensors.c - from the tape's parameters to the tensors of the files; see tensors.h. */
#include "encoder/model/tensors.h"

#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the files ----------------------------------------------------------------------------------
 */

int weight_sources_find(struct weight_sources *s, const struct model_config *c, struct err *err)
{
    *s = (struct weight_sources){0};
    int rc = weight_list_add(&s->list, c->encoder_dir, err);
    for (int i = 0; i < c->n_modules && !rc; i++) {
        s->begin[i + 1] = s->list.n;
        if (c->module[i].dir)
            rc = weight_list_add(&s->list, c->module[i].dir, err);
    }
    for (int g = c->n_modules + 1; g < MODULES_MAX + 2; g++)
        s->begin[g] = s->list.n;
    if (rc)
        weight_sources_release(s);
    return rc;
}

void weight_sources_release(struct weight_sources *s)
{
    weight_list_release(&s->list);
}

static int64_t count_numbers(const struct weights *w)
{
    int64_t n = 0;
    for (size_t i = 0; i < w->n_files; i++)
        for (size_t k = 0; k < w->file[i].n_tensors; k++)
            if (w->file[i].tensor[k].dtype != DTYPE_OTHER)
                n += w->file[i].tensor[k].n_elements;
    return n;
}

int weight_sources_count(const struct weight_sources *s, int64_t *parameters, struct err *err)
{
    *parameters = 0;
    for (size_t i = 0; i < s->list.n; i++) {
        struct weights w;
        if (weights_open(&w, &s->list, i, i + 1, err))
            return -1;
        *parameters += count_numbers(&w);
        weights_close(&w);
    }
    return 0;
}

/* ---- finding a parameter's tensors --------------------------------------------------------------
 */

/* "x.LayerNorm.weight" was once called "x.LayerNorm.gamma"; a decoder's bias stands under either of
 * its two names. */
static bool other_name(const char *name, char old[NAME_MAX_BYTES + 64])
{
    static const char *const pair[][2] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                                          {"LayerNorm.bias", "LayerNorm.beta"},
                                          {"cls.predictions.bias", "cls.predictions.decoder.bias"},
                                          {"lm_head.bias", "lm_head.decoder.bias"}};
    for (size_t i = 0; i < ARRAY_LEN(pair); i++)
        if (span_ends(span_of(name), pair[i][0])) {
            const size_t stem = strlen(name) - strlen(pair[i][0]);
            snprintf(old, NAME_MAX_BYTES + 64, "%.*s%s", (int)stem, name, pair[i][1]);
            return true;
        }
    return false;
}

/* Tensors of heads never have the prefix. */
static const struct tensor *find_in_encoder(const struct tensors *l, const struct param *p,
                                            const char *name, size_t *file)
{
    char full[NAME_MAX_BYTES + 32], old[NAME_MAX_BYTES + 64];
    const bool prefixed = l->prefixed && strncmp(p->name, "head.", 5);
    snprintf(full, sizeof full, "%s%.*s", prefixed ? l->c->family->prefix : "", NAME_MAX_BYTES - 1,
             name);
    const struct tensor *t = weights_find(&l->group[0], full, file);
    return t || !other_name(full, old) ? t : weights_find(&l->group[0], old, file);
}

/* Rows and columns of one part of a parameter; a vector's tensor has one dimension. */
static int check_part(const struct param *p, const struct tensor *t, int parts, const char *name,
                      const char *path, struct err *err)
{
    char expected[64], got[128];
    const int rows = p->rows / parts;
    const bool vector = p->kind == PARAM_VECTOR;
    const int wide = vector ? p->cols / parts : p->cols;
    if (vector)
        snprintf(expected, sizeof expected, "[%d]", wide);
    else
        snprintf(expected, sizeof expected, "[%d, %d]", rows, wide);
    if (!t) {
        err_kind_set(err, ERR_FORMAT, "'%s' has no tensor '%s' (expected %s)", path, name,
                     expected);
        return err_hint(err, "the weights do not belong to this config.json");
    }
    if (t->dtype == DTYPE_OTHER)
        return err_kind_set(err, ERR_FORMAT,
                            "'%s': tensor '%s' is %s; F32, F16 and BF16 can be read", path, name,
                            t->dtype_name);
    const bool fits = vector ? t->n_dims == 1 && t->shape[0] == wide
                             : t->n_dims == 2 && t->shape[0] == rows && t->shape[1] == wide;
    if (fits)
        return 0;
    tensor_shape_text(t, got);
    return err_kind_set(err, ERR_FORMAT, "'%s': tensor '%s' is %s, expected %s", path, name, got,
                        expected);
}

static int find_encoder_param(struct tensors *l, const struct param *p, struct found *f,
                              struct err *err)
{
    char name[NAME_PARTS][NAME_MAX_BYTES];
    f->n = family_file_names(l->c->family, p->name, name);
    if (f->n == 0)
        return err_set(err, "family '%s' has no tensor for '%s'", l->c->family->name, p->name);
    for (int k = 0; k < f->n; k++) {
        size_t file = 0;
        f->part[k] = find_in_encoder(l, p, name[k], &file);
        if (check_part(p, f->part[k], f->n, name[k], l->s->list.file[file].path, err))
            return -1;
        l->used[file][f->part[k] - l->group[0].file[file].tensor] = true;
        if (k == 0)
            f->file = file;
    }
    return 0;
}

/* "module.2.weight": a Dense has linear.weight, a LayerNorm norm.weight. */
static int find_module_param(struct tensors *l, const struct param *p, struct found *f,
                             struct err *err)
{
    char *rest, name[64];
    const long i = strtol(p->name + strlen("module."), &rest, 10);
    snprintf(name, sizeof name, "%s%s", l->c->module[i].kind == MODULE_DENSE ? "linear" : "norm",
             rest);
    size_t file = 0;
    f->n = 1;
    f->part[0] = weights_find(&l->group[i + 1], name, &file);
    f->file = l->s->begin[i + 1] + file;
    return check_part(p, f->part[0], 1, name, l->s->list.file[f->file].path, err);
}

int tensors_find(struct tensors *l, const struct param *p, struct found *f, struct err *err)
{
    return strncmp(p->name, "module.", 7) ? find_encoder_param(l, p, f, err)
                                          : find_module_param(l, p, f, err);
}

static void detect_prefix(struct tensors *l)
{
    for (size_t i = 0; i < l->group[0].n_files; i++)
        for (size_t k = 0; k < l->group[0].file[i].n_tensors; k++)
            if (span_starts(span_of(l->group[0].file[i].tensor[k].name), l->c->family->prefix))
                l->prefixed = true;
}

/* A tensor that nobody asked for and that is no known head or buffer means that the folder is not
 * what its config says (more layers, another architecture): better to say so than to be wrong. */
int tensors_check_unused(const struct tensors *l, struct err *err)
{
    const struct weights *w = &l->group[0];
    for (size_t i = 0; i < w->n_files; i++)
        for (size_t k = 0; k < w->file[i].n_tensors; k++) {
            const char *name = w->file[i].tensor[k].name;
            if (l->used[i][k])
                continue;
            if (span_starts(span_of(name), l->c->family->prefix))
                name += strlen(l->c->family->prefix);
            if (family_ignores(l->c->family, name))
                continue;
            char shape[128];
            tensor_shape_text(&w->file[i].tensor[k], shape);
            err_kind_set(err, ERR_FORMAT, "'%s' has an unexpected tensor '%s' %s", w->file[i].path,
                         w->file[i].tensor[k].name, shape);
            return err_hint(err, "config.json (%s, %d layers) does not describe these weights",
                            l->c->family->name, l->c->layers);
        }
    return 0;
}

void tensor_widen(float *dst, const struct tensor *t)
{
    const size_t n = (size_t)t->n_elements;
    uint16_t half[256];
    if (t->dtype == DTYPE_F32) {
        memcpy(dst, t->data, n * sizeof *dst);
        return;
    }
    for (size_t i = 0; i < n; i += ARRAY_LEN(half)) { /* the mapping may be of odd alignment */
        const size_t m = n - i < ARRAY_LEN(half) ? n - i : ARRAY_LEN(half);
        memcpy(half, t->data + i * sizeof *half, m * sizeof *half);
        (t->dtype == DTYPE_F16 ? kern.f16_to_f32 : kern.bf16_to_f32)(dst + i, half, m);
    }
}

int tensors_open(struct tensors *l, const struct model_config *c, const struct weight_sources *s,
                 struct err *err)
{
    *l = (struct tensors){.c = c, .s = s};
    for (int g = 0; g <= c->n_modules; g++) {
        if (weights_open(&l->group[g], &s->list, s->begin[g], s->begin[g + 1], err)) {
            tensors_close(l);
            return -1;
        }
        l->parameters += count_numbers(&l->group[g]);
    }
    l->used = xcalloc(l->group[0].n_files + 1, sizeof *l->used);
    for (size_t i = 0; i < l->group[0].n_files; i++)
        l->used[i] = xcalloc(l->group[0].file[i].n_tensors + 1, sizeof **l->used);
    detect_prefix(l);
    return 0;
}

void tensors_close(struct tensors *l)
{
    for (size_t i = 0; l->used && i < l->group[0].n_files; i++)
        free(l->used[i]);
    free(l->used);
    for (int g = 0; g <= MODULES_MAX; g++)
        weights_close(&l->group[g]);
    *l = (struct tensors){0};
}
