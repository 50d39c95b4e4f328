/* read.c - fetching texts, passages and vectors, and the streams over all of them. */
#include "index/store/internal.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* ---- single things ---- */

/* The document's row says whether there should be a text. */
int store_text(struct store *s, int64_t doc_id, struct str *out, struct err *err)
{
    const int found = text_read(s, doc_id, out, err);
    if (found < 0)
        return -1;
    if (found)
        return 0;
    struct store_doc d;
    const int known = store_doc_by_id(s, doc_id, &d, err);
    if (known < 0)
        return -1;
    if (!known)
        return err_kind_set(err, ERR_NOT_FOUND, "no document %lld in the index", (long long)doc_id);
    const int rc = d.text_bytes == 0 ? 0 : db_corrupt(s, err, "the text of document '%s'", d.path);
    store_doc_release(&d);
    return rc;
}

/* The row under q as a checked passage. */
static int take_chunk(struct store *s, sqlite3_stmt *q, struct store_chunk *out, struct err *err)
{
    struct chunk_row r;
    if (chunk_from_row(s, q, &r)) {
        const int64_t id = r.c.id;
        store_chunk_release(&r.c);
        return db_corrupt(s, err, "the row of passage %lld", (long long)id);
    }
    *out = r.c;
    return 0;
}

int store_chunk(struct store *s, int64_t id, struct store_chunk *out, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_CHUNK_GET, err);
    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, id);
    int rc = db_step(s, q, err);
    if (rc == 1 && take_chunk(s, q, out, err))
        rc = -1;
    db_done(q);
    return rc;
}

/* first_chunk and n_chunks of a document; 0 of both when there is no such document. */
static int chunk_range(struct store *s, int64_t doc_id, int64_t *first, int64_t *n, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_DOC_BY_ID, err);
    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, doc_id);
    int rc = db_step(s, q, err);
    struct doc_row r = {0};
    if (rc == 1 && doc_from_row(s, q, &r))
        rc = db_corrupt(s, err, "the row of document '%s'", r.d.path);
    *first = r.first_chunk;
    *n = r.d.n_chunks;
    doc_row_release(&r);
    db_done(q);
    return rc < 0 ? -1 : 0;
}

static int read_range(struct store *s, int64_t doc_id, int64_t first, int64_t count,
                      struct store_chunk *to, size_t *n, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_CHUNK_RANGE, err);
    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, first);
    sqlite3_bind_int64(q, 2, first + count);
    int rc = 0;
    while (*n < (size_t)count && (rc = db_step(s, q, err)) == 1) {
        if (take_chunk(s, q, &to[*n], err)) {
            rc = -1;
            break;
        }
        if (to[(*n)++].doc_id != doc_id)
            break; /* counted as missing below */
    }
    db_done(q);
    if (rc >= 0 && (*n < (size_t)count || (*n && to[*n - 1].doc_id != doc_id)))
        rc = db_corrupt(s, err, "the list of passages of document %lld", (long long)doc_id);
    return rc < 0 ? -1 : 0;
}

int store_chunks_of(struct store *s, int64_t doc_id, struct store_chunk **out, size_t *n,
                    struct err *err)
{
    int64_t first, count;
    bool began;
    *out = NULL;
    *n = 0;
    if (store_view_begin(s, &began, err))
        return -1;
    int rc = chunk_range(s, doc_id, &first, &count, err);
    size_t bytes = 0;
    void *block = NULL;
    if (rc == 0 && count > 0) {
        if (!mul_size((size_t)count, sizeof **out, &bytes))
            rc = err_kind_set(err, ERR_LIMIT, "too many passages in document %lld",
                              (long long)doc_id);
        else
            rc = mem_try(&block, bytes, "the passages of a document", err);
        *out = block;
        if (rc == 0)
            rc = read_range(s, doc_id, first, count, *out, n, err);
    }
    store_view_end(s, began);
    if (rc) {
        for (size_t i = 0; i < *n; i++)
            store_chunk_release(&(*out)[i]);
        free(*out);
        *out = NULL;
        *n = 0;
    }
    return rc;
}

int store_vector(struct store *s, struct hash128 embed_hash, uint16_t *out, int dim,
                 struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_VECTOR_BY_HASH, err);
    if (!q)
        return -1;
    bind_blob(q, 1, embed_hash.b, sizeof embed_hash.b);
    int rc = db_step(s, q, err);
    if (rc == 1) {
        const int64_t id = sqlite3_column_int64(q, 0);
        const struct span hash = column_span(q, 1), data = column_span(q, 2);
        if (sqlite3_column_int64(q, 3) != sum_vector(s, id, hash, data))
            rc = db_corrupt(s, err, "vector %lld", (long long)id);
        else if (!vector_fits(data, dim))
            rc = err_kind_set(err, ERR_INCOMPATIBLE,
                              "the index has vectors of %zu numbers; %d were asked for",
                              data.n / sizeof *out, dim);
        else
            memcpy(out, data.p, (size_t)dim * sizeof *out);
    }
    db_done(q);
    return rc;
}

/* ---- streams: their statements are their own, so that the callback may fetch single things ----
 */

int store_each_doc(struct store *s,
                   int (*fn)(void *ctx, const struct store_doc *d, struct err *err), void *ctx,
                   struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_DOC_BY_ORDER, err);
    if (!q)
        return -1;
    int rc;
    while ((rc = db_step(s, q, err)) == 1) {
        struct doc_row r;
        if (doc_from_row(s, q, &r))
            rc = db_corrupt(s, err, "the row of document '%s'", r.d.path);
        else
            rc = fn(ctx, &r.d, err);
        doc_row_release(&r);
        if (rc)
            break;
    }
    db_done(q);
    return rc;
}

