/* result.h - the two ways in which an adapter says that a file gives no document. */
#ifndef SEMSEARCH_INDEX_EXTRACT_RESULT_H
#define SEMSEARCH_INDEX_EXTRACT_RESULT_H

#include "index/extract/extract.h"

/* The first verdict stays; later ones do nothing. hint may be NULL. */
void result_skip(struct extract_result *r, const char *hint, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void result_fail(struct extract_result *r, const char *hint, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* "1 GiB", "256 MiB", "20 KiB". */
const char *size_text(size_t bytes, char out[32]);

#endif
