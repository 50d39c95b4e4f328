/* compare.c - is the new model better on the same held-out data, beyond chance?
 *
 * The paired bootstrap: draw as many groups (documents, or rows where nothing groups them) as there
 * are, with replacement, and take the difference of the two models' measures on the draw; the
 * middle 95 % of a thousand such differences is the interval. Rows of a group are drawn together,
 * because they succeed and fail together. A correlation is drawn on the ranks of the whole set, so
 * that a round costs sums only.
 */
#include "encoder/train/draw.h"
#include "encoder/train/train.h"

#include "src/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 1000 };

/* Sums over the rows of a group: all that a mean or a correlation is made of. */
struct sums {
    double n, a, b; /* the two models' scores */
    double g, gg, aa, bb, ga, gb;
};

static void sums_add(struct sums *s, const struct sums *more)
{
    s->n += more->n;
    s->a += more->a;
    s->b += more->b;
    s->g += more->g;
    s->gg += more->gg;
    s->aa += more->aa;
    s->bb += more->bb;
    s->ga += more->ga;
    s->gb += more->gb;
}

static double correlation(double n, double x, double y, double xx, double yy, double xy)
{
    const double vx = xx - x * x / n, vy = yy - y * y / n;
    return vx > 0 && vy > 0 ? (xy - x * y / n) / sqrt(vx * vy) : 0;
}

static double difference(const struct sums *s, bool correlated)
{
    if (!correlated)
        return s->n > 0 ? (s->b - s->a) / s->n : 0;
    return correlation(s->n, s->g, s->b, s->gg, s->bb, s->gb) -
           correlation(s->n, s->g, s->a, s->gg, s->aa, s->ga);
}

struct grouped {
    uint64_t group;
    size_t row;
};

static int by_group(const void *a, const void *b)
{
    const struct grouped *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* One struct sums a group; owned. */
static struct sums *gather(const double *a, const double *b, const double *g, const uint64_t *group,
                           size_t n, size_t *n_groups)
{
    struct grouped *order = xcalloc(n + 1, sizeof *order);
    struct sums *s = xcalloc(n + 1, sizeof *s);
    for (size_t i = 0; i < n; i++)
        order[i] = (struct grouped){group[i], i};
    qsort(order, n, sizeof *order, by_group);
    *n_groups = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t r = order[i].row;
        const double x = a[r], y = b[r], z = g ? g[r] : 0;
        *n_groups += i == 0 || order[i].group != order[i - 1].group;
        const struct sums one = {1, x, y, z, z * z, x * x, y * y, z * x, z * y};
        sums_add(&s[*n_groups - 1], &one);
    }
    free(order);
    return s;
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void interval(const struct sums *s, size_t n, bool correlated, uint64_t seed,
                     struct verdict *v)
{
    double d[ROUNDS];
    for (uint64_t round = 0; round < ROUNDS; round++) {
        const uint64_t stream = draw_stream(seed, DRAW_BOOTSTRAP, round, 0);
        struct sums all = {0};
        for (size_t i = 0; i < n; i++)
            sums_add(&all, &s[draw_below(stream, i, n)]);
        d[round] = difference(&all, correlated);
    }
    qsort(d, ROUNDS, sizeof *d, rising);
    v->low = d[ROUNDS * 25 / 1000];
    v->high = d[ROUNDS * 975 / 1000 - 1];
}

void evaluation_compare(const struct evaluation *before, const struct evaluation *after,
                        uint64_t seed, struct verdict *v)
{
    *v = (struct verdict){.before = evaluation_main(before), .after = evaluation_main(after)};
    const size_t n = before->n_units;
    if (n == 0 || after->n_units != n)
        return;
    const bool correlated = before->gold != NULL;
    double *a = before->unit, *b = after->unit, *g = before->gold;
    if (correlated) {
        a = ranks(a, n);
        b = ranks(b, n);
        g = ranks(g, n);
    }
    size_t n_groups;
    struct sums *s = gather(a, b, g, before->group, n, &n_groups);
    interval(s, n_groups, correlated, seed, v);
    v->better = v->low > 0 ? 1 : v->high < 0 ? -1 : 0;
    free(s);
    if (correlated) {
        free(a);
        free(b);
        free(g);
    }
}
