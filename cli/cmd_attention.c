/* cmd_attention.c - `attention`: what each token of a text looks at, as JSON or as a page.
 *
 * The page is attention.html, put into the program when it is built; the data goes into its script
 * as JSON, in which every '<' is written as an escape so that no text can end the script. Weights
 * travel as base64 of 16-bit parts of 1, little-endian.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/output.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char page[] = {
#include <attention_page.inc>
};

#define MAX_PAGE_WEIGHTS ((size_t)24 << 20) /* 64 MiB of base64: more stalls a browser */

/* One text and what was computed of it. layer and head are those to show, `first` and how many. */
struct attention_map {
    const char *name; /* of the model */
    const struct model_info *info;
    const struct tokenizer *tokenizer;
    struct encoding tokens;
    float *weight; /* [info->layers, info->heads, n, n] */
    int first_layer, n_layers, first_head, n_heads;
};

static const float *weights_of(const struct attention_map *m, int layer, int head)
{
    const size_t n = (size_t)m->tokens.n;
    return m->weight + ((size_t)layer * (size_t)m->info->heads + (size_t)head) * n * n;
}

/* ---- JSON ---------------------------------------------------------------------------------------
 */

static void write_tokens(struct json_writer *w, const struct attention_map *m)
{
    jw_key(w, "tokens");
    jw_array(w);
    for (int i = 0; i < m->tokens.n; i++)
        jw_string(w, tokenizer_token(m->tokenizer, m->tokens.id[i]));
    jw_end(w);
}

static void write_matrix(struct json_writer *w, const float *p, int n)
{
    jw_array(w);
    for (int i = 0; i < n; i++) {
        jw_array(w);
        for (int j = 0; j < n; j++)
            jw_float(w, (double)p[(size_t)i * (size_t)n + (size_t)j], 6);
        jw_end(w);
    }
    jw_end(w);
}

static void print_json(const struct attention_map *m)
{
    struct str out = {.max = (size_t)1 << 32};
    struct json_writer w;
    json_begin(&w, &out);
    jw_ktext(&w, "model", m->name);
    write_tokens(&w, m);
    jw_key(&w, "offsets");
    jw_array(&w);
    for (int i = 0; i < m->tokens.n; i++) {
        jw_array(&w);
        jw_int(&w, m->tokens.start[i]);
        jw_int(&w, m->tokens.end[i]);
        jw_end(&w);
    }
    jw_end(&w);
    if (m->n_heads < m->info->heads)
        jw_kint(&w, "head", m->first_head + 1);
    jw_key(&w, "layers");
    jw_array(&w);
    for (int l = m->first_layer; l < m->first_layer + m->n_layers && !out_failed(); l++) {
        jw_object(&w);
        jw_kint(&w, "layer", l + 1);
        jw_key(&w, "heads");
        jw_array(&w);
        for (int h = m->first_head; h < m->first_head + m->n_heads; h++)
            write_matrix(&w, weights_of(m, l, h), m->tokens.n);
        jw_end(&w);
        jw_end(&w);
        out_write(str_view(&out)); /* layer by layer: the whole may be large */
        str_clear(&out);
    }
    jw_end(&w);
    json_finish(&w);
    out_str(&out);
}

/* ---- the page -----------------------------------------------------------------------------------
 */

/* Appends n bytes as base64; n a multiple of 3 except at the end. */
static void base64(struct str *out, const unsigned char *p, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        const unsigned b = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) |
                           (i + 2 < n ? p[i + 2] : 0);
        const char four[4] = {digit[b >> 18], digit[b >> 12 & 63],
                              i + 1 < n ? digit[b >> 6 & 63] : '=',
                              i + 2 < n ? digit[b & 63] : '='};
        str_add(out, four, 4);
    }
}

/* The shown heads' weights one behind the other. */
static int page_weights(const struct attention_map *m, struct str *out, struct err *err)
{
    const size_t square = (size_t)m->tokens.n * (size_t)m->tokens.n;
    const size_t all = square * (size_t)(m->n_layers * m->n_heads);
    void *block;
    if (all > MAX_PAGE_WEIGHTS) {
        err_kind_set(err, ERR_LIMIT, "a page of %zu weights is too large for a browser", all);
        return err_hint(err, "show one --layer or --head, or cut the text with --max-length");
    }
    if (mem_try(&block, 2 * all + 1, "the page's weights", err))
        return -1;
    unsigned char *const bytes = block;
    size_t k = 0;
    for (int l = m->first_layer; l < m->first_layer + m->n_layers; l++)
        for (int h = m->first_head; h < m->first_head + m->n_heads; h++)
            for (size_t i = 0; i < square; i++) {
                const long part = lround((double)weights_of(m, l, h)[i] * 65535);
                bytes[k++] = (unsigned char)(part & 255);
                bytes[k++] = (unsigned char)(part >> 8);
            }
    base64(out, bytes, k);
    free(block);
    return 0;
}

