/* The chunker: what every result must keep (on random documents), and how it chooses. */
#include "index/chunk.h"
#include "index/clean.h"
#include "src/base/mem.h"
#include "tests/unit/index/fake_embedder.h"
#include "tests/unit/test.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t rng = 7;

static unsigned below(unsigned n)
{
    rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(rng >> 33) % n;
}

static void add(struct doc *d, enum block_kind kind, int level, int page, const char *text)
{
    if (d->text.n)
        str_puts(&d->text, "\n\n");
    const size_t start = d->text.n;
    str_puts(&d->text, text);
    doc_add_block(d, kind, level, page, start, d->text.n);
}

static void words(struct str *s, unsigned n, const char *between)
{
    static const char *const stock[] = {"alpha", "Beta",  "gamma.", "delta,", "\xc3\xa9psilon",
                                        "x",     "zeta!", "eta?",   "theta)", "a_b"};
    for (unsigned i = 0; i < n; i++) {
        if (i)
            str_puts(s, below(6) ? " " : between);
        str_puts(s, stock[below(10)]);
    }
}

/* What holds for every list of passages of every document. */
static void check_invariants(const struct doc *d, const struct embedder *e,
                             const struct chunk_list *list)
{
    char *covered = xcalloc(d->text.n + 1, 1);
    size_t before = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct chunk *k = &list->item[i];
        assert_true(k->start < k->end && k->end <= d->text.n);
        assert_true(i == 0 || k->start > before);
        before = k->start;
        const struct span text = span_sub(str_view(&d->text), k->start, k->end);
        assert_true(span_equal(text, span_trim(text)));
        int line = 1, pages = 0, page = -1;
        for (size_t p = 0; p < k->start; p++)
            line += d->text.p[p] == '\n';
        assert_int_equal(k->line_start, line);
        for (size_t p = k->start; p < k->end; p++)
            line += d->text.p[p] == '\n';
        assert_int_equal(k->line_end, line);
        for (size_t b = 0; b < d->n_blocks; b++)
            if (d->block[b].start < k->end && d->block[b].end > k->start &&
                d->block[b].page != page) {
                page = d->block[b].page;
                pages++;
            }
        assert_int_equal(pages, 1);
        assert_int_equal(k->page, page);
        struct token_range *r;
        size_t n;
        struct err err = {0};
        assert_int_equal(e->tokens(e, span_of(k->embed_text), &r, &n, &err), 0);
        free(r);
        assert_int_equal(k->n_tokens, (int)n + e->overhead(e, EMBED_PASSAGE));
        assert_true(k->n_tokens <= e->window);
        memset(covered + k->start, 1, k->end - k->start);
    }
    for (size_t b = 0; b < d->n_blocks; b++)
        for (size_t p = d->block[b].start; p < d->block[b].end; p++) {
            const char c = d->text.p[p];
            if (((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) && !covered[p])
                fail_msg("byte %zu is in no passage", p);
        }
    free(covered);
}

static void random_document(struct doc *d)
{
    int page = below(2) ? 1 : 0;
    struct str s = {0};
    for (unsigned n = 1 + below(30); n > 0; n--) {
        str_clear(&s);
        if (page && below(5) == 0)
            page++;
        const unsigned kind = below(8);
        if (kind == 0) {
            words(&s, 1 + below(6), " ");
            add(d, BLOCK_HEADING, 1 + (int)below(6), page, s.p);
        } else if (kind == 1) {
            words(&s, 1 + below(150), "\n");
            add(d, BLOCK_CODE, 0, page, s.p);
        } else if (kind == 2) {
            words(&s, 1 + below(150), " |\n| ");
            add(d, BLOCK_TABLE, 0, page, s.p);
        } else {
            words(&s, 1 + below(200), "\n");
            add(d, below(3) ? BLOCK_PARAGRAPH : BLOCK_LIST, 0, page, s.p);
        }
    }
    str_release(&s);
}

