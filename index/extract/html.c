/* html.c - HTML and XHTML to text: libxml2's tree, walked without recursion.
 *
 * A well-formed XHTML page is parsed as XML first (an HTML parser reads its <title/> as an opening
 * tag and swallows the page), everything else by the forgiving HTML parser. Of a page only what is
 * read counts: no scripts, and no navigation where <main> or an <article> marks the content. A
 * table that holds headings, other tables or code is layout, and its cells are read as a page.
 */
#include "index/extract/adapter.h"
#include "index/extract/writer.h"

#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <libxml/HTMLparser.h>
#include <libxml/tree.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum tag {
    TAG_INLINE, /* unknown names too */
    TAG_SKIP,   /* never read */
    TAG_NAV,    /* read only when nothing else is there */
    TAG_BLOCK,
    TAG_HEADING,
    TAG_LIST,
    TAG_ITEM,
    TAG_PRE,
    TAG_BREAK,
    TAG_TABLE,
    TAG_ROW,
    TAG_CELL
};

/* Sorted by name, for bsearch. */
static const struct tag_row {
    const char *name;
    enum tag tag;
} tags[] = {
    {"address", TAG_BLOCK},    {"article", TAG_BLOCK},    {"aside", TAG_NAV},
    {"blockquote", TAG_BLOCK}, {"body", TAG_BLOCK},       {"br", TAG_BREAK},
    {"button", TAG_SKIP},      {"caption", TAG_BLOCK},    {"center", TAG_BLOCK},
    {"dd", TAG_BLOCK},         {"details", TAG_BLOCK},    {"dir", TAG_LIST},
    {"div", TAG_BLOCK},        {"dl", TAG_BLOCK},         {"dt", TAG_BLOCK},
    {"fieldset", TAG_BLOCK},   {"figcaption", TAG_BLOCK}, {"figure", TAG_BLOCK},
    {"footer", TAG_NAV},       {"form", TAG_BLOCK},       {"h1", TAG_HEADING},
    {"h2", TAG_HEADING},       {"h3", TAG_HEADING},       {"h4", TAG_HEADING},
    {"h5", TAG_HEADING},       {"h6", TAG_HEADING},       {"head", TAG_SKIP},
    {"header", TAG_BLOCK},     {"hr", TAG_BLOCK},         {"iframe", TAG_SKIP},
    {"legend", TAG_BLOCK},     {"li", TAG_ITEM},          {"listing", TAG_PRE},
    {"main", TAG_BLOCK},       {"menu", TAG_LIST},        {"nav", TAG_NAV},
    {"noscript", TAG_BLOCK},   {"object", TAG_SKIP},      {"ol", TAG_LIST},
    {"option", TAG_BLOCK},     {"p", TAG_BLOCK},          {"pre", TAG_PRE},
    {"script", TAG_SKIP},      {"section", TAG_BLOCK},    {"select", TAG_SKIP},
    {"style", TAG_SKIP},       {"summary", TAG_BLOCK},    {"svg", TAG_SKIP},
    {"table", TAG_TABLE},      {"tbody", TAG_INLINE},     {"td", TAG_CELL},
    {"template", TAG_SKIP},    {"textarea", TAG_BLOCK},   {"th", TAG_CELL},
    {"title", TAG_SKIP},       {"tr", TAG_ROW},           {"ul", TAG_LIST},
    {"xmp", TAG_PRE},
};

static int compare_tag(const void *key, const void *row)
{
    return strcasecmp(key, ((const struct tag_row *)row)->name);
}

static enum tag tag_of(const xmlNode *n)
{
    if (n->type != XML_ELEMENT_NODE)
        return TAG_INLINE;
    const struct tag_row *row = bsearch(n->name, tags, ARRAY_LEN(tags), sizeof *tags, compare_tag);
    return row ? row->tag : TAG_INLINE;
}

static bool is_named(const xmlNode *n, const char *name)
{
    return n->type == XML_ELEMENT_NODE && strcasecmp((const char *)n->name, name) == 0;
}

/* The node after n in document order, below `root`; NULL at its end. `down`: children first. */
static xmlNode *step(xmlNode *n, const xmlNode *root, bool down)
{
    if (down && n->children && n->type == XML_ELEMENT_NODE)
        return n->children;
    while (n != root && !n->next)
        n = n->parent;
    return n == root ? NULL : n->next;
}

static xmlNode *find(xmlNode *root, const char *name, int *count)
{
    xmlNode *first = NULL;
    for (xmlNode *n = root; n; n = step(n, root, true))
        if (is_named(n, name)) {
            first = first ? first : n;
            ++*count;
        }
    return first;
}

