/* tape.h - a model as a list of operations.
 *
 * Running the list up encodes; running it down (each op's backward, in reverse order) trains. Two
 * ideas carry it. A *slot* is a value: a matrix [rows, cols] whose row kind says how its height
 * follows from the batch. An *op* reads slots and parameters and writes one slot. There is no
 * graph, no stride, no broadcasting; ops are coarse (a whole attention, a linear layer with its
 * epilogue), and variation is attributes of the op, not more kinds.
 *
 * A tape is built once per (model, head, mode) by calling the tape_* builders below, each of which
 * appends ops and returns the slot of its result. Errors while building are sticky (a failed tape
 * takes further calls and returns slot 0); tape_finish() reports the first and plans memory.
 * Then, for each batch: tape_bind() assigns memory and tape_forward() runs. A tape belongs to one
 * thread; the parameters it refers to are shared.
 *
 * Batches are packed: n_tok tokens of n_seq sequences end to end, start[n_seq + 1], no padding and
 * no masks. A row of any slot depends on its own sequence only, so the numbers for a text are the
 * same, bit for bit, whatever else is in the batch and however many threads work on it.
 */
#ifndef SEMSEARCH_ENCODER_TAPE_TAPE_H
#define SEMSEARCH_ENCODER_TAPE_TAPE_H

#include "encoder/tape/param.h"
#include "src/base/precision.h"
#include "src/base/thread.h"

#include <stdint.h>

struct batch {
    int n_tok, n_seq;
    const int *token; /* [n_tok], each below the rows of the word table */
    const int *type;  /* [n_tok] segment 0 or 1; NULL: all 0 */
    const int
        *start;      /* [n_seq + 1]: sequence s is tokens [start[s], start[s + 1]); none is empty */
    const int *skip; /* [n_seq] leading tokens that pooling leaves out; NULL: none */
    const int *pick; /* [n_pick] tokens, rising, that tape_pick takes (the masked ones of an MLM) */
    int n_pick;
    const uint64_t *seq_key; /* [n_seq] what dropout knows a sequence by, so that its mask is the
                                same in whatever batch and order it runs; NULL: 0, 1, 2, ... */
};

enum rows {
    ROWS_TOK,  /* one row a token */
    ROWS_SEQ,  /* one row a sequence */
    ROWS_PICK, /* one row a picked token */
    ROWS_FIXED /* n_fixed rows, whatever the batch */
};
enum { ROW_KINDS = 4 };

struct slot {
    enum rows rows;
    int n_fixed, cols;
    int first, last; /* the ops that write it first and use it last, going up */
    bool kept;       /* the caller reads it, and in a training tape writes its gradient */
    bool wanted;     /* training: something that it was made from is trained */
    bool remade;     /* going down: x was made again */
    bool has_dx;     /* going down: dx holds something already, so the next addend is added */
    int life, again, dlife; /* of the plan: x going up, x made once more for going down, dx; -1:
                               none */
    float *x; /* [rows, cols], after tape_bind: x_up, or once it was made again, x_down */
    float *x_up, *x_down;
    float *dx; /* its gradient, where it is wanted or kept; else NULL */
};

/* A stretch of time during which some memory is taken. Time i is the forward of op i, n_ops the
 * caller's between the two directions, 2 n_ops - i the backward of op i. Lives of one row kind that
 * overlap in time lie side by side, `offset` columns (ROWS_FIXED: floats) from the beginning. */
struct life {
    enum rows rows;
    int from, to;
    size_t cols, offset;
};

enum pool_mode {
    POOL_CLS,
    POOL_MAX,
    POOL_MEAN,
    POOL_MEAN_SQRT_LEN,
    POOL_WEIGHTEDMEAN,
    POOL_LASTTOKEN
};
enum { POOL_MODES = 6, OP_MAX_IN = 4, OP_MAX_PARAMS = 6 };

struct tape;
struct op;

/* What backward of a kind reads besides the gradient of its output. */
enum {
    BACK_IN = 1,     /* the values of its inputs */
    BACK_OUT = 2,    /* that of its output */
    BACK_REMAKE = 4, /* forward is cheap and reads what backward keeps anyway: run it again rather
                        than keep the output */
};

/* A kind of operation. Both directions of one kind live side by side in one op_*.c file.
 * A kind whose backward is NULL cannot be part of a training tape: tape_finish() says so. */
