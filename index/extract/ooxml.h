/* ooxml.h - what docx, pptx and xlsx have in common: packages whose parts name each other by
 * relationships (ECMA-376 part 2, "Open Packaging Conventions"). */
#ifndef SEMSEARCH_INDEX_EXTRACT_OOXML_H
#define SEMSEARCH_INDEX_EXTRACT_OOXML_H

#include "index/extract/unpack.h"
#include "index/extract/writer.h"
#include "index/extract/xml.h"

/* Loads the package's XML parts; false with a verdict when it is broken. */
bool ooxml_open(struct job *job, struct members *parts, struct extract_result *r);

/* The part that `part` relates to by id (or, with id NULL, the first whose type ends in `type`);
 * owned full name, NULL: none. part "" is the package itself. */
char *ooxml_related(const struct members *parts, const char *part, const char *id,
                    const char *type);

/* dc:title of docProps/core.xml becomes the title. */
void ooxml_core_title(const struct members *parts, struct doc *d);

#endif
