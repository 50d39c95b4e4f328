/* program.c - see program.h.
 *
 * pdftotext prints a small HTML head (the document's title) and then the text with a form feed
 * after every page; the others print text. A program that prints nothing, prints too much, takes
 * too long or dies is the file's failure, never ours.
 */
#include "index/extract/program.h"

#include "index/extract/blocks.h"
#include "index/extract/result.h"
#include "src/base/clock.h"
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- finding and starting ----------------------------------------------------------------- */

/* The program's absolute path, owned; NULL: not on PATH. */
static char *program_path(const char *program)
{
    const char *path = getenv("PATH");
    struct span rest = span_of(path ? path : "/usr/bin:/bin"), dir;
    while (span_split(&rest, ':', &dir)) {
        char *full = xasprintf("%.*s/%s", (int)dir.n, dir.p, program);
        if (dir.n && dir.p[0] == '/' && access(full, X_OK) == 0)
            return full;
        free(full);
    }
    return NULL;
}

bool extract_program_found(const char *program)
{
    char *path = program_path(program);
    free(path);
    return path != NULL;
}

char **helper_environment(void)
{
    static const char *const kept[] = {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS",
                                       "SEMSEARCH_EXTRACT_FAULT"};
    char **env = xcalloc(ARRAY_LEN(kept) + 2, sizeof *env);
    size_t n = 0;
    env[n++] = xstrdup("LC_ALL=C.UTF-8");
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (getenv(kept[i]))
            env[n++] = xasprintf("%s=%s", kept[i], getenv(kept[i]));
    return env;
}

void helper_environment_free(char **env)
{
    for (char **e = env; *e; e++)
        free(*e);
    free(env);
}

