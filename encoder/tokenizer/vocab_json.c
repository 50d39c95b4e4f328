/* vocab_json.c - the vocabulary of a tokenizer.json without building a JSON tree.
 *
 * The file is some kilobytes of structure around one object of 30,000 and more "token": id pairs. A
 * general parser spends tens of milliseconds on that object, a cold query has about ten in all. So
 * the outer object is walked here with a cursor: the pairs of model.vocab are read in place, and
 * everything else is copied out for the general parser, which also judges its validity.
 */
#include "encoder/tokenizer/internal.h"
#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <stdlib.h>
#include <string.h>

void token_list_release(struct token_list *list)
{
    free(list->token);
    arena_release(&list->text);
    *list = (struct token_list){0};
}

int token_list_set(struct token_list *list, int64_t id, struct span token, const char *name,
                   struct err *err)
{
    if (id < 0 || id >= MAX_IDS)
        return err_kind_set(err, ERR_FORMAT, "'%s' has the token id %lld; ids go from 0 to %d",
                            name, (long long)id, MAX_IDS - 1);
    if ((size_t)id >= list->cap) {
        size_t cap = list->cap ? list->cap : 32768;
        while (cap <= (size_t)id)
            cap *= 2;
        void *more;
        if (mem_try(&more, cap * sizeof *list->token, "vocabulary", err) != 0)
            return -1;
        if (list->n)
            memcpy(more, list->token, list->n * sizeof *list->token);
        free(list->token);
        list->token = more;
        list->cap = cap;
    }
    for (; list->n <= (size_t)id; list->n++)
        list->token[list->n] = (struct span){NULL, 0};
    list->token[id] = token;
    list->n_entries++;
    return 0;
}

enum { MAX_TOKEN_BYTES = 1 << 16 };

struct cursor {
    const char *p, *end, *begin;
    const char *name;
    struct err *err;
};

static int bad(const struct cursor *c, const char *what)
{
    return err_kind_set(c->err, ERR_FORMAT, "'%s' is not a valid tokenizer.json: %s at byte %zu",
                        c->name, what, (size_t)(c->p - c->begin));
}

static void skip_space(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == '\r'))
        c->p++;
}

/* The next character after white space, consumed when it is `want`. */
static bool take(struct cursor *c, char want)
{
    skip_space(c);
    if (c->p >= c->end || *c->p != want)
        return false;
    c->p++;
    return true;
}

/* A string as it stands between its quotes. *plain: no escapes and ASCII only. */
static int raw_string(struct cursor *c, struct span *out, bool *plain)
{
    if (!take(c, '"'))
        return bad(c, "a string was expected");
    const char *from = c->p;
    *plain = true;
    for (; c->p < c->end && *c->p != '"'; c->p++) {
        const unsigned char ch = (unsigned char)*c->p;
        if (ch < 0x20)
            return bad(c, "control character in a string");
        if (ch == '\\' || ch >= 0x80) {
            *plain = false;
            if (ch == '\\' && ++c->p == c->end)
                break;
        }
    }
    if (c->p >= c->end)
        return bad(c, "string without an end");
    *out = (struct span){from, (size_t)(c->p - from)};
    c->p++;
    return 0;
}

static bool hex4(const char *p, const char *end, uint32_t *out)
{
    if (end - p < 4)
        return false;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        const int ch = p[i], low = ch | 0x20;
        if (ch >= '0' && ch <= '9')
            *out = *out * 16 + (uint32_t)(ch - '0');
        else if (low >= 'a' && low <= 'f')
            *out = *out * 16 + (uint32_t)(low - 'a' + 10);
        else
            return false;
    }
    return true;
}

/* \uXXXX, or a surrogate pair of two, with p behind the first 'u'. Returns the bytes used or 0. */
static size_t unicode_escape(const char *p, const char *end, uint32_t *cp)
{
    uint32_t low;
    if (!hex4(p, end, cp))
        return 0;
    if (*cp < 0xD800 || *cp > 0xDFFF)
        return 4;
    if (*cp > 0xDBFF || end - p < 10 || p[4] != '\\' || p[5] != 'u' || !hex4(p + 6, end, &low) ||
        low < 0xDC00 || low > 0xDFFF)
        return 0;
    *cp = 0x10000 + ((*cp - 0xD800) << 10) + (low - 0xDC00);
    return 10;
}

