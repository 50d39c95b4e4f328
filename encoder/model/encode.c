/* encode.c - texts to vectors: prompts, tokens, batches, threads; see encoder.h.
 *
 * Texts go through in waves, so that memory does not grow with their number. A wave is tokenised by
 * all workers, then run (runner.h).
 */
#include "encoder/model/encode.h"
#include "src/base/stop.h"
#include "src/base/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { WAVE_BYTES = 8 << 20 /* of text */ };

/* What one worker needs to tokenise. */
struct reader {
    struct encoding encoding;
    struct str text; /* prompt and text */
    int *id;         /* of all texts of this wave that this worker read */
    size_t n_id, cap_id;
};

struct text_tokens {
    size_t at; /* in the reader's ids */
    int reader, n;
};

struct encoder {
    const struct model *model;
    struct runner runner;
    struct reader *reader;    /* [n_workers] */
    struct text_tokens *text; /* [RUN_SEQUENCES] */
    struct run_sequence *seq; /* likewise */
};

/* One call, seen by the workers. */
struct job {
    struct encoder *e;
    const struct span *texts;
    const char *prompt;
    int skip; /* leading tokens that pooling leaves out */
    bool normalise;
    float *out;
    struct failure failure;
};

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
    if (failure_seen(&j->failure))
        return;
    if (stop_requested())
        err_kind_set(&err, ERR_STOPPED, "stopped");
    else if (encode_text(j, r, j->texts[item], &err) == 0 &&
             keep_ids(r, &j->e->text[item], worker, &err) == 0)
        return;
    failure_set(&j->failure, &err);
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

static int tokenise_wave(struct job *j, int n, struct err *err)
{
    struct encoder *e = j->e;
    for (int i = 0; i < e->runner.n_workers; i++)
        e->reader[i].n_id = 0;
    pool_run(e->runner.pool, n, tokenise_item, j);
    if (failure_seen(&j->failure)) {
        if (err)
            *err = j->failure.err;
        return -1;
    }
    for (int i = 0; i < n; i++)
        e->seq[i] = (struct run_sequence){.id = e->reader[e->text[i].reader].id + e->text[i].at,
                                          .n = e->text[i].n};
    return 0;
}

/* ---- vectors ------------------------------------------------------------------------------------
 */

static void take_vector(void *ctx, int item, const struct seq_output *o)
{
    const struct job *j = ctx;
    const int dim = j->e->model->config.dim;
    float *y = j->out + (size_t)item * (size_t)dim;
    if (!o->out)
        memset(y, 0, (size_t)dim * sizeof *y); /* a text without a single token */
    else if (j->normalise)
        normalise_row(y, o->out, dim);
    else
        memcpy(y, o->out, (size_t)dim * sizeof *y);
}

/* ---- the door -----------------------------------------------------------------------------------
 */

int encoder_open(const struct model *m, int threads, struct encoder **out, struct err *err)
{
    *out = NULL;
    struct encoder *e = xcalloc(1, sizeof *e);
    e->model = m;
    if (runner_open(&e->runner, m, threads, err)) {
        free(e);
        return -1;
    }
    e->reader = xcalloc((size_t)e->runner.n_workers, sizeof *e->reader);
    e->text = xcalloc(RUN_SEQUENCES, sizeof *e->text);
    e->seq = xcalloc(RUN_SEQUENCES, sizeof *e->seq);
    *out = e;
    return 0;
}

void encoder_close(struct encoder *e)
{
    if (!e)
        return;
    for (int i = 0; i < e->runner.n_workers; i++) {
        encoding_release(&e->reader[i].encoding);
        str_release(&e->reader[i].text);
        free(e->reader[i].id);
    }
    runner_close(&e->runner);
    free(e->reader);
    free(e->text);
    free(e->seq);
    free(e);
}

struct runner *encoder_runner(struct encoder *e)
{
    return &e->runner;
}

struct encoding *encoder_scratch(struct encoder *e, int worker)
{
    return &e->reader[worker].encoding;
}

static bool normalises(const struct encoder *e, int choice)
{
    return choice < 0 ? e->model->config.normalise : choice > 0;
}

/* Texts of the next wave. */
static size_t wave_length(const struct span *texts, size_t n)
{
    size_t bytes = 0, i = 0;
    while (i < n && i < RUN_SEQUENCES && (i == 0 || bytes + texts[i].n <= WAVE_BYTES))
        bytes += texts[i++].n;
    return i;
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
        const size_t wave = wave_length(texts + done, n - done);
        j.texts = texts + done;
        j.out = out + done * dim;
        if (tokenise_wave(&j, (int)wave, err))
            return -1;
        for (size_t i = 0; tokens && i < wave; i++)
            tokens[done + i] = e->text[i].n;
        if (runner_run(&e->runner, e->seq, (int)wave, j.skip, take_vector, &j, err))
            return -1;
        done += wave;
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
        const size_t wave = n - done < RUN_SEQUENCES ? n - done : RUN_SEQUENCES;
        for (size_t i = 0; i < wave; i++)
            e->seq[i] = (struct run_sequence){.id = ids + start[done + i],
                                              .n = start[done + i + 1] - start[done + i]};
        j.out = out + done * (size_t)c->dim;
        if (runner_run(&e->runner, e->seq, (int)wave, 0, take_vector, &j, err))
            return -1;
        done += wave;
    }
    return 0;
}

size_t encoder_peak_bytes(const struct encoder *e)
{
    return runner_peak_bytes(&e->runner);
}
