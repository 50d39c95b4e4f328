/* table.c - labelled data from TSV, CSV and JSONL; see train.h.
 *
 * The whole file is read and checked before anything is computed: a bad row in line 90,000 must not
 * cost an hour first.
 */
#include "encoder/train/train.h"

#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES ((size_t)4 << 30)

/* One row as it is read: fields with their bytes in one buffer. */
struct row {
    struct str bytes;
    size_t *end; /* where field i ends in bytes */
    size_t n, cap;
};

struct reader {
    struct table *t;
    struct span rest;
    int64_t line, next_line; /* of the row being read; of what follows */
    const struct table_request *q;
    char **column;  /* [n_wanted] their names in the file; owned */
    size_t *source; /* [n_wanted] their places there; SIZE_MAX: absent */
    size_t n_fields;
    struct row row;
    size_t cap_rows;
};

static void row_clear(struct row *r)
{
    str_clear(&r->bytes);
    r->n = 0;
}

static void row_end_field(struct row *r)
{
    VEC_GROW(r->end, r->n, r->cap);
    r->end[r->n++] = r->bytes.n;
}

static struct span row_field(const struct row *r, size_t i)
{
    const size_t start = i ? r->end[i - 1] : 0;
    return (struct span){(r->bytes.p ? r->bytes.p : "") + start, r->end[i] - start};
}

static int bad_row(const struct reader *r, struct err *err, const char *what)
{
    return err_kind_set(err, ERR_FORMAT, "%s, line %lld: %s", r->t->name, (long long)r->line, what);
}

/* The next row of a TSV file; 0 at the end. */
static int next_tsv(struct reader *r, struct err *err)
{
    (void)err;
    struct span line, field;
    r->line = r->next_line;
    if (!span_split(&r->rest, '\n', &line) || (!r->rest.p && line.n == 0))
        return 0;
    r->next_line++;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    row_clear(&r->row);
    while (span_split(&line, '\t', &field)) {
        str_span(&r->row.bytes, field);
        row_end_field(&r->row);
    }
    return 1;
}

/* A quoted field of RFC 4180, the opening quote consumed: "" is one quote, line ends are content.
 */
static int quoted_field(struct reader *r, struct err *err)
{
    for (;;) {
        if (r->rest.n == 0)
            return bad_row(r, err, "a quoted field has no end");
        const char c = *r->rest.p++;
        r->rest.n--;
        if (c == '\n')
            r->next_line++;
        if (c != '"') {
            str_putc(&r->row.bytes, c);
        } else if (r->rest.n && *r->rest.p == '"') {
            str_putc(&r->row.bytes, '"');
            r->rest.p++;
            r->rest.n--;
        } else {
            return 0;
        }
    }
}

static int next_csv(struct reader *r, struct err *err)
{
    r->line = r->next_line;
    if (r->rest.n == 0)
        return 0;
    row_clear(&r->row);
    for (;;) {
        if (r->rest.n && *r->rest.p == '"') {
            r->rest.p++;
            r->rest.n--;
            if (quoted_field(r, err))
                return -1;
            if (r->rest.n && *r->rest.p == '\r')
                r->rest.p++, r->rest.n--;
            if (r->rest.n && *r->rest.p != ',' && *r->rest.p != '\n')
                return bad_row(r, err, "text after a quoted field");
        } else {
            while (r->rest.n && *r->rest.p != ',' && *r->rest.p != '\n') {
                if (!(*r->rest.p == '\r' && r->rest.n > 1 && r->rest.p[1] == '\n'))
                    str_putc(&r->row.bytes, *r->rest.p);
                r->rest.p++;
                r->rest.n--;
            }
        }
        row_end_field(&r->row);
        const bool more = r->rest.n && *r->rest.p == ',';
        if (r->rest.n) {
            r->rest.p++;
            r->rest.n--;
        }
        if (!more) {
            r->next_line++;
            return 1;
        }
    }
}

