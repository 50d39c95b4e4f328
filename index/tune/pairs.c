/* pairs.c - see pairs.h. */
#include "index/tune/pairs.h"

#include "index/tune/pairs_text.h"
#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <stdlib.h>
#include <string.h>

enum {
    ANCHOR_BYTES = 300,
    PASSAGE_BYTES = 1200,
    ANCHOR_WORDS_MIN = 2,
    ANCHOR_WORDS_MAX = 32,
    PASSAGE_WORDS_MIN = 12,
    SENTENCE_WORDS_MIN = 6,
    SENTENCES_PER_DOC = 2, /* or long documents would drown the rest */
    DOCSTRINGS_PER_DOC = 20,
    SHINGLE = 4, /* words of a shingle */
    SKETCH = 8,  /* smallest shingle hashes kept of a passage */
    SKETCH_SAME = 6
};

const char *pair_kind_name(enum pair_kind kind)
{
    static const char *const name[PAIR_KINDS] = {"title", "heading",  "question",
                                                 "link",  "sentence", "docstring"};
    return name[kind];
}

void pair_list_release(struct pair_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->item[i].anchor);
        free(l->item[i].passage);
    }
    free(l->item);
    *l = (struct pair_list){0};
}

/* An indexed document, by path. */
struct page {
    char *path, *title;
    int64_t id;
    enum doc_kind kind;
    bool verbatim, held;
};

struct collector {
    struct store *store;
    const struct pairs_options *options;
    struct pair_list *out;
    struct page *page; /* rising by path (strcmp) */
    size_t n_pages, cap_pages;
    /* the document at hand */
    const struct page *at;
    struct str text;
    size_t n_docstrings;
    struct err *err;
    bool failed;
};

/* ---- one pair ---- */

/* The passage must not begin with its own anchor: the heading's line is often part of it. */
static struct span without_anchor(struct span passage, struct span anchor)
{
    if (passage.n > anchor.n && memcmp(passage.p, anchor.p, anchor.n) == 0) {
        passage = span_trim(span_sub(passage, anchor.n, passage.n));
        while (passage.n && strchr(":.-=~", passage.p[0]))
            passage = span_trim(span_sub(passage, 1, passage.n));
    }
    return passage;
}

static void add_pair(struct collector *c, enum pair_kind kind, struct span anchor,
                     struct span passage, const struct page *of, int ord)
{
    struct str a = {0}, p = {0};
    text_plain(anchor, ANCHOR_BYTES, &a);
    text_plain(passage, PASSAGE_BYTES, &p);
    const struct span body = without_anchor(str_view(&p), str_view(&a));
    const size_t words = text_words(str_view(&a));
    if (words >= ANCHOR_WORDS_MIN && words <= ANCHOR_WORDS_MAX &&
        text_words(body) >= PASSAGE_WORDS_MIN) {
        struct pair_list *l = c->out;
        VEC_GROW(l->item, l->n, l->cap);
        l->item[l->n++] = (struct pair){.kind = kind,
                                        .anchor = xstrndup(a.p, a.n),
                                        .passage = xstrndup(body.p, body.n),
                                        .doc = of->id,
                                        .anchor_doc = c->at->id,
                                        .ord = ord,
                                        .held = of->held && c->at->held};
        l->found[kind]++;
        if (of->held != c->at->held) { /* neither for training nor for measuring */
            l->across++;
            l->n--;
            free(l->item[l->n].anchor);
            free(l->item[l->n].passage);
        }
    }
    str_release(&a);
    str_release(&p);
}

/* ---- links ---- */

static int by_path(const void *key, const void *item)
{
    return strcmp(key, ((const struct page *)item)->path);
}

static const struct page *find_page(const struct collector *c, const char *path)
{
    return bsearch(path, c->page, c->n_pages, sizeof *c->page, by_path);
}

/* The target of a link as a path below the root: "../b/c.md#d" in "a/x.md" is "b/c.md". */
static void resolve(const char *from, struct span target, struct str *out)
{
    const char *slash = strrchr(from, '/');
    str_add(out, from, slash ? (size_t)(slash - from) : 0);
    struct span piece;
    while (span_split(&target, '/', &piece)) {
        if (piece.n == 0 || span_eq(piece, "."))
            continue;
        if (span_eq(piece, "..")) {
            while (out->n && out->p[--out->n] != '/')
                continue;
            continue;
        }
        if (out->n)
            str_putc(out, '/');
        str_span(out, piece);
    }
    str_putc(out, '\0');
}

