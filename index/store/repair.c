/* repair.c - store_repair: what cannot be trusted goes, what is intact stays.
 *
 * Truth about files is on the user's disk, so a broken document is forgotten whole: the next index
 * run finds a file it does not know and makes it anew. Where SQLite's own structure is damaged, the
 * readable rows first move to a new file (salvage.c); then, in both cases, rows are mended in
 * place: drop what check_rows finds until it finds nothing (a lost vector takes its passage, that
 * its document, that its text), then count anew.
 */
#include "index/store/internal.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <time.h>

enum { ID_JUMP = 1 << 20 };

/* ---- collecting ---- */

struct findings {
    struct {
        enum table table;
        int64_t rowid;
    } * item;
    size_t n, cap;
    bool broken;
};

static void collect(void *ctx, const struct finding *f)
{
    struct findings *all = ctx;
    VEC_GROW(all->item, all->n, all->cap);
    all->item[all->n].table = f->table;
    all->item[all->n++].rowid = f->rowid;
}

static void note_broken(void *ctx, const struct err *why)
{
    (void)why;
    ((struct findings *)ctx)->broken = true;
}

static int drop_row(struct store *s, enum table t, int64_t rowid, struct err *err)
{
    static const enum query by_table[] = {
        [T_META] = Q_META_DROP,        [T_DOCUMENT] = Q_DOC_DELETE, [T_TEXT] = Q_TEXT_DELETE,
        [T_DICT] = Q_DICT_DELETE,      [T_CHUNK] = Q_CHUNK_DROP,    [T_VECTOR] = Q_VECTOR_DELETE,
        [T_REMOVED] = Q_REMOVED_DELETE};
    sqlite3_stmt *q = db_query(s, by_table[t], err);
    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, rowid);
    return db_finish(s, q, err);
}

/* One round: 1 when rows were dropped, 0 when all are sound. */
static int drop_found(struct store *s, int64_t *n_fixed, struct err *err)
{
    struct findings all = {0};
    const struct check_sink sink = {collect, note_broken, &all};
    int rc = check_rows(s, &sink, err);
    if (rc == 0 && all.broken)
        rc = db_corrupt(s, err, "the structure of the database");
    int64_t dropped = 0;
    for (size_t i = 0; rc == 0 && i < all.n; i++) {
        /* A document without its text is no document: the row that is there goes. */
        const enum table t = all.item[i].table;
        rc = drop_row(s, t, all.item[i].rowid, err);
        dropped += sqlite3_changes(s->db);
        if (rc == 0 && t == T_TEXT) {
            rc = drop_row(s, T_DOCUMENT, all.item[i].rowid, err);
            dropped += sqlite3_changes(s->db);
        }
    }
    free(all.item);
    *n_fixed += dropped;
    if (rc == 0 && all.n > 0 && dropped == 0)
        rc = db_corrupt(s, err, "the index is beyond repair: it");
    return rc ? -1 : all.n > 0;
}

/* ---- afterwards ---- */

/* Every id below next_chunk that is no chunk counts as removed: at least what was, and more does no
 * harm, since a cache only leaves those out. */
static int note_gaps(struct store *s, struct err *err)
{
    if (db_run(s, Q_REMOVED_CLEAR, err))
        return -1;
    sqlite3_stmt *q = db_query(s, Q_CHUNK_IDS, err);
    if (!q)
        return -1;
    int64_t next = 1;
    int rc;
    while ((rc = db_step(s, q, err)) == 1) {
        const int64_t id = sqlite3_column_int64(q, 0);
        if (id > next && removed_note(s, next, id - 1, err)) {
            rc = -1;
            break;
        }
        next = id + 1;
    }
    db_done(q);
    if (rc == 0 && s->now.next_chunk > next)
        rc = removed_note(s, next, s->now.next_chunk - 1, err);
    return rc;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The counts and ids anew. Where the row of state was lost, the ids that it would have given are
 * not known: they jump far ahead, and the generation to the clock, which no counting reaches. */
static int recount(struct store *s, bool state_lost, struct err *err)
{
    struct counters must = {0};
    if (count_rows(s, &must, err))
        return -1;
    const int64_t jump = state_lost ? ID_JUMP : 0;
    must.generation = state_lost ? (int64_t)time(NULL) : s->now.generation;
    must.next_doc = larger(must.next_doc + jump, s->now.next_doc);
    must.next_chunk = larger(must.next_chunk + jump, s->now.next_chunk);
    must.next_vector = larger(must.next_vector + jump, s->now.next_vector);
    s->begun = s->now = must;
    s->passages_changed = true;
    return narrow_write(s, &must, err) ? -1 : note_gaps(s, err);
}

/* Without its fingerprint nobody knows which model the vectors are of: then none may stay. */
static int check_fingerprint(struct store *s, struct err *err)
{
    char *fingerprint;
    if (store_meta_get(s, "fingerprint", &fingerprint, err))
        return -1;
    const bool known = fingerprint != NULL;
    free(fingerprint);
    return known || s->now.chunks == 0 ? 0 : store_forget_vectors(s, err);
}

static int begin_mending(struct store *s, bool *state_lost, struct err *err)
{
    struct err why = {0};
    if (db_run(s, Q_BEGIN_WRITE, err))
        return -1;
    s->in_transaction = true;
    s->now = (struct counters){0};
    if (counters_read(s, &s->now, &why)) {
        *state_lost = true;
        s->now = (struct counters){0};
        struct counters must = {0};
        if (count_rows(s, &must, err))
            return -1;
        s->now.dim = must.dim;
    }
    return 0;
}

static int mend_rows(struct store *s, bool salvaged, int64_t *n_fixed, struct err *err)
{
    bool state_lost = false;
    int rc = begin_mending(s, &state_lost, err);
    if (rc)
        return rc;
    const int64_t before = *n_fixed;
    while ((rc = drop_found(s, n_fixed, err)) == 1) {
    }
    if (rc || recount(s, state_lost, err))
        return -1;
    return salvaged || state_lost || *n_fixed > before ? check_fingerprint(s, err) : 0;
}

int mend(struct store *s, bool salvaged, int64_t *n_fixed, struct err *err)
{
    const int rc = mend_rows(s, salvaged, n_fixed, err);
    if (rc == 0)
        return store_commit(s, err);
    store_rollback(s);
    return rc;
}

static bool structure_sound(struct store *s)
{
    sqlite3_stmt *q = NULL;
    bool sound = false;
    if (sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(1)", -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW)
        sound = span_eq(column_span(q, 0), "ok");
    sqlite3_finalize(q);
    return sound;
}

int store_repair(struct store *s, int64_t *n_fixed, struct err *err)
{
    *n_fixed = 0;
    if (s->mode == STORE_READ || s->in_transaction)
        return err_set(err, "an index is repaired by a writer, outside of transactions");
    if (!structure_sound(s))
        return salvage(s, n_fixed, err);
    return mend(s, false, n_fixed, err);
}
