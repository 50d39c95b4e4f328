/* test_train.c - cached gradients, checkpoints that resume exactly, what stops a run, verdicts. */
#include "encoder/train/run.h"
#include "encoder/train/score.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNS "tests/golden/train/runs"
#define TINY "tests/data/models/tiny"

static const char *const triples[] = {RUNS "/triples.tsv"};

static void options_for(struct train_options *o, const char *out)
{
    train_defaults(o, TASK_SENTENCE_SIMILARITY);
    o->base = TINY;
    o->out = out;
    o->data.file = triples;
    o->data.n_files = 1;
    o->batch_size = 8;
    o->adamw.lr = 1e-3;
    o->threads = 2;
    o->losses.margin = -1;
}

/* ---- gradients ----------------------------------------------------------------------------------
 */

/* The gradient of the first batch, all parameters end to end; owned. */
static float *gradient(int batch, int micro_tokens, int micro_sequences, double dropout,
                       bool accumulate, double *loss, size_t *n)
{
    struct train_options o;
    struct train_report report = {0};
    struct err err = {0};
    char *out = path_join(dir, "none");
    options_for(&o, out);
    o.dropout = dropout;
    o.batch_size = accumulate ? batch / 2 : batch;
    o.accumulation = accumulate ? 2 : 1;
    struct run r = {.o = &o, .report = &report};
    if (run_prepare(&r, &err))
        fail_msg("%s", err.msg);
    if (micro_tokens)
        r.stepper.micro_tokens = micro_tokens;
    r.stepper.micro_sequences = micro_sequences;
    r.stepper.cached = micro_sequences > 0;
    run_plan(&r, 0);
    int64_t tokens;
    if (stepper_run(&r.stepper, &r.plan, 0, accumulate ? 2 : 1, (struct moment){42, 0}, 3, loss,
                    &tokens, &err))
        fail_msg("%s", err.msg);
    const struct params *p = learner_params(r.learner);
    float *all = NULL;
    *n = 0;
    for (int i = 0; i < p->n; i++) {
        const size_t size = (size_t)p->p[i]->rows * (size_t)p->p[i]->cols;
        if (!p->p[i]->dx)
            continue;
        all = xrealloc_array(all, *n + size, sizeof *all);
        memcpy(all + *n, p->p[i]->dx, size * sizeof *all);
        *n += size;
    }
    run_release(&r);
    free(out);
    return all;
}

static double distance(const float *a, const float *b, size_t n)
{
    double diff = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        diff += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)a[i] * a[i];
    }
    return sqrt(diff / size);
}

static void test_cached_gradients(void **state)
{
    (void)state;
    for (int dropping = 0; dropping < 2; dropping++) {
        double whole, parts, tokens, apart;
        size_t n, m;
        const double p = dropping ? .1 : 0;
        float *a = gradient(48, 0, 0, p, false, &whole, &n);
        float *b = gradient(48, 0, 5, p, false, &parts, &m); /* 5 texts at once */
        assert_int_equal(n, m);
        assert_true(n > 20000);
        assert_true(fabs(whole - parts) < 1e-5 * whole);
        assert_true(distance(a, b, n) < 2e-5);
        free(b);
        b = gradient(48, 100, 0, p, false, &tokens, &m); /* 100 tokens at once */
        assert_true(fabs(whole - tokens) < 1e-5 * whole);
        assert_true(distance(a, b, n) < 2e-5);
        free(b);
        /* accumulating two halves is another loss: the test can fail */
        b = gradient(48, 0, 0, p, true, &apart, &m);
        assert_true(distance(a, b, n) > .05);
        free(a);
        free(b);
    }
}

/* ---- checkpoints --------------------------------------------------------------------------------
 */

static void run_ok(const struct train_options *o)
{
    struct train_report report;
    struct err err = {0};
    if (train_run(o, NULL, &report, &err))
        fail_msg("%s", err.msg);
    train_report_release(&report);
}

