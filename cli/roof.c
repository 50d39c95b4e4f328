/* roof.c - see roof.h. */
#include "cli/roof.h"

#include "src/base/clock.h"
#include "src/kernels/kernels.h"

#include <string.h>

enum { PROBE_MS = 12, PROBE_ROUNDS = 2000 };

struct probe {
    double (*loop)(size_t iterations);
    double done[64];
    double until_ms;
};

static void probe_item(void *ctx, int item, int worker)
{
    (void)worker;
    struct probe *p = ctx;
    do
        p->done[item] += p->loop(PROBE_ROUNDS);
    while (clock_ms() < p->until_ms);
}

double roof_rate(struct pool *pool, enum precision p)
{
    struct probe probe = {.loop = p == PRECISION_INT8   ? kern.peak_i8
                                  : p == PRECISION_BF16 ? kern.peak_bf16
                                                        : kern.peak_f32};
    const int n = pool_size(pool) < 64 ? pool_size(pool) : 64;
    if (!probe.loop)
        return 0;
    const double start = clock_ms();
    probe.until_ms = start + PROBE_MS;
    pool_run(pool, n, probe_item, &probe);
    const double ms = clock_ms() - start;
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += probe.done[i];
    return sum / ms * 1e3;
}

double roof_work(const struct model_info *m, int tokens)
{
    const double h = m->hidden, s = tokens;
    const double products = strcmp(m->family, "modernbert") == 0 ? 3 : 2; /* of H x I, a layer */
    return m->layers * s * (2 * (4 * h * h + products * h * m->intermediate) + 4 * h * s);
}
