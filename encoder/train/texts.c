/* texts.c - what the readers of tables share; see texts.h. */
#include "encoder/train/texts.h"

#include "src/base/unicode.h"

struct span text_strip(struct span s)
{
    uint32_t cp;
    while (s.n) {
        const int used = utf8_next(s.p, s.n, &cp);
        if (!uni_is_space(cp) && !(cp >= 0x1c && cp <= 0x1f))
            break;
        s = span_sub(s, (size_t)used, s.n);
    }
    while (s.n) {
        size_t at = s.n - 1; /* back to the start of the last character */
        while (at > 0 && s.n - at < 4 && ((unsigned char)s.p[at] & 0xc0) == 0x80)
            at--;
        utf8_next(s.p + at, s.n - at, &cp);
        if (!uni_is_space(cp) && !(cp >= 0x1c && cp <= 0x1f))
            break;
        s.n = at;
    }
    return s;
}

void texts_count_skipped(struct dataset *d, const struct table *t)
{
    if (t->n_skipped && d->skipped == 0)
        d->first_skipped = t->first_skipped;
    d->skipped += (int64_t)t->n_skipped;
}

int text_encode(const struct dataset *d, const struct tokenizer *t, struct span a,
                const struct span *b, int item, struct encoding *e, struct sequences *out,
                int64_t *n_cut, struct err *err)
{
    const struct tokenize_options o = {.max_length = d->max_length};
    if (tokenizer_encode(t, a, b, &o, e, err))
        return -1;
    *n_cut += e->n == d->max_length;
    sequences_begin(out, item);
    for (int k = 0; k < e->n; k++)
        sequences_token(out, e->id[k],
                        (e->type[k] ? FLAG_SECOND : 0) | (e->segment[k] ? 0 : FLAG_SPECIAL), -1, 0,
                        0);
    return 0;
}
