/* test_kernels_level.c - the choice of a level, and SEMSEARCH_ISA. */
#include "tests/unit/kernels/kernels_test.h"

static void test_default_is_the_best(void **state)
{
    (void)state;
    struct err err = {0};
    unsetenv("SEMSEARCH_ISA");
    assert_int_equal(kernels_init(&err), 0);
    const char *best = NULL;
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (kernels_level(level_names[i]))
            best = level_names[i];
    assert_string_equal(kern.isa, best);
    assert_non_null(kern.features);
}

static void test_each_level_can_be_forced(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        struct err err = {0};
        setenv("SEMSEARCH_ISA", level_names[i], 1);
        if (kernels_level(level_names[i])) {
            assert_int_equal(kernels_init(&err), 0);
            assert_string_equal(kern.isa, level_names[i]);
        } else {
            assert_int_equal(kernels_init(&err), -1);
            assert_int_equal(err.kind, ERR_USAGE);
        }
    }
    unsetenv("SEMSEARCH_ISA");
}

static void test_unknown_level_names_the_choices(void **state)
{
    (void)state;
    struct err err = {0};
    setenv("SEMSEARCH_ISA", "sse9", 1);
    assert_int_equal(kernels_init(&err), -1);
    assert_string_equal(err.msg, "SEMSEARCH_ISA=sse9: no such level");
    assert_non_null(strstr(err.hint, twin()->isa));
    setenv("SEMSEARCH_ISA", "", 1); /* empty is as good as unset */
    assert_int_equal(kernels_init(&err), 0);
    unsetenv("SEMSEARCH_ISA");
    assert_null(kernels_level("sse9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_is_the_best),
        cmocka_unit_test(test_each_level_can_be_forced),
        cmocka_unit_test(test_unknown_level_names_the_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
