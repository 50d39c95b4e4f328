/* write.c - the operations that change the store, and finding the documents that they are about. */
#include "index/store/internal.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

static int64_t *count_of(struct counters *c, enum doc_state state)
{
    return state == DOC_INDEXED ? &c->documents : state == DOC_SKIPPED ? &c->skipped : &c->failed;
}

/* ---- facts about the whole index ---- */

int store_meta_get(struct store *s, const char *key, char **value, struct err *err)
{
    *value = NULL;
    sqlite3_stmt *q = db_query(s, Q_META_GET, err);
    if (!q)
        return -1;
    bind_text(q, 1, key);
    int rc = db_step(s, q, err);
    if (rc == 1) {
        if (sqlite3_column_int64(q, 2) == sum_meta(s, column_span(q, 0), column_span(q, 1)))
            *value = column_text(q, 1);
        else
            rc = db_corrupt(s, err, "the stored value of '%s'", key);
    }
    db_done(q);
    return rc < 0 ? -1 : 0;
}

static int meta_put(struct store *s, const char *key, const char *value, struct err *err)
{
    sqlite3_stmt *q = db_query(s, value ? Q_META_PUT : Q_META_DELETE, err);
    if (!q)
        return -1;
    bind_text(q, 1, key);
    if (value) {
        bind_text(q, 2, value);
        sqlite3_bind_int64(q, 3, sum_meta(s, span_of(key), span_of(value)));
    }
    return db_finish(s, q, err);
}

int store_meta_set(struct store *s, const char *key, const char *value, struct err *err)
{
    struct txn t;
    if (txn_enter(s, &t, err))
        return -1;
    return txn_leave(s, &t, meta_put(s, key, value, err), err);
}

int store_generation(struct store *s, int64_t *generation, struct err *err)
{
    struct counters c;
    if (s->in_transaction)
        c = s->now;
    else if (counters_read(s, &c, err))
        return -1;
    *generation = c.generation;
    return 0;
}

int store_counts(struct store *s, struct store_counts *out, struct err *err)
{
    struct counters c;
    if (s->in_transaction)
        c = s->now;
    else if (counters_read(s, &c, err) || narrow_read(s, &c, err))
        return -1;
    *out = (struct store_counts){.documents = c.documents,
                                 .chunks = c.chunks,
                                 .failed = c.failed,
                                 .skipped = c.skipped,
                                 .vectors = c.vectors};
    for (int i = 0; i < PRECISIONS; i++)
        out->by_precision[i] = c.narrow[i];
    out->by_precision[PRECISION_FP32] =
        c.vectors - c.narrow[PRECISION_BF16] - c.narrow[PRECISION_INT8];
    return 0;
}

/* ---- removing ---- */

int removed_note(struct store *s, int64_t first, int64_t last, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_REMOVED_PUT, err);
    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, first);
    sqlite3_bind_int64(q, 2, last);
    sqlite3_bind_int64(q, 3, sum_removed(s, first, last));
    return db_finish(s, q, err);
}

static int delete_by_id(struct store *s, enum query id, int64_t v, struct err *err)
{
    sqlite3_stmt *q = db_query(s, id, err);
    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, v);
    return db_finish(s, q, err);
}

static int remove_chunks(struct store *s, const struct doc_row *r, struct err *err)
{
    if (r->d.n_chunks == 0)
        return 0;
    sqlite3_stmt *q = db_query(s, Q_CHUNK_DELETE, err);
    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, r->first_chunk);
    sqlite3_bind_int64(q, 2, r->first_chunk + r->d.n_chunks);
    if (db_finish(s, q, err) ||
        removed_note(s, r->first_chunk, r->first_chunk + r->d.n_chunks - 1, err))
        return -1;
    s->now.chunks -= r->d.n_chunks;
    s->passages_changed = true;
    return 0;
}

int doc_remove(struct store *s, const struct doc_row *r, struct err *err)
{
    if (remove_chunks(s, r, err) || delete_by_id(s, Q_TEXT_DELETE, r->d.id, err) ||
        delete_by_id(s, Q_DOC_DELETE, r->d.id, err))
        return -1;
    --*count_of(&s->now, r->d.state);
    return 0;
}

