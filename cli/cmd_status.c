/* cmd_status.c - `status`, `files`, `why`, `rm`: what the index holds and why, without any model.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/output.h"
#include "cli/parts.h"
#include "cli/place.h"
#include "cli/results.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- status
 * ------------------------------------------------------------------------------------------------------
 */

struct status {
    struct store_counts counts;
    struct snapshot_state ann;
    struct update_diff diff;
    char *model, *fingerprint, *dim;
    int64_t bytes;
};

static void status_release(struct status *st)
{
    free(st->model);
    free(st->fingerprint);
    free(st->dim);
}

static int64_t folder_bytes(const char *dir)
{
    char *copy = xstrdup(dir);
    char *roots[] = {copy, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    int64_t total = 0;
    for (FTSENT *e; fts && (e = fts_read(fts));)
        if (e->fts_info == FTS_F)
            total += e->fts_statp->st_size;
    if (fts)
        fts_close(fts);
    free(copy);
    return total;
}

static int status_read(const struct args *a, const struct place *p, struct store *s,
                       struct status *st, struct err *err)
{
    if (store_counts(s, &st->counts, err) || store_meta_get(s, "model_name", &st->model, err) ||
        store_meta_get(s, "fingerprint", &st->fingerprint, err) ||
        store_meta_get(s, "dim", &st->dim, err))
        return -1;
    st->bytes = folder_bytes(p->index_dir);
    if (st->fingerprint && st->dim) {
        struct snapshot *snap;
        if (snapshot_open(s, st->fingerprint, atoi(st->dim), &snap, err))
            return -1;
        snapshot_state(snap, &st->ann);
        snapshot_close(snap);
    }
    if (!a->check)
        return 0;
    struct walk_options walk;
    struct parts parts;
    walk_options_of(a, &walk);
    int rc = parts_load(&parts, s, err);
    if (rc == 0)
        rc = update_check(s, p->root, (const char *const *)parts.item, parts.n, &walk, &st->diff,
                          err);
    parts_release(&parts);
    return rc;
}

static void status_json(const struct args *a, const struct place *p, const struct status *st,
                        struct str *out)
{
    struct json_writer w;
    json_begin(&w, out);
    jw_ktext(&w, "root", p->root);
    jw_ktext(&w, "index", p->index_dir);
    jw_kint(&w, "documents", st->counts.documents);
    jw_kint(&w, "chunks", st->counts.chunks);
    jw_kint(&w, "failed", st->counts.failed);
    jw_kint(&w, "skipped", st->counts.skipped);
    jw_key(&w, "model");
    jw_object(&w);
    jw_ktext(&w, "name", st->model);
    jw_ktext(&w, "fingerprint", st->fingerprint);
    if (st->dim)
        jw_kint(&w, "dim", atoi(st->dim));
    else
        jw_knull(&w, "dim");
    jw_end(&w);
    jw_key(&w, "vectors"); /* by what computed them */
    jw_object(&w);
    for (int i = 0; i < PRECISIONS; i++)
        jw_kint(&w, precision_name((enum precision)i), st->counts.by_precision[i]);
    jw_end(&w);
    jw_key(&w, "ann");
    jw_object(&w);
    jw_ktext(&w, "kind", st->ann.kind);
    jw_kint(&w, "count", st->ann.count);
    jw_kbool(&w, "stale", st->ann.stale);
    jw_ktext(&w, "problem", st->ann.problem[0] ? st->ann.problem : NULL);
    jw_end(&w);
    jw_kint(&w, "bytes", st->bytes);
    if (a->check) {
        jw_key(&w, "disk");
        jw_object(&w);
        jw_kint(&w, "changed", st->diff.changed);
        jw_kint(&w, "added", st->diff.added);
        jw_kint(&w, "gone", st->diff.gone);
        jw_end(&w);
    }
    json_finish(&w);
}

/* "210 int8, 12 fp32" */
static void vectors_text(const struct store_counts *c, struct str *out)
{
    const char *comma = "";
    for (int i = PRECISIONS - 1; i >= 0; i--)
        if (c->by_precision[i]) {
            str_printf(out, "%s%lld %s", comma, (long long)c->by_precision[i],
                       precision_name((enum precision)i));
            comma = ", ";
        }
    if (!*comma)
        str_puts(out, "none yet");
}

static void status_text(const struct args *a, const struct place *p, const struct status *st,
                        struct str *out)
{
    str_printf(out, "root       ");
    printable(out, span_of(p->root), false);
    str_printf(out, "\ndocuments  %lld (%lld passages), %lld skipped, %lld failed\n",
               (long long)st->counts.documents, (long long)st->counts.chunks,
               (long long)st->counts.skipped, (long long)st->counts.failed);
    str_printf(out, "model      %s, %s numbers a vector\n", st->model ? st->model : "none yet",
               st->dim ? st->dim : "0");
    str_puts(out, "vectors    ");
    vectors_text(&st->counts, out);
    str_printf(out, "\nsearch     %s, %lld passages%s\n",
               st->ann.kind ? st->ann.kind : "nothing to search", (long long)st->ann.count,
               st->ann.stale ? ", older than the index (still complete)" : "");
    if (st->ann.problem[0])
        str_printf(out, "           %s; the next `semsearch index` rebuilds it\n", st->ann.problem);
    str_printf(out, "size       %.1f MB on disk\n", (double)st->bytes / 1e6);
    if (a->check)
        str_printf(out, "disk       %lld changed, %lld added, %lld gone since\n",
                   (long long)st->diff.changed, (long long)st->diff.added,
                   (long long)st->diff.gone);
}

static int no_arguments(const struct args *a, struct err *err)
{
    return a->n_pos ? err_kind_set(err, ERR_USAGE, "unexpected argument '%s'", a->pos[0]) : 0;
}

int cmd_status(const struct args *a, struct err *err)
{
    struct place p;
    struct store *s;
    if (no_arguments(a, err) || place_open(a, STORE_READ, NULL, &p, &s, err))
        return -1;
    struct status st = {0};
    const int rc = status_read(a, &p, s, &st, err);
    if (rc == 0) {
        struct str out = {0};
        if (a->json || a->jsonl)
            status_json(a, &p, &st, &out);
        else
            status_text(a, &p, &st, &out);
        out_str(&out);
    }
    status_release(&st);
    store_close(s);
    place_release(&p);
    return rc;
}

/* ---- files
 * -------------------------------------------------------------------------------------------------------
 */

struct listing {
    const struct args *a;
    const struct place *place;
    uint32_t kinds;
    struct json_writer w;
    struct str out;
};

static bool listed(const struct listing *l, const struct store_doc *d)
{
    const struct args *a = l->a;
    if ((a->failed || a->skipped) && !(a->failed && d->state == DOC_FAILED) &&
        !(a->skipped && d->state == DOC_SKIPPED))
        return false;
    if (l->kinds && !(d->state == DOC_INDEXED && (l->kinds >> d->kind & 1)))
        return false;
    for (size_t i = 0; i < a->path.n; i++)
        if (glob_match_path(span_of(a->path.item[i]), span_of(d->path)))
            return true;
    return a->path.n == 0;
}

static void file_json(struct json_writer *w, const struct store_doc *d)
{
    char when[32];
    jw_ktext(w, "path", d->path);
    jw_ktext(w, "state", doc_state_name(d->state));
    jw_ktext(w, "reason", d->reason);
    jw_ktext(w, "hint", d->hint);
    jw_ktext(w, "kind", d->state == DOC_INDEXED ? kind_name(d->kind) : NULL);
    const bool known = d->stamp.size >= 0; /* of a folder that cannot be read nothing is */
    jw_key(w, "bytes");
    if (known)
        jw_int(w, d->stamp.size);
    else
        jw_null(w);
    jw_kint(w, "chunks", d->n_chunks);
    time_rfc3339(d->stamp.mtime_ns, when);
    jw_ktext(w, "mtime", known ? when : NULL);
}

static void file_text(struct listing *l, const struct store_doc *d)
{
    struct str path = {0};
    place_display(l->place, d->path, &path);
    if (l->a->paths) {
        str_span(&l->out, str_view(&path));
        str_putc(&l->out, l->a->nul ? '\0' : '\n');
        str_release(&path);
        return;
    }
    const enum style style = d->state == DOC_FAILED    ? STYLE_BAD
                             : d->state == DOC_SKIPPED ? STYLE_DIM
                                                       : STYLE_GOOD;
    styled(&l->out, style, span_of(doc_state_name(d->state)));
    str_printf(&l->out, "%*s", (int)(9 - strlen(doc_state_name(d->state))), "");
    printable(&l->out, str_view(&path), false);
    if (d->reason) {
        str_puts(&l->out, "  ");
        printable(&l->out, span_of(d->reason), false);
    }
    str_putc(&l->out, '\n');
    str_release(&path);
}

static int list_file(void *ctx, const struct store_doc *d, struct err *err)
{
    (void)err;
    struct listing *l = ctx;
    if (!listed(l, d))
        return 0;
    if (l->a->json) {
        jw_object(&l->w);
        file_json(&l->w, d);
        jw_end(&l->w);
    } else if (l->a->jsonl) {
        json_begin(&l->w, &l->out);
        file_json(&l->w, d);
        json_finish(&l->w);
    } else {
        file_text(l, d);
    }
    if (l->out.n > 1 << 20) { /* a long list leaves in pieces */
        out_write(str_view(&l->out));
        str_clear(&l->out);
    }
    return 0;
}

int cmd_files(const struct args *a, struct err *err)
{
    struct place p;
    struct store *s;
    if (no_arguments(a, err))
        return -1;
    if (a->nul && !a->paths)
        return err_kind_set(err, ERR_USAGE, "-0 goes with --paths");
    struct listing l = {.a = a, .place = &p};
    if (results_kinds(&a->kind, &l.kinds, err))
        return -1;
    if (place_open(a, STORE_READ, NULL, &p, &s, err))
        return -1;
    if (a->json) {
        json_begin(&l.w, &l.out);
        jw_key(&l.w, "files");
        jw_array(&l.w);
    }
    const int rc = store_each_doc(s, list_file, &l, err);
    if (a->json)
        json_finish(&l.w);
    if (rc == 0)
        out_write(str_view(&l.out));
    str_release(&l.out);
    store_close(s);
    place_release(&p);
    return rc;
}

/* ---- why
 * ---------------------------------------------------------------------------------------------------------
 */

/* What lies at a path of the root: a file (or anything that is no folder), a folder, nothing. */
enum on_disk { DISK_FILE, DISK_FOLDER, DISK_NOTHING };

static enum on_disk look(const struct place *p, const char *rel)
{
    char *path = path_join(p->root, rel);
    struct stat st;
    const bool there = lstat(path, &st) == 0;
    free(path);
    return !there ? DISK_NOTHING : S_ISDIR(st.st_mode) ? DISK_FOLDER : DISK_FILE;
}

static const char *why_state(const struct walk_reason *r, const struct store_doc *d, bool in_index,
                             enum on_disk disk)
{
    if (in_index)
        return doc_state_name(d->state);
    if (disk == DISK_NOTHING)
        return "missing";
    if (!r->taken)
        return "ignored";
    return disk == DISK_FOLDER ? "folder" : "new";
}

static void why_json(const char *path, const struct walk_reason *r, const struct store_doc *d,
                     bool in_index, enum on_disk disk)
{
    struct str out = {0};
    struct json_writer w;
    json_begin(&w, &out);
    jw_ktext(&w, "path", path);
    jw_ktext(&w, "state", why_state(r, d, in_index, disk));
    jw_kbool(&w, "taken", r->taken);
    jw_ktext(&w, "reason", in_index && d->reason ? d->reason : r->what);
    jw_ktext(&w, "hint", in_index ? d->hint : NULL);
    jw_ktext(&w, "rule", r->rule);
    jw_ktext(&w, "file", r->file);
    if (r->file)
        jw_kint(&w, "line", r->line);
    else
        jw_knull(&w, "line");
    jw_ktext(&w, "at", r->at);
    json_finish(&w);
    out_str(&out);
}

static void why_text(const char *arg, const struct walk_reason *r, const struct store_doc *d,
                     bool in_index, enum on_disk disk)
{
    struct str out = {0};
    printable(&out, span_of(arg), false);
    if (in_index && d->state == DOC_INDEXED)
        str_printf(&out, ": indexed, %lld passage%s (%s)", (long long)d->n_chunks,
                   d->n_chunks == 1 ? "" : "s", kind_name(d->kind));
    else if (in_index)
        str_printf(&out, ": %s: %s%s%s", doc_state_name(d->state), d->reason ? d->reason : "",
                   d->hint ? "; " : "", d->hint ? d->hint : "");
    else if (disk == DISK_FOLDER && r->taken)
        str_puts(&out, ": a folder; `semsearch files --path` lists what is below it");
    else
        str_printf(&out, ": %s",
                   r->taken ? "not in the index yet; `semsearch index` takes it" : "not indexed");
    str_putc(&out, '\n');
    if (r->what[0]) {
        str_puts(&out, "  ");
        printable(&out, span_of(r->what), false);
        if (r->file) {
            str_puts(&out, " (");
            printable(&out, span_of(r->file), false);
            str_printf(&out, ":%d)", r->line);
        }
        str_putc(&out, '\n');
    }
    out_str(&out);
}

int cmd_why(const struct args *a, struct err *err)
{
    if (a->n_pos != 1)
        return err_kind_set(err, ERR_USAGE, "expected one PATH");
    struct place p;
    struct store *s;
    if (place_open(a, STORE_READ, NULL, &p, &s, err))
        return -1;
    struct store_doc doc = {0};
    struct walk_reason r = {0};
    struct walk_options walk;
    walk_options_of(a, &walk);
    char *rel = place_relative(&p, a->pos[0], err);
    int rc = rel ? 0 : -1, found = 0;
    if (rc == 0) {
        found = store_doc_by_path(s, rel, &doc, err);
        rc = found < 0 ? -1 : walk_why(p.root, rel, &walk, &r, err);
    }
    if (rc == 0 && (a->json || a->jsonl))
        why_json(rel, &r, &doc, found == 1, look(&p, rel));
    else if (rc == 0)
        why_text(a->pos[0], &r, &doc, found == 1, look(&p, rel));
    walk_reason_release(&r);
    store_doc_release(&doc);
    free(rel);
    store_close(s);
    place_release(&p);
    return rc;
}

/* ---- rm
 * ----------------------------------------------------------------------------------------------------------
 */

/* The ids of the documents at a path or below it. */
struct below {
    const char *path;
    int64_t *id;
    size_t n, cap;
};

static int collect_below(void *ctx, const struct store_doc *d, struct err *err)
{
    (void)err;
    struct below *b = ctx;
    const size_t n = strlen(b->path);
    if (n && !(strncmp(d->path, b->path, n) == 0 && (d->path[n] == '/' || !d->path[n])))
        return 0;
    VEC_GROW(b->id, b->n, b->cap);
    b->id[b->n++] = d->id;
    return 0;
}

static int remove_path(const struct place *p, struct store *s, const char *arg, int64_t *removed,
                       struct err *err)
{
    char *rel = place_relative(p, arg, err);
    if (!rel)
        return -1;
    const size_t n = strlen(rel);
    if (n && rel[n - 1] == '/')
        rel[n - 1] = '\0';
    struct below b = {.path = rel};
    int rc = store_each_doc(s, collect_below, &b, err);
    if (rc == 0 && b.n == 0)
        rc = err_kind_set(err, ERR_NOT_FOUND, "'%s' is not in the index", arg);
    for (size_t i = 0; i < b.n && rc == 0; i++, ++*removed)
        rc = store_delete(s, b.id[i], err);
    free(b.id);
    free(rel);
    return rc;
}

int cmd_rm(const struct args *a, struct err *err)
{
    if (a->n_pos == 0)
        return err_kind_set(err, ERR_USAGE, "expected at least one PATH");
    struct bar bar;
    struct place p;
    struct store *s;
    bar_init(&bar, a);
    if (place_open(a, STORE_WRITE, &bar.sink, &p, &s, err))
        return -1;
    int64_t removed = 0;
    int rc = store_begin(s, err);
    for (size_t i = 0; i < a->n_pos && rc == 0; i++)
        rc = remove_path(&p, s, a->pos[i], &removed, err);
    if (rc == 0)
        rc = store_commit(s, err);
    else
        store_rollback(s);
    if (rc == 0) {
        struct str out = {0};
        if (a->json || a->jsonl) {
            struct json_writer w;
            json_begin(&w, &out);
            jw_kint(&w, "removed", removed);
            json_finish(&w);
        } else {
            str_printf(&out, "%lld removed from the index\n", (long long)removed);
        }
        out_str(&out);
    }
    store_close(s);
    place_release(&p);
    return rc;
}