/* ---- walking -----------------------------------------------------------------------------------
 */

struct walk {
    struct writer w;
    bool with_nav;
    bool in_pre;
    int list_depth;
    const xmlNode *table; /* the data table we are in */
    bool first_cell;
};

/* Data has at least two rows of at least two cells, and no structure inside the cells. */
static bool is_layout(xmlNode *table)
{
    int rows = 0, cells = 0;
    for (xmlNode *n = step(table, table, true); n; n = step(n, table, true)) {
        const enum tag t = tag_of(n);
        if (t == TAG_TABLE || t == TAG_HEADING || t == TAG_PRE || t == TAG_LIST)
            return true;
        if (t == TAG_ROW)
            cells = 0;
        if (t == TAG_CELL && ++cells == 2)
            rows++;
    }
    return rows < 2;
}

static void hold(struct walk *k, enum block_kind kind)
{
    if (k->w.hold == 0)
        writer_begin(&k->w, kind, 0);
    k->w.hold++;
}

static void release(struct walk *k)
{
    if (k->w.hold > 0 && --k->w.hold == 0)
        writer_close(&k->w);
}

/* Opening tag. False: do not go into it. */
static bool enter(struct walk *k, xmlNode *n)
{
    switch (tag_of(n)) {
    case TAG_SKIP:
        return false;
    case TAG_NAV:
        if (!k->with_nav)
            return false;
        writer_end(&k->w);
        break;
    case TAG_HEADING:
        if (!k->w.hold)
            writer_begin(&k->w, BLOCK_HEADING, n->name[1] - '0');
        break;
    case TAG_LIST:
        hold(k, BLOCK_LIST);
        k->list_depth++;
        writer_newline(&k->w);
        break;
    case TAG_ITEM:
        writer_end(&k->w);
        if (k->list_depth)
            writer_raw(&k->w, "- ");
        k->w.line_start = true; /* no blank after the dash */
        break;
    case TAG_PRE:
        if (!k->w.hold)
            writer_begin(&k->w, BLOCK_CODE, 0);
        k->in_pre = true;
        break;
    case TAG_BREAK:
        if (k->in_pre)
            writer_text(&k->w, span_of("\n"));
        else
            writer_newline(&k->w);
        break;
    case TAG_TABLE:
        if (!k->table && !is_layout(n)) {
            k->table = n;
            hold(k, BLOCK_TABLE);
        } else {
            writer_end(&k->w);
        }
        break;
    case TAG_ROW:
        writer_end(&k->w);
        k->first_cell = true;
        break;
    case TAG_CELL:
        if (k->table && !k->first_cell)
            writer_raw(&k->w, " | ");
        if (!k->table)
            writer_end(&k->w);
        else
            k->w.line_start = true;
        k->first_cell = false;
        break;
    case TAG_BLOCK:
        if (!k->table)
            writer_end(&k->w);
        else
            k->w.blank = true;
        break;
    case TAG_INLINE:
        break;
    }
    return true;
}

/* Closing tag. */
static void leave(struct walk *k, xmlNode *n)
{
    switch (tag_of(n)) {
    case TAG_LIST:
        k->list_depth--;
        release(k);
        break;
    case TAG_PRE:
        k->in_pre = false;
        writer_end(&k->w);
        break;
    case TAG_TABLE:
        if (k->table == n) {
            k->table = NULL;
            release(k);
        } else {
            writer_end(&k->w);
        }
        break;
    case TAG_BLOCK:
    case TAG_CELL:
        if (k->table)
            k->w.blank = true;
        else
            writer_end(&k->w);
        break;
    case TAG_HEADING:
    case TAG_ITEM:
    case TAG_ROW:
    case TAG_NAV:
        writer_end(&k->w);
        break;
    default:
        break;
    }
}

/* An entity that the XML parser left alone (no DTD is ever loaded). */
static void entity(struct walk *k, const xmlNode *n)
{
    const htmlEntityDesc *e = htmlEntityLookup(n->name);
    char utf8[4];
    if (e)
        writer_text(&k->w, (struct span){utf8, (size_t)utf8_put(e->value, utf8)});
}

static void walk_tree(xmlNode *root, struct walk *k)
{
    xmlNode *n = root;
    while (n) {
        bool down = true;
        if (n->type == XML_ELEMENT_NODE)
            down = enter(k, n);
        else if ((n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE) && n->content)
            writer_text(&k->w, span_of((const char *)n->content));
        else if (n->type == XML_ENTITY_REF_NODE)
            entity(k, n);
        if (down && n->type == XML_ELEMENT_NODE && n->children) {
            n = n->children;
            continue;
        }
        if (down && n->type == XML_ELEMENT_NODE)
            leave(k, n);
        while (n != root && !n->next) {
            n = n->parent;
            leave(k, n);
        }
        n = n == root ? NULL : n->next;
    }
    k->w.hold = 0;
    writer_close(&k->w);
}

