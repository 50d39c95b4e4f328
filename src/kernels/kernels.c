/* kernels.c - which level this CPU runs: the levels of this build from the best down, each with the
 * question whether the CPU (and the operating system, which must save its registers) has it. */
#include "src/kernels/kernels.h"

#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/kernels/levels.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#ifdef KERNELS_X86
#include <cpuid.h>
#endif
#ifdef KERNELS_ARM
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

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

/* CPUID leaf 7, subleaf 1, EAX bit 4: the VEX encoding of VNNI. */
static bool have_avxvnni(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return have_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 4 & 1U;
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

static bool have_avx512_bf16(void)
{
    return have_avx512_vnni() && __builtin_cpu_supports("avx512bf16");
}

static const struct level levels[] = {
    {&kernels_avx512_bf16, have_avx512_bf16},
    {&kernels_avx512_vnni, have_avx512_vnni},
    {&kernels_avx512, have_avx512},
    {&kernels_avxvnni, have_avxvnni},
    {&kernels_avx2, have_avx2},
    {&kernels_scalar, always},
};
#elif defined(KERNELS_ARM)
static bool have_dot(void)
{
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
}

static bool have_dot_and_bf16(void)
{
    return have_dot() && getauxval(AT_HWCAP) & HWCAP_ASIMDHP && getauxval(AT_HWCAP2) & HWCAP2_BF16;
}

static const struct level levels[] = {
    {&kernels_neon_bf16, have_dot_and_bf16},
    {&kernels_neon_dot, have_dot},
    {&kernels_neon, always},
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
static void level_refused(const char *wanted, struct err *err)
{
    struct str usable = {0};
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (levels[i].usable())
            str_printf(&usable, "%s%s", usable.n ? ", " : "", levels[i].table->isa);
    err_kind_set(err, ERR_USAGE, "SEMSEARCH_ISA=%s: %s", wanted,
                 level_named(wanted) ? "this CPU lacks that level" : "no such level");
    err_hint(err, "use one of %s, or leave the variable unset", usable.p);
    str_release(&usable);
}

const struct kernels *kernels_choose(const char *isa, struct err *err)
{
    const struct level *best = levels;
    if (isa && *isa) {
        const struct kernels *const forced = kernels_level(isa);
        if (!forced)
            level_refused(isa, err);
        return forced;
    }
    while (!best->usable())
        best++;
    return best->table;
}

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;

int kernels_init(struct err *err)
{
    static bool chosen; /* under the lock */
    pthread_mutex_lock(&init_lock);
    if (!chosen) {
        const struct kernels *const table = kernels_choose(getenv("SEMSEARCH_ISA"), err);
        if (table)
            kern = *table;
        chosen = table != NULL;
    }
    const int rc = chosen ? 0 : -1;
    pthread_mutex_unlock(&init_lock);
    return rc;
}
