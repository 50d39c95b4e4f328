/* clock.h - time: stop watches, RFC 3339, and the dates people type. */
#ifndef SEMSEARCH_BASE_CLOCK_H
#define SEMSEARCH_BASE_CLOCK_H

#include "src/base/err.h"

#include <stdint.h>

double clock_ms(void); /* monotonic, milliseconds, for differences only */

/* seconds * 1e9 + ns, held at the ends of int64 (years 1677 and 2262): a date far away still
 * compares right. */
int64_t time_ns(int64_t seconds, int64_t ns);

/* Nanoseconds since 1970 as "2026-03-01T12:00:00Z" (seconds, UTC). */
void time_rfc3339(int64_t ns, char out[32]);

/* Parses YYYY-MM-DD (local time; `end` gives the last nanosecond of that day) or RFC 3339 into
 * nanoseconds since 1970. */
int time_parse(const char *text, int end, int64_t *ns, struct err *err) WARN_UNUSED;

#endif