int helper_wait(pid_t pid, int grace_ms)
{
    const double deadline = clock_ms() + grace_ms;
    struct timespec nap = {.tv_nsec = 100000};
    int status = 0;
    pid_t got;
    while ((got = waitpid(pid, &status, WNOHANG)) == 0 && clock_ms() < deadline) {
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < 20000000)
            nap.tv_nsec *= 2;
    }
    if (got == 0) {
        kill(-pid, SIGKILL);
        kill(pid, SIGKILL); /* the group may not be its own yet */
    }
    while (got == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

struct child {
    pid_t pid;
    int out, errs; /* read ends; -1: at its end */
};

/* The arguments after `semsearch-extract --run MEMORY CPU`. */
static char **run_arguments(const char *worker, const struct extract_limits *limits,
                            const char *path, const char *program)
{
    static const char *const pdf[] = {"-enc", "UTF-8", "-htmlmeta", "-", "-", NULL};
    /* these seek in their input, so they are given a name for it */
    static const char *const doc[] = {"-w", "-d", "utf-8", "/dev/stdin", NULL};
    static const char *const other[] = {"-d", "utf-8", "/dev/stdin", NULL};
    const char *const *own = strcmp(program, "pdftotext") == 0 ? pdf
                             : strcmp(program, "catdoc") == 0  ? doc
                                                               : other;
    char **argv = xcalloc(16, sizeof *argv);
    size_t n = 0;
    argv[n++] = xstrdup(worker);
    argv[n++] = xstrdup("--run");
    argv[n++] = xasprintf("%zu", limits->memory_bytes);
    argv[n++] = xasprintf("%d", limits->cpu_seconds);
    argv[n++] = xstrdup(path);
    for (; *own; own++)
        argv[n++] = xstrdup(*own);
    return argv;
}

static int child_start(struct child *c, char **argv, int fd, struct err *err)
{
    int out[2] = {-1, -1}, errs[2] = {-1, -1};
    if (pipe2(out, O_CLOEXEC) < 0)
        return err_errno(err, "cannot start '%s'", argv[0]);
    if (pipe2(errs, O_CLOEXEC) < 0) {
        err_errno(err, "cannot start '%s'", argv[0]);
        close(out[0]);
        close(out[1]);
        return -1;
    }
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, errs[1], 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attr, &none);
    char **env = helper_environment();
    const int rc = posix_spawn(&c->pid, argv[0], &actions, &attr, argv, env);
    helper_environment_free(env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(errs[1]);
    c->out = out[0];
    c->errs = errs[0];
    if (rc == 0)
        return 0;
    close(out[0]);
    close(errs[0]);
    errno = rc;
    return err_errno(err, "cannot start '%s'", argv[0]);
}

/* ---- collecting --------------------------------------------------------------------------- */

enum outcome { RAN, LATE, TOO_MUCH, STOPPED };

/* Reads what is there; closes and marks the stream at its end. False: the ceiling is met. */
static bool drain(int *fd, struct str *into, bool keep_all)
{
    char buf[65536];
    const ssize_t n = read(*fd, buf, sizeof buf);
    if (n < 0 && errno == EINTR)
        return true;
    if (n <= 0) {
        close(*fd);
        *fd = -1;
        return true;
    }
    str_add(into, buf, (size_t)n);
    return !into->failed || !keep_all;
}

static enum outcome child_collect(struct child *c, int wall_seconds, struct str *out,
                                  struct str *errs)
{
    const double deadline = clock_ms() + 1000.0 * wall_seconds;
    while (c->out >= 0 || c->errs >= 0) {
        struct pollfd p[2] = {{c->out, POLLIN, 0}, {c->errs, POLLIN, 0}};
        const int ready = poll(p, 2, 100);
        if (stop_requested())
            return STOPPED;
        if (clock_ms() > deadline)
            return LATE;
        if (ready <= 0)
            continue;
        if (p[0].revents && !drain(&c->out, out, true))
            return TOO_MUCH;
        if (p[1].revents)
            drain(&c->errs, errs, false);
    }
    return RAN;
}

/* Ends the child whatever it does and returns its wait status. */
static int child_end(struct child *c, bool by_force)
{
    const int status = helper_wait(c->pid, by_force ? 0 : HELPER_GRACE_MS);
    if (c->out >= 0)
        close(c->out);
    if (c->errs >= 0)
        close(c->errs);
    return status;
}

/* ---- from output to document -------------------------------------------------------------- */

/* Titles that programs put in without asking anyone. */
static struct span worthy_title(struct span t)
{
    static const char *const prefixes[] = {"Microsoft Word - ", "Microsoft PowerPoint - ",
                                           "Microsoft Excel - "};
    static const char *const endings[] = {".doc", ".docx", ".indd", ".qxd", ".dvi", ".jpg",
                                          ".png", ".tif",  ".pdf",  ".ps",  ".xls", ".ppt"};
    t = span_trim(t);
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (span_starts(t, prefixes[i]))
            t = span_sub(t, strlen(prefixes[i]), t.n);
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        if (span_ends(t, endings[i]))
            return (struct span){0};
    return t.n < 3 ? (struct span){0} : t;
}

/* The five entities that pdftotext writes in its head. */
static void unescape(struct span s, struct str *out)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    while (s.n) {
        size_t used = 0;
        for (size_t i = 0; i < ARRAY_LEN(entities) && !used; i++)
            if (span_starts(s, entities[i].name)) {
                str_putc(out, entities[i].c);
                used = strlen(entities[i].name);
            }
        if (!used) {
            str_putc(out, s.p[0]);
            used = 1;
        }
        s = span_sub(s, used, s.n);
    }
}

static struct span between(struct span s, const char *a, const char *b)
{
    const char *from = span_find(s, a);
    if (!from)
        return (struct span){0};
    from += strlen(a);
    const char *to = memmem(from, s.n - (size_t)(from - s.p), b, strlen(b));
    return to ? (struct span){from, (size_t)(to - from)} : (struct span){0};
}

/* Takes the HTML head and foot off pdftotext's output; the text between is not escaped. */
static struct span strip_html(struct span s, struct doc *d)
{
    const char *pre = span_find(s, "<pre>\n");
    if (!span_starts(s, "<!DOCTYPE html") || !pre)
        return s;
    const struct span head = {s.p, (size_t)(pre - s.p)};
    struct str title = {0};
    unescape(between(head, "<title>", "</title>"), &title);
    doc_set_title(d, worthy_title(str_view(&title)));
    str_release(&title);
    struct span body = span_sub(s, (size_t)(pre - s.p) + 6, s.n);
    static const char foot[] = "</pre>\n</body>\n</html>\n";
    if (span_ends(body, foot))
        body.n -= sizeof foot - 1;
    return body;
}

/* The blocks of one page: catdoc prints a paragraph a line, xls2csv a row a line. */
static void page_blocks(struct doc *d, size_t from, size_t to, int page)
{
    enum { ROWS_BYTES = 600 };
    if (d->kind == KIND_DOCUMENT)
        blocks_lines(d, BLOCK_PARAGRAPH, from, to, page, 1);
    else if (d->kind == KIND_SHEET)
        blocks_lines(d, BLOCK_TABLE, from, to, page, ROWS_BYTES);
    else
        blocks_paragraphs(d, from, to, page);
}

