/* Every format's sample through the worker: kind, title, text, blocks, pages. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "extract_sample.h"
#include "src/base/unicode.h"
#include "tests/unit/test.h"

static struct extractor *x;

static int open_worker(void **state)
{
    (void)state;
    x = sample_open(NULL);
    return 0;
}

static int close_worker(void **state)
{
    (void)state;
    extractor_close(x);
    return 0;
}

/* What doc.h promises of every document. */
static void check_doc(const struct doc *d)
{
    size_t at = 0;
    assert_true(d->text.n > 0 && d->n_blocks > 0);
    assert_true(utf8_valid(str_view(&d->text)));
    assert_null(memchr(d->text.p, '\0', d->text.n));
    assert_non_null(d->extractor);
    for (size_t i = 0; i < d->n_blocks; i++) {
        const struct block *b = &d->block[i];
        assert_true(b->start >= at && b->end > b->start && b->end <= d->text.n);
        assert_int_equal(b->kind == BLOCK_HEADING, b->level > 0);
        assert_null(memchr(" \n\t\r", d->text.p[b->start], 4));
        assert_null(memchr(" \n\t\r", d->text.p[b->end - 1], 4));
        at = b->end;
    }
}

/* A verbatim document's text is the file's own bytes. */
static void check_verbatim(const struct doc *d, const char *name)
{
    char path[512];
    struct str file = {0};
    struct err err = {0};
    snprintf(path, sizeof path, "tests/data/extract/%s", name);
    const int fd = open(path, O_RDONLY);
    char buf[65536];
    ssize_t n;
    while ((n = read(fd, buf, sizeof buf)) > 0)
        str_add(&file, buf, (size_t)n);
    close(fd);
    (void)err;
    assert_int_equal(file.n, d->src_offset + d->text.n);
    assert_memory_equal(file.p + d->src_offset, d->text.p, d->text.n);
    str_release(&file);
}

