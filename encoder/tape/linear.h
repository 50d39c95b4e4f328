/* linear.h - what the kinds of the linear operation share: the roles of their inputs and
 * parameters. One layer is one op of one of these kinds; tape_linear (op_linear.c) picks the kind
 * by the tape's precision.
 */
#ifndef SEMSEARCH_ENCODER_TAPE_LINEAR_H
#define SEMSEARCH_ENCODER_TAPE_LINEAR_H

#include "encoder/tape/tape.h"

enum { LINEAR_WEIGHT, LINEAR_BIAS };
enum { LINEAR_X, LINEAR_RESIDUAL };

/* op_linear_low.c; the last one trains: both products with the weights in bf16, their gradient in
 * fp32 */
extern const struct op_kind op_linear_bf16, op_linear_int8, op_linear_mixed;

/* Going down, for every kind: dW += dY^T X and db += the sum of dY's rows, over scratch of
 * linear_back_scratch() floats a worker. */
void linear_dw(struct tape *t, const struct op *o, const struct batch *b);
size_t linear_back_scratch(const struct op *o, const struct batch *b);

#endif
