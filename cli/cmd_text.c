/* cmd_text.c - `tokenize`, `embed`, `similarity`: the encoder on lines of text, without any index.
 *
 * Lines stream: a batch is read, encoded and written before the next is read, so that a pipe of any
 * length works. A bad line ends the run when all lines before it are answered.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/lines.h"
#include "cli/output.h"
#include "cli/registry.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_LINES = 256 };
#define BATCH_BYTES ((size_t)8 << 20)

/* ---- tokenize
 * ----------------------------------------------------------------------------------------------------
 */

static void json_ints(struct json_writer *w, const char *key, const int *v, int n)
{
    jw_key(w, key);
    jw_array(w);
    for (int i = 0; i < n; i++)
        jw_int(w, v[i]);
    jw_end(w);
}

static void encoding_json(const struct tokenizer *t, const struct encoding *e, struct str *out)
{
    struct json_writer w;
    json_begin(&w, out);
    json_ints(&w, "ids", e->id, e->n);
    jw_key(&w, "tokens");
    jw_array(&w);
    for (int i = 0; i < e->n; i++)
        jw_string(&w, tokenizer_token(t, e->id[i]));
    jw_end(&w);
    jw_key(&w, "offsets");
    jw_array(&w);
    for (int i = 0; i < e->n; i++) {
        jw_array(&w);
        jw_int(&w, e->start[i]);
        jw_int(&w, e->end[i]);
        jw_end(&w);
    }
    jw_end(&w);
    json_ints(&w, "type_ids", e->type, e->n);
    json_finish(&w);
}

/* Splits "a TAB b"; a line without a TAB is an error that names it. */
static int split_pair(const struct lines *l, struct span line, struct span *a, struct span *b,
                      struct err *err)
{
    struct span rest = line, more;
    span_split(&rest, '\t', a);
    if (!rest.p || (span_split(&rest, '\t', b), span_split(&rest, '\t', &more))) {
        err_kind_set(err, ERR_FORMAT, "%s, line %lld: expected two texts with one TAB between",
                     l->name, (long long)l->number);
        return -1;
    }
    return 0;
}

static int tokenize_lines(const struct args *a, const struct tokenizer *t, struct lines *l,
                          struct err *err)
{
    const struct tokenize_options o = {.max_length = (int)a->max_length,
                                       .no_special = a->no_special};
    struct encoding e = {0};
    struct span line;
    int rc = 0;
    while (!out_failed() && (rc = lines_next(l, &line, err)) == 1) {
        struct span first = line, second = {0};
        struct str out = {0};
        if (stop_requested())
            rc = err_kind_set(err, ERR_STOPPED, "stopped");
        else if (a->pair)
            rc = split_pair(l, line, &first, &second, err);
        else
            rc = 0;
        if (rc == 0)
            rc = tokenizer_encode(t, first, a->pair ? &second : NULL, &o, &e, err);
        if (rc)
            break;
        encoding_json(t, &e, &out);
        out_str(&out);
    }
    encoding_release(&e);
    return rc;
}

int cmd_tokenize(const struct args *a, struct err *err)
{
    struct registry_entry from = {0};
    struct tokenizer *t = NULL;
    struct lines l = {0};
    int rc = registry_resolve(a->model, &from, err);
    if (rc == 0)
        rc = model_open_tokenizer(from.path, &t, err);
    if (rc == 0)
        rc = lines_open(a, &l, err);
    if (rc == 0)
        rc = tokenize_lines(a, t, &l, err);
    lines_close(&l);
    tokenizer_free(t);
    registry_entry_release(&from);
    return rc;
}

/* ---- batches of texts
 * -------------------------------------------------------------------------------------------- */

struct batch {
    char *text[2 * BATCH_LINES]; /* owned copies; two a line for pairs */
    struct span span[2 * BATCH_LINES];
    size_t n, bytes;
};

static void batch_add(struct batch *b, struct span s)
{
    b->text[b->n] = xstrndup(s.p, s.n);
    b->span[b->n] = (struct span){b->text[b->n], s.n};
    b->n++;
    b->bytes += s.n;
}

static void batch_clear(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->text[i]);
    b->n = b->bytes = 0;
}

/* {"text": "..."} of --input jsonl; copied into the batch. */
static int batch_add_json(struct batch *b, const struct lines *l, struct span line, struct err *err)
{
    char *where = xasprintf("%s, line %lld", l->name, (long long)l->number);
    json_value *v = js_parse_line(line, err);
    if (!v)
        err_wrap(err, "%s", where);
    int rc = v ? 0 : -1;
    const json_value *text = js_get(v, "text");
    if (rc == 0 && !js_is_string(text))
        rc = err_kind_set(err, ERR_FORMAT, "%s: expected an object with a string \"text\"", where);
    if (rc == 0)
        batch_add(b, js_string(text, ""));
    js_free(v);
    free(where);
    return rc;
}

static int batch_add_pair(struct batch *b, const struct lines *l, struct span line, struct err *err)
{
    struct span first, second;
    if (split_pair(l, line, &first, &second, err))
        return -1;
    batch_add(b, first);
    batch_add(b, second);
    return 0;
}

