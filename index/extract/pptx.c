/* pptx.c - PresentationML (ECMA-376 part 1, §19): slides in the order of the presentation, each
 * with its title as a heading, its text, its tables, its diagrams and its notes.
 *
 * The page of a block is the slide's number. Slide numbers, dates and footers, which repeat on
 * every slide, are left out.
 */
#include "index/extract/ooxml.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

struct shape {
    bool title, skip;
};

/* The placeholder kind of a shape decides what its text is. */
static void placeholder(struct xml *x, struct shape *s, bool notes)
{
    char type[32];
    if (!xml_attr(x, "type", type, sizeof type))
        type[0] = '\0';
    s->title = strcmp(type, "title") == 0 || strcmp(type, "ctrTitle") == 0;
    s->skip = strcmp(type, "sldNum") == 0 || strcmp(type, "dt") == 0 || strcmp(type, "ftr") == 0 ||
              strcmp(type, "hdr") == 0 || (notes && strcmp(type, "body") != 0);
}

struct slide {
    struct writer w;
    struct shape shape;
    int tables;
    bool notes;
};

static void opened(struct xml *x, struct slide *k)
{
    struct writer *w = &k->w;
    if (xml_is(x, "Fallback")) {
        xml_skip(x);
    } else if (xml_is(x, "sp") || xml_is(x, "cxnSp")) {
        k->shape = (struct shape){.skip = k->notes};
    } else if (xml_is(x, "ph")) {
        placeholder(x, &k->shape, k->notes);
    } else if (xml_is(x, "txBody") && k->shape.skip && !k->tables) {
        xml_skip(x);
    } else if (xml_is(x, "txBody") && !k->tables) {
        writer_begin(w, k->shape.title ? BLOCK_HEADING : BLOCK_PARAGRAPH, k->shape.title);
        w->hold++;
    } else if (xml_is(x, "t")) {
        const int depth = x->depth;
        enum xml_event e;
        while ((e = xml_next(x)) != XML_NONE && !(e == XML_CLOSE && x->depth == depth))
            if (e == XML_CHARS)
                writer_text(w, x->chars);
    } else if (xml_is(x, "br")) {
        if (k->shape.title || k->tables)
            writer_gap(w);
        else
            writer_newline(w);
    } else if (xml_is(x, "tbl")) {
        k->tables++;
        k->shape = (struct shape){0};
        writer_table(w);
    } else if (xml_is(x, "tr")) {
        writer_row(w);
    } else if (xml_is(x, "tc")) {
        writer_cell(w);
    }
}

static void closed(const struct xml *x, struct slide *k)
{
    struct writer *w = &k->w;
    if (xml_is(x, "p") && (k->tables || k->shape.title)) {
        writer_gap(w);
    } else if (xml_is(x, "p")) {
        writer_newline(w);
    } else if (xml_is(x, "txBody") && !k->tables) {
        w->hold -= w->hold > 0;
        writer_close(w);
    } else if (xml_is(x, "tbl")) {
        k->tables -= k->tables > 0;
        writer_table_end(w);
    } else if (xml_is(x, "pt")) {
        writer_close(w); /* a point of a diagram */
    }
}

static bool read_slide(struct span part, int number, bool notes, struct doc *d)
{
    struct slide k = {.w = {.d = d, .page = number}, .notes = notes};
    struct xml x;
    enum xml_event e;
    xml_begin(&x, part);
    while ((e = xml_next(&x)) != XML_NONE) {
        if (e == XML_OPEN)
            opened(&x, &k);
        else if (e == XML_CLOSE)
            closed(&x, &k);
    }
    k.w.hold = 0;
    writer_close(&k.w);
    const bool good = !x.broken;
    xml_end(&x);
    return good;
}

static void read_related(const struct members *parts, const char *slide, const char *type,
                         int number, struct doc *d)
{
    char *name = ooxml_related(parts, slide, NULL, type);
    if (name && members_have(parts, name))
        (void)read_slide(members_span(parts, name), number, strcmp(type, "/notesSlide") == 0, d);
    free(name);
}

void adapt_pptx(struct job *job, struct extract_result *r)
{
    struct members parts = {0};
    struct doc *const d = &r->doc;
    struct xml x;
    enum xml_event e;
    int number = 0;
    if (!ooxml_open(job, &parts, r)) {
        members_release(&parts);
        return;
    }
    char *main_part = ooxml_related(&parts, "", NULL, "/officeDocument");
    const char *name = main_part ? main_part : "ppt/presentation.xml";
    ooxml_core_title(&parts, d);
    xml_begin(&x, members_span(&parts, name));
    while ((e = xml_next(&x)) != XML_NONE) {
        char id[64] = "";
        if (e != XML_OPEN || !xml_is(&x, "sldId"))
            continue;
        number++;
        xml_attr_prefixed(&x, "id", id, sizeof id); /* r:id; the plain id is only a number */
        char *slide = ooxml_related(&parts, name, id, NULL);
        if (slide && !read_slide(members_span(&parts, slide), number, false, d))
            result_fail(r, NULL, "broken presentation (slide %d is not well-formed)", number);
        if (slide) {
            read_related(&parts, slide, "/diagramData", number, d);
            read_related(&parts, slide, "/notesSlide", number, d);
        }
        free(slide);
    }
    if (x.broken)
        result_fail(r, NULL, "broken presentation (its XML is not well-formed)");
    xml_end(&x);
    for (size_t i = 0; i < d->n_blocks && !d->title; i++)
        if (d->block[i].kind == BLOCK_HEADING)
            doc_set_title(d, span_sub(str_view(&d->text), d->block[i].start, d->block[i].end));
    free(main_part);
    members_release(&parts);
}
