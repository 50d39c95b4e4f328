/* data_judged.c - held-out questions over a collection of texts, as rows to score on.
 *
 * A row is a question and a text that is right for it, as a file of pairs would have them. The
 * texts that are right for no question are searched too: they stand behind the rows as items of
 * one text each (dataset.n_pool).
 */
#include "encoder/train/dataset.h"
#include "encoder/train/texts.h"

#include "src/base/mem.h"

#include <stdlib.h>

static void take_text(struct dataset *d, size_t at, struct span text)
{
    d->text[at] = text_strip(text);
    d->key[at] = hash64(d->text[at].p, d->text[at].n);
}

static void take_rows(struct dataset *d, const struct judged *j, bool *right)
{
    for (size_t i = 0; i < j->n; i++) {
        const struct judged_pair p = j->pair[i];
        take_text(d, 2 * i, j->question[p.question]);
        take_text(d, 2 * i + 1, j->text[p.text]);
        d->group[i] = p.question;
        right[p.text] = true;
    }
}

static struct hash128 hash_of(const struct judged *j)
{
    struct hasher *h = hasher_new();
    for (size_t i = 0; i < j->n_questions; i++)
        hasher_text(h, j->question[i]);
    for (size_t i = 0; i < j->n_texts; i++)
        hasher_text(h, j->text[i]);
    for (size_t i = 0; i < j->n; i++) {
        hasher_int(h, j->pair[i].question);
        hasher_int(h, j->pair[i].text);
    }
    return hasher_finish(h);
}

void dataset_judged(struct dataset *d, const struct data_options *o, const struct judged *j)
{
    bool *right = xcalloc(j->n_texts + 1, sizeof *right);
    const size_t room = 2 * j->n + j->n_texts;
    *d = (struct dataset){.task = TASK_SENTENCE_SIMILARITY,
                          .options = *o,
                          .columns = 2,
                          .loss = LOSS_MNRL,
                          .mask_id = -1,
                          .rows = (int64_t)j->n};
    d->options.file = &j->name;
    d->options.n_files = 1;
    d->text = xcalloc(room, sizeof *d->text);
    d->key = xcalloc(room, sizeof *d->key);
    d->group = xcalloc(j->n + 1, sizeof *d->group);
    d->score = xcalloc(j->n + 1, sizeof *d->score);
    d->hash = xcalloc(1, sizeof *d->hash);
    d->hash[0] = hash_of(j);
    take_rows(d, j, right);
    for (size_t i = 0; i < j->n_texts; i++)
        if (!right[i])
            take_text(d, 2 * j->n + d->n_pool++, j->text[i]);
    d->n_items = j->n + d->n_pool;
    free(right);
}
