/* data_squad.c - questions with their passages: the JSON of SQuAD 1.1 and 2.0 (Rajpurkar et al.
 * 2016, 2018), cut into windows.
 *
 * answer_start counts code points; everything here is bytes. A passage that does not fit beside its
 * question is cut into windows that overlap by `doc_stride` tokens. A window that holds the first
 * answer whole is labelled with its first and last token, every other one with token 0, the [CLS]
 * (transformers' run_qa).
 */
#include "encoder/train/dataset.h"
#include "encoder/train/json_line.h"

#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <stdlib.h>
#include <string.h>

#define MAX_JSON_BYTES ((size_t)2 << 30)

struct reader {
    struct dataset *d;
    int file;
    size_t cap_questions, cap_contexts;
    /* what is being read, for messages */
    size_t article, paragraph, place; /* of the question in its paragraph */
    const char *id;                   /* of the question; NULL: the paragraph itself */
};

/* The file is read once more: this is rare, and a good file pays nothing for it. */
static long long line_of(const struct reader *r)
{
    const struct json_step path[] = {
        {.key = "data"},       {.at = (int64_t)r->article},
        {.key = "paragraphs"}, {.at = (int64_t)r->paragraph},
        {.key = "qas"},        {.at = (int64_t)r->place},
    };
    struct map m;
    struct err ignored;
    if (map_open(&m, r->d->options.file[r->file], &ignored))
        return 0;
    const struct span text = {(const char *)m.p, m.n};
    const int64_t line = json_line(text, path, r->id ? 6 : 4);
    map_close(&m);
    return line;
}

static int bad(const struct reader *r, struct err *err, const char *what)
{
    const struct dataset *d = r->d;
    if (d->options.skip_bad_rows && d->skipped) /* nobody reads it */
        return err_kind_set(err, ERR_FORMAT, "%s", what);
    return err_kind_set(err, ERR_FORMAT, "%s, line %lld%s%.60s%s: %s", d->options.file[r->file],
                        line_of(r), r->id ? ", question '" : "", r->id ? r->id : "",
                        r->id ? "'" : "", what);
}

/* The byte at which code point `n` begins; SIZE_MAX: past the end. */
static size_t byte_of(struct span text, int64_t n)
{
    size_t at = 0;
    uint32_t cp;
    for (; n > 0; n--) {
        if (at >= text.n)
            return SIZE_MAX;
        at += (size_t)utf8_next(text.p + at, text.n - at, &cp);
    }
    return at;
}

static int take_answer(const struct reader *r, struct question *q, const json_value *v,
                       struct err *err)
{
    const struct span text = js_string(js_get(v, "text"), ""), context = span_of(q->context);
    const int64_t start = js_int(js_get(v, "answer_start"), -1);
    const size_t at = start < 0 ? SIZE_MAX : byte_of(context, start);
    if (text.n == 0 || start < 0)
        return bad(r, err, "an answer needs 'text' and 'answer_start'");
    if (at == SIZE_MAX || at + text.n > context.n || memcmp(context.p + at, text.p, text.n) != 0)
        return bad(r, err, "the answer's text does not stand at its answer_start");
    q->answer = xrealloc_array(q->answer, q->n_answers + 1, sizeof *q->answer);
    q->answer[q->n_answers++] =
        (struct answer){.text = xstrndup(text.p, text.n), .start = (uint32_t)at};
    return 0;
}

static void free_question(struct question *q)
{
    for (size_t i = 0; i < q->n_answers; i++)
        free(q->answer[i].text);
    free(q->answer);
    free(q->text);
    free(q->id);
}

static int take_question(struct reader *r, const json_value *v, const char *context,
                         struct err *err)
{
    struct dataset *d = r->d;
    const struct span text = js_string(js_get(v, "question"), "");
    const struct span id = js_string(js_get(v, "id"), "");
    struct question q = {
        .context = context, .id = xstrndup(id.p, id.n), .text = xstrndup(text.p, text.n)};
    const json_value *answers = js_get(v, "answers");
    r->id = q.id;
    int rc = span_trim(text).n ? 0 : bad(r, err, "no text in 'question'");
    if (rc == 0 && !js_is_array(answers))
        rc = bad(r, err, "expected 'answers', a list (empty for an unanswerable question)");
    if (!js_bool(js_get(v, "is_impossible"), false))
        for (size_t i = 0; i < js_count(answers) && rc == 0; i++)
            rc = take_answer(r, &q, js_at(answers, i), err);
    if (rc) {
        free_question(&q);
        r->id = NULL;
        return dataset_skip(d, err);
    }
    VEC_GROW(d->question, d->n_items, r->cap_questions);
    d->question[d->n_items++] = q;
    r->id = NULL;
    return 0;
}

static int take_paragraph(struct reader *r, const json_value *v, struct err *err)
{
    struct dataset *d = r->d;
    const struct span context = js_string(js_get(v, "context"), "");
    const json_value *qas = js_get(v, "qas");
    if (context.n == 0 || !js_is_array(qas)) {
        bad(r, err, "a paragraph needs 'context' and 'qas'");
        return dataset_skip(d, err);
    }
    VEC_GROW(d->context, d->n_contexts, r->cap_contexts);
    char *kept = d->context[d->n_contexts++] = xstrndup(context.p, context.n);
    for (size_t i = 0; i < js_count(qas); i++) {
        r->place = i;
        if (take_question(r, js_at(qas, i), kept, err))
            return -1;
    }
    return 0;
}

