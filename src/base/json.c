/* json.c - jansson for reading, our own writer; see json.h. */
#include "src/base/json.h"

#include "src/base/file.h"
#include "src/base/unicode.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

static json_value *load(struct span text, size_t flags, json_error_t *e)
{
    return json_loadb(text.p ? text.p : "", text.n, JSON_DECODE_ANY | flags, e);
}

static json_value *parse(struct span text, size_t flags, const char *name, struct err *err)
{
    json_error_t e;
    json_value *v = load(text, flags, &e);
    if (v)
        return v;
    const enum json_error_code code = json_error_code(&e);
    if (code == json_error_null_character || code == json_error_null_byte_in_key)
        err_kind_set(err, ERR_FORMAT, "'%s' has \\u0000 in a %s (line %d, column %d)", name,
                     code == json_error_null_character ? "string" : "key", e.line, e.column);
    else
        err_kind_set(err, ERR_FORMAT, "'%s' is not valid JSON (line %d, column %d: %s)", name,
                     e.line, e.column, e.text);
    return NULL;
}

json_value *js_parse(struct span text, const char *name, struct err *err)
{
    return parse(text, 0, name, err);
}

json_value *js_parse_text(struct span text, const char *name, struct err *err)
{
    return parse(text, JSON_ALLOW_NUL, name, err);
}

json_value *js_parse_line(struct span line, struct err *err)
{
    json_error_t e;
    json_value *v = load(line, JSON_ALLOW_NUL, &e);
    if (!v)
        err_kind_set(err, ERR_FORMAT, "not valid JSON (column %d: %s)", e.column, e.text);
    return v;
}

json_value *js_read_file(const char *path, size_t max_bytes, struct err *err)
{
    struct str text = {0};
    json_value *v = NULL;
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) { /* a pipe would be waited for */
        err_kind_set(err, ERR_IO, "cannot read '%s': not a regular file", path);
        return NULL;
    }
    if (file_read(path, max_bytes, &text, err) == 0)
        v = js_parse(str_view(&text), path, err);
    str_release(&text);
    return v;
}

void js_free(json_value *v)
{
    json_decref(v);
}

json_value *js_get(const json_value *object, const char *key)
{
    json_t *v = json_object_get(object, key);
    return v && json_is_null(v) ? NULL : v;
}

size_t js_count(const json_value *v)
{
    return json_is_object(v) ? json_object_size(v) : json_array_size(v);
}

json_value *js_at(const json_value *array, size_t i)
{
    return json_array_get(array, i);
}

bool js_is_string(const json_value *v)
{
    return json_is_string(v);
}

bool js_is_number(const json_value *v)
{
    return json_is_number(v);
}

bool js_is_integer(const json_value *v)
{
    return json_is_integer(v);
}

bool js_is_bool(const json_value *v)
{
    return json_is_boolean(v);
}

bool js_is_array(const json_value *v)
{
    return json_is_array(v);
}

bool js_is_object(const json_value *v)
{
    return json_is_object(v);
}

struct span js_string(const json_value *v, const char *otherwise)
{
    if (!json_is_string(v))
        return span_of(otherwise);
    return (struct span){json_string_value(v), json_string_length(v)};
}

int64_t js_int(const json_value *v, int64_t otherwise)
{
    if (json_is_integer(v))
        return json_integer_value(v);
    if (json_is_real(v)) {
        const double d = json_real_value(v);
        return d > -9e18 && d < 9e18 ? (int64_t)d : otherwise;
    }
    return otherwise;
}

double js_number(const json_value *v, double otherwise)
{
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

bool js_bool(const json_value *v, bool otherwise)
{
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

void *js_iter(json_value *object)
{
    return json_object_iter(object);
}

void *js_iter_next(json_value *object, void *it)
{
    return json_object_iter_next(object, it);
}

const char *js_iter_key(void *it)
{
    return json_object_iter_key(it);
}

json_value *js_iter_value(void *it)
{
    return json_object_iter_value(it);
}

/* ---- writing ---- */

void json_quote(struct span s, struct str *out)
{
    str_putc(out, '"');
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        const int len = utf8_next(s.p + i, s.n - i, &cp);
        if (cp == '"' || cp == '\\')
            str_printf(out, "\\%c", (int)cp);
        else if (cp == '\n')
            str_puts(out, "\\n");
        else if (cp == '\t')
            str_puts(out, "\\t");
        else if (cp < 0x20 || cp == 0x7F)
            str_printf(out, "\\u%04x", cp);
        else if (cp == 0xFFFD && len == 1)
            str_puts(out, "\xEF\xBF\xBD");
        else
            str_add(out, s.p + i, (size_t)len);
        i += (size_t)len;
    }
    str_putc(out, '"');
}

void jw_init(struct json_writer *w, struct str *out)
{
    *w = (struct json_writer){.out = out};
    w->first[0] = true;
}

/* Before any value: the comma, unless it is the first here or follows its key. */
static void separate(struct json_writer *w)
{
    if (w->after_key)
        w->after_key = false;
    else if (w->first[w->depth])
        w->first[w->depth] = false;
    else
        str_putc(w->out, ',');
}

static void open_bracket(struct json_writer *w, char c)
{
    separate(w);
    assert(w->depth + 1 < (int)(sizeof w->first / sizeof w->first[0]));
    w->depth++;
    w->first[w->depth] = true;
    w->closer[w->depth] = c == '{' ? '}' : ']';
    str_putc(w->out, c);
}

void jw_object(struct json_writer *w)
{
    open_bracket(w, '{');
}

void jw_array(struct json_writer *w)
{
    open_bracket(w, '[');
}

void jw_end(struct json_writer *w)
{
    assert(w->depth > 0);
    str_putc(w->out, w->closer[w->depth]);
    w->depth--;
}

void jw_key(struct json_writer *w, const char *key)
{
    separate(w);
    json_quote(span_of(key), w->out);
    str_putc(w->out, ':');
    w->after_key = true;
}

void jw_string(struct json_writer *w, struct span s)
{
    separate(w);
    if (s.p)
        json_quote(s, w->out);
    else
        str_puts(w->out, "null");
}

void jw_text(struct json_writer *w, const char *s)
{
    jw_string(w, span_of(s));
}

void jw_int(struct json_writer *w, int64_t v)
{
    separate(w);
    str_printf(w->out, "%lld", (long long)v);
}

void jw_float(struct json_writer *w, double v, int digits)
{
    separate(w);
    if (isfinite(v))
        str_printf(w->out, "%.*g", digits, v);
    else
        str_puts(w->out, "null");
}

void jw_bool(struct json_writer *w, bool v)
{
    separate(w);
    str_puts(w->out, v ? "true" : "false");
}

void jw_null(struct json_writer *w)
{
    separate(w);
    str_puts(w->out, "null");
}

void jw_kstring(struct json_writer *w, const char *key, struct span s)
{
    jw_key(w, key);
    jw_string(w, s);
}

void jw_ktext(struct json_writer *w, const char *key, const char *s)
{
    jw_key(w, key);
    jw_text(w, s);
}

void jw_kint(struct json_writer *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_int(w, v);
}

void jw_kfloat(struct json_writer *w, const char *key, double v, int digits)
{
    jw_key(w, key);
    jw_float(w, v, digits);
}

void jw_kbool(struct json_writer *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}

void jw_knull(struct json_writer *w, const char *key)
{
    jw_key(w, key);
    jw_null(w);
}
