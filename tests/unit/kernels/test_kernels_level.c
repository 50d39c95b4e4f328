/* test_kernels_level.c - the choice of a level, and SEMSEARCH_ISA. */
#include "tests/unit/kernels/kernels_test.h"

static void test_default_is_the_best(void **state)
{
    (void)state;
    const char *best = NULL;
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (kernels_level(level_names[i]))
            best = level_names[i];
    struct err err = {0};
    assert_string_equal(kernels_choose(NULL, &err)->isa, best);
    assert_string_equal(kernels_choose("", &err)->isa, best);
}

static void test_each_level_can_be_forced(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        struct err err = {0};
        const struct kernels *const k = kernels_choose(level_names[i], &err);
        assert_ptr_equal(k, kernels_level(level_names[i]));
        if (k)
            assert_string_equal(k->isa, level_names[i]);
        else
            assert_int_equal(err.kind, ERR_USAGE);
    }
}

static void test_unknown_level_names_the_choices(void **state)
{
    (void)state;
    struct err err = {0};
    assert_null(kernels_choose("sse9", &err));
    assert_string_equal(err.msg, "SEMSEARCH_ISA=sse9: no such level");
    assert_non_null(strstr(err.hint, twin()->isa));
    assert_null(kernels_level("sse9"));
}

/* The first success decides, whatever the variable says afterwards; a refusal decides nothing. */
static void test_init_chooses_once(void **state)
{
    (void)state;
    struct err err = {0};
    setenv("SEMSEARCH_ISA", "sse9", 1);
    assert_int_equal(kernels_init(&err), -1);
    setenv("SEMSEARCH_ISA", twin()->isa, 1);
    assert_int_equal(kernels_init(&err), 0);
    assert_string_equal(kern.isa, twin()->isa);
    assert_non_null(kern.features);
    unsetenv("SEMSEARCH_ISA");
    assert_int_equal(kernels_init(&err), 0);
    assert_string_equal(kern.isa, twin()->isa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_is_the_best),
        cmocka_unit_test(test_each_level_can_be_forced),
        cmocka_unit_test(test_init_chooses_once),
        cmocka_unit_test(test_unknown_level_names_the_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