struct op_kind {
    const char *name;
    void (*forward)(struct tape *t, struct op *o, const struct batch *b);
    void (*backward)(struct tape *t, struct op *o, const struct batch *b);
    /* Floats of per-worker scratch that forward needs for this batch; NULL: none. */
    size_t (*scratch)(const struct op *o, const struct batch *b);
    int in_place;  /* the input whose buffer the output may take over, when it is not used later;
                      -1: none */
    unsigned back; /* BACK_* */
    int back_in_place; /* the input whose gradient may take over that of the output; -1: none */
    /* Floats of scratch that backward needs: per worker, and shared by all; NULL: none. */
    size_t (*back_scratch)(const struct op *o, const struct batch *b);
    size_t (*back_shared)(const struct op *o, const struct batch *b);
};

struct op {
    const struct op_kind *kind;
    int in[OP_MAX_IN]; /* slots; -1: absent */
    int out;
    int w[OP_MAX_PARAMS]; /* parameters; -1: absent */
    /* attributes, of the kinds that have them */
    int heads, head_dim, window;
    enum activation act;
    int depth, width; /* columns of in[0] and of out, of the kinds whose scratch follows them */
    float eps, scale;
    int pos_offset;
    enum pool_mode pool[POOL_MODES];
    int n_pool;
    float drop;    /* probability of dropout */
    uint64_t site; /* of its masks, see dropout.h */
    bool active;   /* training: something at or below it is trained, so its backward runs */
};

enum tape_mode {
    TAPE_INFER, /* buffers are reused, epilogues fused */
    TAPE_TRAIN  /* what backward needs is kept or made again; every op must have a backward */
};

struct tape {
    enum tape_mode mode;
    bool fuse; /* epilogues run inside the linear op; on for TAPE_INFER */
    /* Of the linear layers over token rows that are appended from now on (tape_linear); fp32 unless
     * set. Attention follows in bf16 where the CPU has it; all other ops are fp32 always. */
    enum precision precision;
    struct params *params;
    struct op *op;
    int n_ops, cap_ops;
    struct slot *slot;
    int n_slots, cap_slots;
    struct life *life;
    int n_lives, cap_lives;
    size_t width[ROW_KINDS]; /* columns of all lives of a row kind side by side */
    struct pool *pool;       /* NULL: this thread alone; else one op is split over its workers */

    float *arena; /* the memory of all lives and of the scratch, grown when a batch needs more */
    size_t arena_floats, peak_bytes;
    float *scratch; /* worker i's begins at scratch + i * scratch_floats */
    size_t scratch_floats;
    float *shared; /* of all workers, going down */
    const struct batch *batch;
    uint64_t seed, step; /* of dropout's masks; the caller sets them before tape_forward */
    int n_sites;         /* dropout places so far: each has masks of its own */
    struct err err;      /* the first failure while building */
    bool failed;
};

/* `params` is borrowed and must outlive the tape. */
void tape_init(struct tape *t, struct params *params, enum tape_mode mode);
void tape_release(struct tape *t);

/* Checks the ops against the mode and plans which slots share memory. `out` is the slot that must
 * survive to the end. In a training tape the parameters that have a gradient (param->dx) now are
 * those that are trained: nothing is kept or done for the others. */
int tape_finish(struct tape *t, int out, struct err *err) WARN_UNUSED;

/* Assigns memory for this batch, which must stay valid until the next bind. Allocates only when the
 * batch is larger than all before. Fails on memory. */
int tape_bind(struct tape *t, const struct batch *b, struct err *err) WARN_UNUSED;
/* Bytes that tape_bind would need for this batch. */
size_t tape_bytes(const struct tape *t, const struct batch *b);
void tape_forward(struct tape *t);

/* Runs the list down, once after each tape_forward. On entry slot[out].dx (and that of every other
 * slot that the caller kept with tape_keep) holds the derivative of the loss by that slot; the
 * gradients of the parameters are added to param->dx. The numbers do not depend on the number of
 * threads. Values (slot.x) are gone afterwards, those of kept slots too. */
void tape_backward(struct tape *t);
/* Before tape_finish: a further slot that the caller reads after forward, and in a training tape
 * writes the gradient of before backward (0 where it has none). */
void tape_keep(struct tape *t, int slot);

int tape_slot_rows(const struct slot *s, const struct batch *b);
size_t tape_peak_bytes(const struct tape *t); /* most that any bind has needed */
/* Floats per token, per sequence and in all that the plan takes (without scratch). */
void tape_plan_floats(const struct tape *t, size_t *per_tok, size_t *per_seq, size_t *fixed);

/* ---- builders: each appends ops and returns the slot of the result ------------------------------
 */

