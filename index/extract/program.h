/* program.h - runs a helper program (pdftotext, catdoc) on a file, confined.
 *
 * The program is started through `semsearch-extract --run`, which sets the limits, cuts off network
 * and writing, and then executes it. The file is its standard input, never an argument: no file
 * name can become an option. Used by extractor.c only.
 */
#ifndef SEMSEARCH_INDEX_EXTRACT_PROGRAM_H
#define SEMSEARCH_INDEX_EXTRACT_PROGRAM_H

#include "index/extract/extract.h"
#include "index/extract/formats.h"

#include <sys/types.h>

/* Fills result (state, reason, hint, doc) from what the program prints. worker: path of
 * semsearch-extract. -1 only when asked to stop or when nothing can be started at all. */
int program_extract(const char *worker, const struct format *format,
                    const struct extract_limits *limits, int fd, struct extract_result *result,
                    struct err *err) WARN_UNUSED;

/* Waits for a helper that should be ending; one that has not done so after grace_ms is killed with
 * its process group. Returns its wait status. */
int helper_wait(pid_t pid, int grace_ms);
enum { HELPER_GRACE_MS = 2000 };

/* The environment of helpers: a fixed locale and a few variables that loaders and sanitizers need;
 * owned array of owned strings, NULL at the end. */
char **helper_environment(void);
void helper_environment_free(char **env);

#endif
