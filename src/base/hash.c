/* hash.c - XXH3 behind our own names; see hash.h. */
#include "src/base/hash.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static struct hash128 canonical(XXH128_hash_t v)
{
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, v);
    struct hash128 h;
    memcpy(h.b, c.digest, sizeof h.b);
    return h;
}

struct hash128 hash_bytes(const void *p, size_t n)
{
    return canonical(XXH3_128bits(p, n));
}

uint64_t hash64(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}

uint64_t hash64_seed(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

bool hash_equal(struct hash128 a, struct hash128 b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}

void hash_hex(struct hash128 h, char out[33])
{
    static const char digit[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        out[2 * i] = digit[h.b[i] >> 4];
        out[2 * i + 1] = digit[h.b[i] & 15];
    }
    out[32] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool hash_from_hex(const char *hex, struct hash128 *out)
{
    if (strnlen(hex, 33) != 32)
        return false;
    for (int i = 0; i < 16; i++) {
        const int hi = hex_value(hex[2 * i]), lo = hex_value(hex[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out->b[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

struct hasher {
    XXH3_state_t *state;
};

struct hasher *hasher_new(void)
{
    struct hasher *h = xmalloc(sizeof *h);
    h->state = XXH3_createState();
    XXH3_128bits_reset(h->state);
    return h;
}

void hasher_add(struct hasher *h, const void *p, size_t n)
{
    XXH3_128bits_update(h->state, p, n);
}

void hasher_int(struct hasher *h, int64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)((uint64_t)v >> (8 * i));
    hasher_add(h, b, sizeof b);
}

void hasher_text(struct hasher *h, struct span s)
{
    hasher_int(h, (int64_t)s.n);
    if (s.n)
        hasher_add(h, s.p, s.n);
}

struct hash128 hasher_finish(struct hasher *h)
{
    const struct hash128 out = canonical(XXH3_128bits_digest(h->state));
    XXH3_freeState(h->state);
    free(h);
    return out;
}
