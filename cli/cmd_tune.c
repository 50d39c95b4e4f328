/* cmd_tune.c - `semsearch tune`: better search from a folder alone.
 *
 * Pairs are made from the indexed documents (index/tune/pairs.h), a share of the documents is held
 * out, and something is trained on the rest: a map of questions over the vectors that are there
 * (seconds), or with --full the encoder itself. Then the held-out questions are asked before and
 * after, and the new state is taken only when search is better beyond what chance explains.
 */
#include "cli/commands.h"
#include "cli/tune.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    QUESTIONS_MAX = 400,
    QUESTIONS_MIN = 30, /* fewer tell nothing */
    PASSAGES_MAX = 3000,
    PAIRS_MAX = 6000, /* that are trained on */
    PAIRS_MIN = 100
};
#define HELD_SHARE 0.2

static void tune_release(struct tune *t)
{
    free(t->train);
    free(t->group);
    free(t->ndcg_before);
    free(t->ndcg_after);
    free(t->model);
    pair_list_release(&t->pairs);
    engine_close(&t->engine);
    store_close(t->store);
    place_release(&t->place);
    if (t->scratch && dir_remove_tree(t->scratch, NULL))
        note("cannot remove the scratch folder '%s'", t->scratch);
    free(t->scratch);
}

/* ---- the index ---- */

/* DIR's index, or the one that --index or the current folder names. */
static int open_place(struct tune *t, struct err *err)
{
    struct args with = *t->a;
    char *dir = NULL, *found = NULL;
    if (t->a->n_pos > 1) {
        err_kind_set(err, ERR_USAGE, "expected at most one DIR");
        return err_hint(err, "semsearch tune ~/notes");
    }
    if (t->a->n_pos == 1 && !t->a->index) {
        dir = path_absolute(t->a->pos[0], err);
        if (!dir)
            return err_hint(err, "give a folder that exists");
        found = place_above(dir);
        if (!found) {
            err_kind_set(err, ERR_NO_INDEX, "there is no index at or above '%s'", t->a->pos[0]);
            free(dir);
            return err_hint(err, "semsearch index '%s' makes one", t->a->pos[0]);
        }
        with.index = found;
    }
    const int rc = place_open(&with, STORE_READ, NULL, &t->place, &t->store, err);
    free(dir);
    free(found);
    return rc;
}

/* ---- pairs ---- */

static int by_draw(const void *a, const void *b)
{
    const struct pair *x = *(const struct pair *const *)a, *y = *(const struct pair *const *)b;
    const uint64_t hx = hash64_seed(x->anchor, strlen(x->anchor), TUNE_SEED);
    const uint64_t hy = hash64_seed(y->anchor, strlen(y->anchor), TUNE_SEED);
    return hx < hy ? -1 : hx > hy;
}

static int collect(struct tune *t, struct err *err)
{
    const struct pairs_options o = {.seed = TUNE_SEED, .held_share = HELD_SHARE};
    if (pairs_collect(t->store, &o, &t->bar.sink, &t->pairs, err))
        return -1;
    t->train = xcalloc(t->pairs.n + 1, sizeof *t->train);
    for (size_t i = 0; i < t->pairs.n; i++)
        if (!t->pairs.item[i].held)
            t->train[t->n_train++] = &t->pairs.item[i];
    qsort(t->train, t->n_train, sizeof *t->train, by_draw);
    t->n_train = t->n_train < PAIRS_MAX ? t->n_train : PAIRS_MAX;
    return 0;
}

/* ---- what is held out ---- */

static int make_scratch(struct tune *t, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = path_join(tmp && *tmp ? tmp : "/tmp", "semsearch-tune-XXXXXX");
    if (!mkdtemp(dir)) {
        err_errno(err, "cannot make a scratch folder '%s'", dir);
        err_hint(err, "set TMPDIR to a folder with room");
        free(dir);
        return -1;
    }
    t->scratch = dir;
    char *data = path_join(dir, "data");
    const int rc = held_write(&t->pairs, data, QUESTIONS_MAX, PASSAGES_MAX, TUNE_SEED, &t->held,
                              &t->group, err);
    free(data);
    return rc;
}

/* ---- the command ---- */

static int too_few(const struct tune *t, struct err *err)
{
    err_kind_set(err, ERR_NOT_FOUND,
                 "too little to learn from: %zu pairs to train on (at least %d), %zu questions to "
                 "measure with (at least %d)",
                 t->n_train, PAIRS_MIN, t->held.questions, QUESTIONS_MIN);
    return err_hint(err, "index more documents that have titles and headings");
}

static int run(struct tune *t, struct err *err)
{
    if (open_place(t, err) || engine_of_index(t->a, t->store, &t->engine, err))
        return -1;
    if (t->a->remove)
        return tune_map_remove(t, err);
    if (collect(t, err) || make_scratch(t, err))
        return -1;
    if (t->a->pairs && tune_write_pairs(t, t->a->pairs, true, err))
        return -1;
    if (t->a->dry_run) {
        bar_end(&t->bar);
        tune_report(t);
        return EXIT_FOUND;
    }
    if (t->n_train < PAIRS_MIN || t->held.questions < QUESTIONS_MIN)
        return too_few(t, err);
    if ((t->a->full ? tune_model(t, err) : tune_map(t, err)))
        return -1;
    bar_end(&t->bar);
    tune_report(t);
    return t->better && t->model ? tune_model_switch(t, err) : EXIT_FOUND;
}

int cmd_tune(const struct args *a, struct err *err)
{
    struct tune t = {.a = a, .started_ms = clock_ms()};
    bar_init(&t.bar, a);
    const int rc = run(&t, err);
    bar_end(&t.bar);
    tune_release(&t);
    return rc;
}
