/* odf.c - OpenDocument text, presentations and spreadsheets (OASIS ODF 1.2 part 1).
 *
 * One walk over content.xml serves the three: text:h are headings, text:p paragraphs, draw:page
 * begins a slide, a top-level table:table of a spreadsheet begins a sheet. Comments, deleted text
 * and note numbers are left out. Repeated cells and rows (a million empty ones at a sheet's end are
 * usual) are told once.
 */
#include "index/extract/unpack.h"
#include "index/extract/writer.h"
#include "index/extract/xml.h"

#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHEET_BLOCK_BYTES = 1000 };

struct reading {
    struct writer w;
    bool sheets; /* a spreadsheet: tables are pages */
    int tables, lists, notes;
    bool title_shape;   /* in the title frame of a slide */
    bool begun;         /* the current cell was opened */
    char titles[8][48]; /* automatic styles that inherit from Title */
    size_t n_titles;
};

static bool is_title_style(const struct reading *k, const char *name)
{
    if (strcmp(name, "Title") == 0)
        return true;
    for (size_t i = 0; i < k->n_titles; i++)
        if (strcmp(k->titles[i], name) == 0)
            return true;
    return false;
}

/* style:style: remembers those made from Title. */
static void note_style(struct xml *x, struct reading *k)
{
    char parent[48], name[48];
    if (k->n_titles < ARRAY_LEN(k->titles) &&
        xml_attr(x, "parent-style-name", parent, sizeof parent) && strcmp(parent, "Title") == 0 &&
        xml_attr(x, "name", name, sizeof name))
        strcpy(k->titles[k->n_titles++], name);
}

static void begin_text(struct xml *x, struct reading *k)
{
    struct writer *w = &k->w;
    char value[48];
    if (k->tables) {
        writer_gap(w);
    } else if (k->notes) {
        writer_gap(w);
    } else if (k->lists) {
        writer_newline(w);
        writer_raw(w, "- ");
        w->line_start = true;
    } else if (xml_is(x, "h")) {
        const bool has = xml_attr(x, "outline-level", value, sizeof value);
        const long level = has ? strtol(value, NULL, 10) : 1;
        writer_begin(w, BLOCK_HEADING, level >= 1 && level <= 6 ? (int)level : 6);
    } else if (k->title_shape ||
               (xml_attr(x, "style-name", value, sizeof value) && is_title_style(k, value))) {
        writer_begin(w, BLOCK_HEADING, 1);
    } else {
        writer_begin(w, BLOCK_PARAGRAPH, 0);
    }
}

static void end_text(struct reading *k)
{
    struct writer *w = &k->w;
    if (k->tables || k->notes || k->lists) {
        writer_gap(w);
        return;
    }
    const bool title = w->open && w->kind == BLOCK_HEADING && w->level == 1;
    writer_close(w);
    if (title && w->d->n_blocks)
        doc_set_title(w->d, writer_block_text(w));
}

static void begin_sheet(struct xml *x, struct reading *k)
{
    struct writer *w = &k->w;
    char name[256];
    w->page++;
    if (xml_attr(x, "name", name, sizeof name)) {
        writer_begin(w, BLOCK_HEADING, 1);
        writer_text(w, span_of(name));
        writer_close(w);
    }
}

