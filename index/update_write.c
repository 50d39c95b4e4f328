/* update_write.c - the writing side of an index run: items to the store.
 *
 * Items gather to a batch while the queue has some; then the passages whose vectors the store does
 * not have (its cache is keyed by embed_hash, so moved, copied and unchanged passages cost nothing)
 * are embedded slice by slice, and the documents are put in one transaction. A slice is about half
 * a second's work, measured as the run goes, so that a time limit or Ctrl-C is met in time; what is
 * complete by then is still stored.
 */
#include "index/snapshot.h"
#include "index/update_parts.h"

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

enum {
    BATCH_ITEMS = 256,
    BATCH_TOKENS = 16384,
    SLICE_MIN = 512,
    SLICE_MAX = 16384,
    SLICE_TEXTS = 4096,
    SLICE_MS = 500,
    SEARCHABLE_CHUNKS = 10000
};
#define BATCH_BYTES ((size_t)16 << 20)

/* A passage to embed. */
struct fresh {
    struct hash128 hash;
    struct span text;
    int n_tokens;
};

struct batch {
    struct update *u;
    struct item **item;
    size_t n, cap;
    size_t bytes;
    int64_t tokens;
    struct fresh *fresh;
    size_t n_fresh, cap_fresh;
    size_t n_embedded; /* of fresh, from the front */
    uint16_t *vector;  /* [n_fresh, dim] f16 */
    uint32_t *table;   /* open addressing: row of fresh + 1, by hash; [n_table], a power of 2 */
    size_t n_table;
    int64_t slice_tokens;
};

/* ---- which passages need the encoder ---- */

static struct hash128 embed_hash(const struct update *u, const struct chunk *c)
{
    struct hasher *h = hasher_new();
    hasher_text(h, span_of(u->fingerprint));
    hasher_int(h, EMBED_PASSAGE);
    hasher_text(h, span_of(c->embed_text));
    return hasher_finish(h);
}

static size_t slot_of(const struct batch *b, struct hash128 h)
{
    uint64_t key;
    memcpy(&key, h.b, sizeof key);
    size_t i = key & (b->n_table - 1);
    while (b->table[i] && !hash_equal(b->fresh[b->table[i] - 1].hash, h))
        i = (i + 1) & (b->n_table - 1);
    return i;
}

static void table_grow(struct batch *b)
{
    free(b->table);
    b->n_table = b->n_table ? b->n_table * 2 : 1024;
    b->table = xcalloc(b->n_table, sizeof *b->table);
    for (size_t i = 0; i < b->n_fresh; i++)
        b->table[slot_of(b, b->fresh[i].hash)] = (uint32_t)i + 1;
}

/* Is the passage's vector stored? A damaged one counts as absent. 1, 0, -1. */
static int is_stored(struct batch *b, struct hash128 h, uint16_t *scratch, struct err *err)
{
    struct err why = {0};
    if (!b->u->s)
        return 0;
    const int rc = store_vector(b->u->s, h, scratch, b->u->embedder->dim, &why);
    if (rc < 0 && why.kind != ERR_CORRUPT) {
        *err = why;
        return -1;
    }
    return rc == 1;
}

static int add_passage(struct batch *b, struct item *it, size_t i, uint16_t *scratch,
                       struct err *err)
{
    const struct chunk *c = &it->chunks.item[i];
    const struct hash128 h = it->hash[i] = embed_hash(b->u, c);
    if (b->n_fresh * 2 >= b->n_table)
        table_grow(b);
    const size_t slot = slot_of(b, h);
    it->fresh[i] = (int64_t)b->table[slot] - 1;
    if (it->fresh[i] < 0) {
        const int stored = is_stored(b, h, scratch, err);
        if (stored)
            return stored < 0 ? -1 : 0;
        const int64_t kept = unfinished_find(&b->u->unfinished, h);
        if (kept >= 0) {
            it->fresh[i] = UNFINISHED_ROW - kept;
            return 0;
        }
        VEC_GROW(b->fresh, b->n_fresh, b->cap_fresh);
        it->fresh[i] = (int64_t)b->n_fresh;
        b->fresh[b->n_fresh++] = (struct fresh){h, span_of(c->embed_text), c->n_tokens};
        b->table[slot] = (uint32_t)b->n_fresh;
        b->tokens += c->n_tokens;
    }
    if (it->need <= it->fresh[i])
        it->need = it->fresh[i] + 1;
    return 0;
}

