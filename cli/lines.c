/* lines.c - see lines.h. */
#include "cli/lines.h"

#include "src/base/stop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

int lines_next(struct lines *l, struct span *line, struct err *err)
{
    errno = 0;
    const ssize_t n = getline(&l->buf, &l->cap, l->file);
    if (n < 0 && stop_requested())
        return err_kind_set(err, ERR_STOPPED, "stopped");
    if (n < 0 && (ferror(l->file) || (errno && !feof(l->file))))
        return err_errno(err, "cannot read '%s'", l->name);
    if (n < 0)
        return 0;
    l->number++;
    *line = (struct span){l->buf, (size_t)n};
    if (n && l->buf[n - 1] == '\n')
        line->n--;
    return 1;
}

void lines_close(struct lines *l)
{
    if (l->file && l->file != stdin)
        fclose(l->file);
    free(l->buf);
    *l = (struct lines){0};
}
