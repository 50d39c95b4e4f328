/* test_model.c - model folders: the tiny models of tests/golden/models beside what transformers and
 * sentence-transformers computed for them, and the promises of encoder.h about neighbours, threads,
 * fingerprints and the cache. */
#include "encoder/model/model.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MODELS "tests/golden/models/"

static struct model *open_or_fail(const char *path, const struct model_options *o)
{
    struct model *m;
    struct err e = {0};
    if (model_open(path, o, &m, &e))
        fail_msg("%s (%s)", e.msg, e.hint);
    return m;
}

static struct encoder *encoder_or_fail(const struct model *m, int threads)
{
    struct encoder *e;
    assert_int_equal(encoder_open(m, threads, &e, NULL), 0);
    return e;
}

static json_value *golden_of(const char *name)
{
    char path[256];
    struct err e = {0};
    snprintf(path, sizeof path, MODELS "%s/golden.json", name);
    json_value *g = js_read_file(path, 1 << 24, &e);
    if (!g)
        fail_msg("%s", e.msg);
    return g;
}

static float largest_difference(const float *x, const json_value *list)
{
    float worst = 0;
    for (size_t i = 0; i < js_count(list); i++) {
        const float d = fabsf(x[i] - (float)js_number(js_at(list, i), NAN));
        worst = d > worst || isnan(d) ? d : worst;
    }
    return worst;
}

static enum embed_role role_of(const json_value *c)
{
    const struct span s = js_string(js_get(c, "role"), "");
    return span_eq(s, "query") ? EMBED_QUERY
                               : (span_eq(s, "passage") ? EMBED_PASSAGE : EMBED_DEFAULT);
}

/* ---- the reference's numbers
 * --------------------------------------------------------------------- */

/* The state after the embedding norm and after each layer: runs the tape op by op. */
static void check_hidden(const char *name, const struct model *m, const json_value *golden)
{
    struct tape t;
    struct learner_slots slots;
    int ids[64], layer = 0;
    const json_value *hidden = js_get(golden, "hidden");
    const json_value *list = js_get(js_at(js_get(golden, "cases"), 0), "ids");
    if (js_count(hidden) == 0)
        return;
    const int n = (int)js_count(list);
    for (int i = 0; i < n; i++)
        ids[i] = (int)js_int(js_at(list, (size_t)i), 0);
    const int start[] = {0, n};
    const struct batch b = {.n_tok = n, .n_seq = 1, .token = ids, .start = start};
    assert_int_equal(model_tape(m, &t, &slots, NULL), 0);
    assert_int_equal(tape_bind(&t, &b, NULL), 0);
    for (int i = 0; i < t.n_ops; i++) {
        t.op[i].kind->forward(&t, &t.op[i], &b);
        const char *param = t.op[i].kind == &op_norm ? t.params->p[t.op[i].w[0]]->name : "";
        if (!strstr(param, "embed.norm") && !strstr(param, "norm2"))
            continue;
        const float d = largest_difference(t.slot[t.op[i].out].x, js_at(hidden, (size_t)layer));
        if (!(d < 2e-5f))
            fail_msg("%s: layer %d is off by %g", name, layer, (double)d);
        layer++;
    }
    assert_int_equal(layer, m->info.layers + 1);
    tape_release(&t);
}

