/* snapshot.c - opening the caches and searching them as one sequence of rows; see snapshot.h and
 * snapshot_files.h.
 *
 * Rows are numbered through up to three images: base, delta, and `fresh`, what came after these and
 * was read from the store into memory when this process opened. Rows removed from the store since
 * are masked. Each image is searched by itself and the best k are merged: cosines compare as they
 * are, and keyword weights are taken over all images together.
 *
 * Opening races with a writer that replaces the files and then forgets which chunks were removed
 * before. So the files are looked at again at the end; when they or the generation have changed
 * meanwhile, opening starts over.
 */
#include "index/snapshot.h"

#include "index/keyword/keyword.h"
#include "index/snapshot_files.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PARTS_MAX = 3, OPEN_TRIES = 5 };

struct part {
    struct image image;
    int64_t row0;   /* number of its first row */
    uint64_t *live; /* NULL: all */
};

struct snapshot {
    struct part part[PARTS_MAX];
    int n_parts;
    int64_t n_rows;
    struct graph graph; /* over part 0 */
    struct snapshot_state state;
};

/* ---- files */

char *snapshot_path(const struct store *s, const char *file)
{
    return xasprintf("%s/cache/%s", store_dir(s), file);
}

int base_open(const struct store *s, const char *fingerprint, int dim, struct image *base,
              struct err *err)
{
    struct cache_stamp want = {0};
    cache_stamp_fingerprint(&want, fingerprint);
    char *path = snapshot_path(s, "base");
    int rc = image_open(path, base, err);
    if (rc == 0 && (base->file.stamp.dim != dim ||
                    strcmp(base->file.stamp.fingerprint, want.fingerprint) != 0)) {
        image_close(base);
        rc = err_kind_set(err, ERR_INCOMPATIBLE, "cache '%s' is of another model", path);
    }
    free(path);
    return rc;
}

int delta_open(const struct store *s, const struct image *base, struct image *delta,
               struct err *err)
{
    char *path = snapshot_path(s, "delta");
    int rc = image_open(path, delta, err);
    if (rc == 0 && (!hash_equal(delta->file.stamp.base, base->file.stamp.id) ||
                    delta->vec.dim != base->vec.dim)) {
        image_close(delta);
        rc = err_kind_set(err, ERR_NOT_FOUND, "cache '%s' belongs to an older one", path);
    }
    free(path);
    return rc;
}

int graph_open(const struct store *s, const struct image *base, struct graph *g, struct err *err)
{
    memset(g, 0, sizeof *g);
    char *path = snapshot_path(s, "graph");
    int rc = cachefile_open(path, &g->file, err);
    if (rc == 0 && !hash_equal(g->file.stamp.base, base->file.stamp.id))
        rc = err_kind_set(err, ERR_NOT_FOUND, "cache '%s' belongs to an older one", path);
    if (rc == 0) {
        int64_t n = 0;
        const char *name = cachefile_get(&g->file, "ann.kind", 1, &n);
        char kind[16] = "";
        if (name && n < (int64_t)sizeof kind)
            memcpy(kind, name, (size_t)n);
        g->kind = ann_find(kind);
        rc = g->kind && g->kind->open
                 ? g->kind->open(&g->file, &base->vec, &g->state, err)
                 : err_kind_set(err, ERR_CORRUPT, "cache '%s' is of an unknown kind", path);
    }
    if (rc)
        graph_close(g);
    free(path);
    return rc;
}

void graph_close(struct graph *g)
{
    if (g->kind && g->kind->close && g->state)
        g->kind->close(g->state);
    cachefile_close(&g->file);
    memset(g, 0, sizeof *g);
}

/* ---- opening */

static void add_part(struct snapshot *s, struct image image)
{
    s->part[s->n_parts++] = (struct part){.image = image, .row0 = s->n_rows};
    s->n_rows += image.n;
}

static void note_problem(struct snapshot *s, const struct err *e)
{
    if (e->kind != ERR_NOT_FOUND && e->kind != ERR_INCOMPATIBLE && !s->state.problem[0])
        snprintf(s->state.problem, sizeof s->state.problem, "%.255s", e->msg);
}

/* What the files have. Returns the generation up to which they know of new chunks. */
static int64_t open_files(struct snapshot *out, const struct store *s, const char *fingerprint,
                          int dim)
{
    struct image image;
    struct err why = {0};
    if (base_open(s, fingerprint, dim, &image, &why)) {
        note_problem(out, &why);
        return -1;
    }
    add_part(out, image);
    int64_t generation = image.file.stamp.generation;
    why = (struct err){0};
    if (graph_open(s, &out->part[0].image, &out->graph, &why))
        note_problem(out, &why);
    why = (struct err){0};
    if (delta_open(s, &out->part[0].image, &image, &why)) {
        note_problem(out, &why);
    } else {
        add_part(out, image);
        if (image.file.stamp.generation > generation)
            generation = image.file.stamp.generation;
    }
    out->state.count = out->n_rows;
    return generation;
}