/* What store_each_row keeps of the document that it is in. */
struct cursor {
    struct doc_row doc;
    struct str text;
};

static int enter_doc(struct store *s, struct cursor *c, int64_t doc_id, bool want_text,
                     struct err *err)
{
    doc_row_release(&c->doc);
    str_clear(&c->text);
    sqlite3_stmt *q = db_query(s, Q_DOC_BY_ID, err);
    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, doc_id);
    int rc = db_step(s, q, err);
    if (rc == 0)
        rc = db_corrupt(s, err, "the row of document %lld", (long long)doc_id);
    else if (rc == 1 && doc_from_row(s, q, &c->doc))
        rc = db_corrupt(s, err, "the row of document '%s'", c->doc.d.path);
    db_done(q);
    if (rc == 1 && want_text)
        rc = store_text(s, doc_id, &c->text, err);
    return rc < 0 ? -1 : 0;
}

/* The row of vectors, checked: 1, or -1 when it is missing or broken. Its blobs are those of *q
 * until db_done(*q). */
static int vector_row(struct store *s, int64_t id, sqlite3_stmt **q, struct err *err)
{
    *q = db_query(s, Q_EACH_VECTOR, err);
    if (!*q)
        return -1;
    sqlite3_bind_int64(*q, 1, id);
    const int rc = db_step(s, *q, err);
    if (rc < 0)
        return -1;
    const struct span hash = rc ? column_span(*q, 1) : (struct span){0};
    if (rc == 0 || hash.n != sizeof(struct hash128) ||
        sqlite3_column_int64(*q, 3) != sum_vector(s, id, hash, column_span(*q, 2)))
        return db_corrupt(s, err, "vector %lld", (long long)id);
    return 1;
}

static int give_row(struct store *s, struct cursor *c, const struct chunk_row *r, bool want_text,
                    int (*fn)(void *ctx, const struct store_row *row, struct err *err), void *ctx,
                    struct err *err)
{
    if (c->doc.d.id != r->c.doc_id && enter_doc(s, c, r->c.doc_id, want_text, err))
        return -1;
    if (chunk_problem(r, &c->doc))
        return db_corrupt(s, err, "the row of passage %lld", (long long)r->c.id);
    sqlite3_stmt *v = NULL;
    int rc = vector_row(s, r->vector, &v, err);
    const struct span data = rc == 1 ? column_span(v, 2) : (struct span){0};
    if (rc == 1) {
        struct store_row row = {.chunk_id = r->c.id,
                                .doc_id = r->c.doc_id,
                                .heading = span_of(r->c.heading),
                                .title = span_of(c->doc.d.title),
                                .path = span_of(c->doc.d.path),
                                .vector = (const uint16_t *)(const void *)data.p,
                                .dim = data.n / sizeof(uint16_t)};
        if (want_text)
            row.text = span_sub(str_view(&c->text), (size_t)r->c.start, (size_t)r->c.end);
        rc = fn(ctx, &row, err);
    }
    db_done(v);
    return rc;
}

int store_each_row(struct store *s, int64_t after, bool want_text,
                   int (*fn)(void *ctx, const struct store_row *row, struct err *err), void *ctx,
                   struct err *err)
{
    bool began;
    /* A writer streams in order to build caches: they must not outlive, in a power cut, what they
     * were built from. */
    if (s->mode != STORE_READ && wal_sync(s, err))
        return -1;
    if (store_view_begin(s, &began, err))
        return -1;
    struct cursor c = {0};
    sqlite3_stmt *q = db_query(s, Q_EACH_CHUNK, err);
    int rc = -1;
    if (q) {
        sqlite3_bind_int64(q, 1, after + 1);
        while ((rc = db_step(s, q, err)) == 1) {
            struct chunk_row r;
            if (chunk_from_row(s, q, &r))
                rc = db_corrupt(s, err, "the row of passage %lld", (long long)r.c.id);
            else
                rc = give_row(s, &c, &r, want_text, fn, ctx, err);
            store_chunk_release(&r.c);
            if (rc)
                break;
        }
    }
    db_done(q);
    store_view_end(s, began);
    doc_row_release(&c.doc);
    str_release(&c.text);
    return rc;
}

int store_removed(struct store *s, int64_t upto, int64_t **ids, size_t *n, struct err *err)
{
    size_t cap = 0;
    *ids = NULL;
    *n = 0;
    sqlite3_stmt *q = db_query(s, Q_REMOVED_ALL, err);
    if (!q)
        return -1;
    int rc;
    while ((rc = db_step(s, q, err)) == 1) {
        const int64_t first = sqlite3_column_int64(q, 0), last = sqlite3_column_int64(q, 1);
        if (sqlite3_column_int64(q, 2) != sum_removed(s, first, last)) {
            rc = db_corrupt(s, err, "the list of removed passages");
            break;
        }
        for (int64_t id = first; id <= last && id <= upto; id++) {
            VEC_GROW(*ids, *n, cap);
            (*ids)[(*n)++] = id;
        }
    }
    db_done(q);
    if (rc < 0) {
        free(*ids);
        *ids = NULL;
        *n = 0;
    }
    return rc;
}