static void check_case(const char *name, const struct model *m, struct encoder *e,
                       const json_value *c)
{
    float out[256], unit[256];
    int tokens, ids[64];
    const struct span text = js_string(js_get(c, "text"), NULL);
    const json_value *list = js_get(c, "ids"), *vector = js_get(c, "vector");
    const struct encode_options o = {.role = role_of(c), .normalize = -1};
    const struct encode_options unit_o = {.role = role_of(c), .normalize = 1};
    assert_int_equal(js_count(vector), m->info.dim);
    assert_int_equal(encoder_embed(e, &text, 1, &o, out, &tokens, NULL), 0);
    if (tokens != (int)js_count(list))
        fail_msg("%s: '%s' has %d tokens, not %zu", name, text.p, tokens, js_count(list));
    float size = 0;
    for (int i = 0; i < m->info.dim; i++)
        size = fmaxf(size, fabsf(out[i]));
    const float d = largest_difference(out, vector);
    if (!(d < 5e-6f * fmaxf(1, size)))
        fail_msg("%s: '%s' is off by %g", name, text.p, (double)d);
    /* asked for unit vectors, it gives them whatever the folder says */
    assert_int_equal(encoder_embed(e, &text, 1, &unit_o, unit, NULL, NULL), 0);
    assert_float_equal(sqrt(kern.dot_wide(unit, unit, (size_t)m->info.dim)), 1, 1e-6);
    /* the same ids without the tokenizer */
    const int n = (int)js_count(list), start[] = {0, n};
    for (int i = 0; i < n; i++)
        ids[i] = (int)js_int(js_at(list, (size_t)i), 0);
    if (m->config.module[0].include_prompt) {
        assert_int_equal(encoder_embed_ids(e, ids, start, 1, -1, unit, NULL), 0);
        assert_memory_equal(unit, out, (size_t)m->info.dim * sizeof *out);
    }
}

static void check_golden(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, MODELS "%s", name);
    struct model *m = open_or_fail(path, NULL);
    struct encoder *e = encoder_or_fail(m, 2);
    json_value *golden = golden_of(name);
    const json_value *cases = js_get(golden, "cases");
    check_hidden(name, m, golden);
    assert_in_range(js_count(cases), 8, 100);
    for (size_t i = 0; i < js_count(cases); i++)
        check_case(name, m, e, js_at(cases, i));
    js_free(golden);
    encoder_close(e);
    model_close(m);
}

static void test_golden(void **state)
{
    (void)state;
    static const char *const names[] = {"bert",          "poolings", "dense_f16", "plain_bf16",
                                        "prompt_shards", "roberta",  "distilbert"};
    for (int round = 0; round < 2; round++) /* packed from the files, then mapped from the cache */
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            check_golden(names[i]);
}

/* ---- what a text's vector may depend on
 * ------------------------------------------------------------ */

enum { MANY = 300, DIM = 32 };

static void many_texts(struct span texts[MANY], struct str *store)
{
    static const char *const words[] = {"the",    "word",   "is", "hot",
                                        "making", "people", "?",  "zebra"};
    size_t end[MANY];
    unsigned seed = 7;
    for (int i = 0; i < MANY; i++) {
        for (unsigned k = (seed >> 16) % 37; k > 0; k--) {
            seed = seed * 1103515245u + 12345u;
            str_printf(store, "%s ", words[(seed >> 16) % 8]);
        }
        seed = seed * 1103515245u + 12345u;
        end[i] = store->n;
    }
    for (int i = 0; i < MANY; i++) {
        const size_t begin = i ? end[i - 1] : 0;
        texts[i] = (struct span){store->p + begin, end[i] - begin};
    }
}

