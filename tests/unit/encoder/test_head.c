/* test_head.c - task heads: the tiny models of tests/golden/heads beside what transformers computed
 * for them, as a loaded model and as a learner; and that the folder which a learner writes holds
 * the same tensors under the same names as the one that transformers wrote. */
#include "encoder/model/learner.h"
#include "encoder/model/runner.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADS "tests/golden/heads/"

static const char *const names[] = {"bert-text-classification",
                                    "bert-token-classification",
                                    "bert-question-answering",
                                    "bert-fill-mask",
                                    "bert-next-sentence",
                                    "bert-pretraining",
                                    "roberta-text-classification",
                                    "roberta-token-classification",
                                    "roberta-question-answering",
                                    "roberta-fill-mask",
                                    "distilbert-text-classification",
                                    "distilbert-token-classification",
                                    "distilbert-question-answering",
                                    "distilbert-fill-mask"};

static const char *folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, HEADS "%s", name);
    return path;
}

static const char *task_of(const char *name)
{
    return strchr(name, '-') + 1;
}

/* A case of golden.json as a sequence. */
struct example {
    int id[64], type[64], pick[8];
    struct run_sequence seq;
    const json_value *out, *out2;
};

static int ints(const json_value *list, int *out)
{
    for (size_t i = 0; i < js_count(list); i++)
        out[i] = (int)js_int(js_at(list, i), -1);
    return (int)js_count(list);
}

static void read_example(const json_value *c, struct example *e)
{
    e->seq = (struct run_sequence){.id = e->id, .type = e->type, .pick = e->pick};
    e->seq.n = ints(js_get(c, "ids"), e->id);
    ints(js_get(c, "types"), e->type);
    e->seq.n_pick = ints(js_get(c, "pick"), e->pick);
    e->out = js_get(c, "out");
    e->out2 = js_get(c, "out2");
}

static json_value *golden_of(const char *name)
{
    char path[300];
    struct err e = {0};
    snprintf(path, sizeof path, "%s/golden.json", folder(name));
    json_value *g = js_read_file(path, 1 << 24, &e);
    if (!g)
        fail_msg("%s", e.msg);
    return g;
}

static void check_numbers(const char *name, const char *what, const float *x,
                          const json_value *list)
{
    for (size_t i = 0; i < js_count(list); i++) {
        const float d = fabsf(x[i] - (float)js_number(js_at(list, i), NAN));
        if (!(d < 2e-5f))
            fail_msg("%s: %s, number %zu is %g, off by %g", name, what, i, (double)x[i], (double)d);
    }
}

/* ---- a loaded model -----------------------------------------------------------------------------
 */

struct seen {
    const char *name;
    struct example *example;
    bool two;
    int n;
};

static void take(void *ctx, int item, const struct seq_output *o)
{
    struct seen *s = ctx;
    assert_int_equal(o->out2 != NULL, s->two);
    check_numbers(s->name, "out", o->out, s->example[item].out);
    if (s->example[item].out2 && o->out2)
        check_numbers(s->name, "out2", o->out2, s->example[item].out2);
    s->n++;
}

static void check_model(const char *name, const char *task)
{
    struct model *m;
    struct runner r;
    struct err e = {0};
    struct example example[8];
    struct run_sequence seq[8];
    json_value *golden = golden_of(name), *cases = js_get(golden, "cases");
    const int n = (int)js_count(cases);
    for (int i = 0; i < n; i++) {
        read_example(js_at(cases, (size_t)i), &example[i]);
        seq[i] = example[i].seq;
    }
    if (model_open(folder(name), &(struct model_options){.task = task}, &m, &e))
        fail_msg("%s: %s", name, e.msg);
    struct seen seen = {.name = name, .example = example, .two = !strcmp(task, "pretraining")};
    assert_int_equal(runner_open(&r, m, 1, NULL), 0);
    assert_int_equal(runner_run(&r, seq, n, 0, take, &seen, NULL), 0);
    assert_int_equal(seen.n, n);
    runner_close(&r);
    model_close(m);
    js_free(golden);
}

