/* failio.c - a library for LD_PRELOAD that makes the n-th call of its kind fail, or kills there.
 *
 *   FAILIO_AT=n        which call, from 1 (unset or 0: none; calls are counted all the same)
 *   FAILIO_MODE=once   that call fails (default); always: it and every later one;
 *              kill    the process gets SIGKILL at that call
 *   FAILIO_ERRNO=ENOSPC (default), EIO, EDQUOT, EROFS, ENOMEM or a number
 *   FAILIO_OPS=write,sync,rename,truncate,create,alloc  which calls count (default: all but alloc)
 *   FAILIO_PATH=text   only files whose path contains it (default: every regular file)
 *   FAILIO_PROGRAM=x   only in the program of that file name (children inherit the environment)
 *   FAILIO_ALLOC_MIN=n alloc: the smallest size that counts (default 65536)
 *   FAILIO_REPORT=file when the call is reached, a line "<op> <n>" is appended there
 *
 * A failing or fatal write writes the first half of its bytes, as a disk that fills up does.
 * So a test can run an operation with n = 1, 2, 3 ... until the report stays empty, and look after
 * each run: see faultloop and fault_store.c.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum op { OP_WRITE, OP_SYNC, OP_RENAME, OP_TRUNCATE, OP_CREATE, OP_ALLOC, N_OPS };
static const char *const op_name[N_OPS] = {"write",    "sync",   "rename",
                                           "truncate", "create", "alloc"};
enum mode { ONCE, ALWAYS, KILL };

static struct {
    bool ready;
    long at;
    enum mode mode;
    int error;
    bool op[N_OPS];
    const char *path, *report;
    size_t alloc_min;
} plan;
static atomic_long calls;
static _Thread_local bool inside; /* our own calls do not count */

static int error_number(const char *s)
{
    static const struct {
        const char *name;
        int number;
    } known[] = {
        {"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS}, {"ENOMEM", ENOMEM}};
    for (size_t i = 0; s && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(s, known[i].name) == 0)
            return known[i].number;
    return s && *s ? (int)strtol(s, NULL, 10) : ENOSPC;
}

static bool this_program(const char *want)
{
    char exe[4096];
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0)
        return false;
    exe[n] = '\0';
    const char *slash = strrchr(exe, '/');
    return strcmp(slash ? slash + 1 : exe, want) == 0;
}

__attribute__((constructor)) static void read_plan(void)
{
    const char *at = getenv("FAILIO_AT"), *mode = getenv("FAILIO_MODE"),
               *ops = getenv("FAILIO_OPS"), *program = getenv("FAILIO_PROGRAM"),
               *min = getenv("FAILIO_ALLOC_MIN");
    inside = true;
    plan.at = at ? strtol(at, NULL, 10) : 0;
    plan.mode = mode && strcmp(mode, "always") == 0 ? ALWAYS
                : mode && strcmp(mode, "kill") == 0 ? KILL
                                                    : ONCE;
    plan.error = error_number(getenv("FAILIO_ERRNO"));
    for (int i = 0; i < N_OPS; i++)
        plan.op[i] = ops ? strstr(ops, op_name[i]) != NULL : i != OP_ALLOC;
    plan.path = getenv("FAILIO_PATH");
    plan.report = getenv("FAILIO_REPORT");
    plan.alloc_min = min ? (size_t)strtoul(min, NULL, 10) : 65536;
    plan.ready = plan.at > 0 && (!program || this_program(program));
    inside = false;
}

static void report(enum op op, long n)
{
    char line[64];
    if (!plan.report)
        return;
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, plan.report,
                                O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    const int len = snprintf(line, sizeof line, "%s %ld\n", op_name[op], n);
    if (fd >= 0) {
        syscall(SYS_write, fd, line, (size_t)len);
        syscall(SYS_close, fd);
    }
}

/* Counts the call; true: it is to fail (errno is set), or to be the last. */
static bool due(enum op op)
{
    const long n = atomic_fetch_add(&calls, 1) + 1;
    if (n < plan.at || (n > plan.at && plan.mode != ALWAYS))
        return false;
    if (n == plan.at)
        report(op, n);
    return true;
}

static bool path_counts(const char *path)
{
    return !plan.path || strstr(path, plan.path) != NULL;
}

static bool fd_counts(int fd)
{
    struct stat st;
    char link[64], path[4096];
    if (fd <= 2 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return false;
    path[n] = '\0';
    return path_counts(path);
}

static bool fails_fd(enum op op, int fd)
{
    if (!plan.ready || inside || !plan.op[op])
        return false;
    inside = true;
    const bool yes = fd_counts(fd) && due(op);
    inside = false;
    return yes;
}

static bool fails_path(enum op op, const char *path)
{
    if (!plan.ready || inside || !plan.op[op])
        return false;
    inside = true;
    const bool yes = path_counts(path) && due(op);
    inside = false;
    return yes;
}

/* The end of a failing call. */
static int refuse(void)
{
    if (plan.mode == KILL)
        kill(getpid(), SIGKILL);
    errno = plan.error;
    return -1;
}

static void *real(const char *name)
{
    inside = true;
    void *p = dlsym(RTLD_NEXT, name);
    inside = false;
    return p;
}

#define REAL(name, type)      \
    static type *next_##name; \
    if (!next_##name)         \
    next_##name = (type *)real(#name)

typedef ssize_t write_fn(int, const void *, size_t);
typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);
typedef ssize_t writev_fn(int, const struct iovec *, int);
typedef int fd_fn(int);
typedef int rename_fn(const char *, const char *);
typedef int renameat_fn(int, const char *, int, const char *);
typedef int truncate_fn(int, off_t);
typedef int fallocate_fn(int, off_t, off_t);
typedef int open_fn(const char *, int, ...);
typedef int openat_fn(int, const char *, int, ...);
typedef int mkdir_fn(const char *, mode_t);

EXPORT ssize_t write(int fd, const void *p, size_t n)
{
    REAL(write, write_fn);
    if (!fails_fd(OP_WRITE, fd))
        return next_write(fd, p, n);
    if (next_write(fd, p, n / 2) < 0)
        return -1;
    return refuse();
}

EXPORT ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    REAL(pwrite, pwrite_fn);
    if (!fails_fd(OP_WRITE, fd))
        return next_pwrite(fd, p, n, at);
    if (next_pwrite(fd, p, n / 2, at) < 0)
        return -1;
    return refuse();
}

EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return pwrite(fd, p, n, (off_t)at);
}

