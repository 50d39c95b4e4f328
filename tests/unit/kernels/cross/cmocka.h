/* cmocka.h - the few of cmocka's macros that the tests of the kernels use, for machines that have a
 * cross compiler but no cmocka built with it: see scripts/check-neon. The first failure ends the
 * program. */
#ifndef SEMSEARCH_TESTS_CROSS_CMOCKA_H
#define SEMSEARCH_TESTS_CROSS_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(f) \
    {                       \
#f, f               \
    }
#define fail_msg(...) \
    (printf("%s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), printf("\n"), exit(1))
#define assert_true(x)                   ((x) ? (void)0 : fail_msg("not %s", #x))
#define assert_int_equal(a, b)           assert_true((long long)(a) == (long long)(b))
#define assert_ptr_equal(a, b)           assert_true((const void *)(a) == (const void *)(b))
#define assert_null(a)                   assert_true((a) == NULL)
#define assert_non_null(a)               assert_true((a) != NULL)
#define assert_string_equal(a, b)        assert_true(strcmp(a, b) == 0)
#define assert_memory_equal(a, b, n)     assert_true(memcmp(a, b, n) == 0)
#define assert_memory_not_equal(a, b, n) assert_true(memcmp(a, b, n) != 0)

#define cmocka_run_group_tests(tests, setup, teardown) \
    cross_run(tests, sizeof(tests) / sizeof *(tests))

static inline int cross_run(const struct CMUnitTest *tests, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        tests[i].run(NULL);
        printf("  %s\n", tests[i].name);
    }
    return 0;
}

#endif
