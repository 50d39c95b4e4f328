/* mime.c - see mime.h. */
#include "index/extract/mime.h"

#include "index/extract/adapter.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void mime_split(struct span message, struct span *headers, struct span *body)
{
    size_t pos = 0;
    struct line l;
    while (line_next(message, &pos, &l))
        if (l.end == l.start) {
            *headers = span_sub(message, 0, l.start);
            *body = span_sub(message, pos, message.n);
            return;
        }
    *headers = message;
    *body = (struct span){message.p + message.n, 0};
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

static void decode_base64(struct span s, struct str *out)
{
    uint32_t bits = 0;
    int n = 0;
    for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
        const char c = s.p[i];
        const int v = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+' || c == '-' ? 62
                      : c == '/' || c == '_' ? 63
                                             : -1;
        if (v < 0)
            continue; /* line ends, and what does not belong */
        bits = bits << 6 | (uint32_t)v;
        n += 6;
        if (n >= 8) {
            n -= 8;
            str_putc(out, (char)(bits >> n & 0xFF));
        }
    }
}

/* `header`: the Q encoding of RFC 2047, in which _ is a blank. */
static void decode_quoted(struct span s, bool header, struct str *out)
{
    for (size_t i = 0; i < s.n; i++) {
        const int hi = s.p[i] == '=' && i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
        const int lo = hi >= 0 ? hex_value(s.p[i + 2]) : -1;
        if (lo >= 0) {
            str_putc(out, (char)(hi * 16 + lo));
            i += 2;
        } else if (s.p[i] == '=' && i + 2 < s.n && s.p[i + 1] == '\r' && s.p[i + 2] == '\n') {
            i += 2;
        } else if (s.p[i] == '=' && i + 1 < s.n && s.p[i + 1] == '\n') {
            i += 1;
        } else {
            str_putc(out, header && s.p[i] == '_' ? ' ' : s.p[i]);
        }
    }
}

void mime_decode(struct span body, struct span encoding, struct str *out)
{
    encoding = span_trim(encoding);
    if (encoding.n == 6 && strncasecmp(encoding.p, "base64", 6) == 0)
        decode_base64(body, out);
    else if (encoding.n == 16 && strncasecmp(encoding.p, "quoted-printable", 16) == 0)
        decode_quoted(body, false, out);
    else
        str_span(out, body);
}

/* "=?charset?B?text?=" at the beginning of s: appends it decoded and returns its length, else 0. */
static size_t encoded_word(struct span s, struct str *out)
{
    const char *q1 = s.n > 2 ? memchr(s.p + 2, '?', s.n - 2) : NULL;
    if (!span_starts(s, "=?") || !q1 || q1 + 2 >= s.p + s.n || q1[2] != '?')
        return 0;
    const char *text = q1 + 3;
    const char *end = memmem(text, s.n - (size_t)(text - s.p), "?=", 2);
    const size_t n_charset = (size_t)(q1 - s.p) - 2;
    if (!end || n_charset == 0 || n_charset > 60)
        return 0;
    char charset[64];
    memcpy(charset, s.p + 2, n_charset);
    charset[n_charset] = '\0';
    char *language = strchr(charset, '*'); /* RFC 2231: charset*language */
    if (language)
        *language = '\0';
    const struct span raw = {text, (size_t)(end - text)};
    struct str bytes = {0};
    if ((q1[1] | 32) == 'b')
        decode_base64(raw, &bytes);
    else
        decode_quoted(raw, true, &bytes);
    text_guess(str_view(&bytes), charset, out);
    str_release(&bytes);
    return (size_t)(end - s.p) + 2;
}

