/* dropout.h - which mask belongs to which element: the keys of the counter-based generator.
 *
 * Every dropout of a tape has a site number; a mask is a function of (seed, step, site, the
 * sequence's key, the token's place in its sequence, the column), so that neither threads nor the
 * order and make-up of batches change it, and a gradient computed in two runs (cached gradients)
 * meets the same masks twice.
 */
#ifndef SEMSEARCH_ENCODER_TAPE_DROPOUT_H
#define SEMSEARCH_ENCODER_TAPE_DROPOUT_H

#include "encoder/tape/tape.h"

/* The masks of op o in sequence s; `part` tells several masks of one token apart (heads). */
struct dropout_mask dropout_of(const struct tape *t, const struct op *o, const struct batch *b,
                               int s, int part);
/* Gives o a site and the probability p, 0 <= p < 1. */
void dropout_place(struct tape *t, struct op *o, float p);

#endif
