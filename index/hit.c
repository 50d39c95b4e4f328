/* hit.c - the best k of many; see hit.h. */
#include "index/hit.h"

#include <math.h>
#include <stdlib.h>

int64_t bit_count(const uint64_t *bits, int64_t n)
{
    int64_t sum = 0;
    for (int64_t w = 0; w < n >> 6; w++)
        sum += __builtin_popcountll(bits[w]);
    if (n & 63)
        sum += __builtin_popcountll(bits[n >> 6] & (((uint64_t)1 << (n & 63)) - 1));
    return sum;
}

static bool worse(struct hit a, struct hit b)
{
    return a.score < b.score || (a.score == b.score && a.row > b.row);
}

static void sink_down(struct hit *h, int64_t n, int64_t i)
{
    const struct hit x = h[i];
    for (;;) {
        int64_t c = 2 * i + 1;
        if (c >= n)
            break;
        if (c + 1 < n && worse(h[c + 1], h[c]))
            c++;
        if (!worse(h[c], x))
            break;
        h[i] = h[c];
        i = c;
    }
    h[i] = x;
}

float topk_floor(const struct topk *t)
{
    return t->n < t->k ? -INFINITY : t->k > 0 ? t->item[0].score : INFINITY;
}

void topk_push(struct topk *t, int64_t row, float score)
{
    const struct hit x = {row, score};
    if (t->k <= 0 || score != score)
        return;
    if (t->n == t->k) {
        if (!worse(t->item[0], x))
            return;
        t->item[0] = x;
        sink_down(t->item, t->n, 0);
        return;
    }
    int64_t i = t->n++;
    while (i > 0 && worse(x, t->item[(i - 1) / 2])) {
        t->item[i] = t->item[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    t->item[i] = x;
}

static int best_first(const void *a, const void *b)
{
    const struct hit x = *(const struct hit *)a, y = *(const struct hit *)b;
    return worse(x, y) - worse(y, x);
}

int64_t topk_finish(struct topk *t)
{
    if (t->n > 1)
        qsort(t->item, (size_t)t->n, sizeof *t->item, best_first);
    return t->n;
}
