/* test_losses.c - every loss against the goldens of tests/golden/make_losses.py and against central
 * differences. This file is compiled twice: as shipped, and with the losses in double, where a
 * difference is exact enough that 1 % too much in a single number is seen. */
#include "encoder/train/loss.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/kernels/kernels.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef LOSS_IN_DOUBLE
static const double tolerance = 1e-7; /* of goldens, which have 9 digits */
#else
static const double tolerance = 4e-6;
#endif

static json_value *golden;

static int setup(void **state)
{
    (void)state;
    struct err err = {0};
    golden = js_read_file("tests/golden/train/losses.json", 1 << 22, &err);
    return kernels_init(&err) || !golden ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    js_free(golden);
    return 0;
}

/* The numbers of an array; NULL when it is absent. float first: that is what the goldens saw. */
static loss_real *reals(const json_value *v, size_t n)
{
    if (!v)
        return NULL;
    assert_int_equal(js_count(v), n);
    loss_real *const x = xmalloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)js_number(js_at(v, i), NAN);
    return x;
}

static uint64_t *keys(const json_value *v, size_t n)
{
    if (!v)
        return NULL;
    assert_int_equal(js_count(v), n);
    uint64_t *const x = xmalloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (uint64_t)js_int(js_at(v, i), 0);
    return x;
}

static int *ints(const json_value *v)
{
    int *const x = xmalloc((js_count(v) + 1) * sizeof *x);
    for (size_t i = 0; i < js_count(v); i++)
        x[i] = (int)js_int(js_at(v, i), 0);
    return x;
}

static void expect_near(const char *name, const char *what, double got, double want, double scale)
{
    if (!(fabs(got - want) <= tolerance * scale))
        fail_msg("%s: %s is %.12g, not %.12g", name, what, got, want);
}

static void expect_gradient(const char *name, const loss_real *dx, const json_value *want)
{
    double most = 1e-3;
    for (size_t i = 0; i < js_count(want); i++)
        most = fmax(most, fabs(js_number(js_at(want, i), NAN)));
    for (size_t i = 0; i < js_count(want); i++)
        expect_near(name, "a derivative", (double)dx[i], js_number(js_at(want, i), NAN), most);
}

struct golden_case {
    char name[64];
    struct embedding_batch b;
    struct loss_options o;
    loss_real *x, *dx, *label, *teacher;
    uint64_t *anchor, *text;
};

static void read_options(const json_value *v, struct loss_options *o)
{
    o->scale = (float)js_number(js_get(v, "scale"), (double)o->scale);
    o->margin = (float)js_number(js_get(v, "margin"), (double)o->margin);
    o->symmetric = js_bool(js_get(v, "symmetric"), o->symmetric);
    o->mask_duplicates = js_bool(js_get(v, "mask_duplicates"), o->mask_duplicates);
    o->normalize = js_bool(js_get(v, "normalize"), o->normalize);
    const struct span distance = js_string(js_get(v, "distance"), "euclidean");
    o->distance = span_eq(distance, "cosine")      ? DISTANCE_COSINE
                  : span_eq(distance, "manhattan") ? DISTANCE_MANHATTAN
                                                   : DISTANCE_EUCLIDEAN;
    for (size_t i = 0; i < js_count(js_get(v, "matryoshka")); i++)
        o->matryoshka[o->n_matryoshka++] = (int)js_int(js_at(js_get(v, "matryoshka"), i), 0);
}

static void case_read(struct golden_case *c, const json_value *v)
{
    memset(c, 0, sizeof *c);
    const struct span name = js_string(js_get(v, "name"), ""),
                      kind = js_string(js_get(v, "kind"), "");
    snprintf(c->name, sizeof c->name, "%.*s", (int)name.n, name.p);
    char *const kind_name = xstrndup(kind.p, kind.n);
    enum loss_kind k;
    assert_true(loss_find(kind_name, &k));
    assert_string_equal(loss_name(k), kind_name);
    free(kind_name);
    loss_defaults(&c->o, k);
    read_options(js_get(v, "options"), &c->o);
    struct embedding_batch *const b = &c->b;
    b->n = (int)js_int(js_get(v, "n"), 0);
    b->n_columns = (int)js_int(js_get(v, "columns"), 0);
    b->dim = (int)js_int(js_get(v, "dim"), 0);
    const size_t rows = (size_t)(b->n * b->n_columns), all = rows * (size_t)b->dim;
    b->x = c->x = reals(js_get(v, "x"), all);
    b->dx = c->dx = xcalloc(all, sizeof *c->dx);
    b->label = c->label = reals(js_get(v, "label"), (size_t)b->n);
    b->anchor = c->anchor = keys(js_get(v, "anchor"), (size_t)b->n);
    b->text = c->text = keys(js_get(v, "text"), rows);
    c->o.teacher = c->teacher = reals(js_get(v, "teacher"), all);
}

