/* precision.c - which vectors were computed in which precision.
 *
 * A vector's data are its half floats; one that was not computed in fp32 has one byte more, the
 * number of its precision. So a file from before there was a choice reads as what it is, all fp32,
 * and the row's checksum covers the mark. How many there are of each is kept in a setting beside
 * the counts of `state`, in the same transactions, because a scan of all vectors would be slow.
 */
#include "index/store/internal.h"

#include <stdio.h>
#include <stdlib.h>

static const char key[] = "narrow_vectors"; /* "COUNT COUNT": bf16, int8 */

void store_vectors_are(struct store *s, enum precision p)
{
    s->precision = p;
}

bool vector_fits(struct span data, int64_t dim)
{
    const size_t n = (size_t)dim * sizeof(uint16_t);
    return data.n == n ||
           (data.n == n + 1 && (data.p[n] == PRECISION_BF16 || data.p[n] == PRECISION_INT8));
}

int narrow_read(struct store *s, struct counters *c, struct err *err)
{
    char *value;
    long long n[PRECISIONS] = {0};
    if (store_meta_get(s, key, &value, err))
        return -1;
    if (value && sscanf(value, "%lld %lld", &n[PRECISION_BF16], &n[PRECISION_INT8]) != 2)
        n[PRECISION_BF16] = n[PRECISION_INT8] = 0; /* store_verify will say so */
    free(value);
    for (int i = 0; i < PRECISIONS; i++)
        c->narrow[i] = n[i];
    return 0;
}

int narrow_write(struct store *s, const struct counters *c, struct err *err)
{
    char value[64];
    if (!c->narrow[PRECISION_BF16] && !c->narrow[PRECISION_INT8])
        return store_meta_set(s, key, NULL, err);
    snprintf(value, sizeof value, "%lld %lld", (long long)c->narrow[PRECISION_BF16],
             (long long)c->narrow[PRECISION_INT8]);
    return store_meta_set(s, key, value, err);
}

bool narrow_same(const struct counters *a, const struct counters *b)
{
    return a->narrow[PRECISION_BF16] == b->narrow[PRECISION_BF16] &&
           a->narrow[PRECISION_INT8] == b->narrow[PRECISION_INT8];
}

/* By a query whose rows are a mark and how many vectors have it. */
static int count(struct store *s, enum query id, int64_t n[PRECISIONS], struct err *err)
{
    sqlite3_stmt *q = db_query(s, id, err);
    int rc = q ? 0 : -1;
    for (int i = 0; i < PRECISIONS; i++)
        n[i] = 0;
    while (q && (rc = db_step(s, q, err)) == 1) {
        const struct span mark = column_span(q, 0);
        if (mark.n == 1 && mark.p[0] > 0 && mark.p[0] < PRECISIONS)
            n[(int)mark.p[0]] += sqlite3_column_int64(q, 1);
    }
    db_done(q);
    return rc;
}

int narrow_count(struct store *s, struct counters *c, struct err *err)
{
    return count(s, Q_NARROW_ALL, c->narrow, err);
}

int narrow_prune(struct store *s, struct err *err)
{
    int64_t n[PRECISIONS];
    if (count(s, Q_NARROW_UNUSED, n, err))
        return -1;
    for (int i = 0; i < PRECISIONS; i++)
        s->now.narrow[i] -= n[i];
    return 0;
}
