/* result.c - see result.h. */
#include "index/extract/result.h"

#include <stdarg.h>
#include <stdio.h>

static void set(struct extract_result *r, enum extract_state state, const char *hint,
                const char *fmt, va_list ap)
{
    if (r->state != EXTRACT_OK)
        return;
    r->state = state;
    vsnprintf(r->reason, sizeof r->reason, fmt, ap);
    snprintf(r->hint, sizeof r->hint, "%s", hint ? hint : "");
}

void result_skip(struct extract_result *r, const char *hint, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    set(r, EXTRACT_SKIPPED, hint, fmt, ap);
    va_end(ap);
}

void result_fail(struct extract_result *r, const char *hint, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    set(r, EXTRACT_FAILED, hint, fmt, ap);
    va_end(ap);
}

const char *size_text(size_t bytes, char out[32])
{
    if (bytes >= (size_t)1 << 30)
        snprintf(out, 32, "%.3g GiB", (double)bytes / (1 << 30));
    else if (bytes >= (size_t)1 << 20)
        snprintf(out, 32, "%.3g MiB", (double)bytes / (1 << 20));
    else
        snprintf(out, 32, "%.3g KiB", (double)bytes / 1024);
    return out;
}

void extract_result_release(struct extract_result *r)
{
    doc_release(&r->doc);
    *r = (struct extract_result){0};
}
