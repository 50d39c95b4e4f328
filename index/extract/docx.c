/* docx.c - WordprocessingML (ECMA-376 part 1, §17).
 *
 * A paragraph's role comes from its style: an outline level (its own, or inherited through basedOn)
 * makes a heading, a numbering reference makes a list item. Deleted text (w:delText) and field
 * codes (w:instrText) are no text elements and so fall away; of mc:AlternateContent the fallback,
 * which repeats the choice, is left out. Word keeps no reliable page numbers, so there are none.
 */
#include "index/extract/ooxml.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct style {
    char id[64], based[64];
    int level; /* 1..6 heading, -1 body */
    bool title, list;
};

struct styles {
    struct style *item;
    size_t n, cap;
};

/* ---- styles.xml ------------------------------------------------------------------------------ */

static void read_style(struct xml *x, struct style *s)
{
    const int depth = x->depth;
    char value[64];
    enum xml_event e;
    *s = (struct style){.level = -1};
    xml_attr(x, "styleId", s->id, sizeof s->id);
    while ((e = xml_next(x)) != XML_NONE && !(e == XML_CLOSE && x->depth == depth)) {
        if (e != XML_OPEN)
            continue;
        if (xml_is(x, "basedOn")) {
            xml_attr(x, "val", s->based, sizeof s->based);
        } else if (xml_is(x, "outlineLvl") && xml_attr(x, "val", value, sizeof value)) {
            const long level = strtol(value, NULL, 10);
            s->level = level >= 0 && level < 9 ? (level < 6 ? (int)level + 1 : 6) : -1;
        } else if (xml_is(x, "name") && xml_attr(x, "val", value, sizeof value)) {
            s->title = strcasecmp(value, "title") == 0;
            s->list = strncasecmp(value, "list ", 5) == 0;
            if (strncasecmp(value, "heading ", 8) == 0 && value[8] >= '1' && value[8] <= '9')
                s->level = value[8] < '6' ? value[8] - '0' : 6;
        }
    }
}

static void read_styles(struct span part, struct styles *out)
{
    enum { MAX_STYLES = 10000 };
    struct xml x;
    enum xml_event e;
    xml_begin(&x, part);
    while ((e = xml_next(&x)) != XML_NONE && out->n < MAX_STYLES) {
        if (e != XML_OPEN || !xml_is(&x, "style"))
            continue;
        VEC_GROW(out->item, out->n, out->cap);
        read_style(&x, &out->item[out->n++]);
    }
    xml_end(&x);
}

/* The style with what it inherits; zero level where there is none. */
static struct style style_find(const struct styles *all, const char *id)
{
    enum { MAX_CHAIN = 12 };
    struct style found = {.level = -1};
    for (int hop = 0; hop < MAX_CHAIN && id[0]; hop++) {
        const struct style *s = NULL;
        for (size_t i = 0; i < all->n && !s; i++)
            if (strcmp(all->item[i].id, id) == 0)
                s = &all->item[i];
        if (!s)
            break;
        found.level = found.level > 0 ? found.level : s->level;
        found.title |= s->title;
        found.list |= s->list;
        id = s->based;
    }
    return found;
}

/* ---- the text ----------------------------------------------------------------------------------
 */

struct reading {
    struct writer w;
    const struct styles *styles;
    struct style style; /* of the current paragraph */
    bool begun;         /* its block is open */
    int tables;
};

/* Opens the paragraph's block at its first text. */
static void begin_paragraph(struct reading *k)
{
    struct writer *w = &k->w;
    if (k->begun || k->tables)
        return;
    k->begun = true;
    if (k->style.level > 0 || k->style.title) {
        writer_begin(w, BLOCK_HEADING, k->style.level > 0 ? k->style.level : 1);
    } else if (k->style.list) {
        if (w->open && w->kind == BLOCK_LIST)
            writer_newline(w);
        else
            writer_begin(w, BLOCK_LIST, 0);
        writer_raw(w, "- ");
        w->line_start = true;
    } else {
        writer_begin(w, BLOCK_PARAGRAPH, 0);
    }
}

static void end_paragraph(struct reading *k)
{
    struct writer *w = &k->w;
    if (k->tables) {
        writer_gap(w);
        return;
    }
    if (k->begun && w->kind == BLOCK_LIST)
        return; /* the next item may go on in this block */
    writer_close(w);
    if (k->begun && k->style.title)
        doc_set_title(w->d, writer_block_text(w));
}

