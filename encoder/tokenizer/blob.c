/* blob.c - builds, checks and saves the memory form of a tokenizer; its layout is in internal.h. */
#include "encoder/tokenizer/vocab.h"
#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <stddef.h>
#include <stdlib.h>

enum { ALIGN = 64, LONGEST_PROBE = 4096, BYTE_ORDER_MARK = 0x01020304 };

static const char magic[8] = {'S', 'S', 'T', 'O', 'K', 'E', 'N', '2'};

/* Where the arrays of a blob lie. */
struct layout {
    size_t first, slot, filter, pool, end;
};

static size_t aligned(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* Every count has passed its ceiling, so nothing overflows 64 bits. */
static struct layout layout_of(const struct blob_header *h)
{
    struct layout l;
    l.first = aligned(sizeof *h);
    l.slot = aligned(l.first + ((size_t)h->n_ids + 1) * sizeof(uint32_t));
    l.filter = aligned(l.slot + ((size_t)1 << h->slot_bits) * sizeof(struct slot));
    l.pool = aligned(l.filter + ((size_t)1 << h->filter_bits) / 8);
    l.end = l.pool + h->n_pool;
    return l;
}

static void point_into(struct tokenizer *t, const unsigned char *blob)
{
    t->h = (const struct blob_header *)blob;
    const struct layout l = layout_of(t->h);
    t->first = (const uint32_t *)(blob + l.first);
    t->slot = (const struct slot *)(blob + l.slot);
    t->filter = (const uint64_t *)(blob + l.filter);
    t->pool = (const char *)(blob + l.pool);
    t->slot_shift = 64 - t->h->slot_bits;
    t->slot_mask = ((size_t)1 << t->h->slot_bits) - 1;
    t->filter_mask = (UINT64_C(1) << t->h->filter_bits) - 1;
}

/* ---- small tables that follow from the options ---- */

static void derive_tables(struct tokenizer *t)
{
    class_fill(t->class);
    for (int c = 0; c < 256; c++) {
        const uint8_t class = c < 128 ? t->class[c] : 0;
        if (c == '\t' || c == '\n' || c == '\r' || c == ' ')
            t->kind[c] = KIND_SPACE;
        else if (c >= 128 || class & CLASS_OTHER)
            t->kind[c] = KIND_SLOW;
        else
            t->kind[c] = class & CLASS_PUNCT ? KIND_PUNCT : KIND_WORD;
    }
    for (unsigned c = 0; c < 128; c++) {
        const struct slot *s = c ? vocab_find8(t, c, 1, 0) : NULL;
        t->ascii_id[c] = s ? s->id : t->h->spec.unk;
    }
}

static void hash_template(struct hasher *h, const struct template *p)
{
    hasher_int(h, p->n);
    for (uint32_t i = 0; i < p->n; i++) {
        hasher_int(h, p->item[i].id);
        hasher_int(h, p->item[i].type);
    }
}

static struct hash128 fingerprint_of(const struct tokenizer *t)
{
    const struct token_spec *s = &t->h->spec;
    struct hasher *h = hasher_new();
    hasher_text(h, span_of("wordpiece"));
    const uint8_t option[6] = {s->clean, s->cjk, s->nfd, s->strip, s->lower, s->cut_left};
    for (size_t i = 0; i < sizeof option; i++)
        hasher_int(h, option[i]);
    hasher_int(h, s->max_chars);
    hasher_int(h, s->unk);
    hasher_text(h, (struct span){s->prefix, s->n_prefix});
    hash_template(h, &s->single);
    hash_template(h, &s->pair);
    hasher_int(h, t->h->n_ids);
    for (uint32_t i = 0; i <= t->h->n_ids; i += 1024) { /* independent of byte order, and cheap */
        uint8_t part[1024 * 4];
        size_t n = 0;
        for (uint32_t j = i; j < i + 1024 && j <= t->h->n_ids; j++)
            for (int k = 0; k < 4; k++)
                part[n++] = (uint8_t)(t->first[j] >> 8 * k);
        hasher_add(h, part, n);
    }
    hasher_text(h, (struct span){t->pool, t->h->n_pool});
    if (t->h->unmatched)
        hasher_int(h, t->h->unmatched);
    return hasher_finish(h);
}

/* ---- building ---- */

struct entry {
    struct span text; /* as it matches: without the prefix inside a word */
    uint64_t hash;
    uint32_t id;
    unsigned cont;
};

/* How a token can match, at the start of a word and inside it: writes 0 to 2 entries (without their
 * hashes) and returns how many. */
static int entries_of(const struct token_spec *spec, struct span token, uint32_t id,
                      struct entry entry[2])
{
    int n = 0;
    /* Words that begin with ASCII punctuation are one character long. */
    const unsigned char c = token.n ? (unsigned char)token.p[0] : 0;
    const bool punct =
        c > 32 && c < 127 && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    const size_t most = (size_t)spec->max_chars * 4;
    if (token.n && token.n <= most && (!punct || token.n == 1))
        entry[n++] = (struct entry){.text = token, .id = id, .cont = 0};
    const struct span prefix = {spec->prefix, spec->n_prefix};
    if (token.n > prefix.n && token.n - prefix.n <= most &&
        (!prefix.n || memcmp(token.p, prefix.p, prefix.n) == 0))
        entry[n++] =
            (struct entry){.text = {token.p + prefix.n, token.n - prefix.n}, .id = id, .cont = 1};
    return n;
}

static uint64_t hash_of(struct span text, unsigned cont)
{
    uint64_t fold = 0;
    size_t at = 0;
    for (; text.n - at > 8; at += 8)
        fold = hash_fold(fold, load8(text.p + at));
    return hash_finish(fold, load_below8(text.p + at, text.n - at), text.n, cont);
}

/* Puts one entry in; *clash gets the id of the same text when it is there already, else -1. */
static int insert(struct tokenizer *t, const struct entry *e, int64_t *clash, struct err *err)
{
    struct slot *const slot = (struct slot *)(uintptr_t)t->slot; /* still being built */
    uint64_t *const filter = (uint64_t *)(uintptr_t)t->filter;
    const uint64_t head = load_below8(e->text.p, e->text.n < 8 ? e->text.n : 8);
    size_t i = slot_index(t, e->hash);
    *clash = -1;
    for (int steps = 0; slot[i].len; i = (i + 1) & t->slot_mask) {
        if (++steps > LONGEST_PROBE)
            return err_kind_set(err, ERR_LIMIT, "vocabulary is made to collide");
        const size_t skip = e->cont ? t->h->spec.n_prefix : 0;
        if (slot[i].head == head && slot[i].len == e->text.n && slot[i].cont == e->cont &&
            memcmp(t->pool + t->first[slot[i].id] + skip, e->text.p, e->text.n) == 0) {
            *clash = slot[i].id;
            break;
        }
    }
    slot[i] = (struct slot){head, e->id, (uint16_t)e->text.n, (uint16_t)e->cont};
    const uint64_t bit = e->hash & t->filter_mask;
    filter[bit / 64] |= UINT64_C(1) << bit % 64;
    return 0;
}

static uint32_t bits_for(size_t n)
{
    uint32_t bits = 8;
    while (((size_t)1 << bits) < n)
        bits++;
    return bits;
}

/* What a blob is built from. */
struct source {
    struct span *token;
    const uint8_t *unmatched;
    bool last_wins;
    const char *name;
    size_t n_clashes; /* texts that came twice */
};

static void note_length(struct blob_header *h, const struct entry *e)
{
    if (e->text.n > h->longest[e->cont])
        h->longest[e->cont] = (uint32_t)e->text.n;
    if (e->text.n < 2)
        return;
    uint8_t *reach = &h->reach[e->cont][reach_index(load_below8(e->text.p, 2))];
    const uint8_t n = (uint8_t)(e->text.n < 255 ? e->text.n : 255);
    *reach = n > *reach ? n : *reach;
}

/* Counts what the arrays need; ceilings of the vocabulary as a whole are checked here. */
static int measure(struct blob_header *h, const struct source *from, struct err *err)
{
    size_t n_pool = 0, n_entries = 0;
    for (uint32_t id = 0; id < h->n_ids; id++) {
        struct entry entry[2];
        n_pool += from->token[id].n;
        if (from->unmatched && from->unmatched[id])
            continue;
        const int n = entries_of(&h->spec, from->token[id], id, entry);
        for (int i = 0; i < n; i++)
            note_length(h, &entry[i]);
        n_entries += (size_t)n;
    }
    if (n_pool > INT32_MAX)
        return err_kind_set(err, ERR_LIMIT, "vocabulary of '%s' is too large", from->name);
    h->n_pool = (uint32_t)n_pool;
    h->slot_bits = bits_for(n_entries * 2 + 1); /* at most half full */
    h->filter_bits = bits_for(n_entries * 16);
    return 0;
}

static int allocate(const struct blob_header *h, struct tokenizer **out, struct err *err)
{
    void *t, *blob;
    const struct layout l = layout_of(h);
    if (mem_try(&t, sizeof **out, "tokenizer", err) != 0)
        return -1;
    if (mem_try(&blob, l.end, "vocabulary", err) != 0) {
        free(t);
        return -1;
    }
    memset(blob, 0, l.end);
    memcpy(blob, h, sizeof *h);
    ((struct blob_header *)blob)->n_bytes = l.end;
    *out = t;
    (*out)->owned = blob;
    point_into(*out, blob);
    return 0;
}

static void copy_texts(struct tokenizer *t, const struct span *token)
{
    uint32_t *const first = (uint32_t *)(uintptr_t)t->first;
    char *const pool = (char *)(uintptr_t)t->pool;
    for (uint32_t id = 0; id < t->h->n_ids; id++) {
        if (token[id].n)
            memcpy(pool + first[id], token[id].p, token[id].n);
        first[id + 1] = first[id] + (uint32_t)token[id].n;
    }
}

/* With last_wins the earlier of two equal texts is emptied in token[]. */
static int insert_all(struct tokenizer *t, struct source *from, const struct entry *entry, int n,
                      struct err *err)
{
    for (int i = 0; i < n; i++) {
        int64_t clash;
        if (insert(t, &entry[i], &clash, err) != 0)
            return err_wrap(err, "'%s'", from->name);
        if (clash < 0)
            continue;
        if (!from->last_wins)
            return err_kind_set(err, ERR_FORMAT, "'%s' gives the token '%.*s' two ids: %lld and %u",
                                from->name, (int)(entry[i].text.n < 100 ? entry[i].text.n : 100),
                                entry[i].text.p, (long long)clash, entry[i].id);
        from->token[clash].n = 0;
        from->n_clashes++;
    }
    return 0;
}

/* Fills the table. Its slots are scattered over a megabyte, so they are fetched some entries ahead.
 */
static int fill_table(struct tokenizer *t, struct source *from, struct err *err)
{
    enum { BATCH = 32 };
    struct entry entry[BATCH];
    int n = 0;
    for (uint32_t id = 0; id < t->h->n_ids; id++) {
        if (from->unmatched && from->unmatched[id])
            continue;
        const int more = entries_of(&t->h->spec, from->token[id], id, entry + n);
        for (const int end = n + more; n < end; n++) {
            entry[n].hash = hash_of(entry[n].text, entry[n].cont);
            __builtin_prefetch(&t->slot[slot_index(t, entry[n].hash)], 1);
        }
        if (n > BATCH - 2) {
            if (insert_all(t, from, entry, n, err) != 0)
                return -1;
            n = 0;
        }
    }
    return insert_all(t, from, entry, n, err);
}

int blob_build(const struct token_spec *spec, struct span *token, uint32_t n_ids,
               const uint8_t *unmatched, bool last_wins, const char *name, struct tokenizer **out,
               struct err *err)
{
    struct source from = {token, unmatched, last_wins, name, 0};
    do { /* a second time, without them, when texts came twice */
        from.n_clashes = 0;
        struct tokenizer *t = NULL;
        struct blob_header h = {.byte_order = BYTE_ORDER_MARK, .n_ids = n_ids, .spec = *spec};
        memcpy(h.magic, magic, sizeof magic);
        if (unmatched && memchr(unmatched, 1, n_ids))
            h.unmatched = (uint32_t)hash64(unmatched, n_ids) | 1;
        if (measure(&h, &from, err) != 0 || allocate(&h, &t, err) != 0)
            return -1;
        copy_texts(t, token);
        if (fill_table(t, &from, err) != 0) {
            tokenizer_free(t);
            return -1;
        }
        if (from.n_clashes)
            tokenizer_free(t);
        else
            *out = t;
    } while (from.n_clashes);
    derive_tables(*out);
    (*out)->fingerprint = fingerprint_of(*out);
    return 0;
}

/* ---- saved blobs ---- */

void tokenizer_save(const struct tokenizer *t, struct str *out)
{
    const unsigned char *blob = (const unsigned char *)t->h;
    struct blob_header h = *t->h;
    const size_t from = offsetof(struct blob_header, byte_order);
    h.checksum = hash64(blob + from, (size_t)h.n_bytes - from);
    str_add(out, (const char *)&h, sizeof h);
    str_add(out, (const char *)blob + sizeof h, (size_t)h.n_bytes - sizeof h);
}

static bool template_ok(const struct template *p, uint32_t n_ids, bool pair)
{
    int n_a = 0, n_b = 0;
    if (p->n > MAX_TEMPLATE)
        return false;
    for (uint32_t i = 0; i < p->n; i++) {
        n_a += p->item[i].id == ITEM_A;
        n_b += p->item[i].id == ITEM_B;
        if (p->item[i].type < 0 || p->item[i].type > 1 || p->item[i].id < ITEM_B ||
            (p->item[i].id >= 0 && (uint32_t)p->item[i].id >= n_ids) ||
            (p->item[i].id == ITEM_B && !n_a))
            return false;
    }
    return n_a == 1 && n_b == pair;
}

static bool header_ok(const struct blob_header *h)
{
    const struct token_spec *s = &h->spec;
    for (int i = 0; i < 5; i++)
        if (s->special[i] < -1 || s->special[i] >= (int32_t)h->n_ids)
            return false;
    const size_t most = (size_t)s->max_chars * 4;
    return s->clean <= 1 && s->cjk <= 1 && s->nfd <= 1 && s->strip <= STRIP_ALL && s->lower <= 1 &&
           s->cut_left <= 1 && s->max_chars <= MAX_WORD_CHARS && s->unk < h->n_ids &&
           s->n_prefix < MAX_PREFIX && s->model_max_length >= 0 && h->longest[0] <= most &&
           h->longest[1] <= most && template_ok(&s->single, h->n_ids, false) &&
           template_ok(&s->pair, h->n_ids, true);
}

/* Every offset and id that encoding follows. */
static bool arrays_ok(const struct tokenizer *t)
{
    const struct blob_header *h = t->h;
    if (t->first[0] != 0 || t->first[h->n_ids] != h->n_pool)
        return false;
    for (uint32_t id = 0; id < h->n_ids; id++)
        if (t->first[id] > t->first[id + 1])
            return false;
    const size_t n_slots = (size_t)1 << h->slot_bits;
    size_t n_free = 0;
    for (size_t i = 0; i < n_slots; i++) {
        const struct slot *s = &t->slot[i];
        if (!s->len) {
            n_free++;
            continue;
        }
        const size_t skip = s->cont ? h->spec.n_prefix : 0;
        if (s->cont > 1 || s->id >= h->n_ids || s->len > h->longest[s->cont] ||
            t->first[s->id + 1] - t->first[s->id] != s->len + skip)
            return false;
    }
    return n_free >= n_slots / 2; /* a probe always ends */
}

/* Is this a blob of this version and machine, as long as it says? */
static int check_shape(const struct blob_header *h, size_t n, struct err *err)
{
    if (n < sizeof *h || memcmp(h->magic, magic, sizeof magic) != 0)
        return err_kind_set(err, ERR_FORMAT, "not a saved tokenizer of this version");
    if (h->byte_order != BYTE_ORDER_MARK || (uintptr_t)h % sizeof(uint64_t) != 0)
        return err_kind_set(err, ERR_FORMAT, "saved tokenizer is of another kind of machine");
    if (h->n_ids > MAX_IDS || h->n_pool > INT32_MAX || h->slot_bits < 8 || h->slot_bits > 30 ||
        h->filter_bits < 8 || h->filter_bits > 32 || h->n_bytes != n || layout_of(h).end != n)
        return err_kind_set(err, ERR_CORRUPT, "saved tokenizer is cut short or damaged");
    return 0;
}

static int adopt(const void *blob, struct tokenizer **out, struct err *err)
{
    void *memory;
    if (mem_try(&memory, sizeof **out, "tokenizer", err) != 0)
        return -1;
    *out = memory;
    (*out)->owned = NULL;
    point_into(*out, blob);
    return 0;
}

int tokenizer_from_blob(const void *blob, size_t n, struct tokenizer **out, struct err *err)
{
    const struct blob_header *h = blob;
    struct tokenizer *t;
    if (check_shape(h, n, err))
        return -1;
    const size_t from = offsetof(struct blob_header, byte_order);
    if (hash64((const unsigned char *)blob + from, n - from) != h->checksum || !header_ok(h))
        return err_kind_set(err, ERR_CORRUPT, "saved tokenizer is damaged");
    if (adopt(blob, &t, err))
        return -1;
    if (!arrays_ok(t)) {
        free(t);
        return err_kind_set(err, ERR_CORRUPT, "saved tokenizer is damaged");
    }
    derive_tables(t);
    t->fingerprint = fingerprint_of(t);
    *out = t;
    return 0;
}

int tokenizer_from_known(const void *blob, size_t n, struct hash128 fingerprint,
                         struct tokenizer **out, struct err *err)
{
    struct tokenizer *t;
    if (check_shape(blob, n, err) || adopt(blob, &t, err))
        return -1;
    derive_tables(t);
    t->fingerprint = fingerprint;
    *out = t;
    return 0;
}
