/* args.h - the one table of commands and options, and what the command line said.
 *
 * Parsing, --help, the man page and the shell completions all come from the tables in args_table.c.
 * A new option is one row there and one field here; a new command is one row there and one file
 * cmd_*.c.
 */
#ifndef SEMSEARCH_CLI_ARGS_H
#define SEMSEARCH_CLI_ARGS_H

#include "cli/train_args.h"
#include "src/base/err.h"
#include "src/base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct args {
    /* general */
    bool help, json, jsonl, quiet;
    const char *color, *index, *model, *precision;
    int64_t threads;
    /* index */
    bool dry_run, force, hidden, no_ignore, prune, no_prune, reembed;
    int64_t max_file_size;
    double time_limit;
    struct arg_list include, exclude;
    /* query, similar */
    int64_t k, per_file, context;
    const char *mode, *since, *until;
    struct arg_list path, kind;
    double min_score;
    bool exact, explain, paths, nul;
    /* files, status, verify */
    bool failed, skipped, check, repair;
    /* eval */
    const char *data, *qrels, *run;
    bool chunk;
    struct arg_list columns;
    /* tune */
    bool full, remove;
    const char *pairs;
    /* models */
    const char *name, *role, *format, *output, *input, *pooling;
    bool normalize, no_normalize, no_special, pair;
    /* predict */
    const char *task;
    int64_t top, max_answer_length;
    double null_threshold;
    int64_t max_length;
    /* attention */
    int64_t layer, head; /* counted from 1; 0: all */
    const char *html, *text_pair;

    struct train_args train;

    /* what is left: the command's own arguments */
    const char **pos;
    size_t n_pos;
    char **word; /* all of it as it was typed, borrowed: for messages that repeat a command */
    int n_words;
};

struct command {
    const char *name;
    const char *usage;   /* after the name: "[OPTIONS] TEXT..." */
    const char *summary; /* one line for the overview */
    const char *text;    /* paragraphs for --help */
    const char *example;
    int (*run)(const struct args *a, struct err *err); /* the exit code, or -1 with err */
};

extern const struct command commands[]; /* ends with a row whose name is NULL */

/* Finds a command; an unknown one is ERR_USAGE with the nearest name. */
const struct command *command_find(const char *name, struct err *err);

/* Reads argv[0..n) (without the program's and the command's names). */
int args_parse(const struct command *c, int n, char **argv, struct args *a,
               struct err *err) WARN_UNUSED;
void args_release(struct args *a);

void args_help(const struct command *c, struct str *out); /* of one command; NULL: the overview */
void args_formats(struct str *out); /* which formats are read, and by which programs */
void args_man(struct str *out);     /* the manual page, roff */
int args_completions(const char *shell, struct str *out, struct err *err) WARN_UNUSED;

/* "64M", "1.5G", "4096": bytes. */
int parse_size(const char *text, int64_t *bytes, struct err *err) WARN_UNUSED;

#endif
