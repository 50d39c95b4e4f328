/* bench_train.c - tokens a second of a training step: forward, the ranking loss over pairs,
 * backward, the gradient's norm, AdamW, and the weights made ready again.
 *
 *     bench_train MODEL                 a table: pairs of 32, 64, 128 tokens, ragged ones
 *     bench_train MODEL --serve         answers requests on standard input, a line each, words
 *                                       parted by tabs:
 *         file PATH THREADS PRECISION SECONDS    the batches of a file, again and again
 *         forget                                 gives the model and its state back
 *
 * A file of batches is a sequence of 32-bit numbers: for each batch the number of texts (first all
 * anchors, then all their positives), their lengths, their token ids. The answer is one line of
 * JSON; its peak is that of the process. A persistent server lets tests/bench/peers take turns.
 */
#include "encoder/model/learner.h"
#include "encoder/train/loss.h"
#include "encoder/train/optim.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct texts {
    int *token, *start, *type;
    int n_tok, n_seq;
};

struct bench {
    const char *dir;
    struct learner *learner;
    struct tape tape;
    struct learner_slots slots;
    struct adamw adamw;
    struct pool *pool;
    struct texts *batch;
    int n_batches, cap_batches;
};

static void die(const struct err *e)
{
    fprintf(stderr, "bench_train: %s\n", e->msg);
    exit(2);
}

static void open_learner(struct bench *b, int threads, bool bf16)
{
    struct err e = {0};
    const struct learner_options o = {.head = HEAD_SENTENCE, .dropout = 0.1, .bf16 = bf16};
    const struct adamw_options a = {
        .lr = 2e-5, .beta1 = .9, .beta2 = .999, .eps = 1e-8, .weight_decay = .01, .layer_decay = 1};
    b->pool = pool_new(threads);
    if (learner_open(b->dir, &o, &b->learner, &e) ||
        learner_tape(b->learner, TAPE_TRAIN, b->pool, &b->tape, &b->slots, &e) ||
        adamw_init(&b->adamw, learner_params(b->learner), &a, &e))
        die(&e);
}

static void close_learner(struct bench *b)
{
    if (!b->learner)
        return;
    adamw_release(&b->adamw);
    tape_release(&b->tape);
    learner_close(b->learner);
    pool_free(b->pool);
    b->learner = NULL;
}

static struct texts *new_texts(struct bench *b, int n_seq)
{
    VEC_GROW(b->batch, b->n_batches, b->cap_batches);
    struct texts *t = &b->batch[b->n_batches++];
    *t = (struct texts){.start = xcalloc((size_t)n_seq + 1, sizeof(int)), .n_seq = n_seq};
    return t;
}

static void drop_batches(struct bench *b)
{
    for (int i = 0; i < b->n_batches; i++) {
        free(b->batch[i].token);
        free(b->batch[i].start);
    }
    b->n_batches = 0;
}

static void read_batches(struct bench *b, const char *path)
{
    struct err e = {0};
    struct str s = {0};
    if (file_read(path, (size_t)1 << 28, &s, &e))
        die(&e);
    const int32_t *at = (const int32_t *)(const void *)s.p, *end = at + s.n / sizeof *at;
    while (at < end) {
        struct texts *t = new_texts(b, *at++);
        for (int i = 0; i < t->n_seq; i++)
            t->start[i + 1] = t->start[i] + *at++;
        t->n_tok = t->start[t->n_seq];
        t->token = xcalloc((size_t)t->n_tok, sizeof(int));
        for (int i = 0; i < t->n_tok; i++)
            t->token[i] = *at++;
    }
    str_release(&s);
}

/* 32 pairs of `len` tokens; ragged: of 5 to 2 len - 5. */
static void make_batch(struct bench *b, int len, bool ragged)
{
    struct texts *t = new_texts(b, 64);
    for (int i = 0; i < 64; i++)
        t->start[i + 1] = t->start[i] + (ragged ? 5 + i * 29 % 64 * (2 * len - 10) / 63 : len);
    t->n_tok = t->start[64];
    t->token = xcalloc((size_t)t->n_tok, sizeof(int));
    for (int i = 0; i < t->n_tok; i++)
        t->token[i] = 1000 + i * 7919 % 20000;
}