static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum doc_kind kind;
        bool verbatim;
        const char *title; /* NULL: none */
        const char *has, *has_not;
        int pages;
    } rows[] = {
        {"notes.md", KIND_MARKDOWN, true, "Sailing notes", "Reef early", NULL, 0},
        {"guide.rst", KIND_TEXT, true, "Star guide", "Orion", NULL, 0},
        {"manual.adoc", KIND_TEXT, true, "git-example(1)", "Be verbose", NULL, 0},
        {"todo.org", KIND_TEXT, true, "Garden year", "Sow peas", NULL, 0},
        {"paper.tex", KIND_TEXT, true, "On the Shape of Rivers", "banks erode", NULL, 0},
        {"stack.py", KIND_CODE, true, NULL, "class Stack", NULL, 0},
        {"runme", KIND_CODE, true, NULL, "no extension", NULL, 0},
        {"table.csv", KIND_DATA, true, NULL, "item 39", NULL, 0},
        {"records.jsonl", KIND_DATA, true, NULL, "second record", NULL, 0},
        {"settings.json", KIND_DATA, true, NULL, "north", NULL, 0},
        {"settings.yaml", KIND_DATA, true, NULL, "nested", NULL, 0},
        {"data.xml", KIND_DATA, true, NULL, "plain", "root:", 0},
        {"film.srt", KIND_SUBTITLE, true, NULL, "Bring warm clothes", NULL, 0},
        {"film.vtt", KIND_SUBTITLE, true, NULL, "liquid nitrogen", NULL, 0},
        {"marked.txt", KIND_TEXT, true, NULL, "three bytes", "\xEF\xBB\xBF", 0},
        {"wide.txt", KIND_TEXT, false, NULL,
         "Gr\xC3\xBC\xC3\x9F"
         "e aus K\xC3\xB6ln",
         NULL, 0},
        {"wide-bare.txt", KIND_TEXT, false, NULL, "two bytes each", NULL, 0},
        {"latin1.txt", KIND_TEXT, false, NULL,
         "f\xC3\xA4hrt \xC3\xBC"
         "ber die Br\xC3\xBC"
         "cke",
         "\xEF\xBF\xBD", 0},
        {"damaged-utf8.txt", KIND_TEXT, false, NULL,
         "s\xC3\xBC\xC3\x9F"
         "e Fr\xC3\xBC"
         "chte",
         NULL, 0},
        {"page.html", KIND_HTML, false, "Caf\xC3\xA9 guide", "Grind the beans fine for espresso.",
         "script text", 0},
        {"koi8.html", KIND_HTML, false, NULL, "\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82",
         NULL, 0},
        {"letter.eml", KIND_MAIL, false,
         "Gr\xC3\xBC\xC3\x9F"
         "e aus dem Hafen",
         "The ferry is sch\xC3\xB6n and slow.", "HTML twin", 0},
        {"html-only.eml", KIND_MAIL, false, "Your order", "Two lamps", "ignored title", 0},
        {"list.mbox", KIND_MAIL, false, NULL, "From here on it is rock", NULL, 0},
        {"study.ipynb", KIND_NOTEBOOK, false, "Tide study", "period 12.42", "iVBOR", 0},
        {"letter.rtf", KIND_DOCUMENT, false, "A small letter",
         "Sch\xC3\xB6ne Gr\xC3\xBC\xC3\x9F"
         "e, \xE2\x80\x94 and bold text.",
         "secret", 0},
        {"kettle.docx", KIND_DOCUMENT, false, "The kettle book",
         "Water boils at a lower temperature on mountains.", "never shown", 0},
        {"bees.odt", KIND_DOCUMENT, false, "On bees", "A hive holds one queen.", "deleted words",
         0},
        {"birds.pptx", KIND_SLIDES, false, "Birds of prey", "Remember to pause", "7", 2},
        {"ice.odp", KIND_SLIDES, false, "Glaciers", "Debris is left behind.", NULL, 2},
        {"samples.xlsx", KIND_SHEET, false, NULL, "basalt | 2024-03-15 | 0.3 | TRUE", "hidden", 1},
        {"rivers.ods", KIND_SHEET, false, NULL, "Danube | 2850 km", NULL, 2},
        {"walks.epub", KIND_EBOOK, false, "Night walks", "It was dark and quiet.", "skip me", 0},
        {"lamp.txt.gz", KIND_TEXT, false, NULL, "every ten seconds", NULL, 0},
        {"lamp.txt.zst", KIND_TEXT, false, NULL, "every ten seconds", NULL, 0},
        {"lamp.txt.xz", KIND_TEXT, false, NULL, "every ten seconds", NULL, 0},
        {"lamp.txt.bz2", KIND_TEXT, false, NULL, "every ten seconds", NULL, 0},
        {"files.zip", KIND_ARCHIVE, false, NULL, "Boats sleep here.", NULL, 0},
        {"files.tar.gz", KIND_ARCHIVE, false, NULL, "3000 m | 90 C", NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct extract_result r = sample_file(x, rows[i].name);
        int pages = 0;
        if (r.state != EXTRACT_OK)
            fail_msg("%s: %s", rows[i].name, r.reason);
        print_message("%s\n", rows[i].name);
        check_doc(&r.doc);
        assert_int_equal(r.doc.kind, rows[i].kind);
        assert_int_equal(r.doc.verbatim, rows[i].verbatim);
        if (rows[i].title)
            assert_string_equal(r.doc.title, rows[i].title);
        else
            assert_null(r.doc.title);
        assert_true(sample_has(&r.doc, rows[i].has));
        assert_false(rows[i].has_not && sample_has(&r.doc, rows[i].has_not));
        for (size_t b = 0; b < r.doc.n_blocks; b++)
            pages = r.doc.block[b].page > pages ? r.doc.block[b].page : pages;
        assert_int_equal(pages, rows[i].pages);
        if (r.doc.verbatim)
            check_verbatim(&r.doc, rows[i].name);
        extract_result_release(&r);
    }
}

