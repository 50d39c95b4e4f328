/* dataset.c - what all tasks' data have in common: files, labels, tokenising on all cores; see
 * dataset.h. */
#include "encoder/train/dataset.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES ((size_t)4 << 30)
enum { ITEMS_AT_ONCE = 64 };

static const struct {
    const char *name;
    const struct dataset_kind *kind;
} tasks[] = {[TASK_SENTENCE_SIMILARITY] = {"sentence-similarity", &data_pairs},
             [TASK_TEXT_CLASSIFICATION] = {"text-classification", &data_classes},
             [TASK_TOKEN_CLASSIFICATION] = {"token-classification", &data_conll},
             [TASK_QUESTION_ANSWERING] = {"question-answering", &data_squad},
             [TASK_FILL_MASK] = {"fill-mask", &data_lines},
             [TASK_PRETRAINING] = {"pretraining", &data_sentences}};

bool train_task_find(const char *name, enum train_task *task)
{
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
        if (strcmp(tasks[i].name, name) == 0) {
            *task = (enum train_task)i;
            return true;
        }
    return false;
}

const char *train_task_name(enum train_task task)
{
    return tasks[task].name;
}

void data_defaults(struct data_options *o)
{
    *o = (struct data_options){.doc_stride = 128, .max_query_length = 64, .mask_probability = .15};
}

/* ---- sequences ----------------------------------------------------------------------------------
 */

void sequences_begin(struct sequences *s, int item)
{
    VEC_GROW(s->seq, s->n, s->cap);
    s->seq[s->n++] = (struct sequence){.at = s->n_tok, .item = item};
}

static void sequences_room(struct sequences *s, size_t n)
{
    if (s->n_tok + n <= s->cap_tok)
        return;
    s->cap_tok = 2 * (s->n_tok + n) + 64;
    s->token = xrealloc_array(s->token, s->cap_tok, sizeof *s->token);
    s->flag = xrealloc_array(s->flag, s->cap_tok, sizeof *s->flag);
    if (s->tags)
        s->tag = xrealloc_array(s->tag, s->cap_tok, sizeof *s->tag);
    if (s->offsets) {
        s->from = xrealloc_array(s->from, s->cap_tok, sizeof *s->from);
        s->to = xrealloc_array(s->to, s->cap_tok, sizeof *s->to);
    }
}

void sequences_token(struct sequences *s, int token, int flag, int tag, uint32_t from, uint32_t to)
{
    sequences_room(s, 1);
    s->token[s->n_tok] = token;
    s->flag[s->n_tok] = (uint8_t)flag;
    if (s->tags)
        s->tag[s->n_tok] = tag;
    if (s->offsets) {
        s->from[s->n_tok] = from;
        s->to[s->n_tok] = to;
    }
    s->n_tok++;
    s->seq[s->n - 1].n++;
}

static void sequences_append(struct sequences *s, const struct sequences *more)
{
    if (more->n == 0)
        return;
    sequences_room(s, more->n_tok);
    if (more->n_tok) {
        memcpy(s->token + s->n_tok, more->token, more->n_tok * sizeof *s->token);
        memcpy(s->flag + s->n_tok, more->flag, more->n_tok * sizeof *s->flag);
        if (s->tags)
            memcpy(s->tag + s->n_tok, more->tag, more->n_tok * sizeof *s->tag);
        if (s->offsets) {
            memcpy(s->from + s->n_tok, more->from, more->n_tok * sizeof *s->from);
            memcpy(s->to + s->n_tok, more->to, more->n_tok * sizeof *s->to);
        }
    }
    for (size_t i = 0; i < more->n; i++) {
        VEC_GROW(s->seq, s->n, s->cap);
        s->seq[s->n] = more->seq[i];
        s->seq[s->n++].at += s->n_tok;
    }
    s->n_tok += more->n_tok;
}

void sequences_release(struct sequences *s)
{
    free(s->token);
    free(s->flag);
    free(s->tag);
    free(s->from);
    free(s->to);
    free(s->seq);
    *s = (struct sequences){.tags = s->tags, .offsets = s->offsets};
}

/* ---- special tokens -----------------------------------------------------------------------------
 */

