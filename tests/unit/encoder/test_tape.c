/* test_tape.c - building, planning and running tapes: shared memory, fused epilogues, threads, and
 * each op against its definition written out plainly. */
#include "encoder/tape/tape.h"
#include "src/base/mem.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { H = 24, HEADS = 3, FFN = 56, VOCAB = 19, POSITIONS = 40 };

static unsigned seed = 1;

static float noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)((double)(seed >> 8) / (1 << 24) - 0.5);
}

/* Gives every parameter random numbers; returns the blocks for release. */
struct numbers {
    float *raw[64];
    int n;
};

static void fill(struct params *p, struct numbers *mem)
{
    for (int i = 0; i < p->n; i++) {
        struct param *w = p->p[i];
        const size_t n = (size_t)w->rows * (size_t)w->cols;
        void *x, *packed;
        assert_int_equal(mem_try(&x, n * sizeof(float), "test", NULL), 0);
        for (size_t k = 0; k < n; k++)
            ((float *)x)[k] = noise();
        w->x = mem->raw[mem->n++] = x;
        if (w->kind != PARAM_MATRIX)
            continue;
        const size_t floats = kern.gemm_packed_floats(w->rows, w->cols);
        assert_int_equal(mem_try(&packed, floats * sizeof(float), "test", NULL), 0);
        kern.gemm_pack(packed, x, w->cols, w->rows, w->cols);
        w->packed = (struct packed_f32){w->rows, w->cols, packed};
        mem->raw[mem->n++] = packed;
    }
    p->frozen = true;
}

static void drop(struct params *p, struct numbers *mem)
{
    for (int i = 0; i < mem->n; i++)
        free(mem->raw[i]);
    params_release(p);
}

/* Two post-norm layers and a pooling. */
static int build(struct tape *t)
{
    static const enum pool_mode modes[] = {POOL_MEAN, POOL_CLS};
    char name[4][32];
    int x = tape_norm(t, "n0", tape_embed(t, "embed", VOCAB, 2, POSITIONS, 1, H), 1e-5f);
    for (int l = 0; l < 2; l++) {
        for (int k = 0; k < 4; k++)
            snprintf(name[k], sizeof name[k], "l%d.%d", l, k);
        int y = tape_attention(t, tape_linear(t, name[0], x, 3 * H, true, ACT_NONE, -1), HEADS, -1);
        x = tape_norm(t, "n1", tape_linear(t, name[1], y, H, true, ACT_NONE, x), 1e-5f);
        y = tape_linear(t, name[2], x, FFN, true, ACT_GELU, -1);
        x = tape_norm(t, "n1", tape_linear(t, name[3], y, H, false, ACT_NONE, x), 1e-5f);
    }
    return tape_pool(t, x, modes, 2);
}

static const int token[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6};
static const int start[] = {0, 1, 8, 10, 21};
static const struct batch sample = {.n_tok = 21, .n_seq = 4, .token = token, .start = start};

/* Runs `b` on a new tape over filled parameters and copies the result out. */
static void run(struct params *p, const struct batch *b, bool fuse, struct pool *pool, float *out)
{
    struct tape t;
    struct err e = {0};
    tape_init(&t, p, TAPE_INFER);
    t.fuse = fuse;
    t.pool = pool;
    const int slot = build(&t);
    if (tape_finish(&t, slot, &e) || tape_bind(&t, b, &e))
        fail_msg("%s", e.msg);
    tape_forward(&t);
    memcpy(out, t.slot[slot].x, (size_t)b->n_seq * 2 * H * sizeof *out);
    tape_release(&t);
}

static void with_params(void (*body)(struct params *p))
{
    struct params p = {0};
    struct numbers mem = {0};
    struct tape t;
    tape_init(&t, &p, TAPE_INFER);
    assert_int_equal(tape_finish(&t, build(&t), NULL), 0);
    tape_release(&t);
    fill(&p, &mem);
    body(&p);
    drop(&p, &mem);
}

static void plan_body(struct params *p)
{
    struct tape t;
    size_t per_tok, per_seq, fixed;
    tape_init(&t, p, TAPE_INFER);
    const int out = build(&t);
    assert_int_equal(tape_finish(&t, out, NULL), 0);
    tape_plan_floats(&t, &per_tok, &per_seq, &fixed);
    assert_int_equal(per_tok, H + 3 * H + H); /* x; qkv and the hidden layer by turns; context */
    assert_int_equal(per_seq, 2 * H);
    assert_int_equal(fixed, 0);
    /* lives that meet in time lie apart; an op that works in place prolongs one */
    for (int i = 0; i < t.n_lives; i++)
        for (int k = i + 1; k < t.n_lives; k++) {
            const struct life *x = &t.life[i], *y = &t.life[k];
            const bool meet = x->rows == y->rows && x->from <= y->to && y->from <= x->to;
            assert_true(!meet || x->offset + x->cols <= y->offset ||
                        y->offset + y->cols <= x->offset);
        }
    assert_true(t.n_lives < t.n_slots);
    assert_int_equal(tape_bind(&t, &sample, NULL), 0);
    const float *first = t.arena;
    const struct batch smaller = {.n_tok = 8, .n_seq = 2, .token = token, .start = start};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tape_bind(&t, &smaller, NULL), 0);
        tape_forward(&t);
        assert_int_equal(tape_bind(&t, &sample, NULL), 0);
        assert_ptr_equal(t.arena, first); /* warm: no allocation */
    }
    assert_int_equal(tape_peak_bytes(&t), tape_bytes(&t, &sample));
    assert_in_range(tape_peak_bytes(&t), 21 * per_tok * 4, 128 * 1024);
    tape_release(&t);
}

