/* ignore.c - parsing and matching of ignore files; see ignore.h.
 *
 * Line rules as git has them: a byte-order mark at the start is dropped, one CR before the LF goes,
 * trailing spaces go unless a backslash quotes them (tabs stay), a NUL ends its line's pattern.
 */
#include "index/ignore.h"

#include "index/glob.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

static bool is_special(char c)
{
    return c == '*' || c == '?' || c == '[' || c == '\\';
}

static size_t literal_length(struct span p)
{
    size_t n = 0;
    while (n < p.n && !is_special(p.p[n]))
        n++;
    return n;
}

static struct span trim_line(struct span line)
{
    if (span_ends(line, "\r"))
        line.n--;
    const char *nul = line.n ? memchr(line.p, '\0', line.n) : NULL;
    if (nul)
        line.n = (size_t)(nul - line.p);
    size_t keep = 0; /* behind the last byte that is not an unquoted space */
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '\\' && i + 1 < line.n)
            i++;
        else if (line.p[i] == ' ')
            continue;
        keep = i + 1;
    }
    return span_sub(line, 0, keep);
}

static void add_rule(struct ignore_file *f, struct span line, int number)
{
    struct ignore_rule r = {.text = line, .line = number};
    struct span p = line;
    r.negative = span_starts(p, "!");
    p = span_sub(p, r.negative, p.n);
    r.dir_only = span_ends(p, "/");
    p.n -= r.dir_only;
    r.anchored = p.n && memchr(p.p, '/', p.n);
    if (span_starts(p, "/"))
        p = span_sub(p, 1, p.n);
    if (!p.n)
        return; /* "/", "!": matches nothing */
    r.pattern = p;
    r.literal = literal_length(p);
    r.suffix = p.p[0] == '*' && literal_length(span_sub(p, 1, p.n)) == p.n - 1;
    VEC_GROW(f->rule, f->n, f->cap);
    f->rule[f->n++] = r;
}

void ignore_parse(struct ignore_file *f, char *text, size_t n)
{
    *f = (struct ignore_file){.text = text};
    struct span rest = {text, n}, line;
    if (span_starts(rest, "\xEF\xBB\xBF"))
        rest = span_sub(rest, 3, rest.n);
    for (int number = 1; span_split(&rest, '\n', &line); number++) {
        if (!line.n || line.p[0] == '#')
            continue;
        line = trim_line(line);
        if (line.n)
            add_rule(f, line, number);
    }
}

void ignore_release(struct ignore_file *f)
{
    free(f->text);
    free(f->rule);
    *f = (struct ignore_file){0};
}

static bool rule_match(const struct ignore_rule *r, struct span path, struct span name)
{
    const struct span subject = r->anchored ? path : name;
    if (r->literal == r->pattern.n)
        return span_equal(r->pattern, subject);
    if (r->suffix && !r->anchored) {
        const size_t n = r->pattern.n - 1;
        return name.n >= n && memcmp(name.p + name.n - n, r->pattern.p + 1, n) == 0;
    }
    if (subject.n < r->literal || memcmp(subject.p, r->pattern.p, r->literal) != 0)
        return false;
    /* git compares the literal head first and globs only the rest, so that `a` and then two stars
     * and a slash count as `**` at the start: done alike, whatever the manual says of such stars */
    return glob_match(span_sub(r->pattern, r->literal, r->pattern.n),
                      span_sub(subject, r->literal, subject.n));
}

const struct ignore_rule *ignore_match(const struct ignore_file *f, struct span path, bool is_dir)
{
    size_t start = path.n;
    while (start && path.p[start - 1] != '/')
        start--;
    const struct span name = span_sub(path, start, path.n);
    for (size_t i = f->n; i-- > 0;) {
        const struct ignore_rule *r = &f->rule[i];
        if (r->dir_only && !is_dir)
            continue;
        if (rule_match(r, path, name))
            return r;
    }
    return NULL;
}
