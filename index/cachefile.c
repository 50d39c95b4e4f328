/* cachefile.c - sections in one mapped file; see cachefile.h.
 *
 *   "semsearch cache\n", 48 zero bytes
 *   section bytes ...            each begins on a multiple of 64
 *   struct cache_entry [n]       name, offset, length, XXH3-128 of the bytes
 *   struct trailer               stamp, n, file length, XXH3-64 of entries and trailer before it
 *
 * The footer comes last because the lengths of sections are known only after they were written, and
 * because a file cut short then has no footer at all. Numbers are in the machine's byte order: a
 * cache does not travel, and the `order` field sends a foreign one to be rebuilt.
 */
#include "index/cachefile.h"

#include "src/base/mem.h"
#include "src/base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    CACHE_FORMAT = 1,
    CACHE_ALIGN = 64,
    HUGE_BYTES_MAX = 256 << 20, /* of a larger file a question needs single rows */
    VERIFY_STEP = 16 << 20,
};
static const char cache_magic[17] = "semsearch cache\n";

struct trailer {
    struct cache_stamp stamp;
    uint32_t n_sections, format, order, zero;
    uint64_t file_bytes;
    uint64_t sum; /* of the entries and everything above */
};

void cache_stamp_fingerprint(struct cache_stamp *stamp, const char *fingerprint)
{
    const size_t n = strlen(fingerprint);
    memset(stamp->fingerprint, 0, sizeof stamp->fingerprint);
    if (n < sizeof stamp->fingerprint)
        memcpy(stamp->fingerprint, fingerprint, n);
    else
        hash_hex(hash_bytes(fingerprint, n), stamp->fingerprint);
}

