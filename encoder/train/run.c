/* run.c - the loop: batches, gradient, clip, update, log, evaluate, save; see run.h.
 *
 * After every update the run is in a state that two numbers and the checkpoint's files describe:
 * the epoch and the next group of batches in it. Signals are looked at there, checkpoints are
 * written there, and a run that goes on from one computes what the first would have.
 */
#include "encoder/train/run.h"

#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- checkpoints --------------------------------------------------------------------------------
 */

static bool weights_finite(const struct run *r)
{
    const struct params *p = learner_params(r->learner);
    for (int i = 0; i < p->n; i++) {
        const struct param *q = p->p[i];
        const size_t n = (size_t)q->rows * (size_t)q->cols;
        for (size_t k = 0; q->dx && k < n; k++)
            if (!isfinite(q->w[k]))
                return false;
    }
    return true;
}

static int diverged(const struct run *r, int64_t step, const char *what, struct err *err)
{
    err_set(err, "training diverged at step %lld: the %s is not a finite number", (long long)step,
            what);
    char *newest = checkpoint_find(r->out, NULL, &(struct err){0});
    err_hint(err, "lower --learning-rate (%g now) or --max-grad-norm (%g now)%s%s", r->o->adamw.lr,
             r->o->max_grad_norm,
             newest ? "; the last good checkpoint is " : "; no checkpoint was saved yet",
             newest ? newest : "");
    free(newest);
    return -1;
}

static int save(struct run *r, struct err *err)
{
    if (r->saved == r->state.step)
        return 0;
    if (!weights_finite(r))
        return diverged(r, r->state.step, "updated model", err);
    if (checkpoint_save(r->out, r->learner, &r->adamw, &r->state, err))
        return -1;
    r->saved = r->state.step;
    return checkpoint_prune(r->out, r->o->save_total_limit,
                            r->o->load_best ? r->state.best_step : 0, err);
}

static int stopped(struct run *r, struct err *err)
{
    if (save(r, err))
        return -1;
    err_kind_set(err, ERR_STOPPED, "stopped at step %lld of %lld, checkpoint saved in %s",
                 (long long)r->state.step, (long long)r->total, r->out);
    if (!r->o->command || strlen(r->o->command) > 400)
        return err_hint(err, "go on with the same command and --resume %s", r->out);
    return err_hint(err, "go on with: %s%s%s", r->o->command, r->resume ? "" : " --resume ",
                    r->resume ? "" : r->out);
}

/* ---- evaluation ---------------------------------------------------------------------------------
 */

static int evaluate(struct run *r, struct err *err)
{
    struct evaluation e;
    if (scorer_run(&r->scorer, &r->eval, r->sink, &e, err))
        return -1;
    const double score = evaluation_main(&e);
    const bool better = r->state.best_step == 0 || score > r->state.best;
    run_note(r->sink, "step %lld: %s %.4f%s", (long long)r->state.step,
             e.main >= 0 ? e.measure[e.main].name : "evaluation loss", e.main >= 0 ? score : e.loss,
             better && r->o->eval_steps ? ", the best so far" : "");
    if (better) {
        r->state.best = score;
        r->state.best_step = r->state.step;
    }
    r->state.worse = better ? 0 : r->state.worse + 1;
    r->state.evaluated = r->state.step;
    const int rc = journal_evaluation(&r->journal, r->state.step, &e, err);
    evaluation_release(&r->report->after);
    r->report->after = e;
    r->report->evaluated = true;
    if (rc)
        return -1;
    return better && r->o->load_best ? save(r, err) : 0;
}

static bool evaluation_due(const struct run *r)
{
    return r->has_eval && r->o->eval_steps && r->state.step > 0 &&
           r->state.step % r->o->eval_steps == 0 && r->state.evaluated != r->state.step;
}

/* Interrupted while it evaluates, the run is saved as not yet evaluated. */
static int evaluate_if_due(struct run *r, struct err *err)
{
    if (!evaluation_due(r))
        return 0;
    if (evaluate(r, err) == 0)
        return 0;
    return err->kind == ERR_STOPPED ? stopped(r, err) : -1;
}

/* ---- steps --------------------------------------------------------------------------------------
 */