static void write_numbers(struct json_writer *w, const char *key, int first, int n)
{
    jw_key(w, key);
    jw_array(w);
    for (int i = 0; i < n; i++)
        jw_int(w, first + i + 1);
    jw_end(w);
}

static int page_data(const struct attention_map *m, struct str *out, struct err *err)
{
    struct json_writer w;
    struct str json = {0}, weights = {0};
    int rc = page_weights(m, &weights, err);
    jw_init(&w, &json);
    jw_object(&w);
    jw_ktext(&w, "model", m->name);
    jw_kint(&w, "all_layers", m->info->layers);
    jw_kint(&w, "all_heads", m->info->heads);
    write_numbers(&w, "layers", m->first_layer, m->n_layers);
    write_numbers(&w, "heads", m->first_head, m->n_heads);
    write_tokens(&w, m);
    jw_key(&w, "special");
    jw_array(&w);
    for (int i = 0; i < m->tokens.n; i++)
        jw_int(&w, m->tokens.segment[i] == 0);
    jw_end(&w);
    jw_kstring(&w, "weights", str_view(&weights));
    jw_end(&w);
    for (size_t i = 0; i < json.n; i++)
        if (json.p[i] == '<')
            str_puts(out, "\\u003c");
        else
            str_putc(out, json.p[i]);
    str_release(&weights);
    str_release(&json);
    return rc;
}

static int write_page(const struct attention_map *m, const char *path, struct err *err)
{
    static const char place[] = "/*DATA*/";
    const unsigned char *const at = memmem(page, sizeof page, place, sizeof place - 1);
    const size_t before = (size_t)(at - page), after = before + sizeof place - 1;
    struct outfile f;
    struct str data = {0};
    int rc = page_data(m, &data, err);
    if (rc == 0)
        rc = outfile_open(&f, path, err);
    if (rc == 0) {
        outfile_write(&f, page, before);
        outfile_write(&f, data.p, data.n);
        outfile_write(&f, page + after, sizeof page - after);
        rc = outfile_commit(&f, err);
    }
    str_release(&data);
    return rc;
}

/* ---- the command --------------------------------------------------------------------------------
 */

/* One of the model's layers or heads, or all of them. */
static int choose(const char *what, int64_t wanted, int have, int *first, int *n, struct err *err)
{
    if (wanted > have)
        return err_kind_set(err, ERR_USAGE, "--%s %lld: the model has %d", what, (long long)wanted,
                            have);
    *first = wanted ? (int)wanted - 1 : 0;
    *n = wanted ? 1 : have;
    return 0;
}

static int compute(const struct args *a, struct span text, struct attention_map *m,
                   const struct model *model, struct err *err)
{
    const int window = m->info->max_tokens;
    const struct tokenize_options o = {
        .max_length = a->max_length && a->max_length < window ? (int)a->max_length : window};
    const struct span pair = span_of(a->text_pair);
    if (choose("layer", a->layer, m->info->layers, &m->first_layer, &m->n_layers, err) ||
        choose("head", a->head, m->info->heads, &m->first_head, &m->n_heads, err) ||
        tokenizer_encode(m->tokenizer, text, a->text_pair ? &pair : NULL, &o, &m->tokens, err))
        return -1;
    if (m->tokens.n == 0)
        return err_kind_set(err, ERR_USAGE, "there is no token in this text");
    return model_attention(model, m->tokens.id, m->tokens.type, m->tokens.n, &m->weight, err);
}

/* The words of the command line as one text. */
static void join_words(const struct args *a, struct str *out)
{
    for (size_t i = 0; i < a->n_pos; i++)
        str_printf(out, "%s%s", i ? " " : "", a->pos[i]);
}

int cmd_attention(const struct args *a, struct err *err)
{
    struct engine e;
    struct str text = {0};
    if (a->n_pos == 0) {
        err_kind_set(err, ERR_USAGE, "which text?");
        return err_hint(err, "semsearch attention \"the cat sat on the mat\" --html cat.html");
    }
    if (engine_open(a, a->model, &e, err))
        return -1;
    struct attention_map m = {
        .name = e.from.name, .info = model_info(e.model), .tokenizer = model_tokenizer(e.model)};
    join_words(a, &text);
    int rc = compute(a, str_view(&text), &m, e.model, err);
    if (rc == 0 && a->html)
        rc = write_page(&m, a->html, err);
    if (rc == 0 && a->html)
        note("%s: %d tokens, %d layers of %d heads; open it in a browser", a->html, m.tokens.n,
             m.n_layers, m.n_heads);
    if (rc == 0 && (!a->html || a->json))
        print_json(&m);
    free(m.weight);
    encoding_release(&m.tokens);
    str_release(&text);
    engine_close(&e);
    return rc;
}
