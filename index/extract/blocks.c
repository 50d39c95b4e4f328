/* blocks.c - see blocks.h. */
#include "index/extract/blocks.h"

#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *span_find(struct span s, const char *needle)
{
    return s.n ? memmem(s.p, s.n, needle, strlen(needle)) : NULL;
}

bool line_next(struct span text, size_t *pos, struct line *out)
{
    if (*pos >= text.n)
        return false;
    const char *eol = memchr(text.p + *pos, '\n', text.n - *pos);
    size_t end = eol ? (size_t)(eol - text.p) : text.n;
    out->start = *pos;
    *pos = eol ? end + 1 : end;
    if (end > out->start && text.p[end - 1] == '\r')
        end--;
    out->end = end;
    out->indent = 0;
    size_t i = out->start;
    for (; i < end && (text.p[i] == ' ' || text.p[i] == '\t'); i++)
        out->indent = text.p[i] == '\t' ? (out->indent | 7) + 1 : out->indent + 1;
    while (i < end && (text.p[i] == ' ' || text.p[i] == '\t' || text.p[i] == '\r' ||
                       text.p[i] == '\f' || text.p[i] == '\v'))
        i++;
    out->blank = i == end;
    return true;
}

struct span line_span(struct span text, const struct line *l)
{
    return span_sub(text, l->start, l->end);
}

void blocks_paragraphs(struct doc *d, size_t from, size_t to, int page)
{
    const struct span text = {d->text.p, to};
    struct line l;
    size_t pos = from, start = 0, end = 0;
    while (line_next(text, &pos, &l)) {
        if (!l.blank) {
            if (end == 0)
                start = l.start;
            end = l.end;
        } else if (end) {
            doc_add_block(d, BLOCK_PARAGRAPH, 0, page, start, end);
            end = 0;
        }
    }
    if (end)
        doc_add_block(d, BLOCK_PARAGRAPH, 0, page, start, end);
}

void blocks_lines(struct doc *d, enum block_kind kind, size_t from, size_t to, int page,
                  size_t target)
{
    const struct span text = {d->text.p, to};
    struct line l;
    size_t pos = from, start = from;
    while (line_next(text, &pos, &l))
        if (pos - start >= target) {
            doc_add_block(d, kind, 0, page, start, pos);
            start = pos;
        }
    if (pos > start)
        doc_add_block(d, kind, 0, page, start, pos);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A run of bytes without letters is decoration (rules, fences, underlines, time stamps). */
static bool has_words(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x80 || ((c | 32) >= 'a' && (c | 32) <= 'z'))
            return true;
    }
    return false;
}

static struct block trimmed(const struct doc *d, struct block b)
{
    while (b.end > b.start && is_space(d->text.p[b.end - 1]))
        b.end--;
    while (b.start < b.end && is_space(d->text.p[b.start]))
        b.start++;
    return b;
}

/* Paragraphs for what no block covers in [from, to), but for lines of mere decoration. */
static void fill_gap(struct doc *d, size_t from, size_t to, int page)
{
    const size_t first = d->n_blocks;
    if (from >= to || !has_words(span_sub(str_view(&d->text), from, to)))
        return;
    blocks_paragraphs(d, from, to, page);
    size_t kept = first;
    for (size_t i = first; i < d->n_blocks; i++) {
        const struct block b = trimmed(d, d->block[i]);
        if (b.end > b.start && has_words(span_sub(str_view(&d->text), b.start, b.end)))
            d->block[kept++] = b;
    }
    d->n_blocks = kept;
}

/* Appends block b to `out`; before it, what lies uncovered since *covered. What stands before a
 * heading on its line is its mark ("## ", "\section{"). */
static void finish_one(struct doc *out, struct block b, size_t *covered)
{
    if (b.start < *covered)
        b.start = *covered;
    if (b.end > out->text.n)
        b.end = out->text.n;
    b = b.start < b.end ? trimmed(out, b) : b;
    if (b.start >= b.end)
        return;
    size_t gap_end = b.start;
    while (b.kind == BLOCK_HEADING && gap_end > *covered && out->text.p[gap_end - 1] != '\n')
        gap_end--;
    fill_gap(out, *covered, gap_end, b.page);
    doc_add_block(out, b.kind, b.level, b.page, b.start, b.end);
    *covered = b.end;
}

void blocks_finish(struct doc *d)
{
    struct block *const old = d->block;
    const size_t n_old = d->n_blocks;
    const int last_page = n_old ? old[n_old - 1].page : 0;
    size_t covered = 0;
    d->block = NULL;
    d->n_blocks = d->cap_blocks = 0;
    for (size_t i = 0; i < n_old; i++)
        finish_one(d, old[i], &covered);
    fill_gap(d, covered, d->text.n, last_page);
    free(old);
}

bool blocks_have_text(const struct doc *d)
{
    for (size_t i = 0; i < d->n_blocks; i++) {
        size_t at = d->block[i].start;
        while (at < d->block[i].end) {
            uint32_t cp;
            at += (size_t)utf8_next(d->text.p + at, d->block[i].end - at, &cp);
            if (uni_is_letter(cp) || uni_is_number(cp))
                return true;
        }
    }
    return false;
}

void doc_truncate(struct doc *d, size_t text_n, size_t n_blocks)
{
    d->n_blocks = n_blocks;
    if (d->text.n > text_n) {
        d->text.n = text_n;
        d->text.p[text_n] = '\0';
    }
}

void doc_set_title(struct doc *d, struct span title)
{
    enum { MAX_TITLE = 512 };
    if (d->title)
        return;
    struct str clean = {0}, out = {0};
    utf8_sanitize(title, &clean);
    size_t at = 0;
    bool space = false;
    while (at < clean.n) {
        uint32_t cp;
        const size_t used = (size_t)utf8_next(clean.p + at, clean.n - at, &cp);
        if (uni_is_space(cp) || cp < 32) {
            space = out.n > 0;
        } else {
            if (out.n + used + space > MAX_TITLE)
                break;
            if (space)
                str_putc(&out, ' ');
            str_add(&out, clean.p + at, used);
            space = false;
        }
        at += used;
    }
    str_release(&clean);
    if (out.n && strncasecmp(out.p, "untitled", 8) != 0)
        d->title = str_take(&out);
    str_release(&out);
}
