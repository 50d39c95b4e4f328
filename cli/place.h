/* place.h - where the index is, what its root is, and how its paths look from the current folder.
 */
#ifndef SEMSEARCH_CLI_PLACE_H
#define SEMSEARCH_CLI_PLACE_H

#include "cli/args.h"
#include "index/index.h"

#define INDEX_FOLDER ".semsearch"

struct place {
    char *index_dir; /* absolute */
    char *root;      /* absolute; the folder whose documents it holds */
    char *cwd;       /* absolute */
};
void place_release(struct place *p);

/* The index that --index names, else the nearest .semsearch upward from here. ERR_NO_INDEX when
 * there is none. Fills index_dir and cwd; `root` follows from place_root() once the store is open.
 */
int place_find(const struct args *a, struct place *p, struct err *err) WARN_UNUSED;

/* The root: the index folder's parent for an index called .semsearch, else what the store says:
 * relative to the index folder when that lies in the root (both can then be moved together), else
 * absolute. */
int place_root(struct place *p, struct store *s, struct err *err) WARN_UNUSED;
char *place_root_text(const struct place *p); /* what to store of it; owned */

/* place_find, store_open for reading or writing, place_root. */
int place_open(const struct args *a, enum store_mode mode, const struct progress_sink *sink,
               struct place *p, struct store **s, struct err *err) WARN_UNUSED;

/* A user's path (relative to the current folder, or absolute, need not exist) as a path relative to
 * the root; owned. "" is the root itself. Who stands outside of the root may also name a path as
 * JSON output does, relative to the root, if it leads nowhere below the root from there. Outside of
 * the root: NULL, ERR_USAGE. */
char *place_relative(const struct place *p, const char *path, struct err *err);

/* The document at a user's path: relative to the current folder, else to the root. 1: found, 0: not
 * (also when it is outside of the root). */
int place_doc(const struct place *p, struct store *s, const char *path, struct store_doc *doc,
              struct err *err) WARN_UNUSED;

/* A path of the index as it is written from the current folder ("../notes/a.md"), appended. */
void place_display(const struct place *p, const char *path, struct str *out);

/* The nearest .semsearch at or above an absolute folder; owned; NULL: none. */
char *place_above(const char *dir);

/* Lexically: removes "." and "..", doubled slashes, from an absolute path; owned. */
char *path_clean(const char *absolute);

#endif
