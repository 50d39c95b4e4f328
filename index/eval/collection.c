/* collection.c - indexing a judged collection by the same store, caches and calibration that users'
 * folders go through, so that what is measured is what runs.
 *
 * Documents are taken in batches: encoded together, stored in one transaction. Their ids stay
 * outside of the index (a document's path is its number), because ids are names and not words to be
 * found.
 */
#include "index/eval/collection.h"

#include "index/chunk.h"
#include "index/eval/beir.h"
#include "index/search.h"
#include "index/snapshot.h"
#include "index/update.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 256 };

/* One document waiting in the batch. */
struct entry {
    char *text;
    size_t n_text;
    struct chunk_list chunks;
};

struct builder {
    struct collection *out;
    struct embedder *embedder;
    const struct progress_sink *sink;
    bool chunk;
    struct entry entry[BATCH];
    size_t n;
    int64_t done, tokens;
};

static void builder_clear(struct builder *b)
{
    for (size_t i = 0; i < b->n; i++) {
        free(b->entry[i].text);
        chunk_list_release(&b->entry[i].chunks);
    }
    b->n = 0;
}

/* The whole text as the only passage. */
static void whole(struct entry *e)
{
    e->chunks.item = xcalloc(1, sizeof *e->chunks.item);
    e->chunks.n = e->chunks.cap = 1;
    e->chunks.item[0] = (struct chunk){.end = e->n_text,
                                       .line_start = 1,
                                       .line_end = 1,
                                       .embed_text = xstrndup(e->text, e->n_text)};
}

static int cut(struct entry *e, const struct embedder *embedder, struct err *err)
{
    struct doc d = {.kind = KIND_TEXT};
    str_add(&d.text, e->text, e->n_text);
    if (e->n_text)
        doc_add_block(&d, BLOCK_PARAGRAPH, 0, 0, 0, e->n_text);
    const struct chunk_options usual = {.overlap_tokens = -1};
    const int rc = chunk_document(&d, embedder, &usual, &e->chunks, err);
    doc_release(&d);
    return rc;
}

/* ---- one batch ---- */

static size_t count_chunks(const struct builder *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->entry[i].chunks.n;
    return n;
}

static int embed_batch(struct builder *b, size_t n, uint16_t *half, struct err *err)
{
    const size_t dim = (size_t)b->embedder->dim;
    struct span *text = xmalloc(n * sizeof *text);
    float *full = xmalloc(n * dim * sizeof *full);
    int64_t tokens = 0;
    size_t at = 0;
    for (size_t i = 0; i < b->n; i++)
        for (size_t c = 0; c < b->entry[i].chunks.n; c++)
            text[at++] = span_of(b->entry[i].chunks.item[c].embed_text);
    const int rc = b->embedder->embed(b->embedder, text, n, EMBED_PASSAGE, full, &tokens, err);
    if (rc == 0)
        kern.f32_to_f16(half, full, n * dim);
    b->tokens += tokens;
    free(text);
    free(full);
    return rc;
}

static int put_entry(struct builder *b, const struct entry *e, const uint16_t *half,
                     struct err *err)
{
    char path[32];
    struct store_doc d = {.path = path, .state = DOC_INDEXED, .kind = KIND_TEXT};
    d.extractor = (char *)"judged collection";
    d.content = hash_bytes(e->text, e->n_text);
    d.text_bytes = (int64_t)e->n_text;
    d.n_chunks = (int64_t)e->chunks.n;
    struct store_chunk *chunk = xcalloc(e->chunks.n, sizeof *chunk);
    const uint16_t **vector = xcalloc(e->chunks.n, sizeof *vector);
    snprintf(path, sizeof path, "%lld", (long long)b->done);
    for (size_t c = 0; c < e->chunks.n; c++) {
        const struct chunk *from = &e->chunks.item[c];
        chunk[c] = (struct store_chunk){.ord = (int)c,
                                        .start = (int64_t)from->start,
                                        .end = (int64_t)from->end,
                                        .page = from->page,
                                        .line_start = from->line_start,
                                        .line_end = from->line_end,
                                        .heading = from->heading,
                                        .n_tokens = from->n_tokens};
        chunk[c].embed_hash = hash_bytes(from->embed_text, strlen(from->embed_text));
        vector[c] = half + c * (size_t)b->embedder->dim;
    }
    const int rc = store_put(b->out->store, &d, (struct span){e->text, e->n_text}, chunk,
                             e->chunks.n, vector, b->embedder->dim, err);
    free(chunk);
    free(vector);
    if (rc)
        return -1;
    while (b->out->n_ids <= (size_t)d.id) {
        VEC_GROW(b->out->doc_of, b->out->n_ids, b->out->cap_ids);
        b->out->doc_of[b->out->n_ids++] = UINT32_MAX;
    }
    b->out->doc_of[d.id] = (uint32_t)b->done++;
    return 0;
}

