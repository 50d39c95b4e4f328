/* mem.h - allocation.
 *
 * Two rules. Small bookkeeping (a path, a table of rows) uses the x-functions, which end the
 * program with a message when the machine is out of memory: there is nothing sensible to do there.
 * Anything whose size comes from a file, a model or a user goes through mem_try(), which reports.
 * Every product that sizes memory goes through mul_size().
 */
#ifndef SEMSEARCH_BASE_MEM_H
#define SEMSEARCH_BASE_MEM_H

#include "src/base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

void *xmalloc(size_t n);              /* never NULL; n == 0 gives a unique pointer */
void *xcalloc(size_t n, size_t size); /* zeroed; the product is checked */
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* *out = a * b; false on overflow. */
bool mul_size(size_t a, size_t b, size_t *out) WARN_UNUSED;

/* A block of n bytes aligned to 64 (a cache line, a zmm register), not zeroed; release with free().
 * `what` names the thing in the message of a failure. */
int mem_try(void **out, size_t n, const char *what, struct err *err) WARN_UNUSED;

/* Makes room for one more element in a growing array of `cap` elements (doubling); dies on
 * exhaustion. Use as VEC_GROW(v.item, v.n, v.cap); v.item[v.n++] = x; */
#define VEC_GROW(ptr, n, cap)                                            \
    do {                                                                 \
        if ((n) >= (cap)) {                                              \
            (cap) = (cap) ? (cap)*2 : 16;                                \
            (ptr) = xrealloc_array((ptr), (size_t)(cap), sizeof *(ptr)); \
        }                                                                \
    } while (0)
void *xrealloc_array(void *p, size_t n, size_t size);

/* A bump allocator for things that die together (a document, a request). arena_release frees
 * everything at once. */
struct arena {
    struct arena_block *head;
};
void *arena_alloc(struct arena *a, size_t n); /* zeroed, aligned to 16, never NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
void arena_release(struct arena *a);

#endif