static void case_release(struct golden_case *c)
{
    free(c->x);
    free(c->dx);
    free(c->label);
    free(c->teacher);
    free(c->anchor);
    free(c->text);
}

static double loss_of(const struct golden_case *c)
{
    double loss = NAN;
    struct err err = {0};
    if (loss_embeddings(&c->b, &c->o, &loss, &err))
        fail_msg("%s: %s", c->name, err.msg);
    return loss;
}

static void embeddings(void **state)
{
    (void)state;
    const json_value *const all = js_get(golden, "embeddings");
    assert_true(js_count(all) > 30);
    for (size_t i = 0; i < js_count(all); i++) {
        const json_value *const v = js_at(all, i);
        struct golden_case c;
        case_read(&c, v);
        memset(c.dx, 0x7f, (size_t)(c.b.n * c.b.n_columns * c.b.dim) * sizeof *c.dx);
        const double want = js_number(js_get(v, "loss"), NAN), loss = loss_of(&c);
        expect_near(c.name, "the loss", loss, want, fmax(1, fabs(want)));
        expect_gradient(c.name, c.dx, js_get(v, "dx"));
        c.b.dx = NULL; /* the loss alone is the same number */
        assert_true(loss_of(&c) == loss);
        case_release(&c);
    }
}

static void rows(void **state)
{
    (void)state;
    const json_value *const all = js_get(golden, "rows");
    for (size_t i = 0; i < js_count(all); i++) {
        const json_value *const v = js_at(all, i);
        const struct span name = js_string(js_get(v, "name"), "");
        const size_t n = js_count(js_get(v, "x"));
        const int n_rows = (int)js_int(js_get(v, "rows"), 0),
                  cols = (int)js_int(js_get(v, "cols"), 0);
        loss_real *const x = reals(js_get(v, "x"), n), *const dx = xcalloc(n, sizeof *dx);
        loss_real *const teacher = reals(js_get(v, "teacher"), n);
        loss_real *const y = reals(js_get(v, "label"), n);
        int *const label = ints(js_get(v, "labels")), *const start = ints(js_get(v, "start"));
        int *const begin = ints(js_get(v, "begin")), *const end = ints(js_get(v, "end"));
        int right = -1;
        double loss = NAN, again = NAN;
        if (span_eq(name, "cross-entropy")) {
            again = loss_cross_entropy(x, label, n_rows, cols, 0, NULL, NULL, NULL);
            loss = loss_cross_entropy(x, label, n_rows, cols, 0, dx, &right, NULL);
            assert_int_equal(right, js_int(js_get(v, "right"), -2));
        } else if (span_eq(name, "mse")) {
            again = loss_mse(x, y, n, 0, NULL);
            loss = loss_mse(x, y, n, 0, dx);
        } else if (span_eq(name, "span")) {
            again = loss_span(x, start, 3, begin, end, 0, NULL);
            loss = loss_span(x, start, 3, begin, end, 0, dx);
        } else if (span_eq(name, "kl")) {
            again = loss_kl(x, teacher, n_rows, cols, 2, 0, NULL);
            loss = loss_kl(x, teacher, n_rows, cols, 2, 0, dx);
        } else if (span_eq(name, "cosine")) {
            again = loss_cosine(x, teacher, n_rows, cols, 0, NULL);
            loss = loss_cosine(x, teacher, n_rows, cols, 0, dx);
        } else {
            fail_msg("unknown case");
        }
        const double want = js_number(js_get(v, "loss"), NAN);
        expect_near(name.p, "the loss", loss, want, fmax(1, fabs(want)));
        expect_near(name.p, "the loss alone", again, want, fmax(1, fabs(want)));
        expect_gradient(name.p, dx, js_get(v, "dx"));
        free(x);
        free(dx);
        free(teacher);
        free(y);
        free(label);
        free(start);
        free(begin);
        free(end);
    }
}

