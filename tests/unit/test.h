/* test.h - what every cmocka program of ours includes. */
#ifndef SEMSEARCH_TESTS_UNIT_TEST_H
#define SEMSEARCH_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
