/* head.c - the table of heads and their operations; see head.h.
 *
 * Order of operations and places of dropout: the classes For... in transformers' modeling_bert.py,
 * modeling_roberta.py and modeling_distilbert.py.
 */
#include "encoder/model/head.h"

#include "encoder/model/config.h"
#include "src/base/mem.h"

/* What a head's operations are appended to, and from which state. */
struct head_place {
    const struct model_config *c;
    struct tape *t;
    int x; /* [n_tok, hidden] */
    int n_labels;
    struct learner_slots *slots;
};

static int first_token(const struct head_place *p)
{
    static const enum pool_mode cls[] = {POOL_CLS};
    return tape_pool(p->t, p->x, cls, 1);
}

/* tanh(W x[0] + b), the state that BERT's heads on whole texts read. */
static int pooler(const struct head_place *p)
{
    return tape_linear(p->t, "pooler", first_token(p), p->c->hidden, true, ACT_TANH, -1);
}

static void build_sentence(const struct head_place *p)
{
    p->slots->out = config_build_modules(p->c, p->t, p->x);
}

static void build_sequence(const struct head_place *p)
{
    struct tape *t = p->t;
    const float drop = p->c->dropout.seq;
    int x;
    switch (p->c->family->head->seq) {
    case SEQ_DENSE_TANH:
        x = tape_dropout(t, first_token(p), drop);
        x = tape_linear(t, "head.dense", x, p->c->hidden, true, ACT_TANH, -1);
        break;
    case SEQ_DENSE_RELU:
        x = tape_linear(t, "head.dense", first_token(p), p->c->hidden, true, ACT_RELU, -1);
        break;
    default:
        x = pooler(p);
    }
    x = tape_dropout(t, x, drop);
    p->slots->out = tape_linear(t, "head.seq", x, p->n_labels, true, ACT_NONE, -1);
}

static void build_token(const struct head_place *p)
{
    const int x = tape_dropout(p->t, p->x, p->c->dropout.token);
    p->slots->out = tape_linear(p->t, "head.token", x, p->n_labels, true, ACT_NONE, -1);
}

static void build_span(const struct head_place *p)
{
    const int x = tape_dropout(p->t, p->x, p->c->dropout.span);
    p->slots->out = tape_linear(p->t, "head.span", x, 2, true, ACT_NONE, -1);
}

/* Only the masked positions go through the decoder, which is as wide as the vocabulary. */
static void build_mlm(const struct head_place *p)
{
    const struct model_config *c = p->c;
    const enum activation act = c->family->head->mlm_gelu ? ACT_GELU : c->act;
    int x = tape_pick(p->t, p->x);
    if (c->untied)
        tape_fail(p->t, "the decoder of this model is not tied to its word embeddings "
                        "(tie_word_embeddings), which is not supported");
    x = tape_linear(p->t, "head.mlm.dense", x, c->hidden, true, act, -1);
    x = tape_norm(p->t, "head.mlm.norm", x, c->eps);
    p->slots->out = tape_linear_tied(p->t, "embed.word", "head.mlm.bias", x, c->vocab);
}

static void build_nsp(const struct head_place *p)
{
    if (!p->c->family->head->next_sentence)
        tape_fail(p->t, "the family '%s' has no head for the next sentence", p->c->family->name);
    p->slots->out = tape_linear(p->t, "head.nsp", pooler(p), 2, true, ACT_NONE, -1);
}

static void build_pretrain(const struct head_place *p)
{
    build_nsp(p);
    p->slots->out2 = p->slots->out;
    tape_keep(p->t, p->slots->out2);
    build_mlm(p);
}

static const struct {
    const char *task, *class_ending;
    bool labels;
    void (*build)(const struct head_place *p);
} heads[HEAD_KINDS] = {
    [HEAD_SENTENCE] = {"sentence-similarity", "Model", false, build_sentence},
    [HEAD_SEQUENCE] = {"text-classification", "ForSequenceClassification", true, build_sequence},
    [HEAD_TOKEN] = {"token-classification", "ForTokenClassification", true, build_token},
    [HEAD_SPAN] = {"question-answering", "ForQuestionAnswering", false, build_span},
    [HEAD_MLM] = {"fill-mask", "ForMaskedLM", false, build_mlm},
    [HEAD_NSP] = {"next-sentence", "ForNextSentencePrediction", false, build_nsp},
    [HEAD_PRETRAIN] = {"pretraining", "ForPreTraining", false, build_pretrain}};

const char *head_task(enum head_kind kind)
{
    return heads[kind].task;
}

const char *head_class_ending(enum head_kind kind)
{
    return heads[kind].class_ending;
}

bool head_has_labels(enum head_kind kind)
{
    return heads[kind].labels;
}

bool head_of_task(struct span task, enum head_kind *kind)
{
    for (int i = 0; i < HEAD_KINDS; i++)
        if (span_eq(task, heads[i].task)) {
            *kind = (enum head_kind)i;
            return true;
        }
    return false;
}

bool head_of_class(struct span class, enum head_kind *kind)
{
    for (int i = HEAD_SEQUENCE; i < HEAD_KINDS; i++)
        if (span_ends(class, heads[i].class_ending)) {
            *kind = (enum head_kind)i;
            return true;
        }
    return false;
}

struct learner_slots head_build(const struct model_config *c, enum head_kind kind, int n_labels,
                                struct tape *t)
{
    struct learner_slots slots = {.out2 = -1};
    const struct head_place p = {
        .c = c, .t = t, .x = config_build_encoder(c, t), .n_labels = n_labels, .slots = &slots};
    slots.hidden = p.x;
    t->precision = PRECISION_FP32; /* heads are small, and their numbers are the answer */
    heads[kind].build(&p);
    return slots;
}
