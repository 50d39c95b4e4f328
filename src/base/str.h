/* str.h - spans and growing strings.
 *
 * Inside the program a text is a span: pointer and length, not NUL-terminated, borrowed. A `struct
 * str` owns bytes and grows; `p` is always NUL-terminated once anything was added (NULL while empty
 * and never used), and every str has a ceiling (`max`, 0 = 1 GiB): past it, `failed` is set,
 * further appends do nothing, and the owner looks once at the end.
 */
#ifndef SEMSEARCH_BASE_STR_H
#define SEMSEARCH_BASE_STR_H

#include "src/base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct span {
    const char *p;
    size_t n;
};

struct span span_of(const char *s); /* of a NUL-terminated string; NULL gives an empty span */
struct span span_sub(struct span s, size_t a, size_t b); /* bytes a..b, clamped to the span */
bool span_eq(struct span a, const char *b);
bool span_equal(struct span a, struct span b);
bool span_starts(struct span a, const char *prefix);
bool span_ends(struct span a, const char *suffix);
struct span span_trim(struct span s); /* without ASCII white space at both ends */
/* Takes the next piece up to `sep` off `*rest`; false when nothing is left. "a,b" gives "a", "b";
 * "a," gives "a", "". A `rest` with p == NULL is the end. */
bool span_split(struct span *rest, char sep, struct span *piece);
int span_cmp(struct span a, struct span b); /* bytewise, as memcmp, shorter first */

struct str {
    char *p;
    size_t n, cap, max;
    bool failed;
};

void str_add(struct str *s, const char *bytes, size_t n);
void str_puts(struct str *s, const char *z);
void str_putc(struct str *s, char c);
void str_span(struct str *s, struct span a);
void str_printf(struct str *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void str_clear(struct str *s);   /* empty, memory kept */
void str_release(struct str *s); /* frees; reusable afterwards */
char *str_take(struct str *s);   /* the caller owns the bytes (never NULL); s becomes empty */
struct span str_view(const struct str *s);

/* Edit distance (Levenshtein, transposition counted as one) for "did you mean"; strings up to 63
 * bytes are compared. */
int str_distance(const char *a, const char *b);

#endif
