/* ignore.h - one ignore file: its rules, and which of them decides about a path.
 *
 * Format (gitignore(5)): one pattern a line; '#' comments, `!` takes back, '/' at the end means
 * folders only, a '/' elsewhere ties the pattern to the file's own folder, otherwise it is matched
 * against names at any depth. Used by walk.c.
 */
#ifndef SEMSEARCH_INDEX_IGNORE_H
#define SEMSEARCH_INDEX_IGNORE_H

#include "src/base/str.h"

#include <stdbool.h>

struct ignore_rule {
    struct span text;    /* the line as written, without trailing blanks */
    struct span pattern; /* without '!', the '/' in front and the '/' at the end */
    size_t literal;      /* bytes of the pattern before its first special character */
    bool negative, dir_only, anchored;
    bool suffix; /* "*" and then only literal bytes */
    int line;    /* 1-based */
};

struct ignore_file {
    char *text; /* owned; the rules point into it */
    struct ignore_rule *rule;
    size_t n, cap;
};

/* Takes the bytes of an ignore file over (text is freed by ignore_release, NUL bytes allowed). */
void ignore_parse(struct ignore_file *f, char *text, size_t n);
void ignore_release(struct ignore_file *f);

/* The last rule that matches `path` (relative to the ignore file's folder), or NULL. */
const struct ignore_rule *ignore_match(const struct ignore_file *f, struct span path, bool is_dir);

#endif
