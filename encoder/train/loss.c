/* loss.c - losses over embeddings: the choice, the checks, and the way between the model's rows and
 * the rows that a loss works on.
 *
 * Nearly all of them speak of cosines. So the rows are made unit vectors once, y = x / |x|, the
 * loss is a function of y in which a cosine is a plain dot product, and its derivative comes back
 * through dx = (dy - y (y . dy)) / |x| in one place. Matryoshka representation learning (Kusupati
 * et al. 2022) is the same step with rows cut to their first d numbers, once a width, the
 * derivatives added up.
 */
#include "encoder/train/loss_parts.h"
#include "src/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { UNIT_ROWS = 64 }; /* rows that a worker normalises at a time */

static const struct kind_row {
    const char *name;
    enum loss_kind kind;
    int min_columns, max_columns;
    bool labels;
    bool cosine; /* works on unit vectors whatever the folder does */
    float margin;
    void (*rows)(const struct loss_rows *r, const struct loss_options *o,
                 double *loss); /* NULL: loss_ranking(), which needs memory */
} kinds[] = {
    {"mnrl", LOSS_MNRL, 2, 1 << 20, false, true, 0, NULL},
    {"cosent", LOSS_COSENT, 2, 2, true, true, 0, loss_cosent},
    {"cosine-mse", LOSS_COSINE_MSE, 2, 2, true, true, 0, loss_cosine_mse},
    {"contrastive", LOSS_CONTRASTIVE, 2, 2, true, true, 0.5F, loss_contrastive},
    {"online-contrastive", LOSS_ONLINE_CONTRASTIVE, 2, 2, true, true, 0.5F,
     loss_online_contrastive},
    {"triplet", LOSS_TRIPLET, 3, 3, false, false, 5, loss_triplet},
    {"embedding-mse", LOSS_EMBEDDING_MSE, 1, 1 << 20, false, false, 0, loss_embedding_mse},
    {"infonce", LOSS_MNRL, 2, 1 << 20, false, true, 0, NULL}, /* another name */
};

static const struct kind_row *row_of(enum loss_kind kind)
{
    size_t i = 0;
    while (kinds[i].kind != kind)
        i++;
    return &kinds[i];
}

void loss_defaults(struct loss_options *o, enum loss_kind kind)
{
    *o = (struct loss_options){
        .kind = kind, .scale = 20, .margin = row_of(kind)->margin, .normalize = true};
}

bool loss_find(const char *name, enum loss_kind *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0) {
            *kind = kinds[i].kind;
            return true;
        }
    return false;
}

const char *loss_name(enum loss_kind kind)
{
    return row_of(kind)->name;
}

void loss_run(struct pool *pool, int n_items, void (*fn)(void *ctx, int item, int worker),
              void *ctx)
{
    if (pool) {
        pool_run(pool, n_items, fn, ctx);
        return;
    }
    for (int i = 0; i < n_items; i++)
        fn(ctx, i, 0);
}

/* ---- rows of a width ----------------------------------------------------------------------------
 */

/* One width: x[rows, ld] -> unit rows y[rows, dim], and back. */
struct units {
    const loss_real *x;
    loss_real *dx;
    size_t ld;
    int rows, dim;
    loss_real *y, *dy;
    double *norm; /* [rows] */
};

static void unit_rows(void *ctx, int item, int worker)
{
    const struct units *u = ctx;
    (void)worker;
    for (int i = item * UNIT_ROWS; i < u->rows && i < (item + 1) * UNIT_ROWS; i++) {
        const loss_real *const x = u->x + (size_t)i * u->ld;
        loss_real *const y = u->y + (size_t)i * (size_t)u->dim;
        u->norm[i] = sqrt(loss_dot(x, x, u->dim));
        const double by = u->norm[i] > 1e-12 ? 1 / u->norm[i] : 0; /* a zero row stays zero */
        for (int j = 0; j < u->dim; j++)
            y[j] = (loss_real)((double)x[j] * by);
    }
}

static void unit_rows_back(void *ctx, int item, int worker)
{
    const struct units *u = ctx;
    (void)worker;
    for (int i = item * UNIT_ROWS; i < u->rows && i < (item + 1) * UNIT_ROWS; i++) {
        const loss_real *const y = u->y + (size_t)i * (size_t)u->dim;
        const loss_real *const dy = u->dy + (size_t)i * (size_t)u->dim;
        loss_real *const dx = u->dx + (size_t)i * u->ld;
        if (u->norm[i] <= 1e-12)
            continue; /* no direction, no derivative */
        const double along = loss_dot(y, dy, u->dim), by = 1 / u->norm[i];
        for (int j = 0; j < u->dim; j++)
            dx[j] = (loss_real)((double)dx[j] + ((double)dy[j] - (double)y[j] * along) * by);
    }
}

