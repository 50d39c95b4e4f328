/* thread.h - a pool of workers for "do item i of n", and a bounded queue between two stages.
 *
 * Results must never depend on which worker took which item: every item writes its own place.
 * Worker 0 is the calling thread, so a pool of 1 starts no thread at all.
 */
#ifndef SEMSEARCH_BASE_THREAD_H
#define SEMSEARCH_BASE_THREAD_H

#include "src/base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct pool;

/* n_threads >= 1. Threads that the system refuses to start are done without (the pool is then
 * smaller). */
struct pool *pool_new(int n_threads);
void pool_free(struct pool *p); /* NULL is fine */
int pool_size(const struct pool *p);

/* Calls fn(ctx, item, worker) once for every item in [0, n_items), worker in [0, pool_size);
 * returns when all are done. Items are handed out in rising order as workers become free. One
 * pool_run at a time per pool. Workers spin for a short time (some ten microseconds) before they
 * sleep, so that back-to-back runs (the layers of one query) cost little. */
void pool_run(struct pool *p, int n_items, void (*fn)(void *ctx, int item, int worker), void *ctx);

/* Cores this process may use (affinity mask, at least 1). */
int thread_default_count(void);

/* A bounded first-in-first-out of pointers between threads. put blocks while full, take while
 * empty. After close, put refuses (returns false, ownership stays with the caller) and take drains
 * what is left, then returns NULL. */
struct queue;
struct queue *queue_new(size_t capacity);
void queue_free(struct queue *q); /* must be empty of things that need freeing */
bool queue_put(struct queue *q, void *item);
void *queue_take(struct queue *q);
void *queue_try_take(struct queue *q); /* NULL when empty at this moment */
void queue_close(struct queue *q);

#endif
