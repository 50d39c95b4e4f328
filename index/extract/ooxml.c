/* ooxml.c - see ooxml.h. */
#include "index/extract/ooxml.h"

#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_xml_part(const char *name)
{
    const struct span s = span_of(name);
    return (span_ends(s, ".xml") || span_ends(s, ".rels")) && !strstr(name, "/theme/") &&
           !strstr(name, "/slideLayouts/") && !strstr(name, "/slideMasters/") &&
           !strstr(name, "/media/") && !strstr(name, "customXml/");
}

bool ooxml_open(struct job *job, struct members *parts, struct extract_result *r)
{
    if (!unpack_archive(str_view(&job->bytes), is_xml_part, job->budget, parts, r))
        return false;
    if (parts->encrypted)
        result_fail(r, "save it without a password", "password-protected");
    return parts->encrypted == 0;
}

/* "ppt/slides/slide1.xml" -> "ppt/slides/_rels/slide1.xml.rels". */
static char *relations_name(const char *part)
{
    const char *slash = strrchr(part, '/');
    const int dir = slash ? (int)(slash - part) + 1 : 0;
    return xasprintf("%.*s_rels/%s.rels", dir, part, part + dir);
}

/* Resolves a target against the folder of `part`: "../media/x", "/word/document.xml", "a.xml". */
static char *resolve(const char *part, const char *target)
{
    if (target[0] == '/')
        return xstrdup(target + 1);
    const char *slash = strrchr(part, '/');
    size_t dir = slash ? (size_t)(slash - part) : 0;
    while (strncmp(target, "../", 3) == 0) {
        target += 3;
        while (dir > 0 && part[--dir] != '/')
            continue;
    }
    return xasprintf("%.*s%s%s", (int)dir, part, dir ? "/" : "", target);
}

char *ooxml_related(const struct members *parts, const char *part, const char *id, const char *type)
{
    char *rels = relations_name(part), *found = NULL;
    struct xml x;
    enum xml_event e;
    xml_begin(&x, members_span(parts, rels));
    while (!found && (e = xml_next(&x)) != XML_NONE) {
        char value[256], target[512];
        if (e != XML_OPEN || !xml_is(&x, "Relationship") ||
            !xml_attr(&x, "Target", target, sizeof target))
            continue;
        const bool hit =
            id ? xml_attr(&x, "Id", value, sizeof value) && strcmp(value, id) == 0
               : xml_attr(&x, "Type", value, sizeof value) && span_ends(span_of(value), type);
        if (hit)
            found = resolve(part, target);
    }
    xml_end(&x);
    free(rels);
    return found;
}

void ooxml_core_title(const struct members *parts, struct doc *d)
{
    struct xml x;
    enum xml_event e;
    struct str title = {0};
    xml_begin(&x, members_span(parts, "docProps/core.xml"));
    while (!title.n && (e = xml_next(&x)) != XML_NONE)
        if (e == XML_OPEN && xml_is(&x, "title"))
            xml_content(&x, &title);
    xml_end(&x);
    if (!span_starts(str_view(&title), "PowerPoint Presentation"))
        doc_set_title(d, str_view(&title));
    str_release(&title);
}
