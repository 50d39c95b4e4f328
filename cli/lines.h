/* lines.h - texts of a file or of standard input, one a line. Only '\n' ends a line; a last line
 * without it counts. Input may be endless, a line is 64 MiB at most. */
#ifndef SEMSEARCH_CLI_LINES_H
#define SEMSEARCH_CLI_LINES_H

#include "cli/args.h"

#include <stdio.h>

struct lines {
    FILE *file;
    const char *name; /* for messages: the file's name, or "standard input" */
    char *buf;
    size_t cap;
    int64_t number; /* of the line last read, 1-based */
};

/* From the command's one optional argument: a file, or "-" or nothing for standard input. */
int lines_open(const struct args *a, struct lines *l, struct err *err) WARN_UNUSED;
/* 1: a line, without its '\n', borrowed until the next call; 0: the end; -1: cannot be read, too
 * long (ERR_LIMIT), or ERR_STOPPED. */
int lines_next(struct lines *l, struct span *line, struct err *err) WARN_UNUSED;
void lines_close(struct lines *l);

#endif
