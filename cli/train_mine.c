/* train_mine.c - hard negatives from an index (after sentence-transformers' mine_hard_negatives).
 *
 * A model learns most from passages that look right and are not. For every anchor the index is
 * searched by meaning; from its best passages go
 *   - those that hold a positive of that anchor, or stand in one (they are right),
 *   - those that score above (1 - margin) of the anchor's lowest positive: nobody marked them, but
 *     they are too likely to be right as well (false negatives),
 * and the first N that are left are its negatives. A row with fewer gets positives of other rows.
 * The rows are written to a table of their own, and the run goes on as if it had been given that;
 * it keeps a copy, by which it is resumed although the index may have changed.
 */
#include "cli/engine.h"
#include "cli/output.h"
#include "cli/place.h"
#include "cli/train_files.h"
#include "src/base/file.h"
#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEGATIVES_MAX = 16, BATCH = 64 };
#define KEPT   "mined.jsonl"
#define MARGIN 0.05

struct pair_row {
    struct span anchor, positive;
    uint64_t key;  /* of the anchor */
    double cosine; /* of the two */
};

struct mining {
    const struct args *a;
    struct place place;
    struct store *store;
    struct engine engine;
    struct searcher *searcher;
    struct bar bar;
    struct table *table;
    size_t n_tables;
    struct pair_row *row; /* sorted by anchor while mining */
    size_t n;
    int wanted;
    double margin;
    int64_t found, positives, near, filled; /* the counts that are told */
};

static void mining_release(struct mining *m)
{
    searcher_close(m->searcher);
    engine_close(&m->engine);
    store_close(m->store);
    place_release(&m->place);
    for (size_t i = 0; i < m->n_tables; i++)
        table_release(&m->table[i]);
    free(m->table);
    free(m->row);
}

/* ---- rows ---------------------------------------------------------------------------------------
 */

static int read_rows(struct mining *m, struct err *err)
{
    static const char *const wanted[] = {"anchor", "positive", "negative", "negative_1"};
    const struct train_args *t = &m->a->train;
    m->table = xcalloc(t->data.n, sizeof *m->table);
    for (size_t f = 0; f < t->data.n; f++) {
        const struct table_request q = {.wanted = wanted,
                                        .n_wanted = ARRAY_LEN(wanted),
                                        .n_required = 2,
                                        .rename = m->a->columns.item,
                                        .n_rename = m->a->columns.n,
                                        .skip_bad_rows = t->skip_bad_rows};
        if (table_load(t->data.item[f], &q, &m->table[f], err))
            return -1;
        const struct table *table = &m->table[m->n_tables++];
        if (table->has[2] || table->has[3])
            return err_kind_set(err, ERR_USAGE, "--mine-negatives: '%s' has negatives already",
                                table->name);
        m->row = xrealloc_array(m->row, m->n + table->n_rows, sizeof *m->row);
        for (size_t i = 0; i < table->n_rows; i++) {
            const struct span a = span_of(table_cell(table, i, 0));
            m->row[m->n++] = (struct pair_row){
                .anchor = a, .positive = span_of(table_cell(table, i, 1)), .key = hash64(a.p, a.n)};
        }
    }
    return 0;
}

/* How near each anchor is to its positive, by the index's model. */
static int measure(struct mining *m, struct err *err)
{
    struct embedder *e = m->engine.embedder;
    const size_t dim = (size_t)e->dim;
    float *v = xcalloc(2 * BATCH * dim, sizeof *v);
    struct span text[BATCH];
    int rc = 0;
    for (size_t at = 0; at < m->n && rc == 0; at += BATCH) {
        const size_t n = m->n - at < BATCH ? m->n - at : BATCH;
        for (int side = 0; side < 2 && rc == 0; side++) {
            for (size_t i = 0; i < n; i++)
                text[i] = side ? m->row[at + i].positive : m->row[at + i].anchor;
            rc = e->embed(e, text, n, side ? EMBED_PASSAGE : EMBED_QUERY,
                          v + (size_t)side * BATCH * dim, NULL, err);
        }
        for (size_t i = 0; i < n && rc == 0; i++)
            m->row[at + i].cosine = engine_cosine(v + i * dim, v + (BATCH + i) * dim, e->dim);
        const struct progress p = {
            .done = (int64_t)(at + n), .total = (int64_t)m->n, .phase = "measuring positives"};
        m->bar.sink.update(m->bar.sink.ctx, &p);
    }
    free(v);
    return rc;
}

/* ---- one anchor ---------------------------------------------------------------------------------
 */

/* Rows [first, last) have this anchor. */
struct anchor {
    size_t first, last;
    double lowest; /* cosine of its positives */
};

static bool holds(struct span text, struct span part)
{
    return part.n && memmem(text.p, text.n, part.p, part.n) != NULL;
}

