/* charset.c - any text file to UTF-8.
 *
 * In this order: a byte-order mark; valid UTF-8 (kept as it is, byte for byte); what the file says
 * of itself; UTF-16 without a mark, by its zero bytes; nearly valid UTF-8 (a few broken bytes
 * become U+FFFD: a guess would break all the rest); uchardet's guess; Windows-1252, in which every
 * byte means something. Conversion is glibc's iconv.
 */
#include "index/extract/adapter.h"

#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <strings.h>
#include <uchardet/uchardet.h>

#define REPLACEMENT "\xEF\xBF\xBD"

static iconv_t converter(const char *charset)
{
    char name[64];
    size_t n = 0;
    for (const char *p = charset; *p && n < sizeof name - 1; p++)
        if (*p > ' ' && *p < 127 && *p != '/') /* "//IGNORE" and the like are not the file's say */
            name[n++] = *p;
    name[n] = '\0';
    return n ? iconv_open("UTF-8", name) : (iconv_t)-1;
}

bool text_convert(struct span in, const char *charset, struct str *out)
{
    iconv_t cd = converter(charset);
    if (cd == (iconv_t)-1)
        return false;
    const size_t unit = strncmp(charset, "UTF-16", 6) == 0   ? 2
                        : strncmp(charset, "UTF-32", 6) == 0 ? 4
                                                             : 1;
    char *src = (char *)in.p;
    size_t left = in.n;
    while (left && !out->failed) {
        char buf[16384];
        char *dst = buf;
        size_t room = sizeof buf;
        const size_t rc = iconv(cd, &src, &left, &dst, &room);
        const int why = errno;
        str_add(out, buf, (size_t)(dst - buf));
        if (rc != (size_t)-1 || why == E2BIG)
            continue;
        const size_t skip = left < unit ? left : unit; /* EILSEQ, or EINVAL: cut short */
        str_puts(out, REPLACEMENT);
        src += skip;
        left -= skip;
    }
    iconv_close(cd);
    return true;
}

/* "" when uchardet has no idea. */
static void guess(struct span in, char out[64])
{
    uchardet_t u = uchardet_new();
    if (uchardet_handle_data(u, in.p, in.n > 1 << 20 ? 1 << 20 : in.n) == 0)
        uchardet_data_end(u);
    const char *name = uchardet_get_charset(u);
    size_t n = strlen(name);
    n = n > 63 ? 63 : n;
    memcpy(out, name, n);
    out[n] = '\0';
    uchardet_delete(u);
}

/* Many good multi-byte sequences and few bad bytes: damaged UTF-8, not another charset. */
static bool nearly_utf8(struct span s)
{
    size_t good = 0, bad = 0;
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        const int used = utf8_next(s.p + i, s.n - i, &cp);
        good += used > 1;
        bad += used == 1 && (unsigned char)s.p[i] >= 0x80;
        i += (size_t)used;
    }
    return good > 4 * bad;
}

/* UTF-16 without a mark: the byte order by where the zeros are; NULL: it is not UTF-16. */
static const char *bare_utf16(struct span s)
{
    size_t zero[2] = {0, 0};
    for (size_t i = 0; i < s.n && i < FORMAT_HEAD_BYTES; i++)
        zero[i & 1] += s.p[i] == 0;
    if (zero[0] + zero[1] == 0)
        return NULL;
    return zero[1] >= zero[0] ? "UTF-16LE" : "UTF-16BE";
}

static const struct {
    const char *bytes;
    size_t n;
    const char *charset; /* NULL: UTF-8 */
} marks[] = {
    {"\xEF\xBB\xBF", 3, NULL},   {"\xFF\xFE\0\0", 4, "UTF-32LE"}, {"\0\0\xFE\xFF", 4, "UTF-32BE"},
    {"\xFF\xFE", 2, "UTF-16LE"}, {"\xFE\xFF", 2, "UTF-16BE"},
};

/* The index of the mark at the beginning, or -1. */
static int mark_of(struct span s)
{
    for (size_t i = 0; i < ARRAY_LEN(marks); i++)
        if (s.n >= marks[i].n && memcmp(s.p, marks[i].bytes, marks[i].n) == 0)
            return (int)i;
    return -1;
}

void text_guess(struct span in, const char *charset, struct str *out)
{
    const int mark = mark_of(in);
    const char *wide = bare_utf16(in);
    char name[64];
    if (mark >= 0) {
        in = span_sub(in, marks[mark].n, in.n);
        if (!marks[mark].charset)
            utf8_sanitize(in, out);
        else
            text_convert(in, marks[mark].charset, out);
        return;
    }
    if (!wide && utf8_valid(in)) {
        str_span(out, in);
        return;
    }
    if (charset && strncasecmp(charset, "utf", 3) != 0 && strcasecmp(charset, "us-ascii") != 0 &&
        text_convert(in, charset, out))
        return;
    if (wide && text_convert(in, wide, out))
        return;
    if (nearly_utf8(in)) {
        utf8_sanitize(in, out);
        return;
    }
    guess(in, name);
    if (strcasecmp(name, "UTF-8") == 0 || strcasecmp(name, "ASCII") == 0 || !name[0] ||
        !text_convert(in, name, out))
        text_convert(in, "WINDOWS-1252", out);
}

static size_t count_zeros(struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == 0;
    return n;
}

bool text_load(struct job *job, const char *charset, struct extract_result *r)
{
    struct doc *const d = &r->doc;
    struct str *const bytes = &job->bytes;
    const struct span in = str_view(bytes);
    const int mark = mark_of(in);
    const size_t bom = mark >= 0 && !marks[mark].charset ? 3 : 0;
    const size_t max = d->text.max;
    const size_t zeros = count_zeros(in);
    if (format_is_binary(span_sub(in, 0, FORMAT_HEAD_BYTES)) ||
        (mark < 1 && !bare_utf16(in) && zeros > in.n / 1000)) {
        result_skip(r, NULL, "binary file");
        return false;
    }
    if (in.n - bom <= max && zeros == 0 && utf8_valid(span_sub(in, bom, in.n))) {
        memmove(bytes->p, bytes->p + bom, in.n - bom);
        d->text = *bytes;
        d->text.n -= bom;
        d->text.p[d->text.n] = '\0';
        d->text.max = max;
        *bytes = (struct str){0};
        d->verbatim = true;
        d->src_offset = bom;
        return true;
    }
    text_guess(in, charset, &d->text);
    d->verbatim = false;
    return true;
}
