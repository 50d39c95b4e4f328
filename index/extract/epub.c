/* epub.c - EPUB 2 and 3: the pages of the spine, in order (W3C EPUB 3.3 §5: container.xml names the
 * package, its manifest names the files, its spine their order). Navigation pages are left out.
 * Pages of a book reflow, so blocks have no page number; chapters are headings. */
#include "index/extract/unpack.h"
#include "index/extract/xml.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

struct book_item {
    char *id, *path; /* owned */
    bool nav;
};
struct package {
    struct book_item *item;
    size_t n, cap;
};

static bool wanted(const char *name)
{
    const struct span s = span_of(name);
    return span_ends(s, "html") || span_ends(s, ".htm") || span_ends(s, ".xml") ||
           span_ends(s, ".opf");
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* The member that `href` (percent-encoded, with a fragment) names, seen from the package's folder.
 */
static char *item_path(const char *opf, const char *href)
{
    struct str out = {0};
    const char *slash = strrchr(opf, '/');
    if (slash)
        str_add(&out, opf, (size_t)(slash - opf) + 1);
    while (strncmp(href, "../", 3) == 0 && out.n) {
        href += 3;
        for (out.n--; out.n && out.p[out.n - 1] != '/'; out.n--)
            continue;
    }
    for (const char *p = href; *p && *p != '#'; p++) {
        const int hi = *p == '%' ? hex_digit(p[1]) : -1;
        const int lo = hi >= 0 ? hex_digit(p[2]) : -1;
        str_putc(&out, lo >= 0 ? (char)(hi * 16 + lo) : *p);
        p += lo >= 0 ? 2 : 0;
    }
    return str_take(&out);
}

static char *package_path(const struct members *m)
{
    struct xml x;
    enum xml_event e;
    char path[512] = "";
    xml_begin(&x, members_span(m, "META-INF/container.xml"));
    while (!path[0] && (e = xml_next(&x)) != XML_NONE)
        if (e == XML_OPEN && xml_is(&x, "rootfile"))
            xml_attr(&x, "full-path", path, sizeof path);
    xml_end(&x);
    return xstrdup(path);
}

static void add_item(struct xml *x, const char *opf, struct package *p)
{
    char id[256], href[1024], properties[128];
    if (!xml_attr(x, "id", id, sizeof id) || !xml_attr(x, "href", href, sizeof href))
        return;
    xml_attr(x, "properties", properties, sizeof properties);
    VEC_GROW(p->item, p->n, p->cap);
    p->item[p->n++] =
        (struct book_item){xstrdup(id), item_path(opf, href), strstr(properties, "nav") != NULL};
}

static void append_item(const struct members *m, const struct package *p, const char *id,
                        struct extract_result *r)
{
    for (size_t i = 0; i < p->n; i++) {
        if (strcmp(p->item[i].id, id) != 0)
            continue;
        const struct span page = members_span(m, p->item[i].path);
        struct str utf8 = {0};
        char *title = r->doc.title; /* a chapter's <title> is not the book's */
        if (page.n == 0 || p->item[i].nav)
            return;
        text_guess(page, NULL, &utf8);
        r->doc.title = title ? title : xstrdup("");
        html_append(str_view(&utf8), &r->doc, 0, r);
        if (!title) {
            free(r->doc.title);
            r->doc.title = NULL;
        }
        str_release(&utf8);
        return;
    }
}

static void read_package(const struct members *m, const char *opf, struct extract_result *r)
{
    struct package p = {0};
    struct str title = {0};
    struct xml x;
    enum xml_event e;
    xml_begin(&x, members_span(m, opf));
    while ((e = xml_next(&x)) != XML_NONE) {
        char id[256];
        if (e != XML_OPEN)
            continue;
        if (xml_is(&x, "title") && !title.n) {
            xml_content(&x, &title);
            doc_set_title(&r->doc, str_view(&title));
        } else if (xml_is(&x, "item")) {
            add_item(&x, opf, &p);
        } else if (xml_is(&x, "itemref") && xml_attr(&x, "idref", id, sizeof id)) {
            append_item(m, &p, id, r);
        }
    }
    if (x.broken)
        result_fail(r, NULL, "broken book (its package is not well-formed)");
    xml_end(&x);
    for (size_t i = 0; i < p.n; i++) {
        free(p.item[i].id);
        free(p.item[i].path);
    }
    free(p.item);
    str_release(&title);
}

void adapt_epub(struct job *job, struct extract_result *r)
{
    struct members m = {0};
    if (unpack_archive(str_view(&job->bytes), wanted, job->budget, &m, r)) {
        char *opf = package_path(&m);
        const struct span drm = members_span(&m, "META-INF/encryption.xml");
        /* fonts alone are often obfuscated; encrypted pages are what cannot be read */
        if (span_find(drm, "html"))
            result_fail(r, NULL, "protected by DRM");
        else if (!members_find(&m, opf))
            result_fail(r, NULL, "broken book (no package)");
        else
            read_package(&m, opf, r);
        free(opf);
    }
    members_release(&m);
}