static bool is_positive(const struct mining *m, const struct anchor *a, struct span text)
{
    const struct span t = span_trim(text);
    for (size_t i = a->first; i < a->last; i++) {
        const struct span p = span_trim(m->row[i].positive);
        if (holds(t, p) || holds(p, t))
            return true;
    }
    return false;
}

/* The passages of an answer that are negatives, at most m->wanted, owned. */
static int choose(struct mining *m, const struct anchor *a, const struct search_answer *answer,
                  char **out, int *n, struct err *err)
{
    struct str text = {0};
    int rc = 0;
    *n = 0;
    for (size_t i = 0; i < answer->n && *n < m->wanted && rc == 0; i++) {
        const struct search_result *r = &answer->item[i];
        str_clear(&text);
        rc = store_text(m->store, r->doc.id, &text, err);
        const struct span passage =
            span_trim(span_sub(str_view(&text), (size_t)r->chunk.start, (size_t)r->chunk.end));
        if (rc || passage.n == 0)
            continue;
        if (is_positive(m, a, passage)) {
            m->positives++;
        } else if (r->cosine > a->lowest - m->margin * (a->lowest > 0 ? a->lowest : 0)) {
            m->near++;
        } else {
            out[(*n)++] = xstrndup(passage.p, passage.n);
            m->found++;
        }
    }
    str_release(&text);
    return rc;
}

/* A positive of another anchor that is none of this one's; which is a matter of the row alone. */
static struct span other_positive(const struct mining *m, const struct anchor *a, size_t row, int i)
{
    enum { TRIES = 32 }; /* some text may be right for nearly all anchors */
    const size_t others = m->n - (a->last - a->first);
    struct span text = {0};
    for (uint64_t k = 0; k < TRIES; k++) {
        const uint64_t numbers[] = {row, (uint64_t)i, k};
        const size_t at = hash64(numbers, sizeof numbers) % others;
        text = m->row[at < a->first ? at : at + (a->last - a->first)].positive;
        if (!is_positive(m, a, text))
            break;
    }
    return text;
}

/* The key that a column has in the data, so that --columns holds for the new table too. */
static char *key_of(const struct args *a, const char *wanted)
{
    const size_t n = strlen(wanted);
    for (size_t i = 0; i < a->columns.n; i++) {
        struct span rest = span_of(a->columns.item[i]), piece;
        while (span_split(&rest, ',', &piece))
            if (piece.n > n && memcmp(piece.p, wanted, n) == 0 && piece.p[n] == '=')
                return xstrndup(piece.p + n + 1, piece.n - n - 1);
    }
    return xstrdup(wanted);
}

static void write_rows(struct mining *m, const struct anchor *a, char **negative, int n,
                       struct outfile *f)
{
    char *keys[] = {key_of(m->a, "anchor"), key_of(m->a, "positive")};
    struct str line = {0};
    for (size_t i = a->first; i < a->last; i++) {
        struct json_writer w;
        jw_init(&w, &line);
        jw_object(&w);
        jw_kstring(&w, keys[0], m->row[i].anchor);
        jw_kstring(&w, keys[1], m->row[i].positive);
        for (int k = 0; k < m->wanted; k++) {
            char key[24];
            snprintf(key, sizeof key, "negative_%d", k + 1);
            m->filled += k >= n;
            jw_kstring(&w, key, k < n ? span_of(negative[k]) : other_positive(m, a, i, k));
        }
        jw_end(&w);
        str_putc(&line, '\n');
        outfile_write(f, line.p, line.n);
        str_clear(&line);
    }
    str_release(&line);
    free(keys[0]);
    free(keys[1]);
}

static int mine_anchor(struct mining *m, const struct anchor *a, struct outfile *f, struct err *err)
{
    /* sentence-transformers looks at ten times as many when a margin is set */
    const struct search_options o = {.mode = SEARCH_VECTOR,
                                     .k = 10 * m->wanted + (int)(a->last - a->first),
                                     .min_score = -1,
                                     .since_ns = INT64_MIN,
                                     .until_ns = INT64_MAX};
    struct search_answer answer = {0};
    char *negative[NEGATIVES_MAX] = {0};
    int n = 0;
    int rc = search_text(m->searcher, m->row[a->first].anchor, &o, &answer, err);
    if (rc == 0)
        rc = choose(m, a, &answer, negative, &n, err);
    if (rc == 0)
        write_rows(m, a, negative, n, f);
    for (int i = 0; i < n; i++)
        free(negative[i]);
    search_answer_release(&answer);
    return rc;
}

