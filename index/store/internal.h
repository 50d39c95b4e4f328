/* internal.h - what the files of index/store/ share, and nobody else may see.
 *
 * The file index.db, format 2 (SQLite, WAL, 8 KiB pages, application_id "SEMS"):
 *
 *   state      one row: generation, the next ids, the counts, the dimension of the vectors
 *   meta       small named values
 *   documents  one row a file seen; its chunks are the ids first_chunk .. first_chunk+n_chunks-1
 *   texts      the document's text, zstd
 *   dicts      zstd dictionaries, trained on the first texts of this very index
 *   chunks     ranges of a text; `vector` names the row of vectors
 *   vectors    hash of what was embedded -> f16 numbers, and a mark of the precision that they were
 *              computed in (precision.c); shared by equal chunks
 *   removed    ranges of chunk ids that went since the caches were declared fresh
 *
 * Ids come from `state`, in one direction only, so none is used twice. They are dense and rising,
 * which keeps chunks and vectors of a document side by side on disk: a scan in id order is a scan
 * in file order, and no index on chunks.doc_id is needed.
 *
 * Every row ends in `sum`: XXH3-64 of all its columns, its id included, seeded with the table's
 * tag. So no row can be changed, swapped with another or read as one of another table unnoticed;
 * and pages.c can find the good rows of a wrecked file by their sums alone. Every read checks it.
 */
#ifndef SEMSEARCH_INDEX_STORE_INTERNAL_H
#define SEMSEARCH_INDEX_STORE_INTERNAL_H

#include "index/store/store.h"
#include "src/base/str.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <zstd.h>

enum { STORE_APPLICATION_ID = 0x53454d53, PAGE_SIZE = 8192 };

/* ---- statements: prepared when first used, kept until close (db.c) ---- */

enum query {
    Q_BEGIN_READ,
    Q_BEGIN_WRITE,
    Q_COMMIT,
    Q_ROLLBACK,
    Q_SAVE,
    Q_RELEASE,
    Q_UNSAVE,
    Q_STATE_GET,
    Q_STATE_PUT,
    Q_META_GET,
    Q_META_PUT,
    Q_META_DELETE,
    Q_META_ALL,
    Q_META_DROP,
    Q_DOC_BY_PATH,
    Q_DOC_BY_ID,
    Q_DOC_BY_CONTENT,
    Q_DOC_BY_ORDER,
    Q_DOC_AFTER,
    Q_DOC_ALL,
    Q_DOC_PUT,
    Q_DOC_DELETE,
    Q_TEXT_GET,
    Q_TEXT_PUT,
    Q_TEXT_DELETE,
    Q_TEXT_AFTER,
    Q_TEXT_LOST,
    Q_DICT_GET,
    Q_DICT_LAST,
    Q_DICT_PUT,
    Q_DICT_ALL,
    Q_DICT_DELETE,
    Q_CHUNK_GET,
    Q_CHUNK_RANGE,
    Q_CHUNK_PUT,
    Q_CHUNK_DELETE,
    Q_CHUNK_CLEAR,
    Q_CHUNK_ALL,
    Q_CHUNK_IDS,
    Q_CHUNK_DROP,
    Q_CHUNK_LOST,
    Q_CHUNK_BARE,
    Q_VECTOR_BY_HASH,
    Q_VECTOR_PUT,
    Q_VECTOR_PRUNE,
    Q_VECTOR_CLEAR,
    Q_VECTOR_ALL,
    Q_VECTOR_DELETE,
    Q_NARROW_ALL,
    Q_NARROW_UNUSED,
    Q_REMOVED_ALL,
    Q_REMOVED_FIRST,
    Q_REMOVED_PUT,
    Q_REMOVED_DELETE,
    Q_REMOVED_CLEAR,
    Q_COUNT_ALL,
    Q_EACH_CHUNK,
    Q_EACH_VECTOR,
    Q_COUNT
};

/* The row of table state. */
struct counters {
    int64_t generation, next_doc, next_chunk, next_vector;
    int64_t documents, skipped, failed, chunks, vectors;
    int64_t dim;                /* 0: no vector yet */
    int64_t narrow[PRECISIONS]; /* of vectors: those of bf16 and int8; kept in meta */
};

