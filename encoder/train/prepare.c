/* prepare.c - everything before the first step: settings, data, model, memory; see run.h.
 *
 * Whatever can be wrong is found here, before the first file is written: a bad row in line 90,000,
 * a label of the evaluation data that training never saw, too little memory.
 */
#include "encoder/train/draw.h"
#include "encoder/train/run.h"

#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void train_defaults(struct train_options *o, enum train_task task)
{
    *o = (struct train_options){
        .task = task,
        .loss = TRAIN_LOSS_AUTO,
        .epochs = 3,
        .batch_size = 32,
        .accumulation = 1,
        .adamw = {.lr = 2e-5,
                  .beta1 = .9,
                  .beta2 = .999,
                  .eps = 1e-8,
                  .weight_decay = .01,
                  .layer_decay = 1},
        .schedule = SCHEDULE_LINEAR,
        .warmup_ratio = .1,
        .max_grad_norm = 1,
        .dropout = -1,
        .seed = 42,
        .shuffle = true,
        .logging_steps = 1,
        .save_steps = 500,
        .save_total_limit = 2,
        .threads = 1,
    };
    data_defaults(&o->data);
    loss_defaults(&o->losses, LOSS_MNRL);
}

void run_note(const struct train_sink *sink, const char *fmt, ...)
{
    char line[1024];
    va_list list;
    if (!sink || !sink->note)
        return;
    va_start(list, fmt);
    vsnprintf(line, sizeof line, fmt, list);
    va_end(list);
    sink->note(sink->ctx, line);
}

/* ---- settings -----------------------------------------------------------------------------------
 */

static int wrong(struct err *err, const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    *err = (struct err){.kind = ERR_USAGE};
    vsnprintf(err->msg, sizeof err->msg, fmt, list);
    va_end(list);
    return -1;
}

static int check_options(const struct train_options *o, struct err *err)
{
    const struct adamw_options *a = &o->adamw;
    if (!o->base && !(o->config_file && o->tokenizer_dir))
        return wrong(err, "no base model, and no config and tokenizer to begin from");
    if (o->batch_size < 1 || o->accumulation < 1 || o->mini_batch < 0)
        return wrong(err, "batch sizes must be at least 1");
    if (!(a->lr >= 0 && a->lr < 1e3) || !(a->eps > 0) || !(a->weight_decay >= 0) ||
        !(a->beta1 >= 0 && a->beta1 < 1) || !(a->beta2 >= 0 && a->beta2 < 1) ||
        !(a->layer_decay > 0 && a->layer_decay <= 1))
        return wrong(err, "a rate is out of range: learning rate from 0, betas from 0 to below 1, "
                          "epsilon above 0, layer decay above 0 to 1");
    if (!(o->warmup_ratio >= 0 && o->warmup_ratio <= 1))
        return wrong(err, "--warmup-ratio %g: must be from 0 to 1", o->warmup_ratio);
    if (!(o->epochs > 0 && o->epochs < 1e6) && o->max_steps < 1)
        return wrong(err, "--epochs %g: must be above 0", o->epochs);
    if (!(o->data.mask_probability > 0 && o->data.mask_probability < 1))
        return wrong(err, "--mlm-probability %g: must be between 0 and 1",
                     o->data.mask_probability);
    if (!(o->dropout < 1))
        return wrong(err, "--dropout %g: must be below 1", o->dropout);
    if (!(o->losses.scale > 0))
        return wrong(err, "--scale %g: must be above 0", (double)o->losses.scale);
    const bool evaluates = o->n_eval_files > 0 || o->eval_judged;
    if (o->load_best && !evaluates)
        return wrong(err, "--load-best needs --eval-data");
    if (o->early_stopping && (!evaluates || o->eval_steps == 0))
        return wrong(err, "--early-stopping needs --eval-data and --eval-steps");
    return 0;
}

