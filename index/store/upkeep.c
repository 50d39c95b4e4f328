/* upkeep.c - operations on the whole store: pruning vectors, forgetting a model's work, and telling
 * the store that the caches are fresh. */
#include "index/store/internal.h"

#include <string.h>

static int prune(struct store *s, int64_t *n, struct err *err)
{
    if (narrow_prune(s, err) || db_run(s, Q_VECTOR_PRUNE, err))
        return -1;
    *n = sqlite3_changes64(s->db);
    s->now.vectors -= *n;
    return 0;
}

int store_vectors_prune(struct store *s, int64_t *n, struct err *err)
{
    struct txn t;
    *n = 0;
    if (txn_enter(s, &t, err))
        return -1;
    return txn_leave(s, &t, prune(s, n, err), err);
}

/* The documents stay listed, with their texts, but nothing of them may count as done: no stamp, no
 * content and no version that could agree with a file's. So a run that is killed after this goes on
 * where it was. */
static int blank_doc(struct store *s, struct doc_row *r, struct err *err)
{
    r->d.n_chunks = 0;
    r->first_chunk = 0;
    r->d.extract_version = -1;
    r->d.stamp = (struct file_stamp){.size = -1};
    r->d.content = (struct hash128){0};
    return doc_write(s, r, err);
}

static int blank_docs(struct store *s, struct err *err)
{
    int64_t after = 0;
    for (;;) { /* one at a time: rows must not change under a running scan */
        sqlite3_stmt *q = db_query(s, Q_DOC_AFTER, err);
        if (!q)
            return -1;
        sqlite3_bind_int64(q, 1, after);
        struct doc_row r;
        int rc = db_step(s, q, err);
        if (rc == 1 && doc_from_row(s, q, &r)) {
            rc = db_corrupt(s, err, "the row of document '%s'", r.d.path);
            doc_row_release(&r);
        }
        db_done(q);
        if (rc <= 0)
            return rc;
        after = r.d.id;
        rc = r.d.state == DOC_INDEXED ? blank_doc(s, &r, err) : 0;
        doc_row_release(&r);
        if (rc)
            return rc;
    }
}

static int forget(struct store *s, struct err *err)
{
    if (blank_docs(s, err) || db_run(s, Q_CHUNK_CLEAR, err) || db_run(s, Q_VECTOR_CLEAR, err) ||
        db_run(s, Q_REMOVED_CLEAR, err))
        return -1;
    if (s->now.next_chunk > 1 && removed_note(s, 1, s->now.next_chunk - 1, err))
        return -1;
    s->now.chunks = 0;
    s->now.vectors = 0;
    s->now.dim = 0;
    memset(s->now.narrow, 0, sizeof s->now.narrow);
    s->passages_changed = true;
    return 0;
}

int store_forget_vectors(struct store *s, struct err *err)
{
    struct txn t;
    if (txn_enter(s, &t, err))
        return -1;
    return txn_leave(s, &t, forget(s, err), err);
}

/* Ranges that end at upto or before go; one that goes beyond keeps its rest. */
static int removed_clear(struct store *s, int64_t upto, struct err *err)
{
    for (;;) {
        sqlite3_stmt *q = db_query(s, Q_REMOVED_FIRST, err);
        if (!q)
            return -1;
        const int rc = db_step(s, q, err);
        const int64_t first = rc == 1 ? sqlite3_column_int64(q, 0) : 0;
        const int64_t last = rc == 1 ? sqlite3_column_int64(q, 1) : 0;
        db_done(q);
        if (rc <= 0)
            return rc;
        if (first > upto)
            return 0;
        q = db_query(s, Q_REMOVED_DELETE, err);
        if (!q)
            return -1;
        sqlite3_bind_int64(q, 1, first);
        if (db_finish(s, q, err) || (last > upto && removed_note(s, upto + 1, last, err)))
            return -1;
    }
}

int store_removed_clear(struct store *s, int64_t upto, struct err *err)
{
    struct txn t;
    if (txn_enter(s, &t, err))
        return -1;
    return txn_leave(s, &t, removed_clear(s, upto, err), err);
}
