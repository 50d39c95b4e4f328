/* model.c - opening a model folder: config, tokenizer, identity, weights; see encoder.h. */
#include "encoder/model/model.h"

#include "encoder/model/cache.h"
#include "encoder/model/gate.h"

#include <stdlib.h>
#include <string.h>

/* ---- identity -----------------------------------------------------------------------------------
 */

static int by_prompt_name(const void *a, const void *b)
{
    return strcmp(((const struct model_prompt *)a)->name, ((const struct model_prompt *)b)->name);
}

/* Prompts without text change nothing; the order in the file neither. */
static void hash_prompts(struct hasher *h, const struct model_config *c)
{
    struct model_prompt *sorted = xcalloc(c->n_prompts + 1, sizeof *sorted);
    size_t n = 0;
    for (size_t i = 0; i < c->n_prompts; i++)
        if (c->prompt[i].text[0])
            sorted[n++] = c->prompt[i];
    if (n)
        qsort(sorted, n, sizeof *sorted, by_prompt_name);
    hasher_int(h, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        hasher_text(h, span_of(sorted[i].name));
        hasher_text(h, span_of(sorted[i].text));
    }
    hasher_text(h, span_of(c->default_prompt));
    free(sorted);
}

static void hash_modules(struct hasher *h, const struct model_config *c)
{
    hasher_int(h, c->n_modules);
    for (int i = 0; i < c->n_modules; i++) {
        const struct module *m = &c->module[i];
        hasher_int(h, m->kind);
        hasher_int(h, m->n_pool);
        for (int k = 0; k < m->n_pool; k++)
            hasher_int(h, m->pool[k]);
        hasher_int(h, m->kind == MODULE_POOL && !m->include_prompt);
        hasher_int(h, m->out);
        hasher_int(h, m->bias);
        hasher_int(h, m->act);
    }
    hasher_int(h, c->normalise);
}

/* Everything that a vector depends on besides the text. */
static struct hash128 fingerprint(const struct model *m, struct hash128 weights)
{
    const struct model_config *c = &m->config;
    const struct hash128 tokenizer = tokenizer_fingerprint(m->tokenizer);
    struct hasher *h = hasher_new();
    hasher_text(h, span_of("semsearch model 1"));
    hasher_add(h, weights.b, sizeof weights.b);
    hasher_add(h, tokenizer.b, sizeof tokenizer.b);
    hasher_text(h, span_of(c->family->name));
    const int64_t number[] = {
        c->layers,    c->hidden, c->heads,      c->intermediate, c->vocab,
        c->positions, c->types,  c->pos_offset, c->act,          (int64_t)((double)c->eps * 1e15),
        c->max_tokens};
    for (size_t i = 0; i < ARRAY_LEN(number); i++)
        hasher_int(h, number[i]);
    hash_modules(h, c);
    hash_prompts(h, c);
    return hasher_finish(h);
}

/* ---- opening ------------------------------------------------------------------------------------
 */

int model_read_tokenizer(struct model *m, struct err *err)
{
    struct model_config *c = &m->config;
    if (cache_open_tokenizer(c->encoder_dir, &m->tokenizer, &m->tokenizer_map, err))
        return -1;
    const int size = tokenizer_vocab_size(m->tokenizer);
    if (size > c->vocab)
        return err_kind_set(err, ERR_FORMAT,
                            "'%s': the tokenizer has ids up to %d, the model's table %d rows",
                            c->encoder_dir, size - 1, c->vocab);
    if (c->lower_case && !tokenizer_lowercases(m->tokenizer))
        return err_kind_set(err, ERR_FORMAT,
                            "'%s': do_lower_case before a cased tokenizer is not supported",
                            c->dir);
    const int limit = tokenizer_model_max_length(m->tokenizer);
    if (!c->stated_tokens && limit > 0 && limit < c->max_tokens)
        c->max_tokens = limit;
    if (c->max_tokens <= tokenizer_special_count(m->tokenizer, false))
        return err_kind_set(err, ERR_USAGE, "a window of %d tokens leaves no room for text",
                            c->max_tokens);
    return 0;
}

void model_describe(struct model *m, struct hash128 weights)
{
    const struct model_config *c = &m->config;
    m->info = (struct model_info){.name = c->name,
                                  .path = c->dir,
                                  .family = c->family->name,
                                  .pooling = c->pooling_text,
                                  .activation = c->act_name,
                                  .task = c->task,
                                  .layers = c->layers,
                                  .hidden = c->hidden,
                                  .heads = c->heads,
                                  .intermediate = c->intermediate,
                                  .vocab = c->vocab,
                                  .max_tokens = c->max_tokens,
                                  .dim = c->dim,
                                  .normalize = c->normalise,
                                  .prompt = c->prompt,
                                  .n_prompts = c->n_prompts,
                                  .default_prompt = c->default_prompt,
                                  .label = c->label,
                                  .n_labels = c->n_labels};
    hash_hex(fingerprint(m, weights), m->info.fingerprint);
}

int model_read(struct model *m, const char *dir, const struct model_options *options,
               struct hash128 *weights, struct err *err)
{
    if (config_read(&m->config, dir, options, err) || model_read_tokenizer(m, err) ||
        weight_sources_find(&m->sources, &m->config, err) ||
        cache_identity(&m->sources.list, ".id", weights, err))
        return -1;
    model_describe(m, *weights);
    return 0;
}

