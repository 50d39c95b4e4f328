/* put_adapter INDEX DIM FINGERPRINT: a query adapter that turns half of every question round, as no
 * training makes one. For scenarios that ask whether questions go through the adapter at all. */
#include "index/tune/adapter.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct err err = {0};
    const size_t dim = argc == 4 ? (size_t)atoi(argv[2]) : 0;
    float *d = xcalloc(dim * dim + 1, sizeof *d);
    for (size_t i = 0; i < dim; i += 2)
        d[i * dim + i] = -2;
    struct adapter *a = argc == 4 ? adapter_new(argv[3], (int)dim, d) : NULL;
    const int rc = a ? adapter_save(argv[1], a, &err) : -1;
    if (rc)
        fprintf(stderr, "put_adapter: %s\n", err.msg);
    adapter_free(a);
    free(d);
    return rc ? 1 : 0;
}
