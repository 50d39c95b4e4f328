/* Tests of index/keyword: which words a text has, and that ranking is BM25, to the letter. */
#include "index/keyword/keyword.h"
#include "index/keyword/words.h"
#include "index/snapshot.h"
#include "src/base/mem.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- words */

/* "term@pos", wholes as "term@pos+cover", stop words as "(term)@pos" */
static void list_word(void *ctx, const struct word *w)
{
    struct str *out = ctx;
    str_printf(out, "%s%s%.*s%s@%u", out->n ? " " : "", w->stop ? "(" : "", (int)w->term.n,
               w->term.p, w->stop ? ")" : "", w->pos);
    if (w->cover > 1)
        str_printf(out, "+%u", w->cover);
}

static void words_of_text(void **state)
{
    static const struct {
        const char *text, *words;
    } row[] = {
        {"", ""},
        {"Hello, world!", "hello@0 world@1"},
        {"the cats of this house", "(the)@0 cat@1 (of)@2 (thi)@3 hous@4"},
        /* stems */
        {"caches cached caching cache", "cach@0 cach@1 cach@2 cach@3"},
        {"running stopped filled", "run@0 stop@1 fill@2"},
        {"string bring king used need speed", "string@0 bring@1 king@2 used@3 need@4 speed@5"},
        {"policies classes buses status series", "policy@0 class@1 bus@2 status@3 sery@4"},
        /* folding */
        {"Café NAÏVE Über", "caf@0 naiv@1 uber@2"},
        {"cafe\xCC\x81", "caf@0"}, /* decomposed */
        {"e\xEF\xAC\x83"
         "cient o\xEF\xAC\x83"
         "ce",
         "efficient@0 offic@1"},                           /* ffi */
        {"hy\xC2\xADphen", "hyphen@0"},                    /* soft hyphen */
        {"\xEF\xBC\xA1\xEF\xBC\xA2\xEF\xBC\x91", "ab1@0"}, /* full-width */
        {"ΑΘΗΝΑ Москва", "αθηνα@0 москва@1"},
        {"हिन्दी", "हिन्दी@0"}, /* vowel signs stay */
        {"\xFF\xFE"
         "broken\xC3",
         "broken@0"},
        /* identifiers */
        {"node.js", "node.js@0+2 nod@0 js@1"},
        {"version 1.0.21.", "version@0 1.0.21@1+3 1@1 0@2 21@3"},
        {"foo_bar", "foo_bar@0+2 foo@0 bar@1"},
        {"__init__", "init@0"},
        {"fooBar HTMLParser", "foobar@0+2 foo@0 bar@1 htmlparser@2+2 html@2 parser@3"},
        {"mRNA iPhone URLs IDs", "mrna@0 iphon@1 url@2 ids@3"},
        {"C++ and c# or g++", "c++@0 c@0 (and)@1 c#@2 c@2 (or)@3 g++@4 g@4"},
        {"i++; x = 3", "i++@0 (i)@0 x@1 3@2"},
        {"use --dry-run or --force", "use@0 --dry-run@1+2 dry@1 run@2 (or)@3 --force@4 forc@4"},
        {"utf-8", "utf-8@0+2 utf@0 8@1"},
        {"long-term", "long@0 term@1"},
        {"a.b@c.org", "a.b@c.org@0+4 a.b@0+2 (a)@0 b@1 c.org@2+2 c@2 org@3"},
        {"src/base/my_err.h",
         "src/base/my_err.h@0+5 src@0 bas@1 my_err.h@2+3 my_err@2+2 (my)@2 err@3 h@4"},
        {"std::vector", "std:vector@0+2 std@0 vector@1"},
        {".gitignore", ".gitignore@0 gitignor@0"},
        {"the end. Next", "(the)@0 end@1 next@2"},
        {"the dog's bone", "(the)@0 dog@1 bon@2"},
        {"don't", "don@0 t@1"},
        {"AT&T", "at&t@0+2 (at)@0 t@1"},
        /* scripts without spaces: characters and pairs */
        {"東京", "東@0 東京@0+2 京@1"},
        {"東京都 x", "東@0 東京@0+2 京@1 京都@1+2 都@2 x@3"},
        {"猫", "猫@0"},
        {"python入門", "python@0 入@1 入門@1+2 門@2"},
        {"검색", "검@0 검색@0+2 색@1"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct str got = {0};
        words_split(span_of(row[i].text), 0, list_word, &got);
        if (strcmp(got.p ? got.p : "", row[i].words) != 0)
            fail_msg("'%s'\n  gives  %s\n  not    %s", row[i].text, got.p, row[i].words);
        str_release(&got);
    }
}

static void words_stay_in_bounds(void **state)
{
    (void)state;
    struct str s = {0}, got = {0};
    for (int i = 0; i < 300; i++)
        str_puts(&s, i % 7 ? "aB" : "a_b.c/d-e@f::g\\h");
    for (int i = 0; i < 5000; i++)
        str_putc(&s, (char)(i * 7 % 251 + 1));
    words_split(str_view(&s), 0, list_word, &got);
    for (size_t cut = 0; cut < 200; cut++) { /* texts that end anywhere, without a NUL after */
        char *copy = xmalloc(cut + 1);
        memcpy(copy, s.p + 2 * cut, cut);
        copy = xrealloc(copy, cut ? cut : 1);
        words_split((struct span){copy, cut}, 0, list_word, &got);
        free(copy);
    }
    assert_true(got.n > 0);
    str_release(&s);
    str_release(&got);
}

/* ---- an index in memory */

struct index {
    struct cachefile file;
    struct postings p;
};

static void index_make(struct index *x, const char *const *text, size_t n, double mean)
{
    struct postings_builder *b = postings_builder_new(NULL);
    struct cache_writer *w;
    struct cache_stamp stamp = {.count = (int64_t)n};
    struct map map;
    for (size_t i = 0; i < n; i++) {
        postings_row_begin(b);
        postings_row_text(b, span_of(text[i]));
        OK(postings_row_end(b, &err));
    }
    OK(cache_writer_open(NULL, &w, &err));
    OK(postings_write(b, w, mean, &err));
    OK(cache_writer_commit(w, &stamp, &map, &err));
    postings_builder_free(b);
    OK(cachefile_of_map(map, "test", &x->file, &err));
    OK(postings_open(&x->file, (int64_t)n, &x->p, &err));
}

static int64_t search(const struct index *x, const char *question, struct hit *hit, int64_t k)
{
    float weight[KEYWORD_TERMS_MAX];
    const struct postings *p = &x->p;
    struct keyword_query *q = keyword_parse(span_of(question));
    struct topk top = {.item = hit, .k = k};
    keyword_weights(q, &p, 1, weight);
    keyword_search(q, p, weight, NULL, 0, &top);
    for (int64_t i = 0; i < top.n; i++) {
        const int64_t row = hit[i].row + 100;
        float score = 0;
        keyword_score(q, p, weight, 100, &row, 1, &score);
        assert_true(score == hit[i].score);
    }
    keyword_query_free(q);
    return topk_finish(&top);
}

static void questions(void **state)
{
    static const char *const text[] = {
        /* 0 */ "the quick brown fox jumps over the lazy dog",
        /* 1 */ "a brown dog and a quick fox",
        /* 2 */ "install node.js version 1.0.21 with --dry-run",
        /* 3 */ "set foo_bar in C++ or in C# code, see src/base/err.h",
        /* 4 */ "東京都の天気は晴れです",
        /* 5 */ "京都と大阪の天気、北海道",
        /* 6 */ "to be or not to be, that is the question",
        /* 7 */ "mail jane.doe@example.org about fooBar and HTMLParser",
        /* 8 */ "node and js and NEAR by",
    };
    static const struct {
        const char *question, *rows; /* the rows found, rising */
    } row[] = {
        {"fox", "01"},
        {"\"quick brown\"", "0"},
        {"\"brown quick\"", ""},
        {"\"brown dog\" fox", "1"},
        {"fox -lazy", "1"},
        {"fox -\"brown dog\"", "0"},
        {"-fox", ""},
        {"-\"brown dog\"", ""},
        {"dog -cat", "01"},
        {"\"fox", "01"},
        {"\"\" \" fox", "01"},
        {"NEAR(fox", "018"},
        {"* AND ( ) ^ ~ : fox *", "01"},
        {"node.js", "28"},
        {"\"node.js\"", "2"},
        {"node -node.js", "8"},
        {"1.0.21", "2"},
        {"0.21", "2"},
        {"--dry-run", "2"},
        {"-5 fox", "01"},
        {"-x fox", "01"},
        {"C++", "3"},
        {"c#", "3"},
        {"foo_bar", "37"},
        {"\"foo_bar\"", "3"},
        {"fooBar", "37"},
        {"html parser", "7"},
        {"err.h", "3"},
        {"jane.doe@example.org", "7"},
        {"東京", "4"},
        {"京都", "45"},
        {"天気", "45"},
        {"都", "45"},
        {"北", "5"},
        {"天気 -大阪", "4"},
        {"\"北海道\"", "5"},
        {"to be or not to be", "36"}, /* common words only: then they count */
        {"\"not to be\"", "6"},
        {"zebra", ""},
        {"", ""},
        {"   ", ""},
        {"\"", ""},
        {"- -- ---", ""},
        {"\xFF\xFE", ""},
    };
    (void)state;
    struct index x;
    index_make(&x, text, ARRAY_LEN(text), 0);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct hit hit[16];
        char got[16] = "";
        bool found[16] = {0};
        const int64_t n = search(&x, row[i].question, hit, 16);
        for (int64_t h = 0; h < n; h++)
            found[hit[h].row] = true;
        for (size_t r = 0, at = 0; r < ARRAY_LEN(text); r++)
            if (found[r])
                got[at++] = (char)('0' + r);
        if (strcmp(got, row[i].rows) != 0)
            fail_msg("'%s' finds '%s', not '%s'", row[i].question, got, row[i].rows);
    }
    struct hit hit[2];
    assert_int_equal(search(&x, "node.js", hit, 2), 2);
    assert_int_equal(hit[0].row, 2); /* the whole beats its scattered parts */
    cachefile_close(&x.file);
}

