/* export.c - a learner's folder, in the layout of Hugging Face and sentence-transformers.
 *
 *   config.json              the source's keys, with the class of the head, its labels, and without
 *                            what is not true of this folder any more
 *   model.safetensors        F32; names with the family's prefix for task models, without it for
 *                            sentence encoders; tied tensors are left out, as transformers does
 *   tokenizer.json, ...      as they were
 *   modules.json, 1_Pooling  for sentence encoders, in the spelling that all versions of
 *   ...                      sentence-transformers read (class paths
 * sentence_transformers.models.*, a boolean for each pooling mode) README.md                a short
 * model card
 *
 * Sources: PreTrainedModel.save_pretrained of transformers 4.57, SentenceTransformer.save of
 * sentence-transformers 5.1 and the loaders of 5.1 and 5.7.
 */
#include "encoder/model/learner_inside.h"
#include "encoder/weights/write.h"
#include "src/base/file.h"
#include "src/base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is kept of the base -------------------------------------------------------------------
 */

#define FILE_CONFIG    "config.json"
#define FILE_TOKENIZER "tokenizer_config.json"
#define FILE_SETTINGS  "config_sentence_transformers.json"

/* Of the encoder's folder, and (true) of the model's. */
static const struct {
    const char *name;
    bool outer;
} kept_names[] = {{FILE_CONFIG, false},
                  {"tokenizer.json", false},
                  {FILE_TOKENIZER, false},
                  {"special_tokens_map.json", false},
                  {"added_tokens.json", false},
                  {"vocab.txt", false},
                  {"vocab.json", false},
                  {"merges.txt", false},
                  {"sentencepiece.bpe.model", false},
                  {FILE_SETTINGS, true}};
enum { KEPT_BYTES = 64 << 20 };

static const struct kept_file *kept(const struct learner *l, const char *name)
{
    for (int i = 0; i < l->n_kept; i++)
        if (!strcmp(l->kept[i].name, name))
            return &l->kept[i];
    return NULL;
}

int learner_keep_files(struct learner *l, const char *config_file, struct err *err)
{
    struct model_config *c = &l->model.config;
    for (size_t i = 0; i < ARRAY_LEN(kept_names); i++) {
        const char *name = kept_names[i].name;
        const char *path = config_path(c, kept_names[i].outer ? c->dir : c->encoder_dir, name);
        if (config_file && !strcmp(name, FILE_CONFIG))
            path = config_file;
        else if (config_file && kept_names[i].outer)
            continue; /* the settings of the model that the tokenizer is borrowed from */
        if (!file_exists(path))
            continue;
        struct kept_file *k = &l->kept[l->n_kept++];
        *k = (struct kept_file){.name = name, .bytes = {.max = KEPT_BYTES}};
        if (file_read(path, KEPT_BYTES, &k->bytes, err))
            return -1;
    }
    return 0;
}

/* ---- JSON that goes through ---------------------------------------------------------------------
 */

static void new_line(struct str *out, int depth)
{
    str_printf(out, "\n%*s", 2 * depth, "");
}

/* The shortest decimal form that reads as the same double, and reads as one. */
static void put_number(const json_value *v, struct str *out)
{
    if (js_is_integer(v)) {
        str_printf(out, "%lld", (long long)js_int(v, 0));
        return;
    }
    const double x = js_number(v, 0);
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    str_puts(out, text);
    if (!strpbrk(text, ".en"))
        str_puts(out, ".0");
}

