/* chunk.c - choosing the passages; see chunk.h. Clean text, tokens and the scores of the places to
 * break come from piece.c.
 *
 * Greedy, from the front. `room` is what the target leaves after the breadcrumb. From a start s:
 *   1. what is left up to the end of the page or piece is taken if it fits;
 *   2. else a passage ends at the last heading that still fits, if that fills it tolerably: small
 *      neighbouring sections share a passage;
 *   3. else the section is longer than the room: it is cut into equal shares, each at the place t
 *      near its ideal length n with the largest score(t) * (1 - 0.7 (d / n)^2), d = |t - s - n|.
 * Equal shares, because filling each passage to the brim leaves scraps at the ends of sections.
 * Only a cut inside a block is bridged by an overlap, from the begin of a sentence.
 *
 * A heading that opens a passage is part of the passage; the breadcrumb holds what stands above it.
 *
 * The defaults are measured with all-MiniLM-L6-v2 (window 256), nDCG@10 of the file by its best
 * passage: 30 questions on 113 files of aws-docs; the one-line descriptions of 75 git and 140 curl
 * manual pages, removed from the pages, as questions.
 *
 *   target, overlap                       aws    git    curl   mean   passages (aws)
 *   256, 32                               .788   .858   .696   .781    749
 *   192, 16                               .833   .871   .673   .792
 *   160, 16                               .854   .865   .674   .798
 *   128, 16                               .848   .828   .681   .786   1573
 *   160, 16, every heading begins one     .854   .832   .620   .769
 *   128, 16, every heading begins one     .858   .819   .614   .764   1627
 *   128, 0                                .859
 *   128, 16, without the breadcrumb       .834
 *   256, 32, markup left in               .874                         1212 (1.7 times the tokens)
 *
 * A question is about less than a window holds: passages of 160 answer as well as shorter ones and
 * describe a page better. Joining small sections pays on manual pages. That aws gains from markup
 * left in we take for an effect of length (half the words in each passage): it costs 1.7 times the
 * encoding, and 160 gets most of it for nothing. One question is .005-.033 in these figures.
 */
#include "index/chunk.h"

#include "index/piece.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/base/unicode.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_TARGET = 160, /* tokens, breadcrumb and special tokens included */
    DEFAULT_OVERLAP = 16, /* tokens */
    LEVELS = 6,           /* of headings */
    HEADING_BYTES = 200,  /* longest heading kept */
    CRUMB_SHARE = 4,      /* the breadcrumb takes at most a quarter of the target */
    FILL_SHARE = 3,       /* a passage that ends at a heading is at least a third full */
    ROOM_MIN = 8
};

struct cutter {
    const struct doc *d;
    const struct embedder *e;
    struct chunk_list *out;
    int overhead; /* special tokens and prompt */
    size_t target, overlap;
    char *title;         /* cleaned; NULL: none */
    char *trail[LEVELS]; /* the headings in force before the passage at hand */
    size_t line_pos;     /* doc.text[line_pos] is on `line` */
    int line;
    struct piece piece;
    size_t next_part; /* the first part whose heading is not in the trail yet */
};

/* ---- headings ---- */

/* A text on one line, cut to HEADING_BYTES at a character's border; owned, NULL when blank. */
static char *one_line(struct span s)
{
    struct str out = {0};
    s = span_trim(s);
    for (size_t i = 0; i < s.n; i++) {
        const bool blank = (unsigned char)s.p[i] <= ' ';
        if (!blank)
            str_putc(&out, s.p[i]);
        else if (out.n && out.p[out.n - 1] != ' ')
            str_putc(&out, ' ');
    }
    if (out.n > HEADING_BYTES) {
        out.n = HEADING_BYTES;
        while (out.n && ((unsigned char)out.p[out.n] & 0xC0) == 0x80)
            out.n--;
        out.p[out.n] = '\0';
    }
    if (!out.n) {
        str_release(&out);
        return NULL;
    }
    return str_take(&out);
}

/* 0 .. LEVELS - 1 */
static int level_of(const struct block *b)
{
    return b->level < 1 ? 0 : b->level > LEVELS ? LEVELS - 1 : b->level - 1;
}

static void trail_enter(char *trail[LEVELS], int at, char *heading)
{
    for (int i = at; i < LEVELS; i++) {
        free(trail[i]);
        trail[i] = NULL;
    }
    trail[at] = heading;
}

static char *part_heading(const struct piece *p, const struct part *part)
{
    return one_line(span_sub(str_view(&p->clean.text), part->clean_start, part->clean_end));
}

/* The headings of all parts before token `t` come into force. */
static void pass_headings(struct cutter *c, size_t t)
{
    for (; c->next_part < c->piece.n_parts; c->next_part++) {
        const struct part *part = &c->piece.part[c->next_part];
        if (part->tok_start >= t)
            return;
        if (part->block->kind == BLOCK_HEADING)
            trail_enter(c->trail, level_of(part->block), part_heading(&c->piece, part));
    }
}

