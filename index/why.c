/* why.c - which rule decides about a path, for people; see walk_why() in walk.h. The same rules as
 * the walk's, asked along one path that need not exist. */
#include "index/walk_rules.h"

#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(struct walk_reason *out, bool taken, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void say(struct walk_reason *out, bool taken, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out->what, sizeof out->what, fmt, ap);
    va_end(ap);
    out->taken = taken;
}

static void explain(const struct walk *w, const struct verdict *v, struct walk_reason *out)
{
    const char *name = w->path.p + w->frame[w->n - 1].base;
    out->at = xstrdup(w->path.p);
    if (v->rule) {
        out->file = xasprintf("%.*s%s", (int)v->base, w->path.p, v->file);
        out->line = v->rule->line;
        out->rule = xstrndup(v->rule->text.p, v->rule->text.n);
    }
    switch (v->decision) {
    case NEVER:
        say(out, false, "'%s' is never indexed", name);
        break;
    case HIDDEN:
        say(out, false, "hidden: its name begins with a dot (--hidden takes such files)");
        break;
    case IGNORED:
        say(out, false, "ignored by the rule '%s'", out->rule);
        break;
    case EXCLUDED:
        say(out, false, "left out by --exclude");
        break;
    case NOT_INCLUDED:
        say(out, false, "matches none of --include");
        break;
    case TAKEN:
        if (v->rule)
            say(out, true, "taken back by the rule '%s'", out->rule);
        else
            say(out, true, "no rule leaves it out");
        break;
    }
}

/* What the file itself says, after the rules have let it through. */
static void explain_file(const struct walk *w, struct walk_reason *out)
{
    struct stat st;
    if (fstatat(w->root_fd, w->path.p, &st, AT_SYMLINK_NOFOLLOW)) {
        say(out, false, "cannot be read: %s", strerror(errno));
        return;
    }
    const char *reason = S_ISDIR(st.st_mode) ? NULL : walk_skip_reason(w, &st);
    if (reason)
        say(out, false, "%s", reason);
}

/* Pushes the frame of the folder at w->path, without its contents; a folder that is not there has
 * no rules. */
static int push_rules(struct walk *w, struct err *err)
{
    struct frame f = {.base = w->path.n ? w->path.n + 1 : 0};
    const int fd = walk_open(w->root_fd, w->path.n ? w->path.p : ".", O_RDONLY | O_DIRECTORY);
    const int rc = fd < 0 ? 0 : walk_load_rules(w, fd, &f, err);
    if (fd >= 0)
        close(fd);
    walk_push(w, &f);
    if (w->path.n)
        str_putc(&w->path, '/');
    return rc;
}

static bool is_folder_at(const struct walk *w)
{
    struct stat st;
    return fstatat(w->root_fd, w->path.p, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int why_path(struct walk *w, struct span path, bool folder, struct walk_reason *out,
                    struct err *err)
{
    struct verdict v = {.decision = TAKEN};
    struct span name;
    if (push_rules(w, err))
        return -1;
    if (!path.n) {
        say(out, true, "the root of the index");
        return 0;
    }
    while (span_split(&path, '/', &name)) {
        w->path.n = w->frame[w->n - 1].base;
        str_span(&w->path, name);
        v = walk_decide(w, path.p || folder || is_folder_at(w));
        if (v.decision != TAKEN || !path.p)
            break;
        struct err reason = {0};
        if (push_rules(w, &reason)) {
            say(out, false, "the folder is left out: %s", reason.msg);
            out->at = xstrdup(w->path.p);
            return 0;
        }
    }
    explain(w, &v, out);
    if (out->taken)
        explain_file(w, out);
    return 0;
}

int walk_why(const char *root, const char *path, const struct walk_options *options,
             struct walk_reason *out, struct err *err)
{
    struct walk w;
    struct str clean = {0};
    *out = (struct walk_reason){0};
    int rc = walk_init(&w, root, options, err);
    if (!rc)
        rc = walk_normalise(path, &clean, err);
    if (!rc)
        rc = why_path(&w, str_view(&clean), span_ends(span_of(path), "/"), out, err);
    str_release(&clean);
    walk_release(&w);
    return rc;
}

void walk_reason_release(struct walk_reason *r)
{
    free(r->file);
    free(r->rule);
    free(r->at);
    *r = (struct walk_reason){0};
}
