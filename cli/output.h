/* output.h - what reaches the terminal: results on standard output, all else on standard error.
 *
 * Commands build a whole answer in a `struct str` and hand it over; out_flush() at the end of main
 * finds out whether it was really written (a full disk, a closed pipe).
 */
#ifndef SEMSEARCH_CLI_OUTPUT_H
#define SEMSEARCH_CLI_OUTPUT_H

#include "cli/args.h"
#include "src/base/json.h"
#include "src/base/progress.h"
#include "src/base/str.h"

/* Decides on colours from --color, NO_COLOR, TERM and whether stdout is a terminal; called once. */
void out_init(const struct args *a);
bool out_color(void);  /* escape sequences on standard output */
bool out_is_tty(void); /* standard output is a terminal */
int out_columns(void); /* of the terminal, 80 when unknown */

/* Writes to standard output. After a failure (EPIPE, ENOSPC) further writes do nothing. */
void out_write(struct span s);
void out_str(struct str *s); /* writes, then releases */
bool out_failed(void);       /* a write did not go through: commands that stream stop reading */
void out_push(void);         /* what was written so far goes out now, for whoever waits for it */
int out_flush(
    struct err *err); /* -1: something was not written; a closed pipe has an empty message */

/* One line on standard error, unless --quiet. */
void note(const char *fmt, ...) PRINTF_LIKE(1, 2);

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_PATH, STYLE_MATCH, STYLE_GOOD, STYLE_BAD };
void styled(struct str *out, enum style style,
            struct span text); /* escape sequences only with out_color() */

/* Text for a terminal: control characters (ESC too) and invalid UTF-8 shown harmlessly, newline
 * kept when `lines`. */
void printable(struct str *out, struct span text, bool lines);

/* A progress bar on standard error: only on a terminal, not with --quiet. The sink may be used when
 * it is off. */
struct bar {
    struct progress_sink sink;
    bool on, drawn;
    double drawn_ms;
    const char *phase; /* the one that rate and time left are about; it began with this: */
    double phase_ms;
    int64_t phase_done, phase_tokens;
};
void bar_init(struct bar *b, const struct args *a);
void bar_line(struct bar *b, const char *line); /* draws a line of the caller's, cut to the width */
void bar_end(struct bar *b);                    /* wipes the line */

/* {"schema":1, ...: begins the one document of --json (or one line of --jsonl). */
void json_begin(struct json_writer *w, struct str *out);
void json_finish(struct json_writer *w); /* closes it and adds the newline */

#endif