static void test_logits(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        for (int again = 0; again < 2; again++) /* the second time from the cache */
            check_model(names[i], task_of(names[i]));
    check_model("bert-token-classification", "auto");
    check_model("bert-pretraining", "auto"); /* as fill-mask: out is that of the words */
}

static void test_refusals(void **state)
{
    (void)state;
    struct model *m;
    struct err e = {0};
    const struct model_options o = {.task = "question-answering"};
    assert_int_equal(model_open(folder("bert-fill-mask"), &o, &m, &e), -1);
    assert_non_null(strstr(e.msg, "is for fill-mask, not for question-answering"));
    e = (struct err){0};
    assert_int_equal(
        model_open("tests/golden/models/bert", &(struct model_options){.task = "auto"}, &m, &e),
        -1);
    assert_non_null(strstr(e.msg, "has no head"));
}

/* ---- a learner ----------------------------------------------------------------------------------
 */

static struct learner *open_learner(const char *path, const struct learner_options *o)
{
    struct learner *l;
    struct err e = {0};
    if (learner_open(path, o, &l, &e))
        fail_msg("%s (%s)", e.msg, e.hint);
    return l;
}

/* All cases of the folder as one batch, through a tape of the mode. */
static void run_learner(const char *name, struct learner *l, enum tape_mode mode)
{
    struct tape t;
    struct learner_slots slots;
    struct err e = {0};
    int token[256], type[256], start[9] = {0}, pick[64], tok_row[9] = {0}, pick_row[9] = {0};
    json_value *golden = golden_of(name), *cases = js_get(golden, "cases");
    struct batch b = {.token = token, .type = type, .start = start, .pick = pick};
    struct example x[8];
    for (size_t i = 0; i < js_count(cases); i++) {
        read_example(js_at(cases, i), &x[i]);
        tok_row[i] = b.n_tok;
        pick_row[i] = b.n_pick;
        memcpy(token + b.n_tok, x[i].id, (size_t)x[i].seq.n * sizeof *token);
        memcpy(type + b.n_tok, x[i].type, (size_t)x[i].seq.n * sizeof *type);
        for (int k = 0; k < x[i].seq.n_pick; k++)
            pick[b.n_pick++] = b.n_tok + x[i].pick[k];
        b.n_tok += x[i].seq.n;
        start[++b.n_seq] = b.n_tok;
    }
    if (learner_tape(l, mode, NULL, &t, &slots, &e) || tape_bind(&t, &b, &e))
        fail_msg("%s: %s", name, e.msg);
    tape_forward(&t);
    for (int i = 0; i < b.n_seq; i++) {
        const struct slot *out = &t.slot[slots.out];
        const int row = out->rows == ROWS_TOK    ? tok_row[i]
                        : out->rows == ROWS_PICK ? pick_row[i]
                                                 : i;
        check_numbers(name, "learner", out->x + (size_t)row * (size_t)out->cols, x[i].out);
        if (x[i].out2 && slots.out2 >= 0)
            check_numbers(name, "learner, out2", t.slot[slots.out2].x + 2 * i, x[i].out2);
    }
    tape_release(&t);
    js_free(golden);
}

/* The same tensors, by name, shape and bits. */
static void compare_weights(const char *a, const char *b)
{
    struct safetensors x, y;
    char path[400];
    struct err e = {0};
    snprintf(path, sizeof path, "%s/model.safetensors", a);
    if (safetensors_open(&x, path, &e))
        fail_msg("%s", e.msg);
    snprintf(path, sizeof path, "%s/model.safetensors", b);
    if (safetensors_open(&y, path, &e))
        fail_msg("%s", e.msg);
    for (size_t i = 0; i < x.n_tensors && i < y.n_tensors; i++) {
        assert_string_equal(x.tensor[i].name, y.tensor[i].name); /* both are sorted */
        assert_int_equal(x.tensor[i].n_dims, y.tensor[i].n_dims);
        for (int d = 0; d < x.tensor[i].n_dims; d++)
            assert_int_equal(x.tensor[i].shape[d], y.tensor[i].shape[d]);
        assert_int_equal(x.tensor[i].n_bytes, y.tensor[i].n_bytes);
        assert_memory_equal(x.tensor[i].data, y.tensor[i].data, x.tensor[i].n_bytes);
    }
    assert_int_equal(x.n_tensors, y.n_tensors);
    safetensors_close(&x);
    safetensors_close(&y);
}

