/* update_unfinished.c - the vectors of a document that a run did not finish.
 *
 * A document is stored whole or not at all, and a large one may take longer than a time limit
 * allows. What was embedded of it by then is kept in <index folder>/unfinished, so that the next
 * run goes on and does not begin again. Only a cache: one of another model or precision, cut short
 * or damaged is ignored, and a run that completes removes it.
 *
 * Layout: "semsearch vectors 2\n", fingerprint (33 bytes with its NUL), precision, dimension and
 * count (int64, this machine's order), count hashes of 16 bytes in rising order, count vectors
 * [dim] f16, and the 128-bit hash of all that.
 */
#include "index/update_parts.h"

#include "src/base/file.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char magic[] = "semsearch vectors 2\n";
#define FILE_MAX ((size_t)256 << 20)

struct head {
    char magic[sizeof magic];
    char fingerprint[33];
    int64_t precision, dim, count;
};

static char *path_of(const struct update *u)
{
    return path_join(store_dir(u->s), "unfinished");
}

void unfinished_release(struct unfinished *f)
{
    str_release(&f->bytes);
    *f = (struct unfinished){0};
}

static bool is_ours(const struct update *u, struct span s, struct head *h)
{
    const size_t row = sizeof(struct hash128) + (size_t)u->embedder->dim * sizeof(uint16_t);
    if (s.n < sizeof *h + sizeof(struct hash128))
        return false;
    const size_t body = s.n - sizeof(struct hash128);
    const struct hash128 sum = hash_bytes(s.p, body);
    memcpy(h, s.p, sizeof *h);
    return memcmp(h->magic, magic, sizeof magic) == 0 && h->precision == u->embedder->precision &&
           h->dim == u->embedder->dim &&
           memcmp(h->fingerprint, u->fingerprint, sizeof h->fingerprint) == 0 && h->count >= 0 &&
           (size_t)h->count <= FILE_MAX / row && body == sizeof *h + (size_t)h->count * row &&
           memcmp(sum.b, s.p + body, sizeof sum.b) == 0;
}

void unfinished_load(struct update *u)
{
    struct unfinished *f = &u->unfinished;
    struct head h;
    if (!u->s)
        return;
    char *path = path_of(u);
    if (file_read(path, FILE_MAX, &f->bytes, NULL) == 0 && is_ours(u, str_view(&f->bytes), &h)) {
        f->n = (size_t)h.count;
        f->hash = (const struct hash128 *)(f->bytes.p + sizeof h);
        f->vector = f->bytes.p + sizeof h + f->n * sizeof *f->hash;
    } else {
        unfinished_release(f);
    }
    free(path);
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct hash128));
}

int64_t unfinished_find(const struct unfinished *f, struct hash128 hash)
{
    const struct hash128 *hit = f->n ? bsearch(&hash, f->hash, f->n, sizeof hash, by_hash) : NULL;
    return hit ? hit - f->hash : -1;
}

/* A vector to be written: its hash comes first, for by_hash. */
struct row {
    struct hash128 hash;
    const void *vector;
};

static void write_rows(const struct update *u, const char *path, const struct row *row, size_t n)
{
    const size_t vector_bytes = (size_t)u->embedder->dim * sizeof(uint16_t);
    struct head h = {
        .precision = u->embedder->precision, .dim = u->embedder->dim, .count = (int64_t)n};
    struct outfile out;
    struct str s = {.max = FILE_MAX};
    memcpy(h.magic, magic, sizeof magic);
    memcpy(h.fingerprint, u->fingerprint, sizeof h.fingerprint);
    str_add(&s, (const char *)&h, sizeof h);
    for (size_t i = 0; i < n; i++)
        str_add(&s, (const char *)row[i].hash.b, sizeof row[i].hash.b);
    for (size_t i = 0; i < n; i++)
        str_add(&s, row[i].vector, vector_bytes);
    const struct hash128 sum = hash_bytes(s.p, s.n);
    str_add(&s, (const char *)sum.b, sizeof sum.b);
    if (!s.failed && outfile_open(&out, path, NULL) == 0) {
        outfile_write(&out, s.p, s.n);
        if (outfile_commit(&out, NULL))
            unlink(path); /* it is only time that is lost */
    }
    str_release(&s);
}

void unfinished_save(struct update *u, const struct hash128 *hash, const uint16_t *vector, size_t n)
{
    const struct unfinished *f = &u->unfinished;
    const size_t dim = (size_t)u->embedder->dim;
    struct row *row = xcalloc(n + f->n, sizeof *row);
    size_t m = 0;
    for (size_t i = 0; i < f->n; i++)
        row[m++] = (struct row){f->hash[i], f->vector + i * dim * sizeof(uint16_t)};
    for (size_t i = 0; i < n; i++)
        row[m++] = (struct row){hash[i], vector + i * dim};
    qsort(row, m, sizeof *row, by_hash);
    char *path = path_of(u);
    write_rows(u, path, row, m);
    free(path);
    free(row);
}

void unfinished_remove(const struct update *u)
{
    char *path = path_of(u);
    unlink(path);
    free(path);
}
