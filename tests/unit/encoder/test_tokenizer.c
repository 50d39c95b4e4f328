/* test_tokenizer.c - ids and byte offsets against answers of the Hugging Face `tokenizers` library
 * (tests/golden/make_tokenizer.py), and the behaviour that those answers do not show. */
#include "encoder/tokenizer/internal.h"
#include "encoder/tokenizer/tokenizer.h"
#include "src/base/json.h"
#include "src/base/unicode.h"
#include "tests/unit/test.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/golden/tokenizer/"

static struct tokenizer *uncased, *multilingual;

static int open_all(void **state)
{
    (void)state;
    struct err err = {0};
    if (tokenizer_open(GOLDEN "uncased", &uncased, &err) != 0 ||
        tokenizer_open(GOLDEN "multilingual", &multilingual, &err) != 0) {
        print_error("%s\n", err.msg);
        return -1;
    }
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    tokenizer_free(uncased);
    tokenizer_free(multilingual);
    return 0;
}

static struct encoding encode(const struct tokenizer *t, struct span text, bool no_special)
{
    struct encoding e = {0};
    struct err err = {0};
    const struct tokenize_options o = {.no_special = no_special};
    assert_int_equal(tokenizer_encode(t, text, NULL, &o, &e, &err), 0);
    return e;
}

/* "id:gap:length ..." as the golden file has it. */
static void spell(const struct encoding *e, struct str *out)
{
    int64_t end = 0;
    str_clear(out);
    for (int i = 0; i < e->n; i++) {
        str_printf(out, "%s%d:%lld:%u", i ? " " : "", e->id[i], (long long)(e->start[i] - end),
                   e->end[i] - e->start[i]);
        end = e->end[i];
    }
}

static struct span field(struct span *line)
{
    struct span piece = {NULL, 0};
    assert_true(span_split(line, '\t', &piece));
    return piece;
}

static json_value *json_text(struct span quoted)
{
    struct err err = {0};
    json_value *v = js_parse(quoted, "texts.golden", &err);
    if (!v)
        fail_msg("%s", err.msg);
    return v;
}

static void check_tokens(const struct tokenizer *t, struct span text, struct span want)
{
    struct str got = {0};
    struct encoding e = encode(t, text, true);
    spell(&e, &got);
    if (!span_equal(str_view(&got), want) && (got.n || want.n))
        fail_msg("'%.*s'\n got %s\nwant %.*s", (int)text.n, text.p, got.p ? got.p : "", (int)want.n,
                 want.p);
    encoding_release(&e);
    str_release(&got);
}

static void check_pair(struct span line)
{
    json_value *a = json_text(field(&line)), *b = json_text(field(&line));
    struct str max = {0}, got = {0};
    struct err err = {0};
    struct encoding e = {0};
    str_span(&max, field(&line));
    const struct span text_a = js_string(a, NULL), text_b = js_string(b, NULL);
    const struct tokenize_options o = {.max_length = (int)strtol(max.p, NULL, 10)};
    assert_int_equal(tokenizer_encode(uncased, text_a, NULL, &o, &e, &err), 0);
    for (int i = 0; i < e.n; i++)
        str_printf(&got, "%s%d", i ? " " : "", e.id[i]);
    const struct span single = field(&line);
    assert_true(span_equal(str_view(&got), single));
    str_clear(&got);
    assert_int_equal(tokenizer_encode(uncased, text_a, &text_b, &o, &e, &err), 0);
    for (int i = 0; i < e.n; i++)
        str_printf(&got, "%s%d:%d", i ? " " : "", e.id[i], e.type[i]);
    if (!span_equal(str_view(&got), line))
        fail_msg("pair\n got %s\nwant %.*s", got.p, (int)line.n, line.p);
    encoding_release(&e);
    str_release(&max);
    str_release(&got);
    js_free(a);
    js_free(b);
}

static void test_golden(void **state)
{
    (void)state;
    struct map file;
    struct err err = {0};
    assert_int_equal(map_open(&file, GOLDEN "texts.golden", &err), 0);
    struct span rest = {(const char *)file.p, file.n}, line;
    json_value *text = NULL;
    int n_texts = 0, n_pairs = 0;
    while (span_split(&rest, '\n', &line) && line.n) {
        const char mark = field(&line).p[0];
        if (mark == 'T') {
            js_free(text);
            text = json_text(line);
            n_texts++;
        } else if (mark == 'P') {
            check_pair(line);
            n_pairs++;
        } else {
            check_tokens(mark == 'U' ? uncased : multilingual, js_string(text, NULL), line);
        }
    }
    js_free(text);
    map_close(&file);
    assert_int_equal(n_texts, 3000);
    assert_int_equal(n_pairs, 200);
}

static uint64_t fnv(uint64_t value, uint32_t x)
{
    return (value ^ x) * 0x100000001B3;
}

/* Class, combining class, decomposition and lower case of every code point are the library's: the
 * digest is printed by make_tokenizer.py. A newer utf8proc must not change it either. */
static void test_all_code_points(void **state)
{
    (void)state;
    uint64_t value = 0xCBF29CE484222325;
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        if (cp >= 0xD800 && cp < 0xE000)
            continue;
        const uint8_t class = class_of(uncased, cp);
        uint32_t part[18] = {cp}, low[2] = {cp};
        const int n = class & CLASS_NFD ? uni_decompose(cp, part) : 1;
        const bool same = n == 1 && part[0] == cp;
        const int n_low = class & CLASS_LOWER ? class_lower(cp, low) : 1;
        value = fnv(value, class & (uint8_t) ~(CLASS_NFD | CLASS_LOWER));
        value = fnv(value, class & CLASS_NFD && same ? (uint32_t)uni_combining_class(cp) : 0);
        for (int i = 0; i < n; i++)
            value = fnv(value, part[i]);
        for (int i = 0; i < n_low; i++)
            value = fnv(value, low[i]);
    }
    assert_true(value == UINT64_C(0x5c5321bc03154358));
}