static void test_learners(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct learner_options o = {.dropout = 0};
        char out[128];
        struct err e = {0};
        int n;
        assert_true(head_of_task(span_of(task_of(names[i])), &o.head));
        struct learner *l = open_learner(folder(names[i]), &o);
        assert_false(learner_new_head(l));
        learner_labels(l, &n);
        run_learner(names[i], l, TAPE_INFER);
        run_learner(names[i], l, TAPE_TRAIN);
        snprintf(out, sizeof out, "%s/%s", dir, names[i]);
        assert_int_equal(dir_make(out, NULL), 0);
        if (learner_save(l, out, 0, &e))
            fail_msg("%s", e.msg);
        learner_close(l);
        compare_weights(folder(names[i]), out);
        struct model *m; /* and it opens for its task */
        if (model_open(out, &(struct model_options){.task = "auto"}, &m, &e))
            fail_msg("%s", e.msg);
        const char *task = task_of(names[i]);
        assert_string_equal(model_info(m)->task, task);
        assert_int_equal(model_info(m)->n_labels, n);
        model_close(m);
    }
}

static void test_labels(void **state)
{
    (void)state;
    static const char *const some[] = {"pos", "neg"}, *const other[] = {"yes", "no"};
    struct learner_options o = {
        .head = HEAD_SEQUENCE, .n_labels = 2, .label = some, .dropout = -1, .seed = 1};
    int n;
    struct learner *l = open_learner(folder("bert-text-classification"), &o);
    const char *const *label = learner_labels(l, &n);
    assert_int_equal(n, 3); /* the folder's order stands */
    assert_string_equal(label[0], "neg");
    assert_false(learner_new_head(l));
    learner_close(l);
    o.label = other;
    l = open_learner(folder("bert-text-classification"), &o);
    label = learner_labels(l, &n);
    assert_int_equal(n, 2);
    assert_string_equal(label[0], "yes");
    assert_true(learner_new_head(l));
    learner_close(l);
    o.n_labels = 1;
    o.regression = true;
    o.label = NULL;
    l = open_learner(folder("bert-text-classification"), &o);
    assert_true(learner_new_head(l));
    learner_close(l);
    o = (struct learner_options){.head = HEAD_TOKEN, .dropout = -1};
    struct err e = {0};
    assert_int_equal(learner_open(folder("bert-fill-mask"), &o, &l, &e), -1);
    assert_non_null(strstr(e.msg, "has no head for token-classification"));
}

/* A checkpoint of pre-training begins each of its two heads, an encoder alone neither. */
static void test_bases(void **state)
{
    (void)state;
    struct learner_options o = {.head = HEAD_MLM, .dropout = -1, .seed = 3};
    struct learner *l = open_learner(folder("bert-pretraining"), &o);
    assert_false(learner_new_head(l));
    run_learner("bert-pretraining", l, TAPE_INFER);
    learner_close(l);
    l = open_learner("tests/golden/models/bert", &o);
    assert_true(learner_new_head(l));
    learner_close(l);
    o.head = HEAD_NSP;
    struct err e = {0};
    assert_int_equal(learner_open(folder("roberta-fill-mask"), &o, &l, &e), -1);
    assert_non_null(strstr(e.msg, "no head for the next sentence"));
}

static int frozen(const struct learner *l, struct params *p)
{
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if (!p->p[i]->dx) {
            n++;
            assert_non_null(learner_file_name(l, i));
        }
    return n;
}

