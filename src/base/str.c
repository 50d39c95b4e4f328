/* str.c - spans and growing strings; see str.h. */
#include "src/base/str.h"

#include "src/base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct span span_of(const char *s)
{
    return (struct span){s, s ? strlen(s) : 0};
}

struct span span_sub(struct span s, size_t a, size_t b)
{
    b = b < s.n ? b : s.n;
    a = a < b ? a : b;
    return (struct span){s.p ? s.p + a : NULL, b - a};
}

bool span_eq(struct span a, const char *b)
{
    return span_equal(a, span_of(b));
}

bool span_equal(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_starts(struct span a, const char *prefix)
{
    const size_t n = strlen(prefix);
    return a.n >= n && memcmp(a.p, prefix, n) == 0;
}

bool span_ends(struct span a, const char *suffix)
{
    const size_t n = strlen(suffix);
    return a.n >= n && memcmp(a.p + a.n - n, suffix, n) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct span span_trim(struct span s)
{
    while (s.n && is_space(s.p[0]))
        s.p++, s.n--;
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool span_split(struct span *rest, char sep, struct span *piece)
{
    if (!rest->p)
        return false;
    const char *hit = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    if (!hit) {
        *piece = *rest;
        *rest = (struct span){NULL, 0};
        return true;
    }
    *piece = (struct span){rest->p, (size_t)(hit - rest->p)};
    *rest = (struct span){hit + 1, rest->n - piece->n - 1};
    return true;
}

int span_cmp(struct span a, struct span b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* Room for n more bytes and the NUL; false (and sticky failure) past the ceiling. */
static bool reserve(struct str *s, size_t n)
{
    const size_t max = s->max ? s->max : (size_t)1 << 30;
    if (s->failed || n > max || s->n > max - n) {
        s->failed = true;
        return false;
    }
    if (s->n + n + 1 > s->cap) {
        size_t cap = s->cap ? s->cap : 64;
        while (cap < s->n + n + 1)
            cap *= 2;
        char *p = realloc(s->p, cap);
        if (!p) {
            s->failed = true;
            return false;
        }
        s->p = p;
        s->cap = cap;
    }
    return true;
}

void str_add(struct str *s, const char *bytes, size_t n)
{
    if (!reserve(s, n))
        return;
    if (n)
        memcpy(s->p + s->n, bytes, n);
    s->n += n;
    s->p[s->n] = '\0';
}

void str_puts(struct str *s, const char *z)
{
    str_add(s, z, strlen(z));
}

void str_putc(struct str *s, char c)
{
    str_add(s, &c, 1);
}

void str_span(struct str *s, struct span a)
{
    str_add(s, a.p, a.n);
}

void str_printf(struct str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !reserve(s, (size_t)n))
        return;
    va_start(ap, fmt);
    vsnprintf(s->p + s->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    s->n += (size_t)n;
}

void str_clear(struct str *s)
{
    s->n = 0;
    s->failed = false;
    if (s->p)
        s->p[0] = '\0';
}

void str_release(struct str *s)
{
    free(s->p);
    *s = (struct str){.max = s->max};
}

char *str_take(struct str *s)
{
    char *p = s->p ? s->p : xstrdup("");
    *s = (struct str){.max = s->max};
    return p;
}

struct span str_view(const struct str *s)
{
    return (struct span){s->p ? s->p : "", s->n};
}

int str_distance(const char *a, const char *b)
{
    enum { MAX = 63 };
    const size_t na = strnlen(a, MAX), nb = strnlen(b, MAX);
    int row[3][MAX + 1]; /* rows i-2, i-1, i of the dynamic programme, used in turn */
    for (size_t j = 0; j <= nb; j++)
        row[0][j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int *cur = row[i % 3], *prev = row[(i + 2) % 3], *prev2 = row[(i + 1) % 3];
        cur[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int best = prev[j - 1] + (a[i - 1] != b[j - 1]);
            best = prev[j] + 1 < best ? prev[j] + 1 : best;
            best = cur[j - 1] + 1 < best ? cur[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                prev2[j - 2] + 1 < best)
                best = prev2[j - 2] + 1;
            cur[j] = best;
        }
    }
    return row[na % 3][nb];
}
