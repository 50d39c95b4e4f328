/* store_sample.c - see store_sample.h. */
#include "tests/unit/index/store_sample.h"

#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const word[] = {"index",  "passage", "writer",  "kernel", "vector", "reader",
                                   "folder", "the",     "of",      "and",    "a",      "commit",
                                   "search", "meaning", "storage", "lock"};

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

char *sample_path(int i)
{
    return xasprintf("folder %d/note-%d.md", i % 7, i);
}

static void fill_text(struct str *t, size_t bytes, uint64_t *seed)
{
    const size_t end = t->n + bytes;
    while (t->n < end) {
        str_puts(t, word[next(seed) % ARRAY_LEN(word)]);
        if (next(seed) % 5 == 0)
            str_printf(t, "%llu", (unsigned long long)(next(seed) % 10000));
        str_putc(t, next(seed) % 12 == 0 ? '\n' : ' ');
    }
}

void sample_make(struct sample *s, int i, int v, size_t n_chunks, size_t chunk_bytes, int dim)
{
    uint64_t seed = (uint64_t)i * 1000003u + (uint64_t)v * 7919u + 1;
    struct str text = {0};
    *s = (struct sample){.n_chunks = n_chunks, .dim = dim};
    s->chunk = xcalloc(n_chunks + 1, sizeof *s->chunk);
    s->numbers = xcalloc(n_chunks * (size_t)dim + 1, sizeof *s->numbers);
    s->vector = xcalloc(n_chunks + 1, sizeof *s->vector);
    for (size_t k = 0; k < n_chunks; k++) {
        const size_t start = text.n;
        fill_text(&text, chunk_bytes, &seed);
        s->chunk[k] =
            (struct store_chunk){.start = (int64_t)start,
                                 .end = (int64_t)text.n,
                                 .page = k % 3 ? (int)k : 0,
                                 .line_start = (int)(k * 10 + 1),
                                 .line_end = (int)(k * 10 + 9),
                                 .n_tokens = (int)(chunk_bytes / 5),
                                 .heading = k % 2 ? xasprintf("Part %zu > of %d", k, i) : NULL,
                                 .embed_hash = hash_bytes(text.p + start, text.n - start)};
        for (int d = 0; d < dim; d++)
            s->numbers[k * (size_t)dim + (size_t)d] = (uint16_t)(next(&seed) & 0x3bff);
        s->vector[k] = s->numbers + k * (size_t)dim;
    }
    s->doc = (struct store_doc){.path = sample_path(i),
                                .state = DOC_INDEXED,
                                .kind = KIND_MARKDOWN,
                                .title = i % 4 ? xasprintf("Title %d", i) : NULL,
                                .extractor = xstrdup("markdown 1"),
                                .extract_version = 1,
                                .verbatim = true,
                                .src_offset = i % 2 ? 3 : 0,
                                .stamp = {1000 + i, 1700000000000000000 + v, 17 + i, 99 + i},
                                .content = hash_bytes(text.p ? text.p : "", text.n)};
    const size_t n = text.n;
    s->text = str_take(&text);
    s->doc.text_bytes = (int64_t)n;
    s->doc.n_chunks = (int64_t)n_chunks;
}

void sample_release(struct sample *s)
{
    for (size_t k = 0; k < s->n_chunks; k++)
        store_chunk_release(&s->chunk[k]);
    store_doc_release(&s->doc);
    free(s->text);
    free(s->chunk);
    free(s->numbers);
    free(s->vector);
}

static void make_usual(struct sample *s, int i, int v)
{
    sample_make(s, i, v, (size_t)(i % 5 + v), (size_t)(200 + i % 11 * 150), SAMPLE_DIM);
}

