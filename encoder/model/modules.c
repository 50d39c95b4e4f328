/* modules.c - modules.json and the sentence-transformers settings; see config.h.
 *
 * Read here: modules.json (the list, run in order), each module's config.json, the encoder's
 * sentence_bert_config.json (window), config_sentence_transformers.json (prompts). Kinds:
 * Transformer (first, once), Pooling (next, once), then any number of Dense, LayerNorm, Normalize,
 * and Dropout, which does nothing here. Everything else is refused by name, never skipped. Sources:
 * sentence-transformers 5.1.2 and 5.7, models/ and sentence_transformer/modules/.
 */
#include "encoder/model/config.h"

#include "src/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_MAX = 16 << 20, PROMPTS_MAX = 1000, PROMPT_MAX_BYTES = 65536 };

/* The order of this table is the order in which modes given as booleans are concatenated. */
static const struct {
    const char *name, *flag;
} pool_modes[POOL_MODES] = {
    [POOL_CLS] = {"cls", "pooling_mode_cls_token"},
    [POOL_MAX] = {"max", "pooling_mode_max_tokens"},
    [POOL_MEAN] = {"mean", "pooling_mode_mean_tokens"},
    [POOL_MEAN_SQRT_LEN] = {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"},
    [POOL_WEIGHTEDMEAN] = {"weightedmean", "pooling_mode_weightedmean_tokens"},
    [POOL_LASTTOKEN] = {"lasttoken", "pooling_mode_lasttoken"}};

static int wrong(struct err *err, const char *path, const char *what)
{
    return err_kind_set(err, ERR_FORMAT, "'%s': %s", path, what);
}

/* ---- pooling ------------------------------------------------------------------------------------
 */

static int add_mode(struct module *m, struct span name, struct err *err)
{
    for (int i = 0; i < POOL_MODES; i++)
        if (span_eq(name, pool_modes[i].name) ||
            (i == POOL_MEAN_SQRT_LEN && span_eq(name, "mean_sqrt_len"))) {
            if (m->n_pool == POOL_MODES)
                return err_kind_set(err, ERR_FORMAT, "more than %d pooling modes", POOL_MODES);
            m->pool[m->n_pool++] = (enum pool_mode)i;
            return 0;
        }
    err_kind_set(err, ERR_USAGE, "pooling '%.*s' is unknown", (int)(name.n < 100 ? name.n : 100),
                 name.p);
    return err_hint(err, "poolings: mean, cls, max, mean_sqrt_len, weightedmean, lasttoken, or "
                         "several joined by +");
}

/* "cls+max" of the caller. */
static int read_pooling_text(struct module *m, const char *text, struct err *err)
{
    struct span rest = span_of(text), piece;
    while (span_split(&rest, '+', &piece))
        if (add_mode(m, piece, err))
            return -1;
    return m->n_pool ? 0 : err_kind_set(err, ERR_USAGE, "the pooling is empty");
}

static int read_pooling(struct module *m, const json_value *config, const char *path,
                        struct err *err)
{
    const json_value *mode = js_get(config, "pooling_mode");
    m->include_prompt = js_bool(js_get(config, "include_prompt"), true);
    m->in = (int)js_int(js_get(config, "embedding_dimension"),
                        js_int(js_get(config, "word_embedding_dimension"), 0));
    if (js_is_string(mode) && add_mode(m, js_string(mode, ""), err))
        return err_wrap(err, "cannot read '%s'", path);
    for (size_t i = 0; js_is_array(mode) && i < js_count(mode); i++)
        if (add_mode(m, js_string(js_at(mode, i), ""), err))
            return err_wrap(err, "cannot read '%s'", path);
    for (int i = 0; !mode && i < POOL_MODES; i++)
        if (js_bool(js_get(config, pool_modes[i].flag), false))
            m->pool[m->n_pool++] = (enum pool_mode)i;
    return m->n_pool ? 0 : wrong(err, path, "no pooling mode is on");
}

void config_pooling_json(const struct model_config *c, struct str *out)
{
    const struct module *m = &c->module[0];
    bool on[POOL_MODES] = {false};
    for (int i = 0; i < m->n_pool; i++)
        on[m->pool[i]] = true;
    str_printf(out, "{\n  \"word_embedding_dimension\": %d", c->hidden);
    for (int i = 0; i < POOL_MODES; i++)
        str_printf(out, ",\n  \"%s\": %s", pool_modes[i].flag, on[i] ? "true" : "false");
    str_printf(out, ",\n  \"include_prompt\": %s\n}\n", m->include_prompt ? "true" : "false");
}

/* ---- dense, norm --------------------------------------------------------------------------------
 */

static bool read_width(const json_value *config, const char *key, int *out)
{
    const int64_t n = js_int(js_get(config, key), -1);
    if (n < 1 || n > 1 << 20)
        return false;
    *out = (int)n;
    return true;
}

static int read_dense(struct module *m, const json_value *config, const char *path, struct err *err)
{
    static const struct {
        const char *class;
        enum activation act;
    } classes[] = {{"Tanh", ACT_TANH},
                   {"Identity", ACT_NONE},
                   {"ReLU", ACT_RELU},
                   {"GELU", ACT_GELU},
                   {"SiLU", ACT_SILU}};
    const struct span class =
        js_string(js_get(config, "activation_function"), "torch.nn.modules.activation.Tanh");
    const struct span input = js_string(js_get(config, "module_input_name"), "sentence_embedding");
    const struct span output =
        js_string(js_get(config, "module_output_name"), "sentence_embedding");
    if (!read_width(config, "in_features", &m->in) || !read_width(config, "out_features", &m->out))
        return wrong(err, path, "in_features and out_features must be positive");
    if (!span_eq(input, "sentence_embedding") || !span_eq(output, "sentence_embedding"))
        return wrong(err, path, "only a Dense on the sentence embedding is supported");
    m->bias = js_bool(js_get(config, "bias"), true);
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        char ending[16];
        snprintf(ending, sizeof ending, ".%s", classes[i].class);
        if (span_starts(class, "torch.nn.") && span_ends(class, ending)) {
            m->act = classes[i].act;
            return 0;
        }
    }
    return err_kind_set(err, ERR_FORMAT, "'%s': activation '%.*s' is not supported", path,
                        (int)(class.n < 100 ? class.n : 100), class.p);
}