static bool same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* "A > B > C" of the upper levels of a trail; a heading that repeats the title is left out when
 * others follow. Owned, NULL when empty. */
static char *trail_join(char *const trail[LEVELS], int levels, const char *title, bool keep_title)
{
    struct str out = {0};
    const char *repeated = NULL;
    for (int i = 0; i < levels; i++) {
        if (!trail[i])
            continue;
        if (same(trail[i], title) && !out.n) {
            repeated = trail[i];
            continue;
        }
        if (out.n)
            str_puts(&out, " > ");
        str_puts(&out, trail[i]);
    }
    if (out.n)
        return str_take(&out);
    return repeated && keep_title ? xstrdup(repeated) : NULL;
}

/* The path that a passage is filed under: the trail and the headings that open it. */
static char *heading_of(const struct cutter *c, size_t start)
{
    char *trail[LEVELS];
    for (int i = 0; i < LEVELS; i++)
        trail[i] = c->trail[i] ? xstrdup(c->trail[i]) : NULL;
    const struct piece *p = &c->piece;
    for (size_t i = p->part_of[start]; i < p->n_parts; i++) {
        const struct part *part = &p->part[i];
        if (part->block->kind != BLOCK_HEADING || part->tok_start < start)
            break;
        trail_enter(trail, level_of(part->block), part_heading(p, part));
    }
    char *path = trail_join(trail, LEVELS, c->title, true);
    for (int i = 0; i < LEVELS; i++)
        free(trail[i]);
    return path;
}

/* ---- the breadcrumb ---- */

static int count_tokens(const struct cutter *c, struct span text, struct token_range **ranges,
                        size_t *n, struct err *err)
{
    *ranges = NULL;
    *n = 0;
    return text.n ? c->e->tokens(c->e, text, ranges, n, err) : 0;
}

/* "Title > A > B" for a passage that begins at token `start`, cut from its end to the share that it
 * may take. *n gets its tokens. */
static int breadcrumb(const struct cutter *c, size_t start, char **out, size_t *n, struct err *err)
{
    const struct part *first = &c->piece.part[c->piece.part_of[start]];
    struct str s = {0};
    const bool opens = first->block->kind == BLOCK_HEADING && first->tok_start == start;
    char *opening = opens ? part_heading(&c->piece, first) : NULL;
    char *path = trail_join(c->trail, opens ? level_of(first->block) : LEVELS, c->title, false);
    if (c->title && !same(c->title, opening))
        str_puts(&s, c->title);
    if (path)
        str_printf(&s, "%s%s", s.n ? " > " : "", path);
    free(opening);
    free(path);
    struct token_range *ranges;
    int rc = count_tokens(c, str_view(&s), &ranges, n, err);
    const size_t most = c->target / CRUMB_SHARE;
    if (!rc && *n > most) {
        *n = most;
        s.n = most ? ranges[most - 1].end : 0;
        s.p[s.n] = '\0';
    }
    free(ranges);
    *out = str_take(&s);
    return rc;
}

/* ---- choosing the end ---- */

/* Tokens from s to the next heading or page, looked for within `far`. */
static size_t section_length(const struct piece *p, size_t s, size_t far)
{
    size_t t = s + 1;
    while (t < p->n_tok && t - s < far && p->score[t] < BREAK_HEADING)
        t++;
    return t - s;
}

static size_t best_break(const struct piece *p, size_t s, size_t ideal, size_t limit)
{
    size_t best = limit;
    double best_value = 0;
    for (size_t t = s + ideal / 2 + 1; t <= limit; t++) {
        const double d = ((double)t - (double)(s + ideal)) / (double)ideal;
        const double value = p->score[t] * (1 - 0.7 * d * d);
        if (value > best_value) {
            best_value = value;
            best = t;
        }
    }
    return best;
}

static size_t choose_end(const struct piece *p, size_t s, size_t room)
{
    size_t heading = 0, t = s + 1;
    for (; t < p->n_tok && t <= s + room && p->score[t] != BREAK_PAGE; t++)
        if (p->score[t] >= BREAK_HEADING)
            heading = t;
    if (t <= s + room) /* the end of the page or of the piece */
        return t;
    if (heading && heading - s >= room / FILL_SHARE)
        return heading;
    const size_t length = section_length(p, s, room * 4);
    const size_t shares = (length + room - 1) / room;
    const size_t ideal = shares > 1 ? length / shares : room;
    return best_break(p, s, ideal ? ideal : 1, s + room);
}