static void long_questions_are_bounded(void **state)
{
    static const char *const text[] = {"alpha beta", "gamma"};
    (void)state;
    struct index x;
    struct str s = {0};
    struct hit hit[2];
    index_make(&x, text, 2, 0);
    str_puts(&s, "alpha ");
    for (int i = 0; i < 30000; i++)
        str_printf(&s, "word%d \"a b\" -c%d ", i, i);
    assert_int_equal(search(&x, s.p, hit, 2), 1);
    str_clear(&s);
    str_puts(&s, "\"");
    for (int i = 0; i < 30000; i++)
        str_puts(&s, "alpha beta ");
    assert_int_equal(search(&x, s.p, hit, 2), 1); /* an odd quotation mark is text */
    const struct span *term;
    struct keyword_query *q = keyword_parse(span_of("Beta betas \"alpha gamma\" -delta the"));
    assert_int_equal(keyword_terms(q, &term), 3);
    assert_true(span_eq(term[0], "beta") && span_eq(term[1], "alpha") && span_eq(term[2], "gamma"));
    keyword_query_free(q);
    str_release(&s);
    cachefile_close(&x.file);
}

/* ---- against BM25 computed the plain way, in double */

enum { ROWS = 400, WORDS = 120, VOCABULARY = 300 };

static int corpus[ROWS][WORDS], corpus_n[ROWS];

