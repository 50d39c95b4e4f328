/* blocks.h - dividing text into blocks, shared by every adapter and by the output of programs.
 *
 * Plain functions over doc.text; nothing here needs a parser library.
 */
#ifndef SEMSEARCH_INDEX_EXTRACT_BLOCKS_H
#define SEMSEARCH_INDEX_EXTRACT_BLOCKS_H

#include "index/doc.h"

/* Where `needle` begins in s, NULL: nowhere (also for an empty span without a pointer). */
const char *span_find(struct span s, const char *needle);

/* The line that begins at *pos (line end excluded, '\r' too); false at the end of the text. */
struct line {
    size_t start, end; /* bytes of the text */
    size_t indent;     /* leading blanks, a tab counted to the next multiple of 8 */
    bool blank;
};
bool line_next(struct span text, size_t *pos, struct line *out);
struct span line_span(struct span text, const struct line *l);

/* Adds one paragraph block for every run of lines without a blank line in text[from, to). */
void blocks_paragraphs(struct doc *d, size_t from, size_t to, int page);

/* Adds blocks of `kind` of about `target` bytes, each ending at a line end. */
void blocks_lines(struct doc *d, enum block_kind kind, size_t from, size_t to, int page,
                  size_t target);

/* What every adapter's result goes through: white space at both ends of blocks is cut off, empty
 * and overlapping blocks go, and text with letters that no block covers becomes
 * paragraphs, so that nothing searchable is lost to an adapter's gap. */
void blocks_finish(struct doc *d);

/* Whether there is anything to search: a letter or a digit of any script in a block. */
bool blocks_have_text(const struct doc *d);

/* Takes back what was added since the document had so much text and so many blocks. */
void doc_truncate(struct doc *d, size_t text_n, size_t n_blocks);

/* Sets the title once (later calls, empty titles and "Untitled" do nothing): white space folded,
 * valid UTF-8, at most 512 bytes. */
void doc_set_title(struct doc *d, struct span title);

#endif
