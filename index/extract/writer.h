/* writer.h - builds a document's text block by block, for formats whose file is not the text.
 *
 * White space folds to one blank unless the block is code. While `hold` is above 0 (inside a list
 * or a table) block borders become line ends, so that the list or table stays one block.
 */
#ifndef SEMSEARCH_INDEX_EXTRACT_WRITER_H
#define SEMSEARCH_INDEX_EXTRACT_WRITER_H

#include "index/doc.h"

struct writer {
    struct doc *d;
    int page;
    int hold;
    bool open, blank; /* a block is open; a blank is owed before the next word */
    bool line_start;  /* nothing on the current line of the block yet */
    bool first_cell;
    enum block_kind kind;
    int level;
    size_t start;
};

/* Ends the open block and begins another (held: a new line of the same one). */
void writer_begin(struct writer *w, enum block_kind kind, int level);
/* Ends the open block; text that follows begins a paragraph (held: a new line). */
void writer_end(struct writer *w);
/* Ends it even while held. */
void writer_close(struct writer *w);
void writer_text(struct writer *w, struct span s); /* white space folded, but in code kept */
void writer_newline(struct writer *w);             /* a line break inside the block */
void writer_raw(struct writer *w, const char *s);  /* as it is: " | ", "- " */

/* A table: one block, a row a line, cells with " | " between. Tables inside a table are told flat.
 */
void writer_table(struct writer *w);
void writer_row(struct writer *w);
void writer_cell(struct writer *w);
void writer_table_end(struct writer *w);
void writer_gap(struct writer *w); /* a blank before the next word (paragraphs in a cell) */

/* The text of the block that is open, or of the one that ended last. */
struct span writer_block_text(const struct writer *w);

#endif
