/* test_safetensors.c - weight files: what is read, and every way in which a header can lie. */
#include "encoder/weights/folder.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(const char *name, const void *p, size_t n)
{
    free(scratch_put(name, p, n));
}

/* Writes NAME with this header and n_data bytes counting up from 0. */
static void put_tensors(const char *name, const char *header, size_t n_data)
{
    struct str s = {0};
    const uint64_t n = strlen(header);
    for (int i = 0; i < 8; i++)
        str_putc(&s, (char)(n >> (8 * i)));
    str_puts(&s, header);
    for (size_t i = 0; i < n_data; i++)
        str_putc(&s, (char)i);
    put(name, s.p, s.n);
    str_release(&s);
}

static int open_header(struct safetensors *s, const char *header, size_t n_data, struct err *e)
{
    put_tensors("t.safetensors", header, n_data);
    char *path = path_join(dir, "t.safetensors");
    const int rc = safetensors_open(s, path, e);
    free(path);
    return rc;
}

static void test_good(void **state)
{
    (void)state;
    struct safetensors s;
    struct err e = {0};
    char shape[128];
    assert_int_equal(
        open_header(
            &s,
            "{\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[24,28]},"
            "\"__metadata__\":{\"format\":\"pt\"},"
            "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
            "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[24,24]},"
            "\"scalar \\\"q\\\":\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[28,36]}}   ",
            36, &e),
        0);
    assert_int_equal(s.n_tensors, 4);
    const struct tensor *a = safetensors_find(&s, "a");
    assert_int_equal(a->dtype, DTYPE_F32);
    assert_int_equal(a->n_elements, 6);
    assert_int_equal(a->data[5], 5);
    tensor_shape_text(a, shape);
    assert_string_equal(shape, "[2, 3]");
    assert_int_equal(safetensors_find(&s, "b")->data[0], 24);
    assert_int_equal(safetensors_find(&s, "empty")->n_bytes, 0);
    assert_int_equal(safetensors_find(&s, "scalar \"q\":")->dtype, DTYPE_OTHER);
    assert_null(safetensors_find(&s, "c"));
    safetensors_close(&s);
    assert_int_equal(open_header(&s, "{}", 0, &e), 0);
    assert_null(safetensors_find(&s, "a"));
    safetensors_close(&s);
}

