/* open.c - making, opening and closing the index file.
 *
 * Making: the whole file is made under another name, synced and renamed, so index.db is never seen
 * half-made.
 *
 * Durability: WAL with synchronous=NORMAL. What is committed survives a kill at any moment. A power
 * cut never damages the file; it may lose the documents of the last second (commit syncs the WAL
 * that often), which the next index run then finds and makes anew. Syncing at each commit (FULL)
 * would cost some 4 ms a document on an ordinary disk, more than encoding a short one. Caches are
 * the exception: one that survived while the store fell back behind it would agree with ids that
 * are given a second time, so everything committed is synced before a writer streams rows
 * (store_each_row), that is, before any cache is built.
 *
 * Reading never waits for the writer: WAL gives every reader its own view. The trouble is only that
 * SQLite's readers share an index of the WAL in a file (-shm) and want to write there. So a reader
 * tries, in this order:
 *   1. the usual way;
 *   2. with the shared index read-only (folder without permission, read-only or full disk): SQLite
 *      then makes a private one in memory where no writer lives. Our writers leave -wal and -shm
 *      behind on purpose (SQLITE_FCNTL_PERSIST_WAL), so that this way is always open;
 *   3. without any lock (a copy of the folder without those files on a read-only medium): as an
 *      immutable file, or, where a WAL is there, through a private index of it. No writer can be at
 *      work there, since it would have made those files. Should one come later, the handle notices
 *      the changed file and connects anew (reader_refresh).
 */
#include "index/store/internal.h"

#include "src/base/file.h"
#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 10000, MARK_TRIES = 40, STORE_FORMAT_OLDEST = 1 };

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* file:<path with %, ? and # escaped>?<options> */
static char *uri(const char *path, const char *options)
{
    struct str u = {0};
    str_puts(&u, "file:");
    for (const char *p = path; *p; p++) {
        if (*p == '%' || *p == '?' || *p == '#')
            str_printf(&u, "%%%02x", *p);
        else
            str_putc(&u, *p);
    }
    str_printf(&u, "?%s", options);
    return str_take(&u);
}

/* ---- is it ours? ---- */

static int64_t pragma_int(struct store *s, const char *sql, bool *ok)
{
    sqlite3_stmt *q = NULL;
    int64_t v = 0;
    *ok =
        sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW;
    if (*ok)
        v = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return v;
}

static int fail_foreign(struct store *s, struct err *err)
{
    err_kind_set(err, ERR_INCOMPATIBLE, "'%s' is a database of another program", s->path);
    return err_hint(err, "name another index folder, or move that file away");
}

static int fail_format(struct store *s, int64_t found, struct err *err)
{
    const bool newer = found > STORE_FORMAT;
    err_kind_set(err, ERR_INCOMPATIBLE,
                 "'%s' has index format %lld; this version of semsearch reads formats %d to %d",
                 s->path, (long long)found, STORE_FORMAT_OLDEST, STORE_FORMAT);
    if (newer)
        return err_hint(err, "a newer semsearch made it: update this one");
    return err_hint(err, "remove the folder '%s' and run 'semsearch index' again", s->dir);
}

/* The schema is compared word by word: nothing else may hide in the file (a view or trigger in a
 * folder that somebody handed over), and damage to it is found at once. */
static int check_schema(struct store *s, struct err *err)
{
    sqlite3_stmt *q = NULL;
    const char *sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid";
    if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK)
        return db_fail(s, err);
    size_t i = 0;
    int rc;
    while ((rc = db_step(s, q, err)) == 1) {
        if (!store_schema[i] || !span_eq(column_span(q, 0), store_schema[i])) {
            rc = db_corrupt(s, err, "the schema");
            break;
        }
        i++;
    }
    if (rc == 0 && store_schema[i])
        rc = db_corrupt(s, err, "the schema");
    sqlite3_finalize(q);
    return rc;
}

/* What an older format lacks is what a writer of it has not used yet. */
static int raise_format(struct store *s, struct err *err)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version=%d", STORE_FORMAT);
    return run(s->db, sql) == SQLITE_OK ? 0 : db_fail(s, err);
}

static int check_ours(struct store *s, struct err *err)
{
    bool ok;
    const int64_t application = pragma_int(s, "PRAGMA application_id", &ok);
    if (!ok)
        return db_fail(s, err);
    if (application != STORE_APPLICATION_ID)
        return fail_foreign(s, err);
    const int64_t format = pragma_int(s, "PRAGMA user_version", &ok);
    if (!ok)
        return db_fail(s, err);
    if (format < STORE_FORMAT_OLDEST || format > STORE_FORMAT)
        return fail_format(s, format, err);
    if (check_schema(s, err))
        return -1;
    return format == STORE_FORMAT || s->mode == STORE_READ ? 0 : raise_format(s, err);
}

/* ---- connecting ---- */