static int units_alloc(struct units *u, bool gradient, struct err *err)
{
    size_t n, bytes;
    if (!mul_size((size_t)u->rows, (size_t)u->dim, &n) ||
        !mul_size(n, 2 * sizeof(loss_real), &bytes))
        return err_kind_set(err, ERR_LIMIT, "a batch of %d rows is too large", u->rows);
    void *p;
    if (mem_try(&p, gradient ? bytes : bytes / 2, "the loss of a batch", err))
        return -1;
    u->y = p;
    u->dy = gradient ? u->y + n : NULL;
    if (gradient)
        memset(u->dy, 0, n * sizeof *u->dy);
    u->norm = xmalloc((size_t)u->rows * sizeof *u->norm);
    return 0;
}

/* The loss on the given rows. */
static int rows_loss(const struct loss_rows *r, const struct loss_options *o, double *loss,
                     struct err *err)
{
    const struct kind_row *k = row_of(o->kind);
    if (!k->rows)
        return loss_ranking(r, o, loss, err);
    k->rows(r, o, loss);
    return 0;
}

/* The loss on unit rows of the first `dim` numbers; adds to b->dx. */
static int width_loss(const struct embedding_batch *b, const struct loss_options *o, int dim,
                      double *loss, struct err *err)
{
    struct units u = {
        .x = b->x, .dx = b->dx, .ld = (size_t)b->dim, .rows = b->n * b->n_columns, .dim = dim};
    if (units_alloc(&u, b->dx != NULL, err))
        return -1;
    const int items = (u.rows + UNIT_ROWS - 1) / UNIT_ROWS;
    loss_run(b->pool, items, unit_rows, &u);
    const struct loss_rows r = {.y = u.y,
                                .dy = u.dy,
                                .n = b->n,
                                .n_columns = b->n_columns,
                                .dim = dim,
                                .teacher = o->teacher,
                                .ld_teacher = b->dim,
                                .b = b};
    const int rc = rows_loss(&r, o, loss, err);
    if (rc == 0 && b->dx)
        loss_run(b->pool, items, unit_rows_back, &u);
    free(u.y);
    free(u.norm);
    return rc;
}

/* The loss on the rows as they are. */
static int raw_loss(const struct embedding_batch *b, const struct loss_options *o, double *loss,
                    struct err *err)
{
    const struct loss_rows r = {.y = b->x,
                                .dy = b->dx,
                                .n = b->n,
                                .n_columns = b->n_columns,
                                .dim = b->dim,
                                .teacher = o->teacher,
                                .ld_teacher = b->dim,
                                .b = b};
    return rows_loss(&r, o, loss, err);
}

static int check(const struct embedding_batch *b, const struct loss_options *o, struct err *err)
{
    const struct kind_row *const k = row_of(o->kind);
    size_t all;
    if (b->n < 1 || b->dim < 1 || b->n_columns < k->min_columns || b->n_columns > k->max_columns)
        return err_set(err, "loss %s: %d columns of %d rows, needs %s%d columns", k->name,
                       b->n_columns, b->n, k->max_columns > k->min_columns ? "at least " : "",
                       k->min_columns);
    if (!mul_size((size_t)b->n, (size_t)b->n_columns, &all) || all > (1u << 30))
        return err_kind_set(err, ERR_LIMIT, "loss %s: a batch of %d rows is too large", k->name,
                            b->n);
    if (k->labels && !b->label)
        return err_set(err, "loss %s needs a score or a label for every pair", k->name);
    if (o->kind == LOSS_EMBEDDING_MSE && !o->teacher)
        return err_set(err, "loss %s needs the vectors of a teacher", k->name);
    if (o->n_matryoshka < 0 || o->n_matryoshka > MATRYOSHKA_MAX)
        return err_set(err, "at most %d Matryoshka widths", MATRYOSHKA_MAX);
    for (int i = 0; i < o->n_matryoshka; i++)
        if (o->matryoshka[i] < 1 || o->matryoshka[i] > b->dim)
            return err_set(err, "Matryoshka width %d of a vector of %d numbers", o->matryoshka[i],
                           b->dim);
    return 0;
}

int loss_embeddings(const struct embedding_batch *b, const struct loss_options *o, double *loss,
                    struct err *err)
{
    if (check(b, o, err))
        return -1;
    if (b->dx)
        memset(b->dx, 0, (size_t)b->n * (size_t)b->n_columns * (size_t)b->dim * sizeof *b->dx);
    if (o->n_matryoshka == 0) {
        if (row_of(o->kind)->cosine || o->normalize ||
            (o->kind == LOSS_TRIPLET && o->distance == DISTANCE_COSINE))
            return width_loss(b, o, b->dim, loss, err);
        return raw_loss(b, o, loss, err);
    }
    *loss = 0;
    for (int i = 0; i < o->n_matryoshka; i++) {
        double one;
        if (width_loss(b, o, o->matryoshka[i], &one, err))
            return -1;
        *loss += one;
    }
    return 0;
}
