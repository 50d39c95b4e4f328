/* rows.c - rows of the index file to structs and back, their sums, and what makes a row sane.
 *
 * A sum is XXH3-64, seeded with the table's tag, over the columns one after the other: integers as
 * eight little-endian bytes, texts and blobs as their length (-1 for an SQL null) and bytes. Large
 * blobs stand in it by their own hash.
 */
#include "index/store/internal.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

static void start(struct store *s)
{
    str_clear(&s->sum_bytes);
}

static void put_int(struct store *s, int64_t v)
{
    char b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (char)((uint64_t)v >> (8 * i));
    str_add(&s->sum_bytes, b, sizeof b);
}

static void put_span(struct store *s, struct span v)
{
    put_int(s, v.p ? (int64_t)v.n : -1);
    str_span(&s->sum_bytes, v);
}

static void put_text(struct store *s, const char *v)
{
    put_span(s, v ? span_of(v) : (struct span){0});
}

static void put_large(struct store *s, struct span v)
{
    put_int(s, (int64_t)v.n);
    put_int(s, (int64_t)hash64(v.n ? v.p : "", v.n));
}

static int64_t finish(struct store *s, enum table tag)
{
    return (int64_t)hash64_seed(s->sum_bytes.p, s->sum_bytes.n, 0x5345u + (uint64_t)tag);
}

int64_t sum_meta(struct store *s, struct span key, struct span value)
{
    start(s);
    put_span(s, key);
    put_span(s, value);
    return finish(s, T_META);
}

int64_t sum_state(struct store *s, const struct counters *c)
{
    const int64_t v[] = {c->generation, c->next_doc, c->next_chunk, c->next_vector, c->documents,
                         c->skipped,    c->failed,   c->chunks,     c->vectors,     c->dim};
    start(s);
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        put_int(s, v[i]);
    return finish(s, T_STATE);
}

int64_t sum_doc(struct store *s, const struct doc_row *r)
{
    const struct store_doc *d = &r->d;
    const int64_t v[] = {
        d->id,         d->state,      d->kind,           d->extract_version, d->verbatim,
        d->src_offset, d->stamp.size, d->stamp.mtime_ns, d->stamp.ctime_ns,  d->stamp.inode,
        d->text_bytes, d->n_chunks,   r->first_chunk};
    start(s);
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        put_int(s, v[i]);
    put_text(s, d->path);
    put_text(s, d->reason);
    put_text(s, d->hint);
    put_text(s, d->title);
    put_text(s, d->extractor);
    str_add(&s->sum_bytes, (const char *)d->content.b, sizeof d->content.b);
    return finish(s, T_DOCUMENT);
}

int64_t sum_text(struct store *s, int64_t doc_id, int64_t raw_bytes, int64_t dict, struct span data)
{
    start(s);
    put_int(s, doc_id);
    put_int(s, raw_bytes);
    put_int(s, dict);
    put_large(s, data);
    return finish(s, T_TEXT);
}

int64_t sum_dict(struct store *s, int64_t id, struct span data)
{
    start(s);
    put_int(s, id);
    put_large(s, data);
    return finish(s, T_DICT);
}

int64_t sum_chunk(struct store *s, const struct chunk_row *r)
{
    const struct store_chunk *c = &r->c;
    const int64_t v[] = {c->id,   c->doc_id,     c->ord,      c->start,    c->end,
                         c->page, c->line_start, c->line_end, c->n_tokens, r->vector};
    start(s);
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        put_int(s, v[i]);
    put_text(s, c->heading);
    str_add(&s->sum_bytes, (const char *)c->embed_hash.b, sizeof c->embed_hash.b);
    return finish(s, T_CHUNK);
}

int64_t sum_vector(struct store *s, int64_t id, struct span hash, struct span data)
{
    start(s);
    put_int(s, id);
    put_span(s, hash);
    put_large(s, data);
    return finish(s, T_VECTOR);
}

int64_t sum_removed(struct store *s, int64_t first, int64_t last)
{
    start(s);
    put_int(s, first);
    put_int(s, last);
    return finish(s, T_REMOVED);
}

/* Numbers that a damaged row may carry; such a row has the wrong sum anyway, so its value is moot.
 */
static int as_int(sqlite3_stmt *q, int i)
{
    const int64_t v = sqlite3_column_int64(q, i);
    return v < INT32_MIN || v > INT32_MAX ? INT32_MIN : (int)v;
}

static void take_hash(sqlite3_stmt *q, int i, struct hash128 *out)
{
    const struct span s = column_span(q, i);
    if (s.n == sizeof out->b)
        memcpy(out->b, s.p, s.n);
}

int doc_from_row(struct store *s, sqlite3_stmt *q, struct doc_row *r)
{
    *r = (struct doc_row){.d = {.id = sqlite3_column_int64(q, 0),
                                .path = column_text(q, 1),
                                .state = (enum doc_state)as_int(q, 2),
                                .reason = column_text(q, 3),
                                .hint = column_text(q, 4),
                                .kind = (enum doc_kind)as_int(q, 5),
                                .title = column_text(q, 6),
                                .extractor = column_text(q, 7),
                                .extract_version = as_int(q, 8),
                                .verbatim = sqlite3_column_int64(q, 9) != 0,
                                .src_offset = sqlite3_column_int64(q, 10),
                                .stamp = {.size = sqlite3_column_int64(q, 11),
                                          .mtime_ns = sqlite3_column_int64(q, 12),
                                          .ctime_ns = sqlite3_column_int64(q, 13),
                                          .inode = sqlite3_column_int64(q, 14)},
                                .text_bytes = sqlite3_column_int64(q, 16),
                                .n_chunks = sqlite3_column_int64(q, 17)},
                          .first_chunk = sqlite3_column_int64(q, 18),
                          .sum = sqlite3_column_int64(q, 19)};
    take_hash(q, 15, &r->d.content);
    if (!r->d.path)
        r->d.path = xstrdup("");
    return r->sum == sum_doc(s, r) ? 0 : -1;
}