/* Looks at where the template puts a text (or two) of one word. */
int frame_find(struct frame *f, const struct tokenizer *t, bool pair, struct err *err)
{
    struct encoding e = {0};
    const struct span word = span_of("a");
    *f = (struct frame){0};
    if (tokenizer_encode(t, word, pair ? &word : NULL, NULL, &e, err))
        return -1;
    int seen = 0, rc = 0; /* the text that was met last */
    for (int i = 0; i < e.n && rc == 0; i++) {
        if (e.segment[i]) {
            seen = e.segment[i];
            f->second = seen == 2 && e.type[i] ? FLAG_SECOND : 0;
            continue;
        }
        const bool middle = pair && seen == 1;
        int *n = seen == 0 ? &f->n_pre : middle ? &f->n_mid : &f->n_post;
        int *ids = seen == 0 ? f->pre : middle ? f->mid : f->post;
        const int room = (int)(middle ? ARRAY_LEN(f->mid) : ARRAY_LEN(f->pre));
        if (*n == room) {
            rc = err_set(err, "the tokenizer puts more than %d special tokens in one place", room);
            break;
        }
        if (middle)
            f->mid_flag[*n] = e.type[i] ? FLAG_SECOND : 0;
        ids[(*n)++] = e.id[i];
    }
    encoding_release(&e);
    return rc;
}

void frame_pre(const struct frame *f, struct sequences *s)
{
    for (int i = 0; i < f->n_pre; i++)
        sequences_token(s, f->pre[i], FLAG_SPECIAL, -1, 0, 0);
}

void frame_mid(const struct frame *f, struct sequences *s)
{
    for (int i = 0; i < f->n_mid; i++)
        sequences_token(s, f->mid[i], FLAG_SPECIAL | f->mid_flag[i], -1, 0, 0);
}

void frame_post(const struct frame *f, struct sequences *s)
{
    for (int i = 0; i < f->n_post; i++)
        sequences_token(s, f->post[i], FLAG_SPECIAL | f->second, -1, 0, 0);
}

/* WordPiece marks the later pieces of a word; the piece models mark the first; byte-level ones
 * begin a word with the blank before it. */
bool token_continues(const struct tokenizer *t, const struct encoding *e, int i)
{
    if (i == 0 || e->segment[i] == 0 || e->segment[i - 1] != e->segment[i])
        return false;
    const struct span text = tokenizer_token(t, e->id[i]);
    if (span_starts(text, "##"))
        return true;
    const struct span before = tokenizer_token(t, e->id[i - 1]);
    const bool marked = span_starts(before, "\xE2\x96\x81") || span_starts(before, "\xC4\xA0");
    return marked && e->start[i] == e->end[i - 1] && !span_starts(text, "\xE2\x96\x81") &&
           !span_starts(text, "\xC4\xA0");
}

/* ---- bad rows -----------------------------------------------------------------------------------
 */

int dataset_bad(const struct dataset *d, struct origin at, struct err *err, const char *fmt, ...)
{
    char what[600];
    va_list list;
    va_start(list, fmt);
    vsnprintf(what, sizeof what, fmt, list);
    va_end(list);
    return err_kind_set(err, ERR_FORMAT, "%s, line %lld: %s", d->options.file[at.file],
                        (long long)at.line, what);
}

int dataset_skip(struct dataset *d, struct err *err)
{
    if (!d->options.skip_bad_rows)
        return -1;
    if (d->skipped++ == 0)
        d->first_skipped = *err;
    *err = (struct err){0};
    return 0;
}

/* ---- labels -------------------------------------------------------------------------------------
 */

static bool whole_number(const char *s, long long *out)
{
    char *end;
    *out = strtoll(s, &end, 10);
    return end != s && !*end;
}

/* Whole numbers by value, else bytes. */
static int by_label(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    long long i, j;
    if (whole_number(x, &i) && whole_number(y, &j) && i != j)
        return i < j ? -1 : 1;
    return strcmp(x, y);
}

static int given_classes(struct dataset *d, struct err *err)
{
    struct span rest = span_of(d->options.labels), piece;
    size_t cap = 0;
    while (span_split(&rest, ',', &piece)) {
        piece = span_trim(piece);
        char *name = xstrndup(piece.p, piece.n);
        const bool twice = d->n_classes && dataset_class_of(d, name) >= 0;
        VEC_GROW(d->class_name, (size_t)d->n_classes, cap);
        d->class_name[d->n_classes++] = name;
        if (twice || !*name) {
            err_kind_set(err, ERR_USAGE, "--labels '%s': %s", d->options.labels,
                         twice ? "a label stands there twice" : "an empty label");
            return -1;
        }
    }
    return 0;
}

int dataset_name_classes(struct dataset *d, char *const *label, size_t n, struct err *err)
{
    if (d->options.labels)
        return given_classes(d, err);
    char **sorted = xcalloc(n + 1, sizeof *sorted);
    memcpy(sorted, label, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_label);
    size_t cap = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && strcmp(sorted[i], sorted[i - 1]) == 0)
            continue;
        VEC_GROW(d->class_name, (size_t)d->n_classes, cap);
        d->class_name[d->n_classes++] = xstrdup(sorted[i]);
    }
    free(sorted);
    return 0;
}

int dataset_class_of(const struct dataset *d, const char *label)
{
    for (int i = 0; i < d->n_classes; i++)
        if (strcmp(d->class_name[i], label) == 0)
            return i;
    return -1;
}

