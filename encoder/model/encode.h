/* encode.h - the parts of an encoder that predict.c works with as well. */
#ifndef SEMSEARCH_ENCODER_MODEL_ENCODE_H
#define SEMSEARCH_ENCODER_MODEL_ENCODE_H

#include "encoder/model/runner.h"

struct runner *encoder_runner(struct encoder *e);
struct encoding *encoder_scratch(struct encoder *e, int worker); /* of that worker alone */

#endif
