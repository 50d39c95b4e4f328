/* family.h - encoder families are rows of a table.
 *
 * A row says how a family's config.json spells the dimensions, how its files name the tensors, and
 * the few facts that differ between architectures. No other file asks which family it has.
 */
#ifndef SEMSEARCH_ENCODER_MODEL_FAMILY_H
#define SEMSEARCH_ENCODER_MODEL_FAMILY_H

#include "src/base/str.h"

enum { NAME_PARTS = 3, NAME_MAX_BYTES = 192 };

/* From a canonical name (of the tape's parameters) to the names in the file. `%d` is the layer.
 * When `canonical` is a stem, ".weight" or ".bias" is appended on both sides. Several parts are
 * stacked by rows, in this order. */
struct name_rule {
    const char *canonical;
    const char *part[NAME_PARTS];
};

struct config_keys {
    const char *hidden, *layers, *heads, *intermediate, *activation;
    /* dropout of states, of attention weights, before the three kinds of head; NULL: there is none.
     * A key that the file lacks has the value below, or (< 0) that of `dropout`. */
    const char *dropout, *attention_dropout, *seq_dropout, *token_dropout, *span_dropout;
    float seq_default, token_default, span_default;
};

/* What stands between the first token's state and the output of a head on whole texts. */
enum seq_kind {
    SEQ_POOLER,     /* tanh(pooler), dropout, classifier; the pooler belongs to the encoder */
    SEQ_DENSE_TANH, /* dropout, tanh(dense), dropout, classifier */
    SEQ_DENSE_RELU  /* relu(dense), dropout, classifier */
};

/* What the families' task heads do not have in common (heads themselves: head.h). */
struct head_facts {
    const struct name_rule *names;
    enum seq_kind seq;
    bool next_sentence; /* has a head that says whether the second text follows the first */
    bool mlm_gelu;      /* the masked-language head always has GELU, whatever config.json says */
    bool pooler;        /* the class without a head has a pooler (whose output nobody reads here) */
    bool attention_out_dropout;
};

struct family {
    const char *name;   /* model_type of config.json */
    const char *class;  /* its classes are called CLASSModel, CLASSForMaskedLM, ... */
    const char *prefix; /* task models put this before the encoder's tensor names */
    const struct config_keys *keys;
    const struct head_facts *head;
    float norm_eps;          /* fixed by the code; 0: config.json's layer_norm_eps */
    bool types;              /* has a table of token types */
    bool positions_skip_pad; /* position 0 is row pad_token_id + 1 of the table */
    const struct name_rule *names;
    const char *const *ignore; /* beginnings of tensor names (prefix taken off) of heads and buffers
                                  that encoding does not need; ends with NULL */
};

/* NULL: no such family. */
const struct family *family_find(struct span model_type);
/* "bert, roberta, ..." for messages. */
void family_list(struct str *out);

/* The names in the file (without prefix, which the names of "head.*" never have) of one canonical
 * parameter name; returns how many parts, 0 when the family has no rule for it. */
int family_file_names(const struct family *f, const char *canonical,
                      char name[NAME_PARTS][NAME_MAX_BYTES]);
bool family_ignores(const struct family *f, const char *file_name);

#endif
