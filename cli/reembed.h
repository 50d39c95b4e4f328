/* reembed.h - how much work `index --reembed` is, said before it starts. */
#ifndef SEMSEARCH_CLI_REEMBED_H
#define SEMSEARCH_CLI_REEMBED_H

#include "cli/engine.h"

/* Notes how many passages and tokens the index has for this model, and how long they will take by
 * the rate of a small sample of them. Nothing for an empty index. */
int reembed_say(struct store *s, const struct engine *e, struct err *err) WARN_UNUSED;

#endif