/* ---- central differences ------------------------------------------------------------------------
 */

#ifdef LOSS_IN_DOUBLE
static const double step = 1e-5;       /* of central differences, in double only */
static const double difference = 1e-6; /* what a derivative may be off, of the largest one */

/* The largest |dx - difference| of a loss, as a part of the largest derivative. */
static double worst(const double *dx, const double *numeric, size_t n)
{
    double most = 0, off = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(numeric[i]));
    for (size_t i = 0; i < n; i++)
        off = fmax(off, fabs(dx[i] - numeric[i]));
    return most > 0 ? off / most : off;
}

/* dx is the derivative of f, and with 1 % more in any one place it would not pass for it. */
static void check_gradient(const char *name, double *x, double *dx, size_t n,
                           double (*f)(void *ctx), void *ctx)
{
    double *const numeric = xcalloc(n, sizeof *numeric), most = 0;
    for (size_t i = 0; i < n; i++) {
        const double kept = x[i];
        x[i] = kept + step;
        const double up = f(ctx);
        x[i] = kept - step;
        numeric[i] = (up - f(ctx)) / (2 * step);
        x[i] = kept;
        most = fmax(most, fabs(numeric[i]));
    }
    const double off = worst(dx, numeric, n);
    if (!(off <= difference))
        fail_msg("%s: derivatives are off by %.3g of the largest", name, off);
    for (size_t i = 0; i < n; i++) {
        const double kept = dx[i];
        if (fabs(kept) < 1e-3 * most || most < 1e-9) /* a lone pair has no negatives */
            continue;
        dx[i] = kept * 1.01;
        if (worst(dx, numeric, n) <= difference)
            fail_msg("%s: a planted error of 1 %% passed", name);
        dx[i] = kept;
    }
    free(numeric);
}

static double embedding_loss(void *ctx)
{
    const struct golden_case *const c = ctx;
    struct golden_case only = *c;
    only.b.dx = NULL;
    return loss_of(&only);
}

static void embedding_differences(void **state)
{
    (void)state;
    const json_value *const all = js_get(golden, "embeddings");
    for (size_t i = 0; i < js_count(all); i++) {
        struct golden_case c;
        case_read(&c, js_at(all, i));
        loss_of(&c);
        check_gradient(c.name, c.x, c.dx, (size_t)(c.b.n * c.b.n_columns * c.b.dim), embedding_loss,
                       &c);
        case_release(&c);
    }
}

struct row_case {
    double *x, *teacher;
    const int *label, *start, *begin, *end;
    int which;
};

static double row_loss_to(struct row_case *c, double *dx)
{
    switch (c->which) {
    case 0:
        return loss_cross_entropy(c->x, c->label, 4, 5, 7, dx, NULL, NULL);
    case 1:
        return loss_mse(c->x, c->teacher, 20, 3, dx);
    case 2:
        return loss_span(c->x, c->start, 3, c->begin, c->end, 5, dx);
    case 3:
        return loss_kl(c->x, c->teacher, 4, 5, 3, 6, dx);
    default:
        return loss_cosine(c->x, c->teacher, 4, 5, 3, dx);
    }
}

static double row_loss(void *ctx)
{
    return row_loss_to(ctx, NULL);
}

static void row_differences(void **state)
{
    (void)state;
    double x[20], teacher[20], dx[20];
    for (int i = 0; i < 20; i++) {
        x[i] = sin(3.1 * i + 1);
        teacher[i] = cos(1.7 * i);
    }
    struct row_case c = {.x = x,
                         .teacher = teacher,
                         .label = (const int[]){1, -1, 4, 0},
                         .start = (const int[]){0, 3, 6, 10},
                         .begin = (const int[]){1, -1, 0},
                         .end = (const int[]){2, 0, 3}};
    for (c.which = 0; c.which < 5; c.which++) {
        row_loss_to(&c, dx);
        check_gradient("a loss over rows", x, dx, 20, row_loss, &c);
    }
}
#endif

