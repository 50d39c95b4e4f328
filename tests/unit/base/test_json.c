/* test_json.c - JSON reading by getters that tolerate absence, writing that is valid whatever goes
 * in. */
#include "src/base/json.h"
#include "src/base/mem.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void test_write(void **state)
{
    (void)state;
    struct str out = {0};
    struct json_writer w;
    jw_init(&w, &out);
    jw_object(&w);
    jw_kint(&w, "schema", 1);
    jw_ktext(&w, "text", "a\"b\\c\n\t\x01");
    jw_ktext(&w, "none", NULL);
    jw_kstring(&w, "bad", (struct span){"x\xFFy", 3});
    jw_key(&w, "list");
    jw_array(&w);
    jw_int(&w, -5);
    jw_float(&w, 0.5, 6);
    jw_float(&w, NAN, 6);
    jw_bool(&w, true);
    jw_array(&w);
    jw_end(&w);
    jw_object(&w);
    jw_end(&w);
    jw_end(&w);
    jw_end(&w);
    assert_string_equal(out.p, "{\"schema\":1,\"text\":\"a\\\"b\\\\c\\n\\t\\u0001\",\"none\":null,"
                               "\"bad\":\"x\xEF\xBF\xBDy\",\"list\":[-5,0.5,null,true,[],{}]}");
    struct err e = {0};
    json_value *v = js_parse(str_view(&out), "own output", &e);
    assert_non_null(v);
    assert_true(js_is_object(v));
    assert_int_equal(js_count(js_get(v, "list")), 6);
    js_free(v);
    str_release(&out);
}

/* Whatever bytes a string holds, what is written parses. */
static void test_write_any_bytes(void **state)
{
    (void)state;
    unsigned rng = 12345;
    for (int round = 0; round < 2000; round++) {
        char bytes[24];
        for (size_t i = 0; i < sizeof bytes; i++) {
            rng = rng * 1664525u + 1013904223u;
            bytes[i] = (char)(rng >> 24);
        }
        struct str out = {0};
        struct json_writer w;
        struct err e = {0};
        jw_init(&w, &out);
        jw_array(&w);
        jw_string(&w, (struct span){bytes, sizeof bytes});
        jw_end(&w);
        json_value *v = js_parse_text(str_view(&out), "x", &e);
        assert_non_null(v);
        js_free(v);
        str_release(&out);
    }
}

/* A zero is a character of texts, and nothing that a name or a key may hold. */
static void test_zero(void **state)
{
    (void)state;
    struct err e = {0};
    const struct span text = span_of("{\"s\": \"a\\u0000b\"}");
    json_value *v = js_parse_text(text, "t", &e);
    assert_int_equal(js_string(js_get(v, "s"), "").n, 3);
    assert_memory_equal(js_string(js_get(v, "s"), "").p, "a\0b", 3);
    js_free(v);
    assert_null(js_parse(text, "t", &e));
    assert_string_equal(e.msg, "'t' has \\u0000 in a string (line 1, column 16)");
    assert_null(js_parse_text(span_of("{\"a\\u0000\": 1}"), "t", &e));
    assert_non_null(strstr(e.msg, "\\u0000 in a key"));
}

static void test_read(void **state)
{
    (void)state;
    struct err e = {0};
    json_value *v = js_parse(
        span_of("{\"i\": 7, \"f\": 2.5, \"s\": \"x\", \"b\": true, \"n\": null, \"a\": [1]}"), "t",
        &e);
    assert_non_null(v);
    assert_int_equal(js_int(js_get(v, "i"), -1), 7);
    assert_int_equal(js_int(js_get(v, "f"), -1), 2);
    assert_true(js_number(js_get(v, "f"), 0) > 2.4);
    assert_true(span_eq(js_string(js_get(v, "s"), ""), "x"));
    assert_true(js_bool(js_get(v, "b"), false));
    assert_null(js_get(v, "n"));
    assert_int_equal(js_int(js_get(v, "missing"), -1), -1);
    assert_int_equal(js_int(js_get(js_get(v, "s"), "not an object"), -1), -1);
    assert_null(js_at(js_get(v, "a"), 5));
    js_free(v);
    static const char *const bad[] = {"", "{", "{\"a\":1,}", "[1 2]", "\"\\ud800\"", "{} x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        memset(&e, 0, sizeof e);
        assert_null(js_parse(span_of(bad[i]), "file.json", &e));
        assert_int_equal(e.kind, ERR_FORMAT);
        assert_non_null(strstr(e.msg, "file.json"));
    }
    struct str deep = {0};
    for (int i = 0; i < 100000; i++)
        str_putc(&deep, '[');
    assert_null(js_parse(str_view(&deep), "deep", &e));
    str_release(&deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_any_bytes),
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