static void test_bit_identity(void **state)
{
    (void)state;
    struct model *m = open_or_fail(MODELS "bert", NULL);
    struct str store = {0};
    struct span texts[MANY], reversed[MANY];
    static float one[MANY * DIM], all[MANY * DIM], back[MANY * DIM];
    int tokens[MANY];
    many_texts(texts, &store);
    struct encoder *e = encoder_or_fail(m, 1);
    for (int i = 0; i < MANY; i++) {
        reversed[MANY - 1 - i] = texts[i];
        assert_int_equal(encoder_embed(e, &texts[i], 1, NULL, one + i * DIM, NULL, NULL), 0);
    }
    encoder_close(e);
    for (int threads = 1; threads <= 4; threads++) {
        e = encoder_or_fail(m, threads);
        memset(all, 0, sizeof all);
        assert_int_equal(encoder_embed(e, texts, MANY, NULL, all, tokens, NULL), 0);
        assert_memory_equal(all, one, sizeof all);
        assert_int_equal(encoder_embed(e, reversed, MANY, NULL, back, NULL, NULL), 0);
        for (int i = 0; i < MANY; i++)
            assert_memory_equal(back + (MANY - 1 - i) * DIM, one + i * DIM, DIM * sizeof *one);
        /* few texts: one batch, split over the threads */
        for (int n = 1; n <= 6; n++) {
            assert_int_equal(encoder_embed(e, texts + 40, (size_t)n, NULL, all, NULL, NULL), 0);
            assert_memory_equal(all, one + 40 * DIM, (size_t)n * DIM * sizeof *one);
        }
        encoder_close(e);
    }
    assert_int_equal(tokens[0], 2); /* an empty text is [CLS] [SEP] */
    str_release(&store);
    model_close(m);
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    struct model *m = open_or_fail(MODELS "bert", NULL);
    struct encoder *e = encoder_or_fail(m, 1);
    struct str store = {0};
    struct span texts[MANY], *lots = xcalloc(40 * MANY, sizeof *lots);
    many_texts(texts, &store);
    for (int i = 0; i < 40 * MANY; i++)
        lots[i] = texts[i % MANY];
    float *out = xcalloc(40 * MANY * DIM, sizeof *out);
    assert_int_equal(encoder_embed(e, texts, MANY, NULL, out, NULL, NULL), 0);
    const size_t after_few = encoder_peak_bytes(e);
    assert_int_equal(encoder_embed(e, lots, 40 * MANY, NULL, out, NULL, NULL), 0);
    assert_in_range(encoder_peak_bytes(e), after_few,
                    after_few * 3 / 2); /* batches differ a little */
    assert_memory_equal(out, out + 39 * MANY * DIM, MANY * DIM * sizeof *out);
    free(out);
    free(lots);
    str_release(&store);
    encoder_close(e);
    model_close(m);
}

static void test_prompts_and_space(void **state)
{
    (void)state;
    struct model *m = open_or_fail(MODELS "bert", NULL);
    struct encoder *e = encoder_or_fail(m, 1);
    float a[DIM], b[DIM];
    const struct span plain = span_of("the word"), long_hand = span_of("query: the word"),
                      spaced = span_of("\xe2\x80\x83\x1c the word \xc2\xa0\n");
    struct encode_options o = {.role = EMBED_QUERY, .normalize = -1};
    assert_string_equal(model_role_prompt(m, EMBED_DEFAULT), "");
    assert_string_equal(model_role_prompt(m, EMBED_PASSAGE), "passage: "); /* "document" is empty */
    assert_int_equal(encoder_embed(e, &plain, 1, &o, a, NULL, NULL), 0);
    o.role = EMBED_DEFAULT;
    assert_int_equal(encoder_embed(e, &long_hand, 1, &o, b, NULL, NULL), 0);
    assert_memory_equal(a, b, sizeof a);
    o.prompt = "query: ";
    assert_int_equal(encoder_embed(e, &plain, 1, &o, b, NULL, NULL), 0);
    assert_memory_equal(a, b, sizeof a);
    o.prompt = "";
    o.role = EMBED_QUERY;
    assert_int_equal(encoder_embed(e, &plain, 1, &o, a, NULL, NULL), 0);
    assert_int_equal(encoder_embed(e, &spaced, 1, &o, b, NULL, NULL), 0);
    assert_memory_equal(a, b, sizeof a);
    encoder_close(e);
    model_close(m);
}

