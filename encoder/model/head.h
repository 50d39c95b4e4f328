/* head.h - what follows the encoder, as rows of a table.
 *
 * A head turns the states of the last layer, [n_tok, hidden], into what a task wants. The kinds are
 * those of transformers' BertFor... classes; how a family names their tensors and what lies before
 * the last matrix are facts of the family (struct head_facts).
 *
 *   kind           task                  tensors (canonical)                      output
 *   HEAD_SENTENCE  sentence-similarity   module.*                                 [n_seq, dim]
 *   HEAD_SEQUENCE  text-classification   pooler or head.dense, head.seq           [n_seq, n_labels]
 *   HEAD_TOKEN     token-classification  head.token                               [n_tok, n_labels]
 *   HEAD_SPAN      question-answering    head.span                                [n_tok, 2]
 *   HEAD_MLM       fill-mask             head.mlm.{dense,norm,bias}, embed.word   [n_pick, vocab]
 *   HEAD_NSP       next-sentence         pooler, head.nsp                         [n_seq, 2]
 *   HEAD_PRETRAIN  pretraining           those of the last two                    both
 */
#ifndef SEMSEARCH_ENCODER_MODEL_HEAD_H
#define SEMSEARCH_ENCODER_MODEL_HEAD_H

#include "encoder/tape/tape.h"
#include "src/base/str.h"

enum head_kind {
    HEAD_SENTENCE, /* pooling and modules: [n_seq, dim], no final Normalize */
    HEAD_SEQUENCE, /* classification or regression of a text or a pair: [n_seq, n_labels] */
    HEAD_TOKEN,    /* classification of tokens: [n_tok, n_labels] */
    HEAD_SPAN,     /* extractive question answering: [n_tok, 2] start and end */
    HEAD_MLM,      /* masked words: [n_pick, vocab] */
    HEAD_NSP,      /* is the second text the next one: [n_seq, 2], 0 = it is */
    HEAD_PRETRAIN  /* MLM and NSP together: `out` and `out2` */
};
enum { HEAD_KINDS = 7 };

/* What the outputs of a HEAD_SEQUENCE mean (config.json's problem_type). */
enum problem { PROBLEM_SINGLE_LABEL, PROBLEM_REGRESSION, PROBLEM_MULTI_LABEL };

struct learner_slots {
    int hidden; /* [n_tok, hidden] of the last layer */
    int out, out2;
};

const char *head_task(enum head_kind kind);
bool head_of_task(struct span task, enum head_kind *kind);
/* "BertForMaskedLM": the ending decides; false: a class without a head. */
bool head_of_class(struct span class, enum head_kind *kind);
/* "ForMaskedLM"; "Model" for HEAD_SENTENCE. */
const char *head_class_ending(enum head_kind kind);
bool head_has_labels(enum head_kind kind);

struct model_config;
/* Appends the encoder and the head to a tape. n_labels: of the kinds that have labels. The tape
 * fails when the family has no such head. */
struct learner_slots head_build(const struct model_config *c, enum head_kind kind, int n_labels,
                                struct tape *t);

#endif
