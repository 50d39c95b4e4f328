/* test_gradients.c - every backward of the tape against central differences in double, on the
 * shipped code (real_double.h), op by op and in whole models; and errors of 1 % planted into every
 * term, which the same check must catch.
 *
 * The loss is a fixed random weighting of all kept slots. Memory is filled with NaN before each
 * run, so that a value that was given up too early, or never written, is seen too.
 */
#include "tests/unit/encoder/real_double.h"
#include "tests/unit/test.h"

enum { H = 8, HEADS = 2, FFN = 12, VOCAB = 9, POSITIONS = 9, MAX_PARAMS = 64 };

static const int token[] = {3, 1, 4, 1, 5, 0, 2, 6, 5, 3, 8, 4};
static const int type[] = {0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0};
static const int start[] = {0, 5, 6, 12}, pick[] = {1, 3, 8, 11}, skip[] = {1, 0, 2};
static const uint64_t key[] = {77, 5, 1ull << 40};
static const struct batch batch = {.n_tok = 12,
                                   .n_seq = 3,
                                   .token = token,
                                   .type = type,
                                   .start = start,
                                   .skip = skip,
                                   .pick = pick,
                                   .n_pick = 4,
                                   .seq_key = key};

static uint64_t seed = 1;

static double noise(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) / 9007199254740992.0 - 0.5;
}

/* ---- models -------------------------------------------------------------------------------- */

struct recipe {
    const char *name;
    int (*build)(struct tape *t, const struct recipe *r);
    enum activation act;
    enum pool_mode pool;
    int window, types, pos_offset;
    double drop;
};

static int embed(struct tape *t, int cols)
{
    return tape_embed(t, "e", VOCAB, 2, POSITIONS, 1, cols);
}

static int build_embed(struct tape *t, const struct recipe *r)
{
    return tape_embed(t, "e", VOCAB, r->types, r->pos_offset ? POSITIONS : 0, r->pos_offset, H);
}

static int build_norm(struct tape *t, const struct recipe *r)
{
    (void)r;
    return tape_norm(t, "n", embed(t, H), 1e-5);
}

static int build_attention(struct tape *t, const struct recipe *r)
{
    return tape_attention_dropout(t, embed(t, 3 * H), HEADS, r->window, r->drop);
}

static int build_linear(struct tape *t, const struct recipe *r)
{
    return tape_linear(t, "l", embed(t, H), FFN, r->drop > 0, r->act, -1);
}

/* The residual is the input itself, then another layer reads both. */
static int build_residual(struct tape *t, const struct recipe *r)
{
    const int x = embed(t, H);
    const int y = tape_linear_dropout(t, "l", x, H, true, r->act, r->drop, x);
    return tape_linear(t, "m", y, H, true, r->act, x);
}

static int build_dropout(struct tape *t, const struct recipe *r)
{
    const int x = tape_dropout(t, embed(t, H), r->drop);
    return tape_dropout(t, x, r->drop);
}

static int build_pool(struct tape *t, const struct recipe *r)
{
    return tape_dropout(t, tape_pool(t, embed(t, H), &r->pool, 1), r->drop);
}

static int build_pools(struct tape *t, const struct recipe *r)
{
    static const enum pool_mode all[] = {POOL_LASTTOKEN, POOL_WEIGHTEDMEAN, POOL_MEAN_SQRT_LEN,
                                         POOL_MEAN,      POOL_MAX,          POOL_CLS};
    (void)r;
    return tape_pool(t, embed(t, H), all, 6);
}

static int build_normalise(struct tape *t, const struct recipe *r)
{
    (void)r;
    return tape_normalise(t, embed(t, H));
}

static int build_pick(struct tape *t, const struct recipe *r)
{
    const int x = embed(t, H);
    const int y = tape_pick(t, x);
    tape_keep(t, tape_norm(t, "n", x, 1e-5)); /* a second reader of x */
    return tape_dropout(t, y, r->drop);
}

static int build_tied(struct tape *t, const struct recipe *r)
{
    (void)r;
    return tape_linear_tied(t, "e.word", "decoder.bias", tape_pick(t, embed(t, H)), VOCAB);
}

