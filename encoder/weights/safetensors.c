/* safetensors.c - reading the header of a .safetensors file; see safetensors.h for the format.
 *
 * The JSON goes through base/json.h, which keeps the last of two equal keys; since a second entry
 * of one name is the classic way to make two readers see two models, the keys of the outermost
 * object are counted in the text and compared with what the parser kept.
 */
#include "encoder/weights/safetensors.h"

#include "src/base/json.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_MAX ((uint64_t)100 * 1000 * 1000)

static const struct {
    const char *name;
    enum dtype dtype;
    size_t bytes;
} dtypes[] = {{"F32", DTYPE_F32, 4},   {"F16", DTYPE_F16, 2},   {"BF16", DTYPE_BF16, 2},
              {"F64", DTYPE_OTHER, 8}, {"I64", DTYPE_OTHER, 8}, {"I32", DTYPE_OTHER, 4},
              {"I16", DTYPE_OTHER, 2}, {"I8", DTYPE_OTHER, 1},  {"U64", DTYPE_OTHER, 8},
              {"U32", DTYPE_OTHER, 4}, {"U16", DTYPE_OTHER, 2}, {"U8", DTYPE_OTHER, 1},
              {"BOOL", DTYPE_OTHER, 1}};

void tensor_shape_text(const struct tensor *t, char out[128])
{
    size_t n = (size_t)snprintf(out, 128, "[");
    for (int i = 0; i < t->n_dims && n < 128; i++)
        n += (size_t)snprintf(out + n, 128 - n, "%s%lld", i ? ", " : "", (long long)t->shape[i]);
    if (n < 128)
        snprintf(out + n, 128 - n, "]");
}

/* Keys of the outermost object of a text that is known to be valid JSON. A string is a key when it
 * opens at depth 1 and a colon follows it; a value never has one. */
static size_t count_top_keys(struct span json)
{
    size_t n_keys = 0;
    int depth = 0;
    for (size_t i = 0; i < json.n; i++) {
        const char c = json.p[i];
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        else if (c == ':' && depth == 1)
            n_keys++;
        else if (c == '"')
            for (i++; i < json.n && json.p[i] != '"'; i++)
                i += json.p[i] == '\\';
    }
    return n_keys;
}

/* A number without a fraction, else -1. */
static int64_t whole(const json_value *v)
{
    const int64_t n = js_int(v, -1);
    return js_number(v, -1) == (double)n ? n : -1;
}

/* Fills shape and n_elements. */
static int read_shape(struct tensor *t, const json_value *shape, struct err *err)
{
    const size_t n = js_count(shape);
    if (!js_is_array(shape) || n > TENSOR_MAX_DIMS)
        return err_set(err, "tensor '%s': shape must be an array of at most %d numbers", t->name,
                       TENSOR_MAX_DIMS);
    t->n_dims = (int)n;
    t->n_elements = 1;
    for (size_t i = 0; i < n; i++) {
        const int64_t d = whole(js_at(shape, i));
        if (d < 0)
            return err_set(err, "tensor '%s': dimension %zu is not a whole number", t->name, i);
        if (__builtin_mul_overflow(t->n_elements, d, &t->n_elements))
            return err_set(err, "tensor '%s': its shape overflows", t->name);
        t->shape[i] = d;
    }
    return 0;
}

static int read_entry(struct tensor *t, const json_value *entry, const unsigned char *data,
                      size_t n_data, struct err *err)
{
    const struct span dtype = js_string(js_get(entry, "dtype"), "");
    size_t bytes = 0;
    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
        if (span_eq(dtype, dtypes[i].name)) {
            t->dtype = dtypes[i].dtype;
            t->dtype_name = dtypes[i].name;
            bytes = dtypes[i].bytes;
        }
    if (!bytes)
        return err_set(err, "tensor '%s': unknown dtype '%.*s'", t->name, (int)dtype.n, dtype.p);
    if (read_shape(t, js_get(entry, "shape"), err))
        return -1;
    const json_value *offsets = js_get(entry, "data_offsets");
    const int64_t begin = whole(js_at(offsets, 0)), end = whole(js_at(offsets, 1));
    if (!js_is_array(offsets) || js_count(offsets) != 2 || begin < 0 || end < begin ||
        (uint64_t)end > n_data)
        return err_set(err, "tensor '%s': data_offsets do not lie inside the %zu bytes of data",
                       t->name, n_data);
    int64_t expected;
    if (__builtin_mul_overflow(t->n_elements, (int64_t)bytes, &expected) ||
        expected != end - begin) {
        char shape[128];
        tensor_shape_text(t, shape);
        return err_set(err, "tensor '%s': %s %s does not take %lld bytes", t->name, t->dtype_name,
                       shape, (long long)(end - begin));
    }
    t->data = data + begin;
    t->n_bytes = (size_t)expected;
    return 0;
}