static int put_batch(struct builder *b, const uint16_t *half, struct err *err)
{
    const size_t dim = (size_t)b->embedder->dim;
    size_t at = 0;
    if (store_begin(b->out->store, err))
        return -1;
    for (size_t i = 0; i < b->n; i++) {
        if (put_entry(b, &b->entry[i], half + at * dim, err)) {
            store_rollback(b->out->store);
            return -1;
        }
        at += b->entry[i].chunks.n;
    }
    return store_commit(b->out->store, err);
}

static int flush(struct builder *b, struct err *err)
{
    const size_t n = count_chunks(b);
    uint16_t *half = xmalloc(n * (size_t)b->embedder->dim * sizeof *half);
    int rc = n ? embed_batch(b, n, half, err) : 0;
    if (rc == 0)
        rc = put_batch(b, half, err);
    free(half);
    builder_clear(b);
    if (rc == 0 && b->sink && b->sink->update) {
        const struct progress p = {.done = b->done, .tokens = b->tokens, .phase = "indexing"};
        b->sink->update(b->sink->ctx, &p);
    }
    if (rc == 0 && stop_requested())
        rc = err_kind_set(err, ERR_STOPPED, "stopped");
    return rc;
}

static int add_doc(void *ctx, const struct beir_doc *d, struct err *err)
{
    struct builder *b = ctx;
    struct str text = {0};
    str_span(&text, d->title);
    str_putc(&text, ' ');
    str_span(&text, d->text);
    struct entry *e = &b->entry[b->n++];
    *e = (struct entry){.n_text = text.n};
    e->text = str_take(&text);
    if (!b->chunk)
        whole(e);
    else if (cut(e, b->embedder, err))
        return -1;
    return b->n == BATCH ? flush(b, err) : 0;
}

/* ---- the index ---- */

static int write_meta(struct store *s, const struct embedder *e, struct err *err)
{
    char fingerprint[33], dim[16];
    update_fingerprint(e, fingerprint);
    snprintf(dim, sizeof dim, "%d", e->dim);
    return store_meta_set(s, "fingerprint", fingerprint, err) ||
                   store_meta_set(s, "dim", dim, err) ||
                   store_meta_set(s, "model_name", e->name, err)
               ? -1
               : 0;
}

static int finish(struct collection *s, struct embedder *e, const struct progress_sink *sink,
                  struct err *err)
{
    char fingerprint[33];
    update_fingerprint(e, fingerprint);
    return snapshot_build(s->store, fingerprint, e->dim, "auto", true, sink, err);
}

int collection_build(struct collection *s, const char *dir, const char *index, struct embedder *e,
                     bool chunk, const struct progress_sink *sink, struct err *err)
{
    struct builder *b = xcalloc(1, sizeof *b);
    *s = (struct collection){0};
    *b = (struct builder){.out = s, .embedder = e, .sink = sink, .chunk = chunk};
    int rc = store_open(index, STORE_CREATE, sink, &s->store, err);
    if (rc == 0)
        rc = write_meta(s->store, e, err);
    if (rc == 0)
        rc = beir_each_doc(dir, add_doc, b, err);
    if (rc == 0)
        rc = flush(b, err);
    if (rc == 0)
        rc = finish(s, e, sink, err);
    builder_clear(b);
    free(b);
    if (rc)
        collection_close(s);
    return rc;
}

void collection_close(struct collection *s)
{
    store_close(s->store);
    free(s->doc_of);
    *s = (struct collection){0};
}
