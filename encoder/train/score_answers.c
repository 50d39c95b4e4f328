/* score_answers.c - exact match and F1 of extracted answers, by the rules of SQuAD's own script
 * (evaluate-v2.0.py; Rajpurkar et al. 2018).
 *
 * The answer of a question is the span with the largest sum of logits over all its windows: first
 * and last token inside the passage, at most 30 tokens. When the data has unanswerable questions,
 * "no answer" competes with the sum at [CLS], the smallest over the windows.
 */
#include "encoder/train/score.h"

#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_ANSWER = 30 };

/* ---- the script's text rules --------------------------------------------------------------------
 */

/* Python's \w without the underscore, which is punctuation and gone by then. */
static bool in_word(uint32_t cp)
{
    return uni_is_letter(cp) || uni_is_number(cp);
}

/* Lower case, without ASCII punctuation, every kind of white space a blank. */
static void squad_lower(struct span text, struct str *out)
{
    char bytes[4];
    for (size_t i = 0; i < text.n;) {
        uint32_t cp;
        i += (size_t)utf8_next(text.p + i, text.n - i, &cp);
        if (cp < 128 && ispunct((int)cp))
            continue;
        if (cp == 0x130) /* the one letter whose lower case is two */
            str_puts(out, "i\u0307");
        else
            str_add(out, bytes, (size_t)utf8_put(uni_is_space(cp) ? ' ' : uni_lower(cp), bytes));
    }
}

/* Bytes of the article that begins at text.p, where a word begins; 0: none. The script's regular
 * expression is \b(a|an|the)\b: what is no letter or digit ends a word too. */
static size_t article(struct span text)
{
    static const char *const articles[] = {"a", "an", "the"};
    size_t n = 0;
    for (uint32_t cp; n < text.n;) {
        const int used = utf8_next(text.p + n, text.n - n, &cp);
        if (!in_word(cp))
            break;
        n += (size_t)used;
    }
    for (size_t i = 0; i < ARRAY_LEN(articles); i++)
        if (span_eq(span_sub(text, 0, n), articles[i]))
            return n;
    return 0;
}

void squad_normalise(struct span text, struct str *out)
{
    struct str lower = {0};
    squad_lower(text, &lower);
    const size_t before = out->n;
    bool blank = false, inside = false; /* a blank is due; the character before is of a word */
    for (size_t i = 0; i < lower.n;) {
        uint32_t cp;
        const struct span rest = {lower.p + i, lower.n - i};
        const int used = utf8_next(rest.p, rest.n, &cp);
        const size_t gone = cp == ' ' ? 1 : inside ? 0 : article(rest);
        blank |= gone > 0;
        if (!gone) {
            if (blank && out->n > before)
                str_putc(out, ' ');
            blank = false;
            str_add(out, rest.p, (size_t)used);
        }
        inside = !gone && in_word(cp);
        i += gone ? gone : (size_t)used;
    }
    str_release(&lower);
}

double squad_exact(struct span found, struct span gold)
{
    struct str a = {0}, b = {0};
    squad_normalise(found, &a);
    squad_normalise(gold, &b);
    const bool same = span_equal(str_view(&a), str_view(&b));
    str_release(&a);
    str_release(&b);
    return same;
}

static size_t words_of(const struct str *s, struct span **out)
{
    struct span rest = str_view(s), word;
    size_t n = 0, cap = 0;
    *out = NULL;
    while (rest.p && span_split(&rest, ' ', &word)) {
        if (word.n == 0)
            continue;
        VEC_GROW(*out, n, cap);
        (*out)[n++] = word;
    }
    return n;
}