/* `label` may be the list that is there. */
static void set_classes(struct dataset *d, const char *const *label, int n)
{
    char **name = xcalloc((size_t)n + 1, sizeof *name);
    for (int i = 0; i < n; i++)
        name[i] = xstrdup(label[i]);
    for (int i = 0; i < d->n_classes; i++)
        free(d->class_name[i]);
    free(d->class_name);
    d->class_name = name;
    d->n_classes = n;
}

static int unknown_label(const struct dataset *d, size_t item, const char *label, struct err *err)
{
    struct str known = {0};
    for (int i = 0; i < d->n_classes; i++)
        str_printf(&known, "%s%s", i ? ", " : "", d->class_name[i]);
    dataset_bad(d, d->origin[item], err, "label '%.80s' is not one of the model's", label);
    err_hint(err, "its labels: %.400s", known.p ? known.p : "none");
    str_release(&known);
    return -1;
}

static int drop_item(struct dataset *d, size_t i)
{
    const size_t c = (size_t)d->columns, after = d->n_items - i - 1;
    memmove(d->text + i * c, d->text + (i + 1) * c, after * c * sizeof *d->text);
    memmove(d->key + i * c, d->key + (i + 1) * c, after * c * sizeof *d->key);
    memmove(d->origin + i, d->origin + i + 1, after * sizeof *d->origin);
    memmove(d->label_text + i, d->label_text + i + 1, after * sizeof *d->label_text);
    d->n_items--;
    return 0;
}