/* Fills the batch; 1: more may follow, 0: the end of input, -1: a bad line. What was read before it
 * is in the batch. */
static int batch_read(struct batch *b, const struct args *a, struct lines *l, bool pairs,
                      struct err *err)
{
    const bool json = a->input && strcmp(a->input, "jsonl") == 0;
    struct span line;
    int rc = 1;
    while (rc == 1 && b->n < (pairs ? 2 * BATCH_LINES : BATCH_LINES) && b->bytes < BATCH_BYTES) {
        rc = lines_next(l, &line, err);
        if (rc <= 0)
            break;
        if (json ? batch_add_json(b, l, line, err) : pairs && batch_add_pair(b, l, line, err))
            rc = -1;
        else if (!json && !pairs)
            batch_add(b, line);
    }
    return rc;
}

/* Is the batch to be encoded, after batch_read() returned rc? */
static bool batch_wanted(const struct batch *b, int rc, const struct err *err)
{
    return b->n && (rc >= 0 || err->kind != ERR_STOPPED);
}

/* ---- embed
 * -------------------------------------------------------------------------------------------------------
 */

/* Where vectors go: JSON lines on standard output or a file, or one .npy array. */
struct sink {
    bool npy;
    struct outfile *file; /* NULL: standard output */
    struct str rows;      /* npy: all numbers, since the header needs their count */
    int64_t n;
};

static void sink_bytes(struct sink *k, const void *p, size_t n)
{
    if (k->file)
        outfile_write(k->file, p, n);
    else
        out_write((struct span){p, n});
}

static bool sink_failed(const struct sink *k)
{
    return k->file ? k->file->failed : out_failed();
}

static void sink_text(struct sink *k, struct str *text)
{
    sink_bytes(k, text->p, text->n);
    str_release(text);
}

static void sink_vector(struct sink *k, const float *v, int dim, int tokens)
{
    if (k->npy) {
        str_add(&k->rows, (const char *)v,
                (size_t)dim * sizeof *v); /* little-endian, as .npy '<f4' wants */
        k->n++;
        return;
    }
    struct str out = {0};
    struct json_writer w;
    json_begin(&w, &out);
    jw_kint(&w, "index", k->n++);
    jw_kint(&w, "tokens", tokens);
    jw_key(&w, "embedding");
    jw_array(&w);
    for (int i = 0; i < dim; i++)
        jw_float(&w, (double)v[i], 9); /* nine digits bring the same float back */
    jw_end(&w);
    json_finish(&w);
    sink_text(k, &out);
}

/* NumPy's format 1.0: magic, length, a Python literal padded with blanks so that the data begins at
 * a multiple of 64. */
static int sink_npy(struct sink *k, int dim, struct err *err)
{
    if (k->rows.failed)
        return err_kind_set(err, ERR_LIMIT,
                            "too many vectors for one .npy file in memory (more than 64 GiB)");
    char head[128];
    const int n = snprintf(head, sizeof head,
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %d), }",
                           (long long)k->n, dim);
    const int total = (10 + n + 1 + 63) / 64 * 64, pad = total - 10 - n - 1;
    const unsigned char magic[10] = {0x93,
                                     'N',
                                     'U',
                                     'M',
                                     'P',
                                     'Y',
                                     1,
                                     0,
                                     (unsigned char)((total - 10) & 255),
                                     (unsigned char)((total - 10) >> 8)};
    sink_bytes(k, magic, sizeof magic);
    sink_bytes(k, head, (size_t)n);
    for (int i = 0; i < pad; i++)
        sink_bytes(k, " ", 1);
    sink_bytes(k, "\n", 1);
    sink_bytes(k, k->rows.p, k->rows.n);
    return 0;
}

static int embed_batch(struct encoder *encoder, const struct batch *b,
                       const struct encode_options *o, float *out, int dim, struct sink *k,
                       struct err *err)
{
    int tokens[BATCH_LINES];
    if (encoder_embed(encoder, b->span, b->n, o, out, tokens, err))
        return -1;
    for (size_t i = 0; i < b->n; i++)
        sink_vector(k, out + i * (size_t)dim, dim, tokens[i]);
    return 0;
}

static int embed_lines(const struct args *a, const struct engine *e, struct lines *l,
                       struct sink *k, struct err *err)
{
    const int dim = model_info(e->model)->dim;
    const struct encode_options o = {.role = !a->role                        ? EMBED_DEFAULT
                                             : strcmp(a->role, "query") == 0 ? EMBED_QUERY
                                                                             : EMBED_PASSAGE,
                                     .normalize = a->normalize      ? 1
                                                  : a->no_normalize ? 0
                                                                    : -1};
    struct encoder *encoder;
    if (encoder_open(e->model, e->threads, &encoder, err))
        return -1;
    struct batch *b = xcalloc(1, sizeof *b);
    float *out = xcalloc((size_t)BATCH_LINES * (size_t)dim, sizeof *out);
    int rc = 1;
    while (rc == 1 && !sink_failed(k)) {
        rc = batch_read(b, a, l, false, err);
        if (batch_wanted(b, rc, err) && embed_batch(encoder, b, &o, out, dim, k, err))
            rc = -1;
        batch_clear(b);
    }
    free(b);
    free(out);
    encoder_close(encoder);
    return rc < 0 ? -1 : 0;
}

