/* parts.c - see parts.h. */
#include "cli/parts.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

void parts_release(struct parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->item[i]);
    free(p->item);
    *p = (struct parts){0};
}

static void append(struct parts *p, const char *sub, size_t n)
{
    VEC_GROW(p->item, p->n, p->cap);
    p->item[p->n++] = xstrndup(sub, n);
}

int parts_load(struct parts *p, struct store *s, struct err *err)
{
    *p = (struct parts){0};
    char *text = NULL;
    if (store_meta_get(s, "parts", &text, err))
        return -1;
    for (const char *at = text; at && *at;) {
        const char *end = strstr(at, "//");
        append(p, at, end ? (size_t)(end - at) : strlen(at));
        at = end ? end + 2 : NULL;
    }
    free(text);
    return 0;
}

int parts_save(const struct parts *p, struct store *s, struct err *err)
{
    struct str text = {0};
    str_puts(&text, "");
    for (size_t i = 0; i < p->n; i++)
        str_printf(&text, "%s%s", i ? "//" : "", p->item[i]);
    const int rc = store_meta_set(s, "parts", text.p, err);
    str_release(&text);
    return rc;
}

void parts_add(struct parts *p, const char *sub)
{
    for (size_t i = 0; i < p->n; i++) {
        const size_t n = strlen(p->item[i]);
        if (strncmp(p->item[i], sub, n) == 0 && (!sub[n] || sub[n] == '/'))
            return;
    }
    if (*sub) {
        append(p, sub, strlen(sub));
        p->changed = true;
    } else {
        const bool had = p->n > 0;
        parts_release(p);
        p->changed = had;
    }
}