static void put_value(json_value *v, struct str *out, int depth)
{
    if (js_is_object(v) || js_is_array(v)) {
        const bool object = js_is_object(v);
        size_t i = 0;
        str_putc(out, object ? '{' : '[');
        for (void *it = object ? js_iter(v) : NULL; it; it = js_iter_next(v, it), i++) {
            str_puts(out, i ? "," : "");
            new_line(out, depth + 1);
            json_quote(span_of(js_iter_key(it)), out);
            str_puts(out, ": ");
            put_value(js_iter_value(it), out, depth + 1);
        }
        for (; !object && i < js_count(v); i++) {
            str_puts(out, i ? "," : "");
            new_line(out, depth + 1);
            put_value(js_at(v, i), out, depth + 1);
        }
        if (i)
            new_line(out, depth);
        str_putc(out, object ? '}' : ']');
    } else if (js_is_string(v)) {
        json_quote(js_string(v, ""), out);
    } else if (js_is_number(v)) {
        put_number(v, out);
    } else if (js_is_bool(v)) {
        str_puts(out, js_bool(v, false) ? "true" : "false");
    } else {
        str_puts(out, "null");
    }
}

/* An object of the base with keys replaced or left out. */
struct edit {
    const char *key;
    struct str value; /* JSON; empty: the key goes */
};

static void put_edited(json_value *source, struct edit *edit, size_t n, struct str *out)
{
    bool first = true;
    str_putc(out, '{');
    for (void *it = js_iter(source); it; it = js_iter_next(source, it)) {
        size_t k = 0;
        while (k < n && strcmp(edit[k].key, js_iter_key(it)))
            k++;
        if (k < n)
            continue;
        str_puts(out, first ? "\n  " : ",\n  ");
        json_quote(span_of(js_iter_key(it)), out);
        str_puts(out, ": ");
        put_value(js_iter_value(it), out, 1);
        first = false;
    }
    for (size_t k = 0; k < n; k++) {
        if (edit[k].value.n) {
            str_puts(out, first ? "\n  " : ",\n  ");
            json_quote(span_of(edit[k].key), out);
            str_printf(out, ": %s", edit[k].value.p);
            first = false;
        }
        str_release(&edit[k].value);
    }
    str_puts(out, "\n}\n");
}

/* ---- files --------------------------------------------------------------------------------------
 */

/* Writes and releases `text`. */
static int put_file(const char *dir, const char *name, struct str *text, struct err *err)
{
    struct outfile f;
    char *path = path_join(dir, name);
    int rc = outfile_open(&f, path, err);
    if (!rc) {
        outfile_write(&f, text->p ? text->p : "", text->n);
        rc = outfile_commit(&f, err);
    }
    free(path);
    str_release(text);
    return rc;
}

static int put_config(const struct learner *l, const char *dir, struct err *err)
{
    enum { CLASS, LABELS, IDS, PROBLEM, DTYPE, ALWAYS };
    const struct model *m = &l->model;
    struct edit edit[] = {[CLASS] = {.key = "architectures"},
                          [LABELS] = {.key = "id2label"},
                          [IDS] = {.key = "label2id"},
                          [PROBLEM] = {.key = "problem_type"},
                          [DTYPE] = {.key = "torch_dtype"},
                          [ALWAYS] = {.key = "always_answers"},
                          {.key = "dtype"},
                          {.key = "num_labels"},
                          {.key = "auto_map"},
                          {.key = "_num_labels"}};
    const struct kept_file *k = kept(l, FILE_CONFIG);
    json_value *source = js_parse(str_view(&k->bytes), k->name, err);
    if (!source)
        return -1;
    str_printf(&edit[CLASS].value, "[\n    \"%s%s\"\n  ]", m->config.family->class,
               head_class_ending(m->head));
    str_puts(&edit[DTYPE].value, "\"float32\"");
    if (m->head == HEAD_SPAN && m->config.always_answers)
        str_puts(&edit[ALWAYS].value, "true");
    if (head_has_labels(m->head)) {
        for (int pass = LABELS; pass <= IDS; pass++) {
            struct str *out = &edit[pass].value;
            for (int i = 0; i < l->n_labels; i++) {
                str_puts(out, i ? ",\n    " : "{\n    ");
                if (pass == LABELS)
                    str_printf(out, "\"%d\": ", i);
                json_quote(span_of(m->config.label[i]), out);
                if (pass == IDS)
                    str_printf(out, ": %d", i);
            }
            str_puts(out, "\n  }");
        }
        if (m->head == HEAD_SEQUENCE)
            str_puts(&edit[PROBLEM].value, m->config.problem == PROBLEM_REGRESSION
                                               ? "\"regression\""
                                           : m->config.problem == PROBLEM_MULTI_LABEL
                                               ? "\"multi_label_classification\""
                                               : "\"single_label_classification\"");
    }
    struct str out = {0};
    put_edited(source, edit, ARRAY_LEN(edit), &out);
    js_free(source);
    return put_file(dir, FILE_CONFIG, &out, err);
}

