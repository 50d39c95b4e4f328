/* cmd_index.c - `semsearch index`: finds or makes the index, opens the model, runs the update,
 * reports. */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/output.h"
#include "cli/parts.h"
#include "cli/place.h"
#include "cli/reembed.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What the DIR arguments come to: which index, its root, and the parts of it to bring up to date.
 */
struct target {
    struct place place;
    bool exists; /* the index folder holds a store already */
    char **sub;  /* relative to the root */
    size_t n_sub;
    struct parts parts; /* of the root, that the index is of */
};

static void target_release(struct target *t)
{
    for (size_t i = 0; i < t->n_sub; i++)
        free(t->sub[i]);
    free(t->sub);
    parts_release(&t->parts);
    place_release(&t->place);
}

/* The deepest folder that holds both; `a` is shortened in place. */
static void common_folder(char *a, const char *b)
{
    size_t i = 0, cut = 0;
    for (; a[i] && a[i] == b[i]; i++)
        if (a[i] == '/')
            cut = i;
    if ((!a[i] || a[i] == '/') && (!b[i] || b[i] == '/'))
        cut = i;
    a[cut ? cut : 1] = '\0';
}

/* Every DIR as an absolute path without links; a missing one is an error. */
static int resolve_dirs(const struct args *a, char ***out, size_t *n, struct err *err)
{
    static const char *const here[] = {"."};
    const char *const *dir = a->n_pos ? a->pos : here;
    *n = a->n_pos ? a->n_pos : 1;
    *out = xcalloc(*n, sizeof **out);
    for (size_t i = 0; i < *n; i++) {
        (*out)[i] = realpath(dir[i], NULL);
        if (!(*out)[i]) {
            err_errno(err, "cannot index '%s'", dir[i]);
            return err_hint(err, "give a folder that exists");
        }
    }
    return 0;
}

/* Without --index: the index above the first DIR, else a new one in it. */
static int choose_index(char *const *dir, size_t n, struct place *p, struct err *err)
{
    p->index_dir = place_above(dir[0]);
    if (p->index_dir)
        return 0;
    if (n > 1) {
        err_kind_set(err, ERR_USAGE, "%zu folders, and no index above the first of them", n);
        return err_hint(err, "name one index for all: semsearch index --index INDEX DIR...");
    }
    if (!dir_exists(dir[0])) {
        err_kind_set(err, ERR_USAGE, "'%s' is a file outside of any indexed folder", dir[0]);
        return err_hint(err, "index its folder");
    }
    p->index_dir = path_join(dir[0], INDEX_FOLDER);
    return 0;
}

/* The root of an index that is being made. */
static int new_root(struct place *p, char *const *dir, size_t n, struct err *err)
{
    const char *slash = strrchr(p->index_dir, '/');
    if (strcmp(slash + 1, INDEX_FOLDER) == 0)
        return place_root(p, NULL, err);
    p->root = xstrdup(dir[0]);
    for (size_t i = 1; i < n; i++)
        common_folder(p->root, dir[i]);
    if (!dir_exists(p->root)) /* one single file */
        *strrchr(p->root, '/') = '\0';
    return 0;
}

static int find_target(const struct args *a, char *const *dir, size_t n, struct target *t,
                       struct err *err)
{
    struct place *p = &t->place;
    p->cwd = realpath(".", NULL);
    if (!p->cwd)
        return err_errno(err, "cannot tell the current folder");
    if (a->index) {
        char *joined = a->index[0] == '/' ? xstrdup(a->index) : path_join(p->cwd, a->index);
        char *real = realpath(joined, NULL);
        p->index_dir = real ? real : path_clean(joined);
        free(joined);
    } else if (choose_index(dir, n, p, err)) {
        return -1;
    }
    char *db = path_join(p->index_dir, "index.db");
    t->exists = file_exists(db);
    free(db);
    if (!t->exists)
        return new_root(p, dir, n, err);
    struct store *s;
    if (store_open(p->index_dir, STORE_READ, NULL, &s, err))
        return -1;
    int rc = parts_load(&t->parts, s, err);
    if (rc == 0)
        rc = place_root(p, s, err);
    store_close(s);
    if (rc == 0 && !dir_exists(p->root)) {
        err_kind_set(err, ERR_NOT_FOUND, "the folder of this index, '%s', is gone", p->root);
        rc = err_hint(err, "put it back (searching works meanwhile), or make a new index of it");
    }
    return rc;
}

