/* cache.c - the files of cache.h.
 *
 * Layout of KEY.packed (host byte order; a file of the other order fails its header hash):
 *   0      struct header
 *   ...    n_params times struct placement
 *   data   floats, at the next multiple of 4096
 * Images are as large as models, so only the most recently used few are kept.
 */
#include "encoder/model/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { VERSION = 1, PAGE = 4096, IMAGES_KEPT = 8, DAY = 86400, RACY_SECONDS = 2 };

/* Everything before head_hash is covered by it, together with the placements. */
struct header {
    char magic[8];
    uint32_t version, n_params;
    uint8_t key[16];
    uint64_t file_bytes, data_offset, data_floats;
    int64_t parameters;
    uint64_t data_hash, head_hash;
    uint32_t verified, unused; /* checked_mark() once a reader has checked data_hash */
};

static const char magic[8] = {'s', 's', 'p', 'a', 'c', 'k', 'e', 'd'};

/* Owned; NULL when there is no cache folder. */
static char *models_dir(void)
{
    struct err ignored = {0};
    char *cache = xdg_cache_dir(&ignored);
    char *dir = cache ? path_join(cache, "models") : NULL;
    free(cache);
    return dir;
}

char *cache_path(struct hash128 key, const char *ending)
{
    char name[64], hex[33];
    char *dir = models_dir();
    hash_hex(key, hex);
    snprintf(name, sizeof name, "%s%s", hex, ending);
    char *path = dir ? path_join(dir, name) : NULL;
    free(dir);
    return path;
}

bool cache_make_dir(void)
{
    struct err ignored = {0};
    char *dir = models_dir();
    const bool ok = dir && dir_make(dir, &ignored) == 0;
    free(dir);
    return ok;
}

/* ---- STAT.id ------------------------------------------------------------------------------------
 */

static struct hash128 stat_key(const struct weight_list *l)
{
    struct hasher *h = hasher_new();
    hasher_text(h, span_of("semsearch weight files 2"));
    for (size_t i = 0; i < l->n; i++) {
        hasher_text(h, span_of(l->file[i].path));
        hasher_int(h, l->file[i].size);
        hasher_int(h, l->file[i].mtime_ns);
        hasher_int(h, l->file[i].ctime_ns);
        hasher_int(h, (int64_t)l->file[i].inode);
    }
    return hasher_finish(h);
}

/* 32 hex digits of the identity and 16 of a checksum of them and of the files that they stand for:
 * the note of other files is not taken for ours, whatever its name. */
static void id_text(struct hash128 key, struct hash128 id, char out[64])
{
    char hex[33];
    hash_hex(id, hex);
    const uint64_t check = hash64_seed(hex, 32, hash64(key.b, sizeof key.b));
    snprintf(out, 64, "%s %016llx\n", hex, (unsigned long long)check);
}

static bool read_id(const char *path, struct hash128 key, struct hash128 *id)
{
    struct str text = {0};
    struct err ignored = {0};
    char expected[64] = "", hex[33] = "";
    if (path && file_read(path, 256, &text, &ignored) == 0 && text.n > 32) {
        memcpy(hex, text.p, 32);
        if (hash_from_hex(hex, id))
            id_text(key, *id, expected);
    }
    const bool ok = expected[0] && span_eq(str_view(&text), expected);
    str_release(&text);
    return ok;
}

/* A file that changed within the clock's grain of being hashed could change again unseen. The time
 * of change counts, which nobody can set: a copy may bring an old modification time with it. */
static bool settled(const struct weight_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->file[i].ctime_ns / 1000000000 + RACY_SECONDS > (int64_t)time(NULL))
            return false;
    return true;
}

static void write_id(const char *path, struct hash128 key, struct hash128 id)
{
    struct outfile f;
    struct err ignored = {0};
    char text[64];
    if (!path || !cache_make_dir() || outfile_open(&f, path, &ignored))
        return;
    id_text(key, id, text);
    outfile_write(&f, text, strlen(text));
    if (outfile_commit(&f, &ignored))
        return;
}

static int hash_files(const struct weight_list *l, struct hash128 *id, struct err *err)
{
    struct hasher *h = hasher_new();
    int rc = 0;
    for (size_t i = 0; i < l->n && !rc; i++) {
        struct map m;
        rc = map_open(&m, l->file[i].path, err);
        if (rc)
            break;
        const struct hash128 one = hash_bytes(m.p, m.n);
        hasher_add(h, one.b, sizeof one.b);
        map_close(&m);
    }
    *id = hasher_finish(h);
    return rc;
}

int cache_identity(const struct weight_list *l, const char *ending, struct hash128 *id,
                   struct err *err)
{
    const struct hash128 key = stat_key(l);
    char *path = cache_path(key, ending);
    int rc = 0;
    if (!read_id(path, key, id)) {
        rc = hash_files(l, id, err);
        if (!rc && settled(l))
            write_id(path, key, *id);
    }
    free(path);
    return rc;
}

/* ---- KEY.packed: reading ------------------------------------------------------------------------
 */

static uint64_t head_hash(const struct header *h, const struct placement *place)
{
    const uint64_t seed = hash64(h, offsetof(struct header, head_hash));
    return hash64_seed(place, h->n_params * sizeof *place, seed);
}

