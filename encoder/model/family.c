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

static const struct config_keys bert_keys = {.hidden = "hidden_size",
                                             .layers = "num_hidden_layers",
                                             .heads = "num_attention_heads",
                                             .intermediate = "intermediate_size",
                                             .activation = "hidden_act",
                                             .dropout = "hidden_dropout_prob",
                                             .attention_dropout = "attention_probs_dropout_prob",
                                             .seq_dropout = "classifier_dropout",
                                             .token_dropout = "classifier_dropout",
                                             .seq_default = -1,
                                             .token_default = -1};
static const struct config_keys distilbert_keys = {.hidden = "dim",
                                                   .layers = "n_layers",
                                                   .heads = "n_heads",
                                                   .intermediate = "hidden_dim",
                                                   .activation = "activation",
                                                   .dropout = "dropout",
                                                   .attention_dropout = "attention_dropout",
                                                   .seq_dropout = "seq_classif_dropout",
                                                   .token_dropout = "dropout",
                                                   .span_dropout = "qa_dropout",
                                                   .seq_default = .2f,
                                                   .token_default = -1,
                                                   .span_default = .1f};

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
    {"pooler", {"pooler.dense"}},
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

static const struct name_rule bert_head_names[] = {
    {"head.mlm.dense", {"cls.predictions.transform.dense"}},
    {"head.mlm.norm", {"cls.predictions.transform.LayerNorm"}},
    {"head.mlm.bias", {"cls.predictions.bias"}},
    {"head.nsp", {"cls.seq_relationship"}},
    {"head.seq", {"classifier"}},
    {"head.token", {"classifier"}},
    {"head.span", {"qa_outputs"}},
    {NULL, {NULL}}};

static const struct name_rule roberta_head_names[] = {
    {"head.mlm.dense", {"lm_head.dense"}}, {"head.mlm.norm", {"lm_head.layer_norm"}},
    {"head.mlm.bias", {"lm_head.bias"}},   {"head.dense", {"classifier.dense"}},
    {"head.seq", {"classifier.out_proj"}}, {"head.token", {"classifier"}},
    {"head.span", {"qa_outputs"}},         {NULL, {NULL}}};

static const struct name_rule distilbert_head_names[] = {
    {"head.mlm.dense", {"vocab_transform"}},
    {"head.mlm.norm", {"vocab_layer_norm"}},
    {"head.mlm.bias", {"vocab_projector.bias"}},
    {"head.dense", {"pre_classifier"}},
    {"head.seq", {"classifier"}},
    {"head.token", {"classifier"}},
    {"head.span", {"qa_outputs"}},
    {NULL, {NULL}}};

static const struct head_facts bert_head = {.names = bert_head_names,
                                            .seq = SEQ_POOLER,
                                            .next_sentence = true,
                                            .pooler = true,
                                            .attention_out_dropout = true};
static const struct head_facts roberta_head = {.names = roberta_head_names,
                                               .seq = SEQ_DENSE_TANH,
                                               .mlm_gelu = true,
                                               .pooler = true,
                                               .attention_out_dropout = true};
static const struct head_facts distilbert_head = {.names = distilbert_head_names,
                                                  .seq = SEQ_DENSE_RELU};

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
    {"bert", "Bert", "bert.", &bert_keys, &bert_head, 0, true, false, bert_names, bert_ignore},
    {"roberta", "Roberta", "roberta.", &bert_keys, &roberta_head, 0, true, true, bert_names,
     roberta_ignore},
    {"xlm-roberta", "XLMRoberta", "roberta.", &bert_keys, &roberta_head, 0, true, true, bert_names,
     roberta_ignore},
    {"camembert", "Camembert", "roberta.", &bert_keys, &roberta_head, 0, true, true, bert_names,
     roberta_ignore},
    {"distilbert", "DistilBert", "distilbert.", &distilbert_keys, &distilbert_head, 1e-12f, false,
     false, distilbert_names, distilbert_ignore},
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

static int find_names(const struct name_rule *rules, const char *general, int layer,
                      char name[NAME_PARTS][NAME_MAX_BYTES])
{
    for (const struct name_rule *r = rules; r->canonical; r++) {
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

int family_file_names(const struct family *f, const char *canonical,
                      char name[NAME_PARTS][NAME_MAX_BYTES])
{
    char general[NAME_MAX_BYTES];
    const int layer = take_layer(canonical, general);
    const int n = find_names(f->names, general, layer, name);
    return n ? n : find_names(f->head->names, general, layer, name);
}

bool family_ignores(const struct family *f, const char *file_name)
{
    for (const char *const *p = f->ignore; *p; p++)
        if (!strncmp(file_name, *p, strlen(*p)))
            return true;
    return false;
}