/* [n_tok, hidden]: word[token] + type[segment] + pos[pos_offset + index in the sequence].
 * n_type or n_pos 0: the model has no such table. Names: NAME.word, NAME.type, NAME.pos. */
int tape_embed(struct tape *t, const char *name, int n_word, int n_type, int n_pos, int pos_offset,
               int hidden);

/* y = act(x W^T + b) + residual; x [rows, cols(x)], W [out, cols(x)], residual (-1: none) [rows,
 * out]. Fused into one op, or in a tape that does not fuse, up to three. Over token rows the
 * product is done in the tape's precision, elsewhere in fp32. Names: NAME.weight, NAME.bias. */
int tape_linear(struct tape *t, const char *name, int x, int out, bool bias, enum activation act,
                int residual);

/* The same with dropout (below) between activation and residual:
 * y = dropout(act(x W^T + b), p) + residual. */
int tape_linear_dropout(struct tape *t, const char *name, int x, int out, bool bias,
                        enum activation act, float p, int residual);

/* Layer normalisation over the columns (Ba et al. 2016), biased variance, eps inside the root.
 * Names: NAME.weight, NAME.bias. */
int tape_norm(struct tape *t, const char *name, int x, float eps);

/* Bidirectional scaled dot-product attention (Vaswani et al. 2017) within each sequence. qkv
 * [n_tok, 3 * hidden] holds all queries, all keys, all values of a token side by side; head h is
 * columns [h * d, (h + 1) * d) of each; the result [n_tok, hidden] has the heads in that order.
 * window < 0: every key, else keys with |i - j| <= window. */
int tape_attention(struct tape *t, int qkv, int heads, int window);

/* Training tapes only drop (elsewhere the value passes): every element is 0 with probability p,
 * else x / (1 - p) (Srivastava et al. 2014, inverted). The mask is a function of (seed, step, site,
 * sequence key, token, column): no state, no dependence on threads. p 0: nothing is appended. */
int tape_dropout(struct tape *t, int x, float p);
/* As tape_attention, its weights dropped with probability p in a training tape. */
int tape_attention_dropout(struct tape *t, int qkv, int heads, int window, float p);

/* [n_pick, cols(x)]: the rows of the batch's picked tokens. */
int tape_pick(struct tape *t, int x);

/* y = x T^T + b with the rows of a table as weights: the decoder of masked-language models, tied to
 * the word embeddings (Press and Wolf 2017). table: a PARAM_TABLE [out, cols(x)]; bias: the whole
 * name of a vector [out]. */
int tape_linear_tied(struct tape *t, const char *table, const char *bias, int x, int out);

/* [n_seq, n * cols(x)]: the chosen poolings of each sequence's rows, side by side in the given
 * order (definitions at their code, after sentence-transformers). */
int tape_pool(struct tape *t, int x, const enum pool_mode *mode, int n);

/* Rows divided by max(their Euclidean norm, 1e-12). */
int tape_normalise(struct tape *t, int x);

/* ---- for the op files ---------------------------------------------------------------------------
 */

extern const struct op_kind op_embed, op_linear, op_activate, op_add, op_norm, op_attention,
    op_pool, op_normalise, op_dropout, op_dropout_add, op_pick, op_pool_max, op_attention_dropout,
    op_attention_bf16;

/* Appends an op with one output of the given shape and returns it; NULL in a failed tape. All in[]
 * and w[] are -1. */
struct op *tape_op(struct tape *t, const struct op_kind *kind, enum rows rows, int n_fixed,
                   int cols);
/* "NAME.PART" of the set; on failure the tape fails and 0 comes back. */
int tape_param(struct tape *t, const char *name, const char *part, enum param_kind kind, int rows,
               int cols);
int tape_param_named(struct tape *t, const char *full_name, enum param_kind kind, int rows,
                     int cols);
void tape_fail(struct tape *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* As pool_run over the tape's pool, or in this thread. */
void tape_run(struct tape *t, int n_items, void (*fn)(void *ctx, int item, int worker), void *ctx);
/* Going down: where the gradient of o's input k belongs, NULL: nowhere. *add says whether it holds
 * something already, to which this op's part is added, or is to be overwritten. Call it once for
 * each use of the slot. */
float *tape_grad(struct tape *t, const struct op *o, int k, bool *add);
/* The same for inputs whose gradient is that of the output as it is. */
void tape_grad_pass(struct tape *t, const struct op *o, int k);
/* The single-row form of op_normalise. */
void normalise_row(float *y, const float *x, int n);

#endif
