/* sandbox.c - see sandbox.h. Landlock is used by raw system calls: the constants of newer kernels
 * (ABI 3 and later) are not in the headers of older distributions, and the running kernel says
 * which it knows. */
#include "index/extract/sandbox.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* AddressSanitizer reserves terabytes of address space. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
const bool sandbox_sanitizer_build = true;
#else
const bool sandbox_sanitizer_build = false;
#endif

static void limit(int what, rlim_t value)
{
    struct rlimit r;
    if (getrlimit((__rlimit_resource_t)what, &r) < 0)
        return;
    r.rlim_cur = r.rlim_max != RLIM_INFINITY && r.rlim_max < value ? r.rlim_max : value;
    r.rlim_max = r.rlim_cur;
    setrlimit((__rlimit_resource_t)what, &r);
}

static void limits(size_t memory_bytes)
{
    enum { OPEN_FILES = 32 };
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NPROC, 0); /* no effect for root: seccomp stops new processes there */
    limit(RLIMIT_NOFILE, OPEN_FILES);
    if (memory_bytes && !sandbox_sanitizer_build)
        limit(RLIMIT_AS, memory_bytes);
    signal(SIGXFSZ, SIG_IGN); /* a refused write is an error, not a death */
}

void sandbox_cpu_from_now(int seconds)
{
    struct rusage u;
    struct rlimit r;
    if (getrusage(RUSAGE_SELF, &u) < 0 || getrlimit(RLIMIT_CPU, &r) < 0)
        return;
    const long used_ms = (long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
                         (long)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
    const rlim_t until = (rlim_t)((used_ms + 500) / 1000 + seconds); /* whole seconds, nearest */
    r.rlim_cur = until < r.rlim_max ? until : r.rlim_max;
    setrlimit(RLIMIT_CPU, &r);
}

/* ---- Landlock (documentation: userspace-api/landlock of the kernel) ------------------------- */

struct ruleset_attr {
    uint64_t fs, net, scoped;
};
struct path_attr {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

enum {
    FS_EXECUTE = 1 << 0,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_ABI1 = (1 << 13) - 1,
    FS_REFER = 1 << 13,       /* ABI 2 */
    FS_TRUNCATE = 1 << 14,    /* ABI 3 */
    FS_IOCTL_DEV = 1 << 15,   /* ABI 5 */
    NET_BIND_CONNECT_TCP = 3, /* ABI 4 */
    SCOPE_SOCKET_SIGNAL = 3   /* ABI 6 */
};

static void allow(int ruleset, const char *path, uint64_t access)
{
    enum { RULE_PATH_BENEATH = 1 };
    const int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return;
    struct path_attr attr = {access, fd};
    syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr, 0);
    close(fd);
}

/* The ABI in force, 0: none. Reading (and for programs execution) stays possible below the
 * system's folders, because character set converters, fonts and character maps live there. */
static int landlock(const char *program)
{
    enum { GET_VERSION = 1 };
    const int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, GET_VERSION);
    if (abi < 1)
        return 0;
    const struct ruleset_attr attr = {
        .fs = FS_ABI1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
              (abi >= 5 ? FS_IOCTL_DEV : 0),
        .net = abi >= 4 ? NET_BIND_CONNECT_TCP : 0,
        .scoped = abi >= 6 ? SCOPE_SOCKET_SIGNAL : 0,
    };
    const size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    const int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return 0;
    static const char *const system_dirs[] = {"/usr", "/lib", "/lib64", "/bin",
                                              "/etc", "/opt", "/nix"};
    const uint64_t use = FS_READ_FILE | FS_READ_DIR | (program ? FS_EXECUTE : 0);
    for (size_t i = 0; i < sizeof system_dirs / sizeof *system_dirs; i++)
        if (program || (strcmp(system_dirs[i], "/etc") != 0 && strcmp(system_dirs[i], "/bin") != 0))
            allow(ruleset, system_dirs[i], use);
    if (program)
        allow(ruleset, program, FS_READ_FILE | FS_EXECUTE); /* one in the user's own folder */
    allow(ruleset, "/dev/null", FS_READ_FILE);
    const long rc = syscall(SYS_landlock_restrict_self, ruleset, 0);
    close(ruleset);
    return rc == 0 ? abi : 0;
}

/* ---- the two kinds of process --------------------------------------------------------------- */

void sandbox_parser(size_t memory_bytes, char *layers, size_t n_layers)
{
    limits(memory_bytes);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    const int abi = landlock(NULL);
    const bool filtered = seccomp_confine(false);
    snprintf(layers, n_layers, "limits");
    if (abi)
        snprintf(layers + strlen(layers), n_layers - strlen(layers), ", landlock ABI %d", abi);
    if (filtered)
        snprintf(layers + strlen(layers), n_layers - strlen(layers), ", seccomp");
}

void sandbox_program(size_t memory_bytes, int cpu_seconds, const char *program)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the thread that waits for the output started us */
    limits(memory_bytes);
    limit(RLIMIT_CPU, (rlim_t)cpu_seconds);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    landlock(program);
    seccomp_confine(true);
}
