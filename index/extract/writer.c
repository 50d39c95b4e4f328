/* writer.c - see writer.h. */
#include "index/extract/writer.h"

#include <string.h>

static void open_block(struct writer *w, enum block_kind kind, int level)
{
    struct str *const t = &w->d->text;
    if (t->n)
        str_puts(t, "\n\n");
    w->kind = kind;
    w->level = level;
    w->start = t->n;
    w->open = true;
    w->line_start = true;
    w->blank = false;
}

void writer_close(struct writer *w)
{
    struct str *const t = &w->d->text;
    if (!w->open)
        return;
    while (t->n > w->start && strchr(" \n\t", t->p[t->n - 1]))
        t->p[--t->n] = '\0';
    if (t->n > w->start) {
        doc_add_block(w->d, w->kind, w->level, w->page, w->start, t->n);
    } else if (w->start >= 2) { /* nothing came: take the separator back */
        t->n = w->start - 2;
        t->p[t->n] = '\0';
    }
    w->open = false;
}

void writer_newline(struct writer *w)
{
    if (!w->open)
        return;
    if (w->kind == BLOCK_HEADING) { /* a heading is one line */
        w->blank = true;
        return;
    }
    if (!w->line_start)
        str_putc(&w->d->text, '\n');
    w->line_start = true;
    w->blank = false;
}

void writer_begin(struct writer *w, enum block_kind kind, int level)
{
    if (w->hold && w->open) {
        writer_newline(w);
        return;
    }
    writer_close(w);
    open_block(w, kind, level);
}

void writer_end(struct writer *w)
{
    if (w->hold)
        writer_newline(w);
    else
        writer_close(w);
}

void writer_raw(struct writer *w, const char *s)
{
    if (!w->open)
        open_block(w, BLOCK_PARAGRAPH, 0);
    str_puts(&w->d->text, s);
    w->line_start = false;
    w->blank = false;
}

/* Bytes of the white space at i: ASCII, and the no-break space that pages are padded with. */
static size_t blank_at(struct span s, size_t i)
{
    const char c = s.p[i];
    if (c == ' ' || (c >= '\t' && c <= '\r'))
        return 1;
    return c == '\xC2' && i + 1 < s.n && s.p[i + 1] == '\xA0' ? 2 : 0;
}

void writer_text(struct writer *w, struct span s)
{
    if (s.n == 0)
        return;
    if (w->open && w->kind == BLOCK_CODE) {
        str_span(&w->d->text, s);
        w->line_start = s.p[s.n - 1] == '\n';
        return;
    }
    size_t i = 0;
    while (i < s.n) {
        const size_t blank = blank_at(s, i);
        if (blank) {
            w->blank = true;
            i += blank;
            continue;
        }
        size_t j = i;
        while (j < s.n && !blank_at(s, j))
            j++;
        if (!w->open)
            open_block(w, BLOCK_PARAGRAPH, 0);
        if (w->blank && !w->line_start)
            str_putc(&w->d->text, ' ');
        str_add(&w->d->text, s.p + i, j - i);
        w->blank = w->line_start = false;
        i = j;
    }
}

void writer_table(struct writer *w)
{
    if (w->hold++ == 0) {
        writer_close(w);
        open_block(w, BLOCK_TABLE, 0);
    }
    w->first_cell = true;
}

void writer_row(struct writer *w)
{
    writer_newline(w);
    w->first_cell = true;
}

void writer_cell(struct writer *w)
{
    if (!w->first_cell) {
        writer_raw(w, " | ");
        w->line_start = true; /* no second blank after the bar */
    }
    w->first_cell = false;
}

void writer_table_end(struct writer *w)
{
    if (w->hold > 0 && --w->hold == 0)
        writer_close(w);
    else
        writer_newline(w);
}

void writer_gap(struct writer *w)
{
    w->blank = true;
}

struct span writer_block_text(const struct writer *w)
{
    const struct doc *d = w->d;
    if (w->open)
        return span_sub(str_view(&d->text), w->start, d->text.n);
    if (d->n_blocks == 0)
        return (struct span){0};
    const struct block *b = &d->block[d->n_blocks - 1];
    return span_sub(str_view(&d->text), b->start, b->end);
}