/* A vocab.txt alone lacks what transformers wants to know. */
static json_value *default_tokenizer_config(const struct learner *l, struct err *err)
{
    static const struct {
        const char *key;
        enum special_token which;
    } special[] = {{"unk_token", TOKEN_UNK},
                   {"sep_token", TOKEN_SEP},
                   {"pad_token", TOKEN_PAD},
                   {"cls_token", TOKEN_CLS},
                   {"mask_token", TOKEN_MASK}};
    struct str text = {0};
    const struct tokenizer *t = l->model.tokenizer;
    str_printf(&text,
               "{\"tokenizer_class\": \"BertTokenizer\", \"do_lower_case\": %s, "
               "\"model_max_length\": %d",
               tokenizer_lowercases(t) ? "true" : "false", l->model.config.max_tokens);
    for (size_t i = 0; i < ARRAY_LEN(special); i++) {
        const int id = tokenizer_special_id(t, special[i].which);
        if (id < 0)
            continue;
        str_printf(&text, ", \"%s\": ", special[i].key);
        json_quote(tokenizer_token(t, id), &text);
    }
    str_putc(&text, '}');
    json_value *v = js_parse(str_view(&text), FILE_TOKENIZER, err);
    str_release(&text);
    return v;
}

static int put_tokenizer_config(const struct learner *l, const char *dir, int max_tokens,
                                struct err *err)
{
    const struct kept_file *k = kept(l, FILE_TOKENIZER);
    struct edit edit = {.key = "model_max_length"};
    struct str out = {0};
    json_value *source =
        k ? js_parse(str_view(&k->bytes), k->name, err) : default_tokenizer_config(l, err);
    if (!source)
        return -1;
    if (max_tokens > 0)
        str_printf(&edit.value, "%d", max_tokens);
    put_edited(source, &edit, max_tokens > 0, &out);
    js_free(source);
    return put_file(dir, FILE_TOKENIZER, &out, err);
}

static int put_kept(const struct learner *l, const char *dir, struct err *err)
{
    int rc = 0;
    for (int i = 0; i < l->n_kept && !rc; i++) {
        const char *name = l->kept[i].name;
        if (!strcmp(name, FILE_CONFIG) || !strcmp(name, FILE_TOKENIZER) ||
            (!strcmp(name, FILE_SETTINGS) && l->model.head != HEAD_SENTENCE))
            continue;
        struct str copy = {.max = KEPT_BYTES};
        str_span(&copy, str_view(&l->kept[i].bytes));
        rc = put_file(dir, name, &copy, err);
    }
    return rc;
}

/* ---- weights ------------------------------------------------------------------------------------
 */

static int put_weights(const struct learner *l, const char *dir, struct err *err)
{
    const struct params *s = &l->model.params;
    const size_t most = (size_t)s->n * NAME_PARTS;
    char(*name)[FULL_NAME_BYTES] = xcalloc(most + NAME_PARTS, sizeof *name);
    struct tensor_out *t = xcalloc(most + 1, sizeof *t);
    size_t n = 0;
    for (int i = 0; i < s->n; i++) {
        const struct param *p = s->p[i];
        if (!strncmp(p->name, "module.", 7))
            continue;
        const int parts = learner_names(l, i, name + n);
        const bool vector = p->kind == PARAM_VECTOR;
        const int64_t rows = (vector ? p->cols : p->rows) / parts;
        for (int k = 0; k < parts; k++, n++)
            t[n] = (struct tensor_out){.name = name[n],
                                       .data = p->w + k * rows * (vector ? 1 : p->cols),
                                       .rows = rows,
                                       .cols = vector ? 0 : p->cols};
    }
    char *path = path_join(dir, "model.safetensors");
    const int rc = safetensors_write(path, t, n, err);
    free(path);
    free(name);
    free(t);
    return rc;
}