static void test_freezing(void **state)
{
    (void)state;
    static const char *const all[] = {"bert.embeddings.*"}, *const part[] = {"*.query.weight"},
                             *const none[] = {"decoder.*"};
    struct learner_options o = {.head = HEAD_TOKEN, .dropout = -1, .freeze = all, .n_freeze = 1};
    struct learner *l = open_learner(folder("bert-token-classification"), &o);
    assert_int_equal(frozen(l, learner_params(l)), 5); /* three tables, norm's gain and bias */
    learner_close(l);
    struct err e = {0};
    o.freeze = part;
    assert_int_equal(learner_open(folder("bert-token-classification"), &o, &l, &e), -1);
    assert_non_null(strstr(e.msg, "freezes only a part"));
    e = (struct err){0};
    o.freeze = none;
    assert_int_equal(learner_open(folder("bert-token-classification"), &o, &l, &e), -1);
    assert_non_null(strstr(e.msg, "no tensor matches"));
}

/* ---- bf16 ---------------------------------------------------------------------------------------
 */

/* One step up and down over a few tokens; every gradient, end to end. */
static size_t gradients(struct learner *l, float **out)
{
    static const int token[] = {2, 5, 34, 11, 33, 3, 2, 23, 50, 3}, start[] = {0, 6, 10};
    const struct batch b = {.n_tok = 10, .n_seq = 2, .token = token, .start = start};
    struct tape t;
    struct learner_slots slots;
    struct err e = {0};
    struct params *s = learner_params(l);
    size_t n = 0;
    if (learner_tape(l, TAPE_TRAIN, NULL, &t, &slots, &e) || tape_bind(&t, &b, &e))
        fail_msg("%s", e.msg);
    tape_forward(&t);
    const struct slot *y = &t.slot[slots.out];
    for (int i = 0; i < 10 * y->cols; i++)
        y->dx[i] = (float)(i % 7 - 3) / 7;
    tape_backward(&t);
    for (int i = 0; i < s->n; i++)
        n += (size_t)s->p[i]->rows * (size_t)s->p[i]->cols;
    float *to = *out = xcalloc(n, sizeof *to);
    for (int i = 0; i < s->n; i++) {
        const size_t k = (size_t)s->p[i]->rows * (size_t)s->p[i]->cols;
        memcpy(to, s->p[i]->dx, k * sizeof *to);
        to += k;
    }
    tape_release(&t);
    return n;
}

/* Training in bf16 walks in the direction of fp32, but not in its very steps. */
static void test_bf16(void **state)
{
    (void)state;
    struct learner_options o = {.head = HEAD_TOKEN, .dropout = 0, .bf16 = true};
    struct learner *narrow, *wide;
    struct err e = {0};
    float *x, *y;
    double xx = 0, yy = 0, xy = 0;
    assert_int_equal(kernels_init(NULL), 0);
    if (!kern.has_bf16) {
        assert_int_equal(learner_open(folder("bert-token-classification"), &o, &narrow, &e), -1);
        assert_non_null(strstr(e.msg, "no instructions for bf16"));
        return;
    }
    narrow = open_learner(folder("bert-token-classification"), &o);
    o.bf16 = false;
    wide = open_learner(folder("bert-token-classification"), &o);
    const size_t n = gradients(narrow, &x);
    assert_int_equal(gradients(wide, &y), n);
    for (size_t i = 0; i < n; i++) {
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
        xy += (double)x[i] * (double)y[i];
    }
    assert_true(xy / sqrt(xx * yy) > .9995);
    assert_true(memcmp(x, y, n * sizeof *x) != 0);
    free(x);
    free(y);
    learner_close(narrow);
    learner_close(wide);
}

/* ---- from nothing -------------------------------------------------------------------------------
 */

static const struct param *param_named(struct learner *l, const char *name)
{
    struct params *s = learner_params(l);
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->p[i]->name, name))
            return s->p[i];
    fail_msg("no parameter %s", name);
    return NULL;
}