static int batch_add(struct batch *b, struct item *it, struct err *err)
{
    VEC_GROW(b->item, b->n, b->cap);
    b->item[b->n++] = it;
    b->bytes += it->bytes;
    if (!it->chunks.n)
        return 0;
    it->hash = xcalloc(it->chunks.n, sizeof *it->hash);
    it->fresh = xcalloc(it->chunks.n, sizeof *it->fresh);
    uint16_t *scratch = xcalloc((size_t)b->u->embedder->dim, sizeof *scratch);
    int rc = 0;
    for (size_t i = 0; i < it->chunks.n && !rc; i++)
        rc = add_passage(b, it, i, scratch, err);
    free(scratch);
    return rc;
}

static bool batch_full(const struct batch *b)
{
    return b->n >= BATCH_ITEMS || b->tokens >= BATCH_TOKENS || b->bytes >= BATCH_BYTES;
}

/* ---- embedding ---- */

static void tell(struct update *u, const char *phase)
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

static int embed_slice(struct batch *b, size_t from, size_t to, struct err *err)
{
    struct update *u = b->u;
    const size_t dim = (size_t)u->embedder->dim, n = to - from;
    struct span *text = xcalloc(n, sizeof *text);
    for (size_t i = 0; i < n; i++)
        text[i] = b->fresh[from + i].text;
    void *rows = NULL;
    int64_t n_tokens = 0;
    int rc = mem_try(&rows, n * dim * sizeof(float), "vectors", err);
    const double start = clock_ms();
    if (!rc)
        rc = u->embedder->embed(u->embedder, text, n, EMBED_PASSAGE, rows, &n_tokens, err);
    if (!rc) {
        kern.f32_to_f16(b->vector + from * dim, rows, n * dim);
        u->report->tokens += n_tokens;
        const double ms = clock_ms() - start;
        const double per_slice = ms > 0 ? (double)n_tokens * SLICE_MS / ms : SLICE_MAX;
        b->slice_tokens = per_slice < SLICE_MIN   ? SLICE_MIN
                          : per_slice > SLICE_MAX ? SLICE_MAX
                                                  : (int64_t)per_slice;
    }
    free(rows);
    free(text);
    return rc;
}

/* Embeds from the front; ends early, with report->complete = false, at the time limit. */
static int batch_embed(struct batch *b, struct err *err)
{
    struct update *u = b->u;
    size_t bytes;
    void *vectors = NULL;
    if (!b->n_fresh)
        return 0;
    if (!mul_size(b->n_fresh, (size_t)u->embedder->dim * sizeof(uint16_t), &bytes) ||
        mem_try(&vectors, bytes, "vectors", err))
        return -1;
    b->vector = vectors;
    while (b->n_embedded < b->n_fresh) {
        if (stop_requested())
            return err_kind_set(err, ERR_STOPPED, "stopped");
        if (update_expired(u)) {
            u->report->complete = false;
            return 0;
        }
        size_t to = b->n_embedded;
        for (int64_t sum = 0;
             to < b->n_fresh && sum < b->slice_tokens && to - b->n_embedded < SLICE_TEXTS; to++)
            sum += b->fresh[to].n_tokens;
        if (embed_slice(b, b->n_embedded, to, err))
            return -1;
        b->n_embedded = to;
        tell(u, "indexing");
    }
    return 0;
}

/* ---- storing ---- */

void update_failed(struct update *u, const char *path, const char *reason, const char *hint)
{
    struct update_report *r = u->report;
    struct update_failure *f = xrealloc_array(r->failure, r->n_failures + 1, sizeof *r->failure);
    r->failure = f;
    f[r->n_failures++] = (struct update_failure){
        xstrdup(path), xstrdup(reason ? reason : "unknown"), hint ? xstrdup(hint) : NULL};
    r->failed++;
}

