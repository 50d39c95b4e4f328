/* loss_pairs.c - losses over pairs and triplets of embeddings. In all of them c is the cosine of a
 * pair, which is the dot product of its unit rows, so dL/da = dL/dc * b and dL/db = dL/dc * a.
 */
#include "encoder/train/loss_parts.h"
#include "src/base/mem.h"

#include <math.h>
#include <stdlib.h>

/* The cosines of columns 0 and 1, [n]; the caller frees. */
static double *pair_cosines(const struct loss_rows *r)
{
    double *const c = xmalloc((size_t)r->n * sizeof *c);
    for (int i = 0; i < r->n; i++)
        c[i] = loss_dot(loss_row(r, 0, i), loss_row(r, 1, i), r->dim);
    return c;
}

/* Adds g = dL/dc of the pair (column 0, column `other`) of row i. */
static void pair_back(const struct loss_rows *r, int other, int i, double g)
{
    if (!r->dy)
        return;
    loss_add(loss_drow(r, 0, i), g, loss_row(r, other, i), r->dim);
    loss_add(loss_drow(r, other, i), g, loss_row(r, 0, i), r->dim);
}

/* mean (c - y)^2; CosineSimilarityLoss */
void loss_cosine_mse(const struct loss_rows *r, const struct loss_options *o, double *loss)
{
    (void)o;
    double *const c = pair_cosines(r), sum = 0;
    for (int i = 0; i < r->n; i++) {
        const double d = c[i] - (double)r->b->label[i];
        sum += d * d;
        pair_back(r, 1, i, 2 * d / r->n);
    }
    *loss = sum / r->n;
    free(c);
}

/* mean of (y d^2 + (1 - y) max(0, margin - d)^2) / 2, d = 1 - c; ContrastiveLoss */
void loss_contrastive(const struct loss_rows *r, const struct loss_options *o, double *loss)
{
    double *const c = pair_cosines(r), sum = 0;
    for (int i = 0; i < r->n; i++) {
        const double y = (double)r->b->label[i], d = 1 - c[i];
        const double short_of = fmax(0, (double)o->margin - d);
        sum += (y * d * d + (1 - y) * short_of * short_of) / 2;
        pair_back(r, 1, i, ((1 - y) * short_of - y * d) / r->n);
    }
    *loss = sum / r->n;
    free(c);
}

/* Where online contrastive draws its lines: a positive pair counts when it is further apart than
 * the closest negative, a negative one when it is closer than the furthest positive. With one or no
 * pair of the other kind, the mean of the own kind stands for it. */
static void hard_limits(const double *c, const loss_real *label, int n, double *positive,
                        double *negative)
{
    double sum[2] = {0, 0}, nearest = INFINITY, furthest = -INFINITY;
    int count[2] = {0, 0};
    for (int i = 0; i < n; i++) {
        if (label[i] != 0 && label[i] != 1)
            continue;
        const int kind = label[i] == 1;
        const double d = 1 - c[i];
        sum[kind] += d;
        count[kind]++;
        if (kind)
            furthest = fmax(furthest, d);
        else
            nearest = fmin(nearest, d);
    }
    *positive = count[0] > 1 ? nearest : sum[1] / fmax(1, count[1]);
    *negative = count[1] > 1 ? furthest : sum[0] / fmax(1, count[0]);
}

/* Sum of d^2 over hard positives and of max(0, margin - d)^2 over hard negatives, d = 1 - c;
 * OnlineContrastiveLoss. Which pairs are hard is not differentiated, and pairs whose label is
 * neither 0 nor 1 do not count. */
void loss_online_contrastive(const struct loss_rows *r, const struct loss_options *o, double *loss)
{
    double *const c = pair_cosines(r), sum = 0, positive, negative;
    hard_limits(c, r->b->label, r->n, &positive, &negative);
    for (int i = 0; i < r->n; i++) {
        const double d = 1 - c[i], short_of = fmax(0, (double)o->margin - d);
        if (isnan(d)) {
            sum = NAN; /* not a pair that is merely not hard */
        } else if (r->b->label[i] == 1 && d > positive) {
            sum += d * d;
            pair_back(r, 1, i, -2 * d);
        } else if (r->b->label[i] == 0 && d < negative) {
            sum += short_of * short_of;
            pair_back(r, 1, i, 2 * short_of);
        }
    }
    *loss = sum;
    free(c);
}

/* ---- CoSENT -------------------------------------------------------------------------------------
 */

struct ranked {
    double label, z; /* z = scale * cosine */
    int i;
};

static int by_label(const void *a, const void *b)
{
    const struct ranked *const x = a, *const y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return x->i - y->i;
}

/* log(e^a + e^b) */
static double log_add(double a, double b)
{
    const double most = a > b ? a : b, least = a > b ? b : a; /* either NaN: the result too */
    return isinf(least) ? most : most + log1p(exp(least - most));
}

/* After sorting by label: below[k] = log of the sum of e^z over all with a smaller label, above[k]
 * = log of the sum of e^-z over all with a larger one; -inf where there is none. */
