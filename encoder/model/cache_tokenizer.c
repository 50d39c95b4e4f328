/* cache_tokenizer.c - the tokenizer's tables in the cache folder; see cache.h.
 *
 * Reading tokenizer.json and building its tables costs some milliseconds, the larger part of a
 * one-line query; mapping them costs a tenth of one. The key is the content of every file that the
 * tokenizer may read, so an edit of any is seen. The file is HEADER_BYTES of header, then the
 * tables as tokenizer_save() gives them (which checks them once more when they come back).
 */
#include "encoder/model/cache.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 64 };

/* Raise the number when the same files come to mean other tables. */
static const char format[] = "semsearch tokenizer tables 2";

static const char *const files[] = {"tokenizer.json", "tokenizer_config.json",
                                    "special_tokens_map.json", "vocab.txt"};

static struct hash128 content_key(const char *dir)
{
    struct hasher *h = hasher_new();
    hasher_text(h, span_of(format));
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct map m = {0};
        struct err ignored = {0};
        char *path = path_join(dir, files[i]);
        const bool there = map_open(&m, path, &ignored) == 0;
        const struct hash128 content = hash_bytes(m.p, m.n);
        hasher_int(h, there);
        hasher_add(h, content.b, sizeof content.b);
        map_close(&m);
        free(path);
    }
    return hasher_finish(h);
}

/* The header: the key, and the tables' size and hash. */
static void fill_header(unsigned char head[HEADER_BYTES], struct hash128 key, const void *tables,
                        size_t n)
{
    const uint64_t size = n, hash = hash64(tables, n);
    memset(head, 0, HEADER_BYTES);
    memcpy(head, key.b, sizeof key.b);
    memcpy(head + 16, &size, sizeof size);
    memcpy(head + 24, &hash, sizeof hash);
}

static bool open_tables(const char *path, struct hash128 key, struct tokenizer **out,
                        struct map *map)
{
    struct err ignored = {0};
    unsigned char expected[HEADER_BYTES];
    if (map_open(map, path, &ignored))
        return false;
    if (map->n > HEADER_BYTES) {
        fill_header(expected, key, map->p + HEADER_BYTES, map->n - HEADER_BYTES);
        if (memcmp(expected, map->p, HEADER_BYTES) == 0 &&
            tokenizer_from_blob(map->p + HEADER_BYTES, map->n - HEADER_BYTES, out, &ignored) == 0)
            return true;
    }
    map_close(map);
    return false;
}

static void write_tables(const char *path, struct hash128 key, const struct tokenizer *t)
{
    struct err ignored = {0};
    struct str tables = {0};
    struct outfile f;
    unsigned char head[HEADER_BYTES];
    tokenizer_save(t, &tables);
    if (!tables.failed && cache_make_dir() && outfile_open(&f, path, &ignored) == 0) {
        fill_header(head, key, tables.p, tables.n);
        outfile_write(&f, head, sizeof head);
        outfile_write(&f, tables.p, tables.n);
        if (outfile_commit(&f, &ignored))
            ignored.kind = ERR_IO; /* the next process builds them again */
    }
    str_release(&tables);
}

int cache_open_tokenizer(const char *dir, struct tokenizer **out, struct map *map, struct err *err)
{
    const struct hash128 key = content_key(dir);
    char *path = cache_path(key, ".tokenizer");
    int rc = 0;
    *map = (struct map){0};
    if (!path || !open_tables(path, key, out, map)) {
        rc = tokenizer_open(dir, out, err);
        if (path && !rc)
            write_tables(path, key, *out);
    }
    free(path);
    return rc;
}