static int64_t last_chunk(const struct snapshot *s)
{
    int64_t last = 0;
    for (int i = 0; i < s->n_parts; i++)
        if (image_last(&s->part[i].image) > last)
            last = image_last(&s->part[i].image);
    return last;
}

static void mask_row(struct snapshot *s, int64_t chunk)
{
    for (int i = 0; i < s->n_parts; i++) {
        struct part *p = &s->part[i];
        const int64_t row = image_find(&p->image, chunk);
        if (row < 0)
            continue;
        if (!p->live) {
            const size_t bytes = (size_t)bit_words(p->image.n) * sizeof *p->live;
            p->live = xmalloc(bytes);
            memset(p->live, 0xFF, bytes);
        }
        bit_clear(p->live, row);
    }
}

static int mask_removed(struct snapshot *out, struct store *s, struct err *err)
{
    int64_t *ids = NULL;
    size_t n = 0;
    if (out->n_rows == 0)
        return 0;
    if (store_removed(s, last_chunk(out), &ids, &n, err))
        return -1;
    for (size_t i = 0; i < n; i++)
        mask_row(out, ids[i]);
    free(ids);
    return 0;
}

static int add_fresh(struct snapshot *out, struct store *s, const char *fingerprint, int dim,
                     int64_t generation, struct err *err)
{
    struct image_source source = {.s = s, .after = last_chunk(out)};
    struct image fresh;
    source.stamp.generation = generation;
    source.stamp.dim = dim;
    cache_stamp_fingerprint(&source.stamp, fingerprint);
    if (out->n_parts)
        source.mean_length = out->part[0].image.kw.mean_length;
    if (image_write(&source, NULL, &fresh, err))
        return -1;
    if (fresh.n)
        add_part(out, fresh);
    else
        image_close(&fresh);
    return 0;
}

static int try_open(struct store *s, const char *fingerprint, int dim, struct snapshot *out,
                    struct err *err)
{
    int64_t generation;
    if (store_generation(s, &generation, err))
        return -1;
    const int64_t known = open_files(out, s, fingerprint, dim);
    out->state.stale = known != generation;
    if (mask_removed(out, s, err))
        return -1;
    if (known == generation)
        return 0;
    return add_fresh(out, s, fingerprint, dim, generation, err);
}

static void clear(struct snapshot *s)
{
    for (int i = 0; i < s->n_parts; i++) {
        image_close(&s->part[i].image);
        free(s->part[i].live);
    }
    graph_close(&s->graph);
    memset(s, 0, sizeof *s);
}

/* Names the present files: another value means that a writer replaced some. */
static uint64_t files_identity(const struct store *s)
{
    static const char *const name[] = {"base", "delta", "graph"};
    uint64_t sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(name); i++) {
        struct stat st;
        char *path = snapshot_path(s, name[i]);
        if (stat(path, &st) == 0) {
            const int64_t v[] = {(int64_t)st.st_ino, st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                                 st.st_size};
            sum = hash64_seed(v, sizeof v, sum + i);
        }
        free(path);
    }
    return sum;
}

int snapshot_open(struct store *s, const char *fingerprint, int dim, struct snapshot **out,
                  struct err *err)
{
    if (dim < 1 || dim > VECTOR_DIM_MAX)
        return err_set(err, "vectors of %d numbers cannot be searched", dim);
    struct snapshot *n = xcalloc(1, sizeof *n);
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        int64_t before, after;
        const uint64_t files = files_identity(s);
        clear(n);
        if (store_generation(s, &before, err) || try_open(s, fingerprint, dim, n, err) ||
            store_generation(s, &after, err)) {
            snapshot_close(n);
            return -1;
        }
        if (before == after && files == files_identity(s))
            break;
    }
    n->state.kind = n->graph.kind ? n->graph.kind->name : ann_flat.name;
    *out = n;
    return 0;
}

void snapshot_close(struct snapshot *s)
{
    if (!s)
        return;
    clear(s);
    free(s);
}

/* ---- rows */

int64_t snapshot_rows(const struct snapshot *s)
{
    return s->n_rows;
}

static const struct part *part_of(const struct snapshot *s, int64_t row)
{
    for (int i = s->n_parts - 1; i >= 0; i--)
        if (row >= s->part[i].row0)
            return row < s->n_rows && row >= 0 ? &s->part[i] : NULL;
    return NULL;
}

int64_t snapshot_chunk(const struct snapshot *s, int64_t row)
{
    const struct part *p = part_of(s, row);
    return p ? p->image.chunk[row - p->row0] : 0;
}

int64_t snapshot_doc(const struct snapshot *s, int64_t row)
{
    const struct part *p = part_of(s, row);
    return p ? p->image.doc[row - p->row0] : 0;
}

bool snapshot_live(const struct snapshot *s, int64_t row)
{
    const struct part *p = part_of(s, row);
    return p && (!p->live || bit_get(p->live, row - p->row0));
}

void snapshot_state(const struct snapshot *s, struct snapshot_state *out)
{
    *out = s->state;
}

/* ---- filters: the caller's bits are over all rows, a part's over its own */

