/* test_dataset.c - the rows of every task: what is refused and how, what becomes of the rest; the
 * order of batches; masks and sentence pairs. */
#include "encoder/encoder.h"
#include "encoder/train/batch.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct tokenizer *letters, *words;

static int setup(void **state)
{
    return scratch_make(state) || model_open_tokenizer("tests/data/models/tiny", &letters, NULL) ||
           model_open_tokenizer("tests/golden/heads/bert-fill-mask", &words, NULL);
}

static int teardown(void **state)
{
    tokenizer_free(letters);
    tokenizer_free(words);
    return scratch_remove(state);
}

static char *file_of(const char *name, const char *text)
{
    return scratch_put(name, text, strlen(text));
}

struct given {
    enum train_task task;
    const char *name, *text;
    int loss; /* 0: as the columns say, else an enum loss_kind + 1 */
    const char *labels;
    int column;
    bool skip;
};

static int read_given(const struct given *g, struct dataset *d, char **path, struct err *err)
{
    static const char *files[1];
    struct data_options o;
    data_defaults(&o);
    *path = file_of(g->name, g->text);
    files[0] = *path;
    o.file = files;
    o.n_files = 1;
    o.labels = g->labels;
    o.column = g->column;
    o.skip_bad_rows = g->skip;
    memset(err, 0, sizeof *err);
    return dataset_read(d, g->task, &o, g->loss ? g->loss - 1 : TRAIN_LOSS_AUTO, false, err);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        struct given g;
        const char *message;
    } rows[] = {
        {{TASK_SENTENCE_SIMILARITY, "a.tsv", "x\ty\n1\t2\n"}, "no columns that can be trained on"},
        {{TASK_SENTENCE_SIMILARITY, "a.tsv", ""}, "is empty"},
        {{TASK_SENTENCE_SIMILARITY, "a.tsv", "anchor\tpositive\n"}, "has no rows"},
        {{TASK_SENTENCE_SIMILARITY, "a.tsv", "anchor\tpositive\na\tb\nc\n"},
         "line 3: 1 fields where the first line names 2"},
        {{TASK_SENTENCE_SIMILARITY, "a.tsv", "anchor\tpositive\na\tb\n \td\n"},
         "line 3: an empty text in column 'anchor'"},
        {{TASK_SENTENCE_SIMILARITY, "a.tsv", "anchor\tpositive\na\t\xff\n"},
         "line 2: not valid UTF-8"},
        {{TASK_SENTENCE_SIMILARITY, "a.tsv", "sentence1\tsentence2\tscore\na\tb\tnan\n"},
         "line 2: 'nan' in column 'score' is not a number"},
        {{TASK_SENTENCE_SIMILARITY, "a.tsv", "sentence1\tsentence2\tlabel\na\tb\t2\n"},
         "line 2: expected label 0 or 1, not '2'"},
        {{TASK_SENTENCE_SIMILARITY, "a.tsv", "anchor\tpositive\na\tb\n", LOSS_TRIPLET + 1},
         "lacks columns for --loss triplet"},
        {{TASK_SENTENCE_SIMILARITY, "a.jsonl",
          "{\"anchor\":\"a\",\"positive\":\"b\",\"negative\":\"c\"}\n"
          "{\"anchor\":\"a\",\"positive\":\"b\"}\n"},
         "line 2: expected an object with 'negative'"},
        {{TASK_TEXT_CLASSIFICATION, "a.tsv", "text\nx\n"}, "no column 'label'"},
        {{TASK_TEXT_CLASSIFICATION, "a.tsv", "text\tlabel\nx\t\n"}, "line 2: no label"},
        {{TASK_TEXT_CLASSIFICATION, "a.csv", "text,label\n\"x,1\n"},
         "line 2: a quoted field has no end"},
        {{TASK_TOKEN_CLASSIFICATION, "a.conll", "the O\nword\n"},
         "line 2: expected a word and its tag, found 1 column"},
        {{TASK_TOKEN_CLASSIFICATION, "a.conll", "the O\n", 0, NULL, 3},
         "line 1: expected a word and its tag in the column that --column names, found 2"},
        {{TASK_TOKEN_CLASSIFICATION, "a.conll", "th\xff O\n"}, "line 1: not valid UTF-8"},
        {{TASK_TOKEN_CLASSIFICATION, "a.conll", "\n\n"}, "has no usable rows"},
        {{TASK_QUESTION_ANSWERING, "a.json", "{}"}, "no list 'data'"},
        {{TASK_QUESTION_ANSWERING, "a.json",
          "{\"data\":[{\"paragraphs\":[{\"context\":\"ab\",\"qas\":[{\"id\":\"7\",\"question\":"
          "\"q\",\"answers\":[{\"text\":\"b\",\"answer_start\":0}]}]}]}]}"},
         "question '7': the answer's text does not stand at its answer_start"},
        {{TASK_FILL_MASK, "a.txt", "\n"}, "has no usable rows"},
        {{TASK_FILL_MASK, "a.txt", "one\n\xfe\n"}, "line 2: not valid UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dataset d;
        struct err err;
        char *path;
        if (read_given(&rows[i].g, &d, &path, &err) == 0)
            fail_msg("case %zu was accepted", i);
        if (!strstr(err.msg, rows[i].message))
            fail_msg("case %zu: '%s' lacks '%s'", i, err.msg, rows[i].message);
        free(path);
    }
}

