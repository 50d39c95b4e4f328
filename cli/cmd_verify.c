/* cmd_verify.c - `semsearch verify [--repair]`: every checksum of the index, and mending what is
 * derived. */
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/place.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct problems {
    struct store_problem *item;
    size_t n, cap;
};

static void collect(void *ctx, const struct store_problem *p)
{
    struct problems *list = ctx;
    if (list->n >= 10000) /* enough to know */
        return;
    VEC_GROW(list->item, list->n, list->cap);
    list->item[list->n++] = *p;
}

/* What is broken badly enough to stop a check is a finding, not a failure: named here unless the
 * checks have found something already. */
static int as_finding(int rc, struct problems *list, struct err *err)
{
    if (rc == 0 || err->kind != ERR_CORRUPT)
        return rc;
    if (list->n == 0) {
        struct store_problem problem = {.part = "database", .repairable = true};
        snprintf(problem.what, sizeof problem.what, "%.250s", err->msg);
        collect(list, &problem);
    }
    *err = (struct err){0};
    return 0;
}

static int check(struct store *s, struct problems *list, struct err *err)
{
    char *fingerprint = NULL, *dim = NULL;
    int rc = as_finding(store_verify(s, collect, list, err), list, err);
    if (rc == 0 && (store_meta_get(s, "fingerprint", &fingerprint, err) ||
                    store_meta_get(s, "dim", &dim, err)))
        rc = as_finding(-1, list, err);
    if (rc == 0 && fingerprint && dim)
        rc = as_finding(snapshot_verify(s, fingerprint, atoi(dim), collect, list, err), list, err);
    free(fingerprint);
    free(dim);
    return rc;
}

static int repair(struct store *s, struct bar *bar, struct err *err)
{
    int64_t fixed = 0;
    if (store_repair(s, &fixed, err))
        return -1;
    char *fingerprint = NULL, *dim = NULL;
    int rc =
        store_meta_get(s, "fingerprint", &fingerprint, err) || store_meta_get(s, "dim", &dim, err)
            ? -1
            : 0;
    if (rc == 0 && fingerprint && dim)
        rc = snapshot_build(s, fingerprint, atoi(dim), "auto", true, &bar->sink, err);
    free(fingerprint);
    free(dim);
    return rc;
}

static void write_problems(const struct args *a, const struct problems *list, bool ok,
                           bool repaired)
{
    struct str out = {0};
    if (a->json || a->jsonl) {
        struct json_writer w;
        json_begin(&w, &out);
        jw_kbool(&w, "ok", ok);
        if (a->repair)
            jw_kbool(&w, "repaired", repaired);
        jw_key(&w, "problems");
        jw_array(&w);
        for (size_t i = 0; i < list->n; i++) {
            jw_object(&w);
            jw_ktext(&w, "part", list->item[i].part);
            jw_ktext(&w, "where", list->item[i].where);
            jw_ktext(&w, "what", list->item[i].what);
            jw_kbool(&w, "repairable", list->item[i].repairable);
            jw_end(&w);
        }
        jw_end(&w);
        json_finish(&w);
    } else {
        for (size_t i = 0; i < list->n; i++) {
            str_printf(&out, "%s ", list->item[i].part);
            printable(&out, span_of(list->item[i].where), false);
            str_printf(&out, ": %s%s\n", list->item[i].what,
                       list->item[i].repairable ? "" : " (cannot be repaired)");
        }
        if (repaired)
            str_puts(&out,
                     ok ? "repaired; run `semsearch index` to take in again what was dropped\n"
                        : "");
        else
            str_puts(&out, ok ? "the index is sound\n" : "");
    }
    out_str(&out);
}

/* Everything found, and what is left of it after a repair. */
struct findings {
    struct problems found, left;
    bool ok, repaired;
};

static int check_open(const struct args *a, struct store *s, struct bar *bar, struct findings *f,
                      struct err *err)
{
    int rc = check(s, &f->found, err);
    f->ok = rc == 0 && f->found.n == 0;
    if (rc == 0 && f->found.n && a->repair) {
        rc = repair(s, bar, err);
        if (rc == 0)
            rc = check(s, &f->left, err);
        f->repaired = rc == 0;
        f->ok = rc == 0 && f->left.n == 0;
    }
    return rc;
}

/* A database that cannot be opened is a finding too; with --repair its intact documents move to a
 * new file. */
static int open_or_salvage(const struct args *a, const struct place *p, struct bar *bar,
                           struct findings *f, struct store **s, struct err *err)
{
    const enum store_mode mode = a->repair ? STORE_WRITE : STORE_READ;
    struct err why = {0};
    if (store_open(p->index_dir, mode, &bar->sink, s, &why) == 0)
        return 0;
    if (why.kind != ERR_CORRUPT) {
        *err = why;
        return -1;
    }
    struct store_problem problem = {.part = "database", .repairable = true};
    snprintf(problem.where, sizeof problem.where, "%.500s", p->index_dir);
    snprintf(problem.what, sizeof problem.what, "%.250s", why.msg);
    collect(&f->found, &problem);
    int64_t fixed = 0;
    if (!a->repair)
        return 0;
    return store_salvage(p->index_dir, &bar->sink, &fixed, err)
               ? -1
               : store_open(p->index_dir, mode, &bar->sink, s, err);
}

int cmd_verify(const struct args *a, struct err *err)
{
    if (a->n_pos)
        return err_kind_set(err, ERR_USAGE, "unexpected argument '%s'", a->pos[0]);
    struct bar bar;
    struct place p;
    struct store *s = NULL;
    struct findings f = {0};
    bar_init(&bar, a);
    if (place_find(a, &p, err))
        return -1;
    int rc = open_or_salvage(a, &p, &bar, &f, &s, err);
    if (rc == 0 && s)
        rc = check_open(a, s, &bar, &f, err);
    if (rc == 0 && f.found.n && a->repair && !f.repaired) /* salvaged, and nothing else was wrong */
        f.ok = f.repaired = f.left.n == 0;
    bar_end(&bar);
    if (rc == 0)
        write_problems(a, &f.found, f.ok, f.repaired);
    else if (err->kind == ERR_STOPPED)
        rc = err_kind_set(err, ERR_STOPPED, "stopped before everything was checked");
    if (rc == 0 && !f.ok && !a->repair)
        note("%zu problem%s; `semsearch verify --repair` mends what can be mended", f.found.n,
             f.found.n == 1 ? "" : "s");
    free(f.found.item);
    free(f.left.item);
    store_close(s);
    place_release(&p);
    return rc ? rc : f.ok ? EXIT_FOUND : EXIT_BAD;
}
