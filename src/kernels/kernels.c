/* kernels.c - which level this CPU runs. */
#include "src/kernels/kernels.h"

#include "src/kernels/levels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct kernels kern;

struct level {
    const struct kernels *table;
    bool (*usable)(void);
};

static bool always(void)
{
    return true;
}

static const struct level levels[] = {
    {&kernels_scalar, always},
};

const struct kernels *kernels_level(const char *isa)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(levels[i].table->isa, isa) == 0 && levels[i].usable())
            return levels[i].table;
    return NULL;
}

int kernels_init(struct err *err)
{
    const char *const wanted = getenv("SEMSEARCH_ISA");
    const struct kernels *const k = kernels_level(wanted ? wanted : levels[0].table->isa);
    if (!k)
        return err_kind_set(err, ERR_USAGE, "SEMSEARCH_ISA=%s: this CPU has no such level", wanted);
    kern = *k;
    return 0;
}
