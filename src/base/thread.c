/* thread.c - the worker pool and the bounded queue; see thread.h.
 *
 * A run is published by raising `epoch` (release). Workers pull item numbers from one atomic
 * counter; the last one out lowers `busy` to zero. Waiting, on both sides, is a short spin and then
 * a condition variable: a futex wake costs more than one layer of a 16-token query, a spin of any
 * length would burn the laptop of an idle user.
 */
#include "src/base/thread.h"

#include "src/base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPINS = 4000 };

struct pool {
    int n; /* workers, the caller included */
    pthread_t *thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    atomic_uint epoch; /* raised once a run */
    atomic_int next, busy;
    atomic_bool quit;
    int n_items;
    void (*fn)(void *, int, int);
    void *ctx;
};

struct worker_arg {
    struct pool *pool;
    int index;
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void work(struct pool *p, int worker)
{
    for (;;) {
        const int item = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (item >= p->n_items)
            return;
        p->fn(p->ctx, item, worker);
    }
}

static unsigned wait_epoch(struct pool *p, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        const unsigned now = atomic_load_explicit(&p->epoch, memory_order_acquire);
        if (now != seen)
            return now;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->epoch, memory_order_acquire) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return atomic_load_explicit(&p->epoch, memory_order_acquire);
}

static void *worker_main(void *arg)
{
    struct worker_arg a = *(struct worker_arg *)arg;
    free(arg);
    unsigned seen = 0;
    for (;;) {
        seen = wait_epoch(a.pool, seen);
        if (atomic_load(&a.pool->quit))
            return NULL;
        work(a.pool, a.index);
        if (atomic_fetch_sub_explicit(&a.pool->busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&a.pool->lock);
            pthread_cond_signal(&a.pool->done);
            pthread_mutex_unlock(&a.pool->lock);
        }
    }
}

struct pool *pool_new(int n_threads)
{
    struct pool *p = xcalloc(1, sizeof *p);
    p->n = 1;
    p->thread = xcalloc((size_t)(n_threads > 1 ? n_threads : 1), sizeof *p->thread);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    for (int i = 1; i < n_threads; i++) {
        struct worker_arg *arg = xmalloc(sizeof *arg);
        *arg = (struct worker_arg){p, p->n};
        if (pthread_create(&p->thread[p->n], NULL, worker_main, arg)) {
            free(arg);
            break;
        }
        p->n++;
    }
    return p;
}

static void publish(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->epoch, 1, memory_order_release);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    atomic_store(&p->quit, true);
    publish(p);
    for (int i = 1; i < p->n; i++)
        pthread_join(p->thread[i], NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->done);
    free(p->thread);
    free(p);
}

int pool_size(const struct pool *p)
{
    return p->n;
}

static void wait_done(struct pool *p)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&p->busy, memory_order_acquire) == 0)
            return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->busy, memory_order_acquire))
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void pool_run(struct pool *p, int n_items, void (*fn)(void *, int, int), void *ctx)
{
    if (p->n == 1 || n_items <= 1) {
        for (int i = 0; i < n_items; i++)
            fn(ctx, i, 0);
        return;
    }
    p->fn = fn;
    p->ctx = ctx;
    p->n_items = n_items;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store_explicit(&p->busy, p->n - 1, memory_order_relaxed);
    publish(p);
    work(p, 0);
    wait_done(p);
}

int thread_default_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_full, not_empty;
    void **item;
    size_t head, n, cap;
    bool closed;
};

struct queue *queue_new(size_t capacity)
{
    struct queue *q = xcalloc(1, sizeof *q);
    q->cap = capacity;
    q->item = xcalloc(capacity, sizeof *q->item);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->not_full, NULL);
    pthread_cond_init(&q->not_empty, NULL);
    return q;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->not_full);
    pthread_cond_destroy(&q->not_empty);
    free(q->item);
    free(q);
}

bool queue_put(struct queue *q, void *item)
{
    pthread_mutex_lock(&q->lock);
    while (q->n == q->cap && !q->closed)
        pthread_cond_wait(&q->not_full, &q->lock);
    const bool ok = !q->closed;
    if (ok) {
        q->item[(q->head + q->n++) % q->cap] = item;
        pthread_cond_signal(&q->not_empty);
    }
    pthread_mutex_unlock(&q->lock);
    return ok;
}

/* With the lock held and n > 0. */
static void *pop(struct queue *q)
{
    void *item = q->item[q->head];
    q->head = (q->head + 1) % q->cap;
    q->n--;
    pthread_cond_signal(&q->not_full);
    return item;
}

void *queue_take(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    while (q->n == 0 && !q->closed)
        pthread_cond_wait(&q->not_empty, &q->lock);
    void *item = q->n ? pop(q) : NULL;
    pthread_mutex_unlock(&q->lock);
    return item;
}

void *queue_try_take(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    void *item = q->n ? pop(q) : NULL;
    pthread_mutex_unlock(&q->lock);
    return item;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->not_full);
    pthread_cond_broadcast(&q->not_empty);
    pthread_mutex_unlock(&q->lock);
}
