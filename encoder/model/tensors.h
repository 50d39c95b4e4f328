/* tensors.h - which tensors of a folder's files hold the numbers of a parameter.
 *
 * The tape names its parameters canonically; the family's table says what they are called in files,
 * in how many parts, and whether under a prefix. Whoever loads (load.h packs for inference,
 * learner.h copies to train) finds them here.
 */
#ifndef SEMSEARCH_ENCODER_MODEL_TENSORS_H
#define SEMSEARCH_ENCODER_MODEL_TENSORS_H

#include "encoder/model/config.h"
#include "encoder/weights/folder.h"

/* The weight files of a model: those of the encoder, then those of each module that has any. */
struct weight_sources {
    struct weight_list list;
    size_t begin[MODULES_MAX + 2]; /* group g is files [begin[g], begin[g + 1]); 0 is the encoder,
                                      1 + i is module i */
};
int weight_sources_find(struct weight_sources *s, const struct model_config *c,
                        struct err *err) WARN_UNUSED;
void weight_sources_release(struct weight_sources *s);

/* How many numbers the weight files hold, buffers of integers not counted. Reads headers only. */
int weight_sources_count(const struct weight_sources *s, int64_t *parameters,
                         struct err *err) WARN_UNUSED;

/* The open files of a model, and which of their tensors were asked for. */
struct tensors {
    const struct model_config *c;
    const struct weight_sources *s;
    struct weights group[MODULES_MAX + 1];
    bool prefixed;      /* the encoder's names carry the family's prefix */
    bool **used;        /* [encoder files][tensors] */
    int64_t parameters; /* numbers in the files */
};

struct found {
    const struct tensor *part[NAME_PARTS]; /* stacked by rows */
    int n;
    size_t file; /* of part 0, in the list */
};

/* The config and the sources are borrowed. */
int tensors_open(struct tensors *l, const struct model_config *c, const struct weight_sources *s,
                 struct err *err) WARN_UNUSED;
void tensors_close(struct tensors *l); /* safe on a zeroed one */

/* Fails, naming tensor and expected shape, when one is missing or of another shape. */
int tensors_find(struct tensors *l, const struct param *p, struct found *f,
                 struct err *err) WARN_UNUSED;
/* After all were asked for: a tensor that nobody wanted and that is no known head or buffer. */
int tensors_check_unused(const struct tensors *l, struct err *err) WARN_UNUSED;

/* The numbers of a tensor as floats. */
void tensor_widen(float *dst, const struct tensor *t);

#endif
