/* update_read.c - the reading thread of an index run: from the walk's entries to items.
 *
 * A file whose stamp (size, mtime, ctime, inode) is the known one is not opened. Else its content
 * is hashed: the same content as before is only touched; a content that another document of the
 * index has (a moved, renamed or copied file) is taken from there; anything else is extracted and
 * cut into passages.
 *
 * A file may change while it is read. The stamp is taken before and after; when they differ it is
 * read once more, and if it still moves, what was read is indexed under a stamp that no file can
 * have, so that the next run looks again. The same is done for a file changed less than 50 ms
 * before: file systems' clocks tick coarsely, and a later change within the tick would leave the
 * stamp as it is.
 */
#include "index/update_parts.h"

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WALK_ENDED = 1, HASH_BUFFER = 1 << 18, ITEM_OVERHEAD = 512, CHUNK_OVERHEAD = 200 };
static const int64_t RACY_NS = 50000000;

struct reader {
    struct update *u;
    struct extractor *x;
};

int content_hash(int fd, const struct update *u, struct hash128 *out)
{
    struct hasher *h = hasher_new();
    char *buffer = xmalloc(HASH_BUFFER);
    ssize_t n;
    off_t at = 0;
    while ((n = pread(fd, buffer, HASH_BUFFER, at)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0) {
            hasher_add(h, buffer, (size_t)n);
            at += n;
        }
        if (stop_requested() || (u && update_expired(u))) {
            errno = ECANCELED;
            n = -1;
            break;
        }
    }
    const int saved = errno;
    free(buffer);
    *out = hasher_finish(h);
    errno = saved;
    return n < 0 ? -1 : 0;
}

/* ---- sending ---- */

static size_t item_bytes(const struct item *it)
{
    size_t n = ITEM_OVERHEAD + it->text.cap + it->chunks.cap * sizeof *it->chunks.item;
    for (size_t i = 0; i < it->chunks.n; i++)
        n += CHUNK_OVERHEAD + strlen(it->chunks.item[i].embed_text);
    return n;
}

/* Hands the item over; the walk ends when nobody takes items any more. */
static int send_item(struct update *u, struct item *it)
{
    it->bytes = item_bytes(it);
    if (gate_enter(&u->gate, it->bytes) && queue_put(u->queue, it))
        return 0;
    item_free(it);
    u->cut = true;
    return WALK_ENDED;
}

static struct item *new_item(enum item_kind kind, const char *path, enum doc_state state)
{
    struct item *it = xcalloc(1, sizeof *it);
    it->kind = kind;
    it->doc.path = xstrdup(path);
    it->doc.state = state;
    it->doc.extract_version = extract_version();
    return it;
}

/* A skipped or failed document. stamp NULL: a folder. */
static int send_unread(struct update *u, struct known *k, const char *path, enum doc_state state,
                       const char *reason, const char *hint, const struct file_stamp *stamp,
                       struct hash128 content)
{
    struct item *it = new_item(ITEM_DOC, path, state);
    it->doc.reason = xstrdup(reason);
    it->doc.hint = hint && *hint ? xstrdup(hint) : NULL;
    it->doc.stamp = stamp ? *stamp : (struct file_stamp){.size = -1};
    it->doc.content = content;
    if (k)
        k->replaced = true;
    return send_item(u, it);
}

static int send_known(struct update *u, enum item_kind kind, const char *path,
                      const struct known *k, const struct file_stamp *stamp)
{
    struct item *it = new_item(kind, path, k->state);
    it->source = k->id;
    it->state = k->state;
    it->doc.stamp = *stamp;
    return send_item(u, it);
}

/* ---- one file ---- */

/* Was the file changed so lately that a change to come may leave its stamp as it is? Asked before
 * the reading begins: that may take longer than RACY_NS. */
static bool is_racy(const struct file_stamp *s)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t ns = time_ns(now.tv_sec, now.tv_nsec);
    return s->ctime_ns > ns - RACY_NS && s->ctime_ns < ns + RACY_NS;
}

