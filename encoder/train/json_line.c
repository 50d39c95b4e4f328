/* json_line.c - where a value stands in JSON text, for messages: the parser keeps no places.
 *
 * The text was parsed before, so it is well formed; a walk that loses its way says 0.
 */
#include "encoder/train/json_line.h"

#include <string.h>

static const char *blank(const char *p, const char *end)
{
    while (p < end && strchr(" \t\r\n", *p))
        p++;
    return p;
}

/* Behind the string that begins at p. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p < end ? p + 1 : end;
}

/* Behind the value that begins at p. */
static const char *skip_value(const char *p, const char *end)
{
    int depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
        } else if (depth == 0 && strchr(",]} \t\r\n", *p)) {
            return p;
        } else {
            depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
            p++;
        }
        if (depth == 0 && p < end && strchr("\"}]", p[-1]))
            return p;
    }
    return end;
}

/* The element of the list, or the member of the object, that begins at p; NULL: there is none. */
static const char *enter(const char *p, const char *end, const struct json_step *step)
{
    const char close = step->key ? '}' : ']';
    for (int64_t i = 0;; i++) {
        const char *key = p = blank(p + 1, end);
        if (p >= end || *p == close)
            return NULL;
        bool here = !step->key && i == step->at;
        if (step->key) {
            p = skip_string(p, end);
            const size_t n = strlen(step->key);
            here = (size_t)(p - key) == n + 2 && memcmp(key + 1, step->key, n) == 0;
            p = blank(p, end); /* the colon */
            p = p < end ? blank(p + 1, end) : end;
        }
        if (here)
            return p < end ? p : NULL;
        p = blank(skip_value(p, end), end);
        if (p >= end || *p != ',')
            return NULL;
    }
}

int64_t json_line(struct span text, const struct json_step *path, size_t n)
{
    const char *end = text.p + text.n, *p = blank(text.p, end);
    for (size_t i = 0; i < n; i++) {
        if (p >= end || *p != (path[i].key ? '{' : '['))
            return 0;
        p = enter(p, end, &path[i]);
        if (!p)
            return 0;
    }
    int64_t line = 1;
    for (const char *q = text.p; (q = memchr(q, '\n', (size_t)(p - q))); q++)
        line++;
    return line;
}