static void test_plan(void **state)
{
    (void)state;
    with_params(plan_body);
}

static void fused_body(struct params *p)
{
    float fused[4 * 2 * H], apart[4 * 2 * H];
    run(p, &sample, true, NULL, fused);
    run(p, &sample, false, NULL, apart);
    for (int i = 0; i < 4 * 2 * H; i++)
        assert_float_equal(fused[i], apart[i], 1e-5);
}

static void test_fused(void **state)
{
    (void)state;
    with_params(fused_body);
}

static void threads_body(struct params *p)
{
    float alone[4 * 2 * H], split[4 * 2 * H];
    run(p, &sample, true, NULL, alone);
    for (int n = 2; n <= 5; n++) {
        struct pool *pool = pool_new(n);
        for (int i = 0; i < 20; i++) {
            memset(split, 0, sizeof split);
            run(p, &sample, true, pool, split);
            assert_memory_equal(alone, split, sizeof alone);
        }
        pool_free(pool);
    }
}

static void test_threads(void **state)
{
    (void)state;
    with_params(threads_body);
}

/* Each sequence alone gives the very bits that it gives in company. */
static void neighbours_body(struct params *p)
{
    float together[4 * 2 * H], alone[2 * H];
    run(p, &sample, true, NULL, together);
    for (int s = 0; s < 4; s++) {
        const int one[] = {0, start[s + 1] - start[s]};
        const struct batch b = {
            .n_tok = one[1], .n_seq = 1, .token = token + start[s], .start = one};
        run(p, &b, true, NULL, alone);
        assert_memory_equal(alone, together + s * 2 * H, sizeof alone);
    }
}

static void test_neighbours(void **state)
{
    (void)state;
    with_params(neighbours_body);
}

static void test_building_errors(void **state)
{
    (void)state;
    struct params p = {0};
    struct tape t;
    struct err e = {0};
    static const struct op_kind one_way = {.name = "one-way", .in_place = -1};
    tape_init(&t, &p, TAPE_TRAIN);
    assert_non_null(tape_op(&t, &one_way, ROWS_TOK, 0, H));
    assert_int_equal(tape_finish(&t, 0, &e), -1);
    assert_non_null(strstr(e.msg, "'one-way' has no backward"));
    tape_release(&t);
    tape_init(&t, &p, TAPE_TRAIN);
    assert_int_equal(tape_finish(&t, build(&t), &e), 0);
    tape_release(&t);

    p.frozen = true;
    tape_init(&t, &p, TAPE_INFER);
    int x = tape_embed(&t, "other", VOCAB, 0, 0, 0, H);
    x = tape_norm(&t, "n9", x, 1e-5f); /* a failed tape takes further calls */
    x = tape_linear(&t, "q", x, H, true, ACT_GELU, x);
    x = tape_attention(&t, x, HEADS, -1);
    x = tape_normalise(&t, x);
    assert_int_equal(tape_finish(&t, x, &e), -1);
    assert_non_null(strstr(e.msg, "'other.word'"));
    tape_release(&t);
    p.frozen = false;

    tape_init(&t, &p, TAPE_INFER);
    x = tape_embed(&t, "embed", VOCAB, 2, POSITIONS, 1, H + 1);
    assert_int_equal(tape_finish(&t, x, &e), -1); /* another shape than in the first tape */
    tape_release(&t);

    tape_init(&t, &p, TAPE_INFER);
    x = tape_embed(&t, "e2", VOCAB, 0, 0, 0, 3 * H);
    assert_int_equal(tape_finish(&t, tape_attention(&t, x, 5, -1), &e), -1);
    tape_release(&t);

    tape_init(&t, &p, TAPE_INFER);
    assert_int_equal(tape_finish(&t, 0, &e), -1);
    tape_release(&t);
    params_release(&p);
}

