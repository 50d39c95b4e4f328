/* archive.c - compressed files, and archives of many.
 *
 * One compressed file is read as what it is inside. A zip is an office document or a book when its
 * members say so. Any other archive becomes one document: each member's path a heading, the text of
 * those members that this process reads by itself below it; of the rest only the names are kept.
 */
#include "index/extract/unpack.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* ---- one file inside
 * ------------------------------------------------------------------------------ */

/* "notes.txt.gz" -> "notes.txt", "a.tgz" -> "a.tar"; owned. */
static char *inner_name(const char *name)
{
    char ext[16];
    format_extension(name, ext);
    const size_t n = strlen(name) - (ext[0] ? strlen(ext) + 1 : 0);
    if (strcmp(ext, "tgz") == 0 || strcmp(ext, "tbz2") == 0 || strcmp(ext, "txz") == 0 ||
        strcmp(ext, "tzst") == 0)
        return xasprintf("%.*s.tar", (int)n, name);
    return xstrndup(name, n);
}

void adapt_packed(struct job *job, struct extract_result *r)
{
    if (job->depth >= JOB_MAX_DEPTH) {
        result_fail(r, NULL, "packed too many times");
        return;
    }
    struct job inner = {
        .name = inner_name(job->name), .depth = job->depth + 1, .budget = job->budget};
    inner.bytes.max = (size_t)1 << 30;
    if (unpack_filter(str_view(&job->bytes), job->budget, &inner.bytes, r)) {
        str_release(&job->bytes);
        doc_release(&r->doc);
        extract_job(&inner, r);
        r->doc.verbatim = false; /* bytes of the text are not bytes of the file on disk */
        r->doc.src_offset = 0;
        job->format = inner.format ? inner.format : job->format;
        job->needs_program = inner.needs_program;
    }
    if (job->needs_program) {
        job->bytes = inner.bytes;
        job->depth = inner.depth;
    } else {
        str_release(&inner.bytes);
    }
    free((char *)inner.name);
}

/* ---- many files inside
 * ------------------------------------------------------------------------------ */

static bool want_text(const char *name)
{
    const struct format *f = format_by_name(name);
    if (!f)
        return true; /* a README, or something whose content will tell */
    return f->family != FAMILY_BINARY && f->family != FAMILY_PROGRAM &&
           f->family != FAMILY_PACKED && f->family != FAMILY_ZIP && f->family != FAMILY_TAR;
}

static void read_members(struct job *job, struct extract_result *r)
{
    struct members m = {0};
    struct doc *const d = &r->doc;
    if (!unpack_archive(str_view(&job->bytes), want_text, job->budget, &m, r)) {
        members_release(&m);
        return;
    }
    size_t texts = 0;
    for (size_t i = 0; i < m.n && !d->text.failed; i++) {
        if (d->text.n)
            str_puts(&d->text, "\n\n");
        const size_t from = d->text.n;
        str_puts(&d->text, m.item[i].name);
        const size_t block = d->n_blocks;
        doc_add_block(d, BLOCK_LIST, 0, 0, from, d->text.n);
        if (m.item[i].bytes.n && extract_member(job, &m.item[i].bytes, m.item[i].name, d, 1)) {
            d->block[block].kind = BLOCK_HEADING;
            d->block[block].level = 1;
            texts++;
        }
        str_release(&m.item[i].bytes);
    }
    if (texts == 0 && m.encrypted)
        result_fail(r, "unpack it with its password", "password-protected");
    else if (texts == 0)
        result_skip(r, NULL, "archive without readable files");
    members_release(&m);
}

void adapt_tar(struct job *job, struct extract_result *r)
{
    if (job->depth >= JOB_MAX_DEPTH)
        result_fail(r, NULL, "packed too many times");
    else
        read_members(job, r);
}

/* ---- zip: which kind of one
 * ------------------------------------------------------------------------ */

static bool want_mimetype(const char *name)
{
    return strcmp(name, "mimetype") == 0;
}

/* The format that the members tell, NULL: just an archive. */
static const struct format *zip_format(const struct members *m)
{
    static const struct {
        const char *member, *format;
    } signs[] = {
        {"word/document.xml", "docx"},      {"word/document2.xml", "docx"},
        {"ppt/presentation.xml", "pptx"},   {"xl/workbook.xml", "xlsx"},
        {"META-INF/container.xml", "epub"},
    };
    static const struct {
        const char *type, *format;
    } types[] = {
        {"application/vnd.oasis.opendocument.text", "odt"},
        {"application/vnd.oasis.opendocument.presentation", "odp"},
        {"application/vnd.oasis.opendocument.spreadsheet", "ods"},
        {"application/epub+zip", "epub"},
    };
    const struct span type = span_trim(members_span(m, "mimetype"));
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (span_starts(type, types[i].type))
            return format_find(types[i].format);
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (members_have(m, signs[i].member))
            return format_find(signs[i].format);
    return NULL;
}

void adapt_zip(struct job *job, struct extract_result *r)
{
    struct members m = {0};
    const bool good = unpack_archive(str_view(&job->bytes), want_mimetype, job->budget, &m, r);
    const struct format *f = good ? zip_format(&m) : NULL;
    members_release(&m);
    if (!good)
        return;
    if (!f) {
        adapt_tar(job, r);
        return;
    }
    job->format = f;
    r->doc.kind = f->info.kind;
    switch (f->family) {
    case FAMILY_DOCX:
        adapt_docx(job, r);
        break;
    case FAMILY_PPTX:
        adapt_pptx(job, r);
        break;
    case FAMILY_XLSX:
        adapt_xlsx(job, r);
        break;
    case FAMILY_ODF:
        adapt_odf(job, r);
        break;
    default:
        adapt_epub(job, r);
        break;
    }
}

/* ---- the container of the old Office formats
 * --------------------------------------------------------- */

static bool has_utf16(struct span s, const char *ascii)
{
    char wide[128];
    size_t n = 0;
    for (const char *p = ascii; *p && n < sizeof wide - 2; p++) {
        wide[n++] = *p;
        wide[n++] = '\0';
    }
    return memmem(s.p, s.n, wide, n) != NULL;
}

/* The names of its streams (UTF-16 in the directory) tell what wrote it. */
void adapt_ole(struct job *job, struct extract_result *r)
{
    const struct span s = str_view(&job->bytes);
    static const struct {
        const char *stream, *format;
    } kinds[] = {{"WordDocument", "doc"}, {"Workbook", "xls"}, {"PowerPoint Document", "ppt"}};
    if (has_utf16(s, "EncryptedPackage")) {
        result_fail(r, "save it without a password", "password-protected");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (has_utf16(s, kinds[i].stream)) {
            job->needs_program = format_find(kinds[i].format);
            return;
        }
    if (has_utf16(s, "__properties_version1.0") || has_utf16(s, "__substg1.0"))
        result_skip(r, "save it as .eml", "Outlook message (.msg)");
    else
        result_skip(r, NULL, "binary file");
}
