/* build.c - from a checked config to the operations of a tape; see config.h.
 *
 * The post-norm block of BERT (Devlin et al. 2019; Vaswani et al. 2017):
 *   x = norm1(x + attention_out(attention(qkv(x))))
 *   x = norm2(x + ffn_out(act(ffn_in(x))))
 * q, k and v are one parameter [3 * hidden, hidden]: all queries, all keys, all values.
 */
#include "encoder/model/config.h"

#include <stdio.h>

struct builder {
    const struct model_config *c;
    struct tape *t;
    char name[64];
};

static const char *layer(struct builder *b, int l, const char *part)
{
    snprintf(b->name, sizeof b->name, "layer.%d.%s", l, part);
    return b->name;
}

static int post_norm_block(struct builder *b, int l, int x)
{
    const struct model_config *c = b->c;
    const struct dropout *d = &c->dropout;
    struct tape *t = b->t;
    const int h = c->hidden;
    const float out_drop = c->family->head->attention_out_dropout ? d->hidden : 0;
    int y = tape_linear(t, layer(b, l, "qkv"), x, 3 * h, true, ACT_NONE, -1);
    y = tape_attention_dropout(t, y, c->heads, -1, d->attention);
    y = tape_linear_dropout(t, layer(b, l, "attention_out"), y, h, true, ACT_NONE, out_drop, x);
    x = tape_norm(t, layer(b, l, "norm1"), y, c->eps);
    y = tape_linear(t, layer(b, l, "ffn_in"), x, c->intermediate, true, c->act, -1);
    y = tape_linear_dropout(t, layer(b, l, "ffn_out"), y, h, true, ACT_NONE, d->hidden, x);
    return tape_norm(t, layer(b, l, "norm2"), y, c->eps);
}

static int sentence_module(struct builder *b, int i, int x)
{
    const struct module *m = &b->c->module[i];
    snprintf(b->name, sizeof b->name, "module.%d", i);
    switch (m->kind) {
    case MODULE_POOL:
        return tape_pool(b->t, x, m->pool, m->n_pool);
    case MODULE_DENSE:
        return tape_linear(b->t, b->name, x, m->out, m->bias, m->act, -1);
    case MODULE_NORM:
        return tape_norm(b->t, b->name, x, 1e-5f); /* torch.nn.LayerNorm's default */
    case MODULE_NORMALISE:
        return tape_normalise(b->t, x);
    }
    return x;
}

int config_build_encoder(const struct model_config *c, struct tape *t)
{
    struct builder b = {.c = c, .t = t};
    int x = tape_embed(t, "embed", c->vocab, c->types, c->positions, c->pos_offset, c->hidden);
    x = tape_norm(t, "embed.norm", x, c->eps);
    x = tape_dropout(t, x, c->dropout.hidden); /* of training tapes only, as all dropout */
    for (int l = 0; l < c->layers; l++)
        x = post_norm_block(&b, l, x);
    return x;
}

int config_build_modules(const struct model_config *c, struct tape *t, int x)
{
    struct builder b = {.c = c, .t = t};
    for (int i = 0; i < c->n_modules; i++)
        x = sentence_module(&b, i, x);
    return x;
}

int config_build(const struct model_config *c, struct tape *t)
{
    return config_build_modules(c, t, config_build_encoder(c, t));
}