/* One op after an embedding without positions: the result beside the definition. */
static void test_embed_and_pool(void **state)
{
    (void)state;
    static const enum pool_mode modes[] = {POOL_LASTTOKEN, POOL_WEIGHTEDMEAN, POOL_MEAN_SQRT_LEN,
                                           POOL_MEAN,      POOL_MAX,          POOL_CLS};
    static const int type[] = {0, 0, 1, 1, 1, 0, 0, 5};
    static const int begin[] = {0, 5, 6, 8}, skip[] = {2, 0, 2};
    const struct batch b = {
        .n_tok = 8, .n_seq = 3, .token = token, .type = type, .start = begin, .skip = skip};
    struct params p = {0};
    struct numbers mem = {0};
    struct tape t;
    tape_init(&t, &p, TAPE_INFER);
    const int x = tape_embed(&t, "e", VOCAB, 2, POSITIONS, 1, H);
    const int y = tape_pool(&t, x, modes, 6);
    assert_int_equal(tape_finish(&t, y, NULL), 0);
    fill(&p, &mem);
    assert_int_equal(tape_bind(&t, &b, NULL), 0);
    tape_forward(&t);
    const float *e = t.slot[x].x, *v = t.slot[y].x;
    const float *word = p.p[0]->x, *kinds = p.p[1]->x, *pos = p.p[2]->x;
    for (int s = 0; s < 3; s++)
        for (int i = begin[s]; i < begin[s + 1]; i++)
            for (int j = 0; j < H; j++)
                assert_float_equal(e[i * H + j],
                                   word[token[i] * H + j] + kinds[(type[i] == 1) * H + j] +
                                       pos[(1 + i - begin[s]) * H + j],
                                   1e-6);
    for (int j = 0; j < H; j++) { /* sequence 0: tokens 2, 3, 4 count */
        const double a = e[2 * H + j], c = e[3 * H + j], d = e[4 * H + j], sum = a + c + d;
        assert_float_equal(v[0 * H + j], d, 0);
        assert_float_equal(v[1 * H + j], (3 * a + 4 * c + 5 * d) / 12, 1e-6);
        assert_float_equal(v[2 * H + j], sum / sqrt(3), 1e-6);
        assert_float_equal(v[3 * H + j], sum / 3, 1e-6);
        assert_float_equal(v[4 * H + j], fmax(a, fmax(c, d)), 0);
        assert_float_equal(v[5 * H + j], a, 0);
        const float *none = v + 2 * 6 * H; /* sequence 2: nothing is left */
        assert_float_equal(none[0 * H + j], 0, 0);
        assert_float_equal(none[3 * H + j], 0, 0);
        assert_float_equal(none[4 * H + j], fmaxf(e[6 * H + j], e[7 * H + j]), 0);
        assert_float_equal(none[5 * H + j], e[6 * H + j], 0);
    }
    tape_release(&t);
    drop(&p, &mem);
}

static void test_attention_and_normalise(void **state)
{
    (void)state;
    struct params p = {0};
    struct numbers mem = {0};
    struct tape t;
    tape_init(&t, &p, TAPE_INFER);
    const int qkv = tape_embed(&t, "e", VOCAB, 0, 0, 0, 3 * H);
    const int a = tape_attention(&t, qkv, HEADS, -1);
    const int n = tape_normalise(&t, a);
    assert_int_equal(tape_finish(&t, n, NULL), 0);
    fill(&p, &mem);
    assert_int_equal(tape_bind(&t, &sample, NULL), 0);
    tape_forward(&t);
    const int d = H / HEADS;
    const float *x = p.p[0]->x;
    for (int s = 0; s < sample.n_seq; s++)
        for (int i = start[s]; i < start[s + 1]; i++) {
            double y[H] = {0}, norm = 0;
            for (int h = 0; h < HEADS; h++) {
                double total = 0;
                for (int k = start[s]; k < start[s + 1]; k++) {
                    double score = 0;
                    for (int j = 0; j < d; j++)
                        score += (double)x[token[i] * 3 * H + h * d + j] *
                                 x[token[k] * 3 * H + H + h * d + j];
                    const double w = exp(score / sqrt(d));
                    total += w;
                    for (int j = 0; j < d; j++)
                        y[h * d + j] += w * x[token[k] * 3 * H + 2 * H + h * d + j];
                }
                for (int j = 0; j < d; j++) {
                    y[h * d + j] /= total;
                    norm += y[h * d + j] * y[h * d + j];
                }
            }
            for (int j = 0; j < H; j++)
                assert_float_equal(t.slot[n].x[i * H + j], y[j] / sqrt(norm), 1e-6);
        }
    tape_release(&t);
    drop(&p, &mem);
    float zero[4] = {0}, out[4] = {1, 1, 1, 1};
    normalise_row(out, zero, 4);
    assert_memory_equal(out, zero, sizeof out);
}

static int init(void **state)
{
    (void)state;
    return kernels_init(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plan),
                                       cmocka_unit_test(test_fused),
                                       cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_neighbours),
                                       cmocka_unit_test(test_building_errors),
                                       cmocka_unit_test(test_embed_and_pool),
                                       cmocka_unit_test(test_attention_and_normalise)};
    return cmocka_run_group_tests(tests, init, NULL);
}
