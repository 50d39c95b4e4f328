/* cmd_predict.c - `predict`: what a model's head says about each line.
 *
 * Lines stream: a batch is read, run and written before the next is read. A bad line ends the run
 * when all lines before it are answered, so answer n is always that of line n. A line that begins
 * with
 * '{' is a JSON object, any other is a text (or two with a TAB between, where the task wants two).
 */
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/output.h"
#include "cli/registry.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/base/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_LINES = 256 };
#define BATCH_BYTES ((size_t)8 << 20)

struct batch {
    struct arena arena; /* of the texts */
    struct predict_input in[BATCH_LINES];
    struct prediction out[BATCH_LINES];
    int64_t line[BATCH_LINES];
    size_t n, bytes;
};

struct predictor {
    const struct args *args;
    const struct model *model;
    const struct task_io *io;
    struct encoder *encoder;
    struct predict_options options;
};

static struct span keep(struct batch *b, struct span s)
{
    b->bytes += s.n;
    return (struct span){arena_strndup(&b->arena, s.p ? s.p : "", s.n), s.n};
}

/* ---- lines in -----------------------------------------------------------------------------------
 */

/* How a task's lines and answers look. */
struct task_io {
    const char *task;
    const char *first, *second; /* keys of a JSON line */
    bool second_required;       /* a plain line is then two texts with a TAB between */
    bool words;                 /* "tokens" may stand for the text */
    void (*write)(const struct predictor *p, const struct predict_input *in,
                  const struct prediction *out, struct json_writer *w);
};

static int wrong_line(const struct lines *l, struct err *err, const char *expected)
{
    return err_kind_set(err, ERR_FORMAT, "%s, line %lld: expected %s", l->name,
                        (long long)l->number, expected);
}

static int read_tokens(struct batch *b, const struct lines *l, const json_value *tokens,
                       struct predict_input *in, struct err *err)
{
    const size_t n = js_count(tokens);
    struct span *word = arena_alloc(&b->arena, (n + 1) * sizeof *word);
    for (size_t i = 0; i < n; i++) {
        if (!js_is_string(js_at(tokens, i)))
            return wrong_line(l, err, "\"tokens\" to be a list of strings");
        word[i] = keep(b, js_string(js_at(tokens, i), ""));
    }
    in->word = word;
    in->n_words = n;
    return 0;
}

static int read_object(const struct task_io *io, struct batch *b, const struct lines *l,
                       const json_value *v, struct predict_input *in, struct err *err)
{
    const json_value *first = js_get(v, io->first), *second = NULL;
    const json_value *tokens = io->words ? js_get(v, "tokens") : NULL;
    char expected[80];
    if (js_is_array(tokens))
        return read_tokens(b, l, tokens, in, err);
    snprintf(expected, sizeof expected, "an object with \"%s\"%s%s%s", io->first,
             io->words ? " or \"tokens\"" : "", io->second_required ? " and \"" : "",
             io->second_required ? io->second : "");
    if (io->second_required)
        strcat(expected, "\"");
    if (!js_is_string(first))
        return wrong_line(l, err, expected);
    in->text = keep(b, js_string(first, ""));
    if (io->second)
        second = js_get(v, io->second);
    if (second ? !js_is_string(second) : io->second_required)
        return wrong_line(l, err, expected);
    if (second)
        in->pair = keep(b, js_string(second, ""));
    return 0;
}

static int read_json(const struct task_io *io, struct batch *b, const struct lines *l,
                     struct span line, struct predict_input *in, struct err *err)
{
    char *where = xasprintf("%s, line %lld", l->name, (long long)l->number);
    json_value *v = js_parse_line(line, err);
    if (!v)
        err_wrap(err, "%s", where);
    const int rc = v ? read_object(io, b, l, v, in, err) : -1;
    js_free(v);
    free(where);
    return rc;
}

static int read_plain(const struct predictor *p, struct batch *b, const struct lines *l,
                      struct span line, struct predict_input *in, struct err *err)
{
    struct span rest = line, text = line, more;
    if (!p->io->second_required && !(p->args->pair && p->io->second)) {
        in->text = keep(b, text);
        return 0;
    }
    span_split(&rest, '\t', &text);
    if (!rest.p || (span_split(&rest, '\t', &more), rest.p))
        return wrong_line(l, err, "two texts with one TAB between, or a JSON object");
    in->text = keep(b, text);
    in->pair = keep(b, more);
    return 0;
}