static int connect_as(struct store *s, const char *options, const char *vfs, const char *setup,
                      struct err *err)
{
    db_close(s);
    char *name = uri(s->path, options);
    const int flags = SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX |
                      (s->mode == STORE_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    int rc = sqlite3_open_v2(name, &s->db, flags, vfs);
    free(name);
    if (rc != SQLITE_OK)
        return db_fail(s, err);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, WAIT_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, s->mode == STORE_READ, NULL);
    if (run(s->db, setup) != SQLITE_OK)
        return db_fail(s, err);
    return check_ours(s, err);
}

static int connect_writer(struct store *s, struct err *err)
{
    if (connect_as(s, "", NULL,
                   "PRAGMA cell_size_check=1;PRAGMA synchronous=NORMAL;PRAGMA cache_size=-32768;"
                   "PRAGMA journal_size_limit=67108864",
                   err))
        return -1;
    int on = 1;
    sqlite3_file_control(s->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &on);
    return 0;
}

/* Ways 2 and 3 are worth trying after refusals to write, to open or to make files. */
static bool refused(const struct store *s)
{
    const int code = s->db ? sqlite3_errcode(s->db) & 255 : SQLITE_NOMEM;
    return code == SQLITE_CANTOPEN || code == SQLITE_READONLY || code == SQLITE_IOERR ||
           code == SQLITE_FULL || code == SQLITE_PERM || code == SQLITE_PROTOCOL;
}

static const char reader_setup[] = "PRAGMA cell_size_check=1;PRAGMA cache_size=-8192";

/* Way 2. Beside a living writer SQLite must find a mark of that writer in the shared index, which
 * is missing for a moment after a first commit. */
