/* runner.c - see runner.h. */
#include "encoder/model/runner.h"

#include "src/base/stop.h"

#include <stdlib.h>
#include <string.h>

/* What one worker needs for one batch. */
struct session {
    struct tape tape;
    struct learner_slots slots;
    int *token, *type, *pick; /* [cap_tok] */
    int *start, *skip;        /* [cap_seq] and one */
    int cap_tok, cap_seq;
    struct batch batch;
};

/* One call, seen by the workers. */
struct run {
    struct runner *r;
    const struct run_sequence *seq;
    int skip;
    void (*take)(void *ctx, int item, const struct seq_output *o);
    void *ctx;
    struct failure failure;
};

void failure_set(struct failure *f, const struct err *err)
{
    bool no = false;
    if (atomic_compare_exchange_strong(&f->set, &no, true))
        f->err = *err;
}

bool failure_seen(struct failure *f)
{
    return atomic_load_explicit(&f->set, memory_order_relaxed);
}

/* ---- batches ------------------------------------------------------------------------------------
 */

static int longest_first(const void *a, const void *b, void *ctx)
{
    const struct run_sequence *s = ctx;
    const int x = *(const int *)a, y = *(const int *)b;
    if (s[x].n != s[y].n)
        return s[x].n < s[y].n ? 1 : -1;
    return (x > y) - (x < y);
}

/* Sorts the sequences and cuts them into batches; returns how many. */
static int make_batches(struct runner *r, const struct run_sequence *seq, int n)
{
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        r->order[i] = i;
        total += (size_t)seq[i].n;
    }
    qsort_r(r->order, (size_t)n, sizeof *r->order, longest_first, (void *)(uintptr_t)seq);
    /* Few tokens: smaller batches so that every worker has one; very few: one batch for all. */
    size_t budget = RUN_TOKENS;
    const size_t share = total / (size_t)r->n_workers + 1;
    if (share < RUN_SPLIT)
        budget = total;
    else if (share < RUN_TOKENS)
        budget = share;
    int n_batches = 0, in_batch = 0;
    r->batch_start[0] = 0;
    for (int i = 0; i < n; i++) {
        const int len = seq[r->order[i]].n;
        if (in_batch && (size_t)(in_batch + len) > budget) {
            r->batch_start[++n_batches] = i;
            in_batch = 0;
        }
        in_batch += len;
    }
    r->batch_start[++n_batches] = n;
    return n_batches;
}

static int session_reserve(struct session *s, int n_tok, int n_seq, struct err *err)
{
    void *p;
    if (n_tok > s->cap_tok) {
        free(s->token);
        s->token = NULL;
        s->cap_tok = 0;
        if (mem_try(&p, 3 * (size_t)n_tok * sizeof *s->token, "a batch", err))
            return -1;
        s->token = p;
        s->type = s->token + n_tok;
        s->pick = s->type + n_tok;
        s->cap_tok = n_tok;
    }
    if (n_seq > s->cap_seq) {
        free(s->start);
        free(s->skip);
        s->start = xmalloc(((size_t)n_seq + 1) * sizeof *s->start);
        s->skip = xmalloc((size_t)n_seq * sizeof *s->skip);
        s->cap_seq = n_seq;
    }
    return 0;
}

/* Copies one sequence to the batch's end. */
static void append(struct session *s, const struct run_sequence *q, int skip)
{
    struct batch *b = &s->batch;
    const size_t bytes = (size_t)q->n * sizeof *s->token;
    memcpy(s->token + b->n_tok, q->id, bytes);
    if (q->type)
        memcpy(s->type + b->n_tok, q->type, bytes);
    else
        memset(s->type + b->n_tok, 0, bytes);
    for (int k = 0; k < q->n_pick; k++)
        s->pick[b->n_pick++] = b->n_tok + q->pick[k];
    s->start[b->n_seq] = b->n_tok;
    s->skip[b->n_seq++] = skip;
    b->n_tok += q->n;
}

/* Packs sequences order[i0..i1) that have tokens. */
static int pack(const struct run *run, struct session *s, int i0, int i1, struct err *err)
{
    const int *order = run->r->order;
    int n_tok = 0;
    for (int i = i0; i < i1; i++)
        n_tok += run->seq[order[i]].n;
    if (session_reserve(s, n_tok, i1 - i0, err))
        return -1;
    s->batch = (struct batch){
        .token = s->token, .type = s->type, .start = s->start, .skip = s->skip, .pick = s->pick};
    for (int i = i0; i < i1 && run->seq[order[i]].n;
         i++) /* longest first: only empty ones follow */
        append(s, &run->seq[order[i]], run->skip);
    if (s->batch.n_seq)
        s->start[s->batch.n_seq] = n_tok;
    return 0;
}

