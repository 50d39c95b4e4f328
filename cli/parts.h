/* parts.h - which parts of its root an index is of.
 *
 * `semsearch index --index X a/notes b/mail` makes an index whose root is the folder that holds
 * both, but which is of these two only: a later `index --index X` must not walk all else that lies
 * there. The store keeps the list as one text, "a/notes//b/mail": clean paths have no "//" in them.
 * An index of its whole root has an empty list.
 */
#ifndef SEMSEARCH_CLI_PARTS_H
#define SEMSEARCH_CLI_PARTS_H

#include "index/index.h"

struct parts {
    char **item; /* relative to the root */
    size_t n, cap;
    bool changed; /* since parts_load: to be saved */
};
void parts_release(struct parts *p);

int parts_load(struct parts *p, struct store *s, struct err *err) WARN_UNUSED;
int parts_save(const struct parts *p, struct store *s, struct err *err) WARN_UNUSED;

/* Adds what no part holds yet; the root itself ("") empties the list. */
void parts_add(struct parts *p, const char *sub);

#endif