static void test_skipped(void **state)
{
    (void)state;
    static const struct given rows[] = {
        {TASK_SENTENCE_SIMILARITY, "a.tsv", "anchor\tpositive\na\tb\nc\nd\te\n\tf\n", .skip = true},
        {TASK_SENTENCE_SIMILARITY, "a.jsonl",
         "{\"anchor\":\"a\",\"positive\":\"b\"}\n{]\n{\"anchor\":\"c\"}\n"
         "{\"anchor\":\"d\",\"positive\":\"e\"}\n",
         .skip = true},
        {TASK_TEXT_CLASSIFICATION, "a.tsv", "text\tlabel\na\tx\nb\t\nc\n\td\ne\ty\n", .skip = true},
    };
    static const int64_t skipped[] = {2, 2, 3};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dataset d;
        struct err err;
        char *path;
        if (read_given(&rows[i], &d, &path, &err))
            fail_msg("%s", err.msg);
        assert_int_equal(d.n_items, 2);
        assert_int_equal(d.skipped, skipped[i]);
        assert_non_null(strstr(d.first_skipped.msg, "line"));
        dataset_release(&d);
        free(path);
    }
}

static void test_labels(void **state)
{
    (void)state;
    static const struct {
        const char *text, *labels;
        const char *classes; /* NULL: regression */
    } rows[] = {
        {"text\tlabel\na\t10\nb\t9\nc\t10\n", NULL, "9,10"},
        {"text\tlabel\na\tpos\nb\tneg\n", NULL, "neg,pos"},
        {"text\tlabel\na\tpos\nb\tneg\n", "pos, neg", "pos,neg"},
        {"text\tlabel\na\t1.0\nb\t2\n", NULL, NULL},
        {"text\tlabel\na\t1.0\nb\t2.5\n", "2.5,1.0", "2.5,1.0"},
        {"text\tlabel\na\t1.0\nb\tx\n", NULL, "1.0,x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct given g = {TASK_TEXT_CLASSIFICATION, "a.tsv", rows[i].text,
                                .labels = rows[i].labels};
        struct dataset d;
        struct err err;
        char *path;
        assert_int_equal(read_given(&g, &d, &path, &err), 0);
        assert_int_equal(d.regression, rows[i].classes == NULL);
        struct str all = {0};
        for (int k = 0; k < d.n_classes; k++)
            str_printf(&all, "%s%s", k ? "," : "", d.class_name[k]);
        if (rows[i].classes)
            assert_string_equal(all.p, rows[i].classes);
        str_release(&all);
        dataset_release(&d);
        free(path);
    }
}

