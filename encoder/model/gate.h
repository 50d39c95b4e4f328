/* gate.h - is a model good enough in a precision? And which one does "auto" mean?
 *
 * The same texts (gate_texts.c) are embedded in fp32 and in the other precision. Passed is
 *   bf16   mean cosine to fp32 >= 0.9999
 *   int8   mean cosine to fp32 >= 0.997
 * and for both, of the decisions "passage a is nearer to this question than b" that fp32 makes with
 * at least ORDER_GAP between the two cosines, 99 % stay: with both sides in the other precision,
 * and with its passages but the question in fp32, since vectors of both may share an index. A model
 * whose numbers do not suit int8 (large outliers) fails here and is then run in the next best.
 *
 * The result is kept as KEY.gate in the cache folder, KEY being a hash of the model's fingerprint,
 * the precision, the instruction set and the version of the program. Opening a model reads it, and
 * never measures.
 */
#ifndef SEMSEARCH_ENCODER_MODEL_GATE_H
#define SEMSEARCH_ENCODER_MODEL_GATE_H

#include "encoder/model/model.h"

/* The built-in texts: questions first, then passages. */
extern const char *const gate_text[];
extern const int gate_questions, gate_passages;

struct gate_figures {
    double mean, worst, order; /* as in struct model_fitness */
};

/* What `low` [questions + passages, dim] is worth against `exact`, both unit vectors. */
void gate_compare(const float *exact, const float *low, int questions, int passages, int dim,
                  struct gate_figures *out);
bool gate_passes(enum precision p, const struct gate_figures *f);
/* Embeds the texts with both models and compares. */
int gate_measure(const struct model *exact, const struct model *low, int threads,
                 struct gate_figures *out, struct err *err) WARN_UNUSED;

/* 0, or ERR_USAGE saying what this CPU lacks for it and what there is. */
int gate_available(enum precision p, struct err *err) WARN_UNUSED;
/* Sets m->precision as the options want; m->info.fingerprint is known. */
int model_settle_precision(struct model *m, const struct model_options *options,
                           struct err *err) WARN_UNUSED;

#endif