/* Two post-norm layers, the weights of the second attention shared with the first. */
static int encoder(struct tape *t, const struct recipe *r)
{
    char name[4][16];
    int x = tape_embed(t, "e", VOCAB, r->types, POSITIONS, r->pos_offset, H);
    x = tape_dropout(t, tape_norm(t, "en", x, 1e-5), r->drop);
    for (int l = 0; l < 2; l++) {
        for (int k = 0; k < 4; k++)
            snprintf(name[k], sizeof name[k], "l%d.%d", l, k);
        int y = tape_linear(t, "qkv", x, 3 * H, true, ACT_NONE, -1);
        y = tape_attention_dropout(t, y, HEADS, r->window, r->drop);
        y = tape_linear_dropout(t, name[0], y, H, true, ACT_NONE, r->types == 2 ? r->drop : 0, x);
        x = tape_norm(t, name[1], y, 1e-5);
        y = tape_linear(t, name[2], x, FFN, true, r->act, -1);
        y = tape_linear_dropout(t, name[3], y, H, true, ACT_NONE, r->drop, x);
        x = tape_norm(t, name[1], y, 1e-5);
    }
    return x;
}

static int build_sentence(struct tape *t, const struct recipe *r)
{
    int x = tape_pool(t, encoder(t, r), &r->pool, 1);
    x = tape_linear(t, "dense", x, H - 2, true, ACT_TANH, -1);
    return tape_normalise(t, x);
}

static int build_pretraining(struct tape *t, const struct recipe *r)
{
    static const enum pool_mode cls[] = {POOL_CLS};
    const int x = encoder(t, r);
    const int pooler = tape_linear(t, "pooler", tape_pool(t, x, cls, 1), H, true, ACT_TANH, -1);
    tape_keep(t, tape_linear(t, "nsp", tape_dropout(t, pooler, r->drop), 2, true, ACT_NONE, -1));
    const int y = tape_linear(t, "mlm", tape_pick(t, x), H, true, r->act, -1);
    return tape_linear_tied(t, "e.word", "decoder.bias", tape_norm(t, "mn", y, 1e-5), VOCAB);
}

static const struct recipe recipes[] = {
    {"embed", build_embed, .types = 2, .pos_offset = 1},
    {"embed, words only", build_embed},
    {"embed, one type", build_embed, .types = 1, .pos_offset = 3},
    {"norm", build_norm},
    {"attention", build_attention, .window = -1},
    {"attention, window", build_attention, .window = 1},
    {"attention, dropout", build_attention, .window = -1, .drop = .3},
    {"attention, window, dropout", build_attention, .window = 2, .drop = .3},
    {"linear", build_linear, .drop = 1},
    {"linear without bias", build_linear},
    {"gelu", build_linear, ACT_GELU, .drop = 1},
    {"gelu tanh", build_linear, ACT_GELU_TANH, .drop = 1},
    {"relu", build_linear, ACT_RELU, .drop = 1},
    {"silu", build_linear, ACT_SILU, .drop = 1},
    {"tanh", build_linear, ACT_TANH, .drop = 1},
    {"residual", build_residual},
    {"residual, gelu", build_residual, ACT_GELU},
    {"residual, dropout", build_residual, .drop = .4},
    {"residual, gelu, dropout", build_residual, ACT_GELU, .drop = .4},
    {"dropout", build_dropout, .drop = .25},
    {"pool cls", build_pool, .pool = POOL_CLS},
    {"pool max", build_pool, .pool = POOL_MAX},
    {"pool mean", build_pool, .pool = POOL_MEAN},
    {"pool sqrt", build_pool, .pool = POOL_MEAN_SQRT_LEN},
    {"pool weighted", build_pool, .pool = POOL_WEIGHTEDMEAN},
    {"pool last", build_pool, .pool = POOL_LASTTOKEN, .drop = .5},
    {"pool all", build_pools},
    {"normalise", build_normalise},
    {"pick", build_pick, .drop = .5},
    {"tied", build_tied},
};
static const struct recipe models[] = {
    {"bert cls", build_sentence, ACT_GELU, POOL_CLS, -1, 2, 0, .1},
    {"bert max", build_sentence, ACT_GELU, POOL_MAX, -1, 2, 0, .1},
    {"distilbert mean", build_sentence, ACT_GELU, POOL_MEAN, -1, 0, 0, .1},
    {"roberta weighted", build_sentence, ACT_GELU_TANH, POOL_WEIGHTEDMEAN, -1, 1, 2, .1},
    {"roberta last", build_sentence, ACT_RELU, POOL_LASTTOKEN, -1, 1, 2, 0},
    {"bert sqrt", build_sentence, ACT_SILU, POOL_MEAN_SQRT_LEN, 2, 2, 0, .1},
    {"pretraining", build_pretraining, ACT_GELU, POOL_CLS, -1, 2, 0, .1},
    {"pretraining without dropout", build_pretraining, ACT_GELU, POOL_CLS, -1, 2, 0, 0},
};

