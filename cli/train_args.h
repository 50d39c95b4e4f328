/* train_args.h - what the command line of `semsearch train` said; a part of struct args. Numbers
 * below 0 and texts that are NULL were not given, and mean the standard of train_defaults(). */
#ifndef SEMSEARCH_CLI_TRAIN_ARGS_H
#define SEMSEARCH_CLI_TRAIN_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A repeatable option's values, in order. */
struct arg_list {
    const char **item;
    size_t n, cap;
};

struct train_args {
    struct arg_list data, eval_data, freeze;
    const char *out, *resume, *base, *init, *config, *tokenizer, *teacher, *plot;
    bool overwrite, skip_bad_rows;
    /* data */
    const char *labels, *score_scale;
    int64_t column, doc_stride, max_query_length, save_max_length;
    double mlm_probability;
    bool whole_word;
    /* loss */
    const char *loss, *matryoshka, *distance;
    double scale, margin;
    bool symmetric, mask_duplicates;
    /* run */
    double epochs, learning_rate, weight_decay, warmup_ratio, beta1, beta2, epsilon, max_grad_norm,
        dropout, layer_decay;
    const char *lr_scheduler;
    int64_t max_steps, batch_size, accumulation, mini_batch, seed, logging_steps, eval_steps,
        save_steps, save_total_limit, early_stopping;
    bool load_best, no_shuffle;
    /* mining */
    int64_t mine_negatives;
    double mine_margin;
    /* tokenizer */
    int64_t vocab_size, min_frequency;
    bool lowercase;
};

#define TRAIN_ARGS_UNSET                                                                          \
    {                                                                                             \
        .column = -1, .doc_stride = -1, .max_query_length = -1, .save_max_length = -1,            \
        .mlm_probability = -1, .scale = -1, .margin = -1, .epochs = -1, .learning_rate = -1,      \
        .weight_decay = -1, .warmup_ratio = -1, .beta1 = -1, .beta2 = -1, .epsilon = -1,          \
        .max_grad_norm = -1, .dropout = -1, .layer_decay = -1, .max_steps = -1, .batch_size = -1, \
        .accumulation = -1, .mini_batch = -1, .seed = -1, .logging_steps = -1, .eval_steps = -1,  \
        .save_steps = -1, .save_total_limit = -1, .early_stopping = -1, .mine_negatives = -1,     \
        .mine_margin = -1, .vocab_size = -1, .min_frequency = -1                                  \
    }

#endif
