/* wordpiece.h - the parts of learning a WordPiece vocabulary: counted words, and the pieces that
 * their joining gives; callers use train.h. */
#ifndef SEMSEARCH_ENCODER_TRAIN_WORDPIECE_H
#define SEMSEARCH_ENCODER_TRAIN_WORDPIECE_H

#include "encoder/tokenizer/tokenizer.h"
#include "encoder/train/train.h"
#include "src/base/mem.h"

/* Distinct words with their counts, in order of first appearance. */
struct word_counts {
    struct counted_word {
        size_t at; /* in pool */
        uint32_t n_bytes;
        int64_t count;
    } * word;
    size_t n, cap;
    struct str pool;
    uint32_t *slot; /* open addressing: index + 1 into word, 0: free */
    size_t n_slots;
    int64_t total; /* words read */
};
void word_counts_release(struct word_counts *w);
struct span word_text(const struct word_counts *w, size_t i);
/* Counts the words of a file; max_memory bounds the whole table. */
int word_counts_file(struct word_counts *w, const struct tokenizer *t, const char *path,
                     size_t max_memory, struct err *err) WARN_UNUSED;

/* Tokens by id, first the given special ones. */
struct piece_list {
    struct span *piece; /* the bytes belong to `text` */
    size_t n, cap;
    struct arena text;
    uint32_t *slot; /* as above */
    size_t n_slots;
};
void piece_list_release(struct piece_list *l);
/* The id of a token, which is added when it is new. */
int32_t piece_list_add(struct piece_list *l, struct span token);

/* Appends the alphabet and then joined pieces until there are o->vocab_size tokens or no pair is
 * frequent enough. */
int pieces_learn(const struct word_counts *w, const struct tokenizer_train_options *o,
                 struct piece_list *out, struct err *err) WARN_UNUSED;

#endif
