/* test_trainruns.c - whole runs beside torch, transformers and sentence-transformers: loss,
 * learning rate and gradient norm of every update (tests/golden/make_trainruns.py). */
#include "encoder/train/train.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RUNS "tests/golden/train/runs"

static const char *text_of(const json_value *run, const char *key)
{
    return js_string(js_get(run, key), "").p;
}

static void set_options(const json_value *run, const char *out, struct train_options *o)
{
    enum train_task task;
    static const char *const schedules[] = {"linear", "cosine", "constant"};
    assert_true(train_task_find(text_of(run, "task"), &task));
    train_defaults(o, task);
    o->base = text_of(run, "base");
    o->out = out;
    o->teacher = text_of(run, "teacher");
    if (o->teacher && !*o->teacher)
        o->teacher = NULL;
    o->max_steps = js_int(js_get(run, "steps"), 0);
    o->batch_size = (int)js_int(js_get(run, "batch"), 0);
    o->accumulation = (int)js_int(js_get(run, "accumulation"), 1);
    o->adamw.lr = js_number(js_get(run, "rate"), 0);
    o->dropout = 0;
    o->shuffle = false;
    o->threads = 2;
    o->save_steps = 0;
    o->data.doc_stride = (int)js_int(js_get(run, "doc_stride"), 128);
    o->data.max_query_length = (int)js_int(js_get(run, "max_query_length"), 64);
    o->losses.symmetric = js_bool(js_get(run, "symmetric"), false);
    o->losses.margin = -1;
    for (int i = 0; i < 3; i++)
        if (js_get(run, "schedule") && strcmp(text_of(run, "schedule"), schedules[i]) == 0)
            o->schedule = (enum schedule_kind)i;
    enum loss_kind kind;
    const json_value *scale = js_get(run, "score_scale"), *widths = js_get(run, "matryoshka");
    o->data.score_high = js_number(js_at(scale, 1), 0);
    for (size_t i = 0; i < js_count(widths); i++)
        o->losses.matryoshka[o->losses.n_matryoshka++] = (int)js_int(js_at(widths, i), 0);
    if (js_get(run, "loss_name") && loss_find(text_of(run, "loss_name"), &kind))
        o->loss = (int)kind;
}

/* Relative to the value, but near 0 to the size that such values have. */
static void near(const char *name, const char *what, size_t step, double ours, double theirs,
                 double floor)
{
    const double tolerance = 1e-3 * fmax(fabs(theirs), floor);
    if (!(fabs(ours - theirs) <= tolerance))
        fail_msg("%s, %s of step %zu: %.8g, the reference has %.8g", name, what, step + 1, ours,
                 theirs);
}

static void compare(const json_value *run, const char *name, const char *out)
{
    char *path = path_join(out, "metrics.jsonl");
    struct str text = {0};
    struct err err = {0};
    assert_int_equal(file_read(path, 1 << 20, &text, &err), 0);
    struct span rest = str_view(&text), line;
    size_t n = 0;
    while (span_split(&rest, '\n', &line) && line.n) {
        json_value *v = js_parse(line, path, &err);
        assert_non_null(v);
        near(name, "loss", n, js_number(js_get(v, "loss"), NAN),
             js_number(js_at(js_get(run, "loss"), n), NAN), .01);
        near(name, "lr", n, js_number(js_get(v, "lr"), NAN),
             js_number(js_at(js_get(run, "lr"), n), NAN), 1e-9);
        near(name, "grad_norm", n, js_number(js_get(v, "grad_norm"), NAN),
             js_number(js_at(js_get(run, "grad_norm"), n), NAN), .01);
        js_free(v);
        n++;
    }
    assert_int_equal(n, js_count(js_get(run, "loss")));
    assert_true(n >= 20);
    str_release(&text);
    free(path);
}

static void test_runs(void **state)
{
    (void)state;
    struct err err = {0};
    json_value *all = js_read_file(RUNS "/runs.json", 1 << 24, &err);
    if (!all)
        fail_msg("%s", err.msg);
    const json_value *runs = js_get(all, "runs");
    assert_true(js_count(runs) >= 16);
    for (size_t i = 0; i < js_count(runs); i++) {
        const json_value *run = js_at(runs, i);
        char *out = path_join(dir, text_of(run, "name"));
        struct train_options o;
        struct train_report report;
        char *data = path_join(RUNS, text_of(run, "data"));
        const char *files[] = {data};
        set_options(run, out, &o);
        o.data.file = files;
        o.data.n_files = 1;
        if (train_run(&o, NULL, &report, &err))
            fail_msg("%s: %s", text_of(run, "name"), err.msg);
        assert_false(report.new_head); /* the reference began with the head of the folder */
        compare(run, text_of(run, "name"), out);
        train_report_release(&report);
        free(data);
        free(out);
    }
    js_free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_runs)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
