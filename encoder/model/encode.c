/* encode.c - texts to vectors: prompts, tokens, batches, threads; see encoder.h.
 *
 * Texts go through in waves, so that memory does not grow with their number. A wave is tokenised by
 * all workers, sorted by length and packed into batches of about BATCH_TOKENS: enough rows for the
 * matrix product, few enough that activations stay in the L2 cache. Workers take whole batches,
 * each with a tape of its own. When a wave makes only one batch (a query), that one tape is split
 * over the workers instead, by output columns and attention heads. Neither changes any number: a
 * row depends on its own sequence alone.
 */
#include "encoder/model/model.h"

#include "src/base/stop.h"
#include "src/base/unicode.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_TOKENS = 256, /* a batch is closed before it passes this; a longer text is a batch */
    SPLIT_TOKENS = 64,  /* a wave with fewer tokens a worker is one batch, split over the workers */
    WAVE_TEXTS = 4096,
    WAVE_BYTES = 8 << 20 /* of text */
};

/* What one worker needs for one batch. */
struct session {
    struct tape tape;
    int out; /* slot of the result */
    int *token, *start, *skip;
    int cap_tok, cap_seq;
    struct batch batch;
};

/* What one worker needs to tokenise. */
struct reader {
    struct encoding encoding;
    struct str text; /* prompt and text */
    int *id;         /* of all texts of this wave that this worker read */
    size_t n_id, cap_id;
};

struct text_tokens {
    const int *id; /* set when the wave is tokenised */
    size_t at;     /* in the reader's ids */
    int reader, n;
};

struct encoder {
    const struct model *model;
    struct pool *pool;
    int n_workers;
    struct session *session; /* [n_workers] and one more, whose tape is split over the pool */
    struct reader *reader;   /* [n_workers] */
    struct text_tokens *text;
    int *order;       /* texts of the wave by falling length */
    int *batch_start; /* batch b is order[batch_start[b]..batch_start[b + 1]) */
};

/* One call, seen by the workers. */
struct job {
    struct encoder *e;
    const struct span *texts;
    size_t n;
    const char *prompt;
    int skip; /* leading tokens that pooling leaves out */
    bool normalise;
    float *out;
    atomic_bool failed;
    struct err err; /* written by the first to fail */
};

static void job_fail(struct job *j, const struct err *err)
{
    bool no = false;
    if (atomic_compare_exchange_strong(&j->failed, &no, true))
        j->err = *err;
}

/* ---- tokens -------------------------------------------------------------------------------------
 */

/* White space as the reference strips it: Unicode's, and the four ASCII separators. */
static bool is_blank(uint32_t cp)
{
    return uni_is_space(cp) || (cp >= 0x1c && cp <= 0x1f);
}

static struct span strip(struct span s)
{
    uint32_t cp;
    while (s.n) {
        const int used = utf8_next(s.p, s.n, &cp);
        if (!is_blank(cp))
            break;
        s = span_sub(s, (size_t)used, s.n);
    }
    while (s.n) {
        size_t at = s.n - 1; /* back to the start of the last character */
        while (at > 0 && s.n - at < 4 && ((unsigned char)s.p[at] & 0xc0) == 0x80)
            at--;
        if ((size_t)utf8_next(s.p + at, s.n - at, &cp) != s.n - at || !is_blank(cp))
            break;
        s.n = at;
    }
    return s;
}

static int encode_text(const struct job *j, struct reader *r, struct span text, struct err *err)
{
    const struct tokenize_options options = {.max_length = j->e->model->config.max_tokens};
    if (j->prompt[0]) {
        str_clear(&r->text);
        str_puts(&r->text, j->prompt);
        str_span(&r->text, text);
        if (r->text.failed)
            return err_kind_set(err, ERR_LIMIT, "a text of %zu bytes is too long", text.n);
        text = str_view(&r->text);
    }
    return tokenizer_encode(j->e->model->tokenizer, strip(text), NULL, &options, &r->encoding, err);
}

