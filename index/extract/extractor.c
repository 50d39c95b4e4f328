/* extractor.c - the main program's side: keeps a worker, hands it files, judges what comes back.
 *
 * A worker serves many files, so that a small text costs some ten microseconds, and is replaced
 * when it dies, is killed for time, or says that it leaves. The wait for a reply is cut into slices
 * in which a stop request and the deadline are looked at.
 */
#include "index/extract/extract.h"

#include "index/extract/blocks.h"
#include "index/extract/formats.h"
#include "index/extract/program.h"
#include "index/extract/result.h"
#include "index/extract/wire.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/base/unicode.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct extractor {
    struct extract_limits limits;
    char *worker; /* path of semsearch-extract */
    pid_t pid;    /* 0: none running */
    int sock;
    char sandbox[sizeof((struct wire_hello *)0)->sandbox];
};

/* ---- the worker's life -------------------------------------------------------------------- */

/* SEMSEARCH_EXTRACT, beside the program, or ../libexec/semsearch/; owned, NULL: nowhere. */
static char *worker_path(void)
{
    const char *env = getenv("SEMSEARCH_EXTRACT");
    if (env && *env)
        return xstrdup(env);
    char *dir = path_self_dir();
    if (!dir)
        return NULL;
    static const char *const places[] = {"semsearch-extract",
                                         "../libexec/semsearch/semsearch-extract"};
    char *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(places) && !found; i++) {
        found = path_join(dir, places[i]);
        if (access(found, X_OK) < 0) {
            free(found);
            found = NULL;
        }
    }
    free(dir);
    return found;
}

/* Ends the worker (at once when `by_force`, else it has a moment) and returns its wait status. */
static int worker_end(struct extractor *x, bool by_force)
{
    if (x->pid == 0)
        return 0;
    close(x->sock); /* an idle worker ends at end of file */
    const int status = helper_wait(x->pid, by_force ? 0 : HELPER_GRACE_MS);
    x->pid = 0;
    x->sock = -1;
    return status;
}

static int worker_spawn(struct extractor *x, int theirs, struct err *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, theirs, WIRE_SOCKET);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, WIRE_SOCKET + 1);
    posix_spawnattr_init(&attr);
    /* Its own process group: a terminal's Ctrl-C is for us, the worker ends when we close. */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attr, &none);
    char *argv[] = {x->worker,
                    xstrdup("--worker"),
                    xasprintf("%zu", x->limits.memory_bytes),
                    xasprintf("%d", x->limits.cpu_seconds),
                    xasprintf("%zu", x->limits.output_bytes),
                    NULL};
    char **env = helper_environment();
    const int rc = posix_spawn(&x->pid, x->worker, &actions, &attr, argv, env);
    helper_environment_free(env);
    for (size_t i = 1; argv[i]; i++)
        free(argv[i]);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    if (rc == 0)
        return 0;
    x->pid = 0;
    errno = rc;
    return err_errno(err, "cannot start '%s'", x->worker);
}

enum received { GOT, ENDED, LATE, STOPPED };

