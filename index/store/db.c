/* db.c - the statements of the store, and SQLite's errors in our words. All SQL but the pragmas of
 * open.c and the checks of verify.c stands in the table below. */
#include "index/store/internal.h"

#include "src/base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const store_schema[] = {
    "CREATE TABLE state(id INTEGER PRIMARY KEY,generation INTEGER NOT NULL,next_doc INTEGER NOT "
    "NULL,next_chunk INTEGER NOT NULL,next_vector INTEGER NOT NULL,documents INTEGER NOT NULL,"
    "skipped INTEGER NOT NULL,failed INTEGER NOT NULL,chunks INTEGER NOT NULL,vectors INTEGER NOT "
    "NULL,dim INTEGER NOT NULL,sum INTEGER NOT NULL)STRICT",
    "CREATE TABLE meta(key TEXT NOT NULL PRIMARY KEY,value TEXT NOT NULL,sum INTEGER NOT "
    "NULL)STRICT",
    "CREATE TABLE documents(id INTEGER PRIMARY KEY,path BLOB NOT NULL UNIQUE,state INTEGER NOT "
    "NULL,reason TEXT,hint TEXT,kind INTEGER NOT NULL,title TEXT,extractor TEXT,extract_version "
    "INTEGER NOT NULL,verbatim INTEGER NOT NULL,src_offset INTEGER NOT NULL,size INTEGER NOT NULL,"
    "mtime_ns INTEGER NOT NULL,ctime_ns INTEGER NOT NULL,inode INTEGER NOT NULL,content BLOB NOT "
    "NULL,text_bytes INTEGER NOT NULL,n_chunks INTEGER NOT NULL,first_chunk INTEGER NOT NULL,sum "
    "INTEGER NOT NULL)STRICT",
    "CREATE INDEX documents_content ON documents(content)WHERE state=0",
    "CREATE TABLE texts(doc_id INTEGER PRIMARY KEY,raw_bytes INTEGER NOT NULL,dict INTEGER NOT "
    "NULL,data BLOB NOT NULL,sum INTEGER NOT NULL)STRICT",
    "CREATE TABLE dicts(id INTEGER PRIMARY KEY,data BLOB NOT NULL,sum INTEGER NOT NULL)STRICT",
    "CREATE TABLE chunks(id INTEGER PRIMARY KEY,doc_id INTEGER NOT NULL,ord INTEGER NOT NULL,start "
    "INTEGER NOT NULL,end INTEGER NOT NULL,page INTEGER NOT NULL,line_start INTEGER NOT NULL,"
    "line_end INTEGER NOT NULL,heading TEXT,n_tokens INTEGER NOT NULL,embed BLOB NOT NULL,vector "
    "INTEGER NOT NULL,sum "
    "INTEGER NOT NULL)STRICT",
    "CREATE TABLE vectors(id INTEGER PRIMARY KEY,hash BLOB NOT NULL UNIQUE,data BLOB NOT NULL,sum "
    "INTEGER NOT NULL)STRICT",
    "CREATE TABLE removed(first INTEGER PRIMARY KEY,last INTEGER NOT NULL,sum INTEGER NOT "
    "NULL)STRICT",
    NULL,
};