static int by_anchor(const void *a, const void *b)
{
    const struct pair_row *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static int mine_all(struct mining *m, struct outfile *f, struct err *err)
{
    int rc = 0;
    qsort(m->row, m->n, sizeof *m->row, by_anchor);
    if (m->n == 0 || m->row[0].key == m->row[m->n - 1].key)
        return err_kind_set(err, ERR_FORMAT, "all rows have the same anchor");
    for (size_t at = 0; at < m->n && rc == 0;) {
        struct anchor a = {.first = at, .last = at, .lowest = m->row[at].cosine};
        while (a.last < m->n && m->row[a.last].key == m->row[at].key) {
            if (m->row[a.last].cosine < a.lowest)
                a.lowest = m->row[a.last].cosine;
            a.last++;
        }
        rc = stop_requested() ? err_kind_set(err, ERR_STOPPED, "stopped")
                              : mine_anchor(m, &a, f, err);
        at = a.last;
        const struct progress p = {
            .done = (int64_t)at, .total = (int64_t)m->n, .phase = "mining negatives"};
        m->bar.sink.update(m->bar.sink.ctx, &p);
    }
    return rc;
}

/* ---- the door -----------------------------------------------------------------------------------
 */

static int make_file(struct mined *out, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    out->dir = path_join(tmp && *tmp ? tmp : "/tmp", "semsearch-mined-XXXXXX");
    if (!mkdtemp(out->dir)) {
        err_errno(err, "cannot make a scratch folder '%s'", out->dir);
        free(out->dir);
        out->dir = NULL;
        return err_hint(err, "set TMPDIR to a folder with room");
    }
    out->file = path_join(out->dir, KEPT);
    return 0;
}

static int check_options(const struct train_args *t, struct err *err)
{
    if (t->mine_negatives < 0)
        return err_kind_set(err, ERR_USAGE, "--mine-margin is for --mine-negatives");
    if (t->mine_negatives < 1 || t->mine_negatives > NEGATIVES_MAX)
        return err_kind_set(err, ERR_USAGE, "--mine-negatives %lld: from 1 to %d",
                            (long long)t->mine_negatives, NEGATIVES_MAX);
    if (t->mine_margin > 1)
        return err_kind_set(err, ERR_USAGE, "--mine-margin %g: from 0 to 1", t->mine_margin);
    if (t->loss && strcmp(t->loss, "triplet") == 0 && t->mine_negatives > 1)
        return err_kind_set(err, ERR_USAGE, "--loss triplet takes one negative a row, not %lld",
                            (long long)t->mine_negatives);
    return 0;
}

/* The rows that the run to be resumed was given. */
static bool kept_rows(const struct train_options *o, struct mined *out)
{
    char *dir = o->resume ? train_out_dir(NULL, o->resume) : NULL;
    char *file = dir ? path_join(dir, KEPT) : NULL;
    free(dir);
    if (file && file_exists(file)) {
        note("the negatives are those that '%s' holds", file);
        out->file = file;
        return true;
    }
    free(file);
    return false;
}

static int open_index(struct mining *m, struct err *err)
{
    if (place_open(m->a, STORE_READ, NULL, &m->place, &m->store, err) ||
        engine_for_questions(m->a, m->store, &m->engine, err))
        return -1;
    if (!m->engine.embedder && engine_embedder(&m->engine, err))
        return -1;
    return searcher_open(m->store, m->engine.embedder, &m->searcher, err);
}

static int mine(const struct args *a, struct mined *out, struct err *err)
{
    struct mining m = {.a = a,
                       .wanted = (int)a->train.mine_negatives,
                       .margin = a->train.mine_margin >= 0 ? a->train.mine_margin : MARGIN};
    struct outfile f;
    bar_init(&m.bar, a);
    int rc = read_rows(&m, err) || open_index(&m, err) || measure(&m, err) || make_file(out, err)
                 ? -1
                 : 0;
    if (rc == 0 && outfile_open(&f, out->file, err) == 0) {
        rc = mine_all(&m, &f, err);
        if (rc)
            outfile_abandon(&f);
        else
            rc = outfile_commit(&f, err);
    } else {
        rc = -1;
    }
    bar_end(&m.bar);
    if (rc == 0)
        note("mined %lld negatives for %zu rows; passed over: %lld that hold a positive, %lld too "
             "near to it; filled up: %lld with positives of other rows",
             (long long)m.found, m.n, (long long)m.positives, (long long)m.near,
             (long long)m.filled);
    mining_release(&m);
    return rc;
}

int train_mine(const struct args *a, struct train_options *o, struct mined *out, struct err *err)
{
    if (a->train.mine_negatives < 0 && a->train.mine_margin < 0)
        return 0;
    if (check_options(&a->train, err))
        return -1;
    if (!kept_rows(o, out)) {
        if (!o->resume && train_check_out(o->out, o->overwrite, err))
            return -1;
        if (mine(a, out, err))
            return -1;
    }
    out->name[0] = out->file;
    o->data.file = out->name;
    o->data.n_files = 1;
    o->data.keep = KEPT;
    return 0;
}

void mined_release(struct mined *m)
{
    if (m->dir)
        (void)!dir_remove_tree(m->dir, NULL);
    free(m->dir);
    free(m->file);
    *m = (struct mined){0};
}
