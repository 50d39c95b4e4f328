/* worker.c - semsearch-extract: the process that parses hostile documents.
 *
 *   semsearch-extract --worker MEMORY CPU OUTPUT   serves requests on descriptor 3 (wire.h)
 *   semsearch-extract --run MEMORY CPU PROGRAM...  confines itself and becomes PROGRAM
 *
 * It is started by the main program only. It confines itself first, then takes one file after
 * another as an open descriptor, and ends when the main program closes its end, or itself when
 * parsing has left it with much memory. It never learns a path and cannot open one.
 */
#include "index/extract/adapter.h"
#include "index/extract/sandbox.h"
#include "index/extract/wire.h"
#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <locale.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct worker {
    size_t memory_bytes, output_bytes;
    int cpu_seconds;
    int statm;         /* /proc/self/statm, opened before the sandbox closes /proc; -1: none */
    const char *fault; /* tests: how files named "fault*" go wrong */
};

/* ---- the socket ----------------------------------------------------------------------------- */

/* The main program is gone (even by SIGKILL): no use in parsing on. Any other input is a request
 * that waits. */
static void on_socket_signal(int sig)
{
    (void)sig;
    struct pollfd p = {WIRE_SOCKET, 0, 0};
    if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)))
        _exit(0);
}

static void watch_socket(void)
{
    struct sigaction sa = {.sa_handler = on_socket_signal, .sa_flags = SA_RESTART};
    sigaction(SIGIO, &sa, NULL);
    fcntl(WIRE_SOCKET, F_SETOWN, getpid());
    fcntl(WIRE_SOCKET, F_SETFL, fcntl(WIRE_SOCKET, F_GETFL) | O_ASYNC);
}