static void test_unknown_label(void **state)
{
    (void)state;
    static const char *const known[] = {"x", "y"};
    struct given g = {TASK_TEXT_CLASSIFICATION, "a.tsv", "text\tlabel\na\tx\nb\tz\nc\ty\n"};
    struct dataset d;
    struct err err;
    char *path;
    assert_int_equal(read_given(&g, &d, &path, &err), 0);
    assert_int_equal(dataset_use_labels(&d, known, 2, &err), -1);
    assert_non_null(strstr(err.msg, "line 3: label 'z' is not one of the model's"));
    dataset_release(&d);
    free(path);
    g.skip = true;
    assert_int_equal(read_given(&g, &d, &path, &err), 0);
    assert_int_equal(dataset_use_labels(&d, known, 2, &err), 0);
    assert_int_equal(d.n_items, 2);
    assert_int_equal(d.label[1], 1);
    assert_int_equal(d.origin[1].line, 4);
    dataset_release(&d);
    free(path);
}

/* Reads and tokenises; the caller releases. */
static void load(const struct given *g, const struct tokenizer *t, int window, struct dataset *d)
{
    struct err err;
    char *path;
    if (read_given(g, d, &path, &err))
        fail_msg("%s", err.msg);
    if (d->n_classes &&
        dataset_use_labels(d, (const char *const *)d->class_name, d->n_classes, &err))
        fail_msg("%s", err.msg);
    if (dataset_tokenise(d, t, window, NULL, &err))
        fail_msg("%s", err.msg);
    free(path);
}

static void test_first_pieces(void **state)
{
    (void)state;
    const struct given g = {TASK_TOKEN_CLASSIFICATION, "a.conll",
                            "-DOCSTART- -X- O O\n\nab B-X\nc O\n\nd\tI-X\n"};
    struct dataset d;
    load(&g, letters, 128, &d); /* one token a letter */
    assert_int_equal(d.n, 2);
    static const int tags[] = {-1, 0, -1, 2, -1, -1, 1, -1}; /* B-X, I-X, O sorted */
    assert_int_equal(d.seqs.n_tok, ARRAY_LEN(tags));
    assert_memory_equal(d.seqs.tag, tags, sizeof tags);
    dataset_release(&d);
}

static void test_answers(void **state)
{
    (void)state;
    /* an answer behind characters of two and three bytes, in windows of few tokens */
    const struct given g = {
        TASK_QUESTION_ANSWERING, "a.json",
        "{\"data\":[{\"paragraphs\":[{\"context\":\"\xC3\xA9\xE2\x82\xAC "
        "abcdefghijklmnopqrstuvwxyz\","
        "\"qas\":[{\"id\":\"1\",\"question\":\"what\",\"answers\":[{\"text\":\"hij\","
        "\"answer_start\":10}]},{\"id\":\"2\",\"question\":\"no\",\"answers\":[]}]}]}]}"};
    struct dataset d;
    struct err err;
    char *path;
    assert_int_equal(read_given(&g, &d, &path, &err), 0);
    d.options.max_length = 20;
    d.options.doc_stride = 4;
    assert_int_equal(dataset_tokenise(&d, letters, 128, NULL, &err), 0);
    int found = 0;
    for (size_t i = 0; i < d.seqs.n; i++) {
        const struct sequence *s = &d.seqs.seq[i];
        assert_true(s->n <= 20);
        if (s->begin == 0) {
            assert_int_equal(s->end, 0);
            continue;
        }
        found++;
        assert_int_equal(s->item, 0);
        const struct span text =
            span_sub(span_of(d.question[0].context), d.seqs.from[s->at + (size_t)s->begin],
                     d.seqs.to[s->at + (size_t)s->end]);
        assert_true(span_eq(text, "hij"));
    }
    assert_true(found >= 1);
    assert_true(d.n > 4);
    dataset_release(&d);
    free(path);
}

/* ---- batches ------------------------------------------------------------------------------------
 */

static void check_whole(const struct plan *p)
{
    char *seen = xcalloc((size_t)p->n, 1);
    for (int64_t i = 0; i < p->n; i++) {
        assert_false(seen[p->order[i]]);
        seen[p->order[i]] = 1;
    }
    assert_int_equal(p->start[p->n_batches], p->n);
    free(seen);
}

