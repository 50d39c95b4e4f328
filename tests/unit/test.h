/* test.h - what every cmocka program of ours includes. */
#ifndef SEMSEARCH_TESTS_UNIT_TEST_H
#define SEMSEARCH_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A call that must succeed; it takes &err, which is the macro's own. */
#define OK(call)                                                   \
    do {                                                           \
        struct err err = {0};                                      \
        if ((call) != 0)                                           \
            fail_msg("%s: %s", #call, err.msg[0] ? err.msg : "?"); \
    } while (0)

#endif
