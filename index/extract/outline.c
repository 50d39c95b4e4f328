/* outline.c - line-based markup: reStructuredText, AsciiDoc, Org.
 *
 * Only what a passage search needs is read: titles and their levels, code, tables and lists. The
 * text stays the file's own. Titles, by the references of the three:
 *   rst       a line over (and perhaps under) a row of one punctuation mark; levels by the order in
 *             which the marks appear in the file
 *   AsciiDoc  "== Title", or two lines with a row of = - ~ ^ + as long as the title
 *   Org       "** Title"; the document's title is #+TITLE
 * Code: AsciiDoc ---- and .... blocks, Org #+BEGIN_x, rst's indented blocks after "::".
 */
#include "index/extract/adapter.h"

#include "src/base/mem.h"

#include <string.h>
#include <strings.h>

enum dialect { RST, ADOC, ORG };

struct outline {
    struct doc *d;
    struct span text;
    enum dialect dialect;
    size_t start, end; /* the open run of lines; end 0: none */
    char marks[8];     /* rst: the title marks seen so far, upper bit for overlined ones */
    size_t n_marks;
};

/* ---- lines
 * ------------------------------------------------------------------------------------------ */

/* The mark of a row of one punctuation character, at least n long; 0: it is none. */
static char row_mark(struct span s, size_t n)
{
    s = span_trim(s);
    if (s.n < n || (s.p[0] & 0x80) || !strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", s.p[0]))
        return 0;
    for (size_t i = 1; i < s.n; i++)
        if (s.p[i] != s.p[0])
            return 0;
    return s.p[0];
}

static enum block_kind kind_of_line(struct span s, enum dialect dialect)
{
    s = span_trim(s);
    if (s.n == 0)
        return BLOCK_PARAGRAPH;
    if (s.p[0] == '|' || span_starts(s, "+-") || span_starts(s, "+=") ||
        (span_starts(s, "==") && memchr(s.p, ' ', s.n)))
        return BLOCK_TABLE;
    size_t digits = 0;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    if (digits && digits + 1 < s.n && (s.p[digits] == '.' || s.p[digits] == ')') &&
        s.p[digits + 1] == ' ')
        return BLOCK_LIST;
    const size_t most = dialect == ADOC ? 5 : 1; /* "** item"; ".. x" of rst is a directive */
    size_t marks = 0;
    while (marks < s.n && marks < most && strchr("-*+.", s.p[marks]))
        marks++;
    return marks && marks < s.n && s.p[marks] == ' ' ? BLOCK_LIST : BLOCK_PARAGRAPH;
}

static void flush(struct outline *o)
{
    if (o->end) {
        struct span first = span_sub(o->text, o->start, o->end);
        const char *eol = memchr(first.p, '\n', first.n);
        first.n = eol ? (size_t)(eol - first.p) : first.n;
        doc_add_block(o->d, kind_of_line(first, o->dialect), 0, 0, o->start, o->end);
    }
    o->end = 0;
}

static void heading(struct outline *o, int level, struct span s)
{
    s = span_trim(s);
    flush(o);
    const size_t at = (size_t)(s.p - o->text.p);
    doc_add_block(o->d, BLOCK_HEADING, level > 6 ? 6 : level, 0, at, at + s.n);
    if (level == 1)
        doc_set_title(o->d, s);
}

static void code(struct outline *o, size_t from, size_t to)
{
    flush(o);
    doc_add_block(o->d, BLOCK_CODE, 0, 0, from, to);
}

/* ---- titles
 * ------------------------------------------------------------------------------------------- */

/* The level of an rst mark: the first kind of mark seen in the file is level 1, and so on. */
static int rst_level(struct outline *o, char mark, bool overlined)
{
    const char key = (char)(mark | (overlined ? 0x80 : 0));
    for (size_t i = 0; i < o->n_marks; i++)
        if (o->marks[i] == key)
            return (int)i + 1;
    if (o->n_marks < sizeof o->marks)
        o->marks[o->n_marks++] = key;
    return (int)o->n_marks;
}

/* A title with its underline from line l on; *pos moves behind it. */
static bool two_line_title(struct outline *o, const struct line *l, size_t *pos)
{
    static const char adoc_marks[] = "=-~^+";
    struct line under;
    size_t after = *pos;
    const struct span title = line_span(o->text, l);
    const struct span trimmed = span_trim(title);
    if (l->blank || row_mark(title, 1) || !line_next(o->text, &after, &under))
        return false;
    const struct span row = span_trim(line_span(o->text, &under));
    const char mark = row_mark(row, 2);
    const size_t n = trimmed.n;
    if (!mark || n > 200)
        return false;
    if (o->dialect == ADOC) {
        const char *at = strchr(adoc_marks, mark);
        if (!at || l->indent || row.n + 2 < n * 3 / 4 || row.n > n + 3 || n < 2)
            return false;
        heading(o, (int)(at - adoc_marks) + 1, title);
    } else {
        if (row.n < n * 2 / 3 || row.n < 3 || l->indent)
            return false;
        heading(o, rst_level(o, mark, false), title);
    }
    *pos = after;
    return true;
}

/* rst: a row, the title, a row. */
static bool overlined_title(struct outline *o, const struct line *l, size_t *pos)
{
    struct line title, under;
    size_t after = *pos;
    const char mark = row_mark(line_span(o->text, l), 3);
    if (!mark || !line_next(o->text, &after, &title) || title.blank ||
        !line_next(o->text, &after, &under) || row_mark(line_span(o->text, &under), 3) != mark ||
        row_mark(line_span(o->text, &title), 1))
        return false;
    heading(o, rst_level(o, mark, true), line_span(o->text, &title));
    *pos = after;
    return true;
}

/* "== Title" and "** Title": the level is the number of marks. */
static bool marked_title(struct outline *o, const struct line *l, char mark)
{
    const struct span s = line_span(o->text, l);
    size_t n = 0;
    while (n < s.n && s.p[n] == mark)
        n++;
    if (n == 0 || n > 6 || n + 1 >= s.n || s.p[n] != ' ')
        return false;
    heading(o, (int)n, span_sub(s, n, s.n));
    return true;
}

/* ---- code
 * ------------------------------------------------------------------------------------------- */

/* From an opening line to the line `is_end` accepts (or the file's end). */
static void code_until(struct outline *o, const struct line *open, size_t *pos,
                       bool (*is_end)(struct span line, struct span opening))
{
    const struct span opening = span_trim(line_span(o->text, open));
    struct line l;
    size_t end = open->end;
    while (line_next(o->text, pos, &l)) {
        end = l.end;
        if (is_end(span_trim(line_span(o->text, &l)), opening))
            break;
    }
    code(o, open->start, end);
}

static bool same_line(struct span line, struct span opening)
{
    return span_equal(line, opening);
}

static bool org_end(struct span line, struct span opening)
{
    (void)opening;
    return line.n > 6 && strncasecmp(line.p, "#+end_", 6) == 0;
}

static bool md_fence_end(struct span line, struct span opening)
{
    (void)opening;
    return span_starts(line, "```");
}

static bool adoc_code(struct outline *o, const struct line *l, size_t *pos)
{
    const struct span s = span_trim(line_span(o->text, l));
    const char mark = row_mark(s, 4);
    if (mark == '-' || mark == '.')
        code_until(o, l, pos, same_line);
    else if (span_starts(s, "```"))
        code_until(o, l, pos, md_fence_end);
    else
        return false;
    return true;
}

/* rst: the run that ended with "::" (or a code directive) is followed by an indented block. */
static bool rst_code(struct outline *o, const struct line *l, size_t *pos)
{
    const struct span s = span_trim(line_span(o->text, l));
    struct line next;
    size_t after = *pos, end = 0;
    if (!span_ends(s, "::") && !span_starts(s, ".. code") && !span_starts(s, ".. sourcecode"))
        return false;
    if (!o->end)
        o->start = l->start;
    o->end = l->end;
    const size_t from = *pos;
    while (line_next(o->text, &after, &next) && (next.blank || next.indent > l->indent)) {
        *pos = after;
        end = next.blank ? end : next.end;
    }
    if (end)
        code(o, from, end);
    return true;
}

static bool special(struct outline *o, const struct line *l, size_t *pos)
{
    const struct span s = line_span(o->text, l);
    if (o->dialect == RST)
        return (!o->end && (overlined_title(o, l, pos) || two_line_title(o, l, pos))) ||
               rst_code(o, l, pos);
    if (o->dialect == ADOC)
        return marked_title(o, l, '=') || (!o->end && two_line_title(o, l, pos)) ||
               adoc_code(o, l, pos);
    if (s.n > 8 && strncasecmp(s.p, "#+title:", 8) == 0)
        doc_set_title(o->d, span_sub(s, 8, s.n));
    if (s.n > 8 && strncasecmp(span_trim(s).p, "#+begin_", 8) == 0) {
        code_until(o, l, pos, org_end);
        return true;
    }
    return marked_title(o, l, '*');
}

void adapt_outline(struct job *job, struct extract_result *r)
{
    if (!text_load(job, NULL, r))
        return;
    const char *name = job->format->info.name;
    struct outline o = {.d = &r->doc,
                        .text = str_view(&r->doc.text),
                        .dialect = name[0] == 'r'   ? RST
                                   : name[0] == 'a' ? ADOC
                                                    : ORG};
    struct line l;
    size_t pos = 0;
    while (line_next(o.text, &pos, &l)) {
        if (l.blank) {
            flush(&o);
        } else if (!special(&o, &l, &pos)) {
            if (!o.end)
                o.start = l.start;
            o.end = l.end;
        }
    }
    flush(&o);
    for (size_t i = 0; i < o.d->n_blocks && !o.d->title; i++)
        if (o.d->block[i].kind == BLOCK_HEADING)
            doc_set_title(o.d, span_sub(o.text, o.d->block[i].start, o.d->block[i].end));
}