static int keep_ids(struct reader *r, struct text_tokens *t, int reader, struct err *err)
{
    const size_t n = (size_t)r->encoding.n;
    if (r->n_id + n > r->cap_id) {
        const size_t cap = (r->n_id + n) * 2;
        int *grown = realloc(r->id, cap * sizeof *grown);
        if (!grown)
            return err_kind_set(err, ERR_MEMORY, "not enough memory for the tokens of the texts");
        r->id = grown;
        r->cap_id = cap;
    }
    if (n)
        memcpy(r->id + r->n_id, r->encoding.id, n * sizeof *r->id);
    *t = (struct text_tokens){.at = r->n_id, .reader = reader, .n = (int)n};
    r->n_id += n;
    return 0;
}

static void tokenise_item(void *ctx, int item, int worker)
{
    struct job *j = ctx;
    struct reader *r = &j->e->reader[worker];
    struct err err = {0};
    if (atomic_load_explicit(&j->failed, memory_order_relaxed))
        return;
    if (stop_requested())
        err_kind_set(&err, ERR_STOPPED, "stopped");
    else if (encode_text(j, r, j->texts[item], &err) == 0 &&
             keep_ids(r, &j->e->text[item], worker, &err) == 0)
        return;
    job_fail(j, &err);
}

/* Tokens that the prompt alone takes at the front, without a closing special token. */
static int prompt_tokens(const struct encoder *e, const char *prompt, int *n, struct err *err)
{
    struct encoding enc = {0};
    const int special = tokenizer_special_count(e->model->tokenizer, false);
    *n = 0;
    if (!prompt[0])
        return 0;
    const struct tokenize_options options = {.max_length = e->model->config.max_tokens};
    const int rc =
        tokenizer_encode(e->model->tokenizer, strip(span_of(prompt)), NULL, &options, &enc, err);
    if (rc == 0)
        *n = enc.n - (special > 0 && enc.n > 0 && enc.segment[enc.n - 1] == 0);
    encoding_release(&enc);
    return rc;
}

/* ---- batches ------------------------------------------------------------------------------------
 */

static int longest_first(const void *a, const void *b, void *ctx)
{
    const struct text_tokens *t = ctx;
    const int x = *(const int *)a, y = *(const int *)b;
    if (t[x].n != t[y].n)
        return t[x].n < t[y].n ? 1 : -1;
    return (x > y) - (x < y);
}

/* Sorts the wave and cuts it into batches; returns how many. */
static int make_batches(struct encoder *e, int n)
{
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        e->order[i] = i;
        total += (size_t)e->text[i].n;
    }
    qsort_r(e->order, (size_t)n, sizeof *e->order, longest_first, e->text);
    /* Few tokens: smaller batches so that every worker has one; very few: one batch for all. */
    size_t budget = BATCH_TOKENS;
    const size_t share = total / (size_t)e->n_workers + 1;
    if (share < SPLIT_TOKENS)
        budget = total;
    else if (share < BATCH_TOKENS)
        budget = share;
    int n_batches = 0, in_batch = 0;
    e->batch_start[0] = 0;
    for (int i = 0; i < n; i++) {
        const int len = e->text[e->order[i]].n;
        if (in_batch && (size_t)(in_batch + len) > budget) {
            e->batch_start[++n_batches] = i;
            in_batch = 0;
        }
        in_batch += len;
    }
    e->batch_start[++n_batches] = n;
    return n_batches;
}

static int session_reserve(struct session *s, int n_tok, int n_seq, struct err *err)
{
    void *p;
    if (n_tok > s->cap_tok) {
        free(s->token);
        s->token = NULL;
        s->cap_tok = 0;
        if (mem_try(&p, (size_t)n_tok * sizeof *s->token, "a batch", err))
            return -1;
        s->token = p;
        s->cap_tok = n_tok;
    }
    if (n_seq > s->cap_seq) {
        free(s->start);
        free(s->skip);
        s->start = xmalloc(((size_t)n_seq + 1) * sizeof *s->start);
        s->skip = xmalloc((size_t)n_seq * sizeof *s->skip);
        s->cap_seq = n_seq;
    }
    return 0;
}

