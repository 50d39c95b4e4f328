/* cache_tokenizer.c - the tokenizer's tables in the cache folder; see cache.h.
 *
 * Reading tokenizer.json and building its tables costs some milliseconds, the larger part of a
 * one-line query; mapping them costs a tenth of one. The key is the content of every file that the
 * tokenizer may read, so an edit of any is seen. The file is HEADER_BYTES of header, then the
 * tables as tokenizer_save() gives them. Its hash covers all of it, so that what it says is what a
 * tokenizer that was built and checked here said.
 */
#include "encoder/model/cache.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 64, FINGERPRINT_AT = 16, HASH_AT = 40 };

/* Raise the number when the same files come to mean other tables. */
static const char format[] = "semsearch tokenizer tables 3";

static const char *const files[] = {"tokenizer.json", "tokenizer_config.json",
                                    "special_tokens_map.json", "vocab.txt"};

static int content_key(const char *dir, struct hash128 *key, struct err *err)
{
    struct weight_list there = {0};
    struct hash128 content = {{0}};
    struct hasher *h = hasher_new();
    int rc = 0;
    hasher_text(h, span_of(format));
    for (size_t i = 0; i < ARRAY_LEN(files) && rc == 0; i++) {
        char *path = path_join(dir, files[i]);
        const bool found = file_exists(path);
        hasher_int(h, found);
        if (found)
            rc = weight_list_add_file(&there, path, err);
        else
            free(path);
    }
    if (rc == 0)
        rc = cache_identity(&there, ".tokenizer-id", &content, err);
    weight_list_release(&there);
    hasher_add(h, content.b, sizeof content.b);
    *key = hasher_finish(h);
    return rc;
}

/* The key, the tokenizer's fingerprint, the tables' size, and the hash of all these and of the
 * tables. */
static void fill_header(unsigned char head[HEADER_BYTES], struct hash128 key,
                        struct hash128 fingerprint, const void *tables, size_t n)
{
    const uint64_t size = n;
    memset(head, 0, HEADER_BYTES);
    memcpy(head, key.b, sizeof key.b);
    memcpy(head + FINGERPRINT_AT, fingerprint.b, sizeof fingerprint.b);
    memcpy(head + 32, &size, sizeof size);
    const uint64_t hash = hash64_seed(tables, n, hash64(head, HASH_AT));
    memcpy(head + HASH_AT, &hash, sizeof hash);
}

static bool open_tables(const char *path, struct hash128 key, struct tokenizer **out,
                        struct map *map)
{
    struct err ignored = {0};
    struct hash128 fingerprint;
    unsigned char expected[HEADER_BYTES];
    if (map_open(map, path, &ignored))
        return false;
    if (map->n > HEADER_BYTES) {
        const unsigned char *tables = map->p + HEADER_BYTES;
        const size_t n = map->n - HEADER_BYTES;
        memcpy(fingerprint.b, map->p + FINGERPRINT_AT, sizeof fingerprint.b);
        fill_header(expected, key, fingerprint, tables, n);
        if (memcmp(expected, map->p, HEADER_BYTES) == 0 &&
            tokenizer_from_known(tables, n, fingerprint, out, &ignored) == 0)
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
        fill_header(head, key, tokenizer_fingerprint(t), tables.p, tables.n);
        outfile_write(&f, head, sizeof head);
        outfile_write(&f, tables.p, tables.n);
        if (outfile_commit(&f, &ignored))
            ignored.kind = ERR_IO; /* the next process builds them again */
    }
    str_release(&tables);
}

int cache_open_tokenizer(const char *dir, struct tokenizer **out, struct map *map, struct err *err)
{
    struct hash128 key;
    struct err ignored = {0};
    int rc = 0;
    *map = (struct map){0};
    char *path = content_key(dir, &key, &ignored) ? NULL : cache_path(key, ".tokenizer");
    if (!path || !open_tables(path, key, out, map)) {
        rc = tokenizer_open(dir, out, err);
        if (path && !rc)
            write_tables(path, key, *out);
    }
    free(path);
    return rc;
}