static int connect_read_only_shm(struct store *s, struct err *err)
{
    for (int i = 0;; i++) {
        if (connect_as(s, "readonly_shm=1", NULL, reader_setup, err) == 0)
            return 0;
        if (i == MARK_TRIES || !s->db ||
            sqlite3_extended_errcode(s->db) != SQLITE_READONLY_CANTINIT)
            return -1;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static void see(const struct store *s, struct stat *db, struct stat *wal)
{
    char *wal_path = xasprintf("%s-wal", s->path);
    *db = *wal = (struct stat){0};
    if (stat(s->path, db) || stat(wal_path, wal))
        errno = 0;
    free(wal_path);
}

/* Way 3. */
static int connect_frozen(struct store *s, struct err *err)
{
    see(s, &s->db_seen, &s->wal_seen);
    const int rc = s->wal_seen.st_size == 0
                       ? connect_as(s, "immutable=1", NULL, reader_setup, err)
                       : connect_as(s, "", "unix-none",
                                    "PRAGMA locking_mode=EXCLUSIVE;PRAGMA cell_size_check=1", err);
    s->frozen = rc == 0;
    return rc;
}

static int connect_reader(struct store *s, struct err *err)
{
    struct err first = {0};
    s->frozen = false;
    if (connect_as(s, "", NULL, reader_setup, &first) == 0)
        return 0;
    if (refused(s) && connect_read_only_shm(s, err) == 0)
        return 0;
    if (refused(s) && connect_frozen(s, err) == 0)
        return 0;
    if (err)
        *err = first;
    return -1;
}

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int reader_refresh(struct store *s, struct err *err)
{
    struct stat db, wal;
    see(s, &db, &wal);
    if ((same(&db, &s->db_seen) && same(&wal, &s->wal_seen)) || !sqlite3_get_autocommit(s->db))
        return 0;
    for (sqlite3_stmt *q = sqlite3_next_stmt(s->db, NULL); q; q = sqlite3_next_stmt(s->db, q))
        if (sqlite3_stmt_busy(q))
            return 0;
    if (connect_reader(s, err) == 0)
        return 0;
    s->frozen = true; /* the next call tries again */
    s->db_seen = (struct stat){0};
    return -1;
}

int file_connect(struct store *s, struct err *err)
{
    const int rc = s->mode == STORE_READ ? connect_reader(s, err) : connect_writer(s, err);
    if (rc)
        db_close(s);
    return rc;
}

/* ---- making ---- */

/* Sets the header's mark and makes sure: the pragma answers with the mode that it has reached. */
static bool switch_to_wal(sqlite3 *db)
{
    sqlite3_stmt *q = NULL;
    const bool is_wal =
        sqlite3_prepare_v2(db, "PRAGMA journal_mode=WAL", -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW && span_eq(column_span(q, 0), "wal");
    sqlite3_finalize(q);
    return is_wal;
}

/* Everything is written before the file becomes a WAL one: its WAL is left empty, so that the one
 * file can be renamed alone. */
static int fill_new(struct store *s, struct err *err)
{
    const struct counters first = {
        .generation = 1, .next_doc = 1, .next_chunk = 1, .next_vector = 1};
    int rc = run(s->db, "PRAGMA page_size=8192;PRAGMA synchronous=FULL;BEGIN");
    for (size_t i = 0; rc == SQLITE_OK && store_schema[i]; i++)
        rc = run(s->db, store_schema[i]);
    char *stamp = xasprintf("PRAGMA application_id=%d;PRAGMA user_version=%d", STORE_APPLICATION_ID,
                            STORE_FORMAT);
    if (rc == SQLITE_OK)
        rc = run(s->db, stamp);
    free(stamp);
    if (rc != SQLITE_OK)
        return db_fail(s, err);
    if (counters_write(s, &first, err))
        return -1;
    return run(s->db, "COMMIT") != SQLITE_OK || !switch_to_wal(s->db) ? db_fail(s, err) : 0;
}

static void remove_beside(const char *path, const char *suffix)
{
    char *p = xasprintf("%s%s", path, suffix);
    unlink(p);
    free(p);
}

void file_remove_all(const char *path)
{
    static const char *const suffix[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < ARRAY_LEN(suffix); i++)
        remove_beside(path, suffix[i]);
}

int file_create(const char *path, struct err *err)
{
    struct store s = {.path = (char *)(uintptr_t)path};
    file_remove_all(path);
    const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int rc = sqlite3_open_v2(path, &s.db, flags, NULL) != SQLITE_OK ? db_fail(&s, err)
                                                                    : fill_new(&s, err);
    db_close(&s);
    str_release(&s.sum_bytes);
    if (rc) {
        file_remove_all(path);
        err_wrap(err, "cannot make a new index");
    }
    return rc;
}

int file_replace(const char *from, const char *to, struct err *err)
{
    /* A WAL of the former file would be replayed over the new one: it goes first. */
    remove_beside(to, "-wal");
    remove_beside(to, "-shm");
    if (rename(from, to) < 0)
        return err_errno(err, "cannot rename '%s' to '%s'", from, to);
    char *slash = strrchr(to, '/');
    char *dir = slash ? xstrndup(to, (size_t)(slash - to) + 1) : xstrdup(".");
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int rc = fd < 0 || fsync(fd) < 0 ? err_errno(err, "cannot sync the folder '%s'", dir) : 0;
    if (fd >= 0)
        close(fd);
    free(dir);
    return rc;
}

static int make_index(struct store *s, struct err *err)
{
    char *fresh = xasprintf("%s.new", s->path);
    int rc = file_create(fresh, err);
    if (rc == 0)
        rc = file_replace(fresh, s->path, err);
    free(fresh);
    return rc;
}

/* ---- the door ---- */

static int fail_missing(const struct store *s, struct err *err)
{
    err_kind_set(err, ERR_NO_INDEX, "no index in '%s'", s->dir);
    return err_hint(err, "run 'semsearch index' in the folder that you want to search");
}

/* 1: there, 0: no such file, -1: cannot be told, or empty. */
static int look(const struct store *s, struct err *err)
{
    struct stat st;
    if (stat(s->path, &st) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return 0;
        return err_errno(err, "cannot look at the index file '%s'", s->path);
    }
    if (!S_ISREG(st.st_mode))
        return err_kind_set(err, ERR_IO, "'%s' is not a regular file", s->path);
    if (st.st_size < PAGE_SIZE) { /* SQLite takes an empty file for an empty database */
        err_kind_set(err, ERR_CORRUPT, "index file '%s' is cut short: it has %lld bytes", s->path,
                     (long long)st.st_size);
        return err_hint(err, "run 'semsearch verify --repair', then 'semsearch index'");
    }
    return 1;
}

static int open_index(struct store *s, const struct progress_sink *sink, struct err *err)
{
    if (s->mode == STORE_CREATE && dir_make(s->dir, err))
        return -1;
    if (s->mode != STORE_CREATE && look(s, err) == 0)
        return fail_missing(s, err);
    if (s->mode != STORE_READ && lock_take(s->dir, sink, &s->lock_fd, err))
        return -1;
    const int there = look(s, err);
    if (there < 0)
        return -1;
    if (there == 0 && s->mode != STORE_CREATE)
        return fail_missing(s, err);
    if (there == 0 && make_index(s, err))
        return -1;
    return file_connect(s, err);
}

struct store *store_new(const char *dir, enum store_mode mode)
{
    struct store *s = xcalloc(1, sizeof *s);
    *s = (struct store){.mode = mode, .lock_fd = -1, .dir = xstrdup(dir)};
    s->path = path_join(dir, "index.db");
    return s;
}

int store_open(const char *dir, enum store_mode mode, const struct progress_sink *sink,
               struct store **out, struct err *err)
{
    struct store *s = store_new(dir, mode);
    *out = NULL;
    if (open_index(s, sink, err)) {
        store_close(s);
        return -1;
    }
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    if (s->db && s->in_transaction)
        store_rollback(s);
    /* An empty WAL spares the next reader its recovery; when a reader is still at work the rest
     * stays there, which is as good. */
    if (s->db && s->mode != STORE_READ) {
        sqlite3_busy_timeout(s->db, 0);
        run(s->db, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    db_close(s);
    if (s->lock_fd >= 0)
        close(s->lock_fd); /* and with it the lock */
    text_release(s);
    str_release(&s->sum_bytes);
    str_release(&s->text);
    str_release(&s->vector);
    free(s->dir);
    free(s->path);
    free(s);
}

const char *store_dir(const struct store *s)
{
    return s->dir;
}
