/* Tests of the fusion and of the background it measures against. */
#include "index/search/calibrate.h"
#include "index/search/fuse.h"
#include "src/kernels/kernels.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct background usual = {.centre = 0, .scale = 0.065, .spread = 0.125};

static uint64_t seed = 1;
static double uniform(void)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (double)(seed >> 11) / (double)(1ULL << 53);
}

static struct fusion begin(const struct background *bg, double ceiling, double share,
                           const float *cosine, const float *bm25, size_t n)
{
    struct fusion f;
    fuse_begin(&f, bg, ceiling, share, cosine, bm25, n);
    return f;
}

static void rises_with_either_signal(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2000; turn++) {
        float cosine[4], bm25[4];
        const double ceiling = 1 + 200 * uniform();
        for (int i = 0; i < 4; i++) {
            cosine[i] = (float)(uniform() - 0.2);
            bm25[i] = (float)(ceiling * uniform());
        }
        const struct fusion f = begin(&usual, ceiling, uniform(), cosine, bm25, 4);
        const double here = fuse_hybrid(&f, cosine[0], bm25[0]);
        assert_true(fuse_hybrid(&f, cosine[0] + 0.01, bm25[0]) > here);
        assert_true(fuse_hybrid(&f, cosine[0], bm25[0] + 0.01 * ceiling) >= here);
        if (bm25[0] < 0.98 * ceiling)
            assert_true(fuse_hybrid(&f, cosine[0], bm25[0] + 0.01 * ceiling) > here);
        assert_true(fuse_score(here) >= 0 && fuse_score(here) <= 1);
        assert_true(here <= f.level + 1e-9);
    }
}

static void best_candidate_stands_at_the_level(void **state)
{
    (void)state;
    const float cosine[] = {0.6F, 0.2F}, bm25[] = {0, 5};
    const struct fusion f = begin(&usual, 20, 0.3, cosine, bm25, 2);
    const double a = fuse_hybrid(&f, cosine[0], bm25[0]), b = fuse_hybrid(&f, cosine[1], bm25[1]);
    assert_true(fabs(fmax(a, b) - f.level) < 1e-12);
}

static void without_words_cosines_decide(void **state)
{
    (void)state;
    const float cosine[] = {0.5F, 0.4F, 0.3F}, bm25[] = {0, 0, 0};
    const struct fusion f = begin(&usual, 0, 0, cosine, bm25, 3);
    assert_true(fuse_hybrid(&f, 0.5, 0) > fuse_hybrid(&f, 0.4, 0));
    assert_true(fabs(fuse_hybrid(&f, 0.5, 0) - fuse_vector(&usual, 0.5F)) < 1e-6);
}

/* A name that the encoder does not know: no cosine above what foreign questions reach. */
static void exact_names_win_over_noise(void **state)
{
    (void)state;
    const float cosine[] = {0.26F, 0.17F}, bm25[] = {0, 4};
    const struct fusion f = begin(&usual, 8, 1, cosine, bm25, 2);
    assert_true(fuse_hybrid(&f, cosine[1], bm25[1]) > fuse_hybrid(&f, cosine[0], bm25[0]));
    assert_true(fuse_score(fuse_hybrid(&f, cosine[1], bm25[1])) > SCORE_WEAK);
}

/* The same cosine gap and the same words: where the encoder is sure it has more say. */
static void words_count_less_beside_a_sure_encoder(void **state)
{
    (void)state;
    const float sure[] = {0.75F, 0.40F}, unsure[] = {0.35F, 0.20F}, bm25[] = {0, 4};
    const struct fusion a = begin(&usual, 10, 0.5, sure, bm25, 2);
    const struct fusion b = begin(&usual, 10, 0.5, unsure, bm25, 2);
    assert_true(a.weight < b.weight);
}

static void foreign_questions_are_weak_and_own_are_not(void **state)
{
    (void)state;
    const float foreign[] = {0.24F, 0.20F}, own[] = {0.65F, 0.5F}, words[] = {4, 1};
    struct fusion f = begin(&usual, 25, 0.3, foreign, words, 2);
    assert_true(fuse_score(fuse_hybrid(&f, foreign[0], words[0])) < SCORE_WEAK / 2);
    f = begin(&usual, 25, 0.3, own, words, 2);
    assert_true(fuse_score(fuse_hybrid(&f, own[0], words[0])) > 0.8);
    assert_true(fuse_score(fuse_vector(&usual, 0.24)) < SCORE_WEAK / 2);
    assert_true(fuse_score(fuse_vector(&usual, 0.65)) > 0.8);
    assert_true(fuse_score(fuse_keyword(25, 2)) < SCORE_WEAK);
    assert_true(fuse_score(fuse_keyword(25, 12)) > SCORE_WEAK);
}

