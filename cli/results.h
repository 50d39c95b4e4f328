/* results.h - search results as text, JSON, JSON lines or paths; shared by `query` and `similar`.
 */
#ifndef SEMSEARCH_CLI_RESULTS_H
#define SEMSEARCH_CLI_RESULTS_H

#include "cli/args.h"
#include "cli/place.h"
#include "src/base/json.h"

struct results_context {
    const struct args *a;
    const struct place *place;
    struct store *store;
    const char *model; /* the index's model by name; NULL: none */
    const char *mode;
    bool many; /* several queries: text output names each */
};

/* One answer, written to standard output as --json, --jsonl, --paths or text ask; `query` is what
 * was asked. With several queries under --json the caller opens and closes the array. */
int results_write(const struct results_context *c, struct span query,
                  const struct search_answer *answer, struct err *err) WARN_UNUSED;
void results_json(const struct results_context *c, struct span query,
                  const struct search_answer *answer, struct json_writer *w);

/* The options of query and similar as a search; `kinds`, dates and limits are checked. */
int results_options(const struct args *a, struct search_options *o, struct err *err) WARN_UNUSED;

/* The values of --kind as a mask of 1 << KIND. */
int results_kinds(const struct arg_list *list, uint32_t *mask, struct err *err) WARN_UNUSED;

#endif
