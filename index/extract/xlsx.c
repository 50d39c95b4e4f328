/* xlsx.c - SpreadsheetML (ECMA-376 part 1, §18): every sheet a page with its name as a heading,
 * every row a line, the cells that hold something with " | " between.
 *
 * Numbers are shown as people see them where that is cheap: 15 significant digits, and dates (a
 * number whose style has a date format) as ISO dates. Day 1 is 1900-01-01 and the 29 February 1900
 * that never was counts (§18.17.4.1), so from March 1900 on day n is 1899-12-30 plus n.
 */
#include "index/extract/ooxml.h"

#include "src/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 1000 }; /* rows are gathered to blocks of about this size */

struct book {
    struct str strings; /* the shared strings, end to end */
    size_t *start;      /* [n_strings + 1] */
    size_t n_strings, cap_strings;
    bool *is_date; /* [n_formats], by cell format */
    size_t n_formats, cap_formats;
    bool from_1904;
};

/* ---- shared strings and styles ------------------------------------------------------------------
 */

/* The text of an si or is element, without the phonetic guides. */
static void rich_text(struct xml *x, struct str *out)
{
    const int depth = x->depth;
    enum xml_event e;
    bool in_text = false;
    while ((e = xml_next(x)) != XML_NONE && !(e == XML_CLOSE && x->depth == depth)) {
        if (e == XML_OPEN && xml_is(x, "rPh"))
            xml_skip(x);
        else if (e == XML_CHARS && in_text)
            str_span(out, x->chars);
        else if (e != XML_CHARS)
            in_text = e == XML_OPEN && xml_is(x, "t");
    }
}

static bool read_strings(struct span part, struct book *b)
{
    struct xml x;
    enum xml_event e;
    if (part.n == 0)
        return true;
    xml_begin(&x, part);
    while ((e = xml_next(&x)) != XML_NONE) {
        if (e != XML_OPEN || !xml_is(&x, "si"))
            continue;
        VEC_GROW(b->start, b->n_strings, b->cap_strings);
        b->start[b->n_strings++] = b->strings.n;
        rich_text(&x, &b->strings);
    }
    const bool good = !x.broken;
    xml_end(&x);
    return good;
}

static struct span shared_string(const struct book *b, const char *index)
{
    const unsigned long i = strtoul(index, NULL, 10);
    if (i >= b->n_strings)
        return (struct span){0};
    const size_t end = i + 1 < b->n_strings ? b->start[i + 1] : b->strings.n;
    return span_sub(str_view(&b->strings), b->start[i], end);
}

/* Built-in formats 14-22 and 45-47 are dates and times, and others when their code names a part of
 * a date outside quotes and brackets. */
static bool is_date_code(const char *code)
{
    for (const char *p = code; *p; p++) {
        if (*p == '"' || *p == '[') {
            const char *end = strchr(p + 1, *p == '"' ? '"' : ']');
            if (!end)
                return false;
            p = end;
        } else if (strchr("ymdhYMDH", *p)) {
            return true;
        }
    }
    return false;
}

static void read_formats(struct span part, struct book *b)
{
    enum { MAX_CUSTOM = 512, MAX_FORMATS = 65536 };
    long custom[MAX_CUSTOM];
    size_t n_custom = 0;
    bool in_cells = false;
    struct xml x;
    enum xml_event e;
    xml_begin(&x, part);
    while ((e = xml_next(&x)) != XML_NONE) {
        char id[16], code[256];
        if (e != XML_CHARS && xml_is(&x, "cellXfs"))
            in_cells = e == XML_OPEN;
        if (e != XML_OPEN || !xml_attr(&x, "numFmtId", id, sizeof id))
            continue;
        const long number = strtol(id, NULL, 10);
        if (xml_is(&x, "numFmt") && n_custom < MAX_CUSTOM &&
            xml_attr(&x, "formatCode", code, sizeof code) && is_date_code(code))
            custom[n_custom++] = number;
        if (!in_cells || !xml_is(&x, "xf") || b->n_formats >= MAX_FORMATS)
            continue;
        bool date = (number >= 14 && number <= 22) || (number >= 45 && number <= 47);
        for (size_t i = 0; i < n_custom; i++)
            date |= custom[i] == number;
        VEC_GROW(b->is_date, b->n_formats, b->cap_formats);
        b->is_date[b->n_formats++] = date;
    }
    xml_end(&x);
}

/* ---- cells
 * --------------------------------------------------------------------------------------- */

/* The civil date of a day number since 1970-01-01 (proleptic Gregorian; the usual era arithmetic,
 * see H. Hinnant, "chrono-compatible low-level date algorithms"). */
static void put_date(struct writer *w, double serial, bool from_1904)
{
    const double days = floor(serial);
    const long z = (long)days + (from_1904 ? 1462 : 0) - 25569 + 719468;
    const long era = z / 146097, doe = z - era * 146097;
    const long yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const long doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    const long day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    const long year = yoe + era * 400 + (month <= 2);
    const int minutes = (int)lround((serial - days) * 1440) % 1440;
    char text[64];
    size_t n = 0;
    if (serial >= 1)
        n = (size_t)snprintf(text, sizeof text, "%04ld-%02ld-%02ld", year, month, day);
    if (minutes || serial < 1)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%02d:%02d", n ? " " : "", minutes / 60,
                              minutes % 60);
    writer_text(w, (struct span){text, n});
}

