/* test_predict.c - what heads say: probabilities, entities, answers over windows and masked words,
 * beside tests/golden/heads/predict.json; the same whatever the threads and neighbours. */
#include "encoder/encoder.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADS "tests/golden/heads/"

static struct model *open_head(const char *name, const char *task)
{
    char path[256];
    struct model *m;
    struct err e = {0};
    snprintf(path, sizeof path, HEADS "%s", name);
    if (model_open(path, &(struct model_options){.task = task}, &m, &e))
        fail_msg("%s", e.msg);
    return m;
}

static void near(const char *what, double x, const json_value *expected)
{
    const double y = js_number(expected, NAN);
    if (!(fabs(x - y) < 2e-5))
        fail_msg("%s is %g, expected %g", what, x, y);
}

/* ---- golden -------------------------------------------------------------------------------------
 */

static struct predict_input read_input(const json_value *row, struct span *word)
{
    const json_value *in = js_get(row, "input"), *words = js_get(in, "words");
    struct predict_input x = {.text = js_string(js_get(in, "text"), NULL),
                              .pair = js_string(js_get(in, "pair"), NULL)};
    if (js_get(in, "question")) {
        x.text = js_string(js_get(in, "question"), NULL);
        x.pair = js_string(js_get(in, "context"), NULL);
    }
    if (!words)
        return x;
    for (size_t i = 0; i < js_count(words); i++)
        word[i] = js_string(js_at(words, i), NULL);
    x.word = word;
    x.n_words = js_count(words);
    return x;
}

static void check_entities(const struct model_info *info, const struct predict_input *in,
                           const struct prediction *p, const json_value *expect)
{
    const json_value *tags = js_get(expect, "tags"), *found = js_get(expect, "entities");
    assert_int_equal(js_count(tags), in->n_words);
    for (size_t i = 0; i < in->n_words; i++)
        if (!span_eq(js_string(js_at(tags, i), ""), info->label[p->tag[i]]))
            fail_msg("word %zu has tag %s", i, info->label[p->tag[i]]);
    assert_int_equal(p->n_entities, js_count(found));
    for (size_t i = 0; i < p->n_entities; i++) {
        const json_value *e = js_at(found, i);
        assert_true(span_eq(js_string(js_get(e, "label"), ""), p->entity[i].label));
        assert_int_equal(p->entity[i].start, js_int(js_get(e, "start"), -1));
        assert_int_equal(p->entity[i].end, js_int(js_get(e, "end"), -1));
        near("an entity's score", p->entity[i].score, js_get(e, "score"));
    }
}

static void check_prediction(const struct model *m, const struct predict_input *in,
                             const struct prediction *p, const json_value *expect)
{
    const json_value *scores = js_get(expect, "scores"), *masks = js_get(expect, "masks");
    for (size_t i = 0; i < js_count(scores); i++)
        near("a probability", p->score[i], js_at(scores, i));
    if (js_get(expect, "null_score")) {
        near("the answer's score", p->answer_score, js_get(expect, "score"));
        near("the null score", p->null_score, js_get(expect, "null_score"));
        assert_int_equal(p->start, js_int(js_get(expect, "start"), -1));
        assert_int_equal(p->end, js_int(js_get(expect, "end"), -1));
        assert_int_equal(p->answered, p->null_score <= p->answer_score);
    }
    if (js_get(expect, "tags"))
        check_entities(model_info(m), in, p, expect);
    assert_int_equal(p->n_masks, js_count(masks));
    for (int i = 0; i < p->n_masks; i++)
        for (int k = 0; k < 3; k++) {
            const json_value *w = js_at(js_at(masks, (size_t)i), (size_t)k);
            assert_int_equal(p->word[i * p->top + k].id, js_int(js_at(w, 0), -1));
            near("a word's probability", p->word[i * p->top + k].score, js_at(w, 1));
        }
}

static void check_row(const json_value *row)
{
    struct span word[128];
    struct err e = {0};
    struct encoder *encoder;
    struct predict_options o;
    struct prediction p[3];
    char name[64];
    const struct span s = js_string(js_get(row, "model"), "");
    snprintf(name, sizeof name, "%.*s", (int)s.n, s.p);
    struct model *m = open_head(name, "auto");
    const struct predict_input x = read_input(row, word);
    const struct predict_input many[3] = {x, x, x};
    predict_defaults(&o);
    o.doc_stride = 8;
    o.max_answer_length = (int)js_int(js_get(js_get(row, "input"), "longest"), 30);
    for (int threads = 1; threads <= 3; threads += 2) {
        assert_int_equal(encoder_open(m, threads, &encoder, NULL), 0);
        if (encoder_predict(encoder, many, 3, &o, p, NULL, &e))
            fail_msg("%s", e.msg);
        for (int i = 0; i < 3; i++) {
            check_prediction(m, &x, &p[i], js_get(row, "expect"));
            if (p[0].n_scores)
                assert_memory_equal(p[0].score, p[i].score, (size_t)p[0].n_scores * sizeof(double));
        }
        for (int i = 0; i < 3; i++)
            prediction_release(&p[i]);
        encoder_close(encoder);
    }
    model_close(m);
}

static void test_golden(void **state)
{
    (void)state;
    struct err e = {0};
    json_value *rows = js_read_file(HEADS "predict.json", 1 << 24, &e);
    if (!rows)
        fail_msg("%s", e.msg);
    assert_true(js_count(rows) > 20);
    for (size_t i = 0; i < js_count(rows); i++)
        check_row(js_at(rows, i));
    js_free(rows);
}

