/* test_tokenizer_load.c - tokenizer files of every kind: two forms of one model, saved blobs, and
 * files that are wrong. */
#include "encoder/tokenizer/tokenizer.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/test.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNCASED "tests/golden/tokenizer/uncased"

#define VOCAB \
    "{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"ab\":3,\"##c\":4,\"\\u00e9\\ud83d\\ude00\":5,\"x\":6}"
#define MODEL(vocab)                                                                           \
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":" \
    "\"##\",\"max_input_chars_per_word\":100,\"vocab\":" vocab "}"
#define NORMALIZER                                                                              \
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":" \
    "true,\"strip_accents\":null,\"lowercase\":true}"
#define PRE_TOKENIZER "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}"
#define PROCESSOR \
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS]\",1]}"
#define REST NORMALIZER "," PRE_TOKENIZER "," PROCESSOR

static struct tokenizer *from_json(const char *json, struct err *err)
{
    struct tokenizer *t = NULL;
    *err = (struct err){0};
    return tokenizer_from_json(span_of(json), "tokenizer.json", &t, err) == 0 ? t : NULL;
}

static void assert_ids(const struct tokenizer *t, const char *text, const char *want)
{
    struct encoding e = {0};
    struct err err = {0};
    struct str got = {0};
    assert_int_equal(tokenizer_encode(t, span_of(text), NULL, NULL, &e, &err), 0);
    for (int i = 0; i < e.n; i++)
        str_printf(&got, "%s%d", i ? " " : "", e.id[i]);
    assert_string_equal(got.p, want);
    str_release(&got);
    encoding_release(&e);
}

static void test_small_json(void **state)
{
    (void)state;
    struct err err;
    struct tokenizer *t = from_json("{" REST "," MODEL(VOCAB) "}", &err);
    assert_non_null(t);
    assert_ids(t, "ABC x ab abd ?", "1 3 4 6 3 0 0 2");
    assert_ids(t, "", "1 2");
    assert_int_equal(tokenizer_special_id(t, TOKEN_CLS), 1);
    assert_int_equal(tokenizer_special_id(t, TOKEN_MASK), -1);
    assert_true(span_eq(tokenizer_token(t, 5), "\xC3\xA9\xF0\x9F\x98\x80"));
    tokenizer_free(t);
}

static void refused(const char *json, const char *because)
{
    struct err err;
    struct tokenizer *t = from_json(json, &err);
    assert_null(t);
    if (!strstr(err.msg, because))
        fail_msg("'%s' does not say '%s'", err.msg, because);
}

static void test_unknown_parts_are_named(void **state)
{
    (void)state;
    refused("{\"normalizer\":{\"type\":\"NFKC\"}," PRE_TOKENIZER "," MODEL(VOCAB) "}", "'NFKC'");
    refused("{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Strip\"}]}," MODEL(
                VOCAB) "}",
            "'Strip'");
    refused("{" NORMALIZER ",\"pre_tokenizer\":{\"type\":\"Metaspace\"}," MODEL(VOCAB) "}",
            "'Metaspace'");
    refused("{" NORMALIZER "," PRE_TOKENIZER
            ",\"post_processor\":{\"type\":\"RobertaProcessing\"}," MODEL(VOCAB) "}",
            "'RobertaProcessing'");
    refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", "'BPE'");
    refused("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0.5]]}}", "'Unigram'");
    refused("{\"added_tokens\":[{\"id\":6,\"content\":\"x\",\"special\":false}]," REST
            "," MODEL(VOCAB) "}",
            "'x'");
}

static void test_wrong_json(void **state)
{
    (void)state;
    refused("", "'{' was expected");
    refused("[]", "'{' was expected");
    refused("{}", "no model");
    refused("{" REST "," MODEL(VOCAB), "',' or '}'");
    refused("{" REST "," MODEL(VOCAB) "} x", "not valid JSON");
    refused("{" REST "," MODEL("{}") "}", "empty");
    refused("{" REST "," MODEL("{\"a\":0}") "}", "'[UNK]'");
    refused("{" REST "," MODEL("{\"[UNK]\":0,\"a\":4194304}") "}", "4194304");
    refused("{" REST "," MODEL("{\"[UNK]\":0,\"a\":99999999999}") "}", "token id");
    refused("{" REST "," MODEL("{\"[UNK]\":0,\"a\":-1}") "}", "token id");
    refused("{" REST "," MODEL("{\"[UNK]\":0,\"a\":1.5}") "}", "token id");
    refused("{" REST "," MODEL("{\"[UNK]\":0,\"a\":1,\"a\":2}") "}", "two ids");
    refused("{" REST "," MODEL("{\"[UNK]\":0,\"a\":1,\"b\":1}") "}", "twice");
    refused("{" REST "," MODEL("{\"[UNK]\":0,\"\xFF\":1}") "}", "UTF-8");
    refused("{" REST "," MODEL("{\"[UNK]\":0,\"\\ud83d\":1}") "}", "escape");
    refused("{" REST "," MODEL("{\"[UNK]\":0,\"\\q\":1}") "}", "escape");
    refused("{" REST "," MODEL("{\"[UNK]\":0,\"a") "}", "without an end");
    refused("{" REST "," MODEL(VOCAB) "," MODEL(VOCAB) "}", "second");
    refused("{\"added_tokens\":[{\"id\":3,\"content\":\"zz\",\"special\":true}]," REST
            "," MODEL(VOCAB) "}",
            "id of another");
    refused("{" NORMALIZER "," PRE_TOKENIZER ",\"post_processor\":{\"type\":\"BertProcessing\","
            "\"sep\":[\"s\",99],\"cls\":[\"c\",1]}," MODEL(VOCAB) "}",
            "out of range");
}