static int read_line(const struct predictor *p, struct batch *b, const struct lines *l,
                     struct span line, struct err *err)
{
    const char *input = p->args->input;
    struct predict_input *in = &b->in[b->n];
    *in = (struct predict_input){0};
    b->line[b->n] = l->number;
    const bool jsonl = input && strcmp(input, "jsonl") == 0;
    const int rc = jsonl || (!input && line.n && line.p[0] == '{')
                       ? read_json(p->io, b, l, line, in, err)
                       : read_plain(p, b, l, line, in, err);
    b->n += rc == 0;
    return rc;
}

/* Fills the batch; 1: more may follow, 0: the end of input, -1: a bad line. What was read before it
 * is in the batch. */
static int batch_read(const struct predictor *p, struct batch *b, struct lines *l, struct err *err)
{
    struct span line;
    int rc = 1;
    while (rc == 1 && b->n < BATCH_LINES && b->bytes < BATCH_BYTES) {
        rc = lines_next(l, &line, err);
        if (rc == 1 && read_line(p, b, l, line, err))
            rc = -1;
    }
    return rc;
}

static void batch_clear(struct batch *b)
{
    arena_release(&b->arena);
    b->n = b->bytes = 0;
}

/* ---- answers out --------------------------------------------------------------------------------
 */

enum { DIGITS = 7 }; /* that a float has */

static void write_classes(const struct predictor *p, const struct predict_input *in,
                          const struct prediction *out, struct json_writer *w)
{
    const struct model_info *m = model_info(p->model);
    (void)in;
    if (model_regression(p->model)) {
        jw_kfloat(w, "score", out->score[0], DIGITS);
        return;
    }
    jw_ktext(w, "label", m->label[out->best]);
    jw_kfloat(w, "score", out->score[out->best], DIGITS);
    jw_key(w, "scores");
    jw_object(w);
    for (int i = 0; i < out->n_scores; i++)
        jw_kfloat(w, m->label[i], out->score[i], DIGITS);
    jw_end(w);
}

/* The text of words [start, end), or of bytes. */
static void write_text(const struct predict_input *in, size_t start, size_t end,
                       struct json_writer *w)
{
    if (!in->word) {
        jw_kstring(w, "text", span_sub(in->text, start, end));
        return;
    }
    struct str joined = {0};
    for (size_t i = start; i < end; i++) {
        str_puts(&joined, i > start ? " " : "");
        str_span(&joined, in->word[i]);
    }
    jw_kstring(w, "text", joined.p ? str_view(&joined) : span_of(""));
    str_release(&joined);
}

static void write_entities(const struct predictor *p, const struct predict_input *in,
                           const struct prediction *out, struct json_writer *w)
{
    jw_key(w, "entities");
    jw_array(w);
    for (size_t i = 0; i < out->n_entities; i++) {
        const struct predicted_entity *e = &out->entity[i];
        jw_object(w);
        jw_ktext(w, "label", e->label);
        write_text(in, e->start, e->end, w);
        jw_kint(w, "start", (int64_t)e->start);
        jw_kint(w, "end", (int64_t)e->end);
        jw_kfloat(w, "score", e->score, DIGITS);
        jw_end(w);
    }
    jw_end(w);
    if (!in->word)
        return;
    jw_key(w, "tags");
    jw_array(w);
    for (size_t i = 0; i < in->n_words; i++)
        jw_text(w, model_info(p->model)->label[out->tag[i]]);
    jw_end(w);
}

static void write_answer(const struct predictor *p, const struct predict_input *in,
                         const struct prediction *out, struct json_writer *w)
{
    const size_t start = out->answered ? out->start : 0, end = out->answered ? out->end : 0;
    (void)p;
    jw_key(w, "answer");
    jw_string(w, out->answered ? span_sub(in->pair, start, end) : span_of(""));
    jw_kint(w, "start", (int64_t)start);
    jw_kint(w, "end", (int64_t)end);
    if (out->spanned)
        jw_kfloat(w, "score", out->answer_score, DIGITS);
    else
        jw_knull(w, "score");
    jw_kfloat(w, "null_score", out->null_score, DIGITS);
}