static int by_position(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes); /* empty ones first */
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

/* The tensors must tile the data: no overlap, no hole, nothing after the last. */
static int check_tiling(struct safetensors *s, const unsigned char *data, size_t n_data,
                        struct err *err)
{
    if (s->n_tensors)
        qsort(s->tensor, s->n_tensors, sizeof *s->tensor, by_position);
    const unsigned char *at = data;
    for (size_t i = 0; i < s->n_tensors; i++) {
        const struct tensor *t = &s->tensor[i];
        if (t->data != at)
            return err_set(err, "tensor '%s' %s", t->name,
                           t->data < at ? "overlaps another" : "leaves a hole before it");
        at += t->n_bytes;
    }
    if (at != data + n_data)
        return err_set(err, "%zu bytes after the last tensor belong to none",
                       (size_t)(data + n_data - at));
    return 0;
}

static int read_tensors(struct safetensors *s, json_value *header, const unsigned char *data,
                        size_t n_data, struct err *err)
{
    s->tensor = xcalloc(js_count(header) + 1, sizeof *s->tensor);
    for (void *it = js_iter(header); it; it = js_iter_next(header, it)) {
        if (!strcmp(js_iter_key(it), "__metadata__"))
            continue;
        struct tensor *t = &s->tensor[s->n_tensors++];
        t->name = xstrdup(js_iter_key(it));
        if (!js_is_object(js_iter_value(it)))
            return err_set(err, "tensor '%s' is not an object", t->name);
        if (read_entry(t, js_iter_value(it), data, n_data, err))
            return -1;
    }
    if (check_tiling(s, data, n_data, err))
        return -1;
    if (s->n_tensors)
        qsort(s->tensor, s->n_tensors, sizeof *s->tensor, by_name);
    return 0;
}

static int read_header(struct safetensors *s, struct err *err)
{
    const unsigned char *p = s->map.p;
    if (s->map.n < 8)
        return err_set(err, "too short to be a safetensors file");
    uint64_t n_header = 0;
    for (int i = 0; i < 8; i++)
        n_header |= (uint64_t)p[i] << (8 * i);
    if (n_header > HEADER_MAX || n_header > s->map.n - 8)
        return err_set(err, "not a safetensors file: its header would take %llu bytes",
                       (unsigned long long)n_header);
    const struct span text = {(const char *)p + 8, (size_t)n_header};
    json_value *header = js_parse(text, "header", err);
    if (!header)
        return -1;
    int rc = -1;
    if (!js_is_object(header))
        err_set(err, "header is not a JSON object");
    else if (count_top_keys(text) != js_count(header))
        err_set(err, "two tensors have the same name");
    else
        rc = read_tensors(s, header, p + 8 + n_header, s->map.n - 8 - (size_t)n_header, err);
    js_free(header);
    return rc;
}

int safetensors_open(struct safetensors *s, const char *path, struct err *err)
{
    *s = (struct safetensors){0};
    if (map_open(&s->map, path, err))
        return -1;
    s->path = xstrdup(path);
    if (read_header(s, err)) {
        safetensors_close(s);
        if (err)
            err->kind = ERR_FORMAT;
        return err_wrap(err, "cannot read '%s'", path);
    }
    return 0;
}

void safetensors_close(struct safetensors *s)
{
    for (size_t i = 0; i < s->n_tensors; i++)
        free((void *)(uintptr_t)s->tensor[i].name);
    free(s->tensor);
    free(s->path);
    map_close(&s->map);
    *s = (struct safetensors){0};
}

const struct tensor *safetensors_find(const struct safetensors *s, const char *name)
{
    const struct tensor key = {.name = name};
    return s->n_tensors ? bsearch(&key, s->tensor, s->n_tensors, sizeof key, by_name) : NULL;
}
