/* loss_rows.c - losses over rows of outputs: cross-entropy, squared error, spans, distillation.
 *
 * Each row gives one number, kept in its own place and added up in order at the end, so a sum does
 * not depend on the threads. `divisor` is what makes accumulated micro-batches equal to one batch:
 * the caller gives the count over all of them.
 */
#include "encoder/train/loss_parts.h"
#include "src/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_ITEM = 8,
    CHUNK = 2048 /* numbers of a row that are worked on at a time: they stay in the L1 cache */
};

/* ---- cross-entropy ------------------------------------------------------------------------------
 */

struct cross {
    const loss_real *logits;
    const int *label;
    int n, n_classes;
    double each; /* 1 / divisor */
    loss_real *d;
    double *row;
    unsigned char *right;
};

/* The label's logit is the largest, and the first of equal ones. */
static bool label_is_top(const loss_real *x, int n, int label)
{
    if (!((double)x[label] >= loss_max(x, n)))
        return false;
    for (int i = 0; i < label; i++)
        if (x[i] == x[label])
            return false;
    return true;
}

/* log(sum(exp(x))). Chunk by chunk, so that a row over a vocabulary needs no memory of its own. */
static double row_log_sum(const loss_real *x, int n)
{
    loss_real chunk[CHUNK];
    double total = -INFINITY;
    for (int from = 0; from < n; from += CHUNK) {
        const int len = n - from < CHUNK ? n - from : CHUNK;
        memcpy(chunk, x + from, (size_t)len * sizeof *chunk);
        const double part = loss_softmax(chunk, len), most = fmax(total, part);
        total = most + log(exp(total - most) + exp(part - most));
    }
    return total;
}

static void cross_row(const struct cross *c, int i)
{
    const size_t n = (size_t)c->n_classes;
    const loss_real *const x = c->logits + (size_t)i * n;
    loss_real *const d = c->d ? c->d + (size_t)i * n : NULL;
    const int label = c->label[i];
    c->row[i] = 0;
    if (label < 0) {
        if (d)
            memset(d, 0, n * sizeof *d);
        return;
    }
    const double own = (double)x[label];
    if (c->right)
        c->right[i] = label_is_top(x, c->n_classes, label);
    if (!d) {
        c->row[i] = row_log_sum(x, c->n_classes) - own;
        return;
    }
    memmove(d, x, n * sizeof *d);
    c->row[i] = loss_softmax(d, c->n_classes) - own;
    d[label] -= 1;
    for (size_t k = 0; k < n; k++)
        d[k] *= (loss_real)c->each;
}

static void cross_rows(void *ctx, int item, int worker)
{
    const struct cross *c = ctx;
    (void)worker;
    for (int i = item * ROWS_ITEM; i < c->n && i < (item + 1) * ROWS_ITEM; i++)
        cross_row(c, i);
}

/* L = sum over counted rows of (log sum_k exp z_k - z_label) / divisor; dL/dz = (softmax(z) -
 * [k = label]) / divisor */
double loss_cross_entropy(const loss_real *logits, const int *label, int n, int n_classes,
                          double divisor, loss_real *dlogits, int *n_right, struct pool *pool)
{
    int valid = 0, right = 0;
    for (int i = 0; i < n; i++)
        valid += label[i] >= 0;
    if (divisor == 0)
        divisor = valid ? valid : 1;
    struct cross c = {.logits = logits,
                      .label = label,
                      .n = n,
                      .n_classes = n_classes,
                      .each = 1 / divisor,
                      .d = dlogits,
                      .row = xcalloc((size_t)n, sizeof *c.row),
                      .right = n_right ? xcalloc((size_t)n, 1) : NULL};
    loss_run(pool, (n + ROWS_ITEM - 1) / ROWS_ITEM, cross_rows, &c);
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += c.row[i];
        right += c.right ? c.right[i] : 0;
    }
    free(c.row);
    free(c.right);
    if (n_right)
        *n_right = right;
    return sum / divisor;
}

/* ---- squared error ------------------------------------------------------------------------------
 */

double loss_mse(const loss_real *x, const loss_real *label, size_t n, double divisor, loss_real *dx)
{
    double sum = 0;
    if (divisor == 0)
        divisor = n ? (double)n : 1;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)x[i] - (double)label[i];
        sum += d * d;
        if (dx)
            dx[i] = (loss_real)(2 * d / divisor);
    }
    return sum / divisor;
}