static double step(struct bench *b, const struct texts *t)
{
    struct err e = {0};
    const struct batch batch = {
        .n_tok = t->n_tok, .n_seq = t->n_seq, .token = t->token, .start = t->start};
    struct loss_options o;
    double loss = 0;
    loss_defaults(&o, LOSS_MNRL);
    if (tape_bind(&b->tape, &batch, &e))
        die(&e);
    b->tape.step = (uint64_t)b->adamw.step;
    tape_forward(&b->tape);
    const struct slot *out = &b->tape.slot[b->slots.out];
    const struct embedding_batch x = {.x = out->x,
                                      .dx = out->dx,
                                      .n = t->n_seq / 2,
                                      .n_columns = 2,
                                      .dim = out->cols,
                                      .pool = b->pool};
    if (loss_embeddings(&x, &o, &loss, &e))
        die(&e);
    tape_backward(&b->tape);
    const double norm = gradients_norm(learner_params(b->learner), b->pool);
    adamw_step(&b->adamw, 1e-6, norm > 1 ? 1 / (norm + 1e-6) : 1, b->pool);
    learner_refresh(b->learner, b->pool);
    return loss;
}

struct figures {
    double tokens_s, best_tokens_s, loss, seconds, cpu_s;
    int steps;
};

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static struct figures measure(struct bench *b, double seconds)
{
    struct figures f = {0};
    double tokens = 0;
    const double begin = clock_ms(), cpu = cpu_s();
    do {
        const struct texts *t = &b->batch[f.steps++ % b->n_batches];
        const double from = clock_ms();
        f.loss = step(b, t);
        const double rate = t->n_tok / (clock_ms() - from) * 1e3;
        f.best_tokens_s = rate > f.best_tokens_s ? rate : f.best_tokens_s;
        tokens += t->n_tok;
        f.seconds = (clock_ms() - begin) / 1e3;
    } while (f.seconds < seconds);
    f.tokens_s = tokens / f.seconds;
    f.cpu_s = (cpu_s() - cpu) / tokens;
    return f;
}

static double peak_mib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

static void answer(struct bench *b, char *line)
{
    char *word[6] = {0}, *rest = line;
    int n = 0;
    while (n < 6 && (word[n] = strtok_r(rest, "\t\n", &rest)))
        n++;
    if (n == 1 && strcmp(word[0], "forget") == 0) {
        close_learner(b);
        printf("{}\n");
    } else if (n == 5 && strcmp(word[0], "file") == 0) {
        if (!b->learner)
            open_learner(b, atoi(word[2]), strcmp(word[3], "bf16") == 0);
        drop_batches(b);
        read_batches(b, word[1]);
        const struct figures f = measure(b, atof(word[4]));
        printf("{\"tokens_s\": %.6g, \"best_tokens_s\": %.6g, \"loss\": %.6g, \"steps\": %d, "
               "\"cpu_s_token\": %.6g, \"peak_mib\": %.6g, \"tape_mib\": %.6g}\n",
               f.tokens_s, f.best_tokens_s, f.loss, f.steps, f.cpu_s, peak_mib(),
               (double)tape_peak_bytes(&b->tape) / 1048576);
    } else
        printf("{\"error\": \"what?\"}\n");
}

static void serve(struct bench *b)
{
    char *line = NULL;
    size_t cap = 0;
    printf("{\"ready\": true}\n");
    fflush(stdout);
    while (getline(&line, &cap, stdin) > 0) {
        answer(b, line);
        fflush(stdout);
    }
    free(line);
}

static void table(struct bench *b)
{
    static const struct {
        int len;
        bool ragged;
    } rows[] = {{32, false}, {64, false}, {64, true}, {128, false}};
    printf("%8s %8s %7s %12s %12s %14s %8s %9s\n", "tokens", "numbers", "threads", "tokens/s",
           "best", "tokens/cpu s", "tape MiB", "peak MiB");
    for (int bf16 = 0; bf16 < 2; bf16++) {
        open_learner(b, thread_default_count(), bf16);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            drop_batches(b);
            make_batch(b, rows[i].len, rows[i].ragged);
            const struct figures f = measure(b, 3);
            printf("%6d%2s %8s %7d %12.0f %12.0f %14.0f %8.0f %9.0f\n", rows[i].len,
                   rows[i].ragged ? "~" : "", bf16 ? "bf16" : "fp32", thread_default_count(),
                   f.tokens_s, f.best_tokens_s, 1 / f.cpu_s,
                   (double)tape_peak_bytes(&b->tape) / 1048576, peak_mib());
        }
        close_learner(b);
    }
}

int main(int argc, char **argv)
{
    struct err e = {0};
    static struct bench b;
    const bool serving = argc == 3 && strcmp(argv[2], "--serve") == 0;
    if (argc != 2 + serving) {
        fprintf(stderr, "usage: bench_train MODEL [--serve]\n");
        return 2;
    }
    if (kernels_init(&e))
        die(&e);
    b.dir = argv[1];
    if (serving)
        serve(&b);
    else
        table(&b);
    close_learner(&b);
    drop_batches(&b);
    free(b.batch);
    return 0;
}