static void same_file(const char *a, const char *b, const char *name)
{
    char *x = path_join(a, name), *y = path_join(b, name);
    struct str s = {0}, t = {0};
    struct err err = {0};
    assert_int_equal(file_read(x, 1 << 24, &s, &err), 0);
    assert_int_equal(file_read(y, 1 << 24, &t, &err), 0);
    assert_true(s.n > 0 && span_equal(str_view(&s), str_view(&t)));
    str_release(&s);
    str_release(&t);
    free(x);
    free(y);
}

static void flip_byte(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    const int c = fgetc(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    fputc(c ^ 1, f);
    assert_int_equal(fclose(f), 0);
}

static size_t lines_of(const char *run)
{
    char *path = path_join(run, "metrics.jsonl");
    struct str s = {0};
    struct err err = {0};
    assert_int_equal(file_read(path, 1 << 24, &s, &err), 0);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\n';
    str_release(&s);
    free(path);
    return n;
}

/* A run of 16 updates with checkpoints at 5, 10 and 15, and the same from the second one on. */
static void test_resume(void **state)
{
    (void)state;
    struct train_options o;
    struct err err = {0};
    char *whole = path_join(dir, "whole"), *again = path_join(dir, "again");
    char *five = path_join(whole, "checkpoint-5"), *ten = path_join(whole, "checkpoint-10"),
         *fifteen = path_join(whole, "checkpoint-15");
    options_for(&o, whole);
    o.epochs = 2;
    o.save_steps = 5;
    o.save_total_limit = 5;
    run_ok(&o);
    assert_int_equal(lines_of(whole), 16);
    o.out = again;
    o.resume = ten;
    o.threads = 1;
    run_ok(&o);
    same_file(whole, again, "model.safetensors");
    assert_int_equal(lines_of(again), 16);
    assert_int_equal(dir_remove_tree(again, &err), 0);

    /* a torn checkpoint is passed over, and so is one with a damaged state */
    char *torn = path_join(fifteen, "optimizer.safetensors"),
         *state_file = path_join(ten, "state.json");
    flip_byte(torn, -100);
    flip_byte(state_file, 20);
    char *found = checkpoint_find(whole, NULL, &err);
    assert_string_equal(found, five);
    free(found);
    assert_null(checkpoint_find(ten, NULL, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    o.resume = whole;
    run_ok(&o);
    same_file(whole, again, "model.safetensors");

    /* other data or settings: another run */
    struct train_report report;
    o.batch_size = 4;
    o.overwrite = true; /* `again` holds a run by now */
    assert_int_equal(train_run(&o, NULL, &report, &err), -1);
    assert_non_null(strstr(err.msg, "other data or settings"));
    free(whole);
    free(again);
    free(five);
    free(ten);
    free(fifteen);
    free(torn);
    free(state_file);
}

static void test_limit_and_leftovers(void **state)
{
    (void)state;
    struct train_options o;
    struct err err = {0};
    char *out = path_join(dir, "limited");
    char *left = path_join(out, ".tmp-checkpoint-3"), *own = path_join(out, "notes.txt");
    options_for(&o, out);
    o.epochs = 2;
    o.save_steps = 3;
    o.overwrite = true;
    assert_int_equal(dir_make(left, &err), 0);
    FILE *f = fopen(own, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    run_ok(&o);
    assert_false(file_exists(left));
    assert_true(file_exists(own)); /* what is not ours stays */
    for (int step = 3; step <= 15; step += 3) {
        char *path = xasprintf("%s/checkpoint-%d", out, step);
        assert_int_equal(dir_exists(path), step >= 12);
        free(path);
    }
    free(out);
    free(left);
    free(own);
}

/* A rate that ruins the model: the best evaluation is an early one, its weights come out, and
 * waiting has an end. */
static void test_best(void **state)
{
    (void)state;
    static const char *const held[] = {RUNS "/scored.tsv"};
    struct train_options o;
    struct train_report report;
    struct err err = {0};
    char *out = path_join(dir, "best");
    options_for(&o, out);
    o.data.file = held;
    o.eval_file = held;
    o.n_eval_files = 1;
    o.adamw.lr = .05;
    o.epochs = 40;
    o.eval_steps = 2;
    o.load_best = true;
    o.early_stopping = 4;
    o.save_steps = 3;
    o.save_total_limit = 1;
    if (train_run(&o, NULL, &report, &err))
        fail_msg("%s", err.msg);
    assert_true(report.early);
    assert_true(report.best_step > 0 && report.best_step + 8 == report.steps);
    char *best = xasprintf("%s/checkpoint-%d", out, (int)report.best_step);
    same_file(out, best, "model.safetensors");
    struct data_options d;
    struct evaluation e;
    data_defaults(&d);
    d.file = held;
    d.n_files = 1;
    if (train_evaluate(out, TASK_SENTENCE_SIMILARITY, &d, NULL, 1, NULL, &e, &err))
        fail_msg("%s", err.msg);
    assert_true(fabs(evaluation_main(&e) - evaluation_main(&report.after)) < 1e-6);
    assert_int_equal(report.shared_rows, 60);
    evaluation_release(&e);
    train_report_release(&report);
    free(best);
    free(out);
}

/* ---- what stops a run ---------------------------------------------------------------------------
 */

static void refused(const struct train_options *o, const char *message)
{
    struct train_report report;
    struct err err = {0};
    assert_int_equal(train_run(o, NULL, &report, &err), -1);
    if (!strstr(err.msg, message))
        fail_msg("'%s' lacks '%s'", err.msg, message);
    train_report_release(&report);
}

static void test_refusals(void **state)
{
    (void)state;
    struct train_options o;
    char *out = path_join(dir, "refused");
    options_for(&o, out);
    o.warmup_ratio = 2;
    refused(&o, "--warmup-ratio 2");
    options_for(&o, out);
    o.load_best = true;
    refused(&o, "--load-best needs --eval-data");
    options_for(&o, TINY);
    refused(&o, "is the base model itself");
    options_for(&o, RUNS);
    refused(&o, "is not empty");
    options_for(&o, out);
    o.resume = RUNS;
    refused(&o, "has no checkpoint to resume from");
    options_for(&o, out);
    o.loss = LOSS_EMBEDDING_MSE;
    refused(&o, "--teacher and --loss embedding-mse do not go together");
    options_for(&o, out);
    o.data.max_length = 4000;
    refused(&o, "--max-length 4000: the model's window is 128");
    assert_false(file_exists(out)); /* nothing half-written */
    options_for(&o, out);
    o.adamw.lr = 900;
    o.max_grad_norm = 0;
    o.adamw.eps = 1e-300;
    o.epochs = 50;
    o.adamw.weight_decay = 900;
    refused(&o, "diverged at step");
    free(out);
}

/* ---- measures -----------------------------------------------------------------------------------
 */

static void test_entities(void **state)
{
    (void)state;
    static const struct {
        const char *gold[6], *found[6];
        int n, right, in_gold, in_found;
    } rows[] = {
        {{"B-A", "I-A", "O", "B-B"}, {"B-A", "I-A", "O", "B-B"}, 4, 2, 2, 2},
        {{"B-A", "I-A", "O", "B-B"}, {"B-A", "O", "O", "B-A"}, 4, 0, 2, 2},
        {{"I-A", "I-A", "I-B", "O"}, {"B-A", "I-A", "B-B", "O"}, 4, 2, 2, 2}, /* I begins too */
        {{"B-A", "B-A", "O"}, {"B-A", "I-A", "O"}, 3, 0, 2, 1},
        {{"O", "O"}, {"B-A", "B-A"}, 2, 0, 0, 2},
        {{"S-A", "B-A", "E-A", "I-A"}, {"B-A", "B-A", "I-A", "B-A"}, 4, 3, 3, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct entity_counts c = {0};
        entities_count(rows[i].gold, rows[i].found, (size_t)rows[i].n, &c);
        assert_int_equal(c.gold, rows[i].in_gold);
        assert_int_equal(c.found, rows[i].in_found);
        assert_int_equal(c.right, rows[i].right);
    }
}

static void test_answers(void **state)
{
    (void)state;
    assert_true(squad_exact(span_of("The  Cat."), span_of("cat")) == 1);
    assert_true(squad_exact(span_of("cats"), span_of("cat")) == 0);
    assert_true(fabs(squad_f1(span_of("a black cat"), span_of("the cat sat")) - .5) < 1e-12);
    assert_true(squad_f1(span_of("the"), span_of("")) == 1); /* both nothing */
    assert_true(squad_f1(span_of("x"), span_of("")) == 0);
    assert_true(fabs(squad_f1(span_of("x x y"), span_of("x z")) - .4) < 1e-12);
}

static void test_classes(void **state)
{
    (void)state;
    /* sklearn: accuracy .7, macro F1 .6666667, MCC .4082483, F1 .5714286 for the second class */
    const int64_t m[] = {5, 1, 2, 2};
    assert_true(fabs(matrix_accuracy(m, 2) - .7) < 1e-12);
    assert_true(fabs(matrix_f1(m, 2, 1) - 4. / 7) < 1e-12);
    assert_true(fabs(matrix_macro_f1(m, 2) - (10. / 13 + 4. / 7) / 2) < 1e-12);
    assert_true(fabs(matrix_mcc(m, 2) - (5 * 2 - 1 * 2) / sqrt(3. * 4 * 6 * 7)) < 1e-12);
}

static void test_verdict(void **state)
{
    (void)state;
    enum { N = 400 };
    struct evaluation a = {.main = 0, .n_measures = 1, .n_units = N}, b = a;
    double x[N], y[N], gold[N];
    uint64_t group[N];
    a.unit = x;
    b.unit = y;
    a.group = b.group = group;
    unsigned at = 7;
    for (int i = 0; i < N; i++) {
        at = at * 1103515245u + 12345u;
        x[i] = (at >> 16 & 1023) / 1023.;
        y[i] = x[i] + .02;
        gold[i] = i;
        group[i] = (uint64_t)i;
    }
    struct verdict v;
    evaluation_compare(&a, &b, 1, &v);
    assert_int_equal(v.better, 1);
    assert_true(v.low > .0199 && v.high < .0201);
    evaluation_compare(&b, &a, 1, &v);
    assert_int_equal(v.better, -1);
    evaluation_compare(&a, &a, 1, &v);
    assert_int_equal(v.better, 0);
    /* a gain that one document alone has is none: its rows are drawn together */
    for (int i = 0; i < N; i++) {
        y[i] = x[i] + (i < 100 ? .3 : -.01);
        group[i] = i < 100 ? 0 : (uint64_t)i;
    }
    evaluation_compare(&a, &b, 1, &v);
    assert_int_equal(v.better, 0);
    for (int i = 0; i < N; i++)
        group[i] = (uint64_t)i;
    evaluation_compare(&a, &b, 1, &v);
    assert_int_equal(v.better, 1);
    /* correlation: from noise to the labels' order */
    a.gold = b.gold = gold;
    for (int i = 0; i < N; i++)
        y[i] = sqrt(i);
    evaluation_compare(&a, &b, 1, &v);
    assert_int_equal(v.better, 1);
    assert_true(v.low > .5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cached_gradients),
                                       cmocka_unit_test(test_resume),
                                       cmocka_unit_test(test_limit_and_leftovers),
                                       cmocka_unit_test(test_best),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_entities),
                                       cmocka_unit_test(test_answers),
                                       cmocka_unit_test(test_classes),
                                       cmocka_unit_test(test_verdict)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
