/* err.c - formatting of errors; see err.h for the contract. */
#include "src/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, const char *fmt, ...)
{
    if (!e)
        return -1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    return -1;
}

int err_kind_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
    if (!e)
        return -1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    e->kind = kind;
    return -1;
}

int err_errno(struct err *e, const char *fmt, ...)
{
    const int saved = errno;
    if (!e)
        return -1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    const size_t n = strlen(e->msg);
    snprintf(e->msg + n, sizeof e->msg - n, ": %s", strerror(saved));
    e->kind = ERR_IO;
    errno = saved;
    return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    if (!e)
        return -1;
    char old[sizeof e->msg];
    memcpy(old, e->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    const size_t n = strlen(e->msg);
    snprintf(e->msg + n, sizeof e->msg - n, ": %.*s", (int)(sizeof old - 1), old);
    return -1;
}

int err_hint(struct err *e, const char *fmt, ...)
{
    if (!e)
        return -1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->hint, sizeof e->hint, fmt, ap);
    va_end(ap);
    return -1;
}

const char *err_kind_name(enum err_kind kind)
{
    static const char *const names[] = {
        [ERR_FAILURE] = "failure",
        [ERR_USAGE] = "usage",
        [ERR_NOT_FOUND] = "not-found",
        [ERR_IO] = "io",
        [ERR_FORMAT] = "format",
        [ERR_LIMIT] = "limit",
        [ERR_MEMORY] = "memory",
        [ERR_CORRUPT] = "corrupt",
        [ERR_NO_INDEX] = "no-index",
        [ERR_LOCKED] = "locked",
        [ERR_INCOMPATIBLE] = "incompatible",
        [ERR_STOPPED] = "stopped",
    };
    return names[kind];
}