static void test_random(void **state)
{
    (void)state;
    char config[300];
    struct learner *a, *b;
    struct err e = {0};
    const struct learner_options o = {.head = HEAD_PRETRAIN, .dropout = -1, .seed = 7};
    snprintf(config, sizeof config, "%s/config.json", folder("bert-pretraining"));
    if (learner_random(config, folder("bert-fill-mask"), &o, &a, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(learner_random(config, folder("bert-fill-mask"), &o, &b, NULL), 0);
    const struct param *w = param_named(a, "embed.word"), *v = param_named(b, "embed.word");
    const size_t n = (size_t)w->rows * (size_t)w->cols;
    assert_memory_equal(w->w, v->w, n * sizeof *w->w);
    double sum = 0, square = 0;
    for (size_t i = (size_t)w->cols; i < n; i++) {
        sum += (double)w->w[i];
        square += (double)w->w[i] * (double)w->w[i];
    }
    assert_true(fabs(sum / (double)n) < .002 && fabs(sqrt(square / (double)n) - .02) < .002);
    for (int i = 0; i < w->cols; i++)
        assert_true(w->w[i] == 0); /* the padding row */
    assert_true(param_named(a, "embed.norm.weight")->w[3] == 1);
    assert_true(param_named(a, "embed.norm.bias")->w[3] == 0);
    assert_true(param_named(a, "head.mlm.bias")->w[3] == 0);
    assert_true(learner_new_head(a));
    learner_close(a);
    learner_close(b);
}

/* ---- sentence encoders --------------------------------------------------------------------------
 */

/* Saving and opening again gives the same vectors. */
static void check_sentence(const char *path, bool same)
{
    char out[128];
    struct err e = {0};
    struct model *m[2];
    float v[2][256];
    static int turn;
    const struct learner_options o = {.head = HEAD_SENTENCE, .dropout = -1};
    struct learner *l = open_learner(path, &o);
    snprintf(out, sizeof out, "%s/sentence-%d", dir, turn++);
    assert_int_equal(dir_make(out, NULL), 0);
    if (learner_save(l, out, 0, &e))
        fail_msg("%s", e.msg);
    learner_close(l);
    const char *const both[] = {path, out};
    for (int k = 0; k < 2; k++) {
        struct encoder *encoder;
        const struct span text = span_of("they said that all the people could see him");
        if (model_open(both[k], NULL, &m[k], &e))
            fail_msg("%s", e.msg);
        assert_int_equal(encoder_open(m[k], 1, &encoder, NULL), 0);
        const struct encode_options eo = {.role = EMBED_QUERY, .normalize = same ? -1 : 1};
        assert_int_equal(encoder_embed(encoder, &text, 1, &eo, v[k], NULL, NULL), 0);
        encoder_close(encoder);
    }
    const struct model_info *x = model_info(m[0]), *y = model_info(m[1]);
    assert_memory_equal(v[0], v[1], (size_t)x->dim * sizeof **v);
    assert_string_equal(x->pooling, y->pooling);
    assert_int_equal(x->max_tokens, y->max_tokens);
    assert_int_equal(x->n_prompts, y->n_prompts);
    assert_string_equal(y->task, "sentence-similarity");
    assert_true(!same || x->normalize == y->normalize);
    model_close(m[0]);
    model_close(m[1]);
}

static void test_sentence_folders(void **state)
{
    (void)state;
    check_sentence("tests/golden/models/bert", true);
    check_sentence("tests/golden/models/poolings", true);
    check_sentence("tests/golden/models/dense_f16", true);
    check_sentence("tests/golden/models/prompt_shards", true);
    check_sentence("tests/golden/models/plain_bf16", false); /* gets mean pooling and Normalize */
    check_sentence("tests/golden/models/roberta", false);
    check_sentence("tests/golden/models/distilbert", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_logits),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_learners),
                                       cmocka_unit_test(test_labels),
                                       cmocka_unit_test(test_bases),
                                       cmocka_unit_test(test_freezing),
                                       cmocka_unit_test(test_bf16),
                                       cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_sentence_folders)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