/* The weight and bias of module i, in its own folder. */
static int put_module_weights(const struct learner *l, int i, const char *dir, struct err *err)
{
    const struct params *s = &l->model.params;
    const char *stem = l->model.config.module[i].kind == MODULE_DENSE ? "linear" : "norm";
    struct tensor_out t[2];
    char own[32], name[2][64];
    size_t n = 0;
    snprintf(own, sizeof own, "module.%d.", i);
    for (int k = 0; k < s->n && n < 2; k++) {
        const struct param *p = s->p[k];
        if (strncmp(p->name, own, strlen(own)))
            continue;
        snprintf(name[n], sizeof name[n], "%s.%s", stem, p->name + strlen(own));
        const bool vector = p->kind == PARAM_VECTOR;
        t[n] = (struct tensor_out){.name = name[n],
                                   .data = p->w,
                                   .rows = vector ? p->cols : p->rows,
                                   .cols = vector ? 0 : p->cols};
        n++;
    }
    char *path = path_join(dir, "model.safetensors");
    const int rc = safetensors_write(path, t, n, err);
    free(path);
    return rc;
}

/* ---- sentence-transformers ----------------------------------------------------------------------
 */

static void module_config(const struct model_config *c, int i, struct str *out)
{
    static const char *const acts[] = {[ACT_NONE] = "linear.Identity",
                                       [ACT_TANH] = "activation.Tanh",
                                       [ACT_RELU] = "activation.ReLU",
                                       [ACT_GELU] = "activation.GELU",
                                       [ACT_SILU] = "activation.SiLU"};
    const struct module *m = &c->module[i];
    switch (m->kind) {
    case MODULE_POOL:
        config_pooling_json(c, out);
        return;
    case MODULE_DENSE:
        str_printf(out,
                   "{\n  \"in_features\": %d,\n  \"out_features\": %d,\n  \"bias\": %s,\n"
                   "  \"activation_function\": \"torch.nn.modules.%s\"\n}\n",
                   m->in, m->out, m->bias ? "true" : "false", acts[m->act]);
        return;
    case MODULE_NORM:
        str_printf(out, "{\n  \"dimension\": %d\n}\n", m->in);
        return;
    case MODULE_NORMALISE:
        return;
    }
}

/* Module i of the list (the Transformer is 0), with its folder. */
static int put_module(const struct learner *l, int i, const char *dir, struct str *list,
                      struct err *err)
{
    static const char *const classes[] = {[MODULE_POOL] = "Pooling",
                                          [MODULE_DENSE] = "Dense",
                                          [MODULE_NORM] = "LayerNorm",
                                          [MODULE_NORMALISE] = "Normalize"};
    const struct model_config *c = &l->model.config;
    const enum module_kind kind = i < c->n_modules ? c->module[i].kind : MODULE_NORMALISE;
    struct str config = {0};
    char name[32];
    snprintf(name, sizeof name, "%d_%s", i + 1, classes[kind]);
    str_printf(list,
               ",\n  {\n    \"idx\": %d,\n    \"name\": \"%d\",\n    \"path\": \"%s\",\n"
               "    \"type\": \"sentence_transformers.models.%s\"\n  }",
               i + 1, i + 1, name, classes[kind]);
    char *own = path_join(dir, name);
    int rc = dir_make(own, err);
    if (i < c->n_modules)
        module_config(c, i, &config);
    if (!rc && config.n)
        rc = put_file(own, "config.json", &config, err);
    if (!rc && (kind == MODULE_DENSE || kind == MODULE_NORM))
        rc = put_module_weights(l, i, own, err);
    str_release(&config);
    free(own);
    return rc;
}

