/* args_table.h - the rows behind args.h, for the parser (args.c) and the generators (args_doc.c)
 * only. */
#ifndef SEMSEARCH_CLI_ARGS_TABLE_H
#define SEMSEARCH_CLI_ARGS_TABLE_H

#include "cli/args.h"

enum arg_type {
    ARG_FLAG,
    ARG_TEXT,
    ARG_CHOICE,
    ARG_COUNT,
    ARG_WHOLE,
    ARG_SIZE,
    ARG_REAL,   /* not negative */
    ARG_SIGNED, /* a real number of either sign */
    ARG_LIST
};

struct option_row {
    const char *name; /* long name without dashes */
    char letter;      /* short form or 0 */
    enum arg_type type;
    const char *meta; /* name of the value in help; for ARG_CHOICE the choices, '|' between */
    const char *of;   /* commands, blank between; "*": all */
    size_t offset;    /* of the field in struct args */
    const char *help;
};

extern const struct option_row options[];
extern const size_t n_options;

bool option_applies(const struct option_row *o, const struct command *c);

#endif
