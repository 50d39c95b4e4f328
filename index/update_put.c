/* update_put.c - a batch goes into the store, in one transaction.
 *
 * May run in a thread of its own while the next batch is embedded: it has the store to itself, and
 * of the report it writes only the counts and failures of documents.
 */
#include "index/update_parts.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

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

int batch_store(struct batch *b, struct err *err)
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