static int find_subs(const struct args *a, char *const *dir, size_t n, struct target *t,
                     struct err *err)
{
    if (t->exists && ((a->index && a->n_pos == 0) || a->reembed))
        return 0; /* `index --index X` brings all of X up to date, wherever we stand */
    t->sub = xcalloc(n, sizeof *t->sub);
    for (; t->n_sub < n; t->n_sub++) {
        t->sub[t->n_sub] = place_relative(&t->place, dir[t->n_sub], err);
        if (!t->sub[t->n_sub])
            return err_hint(err, "its index is '%s'; name another with --index",
                            t->place.index_dir);
    }
    for (size_t i = 0; i < t->n_sub; i++)
        if (!t->exists || t->parts.n)
            parts_add(&t->parts, t->sub[i]);
    return 0;
}

/* Git must never see the index of its own documents. */
static void write_gitignore(const char *index_dir)
{
    char *path = path_join(index_dir, ".gitignore");
    struct outfile f;
    if (!file_exists(path) && outfile_open(&f, path, NULL) == 0) {
        outfile_write(&f, "*\n", 2);
        if (outfile_commit(&f, NULL))
            note("cannot write '%s'", path);
    }
    free(path);
}

/* Remembers root and model; only when the vectors are, or will be, this model's. */
static int write_facts(const struct args *a, const struct target *t, const struct engine *e,
                       struct store *s, struct err *err)
{
    char *have = NULL, now[33];
    if (store_meta_get(s, "fingerprint", &have, err))
        return -1;
    update_fingerprint(e->embedder, now);
    const bool ours = !have || a->reembed || strcmp(have, now) == 0;
    const bool known = have && strcmp(have, now) == 0 && !a->model;
    free(have);
    if (!t->exists) {
        char *root = place_root_text(&t->place);
        const int rc = store_meta_set(s, "root", root, err);
        free(root);
        if (rc)
            return -1;
    }
    if (t->parts.changed && parts_save(&t->parts, s, err))
        return -1;
    if (!ours || known)
        return 0;
    const char *pooling = e->from.pooling ? e->from.pooling : "";
    if (store_meta_set(s, "model_name", e->from.name, err) ||
        store_meta_set(s, "model_path", e->from.path, err))
        return -1;
    return store_meta_set(s, "model_pooling", pooling, err);
}

static void report_json(const struct update_report *r, struct str *out)
{
    struct json_writer w;
    json_begin(&w, out);
    jw_kint(&w, "indexed", r->indexed);
    jw_kint(&w, "unchanged", r->unchanged);
    jw_kint(&w, "removed", r->removed);
    jw_kint(&w, "skipped", r->skipped);
    jw_kint(&w, "failed", r->failed);
    jw_kint(&w, "chunks", r->chunks);
    jw_kint(&w, "tokens", r->tokens);
    jw_kfloat(&w, "seconds", r->seconds, 6);
    jw_kbool(&w, "complete", r->complete);
    jw_key(&w, "failures");
    jw_array(&w);
    for (size_t i = 0; i < r->n_failures; i++) {
        jw_object(&w);
        jw_ktext(&w, "path", r->failure[i].path);
        jw_ktext(&w, "reason", r->failure[i].reason);
        jw_ktext(&w, "hint", r->failure[i].hint);
        jw_end(&w);
    }
    jw_end(&w);
    json_finish(&w);
}

static void report_failures(const struct target *t, const struct update_report *r)
{
    enum { SHOWN = 10 };
    struct str path = {0}, clean = {0};
    for (size_t i = 0; i < r->n_failures && i < SHOWN; i++) {
        str_clear(&path);
        str_clear(&clean);
        place_display(&t->place, r->failure[i].path, &path);
        printable(&clean, str_view(&path), false);
        const char *hint = r->failure[i].hint;
        note("failed: %s: %s%s%s", clean.p, r->failure[i].reason, hint && *hint ? "; " : "",
             hint ? hint : "");
    }
    if (r->n_failures > SHOWN)
        note("and %zu more: semsearch files --failed", r->n_failures - SHOWN);
    str_release(&path);
    str_release(&clean);
}

