/* postings_build.c - from rows to an inverted index in bounded memory.
 *
 * Words become numbers in order of first sight. (word, row, position) triples collect in a buffer;
 * a full buffer is sorted by word (a counting sort keeps rows and positions in order) and written
 * as a run:
 *
 *     per word: varint word step, varint bytes, then per row: varint row step, varint tf,
 *               tf varint position steps
 *
 * Rows rise from run to run, so the postings of a word are its pieces of run 1, run 2, ... put
 * behind one another: the merge reads every run once from front to back and never sorts. It is done
 * once for each section, which is cheaper than holding them.
 */
#include "index/keyword/postings.h"

#include "index/keyword/words.h"
#include "src/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRIPLES_MAX = 3 << 20, RUNS_MAX = 4096, SKIP = 64 };

struct triple {
    uint32_t word, row, pos;
};

struct run {
    struct scratch *scratch;
    struct map map;
};

struct entry { /* of the dictionary */
    uint32_t text, n_rows, last_row;
    uint16_t n_text;
};

struct postings_builder {
    char *scratch_dir;
    uint32_t n_rows;
    uint32_t *length; /* words of each row */
    size_t cap_rows;
    uint32_t pos;

    struct entry *entry;
    size_t n_entries, cap_entries;
    char *text;
    size_t n_text, cap_text;
    uint32_t *slot; /* 1 + entry */
    size_t n_slots;

    struct triple *triple;
    size_t n_triples, cap_triples;
    struct run *run;
    size_t n_runs, cap_runs;
};

struct postings_builder *postings_builder_new(const char *scratch_dir)
{
    struct postings_builder *b = xcalloc(1, sizeof *b);
    b->scratch_dir = scratch_dir ? xstrdup(scratch_dir) : NULL;
    b->n_slots = 1024;
    b->slot = xcalloc(b->n_slots, sizeof *b->slot);
    return b;
}

void postings_builder_free(struct postings_builder *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n_runs; i++) {
        map_close(&b->run[i].map);
        scratch_close(b->run[i].scratch);
    }
    free(b->scratch_dir);
    free(b->length);
    free(b->entry);
    free(b->text);
    free(b->slot);
    free(b->triple);
    free(b->run);
    free(b);
}

/* ---- the dictionary */

static void slots_double(struct postings_builder *b)
{
    b->n_slots *= 2;
    free(b->slot);
    b->slot = xcalloc(b->n_slots, sizeof *b->slot);
    for (size_t i = 0; i < b->n_entries; i++) {
        const struct entry *e = &b->entry[i];
        size_t at = hash64(b->text + e->text, e->n_text) & (b->n_slots - 1);
        while (b->slot[at])
            at = (at + 1) & (b->n_slots - 1);
        b->slot[at] = (uint32_t)i + 1;
    }
}

static uint32_t word_number(struct postings_builder *b, struct span t)
{
    size_t at = hash64(t.p, t.n) & (b->n_slots - 1);
    for (; b->slot[at]; at = (at + 1) & (b->n_slots - 1)) {
        const struct entry *e = &b->entry[b->slot[at] - 1];
        if (e->n_text == t.n && memcmp(b->text + e->text, t.p, t.n) == 0)
            return b->slot[at] - 1;
    }
    while (b->n_text + t.n > b->cap_text)
        b->text = xrealloc(b->text, b->cap_text = b->cap_text ? 2 * b->cap_text : 65536);
    memcpy(b->text + b->n_text, t.p, t.n);
    VEC_GROW(b->entry, b->n_entries, b->cap_entries);
    b->entry[b->n_entries++] = (struct entry){(uint32_t)b->n_text, 0, UINT32_MAX, (uint16_t)t.n};
    b->n_text += t.n;
    b->slot[at] = (uint32_t)b->n_entries;
    if (b->n_entries * 2 > b->n_slots)
        slots_double(b);
    return (uint32_t)b->n_entries - 1;
}

/* ---- runs */