/* ---- a model with numbers, its loss and its gradient --------------------------------------- */

struct subject {
    struct tape t;
    struct params p;
    double *w[MAX_PARAMS], *dx[MAX_PARAMS], *difference[MAX_PARAMS];
    double *weight; /* of the loss: [slots][what the widest has] */
    size_t weights;
};

static size_t floats_of(const struct param *p)
{
    return (size_t)p->rows * (size_t)p->cols;
}

static void give_numbers(struct subject *s)
{
    assert_in_range(s->p.n, 1, MAX_PARAMS);
    for (int i = 0; i < s->p.n; i++) {
        struct param *p = s->p.p[i];
        const size_t n = floats_of(p);
        const bool gamma = p->kind == PARAM_VECTOR && strstr(p->name, ".weight");
        s->w[i] = xcalloc(n, sizeof(double));
        s->dx[i] = xcalloc(n, sizeof(double));
        s->difference[i] = xcalloc(n, sizeof(double));
        for (size_t k = 0; k < n; k++)
            s->w[i][k] = noise() + (gamma ? 1 : 0);
        p->x = p->w = s->w[i];
        p->dx = s->dx[i];
    }
    s->p.frozen = true;
}

static void subject_open(struct subject *s, const struct recipe *r)
{
    struct tape first;
    memset(s, 0, sizeof *s);
    seed = 1;
    tape_init(&first, &s->p, TAPE_TRAIN); /* declares the parameters */
    assert_int_equal(tape_finish(&first, r->build(&first, r), NULL), 0);
    tape_release(&first);
    give_numbers(s);
    struct err e = {0};
    tape_init(&s->t, &s->p, TAPE_TRAIN);
    s->t.seed = 42;
    s->t.step = 7;
    if (tape_finish(&s->t, r->build(&s->t, r), &e) || tape_bind(&s->t, &batch, &e))
        fail_msg("%s: %s", r->name, e.msg);
    s->weights = 12 * 64;
    s->weight = xcalloc((size_t)s->t.n_slots * s->weights, sizeof(double));
    for (size_t i = 0; i < (size_t)s->t.n_slots * s->weights; i++)
        s->weight[i] = noise();
}

static void subject_close(struct subject *s)
{
    for (int i = 0; i < s->p.n; i++) {
        free(s->w[i]);
        free(s->dx[i]);
        free(s->difference[i]);
    }
    free(s->weight);
    tape_release(&s->t);
    params_release(&s->p);
}

static void poison(struct tape *t)
{
    for (size_t i = 0; i < t->arena_floats; i++)
        t->arena[i] = NAN;
}

static double run_up(struct subject *s)
{
    double loss = 0;
    poison(&s->t);
    tape_forward(&s->t);
    for (int i = 0; i < s->t.n_slots; i++) {
        const struct slot *slot = &s->t.slot[i];
        const size_t n = (size_t)tape_slot_rows(slot, &batch) * (size_t)slot->cols;
        for (size_t k = 0; k < n && slot->kept; k++)
            loss += s->weight[(size_t)i * s->weights + k] * slot->x[k];
    }
    return loss;
}

