/* walk.c - the walk over a folder; see walk.h. Rules of one ignore file: ignore.c; `why`: why.c.
 *
 * A stack of frames, one per folder on the way down; a frame holds the folder's ignore rules and
 * the names of the sub-folders still to be visited. Files are reported while their folder is open,
 * sub-folders afterwards, so one descriptor serves any depth and no recursion is needed. Folders
 * are opened from the root by their whole path without following links: a folder that is swapped
 * for a link meanwhile leads nowhere, and a path longer than the system takes is reported as
 * failed. What vanishes between listing and looking is not reported at all.
 *
 * A folder whose ignore file exists but cannot be read is failed as a whole: indexing what its
 * owner meant to leave out would be worse.
 */
#include "index/walk.h"

#include "index/glob.h"
#include "index/walk_rules.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IGNORE_FILE_MAX ((size_t)16 << 20)

static const char *const ignore_names[N_IGNORE] = {".gitignore", ".ignore", ".semsearchignore"};
static const char *const never_names[] = {".git", ".hg", ".svn", ".semsearch"};
static const char git_exclude[] = ".git/info/exclude";

int walk_open(int root_fd, const char *path, int flags)
{
    flags |= O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY;
    struct open_how how = {.flags = (uint64_t)(unsigned)flags,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    int fd;
    do
        fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR)); /* a rename raced with RESOLVE_BENEATH */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = openat(root_fd, path, flags); /* an old kernel or a sandbox without openat2 */
    return fd;
}

/* ---- rules ---- */

static bool any_match(const char *const *globs, size_t n, struct span path)
{
    for (size_t i = 0; i < n; i++)
        if (glob_match_path(span_of(globs[i]), path))
            return true;
    return false;
}

static bool is_never(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(never_names); i++)
        if (span_eq(name, never_names[i]))
            return true;
    return false;
}

/* Deeper folders first, the later file of a folder first, .git/info/exclude last. */
static void find_rule(const struct walk *w, struct span path, bool is_dir, struct verdict *v)
{
    for (size_t f = w->n; f-- > 0 && !v->rule;) {
        const struct frame *frame = &w->frame[f];
        for (int i = N_IGNORE; i-- > 0 && !v->rule;) {
            v->rule = ignore_match(&frame->ignore[i], span_sub(path, frame->base, path.n), is_dir);
            v->file = ignore_names[i];
            v->base = frame->base;
        }
    }
    if (!v->rule) {
        v->rule = ignore_match(&w->exclude, path, is_dir);
        v->file = git_exclude;
        v->base = 0;
    }
}

/* The path at hand, whose last component begins at `base` of the top frame. */
struct verdict walk_decide(const struct walk *w, bool is_dir)
{
    const struct span path = str_view(&w->path);
    const struct span name = span_sub(path, w->frame[w->n - 1].base, path.n);
    const struct walk_options *o = w->options;
    struct verdict v = {.decision = TAKEN};
    if (is_never(name))
        v.decision = NEVER;
    else if (!o->hidden && span_starts(name, "."))
        v.decision = HIDDEN;
    if (v.decision != TAKEN)
        return v;
    find_rule(w, path, is_dir, &v);
    if (v.rule && !v.rule->negative)
        v.decision = IGNORED;
    else if (any_match(o->exclude, o->n_exclude, path))
        v.decision = EXCLUDED;
    else if (!is_dir && o->n_include && !any_match(o->include, o->n_include, path))
        v.decision = NOT_INCLUDED;
    return v;
}

/* The bytes of an ignore file into *out; 0 also when there is none (or it is no regular file). */
static int load_rules(int dir_fd, const char *name, struct ignore_file *out, struct err *err)
{
    const int fd = walk_open(dir_fd, name, O_RDONLY);
    if (fd < 0) {
        const bool absent = errno == ENOENT || errno == ENOTDIR || errno == ELOOP ||
                            errno == ENAMETOOLONG || errno == ENXIO;
        return absent ? 0 : err_errno(err, "cannot read its ignore file '%s'", name);
    }
    struct stat st;
    struct str text = {0};
    int rc = 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        rc = fd_read_all(fd, IGNORE_FILE_MAX, &text, err);
        if (rc)
            err_wrap(err, "cannot read its ignore file '%s'", name);
    }
    close(fd);
    if (rc || !text.n) {
        str_release(&text);
        return rc;
    }
    const size_t n = text.n;
    ignore_parse(out, str_take(&text), n);
    return 0;
}

int walk_load_rules(const struct walk *w, int dir_fd, struct frame *f, struct err *err)
{
    for (int i = 0; i < N_IGNORE && !w->options->no_ignore; i++)
        if (load_rules(dir_fd, ignore_names[i], &f->ignore[i], err))
            return -1;
    return 0;
}

static void frame_release(struct frame *f)
{
    for (int i = 0; i < N_IGNORE; i++)
        ignore_release(&f->ignore[i]);
    str_release(&f->names);
}

void walk_push(struct walk *w, const struct frame *f)
{
    VEC_GROW(w->frame, w->n, w->cap);
    w->frame[w->n++] = *f;
}

