/* tempdir.c - see tempdir.h. */
#include "tests/unit/index/tempdir.h"

#include "src/base/file.h"
#include "src/base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void need(int ok, const char *what, const char *path)
{
    if (!ok) {
        fprintf(stderr, "tempdir: cannot %s '%s'\n", what, path);
        abort();
    }
}

char *tempdir_new(void)
{
    const char *base = getenv("TMPDIR");
    char *dir = path_join(base && *base ? base : "/tmp", "semsearch-test-XXXXXX");
    need(mkdtemp(dir) != NULL, "make", dir);
    char *absolute = path_absolute(dir, NULL);
    need(absolute != NULL, "resolve", dir);
    free(dir);
    return absolute;
}

void tempdir_free(char *dir)
{
    need(dir_remove_tree(dir, NULL) == 0, "remove", dir);
    free(dir);
}

void tempdir_write(const char *dir, const char *rel, const char *text)
{
    tempdir_write_bytes(dir, rel, text, strlen(text));
}

void tempdir_write_bytes(const char *dir, const char *rel, const void *p, size_t n)
{
    char *path = path_join(dir, rel);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    need(dir_make(path, NULL) == 0, "make", path);
    *slash = '/';
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    need(fd >= 0 && fd_write_all(fd, p, n, NULL) == 0 && close(fd) == 0, "write", path);
    free(path);
}

void tempdir_remove(const char *dir, const char *rel)
{
    char *path = path_join(dir, rel);
    need(unlink(path) == 0, "remove", path);
    free(path);
}