static void random_documents(void **state)
{
    (void)state;
    struct embedder *e = fake_embedder_new(1, 64);
    struct err err = {0};
    for (int i = 0; i < 400; i++) {
        struct doc d = {.kind = below(2) ? KIND_MARKDOWN : KIND_TEXT};
        struct chunk_list list = {0};
        if (below(2))
            d.title = xstrdup("Alpha of the many long words that a title can have, and more words");
        random_document(&d);
        const struct chunk_options o = {.target_tokens = below(2) ? 0 : 10 + (int)below(60),
                                        .overlap_tokens = (int)below(30) - 1};
        assert_int_equal(chunk_document(&d, e, &o, &list, &err), 0);
        check_invariants(&d, e, &list);
        chunk_list_release(&list);
        doc_release(&d);
    }
    e->close(e);
}

static void cut(struct doc *d, int target, int overlap, struct chunk_list *list)
{
    struct embedder *e = fake_embedder_new(1, 64);
    struct err err = {0};
    const struct chunk_options o = {.target_tokens = target, .overlap_tokens = overlap};
    assert_int_equal(chunk_document(d, e, &o, list, &err), 0);
    check_invariants(d, e, list);
    e->close(e);
}

static void assert_passage(const struct doc *d, const struct chunk *k, const char *expected)
{
    char *text = xstrndup(d->text.p + k->start, k->end - k->start);
    assert_string_equal(text, expected);
    free(text);
}

static void sections_and_breadcrumbs(void **state)
{
    (void)state;
    struct doc d = {.kind = KIND_TEXT, .title = xstrdup("Guide")};
    struct chunk_list list = {0};
    add(&d, BLOCK_HEADING, 1, 0, "Guide");
    add(&d, BLOCK_PARAGRAPH, 0, 0, "one two three four five six seven eight");
    add(&d, BLOCK_HEADING, 2, 0, "Install");
    add(&d, BLOCK_PARAGRAPH, 0, 0, "a b c d e f g h i");
    add(&d, BLOCK_HEADING, 3, 0, "From source");
    add(&d, BLOCK_PARAGRAPH, 0, 0, "k l m n o p q r");
    add(&d, BLOCK_HEADING, 2, 0, "Use");
    add(&d, BLOCK_PARAGRAPH, 0, 0, "s t u v w x y z a b");
    cut(&d, 16, 0, &list);
    assert_int_equal(list.n, 4);
    assert_string_equal(list.item[3].embed_text, "Guide\nUse\ns t u v w x y z a b");
    assert_passage(&d, &list.item[0], "Guide\n\none two three four five six seven eight");
    assert_string_equal(list.item[0].heading, "Guide");
    assert_string_equal(list.item[0].embed_text, "Guide\none two three four five six seven eight");
    assert_string_equal(list.item[1].heading, "Install");
    assert_string_equal(list.item[1].embed_text, "Guide\nInstall\na b c d e f g h i");
    assert_string_equal(list.item[2].heading, "Install > From source");
    assert_string_equal(list.item[2].embed_text, "Guide > Install\nFrom source\nk l m n o p q r");
    chunk_list_release(&list);
    /* with room for all of it, the small sections share one passage */
    cut(&d, 64, 0, &list);
    assert_int_equal(list.n, 1);
    chunk_list_release(&list);
    doc_release(&d);
}

static void cuts_at_sentences_with_overlap(void **state)
{
    (void)state;
    struct doc d = {.kind = KIND_TEXT};
    struct chunk_list list = {0};
    add(&d, BLOCK_PARAGRAPH, 0, 0,
        "One a b c d e. Two a b c d e. Three a b c d e. Four a b c d e. Five a b c d e. "
        "Six a b c d e.");
    cut(&d, 20, 0, &list);
    assert_passage(&d, &list.item[0], "One a b c d e. Two a b c d e.");
    assert_passage(&d, &list.item[1], "Three a b c d e. Four a b c d e.");
    chunk_list_release(&list);
    cut(&d, 20, 8, &list);
    assert_passage(&d, &list.item[1], "Two a b c d e. Three a b c d e.");
    chunk_list_release(&list);
    doc_release(&d);
}

