/* mem.c - checked allocation and the arena; see mem.h. */
#include "src/base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The one place below cli/ that ends the program: bookkeeping memory is exhausted, no message can
 * be built. */
static void *die_unless(void *p)
{
    if (!p) {
        fputs("semsearch: out of memory\n", stderr);
        exit(2);
    }
    return p;
}

void *xmalloc(size_t n)
{
    return die_unless(malloc(n ? n : 1));
}

void *xcalloc(size_t n, size_t size)
{
    return die_unless(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n)
{
    return die_unless(realloc(p, n ? n : 1));
}

void *xrealloc_array(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (!mul_size(n, size, &bytes))
        return die_unless(NULL);
    return xrealloc(p, bytes);
}

char *xstrdup(const char *s)
{
    return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
    char *p = xmalloc(n + 1);
    if (n)
        memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = xmalloc((size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

bool mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

int mem_try(void **out, size_t n, const char *what, struct err *err)
{
    const size_t rounded = (n + 63) & ~(size_t)63;
    *out = rounded >= n ? aligned_alloc(64, rounded ? rounded : 64) : NULL;
    if (!*out)
        return err_kind_set(err, ERR_MEMORY, "not enough memory for %s (%zu bytes)", what, n);
    return 0;
}

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(16) unsigned char data[];
};

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX - 64)
        return die_unless(NULL);
    n = (n + 15) & ~(size_t)15;
    if (!a->head || a->head->size - a->head->used < n) {
        const size_t size = n > 65536 ? n : 65536;
        struct arena_block *b = xmalloc(sizeof *b + size);
        *b = (struct arena_block){.next = a->head, .size = size};
        a->head = b;
    }
    void *p = a->head->data + a->head->used;
    a->head->used += n;
    return memset(p, 0, n);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    if (n)
        memcpy(p, s, n);
    return p;
}

void arena_release(struct arena *a)
{
    while (a->head) {
        struct arena_block *next = a->head->next;
        free(a->head);
        a->head = next;
    }
}
