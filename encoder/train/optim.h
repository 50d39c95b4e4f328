/* optim.h - from gradients to new weights: clipping, AdamW, the rate's schedule.
 *
 * AdamW as torch.optim.AdamW computes it (Loshchilov and Hutter 2019: decoupled decay, bias
 * correction); groups as the Hugging Face Trainer makes them: no decay on biases and on the
 * parameters of norms.
 */
#ifndef SEMSEARCH_ENCODER_TRAIN_OPTIM_H
#define SEMSEARCH_ENCODER_TRAIN_OPTIM_H

#include "encoder/tape/param.h"
#include "src/base/err.h"
#include "src/base/thread.h"

#include <stdint.h>

struct adamw_options {
    double lr, beta1, beta2, eps, weight_decay; /* 2e-5, .9, .999, 1e-8, .01 */
    double layer_decay; /* rate of layer l times this ^ (layers - l), embeddings as layer -1; 0 or
                           1: no */
    int layers;
};

/* The state of one set of parameters: first and second moments of every trained parameter (one with
 * a dx), in the set's order. */
struct adamw {
    struct params *params;
    struct adamw_options options;
    float **m, **v; /* [params->n], NULL where not trained */
    int64_t step;   /* updates so far */
};
int adamw_init(struct adamw *a, struct params *params, const struct adamw_options *o,
               struct err *err) WARN_UNUSED;
void adamw_release(struct adamw *a);

/* The L2 norm over all gradients (in double, fixed order, whatever the threads). */
double gradients_norm(const struct params *p, struct pool *pool);
/* One update of every trained parameter's w with rate lr, its gradient times `clip` (clip by global
 * norm: min(1, max_norm / (norm + 1e-6)), torch.nn.utils.clip_grad_norm_). Gradients are then 0. */
void adamw_step(struct adamw *a, double lr, double clip, struct pool *pool);
/* What is known of one parameter: whether weight decay applies to it, and the factor of its rate
 * (1 without layer_decay). */
bool adamw_decays(const struct param *p);
double adamw_rate(const struct adamw *a, const struct param *p);
/* Bytes of m and v, for the estimate before starting. */
size_t adamw_bytes(const struct params *p);

enum schedule_kind { SCHEDULE_LINEAR, SCHEDULE_COSINE, SCHEDULE_CONSTANT };
/* The factor of the rate at update `step` (0 for the first), transformers' get_*_schedule*. The
 * constant one has no warm-up. */
double schedule_factor(enum schedule_kind kind, int64_t step, int64_t warmup, int64_t total);

#endif