static void cosent_sums(const struct ranked *p, int n, double *below, double *above)
{
    double sum = -INFINITY;
    for (int k = 0; k < n;) {
        int end = k;
        for (; end < n && p[end].label == p[k].label; end++)
            below[end] = sum;
        for (; k < end; k++)
            sum = log_add(sum, p[k].z);
    }
    sum = -INFINITY;
    for (int k = n - 1; k >= 0;) {
        int end = k;
        for (; end >= 0 && p[end].label == p[k].label; end--)
            above[end] = sum;
        for (; k > end; k--)
            sum = log_add(sum, -p[k].z);
    }
}

/* L = log(1 + sum over pairs with y_i < y_j of exp(z_i - z_j)), z = scale c; CoSENTLoss (Huang et
 * al. 2024). The double sum falls into sums over the order of the labels, so it takes n log n, and
 * in logarithms nothing overflows whatever the scale.
 * dL/dz_k = exp(z_k + above_k - L) - exp(below_k - z_k - L) */
void loss_cosent(const struct loss_rows *r, const struct loss_options *o, double *loss)
{
    const int n = r->n;
    double *const c = pair_cosines(r);
    double *const below = xmalloc(2 * (size_t)n * sizeof *below), *const above = below + n;
    struct ranked *const p = xmalloc((size_t)n * sizeof *p);
    for (int i = 0; i < n; i++)
        p[i] = (struct ranked){(double)r->b->label[i], (double)o->scale * c[i], i};
    qsort(p, (size_t)n, sizeof *p, by_label);
    cosent_sums(p, n, below, above);
    double total = 0; /* log 1 */
    for (int k = 0; k < n; k++)
        total = log_add(total, below[k] - p[k].z);
    for (int k = 0; k < n; k++)
        pair_back(r, 1, p[k].i,
                  (double)o->scale *
                      (exp(p[k].z + above[k] - total) - exp(below[k] - p[k].z - total)));
    *loss = total;
    free(p);
    free(below);
    free(c);
}

/* ---- triplets -----------------------------------------------------------------------------------
 */

static double distance(enum loss_distance kind, const loss_real *a, const loss_real *b, int n)
{
    double sum = 0;
    if (kind == DISTANCE_COSINE)
        return 1 - loss_dot(a, b, n);
    for (int j = 0; j < n; j++) {
        const double d = (double)a[j] - (double)b[j];
        sum += kind == DISTANCE_MANHATTAN ? fabs(d) : d * d;
    }
    return kind == DISTANCE_MANHATTAN ? sum : sqrt(sum);
}

/* Adds g * d(distance) of columns 0 and `other` of row i. Equal rows have no direction: nothing. */
static void distance_back(const struct loss_rows *r, enum loss_distance kind, int other, int i,
                          double dist, double g)
{
    if (kind == DISTANCE_COSINE) {
        pair_back(r, other, i, -g);
        return;
    }
    const loss_real *const a = loss_row(r, 0, i), *const b = loss_row(r, other, i);
    loss_real *const da = loss_drow(r, 0, i), *const db = loss_drow(r, other, i);
    for (int j = 0; j < r->dim && dist > 0; j++) {
        const double d = (double)a[j] - (double)b[j];
        const double t = g * (kind == DISTANCE_MANHATTAN ? (double)((d > 0) - (d < 0)) : d / dist);
        da[j] = (loss_real)((double)da[j] + t);
        db[j] = (loss_real)((double)db[j] - t);
    }
}

/* mean max(0, D(a, p) - D(a, n) + margin); TripletLoss */
void loss_triplet(const struct loss_rows *r, const struct loss_options *o, double *loss)
{
    double sum = 0;
    for (int i = 0; i < r->n; i++) {
        const loss_real *const a = loss_row(r, 0, i);
        const double near = distance(o->distance, a, loss_row(r, 1, i), r->dim);
        const double far = distance(o->distance, a, loss_row(r, 2, i), r->dim);
        const double over = near - far + (double)o->margin;
        if (over <= 0)
            continue; /* a NaN goes on into the sum */
        sum += over;
        if (r->dy) {
            distance_back(r, o->distance, 1, i, near, 1.0 / r->n);
            distance_back(r, o->distance, 2, i, far, -1.0 / r->n);
        }
    }
    *loss = sum / r->n;
}

/* mean over all numbers of (y - teacher)^2; MSELoss */
void loss_embedding_mse(const struct loss_rows *r, const struct loss_options *o, double *loss)
{
    (void)o;
    const int rows = r->n * r->n_columns;
    const double count = (double)rows * r->dim;
    double sum = 0;
    for (int i = 0; i < rows; i++) {
        const loss_real *const y = r->y + (size_t)i * (size_t)r->dim;
        const loss_real *const t = r->teacher + (size_t)i * (size_t)r->ld_teacher;
        for (int j = 0; j < r->dim; j++) {
            const double d = (double)y[j] - (double)t[j];
            sum += d * d;
            if (r->dy)
                r->dy[(size_t)i * (size_t)r->dim + (size_t)j] += (loss_real)(2 * d / count);
        }
    }
    *loss = sum / count;
}
