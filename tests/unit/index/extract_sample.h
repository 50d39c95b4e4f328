/* extract_sample.h - what the extraction tests share: an extractor, and a file put through it. */
#ifndef SEMSEARCH_TESTS_EXTRACT_SAMPLE_H
#define SEMSEARCH_TESTS_EXTRACT_SAMPLE_H

#include "index/extract/extract.h"

/* Opens an extractor on the worker of this build (EXTRACT_WORKER). */
struct extractor *sample_open(const struct extract_limits *limits);

/* Extracts tests/data/extract/NAME; asserts that extraction as such works. */
struct extract_result sample_file(struct extractor *x, const char *name);

/* The same for n bytes under a name of choice. */
struct extract_result sample_bytes(struct extractor *x, const void *p, size_t n, const char *name);

/* The first block of that kind whose text is `text` (or, with NULL, any); NULL: there is none. */
const struct block *sample_block(const struct doc *d, enum block_kind kind, const char *text);
bool sample_has(const struct doc *d, const char *text);

#endif
