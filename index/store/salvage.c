/* salvage.c - a new index file from the good rows of a damaged one.
 *
 * The schema never changes and nothing vacuums the file, so the tables begin at the same pages in
 * every index file: a fresh one tells where, whatever has become of the damaged one's first page.
 * Rows that hang on no tree any more (an inner page was hit) are found page by page; what table
 * they are of shows in the number of their columns, and the checksums decide. Rows keep their ids,
 * so caches built before stay right for them.
 *
 * The new file is complete and synced before it takes the old one's name; a kill before that leaves
 * the old one as it was.
 */
#include "index/store/internal.h"
#include "index/store/pages.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_TABLES = T_REMOVED + 1, GROUP = 2000 };

/* In the order of enum table. */
static const struct {
    const char *name;
    int n_columns;
    bool own_id; /* column 0 is the row's number, which SQLite stores as null */
} layout[N_TABLES] = {
    [T_META] = {"meta", 3, false},          [T_STATE] = {"state", 12, true},
    [T_DOCUMENT] = {"documents", 20, true}, [T_TEXT] = {"texts", 5, true},
    [T_DICT] = {"dicts", 3, true},          [T_CHUNK] = {"chunks", 13, true},
    [T_VECTOR] = {"vectors", 4, true},      [T_REMOVED] = {"removed", 3, true},
};

struct transfer {
    struct store *to;
    sqlite3_stmt *insert[N_TABLES];
    int64_t n_rows;
};

static int prepare(struct transfer *t, struct err *err)
{
    for (int i = 0; i < N_TABLES; i++) {
        struct str sql = {0};
        str_printf(&sql, "INSERT OR IGNORE INTO %s VALUES(?", layout[i].name);
        for (int k = 1; k < layout[i].n_columns; k++)
            str_puts(&sql, ",?");
        str_putc(&sql, ')');
        const int rc = sqlite3_prepare_v2(t->to->db, sql.p, -1, &t->insert[i], NULL);
        str_release(&sql);
        if (rc != SQLITE_OK)
            return db_fail(t->to, err);
    }
    return 0;
}

static int64_t root_of(struct store *s, const char *table)
{
    sqlite3_stmt *q = NULL;
    int64_t root = 0;
    if (sqlite3_prepare_v2(s->db, "SELECT rootpage FROM sqlite_schema WHERE name=?", -1, &q,
                           NULL) == SQLITE_OK) {
        bind_text(q, 1, table);
        if (sqlite3_step(q) == SQLITE_ROW)
            root = sqlite3_column_int64(q, 0);
    }
    sqlite3_finalize(q);
    return root;
}

/* The table of a row that hangs on no tree; -1: none of ours, or one that is made anew. */
static int guess_table(const struct record *r)
{
    for (int i = 0; i < N_TABLES; i++)
        if (r->n_columns == layout[i].n_columns && i != T_META && i != T_DICT && i != T_REMOVED)
            return i;
    if (r->n_columns == layout[T_META].n_columns && r->column[0].type == SQLITE_TEXT)
        return T_META;
    if (r->n_columns == layout[T_DICT].n_columns && r->column[1].type == SQLITE_BLOB)
        return T_DICT;
    return -1;
}

static void bind_value(sqlite3_stmt *q, int i, const struct value *v)
{
    if (v->type == SQLITE_INTEGER)
        sqlite3_bind_int64(q, i, v->number);
    else if (v->type == SQLITE_TEXT)
        sqlite3_bind_text64(q, i, v->bytes.p, v->bytes.n, SQLITE_STATIC, SQLITE_UTF8);
    else if (v->type == SQLITE_BLOB)
        bind_blob(q, i, v->bytes.p, v->bytes.n);
    else
        sqlite3_bind_null(q, i);
}

/* A row that the table refuses (a wrong type, an id that is there) is left out. */
static int copy_row(void *ctx, int table, const struct record *r, struct err *err)
{
    struct transfer *t = ctx;
    if (table < 0)
        table = guess_table(r);
    if (table < 0 || r->n_columns != layout[table].n_columns)
        return 0;
    sqlite3_stmt *q = t->insert[table];
    for (int i = 0; i < r->n_columns; i++)
        bind_value(q, i + 1, &r->column[i]);
    if (layout[table].own_id)
        sqlite3_bind_int64(q, 1, r->rowid);
    const int rc = sqlite3_step(q);
    const bool refused = (rc & 255) == SQLITE_CONSTRAINT || (rc & 255) == SQLITE_MISMATCH;
    const int failed = rc == SQLITE_DONE || refused ? 0 : db_fail(t->to, err);
    db_done(q);
    if (failed)
        return -1;
    if (++t->n_rows % GROUP == 0 &&
        (db_run(t->to, Q_COMMIT, err) || db_run(t->to, Q_BEGIN_WRITE, err)))
        return -1;
    return 0;
}

