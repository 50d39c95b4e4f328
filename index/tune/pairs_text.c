/* pairs_text.c - see pairs_text.h. Rules of thumb for text that people wrote, in a few languages of
 * markup; what they miss costs a pair, never correctness. */
#include "index/tune/pairs_text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

size_t text_words(struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += is_word(s.p[i]) && (i == 0 || !is_word(s.p[i - 1]));
    return n;
}

void text_normal(struct span s, struct str *out)
{
    bool gap = false;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_word(s.p[i])) {
            gap = out->n > 0;
            continue;
        }
        if (gap)
            str_putc(out, ' ');
        gap = false;
        str_putc(out, (char)tolower((unsigned char)s.p[i]));
    }
}

/* ---- plain text ---- */

/* "[label](target)" at s: bytes of the whole, and its label; 0: there is none. */
static size_t markdown_link(struct span s, struct span *label, struct span *target)
{
    enum { LONGEST = 500 };
    if (s.n < 4 || s.p[0] != '[')
        return 0;
    const size_t limit = s.n < LONGEST ? s.n : LONGEST;
    const char *close = memchr(s.p, ']', limit);
    if (!close)
        return 0;
    const size_t at = (size_t)(close - s.p);
    if (at + 1 >= limit || s.p[at + 1] != '(' || memchr(s.p, '\n', at))
        return 0;
    const char *end = memchr(s.p + at, ')', limit - at);
    if (!end)
        return 0;
    *label = (struct span){s.p + 1, at - 1};
    *target = (struct span){s.p + at + 2, (size_t)(end - s.p) - at - 2};
    return (size_t)(end - s.p) + 1;
}

/* "link:target[label]" at s, likewise. */
static size_t asciidoc_link(struct span s, struct span *label, struct span *target)
{
    enum { LONGEST = 500 };
    if (!span_starts(s, "link:") && !span_starts(s, "xref:"))
        return 0;
    const size_t limit = s.n < LONGEST ? s.n : LONGEST;
    size_t open = 5;
    while (open < limit && s.p[open] != '[' && !is_blank(s.p[open]))
        open++;
    const char *close =
        open < limit && s.p[open] == '[' ? memchr(s.p + open, ']', limit - open) : NULL;
    if (!close || memchr(s.p, '\n', (size_t)(close - s.p)))
        return 0;
    *target = (struct span){s.p + 5, open - 5};
    *label = (struct span){s.p + open + 1, (size_t)(close - s.p) - open - 1};
    return (size_t)(close - s.p) + 1;
}

/* "<a name=...>" or "</b>" at s: its bytes; a comparison or an address is none. */
static size_t tag(struct span s)
{
    enum { LONGEST = 300 };
    if (s.n < 3 || s.p[0] != '<' || !(isalpha((unsigned char)s.p[1]) || s.p[1] == '/'))
        return 0;
    const char *end = memchr(s.p, '>', s.n < LONGEST ? s.n : LONGEST);
    return end && !memchr(s.p, '@', (size_t)(end - s.p)) ? (size_t)(end - s.p) + 1 : 0;
}

/* Markup at the beginning of a line: heading marks, list marks, quotes, fences. */
static size_t line_mark(struct span s)
{
    size_t i = 0;
    while (i < s.n && (s.p[i] == '#' || s.p[i] == '>' || s.p[i] == '=' || s.p[i] == '+' ||
                       s.p[i] == '~' || s.p[i] == '`' || s.p[i] == '|'))
        i++;
    return i;
}

void text_plain(struct span s, size_t max, struct str *out)
{
    const size_t from = out->n;
    bool gap = false, line = true;
    for (size_t i = 0; i < s.n && out->n - from < max;) {
        const struct span rest = span_sub(s, i, s.n);
        struct span label, target;
        size_t skip;
        if (is_blank(s.p[i])) {
            line = line ? true : s.p[i] == '\n';
            gap = out->n > from;
            i++;
        } else if (line && (skip = line_mark(rest)) > 0) {
            i += skip;
            line = false;
            gap = out->n > from;
        } else if ((skip = markdown_link(rest, &label, &target)) > 0 ||
                   (skip = asciidoc_link(rest, &label, &target)) > 0) {
            if (gap)
                str_putc(out, ' ');
            str_span(out, label);
            gap = line = false;
            i += skip;
        } else if ((skip = tag(rest)) > 0) {
            i += skip;
        } else if (s.p[i] == '\\' || s.p[i] == '*' || s.p[i] == '`') {
            i++;
        } else {
            if (gap)
                str_putc(out, ' ');
            gap = line = false;
            str_putc(out, s.p[i++]);
        }
    }
    if (out->n - from >= max) /* between words */
        while (out->n > from && out->p[out->n - 1] != ' ')
            out->n--;
    while (out->n > from && out->p[out->n - 1] == ' ')
        out->n--;
    if (out->p)
        out->p[out->n] = '\0';
}

/* ---- sentences ---- */

