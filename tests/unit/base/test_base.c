/* test_base.c - strings, errors, UTF-8, hashes, dates. */
#include "src/base/clock.h"
#include "src/base/err.h"
#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/base/unicode.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void test_err(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(err_kind_set(&e, ERR_FORMAT, "bad %s", "thing"), -1);
    err_wrap(&e, "reading '%s'", "x");
    assert_string_equal(e.msg, "reading 'x': bad thing");
    assert_int_equal(e.kind, ERR_FORMAT);
    errno = ENOENT;
    err_errno(&e, "cannot open '%s'", "y");
    assert_string_equal(e.msg, "cannot open 'y': No such file or directory");
    assert_int_equal(e.kind, ERR_IO);
    assert_int_equal(err_set(NULL, "nobody listens"), -1);
    char *longer = xcalloc(1, 4000);
    memset(longer, 'a', 3999);
    err_set(&e, "%s", longer);
    err_wrap(&e, "context");
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    assert_memory_equal(e.msg, "context: aaaa", 13);
    free(longer);
}

static void test_str(void **state)
{
    (void)state;
    struct str s = {.max = 10};
    str_puts(&s, "12345");
    str_printf(&s, "%d", 678);
    assert_string_equal(s.p, "12345678");
    str_puts(&s, "abc"); /* past the ceiling: nothing is added, and it is remembered */
    assert_true(s.failed);
    assert_string_equal(s.p, "12345678");
    str_puts(&s, "");
    str_clear(&s);
    assert_false(s.failed);
    str_release(&s);
    char *empty = str_take(&s);
    assert_string_equal(empty, "");
    free(empty);
}

static void test_span(void **state)
{
    (void)state;
    struct span rest = span_of("a,,b,"), piece;
    const char *const want[] = {"a", "", "b", ""};
    for (size_t i = 0; i < 4; i++) {
        assert_true(span_split(&rest, ',', &piece));
        assert_true(span_eq(piece, want[i]));
    }
    assert_false(span_split(&rest, ',', &piece));
    assert_true(span_eq(span_trim(span_of(" \t x y\r\n")), "x y"));
    assert_true(span_eq(span_sub(span_of("hello"), 3, 99), "lo"));
    assert_int_equal(span_sub(span_of("hello"), 4, 2).n, 0);
    assert_true(span_starts(span_of("semsearch"), "sem") && span_ends(span_of("semsearch"), "rch"));
    assert_true(span_cmp(span_of("ab"), span_of("abc")) < 0);
    assert_true(span_cmp(span_of("b"), span_of("abc")) > 0);
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(str_distance("query", "qurey"), 1); /* neighbours swapped */
    assert_int_equal(str_distance("kitten", "sitting"), 3);
    assert_int_equal(str_distance("", "abc"), 3);
    assert_int_equal(str_distance("same", "same"), 0);
}

static void test_mul(void **state)
{
    (void)state;
    size_t n;
    assert_true(mul_size(3, 4, &n));
    assert_int_equal(n, 12);
    assert_false(mul_size(SIZE_MAX / 2, 3, &n));
    void *p;
    struct err e = {0};
    assert_int_equal(mem_try(&p, SIZE_MAX - 8, "a lot", &e), -1);
    assert_int_equal(e.kind, ERR_MEMORY);
    assert_int_equal(mem_try(&p, 100, "a little", &e), 0);
    assert_int_equal((uintptr_t)p % 64, 0);
    free(p);
}

static void test_arena(void **state)
{
    (void)state;
    struct arena a = {0};
    char *first = arena_strndup(&a, "first", 5);
    unsigned char *big = arena_alloc(&a, 200000);
    for (int i = 0; i < 200000; i += 1000)
        assert_int_equal(big[i], 0);
    memset(big, 7, 200000);
    assert_string_equal(first, "first");
    assert_int_equal((uintptr_t)arena_alloc(&a, 1) % 16, 0);
    arena_release(&a);
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        uint32_t cp;
        int used;
    } cases[] = {
        {"a", 1, 'a', 1},
        {"\xC3\xA9", 2, 0xE9, 2},
        {"\xE2\x82\xAC", 3, 0x20AC, 3},
        {"\xF0\x9F\x98\x80", 4, 0x1F600, 4},
        {"\xC3", 1, 0xFFFD, 1},             /* cut short */
        {"\xC0\x80", 2, 0xFFFD, 1},         /* overlong */
        {"\xE0\x80\x80", 3, 0xFFFD, 1},     /* overlong */
        {"\xED\xA0\x80", 3, 0xFFFD, 1},     /* surrogate */
        {"\xF4\x90\x80\x80", 4, 0xFFFD, 1}, /* beyond U+10FFFF */
        {"\x80", 1, 0xFFFD, 1},
        {"\xEF\xBF\xBD", 3, 0xFFFD, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t cp;
        assert_int_equal(utf8_next(cases[i].bytes, cases[i].n, &cp), cases[i].used);
        assert_int_equal(cp, cases[i].cp);
    }
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp += cp < 0x3000 ? 1 : 37) {
        char b[4];
        uint32_t back;
        if (cp >= 0xD800 && cp <= 0xDFFF)
            continue;
        const int n = utf8_put(cp, b);
        assert_int_equal(utf8_next(b, (size_t)n, &back), n);
        assert_int_equal(back, cp);
    }
    assert_true(utf8_valid(span_of("gr\xC3\xBC\xC3\x9F")));
    assert_false(utf8_valid(span_of("\xFF")));
    struct str s = {0};
    utf8_sanitize(span_of("a\xFF\xC3z"), &s);
    assert_string_equal(s.p, "a\xEF\xBF\xBD\xEF\xBF\xBDz");
    str_release(&s);
}

