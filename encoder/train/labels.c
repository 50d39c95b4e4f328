/* labels.c - classes: from the data, as given, or the model's; see dataset.h. */
#include "encoder/train/dataset.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

static bool whole_number(const char *s, long long *out)
{
    char *end;
    *out = strtoll(s, &end, 10);
    return end != s && !*end;
}

/* Whole numbers by value, else bytes. */
static int by_label(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    long long i, j;
    if (whole_number(x, &i) && whole_number(y, &j) && i != j)
        return i < j ? -1 : 1;
    return strcmp(x, y);
}

static int given_classes(struct dataset *d, struct err *err)
{
    struct span rest = span_of(d->options.labels), piece;
    size_t cap = 0;
    while (span_split(&rest, ',', &piece)) {
        piece = span_trim(piece);
        char *name = xstrndup(piece.p, piece.n);
        const bool twice = d->n_classes && dataset_class_of(d, name) >= 0;
        VEC_GROW(d->class_name, (size_t)d->n_classes, cap);
        d->class_name[d->n_classes++] = name;
        if (twice || !*name) {
            err_kind_set(err, ERR_USAGE, "--labels '%s': %s", d->options.labels,
                         twice ? "a label stands there twice" : "an empty label");
            return -1;
        }
    }
    return 0;
}

int dataset_name_classes(struct dataset *d, char *const *label, size_t n, struct err *err)
{
    if (d->options.labels)
        return given_classes(d, err);
    char **sorted = xcalloc(n + 1, sizeof *sorted);
    memcpy(sorted, label, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_label);
    size_t cap = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && strcmp(sorted[i], sorted[i - 1]) == 0)
            continue;
        VEC_GROW(d->class_name, (size_t)d->n_classes, cap);
        d->class_name[d->n_classes++] = xstrdup(sorted[i]);
    }
    free(sorted);
    return 0;
}

int dataset_class_of(const struct dataset *d, const char *label)
{
    for (int i = 0; i < d->n_classes; i++)
        if (strcmp(d->class_name[i], label) == 0)
            return i;
    return -1;
}

/* `label` may be the list that is there. */
static void set_classes(struct dataset *d, const char *const *label, int n)
{
    char **name = xcalloc((size_t)n + 1, sizeof *name);
    for (int i = 0; i < n; i++)
        name[i] = xstrdup(label[i]);
    for (int i = 0; i < d->n_classes; i++)
        free(d->class_name[i]);
    free(d->class_name);
    d->class_name = name;
    d->n_classes = n;
}

static int unknown_label(const struct dataset *d, size_t item, const char *label, struct err *err)
{
    struct str known = {0};
    for (int i = 0; i < d->n_classes; i++)
        str_printf(&known, "%s%s", i ? ", " : "", d->class_name[i]);
    dataset_bad(d, d->origin[item], err, "label '%.80s' is not one of the model's", label);
    err_hint(err, "its labels: %.400s", known.p ? known.p : "none");
    str_release(&known);
    return -1;
}

static int drop_item(struct dataset *d, size_t i)
{
    const size_t c = (size_t)d->columns, after = d->n_items - i - 1;
    memmove(d->text + i * c, d->text + (i + 1) * c, after * c * sizeof *d->text);
    memmove(d->key + i * c, d->key + (i + 1) * c, after * c * sizeof *d->key);
    memmove(d->origin + i, d->origin + i + 1, after * sizeof *d->origin);
    memmove(d->label_text + i, d->label_text + i + 1, after * sizeof *d->label_text);
    d->n_items--;
    return 0;
}

int dataset_use_labels(struct dataset *d, const char *const *label, int n, struct err *err)
{
    set_classes(d, label, n);
    for (size_t i = 0; d->label_text && i < d->n_items; i++) {
        d->label[i] = dataset_class_of(d, d->label_text[i]);
        if (d->label[i] >= 0)
            continue;
        unknown_label(d, i, d->label_text[i], err);
        if (dataset_skip(d, err) || drop_item(d, i--))
            return -1;
    }
    for (size_t i = 0; d->word_tag && i < d->n_items; i++)
        for (size_t w = d->word_start[i]; w < d->word_start[i + 1]; w++) {
            d->word_label[w] = dataset_class_of(d, d->word_tag[w]);
            if (d->word_label[w] < 0) { /* the word then does not count */
                unknown_label(d, i, d->word_tag[w], err);
                if (dataset_skip(d, err))
                    return -1;
            }
        }
    d->rows = (int64_t)d->n_items;
    if (d->n_items == 0)
        return err_kind_set(err, ERR_FORMAT, "no row of '%s' has a known label",
                            d->options.file[0]);
    return 0;
}