static int doc_find(struct store *s, sqlite3_stmt *q, struct doc_row *out, struct err *err)
{
    int rc = db_step(s, q, err);
    if (rc == 1 && doc_from_row(s, q, out)) {
        rc = db_corrupt(s, err, "the row of document '%s'", out->d.path);
        doc_row_release(out);
    }
    db_done(q);
    return rc;
}

static int doc_find_path(struct store *s, const char *path, struct doc_row *out, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_DOC_BY_PATH, err);
    if (!q)
        return -1;
    bind_blob(q, 1, path, strlen(path));
    return doc_find(s, q, out, err);
}

static int doc_find_id(struct store *s, int64_t id, struct doc_row *out, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_DOC_BY_ID, err);
    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, id);
    return doc_find(s, q, out, err);
}

/* The document of that path, if there is one, goes. */
static int clear_path(struct store *s, const char *path, struct err *err)
{
    struct doc_row old;
    const int rc = doc_find_path(s, path, &old, err);
    if (rc <= 0)
        return rc;
    const int removed = doc_remove(s, &old, err);
    doc_row_release(&old);
    return removed;
}

int store_delete(struct store *s, int64_t id, struct err *err)
{
    struct txn t;
    if (txn_enter(s, &t, err))
        return -1;
    struct doc_row r;
    int rc = doc_find_id(s, id, &r, err);
    if (rc == 1) {
        rc = doc_remove(s, &r, err);
        doc_row_release(&r);
    }
    return txn_leave(s, &t, rc, err);
}

/* ---- putting ---- */

/* 1 with *id set: the vector of that hash is there; *sound: and its row agrees with its sum. */
static int vector_find(struct store *s, struct hash128 hash, int64_t *id, bool *sound,
                       struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_VECTOR_BY_HASH, err);
    if (!q)
        return -1;
    bind_blob(q, 1, hash.b, sizeof hash.b);
    const int rc = db_step(s, q, err);
    if (rc == 1) {
        *id = sqlite3_column_int64(q, 0);
        *sound =
            sqlite3_column_int64(q, 3) == sum_vector(s, *id, column_span(q, 1), column_span(q, 2));
    }
    db_done(q);
    return rc;
}

static int vector_write(struct store *s, int64_t id, struct hash128 hash, const uint16_t *v,
                        int dim, struct err *err)
{
    if (s->now.dim == 0)
        s->now.dim = dim;
    if (dim < 1 || s->now.dim != dim)
        return err_kind_set(err, ERR_INCOMPATIBLE,
                            "the index has vectors of %lld numbers; these have %d",
                            (long long)s->now.dim, dim);
    sqlite3_stmt *q = db_query(s, Q_VECTOR_PUT, err);
    if (!q)
        return -1;
    str_clear(&s->vector);
    str_add(&s->vector, (const char *)v, (size_t)dim * sizeof *v);
    if (s->precision != PRECISION_FP32)
        str_putc(&s->vector, (char)s->precision);
    const struct span data = str_view(&s->vector);
    sqlite3_bind_int64(q, 1, id);
    bind_blob(q, 2, hash.b, sizeof hash.b);
    bind_blob(q, 3, data.p, data.n);
    sqlite3_bind_int64(q, 4, sum_vector(s, id, (struct span){(char *)hash.b, sizeof hash.b}, data));
    return db_finish(s, q, err);
}

static int vector_insert(struct store *s, struct hash128 hash, const uint16_t *v, int dim,
                         int64_t *id, struct err *err)
{
    *id = s->now.next_vector;
    if (vector_write(s, *id, hash, v, dim, err))
        return -1;
    s->now.next_vector++;
    s->now.vectors++;
    s->now.narrow[s->precision] += s->precision != PRECISION_FP32;
    return 0;
}

static int put_chunk(struct store *s, const struct doc_row *of, struct store_chunk *c, int ord,
                     const uint16_t *vector, int dim, struct err *err)
{
    c->id = of->first_chunk + ord;
    c->doc_id = of->d.id;
    c->ord = ord;
    struct chunk_row r = {.c = *c};
    const char *problem = chunk_problem(&r, of);
    if (problem)
        return err_set(err, "cannot store passage %d of '%s': %s", ord, of->d.path, problem);
    bool sound = true;
    const int found = vector_find(s, c->embed_hash, &r.vector, &sound, err);
    if (found < 0)
        return -1;
    if (!found && !vector)
        return err_set(err, "cannot store passage %d of '%s': it has no vector", ord, of->d.path);
    if (!found && vector_insert(s, c->embed_hash, vector, dim, &r.vector, err))
        return -1;
    /* A damaged one is mended in its place, for all passages that share it. */
    if (!sound && vector &&
        (delete_by_id(s, Q_VECTOR_DELETE, r.vector, err) ||
         vector_write(s, r.vector, c->embed_hash, vector, dim, err) ||
         narrow_count(s, &s->now, err)))
        return -1;
    return chunk_write(s, &r, err);
}

