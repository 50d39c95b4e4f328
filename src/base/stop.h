/* stop.h - a clean end on SIGINT and SIGTERM. The handler only sets a flag; every long loop looks
 * at it between items and returns ERR_STOPPED, so that nothing is left half-done. A second signal
 * ends the program at once. */
#ifndef SEMSEARCH_BASE_STOP_H
#define SEMSEARCH_BASE_STOP_H

#include <stdbool.h>

void stop_install(void);   /* called once by cli/ */
bool stop_requested(void); /* cheap; any thread */
int stop_signal(void);     /* the signal that came, or 0 */

/* For one long call that cannot look itself (a statement of SQLite): fn(ctx) is called by the
 * handler too, until stop_call(NULL, NULL). It must be safe in a signal handler. One at a time. */
void stop_call(void (*fn)(void *ctx), void *ctx);

#endif