static const struct page *linked_page(const struct collector *c, struct span target)
{
    static const char *const endings[] = {"", ".md", ".adoc", ".html", "/README.md", "/index.md"};
    const char *hash = memchr(target.p, '#', target.n);
    if (hash)
        target.n = (size_t)(hash - target.p);
    if (target.n == 0 || memmem(target.p, target.n, ":", 1) || target.n > 300)
        return NULL;
    struct str base = {0}, path = {0};
    resolve(c->at->path, target, &base);
    const struct page *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(endings) && !found; i++) {
        str_clear(&path);
        str_printf(&path, "%s%s", base.p, endings[i]);
        found = find_page(c, path.p);
    }
    str_release(&base);
    str_release(&path);
    return found == c->at ? NULL : found;
}

/* The first passage of another document. */
static int first_passage(struct collector *c, const struct page *p, struct str *out)
{
    struct store_chunk *chunk = NULL;
    size_t n = 0;
    struct str text = {0};
    int rc = store_chunks_of(c->store, p->id, &chunk, &n, c->err);
    if (rc == 0 && n)
        rc = store_text(c->store, p->id, &text, c->err);
    if (rc == 0 && n)
        str_span(out, span_sub(str_view(&text), (size_t)chunk[0].start, (size_t)chunk[0].end));
    for (size_t i = 0; i < n; i++)
        store_chunk_release(&chunk[i]);
    free(chunk);
    str_release(&text);
    return rc;
}

static void on_link(void *ctx, struct span label, struct span target)
{
    struct collector *c = ctx;
    const struct page *to = c->failed ? NULL : linked_page(c, target);
    struct str passage = {0};
    if (!to || text_words(label) < ANCHOR_WORDS_MIN)
        return;
    c->failed = first_passage(c, to, &passage) != 0;
    if (!c->failed)
        add_pair(c, PAIR_LINK, label, str_view(&passage), to, 0);
    str_release(&passage);
}

static void on_docstring(void *ctx, struct span comment, struct span code)
{
    struct collector *c = ctx;
    struct str plain = {0};
    text_plain(comment, ANCHOR_BYTES, &plain);
    const size_t n = text_sentence(str_view(&plain));
    if (c->n_docstrings++ < DOCSTRINGS_PER_DOC)
        add_pair(c, PAIR_DOCSTRING, span_sub(str_view(&plain), 0, n ? n : plain.n), code, c->at,
                 -(int)c->n_docstrings);
    str_release(&plain);
}

/* ---- one document ---- */

static struct span last_component(const char *heading)
{
    const char *at = heading;
    for (const char *p = heading; (p = strstr(p, " > ")) != NULL;)
        at = p += 3;
    return span_of(at);
}

/* The passage, without the settings ("---" to "---") that a page may begin with. */
static struct span passage_of(const struct collector *c, const struct store_chunk *chunk)
{
    const struct span s = span_sub(str_view(&c->text), (size_t)chunk->start, (size_t)chunk->end);
    if (!span_starts(s, "---\n"))
        return s;
    const char *end = memmem(s.p + 3, s.n - 3, "\n---\n", 5);
    return end ? span_sub(s, (size_t)(end - s.p) + 5, s.n) : s;
}

/* asked[i]: passage i has a title or a heading that asks for it. */
static void from_titles(struct collector *c, const struct store_chunk *chunk, size_t n, bool *asked)
{
    const struct span title = span_of(c->at->title);
    if (title.n) {
        add_pair(c, text_asks(title) ? PAIR_QUESTION : PAIR_TITLE, title, passage_of(c, &chunk[0]),
                 c->at, 0);
        asked[0] = true;
    }
    for (size_t i = 0; i < n; i++) {
        const char *heading = chunk[i].heading;
        if (!heading || asked[i] ||
            (i && chunk[i - 1].heading && !strcmp(heading, chunk[i - 1].heading)))
            continue;
        const struct span name = last_component(heading);
        if (span_equal(name, title))
            continue;
        add_pair(c, text_asks(name) ? PAIR_QUESTION : PAIR_HEADING, name, passage_of(c, &chunk[i]),
                 c->at, (int)i);
        asked[i] = true;
    }
}

