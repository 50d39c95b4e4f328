/* place.c - see place.h.
 *
 * Paths that users type are made absolute and cleaned; the folder part has its links resolved (so
 * that /tmp/x and /private/tmp/x meet), the last component has not: a link inside the root is
 * itself, not what it points to.
 */
#include "cli/place.h"

#include "src/base/file.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void place_release(struct place *p)
{
    free(p->index_dir);
    free(p->root);
    free(p->cwd);
    *p = (struct place){0};
}

char *place_above(const char *dir)
{
    char *at = xstrdup(dir);
    for (;;) {
        char *try = path_join(at, INDEX_FOLDER);
        if (dir_exists(try)) {
            free(at);
            return try;
        }
        free(try);
        char *slash = strrchr(at, '/');
        if (!slash || !at[1])
            break;
        if (slash == at)
            at[1] = '\0';
        else
            *slash = '\0';
    }
    free(at);
    return NULL;
}

static int current_folder(char **out, struct err *err)
{
    *out = realpath(".", NULL);
    return *out ? 0 : err_errno(err, "cannot tell the current folder");
}

int place_find(const struct args *a, struct place *p, struct err *err)
{
    *p = (struct place){0};
    if (current_folder(&p->cwd, err))
        return -1;
    if (a->index) {
        p->index_dir = realpath(a->index, NULL);
        if (!p->index_dir) {
            place_release(p);
            err_kind_set(err, ERR_NO_INDEX, "no index at '%s'", a->index);
            return err_hint(err, "make one: semsearch index --index '%s' DIR", a->index);
        }
        /* naming the root of an index is as good as naming the index */
        char *inside = path_join(p->index_dir, INDEX_FOLDER),
             *db = path_join(p->index_dir, "index.db");
        if (!file_exists(db) && dir_exists(inside)) {
            free(p->index_dir);
            p->index_dir = inside;
            inside = NULL;
        }
        free(inside);
        free(db);
        return 0;
    }
    p->index_dir = place_above(p->cwd);
    if (p->index_dir)
        return 0;
    err_kind_set(err, ERR_NO_INDEX, "no index in '%s' or any folder above it", p->cwd);
    place_release(p);
    return err_hint(err, "make one: semsearch index DIR (or name one with --index)");
}

int place_root(struct place *p, struct store *s, struct err *err)
{
    const char *slash = strrchr(p->index_dir, '/');
    if (strcmp(slash + 1, INDEX_FOLDER) == 0) {
        p->root = slash == p->index_dir ? xstrdup("/")
                                        : xstrndup(p->index_dir, (size_t)(slash - p->index_dir));
        return 0;
    }
    char *stored = NULL;
    if (store_meta_get(s, "root", &stored, err))
        return -1;
    if (!stored)
        return err_kind_set(err, ERR_CORRUPT, "the index '%s' does not say which folder it is of",
                            p->index_dir);
    if (stored[0] == '/') {
        p->root = stored;
        return 0;
    }
    char *joined = path_join(p->index_dir, stored);
    p->root = path_clean(joined);
    free(joined);
    free(stored);
    return 0;
}

/* The part of `path` below `dir` ("" for `dir` itself), or NULL. */
static const char *part_below(const char *path, const char *dir)
{
    const size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
    if (strncmp(path, dir, n) != 0 || (path[n] && path[n] != '/'))
        return NULL;
    return path[n] ? path + n + 1 : path + n;
}

char *place_root_text(const struct place *p)
{
    const char *below = part_below(p->index_dir, p->root);
    if (!below || !*below)
        return xstrdup(p->root);
    struct str up = {0};
    str_puts(&up, "..");
    for (; *below; below++)
        if (*below == '/')
            str_puts(&up, "/..");
    return str_take(&up);
}

int place_open(const struct args *a, enum store_mode mode, const struct progress_sink *sink,
               struct place *p, struct store **s, struct err *err)
{
    if (place_find(a, p, err))
        return -1;
    if (store_open(p->index_dir, mode, sink, s, err) == 0) {
        if (place_root(p, *s, err) == 0)
            return 0;
        store_close(*s);
        *s = NULL;
    }
    place_release(p);
    return -1;
}

char *path_clean(const char *absolute)
{
    struct str out = {0};
    struct span rest = span_of(absolute), piece;
    while (span_split(&rest, '/', &piece)) {
        if (piece.n == 0 || span_eq(piece, "."))
            continue;
        if (span_eq(piece, "..")) {
            while (out.n && out.p[out.n - 1] != '/')
                out.n--;
            if (out.n)
                out.n--;
            if (out.p)
                out.p[out.n] = '\0';
            continue;
        }
        str_putc(&out, '/');
        str_span(&out, piece);
    }
    if (out.n == 0)
        str_putc(&out, '/');
    return str_take(&out);
}

/* Resolves the links of the folder part as far as it exists. */
static char *resolve_folder(char *clean)
{
    char *slash = strrchr(clean, '/');
    if (!slash || slash == clean)
        return clean;
    *slash = '\0';
    char *dir = realpath(clean, NULL);
    *slash = '/';
    if (!dir)
        return clean;
    char *whole = xasprintf("%s%s", strcmp(dir, "/") == 0 ? "" : dir, slash);
    free(dir);
    free(clean);
    return whole;
}

/* `path`, as seen from `from`, as a path below the root; owned; NULL: it is not there. */
static char *below_root(const struct place *p, const char *from, const char *path)
{
    char *joined = path[0] == '/' ? xstrdup(path) : path_join(from, path);
    char *abs = resolve_folder(path_clean(joined));
    const char *below = part_below(abs, p->root);
    char *rel = below ? xstrdup(below) : NULL;
    free(joined);
    free(abs);
    return rel;
}

char *place_relative(const struct place *p, const char *path, struct err *err)
{
    char *rel = below_root(p, p->cwd, path);
    if (!rel && !part_below(p->cwd, p->root))
        rel = below_root(p, p->root, path);
    if (!rel)
        err_kind_set(err, ERR_USAGE, "'%s' is outside of the indexed folder '%s'", path, p->root);
    return rel;
}

int place_doc(const struct place *p, struct store *s, const char *path, struct store_doc *doc,
              struct err *err)
{
    struct err outside = {0};
    char *rel = place_relative(p, path, &outside);
    int found = rel ? store_doc_by_path(s, rel, doc, err) : 0;
    free(rel);
    if (found == 0) /* as the JSON output of other commands gives it */
        found = store_doc_by_path(s, path, doc, err);
    return found;
}

void place_display(const struct place *p, const char *path, struct str *out)
{
    char *abs = path_join(p->root, path);
    /* the common part of cwd and abs, cut at a slash */
    size_t same = 0, i = 0;
    for (; p->cwd[i] && p->cwd[i] == abs[i]; i++)
        if (abs[i] == '/')
            same = i;
    if (!p->cwd[i] && abs[i] == '/')
        same = i;
    const char *below = p->cwd + same;
    if (strcmp(p->cwd, "/") == 0) {
        same = 0;
        below = "";
    }
    const size_t before = out->n;
    for (const char *c = below; *c; c++)
        if (*c == '/' && c[1])
            str_puts(out, "../");
    str_puts(out, abs + same + 1);
    /* a name that looks like an option gets a "./", so that the line can be pasted */
    if (out->n > before && out->p[before] == '-') {
        char *tail = xstrndup(out->p + before, out->n - before);
        out->n = before;
        str_printf(out, "./%s", tail);
        free(tail);
    }
    free(abs);
}