static int copy_rows(struct pages *from, struct transfer *t, struct err *err)
{
    if (db_run(t->to, Q_BEGIN_WRITE, err))
        return -1;
    for (int i = 0; i < N_TABLES; i++)
        if (pages_tree(from, root_of(t->to, layout[i].name), i, copy_row, t, err))
            return -1;
    if (pages_orphans(from, copy_row, t, err))
        return -1;
    return db_run(t->to, Q_COMMIT, err);
}

/* The old file as SQLite's plain file: opened, its WAL folded in if that still works, not trusted.
 */
static int open_pages(struct store *s, struct pages *p, struct err *err)
{
    db_close(s);
    const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE;
    if (sqlite3_open_v2(s->path, &s->db, flags, NULL) != SQLITE_OK)
        return db_fail(s, err);
    sqlite3_busy_timeout(s->db, 1000);
    int on = 1;
    sqlite3_file_control(s->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &on);
    sqlite3_exec(s->db, "PRAGMA wal_checkpoint(PASSIVE)", NULL, NULL, NULL);
    return pages_open(p, s->db, err);
}

static int fill(struct store *s, struct store *fresh, int64_t *n_fixed, struct err *err)
{
    struct pages from = {0};
    struct transfer t = {.to = fresh};
    int rc = open_pages(s, &from, err);
    /* The row of state that a new file comes with must not stand in the way of the old one. */
    if (rc == 0 && sqlite3_exec(fresh->db, "DELETE FROM state", NULL, NULL, NULL) != SQLITE_OK)
        rc = db_fail(fresh, err);
    if (rc == 0)
        rc = prepare(&t, err) || copy_rows(&from, &t, err) ? -1 : 0;
    for (int i = 0; i < N_TABLES; i++)
        sqlite3_finalize(t.insert[i]);
    pages_close(&from);
    return rc ? rc : mend(fresh, true, n_fixed, err);
}

/* Everything from the WAL into the file, synced, and the WAL gone. */
static int settle(struct store *fresh, struct err *err)
{
    int off = 0;
    sqlite3_file_control(fresh->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &off);
    if (sqlite3_exec(fresh->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL) != SQLITE_OK)
        return db_fail(fresh, err);
    db_close(fresh);
    return 0;
}

int salvage(struct store *s, int64_t *n_fixed, struct err *err)
{
    struct store fresh = {.mode = STORE_WRITE, .lock_fd = -1, .dir = s->dir};
    fresh.path = xasprintf("%s.new", s->path);
    int rc = file_create(fresh.path, err);
    if (rc == 0)
        rc = file_connect(&fresh, err) || fill(s, &fresh, n_fixed, err) || settle(&fresh, err) ? -1
                                                                                               : 0;
    db_close(&fresh);
    db_close(s);
    if (rc == 0)
        rc = file_replace(fresh.path, s->path, err);
    else
        file_remove_all(fresh.path);
    if (rc == 0)
        rc = file_connect(s, err);
    text_release(&fresh);
    str_release(&fresh.sum_bytes);
    str_release(&fresh.text);
    str_release(&fresh.vector);
    free(fresh.path);
    return rc;
}

/* Another program's database is not ours to rewrite. */
static int refuse_foreign(struct store *s, struct err *err)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    int64_t id = STORE_APPLICATION_ID;
    if (sqlite3_open_v2(s->path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT count(*) FROM sqlite_schema", -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int64(q, 0) > 0) {
        sqlite3_finalize(q);
        q = NULL;
        if (sqlite3_prepare_v2(db, "PRAGMA application_id", -1, &q, NULL) == SQLITE_OK &&
            sqlite3_step(q) == SQLITE_ROW)
            id = sqlite3_column_int64(q, 0);
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
    if (id == STORE_APPLICATION_ID)
        return 0;
    return err_kind_set(err, ERR_INCOMPATIBLE, "'%s' is a database of another program", s->path);
}

int store_salvage(const char *dir, const struct progress_sink *sink, int64_t *n_fixed,
                  struct err *err)
{
    *n_fixed = 0;
    struct store *s = store_new(dir, STORE_WRITE);
    int rc;
    if (access(s->path, F_OK) != 0) {
        err_kind_set(err, ERR_NO_INDEX, "no index in '%s'", dir);
        rc = err_hint(err, "run 'semsearch index' in the folder that you want to search");
    } else {
        rc = lock_take(dir, sink, &s->lock_fd, err);
    }
    if (rc == 0)
        rc = refuse_foreign(s, err);
    if (rc == 0)
        rc = salvage(s, n_fixed, err);
    store_close(s);
    return rc;
}