static void report_text(const struct args *a, const struct update_report *r, struct str *out)
{
    str_printf(out, "%s%lld indexed, %lld unchanged, %lld removed, %lld skipped, %lld failed",
               a->dry_run ? "would be: " : "", (long long)r->indexed, (long long)r->unchanged,
               (long long)r->removed, (long long)r->skipped, (long long)r->failed);
    str_printf(out, " (%lld passages, %lld tokens, %.1f s)\n", (long long)r->chunks,
               (long long)r->tokens, r->seconds);
    if (!r->complete)
        str_puts(out, "not complete: run the same command again to go on\n");
}

static int index_target(const struct args *a, const struct target *t, struct engine *e,
                        struct store *s, struct bar *bar, struct err *err)
{
    const bool all = t->n_sub == 0;
    struct update_options o = {.sub = (const char *const *)(all ? t->parts.item : t->sub),
                               .n_sub = all ? t->parts.n : t->n_sub,
                               .dry_run = a->dry_run,
                               .force = a->force,
                               .reembed = a->reembed,
                               .no_prune = a->no_prune,
                               .time_limit_s = a->time_limit};
    walk_options_of(a, &o.walk);
    struct update_report r = {0};
    int rc = update_run(s, t->place.root, e->embedder, &o, &bar->sink, &r, err);
    bar_end(bar);
    if (rc == 0 || err->kind == ERR_STOPPED) {
        struct str out = {0};
        if (a->json || a->jsonl)
            report_json(&r, &out);
        else
            report_text(a, &r, &out);
        out_str(&out);
        report_failures(t, &r);
        if (rc) {
            note("stopped; what was indexed is kept");
            rc = 128 + (stop_signal() ? stop_signal() : SIGINT);
        } else {
            rc = r.failed || !r.complete ? EXIT_PARTIAL : EXIT_FOUND;
        }
    }
    update_report_release(&r);
    return rc;
}

/* The model: --model, else the one of the index, else the default. */
static int open_model(const struct args *a, const struct target *t, struct engine *e,
                      struct err *err)
{
    if (t->exists && !a->model) {
        struct store *s;
        if (store_open(t->place.index_dir, STORE_READ, NULL, &s, err))
            return -1;
        char *fingerprint = NULL;
        int rc = store_meta_get(s, "fingerprint", &fingerprint, err);
        if (rc == 0 && fingerprint)
            rc = engine_of_index(a, s, e, err);
        store_close(s);
        const bool done = rc || fingerprint;
        free(fingerprint);
        if (done)
            return rc;
    }
    struct args with = *a;
    if (!with.precision)
        with.precision = a->dry_run ? "fp32" : "auto";
    if (engine_open(&with, a->model, e, err))
        return -1;
    return engine_embedder(e, err);
}

static int run_target(const struct args *a, const struct target *t, struct err *err)
{
    struct engine e = {0};
    if (open_model(a, t, &e, err)) {
        engine_close(&e);
        return -1;
    }
    if (t->exists)
        engine_adapt(&e, t->place.index_dir); /* its background is that of mapped questions */
    struct bar bar;
    bar_init(&bar, a);
    struct store *s = NULL;
    int rc = 0;
    if (!a->dry_run) {
        rc = store_open(t->place.index_dir, STORE_CREATE, &bar.sink, &s, err);
        if (rc && !t->exists && !a->index && err->kind == ERR_IO)
            err_hint(err, "the index can be kept elsewhere: semsearch index --index PLACE DIR");
        if (rc == 0) {
            write_gitignore(t->place.index_dir);
            rc = write_facts(a, t, &e, s, err);
        }
    } else if (t->exists) {
        rc = store_open(t->place.index_dir, STORE_READ, NULL, &s, err);
    }
    if (rc == 0 && a->reembed && t->exists)
        rc = reembed_say(s, &e, err);
    if (rc == 0)
        rc = index_target(a, t, &e, s, &bar, err);
    store_close(s);
    engine_close(&e);
    return rc;
}

int cmd_index(const struct args *a, struct err *err)
{
    if (a->prune && a->no_prune)
        return err_kind_set(err, ERR_USAGE, "--prune and --no-prune exclude each other");
    char **dir = NULL;
    size_t n = 0;
    struct target t = {0};
    int rc = resolve_dirs(a, &dir, &n, err);
    if (rc == 0)
        rc = find_target(a, dir, n, &t, err);
    if (rc == 0)
        rc = find_subs(a, dir, n, &t, err);
    if (rc == 0)
        rc = run_target(a, &t, err);
    for (size_t i = 0; i < n; i++)
        free(dir[i]);
    free(dir);
    target_release(&t);
    return rc;
}