static int log_step(struct run *r, double loss, double lr, double norm, double tokens_per_s,
                    struct err *err)
{
    struct run_state *s = &r->state;
    const int64_t groups = run_groups(r);
    s->log_loss += loss;
    s->log_steps++;
    const double seconds = (clock_ms() - r->started_ms) / 1e3;
    const struct train_step t = {.step = s->step,
                                 .total = r->total,
                                 .epoch = (double)s->epoch + (double)s->group / (double)groups,
                                 .loss = s->log_loss / (double)s->log_steps,
                                 .lr = lr,
                                 .grad_norm = norm,
                                 .tokens_per_s = tokens_per_s,
                                 .seconds_left = seconds / (double)r->report->steps *
                                                 (double)(r->total - s->step)};
    if (r->sink && r->sink->step)
        r->sink->step(r->sink->ctx, &t);
    r->report->loss = t.loss;
    if (s->step % r->o->logging_steps != 0 && s->step != r->total)
        return 0;
    s->log_loss = 0;
    s->log_steps = 0;
    return journal_step(&r->journal, &t, err);
}

static int one_step(struct run *r, struct err *err)
{
    const struct train_options *o = r->o;
    struct run_state *s = &r->state;
    const int64_t b0 = s->group * o->accumulation;
    const int64_t b1 =
        b0 + o->accumulation < r->plan.n_batches ? b0 + o->accumulation : r->plan.n_batches;
    const struct moment m = {.seed = o->seed, .epoch = (uint64_t)s->epoch};
    const double started = clock_ms();
    double loss;
    int64_t tokens;
    if (stepper_run(&r->stepper, &r->plan, b0, b1, m, s->step, &loss, &tokens, err))
        return -1;
    const double norm = gradients_norm(learner_params(r->learner), r->pool);
    if (!isfinite(loss) || !isfinite(norm))
        return diverged(r, s->step + 1, isfinite(loss) ? "gradient" : "loss", err);
    const double lr = o->adamw.lr * schedule_factor(o->schedule, s->step, r->warmup, r->total);
    const double clip = o->max_grad_norm > 0 ? fmin(1, o->max_grad_norm / (norm + 1e-6)) : 1;
    adamw_step(&r->adamw, lr, clip, r->pool);
    learner_refresh(r->learner, r->pool);
    s->rows += r->plan.start[b1] - r->plan.start[b0];
    s->tokens += tokens;
    s->step++;
    s->group++;
    r->report->steps++;
    r->report->tokens += tokens;
    return log_step(r, loss, lr, norm, (double)tokens / ((clock_ms() - started) / 1e3 + 1e-9), err);
}

static int next_epoch_if_done(struct run *r)
{
    if (r->state.group < run_groups(r))
        return 0;
    r->report->rows_moved += r->plan.moved;
    r->state.epoch++;
    r->state.group = 0;
    run_plan(r, r->state.epoch);
    return 0;
}

static int loop(struct run *r, struct err *err)
{
    const struct train_options *o = r->o;
    if (evaluate_if_due(r, err)) /* that a signal interrupted */
        return -1;
    while (r->state.step < r->total) {
        if (o->early_stopping && r->state.worse >= o->early_stopping) {
            r->report->early = true;
            run_note(r->sink, "stopped early at step %lld: no better evaluation in %d",
                     (long long)r->state.step, r->state.worse);
            return 0;
        }
        next_epoch_if_done(r);
        if (one_step(r, err) || evaluate_if_due(r, err))
            return -1;
        if (o->save_steps && r->state.step % o->save_steps == 0 && save(r, err))
            return -1;
        if (stop_requested())
            return stopped(r, err);
    }
    return 0;
}

/* ---- the end ------------------------------------------------------------------------------------
 */

/* The model of the best evaluation instead of the last one. */
static int load_best(struct run *r, struct err *err)
{
    if (!r->o->load_best || r->state.best_step == 0)
        return 0;
    r->report->best_step = r->state.best_step;
    if (r->state.best_step == r->state.step)
        return 0;
    char *dir = xasprintf("%s/checkpoint-%lld", r->out, (long long)r->state.best_step);
    scorer_release(&r->scorer);
    stepper_release(&r->stepper);
    adamw_release(&r->adamw);
    r->has_adamw = false;
    learner_close(r->learner);
    r->learner = NULL;
    int rc = run_open_learner(r, dir, err);
    free(dir);
    if (rc == 0)
        rc = scorer_init(&r->scorer, r->learner, r->pool, err);
    r->scorer.losses = &r->losses;
    r->scorer.batch_size = r->o->batch_size;
    return rc;
}

static int last_evaluation(struct run *r, struct err *err)
{
    struct train_report *rep = r->report;
    if (!r->has_eval)
        return 0;
    if (r->state.evaluated != r->state.step && evaluate(r, err))
        return -1;
    if (load_best(r, err))
        return -1;
    if (rep->best_step && rep->best_step != r->state.step) {
        evaluation_release(&rep->after);
        if (scorer_run(&r->scorer, &r->eval, r->sink, &rep->after, err))
            return -1;
    }
    if (!rep->evaluated) { /* resumed at the very end */
        if (scorer_run(&r->scorer, &r->eval, r->sink, &rep->after, err))
            return -1;
        rep->evaluated = true;
    }
    rep->compared = rep->before.n_units > 0;
    if (rep->compared)
        evaluation_compare(&rep->before, &rep->after, r->o->seed, &rep->verdict);
    return 0;
}

