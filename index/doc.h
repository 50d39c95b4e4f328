/* doc.h - a document between extraction and storage: text, its blocks, and where it came from.
 *
 * `text` is UTF-8. For verbatim kinds it is the file's own bytes (without a byte-order mark, whose
 * length is src_offset), so byte b of the text is byte src_offset + b of the file; for all others
 * it is extracted text. Blocks are in rising order, do not overlap, and cover every byte that
 * should be searchable; white space between blocks belongs to none.
 */
#ifndef SEMSEARCH_INDEX_DOC_H
#define SEMSEARCH_INDEX_DOC_H

#include "src/base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum block_kind { BLOCK_HEADING, BLOCK_PARAGRAPH, BLOCK_CODE, BLOCK_TABLE, BLOCK_LIST };

struct block {
    enum block_kind kind;
    int level;         /* headings: 1 (highest) .. 6; else 0 */
    int page;          /* 1-based page, slide or sheet; 0: the document has none */
    size_t start, end; /* bytes of doc.text */
};

/* The KIND words of the command line, in this order. */
enum doc_kind {
    KIND_TEXT,
    KIND_MARKDOWN,
    KIND_HTML,
    KIND_CODE,
    KIND_DATA,
    KIND_MAIL,
    KIND_PDF,
    KIND_DOCUMENT,
    KIND_SLIDES,
    KIND_SHEET,
    KIND_EBOOK,
    KIND_NOTEBOOK,
    KIND_SUBTITLE,
    KIND_ARCHIVE,
    KIND_COUNT
};
const char *kind_name(enum doc_kind kind);
int kind_parse(const char *name); /* -1: no such kind */

struct doc {
    enum doc_kind kind;
    bool verbatim;
    size_t src_offset;
    char *title;     /* owned, NULL: none found */
    char *extractor; /* owned: "markdown 1", "pdftotext 1": adapter name and version */
    struct str text;
    struct block *block; /* owned */
    size_t n_blocks, cap_blocks;
};
void doc_release(struct doc *d); /* frees the content; zero it before first use */
void doc_add_block(struct doc *d, enum block_kind kind, int level, int page, size_t start,
                   size_t end);

#endif
