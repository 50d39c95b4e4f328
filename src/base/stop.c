/* stop.c - see stop.h. */
#include "src/base/stop.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

static volatile sig_atomic_t seen;

static void on_signal(int sig)
{
    seen = sig;
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