static void opened(struct xml *x, struct reading *k)
{
    struct writer *w = &k->w;
    char value[64];
    if (xml_is(x, "annotation") || xml_is(x, "tracked-changes") || xml_is(x, "note-citation") ||
        xml_is(x, "forms") || xml_is(x, "object") || xml_is(x, "page-number") ||
        xml_is(x, "desc") || xml_is(x, "binary-data") || xml_is(x, "master-styles")) {
        xml_skip(x);
    } else if (xml_is(x, "style")) {
        note_style(x, k);
    } else if (xml_is(x, "p") || xml_is(x, "h")) {
        begin_text(x, k);
    } else if (xml_is(x, "s") || xml_is(x, "tab")) {
        writer_gap(w);
    } else if (xml_is(x, "line-break")) {
        if (k->tables)
            writer_gap(w);
        else
            writer_newline(w);
    } else if (xml_is(x, "note")) {
        k->notes++;
        writer_gap(w);
    } else if (xml_is(x, "list")) {
        if (k->lists++ == 0 && !k->tables)
            writer_begin(w, BLOCK_LIST, 0);
    } else if (xml_is(x, "spreadsheet")) {
        k->sheets = true;
    } else if (xml_is(x, "page")) {
        w->page++;
    } else if (xml_is(x, "frame")) {
        k->title_shape = xml_attr(x, "class", value, sizeof value) && strcmp(value, "title") == 0;
    } else if (xml_is(x, "table")) {
        if (k->sheets && k->tables == 0)
            begin_sheet(x, k);
        k->tables++;
        writer_table(w);
    } else if (xml_is(x, "table-row")) {
        if (k->sheets && k->tables == 1 && w->open && w->d->text.n - w->start > SHEET_BLOCK_BYTES) {
            writer_table_end(w);
            writer_table(w);
        }
        writer_row(w);
    } else if (xml_is(x, "table-cell")) {
        k->begun = false;
    }
}

static void closed(const struct xml *x, struct reading *k)
{
    struct writer *w = &k->w;
    if (xml_is(x, "p") || xml_is(x, "h")) {
        end_text(k);
    } else if (xml_is(x, "note")) {
        k->notes -= k->notes > 0;
    } else if (xml_is(x, "list")) {
        k->lists -= k->lists > 0;
        if (!k->lists && !k->tables)
            writer_close(w);
    } else if (xml_is(x, "frame")) {
        k->title_shape = false;
    } else if (xml_is(x, "table")) {
        k->tables -= k->tables > 0;
        writer_table_end(w);
    }
}

/* Characters count inside text:p and text:h only; `inside` is how many are open. */
static bool read_content(struct span part, struct doc *d)
{
    struct reading k = {.w = {.d = d}};
    struct xml x;
    enum xml_event e;
    int inside = 0;
    xml_begin(&x, part);
    while ((e = xml_next(&x)) != XML_NONE) {
        const bool text = e != XML_CHARS && (xml_is(&x, "p") || xml_is(&x, "h"));
        if (e == XML_CHARS && inside && x.chars.n) {
            if (k.tables && !k.begun && span_trim(x.chars).n) {
                writer_cell(&k.w); /* cells without text are not told */
                k.begun = true;
            }
            writer_text(&k.w, x.chars);
        } else if (e == XML_OPEN) {
            inside += text;
            opened(&x, &k);
        } else if (e == XML_CLOSE) {
            inside -= text;
            closed(&x, &k);
        }
    }
    k.w.hold = 0;
    writer_close(&k.w);
    const bool good = !x.broken;
    xml_end(&x);
    return good;
}

static void meta_title(struct span part, struct doc *d)
{
    struct xml x;
    enum xml_event e;
    struct str title = {0};
    xml_begin(&x, part);
    while (!title.n && (e = xml_next(&x)) != XML_NONE) {
        if (e == XML_OPEN && xml_is(&x, "title"))
            xml_content(&x, &title);
    }
    xml_end(&x);
    doc_set_title(d, str_view(&title));
    str_release(&title);
}

static bool wanted(const char *name)
{
    return strcmp(name, "content.xml") == 0 || strcmp(name, "meta.xml") == 0 ||
           strcmp(name, "META-INF/manifest.xml") == 0;
}

void adapt_odf(struct job *job, struct extract_result *r)
{
    struct members parts = {0};
    const struct span file = str_view(&job->bytes);
    if (unpack_archive(file, wanted, job->budget, &parts, r)) {
        const struct span manifest = members_span(&parts, "META-INF/manifest.xml");
        const struct span content = members_span(&parts, "content.xml");
        if (span_find(manifest, "encryption-data")) {
            result_fail(r, "save it without a password", "password-protected");
        } else {
            meta_title(members_span(&parts, "meta.xml"), &r->doc);
            if (!read_content(content, &r->doc))
                result_fail(r, NULL, "broken document (its XML is not well-formed)");
        }
    }
    members_release(&parts);
}