static void test_order(void **state)
{
    (void)state;
    struct dataset d = {.n = 1000, .columns = 1};
    struct plan_options o = {.seed = 1, .batch_size = 32, .shuffle = true};
    struct plan a, b;
    plan_make(&a, &d, &o);
    check_whole(&a);
    assert_int_equal(a.n_batches, 32);
    plan_make(&b, &d, &o);
    assert_memory_equal(a.order, b.order, 1000 * sizeof *a.order);
    plan_release(&b);
    o.epoch = 1;
    plan_make(&b, &d, &o);
    check_whole(&b);
    int same = 0;
    for (int i = 0; i < 1000; i++)
        same += a.order[i] == b.order[i];
    assert_true(same < 20);
    plan_release(&b);
    o.shuffle = false;
    plan_make(&b, &d, &o);
    assert_int_equal(b.order[500], 500);
    plan_release(&a);
    plan_release(&b);
}

static void test_distinct(void **state)
{
    (void)state;
    enum { N = 500 };
    uint64_t key[2 * N];
    for (int i = 0; i < N; i++) { /* an anchor three times, a positive that is another's anchor */
        key[2 * i] = (uint64_t)(i / 3);
        key[2 * i + 1] = (uint64_t)(i * 7 % 300);
    }
    struct dataset d = {.n = N, .columns = 2, .key = key};
    const struct plan_options o = {.seed = 3, .batch_size = 16, .shuffle = true, .distinct = true};
    struct plan p;
    plan_make(&p, &d, &o);
    check_whole(&p);
    assert_true(p.moved > 0);
    for (int64_t b = 0; b < p.n_batches; b++)
        for (int64_t i = p.start[b]; i < p.start[b + 1]; i++)
            for (int64_t j = p.start[b]; j < i; j++)
                for (int k = 0; k < 4; k++)
                    assert_true(key[2 * p.order[i] + k / 2] != key[2 * p.order[j] + k % 2]);
    plan_release(&p);
}

/* ---- masks and pairs ----------------------------------------------------------------------------
 */

/* A corpus of `n` documents with `lines` lines of known words each. */
static char *corpus(int n, int lines, int length)
{
    static const char *const vocabulary[] = {"the", "of",  "hot", "word",
                                             "see", "him", "now", "said"};
    struct str s = {0};
    unsigned at = 1;
    for (int d = 0; d < n; d++) {
        for (int l = 0; l < lines; l++) {
            for (int w = 0; w < length; w++) {
                at = at * 1103515245u + 12345u;
                str_printf(&s, "%s%s", w ? " " : "", vocabulary[at >> 16 & 7]);
            }
            str_putc(&s, '\n');
        }
        str_putc(&s, '\n');
    }
    return str_take(&s);
}

static void test_masks(void **state)
{
    (void)state;
    char *text = corpus(400, 20, 16);
    const struct given g = {TASK_FILL_MASK, "a.txt", text};
    struct dataset d;
    load(&g, words, 40, &d);
    struct packed p = {0}, again = {0}, later = {0};
    for (int64_t i = 0; i < d.n; i++) {
        packed_example(&p, &d, i, (struct moment){7, 0}, (uint64_t)i);
        packed_example(&again, &d, i, (struct moment){7, 0}, (uint64_t)i);
        packed_example(&later, &d, i, (struct moment){7, 1}, (uint64_t)i);
    }
    int eligible = 0, masked = 0, kept = 0, other = 0;
    for (int i = 0; i < p.n_tok; i++)
        eligible += !(d.seqs.flag[i] & FLAG_SPECIAL);
    for (int i = 0; i < p.n_pick; i++) {
        const int at = p.pick[i];
        assert_false(d.seqs.flag[at] & FLAG_SPECIAL);
        assert_int_equal(p.pick_label[i], d.seqs.token[at]);
        masked += p.token[at] == d.mask_id;
        kept += p.token[at] == d.seqs.token[at];
        other += p.token[at] != d.mask_id && p.token[at] != d.seqs.token[at];
    }
    const double n = p.n_pick;
    assert_true(eligible > 100000);
    assert_true(fabs(n / eligible - .15) < .003);
    assert_true(fabs(masked / n - .8) < .01);
    /* a token drawn from the whole vocabulary is now and then the old one, or the mask */
    assert_true(fabs(kept / n - .1 - .1 / 102) < .01);
    assert_true(fabs(other / n - .1) < .01);
    assert_int_equal(p.n_pick, again.n_pick);
    assert_memory_equal(p.token, again.token, (size_t)p.n_tok * sizeof *p.token);
    assert_int_not_equal(memcmp(p.token, later.token, (size_t)p.n_tok * sizeof *p.token), 0);
    packed_release(&p);
    packed_release(&again);
    packed_release(&later);
    dataset_release(&d);
    free(text);
}

