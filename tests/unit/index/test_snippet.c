/* Tests of the snippet: the right sentence, the right marks, whole code points, no noise. */
#include "index/search/snippet.h"
#include "src/base/mem.h"
#include "src/base/unicode.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

enum { MATCHES = 64 };

/* Finds the words by plain comparison (ASCII case ignored). */
static size_t find(const char *text, const char *const *word, size_t n_words,
                   struct snippet_match *out)
{
    size_t n = 0;
    for (size_t i = 0; text[i] && n < MATCHES; i++)
        for (size_t w = 0; w < n_words; w++)
            if (strncasecmp(text + i, word[w], strlen(word[w])) == 0)
                out[n++] = (struct snippet_match){i, i + strlen(word[w]), (int)w};
    return n;
}

static struct snippet make(const char *text, const char *const *word, const double *weight,
                           size_t n_words, size_t max)
{
    struct snippet_match match[MATCHES];
    struct snippet s;
    const size_t n = find(text, word, n_words, match);
    snippet_make(span_of(text), match, n, weight, n_words, max, true, &s);
    assert_true(utf8_valid(span_of(s.text)));
    assert_true(strlen(s.text) <= max);
    assert_null(strchr(s.text, '\n'));
    for (size_t i = 0; i < s.n_marks; i++) {
        assert_true(s.mark[i].start < s.mark[i].end && s.mark[i].end <= strlen(s.text));
        assert_true(i == 0 || s.mark[i - 1].end <= s.mark[i].start);
    }
    return s;
}

static void expect(const char *text, const char *word, size_t max, const char *want)
{
    const double weight = 1;
    struct snippet s = make(text, &word, &weight, word ? 1 : 0, max);
    assert_string_equal(s.text, want);
    snippet_release(&s);
}

static const char story[] =
    "The harbour was quiet that morning. Boats lay in rows along the pier, and gulls sat on "
    "every post. Nobody spoke of the storm. The keeper of the lighthouse had seen it coming for "
    "two days. He lit the lamp early. In the evening the wind turned and the boats were safe.";

static void takes_the_sentence_with_the_word(void **state)
{
    (void)state;
    expect(story, "lighthouse", 80,
           "The keeper of the lighthouse had seen it coming for two days.");
}

static void rare_words_outweigh_common_ones(void **state)
{
    (void)state;
    const char *const word[] = {"the", "boats", "lamp"};
    const double weight[] = {0.1, 1, 5};
    struct snippet s = make(story, word, weight, 3, 60);
    assert_non_null(strstr(s.text, "He lit the lamp early."));
    snippet_release(&s);
}

static void marks_are_the_words(void **state)
{
    (void)state;
    const char *const word[] = {"boats", "gulls"};
    const double weight[] = {1, 1};
    struct snippet s = make(story, word, weight, 2, 120);
    assert_int_equal(s.n_marks, 2);
    assert_memory_equal(s.text + s.mark[0].start, "Boats", 5);
    assert_memory_equal(s.text + s.mark[1].start, "gulls", 5);
    assert_int_equal(s.mark[1].end - s.mark[1].start, 5);
    snippet_release(&s);
}

static void room_is_filled_with_what_follows(void **state)
{
    (void)state;
    const char *word = "storm";
    const double weight = 1;
    struct snippet s = make(story, &word, &weight, 1, 130);
    assert_memory_equal(s.text, "Nobody spoke of the storm. The keeper", 37);
    snippet_release(&s);
}

static void without_a_match_the_first_sentence_is_taken(void **state)
{
    (void)state;
    expect("# Setting up\n\nThe program needs a folder to work in. More follows here.\n", NULL, 60,
           "The program needs a folder to work in.");
}

static void markdown_signs_are_left_out(void **state)
{
    (void)state;
    expect("- Use **bold** words, `code` and [a link](http://example.org/long) here\n", "link", 200,
           "Use bold words, code and a link here");
    expect("> quoted text is text\n", "text", 200, "quoted text is text");
    expect("```c\nint answer = 42;\n```\n", "answer", 200, "int answer = 42;");
    expect("---\nA line.\n---\n", "line", 200, "A line.");
}

static void code_keeps_its_signs(void **state)
{
    (void)state;
    struct snippet s;
    const struct snippet_match m = {9, 12, 0};
    const double weight = 1;
    snippet_make(span_of("#include `x`\n**p = [a](b);\n"), &m, 1, &weight, 1, 200, false, &s);
    assert_string_equal(s.text, "#include `x` **p = [a](b);");
    snippet_release(&s);
}

