/* filter.c - paths, kinds and times become a set of rows, which both searches take into their inner
 * loops: asking for k answers from a small folder then gives k answers from it, which filtering a
 * finished list cannot.
 *
 * The documents' facts are read once per searcher. A query then tests each document once and walks
 * the rows, whose document changes seldom because the passages of a document follow one another.
 */
#include "index/search/filter.h"

#include "index/glob.h"

#include <stdlib.h>
#include <string.h>

static int add_doc(void *ctx, const struct store_doc *doc, struct err *err)
{
    struct filter_docs *d = ctx;
    (void)err;
    if (doc->state != DOC_INDEXED)
        return 0;
    VEC_GROW(d->item, d->n, d->cap);
    d->item[d->n++] =
        (struct filter_doc){.id = doc->id,
                            .mtime_ns = doc->stamp.mtime_ns,
                            .path = arena_strndup(&d->paths, doc->path, strlen(doc->path)),
                            .kind = doc->kind};
    return 0;
}

static int doc_cmp(const void *pa, const void *pb)
{
    const struct filter_doc *a = pa, *b = pb;
    return (a->id > b->id) - (a->id < b->id);
}

int filter_docs_read(struct filter_docs *d, struct store *s, struct err *err)
{
    if (d->ready)
        return 0;
    if (store_each_doc(s, add_doc, d, err)) {
        filter_docs_release(d);
        return -1;
    }
    if (d->n > 1)
        qsort(d->item, d->n, sizeof *d->item, doc_cmp);
    d->ready = true;
    return 0;
}

void filter_docs_release(struct filter_docs *d)
{
    free(d->item);
    arena_release(&d->paths);
    *d = (struct filter_docs){0};
}

bool filter_wanted(const struct search_options *o)
{
    return o->n_path || o->kinds || o->since_ns != INT64_MIN || o->until_ns != INT64_MAX;
}

static bool doc_passes(const struct filter_doc *d, const struct search_options *o)
{
    if (o->kinds && !(o->kinds >> d->kind & 1))
        return false;
    if (d->mtime_ns < o->since_ns || d->mtime_ns > o->until_ns)
        return false;
    for (size_t i = 0; i < o->n_path; i++)
        if (glob_match_path(span_of(o->path[i]), span_of(d->path)))
            return true;
    return o->n_path == 0;
}

static bool id_passes(const struct filter_docs *d, const bool *pass, int64_t id)
{
    const struct filter_doc key = {.id = id};
    const struct filter_doc *found =
        d->n ? bsearch(&key, d->item, d->n, sizeof *d->item, doc_cmp) : NULL;
    return found && pass[found - d->item];
}

static void set_rows(struct filter_rows *f, const struct snapshot *s, const struct filter_docs *d,
                     const struct search_options *o, struct filter_without without)
{
    const bool by_doc = filter_wanted(o);
    const int64_t n = snapshot_rows(s);
    bool *pass = xcalloc(d->n, sizeof *pass), ok = false;
    int64_t last = INT64_MIN;
    for (size_t i = 0; by_doc && i < d->n; i++)
        pass[i] = doc_passes(&d->item[i], o);
    for (int64_t r = 0; r < n; r++) {
        const int64_t doc = snapshot_doc(s, r);
        if (doc != last)
            ok = doc != without.doc && (!by_doc || id_passes(d, pass, doc));
        last = doc;
        if (!ok || !snapshot_live(s, r) || (without.chunk && snapshot_chunk(s, r) == without.chunk))
            continue;
        bit_set(f->bits, r);
        f->set.n_allowed++;
    }
    free(pass);
}

void filter_make(struct filter_rows *f, const struct snapshot *s, const struct filter_docs *d,
                 const struct search_options *o, struct filter_without without)
{
    *f = (struct filter_rows){0};
    if (!filter_wanted(o) && !without.doc && !without.chunk)
        return;
    f->bits = xcalloc((size_t)bit_words(snapshot_rows(s)), sizeof *f->bits);
    f->set.bits = f->bits;
    set_rows(f, s, d, o, without);
}

void filter_restrict(struct filter_rows *f, int64_t n_rows, const struct hit *hit, int64_t n,
                     bool keep)
{
    const int64_t words = bit_words(n_rows);
    uint64_t *these = xcalloc((size_t)words, sizeof *these);
    for (int64_t i = 0; i < n; i++)
        bit_set(these, hit[i].row);
    if (!f->bits) {
        f->bits = xmalloc(((size_t)words + 1) * sizeof *f->bits);
        memset(f->bits, 0xFF, (size_t)words * sizeof *f->bits);
    }
    for (int64_t w = 0; w < words; w++)
        f->bits[w] &= keep ? these[w] : ~these[w];
    free(these);
    f->set = (struct row_filter){f->bits, bit_count(f->bits, n_rows)};
}

const struct row_filter *filter_get(const struct filter_rows *f)
{
    return f->bits ? &f->set : NULL;
}

void filter_release(struct filter_rows *f)
{
    free(f->bits);
    *f = (struct filter_rows){0};
}
