/* adapters.c - from a format's row to its adapter, and what is common to all: finishing, members
 * of containers, budgets. */
#include "index/extract/adapter.h"

#include "src/base/mem.h"

#include <string.h>

static adapter_fn *const adapters[FAMILY_COUNT] = {
    [FAMILY_BINARY] = adapt_binary,     [FAMILY_TEXT] = adapt_text,
    [FAMILY_MARKDOWN] = adapt_markdown, [FAMILY_OUTLINE] = adapt_outline,
    [FAMILY_TEX] = adapt_tex,           [FAMILY_CODE] = adapt_code,
    [FAMILY_ROWS] = adapt_rows,         [FAMILY_DATA] = adapt_data,
    [FAMILY_SUBTITLE] = adapt_subtitle, [FAMILY_HTML] = adapt_html,
    [FAMILY_MAIL] = adapt_mail,         [FAMILY_MBOX] = adapt_mbox,
    [FAMILY_NOTEBOOK] = adapt_notebook, [FAMILY_RTF] = adapt_rtf,
    [FAMILY_DOCX] = adapt_docx,         [FAMILY_PPTX] = adapt_pptx,
    [FAMILY_XLSX] = adapt_xlsx,         [FAMILY_ODF] = adapt_odf,
    [FAMILY_EPUB] = adapt_epub,         [FAMILY_ZIP] = adapt_zip,
    [FAMILY_TAR] = adapt_tar,           [FAMILY_PACKED] = adapt_packed,
    [FAMILY_OLE] = adapt_ole,
};

void adapt_binary(struct job *job, struct extract_result *r)
{
    (void)job;
    result_skip(r, NULL, "binary file");
}

bool budget_expand(struct budget *b, size_t n, struct extract_result *r)
{
    enum { RATIO = 200, RATIO_FROM = 16 << 20 };
    b->expanded += n;
    if (n <= b->expand_left &&
        (b->expanded < RATIO_FROM || b->expanded / RATIO <= b->packed_bytes)) {
        b->expand_left -= n;
        return true;
    }
    b->expand_left = 0;
    result_fail(r, NULL, "expands too far (zip bomb?)");
    return false;
}

/* Parsers hand on control characters; a database and a terminal should not have to take them. */
static void clean_text(struct doc *d)
{
    for (size_t i = 0; i < d->text.n; i++)
        if ((unsigned char)d->text.p[i] < 32 && !strchr("\t\n\f\r", d->text.p[i]))
            d->text.p[i] = ' ';
}

static void finish(struct job *job, struct extract_result *r)
{
    struct doc *const d = &r->doc;
    char size[32];
    if (d->text.failed)
        result_fail(r, NULL, "more than %s of text", size_text(d->text.max, size));
    if (r->state != EXTRACT_OK)
        return;
    if (!d->verbatim && d->text.n)
        clean_text(d);
    blocks_finish(d);
    if (!blocks_have_text(d))
        result_skip(r, NULL, "no text");
    if (!d->extractor)
        d->extractor = xasprintf("%s %d", job->format->info.name, job->format->version);
}

void extract_job(struct job *job, struct extract_result *r)
{
    const struct span head = span_sub(str_view(&job->bytes), 0, FORMAT_HEAD_BYTES);
    if (job->bytes.n == 0) {
        result_skip(r, NULL, "empty file");
        return;
    }
    job->format = format_detect(head, job->name);
    r->doc.kind = job->format->info.kind;
    r->doc.text.max = job->budget->output_bytes;
    if (job->format->family == FAMILY_PROGRAM) {
        job->needs_program = job->format;
        return;
    }
    adapters[job->format->family](job, r);
    if (!job->needs_program)
        finish(job, r);
}

void doc_append(struct doc *d, const struct doc *more, int level_shift)
{
    if (d->text.n && more->text.n)
        str_puts(&d->text, "\n\n");
    const size_t base = d->text.n;
    str_add(&d->text, more->text.p, more->text.n);
    if (d->text.failed)
        return;
    for (size_t i = 0; i < more->n_blocks; i++) {
        const struct block b = more->block[i];
        const int level = b.level + level_shift;
        doc_add_block(d, b.kind, b.level ? (level > 6 ? 6 : level) : 0, b.page, base + b.start,
                      base + b.end);
    }
}

bool extract_member(struct job *outer, struct str *bytes, const char *name, struct doc *d,
                    int level_shift)
{
    if (outer->depth >= JOB_MAX_DEPTH)
        return false;
    struct extract_result r = {0};
    struct job job = {
        .bytes = *bytes, .name = name, .depth = outer->depth + 1, .budget = outer->budget};
    *bytes = (struct str){0};
    extract_job(&job, &r);
    const bool good = r.state == EXTRACT_OK && !job.needs_program;
    if (good)
        doc_append(d, &r.doc, level_shift);
    str_release(&job.bytes);
    extract_result_release(&r);
    return good;
}
