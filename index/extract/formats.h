/* formats.h - the format table as the rest of extraction sees it, and how a file's format is found.
 *
 * A row names a format, its version (raise it when the adapter's output changes: documents are then
 * extracted again), its KIND, its names, and which adapter reads it. The row is plain data, so the
 * main program has the table without linking any parser; the worker maps `family` to a function
 * (adapter.h).
 */
#ifndef SEMSEARCH_INDEX_EXTRACT_FORMATS_H
#define SEMSEARCH_INDEX_EXTRACT_FORMATS_H

#include "index/extract/extract.h"
#include "src/base/str.h"

enum family {
    FAMILY_BINARY, /* no text: skipped */
    FAMILY_TEXT,
    FAMILY_MARKDOWN,
    FAMILY_OUTLINE, /* line-based markup: rst, AsciiDoc, Org */
    FAMILY_TEX,
    FAMILY_CODE,
    FAMILY_ROWS, /* csv, tsv, JSON lines: one record after another */
    FAMILY_DATA, /* json, yaml, toml, ini, xml */
    FAMILY_SUBTITLE,
    FAMILY_HTML,
    FAMILY_MAIL,
    FAMILY_MBOX,
    FAMILY_NOTEBOOK,
    FAMILY_RTF,
    FAMILY_DOCX,
    FAMILY_PPTX,
    FAMILY_XLSX,
    FAMILY_ODF, /* odt, odp, ods */
    FAMILY_EPUB,
    FAMILY_ZIP,     /* a zip whose members decide what it is */
    FAMILY_TAR,     /* other archives of many files */
    FAMILY_PACKED,  /* gz, zst, xz, bz2: one file inside */
    FAMILY_OLE,     /* the container of the Office formats before 2007 */
    FAMILY_PROGRAM, /* a program of the user's machine reads it */
    FAMILY_COUNT
};

struct format {
    struct extract_format info;
    int version;
    enum family family;
    const char *names;        /* whole file names, lower case: "makefile dockerfile" */
    const char *interpreters; /* of a #! line: "python python3" */
};

/* Bytes of a file's beginning that detection wants to see. */
enum { FORMAT_HEAD_BYTES = 8192 };

/* The format of a file by its first bytes, then by its name. Never NULL: what nothing else claims
 * is plain text or "binary". */
const struct format *format_detect(struct span head, const char *name);

const struct format *format_find(const char *name); /* by row name; NULL: no such row */
const struct format *format_at(size_t i);           /* NULL past the end */
size_t format_index(const struct format *f);

/* The row that a file's name alone speaks for; NULL: none does. */
const struct format *format_by_name(const char *name);

/* Whether the bytes can only be something other than text: NUL bytes that are not UTF-16 or UTF-32,
 * or many control characters. */
bool format_is_binary(struct span head);

/* The extension in lower case, without the dot, "" when there is none; cut to 15 bytes. */
void format_extension(const char *name, char out[16]);

#endif
