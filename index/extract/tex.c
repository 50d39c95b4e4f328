/* tex.c - LaTeX: sectioning commands are headings, verbatim environments code, tabulars tables; the
 * rest is paragraphs between blank lines. Commands stay in the text, which is the file's own. */
#include "index/extract/adapter.h"

#include "src/base/mem.h"

#include <string.h>

static const struct {
    const char *command;
    int level;
} sections[] = {
    {"\\part", 1},          {"\\chapter", 1},   {"\\section", 2},      {"\\subsection", 3},
    {"\\subsubsection", 4}, {"\\paragraph", 5}, {"\\subparagraph", 6},
};

static const struct {
    const char *name;
    enum block_kind kind;
} environments[] = {
    {"verbatim", BLOCK_CODE}, {"lstlisting", BLOCK_CODE}, {"minted", BLOCK_CODE},
    {"alltt", BLOCK_CODE},    {"tabular", BLOCK_TABLE},   {"longtable", BLOCK_TABLE},
    {"itemize", BLOCK_LIST},  {"enumerate", BLOCK_LIST},  {"description", BLOCK_LIST},
};

/* The text between the braces that follow `command` (with an optional star and [short form]); p ==
 * NULL: it does not stand at the beginning of s. */
static struct span argument(struct span s, const char *command)
{
    enum { MAX_ARGUMENT = 400 };
    const struct span none = {0};
    if (!span_starts(s, command))
        return none;
    size_t i = strlen(command);
    if (i < s.n && s.p[i] == '*')
        i++;
    if (i < s.n && s.p[i] == '[') {
        const char *close = memchr(s.p + i, ']', s.n - i);
        if (!close)
            return none;
        i = (size_t)(close - s.p) + 1;
    }
    if (i >= s.n || s.p[i] != '{')
        return none;
    int depth = 0;
    for (size_t j = i; j < s.n && j - i < MAX_ARGUMENT; j++) {
        depth += s.p[j] == '{' ? 1 : s.p[j] == '}' ? -1 : 0;
        if (depth == 0)
            return span_sub(s, i + 1, j);
    }
    return none;
}

struct tex {
    struct doc *d;
    struct span text;
    size_t from; /* where the text begins that is not in a block yet */
};

static void prose(struct tex *t, size_t to)
{
    if (to > t->from)
        blocks_paragraphs(t->d, t->from, to, 0);
    t->from = to;
}

/* \section{...} and the like at the line's beginning. */
static bool section(struct tex *t, size_t at, size_t *pos)
{
    const struct span s = span_sub(t->text, at, t->text.n);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        const struct span title = argument(s, sections[i].command);
        if (!title.p || title.n == 0)
            continue;
        const size_t start = (size_t)(title.p - t->text.p);
        prose(t, at);
        doc_add_block(t->d, BLOCK_HEADING, sections[i].level, 0, start, start + title.n);
        t->from = start + title.n + 1;
        *pos = *pos > t->from ? *pos : t->from;
        return true;
    }
    return false;
}

/* \begin{verbatim} ... \end{verbatim} as one block. */
static bool environment(struct tex *t, size_t at, size_t *pos)
{
    const struct span s = span_sub(t->text, at, t->text.n);
    const struct span name = argument(s, "\\begin");
    for (size_t i = 0; name.p && i < ARRAY_LEN(environments); i++) {
        const size_t n = strlen(environments[i].name);
        if (name.n < n || memcmp(name.p, environments[i].name, n) != 0)
            continue;
        char end[64] = "\\end{";
        if (name.n > sizeof end - 8)
            return false;
        memcpy(end + 5, name.p, name.n);
        end[5 + name.n] = '}';
        const char *close = memmem(s.p, s.n, end, 6 + name.n);
        if (!close)
            return false;
        const size_t to = at + (size_t)(close - s.p) + 6 + name.n;
        prose(t, at);
        doc_add_block(t->d, environments[i].kind, 0, 0, at, to);
        t->from = *pos = to;
        return true;
    }
    return false;
}

void adapt_tex(struct job *job, struct extract_result *r)
{
    if (!text_load(job, NULL, r))
        return;
    struct tex t = {.d = &r->doc, .text = str_view(&r->doc.text)};
    struct line l;
    size_t pos = 0;
    while (line_next(t.text, &pos, &l)) {
        const size_t at = l.start + (line_span(t.text, &l).n - span_trim(line_span(t.text, &l)).n);
        const struct span s = span_sub(t.text, at, t.text.n);
        if (l.blank || s.p[0] != '\\')
            continue;
        const struct span title = argument(s, "\\title");
        if (title.n)
            doc_set_title(t.d, title);
        if (!section(&t, at, &pos))
            environment(&t, at, &pos);
    }
    prose(&t, t.text.n);
}