/* ---- properties ---------------------------------------------------------------------------------
 */

static void fill(loss_real *x, size_t n, unsigned seed)
{
    uint64_t s = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (size_t i = 0; i < n; i++) {
        s = s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        x[i] = (loss_real)((double)(s >> 40) / (1 << 23) - 1);
    }
}

/* Random vectors: nearly ln of the candidates; equal pairs: nearly 0. */
static void sane(void **state)
{
    (void)state;
    enum { N = 64, DIM = 256 };
    static loss_real x[2 * N * DIM], dx[2 * N * DIM];
    fill(x, 2 * N * DIM, 3);
    struct loss_options o;
    loss_defaults(&o, LOSS_MNRL);
    struct embedding_batch b = {.x = x, .dx = dx, .n = N, .n_columns = 2, .dim = DIM};
    struct err err = {0};
    double loss;
    o.scale = 1;
    assert_int_equal(loss_embeddings(&b, &o, &loss, &err), 0);
    assert_true(fabs(loss - log(N)) < 0.05);
    o.scale = 100;
    memcpy(x + N * DIM, x, N * DIM * sizeof *x);
    assert_int_equal(loss_embeddings(&b, &o, &loss, &err), 0);
    assert_true(loss >= 0 && loss < 1e-6);
}

/* Zero rows, huge scales and huge logits give finite numbers. */
static void extremes(void **state)
{
    (void)state;
    loss_real x[12] = {0, 0, 0, 1, 0, 0, 0, 0, 0, -1, 1e-3F, 0}, dx[12];
    const loss_real label[2] = {0, 1};
    struct err err = {0};
    double loss;
    for (int kind = LOSS_MNRL; kind <= LOSS_ONLINE_CONTRASTIVE; kind++) {
        struct loss_options o;
        loss_defaults(&o, kind);
        o.scale = 5000;
        const struct embedding_batch b = {
            .x = x, .dx = dx, .n = 2, .n_columns = 2, .dim = 3, .label = label};
        assert_int_equal(loss_embeddings(&b, &o, &loss, &err), 0);
        assert_true(isfinite(loss));
        for (int i = 0; i < 12; i++)
            assert_true(isfinite(dx[i]));
    }
    loss_real z[6] = {1e4F, -1e4F, 0, 1e4F, 1e4F, -1e4F};
    const int wanted[2] = {1, 0};
    assert_true(isfinite(loss_cross_entropy(z, wanted, 2, 3, 0, dx, NULL, NULL)));
    for (int i = 0; i < 6; i++)
        assert_true(isfinite(dx[i]));
    const int none[2] = {-100, -100};
    assert_true(loss_cross_entropy(z, none, 2, 3, 0, dx, NULL, NULL) == 0);
    for (int i = 0; i < 6; i++)
        assert_true(dx[i] == 0);
    assert_true(loss_cross_entropy(z, none, 2, 1, 0, NULL, NULL, NULL) == 0);
}

/* Divergence shows in the loss, whatever it is. */
static void not_a_number(void **state)
{
    (void)state;
    const loss_real bad[] = {NAN, INFINITY};
    for (size_t k = 0; k < ARRAY_LEN(bad); k++)
        for (int kind = LOSS_MNRL; kind <= LOSS_EMBEDDING_MSE; kind++)
            for (int where = 0; where < 36; where += 5) {
                loss_real x[36], dx[36], teacher[36] = {0};
                struct loss_options o;
                struct err err = {0};
                double loss = 0;
                fill(x, 36, 4);
                x[where] = bad[k];
                loss_defaults(&o, kind);
                o.teacher = teacher;
                const struct embedding_batch b = {.x = x,
                                                  .dx = dx,
                                                  .n = kind == LOSS_TRIPLET ? 4 : 6,
                                                  .n_columns = kind == LOSS_TRIPLET ? 3 : 2,
                                                  .dim = 3,
                                                  .label = (const loss_real[]){0, 1, 0, 1, 0, 1}};
                assert_int_equal(loss_embeddings(&b, &o, &loss, &err), 0);
                if (isfinite(loss))
                    fail_msg("%s: %g hides in %g", loss_name(kind), (double)bad[k], loss);
            }
    loss_real z[4] = {1, NAN, 0, 2};
    const loss_real y[4] = {1, 1, 1, 1};
    assert_true(isnan(loss_cross_entropy(z, (const int[]){0}, 1, 4, 0, NULL, NULL, NULL)));
    assert_true(isnan(loss_mse(z, y, 4, 0, NULL)));
    assert_true(
        isnan(loss_span(z, (const int[]){0, 2}, 1, (const int[]){0}, (const int[]){1}, 0, NULL)));
    assert_true(isnan(loss_kl(z, y, 1, 4, 2, 0, NULL)));
    assert_true(isnan(loss_cosine(z, y, 1, 4, 0, NULL)));
}

