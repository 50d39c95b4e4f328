/* pairs_text.h - what pairs.c needs to know of text: words, sentences, links, docstrings. */
#ifndef SEMSEARCH_INDEX_TUNE_PAIRS_TEXT_H
#define SEMSEARCH_INDEX_TUNE_PAIRS_TEXT_H

#include "src/base/str.h"

/* One line without the usual markup of Markdown and AsciiDoc (heading marks, emphasis, link
 * targets, tags, fences), runs of white space as one blank. At most `max` bytes, cut between words.
 */
void text_plain(struct span s, size_t max, struct str *out);
size_t text_words(struct span s); /* runs of letters and digits (any byte above 127 is a letter) */
/* Lower-case letters and digits only, blanks between words: for comparing. */
void text_normal(struct span s, struct str *out);
/* Bytes of the first sentence, its mark included; 0: there is no end of a sentence in s. */
size_t text_sentence(struct span s);
/* Ends with a question mark, or begins as a question does. */
bool text_asks(struct span s);

/* Calls fn for each link [label](target), link:target[label], xref:target[label] of a text. */
void text_links(struct span s, void (*fn)(void *ctx, struct span label, struct span target),
                void *ctx);
/* Calls fn for each documented piece of code: the comment's words (plain) and the code after it. */
void text_docstrings(struct span s, void (*fn)(void *ctx, struct span comment, struct span code),
                     void *ctx);

#endif
