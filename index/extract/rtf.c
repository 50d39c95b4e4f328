/* rtf.c - Rich Text Format (specification 1.9.1): the text of the body.
 *
 * A group {...} saves and restores the state; destinations that hold no body text (fonts, styles,
 * pictures, anything introduced by \*) are passed over. Text is bytes in the document's code page
 * (\ansicpg, \'hh) or UTF-16 units (\uN, followed by \uc characters of fallback that are dropped).
 */
#include "index/extract/adapter.h"
#include "index/extract/writer.h"

#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_GROUPS = 1000 };

struct state {
    bool skip, title, table;
    int uc;    /* fallback characters after \u */
    int level; /* outline level + 1 of the paragraph, 0: text */
};

struct rtf {
    struct span s;
    size_t at;
    struct writer w;
    struct state now, stack[MAX_GROUPS];
    int depth;
    bool too_deep;
    int fallback;  /* characters still to drop */
    uint32_t high; /* the first half of a surrogate pair */
    char charset[24];
    struct str bytes; /* pending bytes in the code page */
    struct str title;
};

static const char *const skipped[] = {
    "fonttbl",   "colortbl",  "stylesheet",   "pict",      "object",
    "themedata", "datastore", "generator",    "listtable", "listoverridetable",
    "rsidtbl",   "xmlnstbl",  "latentstyles", "header",    "footer",
    "headerl",   "headerr",   "footerl",      "footerr",   "headerf",
    "footerf",   "fldinst",   "filetbl",      "revtbl",    "author",
    "operator",  "creatim",   "revtim",       "printim",   "buptim",
    "company",   "comment",   "keywords",     "subject",   "manager",
    "category",  "doccomm",   "hlinkbase",    "userprops", "mmathPr",
    "bkmkstart", "bkmkend",   "pntext",       "listtext",
};

static void put(struct rtf *k, struct span utf8)
{
    if (k->now.title)
        str_span(&k->title, utf8);
    if (k->now.skip || k->now.title)
        return;
    if (k->w.open && (k->w.kind == BLOCK_TABLE) != k->now.table)
        writer_close(&k->w);
    if (!k->w.open)
        writer_begin(&k->w,
                     k->now.table   ? BLOCK_TABLE
                     : k->now.level ? BLOCK_HEADING
                                    : BLOCK_PARAGRAPH,
                     k->now.table ? 0 : k->now.level);
    writer_text(&k->w, utf8);
}

static void flush(struct rtf *k)
{
    struct str utf8 = {0};
    if (k->bytes.n == 0)
        return;
    if (!text_convert(str_view(&k->bytes), k->charset, &utf8))
        text_convert(str_view(&k->bytes), "WINDOWS-1252", &utf8);
    str_clear(&k->bytes);
    put(k, str_view(&utf8));
    str_release(&utf8);
}

static void put_byte(struct rtf *k, char c)
{
    if (k->fallback > 0)
        k->fallback--;
    else if (!k->now.skip || k->now.title)
        str_putc(&k->bytes, c);
}

/* \uN: a signed 16-bit UTF-16 unit. */
static void put_unit(struct rtf *k, int n)
{
    uint32_t unit = (uint32_t)n & 0xFFFF;
    char utf8[4];
    flush(k);
    k->fallback = k->now.uc;
    if (unit >= 0xD800 && unit < 0xDC00) {
        k->high = unit;
        return;
    }
    if (unit >= 0xDC00 && unit < 0xE000 && k->high)
        unit = 0x10000 + ((k->high - 0xD800) << 10) + (unit - 0xDC00);
    k->high = 0;
    put(k, (struct span){utf8, (size_t)utf8_put(unit, utf8)});
}

static void end_paragraph(struct rtf *k)
{
    flush(k);
    if (k->now.skip || k->now.title)
        return;
    if (k->now.table)
        writer_gap(&k->w);
    else
        writer_end(&k->w);
}

static void put_char(struct rtf *k, const char *utf8)
{
    flush(k);
    if (k->fallback > 0)
        k->fallback--;
    else
        put(k, span_of(utf8));
}

