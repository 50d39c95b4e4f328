/* memory.c - how much memory this process may still take; see memory.h. Linux: /proc/meminfo,
 * control groups version 2, getrlimit. */
#include "encoder/train/memory.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_BYTES = 1 << 16 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The number after `key` in a small file of the system; SIZE_MAX: none. key "": at its start. */
static size_t number_in(const char *path, const char *key)
{
    struct str text = {0};
    struct err ignored;
    size_t n = SIZE_MAX;
    if (file_read(path, MAX_BYTES, &text, &ignored) == 0 && text.p) {
        const char *at = strstr(text.p, key);
        char *end;
        if (at) {
            const unsigned long long v = strtoull(at + strlen(key), &end, 10);
            if (end != at + strlen(key))
                n = (size_t)v;
        }
    }
    str_release(&text);
    return n;
}

static size_t of_machine(void)
{
    const size_t kb = number_in("/proc/meminfo", "MemAvailable:");
    return kb == SIZE_MAX ? kb : kb * 1024;
}

/* Our group and those above it. */
static size_t of_groups(void)
{
    struct str text = {0};
    struct err ignored;
    size_t left = SIZE_MAX;
    if (file_read("/proc/self/cgroup", MAX_BYTES, &text, &ignored) == 0 && text.p &&
        strncmp(text.p, "0::/", 4) == 0) {
        text.p[strcspn(text.p, "\n")] = '\0';
        char *group = xstrdup(text.p + 3);
        for (;;) {
            char *max = xasprintf("/sys/fs/cgroup%s/memory.max", group);
            char *now = xasprintf("/sys/fs/cgroup%s/memory.current", group);
            const size_t limit = number_in(max, ""), used = number_in(now, "");
            if (limit != SIZE_MAX && used != SIZE_MAX)
                left = least(left, limit > used ? limit - used : 0);
            free(max);
            free(now);
            char *slash = strrchr(group, '/');
            if (!slash || !*group)
                break;
            *slash = '\0';
        }
        free(group);
    }
    str_release(&text);
    return left;
}

static size_t of_limits(void)
{
    struct rlimit r;
    const size_t pages = number_in("/proc/self/statm", "");
    const size_t used = pages == SIZE_MAX ? 0 : pages * (size_t)sysconf(_SC_PAGESIZE);
    size_t left = SIZE_MAX;
    static const int kinds[] = {RLIMIT_AS, RLIMIT_DATA};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (getrlimit(kinds[i], &r) == 0 && r.rlim_cur != RLIM_INFINITY)
            left = least(left, r.rlim_cur > used ? r.rlim_cur - used : 0);
    return left;
}

size_t memory_available(void)
{
    return least(of_machine(), least(of_groups(), of_limits()));
}

void memory_text(size_t bytes, char out[32])
{
    if (bytes >= 1000000000)
        snprintf(out, 32, "%.1f GB", (double)bytes / 1e9);
    else
        snprintf(out, 32, "%.0f MB", (double)bytes / 1e6 < 1 ? 1 : (double)bytes / 1e6);
}