static int memory_file(struct outfile *f, struct err *err)
{
    const int fd = memfd_create("semsearch-cache", MFD_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot make a file in memory");
    outfile_nameless(f, fd);
    return 0;
}

/* ---- writing */

struct cache_writer {
    struct outfile file; /* nameless in memory */
    struct cache_entry section[CACHE_SECTIONS_MAX];
    int n_sections;
    struct hasher *hash; /* of the section being written */
};

int cache_writer_open(const char *path, struct cache_writer **out, struct err *err)
{
    struct cache_writer *w = xcalloc(1, sizeof *w);
    if (path ? outfile_open(&w->file, path, err) : memory_file(&w->file, err)) {
        free(w);
        return -1;
    }
    char head[CACHE_ALIGN] = {0};
    memcpy(head, cache_magic, sizeof cache_magic - 1);
    outfile_write(&w->file, head, sizeof head);
    *out = w;
    return 0;
}

static void end_section(struct cache_writer *w)
{
    static const char zero[CACHE_ALIGN];
    if (!w->hash)
        return;
    struct cache_entry *e = &w->section[w->n_sections++];
    e->bytes = w->file.total - e->at;
    e->sum = hasher_finish(w->hash);
    w->hash = NULL;
    outfile_write(&w->file, zero, (CACHE_ALIGN - w->file.total % CACHE_ALIGN) % CACHE_ALIGN);
}

void cache_section(struct cache_writer *w, const char *name)
{
    end_section(w);
    if (w->n_sections == CACHE_SECTIONS_MAX || strlen(name) >= sizeof w->section[0].name) {
        w->file.failed = true;
        err_set(&w->file.err, "cache section '%s' is one too many", name);
        return;
    }
    struct cache_entry *e = &w->section[w->n_sections];
    *e = (struct cache_entry){.at = w->file.total};
    memcpy(e->name, name, strlen(name));
    w->hash = hasher_new();
}

void cache_add(struct cache_writer *w, const void *p, size_t n)
{
    if (!w->hash || n == 0)
        return;
    hasher_add(w->hash, p, n);
    outfile_write(&w->file, p, n);
}

static uint64_t footer_sum(const struct cache_entry *section, const struct trailer *t)
{
    const uint64_t s = hash64(section, t->n_sections * sizeof *section);
    return hash64_seed(t, offsetof(struct trailer, sum), s);
}

static void write_footer(struct cache_writer *w, struct cache_stamp *stamp)
{
    end_section(w);
    const size_t table = (size_t)w->n_sections * sizeof w->section[0];
    stamp->id = hash_bytes(w->section, table);
    struct trailer t;
    memset(&t, 0, sizeof t);
    t.stamp = *stamp;
    t.n_sections = (uint32_t)w->n_sections;
    t.format = CACHE_FORMAT;
    t.order = 0x01020304;
    t.file_bytes = w->file.total + table + sizeof t;
    t.sum = footer_sum(w->section, &t);
    outfile_write(&w->file, w->section, table);
    outfile_write(&w->file, &t, sizeof t);
}

void cache_writer_abandon(struct cache_writer *w)
{
    if (!w)
        return;
    if (w->hash)
        hasher_finish(w->hash);
    outfile_abandon(&w->file);
    free(w);
}

int cache_writer_commit(struct cache_writer *w, struct cache_stamp *stamp, struct map *map,
                        struct err *err)
{
    write_footer(w, stamp);
    int rc = map ? outfile_map(&w->file, map, err) : 0;
    if (rc == 0 && (rc = outfile_commit(&w->file, err)) != 0 && map)
        map_close(map);
    cache_writer_abandon(w);
    return rc;
}

/* ---- reading */

static int bad(struct err *err, const char *name, const char *why)
{
    return err_kind_set(err, ERR_CORRUPT, "cache '%s' is not usable: %s", name, why);
}

static int read_footer(struct cachefile *f, const char *name, struct err *err)
{
    const size_t n = f->map.n;
    struct trailer t;
    if (n < CACHE_ALIGN + sizeof t)
        return bad(err, name, "it is cut short");
    if (memcmp(f->map.p, cache_magic, sizeof cache_magic - 1) != 0)
        return bad(err, name, "it is no cache of semsearch");
    memcpy(&t, f->map.p + n - sizeof t, sizeof t);
    if (t.file_bytes != n)
        return bad(err, name, "its end is missing");
    if (t.format != CACHE_FORMAT || t.order != 0x01020304)
        return err_kind_set(err, ERR_INCOMPATIBLE,
                            "cache '%s' was written by another version or machine", name);
    const size_t table = t.n_sections * sizeof f->section[0];
    if (t.n_sections > CACHE_SECTIONS_MAX || table > n - sizeof t - CACHE_ALIGN)
        return bad(err, name, "its table of sections is damaged");
    memcpy(f->section, f->map.p + n - sizeof t - table, table);
    if (footer_sum(f->section, &t) != t.sum)
        return bad(err, name, "the checksum of its footer is wrong");
    const uint64_t end = n - sizeof t - table;
    for (uint32_t i = 0; i < t.n_sections; i++) {
        const struct cache_entry *e = &f->section[i];
        if (e->at % CACHE_ALIGN || e->at > end || e->bytes > end - e->at ||
            e->name[sizeof e->name - 1])
            return bad(err, name, "a section lies outside the file");
    }
    f->stamp = t.stamp;
    f->stamp.fingerprint[sizeof f->stamp.fingerprint - 1] = '\0';
    f->n_sections = (int)t.n_sections;
    return 0;
}

int cachefile_of_map(struct map map, const char *name, struct cachefile *f, struct err *err)
{
    memset(f, 0, sizeof *f);
    f->map = map;
    if (read_footer(f, name, err) == 0)
        return 0;
    cachefile_close(f);
    return -1;
}

int cachefile_open(const char *path, struct cachefile *f, struct err *err)
{
    struct map map;
    memset(f, 0, sizeof *f);
    errno = 0;
    if (map_open(&map, path, err)) {
        if (errno == ENOENT && err)
            err->kind = ERR_NOT_FOUND;
        return -1;
    }
    if (map.n <= HUGE_BYTES_MAX)
        map_prefer_huge(&map);
    return cachefile_of_map(map, path, f, err);
}

void cachefile_close(struct cachefile *f)
{
    map_close(&f->map);
    memset(f, 0, sizeof *f);
}

const void *cachefile_get(const struct cachefile *f, const char *name, size_t size, int64_t *n)
{
    for (int i = 0; i < f->n_sections; i++) {
        const struct cache_entry *e = &f->section[i];
        if (strncmp(e->name, name, sizeof e->name) != 0)
            continue;
        if (e->bytes % size)
            return NULL;
        *n = (int64_t)(e->bytes / size);
        return f->map.p + e->at;
    }
    return NULL;
}

void cachefile_sparse(const struct cachefile *f, const void *section, size_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t from = (uintptr_t)section / page * page;
    if (f->map.n > HUGE_BYTES_MAX && n &&
        madvise((void *)from, (uintptr_t)section + n - from, MADV_RANDOM) < 0)
        errno = 0; /* more is read than is needed */
}

static bool all_zero(const unsigned char *p, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static bool section_sound(const struct cachefile *f, const struct cache_entry *e)
{
    const uint64_t padding = (CACHE_ALIGN - e->bytes % CACHE_ALIGN) % CACHE_ALIGN;
    const unsigned char *p = f->map.p + e->at;
    struct hasher *h = hasher_new();
    for (uint64_t at = 0; at < e->bytes && !stop_requested(); at += VERIFY_STEP)
        hasher_add(h, p + at, e->bytes - at < VERIFY_STEP ? e->bytes - at : VERIFY_STEP);
    const bool same = hash_equal(hasher_finish(h), e->sum);
    return stop_requested() || (same && all_zero(p + e->bytes, padding));
}

void cachefile_verify(const struct cachefile *f, void (*fn)(void *ctx, const char *section),
                      void *ctx)
{
    const size_t magic = sizeof cache_magic - 1;
    if (madvise((void *)(uintptr_t)f->map.p, f->map.n, MADV_NORMAL) < 0)
        errno = 0;                                        /* sparse sections are then read slowly */
    if (!all_zero(f->map.p + magic, CACHE_ALIGN - magic)) /* the magic itself was compared */
        fn(ctx, "header");
    for (int i = 0; i < f->n_sections; i++)
        if (!section_sound(f, &f->section[i]))
            fn(ctx, f->section[i].name);
}

/* ---- scratch */

struct scratch {
    struct outfile file;
};

static int unlinked_file(struct outfile *f, const char *dir, struct err *err)
{
    char *path = path_join(dir, "scratch.tmp-XXXXXX");
    const int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        err_errno(err, "cannot write in '%s'", dir);
    } else {
        unlink(path);
        outfile_nameless(f, fd);
    }
    free(path);
    return fd < 0 ? -1 : 0;
}

int scratch_open(const char *dir, struct scratch **out, struct err *err)
{
    struct outfile f;
    if (dir ? unlinked_file(&f, dir, err) : memory_file(&f, err))
        return -1;
    *out = xmalloc(sizeof **out);
    (*out)->file = f;
    return 0;
}

void scratch_add(struct scratch *s, const void *p, size_t n)
{
    outfile_write(&s->file, p, n);
}

int scratch_map(struct scratch *s, struct map *map, struct err *err)
{
    return outfile_map(&s->file, map, err);
}

void scratch_close(struct scratch *s)
{
    if (!s)
        return;
    outfile_abandon(&s->file);
    free(s);
}