static void write_masks(const struct predictor *p, const struct predict_input *in,
                        const struct prediction *out, struct json_writer *w)
{
    (void)in;
    jw_key(w, "masks");
    jw_array(w);
    for (int i = 0; i < out->n_masks; i++) {
        jw_array(w);
        for (int k = 0; k < out->top; k++) {
            const struct predicted_word *word = &out->word[i * out->top + k];
            jw_object(w);
            jw_kstring(w, "token", tokenizer_token(model_tokenizer(p->model), word->id));
            jw_kint(w, "id", word->id);
            jw_kfloat(w, "score", word->score, DIGITS);
            jw_end(w);
        }
        jw_end(w);
    }
    jw_end(w);
}

static void write_next(const struct predictor *p, const struct predict_input *in,
                       const struct prediction *out, struct json_writer *w)
{
    (void)p, (void)in;
    jw_kbool(w, "is_next", out->score[0] >= .5);
    jw_kfloat(w, "score", out->score[0], DIGITS);
}

static const struct task_io tasks[] = {
    {"text-classification", "text", "text_pair", false, false, write_classes},
    {"token-classification", "text", NULL, false, true, write_entities},
    {"question-answering", "question", "context", true, false, write_answer},
    {"fill-mask", "text", NULL, false, false, write_masks},
    {"next-sentence", "text", "text_pair", true, false, write_next}};

/* ---- the command --------------------------------------------------------------------------------
 */

static void write_batch(const struct predictor *p, struct batch *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct str out = {0};
        struct json_writer w;
        json_begin(&w, &out);
        p->io->write(p, &b->in[i], &b->out[i], &w);
        json_finish(&w);
        out_str(&out);
        prediction_release(&b->out[i]);
    }
}

/* A line that the model cannot take does not cost the lines before it their answers: they are asked
 * again without it, so that the first such line is the one that is told, whatever the threads. */
static int predict_batch(struct predictor *p, struct batch *b, const struct lines *l,
                         struct err *err)
{
    size_t n = b->n, failed;
    int rc = 0;
    while (encoder_predict(p->encoder, b->in, n, &p->options, b->out, &failed, err)) {
        rc = -1;
        if (failed >= n || err->kind == ERR_STOPPED)
            return -1;
        err_wrap(err, "%s, line %lld", l->name, (long long)b->line[failed]);
        n = failed;
    }
    write_batch(p, b, n);
    return rc;
}

static int predict_lines(struct predictor *p, struct lines *l, struct err *err)
{
    struct batch *b = xcalloc(1, sizeof *b);
    int rc = 1;
    while (rc == 1 && !out_failed()) {
        rc = batch_read(p, b, l, err);
        if ((rc >= 0 || err->kind != ERR_STOPPED) && predict_batch(p, b, l, err))
            rc = -1;
        batch_clear(b);
    }
    free(b);
    return rc < 0 ? -1 : 0;
}

static int open_predictor(const struct args *a, struct model **model, struct predictor *p,
                          struct err *err)
{
    struct registry_entry from = {0};
    const struct model_options options = {.precision = a->precision,
                                          .task = a->task ? a->task : "auto"};
    *p = (struct predictor){.args = a};
    int rc = registry_resolve(a->model, &from, err);
    if (rc == 0)
        rc = model_open(from.path, &options, model, err);
    registry_entry_release(&from);
    if (rc)
        return -1;
    p->model = *model;
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
        if (strcmp(tasks[i].task, model_task(*model)) == 0)
            p->io = &tasks[i];
    predict_defaults(&p->options);
    p->options.null_threshold = a->null_threshold;
    if (a->top)
        p->options.top = (int)a->top;
    if (a->max_answer_length)
        p->options.max_answer_length = (int)a->max_answer_length;
    const int threads = a->threads ? (int)a->threads : thread_default_count();
    return encoder_open(*model, threads, &p->encoder, err);
}

int cmd_predict(const struct args *a, struct err *err)
{
    struct predictor p;
    struct model *model = NULL;
    struct lines l = {0};
    int rc = lines_open(a, &l, err);
    if (rc)
        return -1;
    rc = open_predictor(a, &model, &p, err);
    if (rc == 0)
        rc = predict_lines(&p, &l, err);
    encoder_close(p.encoder);
    model_close(model);
    lines_close(&l);
    return rc;
}
