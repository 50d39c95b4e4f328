/* embedder.c - an encoder as index/ sees it; see src/base/embedder.h. */
#include "encoder/model/model.h"

#include <stdio.h>
#include <stdlib.h>

struct model_embedder {
    struct embedder base; /* first: the two pointers are one */
    const struct model *model;
    struct encoder *encoder;
};

static struct model_embedder *full(struct embedder *e)
{
    return (struct model_embedder *)e;
}

static int embed(struct embedder *e, const struct span *texts, size_t n, enum embed_role role,
                 float *out, int64_t *n_tokens, struct err *err)
{
    const struct encode_options options = {.role = role, .normalize = 1};
    int *tokens = NULL;
    if (n_tokens) {
        *n_tokens = 0;
        tokens = xcalloc(n + 1, sizeof *tokens);
    }
    const int rc = encoder_embed(full(e)->encoder, texts, n, &options, out, tokens, err);
    for (size_t i = 0; tokens && !rc && i < n; i++)
        *n_tokens += tokens[i];
    free(tokens);
    return rc;
}

static int tokens(const struct embedder *e, struct span text, struct token_range **ranges,
                  size_t *n, struct err *err)
{
    const struct model *m = ((const struct model_embedder *)e)->model;
    const struct tokenize_options options = {.no_special = true};
    struct encoding enc = {0};
    *ranges = NULL;
    *n = 0;
    if (tokenizer_encode(m->tokenizer, text, NULL, &options, &enc, err)) {
        encoding_release(&enc);
        return -1;
    }
    void *p;
    const int rc = mem_try(&p, ((size_t)enc.n + 1) * sizeof **ranges, "the tokens of a text", err);
    if (!rc) {
        *ranges = p;
        *n = (size_t)enc.n;
        for (int i = 0; i < enc.n; i++)
            (*ranges)[i] = (struct token_range){enc.start[i], enc.end[i]};
    }
    encoding_release(&enc);
    return rc;
}

static int overhead(const struct embedder *e, enum embed_role role)
{
    const struct model *m = ((const struct model_embedder *)e)->model;
    const struct span prompt = span_of(model_role_prompt(m, role));
    const struct tokenize_options options = {.no_special = true};
    struct encoding enc = {0};
    struct err ignored = {0};
    const int special = tokenizer_special_count(m->tokenizer, false);
    int n = special;
    if (prompt.n && tokenizer_encode(m->tokenizer, prompt, NULL, &options, &enc, &ignored) == 0)
        n += enc.n;
    encoding_release(&enc);
    return n;
}

static void close_embedder(struct embedder *e)
{
    if (!e)
        return;
    encoder_close(full(e)->encoder);
    free(full(e));
}

int encoder_embedder(const struct model *m, int threads, struct embedder **out, struct err *err)
{
    struct encoder *encoder;
    *out = NULL;
    if (encoder_open(m, threads, &encoder, err))
        return -1;
    const struct model_info *info = model_info(m);
    struct model_embedder *e = xcalloc(1, sizeof *e);
    e->model = m;
    e->encoder = encoder;
    e->base = (struct embedder){.dim = info->dim,
                                .window = info->max_tokens,
                                .precision = m->precision,
                                .embed = embed,
                                .tokens = tokens,
                                .overhead = overhead,
                                .close = close_embedder};
    snprintf(e->base.name, sizeof e->base.name, "%s", info->name);
    snprintf(e->base.fingerprint, sizeof e->base.fingerprint, "%s", info->fingerprint);
    *out = &e->base;
    return 0;
}
