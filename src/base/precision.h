/* precision.h - in which numbers the large matrix products of an encoder are done.
 *
 * A property of how a vector was computed, not of what it means: vectors of one model in different
 * precisions may be compared with each other, as far as that model's gate says so
 * (encoder/model/gate.h). Embeddings, norms, sums and pooling are fp32 in all of them. The numbers
 * of the enumeration are stored in files and never change their meaning.
 */
#ifndef SEMSEARCH_BASE_PRECISION_H
#define SEMSEARCH_BASE_PRECISION_H

#include <stdbool.h>

enum precision { PRECISION_FP32 = 0, PRECISION_BF16 = 1, PRECISION_INT8 = 2 };
enum { PRECISIONS = 3 };

const char *precision_name(enum precision p); /* "fp32", "bf16", "int8" */
/* False: no such name; *p is as it was. */
bool precision_find(const char *name, enum precision *p);

#endif