static uint64_t bits_from(const uint64_t *bits, int64_t n_bits, int64_t at)
{
    const int64_t w = at >> 6, shift = at & 63;
    const uint64_t low = bits[w] >> shift;
    return shift && w + 1 < bit_words(n_bits) ? low | bits[w + 1] << (64 - shift) : low;
}

struct part_filter {
    struct row_filter filter;
    uint64_t *owned; /* NULL: every row of the part */
};

static struct part_filter part_filter_make(const struct snapshot *s, const struct part *p,
                                           const struct row_filter *user)
{
    struct part_filter f = {0};
    const uint64_t *bits = user ? user->bits : NULL;
    if (!bits && !p->live)
        return f;
    const int64_t words = bit_words(p->image.n);
    f.owned = xmalloc((size_t)words * sizeof *f.owned);
    for (int64_t w = 0; w < words; w++)
        f.owned[w] = (bits ? bits_from(bits, s->n_rows, p->row0 + 64 * w) : ~(uint64_t)0) &
                     (p->live ? p->live[w] : ~(uint64_t)0);
    f.filter = (struct row_filter){f.owned, bit_count(f.owned, p->image.n)};
    return f;
}

static const struct row_filter *part_filter_get(const struct part_filter *f)
{
    return f->owned ? &f->filter : NULL;
}

/* ---- vectors */

static int64_t nearest_in(const struct snapshot *s, const struct part *p, const float *query,
                          int64_t k, const struct row_filter *filter, bool exact, struct hit *out)
{
    const struct ann_kind *kind = p == &s->part[0] ? s->graph.kind : NULL;
    return kind && !exact ? kind->search(s->graph.state, &p->image.vec, query, k, filter, out)
                          : flat_search(&p->image.vec, query, k, filter, out);
}

int64_t snapshot_nearest(struct snapshot *s, const float *query, int64_t k,
                         const struct row_filter *filter, bool exact, struct hit *out)
{
    k = k < s->n_rows ? k : s->n_rows;
    if (k <= 0)
        return 0;
    struct topk best = {.item = out, .k = k};
    struct hit *own = xmalloc((size_t)k * sizeof *own);
    for (int i = 0; i < s->n_parts; i++) {
        const struct part *p = &s->part[i];
        const struct part_filter f = part_filter_make(s, p, filter);
        const int64_t n = nearest_in(s, p, query, k, part_filter_get(&f), exact, own);
        for (int64_t h = 0; h < n; h++)
            topk_push(&best, p->row0 + own[h].row, own[h].score);
        free(f.owned);
    }
    free(own);
    return topk_finish(&best);
}

void snapshot_cosines(struct snapshot *s, const float *query, const int64_t *rows, size_t n,
                      float *out)
{
    for (size_t i = 0; i < n; i++) {
        const int64_t ahead = i + VECTORS_AHEAD < n ? rows[i + VECTORS_AHEAD] : -1;
        const struct part *p = part_of(s, ahead);
        if (p)
            vectors_prefetch(&p->image.vec, ahead - p->row0);
        p = part_of(s, rows[i]);
        out[i] = p ? vectors_dot(&p->image.vec, query, rows[i] - p->row0) : 0;
    }
}

/* ---- words */

static void weigh(const struct snapshot *s, const struct keyword_query *q,
                  float weight[KEYWORD_TERMS_MAX])
{
    const struct postings *p[PARTS_MAX];
    for (int i = 0; i < s->n_parts; i++)
        p[i] = &s->part[i].image.kw;
    keyword_weights(q, p, (size_t)s->n_parts, weight);
}

int64_t snapshot_keyword(struct snapshot *s, const struct keyword_query *q, int64_t k,
                         const struct row_filter *filter, struct hit *out)
{
    float weight[KEYWORD_TERMS_MAX];
    struct topk best = {.item = out, .k = k < s->n_rows ? k : s->n_rows};
    if (best.k <= 0)
        return 0;
    weigh(s, q, weight);
    for (int i = 0; i < s->n_parts; i++) {
        const struct part *p = &s->part[i];
        const struct part_filter f = part_filter_make(s, p, filter);
        keyword_search(q, &p->image.kw, weight, part_filter_get(&f), p->row0, &best);
        free(f.owned);
    }
    return topk_finish(&best);
}

void snapshot_keyword_score(struct snapshot *s, const struct keyword_query *q, const int64_t *rows,
                            size_t n, float *out)
{
    float weight[KEYWORD_TERMS_MAX];
    weigh(s, q, weight);
    for (size_t i = 0; i < n; i++)
        out[i] = 0;
    for (int i = 0; i < s->n_parts; i++)
        keyword_score(q, &s->part[i].image.kw, weight, s->part[i].row0, rows, n, out);
}

float snapshot_keyword_ceiling(struct snapshot *s, const struct keyword_query *q)
{
    float weight[KEYWORD_TERMS_MAX], sum = 0;
    weigh(s, q, weight);
    for (size_t t = 0; t < keyword_term_count(q); t++)
        sum += weight[t];
    return sum;
}