/* Where the value of "wanted=value" begins, when `at` is such a pair. */
static const char *pair_value(const char *at, const char *wanted)
{
    const size_t n = strlen(wanted);
    return strncmp(at, wanted, n) == 0 && at[n] == '=' ? at + n + 1 : NULL;
}

/* The end of a pair: a comma with another pair after it, or the end of the text. A comma with
 * anything else after it belongs to the name. */
static const char *pair_end(const struct reader *r, const char *at)
{
    for (; *at; at++)
        for (size_t i = 0; *at == ',' && i < r->q->n_wanted; i++)
            if (pair_value(at + 1, r->q->wanted[i]))
                return at;
    return at;
}

/* The name that a wanted column has in the file; owned. */
static char *file_name_of(const struct reader *r, const char *wanted)
{
    for (size_t i = 0; i < r->q->n_rename; i++)
        for (const char *at = r->q->rename[i]; *at; at++) {
            const char *end = pair_end(r, at), *value = pair_value(at, wanted);
            if (value)
                return xstrndup(value, (size_t)(end - value));
            at = end;
            if (!*at)
                break;
        }
    return xstrdup(wanted);
}

static int missing_column(const struct reader *r, size_t wanted, struct err *err)
{
    err_kind_set(err, ERR_FORMAT, "%s, line 1: no column '%s'", r->t->name, r->column[wanted]);
    return err_hint(err, "it has: %.300s; map a name with --columns %s=NAME",
                    r->t->columns[0] ? r->t->columns : "nothing", r->q->wanted[wanted]);
}

static int find_columns(struct reader *r, struct err *err)
{
    struct str have = {0};
    r->n_fields = r->row.n;
    for (size_t j = 0; j < r->row.n; j++) {
        str_puts(&have, j ? ", " : "");
        str_span(&have, row_field(&r->row, j));
    }
    r->t->columns = str_take(&have);
    for (size_t i = 0; i < r->q->n_wanted; i++) {
        r->source[i] = SIZE_MAX;
        for (size_t j = 0; j < r->row.n; j++)
            if (span_eq(row_field(&r->row, j), r->column[i]))
                r->source[i] = j;
        r->t->has[i] = r->source[i] != SIZE_MAX;
        if (!r->t->has[i] && i < r->q->n_required)
            return missing_column(r, i, err);
    }
    return 0;
}

static int check_cell(const struct reader *r, struct span s, struct err *err)
{
    if (!utf8_valid(s))
        return bad_row(r, err, "not valid UTF-8");
    if (s.n && memchr(s.p, '\0', s.n))
        return bad_row(r, err, "a NUL byte");
    return 0;
}

/* Room for one more row of cells. */
static char **new_row(struct reader *r)
{
    struct table *t = r->t;
    if (t->n_rows == r->cap_rows) {
        r->cap_rows = r->cap_rows ? 2 * r->cap_rows : 256;
        t->line = xrealloc_array(t->line, r->cap_rows, sizeof *t->line);
        t->cell = xrealloc_array(t->cell, r->cap_rows * t->n_columns, sizeof *t->cell);
    }
    t->line[t->n_rows] = r->line;
    return t->cell + t->n_rows++ * t->n_columns;
}

static int store_row(struct reader *r, struct err *err)
{
    if (r->row.n == 1 && r->n_fields > 1 && row_field(&r->row, 0).n == 0)
        return 0; /* an empty line */
    if (r->row.n != r->n_fields) {
        char what[96];
        snprintf(what, sizeof what, "%zu fields where the first line names %zu", r->row.n,
                 r->n_fields);
        return bad_row(r, err, what);
    }
    for (size_t i = 0; i < r->q->n_wanted; i++)
        if (r->t->has[i] && check_cell(r, row_field(&r->row, r->source[i]), err))
            return -1;
    char **cell = new_row(r);
    for (size_t i = 0; i < r->q->n_wanted; i++) {
        cell[i] = NULL;
        if (r->t->has[i]) {
            const struct span s = row_field(&r->row, r->source[i]);
            cell[i] = xstrndup(s.p, s.n);
        }
    }
    return 0;
}

