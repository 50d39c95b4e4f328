/* cmd_verify.c - `semsearch verify [--repair]`: every checksum of the index, and mending what is
 * derived. */
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/place.h"
#include "src/base/mem.h"

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

static int check(struct store *s, struct problems *list, struct err *err)
{
    char *fingerprint = NULL, *dim = NULL;
    int rc = store_verify(s, collect, list, err);
    if (rc == 0 && (store_meta_get(s, "fingerprint", &fingerprint, err) ||
                    store_meta_get(s, "dim", &dim, err)))
        rc = -1;
    if (rc == 0 && fingerprint && dim)
        rc = snapshot_verify(s, fingerprint, atoi(dim), collect, list, err);
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

int cmd_verify(const struct args *a, struct err *err)
{
    if (a->n_pos)
        return err_kind_set(err, ERR_USAGE, "unexpected argument '%s'", a->pos[0]);
    struct bar bar;
    struct place p;
    struct store *s;
    bar_init(&bar, a);
    if (place_open(a, a->repair ? STORE_WRITE : STORE_READ, &bar.sink, &p, &s, err))
        return -1;
    struct problems found = {0}, left = {0};
    int rc = check(s, &found, err);
    bool ok = rc == 0 && found.n == 0, repaired = false;
    if (rc == 0 && found.n && a->repair) {
        rc = repair(s, &bar, err);
        if (rc == 0)
            rc = check(s, &left, err);
        repaired = rc == 0;
        ok = rc == 0 && left.n == 0;
    }
    bar_end(&bar);
    if (rc == 0)
        write_problems(a, &found, ok, repaired);
    if (rc == 0 && !ok && !a->repair)
        note("%zu problems; `semsearch verify --repair` rebuilds what is derived", found.n);
    free(found.item);
    free(left.item);
    store_close(s);
    place_release(&p);
    return rc ? rc : ok ? EXIT_FOUND : EXIT_BAD;
}