static void test_unicode(void **state)
{
    (void)state;
    assert_int_equal(uni_category('A'), UNI_CAT('L', 'u'));
    assert_int_equal(uni_category(0x0301), UNI_CAT('M', 'n'));
    assert_true(uni_is_letter(0x4E2D) && uni_is_cjk(0x4E2D) && uni_is_number('7') &&
                !uni_is_letter('7'));
    assert_true(uni_is_space(0x3000) && !uni_is_space(0x200B));
    assert_int_equal(uni_lower(0xC9), 0xE9);
    uint32_t out[18];
    assert_int_equal(uni_decompose(0xE9, out), 2);
    assert_int_equal(out[0], 'e');
    assert_int_equal(out[1], 0x301);
    assert_int_equal(uni_decompose(0x1F600, out), 1);
    assert_int_equal(out[0], 0x1F600);
}

static void test_hash(void **state)
{
    (void)state;
    char hex[33];
    struct hash128 h = hash_bytes("abc", 3), back;
    hash_hex(h, hex);
    /* XXH3-128 of "abc", as `xxhsum -H2` prints it */
    assert_string_equal(hex, "06b05ab6733a618578af5f94892f3950");
    assert_true(hash_from_hex(hex, &back) && hash_equal(h, back));
    assert_false(hash_from_hex("06b0", &back));
    assert_false(hash_from_hex("zz06b05ab6733a618578af5f94892f39", &back));
    struct hasher *a = hasher_new(), *b = hasher_new();
    hasher_text(a, span_of("ab"));
    hasher_text(a, span_of("c"));
    hasher_text(b, span_of("a"));
    hasher_text(b, span_of("bc"));
    assert_false(hash_equal(hasher_finish(a), hasher_finish(b)));
}

static void test_dates(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    struct err e = {0};
    int64_t a, b;
    char text[32];
    assert_int_equal(time_parse("2026-03-01", 0, &a, &e), 0);
    assert_int_equal(time_parse("2026-03-01", 1, &b, &e), 0);
    assert_int_equal(b - a, 86400LL * 1000000000 - 1);
    time_rfc3339(a, text);
    assert_string_equal(text, "2026-03-01T00:00:00Z");
    assert_int_equal(time_parse("2026-03-01T02:30:00.5+02:00", 0, &b, &e), 0);
    assert_int_equal(b - a, 30LL * 60 * 1000000000 + 500000000);
    static const char *const bad[] = {
        "2026-3-1",    "2026-02-30",           "2026-13-01",  "yesterday",          "",
        "2026-03-01T", "2026-03-01T25:00:00Z", "2026-03-01x", "2026-03-01T00:00:00"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(time_parse(bad[i], 0, &a, &e), -1);
    assert_int_equal(e.kind, ERR_USAGE);
    assert_int_equal(time_parse("2999-01-01", 0, &a, &e), 0);
    assert_true(a == INT64_MAX);
    assert_int_equal(time_parse("0999-01-01T00:00:00Z", 0, &a, &e), 0);
    assert_true(a == INT64_MIN);
    time_rfc3339(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err),   cmocka_unit_test(test_str),   cmocka_unit_test(test_span),
        cmocka_unit_test(test_mul),   cmocka_unit_test(test_arena), cmocka_unit_test(test_distance),
        cmocka_unit_test(test_utf8),  cmocka_unit_test(test_hash),  cmocka_unit_test(test_unicode),
        cmocka_unit_test(test_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