/* ---- reporting ---- */

static int report(struct walk *w, enum walk_state state, bool is_dir, const char *reason,
                  const struct stat *st, struct err *err)
{
    struct walk_entry e = {.path = w->path.p, .state = state, .is_dir = is_dir, .reason = reason};
    if (!w->path.n)
        e.path = "";
    if (st)
        e.st = *st;
    return w->fn(w->ctx, &e, err);
}

/* Why something that is no folder is not read; NULL: it is. */
const char *walk_skip_reason(const struct walk *w, const struct stat *st)
{
    if (S_ISLNK(st->st_mode))
        return "symbolic link (not followed)";
    if (S_ISFIFO(st->st_mode))
        return "pipe";
    if (S_ISSOCK(st->st_mode))
        return "socket";
    if (!S_ISREG(st->st_mode))
        return "device";
    if (st->st_size == 0)
        return "empty";
    return st->st_size > w->max_size ? w->too_large : NULL;
}

static int report_file(struct walk *w, int dir_fd, const char *name, struct err *err)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW)) {
        if (errno == ENOENT)
            return 0;
        return report(w, WALK_FAILED, false, strerror(errno), NULL, err);
    }
    const char *reason = walk_skip_reason(w, &st);
    return report(w, reason ? WALK_SKIPPED : WALK_FILE, false, reason, &st, err);
}

/* ---- folders ---- */

static bool is_folder(int dir_fd, const char *name, int type)
{
    struct stat st;
    if (type != DT_UNKNOWN)
        return type == DT_DIR;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* An entry of the folder of the top frame: reports a file, keeps a sub-folder for later. */
static int visit(struct walk *w, int dir_fd, const char *name, int type, struct err *err)
{
    struct frame *f = &w->frame[w->n - 1];
    w->path.n = f->base;
    str_puts(&w->path, name);
    const bool is_dir = is_folder(dir_fd, name, type);
    if (walk_decide(w, is_dir).decision != TAKEN)
        return 0;
    if (!is_dir)
        return report_file(w, dir_fd, name, err);
    str_add(&f->names, name, strlen(name) + 1);
    return 0;
}

struct listing {
    struct str bytes; /* type byte, name, NUL, ... */
    size_t *at;       /* where each one begins */
    size_t n, cap;
};

static int listing_read(struct listing *l, DIR *dir)
{
    for (;;) {
        errno = 0;
        const struct dirent *d = readdir(dir);
        if (!d)
            return errno ? -1 : 0;
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        VEC_GROW(l->at, l->n, l->cap);
        l->at[l->n++] = l->bytes.n;
        str_putc(&l->bytes, (char)d->d_type);
        str_add(&l->bytes, d->d_name, strlen(d->d_name) + 1);
    }
}

static int by_name(const void *a, const void *b, void *bytes)
{
    const char *base = bytes;
    return strcmp(base + *(const size_t *)a + 1, base + *(const size_t *)b + 1);
}

/* Visits all entries of an open folder, the top frame's, in order of name. */
static int visit_all(struct walk *w, DIR *dir, struct err *err)
{
    struct listing l = {0};
    int rc = 0;
    if (listing_read(&l, dir) || l.bytes.failed) {
        w->path.n = w->frame[w->n - 1].base;
        w->path.n -= w->path.n > 0; /* the folder itself, without its '/' */
        if (w->path.p)
            w->path.p[w->path.n] = '\0';
        rc = report(w, WALK_FAILED, true, errno ? strerror(errno) : "too many entries", NULL, err);
    } else if (l.n) {
        qsort_r(l.at, l.n, sizeof *l.at, by_name, l.bytes.p);
        for (size_t i = 0; i < l.n && !rc; i++) {
            const char *entry = l.bytes.p + l.at[i];
            rc = stop_requested() ? err_kind_set(err, ERR_STOPPED, "stopped")
                                  : visit(w, dirfd(dir), entry + 1, (unsigned char)entry[0], err);
        }
    }
    free(l.at);
    str_release(&l.bytes);
    return rc;
}

static bool is_loop(const struct walk *w, const struct frame *f)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->frame[i].dev == f->dev && w->frame[i].ino == f->ino)
            return true;
    return false;
}

static int report_lost_folder(struct walk *w, struct err *err)
{
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
        return 0; /* gone or replaced meanwhile */
    return report(w, WALK_FAILED, true, strerror(errno), NULL, err);
}

/* Enters the folder at w->path ("" is the root): reads its rules, pushes its frame and, with
 * `list`, visits what is in it. A folder that cannot be entered is reported and pushes nothing. */