/* Where the passage after [s, e) begins: at e, or a little before when e cuts a block. */
static size_t next_start(const struct cutter *c, size_t s, size_t e)
{
    const struct piece *p = &c->piece;
    if (e >= p->n_tok || p->score[e] >= BREAK_ITEM)
        return e;
    const size_t half = s + (e - s + 1) / 2; /* past s, so that every passage gains ground */
    for (size_t t = e > c->overlap && e - c->overlap > half ? e - c->overlap : half; t < e; t++)
        if (p->part_of[t] == p->part_of[e] && p->score[t] >= BREAK_SENTENCE)
            return t;
    return e;
}

/* ---- writing ---- */

static int line_at(struct cutter *c, size_t pos)
{
    for (; c->line_pos < pos; c->line_pos++)
        c->line += c->d->text.p[c->line_pos] == '\n';
    return c->line;
}

static int lines_within(const struct cutter *c, size_t start, size_t end)
{
    int n = 0;
    for (size_t i = start; i < end; i++)
        n += c->d->text.p[i] == '\n';
    return n;
}

static bool has_word(struct span s)
{
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        i += (size_t)utf8_next(s.p + i, s.n - i, &cp);
        if (uni_is_letter(cp) || uni_is_number(cp))
            return true;
    }
    return false;
}

/* Appends the passage of the tokens [s, e), unless it is without a letter or digit. */
static void emit(struct cutter *c, size_t s, size_t e, const char *crumb, size_t n_crumb)
{
    const struct piece *p = &c->piece;
    const struct span body = span_sub(str_view(&p->clean.text), p->tok[s].start, p->tok[e - 1].end);
    const size_t start = piece_start_of(p, s), end = piece_end_of(p, e - 1);
    if (!has_word(body) || end <= start)
        return;
    struct chunk k = {.start = start, .end = end, .page = p->part[p->part_of[s]].block->page};
    k.line_start = line_at(c, start);
    k.line_end = k.line_start + lines_within(c, start, end);
    k.heading = heading_of(c, s);
    struct str text = {0};
    if (crumb[0])
        str_printf(&text, "%s\n", crumb);
    str_span(&text, body);
    k.embed_text = str_take(&text);
    k.n_tokens = (int)(n_crumb + (e - s)) + c->overhead;
    VEC_GROW(c->out->item, c->out->n, c->out->cap);
    c->out->item[c->out->n++] = k;
}

static int cut_piece(struct cutter *c, struct err *err)
{
    const struct piece *p = &c->piece;
    c->next_part = 0;
    for (size_t s = 0; s < p->n_tok;) {
        char *crumb;
        size_t n_crumb;
        pass_headings(c, s);
        if (breadcrumb(c, s, &crumb, &n_crumb, err)) {
            free(crumb);
            return -1;
        }
        const size_t room = c->target > n_crumb + ROOM_MIN ? c->target - n_crumb : ROOM_MIN;
        const size_t e = choose_end(p, s, room);
        emit(c, s, e, crumb, n_crumb);
        free(crumb);
        s = next_start(c, s, e);
    }
    pass_headings(c, p->n_tok);
    return 0;
}

static void cutter_init(struct cutter *c, const struct doc *d, const struct embedder *e,
                        const struct chunk_options *o, struct chunk_list *out)
{
    *c = (struct cutter){.d = d, .e = e, .out = out, .line = 1};
    c->overhead = e->overhead(e, EMBED_PASSAGE);
    int target = o && o->target_tokens > 0 ? o->target_tokens : DEFAULT_TARGET;
    target = (target < e->window ? target : e->window) - c->overhead;
    c->target = target > ROOM_MIN ? (size_t)target : ROOM_MIN;
    c->overlap = (size_t)(o && o->overlap_tokens >= 0 ? o->overlap_tokens : DEFAULT_OVERLAP);
    if (d->title) {
        struct clean title = {0};
        const struct span raw = span_of(d->title);
        clean_add(&title, raw, 0, raw.n, piece_style(d, BLOCK_HEADING));
        c->title = one_line(str_view(&title.text));
        clean_release(&title);
    }
}

static void cutter_release(struct cutter *c)
{
    free(c->title);
    for (int i = 0; i < LEVELS; i++)
        free(c->trail[i]);
    piece_release(&c->piece);
}

int chunk_document(const struct doc *d, const struct embedder *embedder,
                   const struct chunk_options *options, struct chunk_list *out, struct err *err)
{
    struct cutter c;
    cutter_init(&c, d, embedder, options, out);
    size_t block = 0, pos = 0;
    int rc;
    while ((rc = piece_next(&c.piece, d, embedder, &block, &pos, err)) == 1) {
        rc = stop_requested() ? err_kind_set(err, ERR_STOPPED, "stopped") : cut_piece(&c, err);
        if (rc)
            break;
    }
    cutter_release(&c);
    return rc;
}

void chunk_list_release(struct chunk_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->item[i].heading);
        free(list->item[i].embed_text);
    }
    free(list->item);
    *list = (struct chunk_list){0};
}
