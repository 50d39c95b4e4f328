/* unicode.c - UTF-8 by hand, Unicode properties from utf8proc; see unicode.h. */
#include "src/base/unicode.h"

#include <utf8proc.h>

int utf8_next(const char *s, size_t n, uint32_t *cp)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80) {
        *cp = p[0];
        return 1;
    }
    const int len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    *cp = 0xFFFD;
    if (p[0] < 0xC2 || p[0] > 0xF4 || n < (size_t)len)
        return 1;
    uint32_t v = p[0] & (0x7Fu >> len);
    for (int i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 1;
        v = v << 6 | (p[i] & 0x3Fu);
    }
    if (v < least[len] || v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF))
        return 1;
    *cp = v;
    return len;
}

int utf8_put(uint32_t cp, char out[4])
{
    if (cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
        cp = 0xFFFD;
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

/* True when the bytes at s decode to a real code point; U+FFFD itself takes three bytes, an error
 * takes one. */
static bool step_valid(const char *s, size_t n, int *len)
{
    uint32_t cp;
    *len = utf8_next(s, n, &cp);
    return !(cp == 0xFFFD && *len == 1);
}

bool utf8_valid(struct span s)
{
    int len;
    for (size_t i = 0; i < s.n; i += (size_t)len)
        if (!step_valid(s.p + i, s.n - i, &len))
            return false;
    return true;
}

size_t utf8_count(struct span s)
{
    size_t n = 0;
    int len;
    for (size_t i = 0; i < s.n; i += (size_t)len, n++)
        step_valid(s.p + i, s.n - i, &len);
    return n;
}

void utf8_sanitize(struct span s, struct str *out)
{
    int len;
    for (size_t i = 0; i < s.n; i += (size_t)len) {
        if (step_valid(s.p + i, s.n - i, &len))
            str_add(out, s.p + i, (size_t)len);
        else
            str_add(out, "\xEF\xBF\xBD", 3);
    }
}

int uni_category(uint32_t cp)
{
    const char *c = utf8proc_category_string((utf8proc_int32_t)cp);
    return UNI_CAT(c[0], c[1]);
}

bool uni_is_letter(uint32_t cp)
{
    return uni_category(cp) >> 8 == 'L';
}

bool uni_is_number(uint32_t cp)
{
    return uni_category(cp) >> 8 == 'N';
}

bool uni_is_mark(uint32_t cp)
{
    return uni_category(cp) >> 8 == 'M';
}

bool uni_is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || cp == 0x20 || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
           cp == 0x205F || cp == 0x3000;
}

bool uni_is_cjk(uint32_t cp)
{
    return (cp >= 0x3040 && cp <= 0x30FF) || (cp >= 0x3400 && cp <= 0x4DBF) ||
           (cp >= 0x4E00 && cp <= 0x9FFF) || (cp >= 0xAC00 && cp <= 0xD7A3) ||
           (cp >= 0xF900 && cp <= 0xFAFF) || (cp >= 0xFF66 && cp <= 0xFF9D) ||
           (cp >= 0x20000 && cp <= 0x3FFFF) || (cp >= 0x3005 && cp <= 0x3007) ||
           (cp >= 0x31F0 && cp <= 0x31FF);
}

uint32_t uni_lower(uint32_t cp)
{
    return cp < 0x80 ? (cp >= 'A' && cp <= 'Z' ? cp + 32 : cp)
                     : (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
}

int uni_decompose(uint32_t cp, uint32_t out[18])
{
    int boundary = 0;
    utf8proc_int32_t buf[18];
    const utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)cp, buf, 18, UTF8PROC_DECOMPOSE, &boundary);
    if (n < 1 || n > 18) {
        out[0] = cp;
        return 1;
    }
    for (int i = 0; i < n; i++)
        out[i] = (uint32_t)buf[i];
    return (int)n;
}

int uni_combining_class(uint32_t cp)
{
    return utf8proc_get_property((utf8proc_int32_t)cp)->combining_class;
}

int uni_width(uint32_t cp)
{
    return utf8proc_charwidth((utf8proc_int32_t)cp);
}