static void test_embedder(void **state)
{
    (void)state;
    struct model *m = open_or_fail(MODELS "poolings", NULL); /* its vectors are not normalised */
    struct embedder *e;
    struct token_range *ranges;
    size_t n;
    int64_t tokens;
    float v[2 * 144];
    const struct span texts[] = {span_of("the  word is making"), span_of("")};
    assert_int_equal(encoder_embedder(m, 2, &e, NULL), 0);
    assert_int_equal(e->dim, 144);
    assert_int_equal(e->window, 12);
    assert_string_equal(e->fingerprint, m->info.fingerprint);
    assert_int_equal(e->overhead(e, EMBED_QUERY), 2);
    assert_int_equal(e->embed(e, texts, 2, EMBED_PASSAGE, v, &tokens, NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_float_equal(sqrt(kern.dot_wide(v + i * 144, v + i * 144, 144)), 1, 1e-6);
    assert_int_equal(e->tokens(e, texts[0], &ranges, &n, NULL), 0);
    assert_int_equal(tokens, (int64_t)n + 2 + 2);
    assert_int_equal(ranges[0].start, 0);
    assert_int_equal(ranges[0].end, 3);
    assert_int_equal(ranges[1].start, 5);
    free(ranges);
    e->close(e);
    model_close(m);
    m = open_or_fail(MODELS "bert", NULL);
    assert_int_equal(encoder_embedder(m, 1, &e, NULL), 0);
    assert_int_equal(e->overhead(e, EMBED_QUERY), 2 + 2); /* query : */
    assert_int_equal(e->overhead(e, EMBED_DEFAULT), 2);
    e->close(e);
    model_close(m);
}

/* ---- what a folder says
 * ---------------------------------------------------------------------------- */

static void test_info(void **state)
{
    (void)state;
    struct model *m, *seen;
    assert_int_equal(model_inspect(MODELS "bert/", NULL, &seen, NULL), 0);
    m = open_or_fail(MODELS "bert", NULL);
    for (int i = 0; i < 2; i++) {
        const struct model_info *f = model_info(i ? m : seen);
        assert_string_equal(f->name, "bert");
        assert_string_equal(f->family, "bert");
        assert_string_equal(f->pooling, "mean");
        assert_string_equal(f->activation, "gelu");
        assert_string_equal(f->task, "sentence-similarity");
        assert_int_equal(f->layers, 2);
        assert_int_equal(f->heads, 2);
        assert_int_equal(f->max_tokens, 40);
        assert_int_equal(f->dim, DIM);
        assert_true(f->normalize);
        assert_int_equal(f->n_prompts, 3);
        assert_null(f->default_prompt);
        assert_int_equal(f->n_labels, 0);
    }
    /* every number in the file, pooler included */
    const int64_t layer = 4 * (32 * 32 + 32) + 2 * 32 * 48 + 48 + 32 + 4 * 32;
    const int64_t all = (int64_t)(m->info.vocab + 40 + 2 + 2) * 32 + 2 * layer + 32 * 32 + 32;
    assert_int_equal(seen->info.parameters, all);
    assert_int_equal(m->info.parameters, all);
    assert_string_equal(m->info.fingerprint, seen->info.fingerprint);
    struct encoder *e;
    assert_int_equal(encoder_open(seen, 1, &e, NULL), -1);
    model_close(seen);
    model_close(m);
}

/* Copies a fixture into the scratch folder; the path is static. */
static const char *copy_of(const char *name)
{
    static char to[128];
    char command[512];
    snprintf(to, sizeof to, "%s/model", dir);
    snprintf(command, sizeof command, "rm -rf %s && cp -r " MODELS "%s %s", to, name, to);
    assert_int_equal(system(command), 0);
    return to;
}

/* Replaces `from`, which must be there, in a file of the folder; from == NULL: the whole file. */
static void edit(const char *folder, const char *file, const char *from, const char *to)
{
    struct str s = {0}, t = {0};
    char *path = path_join(folder, file);
    if (from) {
        assert_int_equal(file_read(path, 1 << 24, &s, NULL), 0);
        const char *at = memmem(s.p, s.n, from, strlen(from));
        if (!at)
            fail_msg("%s has no '%s'", file, from);
        str_add(&t, s.p, (size_t)(at - s.p));
        str_puts(&t, to);
        str_add(&t, at + strlen(from), s.n - (size_t)(at - s.p) - strlen(from));
    } else {
        str_puts(&t, to);
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(t.p, 1, t.n, f);
    fclose(f);
    str_release(&s);
    str_release(&t);
    free(path);
}

static void test_refused_folders(void **state)
{
    (void)state;
    static const struct {
        const char *model, *file, *from, *to, *says;
    } bad[] = {
        {"bert", "config.json", "\"model_type\": \"bert\"", "\"model_type\": \"gpt2\"", "'gpt2'"},
        {"bert", "config.json", "{", "{\"auto_map\": {\"AutoModel\": \"x.Y\"},", "auto_map"},
        {"bert", "config.json", "{", "{\"is_decoder\": true,", "decoder"},
        {"bert", "config.json", "{", "{\"quantization_config\": {},", "quantised"},
        {"bert", "config.json", "\"absolute\"", "\"relative_key\"", "relative_key"},
        {"bert", "config.json", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"mish\"", "mish"},
        {"bert", "config.json", "\"hidden_size\": 32", "\"hidden_size\": 64", "32 columns"},
        {"plain_bf16", "config.json", "\"hidden_size\": 24", "\"hidden_size\": 48",
         ", 24], expected ["},
        {"bert", "config.json", "\"hidden_size\": 32", "\"hidden_size\": 31", "heads"},
        {"bert", "config.json", "\"hidden_size\": 32", "\"hidden_size\": -1", "hidden_size"},
        {"bert", "config.json", "\"hidden_size\": 32", "\"hidden\": 32", "hidden_size"},
        {"bert", "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
         "encoder.layer.2.attention.self.query.weight"},
        {"bert", "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1",
         "unexpected tensor 'encoder.layer.1"},
        {"bert", "config.json", "\"intermediate_size\": 48", "\"intermediate_size\": 40",
         "[48, 32], expected [40, 32]"},
        {"bert", "config.json", "\"vocab_size\": ", "\"vocab_size\": 1", "word_embeddings"},
        {"bert", "config.json", "\"vocab_size\": 102", "\"vocab_size\": 101",
         "the tokenizer has ids"},
        {"bert", "config.json", NULL, "{", "JSON"},
        {"bert", "modules.json", "pooling.Pooling", "pooling.WeightedLayerPooling",
         "not supported"},
        {"bert", "modules.json", "sentence_transformers.base", "evil.base", "not supported"},
        {"bert", "modules.json", "1_Pooling", "../1_Pooling", "leaves the folder"},
        {"bert", "modules.json", "1_Pooling", "/1_Pooling", "leaves the folder"},
        {"bert", "modules.json", NULL, "[]", "no Pooling"},
        {"bert", "1_Pooling/config.json", "\"mean\"", "\"median\"", "median"},
        {"bert", "1_Pooling/config.json", "32", "33", "33 columns"},
        {"bert", "config_sentence_transformers.json", "\"default_prompt_name\": null",
         "\"default_prompt_name\": \"ask\"", "ask"},
        {"dense_f16", "2_Dense/config.json", "48", "47", "expects 47 columns"},
        {"dense_f16", "4_Dense/config.json", "28", "29", "linear.weight"},
        {"dense_f16", "2_Dense/config.json", "Tanh", "Mish", "Mish"},
        {"plain_bf16", "model.safetensors", "encoder.layer.0.output.dense.bias",
         "encoder.layer.0.output.dense.bios", "no tensor"},
        {"prompt_shards", "model.safetensors.index.json", "model-00001", "model-00002",
         "no tensor"}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct model *m;
        struct err e = {0};
        const char *folder = copy_of(bad[i].model);
        edit(folder, bad[i].file, bad[i].from, bad[i].to);
        if (i + 1 == ARRAY_LEN(bad)) /* every mention of the first shard */
            for (int k = 0; k < 200 && !model_open(folder, NULL, &m, NULL); k++) {
                model_close(m);
                edit(folder, bad[i].file, bad[i].from, bad[i].to);
            }
        if (model_open(folder, NULL, &m, &e) == 0)
            fail_msg("opened: %s %s", bad[i].file, bad[i].to);
        if (!strstr(e.msg, bad[i].says))
            fail_msg("'%s' does not say '%s'", e.msg, bad[i].says);
    }
    struct model *m;
    struct err e = {0};
    assert_int_equal(model_open("/nowhere/at/all", NULL, &m, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(model_open("tests/golden", NULL, &m, &e), -1);
    assert_non_null(strstr(e.msg, "config.json"));
}

static void test_options(void **state)
{
    (void)state;
    struct model_options o = {.pooling = "cls+max", .max_tokens = 9};
    struct model *plain = open_or_fail(MODELS "plain_bf16", NULL);
    struct model *m = open_or_fail(MODELS "plain_bf16", &o);
    struct err e = {0};
    struct model *no;
    assert_string_equal(plain->info.pooling, "mean");
    assert_string_equal(plain->info.task, "pretraining");
    assert_string_equal(m->info.pooling, "cls+max");
    assert_int_equal(m->info.dim, 48);
    assert_int_equal(m->info.max_tokens, 9);
    assert_string_not_equal(m->info.fingerprint, plain->info.fingerprint);
    model_close(m);
    model_close(plain);
    o.max_tokens = 41;
    assert_int_equal(model_open(MODELS "plain_bf16", &o, &no, &e), -1);
    assert_int_equal(e.kind, ERR_USAGE);
    o = (struct model_options){.pooling = "best"};
    assert_int_equal(model_open(MODELS "plain_bf16", &o, &no, &e), -1);
    o = (struct model_options){.precision = "fp4"};
    assert_int_equal(model_open(MODELS "plain_bf16", &o, &no, &e), -1);
    o = (struct model_options){.max_tokens = 2};
    assert_int_equal(model_open(MODELS "plain_bf16", &o, &no, &e), -1);
}

static void fingerprint_of(const char *folder, char out[33])
{
    struct model *m;
    struct err e = {0};
    if (model_inspect(folder, NULL, &m, &e))
        fail_msg("%s", e.msg);
    strcpy(out, model_info(m)->fingerprint);
    model_close(m);
}

static void test_fingerprint(void **state)
{
    (void)state;
    static const struct {
        const char *file, *from, *to;
        bool differs;
    } change[] = {
        {"config_sentence_transformers.json", "query: ", "query? ", true},
        {"1_Pooling/config.json", "\"mean\"", "\"cls\"", true},
        {"1_Pooling/config.json", "true", "false", true},
        {"config.json", "1e-05", "2e-05", true},
        {"config.json", "\"gelu\"", "\"relu\"", true},
        {"tokenizer_config.json", "40", "39", true},
        {"vocab.txt", "zebra", "zebra", false},
        {"vocab.txt", "people", "peeple", true},
        {"modules.json", "normalize.Normalize", "dropout.Dropout", true},
        {"config_sentence_transformers.json", "cosine", "dot", false},
        {"config.json", "\"hidden_dropout_prob\": 0.1", "\"hidden_dropout_prob\": 0.2", false}};
    char original[33], changed[33];
    fingerprint_of(MODELS "bert", original);
    for (size_t i = 0; i < ARRAY_LEN(change); i++) {
        const char *folder = copy_of("bert"); /* another path: the same model */
        if (strcmp(change[i].from, change[i].to))
            edit(folder, change[i].file, change[i].from, change[i].to);
        fingerprint_of(folder, changed);
        if (change[i].differs == !strcmp(original, changed))
            fail_msg("%s: '%s'", change[i].file, change[i].to);
    }
    /* one bit of one weight */
    const char *folder = copy_of("bert");
    char *path = path_join(folder, "model.safetensors");
    const int fd = open(path, O_RDWR);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, 50000), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 50000), 1);
    close(fd);
    fingerprint_of(folder, changed);
    assert_string_not_equal(original, changed);
    free(path);
}

/* ---- the cache
 * -------------------------------------------------------------------------------------- */

/* The one file in the cache with this ending; NULL: none. */
static const char *cache_file(const char *ending)
{
    static char path[512];
    char folder[128];
    bool found = false;
    snprintf(folder, sizeof folder, "%s/semsearch/models", dir);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (span_ends(span_of(e->d_name), ending)) {
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            found = true;
        }
    if (d)
        closedir(d);
    return found ? path : NULL;
}

static void embed_one(const char *folder, float out[DIM], bool *mapped)
{
    struct model *m = open_or_fail(folder, NULL);
    struct encoder *e = encoder_or_fail(m, 1);
    const struct span text = span_of("the word is hot");
    assert_int_equal(encoder_embed(e, &text, 1, NULL, out, NULL, NULL), 0);
    *mapped = m->image.owned == NULL;
    encoder_close(e);
    model_close(m);
}

static void test_cache(void **state)
{
    (void)state;
    float first[DIM], again[DIM];
    bool mapped;
    embed_one(MODELS "bert", first, &mapped);
    assert_false(mapped);
    assert_non_null(cache_file(".packed"));
    embed_one(MODELS "bert", again, &mapped);
    assert_true(mapped);
    assert_memory_equal(first, again, sizeof first);
    /* the same model elsewhere shares it */
    embed_one(copy_of("bert"), again, &mapped);
    assert_true(mapped);
    assert_memory_equal(first, again, sizeof first);

    /* a damaged file is not used, wherever the damage is, as long as nobody has checked it yet */
    struct stat st;
    assert_int_equal(stat(cache_file(".packed"), &st), 0);
    const off_t where[] = {0, 8, 12, 20, 40, 56, 72, 100, 300, 5000, st.st_size - 100};
    for (size_t i = 0; i < ARRAY_LEN(where); i++) {
        assert_int_equal(unlink(cache_file(".packed")), 0);
        embed_one(MODELS "bert", again, &mapped); /* writes it anew */
        assert_false(mapped);
        const int fd = open(cache_file(".packed"), O_RDWR);
        char byte;
        assert_int_equal(pread(fd, &byte, 1, where[i]), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, where[i]), 1);
        close(fd);
        embed_one(MODELS "bert", again, &mapped);
        if (mapped)
            fail_msg("damage at byte %lld was not seen", (long long)where[i]);
        assert_memory_equal(first, again, sizeof first);
        embed_one(MODELS "bert", again, &mapped); /* and it was mended */
        assert_true(mapped);
    }
    /* nor is a damaged copy of one that was checked */
    char copy[512], command[1200];
    snprintf(copy, sizeof copy, "%s/copy", dir);
    snprintf(command, sizeof command, "cp %s %s", cache_file(".packed"), copy);
    assert_int_equal(system(command), 0);
    const int at = open(copy, O_RDWR);
    assert_int_equal(pwrite(at, "damaged", 7, st.st_size - 100), 7);
    close(at);
    assert_int_equal(rename(copy, cache_file(".packed")), 0);
    embed_one(MODELS "bert", again, &mapped);
    assert_false(mapped);
    assert_memory_equal(first, again, sizeof first);
    /* the same for the tokenizer's tables */
    for (int i = 0; i < 4; i++) {
        const int fd = open(cache_file(".tokenizer"), O_RDWR);
        char byte;
        assert_int_equal(pread(fd, &byte, 1, 10 + 20 * i), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, 10 + 20 * i), 1);
        close(fd);
        embed_one(MODELS "bert", again, &mapped);
        assert_memory_equal(first, again, sizeof first);
    }
    assert_int_equal(truncate(cache_file(".tokenizer"), 70), 0);
    assert_int_equal(truncate(cache_file(".packed"), 4096), 0);
    embed_one(MODELS "bert", again, &mapped);
    assert_false(mapped);
    assert_memory_equal(first, again, sizeof first);
}