/* Packs texts order[i0..i1) that have tokens. */
static int pack(const struct job *j, struct session *s, int i0, int i1, struct err *err)
{
    int n_tok = 0, n_seq = 0;
    for (int i = i0; i < i1; i++)
        n_tok += j->e->text[j->e->order[i]].n;
    if (session_reserve(s, n_tok, i1 - i0, err))
        return -1;
    n_tok = 0;
    for (int i = i0; i < i1; i++) {
        const struct text_tokens *t = &j->e->text[j->e->order[i]];
        if (t->n == 0) /* longest first: nothing but empty ones follow */
            break;
        s->start[n_seq] = n_tok;
        s->skip[n_seq++] = j->skip;
        memcpy(s->token + n_tok, t->id, (size_t)t->n * sizeof *s->token);
        n_tok += t->n;
    }
    if (n_seq)
        s->start[n_seq] = n_tok;
    s->batch = (struct batch){
        .n_tok = n_tok, .n_seq = n_seq, .token = s->token, .start = s->start, .skip = s->skip};
    return 0;
}

static int run_batch(const struct job *j, struct session *s, int i0, int i1, struct err *err)
{
    const struct encoder *e = j->e;
    const int dim = e->model->config.dim;
    if (pack(j, s, i0, i1, err))
        return -1;
    if (s->batch.n_seq) {
        if (tape_bind(&s->tape, &s->batch, err))
            return -1;
        tape_forward(&s->tape);
    }
    for (int i = i0; i < i1; i++) {
        float *y = j->out + (size_t)e->order[i] * (size_t)dim;
        const float *x = s->tape.slot[s->out].x + (size_t)(i - i0) * (size_t)dim;
        if (i - i0 >= s->batch.n_seq)
            memset(y, 0, (size_t)dim * sizeof *y); /* a text without a single token */
        else if (j->normalise)
            normalise_row(y, x, dim);
        else
            memcpy(y, x, (size_t)dim * sizeof *y);
    }
    return 0;
}

static void batch_item(void *ctx, int item, int worker)
{
    struct job *j = ctx;
    struct err err = {0};
    if (atomic_load_explicit(&j->failed, memory_order_relaxed))
        return;
    if (stop_requested())
        err_kind_set(&err, ERR_STOPPED, "stopped");
    else if (run_batch(j, &j->e->session[worker], j->e->batch_start[item],
                       j->e->batch_start[item + 1], &err) == 0)
        return;
    job_fail(j, &err);
}

/* Encodes the first n entries of e->text into j->out. */
static void run_wave(struct job *j, int n)
{
    struct encoder *e = j->e;
    const int n_batches = make_batches(e, n);
    if (n_batches > 1 || e->n_workers == 1) {
        pool_run(e->pool, n_batches, batch_item, j);
        return;
    }
    struct err err = {0};
    if (stop_requested())
        err_kind_set(&err, ERR_STOPPED, "stopped");
    else if (run_batch(j, &e->session[e->n_workers], 0, n, &err) == 0)
        return;
    job_fail(j, &err);
}

/* ---- the door -----------------------------------------------------------------------------------
 */

static int open_session(const struct model *m, struct session *s, struct err *err)
{
    return model_tape(m, &s->tape, &s->out, err);
}

int encoder_open(const struct model *m, int threads, struct encoder **out, struct err *err)
{
    *out = NULL;
    if (!m->loaded)
        return err_kind_set(err, ERR_USAGE, "the model '%s' was opened without its weights",
                            m->info.name);
    if (threads < 1 || threads > 1024)
        return err_kind_set(err, ERR_USAGE, "%d threads: must be from 1 to 1024", threads);
    struct encoder *e = xcalloc(1, sizeof *e);
    e->model = m;
    e->pool = pool_new(threads);
    e->n_workers = pool_size(e->pool);
    e->session = xcalloc((size_t)e->n_workers + 1, sizeof *e->session);
    e->reader = xcalloc((size_t)e->n_workers, sizeof *e->reader);
    e->text = xcalloc(WAVE_TEXTS, sizeof *e->text);
    e->order = xcalloc(WAVE_TEXTS, sizeof *e->order);
    e->batch_start = xcalloc(WAVE_TEXTS + 1, sizeof *e->batch_start);
    for (int i = 0; i <= e->n_workers; i++)
        if (open_session(m, &e->session[i], err)) {
            encoder_close(e);
            return -1;
        }
    e->session[e->n_workers].tape.pool = e->pool;
    *out = e;
    return 0;
}