/* ---- spans --------------------------------------------------------------------------------------
 */

/* Cross-entropy over every second number, z[0], z[2], ..., of a window of n tokens. */
static double span_side(const loss_real *z, int n, int label, double each, loss_real *d)
{
    double most = (double)z[0], sum = 0;
    for (int i = 1; i < n; i++)
        most = fmax(most, (double)z[2 * i]);
    for (int i = 0; i < n; i++)
        sum += exp((double)z[2 * i] - most);
    const double lse = most + log(sum);
    for (int i = 0; d && i < n; i++)
        d[2 * i] = (loss_real)((exp((double)z[2 * i] - lse) - (i == label)) * each);
    return lse - (double)z[2 * label];
}

double loss_span(const loss_real *logits, const int *start, int n_seq, const int *begin,
                 const int *end, double divisor, loss_real *dlogits)
{
    int valid = 0;
    double sum = 0;
    for (int s = 0; s < n_seq; s++)
        valid += begin[s] >= 0 && end[s] >= 0;
    if (divisor == 0)
        divisor = valid ? valid : 1;
    for (int s = 0; s < n_seq; s++) {
        const int n = start[s + 1] - start[s];
        const loss_real *const z = logits + 2 * (size_t)start[s];
        loss_real *const d = dlogits ? dlogits + 2 * (size_t)start[s] : NULL;
        if (begin[s] < 0 || end[s] < 0) {
            if (d)
                memset(d, 0, 2 * (size_t)n * sizeof *d);
            continue;
        }
        sum += span_side(z, n, begin[s], 0.5 / divisor, d);
        sum += span_side(z + 1, n, end[s], 0.5 / divisor, d ? d + 1 : NULL);
    }
    return sum / 2 / divisor;
}

/* ---- distillation -------------------------------------------------------------------------------
 */

/* log(sum(exp(x / t))) */
static double cooled_log_sum(const loss_real *x, int n, double t)
{
    double most = (double)x[0], sum = 0;
    for (int i = 1; i < n; i++)
        most = fmax(most, (double)x[i]);
    for (int i = 0; i < n; i++)
        sum += exp(((double)x[i] - most) / t);
    return most / t + log(sum);
}

/* KLDivLoss of log_softmax(s/T) and softmax(t/T), times T^2 (Hinton et al. 2015; Sanh et al. 2019);
 * dL/ds = T (softmax(s/T) - softmax(t/T)) / divisor */
double loss_kl(const loss_real *student, const loss_real *teacher, int n, int n_classes, double t,
               double divisor, loss_real *dstudent)
{
    double sum = 0;
    if (divisor == 0)
        divisor = n ? n : 1;
    for (int i = 0; i < n; i++) {
        const size_t at = (size_t)i * (size_t)n_classes;
        const double zs = cooled_log_sum(student + at, n_classes, t);
        const double zt = cooled_log_sum(teacher + at, n_classes, t);
        for (int k = 0; k < n_classes; k++) {
            const double log_s = (double)student[at + (size_t)k] / t - zs;
            const double log_t = (double)teacher[at + (size_t)k] / t - zt;
            sum += exp(log_t) * (log_t - log_s);
            if (dstudent)
                dstudent[at + (size_t)k] = (loss_real)(t * (exp(log_s) - exp(log_t)) / divisor);
        }
    }
    return t * t * sum / divisor;
}

/* 1 - c; dc/ds = (t/|t| - c s/|s|) / |s| */
double loss_cosine(const loss_real *student, const loss_real *teacher, int n, int dim,
                   double divisor, loss_real *dstudent)
{
    double sum = 0;
    if (divisor == 0)
        divisor = n ? n : 1;
    for (int i = 0; i < n; i++) {
        const loss_real *const s = student + (size_t)i * (size_t)dim;
        const loss_real *const t = teacher + (size_t)i * (size_t)dim;
        const double ss = sqrt(loss_dot(s, s, dim)), tt = sqrt(loss_dot(t, t, dim));
        const bool some = !(ss <= 1e-12 || tt <= 1e-12); /* a zero row has no direction */
        const double c = some ? loss_dot(s, t, dim) / (ss * tt) : 0;
        sum += 1 - c;
        for (int k = 0; dstudent && k < dim; k++)
            dstudent[(size_t)i * (size_t)dim + (size_t)k] =
                some ? (loss_real)(-((double)t[k] / tt - c * (double)s[k] / ss) / ss / divisor) : 0;
    }
    return sum / divisor;
}