/* What must be the same for a run to go on as it began. */
static uint64_t settings_hash(const struct run *r)
{
    const struct train_options *o = r->o;
    struct hasher *h = hasher_new();
    hasher_int(h, o->task);
    for (size_t i = 0; i < o->data.n_files; i++)
        hasher_add(h, r->data.hash[i].b, sizeof r->data.hash[i].b);
    const int64_t numbers[] = {o->batch_size,
                               o->accumulation,
                               o->mini_batch,
                               (int64_t)o->seed,
                               o->shuffle,
                               r->data.max_length,
                               r->data.loss,
                               r->data.columns,
                               o->data.doc_stride,
                               o->data.max_query_length,
                               o->data.whole_word,
                               r->losses.symmetric,
                               o->losses.n_matryoshka,
                               o->bf16};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        hasher_int(h, numbers[i]);
    const struct hash128 all = hasher_finish(h);
    uint64_t v;
    memcpy(&v, all.b, sizeof v);
    return v;
}

/* ---- model --------------------------------------------------------------------------------------
 */

static const enum head_kind heads[] = {[TASK_SENTENCE_SIMILARITY] = HEAD_SENTENCE,
                                       [TASK_TEXT_CLASSIFICATION] = HEAD_SEQUENCE,
                                       [TASK_TOKEN_CLASSIFICATION] = HEAD_TOKEN,
                                       [TASK_QUESTION_ANSWERING] = HEAD_SPAN,
                                       [TASK_FILL_MASK] = HEAD_MLM,
                                       [TASK_PRETRAINING] = HEAD_PRETRAIN};

int run_open_learner(struct run *r, const char *dir, struct err *err)
{
    const struct train_options *o = r->o;
    const struct dataset *d = &r->data;
    const struct learner_options lo = {.head = heads[o->task],
                                       .n_labels = d->regression ? 1 : d->n_classes,
                                       .label = d->regression ? NULL
                                                              : (const char *const *)d->class_name,
                                       .regression = d->regression,
                                       .dropout = o->dropout,
                                       .seed = o->seed,
                                       .pooling = o->pooling,
                                       .freeze = o->freeze,
                                       .n_freeze = o->n_freeze,
                                       .bf16 = o->bf16};
    if (dir)
        return learner_open(dir, &lo, &r->learner, err);
    return learner_random(o->config_file, o->tokenizer_dir, &lo, &r->learner, err);
}

/* The rows that a student is to come near: its teacher's embeddings of the same texts. */
static int ask_teacher(struct run *r, struct err *err)
{
    struct model *m;
    struct encoder *e = NULL;
    const struct dataset *d = &r->data;
    const int dim = learner_info(r->learner)->dim;
    const struct encode_options eo = {.normalize = -1};
    if (!r->o->teacher || r->o->task != TASK_SENTENCE_SIMILARITY)
        return 0;
    if (model_open(r->o->teacher, NULL, &m, err))
        return -1;
    int rc = 0;
    void *p = NULL;
    const size_t n = d->n_items * (size_t)d->columns;
    if (model_info(m)->dim != dim)
        rc = wrong(err, "the teacher '%s' makes vectors of %d numbers, the student of %d",
                   r->o->teacher, model_info(m)->dim, dim);
    if (rc == 0)
        rc = encoder_open(m, r->o->threads, &e, err);
    if (rc == 0)
        rc = mem_try(&p, n * (size_t)dim * sizeof(float), "the teacher's embeddings", err);
    r->teacher = p;
    if (rc == 0)
        rc = encoder_embed(e, d->text, n, &eo, r->teacher, NULL, err);
    encoder_close(e);
    model_close(m);
    return rc;
}

/* ---- the order ----------------------------------------------------------------------------------
 */

