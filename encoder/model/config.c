/* config.c - config.json; see config.h. modules.c reads what sentence-transformers adds. */
#include "encoder/model/config.h"

#include "src/base/file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_MAX = 16 << 20, LABELS_MAX = 100000 };

static const struct {
    const char *name;
    enum activation act;
} activations[] = {{"gelu", ACT_GELU},
                   {"gelu_python", ACT_GELU},
                   {"gelu_new", ACT_GELU_TANH},
                   {"gelu_pytorch_tanh", ACT_GELU_TANH},
                   {"gelu_fast", ACT_GELU_TANH},
                   {"relu", ACT_RELU},
                   {"silu", ACT_SILU},
                   {"swish", ACT_SILU},
                   {"tanh", ACT_TANH}};

bool activation_find(struct span name, enum activation *act)
{
    for (size_t i = 0; i < ARRAY_LEN(activations); i++)
        if (span_eq(name, activations[i].name)) {
            *act = activations[i].act;
            return true;
        }
    return false;
}

char *config_path(struct model_config *c, const char *dir, const char *name)
{
    char *joined = path_join(dir, name);
    char *kept = arena_strndup(&c->arena, joined, strlen(joined));
    free(joined);
    return kept;
}

/* A required whole number in [1, most]. */
static int read_count(const json_value *config, const char *key, int64_t most, int *out,
                      const char *path, struct err *err)
{
    const json_value *v = js_get(config, key);
    const int64_t n = js_int(v, -1);
    if (!v)
        return err_kind_set(err, ERR_FORMAT, "'%s' has no '%s'", path, key);
    if (n < 1 || n > most)
        return err_kind_set(err, ERR_FORMAT, "'%s': '%s' must be a whole number from 1 to %lld",
                            path, key, (long long)most);
    *out = (int)n;
    return 0;
}

static int read_dimensions(struct model_config *c, const json_value *config, const char *path,
                           struct err *err)
{
    const struct config_keys *k = c->family->keys;
    int64_t pad = js_int(js_get(config, "pad_token_id"), c->family->positions_skip_pad ? 1 : 0);
    if (read_count(config, k->hidden, 65536, &c->hidden, path, err) ||
        read_count(config, k->layers, 1024, &c->layers, path, err) ||
        read_count(config, k->heads, 4096, &c->heads, path, err) ||
        read_count(config, k->intermediate, 1 << 20, &c->intermediate, path, err) ||
        read_count(config, "vocab_size", 1 << 24, &c->vocab, path, err) ||
        read_count(config, "max_position_embeddings", 1 << 20, &c->positions, path, err))
        return -1;
    if (c->hidden % c->heads)
        return err_kind_set(err, ERR_FORMAT, "'%s': %d heads do not divide %s %d", path, c->heads,
                            k->hidden, c->hidden);
    if (c->family->types && read_count(config, "type_vocab_size", 1024, &c->types, path, err))
        return -1;
    if (c->family->positions_skip_pad && (pad < 0 || pad + 1 >= c->positions))
        return err_kind_set(err, ERR_FORMAT, "'%s': no positions are left after pad_token_id %lld",
                            path, (long long)pad);
    c->pad = pad >= 0 && pad < c->vocab ? (int)pad : -1;
    c->pos_offset = c->family->positions_skip_pad ? (int)pad + 1 : 0;
    c->max_tokens = c->positions - c->pos_offset;
    c->eps = c->family->norm_eps;
    if (c->eps == 0) {
        const double eps = js_number(js_get(config, "layer_norm_eps"), 1e-12);
        if (!(eps >= 0 && eps < 1))
            return err_kind_set(err, ERR_FORMAT, "'%s': layer_norm_eps is out of range", path);
        c->eps = (float)eps;
    }
    return 0;
}

/* What a BERT-shaped config can ask for that would silently give other numbers. */
static int refuse_variants(const json_value *config, const char *path, struct err *err)
{
    if (js_get(config, "auto_map")) {
        err_kind_set(err, ERR_FORMAT, "'%s' needs its own Python code (auto_map)", path);
        return err_hint(err, "models with custom code are not supported; choose one whose "
                             "model_type is built into transformers");
    }
    if (js_bool(js_get(config, "is_decoder"), false))
        return err_kind_set(err, ERR_FORMAT, "'%s' is a decoder (is_decoder), not an encoder",
                            path);
    const struct span pos = js_string(js_get(config, "position_embedding_type"), "absolute");
    if (!span_eq(pos, "absolute"))
        return err_kind_set(err, ERR_FORMAT,
                            "'%s': position_embedding_type '%.*s' is not supported", path,
                            (int)pos.n, pos.p);
    if (js_get(config, "quantization_config")) {
        err_kind_set(err, ERR_FORMAT, "'%s': its weights are quantised (quantization_config)",
                     path);
        return err_hint(err, "take the folder with F32, F16 or BF16 weights");
    }
    return 0;
}