/* The caller's part between the two directions. */
static void give_loss(struct subject *s)
{
    for (int i = 0; i < s->t.n_slots; i++) {
        struct slot *slot = &s->t.slot[i];
        const size_t n = (size_t)tape_slot_rows(slot, &batch) * (size_t)slot->cols;
        if (slot->kept)
            memcpy(slot->dx, s->weight + (size_t)i * s->weights, n * sizeof(double));
    }
    for (int i = 0; i < s->p.n; i++)
        memset(s->dx[i], 0, floats_of(s->p.p[i]) * sizeof(double));
}

/* By central differences, once. */
static void find_differences(struct subject *s)
{
    const double h = 1e-5;
    for (int i = 0; i < s->p.n; i++)
        for (size_t k = 0; k < floats_of(s->p.p[i]); k++) {
            double *w = &s->w[i][k];
            const double was = *w;
            *w = was + h;
            const double above = run_up(s);
            *w = was - h;
            const double below = run_up(s);
            *w = was;
            s->difference[i][k] = (above - below) / (2 * h);
        }
}

/* The largest error of a parameter's gradient, relative to the largest number in it. */
static double gradient_error(const struct subject *s, const char **worst)
{
    double most = 0;
    for (int i = 0; i < s->p.n; i++) {
        double error = 0, size = 1e-3;
        for (size_t k = 0; k < floats_of(s->p.p[i]); k++) {
            const double off = fabs(s->dx[i][k] - s->difference[i][k]);
            error = off > error || isnan(off) ? off : error;
            size = fmax(size, fabs(s->difference[i][k]));
        }
        if (!(error / size <= most)) {
            most = error / size;
            *worst = s->p.p[i]->name;
        }
    }
    return most;
}

enum { RIGHT = 0, CAUGHT = 1 };

/* The check that all of this file is about. */
static int check(const struct subject *s, const char *name, bool tell)
{
    const char *worst = "";
    const double error = gradient_error(s, &worst);
    if (tell && !(error < 1e-6))
        print_error("%s: gradient of %s is off by %g\n", name, worst, error);
    return error < 1e-6 ? RIGHT : CAUGHT;
}

static void check_recipe(const struct recipe *r)
{
    struct subject s;
    subject_open(&s, r);
    find_differences(&s);
    run_up(&s);
    give_loss(&s);
    tape_backward(&s.t);
    assert_int_equal(check(&s, r->name, true), RIGHT);
    subject_close(&s);
}

static void test_ops(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(recipes); i++)
        check_recipe(&recipes[i]);
}

static void test_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        check_recipe(&models[i]);
}

/* ---- planted errors ------------------------------------------------------------------------ */

/* What one backward writes: the gradient of an input, or of a parameter; of qkv one third. */
struct target {
    double *dx;
    size_t rows, cols, ld;
    bool add;
};

enum { TARGETS = OP_MAX_IN * 3 + OP_MAX_PARAMS };

static bool find_target(struct subject *s, const struct op *o, int which, struct target *g)
{
    if (which >= OP_MAX_IN * 3) {
        const int p = o->w[which - OP_MAX_IN * 3];
        if (p < 0)
            return false;
        *g = (struct target){s->dx[p], 1, floats_of(s->p.p[p]), 0, true};
        return true;
    }
    const int in = o->in[which / 3], part = which % 3;
    if (in < 0 || !s->t.slot[in].dx)
        return false;
    const bool thirds = o->heads > 0;
    if (part && !thirds)
        return false;
    const struct slot *slot = &s->t.slot[in];
    const size_t cols = (size_t)slot->cols / (thirds ? 3 : 1);
    *g = (struct target){slot->dx + (size_t)part * cols, (size_t)tape_slot_rows(slot, &batch), cols,
                         (size_t)slot->cols, slot->has_dx};
    return true;
}