static int take_document(struct reader *r, const json_value *root, struct err *err)
{
    const json_value *data = js_get(root, "data");
    if (!js_is_array(data)) {
        err_kind_set(err, ERR_FORMAT, "%s: no list 'data'", r->d->options.file[r->file]);
        return err_hint(err, "expected the layout of SQuAD: {\"data\": [{\"paragraphs\": "
                             "[{\"context\": ..., \"qas\": [...]}]}]}");
    }
    for (size_t i = 0; i < js_count(data); i++) {
        const json_value *paragraphs = js_get(js_at(data, i), "paragraphs");
        r->article = i;
        for (r->paragraph = 0; r->paragraph < js_count(paragraphs); r->paragraph++)
            if (take_paragraph(r, js_at(paragraphs, r->paragraph), err))
                return -1;
    }
    return 0;
}

static int squad_read(struct dataset *d, int loss, bool with_teacher, struct err *err)
{
    (void)loss, (void)with_teacher;
    struct reader r = {.d = d};
    for (size_t f = 0; f < d->options.n_files; f++) {
        r.file = (int)f;
        json_value *root = js_read_file(d->options.file[f], MAX_JSON_BYTES, err);
        const int rc = root ? take_document(&r, root, err) : -1;
        js_free(root);
        if (rc)
            return -1;
    }
    return 0;
}

/* The tokens of the context that hold bytes [start, end): *first..*last; false when it is not
 * whole in tokens [from, to). */
static bool find_answer(const struct encoding *e, int from, int to, uint32_t start, uint32_t end,
                        int *first, int *last)
{
    if (from >= to || e->start[from] > start || e->end[to - 1] < end)
        return false;
    *first = from;
    while (*first + 1 < to && e->start[*first + 1] <= start)
        (*first)++;
    *last = to - 1;
    while (*last > from && e->end[*last - 1] >= end)
        (*last)--;
    return *first <= *last;
}

static void add_window(const struct dataset *d, const struct question *q, int item, const int *ask,
                       int n_ask, const struct encoding *e, int from, int to, struct sequences *out)
{
    const struct frame *f = &d->pair_frame;
    sequences_begin(out, item);
    frame_pre(f, out);
    for (int k = 0; k < n_ask; k++)
        sequences_token(out, ask[k], 0, -1, 0, 0);
    frame_mid(f, out);
    const int shift = out->seq[out->n - 1].n - from;
    for (int k = from; k < to; k++)
        sequences_token(out, e->id[k], f->second, -1, e->start[k], e->end[k]);
    frame_post(f, out);
    struct sequence *s = &out->seq[out->n - 1];
    int first, last;
    if (q->n_answers) {
        const struct answer *a = &q->answer[0];
        const uint32_t end = a->start + (uint32_t)strlen(a->text);
        if (find_answer(e, from, to, a->start, end, &first, &last)) {
            s->begin = first + shift;
            s->end = last + shift;
        }
    }
}

static int squad_encode(const struct dataset *d, const struct tokenizer *t, size_t i,
                        struct encoding *e, struct sequences *out, int64_t *n_cut, struct err *err)
{
    const struct tokenize_options o = {.no_special = true};
    const struct question *q = &d->question[i];
    if (tokenizer_encode(t, span_trim(span_of(q->text)), NULL, &o, e, err))
        return -1;
    const int n_ask = e->n < d->options.max_query_length ? e->n : d->options.max_query_length;
    const int room = d->max_length - frame_size(&d->pair_frame) - n_ask;
    const int step = room - d->options.doc_stride;
    if (step < 1) {
        err_kind_set(err, ERR_USAGE,
                     "windows of %d tokens leave %d for the text beside a question of %d, no more "
                     "than --doc-stride %d",
                     d->max_length, room, n_ask, d->options.doc_stride);
        return err_hint(err, "a smaller --doc-stride or --max-query-length, or a larger "
                             "--max-length");
    }
    int *ask = xcalloc((size_t)n_ask + 1, sizeof *ask);
    if (n_ask)
        memcpy(ask, e->id, (size_t)n_ask * sizeof *ask);
    const int rc = tokenizer_encode(t, span_of(q->context), NULL, &o, e, err);
    *n_cut += rc == 0 && e->n > room;
    for (int from = 0; rc == 0; from += step) {
        const int to = from + room < e->n ? from + room : e->n;
        add_window(d, q, (int)i, ask, n_ask, e, from, to, out);
        if (to == e->n)
            break;
    }
    free(ask);
    return rc;
}

static int squad_finish(struct dataset *d, struct err *err)
{
    (void)err;
    d->n = (int64_t)d->seqs.n;
    return 0;
}

const struct dataset_kind data_squad = {
    .read = squad_read, .encode = squad_encode, .finish = squad_finish};
