/* piece.c - see piece.h. */
#include "index/piece.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES ((size_t)1 << 20)

enum clean_style piece_style(const struct doc *d, enum block_kind kind)
{
    const bool markdown = d->kind == KIND_MARKDOWN;
    switch (kind) {
    case BLOCK_CODE:
        return CLEAN_CODE;
    case BLOCK_TABLE:
        return markdown ? CLEAN_TABLE : CLEAN_PLAIN;
    default:
        return markdown ? CLEAN_MARKDOWN : CLEAN_PLAIN;
    }
}

/* ---- taking blocks ---- */

/* The end of what is taken of a long block: behind the last line end before `limit`, else at a
 * character's border. */
static size_t split_block(struct span text, size_t from, size_t limit)
{
    for (size_t i = limit; i > from + PIECE_BYTES / 2; i--)
        if (text.p[i - 1] == '\n')
            return i;
    size_t i = limit;
    while (i > from + 1 && ((unsigned char)text.p[i] & 0xC0) == 0x80)
        i--;
    return i;
}

static void add_part(struct piece *p, const struct block *b, size_t start, size_t end)
{
    const struct span text = str_view(&p->d->text);
    struct part part = {.block = b, .start = start, .end = end};
    if (p->n_parts)
        clean_putc(&p->clean, '\n', start - p->base);
    part.clean_start = p->clean.text.n;
    const struct span source = {text.p + p->base, text.n - p->base};
    clean_add(&p->clean, source, start - p->base, end - p->base, piece_style(p->d, b->kind));
    part.clean_end = p->clean.text.n;
    VEC_GROW(p->part, p->n_parts, p->cap_parts);
    p->part[p->n_parts++] = part;
}

/* Blocks up to about PIECE_BYTES; a piece ends before a heading where it can. */
static void take_blocks(struct piece *p, size_t *block, size_t *pos)
{
    const struct doc *d = p->d;
    const struct span text = str_view(&d->text);
    size_t taken = 0;
    while (*block < d->n_blocks) {
        const struct block *b = &d->block[*block];
        const size_t end = b->end < text.n ? b->end : text.n;
        const size_t start = *pos > b->start ? *pos : b->start;
        if (start >= end) {
            *pos = 0;
            ++*block;
            continue;
        }
        if (!p->n_parts)
            p->base = start;
        else if (taken + (end - start) > PIECE_BYTES ||
                 (b->kind == BLOCK_HEADING && taken > PIECE_BYTES / 2))
            return;
        if (end - start > PIECE_BYTES + PIECE_BYTES / 2) {
            const size_t cut = split_block(text, start, start + PIECE_BYTES);
            add_part(p, b, start, cut);
            *pos = cut;
            return;
        }
        add_part(p, b, start, end);
        taken += end - start;
        *pos = 0;
        ++*block;
    }
}

/* ---- tokens and breaks ---- */

/* A token belongs to the part that its first byte is in. */
static void assign_tokens(struct piece *p)
{
    size_t t = 0;
    for (size_t i = 0; i < p->n_parts; i++) {
        p->part[i].tok_start = t;
        while (t < p->n_tok && (p->tok[t].start < p->part[i].clean_end || i + 1 == p->n_parts))
            p->part_of[t++] = (uint32_t)i;
        p->part[i].tok_end = t;
    }
}

static uint8_t between_parts(const struct part *a, const struct part *b)
{
    if (a->block->page != b->block->page)
        return BREAK_PAGE;
    if (a->block->kind == BLOCK_HEADING)
        return BREAK_AFTER_HEADING;
    if (b->block->kind == BLOCK_HEADING)
        return (uint8_t)(BREAK_HEADING + 3 * (6 - b->block->level));
    return BREAK_BLOCK;
}

static bool ends_with_any(struct span s, const char *const *ends)
{
    for (; *ends; ends++)
        if (span_ends(s, *ends))
            return true;
    return false;
}

/* Does text that ends here end a sentence? Closing quotes and brackets may follow the mark. */
static bool ends_sentence(struct span before, bool blank_follows)
{
    static const char *const closers[] = {"\"",           "'", ")", "]", "\xe2\x80\x9d",
                                          "\xe2\x80\x99", NULL};
    static const char *const marks[] = {".", "!", "?", "\xe2\x80\xa6", NULL};
    static const char *const wide[] = {"\xe3\x80\x82", "\xef\xbc\x81", "\xef\xbc\x9f", NULL};
    while (before.n && ends_with_any(before, closers))
        before.n -= (unsigned char)before.p[before.n - 1] >= 0x80 ? 3 : 1;
    return ends_with_any(before, wide) || (blank_follows && ends_with_any(before, marks));
}

