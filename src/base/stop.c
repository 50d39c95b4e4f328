/* stop.c - see stop.h. */
#include "src/base/stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static volatile sig_atomic_t seen;
static struct {
    void (*_Atomic fn)(void *ctx);
    void *_Atomic ctx;
} call;

static void on_signal(int sig)
{
    void (*fn)(void *ctx) = atomic_load(&call.fn);
    seen = sig;
    if (fn)
        fn(atomic_load(&call.ctx));
}

void stop_call(void (*fn)(void *ctx), void *ctx)
{
    atomic_store(&call.fn, NULL);
    atomic_store(&call.ctx, ctx);
    atomic_store(&call.fn, fn);
}

void stop_install(void)
{
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_signal;
    a.sa_flags = (int)SA_RESETHAND; /* the second one has its default effect */
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

bool stop_requested(void)
{
    return seen != 0;
}

int stop_signal(void)
{
    return (int)seen;
}