/* ---- running ------------------------------------------------------------------------------------
 */

/* The first row of a sequence in an output. */
static const float *rows_of(const struct session *s, int slot, int seq, int picked)
{
    if (slot < 0)
        return NULL;
    const struct slot *x = &s->tape.slot[slot];
    const int row = x->rows == ROWS_TOK ? s->start[seq] : x->rows == ROWS_PICK ? picked : seq;
    return x->x + (size_t)row * (size_t)x->cols;
}

static int run_batch(struct run *run, struct session *s, int i0, int i1, struct err *err)
{
    int picked = 0;
    if (pack(run, s, i0, i1, err))
        return -1;
    if (s->batch.n_seq) {
        if (tape_bind(&s->tape, &s->batch, err))
            return -1;
        tape_forward(&s->tape);
    }
    for (int i = i0; i < i1; i++) {
        const int item = run->r->order[i];
        struct seq_output o = {0};
        if (i - i0 < s->batch.n_seq)
            o = (struct seq_output){rows_of(s, s->slots.out, i - i0, picked),
                                    rows_of(s, s->slots.out2, i - i0, picked)};
        run->take(run->ctx, item, &o);
        picked += run->seq[item].n_pick;
    }
    return 0;
}

static void batch_item(void *ctx, int item, int worker)
{
    struct run *run = ctx;
    struct runner *r = run->r;
    struct err err = {0};
    if (failure_seen(&run->failure))
        return;
    if (stop_requested())
        err_kind_set(&err, ERR_STOPPED, "stopped");
    else if (run_batch(run, &r->session[worker], r->batch_start[item], r->batch_start[item + 1],
                       &err) == 0)
        return;
    failure_set(&run->failure, &err);
}

int runner_run(struct runner *r, const struct run_sequence *seq, int n, int skip,
               void (*take)(void *ctx, int item, const struct seq_output *o), void *ctx,
               struct err *err)
{
    struct run run = {.r = r, .seq = seq, .skip = skip, .take = take, .ctx = ctx};
    if (n == 0)
        return 0;
    const int n_batches = make_batches(r, seq, n);
    if (n_batches > 1 || r->n_workers == 1)
        pool_run(r->pool, n_batches, batch_item, &run);
    else
        batch_item(&run, 0, r->n_workers);
    if (!failure_seen(&run.failure))
        return 0;
    if (err)
        *err = run.failure.err;
    return -1;
}

int runner_open(struct runner *r, const struct model *m, int threads, struct err *err)
{
    *r = (struct runner){.model = m};
    if (!m->loaded)
        return err_kind_set(err, ERR_USAGE, "the model '%s' was opened without its weights",
                            m->info.name);
    if (threads < 1 || threads > 1024)
        return err_kind_set(err, ERR_USAGE, "%d threads: must be from 1 to 1024", threads);
    r->pool = pool_new(threads);
    r->n_workers = pool_size(r->pool);
    r->session = xcalloc((size_t)r->n_workers + 1, sizeof *r->session);
    r->order = xcalloc(RUN_SEQUENCES, sizeof *r->order);
    r->batch_start = xcalloc(RUN_SEQUENCES + 1, sizeof *r->batch_start);
    for (int i = 0; i <= r->n_workers; i++)
        if (model_tape(m, &r->session[i].tape, &r->session[i].slots, err)) {
            runner_close(r);
            return -1;
        }
    r->session[r->n_workers].tape.pool = r->pool;
    return 0;
}

void runner_close(struct runner *r)
{
    for (int i = 0; r->session && i <= r->n_workers; i++) {
        tape_release(&r->session[i].tape);
        free(r->session[i].token);
        free(r->session[i].start);
        free(r->session[i].skip);
    }
    if (r->pool)
        pool_free(r->pool);
    free(r->session);
    free(r->order);
    free(r->batch_start);
    *r = (struct runner){0};
}

size_t runner_peak_bytes(const struct runner *r)
{
    size_t sum = 0;
    for (int i = 0; i <= r->n_workers; i++)
        sum += tape_peak_bytes(&r->session[i].tape);
    return sum;
}
