/* postings.c - reading the inverted index; see postings.h.
 *
 * Nothing is scanned or parsed at opening, so nothing is known about the content: every number that
 * leads to another place is compared with the end of that place before it is followed. A flipped
 * byte gives a wrong answer at worst (and is found by cachefile_verify).
 */
#include "index/keyword/postings.h"

#include "index/keyword/words.h"

#include <math.h>
#include <string.h>

enum { SKIP = 64 };

int postings_open(const struct cachefile *f, int64_t n_rows, struct postings *p, struct err *err)
{
    int64_t n_impacts = 0, n_mean = 0;
    memset(p, 0, sizeof *p);
    p->n_rows = n_rows;
    p->term = cachefile_get(f, "kw.terms", sizeof *p->term, &p->n_terms);
    p->text = cachefile_get(f, "kw.text", 1, &p->n_text);
    p->slot = cachefile_get(f, "kw.slots", sizeof *p->slot, &p->n_slots);
    p->row = cachefile_get(f, "kw.rows", sizeof *p->row, &p->n_postings);
    p->impact = cachefile_get(f, "kw.impacts", sizeof *p->impact, &n_impacts);
    p->position = cachefile_get(f, "kw.positions", 1, &p->n_position);
    p->skip = cachefile_get(f, "kw.skips", sizeof *p->skip, &p->n_skip);
    const double *mean = cachefile_get(f, "kw.mean", sizeof *mean, &n_mean);
    if (!p->term || !p->text || !p->slot || !p->row || !p->impact || !p->position || !p->skip ||
        !mean || n_mean != 1 || n_impacts != p->n_postings || p->n_slots < 1 ||
        (p->n_slots & (p->n_slots - 1)) || p->n_skip != (p->n_postings + SKIP - 1) / SKIP ||
        !isfinite(*mean) || *mean <= 0)
        return err_kind_set(err, ERR_CORRUPT, "the keyword postings are damaged");
    p->mean_length = *mean;
    return 0;
}

struct posting_list postings_find(const struct postings *p, struct span t)
{
    const uint64_t mask = (uint64_t)p->n_slots - 1;
    uint64_t at = hash64(t.p, t.n) & mask;
    for (int64_t probes = 0; probes < p->n_slots && p->slot[at]; probes++, at = (at + 1) & mask) {
        const uint32_t id = p->slot[at] - 1;
        if (id >= p->n_terms)
            continue;
        const struct posting_term *e = &p->term[id];
        if (e->n_text != t.n || (uint64_t)e->text + e->n_text > (uint64_t)p->n_text ||
            memcmp(p->text + e->text, t.p, t.n) != 0)
            continue;
        if (e->first > (uint64_t)p->n_postings || e->n > (uint64_t)p->n_postings - e->first)
            break;
        return (struct posting_list){.row = p->row + e->first,
                                     .impact = p->impact + e->first,
                                     .n = e->n,
                                     .first = e->first,
                                     .top = posting_impact(e->top_impact)};
    }
    return (struct posting_list){0};
}

struct bytes {
    const uint8_t *p, *end;
};

/* False at the end of the bytes or in a number of more than 32 bits. */
static bool read_varint(struct bytes *b, uint32_t *out)
{
    uint32_t v = 0;
    for (int shift = 0; shift < 35 && b->p < b->end; shift += 7) {
        const uint8_t c = *b->p++;
        v |= (uint32_t)(c & 0x7F) << (shift < 28 ? shift : 28);
        if (c < 0x80) {
            *out = v;
            return true;
        }
    }
    return false;
}

size_t postings_positions(const struct postings *p, const struct posting_list *l, uint32_t at,
                          uint32_t *out, size_t cap)
{
    const uint64_t posting = l->first + at;
    if (posting / SKIP >= (uint64_t)p->n_skip || p->skip[posting / SKIP] > (uint64_t)p->n_position)
        return 0;
    struct bytes b = {p->position + p->skip[posting / SKIP], p->position + p->n_position};
    uint32_t n = 0, step;
    for (uint64_t i = posting / SKIP * SKIP; i < posting; i++) {
        if (!read_varint(&b, &n))
            return 0;
        for (; n; n--)
            if (!read_varint(&b, &step))
                return 0;
    }
    if (!read_varint(&b, &n))
        return 0;
    size_t got = 0;
    uint32_t pos = 0;
    for (; n && got < cap && read_varint(&b, &step); n--)
        out[got++] = pos += step;
    return got;
}