static void test_whole_words(void **state)
{
    (void)state;
    const struct given g = {TASK_FILL_MASK, "a.txt", "abcd efgh ijkl mnop qrst uvwx yzab cdef\n"};
    struct dataset d;
    load(&g, letters, 128, &d); /* words of four pieces */
    d.options.whole_word = true;
    int picked = 0;
    for (uint64_t epoch = 0; epoch < 200; epoch++) {
        struct packed p = {0};
        packed_example(&p, &d, 0, (struct moment){1, epoch}, 0);
        assert_int_equal(p.n_pick % 4, 0);
        for (int i = 0; i < p.n_pick; i += 4) {
            assert_int_equal((p.pick[i] - 1) % 4, 0);
            assert_int_equal(p.pick[i + 3], p.pick[i] + 3);
        }
        picked += p.n_pick;
        packed_release(&p);
    }
    assert_true(abs(picked - 960) < 200); /* 200 * 32 * .15 */
    dataset_release(&d);
}

static void test_pairs(void **state)
{
    (void)state;
    /* each document has words of its own, so that a pair shows where it is from */
    struct str s = {0};
    for (int doc = 0; doc < 26; doc++) {
        for (int l = 0; l < 12; l++)
            str_printf(&s, "%c%c %c\n", 'a' + doc, 'a' + doc, 'a' + doc);
        str_putc(&s, '\n');
    }
    const struct given g = {TASK_PRETRAINING, "a.txt", s.p};
    struct dataset d;
    load(&g, letters, 32, &d);
    int next = 0, all = 0;
    const int sep = tokenizer_special_id(letters, TOKEN_SEP);
    d.options.mask_probability = 1e-9; /* nothing hidden: all can be read */
    for (uint64_t epoch = 0; epoch < 40; epoch++)
        for (int64_t i = 0; i < d.n; i++) {
            struct packed p = {0};
            packed_example(&p, &d, i, (struct moment){5, epoch}, 0);
            assert_true(p.n_tok <= 32);
            int cut = 0;
            while (p.token[cut] != sep)
                cut++;
            assert_true(cut > 1 && cut + 2 < p.n_tok);
            assert_int_equal(p.type[cut], 0);
            assert_int_equal(p.type[cut + 1], 1);
            /* the letter itself, as a piece that begins or goes on */
            const struct span a = tokenizer_token(letters, p.token[1]);
            const struct span b = tokenizer_token(letters, p.token[cut + 1]);
            const bool same = a.p[a.n - 1] == b.p[b.n - 1];
            assert_int_equal(p.label[0], same ? 0 : 1);
            next += p.label[0] == 0;
            all++;
            packed_release(&p);
        }
    assert_true(all > 2000);
    assert_true(fabs((double)next / all - .5) < .03);
    dataset_release(&d);
    str_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_skipped),
        cmocka_unit_test(test_labels),       cmocka_unit_test(test_unknown_label),
        cmocka_unit_test(test_first_pieces), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_order),        cmocka_unit_test(test_distinct),
        cmocka_unit_test(test_masks),        cmocka_unit_test(test_whole_words),
        cmocka_unit_test(test_pairs)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
