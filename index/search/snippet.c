/* snippet.c - choosing and drawing the few lines under a result.
 *
 * The passage is cut into units: sentences, and the lines of lists, headings and code. A unit that
 * alone would not leave room for a second one is cut again at white space. Every run of
 * neighbouring units that fits is a candidate; the one whose distinct matched terms weigh most
 * wins, then the one with the heaviest single unit, then the shortest, then the first. What room is
 * left is filled with the units that follow, because the sentence after a match is most often its
 * explanation.
 *
 * Sentence ends are found by rule (a stop, closing quotes, white space, and no small letter after
 * it; a short list of abbreviations; CJK stops without the white space). A wrong cut costs an odd
 * beginning and nothing more, so the rules stay few. Cuts are made at ASCII bytes or at the start
 * of a code point only, so UTF-8 is never broken; bytes that were broken before become U+FFFD.
 */
#include "index/search/snippet.h"
#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ELLIPSIS "\xe2\x80\xa6"

struct unit {
    size_t start, end;
    bool begins, ends; /* at a sentence's border, not inside one */
    bool noise;        /* nothing to read in it: a rule, a fence, a table's ruler */
    uint64_t terms;    /* bit per term that occurs */
    double weight;     /* of those terms */
};

struct units {
    struct unit *item;
    size_t n, cap;
};

/* ---- cutting ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

static bool is_letter_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool has_word(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (is_letter_byte(s.p[i]) || (s.p[i] >= '0' && s.p[i] <= '9'))
            return true;
    return false;
}

/* Is the word that ends right before `stop` one after which a full stop is no sentence's end? */
static bool abbreviation(struct span s, size_t stop)
{
    static const char *const known[] = {"e.g", "i.e", "etc", "vs",  "cf", "al", "fig",
                                        "no",  "mr",  "mrs", "ms",  "dr", "st", "eq",
                                        "sec", "vol", "pp",  "inc", "ed", "ca", "approx"};
    size_t a = stop;
    while (a > 0 && (is_letter_byte(s.p[a - 1]) || s.p[a - 1] == '.'))
        a--;
    if (stop - a == 1)
        return true; /* an initial */
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strlen(known[i]) == stop - a && strncasecmp(known[i], s.p + a, stop - a) == 0)
            return true;
    return false;
}

/* Length of a CJK stop at s[i], or 0. */
static size_t cjk_stop(struct span s, size_t i)
{
    static const char *const stop[] = {"\xe3\x80\x82", "\xef\xbc\x81", "\xef\xbc\x9f",
                                       "\xef\xbd\xa1"}; /* 。 ！ ？ ｡ */
    for (size_t k = 0; k < ARRAY_LEN(stop); k++)
        if (s.n - i >= 3 && memcmp(s.p + i, stop[k], 3) == 0)
            return 3;
    return 0;
}

/* When a sentence ends at the byte s[i], the position after it (closing quotes included), else 0.
 */
static size_t sentence_end(struct span s, size_t i)
{
    const size_t cjk = cjk_stop(s, i);
    if (cjk)
        return i + cjk;
    if (s.p[i] != '.' && s.p[i] != '!' && s.p[i] != '?')
        return 0;
    size_t e = i + 1;
    while (e < s.n && strchr(".!?\"')]", s.p[e]) && s.p[e] != '\0')
        e++;
    if (e < s.n && !is_space(s.p[e]))
        return 0;
    if (s.p[i] == '.' && e == i + 1 && abbreviation(s, i))
        return 0;
    size_t next = e;
    while (next < s.n && is_space(s.p[next]))
        next++;
    if (next < s.n && s.p[next] >= 'a' && s.p[next] <= 'z')
        return 0;
    return e;
}

/* Does the line at s[i] stand for itself (heading, list item, quote, table row, fence, indented
 * code, or the first after an empty one)? */
static bool line_stands_alone(struct span s, size_t i)
{
    size_t k = i;
    while (k < s.n && (s.p[k] == ' ' || s.p[k] == '\t'))
        k++;
    if (k >= s.n || s.p[k] == '\n' || s.p[k] == '\r' || k - i >= 4)
        return true;
    if (strchr("#>|=", s.p[k]))
        return true;
    if (s.n - k >= 3 && (memcmp(s.p + k, "```", 3) == 0 || memcmp(s.p + k, "---", 3) == 0))
        return true;
    if (strchr("-*+", s.p[k]) && k + 1 < s.n && s.p[k + 1] == ' ')
        return true;
    size_t d = k;
    while (d < s.n && s.p[d] >= '0' && s.p[d] <= '9')
        d++;
    return d > k && d + 1 < s.n && (s.p[d] == '.' || s.p[d] == ')') && s.p[d + 1] == ' ';
}

