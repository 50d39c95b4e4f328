/* mail.c - messages and mailboxes.
 *
 * A message becomes its headers (who, when, about what) and its readable parts: of alternatives the
 * plain text, of a message in HTML its text. Attachments are named, and read where this process
 * can.
 */
#include "index/extract/adapter.h"
#include "index/extract/mime.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_PARTS_DEPTH = 16, MAX_PARTS = 1000 };

struct mail {
    struct job *job;
    struct extract_result *r;
    int parts;
    int level; /* of headings inside: 0 for one message, 1 below a mailbox's */
};

struct part {
    struct span headers, body;
    struct str type; /* the whole Content-Type, lower case not guaranteed */
    bool attachment;
    struct str name;
};

static bool has_type(const struct part *p, const char *prefix)
{
    const struct span t = span_trim(str_view(&p->type));
    const size_t n = strlen(prefix);
    return t.n >= n && strncasecmp(t.p, prefix, n) == 0;
}

static void part_open(struct part *p, struct span message)
{
    struct str disposition = {0};
    *p = (struct part){0};
    mime_split(message, &p->headers, &p->body);
    mime_header(p->headers, "Content-Type", &p->type);
    mime_header(p->headers, "Content-Disposition", &disposition);
    const struct span d = span_trim(str_view(&disposition));
    if (!mime_parameter(d, "filename", &p->name))
        mime_parameter(str_view(&p->type), "name", &p->name);
    p->attachment = (d.n >= 10 && strncasecmp(d.p, "attachment", 10) == 0) ||
                    (p->name.n && !has_type(p, "text/") && !has_type(p, "multipart/"));
    str_release(&disposition);
}

static void part_close(struct part *p)
{
    str_release(&p->type);
    str_release(&p->name);
}

static void part_bytes(const struct part *p, struct str *out)
{
    struct str encoding = {0};
    mime_header(p->headers, "Content-Transfer-Encoding", &encoding);
    mime_decode(p->body, str_view(&encoding), out);
    str_release(&encoding);
}

/* The decoded part as UTF-8. */
static void part_text(const struct part *p, struct str *out)
{
    struct str bytes = {0}, charset = {0};
    part_bytes(p, &bytes);
    mime_parameter(str_view(&p->type), "charset", &charset);
    text_guess(str_view(&bytes), charset.n ? charset.p : NULL, out);
    str_release(&bytes);
    str_release(&charset);
}

/* ---- reading parts
 * ------------------------------------------------------------------------------------ */

static void read_text(struct mail *m, const struct part *p)
{
    struct doc *const d = &m->r->doc;
    struct str text = {0};
    part_text(p, &text);
    if (has_type(p, "text/html")) {
        char *title = d->title ? d->title : xstrdup(""); /* the subject is the title */
        const bool had = d->title != NULL;
        d->title = title;
        html_append(str_view(&text), d, 0, m->r);
        if (!had) {
            free(title);
            d->title = NULL;
        }
    } else {
        if (d->text.n)
            str_puts(&d->text, "\n\n");
        const size_t from = d->text.n;
        struct span rest = str_view(&text), line;
        while (span_split(&rest, '\r', &line)) /* lines end in CR LF */
            str_span(&d->text, line);
        if (!d->text.failed)
            blocks_paragraphs(d, from, d->text.n, 0);
    }
    str_release(&text);
}

/* Its name, and its text where it is of a format read here. */
static void read_attachment(struct mail *m, const struct part *p)
{
    struct doc *const d = &m->r->doc;
    struct str bytes = {0};
    if (p->name.n == 0)
        return;
    if (d->text.n)
        str_puts(&d->text, "\n\n");
    const size_t from = d->text.n, block = d->n_blocks;
    str_puts(&d->text, "Attachment: ");
    str_span(&d->text, str_view(&p->name));
    if (d->text.failed)
        return;
    doc_add_block(d, BLOCK_PARAGRAPH, 0, 0, from, d->text.n);
    part_bytes(p, &bytes);
    if (bytes.n && extract_member(m->job, &bytes, p->name.p, d, 1)) {
        d->block[block].kind = BLOCK_HEADING;
        d->block[block].level = m->level + 1;
    }
    str_release(&bytes);
}

static void read_message(struct mail *m, struct span message, int depth);
static void read_part(struct mail *m, struct span bytes, int depth);

/* The next part of a multipart body; *rest moves behind it. */
static bool next_part(struct span *rest, struct span boundary, struct span *part)
{
    size_t pos = 0, from = 0;
    bool inside = false;
    struct line l;
    while (line_next(*rest, &pos, &l)) {
        const struct span s = line_span(*rest, &l);
        if (s.n < boundary.n + 2 || s.p[0] != '-' || s.p[1] != '-' ||
            memcmp(s.p + 2, boundary.p, boundary.n) != 0)
            continue;
        if (inside) {
            *part = span_sub(*rest, from, l.start);
            *rest = span_sub(*rest, l.start, rest->n);
            return true;
        }
        if (span_starts(span_sub(s, boundary.n + 2, s.n), "--"))
            return false;
        inside = true;
        from = pos;
    }
    *part = span_sub(*rest, from, rest->n); /* cut short: the rest is the part */
    *rest = (struct span){0};
    return inside && part->n;
}