/* Reads the rest of a record; ends the process at end of file. */
static void read_exactly(void *into, size_t n)
{
    char *p = into;
    while (n) {
        const ssize_t got = recv(WIRE_SOCKET, p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            _exit(0);
        p += got;
        n -= (size_t)got;
    }
}

/* The next request's file; its name is owned by the caller. */
static int read_request(char **name)
{
    struct wire_request req;
    struct iovec iov = {&req, sizeof req};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do
        got = recvmsg(WIRE_SOCKET, &msg, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        _exit(0);
    read_exactly((char *)&req + got, sizeof req - (size_t)got);
    const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (req.magic != WIRE_MAGIC || !c || c->cmsg_type != SCM_RIGHTS || req.name_n > 65536)
        _exit(1);
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    *name = xmalloc((size_t)req.name_n + 1);
    read_exactly(*name, req.name_n);
    (*name)[req.name_n] = '\0';
    return fd;
}

static void write_all(struct iovec *iov, int n)
{
    while (n) {
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n};
        ssize_t sent = sendmsg(WIRE_SOCKET, &msg, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            _exit(0);
        while (n && (size_t)sent >= iov->iov_len) {
            sent -= (ssize_t)iov->iov_len;
            iov++;
            n--;
        }
        if (n) {
            iov->iov_base = (char *)iov->iov_base + sent;
            iov->iov_len -= (size_t)sent;
        }
    }
}

static struct iovec string_part(const char *s)
{
    return (struct iovec){(char *)s, s ? strlen(s) : 0};
}

static void send_reply(const struct job *job, const struct extract_result *r, bool leaving)
{
    const struct doc *const d = &r->doc;
    const struct span text = str_view(job->needs_program ? &job->bytes : &d->text);
    const bool with_text = job->needs_program ? job->depth > 0 : r->state == EXTRACT_OK;
    const bool with_doc = with_text && !job->needs_program;
    struct wire_reply h = {
        .magic = WIRE_MAGIC,
        .state = job->needs_program ? WIRE_PROGRAM : (uint32_t)r->state,
        .kind = (uint32_t)d->kind,
        .format = (uint32_t)format_index(job->needs_program ? job->needs_program : job->format),
        .verbatim = d->verbatim,
        .leaving = leaving,
        .src_offset = d->src_offset,
        .text_n = with_text ? text.n : 0,
        .n_blocks = with_doc ? d->n_blocks : 0,
    };
    struct iovec iov[7] = {
        {&h, sizeof h},
        {(char *)text.p, h.text_n},
        {d->block, h.n_blocks * sizeof *d->block},
        string_part(with_doc ? d->title : NULL),
        string_part(with_doc ? d->extractor : NULL),
        string_part(r->reason),
        string_part(r->hint),
    };
    h.title_n = (uint32_t)iov[3].iov_len;
    h.extractor_n = (uint32_t)iov[4].iov_len;
    h.reason_n = (uint32_t)iov[5].iov_len;
    h.hint_n = (uint32_t)iov[6].iov_len;
    write_all(iov, 7);
}

/* ---- one file ---------------------------------------------------------------------------------
 */

/* The whole file into `out`; a verdict when that cannot be. */
static void read_file(int fd, size_t max, struct str *out, struct extract_result *r)
{
    struct stat st;
    char size[32];
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        result_skip(r, NULL, "not a regular file");
        return;
    }
    if ((uint64_t)st.st_size > max) {
        result_skip(r, "raise the memory limit, or split the file", "larger than %s",
                    size_text(max, size));
        return;
    }
    const size_t n = (size_t)st.st_size;
    out->max = max + 1;
    out->cap = n + 1;
    out->p = xmalloc(out->cap);
    while (out->n < n) {
        const ssize_t got = pread(fd, out->p + out->n, n - out->n, (off_t)out->n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            result_fail(r, NULL, "cannot be read: %s", strerror(errno));
        if (got <= 0)
            break;
        out->n += (size_t)got;
    }
    out->p[out->n] = '\0';
}

/* Tests only: what a parser that was taken over would try. Each success ends with status 9. */
static bool act_escape(const char *fault)
{
    if (strcmp(fault, "socket") == 0)
        return socket(AF_INET, SOCK_STREAM, 0) >= 0;
    if (strcmp(fault, "open") == 0)
        return open("/etc/passwd", O_RDONLY) >= 0;
    if (strcmp(fault, "create") == 0)
        return open("/tmp/semsearch-escape", O_CREAT | O_WRONLY, 0600) >= 0;
    return strcmp(fault, "fork") == 0 && fork() >= 0;
}

/* Tests only: the ways in which parsers go wrong. */
static void act_fault(const char *fault)
{
    if (strcmp(fault, "crash") == 0)
        raise(SIGSEGV);
    else if (strcmp(fault, "memory") == 0)
        for (;;)
            memset(xmalloc(1 << 24), 1, 1 << 24);
    else if (strcmp(fault, "spin") == 0)
        for (volatile unsigned i = 0;; i = i + 1)
            continue;
    else if (strcmp(fault, "hang") == 0)
        for (;;)
            pause();
    else if (strcmp(fault, "linger") == 0)
        for (close(WIRE_SOCKET);;)
            pause();
    else if (strcmp(fault, "garbage") == 0)
        send(WIRE_SOCKET, memset((char[256]){0}, 0x55, 256), 256, MSG_NOSIGNAL);
}

/* Much address space left behind by the last file: a fresh worker starts small. */
static bool grown(const struct worker *w)
{
    char buf[64] = {0};
    if (w->statm < 0 || pread(w->statm, buf, sizeof buf - 1, 0) <= 0)
        return false;
    const size_t pages = strtoull(buf, NULL, 10);
    return pages * (size_t)sysconf(_SC_PAGESIZE) > w->memory_bytes / 3;
}

/* Tests only: dies between two files. */
static void act_fault_after(const char *fault)
{
    if (strcmp(fault, "die-after") == 0)
        _exit(3);
}

static void serve_one(const struct worker *w)
{
    char *name;
    const int fd = read_request(&name);
    sandbox_cpu_from_now(w->cpu_seconds);
    if (w->fault && strncmp(name, "fault", 5) == 0)
        act_fault(w->fault);
    if (w->fault && act_escape(w->fault))
        _exit(9);
    struct extract_result r = {0};
    struct job job = {.name = name, .format = format_find("binary")};
    read_file(fd, w->memory_bytes / 3, &job.bytes, &r);
    close(fd);
    struct budget budget = {.output_bytes = w->output_bytes,
                            .expand_left = (size_t)256 << 20,
                            .packed_bytes = job.bytes.n};
    job.budget = &budget;
    const bool large = job.bytes.n > 1 << 20;
    if (r.state == EXTRACT_OK)
        extract_job(&job, &r);
    const bool heavy = large || r.doc.text.n > 1 << 20 || budget.expanded > 1 << 20;
    /* Asking the kernel costs as much as a small text: only after what can have grown us. */
    send_reply(&job, &r, heavy && (malloc_trim(0), grown(w)));
    if (w->fault)
        act_fault_after(w->fault);
    str_release(&job.bytes);
    extract_result_release(&r);
    free(name);
}

/* ---- start ------------------------------------------------------------------------------------
 */

static void no_message(void *ctx, const char *fmt, ...)
{
    (void)ctx;
    (void)fmt;
}

static xmlParserInputPtr no_entity(const char *url, const char *id, xmlParserCtxtPtr ctxt)
{
    (void)url;
    (void)id;
    (void)ctxt;
    return NULL;
}

static void quiet_libraries(void)
{
    xmlInitParser();
    xmlSetGenericErrorFunc(NULL, no_message);
    xmlSetExternalEntityLoader(no_entity);
}

static _Noreturn void worker_main(char **argv)
{
    struct worker w = {.memory_bytes = strtoull(argv[0], NULL, 10),
                       .cpu_seconds = (int)strtol(argv[1], NULL, 10),
                       .output_bytes = strtoull(argv[2], NULL, 10),
                       .fault = getenv("SEMSEARCH_EXTRACT_FAULT")};
    struct wire_hello hello = {.magic = WIRE_MAGIC};
    setlocale(LC_CTYPE, "C.UTF-8"); /* libarchive converts member names */
    if (!sandbox_sanitizer_build)
        dup2(0, 2); /* a library's complaints concern nobody */
    w.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    quiet_libraries();
    watch_socket();
    sandbox_parser(w.memory_bytes, hello.sandbox, sizeof hello.sandbox);
    write_all(&(struct iovec){&hello, sizeof hello}, 1);
    for (;;)
        serve_one(&w);
}

static _Noreturn void run_main(char **argv)
{
    sandbox_program(strtoull(argv[0], NULL, 10), (int)strtol(argv[1], NULL, 10), argv[2]);
    execv(argv[2], argv + 2);
    _exit(127);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "--worker") == 0)
        worker_main(argv + 2);
    if (argc >= 5 && strcmp(argv[1], "--run") == 0 && argv[4][0] == '/')
        run_main(argv + 2);
    fputs("semsearch-extract is started by semsearch; it does nothing by itself\n", stderr);
    return 2;
}
