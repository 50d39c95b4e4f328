/* How a file's format is found, and how text is divided; without the worker. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "index/extract/blocks.h"
#include "index/extract/formats.h"
#include "tests/unit/test.h"

#define HEAD(s)            \
    {                      \
        (s), sizeof(s) - 1 \
    }

static void test_detection(void **state)
{
    (void)state;
    static const struct {
        struct span head;
        const char *name, *format;
    } cases[] = {
        {HEAD("# Title\n"), "README.md", "markdown"},
        {HEAD("<h1 align=center>x</h1>\n"), "README.md", "markdown"},
        {HEAD("plain"), "README", "text"},
        {HEAD("plain"), "no-extension", "text"},
        {HEAD("plain"), ".bashrc", "text"},
        {HEAD("int x;"), "/a.b/x.C", "code"},
        {HEAD("all:\n\tcc x.c\n"), "Makefile", "code"},
        {HEAD("#!/usr/bin/env python3.11\n"), "tool", "code"},
        {HEAD("#!/bin/sh -e\n"), "tool", "code"},
        {HEAD("#!/opt/strange\n"), "tool", "text"},
        {HEAD("a,b\n"), "x.CSV", "csv"},
        {HEAD("{\"a\":1}"), "x.jsonl", "jsonl"},
        {HEAD("{\"a\":1}"), "x", "json"},
        {HEAD("  <!DOCTYPE html><p>"), "download", "html"},
        {HEAD("<?xml version='1.0'?><html xmlns='x'>"), "x", "html"},
        {HEAD("<?xml version='1.0'?><a/>"), "x", "xml"},
        {HEAD("%PDF-1.7\n"), "report.txt", "pdf"},
        {HEAD("junk before %PDF-1.7\n"), "x", "pdf"},
        {HEAD("just text"), "report.pdf", "text"},
        {HEAD("PK\3\4rest"), "x.docx", "zip"},
        {HEAD("just text"), "x.docx", "text"},
        {HEAD("a\0b\0\1\2\3\0\0\0\0"), "x.docx", "docx"},
        {HEAD("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), "x.doc", "ole"},
        {HEAD("{\\rtf1 x}"), "x.doc", "rtf"},
        {HEAD("\x1F\x8B\x08\0"), "x.txt.gz", "packed"},
        {HEAD("\x28\xB5\x2F\xFD\0"), "x", "packed"},
        {HEAD("BZh is a word"), "x.txt", "text"},
        {HEAD("\x89PNG\r\n"), "x.txt", "binary"},
        {HEAD("\x7F"
              "ELF\2"),
         "x", "binary"},
        {HEAD("a\0b"), "x.txt", "binary"},
        {HEAD("a\0b\0c\0d\0e\0f\0"), "x.txt", "text"},
        {HEAD("\xFF\xFE<\0h\0"), "x.html", "html"},
        {HEAD("\1\2\3\4\5\6abc"), "x.txt", "binary"},
        {HEAD("\033[31mred\033[0m\b\f\n and then some more"), "x.log", "text"},
        {HEAD("From: a@b\nSubject: x\nTo: c\n\nbody"), "saved", "mail"},
        {HEAD("From: here on: nothing\n\nbody"), "saved", "text"},
        {HEAD("From a@b Mon\nFrom: a@b\n\nbody"), "saved", "mbox"},
        {HEAD("WEBVTT\n\n"), "x", "subtitle"},
        {HEAD("text"), "x.png", "text"},
        {HEAD("x"), "\xFF\xFEname.md", "markdown"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct format *f = format_detect(cases[i].head, cases[i].name);
        if (strcmp(f->info.name, cases[i].format) != 0)
            fail_msg("case %zu (%s): %s, not %s", i, cases[i].name, f->info.name, cases[i].format);
    }
}

static void test_table(void **state)
{
    (void)state;
    size_t n = 0;
    int versions = 0;
    for (; extract_format_at(n); n++) {
        const struct extract_format *f = extract_format_at(n);
        assert_non_null(f->name);
        assert_true(f->extensions[0] != '\0');
        assert_int_equal(f->program != NULL, f->package != NULL);
        assert_ptr_equal(format_find(f->name), format_at(n));
        assert_int_equal(format_index(format_at(n)), n);
        versions += format_at(n)->version;
    }
    assert_true(n > 25);
    assert_true(extract_version() >= versions);
    assert_null(format_find("no such format"));
    assert_null(extract_format_at(10000));
}

static void test_extension(void **state)
{
    (void)state;
    char out[16];
    format_extension("a/b.c/file", out);
    assert_string_equal(out, "");
    format_extension(".hidden", out);
    assert_string_equal(out, "");
    format_extension("x.TaR", out);
    assert_string_equal(out, "tar");
    format_extension("x.anextensionthatislong", out);
    assert_int_equal(strlen(out), 15);
}

static void test_blocks_finish(void **state)
{
    (void)state;
    struct doc d = {0};
    str_puts(&d.text, "  ## Title  \n\nlost words\n\n-----\n\n  body  \n\ntail\n");
    const char *p = d.text.p;
    doc_add_block(&d, BLOCK_HEADING, 2, 0, (size_t)(strstr(p, "Title") - p), 11);
    const size_t body = (size_t)(strstr(p, "  body") - p);
    doc_add_block(&d, BLOCK_CODE, 0, 0, body, body + 8);
    doc_add_block(&d, BLOCK_CODE, 0, 0, body + 3, body + 5); /* inside the one before */
    doc_add_block(&d, BLOCK_CODE, 0, 0, body + 8, 100000);   /* past the end */
    blocks_finish(&d);
    static const char *const expected[] = {"Title", "lost words", "body", "tail"};
    assert_int_equal(d.n_blocks, 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(
            span_eq(span_sub(str_view(&d.text), d.block[i].start, d.block[i].end), expected[i]));
    assert_int_equal(d.block[1].kind, BLOCK_PARAGRAPH);
    doc_release(&d);
}

static void test_have_text(void **state)
{
    (void)state;
    struct doc d = {0};
    str_puts(&d.text, "--- !!! ***");
    doc_add_block(&d, BLOCK_PARAGRAPH, 0, 0, 0, d.text.n);
    assert_false(blocks_have_text(&d));
    str_puts(&d.text, " \xE6\x97\xA5"); /* one Han character */
    d.block[0].end = d.text.n;
    assert_true(blocks_have_text(&d));
    doc_release(&d);
}

static void test_title(void **state)
{
    (void)state;
    struct doc d = {0};
    doc_set_title(&d, span_of(" \n "));
    assert_null(d.title);
    doc_set_title(&d, span_of("Untitled document"));
    assert_null(d.title);
    doc_set_title(&d, span_of(" a\n\t b\xFF "));
    assert_string_equal(d.title, "a b\xEF\xBF\xBD");
    doc_set_title(&d, span_of("later"));
    assert_string_equal(d.title, "a b\xEF\xBF\xBD");
    doc_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detection), cmocka_unit_test(test_table),
        cmocka_unit_test(test_extension), cmocka_unit_test(test_blocks_finish),
        cmocka_unit_test(test_have_text), cmocka_unit_test(test_title),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
