/* snapshot_verify.c - do the cache files say what the store says?
 *
 * Every file's checksums are recomputed, the graph's links are followed, and rows are compared with
 * the store: each passage that the files should cover is there with its document and its vector,
 * and nothing is there that the store neither has nor remembers to have removed. A file that is
 * missing, older than the store or of another model is no problem: it is rebuilt by the next index
 * run and not used, or completed in memory, until then.
 */
#include "index/snapshot.h"

#include "index/snapshot_files.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct verify {
    void (*fn)(void *ctx, const struct store_problem *p);
    void *ctx;
    char *path; /* of the file at hand */
    const struct image *image;
    int64_t row;           /* next row of image to be met */
    const int64_t *gone;   /* removed ids, rising */
    size_t n_gone, n_said; /* problems told about this image */
};

enum { PROBLEMS_MAX = 20 };

static void tell(struct verify *v, const char *what)
{
    struct store_problem p = {.part = "cache", .repairable = true};
    snprintf(p.where, sizeof p.where, "%s", v->path);
    snprintf(p.what, sizeof p.what, "%s", what);
    if (v->n_said++ < PROBLEMS_MAX)
        v->fn(v->ctx, &p);
}

static void tell_row(struct verify *v, int64_t chunk, const char *what)
{
    char text[128];
    snprintf(text, sizeof text, "passage %lld %s", (long long)chunk, what);
    tell(v, text);
}

static void tell_section(void *ctx, const char *section)
{
    char text[96];
    snprintf(text, sizeof text, "the checksum of section '%s' is wrong", section);
    tell(ctx, text);
}

static void tell_ann(void *ctx, const char *what)
{
    tell(ctx, what);
}

/* ---- rows against the store */

static bool was_removed(const struct verify *v, int64_t chunk)
{
    size_t a = 0, b = v->n_gone;
    while (a < b) {
        const size_t mid = a + (b - a) / 2;
        if (v->gone[mid] < chunk)
            a = mid + 1;
        else
            b = mid;
    }
    return a < v->n_gone && v->gone[a] == chunk;
}

/* Rows of the image before `chunk` that the store does not have. */
static void pass_rows(struct verify *v, int64_t chunk)
{
    const struct image *m = v->image;
    for (; v->row < m->n && m->chunk[v->row] < chunk; v->row++) {
        if (v->row && m->chunk[v->row] <= m->chunk[v->row - 1])
            tell_row(v, m->chunk[v->row], "is out of order");
        else if (!was_removed(v, m->chunk[v->row]))
            tell_row(v, m->chunk[v->row], "is not in the index");
    }
}

static bool same_vector(const struct image *m, int64_t row, const struct store_row *stored)
{
    const size_t dim = (size_t)m->vec.dim;
    const uint16_t *own = m->vec.f16 + row * m->vec.dim;
    return stored->dim == dim && memcmp(own, stored->vector, dim * sizeof *own) == 0;
}

static int check_row(void *ctx, const struct store_row *row, struct err *err)
{
    struct verify *v = ctx;
    const struct image *m = v->image;
    if (stop_requested())
        return err_kind_set(err, ERR_STOPPED, "stopped");
    if (row->chunk_id > image_last(m))
        return 1;
    pass_rows(v, row->chunk_id);
    if (v->row >= m->n || m->chunk[v->row] != row->chunk_id) {
        tell_row(v, row->chunk_id, "is missing");
        return 0;
    }
    if (m->doc[v->row] != row->doc_id)
        tell_row(v, row->chunk_id, "is of another document");
    if (!same_vector(m, v->row, row))
        tell_row(v, row->chunk_id, "has another vector");
    v->row++;
    return 0;
}

static int check_image(struct verify *v, struct store *s, const struct image *m, int64_t after,
                       struct err *err)
{
    v->image = m;
    v->row = 0;
    cachefile_verify(&m->file, tell_section, v);
    if (v->n_said || m->n == 0)
        return 0;
    const int rc = store_each_row(s, after, false, check_row, v, err);
    if (rc < 0)
        return -1;
    pass_rows(v, INT64_MAX);
    return 0;
}

/* ---- files */

static void at_file(struct verify *v, const struct store *s, const char *name)
{
    free(v->path);
    v->path = snapshot_path(s, name);
    v->n_said = 0;
}

static void tell_unusable(struct verify *v, const struct err *why)
{
    if (why->kind != ERR_NOT_FOUND && why->kind != ERR_INCOMPATIBLE)
        tell(v, why->msg);
}

static int check_files(struct verify *v, struct store *s, const char *fingerprint, int dim,
                       struct err *err)
{
    struct image base, delta;
    struct graph graph;
    struct err why = {0};
    at_file(v, s, "base");
    if (base_open(s, fingerprint, dim, &base, &why)) {
        tell_unusable(v, &why);
        return 0;
    }
    int rc = check_image(v, s, &base, 0, err);
    at_file(v, s, "delta");
    why = (struct err){0};
    if (rc == 0 && delta_open(s, &base, &delta, &why) == 0) {
        rc = check_image(v, s, &delta, image_last(&base), err);
        image_close(&delta);
    } else if (rc == 0) {
        tell_unusable(v, &why);
    }
    at_file(v, s, "graph");
    why = (struct err){0};
    if (graph_open(s, &base, &graph, &why) == 0) {
        cachefile_verify(&graph.file, tell_section, v);
        if (graph.kind->verify)
            graph.kind->verify(graph.state, &base.vec, tell_ann, v);
        graph_close(&graph);
    } else {
        tell_unusable(v, &why);
    }
    image_close(&base);
    return rc;
}

int snapshot_verify(struct store *s, const char *fingerprint, int dim,
                    void (*fn)(void *ctx, const struct store_problem *p), void *ctx,
                    struct err *err)
{
    struct verify v = {.fn = fn, .ctx = ctx};
    int64_t *gone = NULL;
    if (store_removed(s, INT64_MAX, &gone, &v.n_gone, err))
        return -1;
    v.gone = gone;
    int rc = check_files(&v, s, fingerprint, dim, err);
    if (rc == 0 && stop_requested())
        rc = err_kind_set(err, ERR_STOPPED, "stopped");
    free(v.path);
    free(gone);
    return rc;
}
