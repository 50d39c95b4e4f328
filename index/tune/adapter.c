/* adapter.c - see adapter.h. The file is a cachefile with one section, so that it is checksummed
 * and stamped like all that lies beside the store. */
#include "index/tune/adapter.h"

#include "index/cachefile.h"
#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTION "adapter"

struct adapter {
    int dim;
    char fingerprint[33];
    float *d; /* [dim, dim] */
};

struct adapter *adapter_new(const char *fingerprint, int dim, const float *d)
{
    const size_t n = (size_t)dim * (size_t)dim;
    struct adapter *a = xcalloc(1, sizeof *a);
    a->dim = dim;
    memcpy(a->fingerprint, fingerprint, strnlen(fingerprint, sizeof a->fingerprint - 1));
    a->d = xcalloc(n, sizeof *a->d);
    memcpy(a->d, d, n * sizeof *a->d);
    return a;
}

void adapter_free(struct adapter *a)
{
    if (!a)
        return;
    free(a->d);
    free(a);
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

static void on_damage(void *ctx, const char *section)
{
    (void)section;
    *(bool *)ctx = true;
}

int adapter_load(const char *index_dir, const char *fingerprint, int dim, struct adapter **out,
                 struct err *err)
{
    struct cachefile f = {0};
    struct cache_stamp want = {0};
    struct err why = {0};
    *out = NULL;
    char *path = path_join(index_dir, ADAPTER_FILE);
    const int rc = file_exists(path) ? cachefile_open(path, &f, &why) : 1;
    int found = 0;
    if (rc == 0) {
        bool damaged = false;
        int64_t n = 0;
        cache_stamp_fingerprint(&want, fingerprint);
        cachefile_verify(&f, on_damage, &damaged);
        const float *d = cachefile_get(&f, SECTION, sizeof *d, &n);
        if (strcmp(f.stamp.fingerprint, want.fingerprint) != 0 || f.stamp.dim != dim) {
            found = 0;
        } else if (damaged || !d || n != (int64_t)dim * dim || !all_finite(d, (size_t)n)) {
            found = err_kind_set(&why, ERR_CORRUPT, "'%s' is damaged", path);
        } else {
            *out = adapter_new(fingerprint, dim, d);
            found = 1;
        }
    } else if (rc < 0) {
        found = -1;
    }
    cachefile_close(&f);
    free(path);
    if (found < 0) {
        err_kind_set(err, ERR_CORRUPT, "the query adapter of this index cannot be read: %s",
                     why.msg);
        err_hint(err, "`semsearch tune --remove` takes it away; `semsearch tune` makes it anew");
    }
    return found;
}

int adapter_save(const char *index_dir, const struct adapter *a, struct err *err)
{
    struct cache_stamp stamp = {.dim = a->dim, .count = 1};
    struct cache_writer *w;
    char *path = path_join(index_dir, ADAPTER_FILE);
    cache_stamp_fingerprint(&stamp, a->fingerprint);
    int rc = cache_writer_open(path, &w, err);
    if (rc == 0) {
        cache_section(w, SECTION);
        cache_add(w, a->d, (size_t)a->dim * (size_t)a->dim * sizeof *a->d);
        rc = cache_writer_commit(w, &stamp, NULL, err);
    }
    free(path);
    return rc;
}

int adapter_remove(const char *index_dir, struct err *err)
{
    char *path = path_join(index_dir, ADAPTER_FILE);
    int rc = unlink(path) == 0 ? 1 : errno == ENOENT ? 0 : -1;
    if (rc < 0)
        err_errno(err, "cannot remove '%s'", path);
    free(path);
    return rc;
}

/* ---- applied ---- */

struct adapted {
    struct embedder e; /* first: the wrappers get this */
    struct embedder *inner;
    bool own;
    struct adapter *a;
};

/* x = (I + D) x / |(I + D) x|; y is room for one vector. */
static void apply(const struct adapter *a, float *x, float *y)
{
    const size_t n = (size_t)a->dim;
    for (size_t r = 0; r < n; r++)
        y[r] = x[r] + kern.dot(a->d + r * n, x, n);
    const double length = sqrt(kern.dot_wide(y, y, n));
    if (length <= 0)
        return; /* a text without tokens has no direction to turn */
    for (size_t r = 0; r < n; r++)
        x[r] = (float)((double)y[r] / length);
}

static int embed(struct embedder *e, const struct span *texts, size_t n, enum embed_role role,
                 float *out, int64_t *n_tokens, struct err *err)
{
    const struct adapted *t = (const struct adapted *)e;
    if (t->inner->embed(t->inner, texts, n, role, out, n_tokens, err))
        return -1;
    if (role != EMBED_QUERY)
        return 0;
    float *room = xcalloc((size_t)e->dim, sizeof *room);
    for (size_t i = 0; i < n; i++)
        apply(t->a, out + i * (size_t)e->dim, room);
    free(room);
    return 0;
}

static int tokens(const struct embedder *e, struct span text, struct token_range **ranges,
                  size_t *n, struct err *err)
{
    const struct adapted *t = (const struct adapted *)e;
    return t->inner->tokens(t->inner, text, ranges, n, err);
}

static int overhead(const struct embedder *e, enum embed_role role)
{
    const struct adapted *t = (const struct adapted *)e;
    return t->inner->overhead(t->inner, role);
}

static void close_adapted(struct embedder *e)
{
    struct adapted *t = (struct adapted *)e;
    if (t->own)
        t->inner->close(t->inner);
    adapter_free(t->a);
    free(t);
}

struct embedder *adapter_embedder(struct embedder *inner, bool own, struct adapter *a)
{
    struct adapted *t = xcalloc(1, sizeof *t);
    *t = (struct adapted){.e = *inner, .inner = inner, .own = own, .a = a};
    t->e.embed = embed;
    t->e.tokens = tokens;
    t->e.overhead = overhead;
    t->e.close = close_adapted;
    return &t->e;
}
