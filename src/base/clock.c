/* clock.c - see clock.h. */
#include "src/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

double clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void time_rfc3339(int64_t ns, char out[32])
{
    int64_t s = ns / 1000000000;
    if (ns % 1000000000 < 0)
        s--;
    const time_t t = (time_t)s;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(out, 32, "1970-01-01T00:00:00Z");
}

static int bad_date(const char *text, struct err *err)
{
    err_kind_set(err, ERR_USAGE, "'%s' is not a date", text);
    return err_hint(err, "write YYYY-MM-DD, or RFC 3339 such as 2026-03-01T12:00:00Z");
}

/* Day numbers that mktime/timegm would silently carry over (31 February) are refused. */
static int valid_fields(const struct tm *t)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int year = t->tm_year + 1900;
    if (t->tm_mon < 0 || t->tm_mon > 11 || year < 1)
        return 0;
    const int leap = t->tm_mon == 1 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return t->tm_mday >= 1 && t->tm_mday <= days[t->tm_mon] + leap && t->tm_hour >= 0 &&
           t->tm_hour < 24 && t->tm_min >= 0 && t->tm_min < 60 && t->tm_sec >= 0 && t->tm_sec <= 60;
}

int64_t time_ns(int64_t seconds, int64_t ns)
{
    int64_t out;
    if (__builtin_mul_overflow(seconds, 1000000000, &out) || __builtin_add_overflow(out, ns, &out))
        return seconds < 0 ? INT64_MIN : INT64_MAX;
    return out;
}

int time_parse(const char *text, int end, int64_t *ns, struct err *err)
{
    struct tm t = {.tm_isdst = -1};
    int used = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &t.tm_year, &t.tm_mon, &t.tm_mday, &used) != 3 || used != 10)
        return bad_date(text, err);
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    const char *p = text + used;
    if (!*p) {
        if (!valid_fields(&t))
            return bad_date(text, err);
        if (end) /* midnight of the next day, less one nanosecond: right on days of 23 or 25 hours
                    too */
            t.tm_mday++;
        *ns = time_ns((int64_t)mktime(&t), end ? -1 : 0);
        return 0;
    }
    int n = 0;
    if ((*p != 'T' && *p != 't' && *p != ' ') ||
        sscanf(p + 1, "%2d:%2d:%2d%n", &t.tm_hour, &t.tm_min, &t.tm_sec, &n) != 3 || n != 8 ||
        !valid_fields(&t))
        return bad_date(text, err);
    p += 1 + n;
    int64_t frac = 0, unit = 100000000;
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
            frac += (*p - '0') * unit;
    int hours = 0, minutes = 0;
    char sign = 'Z';
    if ((*p == 'Z' || *p == 'z') && !p[1])
        ;
    else if (sscanf(p, "%c%2d:%2d%n", &sign, &hours, &minutes, &n) != 3 || n != 6 || p[n] ||
             (sign != '+' && sign != '-') || hours > 23 || minutes > 59)
        return bad_date(text, err);
    const int64_t offset = (hours * 60 + minutes) * 60 * (sign == '-' ? -1 : sign == '+' ? 1 : 0);
    *ns = time_ns((int64_t)timegm(&t) - offset, frac);
    return 0;
}