static double naive_score(int row, const int *word, int n_words)
{
    double mean = 0, sum = 0;
    for (int r = 0; r < ROWS; r++)
        mean += (double)corpus_n[r] / ROWS;
    for (int w = 0; w < n_words; w++) {
        int df = 0, tf = 0;
        for (int r = 0; r < ROWS; r++) {
            bool has = false;
            for (int i = 0; i < corpus_n[r]; i++) {
                has |= corpus[r][i] == word[w];
                tf += r == row && corpus[r][i] == word[w];
            }
            df += has;
        }
        const double norm = BM25_K1 * (1 - BM25_B + BM25_B * corpus_n[row] / mean);
        sum += log(1 + (ROWS - df + 0.5) / (df + 0.5)) * tf / (tf + norm);
    }
    return sum;
}

static void scores_are_bm25(void **state)
{
    (void)state;
    char *text[ROWS];
    uint32_t seed = 7;
    for (int r = 0; r < ROWS; r++) {
        struct str s = {0};
        corpus_n[r] = 1 + (int)((seed = seed * 1664525 + 1013904223) >> 16) % WORDS;
        for (int i = 0; i < corpus_n[r]; i++) {
            const uint32_t a = (seed = seed * 1664525 + 1013904223) >> 8;
            corpus[r][i] = (int)(a % VOCABULARY * (a / VOCABULARY % VOCABULARY) / VOCABULARY);
            str_printf(&s, "k%dk ", corpus[r][i]);
        }
        text[r] = str_take(&s);
    }
    struct index x;
    index_make(&x, (const char *const *)text, ROWS, 0);
    for (int q = 0; q < 12; q++) {
        const int word[4] = {q, q * q % 50, 3 * q + 20, q == 5 ? 5 : 40 + q};
        char question[64];
        struct hit hit[ROWS];
        snprintf(question, sizeof question, "k%dk k%dk k%dk k%dk", word[0], word[1], word[2],
                 word[3]);
        const int64_t n = search(&x, question, hit, ROWS);
        bool seen[ROWS] = {0};
        for (int64_t i = 0; i < n; i++) {
            seen[hit[i].row] = true;
            assert_true(i == 0 || hit[i].score < hit[i - 1].score ||
                        (hit[i].score == hit[i - 1].score && hit[i].row > hit[i - 1].row));
            const double want = naive_score((int)hit[i].row, word, 4);
            if (fabs(want - hit[i].score) > 2e-4)
                fail_msg("row %d scores %f, not %f", (int)hit[i].row, hit[i].score, want);
        }
        for (int r = 0; r < ROWS; r++)
            assert_true(seen[r] || naive_score(r, word, 4) == 0);
        struct hit few[5];
        assert_int_equal(search(&x, question, few, 5), 5);
        for (int i = 0; i < 5; i++)
            assert_true(few[i].row == hit[i].row);
    }
    for (int r = 0; r < ROWS; r++)
        free(text[r]);
    cachefile_close(&x.file);
}