/* A vector of the unfinished ones, aligned. */
static const uint16_t *kept_vector(const struct update *u, int64_t row, uint16_t *out)
{
    const size_t bytes = (size_t)u->embedder->dim * sizeof *out;
    memcpy(out, u->unfinished.vector + (size_t)row * bytes, bytes);
    return out;
}

static int put_document(struct batch *b, struct item *it, struct err *err)
{
    const size_t n = it->chunks.n, dim = (size_t)b->u->embedder->dim;
    struct store_chunk *chunk = xcalloc(n, sizeof *chunk);
    const uint16_t **vector = xcalloc(n, sizeof *vector);
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++)
        n_kept += it->fresh[i] <= UNFINISHED_ROW;
    uint16_t *kept = xcalloc(n_kept * dim, sizeof *kept);
    n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        const struct chunk *c = &it->chunks.item[i];
        chunk[i] = (struct store_chunk){.ord = (int)i,
                                        .start = (int64_t)c->start,
                                        .end = (int64_t)c->end,
                                        .page = c->page,
                                        .line_start = c->line_start,
                                        .line_end = c->line_end,
                                        .heading = c->heading, /* borrowed */
                                        .n_tokens = c->n_tokens,
                                        .embed_hash = it->hash[i]};
        if (it->fresh[i] >= 0)
            vector[i] = b->vector + (size_t)it->fresh[i] * dim;
        else if (it->fresh[i] <= UNFINISHED_ROW)
            vector[i] = kept_vector(b->u, UNFINISHED_ROW - it->fresh[i], kept + n_kept++ * dim);
    }
    const int rc =
        store_put(b->u->s, &it->doc, str_view(&it->text), chunk, n, vector, (int)dim, err);
    free(chunk);
    free(vector);
    free(kept);
    return rc;
}

static int put_unread(struct update *u, struct item *it, struct err *err)
{
    return store_put(u->s, &it->doc, (struct span){"", 0}, NULL, 0, NULL, u->embedder->dim, err);
}