static uint64_t data_offset(uint32_t n_params)
{
    const uint64_t end = sizeof(struct header) + (uint64_t)n_params * sizeof(struct placement);
    return (end + PAGE - 1) / PAGE * PAGE;
}

static bool header_fits(const struct map *m, struct hash128 key, int n_params)
{
    struct header h;
    if (m->n < sizeof h)
        return false;
    memcpy(&h, m->p, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) || h.version != VERSION ||
        h.n_params != (uint32_t)n_params || memcmp(h.key, key.b, sizeof key.b) ||
        h.file_bytes != m->n || h.data_offset != data_offset(h.n_params) || h.data_offset > m->n ||
        h.data_floats != (m->n - h.data_offset) / sizeof(float))
        return false;
    return head_hash(&h, (const struct placement *)(m->p + sizeof h)) == h.head_hash;
}

/* What says that this very file was checked: a copy, which may have gone wrong, is checked again.
 * Never 0. */
static uint32_t checked_mark(const struct header *h, const char *path)
{
    struct stat st;
    const uint64_t inode = stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
    return (uint32_t)hash64_seed(&inode, sizeof inode, h->head_hash) | 1;
}

/* The first reader checks all of the data and says so in the file; one that may not write there
 * checks again next time. */
static bool data_good(const struct map *m, const char *path)
{
    const struct header *h = (const struct header *)m->p;
    const uint32_t yes = checked_mark(h, path);
    if (h->verified == yes)
        return true;
    if (hash64(m->p + h->data_offset, h->data_floats * sizeof(float)) != h->data_hash)
        return false;
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (pwrite(fd, &yes, sizeof yes, offsetof(struct header, verified)) != sizeof yes)
            errno = 0; /* it will be checked again */
        close(fd);
    }
    return true;
}

/* The modification time is the time of last use, to the day. */
static void mark_used(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && time(NULL) - st.st_mtim.tv_sec > DAY &&
        utimensat(AT_FDCWD, path, NULL, 0))
        errno = 0; /* a read-only cache: it only orders the files to be removed */
}

bool cache_open_image(struct image *im, struct hash128 key, int n_params)
{
    struct err ignored = {0};
    struct map m = {0};
    char *path = cache_path(key, ".packed");
    bool ok = path && map_open(&m, path, &ignored) == 0;
    map_prefer_huge(&m);
    ok = ok && header_fits(&m, key, n_params) && data_good(&m, path);
    if (ok) {
        const struct header *h = (const struct header *)m.p;
        mark_used(path);
        im->map = m;
        im->n = n_params;
        im->place = xcalloc((size_t)n_params + 1, sizeof *im->place);
        memcpy(im->place, m.p + sizeof *h, (size_t)n_params * sizeof *im->place);
        im->floats = h->data_floats;
        im->parameters = h->parameters;
        im->data = (const float *)(m.p + h->data_offset);
    } else {
        map_close(&m);
    }
    free(path);
    return ok;
}

/* ---- KEY.packed: writing ------------------------------------------------------------------------
 */

struct aged {
    char *path;
    time_t used;
};

static int newest_first(const void *a, const void *b)
{
    const time_t x = ((const struct aged *)a)->used, y = ((const struct aged *)b)->used;
    return (x < y) - (x > y);
}

/* Leaves room for one more image. */
static void drop_old_images(void)
{
    struct aged *file = NULL;
    size_t n = 0, cap = 0;
    char *dir = models_dir();
    DIR *d = dir ? opendir(dir) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        if (!span_ends(span_of(e->d_name), ".packed"))
            continue;
        char *path = path_join(dir, e->d_name);
        if (stat(path, &st) < 0) {
            free(path);
            continue;
        }
        VEC_GROW(file, n, cap);
        file[n++] = (struct aged){path, st.st_mtim.tv_sec};
    }
    if (n)
        qsort(file, n, sizeof *file, newest_first);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 >= IMAGES_KEPT)
            unlink(file[i].path);
        free(file[i].path);
    }
    free(file);
    free(dir);
    if (d)
        closedir(d);
}

void cache_write_image(const struct image *im, struct hash128 key)
{
    static const char zeros[PAGE];
    struct err ignored = {0};
    struct outfile f;
    struct header h = {.version = VERSION,
                       .n_params = (uint32_t)im->n,
                       .data_floats = im->floats,
                       .parameters = im->parameters};
    memcpy(h.magic, magic, sizeof magic);
    memcpy(h.key, key.b, sizeof key.b);
    h.data_offset = data_offset(h.n_params);
    h.file_bytes = h.data_offset + im->floats * sizeof(float);
    h.data_hash = hash64(im->data, im->floats * sizeof(float));
    h.head_hash = head_hash(&h, im->place);
    char *path = cache_path(key, ".packed");
    if (path && cache_make_dir()) {
        drop_old_images();
        if (outfile_open(&f, path, &ignored) == 0) {
            const size_t table = (size_t)im->n * sizeof *im->place;
            outfile_write(&f, &h, sizeof h);
            outfile_write(&f, im->place, table);
            outfile_write(&f, zeros, h.data_offset - sizeof h - table);
            outfile_write(&f, im->data, im->floats * sizeof(float));
            if (outfile_commit(&f, &ignored))
                ignored.kind = ERR_IO; /* the next process packs again */
        }
    }
    free(path);
}