/* The blocks of a sample, told as "H2 text" lines. */
static void check_blocks(const char *name, const char *const *expected)
{
    static const char letters[] = "HPCTL";
    struct extract_result r = sample_file(x, name);
    size_t i = 0;
    for (; i < r.doc.n_blocks && expected[i]; i++) {
        const struct block *b = &r.doc.block[i];
        char head[16];
        snprintf(head, sizeof head, "%c%d ", letters[b->kind], b->level);
        const struct span s = span_sub(str_view(&r.doc.text), b->start, b->end);
        if (strncmp(expected[i], head, 3) != 0 || !span_starts(s, expected[i] + 3))
            fail_msg("%s block %zu: %s%.*s, not %s", name, i, head, (int)s.n, s.p, expected[i]);
    }
    assert_int_equal(i, r.doc.n_blocks);
    assert_null(expected[i]);
    extract_result_release(&r);
}

static void test_structure(void **state)
{
    (void)state;
    check_blocks("notes.md",
                 (const char *[]){"P0 ---", "H1 Reefing", "P0 Reef early", "H2 Knots",
                                  "L0 - bowline", "L0 - clove", "P0 > A quoted", "C0 ```c",
                                  "T0 | Wind", "H2 Setext heading", "P0 [link]", NULL});
    check_blocks("guide.rst", (const char *[]){"H1 Star guide", "H2 Winter sky", "P0 Orion",
                                               "C0 look", "P0 Back", "H3 Belt", "L0 - Alnitak",
                                               "H2 Summer sky", "P0 .. code", "C0 print", NULL});
    check_blocks("manual.adoc",
                 (const char *[]){"H1 git-example(1)", "H2 NAME", "P0 git-example -", "H2 Options",
                                  "P0 `-v`", "C0 ----", "L0 * first", NULL});
    check_blocks("todo.org", (const char *[]){"P0 #+TITLE", "H1 Spring", "P0 Sow", "H2 March",
                                              "T0 | Bed", "C0 #+BEGIN", NULL});
    check_blocks("paper.tex",
                 (const char *[]){"P0 \\documentclass", "H2 Meanders", "P0 Rivers", "H3 Oxbow",
                                  "P0 A cut", "C0 \\begin", "P0 \\end", NULL});
    check_blocks("stack.py", (const char *[]){"C0 \"\"\"A stack", "C0 def main", NULL});
    check_blocks("records.jsonl",
                 (const char *[]){"T0 {\"id\": 1", "T0 {\"id\": 2", "T0 {\"id\": 3", NULL});
    check_blocks("film.srt", (const char *[]){"P0 The train leaves\nat nine.", "P0 Bring", NULL});
    check_blocks("page.html",
                 (const char *[]){"H1 Coffee", "P0 Grind", "H2 Ratios",
                                  "T0 Drink | Water\nEspresso | 2:1",
                                  "L0 - one shot\n- ristretto\n- two shots",
                                  "C0 brew(\n    beans);", "H3 Layout", "P0 A cell", NULL});
    check_blocks("letter.eml", (const char *[]){"P0 Subject: Gr", "P0 The ferry",
                                                "H1 Attachment: m\xC3\xB6we.txt", "P0 Gulls steal",
                                                "P0 Attachment: gull.png", NULL});
    check_blocks("list.mbox", (const char *[]){"H1 First question", "P0 Subject", "P0 How deep",
                                               "H1 Answer", "P0 Subject", "P0 Twelve", NULL});
    check_blocks("letter.rtf",
                 (const char *[]){"H1 Greeting", "P0 Sch", "T0 a | b", "P0 End.", NULL});
    check_blocks("kettle.docx",
                 (const char *[]){"H1 Boiling", "P0 Water", "H2 Pressure", "L0 - Lid\n- Spout",
                                  "T0 Height | Boils at\n3000 m | 90 C", "P0 Shown once.",
                                  "P0 Descale it", NULL});
    check_blocks("bees.odt", (const char *[]){"H1 Bees", "P0 A hive", "H2 Honey",
                                              "L0 - acacia\n- heather", "T0 Month | Yield", NULL});
    check_blocks("birds.pptx", (const char *[]){"H1 Birds of prey", "P0 Falcons dive\nat 300 km/h.",
                                                "P0 Remember", "H1 Second slide", "P0 Owls", NULL});
    check_blocks("rivers.ods", (const char *[]){"H1 Rivers", "T0 River | Length", "H1 Lakes",
                                                "T0 Bodensee", NULL});
    check_blocks("walks.epub",
                 (const char *[]){"H1 The wood", "P0 Foxes", "H1 The river", "P0 It was", NULL});
    check_blocks("files.zip",
                 (const char *[]){"H1 docs/lamp.txt", "P0 Lighthouse", "P0 The lamp",
                                  "H1 docs/readme.md", "H2 Harbour", "P0 Boats", "L0 x.png", NULL});
}

