/* unpack.h - archives and compressed files, in memory and under the job's budget.
 *
 * This is the only caller of libarchive. Nothing is ever written to disk, so member names are just
 * names ("../../etc/passwd" is no danger). Sizes that an archive claims are not believed; what
 * comes out is counted.
 */
#ifndef SEMSEARCH_INDEX_EXTRACT_UNPACK_H
#define SEMSEARCH_INDEX_EXTRACT_UNPACK_H

#include "index/extract/adapter.h"

struct member {
    char *name;       /* owned, valid UTF-8 */
    struct str bytes; /* owned; empty when it was not wanted */
    bool loaded;
};
struct members {
    struct member *item; /* in the order of the archive */
    size_t n, cap;
    size_t encrypted; /* members that were not loaded because they are */
};

enum { UNPACK_MAX_MEMBERS = 20000 };

/* Reads an archive, loading the members that `want` says (regular files only). False: broken, or a
 * limit was met; the verdict is set, members read so far are in `out`. */
bool unpack_archive(struct span archive, bool (*want)(const char *name), struct budget *budget,
                    struct members *out, struct extract_result *r);
void members_release(struct members *m);
/* NULL: not there, or not loaded. Case matters. */
struct str *members_find(const struct members *m, const char *name);
struct span members_span(const struct members *m, const char *name); /* empty when not there */
bool members_have(const struct members *m, const char *name);

/* Takes off all compression (gz, zst, xz, bz2, lz4, Z; one inside another too) and appends the one
 * file inside to `out`. */
bool unpack_filter(struct span packed, struct budget *budget, struct str *out,
                   struct extract_result *r);

#endif
