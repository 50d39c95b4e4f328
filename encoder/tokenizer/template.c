/* template.c - special tokens around one text or two, and truncation.
 *
 * Truncation is the `tokenizers` library's "longest_first": the budget is max_length less the
 * template's special tokens; of two texts the shorter one is kept whole if it fits into half.
 */
#include "encoder/tokenizer/internal.h"

#include <limits.h>
#include <string.h>

int template_special_count(const struct template *p)
{
    int n = 0;
    for (uint32_t i = 0; i < p->n; i++)
        n += p->item[i].id >= 0;
    return n;
}

/* Lengths n1 and n2 after cutting both to a sum of at most max. */
static void longest_first(int max, int *n1, int *n2)
{
    if ((int64_t)*n1 + *n2 <= max)
        return;
    const bool swap = *n1 > *n2;
    int less = swap ? *n2 : *n1;
    int more = less > max || less > max - less ? less : max - less;
    if ((int64_t)less + more > max) {
        less = max / 2;
        more = less + max % 2;
    }
    *n1 = swap ? more : less;
    *n2 = swap ? less : more;
}

/* Cuts the tokens [from, out->n) to `keep`. */
static void cut(struct encoding *out, int from, int keep, bool left)
{
    const int drop = out->n - from - keep;
    if (left && drop > 0) {
        const size_t n = (size_t)keep;
        memmove(out->id + from, out->id + from + drop, n * sizeof *out->id);
        memmove(out->start + from, out->start + from + drop, n * sizeof *out->start);
        memmove(out->end + from, out->end + from + drop, n * sizeof *out->end);
    }
    out->n = from + keep;
}

/* Moves tokens [from, from + n) to `to`. */
static void move(struct encoding *out, int to, int from, int n)
{
    const size_t count = (size_t)n;
    memmove(out->id + to, out->id + from, count * sizeof *out->id);
    memmove(out->start + to, out->start + from, count * sizeof *out->start);
    memmove(out->end + to, out->end + from, count * sizeof *out->end);
}

static void set_segment(struct encoding *out, int from, int n, int type, uint8_t segment)
{
    for (int i = from; i < from + n; i++)
        out->type[i] = type;
    memset(out->segment + from, segment, (size_t)n);
}

/* Lays out the tokens that stand at [0, n1) for a and [n1, n1 + n2) for b as the template says. */
static int lay_out(const struct template *p, bool no_special, int n1, int n2, struct encoding *out,
                   struct err *err)
{
    const int n_special = no_special ? 0 : template_special_count(p);
    while (out->cap - n_special < n1 + n2)
        if (encoding_grow(out, err) != 0)
            return -1;
    out->n = n1 + n2 + n_special;
    int at = out->n; /* from the end, so that nothing is overwritten before it is moved */
    for (uint32_t i = p->n; i-- > 0;) {
        const struct template_item *item = &p->item[i];
        const bool text = item->id < 0;
        if (!text && no_special)
            continue;
        const int n = item->id == ITEM_A ? n1 : item->id == ITEM_B ? n2 : 1;
        at -= n;
        set_segment(out, at, n, item->type, (uint8_t)(text ? -item->id : 0));
        if (text) {
            move(out, at, item->id == ITEM_A ? 0 : n1, n);
        } else {
            out->id[at] = item->id;
            out->start[at] = out->end[at] = 0;
        }
    }
    return 0;
}

int template_encode(const struct tokenizer *t, struct span a, const struct span *b,
                    const struct tokenize_options *options, struct encoding *out, struct err *err)
{
    static const struct tokenize_options none = {0};
    const struct tokenize_options *o = options ? options : &none;
    const struct token_spec *spec = &t->h->spec;
    const struct template *p = b ? &spec->pair : &spec->single;
    const int n_special = o->no_special ? 0 : template_special_count(p);
    const int max = o->max_length > 0 ? o->max_length - n_special : INT_MAX;
    out->n = 0;
    if (max < 0)
        return err_kind_set(err, ERR_USAGE,
                            "a maximum length of %d tokens cannot hold the %d special tokens",
                            o->max_length, n_special);
    if (!out->cap && encoding_grow(out, err) != 0)
        return -1;
    /* Pairs need both true lengths: which text gets the odd token depends on them. */
    const bool left = spec->cut_left;
    if (segment_text(t, a, b || left ? INT_MAX : max, out, err) != 0)
        return -1;
    int n1 = out->n, n2 = 0;
    if (!b) {
        if (n1 > max)
            cut(out, 0, n1 = max, left);
        return lay_out(p, o->no_special, n1, 0, out, err);
    }
    if (segment_text(t, *b, INT_MAX, out, err) != 0)
        return -1;
    const int all1 = n1;
    n2 = out->n - n1;
    longest_first(max, &n1, &n2);
    cut(out, all1, n2, left);
    if (n1 < all1) {
        if (left)
            move(out, 0, all1 - n1, n1);
        move(out, n1, all1, n2);
    }
    return lay_out(p, o->no_special, n1, n2, out, err);
}