static void sentences_end_where_they_end(void **state)
{
    (void)state;
    expect("See e.g. Dr. Smith on version 1.2.3 of the tool. Other words stand here.", "smith", 55,
           "See e.g. Dr. Smith on version 1.2.3 of the tool.");
    expect("\xe4\xbb\x8a\xe5\xa4\xa9\xe3\x80\x82\xe6\x98\x8e\xe5\xa4\xa9\xe3\x80\x82",
           "\xe6\x98\x8e", 15, "\xe6\x98\x8e\xe5\xa4\xa9\xe3\x80\x82");
}

static void code_points_stay_whole(void **state)
{
    (void)state;
    static const char *const text[] = {
        "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xe2\x82\xac\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xc3\xa4"
        "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac",
        "\xe4\xb8\x80\xe4\xba\x8c\xe4\xb8\x89\xe5\x9b\x9b\xe4\xba\x94\xe5\x85\xad\xe4\xb8\x83"
        "\xe5\x85\xab\xe4\xb9\x9d\xe5\x8d\x81\xe4\xb8\x80\xe4\xba\x8c\xe4\xb8\x89\xe5\x9b\x9b"};
    const char *const word[] = {"\xe2\x82\xac", "\xe4\xb9\x9d"};
    const double weight[] = {1, 1};
    for (size_t t = 0; t < ARRAY_LEN(text); t++)
        for (size_t max = 1; max < 70; max++) {
            struct snippet s = make(text[t], word, weight, 2, max);
            snippet_release(&s);
        }
}

static void hostile_bytes_are_shown_as_unknown(void **state)
{
    (void)state;
    struct snippet s;
    const char bytes[] = "a\xff\xfe \x80word\0tail\x01.";
    const struct snippet_match m[] = {{5, 9, 0}, {100, 200, 0}, {3, 3, 0}, {8, 2, 0}};
    const double weight = 1;
    snippet_make((struct span){bytes, sizeof bytes - 1}, m, 1, &weight, 1, 100, true, &s);
    assert_true(utf8_valid(span_of(s.text)));
    assert_non_null(strstr(s.text, "word"));
    assert_int_equal(s.n_marks, 1);
    assert_memory_equal(s.text + s.mark[0].start, "word", 4);
    snippet_release(&s);
    snippet_make((struct span){bytes, sizeof bytes - 1}, m, 4, &weight, 1, 100, true, &s);
    snippet_release(&s);
}

static void odd_passages_give_something_sane(void **state)
{
    (void)state;
    expect("", "x", 100, "");
    expect(" \n\t ", "x", 100, "");
    expect("---\n***\n", NULL, 100, "");
    expect("#", NULL, 100, "");
    struct str long_word = {0};
    for (int i = 0; i < 5000; i++)
        str_putc(&long_word, 'x');
    const char *word = "xxx";
    const double weight = 1;
    struct snippet s = make(long_word.p, &word, &weight, 1, 300);
    assert_true(strlen(s.text) > 100);
    snippet_release(&s);
    str_release(&long_word);
}

static void a_cut_sentence_has_an_ellipsis(void **state)
{
    (void)state;
    struct str text = {0};
    for (int i = 0; i < 60; i++)
        str_printf(&text, "word%d ", i);
    str_puts(&text, "needle and more words after it without any stop at all for a long while");
    const char *word = "needle";
    const double weight = 1;
    struct snippet s = make(text.p, &word, &weight, 1, 80);
    assert_non_null(strstr(s.text, "needle"));
    assert_memory_equal(s.text, "\xe2\x80\xa6", 3);
    assert_int_equal(s.n_marks, 1);
    assert_memory_equal(s.text + s.mark[0].start, "needle", 6);
    snippet_release(&s);
    str_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_sentence_with_the_word),
        cmocka_unit_test(rare_words_outweigh_common_ones),
        cmocka_unit_test(marks_are_the_words),
        cmocka_unit_test(room_is_filled_with_what_follows),
        cmocka_unit_test(without_a_match_the_first_sentence_is_taken),
        cmocka_unit_test(markdown_signs_are_left_out),
        cmocka_unit_test(code_keeps_its_signs),
        cmocka_unit_test(sentences_end_where_they_end),
        cmocka_unit_test(code_points_stay_whole),
        cmocka_unit_test(hostile_bytes_are_shown_as_unknown),
        cmocka_unit_test(odd_passages_give_something_sane),
        cmocka_unit_test(a_cut_sentence_has_an_ellipsis),
    };
    return cmocka_run_group_tests_name("snippet", tests, NULL, NULL);
}
