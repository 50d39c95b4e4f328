/* clean.c - see clean.h. One pass over the bytes; what is looked ahead for (the end of a link, a
 * tag, a comment) is sought within a fixed distance, so that the pass stays linear. */
#include "index/clean.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { LINK_MAX = 2000, TAG_MAX = 400, COMMENT_MAX = 20000, RULE_MIN = 4, N_PENDING = 8 };

/* The bytes at hand; `pending` are the ']' of open links, where a target has to be dropped. */
struct cleaner {
    struct clean *out;
    const char *p;
    size_t i, to;
    enum clean_style style;
    struct {
        size_t close, end;
    } pending[N_PENDING];
    size_t n_pending;
    size_t no_comment; /* up to here no comment ends, so none is sought again */
};

static bool is_punct(char c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

void clean_putc(struct clean *c, char byte, size_t at)
{
    VEC_GROW(c->at, c->text.n, c->cap);
    c->at[c->text.n] = (uint32_t)at;
    str_putc(&c->text, byte);
}

static void put(struct cleaner *c, char byte)
{
    struct str *t = &c->out->text;
    if (is_blank(byte)) {
        if (c->style != CLEAN_CODE && t->n && (is_blank(t->p[t->n - 1]) || t->p[t->n - 1] == '\n'))
            return;
        byte = byte == '\t' ? '\t' : ' ';
    }
    clean_putc(c->out, byte, c->i);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The position of the bracket that closes the one at `open`, on the way quoted ones are passed
 * over; 0: none near. */
static size_t find_close(const struct cleaner *c, size_t open, char left, char right)
{
    const size_t stop = min_size(c->to, open + LINK_MAX);
    int depth = 0;
    for (size_t i = open; i < stop; i++) {
        if (c->p[i] == '\\')
            i++;
        else if (c->p[i] == left && ++depth > N_PENDING)
            return 0; /* "[[[[[[": no link, and no work that grows with the square */
        else if (c->p[i] == right && --depth <= 0)
            return i;
        else if (c->p[i] == '\n' && i + 1 < stop && c->p[i + 1] == '\n')
            return 0;
    }
    return 0;
}

/* At '[': when it begins a link or an image, its text stays and its target is dropped later. */
static bool begin_link(struct cleaner *c)
{
    const size_t close = c->n_pending < N_PENDING ? find_close(c, c->i, '[', ']') : 0;
    if (!close || close + 1 >= c->to)
        return false;
    const char next = c->p[close + 1];
    size_t end = 0;
    if (next == '(')
        end = find_close(c, close + 1, '(', ')');
    else if (next == '[')
        end = find_close(c, close + 1, '[', ']');
    if (!end)
        return false;
    c->pending[c->n_pending].close = close;
    c->pending[c->n_pending++].end = end;
    return true;
}

static bool is_tag_name(struct span name)
{
    static const char *const tags[] = {
        "a",      "b",       "blockquote", "br",      "center",  "code", "dd",
        "del",    "details", "div",        "dl",      "dt",      "em",   "figcaption",
        "figure", "font",    "h1",         "h2",      "h3",      "h4",   "h5",
        "h6",     "hr",      "i",          "img",     "ins",     "kbd",  "li",
        "mark",   "ol",      "p",          "picture", "pre",     "s",    "section",
        "small",  "span",    "strong",     "sub",     "summary", "sup",  "table",
        "tbody",  "td",      "th",         "thead",   "tr",      "u",    "ul",
    };
    for (size_t i = 0; i < ARRAY_LEN(tags); i++)
        if (span_eq(name, tags[i]))
            return true;
    return false;
}

/* At '<': the end of a comment or of an HTML tag that begins here, 0: it is text. */
static size_t tag_end(struct cleaner *c)
{
    const struct span rest = {c->p + c->i, c->to - c->i};
    if (span_starts(rest, "<!--")) {
        if (c->i < c->no_comment)
            return 0;
        const char *end = memmem(rest.p, min_size(rest.n, COMMENT_MAX), "-->", 3);
        if (!end)
            c->no_comment = c->i + COMMENT_MAX;
        return end ? (size_t)(end - c->p) + 3 : 0;
    }
    size_t i = 1 + (rest.n > 1 && rest.p[1] == '/');
    const size_t start = i;
    while (i < rest.n && i < 16 && (is_letter(rest.p[i]) || (rest.p[i] >= '0' && rest.p[i] <= '9')))
        i++;
    if (!is_tag_name(span_sub(rest, start, i)))
        return 0;
    const char *end = memchr(rest.p + i, '>', min_size(rest.n - i, TAG_MAX));
    return end ? (size_t)(end - c->p) + 1 : 0;
}

/* At a backtick: the span of code up to the next run of as many is text as it stands. */
static void code_span(struct cleaner *c)
{
    size_t run = c->i;
    while (run < c->to && c->p[run] == '`')
        run++;
    const size_t n = run - c->i, stop = min_size(c->to, run + LINK_MAX);
    for (size_t i = run; n < 3 && i < stop; i++) {
        size_t k = i;
        while (k < stop && c->p[k] == '`')
            k++;
        if (k - i == n) {
            for (c->i = run; c->i < i; c->i++)
                put(c, c->p[c->i]);
            c->i = k;
            return;
        }
        i = k > i ? k - 1 : i;
    }
    c->i = run;
}

/* Emphasis: stars unless blanks stand on both sides, underscores at the borders of words. */
static bool is_emphasis(const struct cleaner *c)
{
    const char mark = c->p[c->i];
    const char before = c->i ? c->p[c->i - 1] : ' ';
    const char after = c->i + 1 < c->to ? c->p[c->i + 1] : ' ';
    if (mark == '*')
        return !(is_blank(before) && is_blank(after));
    return mark == '_' && !(is_word(before) && is_word(after)) &&
           !(is_blank(before) && is_blank(after));
}

/* The marks at the start of a line that only give it its form: '#', '>', bullets, table rules. */
static void line_marks(struct cleaner *c)
{
    size_t i = c->i, end;
    const char *eol = memchr(c->p + i, '\n', c->to - i);
    end = eol ? (size_t)(eol - c->p) : c->to;
    while (i < end && strchr("|:- \t\r+", c->p[i]))
        i++;
    if (i == end && memchr(c->p + c->i, '-', end - c->i)) {
        c->i = end; /* "|---|:--:|" and "- - -" */
        return;
    }
    for (i = c->i; i < end && (is_blank(c->p[i]) || c->p[i] == '>'); i++)
        ;
    size_t mark = i;
    while (mark < end && c->p[mark] == '#')
        mark++;
    if (mark == i && mark < end && strchr("*+-", c->p[mark]))
        mark++;
    if (mark > i && mark < end && is_blank(c->p[mark]))
        c->i = mark;
    else if (c->p[c->i] == '>')
        c->i = i;
}

/* Markdown at c->i: true when bytes were consumed, without any of them or with the right ones. */
static bool markdown(struct cleaner *c)
{
    const char ch = c->p[c->i];
    while (c->n_pending && c->i > c->pending[c->n_pending - 1].close)
        c->n_pending--; /* a span of code or a tag ran over it */
    if (c->n_pending && c->i == c->pending[c->n_pending - 1].close) {
        c->i = c->pending[--c->n_pending].end + 1;
        return true;
    }
    size_t end = 0;
    switch (ch) {
    case '\\':
        if (c->i + 1 < c->to && is_punct(c->p[c->i + 1])) {
            c->i++;
            put(c, c->p[c->i]);
            c->i++;
            return true;
        }
        return false;
    case '<':
        end = tag_end(c);
        if (end) {
            put(c, ' ');
            c->i = end;
        }
        return end != 0;
    case '!':
        if (c->i + 1 >= c->to || c->p[c->i + 1] != '[')
            return false;
        c->i++;
        if (begin_link(c)) {
            c->i++;
            return true;
        }
        c->i--;
        return false;
    case '[':
        if (!begin_link(c))
            return false;
        c->i++;
        return true;
    case '`':
        code_span(c);
        return true;
    case '*':
    case '_':
        if (!is_emphasis(c))
            return false;
        c->i++;
        return true;
    case '|':
        if (c->style != CLEAN_TABLE)
            return false;
        put(c, ' ');
        c->i++;
        return true;
    default:
        return false;
    }
}

/* A row of one punctuation mark ("-----", "=====", ".....") tells no more than one of them. */
static bool rule(struct cleaner *c)
{
    size_t i = c->i;
    while (i < c->to && c->p[i] == c->p[c->i])
        i++;
    if (i - c->i < RULE_MIN)
        return false;
    put(c, c->p[c->i]);
    c->i = i;
    return true;
}

void clean_add(struct clean *out, struct span source, size_t from, size_t to,
               enum clean_style style)
{
    struct cleaner c = {.out = out, .p = source.p, .i = from, .to = to, .style = style};
    const bool marked = style == CLEAN_MARKDOWN || style == CLEAN_TABLE;
    bool line_start = true;
    while (c.i < to) {
        if (line_start && marked)
            line_marks(&c);
        if (c.i >= to)
            break;
        const char ch = c.p[c.i];
        line_start = ch == '\n';
        if (marked && markdown(&c))
            continue;
        if (is_punct(ch) && rule(&c))
            continue;
        put(&c, ch);
        c.i++;
    }
}

void clean_clear(struct clean *c)
{
    str_clear(&c->text);
}

void clean_release(struct clean *c)
{
    str_release(&c->text);
    free(c->at);
    *c = (struct clean){0};
}