struct store {
    char *dir, *path; /* the folder, and index.db in it */
    enum store_mode mode;
    int lock_fd; /* the writer's, else -1 */
    sqlite3 *db;
    sqlite3_stmt *stmt[Q_COUNT];
    bool frozen; /* read without any lock (the folder takes no writing): see open.c */
    struct stat db_seen, wal_seen; /* frozen: what the files were when opened */
    bool in_transaction;      /* between store_begin and store_commit, or inside an operation */
    bool passages_changed;    /* in this transaction */
    struct counters now;      /* of the running transaction */
    struct counters begun;    /* as it found them */
    enum precision precision; /* of the vectors that are put */
    struct str sum_bytes;     /* scratch of the row sums */
    struct str text;          /* scratch of texts: compressed or plain */
    struct str vector;        /* scratch of a vector's row */
    ZSTD_CCtx *cctx;
    ZSTD_DCtx *dctx;
    double synced_ms; /* clock of the last sync of the WAL */
    int64_t dict_id;  /* the dictionary below; 0: none loaded */
    bool dict_sought; /* training was tried */
    ZSTD_DDict *ddict;
    ZSTD_CDict *cdict;
};

/* The statement, ready for binding; NULL with *err set. */
sqlite3_stmt *db_query(struct store *s, enum query id, struct err *err);
/* 1: a row, 0: finished, -1: failed. The caller ends every use with db_done. */
int db_step(struct store *s, sqlite3_stmt *q, struct err *err) WARN_UNUSED;
void db_done(sqlite3_stmt *q); /* NULL is fine */
/* A statement without parameters or rows. */
int db_run(struct store *s, enum query id, struct err *err) WARN_UNUSED;
void db_try(struct store *s, enum query id); /* the same for undoing: a failure changes nothing */
/* The statement's one step, then db_done: for insert, update, delete. */
int db_finish(struct store *s, sqlite3_stmt *q, struct err *err) WARN_UNUSED;
/* Sets *err from the state of s->db (kind, message, hint). Returns -1. */
int db_fail(struct store *s, struct err *err);
/* ERR_CORRUPT naming a row. Returns -1. */
int db_corrupt(struct store *s, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4);
void db_close(struct store *s); /* statements and connection; s->db = NULL */

void bind_text(sqlite3_stmt *q, int i, const char *text); /* NULL: SQL null; not copied */
void bind_blob(sqlite3_stmt *q, int i, const void *p, size_t n);
struct span column_span(sqlite3_stmt *q, int i); /* until the next step; p NULL: SQL null */
char *column_text(sqlite3_stmt *q, int i);       /* owned; NULL: SQL null */

/* The schema: one CREATE statement an entry, ended by NULL. */
extern const char *const store_schema[];

/* ---- row sums (rows.c) ---- */

enum table { T_META, T_STATE, T_DOCUMENT, T_TEXT, T_DICT, T_CHUNK, T_VECTOR, T_REMOVED };

struct doc_row {
    struct store_doc d;
    int64_t first_chunk, sum;
};
struct chunk_row {
    struct store_chunk c;
    int64_t vector, sum;
};

int64_t sum_meta(struct store *s, struct span key, struct span value);
int64_t sum_state(struct store *s, const struct counters *c);
int64_t sum_doc(struct store *s, const struct doc_row *r);
int64_t sum_text(struct store *s, int64_t doc_id, int64_t raw_bytes, int64_t dict,
                 struct span data);
int64_t sum_dict(struct store *s, int64_t id, struct span data);
int64_t sum_chunk(struct store *s, const struct chunk_row *r);
int64_t sum_vector(struct store *s, int64_t id, struct span hash, struct span data);
int64_t sum_removed(struct store *s, int64_t first, int64_t last);

/* From the columns of a statement whose columns are `select ` + DOC_COLUMNS or CHUNK_COLUMNS; 0, or
 * -1 when the sum does not agree (the struct is filled all the same, and owned). */
#define DOC_COLUMNS                                                                            \
    "id,path,state,reason,hint,kind,title,extractor,extract_version,verbatim,src_offset,size," \
    "mtime_ns,ctime_ns,inode,content,text_bytes,n_chunks,first_chunk,sum"
#define CHUNK_COLUMNS \
    "id,doc_id,ord,start,end,page,line_start,line_end,heading,n_tokens,embed,vector,sum"
int doc_from_row(struct store *s, sqlite3_stmt *q, struct doc_row *r) WARN_UNUSED;
int chunk_from_row(struct store *s, sqlite3_stmt *q, struct chunk_row *r) WARN_UNUSED;
int doc_write(struct store *s, struct doc_row *r, struct err *err) WARN_UNUSED; /* sets sum */
int chunk_write(struct store *s, struct chunk_row *r, struct err *err) WARN_UNUSED;
void doc_row_release(struct doc_row *r);

