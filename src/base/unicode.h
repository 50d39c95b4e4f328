/* unicode.h - UTF-8 and the few Unicode properties that tokenizers, keyword search and output need.
 * This is the only caller of utf8proc (Unicode 14 tables). */
#ifndef SEMSEARCH_BASE_UNICODE_H
#define SEMSEARCH_BASE_UNICODE_H

#include "src/base/str.h"

#include <stdint.h>

/* Decodes one code point at s[0..n), n >= 1. Returns the bytes used (1-4). An invalid sequence
 * (overlong, surrogate, cut short, > U+10FFFF) gives U+FFFD and uses ONE byte. */
int utf8_next(const char *s, size_t n, uint32_t *cp);
int utf8_put(uint32_t cp, char out[4]); /* bytes written; surrogates and > U+10FFFF become U+FFFD */
bool utf8_valid(struct span s);
size_t utf8_count(struct span s); /* code points, invalid bytes count one each */
void utf8_sanitize(struct span s,
                   struct str *out); /* appends s with every invalid byte as U+FFFD */

/* General category, two letters as in the standard: 'L'<<8|'u' for Lu. Unassigned is Cn. */
#define UNI_CAT(a, b) ((a) << 8 | (b))
int uni_category(uint32_t cp);
bool uni_is_letter(uint32_t cp); /* L* */
bool uni_is_number(uint32_t cp); /* N* */
bool uni_is_mark(uint32_t cp);   /* M* */
bool uni_is_space(uint32_t cp);  /* White_Space, 25 code points */
bool uni_is_cjk(
    uint32_t cp); /* Han, Hiragana, Katakana, Hangul: scripts written without spaces between words
                     (Hangul has some, but its words carry particles, so bigrams serve it too) */
uint32_t uni_lower(uint32_t cp); /* simple lower-case mapping */
/* Full canonical decomposition of one code point (NFD, without reordering against its neighbours);
 * returns 1..18 code points written. */
int uni_decompose(uint32_t cp, uint32_t out[18]);
int uni_combining_class(uint32_t cp);
int uni_width(uint32_t cp); /* terminal columns: 0, 1 or 2 */

#endif