/* Within a block: lines, items, sentences, words. */
static uint8_t within_part(const struct piece *p, size_t t)
{
    const struct part *part = &p->part[p->part_of[t]];
    const char *text = p->clean.text.p;
    const size_t a = p->tok[t - 1].end, b = p->tok[t].start;
    int lines = 0;
    for (size_t i = a; i < b; i++)
        lines += text[i] == '\n';
    const bool prose = part->block->kind == BLOCK_PARAGRAPH || part->block->kind == BLOCK_HEADING;
    if (lines > 1)
        return BREAK_BLANK_LINE;
    const size_t back = a - part->clean_start < 16 ? a - part->clean_start : 16;
    if (ends_sentence((struct span){text + a - back, back}, b > a))
        return lines && !prose ? BREAK_ITEM : BREAK_SENTENCE;
    if (lines && !prose)
        return part->block->kind == BLOCK_LIST ? BREAK_ITEM : BREAK_LINE;
    if (lines)
        return BREAK_SOFT_LINE;
    if (b == a)
        return BREAK_NONE;
    return a && memchr(",;:", text[a - 1], 3) ? BREAK_CLAUSE : BREAK_WORD;
}

static void score_breaks(struct piece *p)
{
    for (size_t t = 1; t < p->n_tok; t++) {
        const struct part *a = &p->part[p->part_of[t - 1]], *b = &p->part[p->part_of[t]];
        p->score[t] = a == b ? within_part(p, t) : between_parts(a, b);
    }
    if (p->n_tok)
        p->score[0] = BREAK_PAGE;
}

int piece_next(struct piece *p, const struct doc *d, const struct embedder *e, size_t *block,
               size_t *pos, struct err *err)
{
    p->d = d;
    p->n_parts = 0;
    clean_clear(&p->clean);
    free(p->tok);
    p->tok = NULL;
    p->n_tok = 0;
    take_blocks(p, block, pos);
    if (!p->n_parts)
        return 0;
    if (p->clean.text.failed)
        return err_kind_set(err, ERR_MEMORY, "not enough memory to cut the document");
    if (e->tokens(e, str_view(&p->clean.text), &p->tok, &p->n_tok, err))
        return -1;
    p->score = xrealloc(p->score, p->n_tok);
    p->part_of = xrealloc_array(p->part_of, p->n_tok, sizeof *p->part_of);
    assign_tokens(p);
    score_breaks(p);
    return 1;
}

void piece_release(struct piece *p)
{
    clean_release(&p->clean);
    free(p->part);
    free(p->tok);
    free(p->score);
    free(p->part_of);
    *p = (struct piece){0};
}

/* ---- back to the document ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The bytes of doc.text between the tokens t-1 and t of one part. */
static void gap_before(const struct piece *p, size_t t, size_t *from, size_t *to)
{
    *from = p->base + p->clean.at[p->tok[t - 1].end - 1] + 1;
    *to = p->base + p->clean.at[p->tok[t].start];
    if (*from > *to)
        *from = *to;
}

/* A part's begin with the marks that stand before it on its line ("## "). */
static size_t part_start(const struct piece *p, const struct part *part)
{
    const char *text = p->d->text.p;
    const size_t floor = part > p->part ? part[-1].end : p->base;
    size_t i = part->start;
    while (i > floor && text[i - 1] != '\n' && strchr(" \t#>*+-=", text[i - 1]))
        i--;
    return i == 0 || text[i - 1] == '\n' ? i : part->start;
}

size_t piece_start_of(const struct piece *p, size_t t)
{
    const char *text = p->d->text.p;
    const struct part *part = &p->part[p->part_of[t]];
    size_t from, to, start;
    if (t == part->tok_start) {
        start = part_start(p, part);
    } else {
        gap_before(p, t, &from, &to);
        const bool new_line = memchr(text + from, '\n', to - from);
        start = to;
        for (size_t i = from; i < to; i++)
            if (new_line ? text[i] == '\n' : is_space(text[i]))
                start = i + 1;
    }
    while (start < p->d->text.n && is_space(text[start]))
        start++;
    return start;
}

size_t piece_end_of(const struct piece *p, size_t t)
{
    const char *text = p->d->text.p;
    const struct part *part = &p->part[p->part_of[t]];
    size_t from, to, end = part->end;
    if (t + 1 < part->tok_end) {
        gap_before(p, t + 1, &from, &to);
        for (end = from; end < to && !is_space(text[end]); end++)
            ;
    }
    while (end > part->start && is_space(text[end - 1]))
        end--;
    return end;
}