static int read_family(struct model_config *c, const json_value *config, const char *path,
                       struct err *err)
{
    const struct span type = js_string(js_get(config, "model_type"), "");
    c->family = family_find(type);
    if (c->family)
        return 0;
    struct str known = {0};
    family_list(&known);
    if (js_get(config, "auto_map")) {
        err_kind_set(err, ERR_FORMAT, "'%s' needs its own Python code (auto_map)", path);
        err_hint(err, "models with custom code are not supported; supported model types: %s",
                 known.p);
    } else {
        err_kind_set(err, ERR_FORMAT, "'%s': model_type '%.*s' is not supported", path,
                     (int)(type.n < 100 ? type.n : 100), type.p);
        err_hint(err, "supported model types: %s", known.p);
    }
    str_release(&known);
    return -1;
}

/* A probability of `key`; `otherwise` when it is absent. */
static int read_dropout(const json_value *config, const char *key, float otherwise, float *out,
                        const char *path, struct err *err)
{
    const double p = key ? js_number(js_get(config, key), (double)otherwise) : 0;
    *out = (float)p;
    return p >= 0 && p < 1 ? 0
                           : err_kind_set(err, ERR_FORMAT,
                                          "'%s': '%s' must be at least 0 and "
                                          "below 1",
                                          path, key);
}

static int read_dropouts(struct model_config *c, const json_value *config, const char *path,
                         struct err *err)
{
    const struct config_keys *k = c->family->keys;
    struct dropout *d = &c->dropout;
    if (read_dropout(config, k->dropout, .1f, &d->hidden, path, err))
        return -1;
    const float seq = k->seq_default < 0 ? d->hidden : k->seq_default;
    const float token = k->token_default < 0 ? d->hidden : k->token_default;
    return read_dropout(config, k->attention_dropout, .1f, &d->attention, path, err) ||
                   read_dropout(config, k->seq_dropout, seq, &d->seq, path, err) ||
                   read_dropout(config, k->token_dropout, token, &d->token, path, err) ||
                   read_dropout(config, k->span_dropout, k->span_default, &d->span, path, err)
               ? -1
               : 0;
}

/* The head that the class name of config.json ends with. */
static void read_task(struct model_config *c, const json_value *config)
{
    const struct span class = js_string(js_at(js_get(config, "architectures"), 0), "");
    const struct span problem = js_string(js_get(config, "problem_type"), "");
    c->has_head = head_of_class(class, &c->head);
    c->task = c->has_head ? head_task(c->head) : "feature-extraction";
    c->problem = span_eq(problem, "regression")                   ? PROBLEM_REGRESSION
                 : span_eq(problem, "multi_label_classification") ? PROBLEM_MULTI_LABEL
                                                                  : PROBLEM_SINGLE_LABEL;
    if (problem.n == 0 && c->has_head && c->head == HEAD_SEQUENCE && c->n_labels == 1)
        c->problem = PROBLEM_REGRESSION;
}

/* transformers leaves the labels out when they are its own LABEL_0, LABEL_1. */
static int default_labels(struct model_config *c, const json_value *config, const char *path,
                          struct err *err)
{
    const int64_t n = js_int(js_get(config, "num_labels"), 2);
    enum head_kind head;
    if (!head_of_class(js_string(js_at(js_get(config, "architectures"), 0), ""), &head) ||
        !head_has_labels(head))
        return 0;
    if (n < 1 || n > LABELS_MAX)
        return err_kind_set(err, ERR_FORMAT, "'%s': num_labels must be from 1 to %d", path,
                            LABELS_MAX);
    c->n_labels = (size_t)n;
    c->label = arena_alloc(&c->arena, c->n_labels * sizeof *c->label);
    for (size_t i = 0; i < c->n_labels; i++) {
        char name[32];
        snprintf(name, sizeof name, "LABEL_%zu", i);
        c->label[i] = arena_strndup(&c->arena, name, strlen(name));
    }
    return 0;
}

