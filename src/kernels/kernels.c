/* kernels.c - which level this CPU runs: the levels of this build from the best down, each with the
 * question whether the CPU (and the operating system, which must save its registers) has it. */
#include "src/kernels/kernels.h"

#include "src/base/mem.h"
#include "src/base/str.h"
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

#ifdef KERNELS_X86
static bool have_avx2(void) /* every CPU with AVX2 and FMA has F16C */
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool have_avx512(void)
{
    return have_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static bool have_avx512_vnni(void)
{
    return have_avx512() && __builtin_cpu_supports("avx512vnni");
}

static const struct level levels[] = {
    {&kernels_avx512_vnni, have_avx512_vnni},
    {&kernels_avx512, have_avx512},
    {&kernels_avx2, have_avx2},
    {&kernels_scalar, always},
};
#else
static const struct level levels[] = {{&kernels_scalar, always}};
#endif

const struct kernels *kernels_level(const char *isa)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (strcmp(levels[i].table->isa, isa) == 0 && levels[i].usable())
            return levels[i].table;
    return NULL;
}

static bool level_named(const char *isa)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (strcmp(levels[i].table->isa, isa) == 0)
            return true;
    return false;
}

/* Says why a level cannot be forced, and which ones can. */
static int level_refused(const char *wanted, struct err *err)
{
    struct str usable = {0};
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (levels[i].usable())
            str_printf(&usable, "%s%s", usable.n ? ", " : "", levels[i].table->isa);
    err_kind_set(err, ERR_USAGE, "SEMSEARCH_ISA=%s: %s", wanted,
                 level_named(wanted) ? "this CPU lacks that level" : "no such level");
    err_hint(err, "use one of %s, or leave the variable unset", usable.p);
    str_release(&usable);
    return -1;
}

int kernels_init(struct err *err)
{
    const char *const wanted = getenv("SEMSEARCH_ISA");
    if (wanted && *wanted) {
        const struct kernels *const forced = kernels_level(wanted);
        if (!forced)
            return level_refused(wanted, err);
        kern = *forced;
        return 0;
    }
    const struct level *best = levels;
    while (!best->usable())
        best++;
    kern = *best->table;
    return 0;
}
