/* wordpiece_words.c - the distinct words of the training texts and how often each occurs.
 *
 * A word is what the tokenizer's own normaliser and pre-tokeniser make of the text, so what is
 * learned is what will be looked up. Words that are too long to be looked up are not counted.
 */
#include "encoder/tokenizer/internal.h"
#include "encoder/train/wordpiece.h"
#include "src/base/stop.h"

#include <stdlib.h>
#include <string.h>

enum { STRETCH = 1 << 20 }; /* bytes between two looks at the stop flag and at the memory */

void word_counts_release(struct word_counts *w)
{
    free(w->word);
    free(w->slot);
    str_release(&w->pool);
    *w = (struct word_counts){0};
}

struct span word_text(const struct word_counts *w, size_t i)
{
    return (struct span){w->pool.p + w->word[i].at, w->word[i].n_bytes};
}

static uint32_t *find(const struct word_counts *w, struct span word)
{
    size_t i = hash64(word.p, word.n) & (w->n_slots - 1);
    while (w->slot[i] && !span_equal(word_text(w, w->slot[i] - 1), word))
        i = (i + 1) & (w->n_slots - 1);
    return &w->slot[i];
}

static void grow_slots(struct word_counts *w)
{
    if (2 * (w->n + 1) <= w->n_slots)
        return;
    free(w->slot);
    w->n_slots = w->n_slots ? 2 * w->n_slots : 1 << 12;
    w->slot = xcalloc(w->n_slots, sizeof *w->slot);
    for (size_t i = 0; i < w->n; i++)
        *find(w, word_text(w, i)) = (uint32_t)(i + 1);
}

static void count_word(void *ctx, struct span word)
{
    struct word_counts *const w = ctx;
    if (word.n == 0)
        return;
    w->total++;
    grow_slots(w);
    uint32_t *const slot = find(w, word);
    if (*slot) {
        w->word[*slot - 1].count++;
        return;
    }
    VEC_GROW(w->word, w->n, w->cap);
    w->word[w->n] = (struct counted_word){w->pool.n, (uint32_t)word.n, 1};
    str_span(&w->pool, word);
    if (!w->pool.failed)
        *slot = (uint32_t)++w->n;
}

/* What learning will need for these words too: a number a byte, and about two pairs each. */
static size_t memory(const struct word_counts *w)
{
    return w->pool.n * 3 * sizeof(int32_t) + w->cap * sizeof *w->word +
           w->n_slots * sizeof *w->slot;
}

/* The bytes from `at` to the end of a line about a STRETCH further on, or to the end of a text
 * without lines. */
static struct span stretch(const struct map *m, size_t at)
{
    const char *const p = (const char *)m->p + at;
    const size_t n = m->n - at;
    if (n <= STRETCH)
        return (struct span){p, n};
    const char *const end = memchr(p + STRETCH, '\n', n - STRETCH);
    return (struct span){p, end ? (size_t)(end - p) + 1 : n};
}

int word_counts_file(struct word_counts *w, const struct tokenizer *t, const char *path,
                     size_t max_memory, struct err *err)
{
    struct map m;
    int rc = 0;
    if (map_open(&m, path, err))
        return -1;
    w->pool.max = max_memory;
    for (size_t at = 0; at < m.n && rc == 0;) {
        const struct span text = stretch(&m, at);
        rc = segment_words(t, text, count_word, w, err);
        at += text.n;
        if (rc == 0 && stop_requested())
            rc = err_kind_set(err, ERR_STOPPED, "stopped");
        if (rc == 0 && (w->pool.failed || memory(w) > max_memory || w->n > INT32_MAX / 2)) {
            rc = err_kind_set(err, ERR_LIMIT, "%s: %zu distinct words are too many", path, w->n);
            err_hint(err, "train on a part of the texts: a vocabulary is settled after some 100 "
                          "million words");
        }
    }
    map_close(&m);
    return rc;
}