static const char *const query_sql[Q_COUNT] = {
    [Q_BEGIN_READ] = "BEGIN",
    [Q_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [Q_COMMIT] = "COMMIT",
    [Q_ROLLBACK] = "ROLLBACK",
    [Q_SAVE] = "SAVEPOINT operation",
    [Q_RELEASE] = "RELEASE operation",
    [Q_UNSAVE] = "ROLLBACK TO operation",
    [Q_STATE_GET] = "SELECT generation,next_doc,next_chunk,next_vector,documents,skipped,failed,"
                    "chunks,vectors,dim,sum FROM state WHERE id=1",
    [Q_STATE_PUT] = "REPLACE INTO state VALUES(1,?,?,?,?,?,?,?,?,?,?,?)",
    [Q_META_GET] = "SELECT key,value,sum FROM meta WHERE key=?",
    [Q_META_PUT] = "REPLACE INTO meta VALUES(?,?,?)",
    [Q_META_DELETE] = "DELETE FROM meta WHERE key=?",
    [Q_META_ALL] = "SELECT key,value,sum,rowid FROM meta ORDER BY rowid",
    [Q_META_DROP] = "DELETE FROM meta WHERE rowid=?",
    [Q_DOC_BY_PATH] = "SELECT " DOC_COLUMNS " FROM documents WHERE path=?",
    [Q_DOC_BY_ID] = "SELECT " DOC_COLUMNS " FROM documents WHERE id=?",
    [Q_DOC_BY_CONTENT] =
        "SELECT " DOC_COLUMNS " FROM documents WHERE content=? AND state=0 AND extract_version=?",
    [Q_DOC_BY_ORDER] = "SELECT " DOC_COLUMNS " FROM documents ORDER BY path",
    [Q_DOC_AFTER] = "SELECT " DOC_COLUMNS " FROM documents WHERE id>? ORDER BY id LIMIT 1",
    [Q_DOC_ALL] = "SELECT " DOC_COLUMNS " FROM documents ORDER BY id",
    [Q_DOC_PUT] = "REPLACE INTO documents VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [Q_DOC_DELETE] = "DELETE FROM documents WHERE id=?",
    [Q_TEXT_GET] = "SELECT raw_bytes,dict,data,sum FROM texts WHERE doc_id=?",
    [Q_TEXT_PUT] = "REPLACE INTO texts VALUES(?,?,?,?,?)",
    [Q_TEXT_DELETE] = "DELETE FROM texts WHERE doc_id=?",
    [Q_TEXT_AFTER] = "SELECT doc_id FROM texts WHERE doc_id>? ORDER BY doc_id LIMIT 1",
    [Q_TEXT_LOST] = "SELECT doc_id FROM texts WHERE doc_id NOT IN (SELECT id FROM documents)",
    [Q_DICT_GET] = "SELECT data,sum FROM dicts WHERE id=?",
    [Q_DICT_LAST] = "SELECT max(id) FROM dicts",
    [Q_DICT_PUT] = "REPLACE INTO dicts VALUES(?,?,?)",
    [Q_DICT_ALL] = "SELECT id,data,sum FROM dicts ORDER BY id",
    [Q_DICT_DELETE] = "DELETE FROM dicts WHERE id=?",
    [Q_CHUNK_GET] = "SELECT " CHUNK_COLUMNS " FROM chunks WHERE id=?",
    [Q_CHUNK_RANGE] = "SELECT " CHUNK_COLUMNS " FROM chunks WHERE id>=? AND id<? ORDER BY id",
    [Q_CHUNK_PUT] = "INSERT INTO chunks VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [Q_CHUNK_DELETE] = "DELETE FROM chunks WHERE id>=? AND id<?",
    [Q_CHUNK_CLEAR] = "DELETE FROM chunks",
    [Q_CHUNK_ALL] = "SELECT " CHUNK_COLUMNS " FROM chunks ORDER BY id",
    [Q_CHUNK_IDS] = "SELECT id FROM chunks ORDER BY id",
    [Q_CHUNK_DROP] = "DELETE FROM chunks WHERE id=?",
    [Q_CHUNK_LOST] =
        "SELECT c.id FROM chunks c LEFT JOIN documents d ON d.id=c.doc_id WHERE d.id IS "
        "NULL OR c.id<d.first_chunk OR c.id>=d.first_chunk+d.n_chunks",
    [Q_CHUNK_BARE] = "SELECT c.id FROM chunks c LEFT JOIN vectors v ON v.id=c.vector WHERE v.id IS "
                     "NULL OR v.hash<>c.embed",
    [Q_VECTOR_BY_HASH] = "SELECT id,hash,data,sum FROM vectors WHERE hash=?",
    [Q_VECTOR_PUT] = "INSERT INTO vectors VALUES(?,?,?,?)",
    [Q_VECTOR_PRUNE] = "DELETE FROM vectors WHERE id NOT IN (SELECT vector FROM chunks)",
    [Q_VECTOR_CLEAR] = "DELETE FROM vectors",
    [Q_VECTOR_ALL] = "SELECT id,hash,data,sum FROM vectors ORDER BY id",
    [Q_VECTOR_DELETE] = "DELETE FROM vectors WHERE id=?",
    [Q_NARROW_ALL] =
        "SELECT substr(data,-1),count(*) FROM vectors WHERE length(data)%2=1 GROUP BY 1",
    /* the inner scan is over the index of hashes alone */
    [Q_NARROW_UNUSED] =
        "SELECT substr(data,-1),count(*) FROM vectors WHERE length(data)%2=1 AND id "
        "IN (SELECT id FROM vectors WHERE id NOT IN (SELECT vector FROM chunks)) "
        "GROUP BY 1",
    [Q_REMOVED_ALL] = "SELECT first,last,sum FROM removed ORDER BY first",
    [Q_REMOVED_FIRST] = "SELECT first,last FROM removed ORDER BY first LIMIT 1",
    [Q_REMOVED_PUT] = "REPLACE INTO removed VALUES(?,?,?)",
    [Q_REMOVED_DELETE] = "DELETE FROM removed WHERE first=?",
    [Q_REMOVED_CLEAR] = "DELETE FROM removed",
    [Q_EACH_CHUNK] = "SELECT " CHUNK_COLUMNS " FROM chunks WHERE id>=? ORDER BY id",
    [Q_EACH_VECTOR] = "SELECT id,hash,data,sum FROM vectors WHERE id=?",
    [Q_COUNT_ALL] =
        "SELECT (SELECT count(*) FROM documents WHERE state=0),"
        "(SELECT count(*) FROM documents WHERE state=1),"
        "(SELECT count(*) FROM documents WHERE state=2),(SELECT count(*) FROM chunks),"
        "(SELECT count(*) FROM vectors),(SELECT ifnull(max(id),0)+1 FROM documents),"
        "max((SELECT ifnull(max(id),0)+1 FROM chunks),(SELECT ifnull(max(last),0)+1 FROM removed)),"
        "(SELECT ifnull(max(id),0)+1 FROM vectors),"
        "(SELECT ifnull(length(data)/2,0) FROM vectors LIMIT 1)",
};

static const char repair_hint[] =
    "run 'semsearch verify --repair': it keeps every document that is "
    "intact, and the next 'semsearch index' makes the others anew";

/* SQLite's codes by what the user can do about them. */
static const struct {
    int code; /* primary result code */
    enum err_kind kind;
    const char *hint;
} failures[] = {
    {SQLITE_FULL, ERR_IO, "free some disk space and run the command again: nothing stored is lost"},
    {SQLITE_CORRUPT, ERR_CORRUPT, repair_hint},
    {SQLITE_NOTADB, ERR_CORRUPT, repair_hint},
    {SQLITE_INTERRUPT, ERR_STOPPED, NULL},
    {SQLITE_BUSY, ERR_LOCKED, "another program is using the index file: try again"},
    {SQLITE_NOMEM, ERR_MEMORY, NULL},
    {SQLITE_READONLY, ERR_IO, "the index cannot be written: check the permissions of its folder"},
    {SQLITE_CANTOPEN, ERR_IO, "check the permissions of the index folder"},
    {SQLITE_IOERR, ERR_IO, "check the disk, then run 'semsearch verify'"},
};

int db_fail(struct store *s, struct err *err)
{
    int code = s->db ? sqlite3_extended_errcode(s->db) & 255 : SQLITE_NOMEM;
    const char *what = s->db ? sqlite3_errmsg(s->db) : "not enough memory";
    const int sys = s->db ? sqlite3_system_errno(s->db) : 0;
    const bool os = (code == SQLITE_IOERR || code == SQLITE_CANTOPEN) && sys;
    if (os && (sys == ENOSPC || sys == EDQUOT))
        code = SQLITE_FULL;
    err_kind_set(err, ERR_FAILURE, "index file '%s': %s%s%s", s->path, what, os ? ": " : "",
                 os ? strerror(sys) : "");
    for (size_t i = 0; err && i < ARRAY_LEN(failures); i++) {
        if (failures[i].code != code)
            continue;
        err->kind = failures[i].kind;
        if (failures[i].hint)
            err_hint(err, "%s", failures[i].hint);
    }
    return -1;
}

int db_corrupt(struct store *s, struct err *err, const char *fmt, ...)
{
    char what[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    err_kind_set(err, ERR_CORRUPT, "index file '%s': %s is damaged", s->path, what);
    return err_hint(err, "%s", repair_hint);
}

sqlite3_stmt *db_query(struct store *s, enum query id, struct err *err)
{
    if (s->frozen && reader_refresh(s, err))
        return NULL;
    if (!s->stmt[id] && sqlite3_prepare_v3(s->db, query_sql[id], -1, SQLITE_PREPARE_PERSISTENT,
                                           &s->stmt[id], NULL) != SQLITE_OK) {
        db_fail(s, err);
        return NULL;
    }
    return s->stmt[id];
}

int db_step(struct store *s, sqlite3_stmt *q, struct err *err)
{
    const int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : db_fail(s, err);
}

void db_done(sqlite3_stmt *q)
{
    if (q) {
        sqlite3_reset(q);
        sqlite3_clear_bindings(q); /* they borrow memory of the caller */
    }
}

int db_finish(struct store *s, sqlite3_stmt *q, struct err *err)
{
    const int rc = db_step(s, q, err);
    db_done(q);
    return rc < 0 ? -1 : 0;
}

int db_run(struct store *s, enum query id, struct err *err)
{
    sqlite3_stmt *q = db_query(s, id, err);
    return q ? db_finish(s, q, err) : -1;
}

void db_try(struct store *s, enum query id)
{
    if (db_run(s, id, NULL))
        return;
}

void db_close(struct store *s)
{
    for (int i = 0; i < Q_COUNT; i++) {
        sqlite3_finalize(s->stmt[i]);
        s->stmt[i] = NULL;
    }
    sqlite3_close(s->db);
    s->db = NULL;
}

void bind_text(sqlite3_stmt *q, int i, const char *text)
{
    sqlite3_bind_text(q, i, text, -1, SQLITE_STATIC);
}

void bind_blob(sqlite3_stmt *q, int i, const void *p, size_t n)
{
    sqlite3_bind_blob64(q, i, n ? p : "", n, SQLITE_STATIC); /* NULL would be an SQL null */
}

struct span column_span(sqlite3_stmt *q, int i)
{
    const void *p = sqlite3_column_blob(q, i);
    const int n = sqlite3_column_bytes(q, i);
    if (!p && sqlite3_column_type(q, i) != SQLITE_NULL)
        p = "";
    return (struct span){p, (size_t)n};
}

char *column_text(sqlite3_stmt *q, int i)
{
    const struct span s = column_span(q, i);
    return s.p ? xstrndup(s.p, s.n) : NULL;
}
