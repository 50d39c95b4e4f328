/* Patterns: a table of what matches, and patterns that would hang a naive matcher. */
#include "index/glob.h"
#include "src/base/clock.h"
#include "tests/unit/test.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <string.h>

struct row {
    const char *pattern, *text;
    bool match;
};

static const struct row globs[] = {
    {"foo", "foo", true},
    {"foo", "bar", false},
    {"", "", true},
    {"???", "foo", true},
    {"??", "foo", false},
    {"*", "foo", true},
    {"*", "foo/bar", false},
    {"f*", "foo", true},
    {"*f", "foo", false},
    {"*foo*", "foo", true},
    {"*ob*a*r*", "foobar", true},
    {"*ab", "aaaaaaabababab", true},
    {"foo\\*", "foo*", true},
    {"foo\\*bar", "foobar", false},
    {"f\\\\oo", "f\\oo", true},
    {"foo\\", "foo\\", false},
    {"*[al]?", "ball", true},
    {"[ten]", "ten", false},
    {"t[a-g]n", "ten", true},
    {"t[!a-g]n", "ten", false},
    {"t[!a-g]n", "ton", true},
    {"t[^a-g]n", "ton", true},
    {"a[]]b", "a]b", true},
    {"a[]-]b", "a-b", true},
    {"a[]-]b", "aab", false},
    {"]", "]", true},
    {"[\\-_]", "-", true},
    {"[a-\\c]", "b", true},
    {"[[:alpha:]][[:digit:]][[:upper:]]", "a1B", true},
    {"[[:digit:][:upper:][:space:]]", "A", true},
    {"[[:digit:][:upper:][:spaci:]]", "1", false},
    {"[a-c[:digit:]x-z]", "5", true},
    {"[[:]", ":", true},
    {"[[:x]", "x", true},
    {"[abc", "a", false},
    {"a[/]b", "a/b", false},
    {"a?b", "a/b", false},
    {"foo/*", "foo/bar", true},
    {"foo/*", "foo/bar/baz", false},
    {"foo/bar", "foo/bar", true},
    {"**", "", true},
    {"**", "a/b/c", true},
    {"**/foo", "foo", true},
    {"**/foo", "a/b/foo", true},
    {"**/foo", "a/b/foo/x", false},
    {"foo/**", "foo", false},
    {"foo/**", "foo/a", true},
    {"foo/**", "foo/a/b", true},
    {"foo/**/bar", "foo/bar", true},
    {"foo/**/bar", "foo/a/b/bar", true},
    {"foo/**/**/bar", "foo/bar", true},
    {"foo/**/bar", "foo/barx", false},
    {"foo/***/bar", "foo/a/b/bar", true},
    {"foo**bar", "fooXbar", true},
    {"foo**bar", "foo/bar", false},
    {"**/*a*b*g*n*t", "abcd/abcdefg/abcdefghijk/abcdefghijklmnop.txt", true},
    {"**/*a*b*g*n*t", "abcd/abcdefg/abcdefghijk/abcdefghijklmnop.txtz", false},
    {"*/*/*", "foo/bar", false},
    {"*/*/*", "foo/bb/aa/rr", false},
    {"**/**/**", "foo/bb/aa/rr", true},
    {"a/**/b/**/c", "a/x/b/b/y/c", true},
    {"a/**/b/**/c", "a/x/y/c", false},
    {"a\\/b", "a/b", true},
};

static void table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof globs / sizeof *globs; i++) {
        const struct row *r = &globs[i];
        if (glob_match(span_of(r->pattern), span_of(r->text)) != r->match)
            fail_msg("'%s' against '%s' should be %d", r->pattern, r->text, r->match);
    }
}

static const struct row paths[] = {
    {"*.md", "a/b/c.md", true},
    {"*.md", "c.md", true},
    {"*.md", "c.txt", false},
    {"docs", "docs/a/b.txt", true},
    {"docs/", "docs/a/b.txt", true},
    {"docs/", "a/docs", false},
    {"docs/", "a/docs/x", true},
    {"docs/*.md", "docs/a.md", true},
    {"docs/*.md", "x/docs/a.md", false},
    {"docs/*.md", "docs/x/a.md", false},
    {"docs/**", "docs/x/a.md", true},
    {"docs/**/*.md", "docs/a.md", true},
    {"/a.md", "a.md", true},
    {"/a.md", "b/a.md", false},
    {"./a.md", "a.md", true},
    {"./docs", "docs/x", true},
    {"**/x", "x", true},
    {"", "a", false},
};

static void table_of_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct row *r = &paths[i];
        if (glob_match_path(span_of(r->pattern), span_of(r->text)) != r->match)
            fail_msg("'%s' against '%s' should be %d", r->pattern, r->text, r->match);
    }
}

static void hostile_patterns_end(void **state)
{
    (void)state;
    char pattern[4096], text[4096];
    const double start = clock_ms();
    for (size_t i = 0; i + 1 < sizeof pattern; i += 2)
        memcpy(pattern + i, "a*", 2);
    memset(text, 'a', sizeof text);
    assert_false(glob_match((struct span){pattern, 4095}, (struct span){text, 2000}));
    for (size_t i = 0; i + 4 < sizeof pattern; i += 4)
        memcpy(pattern + i, "**/a", 4);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 ? '/' : 'a';
    text[4094] = 'b';
    glob_match((struct span){pattern, 4092}, (struct span){text, 4095});
    assert_true(clock_ms() - start < 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(table_of_paths),
        cmocka_unit_test(hostile_patterns_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