/* Inside w:pPr. */
static void paragraph_property(struct xml *x, struct reading *k)
{
    char value[64];
    if (xml_is(x, "pStyle") && xml_attr(x, "val", value, sizeof value)) {
        k->style = style_find(k->styles, value);
    } else if (xml_is(x, "outlineLvl") && xml_attr(x, "val", value, sizeof value)) {
        const long level = strtol(value, NULL, 10);
        k->style.level = level >= 0 && level < 6 ? (int)level + 1 : -1;
    } else if (xml_is(x, "numPr")) {
        k->style.list = true;
    }
}

static void opened(struct xml *x, struct reading *k)
{
    struct writer *w = &k->w;
    if (xml_is(x, "Fallback") || xml_is(x, "rPr") || xml_is(x, "sectPr") || xml_is(x, "tblPr")) {
        xml_skip(x);
    } else if (xml_is(x, "p")) {
        k->style = (struct style){.level = -1};
        k->begun = false;
    } else if (xml_is(x, "t")) {
        const int depth = x->depth;
        enum xml_event e;
        begin_paragraph(k);
        while ((e = xml_next(x)) != XML_NONE && !(e == XML_CLOSE && x->depth == depth))
            if (e == XML_CHARS)
                writer_text(w, x->chars);
    } else if (xml_is(x, "tab")) {
        writer_gap(w);
    } else if (xml_is(x, "br") || xml_is(x, "cr")) {
        if (k->tables)
            writer_gap(w);
        else
            writer_newline(w);
    } else if (xml_is(x, "noBreakHyphen")) {
        writer_text(w, span_of("-"));
    } else if (xml_is(x, "tbl")) {
        k->tables++;
        writer_table(w);
    } else if (xml_is(x, "tr")) {
        writer_row(w);
    } else if (xml_is(x, "tc")) {
        writer_cell(w);
    } else {
        paragraph_property(x, k);
    }
}

static void closed(const struct xml *x, struct reading *k)
{
    if (xml_is(x, "p")) {
        end_paragraph(k);
    } else if (xml_is(x, "tbl")) {
        k->tables -= k->tables > 0;
        writer_table_end(&k->w);
    }
}

/* Reads a part of text; false: it is broken. What was read before the break is kept. */
static bool read_part(struct span part, const struct styles *styles, struct doc *d)
{
    struct reading k = {.w = {.d = d}, .styles = styles};
    struct xml x;
    enum xml_event e;
    xml_begin(&x, part);
    while ((e = xml_next(&x)) != XML_NONE) {
        if (e == XML_OPEN)
            opened(&x, &k);
        else if (e == XML_CLOSE)
            closed(&x, &k);
    }
    writer_close(&k.w);
    const bool good = !x.broken;
    xml_end(&x);
    return good;
}

void adapt_docx(struct job *job, struct extract_result *r)
{
    static const char *const more[] = {"/footnotes", "/endnotes", "/comments"};
    static const char *const margins[] = {"/header", "/footer"};
    struct members parts = {0};
    struct styles styles = {0};
    struct doc *const d = &r->doc;
    if (!ooxml_open(job, &parts, r)) {
        members_release(&parts);
        return;
    }
    char *main_part = ooxml_related(&parts, "", NULL, "/officeDocument");
    const struct span text = members_span(&parts, main_part ? main_part : "word/document.xml");
    ooxml_core_title(&parts, d);
    read_styles(members_span(&parts, "word/styles.xml"), &styles);
    if (!read_part(text, &styles, d))
        result_fail(r, NULL, "broken document (its XML is not well-formed)");
    const bool empty = d->n_blocks == 0;
    for (size_t i = 0; i < ARRAY_LEN(more) + (empty ? ARRAY_LEN(margins) : 0); i++) {
        const char *type = i < ARRAY_LEN(more) ? more[i] : margins[i - ARRAY_LEN(more)];
        char *name = ooxml_related(&parts, main_part ? main_part : "word/document.xml", NULL, type);
        if (name && members_have(&parts, name))
            (void)read_part(members_span(&parts, name), &styles, d);
        free(name);
    }
    for (size_t i = 0; i < d->n_blocks && !d->title; i++)
        if (d->block[i].kind == BLOCK_HEADING && d->block[i].level == 1)
            doc_set_title(d, span_sub(str_view(&d->text), d->block[i].start, d->block[i].end));
    free(main_part);
    free(styles.item);
    members_release(&parts);
}
