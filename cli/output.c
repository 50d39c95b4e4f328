/* output.c - streams, styles and the progress bar; see output.h. */
#include "cli/output.h"

#include "src/base/clock.h"
#include "src/base/unicode.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct {
    bool color, tty, quiet;
    int failed; /* errno of the first failed write */
} screen;

static bool set(const char *name)
{
    const char *v = getenv(name);
    return v && *v;
}

/* One that knows no escape sequences. */
static bool dumb_terminal(void)
{
    const char *term = getenv("TERM");
    return !term || strcmp(term, "dumb") == 0;
}

void out_init(const struct args *a)
{
    screen.tty = isatty(STDOUT_FILENO) == 1;
    screen.quiet = a->quiet;
    const bool plain = a->json || a->jsonl;
    if (a->color && strcmp(a->color, "always") == 0)
        screen.color = !plain;
    else if (a->color && strcmp(a->color, "never") == 0)
        screen.color = false;
    else
        screen.color = screen.tty && !plain && !set("NO_COLOR") && !dumb_terminal();
}

bool out_color(void)
{
    return screen.color;
}

bool out_is_tty(void)
{
    return screen.tty;
}

static int columns_of(int fd)
{
    struct winsize w;
    if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20)
        return w.ws_col;
    return 80;
}

int out_columns(void)
{
    return columns_of(STDOUT_FILENO);
}

void out_write(struct span s)
{
    if (screen.failed || s.n == 0)
        return;
    if (fwrite(s.p, 1, s.n, stdout) != s.n)
        screen.failed = errno ? errno : EIO;
}

void out_str(struct str *s)
{
    out_write(str_view(s));
    str_release(s);
}

bool out_failed(void)
{
    return screen.failed != 0;
}

void out_push(void)
{
    if (!screen.failed && fflush(stdout))
        screen.failed = errno ? errno : EIO;
}

int out_flush(struct err *err)
{
    out_push();
    if (!screen.failed)
        return 0;
    if (screen.failed == EPIPE) { /* the reader has gone: nobody wants to hear about it */
        err->kind = ERR_IO;
        return -1;
    }
    errno = screen.failed;
    return err_errno(err, "cannot write to standard output");
}

void note(const char *fmt, ...)
{
    if (screen.quiet)
        return;
    va_list ap;
    va_start(ap, fmt);
    fputs("semsearch: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

void styled(struct str *out, enum style style, struct span text)
{
    static const char *const codes[] = {
        [STYLE_BOLD] = "1",     [STYLE_DIM] = "2",   [STYLE_PATH] = "36",
        [STYLE_MATCH] = "1;33", [STYLE_GOOD] = "32", [STYLE_BAD] = "31"};
    if (screen.color && style != STYLE_PLAIN)
        str_printf(out, "\x1b[%sm", codes[style]);
    str_span(out, text);
    if (screen.color && style != STYLE_PLAIN)
        str_puts(out, "\x1b[0m");
}

void printable(struct str *out, struct span text, bool lines)
{
    for (size_t i = 0; i < text.n;) {
        uint32_t cp;
        const int len = utf8_next(text.p + i, text.n - i, &cp);
        if (cp == '\n' && lines)
            str_putc(out, '\n');
        else if (cp == '\t')
            str_putc(out, lines ? '\t' : ' ');
        else if (cp < 0x20 || cp == 0x7F || (cp >= 0x80 && cp < 0xA0))
            str_puts(out, lines && cp == '\r' ? "" : "\xEF\xBF\xBD");
        else if (cp == 0xFFFD)
            str_puts(out, "\xEF\xBF\xBD");
        else
            str_add(out, text.p + i, (size_t)len);
        i += (size_t)len;
    }
}

/* "1:05", "2:10:00" */
static void duration(char *buf, size_t n, double seconds)
{
    const long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(buf, n, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buf, n, "%ld:%02ld", s / 60, s % 60);
}

static void bar_update(void *ctx, const struct progress *p)
{
    struct bar *b = ctx;
    const double now = clock_ms();
    const char *phase = p->phase ? p->phase : "working";
    if (!b->phase || strcmp(phase, b->phase) != 0) {
        b->phase = phase;
        b->phase_ms = now;
        b->phase_done = p->done;
        b->phase_tokens = p->tokens;
    }
    if (!b->on || now - b->drawn_ms < 100)
        return;
    b->drawn_ms = now;
    b->drawn = true;
    const double seconds = (now - b->phase_ms) / 1e3;
    const int64_t done = p->done - b->phase_done, tokens = p->tokens - b->phase_tokens;
    char left[32] = "", line[256];
    if (done > 0 && p->done < p->total && seconds > 1) {
        char d[24];
        duration(d, sizeof d, seconds * (double)(p->total - p->done) / (double)done);
        snprintf(left, sizeof left, ", %s left", d);
    }
    if (p->total > 0) {
        enum { WIDTH = 20 };
        const int full = (int)(WIDTH * p->done / p->total);
        snprintf(line, sizeof line, "%s [%.*s%.*s] %lld/%lld", phase, full, "####################",
                 WIDTH - full, "....................", (long long)p->done, (long long)p->total);
    } else {
        snprintf(line, sizeof line, "%s %lld", phase, (long long)p->done);
    }
    char rate[64] = "";
    if (tokens > 0 && seconds > 0.5)
        snprintf(rate, sizeof rate, ", %.0f tokens/s", (double)tokens / seconds);
    char all[360]; /* a line that wraps could not be wiped again */
    snprintf(all, sizeof all, "%s%s%s", line, rate, left);
    bar_line(b, all);
}

void bar_line(struct bar *b, const char *line)
{
    if (!b->on)
        return;
    b->drawn_ms = clock_ms();
    b->drawn = true;
    fprintf(stderr, "\r\x1b[K%.*s", columns_of(STDERR_FILENO) - 1, line);
    fflush(stderr);
}

static void bar_note(void *ctx, const char *line)
{
    bar_end(ctx);
    note("%s", line);
}

void bar_init(struct bar *b, const struct args *a)
{
    *b = (struct bar){0};
    b->on = isatty(STDERR_FILENO) == 1 && !a->quiet && !dumb_terminal();
    b->sink = (struct progress_sink){.update = bar_update, .note = bar_note, .ctx = b};
}

void bar_end(struct bar *b)
{
    if (b->drawn)
        fputs("\r\x1b[K", stderr);
    b->drawn = false;
}

void json_begin(struct json_writer *w, struct str *out)
{
    jw_init(w, out);
    jw_object(w);
    jw_kint(w, "schema", 1);
}

void json_finish(struct json_writer *w)
{
    while (w->depth)
        jw_end(w);
    str_putc(w->out, '\n');
}
