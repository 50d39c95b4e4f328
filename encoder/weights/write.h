/* write.h - writing one .safetensors file: F32 tensors, little-endian, whole or not at all. */
#ifndef SEMSEARCH_ENCODER_WEIGHTS_WRITE_H
#define SEMSEARCH_ENCODER_WEIGHTS_WRITE_H

#include "src/base/err.h"

#include <stddef.h>
#include <stdint.h>

struct tensor_out {
    const char *name;
    const float *data;
    int64_t rows, cols; /* cols 0: one dimension, of `rows` */
};

/* Writes the tensors in the given order under a temporary name, syncs and renames. The header says
 * "format": "pt", as transformers wants it. The same tensors give the same bytes. */
int safetensors_write(const char *path, const struct tensor_out *t, size_t n,
                      struct err *err) WARN_UNUSED;

#endif