/* Waits until the weights of a folder have settled, and has their identity remembered. */
static void remember(const char *folder, char fingerprint[33])
{
    for (int i = 0; i < 60 && !cache_file(".id"); i++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        fingerprint_of(folder, fingerprint);
    }
    assert_non_null(cache_file(".id"));
}

/* A folder whose weights settled a while ago gets a remembered identity, which a change outdates,
 * even one that brings the old times with it. */
static void test_identity(void **state)
{
    (void)state;
    char a[33], b[33];
    const char *folder = copy_of("bert");
    char *path = path_join(folder, "model.safetensors");
    const struct timespec then[] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
    fingerprint_of(folder, a);
    assert_null(cache_file(".id")); /* put there this moment: it might change once more unseen */
    remember(folder, a);
    edit(dir, cache_file(".id") + strlen(dir) + 1, NULL, "00112233445566778899aabbccddeeff 0\n");
    fingerprint_of(folder, b); /* a broken note is not believed */
    assert_string_equal(a, b);
    const int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "!", 1, 60000), 1);
    close(fd);
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
    fingerprint_of(folder, b);
    assert_string_not_equal(a, b);
    free(path);

    /* the same for what the tokenizer reads */
    assert_non_null(cache_file(".tokenizer-id"));
    path = path_join(folder, "vocab.txt");
    edit(folder, "vocab.txt", "people", "peeple");
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
    fingerprint_of(folder, a);
    assert_string_not_equal(a, b);
    free(path);
}

