/* data_lines.c - plain text for pre-training: documents with an empty line between them.
 *
 * fill-mask: a document's tokens are cut into windows of the model's length, each with its special
 * tokens; a short document is a short window (nothing is padded, so nothing need be joined).
 *
 * pretraining: every line is a sentence. Consecutive sentences are gathered into chunks of about
 * the window's length (one document in ten: a random shorter one, drawn once for the document, as
 * BERT does), each of at least two sentences, so that every chunk can be cut into a first and a
 * true second part and the label of a pair can be drawn before the pair: BERT's own sampler makes
 * 57 to 80 % random pairs instead of half.
 */
#include "encoder/train/dataset.h"
#include "encoder/train/draw.h"

#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <stdlib.h>
#include <string.h>

#define SHORT_DOCUMENTS 0.1

struct documents {
    struct dataset *d;
    int file;
    size_t cap;
    struct span open; /* the document so far; p NULL: none */
    int64_t line;     /* where it began */
    bool bad;
};

static void end_document(struct documents *r)
{
    struct dataset *d = r->d;
    if (r->open.p && !r->bad) {
        if (d->n_items == r->cap) {
            r->cap = r->cap ? 2 * r->cap : 256;
            d->text = xrealloc_array(d->text, r->cap, sizeof *d->text);
            d->origin = xrealloc_array(d->origin, r->cap, sizeof *d->origin);
        }
        d->origin[d->n_items] = (struct origin){r->file, r->line};
        d->text[d->n_items++] = r->open;
    }
    r->open = (struct span){0};
    r->bad = false;
}

static int read_documents(struct documents *r, struct span text, struct err *err)
{
    struct span line;
    int64_t number = 0;
    while (span_split(&text, '\n', &line)) {
        number++;
        if (span_trim(line).n == 0) {
            end_document(r);
            continue;
        }
        if (!r->open.p) {
            r->open = line;
            r->line = number;
        }
        r->open.n = (size_t)(line.p + line.n - r->open.p);
        if (!utf8_valid(line)) {
            dataset_bad(r->d, (struct origin){r->file, number}, err, "not valid UTF-8");
            r->bad = true;
            if (dataset_skip(r->d, err))
                return -1;
        }
    }
    end_document(r);
    return 0;
}

static int lines_read(struct dataset *d, int loss, bool with_teacher, struct err *err)
{
    (void)loss, (void)with_teacher;
    struct documents r = {.d = d};
    for (size_t f = 0; f < d->options.n_files; f++) {
        r.file = (int)f;
        struct span text = dataset_content(d, d->options.file[f], err);
        if (!text.p)
            return -1;
        if (span_starts(text, "\xEF\xBB\xBF"))
            text = span_sub(text, 3, text.n);
        if (read_documents(&r, text, err))
            return -1;
    }
    return 0;
}

static int lines_encode(const struct dataset *d, const struct tokenizer *t, size_t i,
                        struct encoding *e, struct sequences *out, int64_t *n_cut, struct err *err)
{
    (void)n_cut;
    const struct tokenize_options o = {.no_special = true};
    const int room = d->max_length - frame_size(&d->frame);
    if (tokenizer_encode(t, d->text[i], NULL, &o, e, err))
        return -1;
    for (int from = 0; from < e->n; from += room) {
        sequences_begin(out, (int)i);
        frame_pre(&d->frame, out);
        for (int k = from; k < e->n && k < from + room; k++)
            sequences_token(out, e->id[k],
                            k > from && token_continues(t, e, k) ? FLAG_CONTINUES : 0, -1, 0, 0);
        frame_post(&d->frame, out);
    }
    return 0;
}

static int no_mask(const struct dataset *d, struct err *err)
{
    (void)d;
    err_kind_set(err, ERR_USAGE, "the model's tokenizer has no mask token");
    return err_hint(err, "masked words need one, such as [MASK]");
}

static int lines_finish(struct dataset *d, struct err *err)
{
    d->n = (int64_t)d->seqs.n;
    if (d->mask_id < 0)
        return no_mask(d, err);
    if (d->n == 0)
        return err_kind_set(err, ERR_FORMAT, "'%s' has no words", d->options.file[0]);
    return 0;
}

/* ---- pretraining --------------------------------------------------------------------------------
 */

static int sentences_encode(const struct dataset *d, const struct tokenizer *t, size_t i,
                            struct encoding *e, struct sequences *out, int64_t *n_cut,
                            struct err *err)
{
    (void)n_cut;
    const struct tokenize_options o = {.no_special = true};
    struct span rest = d->text[i], line;
    while (span_split(&rest, '\n', &line)) {
        if (tokenizer_encode(t, line, NULL, &o, e, err))
            return -1;
        if (e->n == 0)
            continue;
        sequences_begin(out, (int)i);
        for (int k = 0; k < e->n; k++)
            sequences_token(out, e->id[k], token_continues(t, e, k) ? FLAG_CONTINUES : 0, -1, 0, 0);
    }
    return 0;
}

static int document_target(const struct dataset *d, int document)
{
    const int most = d->max_length - frame_size(&d->pair_frame);
    const uint64_t s = draw_stream(0, DRAW_CHUNK, (uint64_t)document, 0);
    if (draw_unit(s, 0) >= SHORT_DOCUMENTS || most < 3)
        return most;
    return 2 + (int)draw_below(s, 1, (uint64_t)most - 1);
}

/* Cuts sentences [first, last) of one document. A chunk ends when it has the tokens and two
 * sentences; one left over at the end joins the chunk before. */
static void cut_document(struct dataset *d, int document, size_t first, size_t last, size_t *cap,
                         size_t *n)
{
    const int target = document_target(d, document);
    const size_t before = *n;
    size_t begin = first;
    int tokens = 0;
    for (size_t s = first; s < last; s++) {
        tokens += d->seqs.seq[s].n;
        const int have = (int)(s + 1 - begin);
        if (s + 1 < last && (tokens < target || have < 2))
            continue;
        if (have >= 2) {
            VEC_GROW(d->chunk, *n, *cap);
            d->chunk[(*n)++] =
                (struct chunk){.first = begin, .n = have, .target = target, .document = document};
        } else if (*n > before) {
            d->chunk[*n - 1].n += have;
        }
        begin = s + 1;
        tokens = 0;
    }
}

static int sentences_finish(struct dataset *d, struct err *err)
{
    size_t n = 0, cap = 0, at = 0;
    if (d->mask_id < 0)
        return no_mask(d, err);
    d->document_first = xcalloc(d->n_items + 1, sizeof *d->document_first);
    int with_text = 0;
    for (size_t i = 0; i < d->n_items; i++) {
        d->document_first[i] = at;
        while (at < d->seqs.n && d->seqs.seq[at].item == (int)i)
            at++;
        with_text += at > d->document_first[i];
        d->n_lonely += at == d->document_first[i] + 1;
        cut_document(d, (int)i, d->document_first[i], at, &cap, &n);
    }
    d->document_first[d->n_items] = at;
    d->n = (int64_t)n;
    if (n == 0 || with_text < 2) {
        err_kind_set(err, ERR_FORMAT, "'%s': %s", d->options.file[0],
                     n ? "one document only" : "no document has two sentences");
        return err_hint(err, "pretraining needs one sentence a line and an empty line between "
                             "documents, of which it needs at least two");
    }
    return 0;
}

const struct dataset_kind data_lines = {
    .read = lines_read, .encode = lines_encode, .finish = lines_finish};
const struct dataset_kind data_sentences = {
    .read = lines_read, .encode = sentences_encode, .finish = sentences_finish};
