/* test_backward.c - the gradients of whole models in float beside PyTorch's
 * (tests/golden/gradients), the same bits for every number of threads, on every level within
 * rounding; dropout that knows its sequences; memory that is told beforehand and refused cleanly.
 */
#include "encoder/model/learner.h"
#include "encoder/weights/safetensors.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/golden/"

static const struct subject {
    const char *name, *folder, *pooling;
    enum head_kind head;
} subjects[] = {{"bert-mean", "models/bert", NULL, HEAD_SENTENCE},
                {"distilbert-weightedmean", "models/distilbert", "weightedmean", HEAD_SENTENCE},
                {"roberta-max", "models/roberta", "max", HEAD_SENTENCE},
                {"bert-text-classification", NULL, NULL, HEAD_SEQUENCE},
                {"bert-token-classification", NULL, NULL, HEAD_TOKEN},
                {"bert-question-answering", NULL, NULL, HEAD_SPAN},
                {"bert-fill-mask", NULL, NULL, HEAD_MLM},
                {"bert-next-sentence", NULL, NULL, HEAD_NSP},
                {"bert-pretraining", NULL, NULL, HEAD_PRETRAIN},
                {"distilbert-text-classification", NULL, NULL, HEAD_SEQUENCE},
                {"distilbert-token-classification", NULL, NULL, HEAD_TOKEN},
                {"distilbert-question-answering", NULL, NULL, HEAD_SPAN},
                {"distilbert-fill-mask", NULL, NULL, HEAD_MLM},
                {"roberta-text-classification", NULL, NULL, HEAD_SEQUENCE},
                {"roberta-token-classification", NULL, NULL, HEAD_TOKEN},
                {"roberta-question-answering", NULL, NULL, HEAD_SPAN},
                {"roberta-fill-mask", NULL, NULL, HEAD_MLM}};

static int setup(void **state)
{
    return scratch_make(state) || kernels_init(NULL);
}

static const char *folder_of(const struct subject *s)
{
    static char path[256];
    snprintf(path, sizeof path, GOLDEN "%s%s", s->folder ? "" : "heads/",
             s->folder ? s->folder : s->name);
    return path;
}

/* ---- a batch ---------------------------------------------------------------------------------
 */

struct cases {
    int token[2048], type[2048], start[65], pick[64];
    uint64_t key[64];
    struct batch batch;
};

static int ints(const json_value *list, int *out, int more)
{
    for (size_t i = 0; i < js_count(list); i++)
        out[i] = (int)js_int(js_at(list, i), -1) + more;
    return (int)js_count(list);
}

static void read_cases(const struct subject *s, struct cases *c)
{
    char path[300];
    struct err e = {0};
    memset(c, 0, sizeof *c);
    snprintf(path, sizeof path, "%s/golden.json", folder_of(s));
    json_value *golden = js_read_file(path, 1 << 24, &e), *cases = js_get(golden, "cases");
    if (!golden)
        fail_msg("%s", e.msg);
    struct batch *b = &c->batch;
    *b = (struct batch){.token = c->token,
                        .type = s->folder ? NULL : c->type,
                        .start = c->start,
                        .pick = c->pick,
                        .seq_key = c->key};
    for (size_t i = 0; i < js_count(cases); i++) {
        const json_value *one = js_at(cases, i);
        const int n = ints(js_get(one, "ids"), c->token + b->n_tok, 0);
        assert_true(b->n_seq < 64 && b->n_tok + n <= 2048);
        ints(js_get(one, "types"), c->type + b->n_tok, 0);
        b->n_pick += ints(js_get(one, "pick"), c->pick + b->n_pick, b->n_tok);
        b->n_tok += n;
        c->key[b->n_seq] = 100 + i;
        c->start[++b->n_seq] = b->n_tok;
    }
    js_free(golden);
}

static struct learner *open_learner(const struct subject *s)
{
    struct learner *l;
    struct err e = {0};
    const struct learner_options o = {.head = s->head, .dropout = 0, .pooling = s->pooling};
    if (learner_open(folder_of(s), &o, &l, &e))
        fail_msg("%s: %s", s->name, e.msg);
    return l;
}

static void weigh(struct slot *slot, const struct batch *b, double (*wave)(double))
{
    const int n = tape_slot_rows(slot, b) * slot->cols;
    for (int k = 0; k < n; k++)
        slot->dx[k] = (float)wave(k + 1);
}