static int read_norm(struct module *m, const json_value *config, const char *path, struct err *err)
{
    if (!read_width(config, "dimension", &m->in))
        return wrong(err, path, "dimension must be positive");
    m->out = m->in;
    return 0;
}

static int read_nothing(struct module *m, const json_value *config, const char *path,
                        struct err *err)
{
    (void)m, (void)config, (void)path, (void)err;
    return 0;
}

/* ---- the list -----------------------------------------------------------------------------------
 */

/* Class names, by the last component of the path. Dropout has no row in the config: skipped. */
static const struct module_class {
    const char *class;
    enum module_kind kind;
    bool config, weights;
    int (*read)(struct module *m, const json_value *config, const char *path, struct err *err);
} classes[] = {{"Pooling", MODULE_POOL, true, false, read_pooling},
               {"Dense", MODULE_DENSE, true, true, read_dense},
               {"LayerNorm", MODULE_NORM, true, true, read_norm},
               {"Normalize", MODULE_NORMALISE, false, false, read_nothing}};

static struct span last_component(struct span s)
{
    for (size_t i = s.n; i > 0; i--)
        if (s.p[i - 1] == '.')
            return span_sub(s, i, s.n);
    return s;
}

static bool inside_folder(struct span s)
{
    struct span rest = s, piece;
    if (memchr(s.p ? s.p : "", 0, s.n))
        return false;
    if (s.n && s.p[0] == '/')
        return false;
    while (span_split(&rest, '/', &piece))
        if (span_eq(piece, ".."))
            return false;
    return true;
}

static int read_module(struct model_config *c, const struct module_class *class, const char *dir,
                       struct err *err)
{
    if (c->n_modules == MODULES_MAX)
        return err_kind_set(err, ERR_LIMIT, "more than %d modules", MODULES_MAX);
    struct module *m = &c->module[c->n_modules++];
    *m = (struct module){.kind = class->kind, .dir = class->weights ? dir : NULL};
    if ((c->n_modules == 1) != (class->kind == MODULE_POOL))
        return err_kind_set(err, ERR_FORMAT,
                            "modules.json: one Pooling must follow the Transformer");
    if (!class->config)
        return 0;
    const char *path = config_path(c, dir, "config.json");
    json_value *config = js_read_file(path, JSON_MAX, err);
    if (!config)
        return -1;
    const int rc = class->read(m, config, path, err);
    js_free(config);
    return rc;
}

