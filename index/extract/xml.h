/* xml.h - a pull reader of XML for the office formats: one event after another, names without
 * their prefix, no entity expansion, no DTD, no network, at most 256 levels (libxml2's own limit).
 */
#ifndef SEMSEARCH_INDEX_EXTRACT_XML_H
#define SEMSEARCH_INDEX_EXTRACT_XML_H

#include "src/base/str.h"

struct _xmlTextReader; /* libxml2's own name */

enum xml_event {
    XML_NONE, /* the end, or an error: see `broken` */
    XML_OPEN,
    XML_CLOSE, /* comes for empty elements too */
    XML_CHARS
};

struct xml {
    struct _xmlTextReader *reader;
    const char *name;  /* XML_OPEN, XML_CLOSE: local name */
    struct span chars; /* XML_CHARS */
    int depth;         /* of the element; of its parent for characters */
    bool close_next;   /* an empty element was opened */
    bool broken;       /* the document is not well-formed from here on */
};

void xml_begin(struct xml *x, struct span bytes);
void xml_end(struct xml *x);
enum xml_event xml_next(struct xml *x);
/* After XML_OPEN: reads on behind the element's end. */
void xml_skip(struct xml *x);
/* After XML_OPEN: the attribute of that local name, copied (cut at n); false: absent. */
bool xml_attr(struct xml *x, const char *name, char *out, size_t n);
/* The same, only of attributes with a namespace prefix (r:id beside id). */
bool xml_attr_prefixed(struct xml *x, const char *name, char *out, size_t n);
bool xml_is(const struct xml *x, const char *name);
/* After XML_OPEN: all characters up to its end, appended. */
void xml_content(struct xml *x, struct str *out);

#endif
