/* tokenizer.c - the public face: encode and look up; see tokenizer.h and internal.h. */
#include "encoder/tokenizer/internal.h"

#include <stdlib.h>
#include <string.h>

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    free(t->owned);
    free(t);
}

void encoding_release(struct encoding *e)
{
    free(e->id);
    free(e->type);
    free(e->start);
    free(e->end);
    free(e->segment);
    *e = (struct encoding){0};
}

int tokenizer_encode(const struct tokenizer *t, struct span a, const struct span *b,
                     const struct tokenize_options *options, struct encoding *out, struct err *err)
{
    if (a.n > UINT32_MAX || (b && b->n > UINT32_MAX))
        return err_kind_set(err, ERR_LIMIT, "text of 4 GiB or more cannot be tokenized");
    return template_encode(t, a, b, options, out, err);
}

int tokenizer_vocab_size(const struct tokenizer *t)
{
    return (int)t->h->n_ids;
}

int tokenizer_special_count(const struct tokenizer *t, bool pair)
{
    return template_special_count(pair ? &t->h->spec.pair : &t->h->spec.single);
}

struct span tokenizer_token(const struct tokenizer *t, int id)
{
    if (id < 0 || (uint32_t)id >= t->h->n_ids || t->first[id] == t->first[id + 1])
        return (struct span){NULL, 0};
    return (struct span){t->pool + t->first[id], t->first[id + 1] - t->first[id]};
}

/* A scan over all texts (some 30 us for 30,000 tokens): callers look up a handful of names. */
int tokenizer_id(const struct tokenizer *t, struct span token)
{
    if (!token.n)
        return -1;
    for (uint32_t id = t->h->n_ids; id-- > 0;)
        if (t->first[id + 1] - t->first[id] == token.n &&
            memcmp(t->pool + t->first[id], token.p, token.n) == 0)
            return (int)id;
    return -1;
}

int tokenizer_special_id(const struct tokenizer *t, enum special_token which)
{
    return t->h->spec.special[which];
}

int tokenizer_model_max_length(const struct tokenizer *t)
{
    return t->h->spec.model_max_length;
}

bool tokenizer_lowercases(const struct tokenizer *t)
{
    return t->h->spec.lower;
}

struct hash128 tokenizer_fingerprint(const struct tokenizer *t)
{
    return t->fingerprint;
}
