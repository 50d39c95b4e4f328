/* walk_rules.h - what walk.c shares with why.c: the rules in force along one path. Private to both.
 */
#ifndef SEMSEARCH_INDEX_WALK_RULES_H
#define SEMSEARCH_INDEX_WALK_RULES_H

#include "index/ignore.h"
#include "index/walk.h"

enum { N_IGNORE = 3 };

struct frame {
    size_t base; /* bytes of the path up to and with the folder's '/' */
    dev_t dev;
    ino_t ino;
    struct ignore_file ignore[N_IGNORE]; /* in rising precedence */
    struct str names;                    /* of the sub-folders to visit, each with its NUL */
    size_t next;                         /* the first one not visited yet */
};

struct walk {
    const struct walk_options *options;
    int64_t max_size;
    char too_large[64]; /* the reason */
    int root_fd;
    struct ignore_file exclude; /* .git/info/exclude */
    struct frame *frame;
    size_t n, cap;
    struct str path; /* of the entry at hand */
    int (*fn)(void *ctx, const struct walk_entry *e, struct err *err);
    void *ctx;
};

/* What decides about one path, its parents being taken already. */
enum decision { TAKEN, NEVER, HIDDEN, IGNORED, EXCLUDED, NOT_INCLUDED };
struct verdict {
    enum decision decision;
    const struct ignore_rule *rule; /* IGNORED, or TAKEN by a rule with '!' */
    size_t base;                    /* of the folder that has the rule's file */
    const char *file;               /* the rule's file, below that folder */
};

int walk_init(struct walk *w, const char *root, const struct walk_options *options,
              struct err *err) WARN_UNUSED;
void walk_release(struct walk *w);

/* `path` without empty and "." components, appended to *out; ERR_USAGE when it leaves the root. */
int walk_normalise(const char *path, struct str *out, struct err *err) WARN_UNUSED;

/* The path at hand, whose last component begins at `base` of the top frame. */
struct verdict walk_decide(const struct walk *w, bool is_dir);

/* Reads the ignore files of an open folder into a new frame, and puts a frame on top. */
int walk_load_rules(const struct walk *w, int dir_fd, struct frame *f, struct err *err) WARN_UNUSED;
void walk_push(struct walk *w, const struct frame *f);

/* Why something that is no folder is not read; NULL: it is. */
const char *walk_skip_reason(const struct walk *w, const struct stat *st);

#endif