/* NULL, or what is wrong with a path or with the plain values of a row. */
const char *path_problem(const char *path);
const char *doc_problem(const struct doc_row *r);
const char *chunk_problem(const struct chunk_row *r, const struct doc_row *of);

/* ---- transactions (txn.c), removing (write.c) ---- */

struct txn {
    bool nested;
    bool passages_changed;
    struct counters before;
};
int txn_enter(struct store *s, struct txn *t, struct err *err) WARN_UNUSED;
/* Commits when rc is 0, else undoes; returns the outcome. */
int txn_leave(struct store *s, const struct txn *t, int rc, struct err *err) WARN_UNUSED;
int counters_read(struct store *s, struct counters *c, struct err *err) WARN_UNUSED;
int counters_write(struct store *s, const struct counters *c, struct err *err) WARN_UNUSED;
/* Inside a transaction: the document with everything that is its own, chunk ids noted in removed.
 */
int doc_remove(struct store *s, const struct doc_row *r, struct err *err) WARN_UNUSED;
int removed_note(struct store *s, int64_t first, int64_t last, struct err *err) WARN_UNUSED;
/* Makes every commit so far durable. */
int wal_sync(struct store *s, struct err *err) WARN_UNUSED;

/* ---- precisions of vectors (precision.c) ---- */

/* The data of a vector row: `dim` half floats, perhaps with a mark. */
bool vector_fits(struct span data, int64_t dim);
/* c->narrow from the setting, into it, and from the rows themselves. */
int narrow_read(struct store *s, struct counters *c, struct err *err) WARN_UNUSED;
int narrow_write(struct store *s, const struct counters *c, struct err *err) WARN_UNUSED;
int narrow_count(struct store *s, struct counters *c, struct err *err) WARN_UNUSED;
bool narrow_same(const struct counters *a, const struct counters *b);
/* Before the vectors that no chunk uses are removed: takes them off s->now. */
int narrow_prune(struct store *s, struct err *err) WARN_UNUSED;

/* ---- texts (text.c) ---- */

int text_write(struct store *s, int64_t doc_id, struct span text, struct err *err) WARN_UNUSED;
/* Appends the checked text. 1, 0: no such row, -1: error (ERR_CORRUPT: the row is broken). */
int text_read(struct store *s, int64_t doc_id, struct str *out, struct err *err) WARN_UNUSED;
/* After a rollback, which may have taken the dictionary. */
void dict_forget(struct store *s);
void text_release(struct store *s);

/* ---- the writer's lock (lock.c) ---- */

int lock_take(const char *dir, const struct progress_sink *sink, int *fd,
              struct err *err) WARN_UNUSED;

/* ---- opening (open.c) ---- */

/* A new, empty index file at `path`, which must not exist: complete and synced, or not there. */
int file_create(const char *path, struct err *err) WARN_UNUSED;
void file_remove_all(const char *path); /* the file and what SQLite keeps beside it */
/* Renames a complete, closed index file over another, whose WAL goes too; synced. */
int file_replace(const char *from, const char *to, struct err *err) WARN_UNUSED;
struct store *store_new(const char *dir, enum store_mode mode); /* not connected yet */
/* Connects s to the file at s->path as s->mode asks, and checks that it is ours. */
int file_connect(struct store *s, struct err *err) WARN_UNUSED;

/* A frozen reader connects anew when the files have changed; between statements only. */
int reader_refresh(struct store *s, struct err *err) WARN_UNUSED;

/* ---- checking and repair ---- */

/* A row that cannot be trusted, or that belongs to nothing. */
struct finding {
    enum table table;
    int64_t rowid;
    char where[512]; /* path or id */
    const char *what;
};
/* Every row of every table but state: its sum, its values, what it refers to. A table that cannot
 * be read to its end is told through `broken` (may be NULL), and the others are checked all the
 * same. */
struct check_sink {
    void (*found)(void *ctx, const struct finding *f);
    void (*broken)(void *ctx, const struct err *why);
    void *ctx;
};
int check_rows(struct store *s, const struct check_sink *sink, struct err *err) WARN_UNUSED;
/* What `state` must say about the rows that are there; generation is left alone. */
int count_rows(struct store *s, struct counters *c, struct err *err) WARN_UNUSED;

/* Drops what check_rows finds and counts anew, on a file whose structure is sound. */
int mend(struct store *s, bool salvaged, int64_t *n_fixed, struct err *err) WARN_UNUSED;
/* Makes a new file of the good rows of the one at s->path and puts it in its place; s is closed
 * before and connected to the new file after. */
int salvage(struct store *s, int64_t *n_fixed, struct err *err) WARN_UNUSED;

#endif
