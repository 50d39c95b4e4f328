/* reembed.c - see reembed.h. The sample is a few runs of passages spread over the index, so that
 * neither one document nor one kind of document decides. */
#include "cli/reembed.h"

#include "cli/output.h"
#include "src/base/clock.h"
#include "src/base/mem.h"

#include <stdlib.h>

enum { RUNS = 6, RUN_PASSAGES = 4, SAMPLE = RUNS * RUN_PASSAGES };

struct sample {
    char *text[SAMPLE]; /* owned */
    struct span span[SAMPLE];
    size_t n;
    int in_run;
    int64_t last; /* id of the last one */
};

static int take(void *ctx, const struct store_row *row, struct err *err)
{
    struct sample *k = ctx;
    (void)err;
    k->text[k->n] = xstrndup(row->text.p, row->text.n);
    k->span[k->n] = (struct span){k->text[k->n], row->text.n};
    k->n++;
    k->last = row->chunk_id;
    return ++k->in_run == RUN_PASSAGES;
}

static int draw(struct store *s, int64_t chunks, struct sample *k, struct err *err)
{
    for (int i = 0; i < RUNS; i++) {
        const int64_t after = i * chunks / RUNS;
        k->in_run = 0;
        if (store_each_row(s, after > k->last ? after : k->last, true, take, k, err) < 0)
            return -1;
    }
    return 0;
}

static void say_time(double seconds, struct str *out)
{
    if (seconds < 90)
        str_printf(out, "%.0f s", seconds < 1 ? 1 : seconds);
    else if (seconds < 5400)
        str_printf(out, "%.0f min", seconds / 60);
    else
        str_printf(out, "%.1f h", seconds / 3600);
}

static void say(int64_t chunks, double tokens, double rate)
{
    struct str out = {0};
    str_printf(&out, "all vectors are computed anew: %lld passages, about ", (long long)chunks);
    if (tokens < 1e6)
        str_printf(&out, "%.0f tokens",
                   tokens < 1000 ? tokens : 1000 * (double)(int64_t)(tokens / 1000 + .5));
    else
        str_printf(&out, "%.1f million tokens", tokens / 1e6);
    str_puts(&out, ", about ");
    say_time(tokens / rate, &out);
    str_printf(&out, " at %.0f tokens/s", rate);
    note("%s", out.p);
    str_release(&out);
}

int reembed_say(struct store *s, const struct engine *e, struct err *err)
{
    struct store_counts counts;
    struct sample k = {0};
    int64_t tokens = 0;
    if (store_counts(s, &counts, err))
        return -1;
    int rc = counts.chunks ? draw(s, counts.chunks, &k, err) : 0;
    if (rc == 0 && k.n) {
        float *v = xcalloc(SAMPLE * (size_t)e->embedder->dim, sizeof *v);
        /* the first passage warms caches and threads up */
        rc = e->embedder->embed(e->embedder, k.span, 1, EMBED_PASSAGE, v, NULL, err);
        const double began = clock_ms();
        if (rc == 0)
            rc = e->embedder->embed(e->embedder, k.span, k.n, EMBED_PASSAGE, v, &tokens, err);
        const double ms = clock_ms() - began;
        if (rc == 0 && tokens)
            say(counts.chunks, (double)tokens / (double)k.n * (double)counts.chunks,
                (double)tokens * 1e3 / (ms > .01 ? ms : .01));
        free(v);
    }
    for (size_t i = 0; i < k.n; i++)
        free(k.text[i]);
    return rc;
}
