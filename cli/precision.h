/* precision.h - --precision on the command line, and what is told about a model's precisions. */
#ifndef SEMSEARCH_CLI_PRECISION_H
#define SEMSEARCH_CLI_PRECISION_H

#include "cli/registry.h"
#include "src/base/json.h"

/* What the model fares like in bf16 and int8. measure: run the gate where it never was (about a
 * second); else only what is remembered. */
int precision_check(const struct registry_entry *from, bool measure, int threads,
                    struct model_fitness fitness[MODEL_FITNESSES], struct err *err) WARN_UNUSED;

/* The one that `auto` is, of what is known. */
const char *precision_auto(const struct model_fitness fitness[MODEL_FITNESSES]);

/* Lines "precision   ..." of `model show`, and the key "precisions" of its JSON. */
void precision_text(const struct model_fitness fitness[MODEL_FITNESSES], struct str *out);
void precision_json(const struct model_fitness fitness[MODEL_FITNESSES], struct json_writer *w);

#endif