static void odd_documents(void **state)
{
    (void)state;
    struct doc d = {.kind = KIND_TEXT};
    struct chunk_list list = {0};
    cut(&d, 0, -1, &list); /* no block at all */
    assert_int_equal(list.n, 0);
    add(&d, BLOCK_PARAGRAPH, 0, 0, "----- *** ....");
    cut(&d, 0, -1, &list);
    assert_int_equal(list.n, 0);
    doc_release(&d);
    /* one word of three mebibytes, and a line of five without a break */
    d = (struct doc){.kind = KIND_TEXT};
    char *huge = xmalloc((5 << 20) + 1);
    memset(huge, 'a', 5 << 20);
    huge[3 << 20] = '\0';
    add(&d, BLOCK_PARAGRAPH, 0, 0, huge);
    for (size_t i = 0; i < 5 << 20; i++)
        huge[i] = i % 7 ? 'b' : ' ';
    huge[5 << 20] = '\0';
    add(&d, BLOCK_CODE, 0, 0, huge);
    struct embedder *e = fake_embedder_new(1, 64);
    struct err err = {0};
    assert_int_equal(chunk_document(&d, e, NULL, &list, &err), 0);
    assert_true(list.n > 10000);
    for (size_t i = 0; i < list.n; i++)
        assert_true(list.item[i].n_tokens <= 64);
    chunk_list_release(&list);
    doc_release(&d);
    free(huge);
    e->close(e);
}

static void expect_clean(enum clean_style style, const char *source, const char *expected)
{
    struct clean c = {0};
    const struct span s = span_of(source);
    clean_add(&c, s, 0, s.n, style);
    assert_string_equal(str_view(&c.text).p, expected);
    for (size_t i = 0; i < c.text.n; i++) {
        assert_true(c.at[i] < s.n && (i == 0 || c.at[i] >= c.at[i - 1]));
        if (c.text.p[i] != ' ')
            assert_int_equal(c.text.p[i], source[c.at[i]]);
    }
    clean_release(&c);
}

static void cleaning(void **state)
{
    (void)state;
    expect_clean(CLEAN_MARKDOWN, "see [the *docs*](http://x.y/z_(a)?b \"T\"), ok",
                 "see the docs, ok");
    expect_clean(CLEAN_MARKDOWN, "![an image](a.png) [![b](c)](d) [e][f] [g]", "an image b e [g]");
    expect_clean(CLEAN_MARKDOWN, "## Title<a name=\"x\"></a>", " Title ");
    expect_clean(CLEAN_MARKDOWN, "a <!-- hidden --> b <b>c</b> <url> 1 < 2", "a b c <url> 1 < 2");
    expect_clean(CLEAN_MARKDOWN, "**bold** snake_case _it_ 2 * 3 `a*b_` \\(x\\)",
                 "bold snake_case it 2 * 3 a*b_ (x)");
    expect_clean(CLEAN_MARKDOWN, "- one\n* two\n> quoted\n---\nend", " one\ntwo\nquoted\n\nend");
    expect_clean(CLEAN_TABLE, "| a | b |\n|---|:-:|\n| 1 | 2 |", " a b \n\n1 2 ");
    expect_clean(CLEAN_PLAIN, "Title\n======\na  \t b....... c", "Title\n=\na b. c");
    expect_clean(CLEAN_CODE, "if (x)\n        y(); /* ------ */", "if (x)\n        y(); /* - */");
    expect_clean(CLEAN_MARKDOWN, "[a](b", "[a](b");
    expect_clean(CLEAN_MARKDOWN, "\\", "\\");
    expect_clean(CLEAN_MARKDOWN, "", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleaning),
        cmocka_unit_test(sections_and_breadcrumbs),
        cmocka_unit_test(cuts_at_sentences_with_overlap),
        cmocka_unit_test(odd_documents),
        cmocka_unit_test(random_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
