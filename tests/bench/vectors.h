/* vectors.h - what the benches of vector search share: options of the form NAME VALUE, and float32
 * matrices [n, dim] out of .npy files. */
#ifndef SEMSEARCH_TESTS_BENCH_VECTORS_H
#define SEMSEARCH_TESTS_BENCH_VECTORS_H

#include "src/base/err.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct matrix {
    float *x;
    int64_t n;
    int dim;
};

static inline void die(const struct err *e)
{
    fprintf(stderr, "bench: %s\n", e->msg);
    exit(2);
}

/* The value behind `name` among the arguments from the third on. */
static inline const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 2; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return otherwise;
}

static inline struct matrix load_npy(const char *path)
{
    struct str s = {.max = (size_t)8 << 30};
    struct err e = {0};
    struct matrix m = {0};
    if (file_read(path, (size_t)8 << 30, &s, &e))
        die(&e);
    const char *shape = s.n > 10 ? strstr(s.p + 10, "'shape': (") : NULL;
    long long n = 0;
    if (!shape || !strstr(s.p + 10, "<f4") || sscanf(shape + 10, "%lld, %d", &n, &m.dim) != 2) {
        err_set(&e, "'%s' is no float32 matrix", path);
        die(&e);
    }
    const size_t head = 10 + ((unsigned char)s.p[8] | (size_t)(unsigned char)s.p[9] << 8);
    m.n = n;
    const size_t bytes = (size_t)n * (size_t)m.dim * sizeof *m.x;
    m.x = xmalloc(bytes);
    memcpy(m.x, s.p + head, bytes);
    str_release(&s);
    return m;
}

#endif