#define T(dtype, shape, offsets) \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_hostile_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
        const char *says;
    } bad[] = {
        {"", 0, "JSON"},
        {"[]", 0, "not a JSON object"},
        {"{\"a\":1}", 0, "not an object"},
        {"{\"a\":{}}", 0, "unknown dtype"},
        {"{\"a\":" T("F8", "[4]", "[0,4]") "}", 4, "unknown dtype"},
        {"{\"a\":" T("F32", "[1]", "[0,4]") "}", 8, "belong to none"},
        {"{\"a\":" T("F32", "[1]", "[4,8]") "}", 8, "hole"},
        {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[0,4]") "}", 4, "overlaps"},
        {"{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":" T("F32", "[2]", "[4,12]") "}", 12,
         "overlaps"},
        {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F32", "[1]", "[0,4]") "}", 4, "same name"},
        {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"\\u0061\":" T("F32", "[1]", "[4,8]") "}", 8,
         "same name"},
        {"{\"a\":" T("F32", "[2]", "[0,8]") "}", 4, "inside"},
        {"{\"a\":" T("F32", "[1]", "[4,0]") "}", 4, "inside"},
        {"{\"a\":" T("F32", "[1]", "[-4,0]") "}", 4, "inside"},
        {"{\"a\":" T("F32", "[1]", "[0]") "}", 4, "inside"},
        {"{\"a\":" T("F32", "[1]", "[0,4,4]") "}", 4, "inside"},
        {"{\"a\":" T("F32", "[1]", "[0.5,4]") "}", 4, "inside"},
        {"{\"a\":" T("F32", "[1]", "[0,99999999999999999999]") "}", 4, "JSON"},
        {"{\"a\":" T("F32", "[2]", "[0,4]") "}", 4, "does not take"},
        {"{\"a\":" T("F16", "[1]", "[0,4]") "}", 4, "does not take"},
        {"{\"a\":" T("F32", "[-1]", "[0,4]") "}", 4, "whole number"},
        {"{\"a\":" T("F32", "[1.5]", "[0,4]") "}", 4, "whole number"},
        {"{\"a\":" T("F32", "[[1]]", "[0,4]") "}", 4, "whole number"},
        {"{\"a\":" T("F32", "4", "[0,4]") "}", 4, "array"},
        {"{\"a\":" T("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "array"},
        {"{\"a\":" T("F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "overflows"},
        {"{\"a\":" T("F32", "[4611686018427387904]", "[0,4]") "}", 4, "does not take"},
        {"{\"a\":" T("F32", "[4294967296,4294967296,0]", "[0,0]") "}", 0, "overflows"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct safetensors s;
        struct err e = {0};
        if (open_header(&s, bad[i].header, bad[i].n_data, &e) == 0)
            fail_msg("accepted: %s", bad[i].header);
        if (!strstr(e.msg, bad[i].says))
            fail_msg("'%s' does not say '%s'", e.msg, bad[i].says);
        assert_int_equal(e.kind, ERR_FORMAT);
    }
}

static void test_hostile_lengths(void **state)
{
    (void)state;
    static const unsigned char huge[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const unsigned char past[10] = {3, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    struct safetensors s;
    char *path = path_join(dir, "t.safetensors");
    for (size_t n = 0; n <= sizeof huge; n++) {
        put("t.safetensors", huge, n);
        assert_int_equal(safetensors_open(&s, path, NULL), -1);
    }
    put("t.safetensors", past, sizeof past);
    assert_int_equal(safetensors_open(&s, path, NULL), -1);
    /* a header of a hundred thousand open brackets ends in an error, not in a crash */
    char *deep = xmalloc(200000);
    memset(deep, '[', 199999);
    deep[199999] = 0;
    put_tensors("t.safetensors", deep, 0);
    assert_int_equal(safetensors_open(&s, path, NULL), -1);
    free(deep);
    free(path);
}

/* Any one byte of a good file may be wrong: no crash, and nothing outside the mapping. */
static void test_flipped_bytes(void **state)
{
    (void)state;
    char header[] = "{\"b\":" T("BF16", "[2,1]", "[8,12]") ",\"a\":" T("F32", "[2]", "[0,8]") "}";
    struct safetensors s;
    for (size_t i = 0; i + 1 < sizeof header; i++)
        for (int c = 1; c < 256; c += 17) {
            const char was = header[i];
            header[i] = (char)c;
            if (open_header(&s, header, 12, NULL) == 0) {
                for (size_t k = 0; k < s.n_tensors; k++)
                    assert_in_range(s.tensor[k].data + s.tensor[k].n_bytes - s.map.p, 0, s.map.n);
                safetensors_close(&s);
            }
            header[i] = was;
        }
}

static void test_shards(void **state)
{
    (void)state;
    struct weight_list l = {0};
    struct weights w;
    struct err e = {0};
    put_tensors("m-1.safetensors", "{\"a\":" T("F32", "[1]", "[0,4]") "}", 4);
    put_tensors("m-2.safetensors", "{\"b\":" T("F32", "[2]", "[0,8]") "}", 8);
    const char *index = "{\"weight_map\":{\"b\":\"m-2.safetensors\",\"a\":\"m-1.safetensors\"}}";
    put("model.safetensors.index.json", index, strlen(index));
    assert_int_equal(weight_list_add(&l, dir, &e), 0);
    assert_int_equal(l.n, 2);
    assert_int_equal(l.file[1].size,
                     8 + (int64_t)strlen("{\"b\":" T("F32", "[2]", "[0,8]") "}") + 8);
    assert_int_equal(weights_open(&w, &l, 0, 2, &e), 0);
    size_t file = 9;
    assert_non_null(weights_find(&w, "b", &file));
    assert_int_equal(file, 1);
    assert_null(weights_find(&w, "c", NULL));
    weights_close(&w);
    put_tensors("m-2.safetensors", "{\"a\":" T("F32", "[2]", "[0,8]") "}", 8);
    assert_int_equal(weights_open(&w, &l, 0, 2, &e), -1);
    assert_non_null(strstr(e.msg, "tensor 'a'"));
    weight_list_release(&l);

    static const char *const bad[] = {"{}",
                                      "[]",
                                      "{\"weight_map\":{}}",
                                      "{\"weight_map\":{\"a\":\"../m-1.safetensors\"}}",
                                      "{\"weight_map\":{\"a\":\"/etc/passwd\"}}",
                                      "{\"weight_map\":{\"a\":\"..\"}}",
                                      "{\"weight_map\":{\"a\":7}}",
                                      "{\"weight_map\":{\"a\":\"absent.safetensors\"}}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        put("model.safetensors.index.json", bad[i], strlen(bad[i]));
        assert_int_equal(weight_list_add(&l, dir, &e), -1);
        weight_list_release(&l);
    }
}

static void test_other_formats(void **state)
{
    (void)state;
    static const struct {
        const char *file, *says, *hint;
    } other[] = {{"pytorch_model.bin", "pickle", "save_pretrained"},
                 {"model.Q4_K_M.gguf", "GGUF", "model.safetensors"},
                 {"adapter_model.safetensors", "LoRA", "merge"},
                 {"model.onnx", "ONNX", "model.safetensors"},
                 {"tf_model.h5", "TensorFlow", "model.safetensors"},
                 {"readme.md", "no model.safetensors", "config.json"}};
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        struct weight_list l = {0};
        struct err e = {0};
        put(other[i].file, "x", 1);
        assert_int_equal(weight_list_add(&l, dir, &e), -1);
        assert_non_null(strstr(e.msg, other[i].says));
        assert_non_null(strstr(e.hint, other[i].hint));
        char *path = path_join(dir, other[i].file);
        unlink(path);
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_hostile_headers, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_hostile_lengths, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_flipped_bytes, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_shards, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_other_formats, scratch_make, scratch_remove)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
