/* lock.c - one writer at a time: flock on <index folder>/lock.
 *
 * The lock belongs to the open file, so the kernel drops it with the process however that dies: no
 * lock file can go stale, and the file itself is never removed (removing it would let two writers
 * hold two files of one name). The holder's process id inside is for the message only.
 */
#include "index/store/internal.h"

#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/progress.h"
#include "src/base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 10000, NOTE_MS = 500, POLL_MS = 20 };

/* The folder may have been removed and made anew while we waited: then this is a file of the past.
 */
static bool same_file(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* 1: locked, 0: somebody else has it, -1: error. */
static int try_lock(const char *path, int *out, struct err *err)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        err_errno(err, "cannot write to the index: cannot open '%s'", path);
        return err_hint(err, "check the permissions of the index folder and that the disk is not "
                             "mounted read-only");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        if (same_file(fd, path)) {
            *out = fd;
            return 1;
        }
        close(fd);
        return 0;
    }
    const int why = errno;
    close(fd);
    if (why == EWOULDBLOCK || why == EINTR)
        return 0;
    errno = why;
    return err_errno(err, "cannot lock '%s'", path);
}

/* "process 123" or "another process". */
static void holder_name(const char *path, char out[64])
{
    char buf[32] = "";
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof buf - 1);
    if (fd >= 0)
        close(fd);
    const long pid = n > 0 ? strtol(buf, NULL, 10) : 0;
    if (pid > 0)
        snprintf(out, 64, "process %ld", pid);
    else
        snprintf(out, 64, "another process");
}

static void say_waiting(const struct progress_sink *sink, const char *path)
{
    char who[64], line[160];
    holder_name(path, who);
    snprintf(line, sizeof line, "waiting for %s, which is writing to this index", who);
    if (sink && sink->note)
        sink->note(sink->ctx, line);
}

static int fail_locked(const char *path, struct err *err)
{
    char who[64];
    holder_name(path, who);
    err_kind_set(err, ERR_LOCKED, "the index is locked: %s is writing to it ('%s')", who, path);
    return err_hint(err, "wait until it has finished, or end it; searching works meanwhile");
}

int lock_take(const char *dir, const struct progress_sink *sink, int *fd, struct err *err)
{
    char *path = path_join(dir, "lock");
    const double began = clock_ms();
    bool said = false;
    int rc;
    while ((rc = try_lock(path, fd, err)) == 0) {
        const double waited = clock_ms() - began;
        if (waited > WAIT_MS) {
            rc = fail_locked(path, err);
            break;
        }
        if (stop_requested()) {
            rc = err_kind_set(err, ERR_STOPPED, "stopped while waiting for another writer");
            break;
        }
        if (!said && waited > NOTE_MS) {
            say_waiting(sink, path);
            said = true;
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
    if (rc > 0) { /* the id serves messages only: failing to write it, on a full disk, is no harm */
        char pid[24];
        const int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
        if (ftruncate(*fd, 0) || pwrite(*fd, pid, (size_t)n, 0) != n)
            errno = 0;
    }
    free(path);
    return rc > 0 ? 0 : -1;
}
