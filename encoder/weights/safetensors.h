/* safetensors.h - one .safetensors file, mapped and checked: names, shapes and bytes of tensors.
 *
 * The format: u64 little-endian length of the header; the header, a JSON object
 * {name: {dtype, shape, data_offsets: [begin, end]}, "__metadata__": {...}}; then the raw
 * little-endian data, to which the offsets refer. The data is contiguous: every byte belongs to
 * exactly one tensor. (Source: the README of huggingface/safetensors; its library caps the header
 * at 100 MB, and so do we.)
 */
#ifndef SEMSEARCH_ENCODER_WEIGHTS_SAFETENSORS_H
#define SEMSEARCH_ENCODER_WEIGHTS_SAFETENSORS_H

#include "src/base/err.h"
#include "src/base/file.h"

#include <stdint.h>

enum dtype {
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_OTHER /* known to the format, not to us (I64 buffers, F64, ...): named and measured only
                 */
};

enum { TENSOR_MAX_DIMS = 8 };

struct tensor {
    const char *name; /* owned by the file */
    enum dtype dtype;
    const char *dtype_name; /* "F32", "I64", ... */
    int n_dims;
    int64_t shape[TENSOR_MAX_DIMS];
    int64_t n_elements;
    const unsigned char *data; /* in the mapping, of any alignment; n_bytes long */
    size_t n_bytes;
};

struct safetensors {
    char *path;
    struct map map;
    struct tensor *tensor; /* in rising order of name */
    size_t n_tensors;
};

/* Maps and checks the whole header of `path`. Refused: a header over 100 MB or past the end of the
 * file, anything that is not the grammar above, duplicate names, unknown dtypes, more than eight
 * dimensions, products that overflow, a size that is not shape times dtype, offsets out of range,
 * overlaps and holes. The data itself is not read. */
int safetensors_open(struct safetensors *s, const char *path, struct err *err) WARN_UNUSED;
void safetensors_close(struct safetensors *s); /* safe on a zeroed one */

/* NULL: no tensor of that name. */
const struct tensor *safetensors_find(const struct safetensors *s, const char *name);

/* "[30522, 384]" for messages. */
void tensor_shape_text(const struct tensor *t, char out[128]);

#endif