/* The note of one model under the name of another's is not believed. */
static void test_foreign_identity(void **state)
{
    (void)state;
    char bert[33], roberta[33], again[33], first[512], second[512];
    snprintf(first, sizeof first, "%s/kept", dir);
    remember(copy_of("bert"), bert);
    assert_int_equal(rename(cache_file(".id"), first), 0);
    const char *folder = copy_of("roberta");
    remember(folder, roberta);
    snprintf(second, sizeof second, "%s", cache_file(".id"));
    assert_int_equal(rename(first, second), 0);
    fingerprint_of(folder, again);
    assert_string_equal(roberta, again);
}

static void test_no_cache(void **state)
{
    (void)state;
    float first[DIM], again[DIM];
    bool mapped;
    char file[128];
    embed_one(MODELS "bert", first, &mapped);
    snprintf(file, sizeof file, "%s/file", dir);
    edit(dir, "file", NULL, "not a folder");
    setenv("XDG_CACHE_HOME", file, 1);
    embed_one(MODELS "bert", again, &mapped);
    assert_false(mapped);
    assert_memory_equal(first, again, sizeof first);
    unsetenv("XDG_CACHE_HOME");
    char *home = xstrdup(getenv("HOME") ? getenv("HOME") : "");
    unsetenv("HOME");
    embed_one(MODELS "bert", again, &mapped);
    assert_false(mapped);
    setenv("HOME", home, 1);
    setenv("XDG_CACHE_HOME", dir, 1);
    free(home);
}

static void test_old_images_go(void **state)
{
    (void)state;
    float v[256];
    bool mapped;
    char path[256];
    embed_one(MODELS "bert", v, &mapped);
    for (int i = 0; i < 12; i++) {
        snprintf(path, sizeof path, "semsearch/models/%d.packed", i);
        edit(dir, path, NULL, "old");
        snprintf(path, sizeof path, "%s/semsearch/models/%d.packed", dir, i);
        const struct timespec then[] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
        assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
    }
    struct model *m = open_or_fail(MODELS "roberta", NULL);
    model_close(m);
    snprintf(path, sizeof path, "%s/semsearch/models/11.packed", dir);
    assert_true(file_exists(path)); /* the newest stay */
    snprintf(path, sizeof path, "%s/semsearch/models/5.packed", dir);
    assert_false(file_exists(path));
    embed_one(MODELS "bert", v, &mapped);
    assert_true(mapped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_golden, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_bit_identity, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_memory_is_bounded, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_prompts_and_space, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_embedder, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_info, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_refused_folders, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_options, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_fingerprint, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_cache, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_identity, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_foreign_identity, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_no_cache, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_old_images_go, scratch_make, scratch_remove)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
