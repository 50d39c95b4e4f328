/* hash.h - 128-bit content hashes (XXH3): identity of files, chunks and models, and checksums of
 * rows and pages. Not cryptographic: it guards against accident, not against an adversary. This is
 * the only caller of xxHash. */
#ifndef SEMSEARCH_BASE_HASH_H
#define SEMSEARCH_BASE_HASH_H

#include "src/base/str.h"

#include <stdint.h>

struct hash128 {
    uint8_t b[16]; /* canonical (big-endian) order, so that it can be stored */
};

struct hash128 hash_bytes(const void *p, size_t n);
uint64_t hash64(const void *p, size_t n);
uint64_t hash64_seed(const void *p, size_t n, uint64_t seed);
bool hash_equal(struct hash128 a, struct hash128 b);
void hash_hex(struct hash128 h, char out[33]);
bool hash_from_hex(const char *hex, struct hash128 *out); /* 32 hex digits; false otherwise */

/* Streaming. hash_text adds length and bytes, so that ("ab","c") and ("a","bc") differ. */
struct hasher;
struct hasher *hasher_new(void);
void hasher_add(struct hasher *h, const void *p, size_t n);
void hasher_text(struct hasher *h, struct span s);
void hasher_int(struct hasher *h, int64_t v);
struct hash128 hasher_finish(struct hasher *h); /* frees h */

#endif
