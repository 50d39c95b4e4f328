/* loss_mask.c - which in-batch negatives are none: false negatives that the data itself gives away.
 *
 * A candidate is no negative of an anchor when its text is the anchor's own, or that of a positive
 * of an equal anchor anywhere in the batch (so of its own positive too). The places are few, so
 * they are listed instead of tested for: rows are grouped by anchor and candidates by text, and
 * each group's texts are looked up. n log n, whatever the order of the rows.
 */
#include "encoder/train/loss_parts.h"
#include "src/base/mem.h"

#include <stdlib.h>

struct keyed {
    uint64_t key;
    int i;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *const x = a, *const y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->i - y->i;
}

/* Sorted by key; without keys every element is its own. */
static struct keyed *sorted_keys(const uint64_t *key, int n)
{
    struct keyed *const k = xmalloc((size_t)n * sizeof *k);
    for (int i = 0; i < n; i++)
        k[i] = (struct keyed){key ? key[i] : (uint64_t)i, i};
    qsort(k, (size_t)n, sizeof *k, by_key);
    return k;
}

static int first_with(const struct keyed *k, int n, uint64_t key)
{
    int lo = 0, hi = n;
    while (lo < hi) {
        const int mid = lo + (hi - lo) / 2;
        if (k[mid].key < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct ints {
    int *item;
    size_t n, cap;
};

/* Appends the candidates with this text, except `own`. Candidate k is row n + k of the texts. */
static void add_text(struct ints *out, const struct keyed *text, int n_text, uint64_t key, int own)
{
    for (int t = first_with(text, n_text, key); t < n_text && text[t].key == key; t++) {
        if (text[t].i == own)
            continue;
        VEC_GROW(out->item, out->n, out->cap);
        out->item[out->n++] = text[t].i;
    }
}

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* What each anchor's row is masked with: own texts first, then those of all rows of its group. */
static void mask_row(const struct embedding_batch *b, const struct keyed *anchor,
                     const struct keyed *text, int n_text, int i, struct ints *out)
{
    const size_t from = out->n;
    if (b->text) {
        add_text(out, text, n_text, b->text[i], i);
        add_text(out, text, n_text, b->text[b->n + i], i);
    }
    if (b->anchor) {
        for (int g = first_with(anchor, b->n, b->anchor[i]);
             g < b->n && anchor[g].key == b->anchor[i]; g++) {
            const int row = anchor[g].i;
            if (row != i)
                add_text(out, text, n_text, b->text ? b->text[b->n + row] : (uint64_t)row, i);
        }
    }
    if (out->n == from)
        return;
    qsort(out->item + from, out->n - from, sizeof *out->item, by_value);
    size_t keep = from;
    for (size_t k = from; k < out->n; k++)
        if (k == from || out->item[k] != out->item[k - 1])
            out->item[keep++] = out->item[k];
    out->n = keep;
}

int loss_mask_duplicates(const struct embedding_batch *b, struct loss_mask *m, struct err *err)
{
    const int n_text = b->n * (b->n_columns - 1);
    struct keyed *const anchor = sorted_keys(b->anchor, b->n);
    struct keyed *const text = sorted_keys(b->text ? b->text + b->n : NULL, n_text);
    struct ints found = {0};
    int rc = 0;
    m->start = xcalloc((size_t)b->n + 1, sizeof *m->start);
    for (int i = 0; i < b->n && rc == 0; i++) {
        mask_row(b, anchor, text, n_text, i, &found);
        if (found.n > INT32_MAX / 2)
            rc = err_kind_set(err, ERR_LIMIT, "too many equal texts in one batch");
        m->start[i + 1] = (int)found.n;
    }
    m->column = found.item;
    free(anchor);
    free(text);
    return rc;
}

void loss_mask_release(struct loss_mask *m)
{
    free(m->start);
    free(m->column);
    *m = (struct loss_mask){0};
}
