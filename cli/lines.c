/* lines.c - see lines.h. */
#include "cli/lines.h"

#include "src/base/mem.h"
#include "src/base/stop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MOST ((size_t)64 << 20)

int lines_open(const struct args *a, struct lines *l, struct err *err)
{
    *l = (struct lines){0};
    if (a->n_pos > 1)
        return err_kind_set(err, ERR_USAGE,
                            "unexpected argument '%s': one FILE, or - for standard input",
                            a->pos[1]);
    if (a->n_pos == 0 || strcmp(a->pos[0], "-") == 0) {
        l->file = stdin;
        l->name = "standard input";
        return 0;
    }
    l->name = a->pos[0];
    l->file = fopen(a->pos[0], "rbe");
    return l->file ? 0 : err_errno(err, "cannot open '%s'", a->pos[0]);
}

/* Bytes of the next line with its '\n'; 0: the end, or a failure (errno); more than LINE_MOST: too
 * long, what is left of it is not read. */
static size_t read_line(struct lines *l)
{
    size_t n = 0;
    int c = 0;
    while (n <= LINE_MOST && c != '\n' && (c = getc_unlocked(l->file)) != EOF) {
        if (n == l->cap) {
            l->cap = l->cap ? 2 * l->cap : 256;
            l->buf = xrealloc(l->buf, l->cap);
        }
        l->buf[n++] = (char)c;
    }
    return n;
}

int lines_next(struct lines *l, struct span *line, struct err *err)
{
    errno = 0;
    const size_t n = read_line(l);
    if (stop_requested())
        return err_kind_set(err, ERR_STOPPED, "stopped");
    if (ferror(l->file))
        return err_errno(err, "cannot read '%s'", l->name);
    if (n == 0)
        return 0;
    l->number++;
    if (n > LINE_MOST)
        return err_kind_set(err, ERR_LIMIT, "%s, line %lld: longer than 64 MiB", l->name,
                            (long long)l->number);
    *line = (struct span){l->buf, n - (l->buf[n - 1] == '\n')};
    return 1;
}

void lines_close(struct lines *l)
{
    if (l->file && l->file != stdin)
        fclose(l->file);
    free(l->buf);
    *l = (struct lines){0};
}
