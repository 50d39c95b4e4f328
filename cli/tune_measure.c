/* tune_measure.c - the pairs as a file, and the held-out questions before and after: what both
 * rungs of `semsearch tune` stand on. */
#include "cli/tune.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <stdlib.h>

/* anchor, positive and kind, one pair a line: what `train sentence-similarity` reads. */
int tune_write_pairs(const struct tune *t, const char *path, bool all, struct err *err)
{
    struct outfile f;
    struct str s = {0};
    if (outfile_open(&f, path, err))
        return -1;
    str_puts(&s, "anchor\tpositive\tkind\theld_out\n");
    const size_t n = all ? t->pairs.n : t->n_train;
    for (size_t i = 0; i < n; i++) {
        const struct pair *p = all ? &t->pairs.item[i] : t->train[i];
        str_printf(&s, "%s\t%s\t%s\t%d\n", p->anchor, p->passage, pair_kind_name(p->kind), p->held);
        outfile_write(&f, s.p, s.n);
        str_clear(&s);
    }
    str_release(&s);
    return outfile_commit(&f, err);
}

int tune_bench(const struct tune *t, const char *name, struct embedder *e,
               struct evaluation_bench **out, struct err *err)
{
    char *data = path_join(t->scratch, "data"), *index = path_join(t->scratch, name);
    const struct evaluate_options o = {.data = data, .scratch = index};
    const int rc = evaluate_open(&o, e, &t->bar.sink, out, err);
    free(data);
    free(index);
    return rc;
}

/* One mode's figures, question by question; evaluation_release() would free the groups too. */
static struct evaluation figures(const struct tune *t, const double *ndcg, size_t mode)
{
    const size_t n = t->held.questions;
    struct evaluation e = {.group = t->group, .n_units = n, .n_measures = 1};
    e.unit = xcalloc(n, sizeof *e.unit);
    e.measure[0].name = "ndcg@10";
    for (size_t i = 0; i < n; i++) {
        e.unit[i] = ndcg[i * TUNE_MODES + mode];
        e.measure[0].value += e.unit[i] / (double)n;
    }
    return e;
}

void tune_compare(struct tune *t)
{
    t->measured = true;
    for (size_t mode = 0; mode < TUNE_MODES; mode++) {
        const struct evaluation before = figures(t, t->ndcg_before, mode),
                                after = figures(t, t->ndcg_after, mode);
        evaluation_compare(&before, &after, TUNE_SEED, &t->verdict[mode]);
        free(before.unit);
        free(after.unit);
    }
    t->better = t->verdict[SEARCH_HYBRID].better > 0 && t->verdict[SEARCH_VECTOR].better >= 0;
}

int tune_measure_before(struct tune *t, struct evaluation_bench *b, struct err *err)
{
    struct embedder *e = t->engine.embedder;
    struct adapter *have;
    if (adapter_load(t->place.index_dir, e->fingerprint, e->dim, &have, NULL) < 0)
        note("the query adapter of this index is damaged; measured without it");
    if (!have)
        return evaluate_ask(b, e, &t->before, &t->ndcg_before, err);
    struct embedder *with = adapter_embedder(e, false, have);
    const int rc = evaluate_ask(b, with, &t->before, &t->ndcg_before, err);
    with->close(with);
    return rc;
}