void run_plan(struct run *r, int64_t epoch)
{
    const struct plan_options o = {.seed = r->o->seed,
                                   .epoch = epoch,
                                   .batch_size = r->o->batch_size,
                                   .shuffle = r->o->shuffle,
                                   .distinct = r->o->task == TASK_SENTENCE_SIMILARITY &&
                                               r->data.loss == LOSS_MNRL};
    plan_release(&r->plan);
    plan_make(&r->plan, &r->data, &o);
}

int64_t run_groups(const struct run *r)
{
    return (r->plan.n_batches + r->o->accumulation - 1) / r->o->accumulation;
}

/* Updates of the whole run. With in-batch negatives the epochs may differ in length, so each is
 * planned once to be counted. */
static void count_steps(struct run *r)
{
    const struct train_options *o = r->o;
    run_plan(r, 0);
    if (o->max_steps > 0) {
        r->total = o->max_steps;
    } else if (r->data.loss == LOSS_MNRL && r->plan.moved && o->epochs == floor(o->epochs)) {
        for (int64_t e = 0; e < (int64_t)o->epochs; e++) {
            run_plan(r, e);
            r->total += run_groups(r);
        }
    } else {
        r->total = (int64_t)ceil(o->epochs * (double)run_groups(r));
    }
    if (r->total < 1)
        r->total = 1;
    r->warmup =
        o->schedule == SCHEDULE_CONSTANT ? 0 : (int64_t)ceil(o->warmup_ratio * (double)r->total);
}

/* ---- resuming -----------------------------------------------------------------------------------
 */

static int find_resume(struct run *r, struct err *err)
{
    if (!r->o->resume)
        return 0;
    r->resume = checkpoint_find(r->o->resume, r->sink, err);
    if (!r->resume)
        return -1;
    if (!r->o->out && strcmp(r->resume, r->o->resume) != 0) {
        r->out = xstrdup(r->o->resume);
    } else if (!r->o->out) { /* the run's folder: where the checkpoint lies */
        char *dir = path_absolute(r->resume, err);
        if (!dir)
            return -1;
        char *slash = strrchr(dir, '/');
        *slash = '\0';
        r->out = dir;
    }
    return 0;
}

/* The run is resumed in its own folder, not copied to another. */
static bool goes_on_there(const struct run *r)
{
    if (!r->resume || !r->o->out)
        return r->resume != NULL;
    char *around = xasprintf("%s/..", r->resume);
    const bool same = outdir_same(around, r->o->out);
    free(around);
    return same;
}

static int take_state(struct run *r, struct err *err)
{
    struct run_state *s = &r->state;
    *s = (struct run_state){.evaluated = -1};
    if (r->resume) {
        if (checkpoint_read_state(r->resume, s, err) ||
            checkpoint_read_optimizer(r->resume, r->learner, &r->adamw, err))
            return -1;
        if (s->settings != settings_hash(r)) {
            err_kind_set(err, ERR_USAGE, "'%s' is of a run with other data or settings", r->resume);
            return err_hint(err,
                            "data files, batch size, accumulation, seed, lengths and loss must be "
                            "those of %s/training.json",
                            r->out);
        }
        if (s->step > r->total)
            return wrong(err, "'%s' is at step %lld, past the %lld steps asked for", r->resume,
                         (long long)s->step, (long long)r->total);
        r->stepper.micro_tokens = s->micro_tokens;
        r->stepper.cached = s->cached;
        r->adamw.step = s->step;
    }
    s->settings = settings_hash(r);
    s->micro_tokens = r->stepper.micro_tokens;
    s->cached = r->stepper.cached;
    return 0;
}

/* ---- all of it ----------------------------------------------------------------------------------
 */

static int set_losses(struct run *r, struct err *err)
{
    const int dim = learner_info(r->learner)->dim;
    r->losses = r->o->losses;
    r->losses.kind = r->data.loss;
    if (r->o->losses.margin < 0) { /* as the loss has it */
        struct loss_options standard;
        loss_defaults(&standard, r->data.loss);
        r->losses.margin = standard.margin;
    }
    r->losses.normalize = learner_info(r->learner)->normalize;
    for (int i = 0; i < r->losses.n_matryoshka; i++)
        if (r->losses.matryoshka[i] > dim)
            return wrong(err, "--matryoshka %d: the model's vectors have %d numbers",
                         r->losses.matryoshka[i], dim);
    return 0;
}

