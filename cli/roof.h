/* roof.h - what this machine could do, for figures of speed to stand beside.
 *
 * The roof is measured, on registers alone and just before and after what is compared with it,
 * because clocks move and neighbours share the machine. The work of a text is counted, not
 * measured: useful multiplications and additions of the encoder's matrix products.
 */
#ifndef SEMSEARCH_CLI_ROOF_H
#define SEMSEARCH_CLI_ROOF_H

#include "encoder/encoder.h"
#include "src/base/precision.h"
#include "src/base/thread.h"

/* Operations a second of all threads of the pool together, over some milliseconds of wall time; 0
 * where there is no probe. kernels_init() has been called. */
double roof_rate(struct pool *pool, enum precision p);

/* Operations of one text of `tokens` tokens: for each layer and token 2 * (4 H^2 + 2 H I) in the
 * linear layers (3 H I where the middle is gated) and 4 H S in attention over S tokens. Embedding,
 * norms and activations are left out. */
double roof_work(const struct model_info *m, int tokens);

#endif