/* The gradients of the golden loss, added to param->dx. */
static void run(struct learner *l, const struct cases *c, struct pool *pool)
{
    struct tape t;
    struct learner_slots slots;
    struct err e = {0};
    if (learner_tape(l, TAPE_TRAIN, pool, &t, &slots, &e) || tape_bind(&t, &c->batch, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(tape_peak_bytes(&t), tape_bytes(&t, &c->batch));
    for (size_t i = 0; i < t.arena_floats; i++)
        t.arena[i] = NAN;
    tape_forward(&t);
    if (slots.out2 >= 0 && t.slot[slots.out2].kept)
        weigh(&t.slot[slots.out2], &c->batch, cos);
    weigh(&t.slot[slots.out], &c->batch, sin);
    tape_backward(&t);
    tape_release(&t);
}

static size_t floats_of(const struct param *p)
{
    return (size_t)p->rows * (size_t)p->cols;
}

/* ---- against PyTorch -------------------------------------------------------------------------
 */

/* The gradients take the weights' place and are saved: so they are by file names. */
static void save_gradients(struct learner *l, const char *to)
{
    struct params *p = learner_params(l);
    struct err e = {0};
    for (int i = 0; i < p->n; i++)
        if (p->p[i]->dx)
            memcpy(p->p[i]->w, p->p[i]->dx, floats_of(p->p[i]) * sizeof(float));
    assert_int_equal(dir_make(to, NULL), 0);
    if (learner_save(l, to, 0, &e))
        fail_msg("%s", e.msg);
}

static double size_of(const struct tensor *t)
{
    double most = 1e-6;
    for (int64_t i = 0; i < t->n_elements; i++) {
        float x;
        memcpy(&x, t->data + i * 4, 4);
        most = fmax(most, fabs((double)x));
    }
    return most;
}

static void compare(const char *name, const char *ours)
{
    char path[300];
    struct err e = {0};
    struct safetensors want, got;
    snprintf(path, sizeof path, GOLDEN "gradients/%s.safetensors", name);
    if (safetensors_open(&want, path, &e))
        fail_msg("%s", e.msg);
    snprintf(path, sizeof path, "%s/model.safetensors", ours);
    if (safetensors_open(&got, path, &e))
        fail_msg("%s", e.msg);
    assert_true(want.n_tensors >= 15);
    for (size_t i = 0; i < want.n_tensors; i++) {
        const struct tensor *w = &want.tensor[i], *g = safetensors_find(&got, w->name);
        if (!g)
            fail_msg("%s: no gradient of %s", name, w->name);
        assert_int_equal(w->n_elements, g->n_elements);
        const double size = size_of(w);
        for (int64_t k = 0; k < w->n_elements; k++) {
            float a, b;
            memcpy(&a, w->data + k * 4, 4);
            memcpy(&b, g->data + k * 4, 4);
            if (!(fabs((double)a - b) <= 1e-5 * size + 1e-5))
                fail_msg("%s: number %d of the gradient of %s is %.8g, not %.8g", name, (int)k,
                         w->name, b, a);
        }
    }
    safetensors_close(&want);
    safetensors_close(&got);
}

static void test_goldens(void **state)
{
    (void)state;
    struct cases c;
    char to[128];
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
        struct learner *l = open_learner(&subjects[i]);
        read_cases(&subjects[i], &c);
        run(l, &c, NULL);
        snprintf(to, sizeof to, "%s/%s", dir, subjects[i].name);
        save_gradients(l, to);
        learner_close(l);
        compare(subjects[i].name, to);
    }
}

static void test_threads(void **state)
{
    (void)state;
    static const size_t chosen[] = {0, 2, 6, 8};
    struct cases c;
    for (size_t i = 0; i < ARRAY_LEN(chosen); i++) {
        const struct subject *s = &subjects[chosen[i]];
        struct learner *one = open_learner(s), *more = open_learner(s);
        struct params *a = learner_params(one), *b = learner_params(more);
        read_cases(s, &c);
        run(one, &c, NULL);
        for (int threads = 2; threads <= 5; threads++) {
            struct pool *pool = pool_new(threads);
            for (int k = 0; k < b->n; k++)
                if (b->p[k]->dx)
                    memset(b->p[k]->dx, 0, floats_of(b->p[k]) * sizeof(float));
            run(more, &c, pool);
            for (int k = 0; k < a->n; k++)
                if (a->p[k]->dx)
                    assert_memory_equal(a->p[k]->dx, b->p[k]->dx,
                                        floats_of(a->p[k]) * sizeof(float));
            pool_free(pool);
        }
        learner_close(one);
        learner_close(more);
    }
}

/* ---- wide layers, many tokens: every cut that is made ----------------------------------------
 */

enum { H = 100, FFN = 500, HEADS = 2, VOCAB = 300, TOKENS = 900, SEQS = 9 };

struct wide {
    struct params p;
    float *memory;
    int token[TOKENS], start[SEQS + 1];
    uint64_t key[SEQS];
    struct batch batch;
};

static int build(struct tape *t)
{
    static const enum pool_mode modes[] = {POOL_MEAN};
    int x = tape_norm(t, "n0", tape_embed(t, "e", VOCAB, 0, 200, 0, H), 1e-5F);
    x = tape_dropout(t, x, 0.1F);
    int y = tape_linear(t, "qkv", x, 3 * H, true, ACT_NONE, -1);
    y = tape_attention_dropout(t, y, HEADS, -1, 0.1F);
    y = tape_linear_dropout(t, "o", y, H, true, ACT_NONE, 0.1F, x);
    x = tape_norm(t, "n1", y, 1e-5F);
    y = tape_linear(t, "up", x, FFN, true, ACT_GELU, -1);
    y = tape_linear_dropout(t, "down", y, H, true, ACT_NONE, 0.1F, x);
    return tape_pool(t, tape_norm(t, "n2", y, 1e-5F), modes, 1);
}

static float noise(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(*seed >> 11) / 9007199254740992.0 - 0.5);
}

