/* load.c - weight files to image; see load.h. */
#include "encoder/model/load.h"

#include "encoder/model/cache.h"
#include "src/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE_ALIGN = 16 /* floats: a cache line */ };

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

struct loader {
    const struct model_config *c;
    const struct weight_sources *s;
    struct params *params;
    struct image *im;
    struct weights group[MODULES_MAX + 1];
    bool prefixed;  /* the encoder's names carry the family's prefix */
    bool **used;    /* [encoder files][tensors] */
    float *scratch; /* of the largest matrix */
};

struct found {
    const struct tensor *part[NAME_PARTS];
    int n;
    size_t file; /* of part 0, in the list */
};

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
static const struct tensor *find_in_encoder(const struct loader *l, const struct param *p,
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

static int find_encoder_param(struct loader *l, const struct param *p, struct found *f,
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
static int find_module_param(struct loader *l, const struct param *p, struct found *f,
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

static int find_param(struct loader *l, const struct param *p, struct found *f, struct err *err)
{
    return strncmp(p->name, "module.", 7) ? find_encoder_param(l, p, f, err)
                                          : find_module_param(l, p, f, err);
}

static void detect_prefix(struct loader *l)
{
    for (size_t i = 0; i < l->group[0].n_files; i++)
        for (size_t k = 0; k < l->group[0].file[i].n_tensors; k++)
            if (span_starts(span_of(l->group[0].file[i].tensor[k].name), l->c->family->prefix))
                l->prefixed = true;
}

/* A tensor that nobody asked for and that is no known head or buffer means that the folder is not
 * what its config says (more layers, another architecture): better to say so than to be wrong. */
static int check_unused(const struct loader *l, struct err *err)
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

/* ---- filling the image --------------------------------------------------------------------------
 */

static void widen(float *dst, const struct tensor *t)
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

/* A table in the form that we need can stay where it is. */
static bool can_borrow(const struct param *p, const struct found *f)
{
    return p->kind == PARAM_TABLE && f->n == 1 && f->part[0]->dtype == DTYPE_F32 &&
           (uintptr_t)f->part[0]->data % sizeof(float) == 0;
}

/* Numbers of a parameter in the form that the ops use, in floats. */
static size_t form_floats(const struct param *p)
{
    if (p->kind != PARAM_MATRIX)
        return (size_t)p->rows * (size_t)p->cols;
    size_t bytes = 0;
    switch (p->precision) {
    case PRECISION_FP32:
        return kern.gemm_packed_floats(p->rows, p->cols);
    case PRECISION_BF16:
        bytes = kern.gemm_bf16_packed_bytes(p->rows, p->cols);
        break;
    case PRECISION_INT8:
        bytes = kern.gemm_i8_packed_bytes(p->rows, p->cols);
        break;
    }
    return (bytes + sizeof(float) - 1) / sizeof(float);
}

static void pack(float *dst, const struct param *p, const float *w)
{
    switch (p->precision) {
    case PRECISION_FP32:
        kern.gemm_pack(dst, w, p->cols, p->rows, p->cols);
        break;
    case PRECISION_BF16:
        kern.gemm_bf16_pack(dst, w, p->cols, p->rows, p->cols);
        break;
    case PRECISION_INT8:
        kern.gemm_i8_pack(dst, w, p->cols, p->rows, p->cols);
        break;
    }
}

static void point_matrix(struct param *p, const float *x)
{
    switch (p->precision) {
    case PRECISION_FP32:
        p->packed = (struct packed_f32){.n_out = p->rows, .k = p->cols, .data = x};
        break;
    case PRECISION_BF16:
        p->packed_bf16 = (struct packed_bf16){.n_out = p->rows, .k = p->cols, .data = x};
        break;
    case PRECISION_INT8:
        p->packed_i8 = (struct packed_i8){.n_out = p->rows, .k = p->cols, .data = x};
        break;
    }
}

static size_t image_floats_of(const struct param *p)
{
    return (form_floats(p) + IMAGE_ALIGN - 1) / IMAGE_ALIGN * IMAGE_ALIGN;
}

static int place_all(struct loader *l, struct found *found, struct err *err)
{
    struct image *im = l->im;
    size_t largest = 0;
    for (int i = 0; i < l->params->n; i++) {
        const struct param *p = l->params->p[i];
        if (find_param(l, p, &found[i], err))
            return -1;
        if (can_borrow(p, &found[i])) {
            const struct map *m = NULL;
            for (int g = 0; g <= l->c->n_modules && !m; g++)
                if (found[i].file < l->s->begin[g + 1])
                    m = &l->group[g].file[found[i].file - l->s->begin[g]].map;
            im->place[i] = (struct placement){(uint64_t)(found[i].part[0]->data - m->p),
                                              (uint32_t)found[i].file + 1, 0};
            continue;
        }
        im->place[i] = (struct placement){im->floats * sizeof(float), 0, 0};
        im->floats += image_floats_of(p);
        const size_t n = (size_t)p->rows * (size_t)p->cols;
        largest = p->kind == PARAM_MATRIX && n > largest ? n : largest;
    }
    void *block, *scratch;
    if (mem_try(&block, (im->floats + 1) * sizeof(float), "the model's weights", err))
        return -1;
    im->data = im->owned = block;
    memset(block, 0, im->floats * sizeof(float)); /* the gaps are part of the cache file's hash */
    if (mem_try(&scratch, (largest + 1) * sizeof(float), "loading the model's weights", err))
        return -1;
    l->scratch = scratch;
    return 0;
}

static void fill_all(struct loader *l, const struct found *found)
{
    for (int i = 0; i < l->params->n; i++) {
        const struct param *p = l->params->p[i];
        if (l->im->place[i].file)
            continue;
        float *dst = l->im->owned + l->im->place[i].offset / sizeof(float);
        float *rows = p->kind == PARAM_MATRIX ? l->scratch : dst;
        for (int k = 0; k < found[i].n; k++) {
            widen(rows, found[i].part[k]);
            rows += found[i].part[k]->n_elements;
        }
        if (p->kind == PARAM_MATRIX)
            pack(dst, p, l->scratch);
    }
}

static int open_groups(struct loader *l, struct err *err)
{
    for (int g = 0; g <= l->c->n_modules; g++) {
        if (weights_open(&l->group[g], &l->s->list, l->s->begin[g], l->s->begin[g + 1], err))
            return -1;
        l->im->parameters += count_numbers(&l->group[g]);
    }
    l->used = xcalloc(l->group[0].n_files + 1, sizeof *l->used);
    for (size_t i = 0; i < l->group[0].n_files; i++)
        l->used[i] = xcalloc(l->group[0].file[i].n_tensors + 1, sizeof **l->used);
    return 0;
}

static void loader_release(struct loader *l)
{
    for (size_t i = 0; l->used && i < l->group[0].n_files; i++)
        free(l->used[i]);
    free(l->used);
    free(l->scratch);
    for (int g = 0; g <= MODULES_MAX; g++)
        weights_close(&l->group[g]);
}

static int pack_from_files(struct image *im, struct params *params, const struct model_config *c,
                           const struct weight_sources *s, struct err *err)
{
    struct loader l = {.c = c, .s = s, .params = params, .im = im};
    struct found *found = xcalloc((size_t)params->n + 1, sizeof *found);
    im->n = params->n;
    im->place = xcalloc((size_t)params->n + 1, sizeof *im->place);
    int rc = open_groups(&l, err);
    if (!rc) {
        detect_prefix(&l);
        rc = place_all(&l, found, err) || check_unused(&l, err) ? -1 : 0;
    }
    if (!rc)
        fill_all(&l, found);
    loader_release(&l);
    free(found);
    return rc;
}

/* ---- the whole ----------------------------------------------------------------------------------
 */

/* How this build and CPU lay packed weights out, found by packing a small matrix: an image of
 * another layout must not be taken for ours, whatever the version numbers say. */
static void hash_layout(struct hasher *h)
{
    enum { ROWS = 67, COLS = 5, MOST = 4096 };
    float w[ROWS * COLS];
    _Alignas(64) float packed[MOST] = {0};
    for (int i = 0; i < ROWS * COLS; i++)
        w[i] = (float)(i + 1);
    hasher_text(h, span_of(kern.isa));
    hasher_int(h, kern.gemm_panel);
    for (int i = 0; i < PRECISIONS; i++) {
        const struct param p = {
            .kind = PARAM_MATRIX, .rows = ROWS, .cols = COLS, .precision = (enum precision)i};
        const size_t n = form_floats(&p) < ARRAY_LEN(packed) ? form_floats(&p) : 0;
        if (n)
            pack(packed, &p, w);
        hasher_add(h, packed, n * sizeof *packed);
    }
}

/* Content, parameter list and kernel layout. */
static struct hash128 image_key(const struct params *params, struct hash128 id)
{
    struct hasher *h = hasher_new();
    hasher_text(h, span_of("semsearch packed image 2"));
    hasher_add(h, id.b, sizeof id.b);
    hash_layout(h);
    for (int i = 0; i < params->n; i++) {
        hasher_text(h, span_of(params->p[i]->name));
        hasher_int(h, params->p[i]->kind);
        hasher_int(h, params->p[i]->precision);
        hasher_int(h, params->p[i]->rows);
        hasher_int(h, params->p[i]->cols);
    }
    return hasher_finish(h);
}

/* Points a parameter at its numbers; false when the placement leaves its file. */
static bool point(struct image *im, struct param *p, const struct placement *place)
{
    const size_t n = form_floats(p);
    const unsigned char *base = (const unsigned char *)im->data;
    size_t size = im->floats * sizeof(float);
    if (place->file) {
        if (place->file > im->n_files)
            return false;
        base = im->file[place->file - 1].p;
        size = im->file[place->file - 1].n;
    }
    if (place->offset % sizeof(float) || place->offset > size ||
        n > (size - place->offset) / sizeof(float))
        return false;
    const float *x = (const float *)(base + place->offset);
    if (p->kind == PARAM_MATRIX)
        point_matrix(p, x);
    else
        p->x = x;
    return true;
}

static int attach(struct image *im, struct params *params, const struct weight_sources *s,
                  struct err *err)
{
    im->n_files = s->list.n;
    im->file = xcalloc(s->list.n + 1, sizeof *im->file);
    for (int i = 0; i < im->n; i++) {
        const uint32_t f = im->place[i].file;
        if (f && f <= s->list.n && !im->file[f - 1].p &&
            map_open(&im->file[f - 1], s->list.file[f - 1].path, err))
            return -1;
        if (!point(im, params->p[i], &im->place[i]))
            return err_kind_set(err, ERR_CORRUPT,
                                "the weights of '%s' changed while they were read",
                                params->p[i]->name);
    }
    params->frozen = true;
    return 0;
}

int image_load(struct image *im, struct params *params, const struct model_config *c,
               const struct weight_sources *s, struct hash128 id, struct err *err)
{
    *im = (struct image){0};
    const struct hash128 key = image_key(params, id);
    if (!cache_open_image(im, key, params->n)) {
        if (pack_from_files(im, params, c, s, err)) {
            image_release(im);
            return -1;
        }
        cache_write_image(im, key);
    }
    if (attach(im, params, s, err)) {
        image_release(im);
        return -1;
    }
    return 0;
}

void image_release(struct image *im)
{
    for (size_t i = 0; i < im->n_files; i++)
        map_close(&im->file[i]);
    free(im->file);
    free(im->place);
    free(im->owned);
    map_close(&im->map);
    *im = (struct image){0};
}
