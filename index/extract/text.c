/* text.c - formats whose file is the text: plain text, source code, records, data, subtitles.
 *
 * The text stays as it is; only the blocks differ, and they are chosen so that the chunker finds
 * good places to cut: blank lines in prose, top-level definitions in code, rows in tables,
 * top-level keys in data.
 */
#include "index/extract/adapter.h"

#include "src/base/mem.h"

#include <string.h>

/* Records and lines are gathered to blocks of about this many bytes: small enough to be cut points,
 * large enough that a big table is not a million blocks. */
enum { GATHER_BYTES = 600 };

/* ---- plain text: paragraphs, and headings that are underlined ---------------------------------
 */

/* A line of one repeated punctuation mark, at least 3 long. Returns the mark or 0. */
static char underline_of(struct span s)
{
    s = span_trim(s);
    if (s.n < 3 || !memchr("=-~^*#+\"'`_", s.p[0], 11))
        return 0;
    for (size_t i = 1; i < s.n; i++)
        if (s.p[i] != s.p[0])
            return 0;
    return s.p[0];
}

/* "Title" over "=====": a heading when the title line stands after a blank line and the underline
 * is about as long. */
static bool is_underlined(struct span text, const struct line *title, const struct line *under)
{
    const struct span a = span_trim(line_span(text, title)), b = span_trim(line_span(text, under));
    const char mark = underline_of(b);
    return (mark == '=' || mark == '-' || mark == '~') && a.n >= 2 && a.n <= 120 &&
           !underline_of(a) && b.n + 2 >= a.n * 2 / 3 && b.n <= a.n + 12;
}

void adapt_text(struct job *job, struct extract_result *r)
{
    if (!text_load(job, NULL, r))
        return;
    struct doc *const d = &r->doc;
    const struct span text = str_view(&d->text);
    struct line l, next;
    size_t pos = 0, from = 0;
    bool after_blank = true;
    while (line_next(text, &pos, &l)) {
        size_t after = pos;
        if (after_blank && !l.blank && line_next(text, &after, &next) &&
            is_underlined(text, &l, &next)) {
            const char mark = underline_of(line_span(text, &next));
            blocks_paragraphs(d, from, l.start, 0);
            doc_add_block(d, BLOCK_HEADING,
                          mark == '='   ? 1
                          : mark == '-' ? 2
                                        : 3,
                          0, l.start, l.end);
            if (mark == '=')
                doc_set_title(d, line_span(text, &l));
            pos = from = after;
        }
        after_blank = l.blank || from == pos;
    }
    blocks_paragraphs(d, from, text.n, 0);
}

/* ---- source code -------------------------------------------------------------------------------
 */

/* A line that only closes what stands above it. */
static bool closes(struct span s)
{
    s = span_trim(s);
    return s.n == 0 || memchr("})];", s.p[0], 4) || span_eq(s, "end") || span_starts(s, "end ") ||
           span_eq(s, "fi") || span_eq(s, "done") || span_eq(s, "esac") || span_starts(s, "else") ||
           span_starts(s, "EOF");
}

/* Blocks begin at lines without indentation that follow a blank line: that is where definitions
 * (with the comment over them) begin in every common style of every common language. Tiny ones
 * (imports, constants) are gathered. */
void adapt_code(struct job *job, struct extract_result *r)
{
    enum { SMALL_BYTES = 120 };
    if (!text_load(job, NULL, r))
        return;
    struct doc *const d = &r->doc;
    const struct span text = str_view(&d->text);
    struct line l;
    size_t pos = 0, from = 0;
    bool after_blank = false;
    while (line_next(text, &pos, &l)) {
        if (after_blank && !l.blank && l.indent == 0 && l.start - from >= SMALL_BYTES &&
            !closes(line_span(text, &l))) {
            doc_add_block(d, BLOCK_CODE, 0, 0, from, l.start);
            from = l.start;
        }
        after_blank = l.blank;
    }
    doc_add_block(d, BLOCK_CODE, 0, 0, from, text.n);
}

/* ---- records and data --------------------------------------------------------------------------
 */

/* One row after another; a row ends at a line end outside quotes, so that a quoted cell with line
 * breaks is not torn. An odd quote must not swallow the file: a row is at most 64 KiB. */
static void csv_blocks(struct doc *d)
{
    enum { MAX_ROW = 65536 };
    const struct span text = str_view(&d->text);
    size_t from = 0, row = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        quoted ^= text.p[i] == '"';
        if (text.p[i] != '\n' || (quoted && i - row < MAX_ROW))
            continue;
        quoted = false;
        row = i + 1;
        if (row - from >= GATHER_BYTES) {
            doc_add_block(d, BLOCK_TABLE, 0, 0, from, row);
            from = row;
        }
    }
    doc_add_block(d, BLOCK_TABLE, 0, 0, from, text.n);
}

void adapt_rows(struct job *job, struct extract_result *r)
{
    if (!text_load(job, NULL, r))
        return;
    if (strcmp(job->format->info.name, "csv") == 0)
        csv_blocks(&r->doc);
    else
        blocks_lines(&r->doc, BLOCK_TABLE, 0, r->doc.text.n, 0, 1); /* a record, a block */
}

/* Data is cut before lines that stand as far left as the first key does (or nearly so), once the
 * block has some size. */
void adapt_data(struct job *job, struct extract_result *r)
{
    enum { TOP_INDENT = 2 };
    if (!text_load(job, NULL, r))
        return;
    struct doc *const d = &r->doc;
    const struct span text = str_view(&d->text);
    struct line l;
    size_t pos = 0, from = 0;
    while (line_next(text, &pos, &l)) {
        const size_t size = l.start - from;
        if ((size >= GATHER_BYTES && l.indent <= TOP_INDENT && !closes(line_span(text, &l))) ||
            size >= 4 * GATHER_BYTES) {
            doc_add_block(d, BLOCK_CODE, 0, 0, from, l.start);
            from = l.start;
        }
    }
    doc_add_block(d, BLOCK_CODE, 0, 0, from, text.n);
}

/* ---- subtitles ---------------------------------------------------------------------------------
 */

static bool all_digits(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

static bool is_time_line(struct span s)
{
    return s.n && s.p[0] >= '0' && s.p[0] <= '9' &&
           (span_find(s, "-->") || (s.n > 10 && s.p[1] == ':' && memchr(s.p, ',', s.n))); /* sbv */
}

/* A cue's words are a block; its number and times are in none. */
void adapt_subtitle(struct job *job, struct extract_result *r)
{
    if (!text_load(job, NULL, r))
        return;
    struct doc *const d = &r->doc;
    const struct span text = str_view(&d->text);
    struct line l;
    size_t pos = 0, start = 0, end = 0;
    while (line_next(text, &pos, &l)) {
        const struct span s = span_trim(line_span(text, &l));
        const bool words = !l.blank && !is_time_line(s) && !all_digits(s) && !span_eq(s, "WEBVTT");
        if (words && end == 0)
            start = l.start;
        if (words)
            end = l.end;
        if (!words && end) {
            doc_add_block(d, BLOCK_PARAGRAPH, 0, 0, start, end);
            end = 0;
        }
    }
    if (end)
        doc_add_block(d, BLOCK_PARAGRAPH, 0, 0, start, end);
}
