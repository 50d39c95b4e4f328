/* tune_map.c - the first rung of `semsearch tune`: a map of questions over the vectors that are
 * there, learned in seconds; see tune.h. */
#include "cli/commands.h"
#include "cli/tune.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <stdlib.h>
#include <string.h>

static int embed_side(const struct tune *t, bool anchors, float *out, struct err *err)
{
    struct embedder *e = t->engine.embedder;
    enum { PART = 512 }; /* so that stop and progress are seen */
    struct span text[PART];
    for (size_t at = 0; at < t->n_train; at += PART) {
        const size_t n = t->n_train - at < PART ? t->n_train - at : PART;
        const struct progress p = {.done = (int64_t)at,
                                   .total = (int64_t)t->n_train,
                                   .phase = anchors ? "embedding questions" : "embedding passages"};
        t->bar.sink.update(t->bar.sink.ctx, &p);
        for (size_t i = 0; i < n; i++)
            text[i] = span_of(anchors ? t->train[at + i]->anchor : t->train[at + i]->passage);
        if (stop_requested())
            return err_kind_set(err, ERR_STOPPED, "stopped");
        if (e->embed(e, text, n, anchors ? EMBED_QUERY : EMBED_PASSAGE, out + at * (size_t)e->dim,
                     NULL, err))
            return -1;
    }
    return 0;
}

/* *out stays NULL when no map was better than none on the pairs that chose it. */
static int train_map(const struct tune *t, struct adapter **out, struct err *err)
{
    const int dim = t->engine.embedder->dim;
    const size_t floats = t->n_train * (size_t)dim;
    float *q = xcalloc(floats, sizeof *q), *p = xcalloc(floats, sizeof *p);
    float *d = xcalloc((size_t)dim * (size_t)dim, sizeof *d);
    uint64_t *group = xcalloc(t->n_train, sizeof *group);
    struct query_map_options o;
    struct query_map_report r;
    query_map_defaults(&o);
    for (size_t i = 0; i < t->n_train; i++)
        group[i] = (uint64_t)t->train[i]->doc;
    int rc = embed_side(t, true, q, err);
    if (rc == 0)
        rc = embed_side(t, false, p, err);
    if (rc == 0)
        rc = query_map_train(q, p, group, t->n_train, dim, &o, d, &r, err);
    if (rc == 0 && r.epoch > 0)
        *out = adapter_new(t->engine.embedder->fingerprint, dim, d);
    free(q);
    free(p);
    free(d);
    free(group);
    return rc;
}

/* Puts the map in place; from then on every query goes through it. */
static int switch_map(struct tune *t, const struct adapter *a, struct embedder *with,
                      struct err *err)
{
    struct store *s;
    if (store_open(t->place.index_dir, STORE_WRITE, &t->bar.sink, &s, err))
        return -1;
    int rc = adapter_save(t->place.index_dir, a, err);
    if (rc == 0)
        rc = search_calibrate(s, with, err);
    store_close(s);
    t->switched = rc == 0;
    return rc;
}

int tune_map(struct tune *t, struct err *err)
{
    struct adapter *map = NULL;
    struct evaluation_bench *bench = NULL;
    struct embedder *with = NULL;
    int rc = train_map(t, &map, err);
    if (rc == 0)
        rc = tune_bench(t, "index", t->engine.embedder, &bench, err);
    if (rc == 0)
        rc = tune_measure_before(t, bench, err);
    with = map ? adapter_embedder(t->engine.embedder, false, map) : NULL;
    if (rc == 0 && with)
        rc = evaluate_ask(bench, with, &t->after, &t->ndcg_after, err);
    if (rc == 0 && with)
        tune_compare(t);
    if (rc == 0 && t->better)
        rc = switch_map(t, map, with, err);
    evaluate_close(bench);
    if (with)
        with->close(with);
    return rc;
}

int tune_map_remove(struct tune *t, struct err *err)
{
    struct store *s; /* the writer's lock; and the background of plain questions comes back */
    if (store_open(t->place.index_dir, STORE_WRITE, &t->bar.sink, &s, err))
        return -1;
    int removed = adapter_remove(t->place.index_dir, err);
    if (removed > 0 && search_calibrate(s, t->engine.embedder, err))
        removed = -1;
    store_close(s);
    if (removed < 0)
        return -1;
    note(removed ? "removed; queries are the model's own again"
                 : "this index has no query adapter");
    return removed ? EXIT_FOUND : EXIT_NOTHING;
}
