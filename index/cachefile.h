/* cachefile.h - one cache on disk: named sections, each checksummed, mapped into memory to be read.
 *
 * A cache is derived from the store and never trusted further than it can be checked. Opening looks
 * at the footer only (its checksum, and that every section lies inside the file), so that a query
 * pays microseconds whatever the size; readers of sections must therefore be safe against any
 * content. cachefile_verify() reads everything. See cachefile.c for the format.
 */
#ifndef SEMSEARCH_INDEX_CACHEFILE_H
#define SEMSEARCH_INDEX_CACHEFILE_H

#include "src/base/err.h"
#include "src/base/file.h"
#include "src/base/hash.h"

#include <stdint.h>

/* What a cache was made from. `id` is made by the writer: a hash of all contents. */
struct cache_stamp {
    int64_t generation, count;
    int32_t dim;
    char fingerprint[68]; /* NUL-terminated; a longer one is kept by its hash */
    struct hash128 base;  /* id of the cache that this one belongs to; zero: none */
    struct hash128 id;
};

/* The fingerprint as stamps keep it. */
void cache_stamp_fingerprint(struct cache_stamp *stamp, const char *fingerprint);

/* ---- writing: begin, then for each section start, any number of adds, then commit or abandon.
 * Failures are sticky and reported at the end. */
struct cache_writer;

/* path NULL: an anonymous file in memory, for a folder that cannot be written. */
int cache_writer_open(const char *path, struct cache_writer **out, struct err *err) WARN_UNUSED;
void cache_section(struct cache_writer *w, const char *name); /* at most 15 bytes */
void cache_add(struct cache_writer *w, const void *p, size_t n);
/* Writes the footer and puts the file in place (synced, renamed). With a map, the new file is
 * mapped too. Frees w, also on failure. stamp->id is set. */
int cache_writer_commit(struct cache_writer *w, struct cache_stamp *stamp, struct map *map,
                        struct err *err) WARN_UNUSED;
void cache_writer_abandon(struct cache_writer *w); /* NULL is fine */

/* ---- reading */
enum { CACHE_SECTIONS_MAX = 24 };

struct cachefile {
    struct map map;
    struct cache_stamp stamp;
    int n_sections;
    struct cache_entry {
        char name[16];
        uint64_t at, bytes;
        struct hash128 sum;
    } section[CACHE_SECTIONS_MAX];
};

/* Maps and checks the footer. ERR_NOT_FOUND when there is no such file, ERR_INCOMPATIBLE when it is
 * of another format or byte order, ERR_CORRUPT when it is damaged. */
int cachefile_open(const char *path, struct cachefile *f, struct err *err) WARN_UNUSED;
/* The same over a mapping, which f owns from then on, also on failure. */
int cachefile_of_map(struct map map, const char *name, struct cachefile *f,
                     struct err *err) WARN_UNUSED;
void cachefile_close(struct cachefile *f); /* safe on a zeroed one */

/* Of this section, `n` bytes, single rows are read here and there: where the file is large and not
 * in memory, no more than those are fetched. */
void cachefile_sparse(const struct cachefile *f, const void *section, size_t n);

/* The section as an array of elements of `size` bytes, aligned to 64; *n gets their number. NULL
 * when there is no such section or its length is no multiple; an empty one gives a pointer. */
const void *cachefile_get(const struct cachefile *f, const char *name, size_t size, int64_t *n);

/* Reads everything; calls fn with the name of each section whose checksum is wrong. Asked to stop,
 * it ends early. */
void cachefile_verify(const struct cachefile *f, void (*fn)(void *ctx, const char *section),
                      void *ctx);

/* ---- scratch: an unnamed file for data too large to keep in memory while something is built.
 * dir NULL: in memory. */
struct scratch;
int scratch_open(const char *dir, struct scratch **out, struct err *err) WARN_UNUSED;
void scratch_add(struct scratch *s, const void *p, size_t n); /* failure is sticky */
int scratch_map(struct scratch *s, struct map *map, struct err *err) WARN_UNUSED;
void scratch_close(struct scratch *s); /* NULL is fine */

#endif
