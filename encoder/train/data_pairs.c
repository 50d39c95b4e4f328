/* data_pairs.c - rows of sentence-similarity: texts that belong together, or pairs with a number.
 *
 *   anchor, positive[, negative | negative_1, negative_2, ...]   in-batch negatives, or triplets
 *   sentence1, sentence2, score                                  CoSENT, cosine-mse
 *   sentence1, sentence2, label (0 or 1)                         contrastive losses
 *   text, or any of these without the number, with a teacher     distillation
 *
 * Which of them a file is follows from its columns and, where they leave a choice, from the loss.
 * A column `group` (or `id`) says which rows belong together when two models are compared.
 */
#include "encoder/train/dataset.h"
#include "encoder/train/texts.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { ANCHOR, POSITIVE, FIRST, SECOND, SCORE, LABEL, GROUP, ID, TEXT, NEGATIVE, NEGATIVE_1 };
static const char *const names[] = {
    "anchor",      "positive",    "sentence1",   "sentence2",   "score",       "label",
    "group",       "id",          "text",        "negative",    "negative_1",  "negative_2",
    "negative_3",  "negative_4",  "negative_5",  "negative_6",  "negative_7",  "negative_8",
    "negative_9",  "negative_10", "negative_11", "negative_12", "negative_13", "negative_14",
    "negative_15", "negative_16"};

struct layout {
    int column[2 + 18]; /* of the texts */
    int n;
    int number; /* SCORE, LABEL, or -1 */
    enum loss_kind loss;
};

static int no_layout(const struct table *t, int loss, struct err *err)
{
    if (loss == TRAIN_LOSS_AUTO)
        err_kind_set(err, ERR_FORMAT, "'%s' has no columns that can be trained on", t->name);
    else
        err_kind_set(err, ERR_FORMAT, "'%s' lacks columns for --loss %s", t->name,
                     loss_name((enum loss_kind)loss));
    return err_hint(err,
                    "expected anchor, positive[, negative]; or sentence1, sentence2, score; or "
                    "sentence1, sentence2, label (0 or 1); it has: %.200s; map names with "
                    "--columns anchor=NAME",
                    t->columns);
}

static void add_negatives(const struct table *t, struct layout *l)
{
    for (int i = NEGATIVE; i < (int)ARRAY_LEN(names); i++)
        if (t->has[i])
            l->column[l->n++] = i;
}

/* What the loss needs of the columns; with no loss named, the first that fits. */
static bool fits(const struct table *t, enum loss_kind loss, struct layout *l)
{
    const bool anchors = t->has[ANCHOR] && t->has[POSITIVE],
               pairs = t->has[FIRST] && t->has[SECOND];
    *l = (struct layout){.loss = loss, .number = -1};
    switch (loss) {
    case LOSS_MNRL:
    case LOSS_TRIPLET:
        if (!anchors)
            return false;
        l->column[l->n++] = ANCHOR;
        l->column[l->n++] = POSITIVE;
        add_negatives(t, l);
        return loss == LOSS_MNRL || l->n == 3;
    case LOSS_COSENT:
    case LOSS_COSINE_MSE:
        l->number = t->has[SCORE] ? SCORE : LABEL;
        break;
    case LOSS_CONTRASTIVE:
    case LOSS_ONLINE_CONTRASTIVE:
        l->number = t->has[LABEL] ? LABEL : SCORE;
        break;
    case LOSS_EMBEDDING_MSE:
        if (pairs) {
            break;
        }
        if (t->has[TEXT])
            l->column[l->n++] = TEXT;
        if (anchors) {
            l->column[l->n++] = ANCHOR;
            l->column[l->n++] = POSITIVE;
            add_negatives(t, l);
        }
        return l->n > 0;
    }
    if (!pairs || (l->number >= 0 && !t->has[l->number]))
        return false;
    l->column[l->n++] = FIRST;
    l->column[l->n++] = SECOND;
    return true;
}

static int choose(const struct table *t, int loss, bool with_teacher, struct layout *l,
                  struct err *err)
{
    static const enum loss_kind order[] = {LOSS_MNRL, LOSS_COSENT, LOSS_CONTRASTIVE};
    if (with_teacher && loss == TRAIN_LOSS_AUTO)
        loss = LOSS_EMBEDDING_MSE;
    if (loss != TRAIN_LOSS_AUTO)
        return fits(t, (enum loss_kind)loss, l) ? 0 : no_layout(t, loss, err);
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        /* a 0/1 label alone is not a score */
        if (order[i] == LOSS_COSENT && !t->has[SCORE])
            continue;
        if (fits(t, order[i], l))
            return 0;
    }
    return no_layout(t, loss, err);
}