static int read_entry(struct model_config *c, const json_value *entry, size_t at, struct err *err)
{
    const struct span type = js_string(js_get(entry, "type"), "");
    const struct span class = last_component(type);
    const struct span path = js_string(js_get(entry, "path"), "");
    if (!inside_folder(path))
        return err_kind_set(err, ERR_FORMAT, "modules.json: path '%.*s' leaves the folder",
                            (int)(path.n < 100 ? path.n : 100), path.p);
    char *name = xstrndup(path.p, path.n);
    const char *dir = path.n ? config_path(c, c->dir, name) : c->dir;
    free(name);
    const bool own = span_starts(type, "sentence_transformers.");
    if (own && span_eq(class, "Transformer") && at == 0) {
        c->encoder_dir = dir;
        return 0;
    }
    if (own && span_eq(class, "Dropout"))
        return 0;
    for (size_t i = 0; own && at > 0 && i < ARRAY_LEN(classes); i++)
        if (span_eq(class, classes[i].class))
            return read_module(c, &classes[i], dir, err);
    err_kind_set(err, ERR_FORMAT, "modules.json: module %zu, '%.*s', is not supported", at,
                 (int)(type.n < 200 ? type.n : 200), type.p);
    return err_hint(err, "supported: Transformer, then Pooling, then Dense, LayerNorm, Normalize "
                         "and Dropout");
}

/* ---- prompts and window -------------------------------------------------------------------------
 */

static int read_prompts(struct model_config *c, const json_value *config, const char *path,
                        struct err *err)
{
    json_value *map = js_get(config, "prompts");
    const struct span chosen = js_string(js_get(config, "default_prompt_name"), NULL);
    const size_t n = js_is_object(map) ? js_count(map) : 0;
    if (n > PROMPTS_MAX)
        return err_kind_set(err, ERR_LIMIT, "'%s': more than %d prompts", path, PROMPTS_MAX);
    c->prompt = arena_alloc(&c->arena, (n + 1) * sizeof *c->prompt);
    for (void *it = n ? js_iter(map) : NULL; it; it = js_iter_next(map, it)) {
        const struct span text = js_string(js_iter_value(it), "");
        if (text.n > PROMPT_MAX_BYTES)
            return err_kind_set(err, ERR_LIMIT, "'%s': a prompt is longer than %d bytes", path,
                                PROMPT_MAX_BYTES);
        struct model_prompt *p = &c->prompt[c->n_prompts++];
        p->name = arena_strndup(&c->arena, js_iter_key(it), strlen(js_iter_key(it)));
        p->text = arena_strndup(&c->arena, text.p, text.n);
        if (chosen.p && span_eq(chosen, p->name))
            c->default_prompt = p->name;
    }
    if (chosen.p && !c->default_prompt)
        return err_kind_set(err, ERR_FORMAT,
                            "'%s': default_prompt_name '%.*s' is not among its prompts", path,
                            (int)(chosen.n < 100 ? chosen.n : 100), chosen.p);
    return 0;
}

static int read_settings(struct model_config *c, struct err *err)
{
    const char *path = config_path(c, c->dir, "config_sentence_transformers.json");
    if (!file_exists(path))
        return 0;
    json_value *config = js_read_file(path, JSON_MAX, err);
    const int rc = config ? read_prompts(c, config, path, err) : -1;
    js_free(config);
    return rc;
}