/* A bad row is either the end or, when such rows may be left out, a number in the report. */
static int skip_row(struct reader *r, struct err *err)
{
    if (!r->q->skip_bad_rows)
        return -1;
    if (r->t->n_skipped++ == 0)
        r->t->first_skipped = *err;
    *err = (struct err){0};
    return 0;
}

static int read_delimited(struct reader *r, int (*next)(struct reader *r, struct err *err),
                          struct err *err)
{
    int rc = next(r, err);
    if (rc == 0)
        return err_kind_set(err, ERR_FORMAT, "'%s' is empty", r->t->name);
    if (rc == 1)
        rc = find_columns(r, err) ? -1 : 1;
    while (rc == 1 && (rc = next(r, err)) == 1)
        if (store_row(r, err) && skip_row(r, err))
            rc = -1;
    return rc;
}

/* A number keeps its kind: 1 is "1" and 1.0 is "1.0", since labels with a decimal point mean
 * regression. As few digits as give the same double back. */
static char *json_number(const json_value *v)
{
    const double d = js_number(v, 0);
    char text[40];
    if (js_is_integer(v))
        return xasprintf("%lld", (long long)js_int(v, 0));
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    return xasprintf("%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

/* A JSON string or number as text. */
static char *json_cell(const json_value *v)
{
    if (js_is_string(v)) {
        const struct span s = js_string(v, "");
        return memchr(s.p, '\0', s.n) ? NULL : xstrndup(s.p, s.n);
    }
    return js_is_number(v) ? json_number(v) : NULL;
}

static int bad_key(const struct reader *r, size_t i, struct err *err)
{
    char what[128];
    snprintf(what, sizeof what,
             "expected an object with '%.60s' (a string without \\u0000, or a number)",
             r->column[i]);
    return bad_row(r, err, what);
}

static int store_object(struct reader *r, const json_value *v, struct err *err)
{
    char **cell = new_row(r);
    for (size_t i = 0; i < r->q->n_wanted; i++)
        cell[i] = NULL;
    for (size_t i = 0; i < r->q->n_wanted; i++) {
        const json_value *value = js_get(v, r->column[i]);
        cell[i] = json_cell(value);
        if (!cell[i] && (value || i < r->q->n_required))
            return bad_key(r, i, err);
        r->t->has[i] |= cell[i] != NULL;
    }
    return 0;
}

static void drop_row(struct table *t, size_t row)
{
    for (size_t i = 0; i < t->n_columns; i++)
        free(t->cell[row * t->n_columns + i]);
    t->n_rows--;
    memmove(t->cell + row * t->n_columns, t->cell + (row + 1) * t->n_columns,
            (t->n_rows - row) * t->n_columns * sizeof *t->cell);
    memmove(t->line + row, t->line + row + 1, (t->n_rows - row) * sizeof *t->line);
}

static void name_keys(struct reader *r, json_value *v)
{
    struct str have = {0};
    for (void *it = js_iter(v); it; it = js_iter_next(v, it)) {
        str_puts(&have, have.n ? ", " : "");
        str_puts(&have, js_iter_key(it));
    }
    r->t->columns = str_take(&have);
}

/* What one row has, all must have. */
static int check_complete(struct reader *r, struct err *err)
{
    for (size_t row = 0; row < r->t->n_rows; row++)
        for (size_t i = 0; i < r->q->n_wanted; i++) {
            if (!r->t->has[i] || table_cell(r->t, row, i))
                continue;
            r->line = r->t->line[row];
            (void)!bad_key(r, i, err);
            if (skip_row(r, err))
                return -1;
            drop_row(r->t, row--);
            break;
        }
    return 0;
}

static int read_jsonl(struct reader *r, struct err *err)
{
    struct span line;
    int rc = 0;
    while (rc == 0 && span_split(&r->rest, '\n', &line)) {
        r->line = r->next_line++;
        if (span_trim(line).n == 0)
            continue;
        char *where = xasprintf("%s, line %lld", r->t->name, (long long)r->line);
        const size_t before = r->t->n_rows;
        json_value *v = js_parse_line(line, err);
        if (!v)
            err_wrap(err, "%s", where);
        if (v && !r->t->columns)
            name_keys(r, v);
        if (!v || store_object(r, v, err)) {
            rc = skip_row(r, err);
            if (rc == 0 && r->t->n_rows > before)
                drop_row(r->t, before);
        }
        js_free(v);
        free(where);
    }
    return rc ? rc : check_complete(r, err);
}

static int read_rows(struct reader *r, const char *path, struct err *err)
{
    const struct span name = span_of(path);
    if (span_starts(r->rest, "\xEF\xBB\xBF"))
        r->rest = span_sub(r->rest, 3, r->rest.n);
    const int rc = span_ends(name, ".jsonl") || span_ends(name, ".json")
                       ? read_jsonl(r, err)
                       : read_delimited(r, span_ends(name, ".csv") ? next_csv : next_tsv, err);
    if (rc || r->t->n_rows)
        return rc;
    if (r->t->n_skipped) {
        *err = r->t->first_skipped;
        return err_wrap(err, "every row of '%s' is bad, the first", path);
    }
    return err_kind_set(err, ERR_FORMAT, "'%s' has no rows", path);
}

int table_load(const char *path, const struct table_request *q, struct table *t, struct err *err)
{
    *t = (struct table){.name = xstrdup(path),
                        .n_columns = q->n_wanted,
                        .has = xcalloc(q->n_wanted, sizeof *t->has)};
    struct str text = {.max = MAX_FILE_BYTES};
    struct reader r = {.t = t,
                       .next_line = 1,
                       .q = q,
                       .column = xcalloc(q->n_wanted, sizeof *r.column),
                       .source = xcalloc(q->n_wanted, sizeof *r.source)};
    for (size_t i = 0; i < q->n_wanted; i++)
        r.column[i] = file_name_of(&r, q->wanted[i]);
    int rc = file_read(path, MAX_FILE_BYTES, &text, err);
    if (rc == 0) {
        r.rest = str_view(&text);
        rc = read_rows(&r, path, err);
    }
    str_release(&text);
    str_release(&r.row.bytes);
    free(r.row.end);
    free(r.source);
    for (size_t i = 0; i < q->n_wanted; i++)
        free(r.column[i]);
    free(r.column);
    if (rc)
        table_release(t);
    else if (!t->columns)
        t->columns = xstrdup("");
    return rc;
}

int table_read(const char *path, const char *const *wanted, size_t n_wanted,
               const char *const *rename, size_t n_rename, struct table *t, struct err *err)
{
    const struct table_request q = {.wanted = wanted,
                                    .n_wanted = n_wanted,
                                    .n_required = n_wanted,
                                    .rename = rename,
                                    .n_rename = n_rename};
    return table_load(path, &q, t, err);
}

void table_release(struct table *t)
{
    for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
        free(t->cell[i]);
    free(t->cell);
    free(t->line);
    free(t->has);
    free(t->columns);
    free(t->name);
    *t = (struct table){0};
}

const char *table_cell(const struct table *t, size_t row, size_t column)
{
    return t->cell[row * t->n_columns + column];
}

int table_number(const struct table *t, size_t row, size_t column, const char *column_name,
                 double *out, struct err *err)
{
    const char *text = table_cell(t, row, column);
    char *end;
    *out = strtod(text, &end);
    if (end != text && !*end && isfinite(*out))
        return 0;
    return err_kind_set(err, ERR_FORMAT, "%s, line %lld: '%.40s' in column '%s' is not a number",
                        t->name, (long long)t->line[row], text, column_name);
}
