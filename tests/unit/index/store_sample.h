/* store_sample.h - made-up documents for tests of the store: number i of version v is always the
 * same, so that what is stored can be compared with what was put. */
#ifndef SEMSEARCH_TESTS_STORE_SAMPLE_H
#define SEMSEARCH_TESTS_STORE_SAMPLE_H

#include "index/store/store.h"

enum { SAMPLE_DIM = 32 };

struct sample {
    struct store_doc doc;
    char *text;
    struct store_chunk *chunk;
    uint16_t *numbers; /* [n_chunks, dim] */
    const uint16_t **vector;
    size_t n_chunks;
    int dim;
};

/* Document i of version v: `n_chunks` passages of about `chunk_bytes` bytes. */
void sample_make(struct sample *s, int i, int v, size_t n_chunks, size_t chunk_bytes, int dim);
void sample_release(struct sample *s);
int sample_put(struct store *s, int i, int v, struct err *err); /* with usual sizes */
char *sample_path(int i);                                       /* owned */

/* Compares the stored document of sample i with the sample itself, byte for byte; what is wrong, or
 * NULL. *found tells whether it is stored at all. */
const char *sample_compare(struct store *s, int i, int v, int *found);

/* A hash of everything that the store gives out: equal exactly when the contents are. -1 when a
 * read fails. */
int sample_digest(struct store *s, struct hash128 *out, struct err *err);

/* Problems that store_verify tells; -1 when it fails. The first is kept in `first`. */
int sample_verify(struct store *s, char first[1024], struct err *err);

#endif
