/* update_batch.c - a batch of the writing side: items gathered, and their passages embedded.
 *
 * The encoder is asked only for passages whose vectors are nowhere yet: not in the store (its cache
 * is keyed by embed_hash, so moved, copied and unchanged passages cost nothing), not earlier in
 * this batch, not in the batch before, which may still be on its way to the store, and not among
 * what an interrupted run left. They are embedded slice by slice; a slice is about half a second's
 * work, measured as the run goes, so that a time limit or Ctrl-C is met in time.
 */
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
    SLICE_MS = 500
};
#define BATCH_BYTES ((size_t)16 << 20)

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

/* Will the batch have its vector stored before what comes after it? */
static bool holds(const struct batch *b, struct hash128 h)
{
    return b->n_table && b->table[slot_of(b, h)];
}

static int add_passage(struct batch *b, const struct batch *before, struct item *it, size_t i,
                       uint16_t *scratch, struct err *err)
{
    const struct chunk *c = &it->chunks.item[i];
    const struct hash128 h = it->hash[i] = embed_hash(b->u, c);
    if (b->n_fresh * 2 >= b->n_table)
        table_grow(b);
    const size_t slot = slot_of(b, h);
    it->fresh[i] = (int64_t)b->table[slot] - 1;
    if (it->fresh[i] < 0) {
        const int stored = holds(before, h) ? 1 : is_stored(b, h, scratch, err);
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

int batch_add(struct batch *b, const struct batch *before, struct item *it, struct err *err)
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
        rc = add_passage(b, before, it, i, scratch, err);
    free(scratch);
    return rc;
}

bool batch_full(const struct batch *b)
{
    return b->n >= BATCH_ITEMS || b->tokens >= BATCH_TOKENS || b->bytes >= BATCH_BYTES;
}

/* ---- embedding ---- */

/* Slices grow and shrink with the speed seen. */
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
        u->slice_tokens = per_slice < SLICE_MIN   ? SLICE_MIN
                          : per_slice > SLICE_MAX ? SLICE_MAX
                                                  : (int64_t)per_slice;
    }
    free(rows);
    free(text);
    return rc;
}

/* In a dry run nothing is embedded: the tokens are those that would be. */
static void batch_pretend(struct batch *b)
{
    for (size_t i = 0; i < b->n_fresh; i++)
        b->u->report->tokens += b->fresh[i].n_tokens;
    b->n_embedded = b->n_fresh;
}

/* Embeds from the front; ends early, with report->complete = false, at the time limit. */
int batch_embed(struct batch *b, struct err *err)
{
    struct update *u = b->u;
    size_t bytes;
    void *vectors = NULL;
    if (!b->n_fresh)
        return 0;
    if (u->options->dry_run) {
        batch_pretend(b);
        return 0;
    }
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
             to < b->n_fresh && sum < u->slice_tokens && to - b->n_embedded < SLICE_TEXTS; to++)
            sum += b->fresh[to].n_tokens;
        if (embed_slice(b, b->n_embedded, to, err))
            return -1;
        b->n_embedded = to;
        update_tell(u, "indexing");
    }
    return 0;
}

/* ---- its end ---- */

void batch_clear(struct batch *b)
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

void batch_release(struct batch *b)
{
    batch_clear(b);
    free(b->item);
    free(b->fresh);
    free(b->table);
}