/* Rows of a csv are never torn inside a quoted cell. */
static void test_csv_rows(void **state)
{
    (void)state;
    struct extract_result r = sample_file(x, "table.csv");
    assert_true(r.doc.n_blocks >= 2);
    for (size_t i = 0; i < r.doc.n_blocks; i++) {
        size_t quotes = 0;
        for (size_t at = r.doc.block[i].start; at < r.doc.block[i].end; at++)
            quotes += r.doc.text.p[at] == '"';
        assert_int_equal(quotes % 2, 0);
    }
    extract_result_release(&r);
}

static void test_pdf(void **state)
{
    (void)state;
    if (!extract_program_found("pdftotext")) {
        struct extract_result r = sample_file(x, "two-pages.pdf");
        assert_int_equal(r.state, EXTRACT_FAILED);
        assert_string_equal(r.reason, "needs the program 'pdftotext'");
        extract_result_release(&r);
        return;
    }
    struct extract_result r = sample_file(x, "two-pages.pdf");
    assert_int_equal(r.state, EXTRACT_OK);
    check_doc(&r.doc);
    assert_int_equal(r.doc.kind, KIND_PDF);
    assert_string_equal(r.doc.title, "About tides");
    assert_true(sample_has(&r.doc, "The moon pulls the sea."));
    assert_int_equal(r.doc.block[0].page, 1);
    assert_int_equal(r.doc.block[r.doc.n_blocks - 1].page, 2);
    extract_result_release(&r);
    r = sample_file(x, "tides.pdf.gz"); /* unpacked by the worker, read by the program */
    assert_int_equal(r.state, EXTRACT_OK);
    assert_int_equal(r.doc.kind, KIND_PDF);
    assert_true(sample_has(&r.doc, "Neap tides are weak."));
    extract_result_release(&r);
    r = sample_file(x, "no-text.pdf");
    assert_int_equal(r.state, EXTRACT_SKIPPED);
    assert_string_equal(r.reason, "no text (image-only PDF)");
    extract_result_release(&r);
}

/* A program gets the file as its input; a name cannot become an option or a command. */
static void test_hostile_names(void **state)
{
    (void)state;
    static const char *const names[] = {"-opw.pdf", "$(touch pwned).pdf", "`id`.pdf",
                                        "a\nb.pdf", "'; rm -rf x; '.pdf", "\xFF\xFE.pdf",
                                        ""};
    char pdf[4096];
    const int fd = open("tests/data/extract/two-pages.pdf", O_RDONLY);
    const ssize_t n = read(fd, pdf, sizeof pdf);
    close(fd);
    for (size_t i = 0; i < sizeof names / sizeof *names && extract_program_found("pdftotext");
         i++) {
        struct extract_result r = sample_bytes(x, pdf, (size_t)n, names[i]);
        assert_int_equal(r.state, EXTRACT_OK);
        assert_true(sample_has(&r.doc, "Spring tides"));
        extract_result_release(&r);
    }
    struct str longest = {0};
    for (int i = 0; i < 30000; i++)
        str_putc(&longest, 'n');
    str_puts(&longest, ".md");
    struct extract_result r = sample_bytes(x, "# Long name\n", 12, longest.p);
    assert_int_equal(r.state, EXTRACT_OK);
    assert_int_equal(r.doc.kind, KIND_MARKDOWN);
    extract_result_release(&r);
    str_release(&longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),       cmocka_unit_test(test_structure),
        cmocka_unit_test(test_csv_rows),      cmocka_unit_test(test_pdf),
        cmocka_unit_test(test_hostile_names),
    };
    return cmocka_run_group_tests(tests, open_worker, close_worker);
}