/* Another model's cosines are the same numbers, shifted and squeezed: scores must not notice. */
static void scores_do_not_depend_on_the_models_scale(void **state)
{
    (void)state;
    const struct background other = {.centre = 0.72, .scale = 0.065 / 4, .spread = 0.125 / 4};
    float a[8], b[8], bm25[8];
    for (int i = 0; i < 8; i++) {
        a[i] = (float)uniform();
        b[i] = 0.72F + a[i] / 4;
        bm25[i] = (float)(10 * uniform());
    }
    const struct fusion fa = begin(&usual, 20, 0.6, a, bm25, 8);
    const struct fusion fb = begin(&other, 20, 0.6, b, bm25, 8);
    for (int i = 0; i < 8; i++) {
        assert_true(fabs(fuse_hybrid(&fa, a[i], bm25[i]) - fuse_hybrid(&fb, b[i], bm25[i])) < 1e-4);
        assert_true(fabs(fuse_vector(&usual, a[i]) - fuse_vector(&other, b[i])) < 1e-4);
    }
}

static void extremes_stay_finite(void **state)
{
    (void)state;
    const float cosine[] = {-1, 1}, bm25[] = {1e30F, 0};
    const double ceilings[] = {0, 1e-300, 1, 1e30};
    for (size_t i = 0; i < 4; i++) {
        const struct fusion f = begin(&usual, ceilings[i], 1, cosine, bm25, 2);
        for (int c = 0; c < 2; c++) {
            const double s = fuse_score(fuse_hybrid(&f, cosine[c], bm25[c]));
            assert_true(s >= 0 && s <= 1);
        }
    }
    const struct fusion none = begin(&usual, 3, 0, NULL, NULL, 0);
    assert_true(isfinite(none.level) && isfinite(none.weight));
    assert_true(fuse_score(fuse_keyword(0, 3)) < SCORE_WEAK);
}

/* ---- background ---- */

enum { DIM = 32, N = 400, PROBES = 40 };

/* Random unit vectors of which the first number is `common`. */
static void fill(float *v, size_t n, double common)
{
    for (size_t i = 0; i < n; i++) {
        double norm = 0;
        for (int d = 1; d < DIM; d++) {
            v[i * DIM + d] = (float)(uniform() + uniform() + uniform() - 1.5);
            norm += (double)v[i * DIM + d] * v[i * DIM + d];
        }
        for (int d = 1; d < DIM; d++)
            v[i * DIM + d] *= (float)(sqrt(1 - common * common) / sqrt(norm));
        v[i * DIM] = (float)common;
    }
}

static void background_is_that_of_unrelated_questions(void **state)
{
    (void)state;
    static float passage[N * DIM], probe[PROBES * DIM];
    static int64_t doc[N];
    for (int i = 0; i < N; i++)
        doc[i] = i / 4;
    fill(passage, N, 0.8); /* passages much like each other: cosines about .64 */
    fill(probe, PROBES, 0);
    struct background bg = background_of(passage, doc, N, probe, PROBES, DIM);
    assert_true(fabs(bg.centre) < 0.02);
    assert_true(bg.scale > 0.06 && bg.scale < 0.16);
    /* a tenth of the probes hits the subject: quantiles hardly move */
    memcpy(probe, passage, PROBES / 10 * DIM * sizeof *probe);
    const struct background hit = background_of(passage, doc, N, probe, PROBES, DIM);
    assert_true(fabs(hit.centre - bg.centre) < 0.03);
    assert_true(hit.scale < 1.4 * bg.scale);
    /* a model with another zero */
    fill(probe, PROBES, 0.8);
    bg = background_of(passage, doc, N, probe, PROBES, DIM);
    assert_true(fabs(bg.centre - 0.64) < 0.03);
}

static void tiny_collections_have_a_usable_background(void **state)
{
    (void)state;
    static float passage[5 * DIM], probe[PROBES * DIM];
    const int64_t doc[5] = {1, 1, 1, 1, 1};
    fill(passage, 5, 0.9);
    fill(probe, PROBES, 0);
    for (size_t n = 0; n <= 5; n++) {
        const struct background bg = background_of(passage, doc, n, probe, PROBES, DIM);
        assert_true(bg.scale > 0.01 && bg.scale < 0.5);
        assert_true(bg.spread >= 1.1 * bg.scale && bg.spread <= 3 * bg.scale);
    }
    memset(passage, 0, sizeof passage); /* all cosines equal */
    const struct background flat = background_of(passage, doc, 5, probe, PROBES, DIM);
    assert_true(flat.scale > 0 && flat.spread > 0);
}

int main(void)
{
    struct err err = {0};
    if (kernels_init(&err))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rises_with_either_signal),
        cmocka_unit_test(best_candidate_stands_at_the_level),
        cmocka_unit_test(without_words_cosines_decide),
        cmocka_unit_test(exact_names_win_over_noise),
        cmocka_unit_test(words_count_less_beside_a_sure_encoder),
        cmocka_unit_test(foreign_questions_are_weak_and_own_are_not),
        cmocka_unit_test(scores_do_not_depend_on_the_models_scale),
        cmocka_unit_test(extremes_stay_finite),
        cmocka_unit_test(background_is_that_of_unrelated_questions),
        cmocka_unit_test(tiny_collections_have_a_usable_background),
    };
    return cmocka_run_group_tests_name("fuse", tests, NULL, NULL);
}
