/* image.h - one set of rows as queries read it: ids, vectors and keyword postings in a cache file.
 *
 * A snapshot is made of up to three images: what was built in full, what came since and was written
 * beside it, and what came after that and is kept in memory by one process.
 */
#ifndef SEMSEARCH_INDEX_IMAGE_H
#define SEMSEARCH_INDEX_IMAGE_H

#include "index/ann/vectors.h"
#include "index/cachefile.h"
#include "index/keyword/postings.h"
#include "index/store/store.h"
#include "src/base/err.h"
#include "src/base/progress.h"

struct image {
    struct cachefile file;
    int64_t n;
    const int64_t *chunk, *doc; /* ids of each row; chunk rises */
    struct vectors vec;
    struct postings kw;
};

/* What to write: the rows of s after chunk id `after`, stamped. */
struct image_source {
    struct store *s;
    int64_t after;
    int64_t n_expected; /* for progress; 0: unknown */
    double mean_length; /* see postings_write */
    struct cache_stamp stamp;
    const char *scratch_dir;          /* NULL: in memory */
    const struct progress_sink *sink; /* may be NULL */
};

/* path NULL: in memory. With `out` the new image is opened too. */
int image_write(const struct image_source *source, const char *path, struct image *out,
                struct err *err) WARN_UNUSED;
/* ERR_NOT_FOUND when there is no file; ERR_CORRUPT when it cannot be used. */
int image_open(const char *path, struct image *out, struct err *err) WARN_UNUSED;
void image_close(struct image *m); /* safe on a zeroed one */

int64_t image_last(const struct image *m);                /* its largest chunk id; 0: no rows */
int64_t image_find(const struct image *m, int64_t chunk); /* row, or -1 */

#endif