static void wide_open(struct wide *w)
{
    struct tape t;
    uint64_t seed = 3;
    size_t floats = 0;
    memset(w, 0, sizeof *w);
    tape_init(&t, &w->p, TAPE_TRAIN);
    assert_int_equal(tape_finish(&t, build(&t), NULL), 0);
    tape_release(&t);
    for (int i = 0; i < w->p.n; i++)
        floats += 2 * floats_of(w->p.p[i]);
    w->memory = xcalloc(floats, sizeof *w->memory);
    float *at = w->memory;
    for (int i = 0; i < w->p.n; i++) {
        struct param *p = w->p.p[i];
        p->x = p->w = at;
        p->dx = at += floats_of(p);
        at += floats_of(p);
        for (size_t k = 0; k < floats_of(p); k++)
            p->w[k] = noise(&seed) / 4 + (p->name[0] == 'n' && strstr(p->name, "weight") ? 1 : 0);
    }
    for (int i = 0; i < TOKENS; i++)
        w->token[i] = i * 37 % VOCAB;
    for (int s = 0; s <= SEQS; s++) /* lengths from 20 to 180 */
        w->start[s] = s == 0 ? 0 : w->start[s - 1] + 20 * s;
    for (int s = 0; s < SEQS; s++)
        w->key[s] = 1000 + (uint64_t)s;
    w->batch = (struct batch){
        .n_tok = TOKENS, .n_seq = SEQS, .token = w->token, .start = w->start, .seq_key = w->key};
    assert_int_equal(w->start[SEQS], TOKENS);
}

static void wide_close(struct wide *w)
{
    free(w->memory);
    params_release(&w->p);
}

static void wide_run(struct wide *w, const struct batch *b, struct pool *pool, uint64_t step,
                     float *out)
{
    struct tape t;
    struct err e = {0};
    tape_init(&t, &w->p, TAPE_TRAIN);
    t.pool = pool;
    t.seed = 5;
    t.step = step;
    const int slot = build(&t);
    if (tape_finish(&t, slot, &e) || tape_bind(&t, b, &e))
        fail_msg("%s", e.msg);
    for (int i = 0; i < w->p.n; i++)
        memset(w->p.p[i]->dx, 0, floats_of(w->p.p[i]) * sizeof(float));
    tape_forward(&t);
    memcpy(out, t.slot[slot].x, (size_t)(b->n_seq * H) * sizeof *out);
    weigh(&t.slot[slot], b, sin);
    tape_backward(&t);
    tape_release(&t);
}

static void test_wide_threads(void **state)
{
    (void)state;
    struct wide one, more;
    static float a[SEQS * H], b[SEQS * H];
    wide_open(&one);
    wide_open(&more);
    wide_run(&one, &one.batch, NULL, 1, a);
    for (int threads = 2; threads <= 4; threads++) {
        struct pool *pool = pool_new(threads);
        wide_run(&more, &more.batch, pool, 1, b);
        assert_memory_equal(a, b, sizeof a);
        for (int k = 0; k < one.p.n; k++)
            assert_memory_equal(one.p.p[k]->dx, more.p.p[k]->dx,
                                floats_of(one.p.p[k]) * sizeof(float));
        pool_free(pool);
    }
    wide_close(&one);
    wide_close(&more);
}

