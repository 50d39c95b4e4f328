/* check.c - every row looked at: what store_verify tells and what store_repair drops.
 *
 * A document is sound when its row, its text, its chunks and their vectors are; whatever belongs to
 * no sound place dangles. Sums catch changed bytes, the rest of the checks what no sum can: rows
 * that are missing. Tables are scanned in order of id, so the reading is sequential.
 */
#include "index/store/internal.h"

#include "src/base/stop.h"

#include <stdio.h>
#include <string.h>

struct check {
    struct store *s;
    const struct check_sink *sink;
};

static void tell(const struct check *c, enum table t, int64_t rowid, const char *where,
                 const char *what)
{
    struct finding f = {.table = t, .rowid = rowid, .what = what};
    if (where)
        snprintf(f.where, sizeof f.where, "%s", where);
    else
        snprintf(f.where, sizeof f.where, "%lld", (long long)rowid);
    c->sink->found(c->sink->ctx, &f);
}

/* One row of a scan. */
typedef int look_fn(struct check *c, sqlite3_stmt *q, struct err *err);

/* Runs `look` over all rows of a query. Damage of SQLite's own structure is told, not returned. */
static int scan(struct check *c, enum query id, look_fn *look, struct err *err)
{
    struct err why = {0};
    sqlite3_stmt *q = db_query(c->s, id, &why);
    int rc = q ? 0 : -1;
    while (q && (rc = db_step(c->s, q, &why)) == 1) {
        rc = stop_requested() ? err_kind_set(&why, ERR_STOPPED, "stopped") : look(c, q, &why);
        if (rc)
            break;
    }
    db_done(q);
    if (rc == 0)
        return 0;
    if (why.kind == ERR_CORRUPT) {
        if (c->sink->broken)
            c->sink->broken(c->sink->ctx, &why);
        return 0;
    }
    if (err)
        *err = why;
    return -1;
}

static int look_meta(struct check *c, sqlite3_stmt *q, struct err *err)
{
    (void)err;
    const struct span key = column_span(q, 0);
    if (sqlite3_column_int64(q, 2) != sum_meta(c->s, key, column_span(q, 1))) {
        char where[64];
        snprintf(where, sizeof where, "setting '%.*s'", (int)(key.n < 40 ? key.n : 40), key.p);
        tell(c, T_META, sqlite3_column_int64(q, 3), where, "its checksum does not agree");
    }
    return 0;
}

static int look_dict(struct check *c, sqlite3_stmt *q, struct err *err)
{
    (void)err;
    const int64_t id = sqlite3_column_int64(q, 0);
    if (sqlite3_column_int64(q, 2) != sum_dict(c->s, id, column_span(q, 1)))
        tell(c, T_DICT, id, NULL, "its checksum does not agree");
    return 0;
}

static int look_removed(struct check *c, sqlite3_stmt *q, struct err *err)
{
    (void)err;
    const int64_t first = sqlite3_column_int64(q, 0), last = sqlite3_column_int64(q, 1);
    if (sqlite3_column_int64(q, 2) != sum_removed(c->s, first, last) || last < first)
        tell(c, T_REMOVED, first, NULL, "its checksum does not agree");
    return 0;
}

static int look_vector(struct check *c, sqlite3_stmt *q, struct err *err)
{
    (void)err;
    const int64_t id = sqlite3_column_int64(q, 0);
    const struct span hash = column_span(q, 1), data = column_span(q, 2);
    if (sqlite3_column_int64(q, 3) != sum_vector(c->s, id, hash, data))
        tell(c, T_VECTOR, id, NULL, "its checksum does not agree");
    else if (hash.n != sizeof(struct hash128) || !vector_fits(data, c->s->now.dim))
        tell(c, T_VECTOR, id, NULL, "it has not the dimension of the index");
    return 0;
}

/* The text, against its own row and its document's. */
static const char *text_problem(struct check *c, const struct doc_row *r, struct err *err)
{
    struct str text = {0};
    struct err why = {0};
    const int rc = text_read(c->s, r->d.id, &text, &why);
    const int64_t n = (int64_t)text.n;
    str_release(&text);
    if (rc < 0 && why.kind != ERR_CORRUPT) {
        *err = why;
        return NULL;
    }
    if (rc < 0)
        return "its text is damaged";
    if (n != r->d.text_bytes)
        return rc ? "its text has another length than its row says" : "its text is missing";
    return NULL;
}