static void test_template(void **state)
{
    (void)state;
    struct err err;
    struct tokenizer *t = from_json(
        "{" NORMALIZER "," PRE_TOKENIZER ",\"post_processor\":{\"type\":\"TemplateProcessing\","
        "\"single\":[{\"SpecialToken\":{\"id\":\"S\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\","
        "\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{"
        "\"id\":\"S\",\"type_id\":1}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"
        "\"special_tokens\":{\"S\":{\"id\":\"S\",\"ids\":[2,1],\"tokens\":[\"[SEP]\",\"[CLS]\"]}}},"
        "\"added_tokens\":[{\"id\":9,\"content\":\"[MASK]\",\"special\":true}]," MODEL(VOCAB) "}",
        &err);
    assert_non_null(t);
    assert_ids(t, "x", "2 1 6");
    assert_int_equal(tokenizer_special_count(t, true), 2);
    assert_int_equal(tokenizer_vocab_size(t), 10);
    assert_int_equal(tokenizer_special_id(t, TOKEN_MASK), 9);
    assert_ids(t, "[MASK]", "2 1 0 0 0");
    tokenizer_free(t);
}

/* ---- folders ---- */

struct folder {
    char path[64];
};

static struct folder make_folder(void)
{
    struct folder f;
    strcpy(f.path, "/tmp/semsearch-tokenizer-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    return f;
}

static void put(struct folder f, const char *name, const char *text)
{
    struct err err = {0};
    struct outfile out;
    char *path = path_join(f.path, name);
    assert_int_equal(outfile_open(&out, path, &err), 0);
    outfile_write(&out, text, strlen(text));
    assert_int_equal(outfile_commit(&out, &err), 0);
    free(path);
}

static void remove_folder(struct folder f)
{
    struct err err = {0};
    assert_int_equal(dir_remove_tree(f.path, &err), 0);
}

static struct tokenizer *open_folder(struct folder f, struct err *err)
{
    struct tokenizer *t = NULL;
    *err = (struct err){0};
    return tokenizer_open(f.path, &t, err) == 0 ? t : NULL;
}

static void test_both_forms_are_one_model(void **state)
{
    (void)state;
    struct err err;
    struct folder f = make_folder();
    put(f, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\nab\n##c\n\xC3\xA9\xF0\x9F\x98\x80\nx\n");
    struct tokenizer *txt = open_folder(f, &err), *json;
    assert_non_null(txt);
    assert_non_null(json = from_json("{" REST "," MODEL(VOCAB) "}", &err));
    assert_true(hash_equal(tokenizer_fingerprint(txt), tokenizer_fingerprint(json)));
    assert_ids(txt, "ABC", "1 3 4 2");
    tokenizer_free(txt);

    put(f, "tokenizer_config.json", "{\"do_lower_case\":false,\"model_max_length\":1e30}");
    assert_non_null(txt = open_folder(f, &err));
    assert_false(hash_equal(tokenizer_fingerprint(txt), tokenizer_fingerprint(json)));
    assert_ids(txt, "ABC abc", "1 0 3 4 2");
    assert_int_equal(tokenizer_model_max_length(txt), 0);
    tokenizer_free(txt);
    tokenizer_free(json);

    put(f, "tokenizer_config.json", "{\"cls_token\":{\"content\":\"ab\"},\"sep_token\":\"x\"}");
    assert_non_null(txt = open_folder(f, &err));
    assert_ids(txt, "", "3 6");
    tokenizer_free(txt);
    remove_folder(f);
}

static void test_wrong_folders(void **state)
{
    (void)state;
    struct err err;
    struct folder f = make_folder();
    assert_null(open_folder(f, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    put(f, "vocab.txt", "");
    assert_null(open_folder(f, &err));
    assert_non_null(strstr(err.msg, "empty"));
    put(f, "vocab.txt", "a\nb\n");
    assert_null(open_folder(f, &err));
    assert_non_null(strstr(err.msg, "[UNK]"));
    put(f, "vocab.txt", "[UNK]\nb\n");
    assert_null(open_folder(f, &err));
    assert_non_null(strstr(err.msg, "[CLS]"));
    put(f, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\n\xC0\n");
    assert_null(open_folder(f, &err));
    assert_non_null(strstr(err.msg, "line 4"));
    put(f, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
    put(f, "tokenizer_config.json", "{");
    assert_null(open_folder(f, &err));
    assert_non_null(strstr(err.msg, "tokenizer_config.json"));
    remove_folder(f);
}

/* The same texts and ids, but one that no text gets: other vectors, hence another fingerprint. */
static void test_added_token_fingerprint(void **state)
{
    (void)state;
    static const char *const json[2] = {
        "{" NORMALIZER "," PRE_TOKENIZER "," MODEL("{\"[UNK]\":0,\"a\":1,\"b\":2}") "}",
        "{\"added_tokens\":[{\"id\":2,\"content\":\"b\",\"special\":true}]," NORMALIZER
        "," PRE_TOKENIZER "," MODEL("{\"[UNK]\":0,\"a\":1}") "}"};
    struct tokenizer *t[2];
    struct err err;
    for (int i = 0; i < 2; i++) {
        t[i] = from_json(json[i], &err);
        if (!t[i])
            fail_msg("%s", err.msg);
    }
    assert_int_equal(tokenizer_vocab_size(t[0]), tokenizer_vocab_size(t[1]));
    assert_false(hash_equal(tokenizer_fingerprint(t[0]), tokenizer_fingerprint(t[1])));
    tokenizer_free(t[0]);
    tokenizer_free(t[1]);
}

/* transformers fills a map from the lines of vocab.txt: of two equal lines the later one counts. */
static void test_repeated_line(void **state)
{
    (void)state;
    struct err err;
    struct folder f = make_folder();
    put(f, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\nab\nab\r\nab\nc\n");
    struct tokenizer *t = open_folder(f, &err);
    assert_non_null(t);
    assert_ids(t, "ab c", "1 5 6 2");
    assert_null(tokenizer_token(t, 3).p);
    tokenizer_free(t);
    remove_folder(f);
}

/* ---- blobs ---- */

static struct str saved(const struct tokenizer *t)
{
    struct str blob = {0};
    tokenizer_save(t, &blob);
    assert_false(blob.failed);
    return blob;
}

static void test_blob(void **state)
{
    (void)state;
    struct err err = {0};
    struct tokenizer *t, *again = NULL;
    assert_int_equal(tokenizer_open(UNCASED, &t, &err), 0);
    struct str blob = saved(t);
    assert_int_equal(tokenizer_from_blob(blob.p, blob.n, &again, &err), 0);
    assert_true(hash_equal(tokenizer_fingerprint(t), tokenizer_fingerprint(again)));
    assert_ids(again, "Hello, caf\xC3\xA9 tokenization!", "101 7592 1010 7668 19204 3989 999 102");
    tokenizer_free(again);
    tokenizer_free(t);
    str_release(&blob);
}

/* A flipped bit anywhere and a blob cut anywhere are noticed. */
static void test_damaged_blob(void **state)
{
    (void)state;
    struct err err = {0};
    struct tokenizer *t = from_json("{" REST "," MODEL(VOCAB) "}", &err), *again = NULL;
    struct str blob = saved(t);
    for (size_t i = 0; i < blob.n; i++) {
        blob.p[i] ^= 0x10;
        assert_int_equal(tokenizer_from_blob(blob.p, blob.n, &again, &err), -1);
        blob.p[i] ^= 0x10;
    }
    for (size_t n = 0; n < blob.n; n += n < 700 ? 1 : 97)
        assert_int_equal(tokenizer_from_blob(blob.p, n, &again, &err), -1);
    tokenizer_free(t);
    str_release(&blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_added_token_fingerprint),
        cmocka_unit_test(test_small_json),
        cmocka_unit_test(test_unknown_parts_are_named),
        cmocka_unit_test(test_wrong_json),
        cmocka_unit_test(test_template),
        cmocka_unit_test(test_both_forms_are_one_model),
        cmocka_unit_test(test_wrong_folders),
        cmocka_unit_test(test_repeated_line),
        cmocka_unit_test(test_blob),
        cmocka_unit_test(test_damaged_blob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
