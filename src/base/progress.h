/* progress.h - a callback through which long work reports; cli/ draws the bar, tests count, others
 * pass NULL. */
#ifndef SEMSEARCH_BASE_PROGRESS_H
#define SEMSEARCH_BASE_PROGRESS_H

#include <stdint.h>

struct progress {
    int64_t done, total; /* items (files, queries); total 0 while unknown */
    int64_t tokens;      /* tokens encoded so far */
    const char *phase;   /* "scanning", "indexing", "building the vector index" */
};

struct progress_sink {
    void (*update)(
        void *ctx,
        const struct progress *p); /* may be NULL; called from one thread, often: throttle there */
    void (*note)(void *ctx,
                 const char *line); /* one line for people, such as "waiting for another writer" */
    void *ctx;
};

#endif
