/* txn.c - transactions: a whole operation or nothing of it, counts and generation included.
 *
 * An operation alone is a transaction; inside store_begin and store_commit it is a savepoint. The
 * row of state lives in s->now while a transaction runs and is written at its end. */
#include "index/store/internal.h"

#include "src/base/clock.h"
#include "src/base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { SYNC_MS = 1000 }; /* see open.c on durability */

/* ---- the row of state ---- */

int counters_read(struct store *s, struct counters *c, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_STATE_GET, err);
    if (!q)
        return -1;
    int64_t *const field[] = {&c->generation, &c->next_doc, &c->next_chunk, &c->next_vector,
                              &c->documents,  &c->skipped,  &c->failed,     &c->chunks,
                              &c->vectors,    &c->dim};
    const int rc = db_step(s, q, err);
    for (size_t i = 0; rc == 1 && i < ARRAY_LEN(field); i++)
        *field[i] = sqlite3_column_int64(q, (int)i);
    const bool good = rc == 1 && sqlite3_column_int64(q, 10) == sum_state(s, c);
    db_done(q);
    if (rc < 0)
        return -1;
    return good ? 0 : db_corrupt(s, err, "the table of counts");
}

int counters_write(struct store *s, const struct counters *c, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_STATE_PUT, err);
    if (!q)
        return -1;
    const int64_t v[] = {c->generation, c->next_doc, c->next_chunk, c->next_vector, c->documents,
                         c->skipped,    c->failed,   c->chunks,     c->vectors,     c->dim};
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        sqlite3_bind_int64(q, (int)i + 1, v[i]);
    sqlite3_bind_int64(q, (int)ARRAY_LEN(v) + 1, sum_state(s, c));
    return db_finish(s, q, err);
}

/* ---- transactions ---- */

static int refuse_reader(struct store *s, struct err *err)
{
    return err_kind_set(err, ERR_FAILURE, "the index in '%s' is open for reading only", s->dir);
}

static int begin(struct store *s, struct err *err)
{
    if (s->mode == STORE_READ)
        return refuse_reader(s, err);
    if (db_run(s, Q_BEGIN_WRITE, err))
        return -1;
    if (counters_read(s, &s->now, err) || narrow_read(s, &s->now, err)) {
        db_try(s, Q_ROLLBACK);
        return -1;
    }
    s->begun = s->now;
    s->in_transaction = true;
    s->passages_changed = false;
    return 0;
}

static void undo(struct store *s)
{
    /* After some failures (a full disk) SQLite has rolled back already: then there is nothing to.
     */
    if (!sqlite3_get_autocommit(s->db))
        db_try(s, Q_ROLLBACK);
    s->in_transaction = false;
    dict_forget(s);
}

int wal_sync(struct store *s, struct err *err)
{
    /* SQLite keeps no lock on this file, so a descriptor of our own does no harm. */
    char *wal = xasprintf("%s-wal", s->path);
    const int fd = open(wal, O_RDWR | O_CLOEXEC);
    const int rc = fd >= 0 && fdatasync(fd) < 0 ? err_errno(err, "cannot sync '%s'", wal) : 0;
    if (fd >= 0)
        close(fd);
    free(wal);
    s->synced_ms = clock_ms();
    return rc;
}

static int commit(struct store *s, struct err *err)
{
    if (sqlite3_get_autocommit(s->db)) {
        s->in_transaction = false;
        return err_set(err, "an earlier failure has undone this group of changes to the index");
    }
    if (s->passages_changed)
        s->now.generation++;
    if ((!narrow_same(&s->now, &s->begun) && narrow_write(s, &s->now, err)) ||
        counters_write(s, &s->now, err) || db_run(s, Q_COMMIT, err)) {
        undo(s);
        return -1;
    }
    s->in_transaction = false;
    /* Any read marks our place in the shared index of the WAL: readers that may not write need it.
     */
    struct counters again;
    if (counters_read(s, &again, err))
        return -1;
    return clock_ms() - s->synced_ms > SYNC_MS ? wal_sync(s, err) : 0;
}

int store_begin(struct store *s, struct err *err)
{
    if (s->in_transaction)
        return err_set(err, "a transaction is open already");
    return begin(s, err);
}

int store_commit(struct store *s, struct err *err)
{
    return s->in_transaction ? commit(s, err) : err_set(err, "no transaction is open");
}

void store_rollback(struct store *s)
{
    if (s->in_transaction)
        undo(s);
}

int txn_enter(struct store *s, struct txn *t, struct err *err)
{
    *t = (struct txn){.nested = s->in_transaction};
    if (!t->nested)
        return begin(s, err);
    if (sqlite3_get_autocommit(s->db))
        return err_set(err, "an earlier failure has undone this group of changes to the index");
    t->before = s->now;
    t->passages_changed = s->passages_changed;
    return db_run(s, Q_SAVE, err);
}

int txn_leave(struct store *s, const struct txn *t, int rc, struct err *err)
{
    if (!t->nested) {
        if (rc == 0)
            return commit(s, err);
        undo(s);
        return rc;
    }
    if (rc == 0)
        return db_run(s, Q_RELEASE, err);
    if (!sqlite3_get_autocommit(s->db)) {
        db_try(s, Q_UNSAVE);
        db_try(s, Q_RELEASE);
    }
    dict_forget(s);
    s->now = t->before;
    s->passages_changed = t->passages_changed;
    return rc;
}

int store_view_begin(struct store *s, bool *began, struct err *err)
{
    *began = false;
    if (!sqlite3_get_autocommit(s->db))
        return 0;
    if (db_run(s, Q_BEGIN_READ, err))
        return -1;
    *began = true;
    return 0;
}

void store_view_end(struct store *s, bool began)
{
    if (began)
        db_try(s, Q_COMMIT);
}