static int read_labels(struct model_config *c, const json_value *config, const char *path,
                       struct err *err)
{
    json_value *map = js_get(config, "id2label");
    const size_t n = js_count(map);
    if (!js_is_object(map) || n == 0)
        return default_labels(c, config, path, err);
    if (n > LABELS_MAX)
        return err_kind_set(err, ERR_LIMIT, "'%s': more than %d labels", path, LABELS_MAX);
    c->label = arena_alloc(&c->arena, n * sizeof *c->label);
    for (void *it = js_iter(map); it; it = js_iter_next(map, it)) {
        char *end;
        const unsigned long id = strtoul(js_iter_key(it), &end, 10);
        const struct span text = js_string(js_iter_value(it), NULL);
        if (*end || id >= n || !text.p || c->label[id])
            return err_kind_set(err, ERR_FORMAT,
                                "'%s': id2label does not number its labels 0 to %zu", path, n - 1);
        c->label[id] = arena_strndup(&c->arena, text.p, text.n);
    }
    c->n_labels = n;
    return 0;
}

static int read_model(struct model_config *c, const json_value *config, const char *path,
                      struct err *err)
{
    if (read_family(c, config, path, err) || refuse_variants(config, path, err) ||
        read_dimensions(c, config, path, err) || read_dropouts(c, config, path, err) ||
        read_labels(c, config, path, err))
        return -1;
    const struct span act = js_string(js_get(config, c->family->keys->activation), "gelu");
    if (!activation_find(act, &c->act))
        return err_kind_set(err, ERR_FORMAT, "'%s': activation '%.*s' is not supported", path,
                            (int)(act.n < 100 ? act.n : 100), act.p);
    c->act_name = arena_strndup(&c->arena, act.p, act.n);
    c->initializer_range = js_number(js_get(config, "initializer_range"), .02);
    c->untied = !js_bool(js_get(config, "tie_word_embeddings"), true);
    c->always_answers = js_bool(js_get(config, "always_answers"), false);
    read_task(c, config);
    return 0;
}

static int read_config_file(struct model_config *c, const char *path, struct err *err)
{
    json_value *config = js_read_file(path, JSON_MAX, err);
    if (!config)
        return -1;
    const int rc = read_model(c, config, path, err);
    js_free(config);
    return rc;
}

static int read_config_json(struct model_config *c, struct err *err)
{
    const char *path = config_path(c, c->encoder_dir, "config.json");
    if (file_exists(path))
        return read_config_file(c, path, err);
    err_kind_set(err, ERR_NOT_FOUND, "'%s' is not a model folder: it has no config.json",
                 c->encoder_dir);
    return err_hint(err, "a model folder holds config.json, model.safetensors and "
                         "tokenizer.json or vocab.txt");
}

/* Sets what the folder's path alone says. */
static int config_begin(struct model_config *c, const char *dir, struct err *err)
{
    *c = (struct model_config){0};
    if (!dir_exists(dir))
        return err_kind_set(err, ERR_NOT_FOUND, "no model folder '%s'", dir);
    char *absolute = path_absolute(dir, err);
    if (!absolute)
        return -1;
    c->dir = arena_strndup(&c->arena, absolute, strlen(absolute));
    free(absolute);
    const char *slash = strrchr(c->dir, '/');
    c->name = slash && slash[1] ? slash + 1 : c->dir;
    c->encoder_dir = c->dir;
    return 0;
}

/* modules.json names the encoder's own folder: "" as a rule, "0_Transformer" in old ones. */
int config_find_encoder(struct model_config *c, const char *dir, struct err *err)
{
    if (config_begin(c, dir, err))
        return -1;
    if (config_read_modules(c, NULL, err) == 0)
        return 0;
    config_release(c);
    return -1;
}

int config_read(struct model_config *c, const char *dir, const struct model_options *options,
                struct err *err)
{
    if (config_begin(c, dir, err))
        return -1;
    if (config_read_modules(c, options, err) || read_config_json(c, err) ||
        config_check_modules(c, options, err)) {
        config_release(c);
        return -1;
    }
    return 0;
}

int config_read_new(struct model_config *c, const char *file, const char *tokenizer_dir,
                    const struct model_options *options, struct err *err)
{
    if (config_begin(c, tokenizer_dir, err))
        return -1;
    if (config_plain_modules(c, options, err) || read_config_file(c, file, err) ||
        config_check_modules(c, options, err)) {
        config_release(c);
        return -1;
    }
    return 0;
}

void config_release(struct model_config *c)
{
    arena_release(&c->arena);
    *c = (struct model_config){0};
}