static int put_doc(struct store *s, struct store_doc *d, struct span text,
                   struct store_chunk *chunks, size_t n_chunks, const uint16_t *const *vectors,
                   int dim, struct err *err)
{
    d->id = s->now.next_doc;
    d->text_bytes = (int64_t)text.n;
    d->n_chunks = (int64_t)n_chunks;
    struct doc_row r = {.d = *d, .first_chunk = n_chunks ? s->now.next_chunk : 0};
    const char *problem = doc_problem(&r);
    if (problem)
        return err_set(err, "cannot store document '%s': %s", d->path, problem);
    if (n_chunks > INT32_MAX)
        return err_kind_set(err, ERR_LIMIT, "document '%s' has too many passages", d->path);
    if (clear_path(s, d->path, err) || doc_write(s, &r, err))
        return -1;
    if (text.n && text_write(s, d->id, text, err))
        return -1;
    for (size_t i = 0; i < n_chunks; i++)
        if (put_chunk(s, &r, &chunks[i], (int)i, vectors ? vectors[i] : NULL, dim, err))
            return -1;
    s->now.next_doc++;
    s->now.next_chunk += (int64_t)n_chunks;
    s->now.chunks += (int64_t)n_chunks;
    s->passages_changed |= n_chunks > 0;
    ++*count_of(&s->now, d->state);
    return 0;
}

int store_put(struct store *s, struct store_doc *d, struct span text, struct store_chunk *chunks,
              size_t n_chunks, const uint16_t *const *vectors, int dim, struct err *err)
{
    struct txn t;
    if (txn_enter(s, &t, err))
        return -1;
    return txn_leave(s, &t, put_doc(s, d, text, chunks, n_chunks, vectors, dim, err), err);
}

static int touch(struct store *s, int64_t id, const char *path, const struct file_stamp *stamp,
                 struct err *err)
{
    struct doc_row r;
    const int found = doc_find_id(s, id, &r, err);
    if (found < 0)
        return -1;
    if (!found)
        return err_kind_set(err, ERR_NOT_FOUND, "no document %lld in the index", (long long)id);
    int rc = 0;
    r.d.stamp = *stamp;
    if (path && strcmp(path, r.d.path) != 0) {
        const char *problem = path_problem(path);
        rc = problem ? err_set(err, "cannot store document '%s': %s", path, problem)
                     : clear_path(s, path, err);
        free(r.d.path);
        r.d.path = xstrdup(path);
        s->passages_changed |= r.d.n_chunks > 0; /* rows carry the path: caches must look again */
    }
    if (rc == 0)
        rc = doc_write(s, &r, err);
    doc_row_release(&r);
    return rc;
}

int store_touch(struct store *s, int64_t id, const char *path, const struct file_stamp *stamp,
                struct err *err)
{
    struct txn t;
    if (txn_enter(s, &t, err))
        return -1;
    return txn_leave(s, &t, touch(s, id, path, stamp, err), err);
}

/* ---- finding ---- */

static int give_doc(int rc, struct doc_row *r, struct store_doc *out)
{
    if (rc == 1)
        *out = r->d;
    return rc;
}

int store_doc_by_path(struct store *s, const char *path, struct store_doc *out, struct err *err)
{
    struct doc_row r;
    return give_doc(doc_find_path(s, path, &r, err), &r, out);
}

int store_doc_by_id(struct store *s, int64_t id, struct store_doc *out, struct err *err)
{
    struct doc_row r;
    return give_doc(doc_find_id(s, id, &r, err), &r, out);
}

int store_doc_by_content(struct store *s, struct hash128 content, int extract_version,
                         struct store_doc *out, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_DOC_BY_CONTENT, err);
    if (!q)
        return -1;
    bind_blob(q, 1, content.b, sizeof content.b);
    sqlite3_bind_int64(q, 2, extract_version);
    struct doc_row r;
    return give_doc(doc_find(s, q, &r, err), &r, out);
}