static enum received receive(struct extractor *x, void *into, size_t n, double deadline)
{
    char *p = into;
    while (n) {
        const ssize_t got = recv(x->sock, p, n, MSG_DONTWAIT);
        if (got > 0) {
            p += got;
            n -= (size_t)got;
            continue;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            return ENDED;
        if (stop_requested())
            return STOPPED;
        if (clock_ms() > deadline)
            return LATE;
        struct pollfd fd = {x->sock, POLLIN, 0};
        poll(&fd, 1, 100);
    }
    return GOT;
}

static int worker_start(struct extractor *x, struct err *err)
{
    enum { START_MS = 20000 };
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(err, "cannot make a socket for the extraction worker");
    const int rc = worker_spawn(x, pair[1], err);
    close(pair[1]);
    x->sock = pair[0];
    if (rc < 0) {
        close(pair[0]);
        x->sock = -1;
        return -1;
    }
    struct wire_hello hello = {0};
    const enum received got = receive(x, &hello, sizeof hello, clock_ms() + START_MS);
    if (got == GOT && hello.magic == WIRE_MAGIC) {
        hello.sandbox[sizeof hello.sandbox - 1] = '\0';
        memcpy(x->sandbox, hello.sandbox, sizeof x->sandbox);
        return 0;
    }
    worker_end(x, true);
    if (got == STOPPED)
        return err_kind_set(err, ERR_STOPPED, "stopped");
    err_set(err, got == GOT ? "'%s' is of another build" : "'%s' does not start", x->worker);
    return err_hint(err, "install semsearch again, or set SEMSEARCH_EXTRACT to the worker");
}

int extractor_open(const struct extract_limits *limits, struct extractor **out, struct err *err)
{
    const struct extract_limits none = {0};
    struct extractor *x = xcalloc(1, sizeof *x);
    x->limits = limits ? *limits : none;
    x->sock = -1;
    struct extract_limits *const l = &x->limits;
    l->cpu_seconds = l->cpu_seconds > 0 ? l->cpu_seconds : 60;
    l->wall_seconds = l->wall_seconds > 0 ? l->wall_seconds : 120;
    l->memory_bytes = l->memory_bytes ? l->memory_bytes : (size_t)1 << 30;
    l->output_bytes = l->output_bytes ? l->output_bytes : (size_t)256 << 20;
    x->worker = worker_path();
    if (!x->worker) {
        extractor_close(x);
        err_kind_set(err, ERR_NOT_FOUND, "the extraction worker 'semsearch-extract' is missing");
        return err_hint(err, "install semsearch again, or set SEMSEARCH_EXTRACT to the worker");
    }
    if (worker_start(x, err) < 0) {
        extractor_close(x);
        return -1;
    }
    *out = x;
    return 0;
}

void extractor_close(struct extractor *x)
{
    if (!x)
        return;
    worker_end(x, false);
    free(x->worker);
    free(x);
}

int extract_sandbox_describe(char out[128], struct err *err)
{
    struct extractor *x;
    if (extractor_open(NULL, &x, err) < 0)
        return -1;
    snprintf(out, 128, "%s", x->sandbox);
    extractor_close(x);
    return 0;
}

/* ---- one file ----------------------------------------------------------------------------- */

static bool send_request(struct extractor *x, int fd, const char *name)
{
    struct wire_request req = {WIRE_MAGIC, (uint32_t)strlen(name)};
    struct iovec iov[2] = {{&req, sizeof req}, {(char *)name, req.name_n}};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr msg = {.msg_iov = iov,
                         .msg_iovlen = 2,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    ssize_t n;
    do
        n = sendmsg(x->sock, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)(sizeof req + req.name_n); /* small: goes whole or not at all */
}

/* Why the worker is gone, as the file's reason. */
static void explain_death(int status, const struct extract_limits *l, struct extract_result *r)
{
    enum { EXIT_MEMORY = 2 }; /* what xmalloc ends with */
    char size[32];
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        result_fail(r, NULL, "took more than %d s of processor time", l->cpu_seconds);
    else if (WIFSIGNALED(status))
        result_fail(r, NULL, "the parser crashed (signal %d)", WTERMSIG(status));
    else if (WEXITSTATUS(status) == EXIT_MEMORY)
        result_fail(r, NULL, "needs more than %s of memory", size_text(l->memory_bytes, size));
    else
        result_fail(r, NULL, "the parser ended early (status %d)", WEXITSTATUS(status));
}

/* Takes `n` bytes into an owned, NUL-terminated string. */
static enum received receive_string(struct extractor *x, char **out, size_t n, double deadline)
{
    *out = xmalloc(n + 1);
    (*out)[n] = '\0';
    return receive(x, *out, n, deadline);
}

static bool reply_sane(const struct wire_reply *h, const struct extract_limits *l)
{
    return h->magic == WIRE_MAGIC && h->state <= WIRE_PROGRAM && h->kind < KIND_COUNT &&
           format_at(h->format) && h->verbatim <= 1 && h->src_offset <= 4 &&
           h->text_n <= l->output_bytes && h->n_blocks <= h->text_n && h->title_n <= 1024 &&
           h->extractor_n <= 128 && h->reason_n < sizeof((struct extract_result *)0)->reason &&
           h->hint_n < sizeof((struct extract_result *)0)->hint;
}

static bool blocks_sane(const struct doc *d)
{
    size_t at = 0;
    for (size_t i = 0; i < d->n_blocks; i++) {
        const struct block *b = &d->block[i];
        if (b->start < at || b->end <= b->start || b->end > d->text.n ||
            (unsigned)b->kind > BLOCK_LIST || b->level < 0 || b->level > 6 || b->page < 0)
            return false;
        at = b->end;
    }
    return utf8_valid(str_view(&d->text)) && (!d->title || utf8_valid(span_of(d->title)));
}

/* Receives what follows the header. Memory: the text and the blocks, both under the ceiling. */
static enum received receive_body(struct extractor *x, const struct wire_reply *h, double deadline,
                                  struct extract_result *r)
{
    struct doc *const d = &r->doc;
    *d = (struct doc){
        .kind = (enum doc_kind)h->kind, .verbatim = h->verbatim, .src_offset = h->src_offset};
    enum received got = GOT;
    if (h->text_n) {
        d->text.p = malloc(h->text_n + 1);
        if (!d->text.p)
            return ENDED;
        d->text.cap = h->text_n + 1;
        d->text.p[h->text_n] = '\0';
        got = receive(x, d->text.p, h->text_n, deadline);
        d->text.n = h->text_n;
    }
    size_t bytes;
    if (got == GOT && h->n_blocks && mul_size(h->n_blocks, sizeof *d->block, &bytes)) {
        d->block = malloc(bytes);
        if (!d->block)
            return ENDED;
        d->n_blocks = d->cap_blocks = h->n_blocks;
        got = receive(x, d->block, bytes, deadline);
    }
    if (got == GOT && h->title_n)
        got = receive_string(x, &d->title, h->title_n, deadline);
    if (got == GOT)
        got = receive_string(x, &d->extractor, h->extractor_n, deadline);
    if (got == GOT)
        got = receive(x, r->reason, h->reason_n, deadline);
    return got == GOT ? receive(x, r->hint, h->hint_n, deadline) : got;
}

/* A file without a name for the program: the bytes that the worker unpacked (a PDF inside a .gz),
 * or a copy of the whole file for programs that must open their input again, which the sandbox
 * allows for nothing that has a path. */
static int memory_file(struct span unpacked, int fd, struct err *err)
{
    struct str copy = {0};
    const int memory = memfd_create("semsearch", MFD_CLOEXEC);
    if (memory < 0)
        return err_errno(err, "cannot make a file in memory");
    int rc = 0;
    if (unpacked.n == 0) {
        rc = lseek(fd, 0, SEEK_SET) < 0 ? err_errno(err, "cannot rewind the file")
                                        : fd_read_all(fd, (size_t)1 << 30, &copy, err);
        unpacked = str_view(&copy);
    }
    if (rc == 0)
        rc = fd_write_all(memory, unpacked.p, unpacked.n, err);
    str_release(&copy);
    if (rc == 0)
        return memory;
    close(memory);
    return -1;
}

static int run_program(struct extractor *x, const struct format *f, int fd,
                       struct extract_result *r, struct err *err)
{
    int inner = -1;
    if (f->family != FAMILY_PROGRAM) {
        extract_result_release(r);
        result_fail(r, NULL, "the parser gave a broken answer");
        return 0;
    }
    const bool by_name = f->info.kind != KIND_PDF; /* pdftotext reads a stream */
    if ((r->doc.text.n || by_name) && (inner = memory_file(str_view(&r->doc.text), fd, err)) < 0)
        return -1;
    extract_result_release(r);
    const int rc = program_extract(x->worker, f, &x->limits, inner >= 0 ? inner : fd, r, err);
    r->doc.kind = f->info.kind;
    if (inner >= 0)
        close(inner);
    return rc;
}

static int take_reply(struct extractor *x, int fd, const char *name, struct extract_result *r,
                      struct err *err)
{
    const double deadline = clock_ms() + 1000.0 * x->limits.wall_seconds;
    struct wire_reply h;
    enum received got = receive(x, &h, sizeof h, deadline);
    bool sane = true;
    if (got == GOT) {
        sane = reply_sane(&h, &x->limits);
        if (sane)
            got = receive_body(x, &h, deadline, r);
        sane = sane && (got != GOT || h.state == WIRE_PROGRAM || blocks_sane(&r->doc));
    }
    if (got != GOT || !sane) {
        const int status = worker_end(x, got != ENDED || !sane);
        extract_result_release(r);
        if (got == STOPPED)
            return err_kind_set(err, ERR_STOPPED, "stopped");
        if (!sane)
            result_fail(r, NULL, "the parser gave a broken answer");
        else if (got == LATE)
            result_fail(r, NULL, "took longer than %d s", x->limits.wall_seconds);
        else
            explain_death(status, &x->limits, r);
        const struct format *named = format_by_name(name);
        r->doc.kind = named ? named->info.kind : KIND_TEXT;
        return 0;
    }
    if (h.leaving)
        worker_end(x, false);
    if (h.state == WIRE_PROGRAM)
        return run_program(x, format_at(h.format), fd, r, err);
    r->state = (enum extract_state)h.state;
    if (r->state != EXTRACT_OK) {
        doc_release(&r->doc);
        r->doc.kind = (enum doc_kind)h.kind;
    }
    return 0;
}

int extract_fd(struct extractor *x, int fd, const char *name, struct extract_result *result,
               struct err *err)
{
    enum { MAX_NAME = 4096 };
    const size_t n = strlen(name);
    name += n > MAX_NAME ? n - MAX_NAME : 0; /* the end has the extension */
    *result = (struct extract_result){0};
    if (stop_requested())
        return err_kind_set(err, ERR_STOPPED, "stopped");
    if (x->pid && send_request(x, fd, name))
        return take_reply(x, fd, name, result, err);
    worker_end(x, true); /* it died idle: the file is not to blame */
    if (worker_start(x, err) < 0)
        return -1;
    if (!send_request(x, fd, name))
        return err_errno(err, "cannot reach the extraction worker");
    return take_reply(x, fd, name, result, err);
}