/* The head that the caller wants. A checkpoint of pre-training has both of its heads. */
static int choose_head(struct model *m, const struct model_options *options, struct err *err)
{
    const struct model_config *c = &m->config;
    const char *task = options ? options->task : NULL;
    m->head = HEAD_SENTENCE;
    if (!task)
        return 0;
    if (!strcmp(task, "auto") && c->has_head) {
        m->head = c->head == HEAD_PRETRAIN ? HEAD_MLM : c->head;
        return 0;
    }
    if (!strcmp(task, "auto")) {
        err_kind_set(err, ERR_USAGE, "the model '%s' has no head: it gives vectors (%s)", c->name,
                     c->task);
        return err_hint(err, "`semsearch embed` computes them; `semsearch train` makes a model "
                             "with a head");
    }
    if (!head_of_task(span_of(task), &m->head))
        return err_kind_set(err, ERR_USAGE, "unknown task '%s'", task);
    if (m->head == HEAD_SENTENCE || (c->has_head && c->head == m->head) ||
        (c->has_head && c->head == HEAD_PRETRAIN && (m->head == HEAD_MLM || m->head == HEAD_NSP)))
        return 0;
    err_kind_set(err, ERR_USAGE, "the model '%s' is for %s, not for %s", c->name, c->task, task);
    return err_hint(err, "`semsearch train %s` makes a model for it", task);
}

/* Building one tape over the empty set declares every parameter with its shape. */
static int declare_params(struct model *m, struct err *err)
{
    struct tape t;
    tape_init(&t, &m->params, TAPE_INFER);
    t.precision = m->precision;
    const struct learner_slots slots = head_build(&m->config, m->head, (int)m->config.n_labels, &t);
    const int rc = tape_finish(&t, slots.out, err);
    tape_release(&t);
    return rc;
}

static int load(struct model *m, struct hash128 weights, struct err *err)
{
    if (declare_params(m, err) ||
        image_load(&m->image, &m->params, &m->config, &m->sources, weights, err))
        return -1;
    m->info.parameters = m->image.parameters;
    m->loaded = true;
    return 0;
}

int model_open(const char *dir, const struct model_options *options, struct model **out,
               struct err *err)
{
    struct model *m = xcalloc(1, sizeof *m);
    struct hash128 weights;
    *out = NULL;
    if (kernels_init(err) || model_read(m, dir, options, &weights, err) ||
        choose_head(m, options, err) || model_settle_precision(m, options, err) ||
        load(m, weights, err)) {
        model_close(m);
        return err_wrap(err, "cannot open the model '%s'", dir);
    }
    *out = m;
    return 0;
}

int model_open_tokenizer(const char *dir, struct tokenizer **out, struct err *err)
{
    struct model_config c;
    struct err ignored = {0};
    if (config_find_encoder(&c, dir, &ignored)) /* modules for which there is a tokenizer only */
        return tokenizer_open(dir, out, err);
    const int rc = tokenizer_open(c.encoder_dir, out, err);
    config_release(&c);
    return rc;
}

int model_inspect(const char *dir, const struct model_options *options, struct model **out,
                  struct err *err)
{
    struct model *m = xcalloc(1, sizeof *m);
    struct hash128 weights;
    *out = NULL;
    if (model_read(m, dir, options, &weights, err) ||
        weight_sources_count(&m->sources, &m->info.parameters, err)) {
        model_close(m);
        return err_wrap(err, "cannot open the model '%s'", dir);
    }
    *out = m;
    return 0;
}

void model_release(struct model *m)
{
    image_release(&m->image);
    params_release(&m->params);
    weight_sources_release(&m->sources);
    tokenizer_free(m->tokenizer);
    map_close(&m->tokenizer_map);
    config_release(&m->config);
}

void model_close(struct model *m)
{
    if (m)
        model_release(m);
    free(m);
}

/* ---- looking at it ------------------------------------------------------------------------------
 */

const struct model_info *model_info(const struct model *m)
{
    return &m->info;
}

const struct tokenizer *model_tokenizer(const struct model *m)
{
    return m->tokenizer;
}

static const char *prompt_named(const struct model *m, const char *name)
{
    for (size_t i = 0; name && i < m->config.n_prompts; i++)
        if (!strcmp(m->config.prompt[i].name, name))
            return m->config.prompt[i].text;
    return "";
}

const char *model_role_prompt(const struct model *m, enum embed_role role)
{
    static const char *const names[][3] = {[EMBED_DEFAULT] = {NULL},
                                           [EMBED_QUERY] = {"query", NULL},
                                           [EMBED_PASSAGE] = {"passage", "document", "corpus"}};
    for (int i = 0; i < 3 && names[role][i]; i++) {
        const char *text = prompt_named(m, names[role][i]);
        if (text[0])
            return text;
    }
    return prompt_named(m, m->config.default_prompt);
}

int model_tape(const struct model *m, struct tape *t, struct learner_slots *slots, struct err *err)
{
    /* The set is frozen: building looks parameters up and writes nothing. */
    tape_init(t, (struct params *)(uintptr_t)&m->params, TAPE_INFER);
    t->precision = m->precision;
    *slots = head_build(&m->config, m->head, (int)m->config.n_labels, t);
    if (tape_finish(t, slots->out, err) == 0)
        return 0;
    tape_release(t);
    return -1;
}
