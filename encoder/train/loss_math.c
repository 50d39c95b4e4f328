/* loss_math.c - the matrix product and the softmax of the losses, on the kernels.
 *
 * A product is cut into blocks of rows for the workers; a row of the kernel's result does not
 * depend on such cuts, so neither does a loss on the number of threads.
 */
#include "encoder/train/loss_parts.h"
#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>

enum { PRODUCT_ROWS = 64, MAX_LANES = 16 };

struct product {
    struct gemm_f32 g;
    int m;
};

static void product_rows(void *ctx, int item, int worker)
{
    const struct product *p = ctx;
    (void)worker;
    struct gemm_f32 g = p->g;
    const int row = item * PRODUCT_ROWS;
    g.m = p->m - row < PRODUCT_ROWS ? p->m - row : PRODUCT_ROWS;
    g.a += (size_t)row * (size_t)g.lda;
    g.c += (size_t)row * (size_t)g.ldc;
    kern.gemm(&g, 0, g.w->n_out);
}

int loss_product(loss_real *c, const loss_real *a, const loss_real *b, int m, int n, int k,
                 struct pool *pool, struct err *err)
{
    void *packed;
    size_t bytes;
    if (!mul_size(kern.gemm_packed_floats(n, k), sizeof(float), &bytes))
        return err_kind_set(err, ERR_LIMIT, "a batch of %d rows is too large for its loss", n);
    if (mem_try(&packed, bytes, "the loss of a batch", err))
        return -1;
    kern.gemm_pack(packed, b, k, n, k);
    const struct packed_f32 w = {.n_out = n, .k = k, .data = packed};
    struct product p = {.m = m};
    p.g = (struct gemm_f32){.a = a, .lda = k, .w = &w, .act = ACT_NONE, .c = c, .ldc = n};
    loss_run(pool, (m + PRODUCT_ROWS - 1) / PRODUCT_ROWS, product_rows, &p);
    free(packed);
    return 0;
}

double loss_max(const loss_real *x, int n)
{
    loss_real lane[MAX_LANES];
    int i = 0;
    for (int j = 0; j < MAX_LANES; j++)
        lane[j] = -INFINITY;
    for (; i + MAX_LANES <= n; i += MAX_LANES)
        for (int j = 0; j < MAX_LANES; j++)
            lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    for (; i < n; i++)
        lane[0] = x[i] > lane[0] ? x[i] : lane[0];
    for (int j = 1; j < MAX_LANES; j++)
        lane[0] = lane[j] > lane[0] ? lane[j] : lane[0];
    return (double)lane[0];
}

double loss_softmax(loss_real *x, int n)
{
    const double most = loss_max(x, n);
    kern.softmax(x, 1, n); /* its largest element is 1 / sum(exp(x - most)) */
    return most - log(loss_max(x, n));
}
