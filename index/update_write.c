/* update_write.c - the writing side of an index run: batches of items, embedded and stored.
 *
 * Two batches are under way: while the encoder works on one, a thread stores the one before, so
 * that the encoder does not wait for the disk. In turn:
 *
 *     gather batch n (asks the store which vectors it has)
 *     embed batch n      and at the same time store batch n - 1
 *
 * The store thus never has two users. When nothing more is at hand both are finished before we wait
 * for the reader, so a run that waits has put away all that it has done.
 */
#include "index/snapshot.h"
#include "index/update_parts.h"

#include "src/base/mem.h"
#include "src/base/stop.h"

#include <stdlib.h>

enum { SEARCHABLE_CHUNKS = 10000 };

struct writer {
    struct update *u;
    struct batch batch[2];
    struct batch *now;    /* being gathered, then embedded */
    struct batch *before; /* embedded, not yet stored; empty: none */
    pthread_t thread;
    bool storing; /* `before` is with the thread */
    int rc;
    struct err err;
};

void update_tell(struct update *u, const char *phase)
{
    const struct progress_sink *sink = u->sink;
    if (!sink || !sink->update)
        return;
    const struct progress p = {.done = u->n_done,
                               .total = atomic_load(&u->walked) ? atomic_load(&u->n_met) : 0,
                               .tokens = u->report->tokens,
                               .phase = phase};
    sink->update(sink->ctx, &p);
}

/* ---- storing, beside the encoder ---- */

static void *storing_main(void *writer)
{
    struct writer *w = writer;
    w->rc = batch_store(w->before, &w->err);
    return NULL;
}

static void store_start(struct writer *w)
{
    if (!w->before->n)
        return;
    w->rc = 0;
    w->err = (struct err){0};
    w->storing = pthread_create(&w->thread, NULL, storing_main, w) == 0;
    if (!w->storing)
        storing_main(w);
}

static int store_wait(struct writer *w, struct err *err)
{
    if (!w->before->n)
        return 0;
    if (w->storing)
        pthread_join(w->thread, NULL);
    w->storing = false;
    batch_clear(w->before);
    if (w->rc)
        *err = w->err;
    return w->rc;
}

/* Whatever is embedded is in the store afterwards. */
static int store_rest(struct writer *w, struct err *err)
{
    store_start(w);
    return store_wait(w, err);
}

/* What was embedded of documents that could not be put is kept for the next run. */
static void batch_keep(struct batch *b)
{
    struct hash128 *hash = xcalloc(b->n_embedded, sizeof *hash);
    for (size_t i = 0; i < b->n_embedded; i++)
        hash[i] = b->fresh[i].hash;
    if (b->n_embedded)
        unfinished_save(b->u, hash, b->vector, b->n_embedded);
    free(hash);
}

/* Embeds what is gathered and stores what was embedded before. A batch that is cut short by the
 * time limit or by a stop is stored at once, as far as it is complete. */
static int flush(struct writer *w, struct err *err)
{
    struct err late = {0};
    store_start(w);
    int rc = batch_embed(w->now, err);
    if (store_wait(w, &late)) {
        *err = late;
        return -1;
    }
    struct batch *const b = w->now;
    w->now = w->before;
    w->before = b;
    const bool cut = b->n_embedded < b->n_fresh;
    if (rc && err->kind != ERR_STOPPED)
        batch_clear(b);
    if (b->n && cut) {
        batch_keep(b);
        if (store_rest(w, &late)) {
            *err = late;
            rc = -1;
        }
    }
    update_tell(w->u, "indexing");
    return rc;
}

/* All that is at hand goes into the store. */
static int flush_all(struct writer *w, struct err *err)
{
    if (w->now->n && flush(w, err))
        return -1;
    return store_rest(w, err);
}

/* In a long run the caches are written now and then, each time the run has grown by half: questions
 * asked meanwhile, and after an interruption, then find most passages in them, for some two per
 * cent of the run's time. A cache that cannot be written is not missed. */
static void keep_searchable(struct update *u)
{
    const int64_t since = u->report->chunks - u->built_at;
    struct err ignored = {0};
    if (u->options->dry_run || since < SEARCHABLE_CHUNKS || since < u->built_at / 2)
        return;
    u->built_at = u->report->chunks;
    if (snapshot_build(u->s, u->fingerprint, u->embedder->dim, "present", false, NULL, &ignored))
        return;
}

/* The next item; with none at hand all work is finished first. NULL: there will be none, or rc. */
static struct item *next_item(struct writer *w, int *rc, struct err *err)
{
    struct update *u = w->u;
    struct item *it = queue_try_take(u->queue);
    if (it)
        return it;
    *rc = flush_all(w, err);
    if (*rc || !u->report->complete)
        return NULL;
    update_tell(u, atomic_load(&u->walked) ? "indexing" : "scanning");
    return queue_take(u->queue);
}

int writer_run(struct update *u, struct err *err)
{
    struct writer w = {.u = u, .batch = {{.u = u}, {.u = u}}};
    w.now = &w.batch[0];
    w.before = &w.batch[1];
    int rc = 0;
    while (!rc && u->report->complete) {
        struct item *it = next_item(&w, &rc, err);
        if (!it)
            break;
        rc = batch_add(w.now, w.before, it, err);
        if (!rc && (batch_full(w.now) || update_expired(u)))
            rc = flush(&w, err);
        if (!rc && !stop_requested())
            keep_searchable(u);
        if (!rc && stop_requested())
            rc = err_kind_set(err, ERR_STOPPED, "stopped");
    }
    struct err late = {0};
    if ((!rc || err->kind == ERR_STOPPED) && store_rest(&w, &late)) {
        *err = late;
        rc = -1;
    }
    batch_release(&w.batch[0]);
    batch_release(&w.batch[1]);
    return rc;
}