int sample_put(struct store *s, int i, int v, struct err *err)
{
    struct sample m;
    make_usual(&m, i, v);
    const int rc = store_put(s, &m.doc, (struct span){m.text, (size_t)m.doc.text_bytes}, m.chunk,
                             m.n_chunks, m.vector, m.dim, err);
    sample_release(&m);
    return rc;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static const char *compare_chunk(struct store *s, const struct store_chunk *a,
                                 const struct store_chunk *b, const uint16_t *vector)
{
    uint16_t v[SAMPLE_DIM];
    if (a->ord != b->ord && b->ord)
        return "ord";
    if (a->start != b->start || a->end != b->end || a->page != b->page ||
        a->line_start != b->line_start || a->line_end != b->line_end || a->n_tokens != b->n_tokens)
        return "a number of a chunk";
    if (!same_text(a->heading, b->heading) || !hash_equal(a->embed_hash, b->embed_hash))
        return "heading or hash of a chunk";
    if (store_vector(s, a->embed_hash, v, SAMPLE_DIM, NULL) != 1 || memcmp(v, vector, sizeof v))
        return "a vector";
    return NULL;
}

static const char *compare_parts(struct store *s, const struct store_doc *d, const struct sample *m)
{
    struct str text = {0};
    const char *bad = NULL;
    if (store_text(s, d->id, &text, NULL) || text.n != (size_t)m->doc.text_bytes ||
        (text.n && memcmp(text.p, m->text, text.n)))
        bad = "the text";
    str_release(&text);
    struct store_chunk *c = NULL;
    size_t n = 0;
    if (!bad && (store_chunks_of(s, d->id, &c, &n, NULL) || n != m->n_chunks))
        bad = "the list of chunks";
    for (size_t k = 0; !bad && k < n; k++)
        bad = c[k].ord != (int)k || c[k].doc_id != d->id
                  ? "order of chunks"
                  : compare_chunk(s, &c[k], &m->chunk[k], m->vector[k]);
    for (size_t k = 0; k < n; k++)
        store_chunk_release(&c[k]);
    free(c);
    return bad;
}

const char *sample_compare(struct store *s, int i, int v, int *found)
{
    struct sample m;
    struct store_doc d;
    make_usual(&m, i, v);
    *found = store_doc_by_path(s, m.doc.path, &d, NULL);
    const char *bad = *found < 0 ? "the row cannot be read" : NULL;
    if (*found == 1) {
        const struct store_doc *e = &m.doc;
        if (d.state != e->state || d.kind != e->kind || !same_text(d.title, e->title) ||
            !same_text(d.extractor, e->extractor) || d.extract_version != e->extract_version ||
            d.verbatim != e->verbatim || d.src_offset != e->src_offset ||
            memcmp(&d.stamp, &e->stamp, sizeof d.stamp) || !hash_equal(d.content, e->content) ||
            d.text_bytes != e->text_bytes || d.n_chunks != e->n_chunks)
            bad = "a value of the document";
        else
            bad = compare_parts(s, &d, &m);
        store_doc_release(&d);
    }
    sample_release(&m);
    return bad;
}

/* ---- digest ---- */

static int add_doc(void *ctx, const struct store_doc *d, struct err *err)
{
    struct hasher *h = ctx;
    (void)err;
    const int64_t v[] = {
        d->id,         d->state,      d->kind,           d->extract_version, d->verbatim,
        d->src_offset, d->stamp.size, d->stamp.mtime_ns, d->stamp.ctime_ns,  d->stamp.inode,
        d->text_bytes, d->n_chunks};
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        hasher_int(h, v[i]);
    const char *const t[] = {d->path, d->reason, d->hint, d->title, d->extractor};
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        hasher_int(h, t[i] != NULL);
        hasher_text(h, span_of(t[i]));
    }
    hasher_add(h, d->content.b, sizeof d->content.b);
    return 0;
}

struct row_digest {
    struct store *s;
    struct hasher *h;
};

static int add_row(void *ctx, const struct store_row *row, struct err *err)
{
    struct row_digest *r = ctx;
    struct store_chunk c;
    if (store_chunk(r->s, row->chunk_id, &c, err) != 1)
        return -1;
    const int64_t v[] = {c.id,   c.doc_id,     c.ord,      c.start,   c.end,
                         c.page, c.line_start, c.line_end, c.n_tokens};
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        hasher_int(r->h, v[i]);
    hasher_int(r->h, c.heading != NULL);
    hasher_text(r->h, row->heading);
    hasher_text(r->h, row->text);
    hasher_text(r->h, row->title);
    hasher_text(r->h, row->path);
    hasher_add(r->h, c.embed_hash.b, sizeof c.embed_hash.b);
    hasher_add(r->h, row->vector, SAMPLE_DIM * sizeof *row->vector);
    store_chunk_release(&c);
    return 0;
}

static int add_facts(struct store *s, struct hasher *h, struct err *err)
{
    struct store_counts c;
    int64_t generation, *ids = NULL;
    size_t n = 0;
    if (store_counts(s, &c, err) || store_generation(s, &generation, err) ||
        store_removed(s, INT64_MAX, &ids, &n, err))
        return -1;
    hasher_int(h, generation);
    hasher_int(h, c.documents);
    hasher_int(h, c.chunks);
    hasher_int(h, c.failed);
    hasher_int(h, c.skipped);
    hasher_int(h, c.vectors);
    for (size_t i = 0; i < n; i++)
        hasher_int(h, ids[i]);
    free(ids);
    static const char *const key[] = {"root", "fingerprint", "model_name", "dim", "calibration"};
    for (size_t i = 0; i < ARRAY_LEN(key); i++) {
        char *value;
        if (store_meta_get(s, key[i], &value, err))
            return -1;
        hasher_int(h, value != NULL);
        hasher_text(h, span_of(value));
        free(value);
    }
    return 0;
}

static int find_by_path(void *ctx, const struct store_doc *d, struct err *err)
{
    struct row_digest *r = ctx;
    struct store_doc same;
    struct str text = {0};
    if (store_doc_by_path(r->s, d->path, &same, err) != 1)
        return -1;
    hasher_int(r->h, same.id);
    store_doc_release(&same);
    const int rc = store_text(r->s, d->id, &text, err);
    hasher_text(r->h, str_view(&text));
    str_release(&text);
    return rc;
}

int sample_digest(struct store *s, struct hash128 *out, struct err *err)
{
    struct row_digest r = {s, hasher_new()};
    const int rc = add_facts(s, r.h, err) || store_each_doc(s, add_doc, r.h, err) ||
                           store_each_doc(s, find_by_path, &r, err) ||
                           store_each_row(s, 0, true, add_row, &r, err)
                       ? -1
                       : 0;
    *out = hasher_finish(r.h);
    return rc;
}

/* ---- verify ---- */

struct tally {
    int n;
    char *first;
};

static void count_problem(void *ctx, const struct store_problem *p)
{
    struct tally *t = ctx;
    if (t->n++ == 0)
        snprintf(t->first, 1024, "%s %s: %s", p->part, p->where, p->what);
}

int sample_verify(struct store *s, char first[1024], struct err *err)
{
    struct tally t = {0, first};
    first[0] = '\0';
    return store_verify(s, count_problem, &t, err) ? -1 : t.n;
}
