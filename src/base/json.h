/* json.h - reading JSON files with messages people can use, and writing JSON that is always valid.
 *
 * Reading is jansson (this is its only caller) behind a few getters that name the file and the key
 * in their errors. Writing is our own: output must take any bytes (a path need not be UTF-8), so
 * invalid bytes are shown as U+FFFD.
 */
#ifndef SEMSEARCH_BASE_JSON_H
#define SEMSEARCH_BASE_JSON_H

#include "src/base/err.h"
#include "src/base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- reading: a value is borrowed from its document; a NULL value is "absent" and every getter
 * takes it ---------- */

struct json_t; /* jansson's own struct; opaque outside json.c */
typedef struct json_t
    json_value; /* the one typedef of a struct in this project: the name is the library's */

/* Parses a whole text or file (U+0000 inside strings refused, depth limited to 2048, duplicate
 * keys: the last one wins). `name` is the file's name in messages. The result is freed with
 * js_free. NULL on failure. */
json_value *js_parse(struct span text, const char *name, struct err *err);
/* The same for users' texts, which may have U+0000 in them (keys may not): what is read must go by
 * the length of js_string(). */
json_value *js_parse_text(struct span text, const char *name, struct err *err);
/* One line of JSON Lines, a user's text likewise. The message says the column only: the caller
 * knows which line it is. */
json_value *js_parse_line(struct span line, struct err *err);
json_value *js_read_file(const char *path, size_t max_bytes, struct err *err);
void js_free(json_value *v);

json_value *js_get(const json_value *object,
                   const char *key); /* NULL: absent, null, or not an object */
size_t js_count(const json_value *array_or_object);
json_value *js_at(const json_value *array, size_t i);
bool js_is_string(const json_value *v);
bool js_is_number(const json_value *v);
bool js_is_integer(const json_value *v); /* a number written without point and exponent */
bool js_is_bool(const json_value *v);
bool js_is_array(const json_value *v);
bool js_is_object(const json_value *v);
struct span js_string(const json_value *v,
                      const char *otherwise); /* of a string, else `otherwise` */
int64_t js_int(const json_value *v, int64_t otherwise);
double js_number(const json_value *v, double otherwise);
bool js_bool(const json_value *v, bool otherwise);

/* Walks an object in file order: for (void *it = js_iter(o); it; it = js_iter_next(o, it)) ... */
void *js_iter(json_value *object);
void *js_iter_next(json_value *object, void *it);
const char *js_iter_key(void *it);
json_value *js_iter_value(void *it);

/* ---- writing: a sequence of calls; commas and nesting are kept here
 * ------------------------------------------------ */

struct json_writer {
    struct str *out;
    int depth;
    bool first[64];  /* nothing written yet at this depth */
    char closer[64]; /* the bracket that ends this depth */
    bool after_key;
};

void jw_init(struct json_writer *w, struct str *out);
void jw_object(struct json_writer *w); /* '{' */
void jw_array(struct json_writer *w);  /* '[' */
void jw_end(struct json_writer *w);    /* '}' or ']', whichever is open */
void jw_key(struct json_writer *w, const char *key);
void jw_string(struct json_writer *w,
               struct span s); /* invalid UTF-8 as U+FFFD, one per byte; p == NULL: null */
void jw_text(struct json_writer *w, const char *s); /* NULL: null */
void jw_int(struct json_writer *w, int64_t v);
void jw_float(struct json_writer *w, double v, int digits); /* %.{digits}g; not finite: null */
void jw_bool(struct json_writer *w, bool v);
void jw_null(struct json_writer *w);

/* The pair forms: jw_key + value. */
void jw_kstring(struct json_writer *w, const char *key, struct span s);
void jw_ktext(struct json_writer *w, const char *key, const char *s);
void jw_kint(struct json_writer *w, const char *key, int64_t v);
void jw_kfloat(struct json_writer *w, const char *key, double v, int digits);
void jw_kbool(struct json_writer *w, const char *key, bool v);
void jw_knull(struct json_writer *w, const char *key);

/* The JSON form of one string, with quotes (what jw_string writes). */
void json_quote(struct span s, struct str *out);

#endif