static size_t put_varint(uint8_t *out, uint32_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

static void add_varint(struct str *s, uint32_t v)
{
    uint8_t b[5];
    str_add(s, (const char *)b, put_varint(b, v));
}

/* Stable counting sort by word; returns the sorted copy. */
static struct triple *sorted(const struct postings_builder *b)
{
    uint32_t *at = xcalloc(b->n_entries + 1, sizeof *at);
    for (size_t i = 0; i < b->n_triples; i++)
        at[b->triple[i].word + 1]++;
    for (size_t w = 0; w < b->n_entries; w++)
        at[w + 1] += at[w];
    struct triple *out = xmalloc((b->n_triples + 1) * sizeof *out);
    for (size_t i = 0; i < b->n_triples; i++)
        out[at[b->triple[i].word]++] = b->triple[i];
    free(at);
    return out;
}

/* One word of a run: triples [i, end) share the word. */
static void encode_word(const struct triple *t, size_t i, size_t end, struct str *out)
{
    uint32_t row = 0;
    while (i < end) {
        size_t j = i;
        while (j < end && t[j].row == t[i].row)
            j++;
        add_varint(out, t[i].row - row);
        add_varint(out, (uint32_t)(j - i));
        row = t[i].row;
        uint32_t pos = 0;
        for (; i < j; i++) {
            add_varint(out, t[i].pos - pos);
            pos = t[i].pos;
        }
    }
}

static int end_run(struct postings_builder *b, struct err *err)
{
    if (b->n_triples == 0)
        return 0;
    if (b->n_runs == RUNS_MAX)
        return err_kind_set(err, ERR_LIMIT, "too much text for one keyword index");
    VEC_GROW(b->run, b->n_runs, b->cap_runs);
    struct run *r = &b->run[b->n_runs];
    *r = (struct run){0};
    if (scratch_open(b->scratch_dir, &r->scratch, err))
        return -1;
    b->n_runs++;
    struct triple *t = sorted(b);
    struct str body = {0};
    uint32_t word = 0;
    for (size_t i = 0, end; i < b->n_triples; i = end) {
        for (end = i; end < b->n_triples && t[end].word == t[i].word;)
            end++;
        str_clear(&body);
        encode_word(t, i, end, &body);
        uint8_t head[10];
        size_t n = put_varint(head, t[i].word - word);
        n += put_varint(head + n, (uint32_t)body.n);
        scratch_add(r->scratch, head, n);
        scratch_add(r->scratch, body.p, body.n);
        word = t[i].word;
    }
    str_release(&body);
    free(t);
    b->n_triples = 0;
    return scratch_map(r->scratch, &r->map, err);
}

/* ---- rows */

void postings_row_begin(struct postings_builder *b)
{
    VEC_GROW(b->length, b->n_rows, b->cap_rows);
    b->length[b->n_rows++] = 0;
    b->pos = 0;
}

static void add_word(void *ctx, const struct word *w)
{
    struct postings_builder *b = ctx;
    const uint32_t row = b->n_rows - 1, word = word_number(b, w->term);
    struct entry *e = &b->entry[word];
    if (e->last_row != row) {
        e->last_row = row;
        e->n_rows++;
    }
    b->length[row] += w->unit && !w->stop;
    VEC_GROW(b->triple, b->n_triples, b->cap_triples);
    b->triple[b->n_triples++] = (struct triple){word, row, w->pos};
}

void postings_row_text(struct postings_builder *b, struct span text)
{
    b->pos = words_split(text, b->pos, add_word, b) + 1;
}

int postings_row_end(struct postings_builder *b, struct err *err)
{
    return b->n_triples < TRIPLES_MAX ? 0 : end_run(b, err);
}

/* ---- merging */

struct cursor {
    const uint8_t *p, *end;
    uint32_t word; /* the word whose body begins at p */
    uint32_t n_body;
    bool done;
};

static uint32_t get_varint(const uint8_t **p)
{
    uint32_t v = 0;
    for (int shift = 0;; shift += 7) {
        const uint8_t c = *(*p)++;
        v |= (uint32_t)(c & 0x7F) << shift;
        if (c < 0x80)
            return v;
    }
}

static void cursor_next(struct cursor *c, uint32_t before)
{
    c->done = c->p >= c->end;
    if (c->done)
        return;
    c->word = before + get_varint(&c->p);
    c->n_body = get_varint(&c->p);
}

struct posting {
    uint32_t row, tf;
    const uint8_t *pos; /* tf varints, n_pos bytes */
    size_t n_pos;
};

/* Walks all postings in the order of the file: word by word, rows rising. */
static void merge(const struct postings_builder *b,
                  void (*fn)(void *ctx, uint32_t word, const struct posting *p), void *ctx)
{
    struct cursor *c = xcalloc(b->n_runs + 1, sizeof *c);
    for (size_t r = 0; r < b->n_runs; r++) {
        c[r] = (struct cursor){.p = b->run[r].map.p, .end = b->run[r].map.p + b->run[r].map.n};
        cursor_next(&c[r], 0);
    }
    for (uint32_t w = 0; w < b->n_entries; w++)
        for (size_t r = 0; r < b->n_runs; r++) {
            if (c[r].done || c[r].word != w)
                continue;
            const uint8_t *p = c[r].p, *const end = p + c[r].n_body;
            for (uint32_t row = 0; p < end;) {
                row += get_varint(&p);
                struct posting one = {.row = row, .tf = get_varint(&p)};
                one.pos = p;
                for (uint32_t i = 0; i < one.tf; i++)
                    get_varint(&p);
                one.n_pos = (size_t)(p - one.pos);
                fn(ctx, w, &one);
            }
            c[r].p = end;
            cursor_next(&c[r], w);
        }
    free(c);
}

struct writing {
    struct cache_writer *w;
    const struct postings_builder *b;
    double mean;
    uint16_t *top; /* largest impact of each word */
    uint64_t *skip;
    size_t n_skip, cap_skip;
    uint64_t n_postings, n_position;
};

static void write_row(void *ctx, uint32_t word, const struct posting *p)
{
    (void)word;
    cache_add(((struct writing *)ctx)->w, &p->row, sizeof p->row);
}

static void write_impact(void *ctx, uint32_t word, const struct posting *p)
{
    struct writing *s = ctx;
    const double norm = BM25_K1 * (1 - BM25_B + BM25_B * s->b->length[p->row] / s->mean);
    const uint16_t v = (uint16_t)lrint(65535 * (p->tf / (p->tf + norm)));
    if (v > s->top[word])
        s->top[word] = v;
    cache_add(s->w, &v, sizeof v);
}

static void write_position(void *ctx, uint32_t word, const struct posting *p)
{
    struct writing *s = ctx;
    (void)word;
    if (s->n_postings++ % SKIP == 0) {
        VEC_GROW(s->skip, s->n_skip, s->cap_skip);
        s->skip[s->n_skip++] = s->n_position;
    }
    uint8_t n[5];
    const size_t n_bytes = put_varint(n, p->tf);
    cache_add(s->w, n, n_bytes);
    cache_add(s->w, p->pos, p->n_pos);
    s->n_position += n_bytes + p->n_pos;
}

static void write_terms(const struct postings_builder *b, const struct writing *s)
{
    uint64_t first = 0;
    cache_section(s->w, "kw.terms");
    for (size_t i = 0; i < b->n_entries; i++) {
        const struct entry *e = &b->entry[i];
        const struct posting_term t = {.first = first,
                                       .n = e->n_rows,
                                       .text = e->text,
                                       .n_text = e->n_text,
                                       .top_impact = s->top[i]};
        cache_add(s->w, &t, sizeof t);
        first += e->n_rows;
    }
    cache_section(s->w, "kw.text");
    cache_add(s->w, b->text, b->n_text);
    cache_section(s->w, "kw.slots");
    cache_add(s->w, b->slot, b->n_slots * sizeof *b->slot);
}

static double mean_length(const struct postings_builder *b)
{
    double sum = 0;
    for (uint32_t i = 0; i < b->n_rows; i++)
        sum += b->length[i];
    return b->n_rows && sum > 0 ? sum / b->n_rows : 1;
}

int postings_write(struct postings_builder *b, struct cache_writer *w, double mean, struct err *err)
{
    if (b->n_text > UINT32_MAX || b->n_entries >= UINT32_MAX)
        return err_kind_set(err, ERR_LIMIT, "too many different words for one keyword index");
    if (end_run(b, err))
        return -1;
    struct writing s = {.w = w, .b = b, .mean = mean > 0 ? mean : mean_length(b)};
    s.top = xcalloc(b->n_entries + 1, sizeof *s.top);
    cache_section(w, "kw.rows");
    merge(b, write_row, &s);
    cache_section(w, "kw.impacts");
    merge(b, write_impact, &s);
    cache_section(w, "kw.positions");
    merge(b, write_position, &s);
    cache_section(w, "kw.skips");
    cache_add(w, s.skip, s.n_skip * sizeof *s.skip);
    write_terms(b, &s);
    cache_section(w, "kw.mean");
    cache_add(w, &s.mean, sizeof s.mean);
    free(s.top);
    free(s.skip);
    return 0;
}