/* Decodes encoded words; blanks between two of them vanish (RFC 2047 §6.2). */
static void decode_words(struct span s, struct str *out)
{
    bool after_word = false;
    size_t i = 0;
    while (i < s.n) {
        size_t blanks = i;
        while (blanks < s.n && (s.p[blanks] == ' ' || s.p[blanks] == '\t'))
            blanks++;
        const size_t before = out->n;
        if (!after_word && blanks > i)
            str_span(out, span_sub(s, i, blanks));
        const size_t used = encoded_word(span_sub(s, blanks, s.n), out);
        if (used) {
            i = blanks + used;
            after_word = true;
            continue;
        }
        out->n = before;
        after_word = false;
        str_span(out, span_sub(s, i, blanks + 1 < s.n ? blanks + 1 : s.n));
        i = blanks + 1;
    }
}

static bool raw_header(struct span headers, const char *name, struct str *out)
{
    const size_t n = strlen(name);
    struct line l;
    size_t pos = 0;
    bool found = false;
    while (line_next(headers, &pos, &l)) {
        const struct span s = line_span(headers, &l);
        const bool folded = s.n && (s.p[0] == ' ' || s.p[0] == '\t');
        if (found && folded) {
            str_putc(out, ' ');
            str_span(out, span_trim(s));
        } else if (found) {
            break;
        } else if (s.n > n && s.p[n] == ':' && strncasecmp(s.p, name, n) == 0) {
            found = true;
            str_span(out, span_trim(span_sub(s, n + 1, s.n)));
        }
    }
    return found;
}

bool mime_header(struct span headers, const char *name, struct str *out)
{
    struct str raw = {0}, words = {0};
    const bool found = raw_header(headers, name, &raw);
    decode_words(str_view(&raw), &words);
    text_guess(str_view(&words), NULL, out); /* raw 8-bit headers */
    str_release(&raw);
    str_release(&words);
    return found;
}

/* "utf-8'en'na%C3%AFve" of RFC 2231. */
static void decode_extended(struct span s, struct str *out)
{
    struct span charset = {0}, rest = s;
    struct str bytes = {0};
    char name[64] = "";
    if (memchr(s.p, '\'', s.n) && span_split(&rest, '\'', &charset)) {
        struct span language;
        span_split(&rest, '\'', &language);
        memcpy(name, charset.p, charset.n < 63 ? charset.n : 63);
    }
    for (size_t i = 0; rest.p && i < rest.n; i++) {
        const int hi = rest.p[i] == '%' && i + 2 < rest.n ? hex_value(rest.p[i + 1]) : -1;
        const int lo = hi >= 0 ? hex_value(rest.p[i + 2]) : -1;
        str_putc(&bytes, lo >= 0 ? (char)(hi * 16 + lo) : rest.p[i]);
        i += lo >= 0 ? 2 : 0;
    }
    text_guess(str_view(&bytes), name[0] ? name : NULL, out);
    str_release(&bytes);
}

bool mime_parameter(struct span value, const char *name, struct str *out)
{
    const size_t n = strlen(name);
    bool found = false;
    for (size_t i = 0; i < value.n;) {
        /* one ;-separated piece, quotes respected */
        size_t j = i;
        bool quoted = false;
        while (j < value.n && (quoted || value.p[j] != ';')) {
            quoted ^= value.p[j] == '"' && (j == i || value.p[j - 1] != '\\');
            j++;
        }
        const struct span piece = span_trim(span_sub(value, i, j));
        i = j + 1;
        if (piece.n <= n || strncasecmp(piece.p, name, n) != 0)
            continue;
        const char *eq = memchr(piece.p, '=', piece.n);
        if (!eq || (piece.p[n] != '=' && piece.p[n] != '*' && piece.p[n] != ' '))
            continue;
        struct span v = span_trim(span_sub(piece, (size_t)(eq - piece.p) + 1, piece.n));
        if (v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"')
            v = span_sub(v, 1, v.n - 1);
        if (eq[-1] == '*')
            decode_extended(v, out);
        else
            decode_words(v, out);
        found = true;
        if (piece.p[n] != '*')
            break; /* not one of filename*0, filename*1, ... */
    }
    return found;
}