/* Down, with what op `at` writes to `which` 1 % too large. Returns false when it writes only 0. */
static bool run_down_planted(struct subject *s, int at, int which)
{
    struct tape *t = &s->t;
    bool planted = false;
    static double before[1 << 16];
    for (int i = 0; i < t->n_slots; i++)
        t->slot[i].has_dx = t->slot[i].kept;
    for (int i = t->n_ops - 1; i >= 0; i--) {
        struct op *o = &t->op[i];
        struct target g;
        const bool here = i == at && find_target(s, o, which, &g);
        for (size_t r = 0; here && r < g.rows; r++)
            memcpy(before + r * g.cols, g.dx + r * g.ld, g.cols * sizeof *before);
        backward_op(t, o);
        for (size_t r = 0; here && r < g.rows; r++)
            for (size_t c = 0; c < g.cols; c++) {
                double *x = &g.dx[r * g.ld + c];
                const double part = *x - (g.add ? before[r * g.cols + c] : 0);
                planted |= fabs(part) > 1e-9;
                *x += 0.01 * part;
            }
    }
    return planted;
}

static void test_planted_targets(void **state)
{
    (void)state;
    int n = 0;
    static const size_t chosen[] = {0, 2, 4, 6};
    for (size_t m = 0; m < ARRAY_LEN(recipes) + ARRAY_LEN(chosen); m++) {
        const struct recipe *r =
            m < ARRAY_LEN(recipes) ? &recipes[m] : &models[chosen[m - ARRAY_LEN(recipes)]];
        struct subject s;
        subject_open(&s, r);
        find_differences(&s);
        for (int i = 0; i < s.t.n_ops; i++)
            for (int k = 0; k < TARGETS; k++) {
                run_up(&s);
                give_loss(&s);
                if (!run_down_planted(&s, i, k))
                    continue;
                if (check(&s, r->name, false) != CAUGHT)
                    fail_msg("%s: an error of 1 %% in what op %d (%s) writes to %d was not caught",
                             r->name, i, s.t.op[i].kind->name, k);
                n++;
            }
        subject_close(&s);
    }
    assert_in_range(n, 150, 1000);
}

/* Terms inside the formulas: the kernel is replaced by one whose term is 1 % too large. */
static int wrong_term;

static void wrong_norm(double *dx, double *dgamma, double *dbeta, const double *dy, const double *x,
                       const double *gamma, int m, int n, double eps, bool add)
{
    double copy[3 * H * 12];
    memcpy(copy, dy, (size_t)(m * n) * sizeof *copy); /* dx may be dy */
    train_layer_norm_backward(dx, dgamma, dbeta, copy, x, gamma, m, n, eps, add);
    for (int i = 0; i < m; i++) {
        const struct norm_row r = norm_row_means(copy + i * n, x + i * n, gamma, (size_t)n, eps);
        for (int j = 0; j < n; j++) {
            const double xh = (x[i * n + j] - r.mean) * r.inv;
            const double term[3] = {copy[i * n + j] * gamma[j], r.of_h, xh * r.of_hx};
            dx[i * n + j] += 0.01 * r.inv * term[wrong_term];
        }
    }
}

static void wrong_slope(double *dx, const double *dy, const double *x, size_t n,
                        enum activation act, bool add)
{
    double copy[FFN * 12];
    memcpy(copy, dy, n * sizeof *copy);
    train_activate_backward(dx, copy, x, n, act, add);
    for (size_t i = 0; i < n; i++)
        dx[i] += 0.01 * copy[i] * (wrong_term ? x[i] * normal_density(x[i]) : normal_cdf(x[i]));
}

static void wrong_attention(const struct attention_train *a)
{
    double out[12 * H];
    struct attention_train b = *a; /* sum of dP P = dout . out, 1 % too large */
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < a->head_dim; j++)
            out[i * a->ld_out + j] = 1.01 * a->out[i * a->ld_out + j];
    b.out = out;
    train_attention_backward(&b);
}

static double wrong_dot(const double *a, const double *b, size_t n)
{
    return rows_dot(a, b, n) * (a == b ? 1 : 1.01);
}

