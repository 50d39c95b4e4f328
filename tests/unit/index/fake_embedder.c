/* fake_embedder.c - see fake_embedder.h. */
#include "tests/unit/index/fake_embedder.h"

#include "src/base/hash.h"
#include "src/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80;
}

static bool is_space_byte(char c)
{
    return (unsigned char)c <= ' ';
}

/* The token at or after *pos; false at the end of the text. */
static bool next_token(struct span text, size_t *pos, struct token_range *out)
{
    size_t i = *pos;
    while (i < text.n && is_space_byte(text.p[i]))
        i++;
    if (i == text.n)
        return false;
    size_t j = i + 1;
    if (is_word_byte(text.p[i]))
        while (j < text.n && is_word_byte(text.p[j]))
            j++;
    *out = (struct token_range){(uint32_t)i, (uint32_t)j};
    *pos = j;
    return true;
}

static int fake_tokens(const struct embedder *e, struct span text, struct token_range **ranges,
                       size_t *n, struct err *err)
{
    (void)e;
    (void)err;
    struct token_range *r = NULL, t;
    size_t count = 0, cap = 0, pos = 0;
    while (next_token(text, &pos, &t)) {
        VEC_GROW(r, count, cap);
        r[count++] = t;
    }
    *ranges = r;
    *n = count;
    return 0;
}

static int fake_overhead(const struct embedder *e, enum embed_role role)
{
    (void)e;
    (void)role;
    return FAKE_OVERHEAD;
}

static void add_word(float *v, struct span word, uint64_t seed)
{
    char low[64];
    const size_t n = word.n < sizeof low ? word.n : sizeof low;
    for (size_t i = 0; i < n; i++)
        low[i] = word.p[i] >= 'A' && word.p[i] <= 'Z' ? (char)(word.p[i] + 32) : word.p[i];
    const uint64_t h = hash64_seed(low, n, seed);
    v[h % FAKE_DIM] += h >> 63 ? 1.0F : -1.0F;
}

static int embed_one(struct span text, int window, uint64_t seed, float *v)
{
    memset(v, 0, FAKE_DIM * sizeof *v);
    struct token_range t;
    size_t pos = 0;
    int n = FAKE_OVERHEAD;
    while (n < window && next_token(text, &pos, &t)) {
        n++;
        if (is_word_byte(text.p[t.start]))
            add_word(v, span_sub(text, t.start, t.end), seed);
    }
    double norm = 0;
    for (int i = 0; i < FAKE_DIM; i++)
        norm += (double)v[i] * (double)v[i];
    if (norm <= 0) /* no word, or all cancelled */
        v[0] = 1.0F, norm = 1;
    for (int i = 0; i < FAKE_DIM; i++)
        v[i] = (float)((double)v[i] / sqrt(norm));
    return n;
}

static int fake_embed(struct embedder *e, const struct span *texts, size_t n, enum embed_role role,
                      float *out, int64_t *n_tokens, struct err *err)
{
    (void)role;
    struct fake_embedder *f = fake_embedder_of(e);
    if (++f->n_calls == f->fail_at_call)
        return err_kind_set(err, ERR_FAILURE, "the fake embedder was told to fail");
    if (f->delay_ms) {
        const struct timespec t = {f->delay_ms / 1000, f->delay_ms % 1000 * 1000000L};
        nanosleep(&t, NULL);
    }
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += embed_one(texts[i], e->window, hash64(e->fingerprint, 32), out + i * FAKE_DIM);
    f->n_texts += (int64_t)n;
    if (n_tokens)
        *n_tokens = sum;
    return 0;
}

static void fake_close(struct embedder *e)
{
    free(e);
}

struct embedder *fake_embedder_new(int seed, int window)
{
    struct fake_embedder *f = xcalloc(1, sizeof *f);
    f->base = (struct embedder){.dim = FAKE_DIM,
                                .window = window ? window : FAKE_WINDOW,
                                .embed = fake_embed,
                                .tokens = fake_tokens,
                                .overhead = fake_overhead,
                                .close = fake_close};
    snprintf(f->base.name, sizeof f->base.name, "fake-%d", seed);
    snprintf(f->base.fingerprint, sizeof f->base.fingerprint, "%032d", seed);
    return &f->base;
}

struct fake_embedder *fake_embedder_of(struct embedder *e)
{
    return (struct fake_embedder *)e;
}
