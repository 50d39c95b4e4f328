/* dataset.c - what all tasks' data have in common: files, bad rows, tokenising on all cores; see
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
