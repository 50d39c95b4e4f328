/* update.c - one index run: fingerprint, the two threads, pruning, caches, report; see update.h.
 *
 * Order at the end: documents, then pruning, then the vectors nobody uses, then calibration and
 * caches. A kill between any two of them leaves a correct index, and "finished" in the store's meta
 * (the generation that everything was derived from) tells the next run to derive again.
 */
#include "index/update.h"

#include "index/glob.h"
#include "index/search.h"
#include "index/snapshot.h"
#include "index/update_parts.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/kernels/kernels.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { QUEUE_ITEMS = 1024, DELETES_AT_ONCE = 500 };
#define GATE_BYTES ((size_t)48 << 20)

bool update_expired(const struct update *u)
{
    return u->deadline_ms > 0 && clock_ms() > u->deadline_ms;
}

void update_report_release(struct update_report *r)
{
    for (size_t i = 0; i < r->n_failures; i++) {
        free(r->failure[i].path);
        free(r->failure[i].reason);
        free(r->failure[i].hint);
    }
    free(r->failure);
    *r = (struct update_report){0};
}

/* ---- what is to be walked ---- */

/* Is `path` the folder `dir` or something in it? "" holds everything. */
static bool is_within(const char *path, const char *dir)
{
    const size_t n = strlen(dir);
    return n == 0 || (strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

static char *clean_sub(const char *sub)
{
    struct str out = {0};
    struct span rest = span_of(sub), name;
    str_puts(&out, "");
    while (span_split(&rest, '/', &name)) {
        if (!name.n || span_eq(name, "."))
            continue;
        if (out.n)
            str_putc(&out, '/');
        str_span(&out, name);
    }
    return str_take(&out);
}

/* The folders to walk, none of them inside another, so that no file is met twice. */
static void choose_subs(struct update *u)
{
    const struct update_options *o = u->options;
    const bool all = o->n_sub == 0;
    const size_t n = all ? 1 : o->n_sub;
    u->sub = xcalloc(n, sizeof *u->sub);
    for (size_t i = 0; i < n; i++) {
        char *sub = clean_sub(all ? "" : o->sub[i]);
        bool inside = false;
        size_t kept = 0;
        for (size_t k = 0; k < u->n_sub; k++) {
            inside |= is_within(sub, u->sub[k]);
            if (!inside && is_within(u->sub[k], sub))
                free(u->sub[k]);
            else
                u->sub[kept++] = u->sub[k];
        }
        u->n_sub = kept;
        if (inside)
            free(sub);
        else
            u->sub[u->n_sub++] = sub;
    }
}

/* An index folder of another name inside the root must not index itself. */
static void exclude_index(struct update *u)
{
    const size_t n = strlen(u->root);
    const char *dir = u->s ? store_dir(u->s) : "";
    if (strncmp(dir, u->root, n) != 0 || dir[n] != '/' || !dir[n + 1])
        return;
    struct str glob = {0};
    for (const char *c = dir + n; *c; c++) {
        if (strchr("*?[\\", *c))
            str_putc(&glob, '\\');
        str_putc(&glob, *c);
    }
    const char **exclude = xcalloc(u->walk.n_exclude + 1, sizeof *exclude);
    for (size_t i = 0; i < u->walk.n_exclude; i++)
        exclude[i] = u->walk.exclude[i];
    exclude[u->walk.n_exclude++] = str_take(&glob);
    u->walk.exclude = exclude;
}

static void release_excludes(struct update *u)
{
    if (u->walk.exclude == u->options->walk.exclude)
        return;
    free((char *)u->walk.exclude[u->walk.n_exclude - 1]);
    free((void *)u->walk.exclude);
}

/* ---- whose vectors these are ---- */

static int refuse_model(struct update *u, struct err *err)
{
    char *name = NULL;
    if (store_meta_get(u->s, "model_name", &name, err))
        return -1;
    const bool same_name = name && strcmp(name, u->embedder->name) == 0;
    err_kind_set(err, ERR_INCOMPATIBLE,
                 same_name ? "the index was made with another version of the model '%s' or of "
                             "semsearch"
                           : "the index is of the model '%s'",
                 name ? name : "unknown");
    free(name);
    return err_hint(err, same_name ? "--reembed computes all vectors anew"
                                   : "use that model, or --reembed to compute all vectors anew");
}

static int adopt_model(struct update *u, bool forget, struct err *err)
{
    char dim[16];
    snprintf(dim, sizeof dim, "%d", u->embedder->dim);
    if (store_begin(u->s, err))
        return -1;
    if ((forget && store_forget_vectors(u->s, err)) ||
        store_meta_set(u->s, "fingerprint", u->fingerprint, err) ||
        store_meta_set(u->s, "dim", dim, err)) {
        store_rollback(u->s);
        return -1;
    }
    return store_commit(u->s, err);
}

/* Every vector is stored with what computed it; that of the last run is what questions are computed
 * in where the model's own word on it is missing. */
static int note_precision(struct update *u, struct err *err)
{
    const char *now = precision_name(u->embedder->precision);
    char *last = NULL;
    if (!u->s || u->options->dry_run)
        return 0;
    store_vectors_are(u->s, u->embedder->precision);
    if (store_meta_get(u->s, "precision", &last, err))
        return -1;
    const bool same = last && strcmp(last, now) == 0;
    free(last);
    return same ? 0 : store_meta_set(u->s, "precision", now, err);
}

static int check_model(struct update *u, struct err *err)
{
    char *have = NULL;
    update_fingerprint(u->embedder, u->fingerprint);
    if (!u->s)
        return 0;
    if (store_meta_get(u->s, "fingerprint", &have, err))
        return -1;
    const bool other = have && strcmp(have, u->fingerprint) != 0;
    int rc = 0;
    if (other && !u->options->reembed)
        rc = refuse_model(u, err);
    else if (!u->options->dry_run && (!have || u->options->reembed))
        rc = adopt_model(u, have != NULL, err);
    free(have);
    return rc;
}

/* ---- pruning ---- */

struct prune {
    struct update *u;
    int64_t *id;
    size_t n, cap;
};

static bool matches_any(const char *const *glob, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (glob_match_path(span_of(glob[i]), span_of(path)))
            return true;
    return false;
}

/* Was the file to be met by this walk? --include and --exclude narrow a run as its folders do. */
static bool in_scope(const struct update *u, const char *path)
{
    const struct walk_options *w = &u->options->walk;
    bool within = false;
    for (size_t i = 0; i < u->n_sub; i++)
        within |= is_within(path, u->sub[i]);
    return within && (!w->n_include || matches_any(w->include, w->n_include, path)) &&
           !matches_any(w->exclude, w->n_exclude, path);
}

static int find_gone(void *ctx, const struct store_doc *d, struct err *err)
{
    (void)err;
    struct prune *p = ctx;
    const struct known *k = known_find(&p->u->known, d->path);
    if (!k || k->seen || k->id != d->id || !in_scope(p->u, d->path))
        return 0;
    VEC_GROW(p->id, p->n, p->cap);
    p->id[p->n++] = d->id;
    p->u->report->removed += !k->is_dir; /* a folder's record is no file */
    return 0;
}

static int delete_all(struct update *u, const int64_t *id, size_t n, struct err *err)
{
    for (size_t i = 0; i < n;) {
        if (store_begin(u->s, err))
            return -1;
        for (const size_t end = i + DELETES_AT_ONCE; i < n && i < end; i++)
            if (store_delete(u->s, id[i], err)) {
                store_rollback(u->s);
                return -1;
            }
        if (store_commit(u->s, err))
            return -1;
    }
    return 0;
}

static int prune_gone(struct update *u, struct err *err)
{
    if (!u->s || u->options->no_prune)
        return 0;
    if (u->lost_folders) {
        if (u->sink && u->sink->note) {
            char *line = xasprintf("nothing was removed from the index, because the folder '%s' "
                                   "could not be read",
                                   *u->lost_folder ? u->lost_folder : ".");
            u->sink->note(u->sink->ctx, line);
            free(line);
        }
        return 0;
    }
    struct prune p = {.u = u};
    int rc = store_each_doc(u->s, find_gone, &p, err);
    if (!rc && !u->options->dry_run)
        rc = delete_all(u, p.id, p.n, err);
    free(p.id);
    return rc;
}

/* ---- what is derived ---- */

static int derive(struct update *u, struct err *err)
{
    int64_t generation, pruned;
    char *finished = NULL, now[24];
    struct store_counts counts;
    if (store_generation(u->s, &generation, err) ||
        store_meta_get(u->s, "finished", &finished, err))
        return -1;
    snprintf(now, sizeof now, "%lld", (long long)generation);
    const bool changed = !finished || strcmp(finished, now) != 0;
    free(finished);
    if (changed && (store_vectors_prune(u->s, &pruned, err) || store_counts(u->s, &counts, err) ||
                    (counts.chunks && search_calibrate(u->s, u->embedder, err))))
        return -1;
    /* a run that its time limit ended leaves the costly graph to the one that completes */
    const char *ann = u->report->complete ? "auto" : "present";
    if (snapshot_build(u->s, u->fingerprint, u->embedder->dim, ann, false, u->sink, err))
        return -1;
    return changed ? store_meta_set(u->s, "finished", now, err) : 0;
}

/* ---- the run ---- */

/* Starts the reader, writes what it sends, and waits for its end. */
static int run_threads(struct update *u, struct err *err)
{
    pthread_t reader;
    u->queue = queue_new(QUEUE_ITEMS);
    gate_init(&u->gate, GATE_BYTES);
    int rc = 0;
    if (pthread_create(&reader, NULL, reader_main, u)) {
        rc = err_set(err, "cannot start the reading thread");
    } else {
        rc = writer_run(u, err);
        atomic_store(&u->quit, true);
        queue_close(u->queue);
        gate_close(&u->gate);
        pthread_join(reader, NULL);
    }
    struct item *left;
    while ((left = queue_try_take(u->queue)))
        item_free(left);
    queue_free(u->queue);
    gate_release(&u->gate);
    if (!rc && u->reader_rc) {
        *err = u->reader_err;
        rc = -1;
    }
    u->report->unchanged += u->unchanged;
    u->report->skipped += u->skipped;
    if (u->cut || rc)
        u->report->complete = false;
    if (!rc && stop_requested())
        rc = err_kind_set(err, ERR_STOPPED, "stopped");
    return rc;
}

static int run(struct update *u, struct err *err)
{
    if (kernels_init(err) || check_model(u, err) || note_precision(u, err) ||
        known_load(&u->known, u->s, err))
        return -1;
    unfinished_load(u);
    if (run_threads(u, err))
        return -1;
    if (u->report->complete && u->unfinished.n && !u->options->dry_run)
        unfinished_remove(u);
    if (u->report->complete && prune_gone(u, err))
        return -1;
    return u->options->dry_run ? 0 : derive(u, err);
}

int update_run(struct store *s, const char *root, struct embedder *embedder,
               const struct update_options *options, const struct progress_sink *sink,
               struct update_report *report, struct err *err)
{
    struct update u = {.s = s,
                       .root = root,
                       .embedder = embedder,
                       .options = options,
                       .walk = options->walk,
                       .sink = sink,
                       .slice_tokens = 2048,
                       .report = report};
    *report = (struct update_report){.complete = true};
    u.start_ms = clock_ms();
    if (options->time_limit_s > 0)
        u.deadline_ms = u.start_ms + options->time_limit_s * 1000;
    u.root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (u.root_fd < 0) {
        err_errno(err, "cannot open the folder '%s'", root);
        if (errno == ENOENT || errno == ENOTDIR)
            err->kind = ERR_NOT_FOUND;
        return -1;
    }
    choose_subs(&u);
    exclude_index(&u);
    const int rc = run(&u, err);
    report->seconds = (clock_ms() - u.start_ms) / 1000;
    report->complete = report->complete && rc == 0;
    close(u.root_fd);
    release_excludes(&u);
    for (size_t i = 0; i < u.n_sub; i++)
        free(u.sub[i]);
    free(u.sub);
    free(u.lost_folder);
    known_release(&u.known);
    unfinished_release(&u.unfinished);
    return rc;
}