static int finish(struct run *r, struct err *err)
{
    struct train_report *rep = r->report;
    const double trained = (clock_ms() - r->started_ms) / 1e3;
    rep->tokens_per_s = trained > 0 ? (double)rep->tokens / trained : 0;
    rep->rows_moved += r->plan.moved;
    if (last_evaluation(r, err)) {
        if (err->kind == ERR_STOPPED && r->has_adamw)
            return stopped(r, err);
        return -1;
    }
    rep->seconds = (clock_ms() - r->started_ms) / 1e3;
    rep->rows = r->data.rows;
    struct train_options o = *r->o;
    o.out = r->out;
    if (outdir_install(&r->dir, r->learner, o.save_max_length, err))
        return -1;
    return journal_settings(&o, &r->data, r->has_eval ? &r->eval : NULL, r->learner, r->total,
                            r->warmup, rep, err);
}

static int begin(struct run *r, struct err *err)
{
    struct train_options o = *r->o;
    o.out = r->out;
    char *from = r->resume ? xasprintf("%s/..", r->resume) : xstrdup(r->out);
    const bool overwrite = o.overwrite && !r->in_place;
    int rc = outdir_open(&r->dir, r->out, overwrite, err);
    if (rc == 0 && !r->in_place)
        rc = journal_keep_data(&o.data, r->out, err);
    if (rc == 0)
        rc = journal_open(&r->journal, r->out, from, r->resume ? r->state.step : -1, err);
    if (rc == 0)
        rc = journal_settings(&o, &r->data, r->has_eval ? &r->eval : NULL, r->learner, r->total,
                              r->warmup, NULL, err);
    free(from);
    run_plan(r, r->state.epoch);
    r->started_ms = clock_ms();
    return rc;
}

int train_run(const struct train_options *o, const struct train_sink *sink,
              struct train_report *rep, struct err *err)
{
    struct run r = {.o = o, .sink = sink, .report = rep};
    *rep = (struct train_report){0};
    int rc = run_prepare(&r, err);
    if (rc == 0)
        rc = begin(&r, err);
    if (rc == 0)
        rc = loop(&r, err);
    if (rc == 0)
        rc = finish(&r, err);
    run_release(&r);
    return rc;
}

void train_report_release(struct train_report *r)
{
    evaluation_release(&r->before);
    evaluation_release(&r->after);
}

/* ---- scoring a folder ---------------------------------------------------------------------------
 */

int train_evaluate(const char *model_dir, enum train_task task, const struct data_options *data,
                   const char *pooling, int threads, const struct train_sink *sink,
                   struct evaluation *out, struct err *err)
{
    struct train_options o;
    struct train_report rep = {0};
    struct run r = {.o = &o, .sink = sink, .report = &rep};
    struct scorer scorer = {0};
    train_defaults(&o, task);
    o.data = *data;
    o.pooling = pooling;
    r.dir.lock = r.journal.fd = -1;
    r.pool = pool_new(threads);
    int rc = dataset_read(&r.data, task, data, TRAIN_LOSS_AUTO, false, err);
    const int n_classes = r.data.n_classes;
    r.data.n_classes = 0; /* the model's labels count, whatever the data has */
    if (rc == 0)
        rc = run_open_learner(&r, model_dir, err);
    r.data.n_classes = n_classes;
    if (rc == 0 && learner_new_head(r.learner)) {
        rc = err_kind_set(err, ERR_USAGE, "the model '%s' has no head for %s", model_dir,
                          train_task_name(task));
        err_hint(err, "train one first: semsearch train %s", train_task_name(task));
    }
    int n = 0;
    const char *const *label = rc ? NULL : learner_labels(r.learner, &n);
    if (rc == 0 && n && !r.data.regression)
        rc = dataset_use_labels(&r.data, label, n, err);
    if (rc == 0)
        rc = dataset_tokenise(&r.data, learner_tokenizer(r.learner),
                              learner_info(r.learner)->max_tokens, r.pool, err);
    if (rc == 0)
        rc = scorer_init(&scorer, r.learner, r.pool, err);
    scorer.losses = &o.losses;
    if (rc == 0)
        rc = scorer_run(&scorer, &r.data, sink, out, err);
    scorer_release(&scorer);
    run_release(&r);
    return rc;
}