/* ---- by hand ------------------------------------------------------------------------------------
 */

static int predict_one(struct model *m, const struct predict_input *in,
                       const struct predict_options *o, struct prediction *p, struct err *err)
{
    struct encoder *encoder;
    size_t failed;
    assert_int_equal(encoder_open(m, 2, &encoder, NULL), 0);
    const int rc = encoder_predict(encoder, in, 1, o, p, &failed, err);
    assert_int_equal(failed, rc ? 0 : 1);
    encoder_close(encoder);
    return rc;
}

/* Entities of running text are byte ranges of it, whatever its normalisation takes away. */
static void test_running_text(void **state)
{
    (void)state;
    struct model *m = open_head("bert-token-classification", NULL), *head;
    struct predict_options o;
    struct prediction p;
    const char *text = "Thé  pe\xCC\x81ople could, looking";
    model_close(m);
    head = open_head("bert-token-classification", "token-classification");
    predict_defaults(&o);
    const struct predict_input in = {.text = span_of(text)};
    assert_int_equal(predict_one(head, &in, &o, &p, NULL), 0);
    assert_true(p.n_entities > 0);
    for (size_t i = 0; i < p.n_entities; i++) {
        const struct predicted_entity *e = &p.entity[i];
        assert_true(e->start < e->end && e->end <= strlen(text));
        assert_true(e->start == 0 || strchr(" ,", text[e->start - 1]) || text[e->start] == ',');
        assert_true(text[e->end] == 0 || strchr(" ,", text[e->end]));
        assert_true(i == 0 || p.entity[i - 1].end <= e->start);
    }
    prediction_release(&p);
    const struct predict_input empty = {.text = span_of("")};
    assert_int_equal(predict_one(head, &empty, &o, &p, NULL), 0);
    assert_int_equal(p.n_entities, 0);
    prediction_release(&p);
    model_close(head);
}

static void test_answers(void **state)
{
    (void)state;
    struct model *m = open_head("roberta-question-answering", "question-answering");
    struct predict_options o;
    struct prediction p;
    struct err e = {0};
    predict_defaults(&o);
    const struct predict_input in = {.text = span_of("who"), .pair = span_of("the people see him")};
    assert_int_equal(predict_one(m, &in, &o, &p, NULL), 0);
    const double gap = p.null_score - p.answer_score;
    prediction_release(&p);
    o.null_threshold = gap + .001;
    assert_int_equal(predict_one(m, &in, &o, &p, NULL), 0);
    assert_true(p.answered);
    o.null_threshold = gap - .001;
    assert_int_equal(predict_one(m, &in, &o, &p, NULL), 0);
    assert_false(p.answered);
    assert_true(p.spanned);
    const struct predict_input no_context = {.text = span_of("who"), .pair = span_of("")};
    assert_int_equal(predict_one(m, &no_context, &o, &p, NULL), 0);
    assert_false(p.spanned);
    const struct predict_input alone = {.text = span_of("who")};
    assert_int_equal(predict_one(m, &alone, &o, &p, &e), -1);
    assert_non_null(strstr(e.msg, "expected"));
    model_close(m);
}

static void test_masks(void **state)
{
    (void)state;
    struct model *m = open_head("distilbert-fill-mask", "auto");
    struct predict_options o;
    struct prediction p;
    struct err e = {0};
    predict_defaults(&o);
    const struct predict_input none = {.text = span_of("no mask here")};
    assert_int_equal(predict_one(m, &none, &o, &p, &e), -1);
    assert_non_null(strstr(e.msg, "[MASK]"));
    struct str far = {0};
    for (int i = 0; i < 60; i++)
        str_puts(&far, "word ");
    str_puts(&far, "[MASK]");
    const struct predict_input beyond = {.text = str_view(&far)};
    assert_int_equal(predict_one(m, &beyond, &o, &p, &e), -1);
    assert_non_null(strstr(e.msg, "beyond the model's window"));
    str_release(&far);
    o.top = 1000; /* more than there are */
    const struct predict_input one = {.text = span_of("[MASK]")};
    assert_int_equal(predict_one(m, &one, &o, &p, NULL), 0);
    assert_int_equal(p.top, model_info(m)->vocab);
    double sum = 0;
    for (int i = 0; i < p.top; i++) {
        sum += p.word[i].score;
        assert_true(i == 0 || p.word[i].score <= p.word[i - 1].score);
    }
    assert_true(fabs(sum - 1) < 1e-6);
    prediction_release(&p);
    model_close(m);
}

static void test_next_sentence(void **state)
{
    (void)state;
    static const char *const both[] = {"bert-next-sentence", "bert-pretraining"};
    for (int i = 0; i < 2; i++) {
        struct model *m = open_head(both[i], "next-sentence");
        struct predict_options o;
        struct prediction p;
        predict_defaults(&o);
        const struct predict_input in = {.text = span_of("a word"), .pair = span_of("is hot")};
        assert_int_equal(predict_one(m, &in, &o, &p, NULL), 0);
        assert_true(p.n_scores == 1 && p.score[0] > 0 && p.score[0] < 1);
        prediction_release(&p);
        model_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden),
                                       cmocka_unit_test(test_running_text),
                                       cmocka_unit_test(test_answers), cmocka_unit_test(test_masks),
                                       cmocka_unit_test(test_next_sentence)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
