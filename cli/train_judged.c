/* train_judged.c - `train sentence-similarity --eval-data DIR`: a judged collection as held-out
 * data.
 *
 * All texts of the collection are searched, as `eval search` does without an index: a document is
 * title, one space, text, cut at the window; every document graded above 0 counts alike.
 */
#include "cli/train_files.h"
#include "index/index.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

struct judged_folder {
    struct judged judged;
    struct names names;
    struct beir_queries queries;
    struct arena memory;
    struct span *text, *question;
    struct judged_pair *pair;
    size_t n_texts, cap_texts, n_pairs, cap_pairs;
};

void judged_folder_free(struct judged_folder *f)
{
    if (!f)
        return;
    names_release(&f->names);
    beir_queries_release(&f->queries);
    arena_release(&f->memory);
    free(f->text);
    free(f->question);
    free(f->pair);
    free(f);
}

static int take_doc(void *ctx, const struct beir_doc *d, struct err *err)
{
    struct judged_folder *f = ctx;
    (void)err;
    const bool titled = d->title.n > 0;
    char *p = arena_alloc(&f->memory, d->title.n + d->text.n + 2), *at = p;
    if (titled) {
        memcpy(at, d->title.p, d->title.n);
        at += d->title.n;
        *at++ = ' ';
    }
    if (d->text.n)
        memcpy(at, d->text.p, d->text.n);
    VEC_GROW(f->text, f->n_texts, f->cap_texts);
    f->text[f->n_texts++] = (struct span){p, (size_t)(at - p) + d->text.n};
    return 0;
}

static void take_questions(struct judged_folder *f)
{
    f->question = xcalloc(f->queries.n + 1, sizeof *f->question);
    for (size_t q = 0; q < f->queries.n; q++) {
        const struct beir_query *it = &f->queries.item[q];
        f->question[q] = span_of(it->text);
        for (size_t i = 0; i < it->n_judged; i++) {
            if (it->judged[i].grade <= 0)
                continue;
            VEC_GROW(f->pair, f->n_pairs, f->cap_pairs);
            f->pair[f->n_pairs++] = (struct judged_pair){(uint32_t)q, it->judged[i].doc};
        }
    }
}

static int read_folder(struct judged_folder *f, const char *dir, struct err *err)
{
    if (beir_names(dir, &f->names, err) ||
        beir_queries_read(dir, NULL, &f->names, &f->queries, err) ||
        beir_each_doc(dir, take_doc, f, err))
        return -1;
    take_questions(f);
    f->judged = (struct judged){.name = dir,
                                .question = f->question,
                                .text = f->text,
                                .pair = f->pair,
                                .n_questions = f->queries.n,
                                .n_texts = f->n_texts,
                                .n = f->n_pairs};
    return 0;
}

int train_judged(const struct args *a, struct train_options *o, struct judged_folder **out,
                 struct err *err)
{
    const struct arg_list *given = &a->train.eval_data;
    const char *dir = NULL;
    for (size_t i = 0; i < given->n; i++)
        if (dir_exists(given->item[i]))
            dir = given->item[i];
    if (!dir)
        return 0;
    if (given->n > 1 || o->task != TASK_SENTENCE_SIMILARITY) {
        err_kind_set(err, ERR_USAGE, "'%s' is a folder", dir);
        return err_hint(err, given->n > 1 ? "--eval-data takes one judged collection, or files"
                                          : "only sentence-similarity is scored on a judged "
                                            "collection; give files");
    }
    *out = xcalloc(1, sizeof **out);
    if (read_folder(*out, dir, err))
        return -1;
    o->eval_judged = &(*out)->judged;
    o->n_eval_files = 0;
    return 0;
}