void encoder_close(struct encoder *e)
{
    if (!e)
        return;
    for (int i = 0; i <= e->n_workers; i++) {
        tape_release(&e->session[i].tape);
        free(e->session[i].token);
        free(e->session[i].start);
        free(e->session[i].skip);
    }
    for (int i = 0; i < e->n_workers; i++) {
        encoding_release(&e->reader[i].encoding);
        str_release(&e->reader[i].text);
        free(e->reader[i].id);
    }
    pool_free(e->pool);
    free(e->session);
    free(e->reader);
    free(e->text);
    free(e->order);
    free(e->batch_start);
    free(e);
}

static bool normalises(const struct encoder *e, int choice)
{
    return choice < 0 ? e->model->config.normalise : choice > 0;
}

/* Texts of the next wave. */
static size_t wave_length(const struct span *texts, size_t n)
{
    size_t bytes = 0, i = 0;
    while (i < n && i < WAVE_TEXTS && (i == 0 || bytes + texts[i].n <= WAVE_BYTES))
        bytes += texts[i++].n;
    return i;
}

static void tokenise_wave(struct job *j, int n)
{
    struct encoder *e = j->e;
    for (int i = 0; i < e->n_workers; i++)
        e->reader[i].n_id = 0;
    pool_run(e->pool, n, tokenise_item, j);
    for (int i = 0; i < n && !atomic_load(&j->failed); i++)
        e->text[i].id = e->reader[e->text[i].reader].id + e->text[i].at;
}

int encoder_embed(struct encoder *e, const struct span *texts, size_t n,
                  const struct encode_options *options, float *out, int *tokens, struct err *err)
{
    static const struct encode_options standard = {.role = EMBED_DEFAULT, .normalize = -1};
    const struct encode_options *o = options ? options : &standard;
    const size_t dim = (size_t)e->model->config.dim;
    struct job j = {.e = e,
                    .prompt = o->prompt ? o->prompt : model_role_prompt(e->model, o->role),
                    .normalise = normalises(e, o->normalize)};
    if (!e->model->config.module[0].include_prompt && prompt_tokens(e, j.prompt, &j.skip, err))
        return -1;
    for (size_t done = 0; done < n;) {
        j.n = wave_length(texts + done, n - done);
        j.texts = texts + done;
        j.out = out + done * dim;
        tokenise_wave(&j, (int)j.n);
        for (size_t i = 0; tokens && i < j.n; i++)
            tokens[done + i] = e->text[i].n;
        if (!atomic_load(&j.failed))
            run_wave(&j, (int)j.n);
        if (atomic_load(&j.failed)) {
            if (err)
                *err = j.err;
            return -1;
        }
        done += j.n;
    }
    return 0;
}

int encoder_embed_ids(struct encoder *e, const int *ids, const int *start, size_t n, int normalize,
                      float *out, struct err *err)
{
    const struct model_config *c = &e->model->config;
    struct job j = {.e = e, .prompt = "", .normalise = normalises(e, normalize)};
    for (size_t s = 0; s < n; s++) {
        if (start[s + 1] - start[s] < 0 || start[s + 1] - start[s] > c->max_tokens)
            return err_kind_set(err, ERR_USAGE, "sequence %zu is longer than %d tokens", s,
                                c->max_tokens);
        for (int i = start[s]; i < start[s + 1]; i++)
            if (ids[i] < 0 || ids[i] >= c->vocab)
                return err_kind_set(err, ERR_USAGE, "id %d is not in the vocabulary", ids[i]);
    }
    for (size_t done = 0; done < n;) {
        const size_t wave = n - done < WAVE_TEXTS ? n - done : WAVE_TEXTS;
        for (size_t i = 0; i < wave; i++)
            e->text[i] = (struct text_tokens){.id = ids + start[done + i],
                                              .n = start[done + i + 1] - start[done + i]};
        j.out = out + done * (size_t)c->dim;
        run_wave(&j, (int)wave);
        if (atomic_load(&j.failed)) {
            if (err)
                *err = j.err;
            return -1;
        }
        done += wave;
    }
    return 0;
}

size_t encoder_peak_bytes(const struct encoder *e)
{
    size_t sum = 0;
    for (int i = 0; i <= e->n_workers; i++)
        sum += tape_peak_bytes(&e->session[i].tape);
    return sum;
}
