/* linear.h - what the kinds of the linear operation share: the roles of their inputs and
 * parameters. One layer is one op of one of these kinds; tape_linear (op_linear.c) picks the kind
 * by the tape's precision.
 */
#ifndef SEMSEARCH_ENCODER_TAPE_LINEAR_H
#define SEMSEARCH_ENCODER_TAPE_LINEAR_H

#include "encoder/tape/tape.h"

enum { LINEAR_WEIGHT, LINEAR_BIAS };
enum { LINEAR_X, LINEAR_RESIDUAL };

extern const struct op_kind op_linear_bf16, op_linear_int8; /* op_linear_low.c */

#endif
