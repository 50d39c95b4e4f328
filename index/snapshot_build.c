/* snapshot_build.c - writing the cache files; see snapshot_files.h for what they are.
 *
 * After each run that changed something either everything is rebuilt or only the delta. Rebuilding
 * costs about 0.1 ms a row, encoding one some milliseconds, so the whole is done again whenever a
 * tenth of it has changed (ten row-rebuilds for one new row, over time) or there is little of it.
 * The graph is the dear part (about 0.5 ms a row and core) and belongs to base only: the delta is
 * small enough to be scanned.
 *
 * Nothing is deleted before what replaces it is in place, and the store forgets removed chunks
 * last.
 */
#include "index/snapshot.h"

#include "index/snapshot_files.h"
#include "src/base/mem.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALWAYS_WHOLE_ROWS = 2000, WHOLE_SHARE = 10 };

struct build {
    struct store *s;
    const char *fingerprint;
    int dim;
    const char *ann;
    const struct progress_sink *sink;
    char *dir; /* .../cache */
    int64_t generation;
    struct store_counts counts;
};

static void drop_file(const struct build *b, const char *name)
{
    char *path = path_join(b->dir, name);
    unlink(path);
    free(path);
}

/* What a killed build left. We hold the writer lock, so nobody else is writing here. */
static void drop_temporaries(const struct build *b)
{
    DIR *d = opendir(b->dir);
    for (const struct dirent *e; d && (e = readdir(d));)
        if (strstr(e->d_name, ".tmp-"))
            drop_file(b, e->d_name);
    if (d)
        closedir(d);
}

static int write_image(const struct build *b, const char *name, const struct image *base,
                       struct image *out, struct err *err)
{
    struct image_source source = {.s = b->s, .scratch_dir = b->dir, .sink = b->sink};
    source.n_expected = b->counts.chunks;
    if (base) {
        source.after = image_last(base);
        source.mean_length = base->kw.mean_length;
        source.stamp.base = base->file.stamp.id;
        source.n_expected -= base->n < source.n_expected ? base->n : source.n_expected;
    }
    source.stamp.generation = b->generation;
    source.stamp.dim = b->dim;
    cache_stamp_fingerprint(&source.stamp, b->fingerprint);
    char *path = path_join(b->dir, name);
    const int rc = image_write(&source, path, out, err);
    free(path);
    return rc;
}

/* Makes the graph file what the wished kind needs over this base. */
static int write_graph(const struct build *b, const struct image *base, bool force, struct err *err)
{
    const bool keep = strcmp(b->ann, "present") == 0;
    const struct ann_kind *kind = keep ? &ann_flat : ann_choose(b->ann, base->n);
    if (!kind)
        return err_kind_set(err, ERR_USAGE, "no vector index of kind '%s'", b->ann);
    struct graph present;
    if (!force && (keep || kind->build) && graph_open(b->s, base, &present, NULL) == 0) {
        const bool same = keep || present.kind == kind;
        graph_close(&present);
        if (same)
            return 0;
    }
    if (!kind->build || base->n == 0) {
        drop_file(b, "graph");
        return 0;
    }
    struct cache_stamp stamp = base->file.stamp;
    stamp.base = base->file.stamp.id;
    struct cache_writer *w;
    char *path = path_join(b->dir, "graph");
    int rc = cache_writer_open(path, &w, err);
    if (rc == 0) {
        cache_section(w, "ann.kind");
        cache_add(w, kind->name, strlen(kind->name));
        rc = kind->build(&base->vec, w, b->sink, err);
        if (rc == 0)
            rc = cache_writer_commit(w, &stamp, NULL, err);
        else
            cache_writer_abandon(w);
    }
    free(path);
    return rc;
}

static int build_whole(const struct build *b, bool force, struct err *err)
{
    struct image base;
    if (write_image(b, "base", NULL, &base, err))
        return -1;
    drop_file(b, "delta");
    /* the ids of base are covered; later ones do not exist yet, as the writer lock is ours */
    int rc = store_removed_clear(b->s, INT64_MAX, err);
    if (rc == 0)
        rc = write_graph(b, &base, force, err);
    image_close(&base);
    return rc;
}

/* How many rows of the files are gone, and how many chunks are not in base. */
static int count_changes(const struct build *b, const struct image *base, int64_t *changes,
                         struct err *err)
{
    int64_t *ids = NULL;
    size_t n = 0;
    if (store_removed(b->s, image_last(base), &ids, &n, err))
        return -1;
    int64_t gone = 0;
    for (size_t i = 0; i < n; i++)
        gone += image_find(base, ids[i]) >= 0;
    free(ids);
    *changes = gone + (b->counts.chunks - (base->n - gone));
    return 0;
}

static int build_needed(const struct build *b, const struct image *base, struct err *err)
{
    struct image delta;
    int64_t changes;
    bool fresh = base->file.stamp.generation == b->generation;
    if (!fresh && delta_open(b->s, base, &delta, NULL) == 0) {
        fresh = delta.file.stamp.generation == b->generation;
        image_close(&delta);
    }
    if (fresh)
        return write_graph(b, base, false, err);
    if (count_changes(b, base, &changes, err))
        return -1;
    if (base->n < ALWAYS_WHOLE_ROWS || changes > base->n / WHOLE_SHARE)
        return build_whole(b, false, err);
    if (write_image(b, "delta", base, NULL, err))
        return -1;
    return write_graph(b, base, false, err);
}

int snapshot_build(struct store *s, const char *fingerprint, int dim, const char *ann, bool force,
                   const struct progress_sink *sink, struct err *err)
{
    if (dim < 1 || dim > VECTOR_DIM_MAX)
        return err_set(err, "vectors of %d numbers cannot be indexed", dim);
    struct build b = {.s = s, .fingerprint = fingerprint, .dim = dim, .ann = ann, .sink = sink};
    struct image base = {0};
    int rc = -1;
    b.dir = path_join(store_dir(s), "cache");
    if (dir_make(b.dir, err) || store_generation(s, &b.generation, err) ||
        store_counts(s, &b.counts, err))
        goto out;
    drop_temporaries(&b);
    if (force || base_open(s, fingerprint, dim, &base, NULL))
        rc = build_whole(&b, force, err);
    else
        rc = build_needed(&b, &base, err);
out:
    image_close(&base);
    free(b.dir);
    return rc ? err_wrap(err, "cannot build the search caches") : 0;
}
