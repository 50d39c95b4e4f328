/* pick.c - which of the ranked rows make the list.
 *
 * Passages of one file overlap and continue each other, and folders are full of copies. Of passages
 * that stand next to each other in a file only the best is shown (its neighbours are one glance
 * away), of equal passages only the first. Equal is: the same text was embedded, or the passages
 * are the same but for white space. When less than k rows remain, the neighbours that were passed
 * over come back, in their places by score: a search inside one file still gives k answers. Copies
 * do not.
 *
 * Rows are read from the store one by one as they are needed, and a document's text only when one
 * of its passages has come this far.
 */
#include "index/search/pick.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

struct span pick_passage(const struct picker *p, const struct picked *i)
{
    const int64_t a = i->chunk.start, b = i->chunk.end;
    return span_sub(str_view(&p->text[i->text].text), a > 0 ? (size_t)a : 0, b > 0 ? (size_t)b : 0);
}

static int text_of(struct picker *p, int64_t doc_id, size_t *at, struct err *err)
{
    for (size_t i = 0; i < p->n_texts; i++)
        if (p->text[i].doc_id == doc_id) {
            *at = i;
            return 0;
        }
    VEC_GROW(p->text, p->n_texts, p->cap_texts);
    p->text[p->n_texts] = (struct picked_text){.doc_id = doc_id};
    *at = p->n_texts++;
    return store_text(p->store, doc_id, &p->text[*at].text, err);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Hash of a text without regard to white space. */
static struct hash128 hash_words(struct span s)
{
    char *plain = xmalloc(s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (!is_blank(s.p[i]))
            plain[n++] = s.p[i];
    const struct hash128 h = hash_bytes(plain, n);
    free(plain);
    return h;
}

static bool are_neighbours(const struct store_chunk *a, const struct store_chunk *b)
{
    const int apart = a->ord > b->ord ? a->ord - b->ord : b->ord - a->ord;
    return a->doc_id == b->doc_id && (apart <= 1 || (a->start < b->end && b->start < a->end));
}

static bool is_zero(struct hash128 h)
{
    return hash_equal(h, (struct hash128){{0}});
}

/* Is the passage a copy of one that is there? Sets whether it is a neighbour of one. */
static bool compare(const struct picker *p, struct picked *c)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct picked *o = &p->item[i];
        if (hash_equal(o->passage, c->passage) ||
            (!is_zero(c->chunk.embed_hash) && hash_equal(o->chunk.embed_hash, c->chunk.embed_hash)))
            return true;
        if (!o->neighbour && are_neighbours(&o->chunk, &c->chunk))
            c->neighbour = true;
    }
    return false;
}

static int count_of(const struct picked *item, size_t n, int64_t doc_id, bool neighbours)
{
    int found = 0;
    for (size_t i = 0; i < n; i++)
        found += item[i].chunk.doc_id == doc_id && item[i].neighbour == neighbours;
    return found;
}

/* Reads the passage of c->chunk and takes it in, unless it is a copy. 1: taken as one of the k, 0:
 * passed over or kept as a neighbour, -1: failure. The chunk belongs to the picker or is released.
 */
static int take(struct picker *p, struct picked c, struct err *err)
{
    if (text_of(p, c.chunk.doc_id, &c.text, err)) {
        store_chunk_release(&c.chunk);
        return -1;
    }
    c.passage = hash_words(pick_passage(p, &c));
    if (compare(p, &c)) {
        store_chunk_release(&c.chunk);
        return 0;
    }
    VEC_GROW(p->item, p->n, p->cap);
    p->item[p->n++] = c;
    return !c.neighbour;
}

static int consider(struct picker *p, const struct snapshot *s, const struct ranked_row *row,
                    struct err *err)
{
    struct picked c = {.row = *row};
    if (p->per_file && count_of(p->item, p->n, snapshot_doc(s, row->row), false) >= p->per_file)
        return 0;
    const int found = store_chunk(p->store, snapshot_chunk(s, row->row), &c.chunk, err);
    return found == 1 ? take(p, c, err) : found; /* 0: removed since the snapshot was opened */
}

/* Keeps all that are no neighbours, and of the neighbours the best, up to k. */
static void settle(struct picker *p)
{
    size_t room = (size_t)p->k > p->n_plain ? (size_t)p->k - p->n_plain : 0;
    size_t kept = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct picked c = p->item[i];
        const int64_t doc = c.chunk.doc_id;
        const bool full = p->per_file && count_of(p->item, kept, doc, true) +
                                                 count_of(p->item, kept, doc, false) +
                                                 count_of(p->item + i, p->n - i, doc, false) >=
                                             p->per_file;
        if (c.neighbour && (room == 0 || full)) {
            store_chunk_release(&c.chunk);
            continue;
        }
        room -= c.neighbour;
        p->item[kept++] = c;
    }
    p->n = kept;
}

int pick_rows(struct picker *p, const struct snapshot *s, const struct ranking *r, double min_score,
              struct err *err)
{
    for (size_t i = 0; i < r->n && p->n_plain < (size_t)p->k; i++) {
        if (r->item[i].score < min_score)
            break;
        const int taken = consider(p, s, &r->item[i], err);
        if (taken < 0)
            return -1;
        p->n_plain += (size_t)taken;
    }
    settle(p);
    return 0;
}

void picker_release(struct picker *p)
{
    for (size_t i = 0; i < p->n; i++)
        store_chunk_release(&p->item[i].chunk);
    for (size_t i = 0; i < p->n_texts; i++)
        str_release(&p->text[i].text);
    free(p->item);
    free(p->text);
    *p = (struct picker){0};
}
