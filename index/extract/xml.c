/* xml.c - see xml.h. */
#include "index/extract/xml.h"

#include <libxml/xmlreader.h>
#include <string.h>

void xml_begin(struct xml *x, struct span bytes)
{
    *x = (struct xml){0};
    const int n = bytes.n > (1u << 30) ? 1 << 30 : (int)bytes.n;
    x->reader = xmlReaderForMemory(bytes.p ? bytes.p : "", n, NULL, NULL,
                                   XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                       XML_PARSE_NOCDATA | XML_PARSE_COMPACT);
    x->broken = !x->reader;
}

void xml_end(struct xml *x)
{
    if (x->reader)
        xmlFreeTextReader(x->reader);
    x->reader = NULL;
}

static enum xml_event event_of(struct xml *x, int type)
{
    switch (type) {
    case XML_READER_TYPE_ELEMENT:
        x->close_next = xmlTextReaderIsEmptyElement(x->reader) == 1;
        return XML_OPEN;
    case XML_READER_TYPE_END_ELEMENT:
        return XML_CLOSE;
    case XML_READER_TYPE_TEXT:
    case XML_READER_TYPE_CDATA:
    case XML_READER_TYPE_SIGNIFICANT_WHITESPACE:
    case XML_READER_TYPE_WHITESPACE:
        return XML_CHARS;
    default:
        return XML_NONE;
    }
}

enum xml_event xml_next(struct xml *x)
{
    if (x->close_next) {
        x->close_next = false;
        return XML_CLOSE;
    }
    while (x->reader && !x->broken) {
        const int rc = xmlTextReaderRead(x->reader);
        if (rc != 1) {
            x->broken = rc < 0;
            break;
        }
        const enum xml_event e = event_of(x, xmlTextReaderNodeType(x->reader));
        if (e == XML_NONE)
            continue; /* comments, processing instructions, entity references */
        x->depth = xmlTextReaderDepth(x->reader);
        if (e == XML_CHARS)
            x->chars = span_of((const char *)xmlTextReaderConstValue(x->reader));
        else
            x->name = (const char *)xmlTextReaderConstLocalName(x->reader);
        return e;
    }
    x->name = "";
    return XML_NONE;
}

void xml_skip(struct xml *x)
{
    const int depth = x->depth;
    enum xml_event e;
    while ((e = xml_next(x)) != XML_NONE)
        if (e == XML_CLOSE && x->depth == depth)
            return;
}

static bool find_attr(struct xml *x, const char *name, bool prefixed, char *out, size_t n)
{
    bool found = false;
    out[0] = '\0';
    if (!x->reader || xmlTextReaderMoveToFirstAttribute(x->reader) != 1)
        return false;
    do {
        const char *local = (const char *)xmlTextReaderConstLocalName(x->reader);
        if (local && strcmp(local, name) == 0 &&
            (!prefixed || xmlTextReaderConstPrefix(x->reader))) {
            const struct span v = span_of((const char *)xmlTextReaderConstValue(x->reader));
            const size_t used = v.n < n ? v.n : n - 1;
            memcpy(out, v.n ? v.p : "", used);
            out[used] = '\0';
            found = true;
        }
    } while (!found && xmlTextReaderMoveToNextAttribute(x->reader) == 1);
    xmlTextReaderMoveToElement(x->reader);
    return found;
}

bool xml_attr(struct xml *x, const char *name, char *out, size_t n)
{
    return find_attr(x, name, false, out, n);
}

bool xml_attr_prefixed(struct xml *x, const char *name, char *out, size_t n)
{
    return find_attr(x, name, true, out, n);
}

bool xml_is(const struct xml *x, const char *name)
{
    return strcmp(x->name, name) == 0;
}

void xml_content(struct xml *x, struct str *out)
{
    const int depth = x->depth;
    enum xml_event e;
    while ((e = xml_next(x)) != XML_NONE) {
        if (e == XML_CLOSE && x->depth == depth)
            return;
        if (e == XML_CHARS)
            str_span(out, x->chars);
    }
}