static void from_sentences(struct collector *c, const struct store_chunk *chunk, size_t n,
                           const bool *asked)
{
    for (size_t i = 0, made = 0; i < n && made < SENTENCES_PER_DOC; i++) {
        struct str plain = {0};
        if (asked[i])
            continue;
        text_plain(passage_of(c, &chunk[i]), PASSAGE_BYTES, &plain);
        const struct span all = str_view(&plain);
        const size_t end = text_sentence(all), before = c->out->n;
        if (end && text_words(span_sub(all, 0, end)) >= SENTENCE_WORDS_MIN)
            add_pair(c, PAIR_SENTENCE, span_sub(all, 0, end), span_sub(all, end, all.n), c->at,
                     (int)i);
        made += c->out->n - before;
        str_release(&plain);
    }
}

static bool is_prose(enum doc_kind kind)
{
    return kind != KIND_CODE && kind != KIND_DATA && kind != KIND_SHEET && kind != KIND_SUBTITLE;
}

static int from_document(struct collector *c)
{
    struct store_chunk *chunk = NULL;
    size_t n = 0;
    str_clear(&c->text);
    c->n_docstrings = 0;
    if (store_chunks_of(c->store, c->at->id, &chunk, &n, c->err))
        return -1;
    int rc = store_text(c->store, c->at->id, &c->text, c->err);
    if (rc == 0 && n) {
        bool *asked = xcalloc(n, sizeof *asked);
        from_titles(c, chunk, n, asked);
        if (is_prose(c->at->kind))
            from_sentences(c, chunk, n, asked);
        free(asked);
        if (c->at->kind == KIND_CODE)
            text_docstrings(str_view(&c->text), on_docstring, c);
        if (c->at->verbatim && is_prose(c->at->kind))
            text_links(str_view(&c->text), on_link, c);
        rc = c->failed ? -1 : 0;
    }
    for (size_t i = 0; i < n; i++)
        store_chunk_release(&chunk[i]);
    free(chunk);
    return rc;
}

/* ---- what is left out ---- */

struct keyed {
    uint64_t key, passage;
    size_t item;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

static uint64_t normal_hash(const char *text)
{
    struct str s = {0};
    text_normal(span_of(text), &s);
    const uint64_t h = hash64(s.p, s.n);
    str_release(&s);
    return h;
}

/* Anchors that lead to passages of several documents mean none of them in particular; and one that
 * comes again for the same document says nothing new. */
static void mark_common(struct pair_list *l, bool *drop)
{
    struct keyed *k = xcalloc(l->n + 1, sizeof *k);
    for (size_t i = 0; i < l->n; i++)
        k[i] = (struct keyed){normal_hash(l->item[i].anchor), 0, i};
    qsort(k, l->n, sizeof *k, by_key);
    for (size_t i = 0, end; i < l->n; i = end) {
        bool several = false;
        for (end = i + 1; end < l->n && k[end].key == k[i].key; end++)
            several |= l->item[k[end].item].doc != l->item[k[i].item].doc;
        for (size_t j = several ? i : i + 1; j < end; j++) {
            drop[k[j].item] = true;
            l->common++;
        }
    }
    free(k);
}

/* The smallest hashes of a text's shingles: two texts share them in proportion to what they have in
 * common (Broder 1997). */
static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void sketch(const char *text, uint64_t out[SKETCH])
{
    struct str s = {0};
    size_t start[PASSAGE_BYTES + 2], n = 0, m = 0;
    text_normal(span_of(text), &s);
    for (size_t i = 0; i < s.n && n <= PASSAGE_BYTES; i++)
        if (i == 0 || s.p[i - 1] == ' ')
            start[n++] = i;
    uint64_t *h = xcalloc(n + SKETCH, sizeof *h);
    for (size_t i = 0; i + SHINGLE <= n; i++) {
        const size_t end = i + SHINGLE < n ? start[i + SHINGLE] - 1 : s.n;
        h[m++] = hash64(s.p + start[i], end - start[i]);
    }
    qsort(h, m, sizeof *h, by_number);
    for (size_t i = 0; i < SKETCH; i++)
        out[i] = i < m ? h[i] : UINT64_MAX - i;
    free(h);
    str_release(&s);
}

static int sketch_common(const uint64_t *a, const uint64_t *b)
{
    int same = 0;
    for (int i = 0; i < SKETCH; i++)
        for (int j = 0; j < SKETCH; j++)
            same += a[i] == b[j];
    return same;
}

/* Of passages that share most of their sketch only the first stays. Candidates are those that share
 * one of the three smallest hashes. Two pairs of one document may have the same passage. */
static void mark_near(struct pair_list *l, bool *drop)
{
    enum { KEYS = 3 };
    uint64_t(*s)[SKETCH] = xcalloc(l->n + 1, sizeof *s);
    struct keyed *k = xcalloc(l->n * KEYS + 1, sizeof *k);
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (drop[i])
            continue;
        sketch(l->item[i].passage, s[i]);
        for (int j = 0; j < KEYS; j++)
            k[n++] = (struct keyed){s[i][j], 0, i};
    }
    qsort(k, n, sizeof *k, by_key);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && k[end].key == k[i].key;)
            end++;
        for (size_t j = i + 1; j < end && j < i + 50; j++)
            if (!drop[k[j].item] && l->item[k[j].item].doc != l->item[k[i].item].doc &&
                sketch_common(s[k[i].item], s[k[j].item]) >= SKETCH_SAME) {
                drop[k[j].item] = true;
                l->near++;
            }
    }
    free(k);
    free(s);
}