static int put_sentence_files(const struct learner *l, const char *dir, int max_tokens,
                              struct err *err)
{
    const struct model_config *c = &l->model.config;
    struct str list = {0}, window = {0}, settings = {0};
    int rc = 0;
    str_puts(&list, "[\n  {\n    \"idx\": 0,\n    \"name\": \"0\",\n    \"path\": \"\",\n"
                    "    \"type\": \"sentence_transformers.models.Transformer\"\n  }");
    for (int i = 0; i < c->n_modules + c->normalise && !rc; i++)
        rc = put_module(l, i, dir, &list, err);
    str_puts(&list, "\n]\n");
    str_printf(&window, "{\n  \"max_seq_length\": %d,\n  \"do_lower_case\": %s\n}\n",
               max_tokens > 0 ? max_tokens : c->max_tokens, c->lower_case ? "true" : "false");
    str_puts(&settings, "{\n  \"model_type\": \"SentenceTransformer\",\n  \"prompts\": {},\n"
                        "  \"default_prompt_name\": null,\n  \"similarity_fn_name\": \"cosine\"\n"
                        "}\n");
    if (!rc)
        rc = put_file(dir, "modules.json", &list, err);
    if (!rc)
        rc = put_file(dir, "sentence_bert_config.json", &window, err);
    if (!rc && !kept(l, FILE_SETTINGS))
        rc = put_file(dir, FILE_SETTINGS, &settings, err);
    str_release(&list);
    str_release(&window);
    str_release(&settings);
    return rc;
}

static int put_card(const struct learner *l, const char *dir, int max_tokens, struct err *err)
{
    const struct model_config *c = &l->model.config;
    const bool sentence = l->model.head == HEAD_SENTENCE;
    struct str out = {0};
    str_printf(&out,
               "---\nlibrary_name: %s\npipeline_tag: %s\ntags:\n- semsearch\n%s---\n\n# %s\n\n",
               sentence ? "sentence-transformers" : "transformers",
               l->model.head == HEAD_NSP || l->model.head == HEAD_PRETRAIN ? "fill-mask" : c->task,
               sentence ? "- sentence-transformers\n- sentence-similarity\n" : "", c->name);
    str_printf(&out,
               "A `%s%s` for %s, trained with semsearch from `%s`: %d layers, hidden width %d, "
               "a window of %d tokens",
               c->family->class, head_class_ending(l->model.head), c->task, c->name, c->layers,
               c->hidden, max_tokens > 0 ? max_tokens : c->max_tokens);
    if (sentence)
        str_printf(&out, ", vectors of %d numbers (%s pooling%s)", c->dim, c->pooling_text,
                   c->normalise ? ", normalised" : "");
    str_puts(&out, ".\n");
    if (head_has_labels(l->model.head)) {
        str_puts(&out, "\nLabels, in order:");
        for (int i = 0; i < l->n_labels; i++)
            str_printf(&out, "%s `%s`", i ? "," : "", c->label[i]);
        str_puts(&out, ".\n");
    }
    return put_file(dir, "README.md", &out, err);
}

int learner_check_window(const struct learner *l, int max_tokens, struct err *err)
{
    const struct model_config *c = &l->model.config;
    if (max_tokens <= c->positions - c->pos_offset)
        return 0;
    return err_kind_set(err, ERR_USAGE,
                        "a window of %d tokens is more than the %d positions of this model",
                        max_tokens, c->positions - c->pos_offset);
}

int learner_save(struct learner *l, const char *dir, int max_tokens, struct err *err)
{
    if (learner_check_window(l, max_tokens, err))
        return -1;
    if (put_weights(l, dir, err) || put_kept(l, dir, err) ||
        put_tokenizer_config(l, dir, max_tokens, err) ||
        (l->model.head == HEAD_SENTENCE && put_sentence_files(l, dir, max_tokens, err)) ||
        put_card(l, dir, max_tokens, err) || put_config(l, dir, err))
        return err_wrap(err, "cannot save the model in '%s'", dir);
    return 0;
}