static int number_of(struct dataset *d, const struct table *t, size_t row, const struct layout *l,
                     struct origin at, float *out, struct err *err)
{
    double v = 0;
    const bool binary = l->loss == LOSS_CONTRASTIVE || l->loss == LOSS_ONLINE_CONTRASTIVE;
    if (l->number < 0)
        return 0;
    if (table_number(t, row, (size_t)l->number, names[l->number], &v, err))
        return -1;
    if (binary && v != 0 && v != 1)
        return dataset_bad(d, at, err, "expected label 0 or 1, not '%.40s'",
                           table_cell(t, row, (size_t)l->number));
    if (!binary && d->options.score_high > d->options.score_low)
        v = (v - d->options.score_low) / (d->options.score_high - d->options.score_low);
    *out = (float)v;
    return 0;
}

/* One row at the end of the dataset's arrays, which have room. */
static int take_row(struct dataset *d, const struct table *t, size_t row, const struct layout *l,
                    int file, struct err *err)
{
    const size_t i = d->n_items, c = (size_t)d->columns;
    d->origin[i] = (struct origin){file, t->line[row]};
    for (size_t k = 0; k < c; k++) {
        const struct span s = text_strip(span_of(table_cell(t, row, (size_t)l->column[k])));
        if (s.n == 0)
            return dataset_bad(d, d->origin[i], err, "an empty text in column '%s'",
                               names[l->column[k]]);
        d->text[i * c + k] = s;
        d->key[i * c + k] = hash64(s.p, s.n);
    }
    if (number_of(d, t, row, l, d->origin[i], &d->score[i], err))
        return -1;
    const int group = t->has[GROUP] ? GROUP : t->has[ID] ? ID : -1;
    const struct span g = group < 0 ? (struct span){0} : span_of(table_cell(t, row, (size_t)group));
    d->group[i] = group < 0 ? i : hash64(g.p, g.n);
    d->n_items++;
    return 0;
}

static int take_table(struct dataset *d, const struct table *t, const struct layout *l, int file,
                      struct err *err)
{
    const size_t room = d->n_items + t->n_rows, c = (size_t)l->n;
    d->text = xrealloc_array(d->text, room * c, sizeof *d->text);
    d->key = xrealloc_array(d->key, room * c, sizeof *d->key);
    d->origin = xrealloc_array(d->origin, room, sizeof *d->origin);
    d->score = xrealloc_array(d->score, room, sizeof *d->score);
    d->group = xrealloc_array(d->group, room, sizeof *d->group);
    for (size_t row = 0; row < t->n_rows; row++)
        if (take_row(d, t, row, l, file, err) && dataset_skip(d, err))
            return -1;
    return 0;
}

static int pairs_read(struct dataset *d, int loss, bool with_teacher, struct err *err)
{
    struct layout first = {0}, l;
    d->table = xcalloc(d->options.n_files, sizeof *d->table);
    for (size_t f = 0; f < d->options.n_files; f++) {
        const struct table_request q = {.wanted = names,
                                        .n_wanted = ARRAY_LEN(names),
                                        .rename = d->options.rename,
                                        .n_rename = d->options.n_rename,
                                        .skip_bad_rows = d->options.skip_bad_rows};
        struct table *t = &d->table[f];
        if (table_load(d->options.file[f], &q, t, err))
            return -1;
        d->n_tables++;
        texts_count_skipped(d, t);
        if (choose(t, f ? (int)first.loss : loss, with_teacher, &l, err))
            return -1;
        if (f == 0)
            first = l;
        else if (l.n != first.n)
            return err_kind_set(err, ERR_FORMAT, "'%s' has %d texts a row where '%s' has %d",
                                t->name, l.n, d->table[0].name, first.n);
        d->columns = l.n;
        d->loss = l.loss;
        d->scored = l.number >= 0;
        if (take_table(d, t, &l, (int)f, err))
            return -1;
    }
    return 0;
}

static int pairs_encode(const struct dataset *d, const struct tokenizer *t, size_t i,
                        struct encoding *e, struct sequences *out, int64_t *n_cut, struct err *err)
{
    const size_t rows = d->n_items - d->n_pool, columns = (size_t)d->columns;
    const size_t first = i < rows ? i * columns : rows * columns + (i - rows);
    for (size_t k = 0; k < (i < rows ? columns : 1); k++)
        if (text_encode(d, t, d->text[first + k], NULL, (int)i, e, out, n_cut, err))
            return -1;
    return 0;
}

static int pairs_finish(struct dataset *d, struct err *err)
{
    (void)err;
    d->n = (int64_t)(d->n_items - d->n_pool);
    return 0;
}

const struct dataset_kind data_pairs = {
    .read = pairs_read, .encode = pairs_encode, .finish = pairs_finish};