int dataset_use_labels(struct dataset *d, const char *const *label, int n, struct err *err)
{
    set_classes(d, label, n);
    for (size_t i = 0; d->label_text && i < d->n_items; i++) {
        d->label[i] = dataset_class_of(d, d->label_text[i]);
        if (d->label[i] >= 0)
            continue;
        unknown_label(d, i, d->label_text[i], err);
        if (dataset_skip(d, err) || drop_item(d, i--))
            return -1;
    }
    for (size_t i = 0; d->word_tag && i < d->n_items; i++)
        for (size_t w = d->word_start[i]; w < d->word_start[i + 1]; w++) {
            d->word_label[w] = dataset_class_of(d, d->word_tag[w]);
            if (d->word_label[w] < 0) { /* the word then does not count */
                unknown_label(d, i, d->word_tag[w], err);
                if (dataset_skip(d, err))
                    return -1;
            }
        }
    if (d->n_items == 0)
        return err_kind_set(err, ERR_FORMAT, "no row of '%s' has a known label",
                            d->options.file[0]);
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------------
 */

struct span dataset_content(struct dataset *d, const char *path, struct err *err)
{
    d->content = xrealloc_array(d->content, d->n_contents + 1, sizeof *d->content);
    struct str *s = &d->content[d->n_contents++];
    *s = (struct str){.max = MAX_FILE_BYTES};
    if (file_read(path, MAX_FILE_BYTES, s, err))
        return (struct span){0};
    if (s->n == 0) {
        err_kind_set(err, ERR_FORMAT, "'%s' is empty", path);
        return (struct span){0};
    }
    return str_view(s);
}

static int hash_files(struct dataset *d, struct err *err)
{
    d->hash = xcalloc(d->options.n_files, sizeof *d->hash);
    for (size_t i = 0; i < d->options.n_files; i++) {
        struct map m;
        if (map_open(&m, d->options.file[i], err))
            return -1;
        d->hash[i] = hash_bytes(m.p, m.n);
        map_close(&m);
    }
    return 0;
}

int dataset_read(struct dataset *d, enum train_task task, const struct data_options *o, int loss,
                 bool with_teacher, struct err *err)
{
    *d = (struct dataset){.task = task, .options = *o, .columns = 1, .mask_id = -1};
    if (o->n_files == 0)
        return err_kind_set(err, ERR_USAGE, "no data files");
    if (hash_files(d, err) || tasks[task].kind->read(d, loss, with_teacher, err)) {
        dataset_release(d);
        return -1;
    }
    if (d->n_items == 0) {
        err_kind_set(err, ERR_FORMAT, "'%s' has no usable rows", o->file[0]);
        if (d->skipped) {
            *err = d->first_skipped;
            err_wrap(err, "every row is bad, the first");
        }
        dataset_release(d);
        return -1;
    }
    d->rows = (int64_t)d->n_items;
    return 0;
}

static void release_questions(struct dataset *d)
{
    for (size_t i = 0; d->question && i < d->n_items; i++) {
        for (size_t a = 0; a < d->question[i].n_answers; a++)
            free(d->question[i].answer[a].text);
        free(d->question[i].answer);
        free(d->question[i].id);
        free(d->question[i].text);
    }
    free(d->question);
    for (size_t i = 0; i < d->n_contexts; i++)
        free(d->context[i]);
    free(d->context);
}

void dataset_release(struct dataset *d)
{
    release_questions(d);
    for (int i = 0; i < d->n_classes; i++)
        free(d->class_name[i]);
    for (size_t i = 0; i < d->n_tables; i++)
        table_release(&d->table[i]);
    for (size_t i = 0; i < d->n_contents; i++)
        str_release(&d->content[i]);
    for (size_t i = 0; d->word_tag && i < d->word_start[d->n_items]; i++)
        free(d->word_tag[i]);
    free(d->class_name);
    free(d->table);
    free(d->content);
    free(d->word_tag);
    free(d->word_label);
    free(d->word);
    free(d->word_start);
    free(d->hash);
    free(d->text);
    free(d->origin);
    free(d->label_text);
    free(d->score);
    free(d->label);
    free(d->key);
    free(d->group);
    free(d->chunk);
    free(d->document_first);
    sequences_release(&d->seqs);
    *d = (struct dataset){0};
}

/* ---- tokenising ---------------------------------------------------------------------------------
 */

struct tokenising {
    struct dataset *d;
    const struct tokenizer *t;
    struct sequences *part; /* one for each ITEMS_AT_ONCE items, so that the order stays */
    struct encoding *scratch;
    atomic_llong n_cut;
    atomic_bool failed;
    struct err err;
};

static void tokenise_part(void *ctx, int part, int worker)
{
    struct tokenising *j = ctx;
    struct err err = {0};
    int64_t n_cut = 0;
    struct sequences *s = &j->part[part];
    s->tags = j->d->seqs.tags;
    s->offsets = j->d->seqs.offsets;
    if (atomic_load_explicit(&j->failed, memory_order_relaxed))
        return;
    int rc = stop_requested() ? err_kind_set(&err, ERR_STOPPED, "stopped") : 0;
    const size_t first = (size_t)part * ITEMS_AT_ONCE;
    for (size_t i = first; i < first + ITEMS_AT_ONCE && i < j->d->n_items && rc == 0; i++)
        rc = tasks[j->d->task].kind->encode(j->d, j->t, i, &j->scratch[worker], s, &n_cut, &err);
    atomic_fetch_add(&j->n_cut, n_cut);
    bool no = false;
    if (rc && atomic_compare_exchange_strong(&j->failed, &no, true))
        j->err = err;
}

static int run_tokenising(struct tokenising *j, struct pool *pool, struct err *err)
{
    const size_t n_parts = (j->d->n_items + ITEMS_AT_ONCE - 1) / ITEMS_AT_ONCE;
    const int workers = pool ? pool_size(pool) : 1;
    j->part = xcalloc(n_parts, sizeof *j->part);
    j->scratch = xcalloc((size_t)workers, sizeof *j->scratch);
    if (pool)
        pool_run(pool, (int)n_parts, tokenise_part, j);
    for (size_t i = 0; !pool && i < n_parts; i++)
        tokenise_part(j, (int)i, 0);
    for (size_t i = 0; i < n_parts; i++) {
        if (!atomic_load(&j->failed))
            sequences_append(&j->d->seqs, &j->part[i]);
        sequences_release(&j->part[i]);
    }
    for (int i = 0; i < workers; i++)
        encoding_release(&j->scratch[i]);
    free(j->part);
    free(j->scratch);
    j->d->n_cut = atomic_load(&j->n_cut);
    if (atomic_load(&j->failed)) {
        *err = j->err;
        return -1;
    }
    return 0;
}

int dataset_tokenise(struct dataset *d, const struct tokenizer *t, int window, struct pool *pool,
                     struct err *err)
{
    const struct dataset_kind *kind = tasks[d->task].kind;
    int length = d->options.max_length;
    if (length == 0)
        length = d->task == TASK_QUESTION_ANSWERING && window > 384 ? 384 : window;
    if (length > window) {
        err_kind_set(err, ERR_USAGE, "--max-length %d: the model's window is %d tokens", length,
                     window);
        return -1;
    }
    d->max_length = length;
    d->vocab = tokenizer_vocab_size(t);
    d->mask_id = tokenizer_special_id(t, TOKEN_MASK);
    d->seqs.tags = d->task == TASK_TOKEN_CLASSIFICATION;
    d->seqs.offsets = d->task == TASK_QUESTION_ANSWERING;
    if (frame_find(&d->frame, t, false, err) || frame_find(&d->pair_frame, t, true, err))
        return -1;
    if (length < frame_size(&d->pair_frame) + 2)
        return err_kind_set(err, ERR_USAGE, "--max-length %d leaves no room for text", length);
    struct tokenising j = {.d = d, .t = t};
    if (run_tokenising(&j, pool, err))
        return -1;
    d->n = (int64_t)d->n_items;
    return kind->finish ? kind->finish(d, err) : 0;
}
