/* family.c - the table of families; see family.h.
 *
 * BERT: Devlin et al. 2019; RoBERTa: Liu et al. 2019 (XLM-RoBERTa and CamemBERT have its shape);
 * DistilBERT: Sanh et al. 2019. All are the same post-norm block; they differ in names, in the
 * first position and in token types. Tensor names and constants: the modeling_*.py of Hugging Face
 * transformers.
 */
#include "encoder/model/family.h"

#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct config_keys bert_keys = {
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act"};
static const struct config_keys distilbert_keys = {"dim", "n_layers", "n_heads", "hidden_dim",
                                                   "activation"};

static const struct name_rule bert_names[] = {
    {"embed.word", {"embeddings.word_embeddings.weight"}},
    {"embed.pos", {"embeddings.position_embeddings.weight"}},
    {"embed.type", {"embeddings.token_type_embeddings.weight"}},
    {"embed.norm", {"embeddings.LayerNorm"}},
    {"layer.%d.qkv",
     {"encoder.layer.%d.attention.self.query", "encoder.layer.%d.attention.self.key",
      "encoder.layer.%d.attention.self.value"}},
    {"layer.%d.attention_out", {"encoder.layer.%d.attention.output.dense"}},
    {"layer.%d.norm1", {"encoder.layer.%d.attention.output.LayerNorm"}},
    {"layer.%d.ffn_in", {"encoder.layer.%d.intermediate.dense"}},
    {"layer.%d.ffn_out", {"encoder.layer.%d.output.dense"}},
    {"layer.%d.norm2", {"encoder.layer.%d.output.LayerNorm"}},
    {NULL, {NULL}}};

static const struct name_rule distilbert_names[] = {
    {"embed.word", {"embeddings.word_embeddings.weight"}},
    {"embed.pos", {"embeddings.position_embeddings.weight"}},
    {"embed.norm", {"embeddings.LayerNorm"}},
    {"layer.%d.qkv",
     {"transformer.layer.%d.attention.q_lin", "transformer.layer.%d.attention.k_lin",
      "transformer.layer.%d.attention.v_lin"}},
    {"layer.%d.attention_out", {"transformer.layer.%d.attention.out_lin"}},
    {"layer.%d.norm1", {"transformer.layer.%d.sa_layer_norm"}},
    {"layer.%d.ffn_in", {"transformer.layer.%d.ffn.lin1"}},
    {"layer.%d.ffn_out", {"transformer.layer.%d.ffn.lin2"}},
    {"layer.%d.norm2", {"transformer.layer.%d.output_layer_norm"}},
    {NULL, {NULL}}};

static const char *const bert_ignore[] = {"pooler.",
                                          "cls.",
                                          "classifier.",
                                          "qa_outputs.",
                                          "embeddings.position_ids",
                                          "embeddings.token_type_ids",
                                          NULL};
static const char *const roberta_ignore[] = {"pooler.",
                                             "lm_head.",
                                             "classifier.",
                                             "qa_outputs.",
                                             "embeddings.position_ids",
                                             "embeddings.token_type_ids",
                                             NULL};
static const char *const distilbert_ignore[] = {
    "vocab_transform.", "vocab_layer_norm.", "vocab_projector.",        "pre_classifier.",
    "classifier.",      "qa_outputs.",       "embeddings.position_ids", NULL};

static const struct family families[] = {
    {"bert", "bert.", &bert_keys, 0, true, false, bert_names, bert_ignore},
    {"roberta", "roberta.", &bert_keys, 0, true, true, bert_names, roberta_ignore},
    {"xlm-roberta", "roberta.", &bert_keys, 0, true, true, bert_names, roberta_ignore},
    {"camembert", "roberta.", &bert_keys, 0, true, true, bert_names, roberta_ignore},
    {"distilbert", "distilbert.", &distilbert_keys, 1e-12f, false, false, distilbert_names,
     distilbert_ignore},
};

const struct family *family_find(struct span model_type)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (span_eq(model_type, families[i].name))
            return &families[i];
    return NULL;
}

void family_list(struct str *out)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        str_printf(out, "%s%s", i ? ", " : "", families[i].name);
}

/* "layer.7.qkv.weight" gives layer 7 and "layer.%d.qkv.weight"; others are copied. */
static int take_layer(const char *canonical, char general[NAME_MAX_BYTES])
{
    char *rest;
    if (strncmp(canonical, "layer.", 6)) {
        snprintf(general, NAME_MAX_BYTES, "%s", canonical);
        return 0;
    }
    const long layer = strtol(canonical + 6, &rest, 10);
    snprintf(general, NAME_MAX_BYTES, "layer.%%d%s", rest);
    return (int)layer;
}

/* Copies `pattern` with its "%d", if any, replaced by the layer, then `ending`. */
static void fill(char out[NAME_MAX_BYTES], const char *pattern, int layer, const char *ending)
{
    const char *at = strstr(pattern, "%d");
    if (at)
        snprintf(out, NAME_MAX_BYTES, "%.*s%d%s%s", (int)(at - pattern), pattern, layer, at + 2,
                 ending);
    else
        snprintf(out, NAME_MAX_BYTES, "%s%s", pattern, ending);
}

int family_file_names(const struct family *f, const char *canonical,
                      char name[NAME_PARTS][NAME_MAX_BYTES])
{
    char general[NAME_MAX_BYTES];
    const int layer = take_layer(canonical, general);
    for (const struct name_rule *r = f->names; r->canonical; r++) {
        const size_t n = strlen(r->canonical);
        if (strncmp(general, r->canonical, n))
            continue;
        const char *ending = general + n;
        if (*ending && strcmp(ending, ".weight") && strcmp(ending, ".bias"))
            continue;
        int k = 0;
        for (; k < NAME_PARTS && r->part[k]; k++)
            fill(name[k], r->part[k], layer, ending);
        return k;
    }
    return 0;
}

bool family_ignores(const struct family *f, const char *file_name)
{
    for (const char *const *p = f->ignore; *p; p++)
        if (!strncmp(file_name, *p, strlen(*p)))
            return true;
    return false;
}
