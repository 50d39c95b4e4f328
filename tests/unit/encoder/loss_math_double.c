/* loss_math_double.c - the twin of encoder/train/loss_math.c for the losses in double: plain loops.
 */
#include "encoder/train/loss_parts.h"

#include <math.h>

int loss_product(loss_real *c, const loss_real *a, const loss_real *b, int m, int n, int k,
                 struct pool *pool, struct err *err)
{
    (void)pool;
    (void)err;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            c[i * n + j] = loss_dot(a + i * k, b + j * k, k);
    return 0;
}

double loss_max(const loss_real *x, int n)
{
    double most = x[0];
    for (int i = 1; i < n; i++)
        most = fmax(most, x[i]);
    return most;
}

double loss_softmax(loss_real *x, int n)
{
    const double most = loss_max(x, n);
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i] = exp(x[i] - most);
    for (int i = 0; i < n; i++)
        x[i] /= sum;
    return most + log(sum);
}