/* -o FILE; a link's target is replaced, not the link; "-" is standard output. */
static int open_output(const struct args *a, struct outfile *file, struct sink *k, struct err *err)
{
    if (!a->output || strcmp(a->output, "-") == 0)
        return 0;
    char *target = realpath(a->output, NULL);
    const int rc = outfile_open(file, target ? target : a->output, err);
    k->file = rc == 0 ? file : NULL;
    free(target);
    return rc;
}

static int check_embed(const struct args *a, struct err *err)
{
    if (a->normalize && a->no_normalize)
        return err_kind_set(err, ERR_USAGE, "--normalize and --no-normalize exclude each other");
    if (a->format && strcmp(a->format, "npy") == 0 && !a->output) {
        err_kind_set(err, ERR_USAGE, "--format npy needs a file to write to");
        return err_hint(err, "add -o vectors.npy");
    }
    return 0;
}

int cmd_embed(const struct args *a, struct err *err)
{
    struct engine e = {0};
    struct lines l = {0};
    struct outfile file = {.fd = -1};
    struct sink k = {.npy = a->format && strcmp(a->format, "npy") == 0,
                     .rows = {.max = (size_t)64 << 30}};
    int rc = check_embed(a, err);
    if (rc == 0)
        rc = lines_open(a, &l, err);
    if (rc == 0)
        rc = engine_open(a, a->model, &e, err);
    if (rc == 0)
        rc = open_output(a, &file, &k, err);
    if (rc == 0)
        rc = embed_lines(a, &e, &l, &k, err);
    if (rc == 0 && k.npy)
        rc = sink_npy(&k, model_info(e.model)->dim, err);
    if (rc == 0 && k.file)
        rc = outfile_commit(&file, err);
    else if (k.file)
        outfile_abandon(&file);
    str_release(&k.rows);
    lines_close(&l);
    engine_close(&e);
    return rc;
}

/* ---- similarity
 * --------------------------------------------------------------------------------------------------
 */

static void write_cosine(const struct args *a, double c, int64_t index, struct json_writer *w,
                         struct str *out)
{
    if (a->json) {
        jw_float(w, c, 7);
    } else if (a->jsonl) {
        json_begin(w, out);
        jw_kint(w, "index", index);
        jw_kfloat(w, "cosine", c, 7);
        json_finish(w);
    } else {
        str_printf(out, "%.6f\n", c);
    }
}

/* The vectors of a batch of pairs into v, their cosines into out. */
static int similarity_batch(const struct args *a, struct encoder *encoder, const struct batch *b,
                            float *v, int dim, int64_t *index, struct json_writer *w,
                            struct str *out, struct err *err)
{
    const struct encode_options o = {.normalize = -1};
    if (encoder_embed(encoder, b->span, b->n, &o, v, NULL, err))
        return -1;
    for (size_t i = 0; i + 1 < b->n; i += 2)
        write_cosine(a, engine_cosine(v + i * (size_t)dim, v + (i + 1) * (size_t)dim, dim),
                     (*index)++, w, out);
    return 0;
}

static int similarity_lines(const struct args *a, const struct engine *e, struct lines *l,
                            struct err *err)
{
    const int dim = model_info(e->model)->dim;
    struct encoder *encoder;
    if (encoder_open(e->model, e->threads, &encoder, err))
        return -1;
    struct batch *b = xcalloc(1, sizeof *b);
    float *v = xcalloc((size_t)(2 * BATCH_LINES) * (size_t)dim, sizeof *v);
    struct str out = {0};
    struct json_writer w;
    int64_t index = 0;
    int rc = 1;
    if (a->json) {
        json_begin(&w, &out);
        jw_key(&w, "similarities");
        jw_array(&w);
    }
    while (rc == 1 && !out_failed()) {
        rc = batch_read(b, a, l, true, err);
        if (batch_wanted(b, rc, err) &&
            similarity_batch(a, encoder, b, v, dim, &index, &w, &out, err))
            rc = -1;
        batch_clear(b);
        if (!a->json) {
            out_write(str_view(&out));
            str_clear(&out);
        }
    }
    if (rc == 0 && a->json) {
        json_finish(&w);
        out_write(str_view(&out));
    }
    str_release(&out);
    free(b);
    free(v);
    encoder_close(encoder);
    return rc < 0 ? -1 : 0;
}

int cmd_similarity(const struct args *a, struct err *err)
{
    struct engine e = {0};
    struct lines l = {0};
    int rc = lines_open(a, &l, err);
    if (rc == 0)
        rc = engine_open(a, a->model, &e, err);
    if (rc == 0)
        rc = similarity_lines(a, &e, &l, err);
    lines_close(&l);
    engine_close(&e);
    return rc;
}