struct cell {
    char type[16];
    size_t format;
    struct str value;
};

static void put_cell(const struct book *b, const struct cell *c, struct writer *w)
{
    const struct span v = span_trim(str_view(&c->value));
    if (v.n == 0 || strcmp(c->type, "e") == 0)
        return;
    if (strcmp(c->type, "s") == 0) {
        const struct span s = shared_string(b, v.p);
        if (span_trim(s).n)
            writer_cell(w);
        writer_text(w, s);
        return;
    }
    writer_cell(w);
    if (strcmp(c->type, "b") == 0) {
        writer_text(w, span_of(v.p[0] == '1' ? "TRUE" : "FALSE"));
        return;
    }
    char *end;
    const double number = strtod(v.p, &end);
    if ((c->type[0] && strcmp(c->type, "n") != 0) || end == v.p || !isfinite(number)) {
        writer_text(w, v); /* inlineStr, str, d */
        return;
    }
    if (c->format < b->n_formats && b->is_date[c->format] && number >= 0 && number < 2958466) {
        put_date(w, number, b->from_1904);
        return;
    }
    char text[40];
    const int n = snprintf(text, sizeof text, "%.15g", number);
    writer_text(w, (struct span){text, (size_t)n});
}

static void read_cell(struct xml *x, const struct book *b, struct cell *c, struct writer *w)
{
    const int depth = x->depth;
    char style[16];
    enum xml_event e;
    str_clear(&c->value);
    xml_attr(x, "t", c->type, sizeof c->type);
    c->format = xml_attr(x, "s", style, sizeof style) ? strtoul(style, NULL, 10) : 0;
    while ((e = xml_next(x)) != XML_NONE && !(e == XML_CLOSE && x->depth == depth)) {
        if (e == XML_OPEN && xml_is(x, "v"))
            xml_content(x, &c->value);
        else if (e == XML_OPEN && xml_is(x, "is"))
            rich_text(x, &c->value);
    }
    put_cell(b, c, w);
}

static bool read_sheet(struct span part, const struct book *b, int number, const char *name,
                       struct doc *d)
{
    struct writer w = {.d = d, .page = number};
    struct cell cell = {.value.max = 1 << 20};
    struct xml x;
    enum xml_event e;
    const size_t text_n = d->text.n, first = d->n_blocks;
    writer_begin(&w, BLOCK_HEADING, 1);
    writer_text(&w, span_of(name));
    writer_close(&w);
    xml_begin(&x, part);
    while ((e = xml_next(&x)) != XML_NONE) {
        if (e == XML_OPEN && xml_is(&x, "row")) {
            if (w.open && d->text.n - w.start > BLOCK_BYTES)
                writer_table_end(&w);
            if (!w.open)
                writer_table(&w);
            writer_row(&w);
        } else if (e == XML_OPEN && xml_is(&x, "c")) {
            read_cell(&x, b, &cell, &w);
        }
    }
    w.hold = 0;
    writer_close(&w);
    str_release(&cell.value);
    if (d->n_blocks == first + 1)
        doc_truncate(d, text_n, first); /* an empty sheet is not told */
    const bool good = !x.broken;
    xml_end(&x);
    return good;
}

/* ---- the workbook
 * ---------------------------------------------------------------------------------- */

static void read_book(const struct members *parts, const char *main_part, struct book *b,
                      struct extract_result *r)
{
    struct xml x;
    enum xml_event e;
    int number = 0;
    xml_begin(&x, members_span(parts, main_part));
    while ((e = xml_next(&x)) != XML_NONE) {
        char value[64], name[256];
        if (e == XML_OPEN && xml_is(&x, "workbookPr") &&
            xml_attr(&x, "date1904", value, sizeof value))
            b->from_1904 = value[0] == '1' || value[0] == 't';
        if (e != XML_OPEN || !xml_is(&x, "sheet"))
            continue;
        xml_attr(&x, "name", name, sizeof name);
        xml_attr_prefixed(&x, "id", value, sizeof value);
        char *sheet = ooxml_related(parts, main_part, value, NULL);
        number++;
        if (sheet && members_have(parts, sheet) &&
            !read_sheet(members_span(parts, sheet), b, number, name, &r->doc))
            result_fail(r, NULL, "broken workbook (sheet %d is not well-formed)", number);
        free(sheet);
    }
    if (x.broken)
        result_fail(r, NULL, "broken workbook (its XML is not well-formed)");
    xml_end(&x);
}

void adapt_xlsx(struct job *job, struct extract_result *r)
{
    struct members parts = {0};
    struct book b = {0};
    if (ooxml_open(job, &parts, r)) {
        char *main_part = ooxml_related(&parts, "", NULL, "/officeDocument");
        const char *name = main_part ? main_part : "xl/workbook.xml";
        char *strings = ooxml_related(&parts, name, NULL, "/sharedStrings");
        char *styles = ooxml_related(&parts, name, NULL, "/styles");
        ooxml_core_title(&parts, &r->doc);
        if (!read_strings(members_span(&parts, strings ? strings : "xl/sharedStrings.xml"), &b))
            result_fail(r, NULL, "broken workbook (its strings are not well-formed)");
        read_formats(members_span(&parts, styles ? styles : "xl/styles.xml"), &b);
        read_book(&parts, name, &b, r);
        free(strings);
        free(styles);
        free(main_part);
    }
    str_release(&b.strings);
    free(b.start);
    free(b.is_date);
    members_release(&parts);
}