double squad_f1(struct span found, struct span gold)
{
    struct str a = {0}, b = {0};
    struct span *x, *y;
    squad_normalise(found, &a);
    squad_normalise(gold, &b);
    const size_t n = words_of(&a, &x), m = words_of(&b, &y);
    size_t same = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++)
            if (y[j].p && span_equal(x[i], y[j])) { /* each gold word once */
                y[j].p = NULL;
                same++;
                break;
            }
    double f1 = n == 0 && m == 0; /* both without words: equal */
    if (n && m)
        f1 = 2 * (double)same / (double)(n + m);
    free(x);
    free(y);
    str_release(&a);
    str_release(&b);
    return f1;
}

/* ---- spans --------------------------------------------------------------------------------------
 */

struct best {
    double score, null;
    uint32_t from, to;
    bool any;
};

/* Looks at window q of the run; logits [n, 2]. */
static void look(const struct dataset *d, const struct packed *p, int q, const float *logits,
                 struct best *best)
{
    const struct sequences *s = &d->seqs;
    const size_t at = s->seq[p->example[q]].at;
    const int n = p->start[q + 1] - p->start[q];
    const float *z = logits + 2 * (size_t)p->start[q];
    const double null = z[0] + z[1];
    if (null < best->null)
        best->null = null;
    for (int i = 0; i < n; i++) {
        if (s->to[at + (size_t)i] == 0)
            continue;
        for (int j = i; j < n && j < i + LONGEST_ANSWER && s->to[at + (size_t)j]; j++) {
            const double score = (double)z[2 * i] + (double)z[2 * j + 1];
            if (best->any && score <= best->score)
                continue;
            *best = (struct best){.score = score,
                                  .null = best->null,
                                  .from = s->from[at + (size_t)i],
                                  .to = s->to[at + (size_t)j],
                                  .any = true};
        }
    }
}

static void judge(const struct question *q, const struct best *b, bool nulls, double threshold,
                  double *exact, double *f1)
{
    struct span found = {0};
    *exact = *f1 = 0;
    if (b->any && !(nulls && b->null - b->score > threshold))
        found = span_sub(span_of(q->context), b->from, b->to);
    if (q->n_answers == 0) {
        struct str none = {0};
        squad_normalise(found, &none);
        *exact = *f1 = none.n == 0;
        str_release(&none);
    }
    for (size_t i = 0; i < q->n_answers; i++) {
        const struct span gold = span_of(q->answer[i].text);
        *exact = fmax(*exact, squad_exact(found, gold));
        *f1 = fmax(*f1, squad_f1(found, gold));
    }
}

int score_answers(struct scorer *s, const struct dataset *d, const struct train_sink *sink,
                  struct evaluation *out, struct err *err)
{
    const struct slot *y = &s->tape.slot[s->slots.out];
    struct best *best = xcalloc(d->n_items, sizeof *best);
    struct packed p = {0};
    struct slice slice = {0};
    double loss = 0, exact = 0, f1 = 0;
    bool nulls = false;
    int64_t at = 0;
    for (size_t i = 0; i < d->n_items; i++) {
        best[i].null = INFINITY;
        nulls |= d->question[i].n_answers == 0;
    }
    while (at >= 0 && at < d->n) {
        at = scorer_forward(s, d, at, &p, &slice, sink, err);
        if (at < 0)
            break;
        loss += loss_span(y->x, p.start, p.n_seq, p.begin, p.end, (double)d->n, NULL);
        for (int q = 0; q < p.n_seq; q++)
            look(d, &p, q, y->x, &best[d->seqs.seq[p.example[q]].item]);
    }
    for (size_t i = 0; at >= 0 && i < d->n_items; i++) {
        double e, f;
        judge(&d->question[i], &best[i], nulls, s->null_threshold, &e, &f);
        exact += e / (double)d->n_items;
        f1 += f / (double)d->n_items;
    }
    packed_release(&p);
    slice_release(&slice);
    free(best);
    out->loss = loss;
    out->main = 1;
    evaluation_add(out, "exact_match", exact);
    evaluation_add(out, "f1", f1);
    return at < 0 ? -1 : 0;
}