/* More text than one run holds: the merged postings are those of one run. */
static void runs_are_merged(void **state)
{
    enum { N = 26000, EACH = 130, KINDS = 5003 };
    (void)state;
    struct postings_builder *b = postings_builder_new(NULL);
    struct cache_writer *w;
    struct cache_stamp stamp = {.count = N};
    struct map map;
    struct index x;
    struct str s = {0};
    for (int r = 0; r < N; r++) {
        postings_row_begin(b);
        str_clear(&s);
        for (int i = 0; i < EACH; i++)
            str_printf(&s, "q%d ", (r * 37 + i * 11) % KINDS);
        postings_row_text(b, str_view(&s));
        OK(postings_row_end(b, &err));
    }
    OK(cache_writer_open(NULL, &w, &err));
    OK(postings_write(b, w, 0, &err));
    OK(cache_writer_commit(w, &stamp, &map, &err));
    OK(cachefile_of_map(map, "test", &x.file, &err));
    OK(postings_open(&x.file, N, &x.p, &err));
    assert_int_equal(x.p.n_postings, (int64_t)N * EACH);
    for (int k = 0; k < KINDS; k += 617) {
        char term[16];
        snprintf(term, sizeof term, "q%d", k);
        const struct posting_list l = postings_find(&x.p, span_of(term));
        uint32_t at = 0, pos[4];
        for (int r = 0; r < N; r++)
            for (int i = 0; i < EACH; i++)
                if ((r * 37 + i * 11) % KINDS == k) {
                    assert_true(at < l.n && l.row[at] == (uint32_t)r);
                    assert_int_equal(postings_positions(&x.p, &l, at, pos, 4), 1);
                    assert_int_equal(pos[0], i);
                    at++;
                }
        assert_int_equal(at, l.n);
    }
    postings_builder_free(b);
    cachefile_close(&x.file);
    str_release(&s);
}

/* Two parts are weighed together: the same scores as one index of all rows (up to 16-bit impacts)
 * when both measure lengths by the same mean. */
static void parts_score_as_one(void **state)
{
    static const char *const text[] = {"red apple pie", "green apple", "red car of a friend",
                                       "apple apple red", "blue sky"};
    (void)state;
    struct index all, a, b;
    struct hit one[5], two[5];
    index_make(&all, text, 5, 3);
    index_make(&a, text, 3, 3);
    index_make(&b, text + 3, 2, 3);
    const int64_t n = search(&all, "red apple", one, 5);
    const struct postings *part[2] = {&a.p, &b.p};
    float weight[KEYWORD_TERMS_MAX];
    struct keyword_query *q = keyword_parse(span_of("red apple"));
    struct topk top = {.item = two, .k = 5};
    keyword_weights(q, part, 2, weight);
    keyword_search(q, part[0], weight, NULL, 0, &top);
    keyword_search(q, part[1], weight, NULL, 3, &top);
    assert_int_equal(topk_finish(&top), n);
    for (int64_t i = 0; i < n; i++)
        assert_true(one[i].row == two[i].row && one[i].score == two[i].score);
    keyword_query_free(q);
    cachefile_close(&all.file);
    cachefile_close(&a.file);
    cachefile_close(&b.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_text),      cmocka_unit_test(words_stay_in_bounds),
        cmocka_unit_test(questions),          cmocka_unit_test(long_questions_are_bounded),
        cmocka_unit_test(scores_are_bm25),    cmocka_unit_test(runs_are_merged),
        cmocka_unit_test(parts_score_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
