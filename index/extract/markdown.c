/* markdown.c - Markdown, its blocks found by md4c.
 *
 * md4c does not tell where in the source a block lies, but the text it hands out is (but for
 * entities and line breaks) the source itself: the least and the greatest pointer of a block give
 * its bytes. Headings are exactly their text (without #), everything else is widened to whole
 * lines. What md4c does not report (link definitions, HTML comments) becomes paragraphs in
 * blocks_finish. YAML front matter is not Markdown: it is taken off first.
 */
#include "index/extract/adapter.h"

#include "src/base/mem.h"

#include <md4c.h>
#include <string.h>

struct scan {
    struct doc *d;
    const char *from, *to; /* the source */
    const char *lo, *hi;   /* the text seen since the block began */
    int list_depth, quote_depth;
    bool in_table;
};

static struct span line_around(const struct scan *s, const char *p)
{
    const char *a = p, *b = p;
    while (a > s->from && a[-1] != '\n')
        a--;
    while (b < s->to && *b != '\n')
        b++;
    return (struct span){a, (size_t)(b - a)};
}

static bool is_fence(struct span line)
{
    while (line.n && strchr(" \t>", line.p[0]))
        line = span_sub(line, 1, line.n);
    return span_starts(line, "```") || span_starts(line, "~~~");
}

/* Ends the block whose text was gathered. */
static void emit(struct scan *s, enum block_kind kind, int level)
{
    if (!s->lo)
        return;
    const char *a = s->lo, *b = s->hi;
    if (kind != BLOCK_HEADING) {
        a = line_around(s, a).p;
        const struct span last = line_around(s, b > a ? b - 1 : b);
        b = last.p + last.n;
    }
    if (kind == BLOCK_CODE && a > s->from && is_fence(line_around(s, a - 1)))
        a = line_around(s, a - 1).p;
    if (kind == BLOCK_CODE && b < s->to && is_fence(line_around(s, b + 1)))
        b = line_around(s, b + 1).p + line_around(s, b + 1).n;
    const size_t base = (size_t)(a - s->d->text.p);
    doc_add_block(s->d, kind, level, 0, base, base + (size_t)(b - a));
    if (kind == BLOCK_HEADING && level == 1)
        doc_set_title(s->d, (struct span){a, (size_t)(b - a)});
    s->lo = s->hi = NULL;
}

static void flush(struct scan *s)
{
    emit(s, s->in_table ? BLOCK_TABLE : s->list_depth ? BLOCK_LIST : BLOCK_PARAGRAPH, 0);
}

static int on_enter(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    struct scan *s = ctx;
    (void)detail;
    if (type == MD_BLOCK_UL || type == MD_BLOCK_OL) {
        if (s->list_depth == 0)
            flush(s);
        s->list_depth++;
    } else if (type == MD_BLOCK_LI) {
        if (s->list_depth == 1)
            flush(s); /* a top-level item is a block, with all that is in it */
    } else if (type == MD_BLOCK_TABLE) {
        flush(s);
        s->in_table = true;
    } else if (type == MD_BLOCK_H || type == MD_BLOCK_CODE || (!s->list_depth && !s->in_table)) {
        flush(s);
    }
    return 0;
}

static int on_leave(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    struct scan *s = ctx;
    if (type == MD_BLOCK_UL || type == MD_BLOCK_OL) {
        if (s->list_depth == 1)
            flush(s);
        s->list_depth--;
    } else if (type == MD_BLOCK_H) {
        emit(s, BLOCK_HEADING, (int)((MD_BLOCK_H_DETAIL *)detail)->level);
    } else if (type == MD_BLOCK_CODE) {
        emit(s, BLOCK_CODE, 0);
    } else if (type == MD_BLOCK_TABLE) {
        flush(s);
        s->in_table = false;
    } else if (type == MD_BLOCK_P && !s->list_depth && !s->in_table) {
        flush(s);
    }
    return 0;
}

static int on_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    (void)type;
    (void)detail;
    (void)ctx;
    return 0;
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *p, MD_SIZE n, void *ctx)
{
    struct scan *s = ctx;
    (void)type;
    if (p < s->from || p + n > s->to || n == 0)
        return 0; /* made by md4c: line breaks, replaced NULs */
    if (!s->lo || p < s->lo)
        s->lo = p;
    if (!s->hi || p + n > s->hi)
        s->hi = p + n;
    return 0;
}

/* The end of YAML (---) or TOML (+++) front matter, `from` when there is none; its `title:` is the
 * document's. */
static size_t front_matter(struct doc *d, size_t from, size_t to)
{
    const struct span text = {d->text.p, to};
    struct line l;
    size_t pos = from;
    if (!line_next(text, &pos, &l))
        return from;
    const struct span fence = span_trim(line_span(text, &l));
    if (!span_eq(fence, "---") && !span_eq(fence, "+++"))
        return from;
    struct span title = {0};
    while (line_next(text, &pos, &l)) {
        struct span s = line_span(text, &l);
        if (span_equal(span_trim(s), fence) || span_eq(span_trim(s), "...")) {
            doc_set_title(d, title);
            return pos;
        }
        if (!span_starts(s, "title:") && !span_starts(s, "title =") && !span_starts(s, "Title:"))
            continue;
        title = span_trim(span_sub(s, span_starts(s, "title =") ? 7 : 6, s.n));
        if (title.n >= 2 && strchr("\"'", title.p[0]) && title.p[title.n - 1] == title.p[0])
            title = span_sub(title, 1, title.n - 1);
    }
    return from;
}

void markdown_blocks(struct doc *d, size_t from, size_t to)
{
    if (to > d->text.n || from >= to)
        return;
    const size_t body = front_matter(d, from, to);
    if (body > from)
        doc_add_block(d, BLOCK_PARAGRAPH, 0, 0, from, body);
    struct scan s = {.d = d, .from = d->text.p + body, .to = d->text.p + to};
    const MD_PARSER parser = {
        .flags = MD_FLAG_TABLES | MD_FLAG_TASKLISTS | MD_FLAG_STRIKETHROUGH,
        .enter_block = on_enter,
        .leave_block = on_leave,
        .enter_span = on_span,
        .leave_span = on_span,
        .text = on_text,
    };
    md_parse(s.from, (MD_SIZE)(to - body), &parser, &s);
    flush(&s);
}

void adapt_markdown(struct job *job, struct extract_result *r)
{
    if (text_load(job, NULL, r))
        markdown_blocks(&r->doc, 0, r->doc.text.n);
}