static const char *chunk_list_problem(struct check *c, const struct doc_row *r, struct err *err)
{
    sqlite3_stmt *q = db_query(c->s, Q_CHUNK_RANGE, err);
    if (!q)
        return NULL;
    sqlite3_bind_int64(q, 1, r->first_chunk);
    sqlite3_bind_int64(q, 2, r->first_chunk + r->d.n_chunks);
    const char *problem = NULL;
    int64_t n = 0;
    struct err why = {0};
    int rc;
    while ((rc = db_step(c->s, q, &why)) == 1) {
        struct chunk_row k;
        const char *bad =
            chunk_from_row(c->s, q, &k) ? "a passage of it is damaged" : chunk_problem(&k, r);
        if (bad)
            problem = bad;
        store_chunk_release(&k.c);
        n++;
    }
    db_done(q);
    if (rc < 0 && why.kind != ERR_CORRUPT)
        *err = why;
    if (rc < 0)
        return "its passages cannot be read";
    return problem ? problem : n != r->d.n_chunks ? "passages of it are missing" : NULL;
}

static int look_doc(struct check *c, sqlite3_stmt *q, struct err *err)
{
    struct doc_row r;
    struct err why = {0};
    const bool good = doc_from_row(c->s, q, &r) == 0;
    const char *problem = good ? doc_problem(&r) : "its checksum does not agree";
    if (problem) {
        tell(c, T_DOCUMENT, r.d.id, r.d.path, problem);
    } else if ((problem = text_problem(c, &r, &why))) {
        tell(c, T_TEXT, r.d.id, r.d.path, problem);
    } else if (!why.msg[0] && (problem = chunk_list_problem(c, &r, &why))) {
        tell(c, T_DOCUMENT, r.d.id, r.d.path, problem);
    }
    doc_row_release(&r);
    if (why.msg[0]) {
        *err = why;
        return -1;
    }
    return 0;
}

static int look_chunk(struct check *c, sqlite3_stmt *q, struct err *err)
{
    (void)err;
    struct chunk_row r;
    if (chunk_from_row(c->s, q, &r))
        tell(c, T_CHUNK, r.c.id, NULL, "its checksum does not agree");
    store_chunk_release(&r.c);
    return 0;
}

static int look_lost_text(struct check *c, sqlite3_stmt *q, struct err *err)
{
    (void)err;
    tell(c, T_TEXT, sqlite3_column_int64(q, 0), NULL, "it belongs to no document");
    return 0;
}

static int look_lost_chunk(struct check *c, sqlite3_stmt *q, struct err *err)
{
    (void)err;
    tell(c, T_CHUNK, sqlite3_column_int64(q, 0), NULL, "it belongs to no document");
    return 0;
}

static int look_bare_chunk(struct check *c, sqlite3_stmt *q, struct err *err)
{
    (void)err;
    tell(c, T_CHUNK, sqlite3_column_int64(q, 0), NULL, "its vector is missing");
    return 0;
}

int check_rows(struct store *s, const struct check_sink *sink, struct err *err)
{
    static const struct {
        enum query id;
        look_fn *look;
    } step[] = {
        {Q_META_ALL, look_meta},         {Q_DICT_ALL, look_dict},
        {Q_REMOVED_ALL, look_removed},   {Q_VECTOR_ALL, look_vector},
        {Q_CHUNK_ALL, look_chunk},       {Q_DOC_ALL, look_doc},
        {Q_TEXT_LOST, look_lost_text},   {Q_CHUNK_LOST, look_lost_chunk},
        {Q_CHUNK_BARE, look_bare_chunk},
    };
    struct check c = {s, sink};
    for (size_t i = 0; i < sizeof step / sizeof step[0]; i++)
        if (scan(&c, step[i].id, step[i].look, err))
            return -1;
    return 0;
}

int count_rows(struct store *s, struct counters *c, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_COUNT_ALL, err);
    if (!q)
        return -1;
    int64_t *const field[] = {&c->documents,  &c->skipped,     &c->failed,
                              &c->chunks,     &c->vectors,     &c->next_doc,
                              &c->next_chunk, &c->next_vector, &c->dim};
    const int rc = db_step(s, q, err);
    for (int i = 0; rc == 1 && i < (int)(sizeof field / sizeof field[0]); i++)
        *field[i] = sqlite3_column_int64(q, i);
    db_done(q);
    return rc < 0 || narrow_count(s, c, err) ? -1 : 0;
}