/* Does the line s[start..end) end its sentence although the next line does not stand alone: a
 * heading, a table's row, a rule? */
static bool line_ends_alone(struct span s, size_t start, size_t end)
{
    if (!has_word(span_sub(s, start, end)))
        return true;
    while (start < end && (s.p[start] == ' ' || s.p[start] == '\t'))
        start++;
    return s.p[start] == '#' || s.p[start] == '|';
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* The last good place to cut s at or before `limit` (< s.n): after white space, else at a code
 * point; after `start`, so it may be past the limit by the rest of a code point. */
static size_t cut_place(struct span s, size_t start, size_t limit)
{
    for (size_t i = limit; i > start + (limit - start) / 2; i--)
        if (is_space(s.p[i - 1]))
            return i;
    size_t i = limit;
    while (i > start && limit - i < 4 && is_continuation(s.p[i]))
        i--;
    if (i > start && !is_continuation(s.p[i]))
        return i;
    for (i = limit; i < s.n && limit + 3 > i && is_continuation(s.p[i]);)
        i++;
    return i > start ? i : start + 1;
}

static void unit_add(struct units *u, struct span s, size_t start, size_t end, size_t max)
{
    bool begins = true;
    while (start < end && is_space(s.p[start]))
        start++;
    while (end > start && is_space(s.p[end - 1]))
        end--;
    while (start < end) {
        const size_t e = end - start > max ? cut_place(s, start, start + max) : end;
        VEC_GROW(u->item, u->n, u->cap);
        u->item[u->n++] = (struct unit){.start = start,
                                        .end = e,
                                        .begins = begins,
                                        .ends = e == end,
                                        .noise = !has_word(span_sub(s, start, e))};
        begins = false;
        start = e;
    }
}

static void units_cut(struct units *u, struct span s, size_t max)
{
    size_t start = 0, line = 0;
    for (size_t i = 0; i < s.n;) {
        size_t e = 0;
        if (s.p[i] == '\n') {
            if (line_stands_alone(s, i + 1) || line_ends_alone(s, line, i))
                e = i + 1;
            line = i + 1;
        } else {
            e = sentence_end(s, i);
        }
        if (e) {
            unit_add(u, s, start, e, max);
            start = e;
        }
        i = e > i ? e : i + 1;
    }
    unit_add(u, s, start, s.n, max);
}

/* ---- choosing ---- */

static double terms_weight(uint64_t terms, const double *weight, size_t n_terms)
{
    double w = 0;
    for (size_t t = 0; t < n_terms && t < SNIPPET_TERMS; t++)
        if (terms >> t & 1)
            w += weight[t];
    return w;
}

static void units_weigh(struct units *u, const struct snippet_match *match, size_t n_match,
                        const double *weight, size_t n_terms)
{
    size_t m = 0;
    for (size_t i = 0; i < u->n; i++) {
        struct unit *it = &u->item[i];
        while (m < n_match && match[m].start < it->start)
            m++;
        for (size_t k = m; k < n_match && match[k].start < it->end; k++)
            if (match[k].end <= it->end && match[k].term >= 0 && match[k].term < SNIPPET_TERMS)
                it->terms |= (uint64_t)1 << match[k].term;
        it->weight = terms_weight(it->terms, weight, n_terms);
    }
}

struct window {
    size_t a, b; /* units [a, b) */
};

static struct window window_choose(const struct units *u, const double *weight, size_t n_terms,
                                   size_t max)
{
    struct window best = {0, 0};
    double best_sum = 0, best_top = 0;
    size_t best_bytes = 0;
    for (size_t a = 0; a < u->n; a++) {
        uint64_t terms = 0;
        double top = 0;
        for (size_t b = a; b < u->n; b++) {
            const size_t bytes = u->item[b].end - u->item[a].start;
            if (b > a && bytes > max)
                break;
            terms |= u->item[b].terms;
            if (u->item[b].weight > top)
                top = u->item[b].weight;
            const double sum = terms_weight(terms, weight, n_terms);
            if (sum > best_sum || (sum == best_sum && sum > 0 &&
                                   (top > best_top || (top == best_top && bytes < best_bytes)))) {
                best = (struct window){a, b + 1};
                best_sum = sum;
                best_top = top;
                best_bytes = bytes;
            }
        }
    }
    return best;
}

/* No word of the query occurs: begin with the first unit that can be read and is more than a
 * heading. */
static size_t first_readable(const struct units *u, struct span s)
{
    size_t first = u->n;
    for (size_t i = 0; i < u->n; i++) {
        if (u->item[i].noise)
            continue;
        if (first == u->n)
            first = i;
        if (s.p[u->item[i].start] != '#' && u->item[i].end - u->item[i].start >= 24)
            return i;
    }
    return first;
}

static struct window window_extend(struct window w, const struct units *u, size_t max)
{
    while (w.b < u->n && u->item[w.b].end - u->item[w.a].start <= max)
        w.b++;
    return w;
}

/* ---- drawing ---- */

/* Length of the Markdown signs that open a line, or of a whole fence line. */
static size_t line_signs(struct span s)
{
    size_t i = 0;
    while (i < s.n && (s.p[i] == '>' || s.p[i] == ' '))
        i++;
    if (s.n - i >= 3 && (memcmp(s.p + i, "```", 3) == 0 || memcmp(s.p + i, "~~~", 3) == 0)) {
        const char *nl = memchr(s.p + i, '\n', s.n - i);
        return nl ? (size_t)(nl - s.p) : s.n;
    }
    size_t h = i;
    while (h < s.n && s.p[h] == '#')
        h++;
    if (h > i && h - i <= 6 && h < s.n && s.p[h] == ' ')
        return h + 1;
    if (i + 1 < s.n && strchr("-*+|", s.p[i]) && s.p[i + 1] == ' ')
        return i + 2;
    return i;
}

/* When "[text](target)" begins at s[0], the position of its ']', else 0. */
static size_t link_bracket(struct span s)
{
    for (size_t i = 1; i < s.n && s.p[i] != '\n' && s.p[i] != '['; i++)
        if (s.p[i] == ']')
            return i + 1 < s.n && s.p[i + 1] == '(' &&
                           memchr(s.p + i, ')', s.n - i < 400 ? s.n - i : 400)
                       ? i
                       : 0;
    return 0;
}

struct drawing {
    struct span s;
    bool markup;
    struct str text;
    size_t *place; /* [s.n + 1]: where each byte of the window went; SIZE_MAX: left out */
    size_t link_end, link_skip;
};

/* How many bytes at i are not shown. */
static size_t skipped_at(struct drawing *d, size_t i, size_t end, bool line_start)
{
    const struct span rest = span_sub(d->s, i, end);
    if (!d->markup)
        return 0;
    if (line_start) {
        const size_t n = line_signs(rest);
        if (n)
            return n;
    }
    if (d->link_end == i && i > 0) {
        const char *close = memchr(rest.p, ')', rest.n);
        d->link_end = 0;
        return close ? (size_t)(close - rest.p) + 1 : 1;
    }
    if (rest.p[0] == '[') {
        const size_t close = link_bracket(rest);
        if (close) {
            d->link_end = i + close;
            return 1;
        }
    }
    if (rest.n >= 2 && (memcmp(rest.p, "**", 2) == 0 || memcmp(rest.p, "__", 2) == 0) &&
        (i == 0 || !is_letter_byte(d->s.p[i - 1]) || rest.n == 2 || !is_letter_byte(rest.p[2])))
        return 2;
    return rest.p[0] == '`' ? 1 : 0;
}

static void draw_space(struct drawing *d)
{
    if (d->text.n && d->text.p[d->text.n - 1] != ' ')
        str_putc(&d->text, ' ');
}

static void draw_unit(struct drawing *d, const struct unit *u)
{
    if (d->text.n && u->start > 0 && is_space(d->s.p[u->start - 1]))
        draw_space(d);
    bool line_start = u->begins;
    for (size_t i = u->start; i < u->end;) {
        const size_t skip = skipped_at(d, i, u->end, line_start);
        if (skip) {
            i += skip;
            line_start = false;
            continue;
        }
        uint32_t cp;
        const int n = utf8_next(d->s.p + i, u->end - i, &cp);
        line_start = d->s.p[i] == '\n';
        if (uni_is_space(cp) || cp < 0x20 || cp == 0x7F || (cp >= 0x80 && cp < 0xA0)) {
            draw_space(d);
        } else {
            char bytes[4];
            d->place[i] = d->text.n;
            str_add(&d->text, bytes, (size_t)utf8_put(cp, bytes));
        }
        i += (size_t)n;
    }
}

/* Cuts the drawn text to `max` bytes at a word or code point; true when something went. */
static bool text_limit(struct str *t, size_t max)
{
    while (t->n && t->p[t->n - 1] == ' ')
        t->p[--t->n] = '\0';
    if (t->n <= max)
        return false;
    const size_t at = max ? cut_place(str_view(t), 0, max) : 0;
    t->n = at <= max ? at : 0;
    while (t->n && t->p[t->n - 1] == ' ')
        t->n--;
    t->p[t->n] = '\0';
    return true;
}

static void draw_marks(const struct drawing *d, const struct snippet_match *match, size_t n_match,
                       size_t limit, struct snippet *out)
{
    size_t cap = 0;
    for (size_t m = 0; m < n_match; m++) {
        if (match[m].end > d->s.n || match[m].start >= match[m].end)
            continue;
        size_t last = match[m].end - 1;
        while (last > match[m].start && ((unsigned char)d->s.p[last] & 0xC0) == 0x80)
            last--;
        const size_t a = d->place[match[m].start], z = d->place[last];
        uint32_t cp;
        if (a == SIZE_MAX || z == SIZE_MAX || z < a || z >= limit)
            continue;
        const size_t b =
            z + (size_t)utf8_next(d->text.p + z, d->text.n > z ? d->text.n - z : 1, &cp);
        if (b > limit)
            continue;
        if (out->n_marks && a < out->mark[out->n_marks - 1].end) {
            if (b > out->mark[out->n_marks - 1].end)
                out->mark[out->n_marks - 1].end = b;
            continue;
        }
        VEC_GROW(out->mark, out->n_marks, cap);
        out->mark[out->n_marks++] = (struct span_range){a, b};
    }
}

static void window_draw(struct span s, const struct units *u, struct window w, bool markup,
                        const struct snippet_match *match, size_t n_match, size_t max,
                        struct snippet *out)
{
    struct drawing d = {.s = s, .markup = markup};
    const size_t dots = max > 16 ? strlen(ELLIPSIS) : 0;
    bool ends = true;
    d.place = xmalloc((s.n + 1) * sizeof *d.place);
    for (size_t i = 0; i <= s.n; i++)
        d.place[i] = SIZE_MAX;
    if (w.a < w.b && !u->item[w.a].begins && dots)
        str_puts(&d.text, ELLIPSIS);
    for (size_t i = w.a; i < w.b; i++) {
        if (!u->item[i].noise)
            draw_unit(&d, &u->item[i]);
        ends = u->item[i].ends;
    }
    const bool cut = text_limit(&d.text, max - dots);
    draw_marks(&d, match, n_match, d.text.n, out);
    if ((cut || !ends) && dots && d.text.n)
        str_puts(&d.text, ELLIPSIS);
    out->text = str_take(&d.text);
    free(d.place);
}

void snippet_make(struct span passage, const struct snippet_match *match, size_t n_match,
                  const double *weight, size_t n_terms, size_t max_bytes, bool markup,
                  struct snippet *out)
{
    struct units u = {0};
    const size_t room = max_bytes > 32 ? max_bytes - 2 * strlen(ELLIPSIS) : max_bytes;
    *out = (struct snippet){0};
    units_cut(&u, passage, room / 2 > 8 ? room / 2 : 8);
    units_weigh(&u, match, n_match, weight, n_terms);
    struct window w = window_choose(&u, weight, n_terms, room);
    if (w.b == 0 && u.n) {
        w.a = first_readable(&u, passage);
        w.b = w.a < u.n ? w.a + 1 : w.a;
    }
    if (w.a < w.b)
        w = window_extend(w, &u, room);
    window_draw(passage, &u, w, markup, match, n_match, max_bytes, out);
    free(u.item);
}

void snippet_release(struct snippet *s)
{
    free(s->text);
    free(s->mark);
    *s = (struct snippet){0};
}