EXPORT ssize_t writev(int fd, const struct iovec *v, int n)
{
    REAL(writev, writev_fn);
    return fails_fd(OP_WRITE, fd) ? refuse() : next_writev(fd, v, n);
}

EXPORT int fsync(int fd)
{
    REAL(fsync, fd_fn);
    return fails_fd(OP_SYNC, fd) ? refuse() : next_fsync(fd);
}

EXPORT int fdatasync(int fd)
{
    REAL(fdatasync, fd_fn);
    return fails_fd(OP_SYNC, fd) ? refuse() : next_fdatasync(fd);
}

EXPORT int rename(const char *from, const char *to)
{
    REAL(rename, rename_fn);
    return fails_path(OP_RENAME, to) ? refuse() : next_rename(from, to);
}

EXPORT int renameat(int a, const char *from, int b, const char *to)
{
    REAL(renameat, renameat_fn);
    return fails_path(OP_RENAME, to) ? refuse() : next_renameat(a, from, b, to);
}

EXPORT int ftruncate(int fd, off_t n)
{
    REAL(ftruncate, truncate_fn);
    return fails_fd(OP_TRUNCATE, fd) ? refuse() : next_ftruncate(fd, n);
}

EXPORT int ftruncate64(int fd, off64_t n)
{
    return ftruncate(fd, (off_t)n);
}

EXPORT int posix_fallocate(int fd, off_t at, off_t n)
{
    REAL(posix_fallocate, fallocate_fn);
    if (!fails_fd(OP_TRUNCATE, fd))
        return next_posix_fallocate(fd, at, n);
    refuse();
    return plan.error;
}

EXPORT int posix_fallocate64(int fd, off64_t at, off64_t n)
{
    return posix_fallocate(fd, (off_t)at, (off_t)n);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir, mkdir_fn);
    return fails_path(OP_CREATE, path) ? refuse() : next_mkdir(path, mode);
}

/* Opening counts only where it makes the file. */
static bool makes_file(int dir, const char *path, int flags)
{
    if (!(flags & O_CREAT) || !plan.ready || inside)
        return false;
    struct stat st;
    return fstatat(dir, path, &st, 0) < 0;
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    REAL(open, open_fn);
    if (makes_file(AT_FDCWD, path, flags) && fails_path(OP_CREATE, path))
        return refuse();
    return next_open(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return open(path, flags, mode);
}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    REAL(openat, openat_fn);
    if (makes_file(dir, path, flags) && fails_path(OP_CREATE, path))
        return refuse();
    return next_openat(dir, path, flags, mode);
}

/* ---- memory: glibc's own names underneath, since looking them up would allocate ---- */

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static bool fails_alloc(size_t n)
{
    return plan.ready && !inside && plan.op[OP_ALLOC] && n >= plan.alloc_min && due(OP_ALLOC);
}

static void *no_memory(void)
{
    refuse();
    errno = ENOMEM;
    return NULL;
}

EXPORT void *malloc(size_t n)
{
    return fails_alloc(n) ? no_memory() : __libc_malloc(n);
}

EXPORT void *calloc(size_t n, size_t size)
{
    return fails_alloc(size ? n * size : 0) ? no_memory() : __libc_calloc(n, size);
}

EXPORT void *realloc(void *p, size_t n)
{
    return fails_alloc(n) ? no_memory() : __libc_realloc(p, n);
}

EXPORT void *aligned_alloc(size_t align, size_t n)
{
    return fails_alloc(n) ? no_memory() : __libc_memalign(align, n);
}

EXPORT void *memalign(size_t align, size_t n)
{
    return fails_alloc(n) ? no_memory() : __libc_memalign(align, n);
}

EXPORT int posix_memalign(void **out, size_t align, size_t n)
{
    if (fails_alloc(n)) {
        no_memory();
        return ENOMEM;
    }
    void *p = __libc_memalign(align, n);
    if (p)
        *out = p;
    return p ? 0 : ENOMEM;
}
