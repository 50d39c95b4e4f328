/* load.c - weight files to image; see load.h. */
#include "encoder/model/load.h"

#include "encoder/model/cache.h"
#include "src/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE_ALIGN = 16 /* floats: a cache line */ };

struct loader {
    const struct model_config *c;
    const struct weight_sources *s;
    struct params *params;
    struct image *im;
    struct tensors tensors;
    float *scratch; /* of the largest matrix */
};

/* ---- filling the image --------------------------------------------------------------------------
 */

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
        if (tensors_find(&l->tensors, p, &found[i], err))
            return -1;
        if (can_borrow(p, &found[i])) {
            const struct map *m = NULL;
            for (int g = 0; g <= l->c->n_modules && !m; g++)
                if (found[i].file < l->s->begin[g + 1])
                    m = &l->tensors.group[g].file[found[i].file - l->s->begin[g]].map;
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
            tensor_widen(rows, found[i].part[k]);
            rows += found[i].part[k]->n_elements;
        }
        if (p->kind == PARAM_MATRIX)
            pack(dst, p, l->scratch);
    }
}

static int pack_from_files(struct image *im, struct params *params, const struct model_config *c,
                           const struct weight_sources *s, struct err *err)
{
    struct loader l = {.c = c, .s = s, .params = params, .im = im};
    struct found *found = xcalloc((size_t)params->n + 1, sizeof *found);
    im->n = params->n;
    im->place = xcalloc((size_t)params->n + 1, sizeof *im->place);
    int rc = tensors_open(&l.tensors, c, s, err);
    if (!rc) {
        im->parameters = l.tensors.parameters;
        rc = place_all(&l, found, err) || tensors_check_unused(&l.tensors, err) ? -1 : 0;
    }
    if (!rc)
        fill_all(&l, found);
    tensors_close(&l.tensors);
    free(l.scratch);
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
