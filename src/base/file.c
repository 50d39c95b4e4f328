/* file.c - files; see file.h for the contract. */
#include "src/base/file.h"

#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Files are written in steps of a huge page, each at a multiple of it: file systems that can then
 * keep them in memory in pages as large, and mapping and unmapping such a file costs a small part
 * of what single pages do. Of a smaller file only the part of the buffer that it fills is touched.
 */
enum { OUT_BUF = 2 << 20 };

int map_open(struct map *m, const char *path, struct err *err)
{
    *m = (struct map){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* never wait for a pipe */
    if (fd < 0)
        return err_errno(err, "cannot open '%s'", path);
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_kind_set(err, ERR_IO, "cannot read '%s': not a regular file", path);
    }
    if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            close(fd);
            return err_errno(err, "cannot map '%s'", path);
        }
        *m = (struct map){p, (size_t)st.st_size};
    }
    close(fd);
    return 0;
}

void map_close(struct map *m)
{
    if (m->p)
        munmap((void *)(uintptr_t)m->p, m->n);
    *m = (struct map){0};
}

void map_prefer_huge(const struct map *m)
{
    if (m->p && madvise((void *)(uintptr_t)m->p, m->n, MADV_HUGEPAGE) < 0)
        errno = 0; /* this system has none */
}

int fd_read_all(int fd, size_t max_bytes, struct str *out, struct err *err)
{
    char buf[65536];
    size_t total = 0;
    for (;;) {
        const ssize_t n = read(fd, buf, sizeof buf);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "read failed");
        if (n == 0)
            return 0;
        total += (size_t)n;
        if (total > max_bytes)
            return err_kind_set(err, ERR_LIMIT, "larger than %zu bytes", max_bytes);
        str_add(out, buf, (size_t)n);
        if (out->failed)
            return err_kind_set(err, ERR_MEMORY, "not enough memory for %zu bytes", total);
    }
}

int file_read(const char *path, size_t max_bytes, struct str *out, struct err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open '%s'", path);
    const int rc = fd_read_all(fd, max_bytes, out, err);
    close(fd);
    return rc ? err_wrap(err, "cannot read '%s'", path) : 0;
}