static void control(struct rtf *k, const char *word, int n, bool has_n)
{
    static const struct {
        const char *word, *utf8;
    } chars[] = {
        {"tab", " "},
        {"emdash", "\xE2\x80\x94"},
        {"endash", "\xE2\x80\x93"},
        {"lquote", "\xE2\x80\x98"},
        {"rquote", "\xE2\x80\x99"},
        {"ldblquote", "\xE2\x80\x9C"},
        {"rdblquote", "\xE2\x80\x9D"},
        {"bullet", "\xE2\x80\xA2"},
        {"emspace", " "},
        {"enspace", " "},
    };
    for (size_t i = 0; i < ARRAY_LEN(skipped); i++)
        if (strcmp(word, skipped[i]) == 0) {
            flush(k);
            k->now.skip = true;
        }
    for (size_t i = 0; i < ARRAY_LEN(chars); i++)
        if (strcmp(word, chars[i].word) == 0)
            put_char(k, chars[i].utf8);
    if (strcmp(word, "par") == 0 || strcmp(word, "sect") == 0 || strcmp(word, "page") == 0) {
        end_paragraph(k);
    } else if (strcmp(word, "pard") == 0) {
        flush(k);
        k->now.level = 0;
        k->now.table = false;
    } else if (strcmp(word, "intbl") == 0) {
        k->now.table = true;
    } else if (strcmp(word, "outlinelevel") == 0 && has_n && n >= 0) {
        k->now.level = n < 6 ? n + 1 : 0;
    } else if (strcmp(word, "line") == 0) {
        flush(k);
        writer_newline(&k->w);
    } else if (strcmp(word, "cell") == 0) {
        put_char(k, " | ");
    } else if (strcmp(word, "row") == 0) {
        flush(k);
        writer_newline(&k->w);
    } else if (strcmp(word, "u") == 0 && has_n) {
        put_unit(k, n);
    } else if (strcmp(word, "uc") == 0 && has_n && n >= 0 && n < 16) {
        k->now.uc = n;
    } else if (strcmp(word, "ansicpg") == 0 && has_n && n > 0) {
        snprintf(k->charset, sizeof k->charset, n == 65001 ? "UTF-8" : "CP%d", n);
    } else if (strcmp(word, "title") == 0) {
        flush(k);
        k->now.title = true;
    } else if (strcmp(word, "bin") == 0 && has_n && n > 0) {
        k->at = (size_t)n < k->s.n - k->at ? k->at + (size_t)n : k->s.n;
    }
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* After the backslash. */
static void escape(struct rtf *k)
{
    const struct span s = k->s;
    const char c = s.p[k->at];
    if ((c | 32) >= 'a' && (c | 32) <= 'z') {
        char word[32], digits[12];
        size_t n = 0, m = 0;
        while (k->at < s.n && (s.p[k->at] | 32) >= 'a' && (s.p[k->at] | 32) <= 'z') {
            if (n < sizeof word - 1)
                word[n++] = s.p[k->at];
            k->at++;
        }
        while (k->at < s.n &&
               ((s.p[k->at] == '-' && m == 0) || (s.p[k->at] >= '0' && s.p[k->at] <= '9'))) {
            if (m < sizeof digits - 2)
                digits[m++] = s.p[k->at];
            k->at++;
        }
        if (k->at < s.n && s.p[k->at] == ' ')
            k->at++;
        word[n] = digits[m] = '\0';
        const long value = strtol(digits, NULL, 10);
        control(k, word, value > INT32_MAX ? INT32_MAX : (int)value, m > 0);
        return;
    }
    k->at++;
    if (c == '\'' && k->at + 1 < s.n) {
        const int hi = hex_value(s.p[k->at]), lo = hex_value(s.p[k->at + 1]);
        k->at += 2;
        if (hi >= 0 && lo >= 0)
            put_byte(k, (char)(hi * 16 + lo));
    } else if (c == '*') {
        flush(k);
        k->now.skip = true;
    } else if (c == '~' || c == '_') {
        put_char(k, c == '~' ? " " : "-");
    } else if (c == '\n' || c == '\r') {
        end_paragraph(k);
    } else if (strchr("\\{}", c)) {
        put_byte(k, c);
    }
}

static void step(struct rtf *k)
{
    const char c = k->s.p[k->at++];
    if (c == '{') {
        flush(k);
        k->too_deep |= k->depth >= MAX_GROUPS;
        if (!k->too_deep)
            k->stack[k->depth++] = k->now;
    } else if (c == '}') {
        flush(k);
        k->fallback = 0;
        if (k->depth > 0)
            k->now = k->stack[--k->depth];
    } else if (c == '\\') {
        if (k->at < k->s.n)
            escape(k);
    } else if (c != '\n' && c != '\r') {
        put_byte(k, c);
    }
}

void adapt_rtf(struct job *job, struct extract_result *r)
{
    struct rtf *k = xcalloc(1, sizeof *k);
    k->s = str_view(&job->bytes);
    k->w.d = &r->doc;
    k->now.uc = 1;
    strcpy(k->charset, "WINDOWS-1252");
    while (k->at < k->s.n && !k->too_deep)
        step(k);
    flush(k);
    writer_close(&k->w);
    doc_set_title(&r->doc, str_view(&k->title));
    if (k->too_deep)
        result_fail(r, NULL, "nested too deeply");
    str_release(&k->bytes);
    str_release(&k->title);
    free(k);
}