static void leave_out(struct pair_list *l)
{
    bool *drop = xcalloc(l->n + 1, sizeof *drop);
    size_t n = 0;
    mark_common(l, drop);
    mark_near(l, drop);
    for (size_t i = 0; i < l->n; i++) {
        if (drop[i]) {
            free(l->item[i].anchor);
            free(l->item[i].passage);
        } else {
            l->item[n++] = l->item[i];
        }
    }
    l->n = n;
    free(drop);
}

/* ---- the whole ---- */

static int keep_page(void *ctx, const struct store_doc *d, struct err *err)
{
    struct collector *c = ctx;
    (void)err;
    if (d->state != DOC_INDEXED || d->n_chunks == 0)
        return 0;
    const uint64_t h = hash64_seed(d->path, strlen(d->path), c->options->seed);
    VEC_GROW(c->page, c->n_pages, c->cap_pages);
    c->page[c->n_pages++] =
        (struct page){.path = xstrdup(d->path),
                      .title = d->title ? xstrdup(d->title) : NULL,
                      .id = d->id,
                      .kind = d->kind,
                      .verbatim = d->verbatim,
                      .held = (double)(h >> 11) * 0x1p-53 < c->options->held_share};
    return 0;
}

static int in_order(const void *a, const void *b)
{
    return strcmp(((const struct page *)a)->path, ((const struct page *)b)->path);
}

static void collector_release(struct collector *c)
{
    for (size_t i = 0; i < c->n_pages; i++) {
        free(c->page[i].path);
        free(c->page[i].title);
    }
    free(c->page);
    str_release(&c->text);
}

int pairs_collect(struct store *s, const struct pairs_options *o, const struct progress_sink *sink,
                  struct pair_list *out, struct err *err)
{
    struct collector c = {.store = s, .options = o, .out = out, .err = err};
    *out = (struct pair_list){0};
    int rc = store_each_doc(s, keep_page, &c, err);
    if (rc == 0 && c.n_pages)
        qsort(c.page, c.n_pages, sizeof *c.page, in_order);
    for (size_t i = 0; i < c.n_pages && rc == 0; i++) {
        const struct progress p = {
            .done = (int64_t)i, .total = (int64_t)c.n_pages, .phase = "reading"};
        if (sink && sink->update)
            sink->update(sink->ctx, &p);
        c.at = &c.page[i];
        out->documents++;
        out->held_documents += c.at->held;
        rc = stop_requested() ? err_kind_set(err, ERR_STOPPED, "stopped") : from_document(&c);
    }
    if (rc == 0)
        leave_out(out);
    else
        pair_list_release(out);
    collector_release(&c);
    return rc;
}
