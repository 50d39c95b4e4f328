/* test_wordpiece.c - learning a WordPiece vocabulary. */
#include "encoder/tokenizer/tokenizer.h"
#include "encoder/train/train.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `word` `times` over, each on a line. */
static void repeat(struct str *s, const char *word, int times)
{
    for (int i = 0; i < times; i++)
        str_printf(s, "%s\n", word);
}

static char *example(void)
{
    struct str s = {0};
    repeat(&s, "hug", 10);
    repeat(&s, "pug", 5);
    repeat(&s, "pun", 12);
    repeat(&s, "bun", 4);
    repeat(&s, "hugs", 5);
    char *const path = scratch_put("example.txt", s.p, s.n);
    str_release(&s);
    return path;
}

static void train(const char *const *files, size_t n, const struct tokenizer_train_options *o,
                  const char *out)
{
    struct err err = {0};
    if (tokenizer_train(files, n, o, out, &err))
        fail_msg("%s", err.msg);
}

static void expect_file(const char *folder, const char *name, const char *want)
{
    struct str got = {0};
    struct err err = {0};
    char *const path = path_join(folder, name);
    assert_int_equal(file_read(path, 1 << 20, &got, &err), 0);
    assert_string_equal(got.p, want);
    str_release(&got);
    free(path);
}

/* The pairs by count: ##u ##g 20, ##u ##n 16, h ##ug 15, p ##un 12, p ##ug 5 and hug ##s 5 (the
 * smaller id first), b ##un 4; then nothing is left to join. */
static void joins_in_order(void **state)
{
    (void)state;
    char *const file = example(), *const out = path_join(dir, "order");
    struct tokenizer_train_options o;
    tokenizer_train_defaults(&o);
    train((const char *const *)&file, 1, &o, out);
    expect_file(out, "vocab.txt",
                "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nb\ng\nh\nn\np\ns\nu\n##g\n##n\n##s\n##u\n"
                "##ug\n##un\nhug\npun\npug\nhugs\nbun\n");
    o.min_frequency = 13;
    train((const char *const *)&file, 1, &o, out);
    expect_file(out, "vocab.txt",
                "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nb\ng\nh\nn\np\ns\nu\n##g\n##n\n##s\n##u\n"
                "##ug\n##un\nhug\n");
    o.vocab_size = 17;
    o.min_frequency = 2;
    train((const char *const *)&file, 1, &o, out);
    expect_file(out, "vocab.txt",
                "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nb\ng\nh\nn\np\ns\nu\n##g\n##n\n##s\n##u\n"
                "##ug\n");
    free(out);
    free(file);
}

/* A repeated neighbour ("aaaa") and a pair that makes a piece known from elsewhere. */
static void runs_of_one_letter(void **state)
{
    (void)state;
    struct str s = {0};
    repeat(&s, "aaaaa", 3);
    char *const file = scratch_put("runs.txt", s.p, s.n), *const out = path_join(dir, "runs");
    struct tokenizer_train_options o;
    tokenizer_train_defaults(&o);
    train((const char *const *)&file, 1, &o, out);
    /* ##a ##a (3 of 4 places) -> ##aa twice; a ##aa -> aaa; aaa ##aa -> aaaaa */
    expect_file(out, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\n##aa\naaa\naaaaa\n");
    str_release(&s);
    free(out);
    free(file);
}

/* What was learned loads, keeps case or not, and splits the text again. */
static void loads(void **state)
{
    (void)state;
    static const char text[] = "Grüße aus Köln, Grüße an alle! \xff\x01 Köln Grüße\n";
    char *const file = scratch_put("text.txt", text, sizeof text - 1);
    for (int lower = 0; lower < 2; lower++) {
        char *const out = path_join(dir, lower ? "lower" : "cased");
        struct tokenizer_train_options o;
        struct tokenizer *t;
        struct err err = {0};
        struct encoding e = {0};
        tokenizer_train_defaults(&o);
        o.lowercase = lower;
        o.max_length = 77;
        train((const char *const *)&file, 1, &o, out);
        if (tokenizer_open(out, &t, &err))
            fail_msg("%s", err.msg);
        assert_int_equal(tokenizer_lowercases(t), lower);
        assert_int_equal(tokenizer_model_max_length(t), 77);
        assert_int_equal(tokenizer_special_id(t, TOKEN_MASK), 4);
        assert_int_equal(tokenizer_special_count(t, true), 3);
        assert_int_equal(
            tokenizer_encode(t, span_of("Grüße"), NULL, &(struct tokenize_options){0}, &e, &err),
            0);
        assert_int_equal(e.n, 3);
        const struct span token = tokenizer_token(t, e.id[1]);
        assert_true(span_eq(token, lower ? "gruße" : "Grüße"));
        encoding_release(&e);
        tokenizer_free(t);
        free(out);
    }
    free(file);
}

/* The bytes depend on the words and their counts alone. */
static void repeatable(void **state)
{
    (void)state;
    char *const a = scratch_put("a.txt", "one two three two one\n", 22);
    char *const b = scratch_put("b.txt", "three one\ntwo two", 17);
    const char *const there[] = {a, b}, *const back[] = {b, a};
    char *const first = path_join(dir, "first"), *const second = path_join(dir, "second");
    static const char *const names[] = {"vocab.txt", "tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json"};
    struct tokenizer_train_options o;
    tokenizer_train_defaults(&o);
    train(there, 2, &o, first);
    train(back, 2, &o, second);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str want = {0};
        char *const path = path_join(first, names[i]);
        assert_int_equal(file_read(path, 1 << 20, &want, NULL), 0);
        expect_file(second, names[i], want.p);
        str_release(&want);
        free(path);
    }
    free(first);
    free(second);
    free(a);
    free(b);
}

static void refuse(const char *file, const struct tokenizer_train_options *o, const char *message)
{
    struct err err = {0};
    char *const out = path_join(dir, "refused");
    assert_int_equal(tokenizer_train(&file, 1, o, out, &err), -1);
    if (!strstr(err.msg, message))
        fail_msg("'%s' does not say '%s'", err.msg, message);
    assert_false(dir_exists(out));
    free(out);
}

static void refused(void **state)
{
    (void)state;
    struct tokenizer_train_options o;
    tokenizer_train_defaults(&o);
    char *const empty = scratch_put("empty.txt", "", 0), *const blank =
                                                             scratch_put("blank.txt", " \n\t\n", 4);
    char *const file = example();
    refuse(empty, &o, "no words");
    refuse(blank, &o, "no words");
    refuse("/nonexistent/x", &o, "/nonexistent/x");
    o.vocab_size = 10;
    refuse(file, &o, "cannot hold the 16");
    o.vocab_size = 0;
    refuse(file, &o, "0 tokens");
    o.vocab_size = 100;
    o.max_memory = 1000;
    refuse(file, &o, "too many");
    free(empty);
    free(blank);
    free(file);
}

/* Only the most frequent characters are pieces; words lose the others. */
static void small_alphabet(void **state)
{
    (void)state;
    struct str s = {0};
    repeat(&s, "ab", 5);
    repeat(&s, "zab", 1);
    char *const file = scratch_put("small.txt", s.p, s.n), *const out = path_join(dir, "small");
    struct tokenizer_train_options o;
    tokenizer_train_defaults(&o);
    o.alphabet = 2;
    train((const char *const *)&file, 1, &o, out);
    expect_file(out, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##a\n##b\nab\n");
    str_release(&s);
    free(out);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_in_order), cmocka_unit_test(runs_of_one_letter),
        cmocka_unit_test(loads),          cmocka_unit_test(repeatable),
        cmocka_unit_test(small_alphabet), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