static int enter(struct walk *w, bool list, struct err *err)
{
    const int fd = walk_open(w->root_fd, w->path.n ? w->path.p : ".", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        const int rc = report_lost_folder(w, err);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    struct stat st = {0};
    struct err why = {0};
    struct frame f = {.base = w->path.n ? w->path.n + 1 : 0};
    int rc = 0;
    const bool known = fstat(fd, &st) == 0;
    f.dev = st.st_dev;
    f.ino = st.st_ino;
    if (!known) {
        rc = report_lost_folder(w, err);
    } else if (is_loop(w, &f)) {
        rc = report(w, WALK_SKIPPED, true, "a folder inside itself (mount loop)", &st, err);
    } else if (walk_load_rules(w, fd, &f, &why)) {
        rc = report(w, WALK_FAILED, true, why.msg, &st, err);
        frame_release(&f);
    } else {
        walk_push(w, &f);
        if (w->path.n)
            str_putc(&w->path, '/');
        if (list)
            rc = visit_all(w, dir, err);
    }
    closedir(dir);
    return rc;
}

/* Enters the kept sub-folders until no frame is left. */
static int descend(struct walk *w, struct err *err)
{
    int rc = 0;
    while (w->n && !rc) {
        struct frame *f = &w->frame[w->n - 1];
        if (f->next == f->names.n) {
            frame_release(f);
            w->n--;
            continue;
        }
        const char *name = f->names.p + f->next;
        f->next += strlen(name) + 1;
        w->path.n = f->base;
        str_puts(&w->path, name);
        rc = enter(w, true, err);
    }
    return rc;
}

/* ---- the two entrances ---- */

static void format_too_large(struct walk *w)
{
    const char *unit = "bytes";
    int64_t n = w->max_size;
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    for (int i = 0; i < 3 && n % 1024 == 0; i++) {
        n /= 1024;
        unit = units[i];
    }
    snprintf(w->too_large, sizeof w->too_large, "larger than %lld %s (--max-file-size)",
             (long long)n, unit);
}

int walk_init(struct walk *w, const char *root, const struct walk_options *options, struct err *err)
{
    *w = (struct walk){.options = options, .max_size = options->max_file_size};
    if (w->max_size <= 0)
        w->max_size = 64LL << 20;
    format_too_large(w);
    w->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->root_fd < 0) {
        err_errno(err, "cannot open the folder '%s'", root);
        if (err && (errno == ENOENT || errno == ENOTDIR))
            err->kind = ERR_NOT_FOUND;
        return -1;
    }
    str_puts(&w->path, "");
    if (!options->no_ignore && load_rules(w->root_fd, git_exclude, &w->exclude, err))
        return err_wrap(err, "'%s'", root);
    return 0;
}

void walk_release(struct walk *w)
{
    for (size_t i = 0; i < w->n; i++)
        frame_release(&w->frame[i]);
    free(w->frame);
    ignore_release(&w->exclude);
    str_release(&w->path);
    if (w->root_fd >= 0)
        close(w->root_fd);
}

/* `path` without empty and "." components, appended to *out. */
int walk_normalise(const char *path, struct str *out, struct err *err)
{
    struct span rest = span_of(path), name;
    if (path && path[0] == '/')
        return err_kind_set(err, ERR_USAGE, "'%s' is not relative to the root", path);
    str_puts(out, "");
    while (span_split(&rest, '/', &name)) {
        if (span_eq(name, ".."))
            return err_kind_set(err, ERR_USAGE, "'%s' leaves the root", path);
        if (!name.n || span_eq(name, "."))
            continue;
        if (out->n)
            str_putc(out, '/');
        str_span(out, name);
    }
    return 0;
}

/* The file or folder that the walk begins at; its parents are entered. */
static int visit_start(struct walk *w, struct err *err)
{
    struct stat st;
    if (fstatat(w->root_fd, w->path.p, &st, AT_SYMLINK_NOFOLLOW))
        return report_lost_folder(w, err); /* perhaps a folder: what may be below is unknown */
    const bool is_dir = S_ISDIR(st.st_mode);
    if (walk_decide(w, is_dir).decision != TAKEN)
        return 0;
    if (is_dir)
        return enter(w, true, err);
    const char *reason = walk_skip_reason(w, &st);
    return report(w, reason ? WALK_SKIPPED : WALK_FILE, false, reason, &st, err);
}

/* Goes down to `sub`, reading the rules of every folder on the way. */
static int walk_from(struct walk *w, struct span sub, struct err *err)
{
    if (!sub.n)
        return enter(w, true, err);
    struct span name;
    int rc = enter(w, false, err);
    for (size_t depth = 1; !rc && w->n == depth && span_split(&sub, '/', &name); depth++) {
        w->path.n = w->frame[depth - 1].base;
        str_span(&w->path, name);
        if (!sub.p)
            return visit_start(w, err);
        if (walk_decide(w, true).decision != TAKEN)
            break;
        rc = enter(w, false, err);
    }
    return rc;
}

int walk_run(const char *root, const char *sub, const struct walk_options *options,
             int (*fn)(void *ctx, const struct walk_entry *e, struct err *err), void *ctx,
             struct err *err)
{
    struct walk w;
    struct str clean = {0};
    int rc = walk_init(&w, root, options, err);
    w.fn = fn;
    w.ctx = ctx;
    if (!rc)
        rc = walk_normalise(sub, &clean, err);
    if (!rc)
        rc = walk_from(&w, str_view(&clean), err);
    if (!rc)
        rc = descend(&w, err);
    str_release(&clean);
    walk_release(&w);
    return rc;
}