/* Every level of this CPU gives the gradients of the portable one, up to rounding. */
static void test_levels(void **state)
{
    (void)state;
    static const char *const level[] = {"avx2", "avx512", "neon"};
    const struct kernels was = kern;
    static float a[SEQS * H], b[SEQS * H];
    struct wide plain, other;
    wide_open(&plain);
    wide_open(&other);
    kern = *kernels_level("scalar");
    wide_run(&plain, &plain.batch, NULL, 1, a);
    for (size_t i = 0; i < ARRAY_LEN(level); i++) {
        if (!kernels_level(level[i]))
            continue;
        kern = *kernels_level(level[i]);
        wide_run(&other, &other.batch, NULL, 1, b);
        for (int k = 0; k < plain.p.n; k++) {
            const struct param *p = plain.p.p[k], *q = other.p.p[k];
            double size = 0;
            for (size_t x = 0; x < floats_of(p); x++)
                size = fmax(size, fabs((double)p->dx[x]));
            assert_true(size > 0);
            for (size_t x = 0; x < floats_of(p); x++)
                if (!(fabs((double)p->dx[x] - q->dx[x]) <= 2e-5 * size + 1e-6))
                    fail_msg("%s: number %zu of %s is %g, not %g", level[i], x, p->name,
                             (double)q->dx[x], (double)p->dx[x]);
        }
    }
    kern = was;
    wide_close(&plain);
    wide_close(&other);
}

/* A sequence meets the same masks in another batch; in another step, others. */
static void test_dropout_knows_sequences(void **state)
{
    (void)state;
    static float all[SEQS * H], some[SEQS * H], later[SEQS * H];
    struct wide w;
    wide_open(&w);
    wide_run(&w, &w.batch, NULL, 1, all);
    wide_run(&w, &w.batch, NULL, 2, later);
    const int order[2] = {6, 3};
    int token[TOKENS], start[3] = {0};
    uint64_t key[2];
    for (int i = 0; i < 2; i++) {
        const int s = order[i], n = w.start[s + 1] - w.start[s];
        memcpy(token + start[i], w.token + w.start[s], (size_t)n * sizeof *token);
        start[i + 1] = start[i] + n;
        key[i] = w.key[s];
    }
    const struct batch b = {
        .n_tok = start[2], .n_seq = 2, .token = token, .start = start, .seq_key = key};
    wide_run(&w, &b, NULL, 1, some);
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(some + i * H, all + order[i] * H, H * sizeof *some);
        assert_memory_not_equal(some + i * H, later + order[i] * H, H * sizeof *some);
    }
    wide_close(&w);
}

/* ---- memory ----------------------------------------------------------------------------------
 */

/* The allocators of the sanitizers end the program when asked for too much. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool may_ask_for_all = false;
#else
static const bool may_ask_for_all = true;
#endif

static void test_memory(void **state)
{
    (void)state;
    struct wide w;
    struct tape t;
    struct err e = {0};
    size_t per_tok, per_seq, fixed;
    wide_open(&w);
    tape_init(&t, &w.p, TAPE_TRAIN);
    assert_int_equal(tape_finish(&t, build(&t), NULL), 0);
    tape_plan_floats(&t, &per_tok, &per_seq, &fixed);
    /* kept: two sums before norms, qkv, context, the input of GELU, x and the embedding's sum; and
     * on the way down at most GELU again and its gradient, the gradient of a residual, a
     * temporary. Not kept: norms, GELU, masks, weights of attention. */
    assert_in_range(per_tok, 1, 4 * H + 4 * H + FFN + 2 * FFN + 3 * H);
    assert_int_equal(tape_bind(&t, &w.batch, NULL), 0);
    const struct batch huge = {
        .n_tok = INT_MAX / 2, .n_seq = SEQS, .token = w.token, .start = w.start};
    assert_true(tape_bytes(&t, &huge) > (size_t)(INT_MAX / 2) * per_tok * 4);
    if (may_ask_for_all) {
        assert_int_equal(tape_bind(&t, &huge, &e), -1);
        assert_int_equal(e.kind, ERR_MEMORY);
        assert_non_null(strstr(e.msg, "activations of a batch"));
    }
    assert_int_equal(tape_bind(&t, &w.batch, &e), 0); /* a smaller one may follow */
    tape_forward(&t);
    tape_release(&t);
    wide_close(&w);
}

/* Probabilities that are none. */
static void test_refusals(void **state)
{
    (void)state;
    static const float wrong[] = {1, -0.1F, NAN, 2};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct params p = {0};
        struct tape t;
        struct err e = {0};
        tape_init(&t, &p, TAPE_TRAIN);
        const int x = tape_dropout(&t, tape_embed(&t, "e", 5, 0, 0, 0, 4), wrong[i]);
        assert_int_equal(tape_finish(&t, x, &e), -1);
        assert_non_null(strstr(e.msg, "is not in [0, 1)"));
        tape_release(&t);
        params_release(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens),
                                       cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_wide_threads),
                                       cmocka_unit_test(test_levels),
                                       cmocka_unit_test(test_dropout_knows_sequences),
                                       cmocka_unit_test(test_memory),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, setup, scratch_remove);
}
