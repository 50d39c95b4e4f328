/* data_classes.c - rows of text-classification: `text, label`, or `sentence1, sentence2, label` for
 * pairs (`text, text_pair, label` is the same). Labels that are all numbers, some with a decimal
 * point, mean regression, unless --labels names classes. */
#include "encoder/train/dataset.h"
#include "encoder/train/texts.h"

#include "src/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT, TEXT_PAIR, FIRST, SECOND, LABEL };
static const char *const names[] = {"text", "text_pair", "sentence1", "sentence2", "label"};

static int choose(const struct table *t, int column[2], struct err *err)
{
    const bool pair = t->has[FIRST] && t->has[SECOND];
    if (t->has[LABEL] && (pair || t->has[TEXT])) {
        column[0] = pair ? FIRST : TEXT;
        column[1] = pair ? SECOND : TEXT_PAIR;
        return pair || t->has[TEXT_PAIR] ? 2 : 1;
    }
    err_kind_set(err, ERR_FORMAT, "'%s' has no column '%s'", t->name,
                 t->has[LABEL] ? "text" : "label");
    return err_hint(err,
                    "expected text, label, or sentence1, sentence2, label; it has: %.300s; map a "
                    "name with --columns %s=NAME",
                    t->columns, t->has[LABEL] ? "text" : "label");
}

static int take_table(struct dataset *d, const struct table *t, const int *column, int file,
                      struct err *err)
{
    const size_t c = (size_t)d->columns, room = d->n_items + t->n_rows;
    d->text = xrealloc_array(d->text, room * c, sizeof *d->text);
    d->key = xrealloc_array(d->key, room * c, sizeof *d->key);
    d->origin = xrealloc_array(d->origin, room, sizeof *d->origin);
    d->label_text = xrealloc_array(d->label_text, room, sizeof *d->label_text);
    for (size_t row = 0; row < t->n_rows; row++) {
        const size_t i = d->n_items;
        d->origin[i] = (struct origin){file, t->line[row]};
        int rc = 0;
        for (size_t k = 0; k < c; k++) {
            const struct span s = span_of(table_cell(t, row, (size_t)column[k]));
            d->text[i * c + k] = s;
            d->key[i * c + k] = hash64(s.p, s.n);
            if (text_strip(s).n == 0)
                rc = dataset_bad(d, d->origin[i], err, "an empty text in column '%s'",
                                 names[column[k]]);
        }
        d->label_text[i] = t->cell[row * t->n_columns + LABEL];
        if (!*d->label_text[i])
            rc = dataset_bad(d, d->origin[i], err, "no label in column 'label'");
        if (rc == 0)
            d->n_items++;
        else if (dataset_skip(d, err))
            return -1;
    }
    return 0;
}

/* -1 no number, 0 a whole one, 1 one with a decimal point or exponent. */
static int number_kind(const char *s, float *out)
{
    char *end;
    const double v = strtod(s, &end);
    if (end == s || *end || !isfinite(v) || strpbrk(s, "xX"))
        return -1;
    *out = (float)v;
    return strpbrk(s, ".eE") != NULL;
}

static bool all_numbers(struct dataset *d)
{
    bool point = false;
    for (size_t i = 0; i < d->n_items; i++) {
        const int kind = number_kind(d->label_text[i], &d->score[i]);
        if (kind < 0)
            return false;
        point |= kind == 1;
    }
    return point;
}

static int classes_read(struct dataset *d, int loss, bool with_teacher, struct err *err)
{
    (void)loss, (void)with_teacher;
    d->table = xcalloc(d->options.n_files, sizeof *d->table);
    for (size_t f = 0; f < d->options.n_files; f++) {
        const struct table_request q = {.wanted = names,
                                        .n_wanted = ARRAY_LEN(names),
                                        .rename = d->options.rename,
                                        .n_rename = d->options.n_rename,
                                        .skip_bad_rows = d->options.skip_bad_rows};
        struct table *t = &d->table[f];
        int column[2];
        if (table_load(d->options.file[f], &q, t, err))
            return -1;
        d->n_tables++;
        texts_count_skipped(d, t);
        const int n = choose(t, column, err);
        if (n < 0)
            return -1;
        if (f && n != d->columns)
            return err_kind_set(err, ERR_FORMAT, "'%s' has %d texts a row where '%s' has %d",
                                t->name, n, d->table[0].name, d->columns);
        d->columns = n;
        if (take_table(d, t, column, (int)f, err))
            return -1;
    }
    d->score = xcalloc(d->n_items + 1, sizeof *d->score);
    d->label = xcalloc(d->n_items + 1, sizeof *d->label);
    d->regression = !d->options.labels && all_numbers(d);
    return d->regression ? 0 : dataset_name_classes(d, d->label_text, d->n_items, err);
}

static int classes_encode(const struct dataset *d, const struct tokenizer *t, size_t i,
                          struct encoding *e, struct sequences *out, int64_t *n_cut,
                          struct err *err)
{
    const struct span *text = d->text + i * (size_t)d->columns;
    return text_encode(d, t, text[0], d->columns == 2 ? &text[1] : NULL, (int)i, e, out, n_cut,
                       err);
}

const struct dataset_kind data_classes = {.read = classes_read, .encode = classes_encode};