static int read_window(struct model_config *c, struct err *err)
{
    static const char *const names[] = {
        "sentence_bert_config.json",        "sentence_roberta_config.json",
        "sentence_distilbert_config.json",  "sentence_camembert_config.json",
        "sentence_xlm-roberta_config.json", "sentence_albert_config.json"};
    const char *path = NULL;
    for (size_t i = 0; i < ARRAY_LEN(names) && !path; i++) {
        const char *p = config_path(c, c->encoder_dir, names[i]);
        path = file_exists(p) ? p : NULL;
    }
    if (!path)
        return 0;
    json_value *config = js_read_file(path, JSON_MAX, err);
    if (!config)
        return -1;
    const int64_t n = js_int(js_get(config, "max_seq_length"), 0);
    c->stated_tokens = n > 0 && n < 1 << 30 ? (int)n : 0;
    c->lower_case = js_bool(js_get(config, "do_lower_case"), false);
    js_free(config);
    return 0;
}

static int read_list(struct model_config *c, const char *path, struct err *err)
{
    json_value *list = js_read_file(path, JSON_MAX, err);
    if (!list)
        return -1;
    int rc = js_is_array(list) && js_count(list) <= MODULES_MAX
                 ? 0
                 : wrong(err, path, "not a list of at most 16 modules");
    for (size_t i = 0; i < js_count(list) && !rc; i++)
        rc = read_entry(c, js_at(list, i), i, err);
    js_free(list);
    if (!rc && c->n_modules == 0)
        rc = wrong(err, path, "no Pooling: the model gives no sentence embedding");
    return rc;
}

/* The caller's pooling takes the place of the folder's. */
static int take_pooling(struct model_config *c, const char *pooling, struct err *err)
{
    if (!pooling)
        return 0;
    c->module[0].n_pool = 0;
    return read_pooling_text(&c->module[0], pooling, err);
}

int config_plain_modules(struct model_config *c, const struct model_options *options,
                         struct err *err)
{
    c->sentence_encoder = false;
    c->n_modules = 1;
    c->module[0] = (struct module){.kind = MODULE_POOL, .include_prompt = true};
    return take_pooling(c, options && options->pooling ? options->pooling : "mean", err);
}

int config_read_modules(struct model_config *c, const struct model_options *options,
                        struct err *err)
{
    const char *path = config_path(c, c->dir, "modules.json");
    c->sentence_encoder = file_exists(path);
    if (c->sentence_encoder
            ? read_list(c, path, err) || take_pooling(c, options ? options->pooling : NULL, err)
            : config_plain_modules(c, options, err))
        return -1;
    while (c->n_modules && c->module[c->n_modules - 1].kind == MODULE_NORMALISE) {
        c->normalise = true;
        c->n_modules--;
    }
    return read_settings(c, err) || read_window(c, err) ? -1 : 0;
}

static void describe_pooling(struct model_config *c)
{
    size_t n = 0;
    for (int i = 0; i < c->module[0].n_pool && n < sizeof c->pooling_text; i++)
        n += (size_t)snprintf(c->pooling_text + n, sizeof c->pooling_text - n, "%s%s", i ? "+" : "",
                              pool_modes[c->module[0].pool[i]].name);
}

int config_check_modules(struct model_config *c, const struct model_options *options,
                         struct err *err)
{
    if (c->module[0].in && c->module[0].in != c->hidden)
        return err_kind_set(err, ERR_FORMAT,
                            "the Pooling module expects %d columns, the encoder has %d",
                            c->module[0].in, c->hidden);
    c->dim = c->hidden * c->module[0].n_pool;
    for (int i = 1; i < c->n_modules; i++) {
        struct module *m = &c->module[i];
        if (m->kind == MODULE_NORMALISE)
            continue;
        if (m->in != c->dim)
            return err_kind_set(err, ERR_FORMAT, "module '%s' expects %d columns but gets %d",
                                m->dir, m->in, c->dim);
        c->dim = m->out;
    }
    describe_pooling(c);
    if (c->sentence_encoder)
        c->task = "sentence-similarity";
    if (c->stated_tokens && c->stated_tokens < c->max_tokens)
        c->max_tokens = c->stated_tokens;
    if (options && options->max_tokens > c->positions - c->pos_offset)
        return err_kind_set(err, ERR_USAGE,
                            "a window of %d tokens is more than the %d positions of "
                            "this model",
                            options->max_tokens, c->positions - c->pos_offset);
    if (options && options->max_tokens > 0)
        c->stated_tokens = c->max_tokens = options->max_tokens;
    return 0;
}