/* Of alternatives one: plain text that says something, else the last one that is text. */
static void read_alternatives(struct mail *m, struct span body, struct span boundary, int depth)
{
    struct span rest = body, one, chosen = {0};
    bool plain = false;
    while (rest.n && !plain && next_part(&rest, boundary, &one)) {
        struct part p;
        part_open(&p, one);
        plain = (has_type(&p, "text/plain") || p.type.n == 0) && span_trim(p.body).n > 0;
        if (plain || has_type(&p, "text/") || has_type(&p, "multipart/"))
            chosen = one;
        part_close(&p);
    }
    if (chosen.n)
        read_part(m, chosen, depth + 1);
}

static void read_multipart(struct mail *m, const struct part *p, int depth)
{
    struct str boundary = {0};
    struct span rest = p->body, one;
    if (!mime_parameter(str_view(&p->type), "boundary", &boundary) || boundary.n == 0)
        read_text(m, p); /* not what it says: better as text than not at all */
    else if (has_type(p, "multipart/alternative"))
        read_alternatives(m, p->body, str_view(&boundary), depth);
    else
        while (rest.n && next_part(&rest, str_view(&boundary), &one))
            read_part(m, one, depth + 1);
    str_release(&boundary);
}

static void read_opened(struct mail *m, const struct part *p, int depth)
{
    struct str inner = {0};
    if (++m->parts > MAX_PARTS || depth > MAX_PARTS_DEPTH) {
        result_fail(m->r, NULL, depth > MAX_PARTS_DEPTH ? "nested too deeply" : "too many parts");
    } else if (has_type(p, "multipart/encrypted") || has_type(p, "application/pkcs7-mime") ||
               has_type(p, "application/x-pkcs7-mime")) {
        result_skip(m->r, NULL, "encrypted message");
    } else if (has_type(p, "multipart/")) {
        read_multipart(m, p, depth);
    } else if (has_type(p, "message/rfc822")) {
        part_bytes(p, &inner);
        read_message(m, str_view(&inner), depth + 1);
        str_release(&inner);
    } else if (p->attachment) {
        read_attachment(m, p);
    } else if (p->type.n == 0 || has_type(p, "text/") || has_type(p, "message/")) {
        read_text(m, p);
    }
}

static void read_part(struct mail *m, struct span bytes, int depth)
{
    struct part p;
    part_open(&p, bytes);
    read_opened(m, &p, depth);
    part_close(&p);
}

static void put_headers(struct mail *m, struct span headers)
{
    static const char *const shown[] = {"Subject", "From", "To", "Cc", "Date"};
    struct doc *const d = &m->r->doc;
    struct str value = {0};
    if (d->text.n)
        str_puts(&d->text, "\n\n");
    if (m->level && mime_header(headers, "Subject", &value) && value.n) {
        const size_t from = d->text.n;
        str_span(&d->text, str_view(&value));
        doc_add_block(d, BLOCK_HEADING, 1, 0, from, d->text.n);
        str_puts(&d->text, "\n\n");
    }
    const size_t from = d->text.n;
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        str_clear(&value);
        if (mime_header(headers, shown[i], &value) && value.n)
            str_printf(&d->text, "%s%s: %s", d->text.n > from ? "\n" : "", shown[i], value.p);
        if (i == 0 && value.n)
            doc_set_title(d, str_view(&value));
    }
    if (d->text.n > from)
        doc_add_block(d, BLOCK_PARAGRAPH, 0, 0, from, d->text.n);
    str_release(&value);
}

static void read_message(struct mail *m, struct span message, int depth)
{
    struct part p;
    part_open(&p, message);
    put_headers(m, p.headers);
    read_opened(m, &p, depth);
    part_close(&p);
}

/* ---- files
 * ---------------------------------------------------------------------------------------------- */

/* A whole message saved in UTF-16 first becomes UTF-8; other charsets are the parts' business. */
static void to_bytes(struct job *job)
{
    const struct span s = str_view(&job->bytes);
    struct str utf8 = {0};
    if (!span_starts(s, "\xEF\xBB\xBF") && !span_starts(s, "\xFF\xFE") &&
        !span_starts(s, "\xFE\xFF") && !memchr(s.p, '\0', s.n))
        return;
    text_guess(s, NULL, &utf8);
    str_release(&job->bytes);
    job->bytes = utf8;
}

void adapt_mail(struct job *job, struct extract_result *r)
{
    struct mail m = {.job = job, .r = r};
    to_bytes(job);
    struct span s = str_view(&job->bytes);
    if (span_starts(s, "From ")) { /* a mailbox of one */
        const char *eol = memchr(s.p, '\n', s.n);
        s = eol ? span_sub(s, (size_t)(eol - s.p) + 1, s.n) : s;
    }
    read_message(&m, s, 0);
}

/* Messages begin at "From " lines at the file's beginning or after an empty line (RFC 4155). */
void adapt_mbox(struct job *job, struct extract_result *r)
{
    struct mail m = {.job = job, .r = r, .level = 1};
    to_bytes(job);
    const struct span s = str_view(&job->bytes);
    struct line l;
    size_t pos = 0, from = 0;
    bool after_blank = true, any = false;
    while (line_next(s, &pos, &l)) {
        if (after_blank && span_starts(line_span(s, &l), "From ")) {
            if (any)
                read_message(&m, span_sub(s, from, l.start), 0);
            any = true;
            m.parts = 0;
            from = pos;
        }
        after_blank = l.blank;
    }
    if (!any) {
        adapt_mail(job, r);
        return;
    }
    read_message(&m, span_sub(s, from, s.n), 0);
    free(r->doc.title); /* the first message's subject is not the mailbox's title */
    r->doc.title = NULL;
}
