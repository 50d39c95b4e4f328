/* file.h - files: reading, mapping, replacing whole files safely, and the XDG folders.
 *
 * A file that we make never appears half-written under its final name: outfile_open() makes a
 * temporary beside it, outfile_commit() syncs, renames and syncs the folder. Paths are bytes;
 * nothing here assumes UTF-8.
 */
#ifndef SEMSEARCH_BASE_FILE_H
#define SEMSEARCH_BASE_FILE_H

#include "src/base/err.h"
#include "src/base/str.h"

#include <stdint.h>
#include <stdio.h>

/* A read-only mapping of a whole file; {NULL, 0} for an empty file. Release with map_close (safe on
 * a zeroed map). Where another program cuts the file short meanwhile, the next access to what is
 * lost is SIGBUS, which ends us with a message (cli/main.c): for models, training data and our own
 * caches, which are only ever replaced by rename. Documents, which change at any time, are read. */
struct map {
    const unsigned char *p;
    size_t n;
};
int map_open(struct map *m, const char *path, struct err *err) WARN_UNUSED;
void map_close(struct map *m);
/* What of the file is not in memory is read in huge pages where the file system has them: for files
 * of which every query needs most. */
void map_prefer_huge(const struct map *m);

/* Appends the whole file to `out`; a file larger than max_bytes is an error (ERR_LIMIT). */
int file_read(const char *path, size_t max_bytes, struct str *out, struct err *err) WARN_UNUSED;
int fd_read_all(int fd, size_t max_bytes, struct str *out, struct err *err) WARN_UNUSED;

/* Writes n bytes at once, retrying short writes and EINTR. */
int fd_write_all(int fd, const void *p, size_t n, struct err *err) WARN_UNUSED;

bool file_exists(const char *path); /* anything at that path, links followed */
bool dir_exists(const char *path);
int dir_make(const char *path, struct err *err) WARN_UNUSED; /* as mkdir -p, mode 0777 & ~umask */
int dir_remove_tree(const char *path,
                    struct err *err) WARN_UNUSED;       /* as rm -r; links are not followed */
char *path_join(const char *dir, const char *name);     /* owned; one '/' between */
char *path_absolute(const char *path, struct err *err); /* owned, links resolved; NULL on failure */
char *path_self_dir(
    void); /* owned: the folder of the running program; NULL where the system does not say */

/* A file being written under a temporary name in the folder of its final path. After a failure, or
 * when the program dies, the final path is untouched. A link is replaced, not followed; only a
 * device, a pipe or a terminal at that path is written to as it is (`tmp` is NULL then). */
struct outfile {
    int fd;
    char *path, *tmp;
    bool failed;
    char *buf; /* pending bytes */
    size_t n_buf;
    uint64_t total; /* bytes written, pending ones among them */
    struct err err; /* the first failure; reported by map and commit */
};
int outfile_open(struct outfile *f, const char *path, struct err *err) WARN_UNUSED;
void outfile_nameless(struct outfile *f, int fd); /* `path` is NULL; takes fd, open for both ways */
void outfile_write(struct outfile *f, const void *p, size_t n); /* failure is sticky */
int outfile_map(struct outfile *f, struct map *m,
                struct err *err) WARN_UNUSED; /* all that was written; outlives f */
int outfile_commit(struct outfile *f,
                   struct err *err) WARN_UNUSED; /* sync, rename, sync folder; releases f */
void outfile_abandon(struct outfile *f);         /* removes the temporary; releases f */

/* $XDG_DATA_HOME/semsearch (or ~/.local/share/semsearch), likewise cache; owned. Fails without
 * HOME. */
char *xdg_data_dir(struct err *err);
char *xdg_cache_dir(struct err *err);

#endif
