/* verify.c - store_verify: SQLite's own check of its pages and indexes, then ours of every row
 * (check.c), then the counts. All in one read transaction, so a writer beside it neither waits nor
 * disturbs. */
#include "index/store/internal.h"

#include "src/base/stop.h"

#include <stdio.h>
#include <string.h>

struct verify {
    struct store *s;
    void (*fn)(void *ctx, const struct store_problem *p);
    void *ctx;
};

static void report(const struct verify *v, const char *part, const char *where, const char *what)
{
    struct store_problem p = {.part = part, .repairable = true};
    snprintf(p.where, sizeof p.where, "%s", where);
    snprintf(p.what, sizeof p.what, "%s", what);
    v->fn(v->ctx, &p);
}

static void on_found(void *ctx, const struct finding *f)
{
    static const char *const part[] = {
        [T_META] = "database", [T_STATE] = "database",  [T_DOCUMENT] = "document",
        [T_TEXT] = "text",     [T_DICT] = "text",       [T_CHUNK] = "chunk",
        [T_VECTOR] = "vector", [T_REMOVED] = "database"};
    report(ctx, part[f->table], f->where, f->what);
}

static void on_broken(void *ctx, const struct err *why)
{
    const struct verify *v = ctx;
    report(v, "database", v->s->path, why->msg);
}

static int check_pages(struct verify *v, struct err *err)
{
    sqlite3_stmt *q = NULL;
    struct err why = {0};
    int rc = -1;
    if (sqlite3_prepare_v2(v->s->db, "PRAGMA integrity_check(20)", -1, &q, NULL) != SQLITE_OK)
        db_fail(v->s, &why);
    while (q && (rc = db_step(v->s, q, &why)) == 1) {
        const char *line = (const char *)sqlite3_column_text(q, 0);
        if (!line || strcmp(line, "ok") != 0)
            report(v, "database", v->s->path, line ? line : "the check gave no answer");
    }
    sqlite3_finalize(q);
    if (rc < 0 && why.kind == ERR_CORRUPT) {
        on_broken(v, &why);
        return 0;
    }
    if (rc < 0 && err)
        *err = why;
    return rc;
}

/* The row of state against the rows that are there. The dimension is needed by check_rows. */
static int check_counts(struct verify *v, struct err *err)
{
    struct counters is = {0}, must = {0};
    struct err why = {0};
    if (counters_read(v->s, &is, &why) || narrow_read(v->s, &is, &why) ||
        count_rows(v->s, &must, &why)) {
        if (why.kind == ERR_CORRUPT)
            on_broken(v, &why);
        else if (err)
            *err = why;
        return why.kind == ERR_CORRUPT ? 0 : -1;
    }
    v->s->now.dim = is.dim;
    if (is.documents != must.documents || is.skipped != must.skipped || is.failed != must.failed ||
        is.chunks != must.chunks || is.vectors != must.vectors || !narrow_same(&is, &must))
        report(v, "database", v->s->path, "the stored counts are not those of the rows");
    if (is.next_doc < must.next_doc || is.next_chunk < must.next_chunk ||
        is.next_vector < must.next_vector)
        report(v, "database", v->s->path, "ids would be given twice");
    return 0;
}

static void interrupt(void *db)
{
    sqlite3_interrupt(db);
}

int store_verify(struct store *s, void (*fn)(void *ctx, const struct store_problem *p), void *ctx,
                 struct err *err)
{
    struct verify v = {s, fn, ctx};
    const struct check_sink sink = {on_found, on_broken, &v};
    bool began;
    if (store_view_begin(s, &began, err))
        return -1;
    stop_call(interrupt, s->db); /* one statement of it reads the whole file */
    int rc = stop_requested() ? err_kind_set(err, ERR_STOPPED, "stopped") : check_pages(&v, err);
    if (rc == 0)
        rc = check_counts(&v, err);
    if (rc == 0)
        rc = check_rows(s, &sink, err);
    stop_call(NULL, NULL);
    store_view_end(s, began);
    return rc;
}