size_t text_sentence(struct span s)
{
    for (size_t i = 1; i + 2 < s.n; i++)
        if ((s.p[i] == '.' || s.p[i] == '?' || s.p[i] == '!') && s.p[i + 1] == ' ' &&
            is_word(s.p[i - 1]) && (isupper((unsigned char)s.p[i + 2]) || (s.p[i + 2] & 0x80)) &&
            (i < 2 || (s.p[i - 2] != ' ' && s.p[i - 2] != '.'))) /* "J. Smith", "e.g. Git" go on */
            return i + 1;
    return 0;
}

bool text_asks(struct span s)
{
    static const char *const words[] = {"how ", "what ",  "why ",    "when ", "where ",
                                        "who ", "which ", "can ",    "does ", "do ",
                                        "is ",  "are ",   "should ", "may ",  "will "};
    s = span_trim(s);
    if (s.n && s.p[s.n - 1] == '?')
        return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (s.n > strlen(words[i]) && strncasecmp(s.p, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

void text_links(struct span s, void (*fn)(void *ctx, struct span label, struct span target),
                void *ctx)
{
    for (size_t i = 0; i < s.n;) {
        struct span label, target;
        const struct span rest = span_sub(s, i, s.n);
        size_t skip = markdown_link(rest, &label, &target);
        if (skip == 0 && (i == 0 || !is_word(s.p[i - 1])))
            skip = asciidoc_link(rest, &label, &target);
        if (skip)
            fn(ctx, label, target);
        i += skip ? skip : 1;
    }
}

/* ---- docstrings ---- */

/* The next line of *rest without its end; false: none is left. */
static bool next_line(struct span *rest, struct span *line)
{
    return span_split(rest, '\n', line);
}

/* The beginning of a text: as many lines as a piece of code may have, up to an empty line that is
 * followed by something at the left margin. */
static struct span code_after(struct span s)
{
    enum { LONGEST = 1200 };
    size_t i = 0;
    while (i < s.n && i < LONGEST) {
        const char *end = memchr(s.p + i, '\n', s.n - i);
        if (!end)
            return span_sub(s, 0, s.n < LONGEST ? s.n : LONGEST);
        i = (size_t)(end - s.p) + 1;
        if (i + 1 < s.n && s.p[i] == '\n' && !is_blank(s.p[i + 1]) && s.p[i + 1] != '}')
            break;
    }
    return span_sub(s, 0, i < LONGEST ? i : LONGEST);
}

/* Python: def or class, then a string in three quotes. */
static void python_docstring(struct span head, struct span rest,
                             void (*fn)(void *ctx, struct span comment, struct span code),
                             void *ctx)
{
    struct span body = rest;
    while (body.n && is_blank(body.p[0]))
        body = span_sub(body, 1, body.n);
    if (!span_starts(body, "\"\"\"") && !span_starts(body, "'''"))
        return;
    const char quote[4] = {body.p[0], body.p[0], body.p[0], 0};
    body = span_sub(body, 3, body.n);
    const char *end = memmem(body.p, body.n, quote, 3);
    if (!end)
        return;
    const size_t n = (size_t)(end - body.p);
    struct str code = {0};
    str_span(&code, head);
    str_putc(&code, '\n');
    str_span(&code, code_after(span_sub(body, n + 3, body.n)));
    fn(ctx, span_sub(body, 0, n), str_view(&code));
    str_release(&code);
}

static bool is_code_line(struct span line)
{
    line = span_trim(line);
    return line.n > 3 && is_word(line.p[0]) && memchr(line.p, '(', line.n) &&
           !span_starts(line, "if") && !span_starts(line, "for") && !span_starts(line, "while") &&
           !span_starts(line, "return");
}

/* The text of a block comment, its frame of stars taken off, appended. */
static void unframe(struct span comment, struct str *out)
{
    struct span line;
    while (next_line(&comment, &line)) {
        line = span_trim(line);
        while (line.n && (line.p[0] == '*' || line.p[0] == '/' || line.p[0] == '!'))
            line = span_sub(line, 1, line.n);
        str_span(out, span_trim(line));
        str_putc(out, '\n');
    }
}

/* A block comment at the beginning of `s`, code on the line after it. */
static void block_docstring(struct span s,
                            void (*fn)(void *ctx, struct span comment, struct span code), void *ctx)
{
    const char *end = memmem(s.p, s.n, "*/", 2);
    if (!end)
        return;
    const size_t n = (size_t)(end - s.p);
    struct span rest = span_sub(s, n + 2, s.n), code = rest, line;
    if (code.n && code.p[0] == '\n')
        code = span_sub(code, 1, code.n);
    rest = code;
    struct str words = {0};
    unframe(span_sub(s, 0, n), &words);
    if (next_line(&rest, &line) && is_code_line(line))
        fn(ctx, str_view(&words), code_after(code));
    str_release(&words);
}

void text_docstrings(struct span s, void (*fn)(void *ctx, struct span comment, struct span code),
                     void *ctx)
{
    struct span rest = s, line;
    while (next_line(&rest, &line)) {
        const struct span t = span_trim(line);
        if ((span_starts(t, "def ") || span_starts(t, "class ") || span_starts(t, "async def ")) &&
            span_ends(t, ":"))
            python_docstring(t, rest, fn, ctx);
        else if (span_starts(t, "/*"))
            block_docstring((struct span){t.p, (size_t)(s.p + s.n - t.p)}, fn, ctx);
    }
}