static bool fd_stamp(int fd, struct file_stamp *out)
{
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        return false;
    *out = stamp_of(&st);
    return true;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int send_document(struct reader *r, struct known *k, const char *path,
                         struct extract_result *x, const struct file_stamp *stamp,
                         struct hash128 content, struct err *err)
{
    struct item *it = new_item(ITEM_DOC, path, DOC_INDEXED);
    if (chunk_document(&x->doc, r->u->embedder, NULL, &it->chunks, err)) {
        item_free(it);
        return -1;
    }
    if (!it->chunks.n) {
        item_free(it);
        return send_unread(r->u, k, path, DOC_SKIPPED, "no text", NULL, stamp, content);
    }
    it->doc.kind = x->doc.kind;
    it->doc.verbatim = x->doc.verbatim;
    it->doc.src_offset = (int64_t)x->doc.src_offset;
    it->doc.stamp = *stamp;
    it->doc.content = content;
    it->doc.title = x->doc.title;
    it->doc.extractor = x->doc.extractor;
    it->text = x->doc.text;
    x->doc.title = x->doc.extractor = NULL;
    x->doc.text = (struct str){0};
    if (k)
        k->replaced = true;
    return send_item(r->u, it);
}

/* What is read from an open file: the content's hash, then perhaps its text. */
struct reading {
    struct file_stamp stamp;
    struct hash128 content;
    struct known *copy; /* a document to take it from */
    bool same;          /* the content that is already known at this path */
    bool extracted;
    bool unsettled; /* to be stored under a stamp that the next run takes for a change */
    struct extract_result result;
};

/* Reads once. 0, WALK_ENDED, -1 (err), or -2 with errno when the file cannot be read. */
static int read_once(struct reader *r, int fd, const char *path, const struct known *k,
                     struct reading *out, struct err *err)
{
    const bool force = r->u->options->force;
    if (!fd_stamp(fd, &out->stamp))
        return -2;
    out->unsettled = is_racy(&out->stamp);
    if (content_hash(fd, r->u, &out->content)) {
        if (stop_requested())
            return err_kind_set(err, ERR_STOPPED, "stopped");
        return errno == ECANCELED ? WALK_ENDED : -2;
    }
    out->same = k && !force && !k->retry && k->version == extract_version() &&
                hash_equal(out->content, k->content) && (k->usable || k->state != DOC_INDEXED);
    out->copy =
        out->same || force ? NULL : known_copy(&r->u->known, out->content, known_name_key(path));
    if (out->same || out->copy)
        return 0;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -2;
    out->extracted = true;
    return extract_fd(r->x, fd, base_name(path), &out->result, err);
}

static int send_reading(struct reader *r, struct known *k, const char *path, struct reading *g,
                        struct err *err)
{
    struct file_stamp stamp = g->stamp;
    if (g->unsettled)
        stamp.ctime_ns = 0;
    if (g->same)
        return send_known(r->u, ITEM_TOUCH, path, k, &stamp);
    if (g->copy) {
        struct item *it = new_item(ITEM_COPY, path, DOC_INDEXED);
        it->source = g->copy->id;
        it->doc.stamp = stamp;
        it->doc.content = g->content;
        if (k)
            k->replaced = true;
        return send_item(r->u, it);
    }
    if (g->result.state == EXTRACT_OK)
        return send_document(r, k, path, &g->result, &stamp, g->content, err);
    const enum doc_state state = g->result.state == EXTRACT_SKIPPED ? DOC_SKIPPED : DOC_FAILED;
    return send_unread(r->u, k, path, state, g->result.reason, g->result.hint, &stamp, g->content);
}

static int send_unreadable(struct update *u, struct known *k, const char *path,
                           const struct file_stamp *stamp)
{
    char reason[128];
    snprintf(reason, sizeof reason, "cannot be read: %s", strerror(errno));
    const char *hint =
        errno == EACCES || errno == EPERM ? "make it readable, or leave it out by a rule" : NULL;
    return send_unread(u, k, path, DOC_FAILED, reason, hint, stamp, (struct hash128){0});
}

static int read_file(struct reader *r, struct known *k, const struct walk_entry *e, struct err *err)
{
    const struct file_stamp met = stamp_of(&e->st);
    const int fd = walk_open(r->u->root_fd, e->path, O_RDONLY);
    if (fd < 0) {
        if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
            return send_unreadable(r->u, k, e->path, &met);
        if (k)
            k->seen = false; /* gone meanwhile */
        return 0;
    }
    struct reading g = {0};
    struct file_stamp after = {0};
    bool moving = false;
    int rc = 0;
    for (int attempt = 0; attempt < 2 && !rc; attempt++) {
        extract_result_release(&g.result);
        g = (struct reading){0};
        rc = read_once(r, fd, e->path, k, &g, err);
        moving = !rc && (!fd_stamp(fd, &after) || !stamp_equal(&after, &g.stamp));
        if (!moving)
            break;
    }
    g.unsettled |= moving;
    if (rc == -2)
        rc = send_unreadable(r->u, k, e->path, &met);
    else if (!rc && g.extracted && g.result.state != EXTRACT_OK && update_expired(r->u))
        rc = WALK_ENDED; /* the extractor ran into the run's limit, not into its own */
    else if (!rc)
        rc = send_reading(r, k, e->path, &g, err);
    extract_result_release(&g.result);
    close(fd);
    return rc;
}

/* ---- the walk's entries ---- */

/* A document that need not be looked at: its stamp is the known one and nothing can be new. */
static bool is_settled(const struct update *u, const struct known *k, const struct file_stamp *st)
{
    return k && !u->options->force && !k->retry && k->version == extract_version() &&
           stamp_equal(&k->stamp, st) && !hash_is_zero(k->content) &&
           (k->usable || k->state != DOC_INDEXED);
}

static int on_file(struct reader *r, struct known *k, const struct walk_entry *e, struct err *err)
{
    struct update *u = r->u;
    const struct file_stamp stamp = stamp_of(&e->st);
    if (!is_settled(u, k, &stamp))
        return read_file(r, k, e, err);
    if (k->state == DOC_FAILED)
        return send_known(u, ITEM_KEEP, e->path, k, &stamp);
    if (k->state == DOC_SKIPPED)
        u->skipped++;
    else
        u->unchanged++;
    return 0;
}

static int on_skipped(struct update *u, struct known *k, const struct walk_entry *e)
{
    const struct file_stamp stamp = stamp_of(&e->st);
    if (k && k->state == DOC_SKIPPED && stamp_equal(&k->stamp, &stamp) &&
        hash_is_zero(k->content)) {
        u->skipped++;
        return 0;
    }
    return send_unread(u, k, e->path, DOC_SKIPPED, e->reason, NULL, &stamp, (struct hash128){0});
}

static int on_failed(struct update *u, struct known *k, const struct walk_entry *e)
{
    const struct file_stamp stamp = stamp_of(&e->st);
    if (e->is_dir) {
        if (!u->lost_folders++)
            u->lost_folder = xstrdup(e->path);
        return send_unread(u, k, *e->path ? e->path : ".", DOC_FAILED, e->reason,
                           "make the folder readable, or leave it out by a rule", NULL,
                           (struct hash128){0});
    }
    return send_unread(u, k, e->path, DOC_FAILED, e->reason, NULL, &stamp, (struct hash128){0});
}

static int on_entry(void *ctx, const struct walk_entry *e, struct err *err)
{
    struct reader *r = ctx;
    struct update *u = r->u;
    if (atomic_load(&u->quit) || update_expired(u)) {
        u->cut = true;
        return WALK_ENDED;
    }
    atomic_fetch_add(&u->n_met, 1);
    struct known *k = known_find(&u->known, e->path);
    if (k)
        k->seen = true;
    switch (e->state) {
    case WALK_FILE:
        return on_file(r, k, e, err);
    case WALK_SKIPPED:
        return on_skipped(u, k, e);
    case WALK_FAILED:
        break;
    }
    return on_failed(u, k, e);
}

/* The extractor may not outlast the run's own limit by much. */
static int open_extractor(const struct update *u, struct extractor **out, struct err *err)
{
    enum { WALL_SECONDS = 120 };
    const double limit = u->options->time_limit_s;
    struct extract_limits limits = {0};
    if (limit > 0 && limit < WALL_SECONDS)
        limits.wall_seconds = (int)limit + 1;
    return extractor_open(&limits, out, err);
}

void *reader_main(void *update)
{
    struct update *u = update;
    struct reader r = {.u = u};
    int rc = open_extractor(u, &r.x, &u->reader_err);
    for (size_t i = 0; i < u->n_sub && !rc; i++)
        rc = walk_run(u->root, u->sub[i], &u->walk, on_entry, &r, &u->reader_err);
    if (rc == WALK_ENDED) {
        u->cut = true;
        rc = 0;
    }
    extractor_close(r.x);
    u->reader_rc = rc;
    atomic_store(&u->walked, true);
    queue_close(u->queue);
    return NULL;
}