static bool learns(const struct run *r)
{
    const struct params *p = learner_params(r->learner);
    for (int i = 0; i < p->n; i++)
        if (p->p[i]->dx)
            return true;
    return false;
}

static int set_up_training(struct run *r, struct err *err)
{
    const struct train_options *o = r->o;
    if (set_losses(r, err))
        return -1;
    if (learner_check_window(r->learner, o->save_max_length, err))
        return -1;
    if (!learns(r))
        return wrong(err, "--freeze leaves nothing that could learn");
    const bool distils = o->teacher && o->task == TASK_FILL_MASK;
    if (distils && distiller_open(&r->distiller, o->teacher, r->learner, r->pool, err))
        return -1;
    if (stepper_init(&r->stepper, r->learner, &r->data, r->pool, distils ? &r->distiller : NULL,
                     err) ||
        scorer_init(&r->scorer, r->learner, r->pool, err))
        return -1;
    r->stepper.losses = r->scorer.losses = &r->losses;
    r->stepper.teacher = r->teacher;
    r->stepper.seed = o->seed;
    r->scorer.batch_size = o->batch_size;
    count_steps(r);
    if (run_settle_memory(r, err))
        return -1;
    struct adamw_options a = o->adamw;
    a.layers = learner_info(r->learner)->layers;
    if (adamw_init(&r->adamw, learner_params(r->learner), &a, err))
        return -1;
    r->has_adamw = true;
    return take_state(r, err);
}

/* The base's scores, before anything changed. A resumed run opens the base once more. */
static int measure_base(struct run *r, struct err *err)
{
    if (!r->has_eval || r->o->task != TASK_SENTENCE_SIMILARITY || !r->o->base)
        return 0;
    struct scorer s;
    r->losses = r->o->losses;
    if (scorer_init(&s, r->learner, r->pool, err))
        return -1;
    const int rc = scorer_run(&s, &r->eval, r->sink, &r->report->before, err);
    scorer_release(&s);
    return rc;
}

int run_prepare(struct run *r, struct err *err)
{
    const struct train_options *o = r->o;
    r->dir.lock = r->journal.fd = -1;
    r->saved = -1;
    r->started_ms = clock_ms();
    r->pool = pool_new(o->threads);
    if (check_options(o, err) || find_resume(r, err))
        return -1;
    if (!r->out)
        r->out = o->out ? xstrdup(o->out) : NULL;
    r->in_place = goes_on_there(r);
    if (!r->in_place && outdir_check(o, err))
        return -1;
    if (run_read_data(r, err) || run_open_learner(r, o->base, err) || run_fit_data(r, err))
        return -1;
    r->report->new_head = learner_new_head(r->learner);
    r->report->parameters = learner_info(r->learner)->parameters;
    r->report->rows_skipped = r->data.skipped;
    if (measure_base(r, err))
        return -1;
    if (r->resume) {
        learner_close(r->learner);
        r->learner = NULL;
        if (run_open_learner(r, r->resume, err))
            return -1;
    }
    return ask_teacher(r, err) || set_up_training(r, err) ? -1 : 0;
}

void run_release(struct run *r)
{
    journal_close(&r->journal);
    outdir_close(&r->dir);
    plan_release(&r->plan);
    if (r->has_adamw)
        adamw_release(&r->adamw);
    scorer_release(&r->scorer);
    stepper_release(&r->stepper);
    learner_close(r->learner);
    dataset_release(&r->data);
    dataset_release(&r->eval);
    distiller_close(&r->distiller);
    free(r->teacher);
    free(r->resume);
    free(r->out);
    pool_free(r->pool);
}