/* A token with its escapes resolved, in the list's arena. */
static int unescape(struct cursor *c, struct token_list *list, struct span *token)
{
    static const char escape[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    char *to = arena_alloc(&list->text, token->n + 1); /* no escape grows */
    const char *p = token->p, *end = token->p + token->n;
    size_t n = 0;
    while (p < end) {
        if (*p != '\\') {
            to[n++] = *p++;
            continue;
        }
        const char ch = p[1];
        const char *which = ch ? strchr(escape, ch) : NULL;
        p += 2;
        if (which) {
            to[n++] = meaning[which - escape];
        } else {
            uint32_t cp;
            const size_t used = ch == 'u' ? unicode_escape(p, end, &cp) : 0;
            if (!used)
                return bad(c, "invalid escape in a token before this place");
            n += (size_t)utf8_put(cp, to + n);
            p += used;
        }
    }
    *token = (struct span){to, n};
    return 0;
}

static int read_id(struct cursor *c, int64_t *id)
{
    skip_space(c);
    const char *from = c->p;
    *id = 0;
    for (; c->p < c->end && *c->p >= '0' && *c->p <= '9' && c->p - from < 10; c->p++)
        *id = *id * 10 + (*c->p - '0');
    const char next = c->p < c->end ? *c->p : '\0';
    if (c->p == from || !(next == ',' || next == '}' || next == ' ' || next == '\n' ||
                          next == '\r' || next == '\t'))
        return bad(c, "a token id was expected");
    return 0;
}

/* The object of "token": id pairs, its '{' already taken. */
static int read_vocab(struct cursor *c, struct token_list *list)
{
    if (take(c, '}'))
        return 0;
    do {
        struct span token;
        bool plain;
        int64_t id;
        if (raw_string(c, &token, &plain) != 0)
            return -1;
        if (token.n > MAX_TOKEN_BYTES)
            return bad(c, "a token before this place is too long");
        if (!plain) {
            if (!utf8_valid(token))
                return bad(c, "a token before this place is not UTF-8");
            if (memchr(token.p, '\\', token.n) && unescape(c, list, &token) != 0)
                return -1;
        }
        if (!take(c, ':'))
            return bad(c, "':' was expected");
        if (read_id(c, &id) != 0)
            return -1;
        if ((size_t)id < list->n && list->token[id].n)
            return err_kind_set(c->err, ERR_FORMAT, "'%s' gives the token id %lld twice", c->name,
                                (long long)id);
        if (token_list_set(list, id, token, c->name, c->err) != 0)
            return -1;
    } while (take(c, ','));
    return take(c, '}') ? 0 : bad(c, "',' or '}' was expected");
}

/* Passes over one value of any kind; only its brackets and strings are looked at. */
static int skip_value(struct cursor *c)
{
    size_t depth = 0;
    do {
        skip_space(c);
        if (c->p >= c->end)
            return bad(c, "unexpected end");
        struct span s;
        bool plain;
        const char ch = *c->p;
        if (ch == '"') {
            if (raw_string(c, &s, &plain) != 0)
                return -1;
            continue;
        }
        c->p++;
        if (ch == '{' || ch == '[') {
            depth++;
        } else if (ch == '}' || ch == ']') {
            if (depth == 0)
                return bad(c, "a value was expected");
            depth--;
        } else {
            while (c->p < c->end && strchr("{}[],:\" \n\r\t", *c->p) == NULL)
                c->p++;
        }
    } while (depth > 0);
    return 0;
}

/* The members of "model": "vocab" is read, "merges" passed over; both are left out of `rest`. */
static int read_model(struct cursor *c, struct token_list *list, struct str *rest,
                      const char **copied)
{
    bool seen = false;
    if (take(c, '}'))
        return 0;
    do {
        struct span key;
        bool plain;
        if (raw_string(c, &key, &plain) != 0)
            return -1;
        if (!take(c, ':'))
            return bad(c, "':' was expected");
        skip_space(c);
        const bool vocab = span_eq(key, "vocab");
        if (!vocab && !span_eq(key, "merges")) {
            if (skip_value(c) != 0)
                return -1;
            continue;
        }
        str_add(rest, *copied, (size_t)(c->p - *copied));
        str_puts(rest, "null");
        if (vocab && seen)
            return bad(c, "a second \"vocab\"");
        if (vocab && c->p < c->end && *c->p == '{') {
            c->p++;
            seen = true;
            if (read_vocab(c, list) != 0)
                return -1;
        } else if (skip_value(c) != 0) {
            return -1;
        }
        *copied = c->p;
    } while (take(c, ','));
    return take(c, '}') ? 0 : bad(c, "',' or '}' was expected");
}

int vocab_json_read(struct span json, const char *name, struct token_list *list, struct str *rest,
                    struct err *err)
{
    struct cursor c = {json.p, json.p + json.n, json.p, name, err};
    const char *copied = json.p;
    bool seen = false;
    if (!take(&c, '{'))
        return bad(&c, "'{' was expected");
    if (!take(&c, '}')) {
        do {
            struct span key;
            bool plain;
            if (raw_string(&c, &key, &plain) != 0)
                return -1;
            if (!take(&c, ':'))
                return bad(&c, "':' was expected");
            if (!span_eq(key, "model") || !take(&c, '{')) {
                if (skip_value(&c) != 0)
                    return -1;
                continue;
            }
            if (seen)
                return bad(&c, "a second \"model\"");
            seen = true;
            if (read_model(&c, list, rest, &copied) != 0)
                return -1;
        } while (take(&c, ','));
        if (!take(&c, '}'))
            return bad(&c, "',' or '}' was expected");
    }
    str_add(rest, copied, (size_t)(json.p + json.n - copied));
    return rest->failed ? err_kind_set(err, ERR_LIMIT, "'%s' is too large", name) : 0;
}