int chunk_from_row(struct store *s, sqlite3_stmt *q, struct chunk_row *r)
{
    *r = (struct chunk_row){.c = {.id = sqlite3_column_int64(q, 0),
                                  .doc_id = sqlite3_column_int64(q, 1),
                                  .ord = as_int(q, 2),
                                  .start = sqlite3_column_int64(q, 3),
                                  .end = sqlite3_column_int64(q, 4),
                                  .page = as_int(q, 5),
                                  .line_start = as_int(q, 6),
                                  .line_end = as_int(q, 7),
                                  .heading = column_text(q, 8),
                                  .n_tokens = as_int(q, 9)},
                            .vector = sqlite3_column_int64(q, 11),
                            .sum = sqlite3_column_int64(q, 12)};
    take_hash(q, 10, &r->c.embed_hash);
    return r->sum == sum_chunk(s, r) ? 0 : -1;
}

int doc_write(struct store *s, struct doc_row *r, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_DOC_PUT, err);
    if (!q)
        return -1;
    const struct store_doc *d = &r->d;
    r->sum = sum_doc(s, r);
    sqlite3_bind_int64(q, 1, d->id);
    bind_blob(q, 2, d->path, strlen(d->path));
    sqlite3_bind_int64(q, 3, d->state);
    bind_text(q, 4, d->reason);
    bind_text(q, 5, d->hint);
    sqlite3_bind_int64(q, 6, d->kind);
    bind_text(q, 7, d->title);
    bind_text(q, 8, d->extractor);
    sqlite3_bind_int64(q, 9, d->extract_version);
    sqlite3_bind_int64(q, 10, d->verbatim);
    sqlite3_bind_int64(q, 11, d->src_offset);
    sqlite3_bind_int64(q, 12, d->stamp.size);
    sqlite3_bind_int64(q, 13, d->stamp.mtime_ns);
    sqlite3_bind_int64(q, 14, d->stamp.ctime_ns);
    sqlite3_bind_int64(q, 15, d->stamp.inode);
    bind_blob(q, 16, d->content.b, sizeof d->content.b);
    sqlite3_bind_int64(q, 17, d->text_bytes);
    sqlite3_bind_int64(q, 18, d->n_chunks);
    sqlite3_bind_int64(q, 19, r->first_chunk);
    sqlite3_bind_int64(q, 20, r->sum);
    return db_finish(s, q, err);
}

int chunk_write(struct store *s, struct chunk_row *r, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_CHUNK_PUT, err);
    if (!q)
        return -1;
    const struct store_chunk *c = &r->c;
    const int64_t before[] = {c->id,  c->doc_id, c->ord,        c->start,
                              c->end, c->page,   c->line_start, c->line_end};
    r->sum = sum_chunk(s, r);
    for (size_t i = 0; i < ARRAY_LEN(before); i++)
        sqlite3_bind_int64(q, (int)i + 1, before[i]);
    bind_text(q, 9, c->heading);
    sqlite3_bind_int64(q, 10, c->n_tokens);
    bind_blob(q, 11, c->embed_hash.b, sizeof c->embed_hash.b);
    sqlite3_bind_int64(q, 12, r->vector);
    sqlite3_bind_int64(q, 13, r->sum);
    return db_finish(s, q, err);
}

void store_doc_release(struct store_doc *d)
{
    free(d->path);
    free(d->reason);
    free(d->hint);
    free(d->title);
    free(d->extractor);
    *d = (struct store_doc){0};
}

void doc_row_release(struct doc_row *r)
{
    store_doc_release(&r->d);
    *r = (struct doc_row){0};
}

void store_chunk_release(struct store_chunk *c)
{
    free(c->heading);
    *c = (struct store_chunk){0};
}

const char *doc_state_name(enum doc_state s)
{
    static const char *const name[] = {"indexed", "skipped", "failed"};
    return (size_t)s < ARRAY_LEN(name) ? name[s] : "unknown";
}

/* Whoever reads paths from here opens files below the root: none may lead out of it. */
const char *path_problem(const char *path)
{
    if (!*path)
        return "the path is empty";
    struct span rest = span_of(path), piece;
    while (span_split(&rest, '/', &piece))
        if (piece.n == 0 || span_eq(piece, ".") || span_eq(piece, ".."))
            return "the path is not a plain relative one";
    return NULL;
}

const char *doc_problem(const struct doc_row *r)
{
    const struct store_doc *d = &r->d;
    const char *path = path_problem(d->path);
    if (path)
        return path;
    if (d->id < 1 || (unsigned)d->state > DOC_FAILED || (unsigned)d->kind >= KIND_COUNT)
        return "a value of the row is out of range";
    if (d->text_bytes < 0 || d->n_chunks < 0 || d->src_offset < 0 || r->first_chunk < 0)
        return "a number of the row is negative";
    if (d->n_chunks && d->state != DOC_INDEXED)
        return "it has passages but is not indexed";
    return NULL;
}

const char *chunk_problem(const struct chunk_row *r, const struct doc_row *of)
{
    const struct store_chunk *c = &r->c;
    if (c->doc_id != of->d.id || c->ord < 0 || c->id - of->first_chunk != c->ord)
        return "it is not where its document says";
    if (c->start < 0 || c->end < c->start || c->end > of->d.text_bytes)
        return "its range is outside the text";
    if (c->page < 0 || c->line_start < 0 || c->line_end < c->line_start || c->n_tokens < 0)
        return "a number of the row is out of range";
    return NULL;
}
