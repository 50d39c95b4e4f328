/* param.h - the weights of a model as its ops see them: named, shaped, shared.
 *
 * The code that builds a tape asks for each parameter by name and shape. The first tape of a model
 * is built over an empty set and thereby declares what must be loaded; the set is then filled and
 * frozen, and later tapes (one a thread) find the same parameters in it. So the list of a model's
 * tensors and their shapes is written down once, where they are used, and a parameter that is used
 * twice (tied or shared weights) is one parameter.
 */
#ifndef SEMSEARCH_ENCODER_TAPE_PARAM_H
#define SEMSEARCH_ENCODER_TAPE_PARAM_H

#include "src/base/precision.h"
#include "src/kernels/kernels.h"

#include <stdbool.h>
#include <stddef.h>

enum param_kind {
    PARAM_TABLE,  /* rows are looked up one by one: row-major x */
    PARAM_MATRIX, /* the weights of a linear layer, [out, in]: packed for gemm */
    PARAM_VECTOR  /* a bias, a norm's gamma: x, rows == 1 */
};

struct param {
    char *name; /* canonical: "layer.0.qkv.weight" */
    enum param_kind kind;
    int rows, cols;
    const float *x; /* [rows, cols]; NULL for a matrix that was only kept packed */
    float *w;       /* the same numbers while they are trained (fp32 masters); else NULL */
    float *dx;      /* their gradient, [rows, cols], which every backward adds to; NULL:
                       not trained, or frozen */
    /* PARAM_MATRIX: the form that the ops multiply with, which is the one of `precision`. The
     * others are empty, unless a learner keeps several. */
    enum precision precision;
    struct packed_f32 packed;
    struct packed_bf16 packed_bf16;
    struct packed_i8 packed_i8;
    struct packed_bf16 back_bf16; /* of the transpose: going down, in a tape that trains in bf16 */
};

struct params {
    struct param **p; /* in order of declaration */
    int n, cap;
    bool frozen; /* asking for an unknown one is an error now */
};

void params_release(struct params *s); /* names and records; the numbers are their loader's */

/* The index of a parameter, which is added when it is new. -1 with err when its shape or kind
 * contradicts an earlier use, or when it is unknown to a frozen set. */
int params_get(struct params *s, const char *name, enum param_kind kind, int rows, int cols,
               struct err *err) WARN_UNUSED;

#endif
