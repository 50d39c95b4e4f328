/* embed_dump.c - texts on stdin to vectors on stdout, for check_parity.py.
 *
 * usage: embed_dump MODEL THREADS default|query|passage -1|0|1
 * in: each text as u32 length and bytes; out: float32 [n, dim]. Host byte order.
 */
#include "encoder/encoder.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const struct err *e)
{
    fprintf(stderr, "%s%s%s\n", e->msg, e->hint[0] ? "; " : "", e->hint);
    return 2;
}

static enum embed_role role_of(const char *name)
{
    return !strcmp(name, "query") ? EMBED_QUERY
                                  : (!strcmp(name, "passage") ? EMBED_PASSAGE : EMBED_DEFAULT);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct str in = {0};
    struct model *m;
    struct encoder *e;
    struct span *text = NULL;
    size_t n = 0, cap = 0;
    if (argc != 5) {
        fprintf(stderr, "usage: embed_dump MODEL THREADS ROLE NORMALIZE < texts > vectors\n");
        return 2;
    }
    const double t0 = clock_ms();
    if (model_open(argv[1], NULL, &m, &err))
        return fail(&err);
    const double t1 = clock_ms();
    if (encoder_open(m, atoi(argv[2]), &e, &err) || fd_read_all(0, (size_t)1 << 30, &in, &err))
        return fail(&err);
    for (size_t at = 0; at + 4 <= in.n;) {
        uint32_t len;
        memcpy(&len, in.p + at, 4);
        at += 4;
        VEC_GROW(text, n, cap);
        text[n++] = (struct span){in.p + at, len};
        at += len;
    }
    const size_t dim = (size_t)model_info(m)->dim;
    float *out = xmalloc(n * dim * sizeof *out + 1);
    const struct encode_options o = {.role = role_of(argv[3]), .normalize = atoi(argv[4])};
    const double t2 = clock_ms();
    if (encoder_embed(e, text, n, &o, out, NULL, &err))
        return fail(&err);
    const double t3 = clock_ms();
    fprintf(stderr, "open %.2f ms, embed %.1f ms, %zu texts, %s\n", t1 - t0, t3 - t2, n,
            model_info(m)->fingerprint);
    fwrite(out, sizeof *out, n * dim, stdout);
    encoder_close(e);
    model_close(m);
    free(out);
    free(text);
    str_release(&in);
    return fflush(stdout) ? 2 : 0;
}