static void expect_caught(const struct recipe *r)
{
    struct subject s;
    const struct kernels right = kern;
    subject_open(&s, r);
    find_differences(&s);
    for (wrong_term = 0; wrong_term < 3; wrong_term++) {
        kern = right;
        if (r->build == build_norm)
            kern.train.layer_norm_backward = wrong_norm;
        else if (r->build == build_linear && wrong_term < 2)
            kern.train.activate_backward = wrong_slope;
        else if (r->build == build_attention)
            kern.train.attention_backward = wrong_attention;
        else if (r->build == build_normalise)
            kern.dot_wide = wrong_dot;
        else
            continue;
        run_up(&s);
        give_loss(&s);
        tape_backward(&s.t);
        if (check(&s, r->name, false) != CAUGHT)
            fail_msg("%s: an error of 1 %% in term %d was not caught", r->name, wrong_term);
    }
    kern = right;
    subject_close(&s);
}

static void test_planted_terms(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(recipes); i++)
        if (recipes[i].build != build_linear || recipes[i].act == ACT_GELU)
            expect_caught(&recipes[i]);
}

/* ---- what is not trained -------------------------------------------------------------------- */

/* With some parameters frozen the others' gradients are the very same, less memory is planned, and
 * below the lowest trained one nothing runs. */
static void test_frozen(void **state)
{
    (void)state;
    static const char *const below[] = {"e.word", "e.type", "e.pos", "en.weight", "en.bias"};
    struct subject all, some;
    subject_open(&all, &models[0]);
    run_up(&all);
    give_loss(&all);
    tape_backward(&all.t);

    subject_open(&some, &models[0]);
    for (int i = 0; i < some.p.n; i++)
        for (size_t k = 0; k < ARRAY_LEN(below); k++)
            if (strcmp(some.p.p[i]->name, below[k]) == 0)
                some.p.p[i]->dx = NULL;
    tape_release(&some.t);
    tape_init(&some.t, &some.p, TAPE_TRAIN);
    some.t.seed = 42;
    some.t.step = 7;
    assert_int_equal(tape_finish(&some.t, models[0].build(&some.t, &models[0]), NULL), 0);
    assert_int_equal(tape_bind(&some.t, &batch, NULL), 0);
    assert_false(some.t.op[0].active);
    assert_false(some.t.op[1].active);
    assert_true(some.t.op[3].active);
    run_up(&some);
    give_loss(&some);
    tape_backward(&some.t);
    for (int i = 0; i < all.p.n; i++)
        if (some.p.p[i]->dx)
            assert_memory_equal(all.dx[i], some.dx[i], floats_of(all.p.p[i]) * sizeof(double));
        else
            for (size_t k = 0; k < floats_of(all.p.p[i]); k++)
                assert_true(some.dx[i][k] == 0);
    subject_close(&all);
    subject_close(&some);
}

/* A second run adds to the gradients. */
static void test_accumulation(void **state)
{
    (void)state;
    struct subject s;
    subject_open(&s, &models[6]);
    run_up(&s);
    give_loss(&s);
    tape_backward(&s.t);
    double *once[MAX_PARAMS];
    for (int i = 0; i < s.p.n; i++) {
        once[i] = xcalloc(floats_of(s.p.p[i]), sizeof(double));
        memcpy(once[i], s.dx[i], floats_of(s.p.p[i]) * sizeof(double));
    }
    run_up(&s);
    give_loss(&s);
    for (int i = 0; i < s.p.n; i++)
        memcpy(s.dx[i], once[i], floats_of(s.p.p[i]) * sizeof(double));
    tape_backward(&s.t);
    for (int i = 0; i < s.p.n; i++) {
        for (size_t k = 0; k < floats_of(s.p.p[i]); k++)
            assert_true(fabs(s.dx[i][k] - 2 * once[i][k]) <= 1e-12);
        free(once[i]);
    }
    subject_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops),           cmocka_unit_test(test_models),
        cmocka_unit_test(test_planted_terms), cmocka_unit_test(test_planted_targets),
        cmocka_unit_test(test_frozen),        cmocka_unit_test(test_accumulation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