static char *copy_text(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

/* What document `source` is, under the path, stamp and content of the item. */
static int put_copy(struct update *u, struct item *it, int64_t *n_chunks, struct err *err)
{
    struct store_doc from = {0};
    struct store_chunk *chunk = NULL;
    struct str text = {0};
    size_t n = 0;
    int rc = -1;
    const int found = store_doc_by_id(u->s, it->source, &from, err);
    if (found == 0)
        err_kind_set(err, ERR_CORRUPT, "the document that '%s' is a copy of is gone", it->doc.path);
    if (found < 1 || store_text(u->s, it->source, &text, err) ||
        store_chunks_of(u->s, it->source, &chunk, &n, err))
        goto out;
    it->doc.kind = from.kind;
    it->doc.title = copy_text(from.title);
    it->doc.extractor = copy_text(from.extractor);
    it->doc.extract_version = from.extract_version;
    it->doc.verbatim = from.verbatim;
    it->doc.src_offset = from.src_offset;
    const uint16_t **none = xcalloc(n, sizeof *none);
    rc = u->options->dry_run
             ? 0
             : store_put(u->s, &it->doc, str_view(&text), chunk, n, none, u->embedder->dim, err);
    free(none);
    *n_chunks = (int64_t)n;
out:
    for (size_t i = 0; i < n; i++)
        store_chunk_release(&chunk[i]);
    free(chunk);
    str_release(&text);
    store_doc_release(&from);
    return rc;
}

/* A document whose content is known: its failure, if it is one, is told again. */
static int keep_known(struct update *u, struct item *it, struct err *err)
{
    struct store_doc d = {0};
    if (it->kind == ITEM_TOUCH && !u->options->dry_run &&
        store_touch(u->s, it->source, it->doc.path, &it->doc.stamp, err))
        return -1;
    if (it->doc.state == DOC_INDEXED)
        u->report->unchanged++;
    else if (it->doc.state == DOC_SKIPPED)
        u->report->skipped++;
    if (it->doc.state != DOC_FAILED)
        return 0;
    const int rc = store_doc_by_id(u->s, it->source, &d, err);
    if (rc == 1)
        update_failed(u, d.path, d.reason, d.hint);
    store_doc_release(&d);
    return rc < 0 ? -1 : 0;
}

static int put_item(struct batch *b, struct item *it, struct err *err)
{
    struct update *u = b->u;
    const bool dry = u->options->dry_run;
    int64_t n_chunks = (int64_t)it->chunks.n;
    if (it->kind == ITEM_TOUCH || it->kind == ITEM_KEEP)
        return keep_known(u, it, err);
    if (it->kind == ITEM_COPY) {
        if (put_copy(u, it, &n_chunks, err))
            return -1;
    } else if (!dry && (it->chunks.n ? put_document(b, it, err) : put_unread(u, it, err))) {
        return -1;
    }
    if (it->doc.state == DOC_INDEXED) {
        u->report->indexed++;
        u->report->chunks += n_chunks;
    } else if (it->doc.state == DOC_SKIPPED) {
        u->report->skipped++;
    } else {
        update_failed(u, it->doc.path, it->doc.reason, it->doc.hint);
    }
    return 0;
}

/* Stores what is complete, in one transaction. */
static int batch_store(struct batch *b, struct err *err)
{
    struct update *u = b->u;
    const bool write = !u->options->dry_run;
    if (write && store_begin(u->s, err))
        return -1;
    for (size_t i = 0; i < b->n; i++) {
        if (b->item[i]->need > (int64_t)b->n_embedded)
            continue;
        if (put_item(b, b->item[i], err)) {
            if (write)
                store_rollback(u->s);
            return -1;
        }
    }
    return write ? store_commit(u->s, err) : 0;
}

static void batch_clear(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        gate_leave(&b->u->gate, b->item[i]->bytes);
        item_free(b->item[i]);
    }
    b->u->n_done += (int64_t)b->n;
    free(b->vector);
    b->vector = NULL;
    b->n = b->n_fresh = b->n_embedded = b->bytes = 0;
    b->tokens = 0;
    if (b->table)
        memset(b->table, 0, b->n_table * sizeof *b->table);
}

/* In a dry run nothing is embedded: the tokens are those that would be. */
static void batch_pretend(struct batch *b)
{
    for (size_t i = 0; i < b->n_fresh; i++)
        b->u->report->tokens += b->fresh[i].n_tokens;
    b->n_embedded = b->n_fresh;
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

static int batch_flush(struct batch *b, struct err *err)
{
    if (!b->n)
        return 0;
    int rc = 0;
    if (b->u->options->dry_run)
        batch_pretend(b);
    else
        rc = batch_embed(b, err);
    struct err late = {0};
    const bool keep = rc == 0 || err->kind == ERR_STOPPED;
    if (keep && batch_store(b, &late)) {
        *err = late;
        rc = -1;
    }
    if (keep && b->n_embedded < b->n_fresh)
        batch_keep(b);
    batch_clear(b);
    tell(b->u, "indexing");
    return rc;
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

int writer_run(struct update *u, struct err *err)
{
    struct batch b = {.u = u, .slice_tokens = SLICE_MAX / 8};
    int rc = 0;
    while (!rc && u->report->complete) {
        struct item *it = queue_try_take(u->queue);
        if (!it) {
            rc = batch_flush(&b, err); /* rather than wait with work at hand */
            if (rc || !u->report->complete)
                break;
            tell(u, atomic_load(&u->walked) ? "indexing" : "scanning");
            it = queue_take(u->queue);
            if (!it)
                break;
        }
        rc = batch_add(&b, it, err);
        if (!rc && (batch_full(&b) || update_expired(u)))
            rc = batch_flush(&b, err);
        if (!rc && !stop_requested())
            keep_searchable(u);
        if (!rc && stop_requested())
            rc = err_kind_set(err, ERR_STOPPED, "stopped");
    }
    batch_clear(&b);
    free(b.item);
    free(b.fresh);
    free(b.table);
    return rc;
}