/* Reads below `root`; true when there is something to search in it. */
static bool read_from(xmlNode *root, bool with_nav, int page, struct doc *d)
{
    if (!root)
        return false;
    struct walk k = {.w = {.d = d, .page = page}, .with_nav = with_nav};
    const size_t text_n = d->text.n, first = d->n_blocks;
    walk_tree(root, &k);
    if (d->n_blocks > first) {
        const struct doc added = {
            .text = d->text, .block = d->block + first, .n_blocks = d->n_blocks - first};
        if (blocks_have_text(&added))
            return true;
    }
    doc_truncate(d, text_n, first);
    return false;
}

/* ---- parsing -----------------------------------------------------------------------------------
 */

static bool says_xhtml(struct span html)
{
    const struct span head = span_sub(html, 0, 1024);
    return span_starts(span_trim(head), "<?xml") || span_find(head, "http://www.w3.org/1999/xhtml");
}

static xmlDoc *parse(struct span html)
{
    const int n = html.n > (1u << 30) ? 1 << 30 : (int)html.n;
    if (says_xhtml(html)) {
        xmlDoc *x = xmlReadMemory(html.p, n, NULL, "UTF-8",
                                  XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
        if (x && xmlDocGetRootElement(x))
            return x;
        xmlFreeDoc(x);
    }
    return htmlReadMemory(html.p, n, NULL, "UTF-8",
                          HTML_PARSE_RECOVER | HTML_PARSE_NONET | HTML_PARSE_NOERROR |
                              HTML_PARSE_NOWARNING | HTML_PARSE_COMPACT);
}

static void take_title(xmlNode *root, struct doc *d)
{
    int n = 0;
    xmlNode *title = find(root, "title", &n);
    if (!title)
        return;
    xmlChar *text = xmlNodeGetContent(title);
    doc_set_title(d, span_of((const char *)text));
    xmlFree(text);
}

void html_append(struct span html, struct doc *d, int page, struct extract_result *r)
{
    xmlDoc *x = parse(html);
    xmlNode *root = x ? xmlDocGetRootElement(x) : NULL;
    if (!root) {
        xmlFreeDoc(x);
        return; /* no tags and no text: the caller finds the document empty */
    }
    (void)r;
    take_title(root, d);
    const size_t first = d->n_blocks;
    int mains = 0, articles = 0, bodies = 0;
    xmlNode *const main_part = find(root, "main", &mains);
    xmlNode *const article = find(root, "article", &articles);
    xmlNode *const body = find(root, "body", &bodies);
    xmlNode *const all = body ? body : root;
    (void)((main_part && read_from(main_part, false, page, d)) ||
           (!main_part && articles == 1 && read_from(article, false, page, d)) ||
           read_from(all, false, page, d) || read_from(all, true, page, d));
    for (size_t i = first; i < d->n_blocks && !d->title; i++)
        if (d->block[i].kind == BLOCK_HEADING)
            doc_set_title(d, span_sub(str_view(&d->text), d->block[i].start, d->block[i].end));
    xmlFreeDoc(x);
}

/* What the page says its charset is: <meta charset=...>, <?xml encoding=...?>. */
static bool declared_charset(struct span html, char out[64])
{
    const struct span head = span_sub(html, 0, 4096);
    size_t n = 0;
    for (size_t i = 0; i + 9 < head.n && !n; i++) {
        const bool hit = strncasecmp(head.p + i, "charset=", 8) == 0;
        if (!hit && strncasecmp(head.p + i, "encoding=", 9) != 0)
            continue;
        size_t j = i + (hit ? 8 : 9);
        while (j < head.n && strchr("\"' ", head.p[j]))
            j++;
        while (j < head.n && n < 63 && !strchr("\"' />;?", head.p[j]))
            out[n++] = head.p[j++];
    }
    out[n] = '\0';
    return n > 0;
}

void adapt_html(struct job *job, struct extract_result *r)
{
    char charset[64];
    const bool declared = declared_charset(str_view(&job->bytes), charset);
    struct extract_result source = {.doc.text.max = (size_t)1 << 30};
    if (text_load(job, declared ? charset : NULL, &source))
        html_append(str_view(&source.doc.text), &r->doc, 0, r);
    else
        result_skip(r, NULL, "%s", source.reason);
    extract_result_release(&source);
}
