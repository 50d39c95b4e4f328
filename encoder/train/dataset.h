/* dataset.h - the rows of a task: read from files, checked, tokenised.
 *
 * Two steps, because the labels of a classification decide what the model's head looks like, and
 * the model brings the tokenizer: dataset_read() takes in and checks everything that can be
 * checked, dataset_tokenise() makes token ids. What comes out is one list of sequences end to end
 * and, by task, what belongs to each:
 *
 *   sentence-similarity   example e: sequences e * columns + c; score[e]; then n_pool more texts
 *   text-classification   example e: sequence e (a pair is one sequence); label[e] or score[e]
 *   token-classification  example e: sequence e; tag of each token, -1 where it does not count
 *   question-answering    example e: window e, of question `item`; begin and end of the answer
 *   fill-mask             example e: window e
 *   pretraining           example e: chunk e of consecutive sentences; sequences are sentences
 */
#ifndef SEMSEARCH_ENCODER_TRAIN_DATASET_H
#define SEMSEARCH_ENCODER_TRAIN_DATASET_H

#include "encoder/tokenizer/tokenizer.h"
#include "encoder/train/train.h"
#include "src/base/thread.h"

/* Bits of a token's flag. */
enum {
    FLAG_SECOND = 1,    /* segment 1 */
    FLAG_CONTINUES = 2, /* goes on with the word before */
    FLAG_SPECIAL = 4
};

struct sequence {
    size_t at;      /* of its first token */
    int n;          /* tokens */
    int item;       /* the text, sentence, question or document that it is from */
    int begin, end; /* question-answering: token positions of the answer */
};

struct sequences {
    int *token;
    uint8_t *flag;
    int *tag;            /* token-classification; else NULL */
    uint32_t *from, *to; /* question-answering: bytes of the context; 0, 0 elsewhere */
    size_t n_tok, cap_tok;
    struct sequence *seq;
    size_t n, cap;
    bool tags, offsets;
};

/* The special tokens that a model puts around and between texts. */
struct frame {
    int pre[4], mid[8], post[4];
    int n_pre, n_mid, n_post;
    uint8_t mid_flag[8], second; /* segments: of the middle ones; of the second text and after */
};

struct answer {
    char *text;
    uint32_t start; /* byte of the context */
};
struct question {
    char *id;
    const char *context; /* of its paragraph */
    char *text;
    struct answer *answer;
    size_t n_answers; /* 0: unanswerable */
};

/* Consecutive sentences of a document: sequences [first, first + n). */
struct chunk {
    size_t first;
    int n, target; /* tokens wished for */
    int document;
};

struct origin {
    int file;
    int64_t line;
};

struct dataset {
    enum train_task task;
    struct data_options options;
    int64_t n; /* examples, after tokenising */
    int64_t rows, skipped;
    struct err first_skipped;
    struct hash128 *hash; /* [n_files] of their contents */

    /* as read: item i has texts text[i * columns + c] */
    size_t n_items, n_pool; /* the last n_pool items are single texts that are searched only */
    int columns;
    struct span *text;
    struct origin *origin;
    char **label_text; /* [n_items] classes */
    float *score;      /* [n_items] */
    int *label;        /* [n_items] */
    uint64_t *key;     /* [n_items * columns] equal for equal texts */
    uint64_t *group;   /* [n_items] rows that belong together */
    enum loss_kind loss;
    bool regression, scored; /* scored: sentence1, sentence2 and a number */
    char **class_name;       /* classes as they stand in the data, sorted, or as given; owned */
    int n_classes;
    /* token-classification: sentence i is words word_start[i] .. word_start[i + 1] */
    size_t *word_start;
    struct span *word;
    char **word_tag;
    int *word_label;
    struct question *question;
    char **context;
    size_t n_contexts;
    /* documents: [n_items] spans in `text`; their sentences are made while tokenising */

    struct sequences seqs;
    struct chunk *chunk;
    size_t *document_first; /* pretraining: [n_items + 1] the first sequence of each document */
    int64_t n_cut;          /* texts longer than the window */
    int64_t n_lonely;       /* pretraining: documents of one sentence */
    int max_length;
    struct frame frame, pair_frame;
    int vocab, mask_id;

    struct table *table; /* what the spans point into */
    struct str *content;
    size_t n_tables, n_contents;
};

/* `loss`: enum loss_kind or TRAIN_LOSS_AUTO (sentence-similarity). `with_teacher`: rows need no
 * labels. */
int dataset_read(struct dataset *d, enum train_task task, const struct data_options *o, int loss,
                 bool with_teacher, struct err *err) WARN_UNUSED;
/* The same of judged questions; the texts stay the caller's. */
void dataset_judged(struct dataset *d, const struct data_options *o, const struct judged *j);
void dataset_release(struct dataset *d);

/* Classes to numbers, in the model's order. A label that is not among them is a bad row. */
int dataset_use_labels(struct dataset *d, const char *const *label, int n,
                       struct err *err) WARN_UNUSED;

/* `window`: of the model. */
int dataset_tokenise(struct dataset *d, const struct tokenizer *t, int window, struct pool *pool,
                     struct err *err) WARN_UNUSED;

/* ---- for the dataset's files --------------------------------------------------------------------
 */

/* One reader and one encoder a task. */
struct dataset_kind {
    int (*read)(struct dataset *d, int loss, bool with_teacher, struct err *err);
    /* Appends the sequences of item i. Any thread; `e` is its scratch. */
    int (*encode)(const struct dataset *d, const struct tokenizer *t, size_t i, struct encoding *e,
                  struct sequences *out, int64_t *n_cut, struct err *err);
    /* After all: examples from sequences; NULL: as many as there are items. */
    int (*finish)(struct dataset *d, struct err *err);
};
extern const struct dataset_kind data_pairs, data_classes, data_conll, data_squad, data_lines,
    data_sentences;

void sequences_begin(struct sequences *s, int item);
void sequences_token(struct sequences *s, int token, int flag, int tag, uint32_t from, uint32_t to);
/* Copies all of `more` behind s. */
void sequences_append(struct sequences *s, const struct sequences *more);
void sequences_release(struct sequences *s);

/* The special tokens around one text (pair: two). */
int frame_find(struct frame *f, const struct tokenizer *t, bool pair, struct err *err) WARN_UNUSED;
void frame_pre(const struct frame *f, struct sequences *s);
void frame_mid(const struct frame *f, struct sequences *s);
void frame_post(const struct frame *f, struct sequences *s);
static inline int frame_size(const struct frame *f)
{
    return f->n_pre + f->n_mid + f->n_post;
}

/* Whether token i of an encoding goes on with the word before. */
bool token_continues(const struct tokenizer *t, const struct encoding *e, int i);

/* "FILE, line N: WHAT" (ERR_FORMAT). */
int dataset_bad(const struct dataset *d, struct origin at, struct err *err, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* A bad row was met and `err` says how: 0 when it may be left out (and is counted). */
int dataset_skip(struct dataset *d, struct err *err);
/* Sorted, or as --labels says; from label texts that may repeat. */
int dataset_name_classes(struct dataset *d, char *const *label, size_t n,
                         struct err *err) WARN_UNUSED;
int dataset_class_of(const struct dataset *d, const char *label);
/* Reads one file of text whole, kept by the dataset; NULL on failure. */
struct span dataset_content(struct dataset *d, const char *path, struct err *err);

#endif
