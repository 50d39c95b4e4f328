/* walk.h - which files of a folder are to be indexed, and why a file is not.
 *
 * Rules, as git has them: .gitignore, .ignore and .semsearchignore of every folder from the root
 * down (later files and deeper folders win, `!` takes back, a file below an excluded folder cannot
 * come back), .git/info/exclude; hidden files and folders are left out unless asked for; `.git`,
 * `.hg`, `.svn`, `.semsearch` always. Links are not followed. Names are bytes: any name works.
 *
 * The root is where rules begin: ignore files above it, git's global excludes, and those of a .git
 * that is a file are not read, so that an index depends on its folder alone.
 */
#ifndef SEMSEARCH_INDEX_WALK_H
#define SEMSEARCH_INDEX_WALK_H

#include "src/base/err.h"
#include "src/base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct walk_options {
    bool hidden;                /* take hidden files and folders */
    bool no_ignore;             /* do not read ignore files */
    int64_t max_file_size;      /* bytes; 0: 64 MiB */
    const char *const *include; /* globs; when there are any, a file must match one */
    size_t n_include;
    const char *const *exclude;
    size_t n_exclude;
};

enum walk_state {
    WALK_FILE,    /* to be indexed */
    WALK_SKIPPED, /* seen and left out: link, device, pipe, socket, too large, empty */
    WALK_FAILED   /* cannot be read (a folder or a file's metadata): reason says why */
};
struct walk_entry {
    const char *path; /* relative to the root, '/' between */
    enum walk_state state;
    bool is_dir; /* WALK_FAILED: a folder that cannot be listed; what lies below is unknown and must
                    not be pruned */
    const char *reason; /* WALK_SKIPPED, WALK_FAILED */
    struct stat st;
};

/* Walks root/sub (sub "" or NULL: all; it may also be one file) and calls fn for every entry, files
 * of a folder in bytewise order of name. Ignored and hidden files are not reported. fn returns 0 to
 * go on; its other values end the walk and are returned. Memory is bounded by depth and the largest
 * folder. */
int walk_run(const char *root, const char *sub, const struct walk_options *options,
             int (*fn)(void *ctx, const struct walk_entry *e, struct err *err), void *ctx,
             struct err *err) WARN_UNUSED;

/* Opens a file below the folder `root_fd` by its relative path, never through a link, never waiting
 * for a pipe. Returns the descriptor, or -1 with errno. */
int walk_open(int root_fd, const char *path, int flags);

/* Why a path (relative to the root; need not exist) is or is not taken. */
struct walk_reason {
    bool taken;
    char what[512]; /* "ignored by the rule 'build/'", "hidden", "symbolic link", "larger than 64
                       MiB" */
    char *file;     /* owned: the ignore file, relative to the root; NULL: no rule decided */
    int line;       /* 1-based */
    char *rule;     /* owned: the rule's text */
    char *at; /* owned: the path that the rule matched: the file itself or a folder above it */
};
int walk_why(const char *root, const char *path, const struct walk_options *options,
             struct walk_reason *out, struct err *err) WARN_UNUSED;
void walk_reason_release(struct walk_reason *r);

#endif
