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
    BUF_BYTES = 2 << 20,
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

/* ---- a buffered file descriptor with a sticky error
 *
 * Every write but the last is of whole huge pages at a multiple of one, see OUT_BUF in file.c. */

struct sink {
    int fd;
    char *buf;
    size_t n_buf;
    uint64_t total;
    bool failed;
    struct err err;
};

static void sink_flush(struct sink *s)
{
    if (!s->failed && s->n_buf && fd_write_all(s->fd, s->buf, s->n_buf, &s->err))
        s->failed = true;
    s->n_buf = 0;
}

static void sink_add(struct sink *s, const void *p, size_t n)
{
    const char *at = p;
    s->total += n;
    while (n) {
        const size_t room = BUF_BYTES - s->n_buf, k = n < room ? n : room;
        memcpy(s->buf + s->n_buf, at, k);
        s->n_buf += k;
        at += k;
        n -= k;
        if (s->n_buf == BUF_BYTES)
            sink_flush(s);
    }
}

static int sink_map(struct sink *s, struct map *map, struct err *err)
{
    *map = (struct map){0};
    if (s->total == 0)
        return 0;
    void *p = mmap(NULL, s->total, PROT_READ, MAP_SHARED, s->fd, 0);
    if (p == MAP_FAILED)
        return err_errno(err, "cannot map a file of %llu bytes", (unsigned long long)s->total);
    *map = (struct map){p, s->total};
    return 0;
}

static int memory_file(struct err *err)
{
    const int fd = memfd_create("semsearch-cache", MFD_CLOEXEC);
    return fd >= 0 ? fd : err_errno(err, "cannot make a file in memory");
}

/* ---- writing */

struct cache_writer {
    struct sink sink;
    bool named;
    struct outfile file; /* temporary name, sync and rename; the bytes go through sink */
    struct cache_entry section[CACHE_SECTIONS_MAX];
    int n_sections;
    struct hasher *hash; /* of the section being written */
};

int cache_writer_open(const char *path, struct cache_writer **out, struct err *err)
{
    struct cache_writer *w = xcalloc(1, sizeof *w);
    w->named = path != NULL;
    const int rc = w->named ? outfile_open(&w->file, path, err) : 0;
    w->sink.fd = rc ? -1 : w->named ? w->file.fd : memory_file(err);
    if (w->sink.fd < 0) {
        free(w);
        return -1;
    }
    w->sink.buf = xmalloc(BUF_BYTES);
    char head[CACHE_ALIGN] = {0};
    memcpy(head, cache_magic, sizeof cache_magic - 1);
    sink_add(&w->sink, head, sizeof head);
    *out = w;
    return 0;
}

static void end_section(struct cache_writer *w)
{
    static const char zero[CACHE_ALIGN];
    if (!w->hash)
        return;
    struct cache_entry *e = &w->section[w->n_sections++];
    e->bytes = w->sink.total - e->at;
    e->sum = hasher_finish(w->hash);
    w->hash = NULL;
    sink_add(&w->sink, zero, (CACHE_ALIGN - w->sink.total % CACHE_ALIGN) % CACHE_ALIGN);
}

void cache_section(struct cache_writer *w, const char *name)
{
    end_section(w);
    if (w->n_sections == CACHE_SECTIONS_MAX || strlen(name) >= sizeof w->section[0].name) {
        w->sink.failed = true;
        err_set(&w->sink.err, "cache section '%s' is one too many", name);
        return;
    }
    struct cache_entry *e = &w->section[w->n_sections];
    *e = (struct cache_entry){.at = w->sink.total};
    memcpy(e->name, name, strlen(name));
    w->hash = hasher_new();
}

void cache_add(struct cache_writer *w, const void *p, size_t n)
{
    if (!w->hash || n == 0)
        return;
    hasher_add(w->hash, p, n);
    sink_add(&w->sink, p, n);
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
    t.file_bytes = w->sink.total + table + sizeof t;
    t.sum = footer_sum(w->section, &t);
    sink_add(&w->sink, w->section, table);
    sink_add(&w->sink, &t, sizeof t);
    sink_flush(&w->sink);
}

void cache_writer_abandon(struct cache_writer *w)
{
    if (!w)
        return;
    if (w->hash)
        hasher_finish(w->hash);
    if (w->named)
        outfile_abandon(&w->file);
    else
        close(w->sink.fd);
    free(w->sink.buf);
    free(w);
}

int cache_writer_commit(struct cache_writer *w, struct cache_stamp *stamp, struct map *map,
                        struct err *err)
{
    write_footer(w, stamp);
    int rc = 0;
    if (w->sink.failed) {
        if (err)
            *err = w->sink.err;
        rc = -1;
    }
    if (rc == 0 && map)
        rc = sink_map(&w->sink, map, err);
    if (rc == 0 && w->named) {
        w->named = false; /* commit releases the file in every case */
        w->sink.fd = -1;
        rc = outfile_commit(&w->file, err);
        if (rc && map)
            map_close(map);
    }
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
    struct sink sink;
};

int scratch_open(const char *dir, struct scratch **out, struct err *err)
{
    int fd = -1;
    if (dir) {
        char *path = path_join(dir, "scratch.tmp-XXXXXX");
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
            err_errno(err, "cannot write in '%s'", dir);
        else
            unlink(path);
        free(path);
    } else {
        fd = memory_file(err);
    }
    if (fd < 0)
        return -1;
    struct scratch *s = xcalloc(1, sizeof *s);
    s->sink.fd = fd;
    s->sink.buf = xmalloc(BUF_BYTES);
    *out = s;
    return 0;
}

void scratch_add(struct scratch *s, const void *p, size_t n)
{
    sink_add(&s->sink, p, n);
}

int scratch_map(struct scratch *s, struct map *map, struct err *err)
{
    sink_flush(&s->sink);
    if (s->sink.failed) {
        if (err)
            *err = s->sink.err;
        return -1;
    }
    return sink_map(&s->sink, map, err);
}

void scratch_close(struct scratch *s)
{
    if (!s)
        return;
    close(s->sink.fd);
    free(s->sink.buf);
    free(s);
}