/* ---- what JSON texts cannot hold ---- */

static void test_invalid_utf8(void **state)
{
    (void)state;
    /* Every invalid byte counts as U+FFFD, which is dropped: the letters around it join. */
    check_tokens(uncased, span_of("he\xFFllo"), span_of("7592:0:6"));
    check_tokens(uncased, span_of("\xC3"), (struct span){NULL, 0});
    check_tokens(uncased, span_of("hello \xE2\x82 world"), span_of("7592:0:5 2088:4:5"));
    check_tokens(uncased, span_of("hello\xED\xA0\x80"), span_of("7592:0:5"));
    check_tokens(uncased, (struct span){"he\0llo", 6}, span_of("7592:0:6"));
}

static void test_special_strings_are_text(void **state)
{
    (void)state;
    struct encoding e = encode(uncased, span_of("a [SEP] b"), false);
    const int want[] = {101, 1037, 1031, 19802, 1033, 1038, 102};
    assert_int_equal(e.n, (int)(sizeof want / sizeof want[0]));
    assert_memory_equal(e.id, want, sizeof want);
    encoding_release(&e);
}

static void test_word_length(void **state)
{
    (void)state;
    char text[102];
    memset(text, 'a', sizeof text);
    struct encoding e = encode(uncased, (struct span){text, 100}, true);
    assert_true(e.n > 1);
    encoding_release(&e);
    e = encode(uncased, (struct span){text, 101}, true);
    assert_int_equal(e.n, 1);
    assert_int_equal(e.id[0], tokenizer_special_id(uncased, TOKEN_UNK));
    assert_int_equal(e.end[0], 101);
    encoding_release(&e);
}

/* A megabyte of combining marks in the worst order takes linear time and the same result as ever.
 */
static void test_many_marks(void **state)
{
    (void)state;
    struct str text = {0};
    str_puts(&text, "e");
    for (int i = 0; i < 250000; i++)
        str_puts(&text, i % 2 ? "\xCC\xA3" : "\xCC\x81");
    struct encoding e = encode(uncased, str_view(&text), true);
    assert_int_equal(e.n, 1);
    assert_int_equal(e.id[0], tokenizer_id(uncased, span_of("e")));
    encoding_release(&e);
    str_release(&text);
}

static void test_segments_and_types(void **state)
{
    (void)state;
    struct encoding e = {0};
    struct err err = {0};
    const struct span b = span_of("cats");
    assert_int_equal(tokenizer_encode(uncased, span_of("two dogs"), &b, NULL, &e, &err), 0);
    const uint8_t segment[] = {0, 1, 1, 0, 2, 0};
    const int type[] = {0, 0, 0, 0, 1, 1};
    assert_int_equal(e.n, 6);
    assert_memory_equal(e.segment, segment, 6);
    assert_memory_equal(e.type, type, sizeof type);
    assert_int_equal(e.start[2], 4);
    assert_int_equal(e.end[2], 8);
    assert_int_equal(e.end[4], 4);
    assert_int_equal(e.end[5], 0);
    const struct tokenize_options o = {.no_special = true};
    assert_int_equal(tokenizer_encode(uncased, span_of("two dogs"), &b, &o, &e, &err), 0);
    assert_int_equal(e.n, 3);
    assert_int_equal(e.type[2], 1);
    encoding_release(&e);
}

static void test_truncation_needs_room(void **state)
{
    (void)state;
    struct encoding e = {0};
    struct err err = {0};
    struct tokenize_options o = {.max_length = 1};
    assert_int_equal(tokenizer_encode(uncased, span_of("x"), NULL, &o, &e, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    o.max_length = 2;
    assert_int_equal(tokenizer_encode(uncased, span_of("x"), NULL, &o, &e, &err), 0);
    assert_int_equal(e.n, 2);
    encoding_release(&e);
}

static void test_lookup(void **state)
{
    (void)state;
    assert_int_equal(tokenizer_vocab_size(uncased), 30522);
    assert_int_equal(tokenizer_special_count(uncased, false), 2);
    assert_int_equal(tokenizer_special_count(uncased, true), 3);
    assert_true(span_eq(tokenizer_token(uncased, 7592), "hello"));
    assert_null(tokenizer_token(uncased, -1).p);
    assert_null(tokenizer_token(uncased, 30522).p);
    assert_int_equal(tokenizer_id(uncased, span_of("##ing")), 2075);
    assert_int_equal(tokenizer_id(uncased, span_of("no such token")), -1);
    assert_int_equal(tokenizer_special_id(uncased, TOKEN_PAD), 0);
    assert_int_equal(tokenizer_special_id(uncased, TOKEN_MASK), 103);
    assert_int_equal(tokenizer_model_max_length(uncased), 512);
    assert_true(tokenizer_lowercases(uncased));
    assert_false(tokenizer_lowercases(multilingual));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_all_code_points),
        cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_special_strings_are_text),
        cmocka_unit_test(test_word_length),
        cmocka_unit_test(test_many_marks),
        cmocka_unit_test(test_segments_and_types),
        cmocka_unit_test(test_truncation_needs_room),
        cmocka_unit_test(test_lookup),
    };
    return cmocka_run_group_tests(tests, open_all, free_all);
}
