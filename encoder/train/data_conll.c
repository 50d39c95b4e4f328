/* data_conll.c - tagged words: one word a line with its columns, an empty line after each sentence.
 *
 *   Lee     B-PER          columns by TAB where the line has one, else by blanks;
 *   visited O              the word is the first, its tag the last (or --column N)
 *   Oslo    B-LOC          lines that begin with -DOCSTART- are separators
 *
 * Every word is tokenised by itself; the tag stands on its first piece, the others and the special
 * tokens do not count (transformers' run_ner without --label_all_tokens). A sentence over the
 * window is cut to it.
 */
#include "encoder/train/dataset.h"

#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    struct dataset *d;
    int file;
    int64_t line;
    struct span word; /* of the line being read */
    struct span tag;
    size_t cap_words, cap_sentences, n_words;
    size_t sentence_words; /* words when the sentence began */
    int64_t sentence_line;
    bool bad; /* the sentence has a bad row */
};

/* The next field of a line; blanks at its start are skipped when they separate. */
static bool next_field(struct span *rest, bool tabs, struct span *field)
{
    if (tabs)
        return span_split(rest, '\t', field);
    *rest = span_trim(*rest);
    if (rest->n == 0)
        return false;
    size_t n = 0;
    while (n < rest->n && rest->p[n] != ' ')
        n++;
    *field = span_sub(*rest, 0, n);
    *rest = span_sub(*rest, n, rest->n);
    return true;
}

static int split_line(struct reader *r, struct span line, struct err *err)
{
    const struct origin at = {r->file, r->line};
    const bool tabs = line.n && memchr(line.p, '\t', line.n);
    struct span rest = line, field;
    int n = 0;
    r->tag = r->word = (struct span){0};
    while (next_field(&rest, tabs, &field)) {
        n++;
        if (n == 1)
            r->word = field;
        if (r->d->options.column ? n == r->d->options.column : n > 1)
            r->tag = field;
    }
    r->tag = span_trim(r->tag);
    if (!utf8_valid(line))
        return dataset_bad(r->d, at, err, "not valid UTF-8");
    if (n < 2 || n < r->d->options.column)
        return dataset_bad(r->d, at, err, "expected a word and its tag%s, found %d column%s",
                           r->d->options.column ? " in the column that --column names" : "", n,
                           n == 1 ? "" : "s");
    if (span_trim(r->word).n == 0 || r->tag.n == 0)
        return dataset_bad(r->d, at, err, "an empty %s", r->tag.n ? "word" : "tag");
    return 0;
}

static void add_word(struct reader *r)
{
    struct dataset *d = r->d;
    if (r->n_words + 1 >= r->cap_words) {
        r->cap_words = r->cap_words ? 2 * r->cap_words : 1024;
        d->word = xrealloc_array(d->word, r->cap_words, sizeof *d->word);
        d->word_tag = xrealloc_array(d->word_tag, r->cap_words, sizeof *d->word_tag);
    }
    d->word[r->n_words] = r->word;
    d->word_tag[r->n_words++] = xstrndup(r->tag.p, r->tag.n);
}

static void end_sentence(struct reader *r)
{
    struct dataset *d = r->d;
    if (r->bad) /* one bad row: the sentence is left out */
        while (r->n_words > r->sentence_words)
            free(d->word_tag[--r->n_words]);
    r->bad = false;
    if (r->n_words == r->sentence_words)
        return;
    if (d->n_items + 2 >= r->cap_sentences) {
        r->cap_sentences = r->cap_sentences ? 2 * r->cap_sentences : 256;
        d->word_start = xrealloc_array(d->word_start, r->cap_sentences, sizeof *d->word_start);
        d->origin = xrealloc_array(d->origin, r->cap_sentences, sizeof *d->origin);
    }
    d->origin[d->n_items] = (struct origin){r->file, r->sentence_line};
    d->word_start[d->n_items++] = r->sentence_words;
    d->word_start[d->n_items] = r->n_words;
    r->sentence_words = r->n_words;
}

static int read_lines(struct reader *r, struct span text, struct err *err)
{
    struct span line;
    r->line = 0;
    while (span_split(&text, '\n', &line)) {
        r->line++;
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (span_trim(line).n == 0 || span_starts(line, "-DOCSTART-")) {
            end_sentence(r);
            continue;
        }
        if (r->n_words == r->sentence_words)
            r->sentence_line = r->line;
        if (split_line(r, line, err) == 0) {
            add_word(r);
            continue;
        }
        r->bad = true;
        if (dataset_skip(r->d, err))
            return -1;
    }
    end_sentence(r);
    return 0;
}

static int conll_read(struct dataset *d, int loss, bool with_teacher, struct err *err)
{
    (void)loss, (void)with_teacher;
    struct reader r = {.d = d};
    d->word_start = xcalloc(2, sizeof *d->word_start);
    for (size_t f = 0; f < d->options.n_files; f++) {
        r.file = (int)f;
        struct span text = dataset_content(d, d->options.file[f], err);
        if (!text.p)
            return -1;
        if (span_starts(text, "\xEF\xBB\xBF"))
            text = span_sub(text, 3, text.n);
        if (read_lines(&r, text, err)) {
            r.bad = true; /* what belongs to no sentence yet is freed here */
            end_sentence(&r);
            return -1;
        }
    }
    if (d->n_items == 0)
        return 0;
    d->word_label = xcalloc(r.n_words + 1, sizeof *d->word_label);
    return dataset_name_classes(d, d->word_tag, r.n_words, err);
}

static int conll_encode(const struct dataset *d, const struct tokenizer *t, size_t i,
                        struct encoding *e, struct sequences *out, int64_t *n_cut, struct err *err)
{
    const struct tokenize_options o = {.no_special = true};
    const int room = d->max_length - frame_size(&d->frame);
    int used = 0;
    sequences_begin(out, (int)i);
    frame_pre(&d->frame, out);
    for (size_t w = d->word_start[i]; w < d->word_start[i + 1] && used < room; w++) {
        if (tokenizer_encode(t, d->word[w], NULL, &o, e, err))
            return -1;
        for (int k = 0; k < e->n && used < room; k++, used++)
            sequences_token(out, e->id[k], k ? FLAG_CONTINUES : 0, k ? -1 : d->word_label[w], 0, 0);
    }
    frame_post(&d->frame, out);
    *n_cut += used == room;
    return 0;
}

const struct dataset_kind data_conll = {.read = conll_read, .encode = conll_encode};
