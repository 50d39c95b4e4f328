/* glob.h - patterns as gitignore has them: `*`, `?`, `[a-z]`, `**`, a backslash that quotes. */
#ifndef SEMSEARCH_INDEX_GLOB_H
#define SEMSEARCH_INDEX_GLOB_H

#include "src/base/str.h"

#include <stdbool.h>

/* Does the whole of `text` match? `*`, `?` and `[...]` do not match '/'; `**` between slashes, in
 * front or at the end does. */
bool glob_match(struct span pattern, struct span text);

/* A user's --path, --include, --exclude GLOB against a path relative to the root: without a '/'
 * (other than at the end) it may match any component's name at any depth; with one it is anchored
 * at the root; a pattern that matches a folder takes everything below. A leading "./" or '/' is
 * dropped. */
bool glob_match_path(struct span pattern, struct span path);

#endif
