/* snapshot_files.h - the cache files of an index: what they are called and how they belong
 * together.
 *
 *   cache/base    image of the chunks of some generation
 *   cache/delta   image of the chunks that came after base, as of a later generation (optional)
 *   cache/graph   what the kind of vector search over base needs (optional)
 *
 * Delta and graph carry the id of their base. Each file is replaced by rename, so that any mixture
 * which a kill can leave is either consistent or recognised: a delta or graph of another base does
 * not count. Only snapshot.c, snapshot_build.c and snapshot_verify.c include this.
 */
#ifndef SEMSEARCH_INDEX_SNAPSHOT_FILES_H
#define SEMSEARCH_INDEX_SNAPSHOT_FILES_H

#include "index/ann/ann.h"
#include "index/image.h"
#include "index/snapshot.h"

char *snapshot_path(const struct store *s, const char *file); /* owned: .../cache/file */

/* Opens base; refuses one of another fingerprint or dimension (ERR_INCOMPATIBLE). */
int base_open(const struct store *s, const char *fingerprint, int dim, struct image *base,
              struct err *err) WARN_UNUSED;
/* Opens the delta of that base. */
int delta_open(const struct store *s, const struct image *base, struct image *delta,
               struct err *err) WARN_UNUSED;

/* The graph of that base. */
struct graph {
    struct cachefile file;
    const struct ann_kind *kind;
    void *state;
};
int graph_open(const struct store *s, const struct image *base, struct graph *g,
               struct err *err) WARN_UNUSED;
void graph_close(struct graph *g); /* safe on a zeroed one */

#endif