int fd_write_all(int fd, const void *p, size_t n, struct err *err)
{
    const char *at = p;
    while (n) {
        const ssize_t k = write(fd, at, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return err_errno(err, "write failed");
        at += k;
        n -= (size_t)k;
    }
    return 0;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool dir_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int dir_make(const char *path, struct err *err)
{
    char *copy = xstrdup(path);
    int rc = 0;
    for (char *p = copy + 1; rc == 0; p++) {
        if (*p && *p != '/')
            continue;
        const char was = *p;
        *p = '\0';
        if (mkdir(copy, 0777) < 0 && errno != EEXIST)
            rc = err_errno(err, "cannot make the folder '%s'", copy);
        *p = was;
        if (!was)
            break;
    }
    if (rc == 0 && !dir_exists(path))
        rc = err_kind_set(err, ERR_IO,
                          "cannot make the folder '%s': a file of that name is in the way", path);
    free(copy);
    return rc;
}

int dir_remove_tree(const char *path, struct err *err)
{
    char *copy = xstrdup(path);
    char *roots[] = {copy, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
    int rc = fts ? 0 : err_errno(err, "cannot remove '%s'", path);
    for (FTSENT *e; rc == 0 && (e = fts_read(fts));) {
        if (e->fts_info == FTS_D)
            continue;
        if (remove(e->fts_accpath) < 0 && errno != ENOENT)
            rc = err_errno(err, "cannot remove '%s'", e->fts_path);
    }
    if (fts)
        fts_close(fts);
    free(copy);
    return rc;
}

char *path_join(const char *dir, const char *name)
{
    const size_t n = strlen(dir);
    const bool slash = n && dir[n - 1] == '/';
    return xasprintf("%s%s%s", dir, slash || n == 0 ? "" : "/", name);
}

char *path_absolute(const char *path, struct err *err)
{
    char *p = realpath(path, NULL);
    if (!p)
        err_errno(err, "cannot open '%s'", path);
    return p;
}

char *path_self_dir(void)
{
    char buf[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", buf, sizeof buf - 1);
    if (n <= 0)
        return NULL;
    buf[n] = '\0';
    char *slash = strrchr(buf, '/');
    return slash ? xstrndup(buf, (size_t)(slash - buf)) : NULL;
}

/* A device or a pipe must not be renamed over: it is written to as it is, and `tmp` stays NULL. */
static bool is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

static int open_temporary(const char *path, char **tmp)
{
    *tmp = xasprintf("%s.tmp-XXXXXX", path);
    const int fd = mkostemp(*tmp, O_CLOEXEC);
    if (fd >= 0) {
        const mode_t mask = umask(0); /* it makes 0600; the result gets what creat() would give */
        umask(mask);
        fchmod(fd, 0666 & ~mask);
    }
    return fd;
}

int outfile_open(struct outfile *f, const char *path, struct err *err)
{
    *f = (struct outfile){.fd = -1, .path = xstrdup(path)};
    f->fd = is_special(path) ? open(path, O_WRONLY | O_CLOEXEC) : open_temporary(path, &f->tmp);
    if (f->fd < 0) {
        err_errno(err, "cannot write '%s'", path);
        free(f->path);
        free(f->tmp);
        *f = (struct outfile){.fd = -1};
        return -1;
    }
    f->buf = xmalloc(OUT_BUF);
    return 0;
}

void outfile_nameless(struct outfile *f, int fd)
{
    *f = (struct outfile){.fd = fd, .buf = xmalloc(OUT_BUF)};
}

static void flush_out(struct outfile *f)
{
    if (!f->failed && f->n_buf && fd_write_all(f->fd, f->buf, f->n_buf, &f->err)) {
        f->failed = true;
        if (f->path)
            err_wrap(&f->err, "cannot write '%s'", f->path);
    }
    f->n_buf = 0;
}

void outfile_write(struct outfile *f, const void *p, size_t n)
{
    const char *at = p;
    f->total += n;
    while (n && !f->failed) {
        const size_t room = OUT_BUF - f->n_buf, k = n < room ? n : room;
        memcpy(f->buf + f->n_buf, at, k);
        f->n_buf += k;
        at += k;
        n -= k;
        if (f->n_buf == OUT_BUF)
            flush_out(f);
    }
}

int outfile_map(struct outfile *f, struct map *m, struct err *err)
{
    *m = (struct map){0};
    flush_out(f);
    if (f->failed) {
        if (err)
            *err = f->err;
        return -1;
    }
    if (f->total == 0)
        return 0;
    void *p = mmap(NULL, f->total, PROT_READ, MAP_SHARED, f->fd, 0);
    if (p == MAP_FAILED)
        return err_errno(err, "cannot map a file of %llu bytes", (unsigned long long)f->total);
    *m = (struct map){p, f->total};
    return 0;
}

static void outfile_release(struct outfile *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f->tmp);
    free(f->buf);
    *f = (struct outfile){.fd = -1};
}

/* Makes the rename itself durable. A folder that cannot be opened for reading is no reason to fail.
 */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? xstrndup(path, slash == path ? 1 : (size_t)(slash - path)) : xstrdup(".");
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(dir);
}

int outfile_commit(struct outfile *f, struct err *err)
{
    flush_out(f);
    if (!f->failed && f->tmp && fsync(f->fd) < 0) {
        f->failed = true;
        err_errno(&f->err, "cannot write '%s'", f->path);
    }
    if (!f->failed && f->tmp && rename(f->tmp, f->path) < 0) {
        f->failed = true;
        err_errno(&f->err, "cannot rename to '%s'", f->path);
    }
    if (f->failed) {
        if (err)
            *err = f->err;
        outfile_abandon(f);
        return -1;
    }
    if (f->tmp)
        sync_folder(f->path);
    outfile_release(f);
    return 0;
}

void outfile_abandon(struct outfile *f)
{
    if (f->tmp)
        unlink(f->tmp);
    outfile_release(f);
}

static char *xdg_dir(const char *var, const char *under_home, struct err *err)
{
    const char *dir = getenv(var);
    if (dir && dir[0] == '/')
        return path_join(dir, "semsearch");
    const char *home = getenv("HOME");
    if (!home || !*home) {
        err_set(err, "neither %s nor HOME is set, so there is no place for the data of semsearch",
                var);
        err_hint(err, "set HOME, or %s to an absolute path", var);
        return NULL;
    }
    return xasprintf("%s/%s/semsearch", home, under_home);
}

char *xdg_data_dir(struct err *err)
{
    return xdg_dir("XDG_DATA_HOME", ".local/share", err);
}

char *xdg_cache_dir(struct err *err)
{
    return xdg_dir("XDG_CACHE_HOME", ".cache", err);
}
