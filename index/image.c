/* image.c - writing and opening one image; see image.h.
 *
 * Writing is one pass over the store's rows: f16 vectors go straight to the file, int8 vectors and
 * keyword runs to scratch files, ids to memory (16 bytes a row).
 */
#include "index/image.h"

#include "src/base/mem.h"
#include "src/base/stop.h"

#include <stdlib.h>
#include <string.h>

struct writing {
    const struct image_source *source;
    struct cache_writer *w;
    struct vectors_builder *vec;
    struct postings_builder *kw;
    int64_t *chunk, *doc;
    size_t n, cap_chunk, cap_doc;
};

static void report(const struct writing *s)
{
    const struct progress_sink *sink = s->source->sink;
    if (!sink || !sink->update)
        return;
    const struct progress p = {.done = (int64_t)s->n,
                               .total = s->source->n_expected,
                               .phase = "building the search index"};
    sink->update(sink->ctx, &p);
}

static int add_row(void *ctx, const struct store_row *row, struct err *err)
{
    struct writing *s = ctx;
    if (stop_requested())
        return err_kind_set(err, ERR_STOPPED, "stopped while building the search index");
    if (s->n == UINT32_MAX)
        return err_kind_set(err, ERR_LIMIT, "more passages than an index can hold");
    if (row->dim != (size_t)s->source->stamp.dim)
        return err_kind_set(err, ERR_INCOMPATIBLE,
                            "the index has vectors of %zu numbers; %d were asked for", row->dim,
                            (int)s->source->stamp.dim);
    VEC_GROW(s->chunk, s->n, s->cap_chunk);
    VEC_GROW(s->doc, s->n, s->cap_doc);
    s->chunk[s->n] = row->chunk_id;
    s->doc[s->n++] = row->doc_id;
    vectors_add(s->vec, row->vector);
    postings_row_begin(s->kw);
    postings_row_text(s->kw, row->title);
    postings_row_text(s->kw, row->heading);
    postings_row_text(s->kw, row->text);
    if (s->n % 256 == 0)
        report(s);
    return postings_row_end(s->kw, err);
}

static int write_sections(struct writing *s, struct err *err)
{
    vectors_begin(s->vec, s->w);
    if (store_each_row(s->source->s, s->source->after, true, add_row, s, err) ||
        vectors_finish(s->vec, err))
        return -1;
    cache_section(s->w, "row.chunk");
    cache_add(s->w, s->chunk, s->n * sizeof *s->chunk);
    cache_section(s->w, "row.doc");
    cache_add(s->w, s->doc, s->n * sizeof *s->doc);
    return postings_write(s->kw, s->w, s->source->mean_length, err);
}

static int image_of(struct cachefile file, struct image *out, struct err *err)
{
    int64_t n_chunk = 0, n_doc = 0;
    *out = (struct image){.file = file, .n = file.stamp.count};
    out->chunk = cachefile_get(&out->file, "row.chunk", sizeof *out->chunk, &n_chunk);
    out->doc = cachefile_get(&out->file, "row.doc", sizeof *out->doc, &n_doc);
    int rc = 0;
    if (!out->chunk || !out->doc || n_chunk != out->n || n_doc != out->n || out->n > UINT32_MAX)
        rc = err_kind_set(err, ERR_CORRUPT, "the rows of the search index are damaged");
    if (rc == 0)
        rc = vectors_open(&out->file, out->n, file.stamp.dim, &out->vec, err);
    if (rc == 0)
        rc = postings_open(&out->file, out->n, &out->kw, err);
    if (rc)
        image_close(out);
    return rc;
}

int image_write(const struct image_source *source, const char *path, struct image *out,
                struct err *err)
{
    struct writing s = {.source = source};
    struct cache_stamp stamp = source->stamp;
    struct map map = {0};
    struct cachefile file;
    int rc = -1;
    s.vec = vectors_builder_new(stamp.dim, source->scratch_dir, err);
    s.kw = postings_builder_new(source->scratch_dir);
    if (s.vec && cache_writer_open(path, &s.w, err) == 0) {
        rc = write_sections(&s, err);
        stamp.count = (int64_t)s.n;
        if (rc == 0)
            rc = cache_writer_commit(s.w, &stamp, out ? &map : NULL, err);
        else
            cache_writer_abandon(s.w);
    }
    vectors_builder_free(s.vec);
    postings_builder_free(s.kw);
    free(s.chunk);
    free(s.doc);
    if (rc || !out)
        return rc;
    rc = cachefile_of_map(map, path ? path : "in memory", &file, err);
    return rc ? rc : image_of(file, out, err);
}

int image_open(const char *path, struct image *out, struct err *err)
{
    struct cachefile file;
    memset(out, 0, sizeof *out);
    return cachefile_open(path, &file, err) || image_of(file, out, err) ? -1 : 0;
}

void image_close(struct image *m)
{
    cachefile_close(&m->file);
    memset(m, 0, sizeof *m);
}

int64_t image_last(const struct image *m)
{
    return m->n ? m->chunk[m->n - 1] : 0;
}

int64_t image_find(const struct image *m, int64_t chunk)
{
    int64_t a = 0, b = m->n;
    while (a < b) {
        const int64_t mid = a + (b - a) / 2;
        if (m->chunk[mid] < chunk)
            a = mid + 1;
        else
            b = mid;
    }
    return a < m->n && m->chunk[a] == chunk ? a : -1;
}