/* A vocabulary goes through in chunks; in place and aside give the same. */
static void wide_rows(void **state)
{
    (void)state;
    enum { N = 3, CLASSES = 9001 };
    static loss_real z[N * CLASSES], d[N * CLASSES];
    const int label[N] = {0, 9000, 4500};
    fill(z, N * CLASSES, 5);
    z[7] = 30;
    struct pool *const pool = pool_new(3);
    const double alone = loss_cross_entropy(z, label, N, CLASSES, 0, NULL, NULL, NULL);
    const double both = loss_cross_entropy(z, label, N, CLASSES, 0, d, NULL, pool);
    assert_true(fabs(alone - both) < 1e-5);
    const double here = loss_cross_entropy(z, label, N, CLASSES, 0, z, NULL, NULL);
    assert_true(here == both);
    assert_memory_equal(z, d, sizeof z);
    pool_free(pool);
}

static void threads(void **state)
{
    (void)state;
    enum { N = 150, COLUMNS = 3, DIM = 52, ALL = N * COLUMNS * DIM };
    static loss_real x[ALL], one[ALL], many[ALL];
    fill(x, ALL, 9);
    struct loss_options o;
    loss_defaults(&o, LOSS_MNRL);
    o.symmetric = true;
    o.n_matryoshka = 2;
    o.matryoshka[0] = DIM;
    o.matryoshka[1] = 17;
    struct err err = {0};
    double a, b;
    struct embedding_batch batch = {.x = x, .dx = one, .n = N, .n_columns = COLUMNS, .dim = DIM};
    assert_int_equal(loss_embeddings(&batch, &o, &a, &err), 0);
    batch.dx = many;
    batch.pool = pool_new(3);
    assert_int_equal(loss_embeddings(&batch, &o, &b, &err), 0);
    pool_free(batch.pool);
    assert_true(a == b);
    assert_memory_equal(one, many, sizeof one);
}

static void refuse(enum loss_kind kind, const struct embedding_batch *b, int width,
                   const char *message)
{
    struct loss_options o;
    struct err err = {0};
    double loss;
    loss_defaults(&o, kind);
    o.n_matryoshka = width != 0;
    o.matryoshka[0] = width;
    assert_int_equal(loss_embeddings(b, &o, &loss, &err), -1);
    if (!strstr(err.msg, message))
        fail_msg("'%s' does not say '%s'", err.msg, message);
}

static void refused(void **state)
{
    (void)state;
    loss_real x[16] = {1};
    struct embedding_batch b = {.x = x, .n = 2, .n_columns = 2, .dim = 4};
    refuse(LOSS_TRIPLET, &b, 0, "2 columns of 2 rows, needs 3 columns");
    refuse(LOSS_COSENT, &b, 0, "needs a score");
    refuse(LOSS_MNRL, &b, 5, "Matryoshka width 5 of a vector of 4");
    refuse(LOSS_EMBEDDING_MSE, &b, 0, "teacher");
    b.n_columns = 1;
    refuse(LOSS_MNRL, &b, 0, "needs at least 2 columns");
    enum loss_kind kind;
    assert_false(loss_find("nonsense", &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embeddings),
        cmocka_unit_test(rows),
#ifdef LOSS_IN_DOUBLE
        cmocka_unit_test(embedding_differences),
        cmocka_unit_test(row_differences),
#endif
        cmocka_unit_test(sane),
        cmocka_unit_test(extremes),
        cmocka_unit_test(wide_rows),
        cmocka_unit_test(threads),
        cmocka_unit_test(not_a_number),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
