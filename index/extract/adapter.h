/* adapter.h - what every format adapter of the worker gets and gives.
 *
 * An adapter is a function over bytes in memory: it reads job->bytes and fills r->doc (text, title,
 * blocks), or calls result_skip/result_fail. Text and nesting are budgeted: `budget` is shared by
 * all members of one file, so that neither a deep nor a wide container expands without end. Parser
 * libraries (libxml2, libarchive, md4c, uchardet) are linked here only, never into the program.
 */
#ifndef SEMSEARCH_INDEX_EXTRACT_ADAPTER_H
#define SEMSEARCH_INDEX_EXTRACT_ADAPTER_H

#include "index/extract/blocks.h"
#include "index/extract/formats.h"
#include "index/extract/result.h"

struct budget {
    size_t output_bytes; /* most text of the document */
    size_t expand_left;  /* bytes that unpacking may still give */
    size_t packed_bytes; /* of the outermost file: what the expansion ratio is measured against */
    size_t expanded;     /* bytes unpacked so far */
};

struct job {
    struct str bytes; /* owned by the caller; an adapter may take it (str_take, or move it) */
    const char *name; /* for the extension */
    const struct format *format;
    int depth; /* containers around this file */
    struct budget *budget;
    /* A PDF inside a container cannot be run here: its bytes go back in `bytes`, and this is set.
     */
    const struct format *needs_program;
};

enum { JOB_MAX_DEPTH = 3 };

/* Detects the format of job->bytes and runs its adapter; the result is finished (blocks trimmed,
 * empty text skipped) and names its extractor. */
void extract_job(struct job *job, struct extract_result *r);

/* The sum of bytes unpacked may not pass the budget; false (and a verdict) when it does. */
bool budget_expand(struct budget *b, size_t n, struct extract_result *r);

/* The same for a file inside another one, its text appended to `d` with headings lowered by
 * `level_shift` and on page `page`. False: it gave no text (the reason is dropped). */
bool extract_member(struct job *outer, struct str *bytes, const char *name, struct doc *d,
                    int level_shift);
void doc_append(struct doc *d, const struct doc *more, int level_shift);

typedef void adapter_fn(struct job *job, struct extract_result *r);
adapter_fn adapt_binary, adapt_text, adapt_markdown, adapt_outline, adapt_tex, adapt_code,
    adapt_rows, adapt_data, adapt_subtitle, adapt_html, adapt_mail, adapt_mbox, adapt_notebook,
    adapt_rtf, adapt_docx, adapt_pptx, adapt_xlsx, adapt_odf, adapt_epub, adapt_zip, adapt_tar,
    adapt_packed, adapt_ole;

/* ---- charset.c ---------------------------------------------------------------------------- */

/* Moves the file's text into doc.text as UTF-8 and sets verbatim and src_offset. `charset`: what
 * the file says of itself, used when it is neither marked nor valid UTF-8; may be NULL. False:
 * it is no text (verdict set). */
bool text_load(struct job *job, const char *charset, struct extract_result *r);

/* Appends `in` converted from `charset` to `out`; what cannot be converted becomes U+FFFD. False:
 * the charset is unknown, nothing was appended. */
bool text_convert(struct span in, const char *charset, struct str *out);

/* Appends `in` as UTF-8, whatever it is: by `charset` when known, else UTF-8, else guessed. */
void text_guess(struct span in, const char *charset, struct str *out);

/* ---- adapters that others build on --------------------------------------------------------- */

/* Blocks and, when there is none, the title of Markdown in d->text[from, to). */
void markdown_blocks(struct doc *d, size_t from, size_t to);

/* Appends the readable text of an HTML or XHTML page in UTF-8; sets the title when there is none.
 */
void html_append(struct span html, struct doc *d, int page, struct extract_result *r);

#endif