/* A form feed ends a page, a slide, a sheet; documents of catdoc have no pages. */
static void pages_to_doc(struct span text, struct doc *d)
{
    utf8_sanitize(text, &d->text);
    if (!d->text.p)
        return;
    for (size_t i = 0; i < d->text.n; i++)
        if (d->text.p[i] == '\0')
            d->text.p[i] = ' ';
    struct span rest = str_view(&d->text), page;
    for (int number = 1; span_split(&rest, '\f', &page); number++) {
        const size_t from = (size_t)(page.p - d->text.p);
        page_blocks(d, from, from + page.n, d->kind == KIND_DOCUMENT ? 0 : number);
    }
    blocks_finish(d);
}

/* Why a program that ended without text did so. */
static void explain(const struct format *f, int status, struct span errs, size_t out_n,
                    const struct extract_limits *limits, struct extract_result *r)
{
    char size[32];
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        result_fail(r, NULL, "%s took more than %d s of processor time", f->info.program,
                    limits->cpu_seconds);
    else if (WIFSIGNALED(status))
        result_fail(r, NULL, "%s crashed (signal %d)", f->info.program, WTERMSIG(status));
    else if (span_find(errs, "assword") || span_find(errs, "ncrypt"))
        result_fail(r, "remove the password, for instance by printing to a new file",
                    "password-protected");
    else if (span_find(errs, "emory"))
        result_fail(r, NULL, "needs more than %s of memory", size_text(limits->memory_bytes, size));
    else if (WEXITSTATUS(status) == 127)
        result_fail(r, NULL, "%s cannot be started", f->info.program);
    else if (WEXITSTATUS(status) != 0 && out_n == 0)
        result_fail(r, NULL, "%s cannot read it (broken file)", f->info.program);
    else if (f->info.kind == KIND_PDF)
        result_skip(r, "run it through OCR, for instance with ocrmypdf",
                    "no text (image-only PDF)");
    else
        result_skip(r, NULL, "no text");
}

static void digest(const struct format *f, int status, struct span out, struct span errs,
                   const struct extract_limits *limits, struct extract_result *r)
{
    struct doc *const d = &r->doc;
    d->kind = f->info.kind;
    d->extractor = xasprintf("%s %d", f->info.program, f->version);
    d->text.max = limits->output_bytes;
    pages_to_doc(f->info.kind == KIND_PDF ? strip_html(out, d) : out, d);
    if (WIFSIGNALED(status) || !blocks_have_text(d))
        explain(f, status, errs, out.n, limits, r);
    if (r->state != EXTRACT_OK)
        doc_release(d);
}

int program_extract(const char *worker, const struct format *format,
                    const struct extract_limits *limits, int fd, struct extract_result *result,
                    struct err *err)
{
    char *path = program_path(format->info.program);
    if (!path) {
        char hint[128];
        snprintf(hint, sizeof hint, "install the package '%s'%s", format->info.package,
                 format->info.kind == KIND_PDF ? "" : ", or convert it to the newer Office format");
        result_fail(result, hint, "needs the program '%s'", format->info.program);
        return 0;
    }
    char **argv = run_arguments(worker, limits, path, format->info.program);
    struct str out = {.max = limits->output_bytes}, errs = {.max = 8192};
    struct child child = {0};
    int rc = -1;
    if (lseek(fd, 0, SEEK_SET) < 0) {
        err_errno(err, "cannot rewind the file");
        goto out;
    }
    if (child_start(&child, argv, fd, err) < 0)
        goto out;
    const enum outcome what = child_collect(&child, limits->wall_seconds, &out, &errs);
    const int status = child_end(&child, what != RAN);
    char size[32];
    rc = 0;
    if (what == STOPPED)
        rc = err_kind_set(err, ERR_STOPPED, "stopped");
    else if (what == LATE)
        result_fail(result, NULL, "took longer than %d s", limits->wall_seconds);
    else if (what == TOO_MUCH)
        result_fail(result, NULL, "more than %s of text", size_text(limits->output_bytes, size));
    else
        digest(format, status, str_view(&out), str_view(&errs), limits, result);
out:
    for (char **a = argv; *a; a++)
        free(*a);
    free(argv);
    free(path);
    str_release(&out);
    str_release(&errs);
    return rc;
}
