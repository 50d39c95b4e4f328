/* The walk: rules, states, odd names, sub-folders, and why. */
#include "index/walk.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/index/tempdir.h"
#include "tests/unit/test.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *dir;

static int setup(void **state)
{
    (void)state;
    dir = tempdir_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tempdir_free(dir);
    return 0;
}

/* One line an entry: "+path", "-path (reason)", "!path (reason)". */
static int note(void *ctx, const struct walk_entry *e, struct err *err)
{
    (void)err;
    struct str *out = ctx;
    str_printf(out, "%c%s", "+-!"[e->state], e -> path);
    if (e->reason)
        str_printf(out, " (%s)", e->reason);
    str_putc(out, '\n');
    return 0;
}

static void expect_walk(const char *sub, const struct walk_options *o, const char *expected)
{
    const struct walk_options none = {0};
    struct str out = {0};
    struct err err = {0};
    str_puts(&out, "");
    assert_int_equal(walk_run(dir, sub, o ? o : &none, note, &out, &err), 0);
    assert_string_equal(out.p, expected);
    str_release(&out);
}

static void link_to(const char *target, const char *name)
{
    char *path = path_join(dir, name);
    assert_int_equal(symlink(target, path), 0);
    free(path);
}

static void order_and_states(void **state)
{
    (void)state;
    tempdir_write(dir, "b.txt", "x");
    tempdir_write(dir, "a.txt", "x");
    tempdir_write(dir, "B.txt", "x");
    tempdir_write(dir, "sub/deep/c.txt", "x");
    tempdir_write(dir, "empty", "");
    tempdir_write(dir, "big", "0123456789");
    tempdir_write(dir, ".hidden", "x");
    tempdir_write(dir, ".hide/x", "x");
    tempdir_write(dir, ".git/config", "x");
    tempdir_write(dir, ".semsearch/index.db", "x");
    link_to("/etc", "link");
    link_to("sub", "dirlink");
    link_to("nowhere", "dangling");
    char *fifo = path_join(dir, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    free(fifo);
    const struct walk_options o = {.max_file_size = 9};
    expect_walk(NULL, &o,
                "+B.txt\n+a.txt\n+b.txt\n"
                "-big (larger than 9 bytes (--max-file-size))\n"
                "-dangling (symbolic link (not followed))\n"
                "-dirlink (symbolic link (not followed))\n"
                "-empty (empty)\n"
                "-fifo (pipe)\n"
                "-link (symbolic link (not followed))\n"
                "+sub/deep/c.txt\n");
    const struct walk_options hidden = {.hidden = true, .max_file_size = 5 << 20};
    expect_walk(".hide", &hidden, "+.hide/x\n");
    expect_walk(".git", &hidden, "");
    expect_walk(".hide", NULL, "");
    expect_walk("sub/deep", NULL, "+sub/deep/c.txt\n");
    expect_walk("./sub//deep/c.txt", NULL, "+sub/deep/c.txt\n");
    expect_walk("sub/gone/c.txt", NULL, "");
    expect_walk("dirlink/deep", NULL, "");
    expect_walk("dirlink", NULL, "-dirlink (symbolic link (not followed))\n");
}

static void rules_of_every_kind(void **state)
{
    (void)state;
    static const char *const files[] = {
        "a.log",        "keep.log",       "build/x",   "src/build",     "src/a.o",
        "src/keep.o",   "src/sub/b.o",    "only/root", "sub/only/root", "sp ",
        "sp",           "#hash",          "!bang",     "crlf",          "docs/a.txt",
        "docs/x/b.txt", "vendor/keep/me", "tab\t",
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        tempdir_write(dir, files[i], "x");
    tempdir_write(dir, ".gitignore",
                  "\xEF\xBB\xBF*.log\n!keep.log\n\n# comment\nbuild/\n/only/root\nsp\\ \n\\#hash\n"
                  "\\!bang\ncrlf\r\ndocs/**/b.txt\nvendor\n!vendor/keep/me\ntab\t   ");
    tempdir_write(dir, "src/.gitignore", "*.o\n!keep.o");
    expect_walk("", NULL,
                "+keep.log\n+sp\n"
                "+docs/a.txt\n"
                "+src/build\n+src/keep.o\n"
                "+sub/only/root\n");
    const struct walk_options all = {.no_ignore = true};
    struct str out = {0};
    struct err err = {0};
    assert_int_equal(walk_run(dir, NULL, &all, note, &out, &err), 0);
    size_t lines = 0;
    for (size_t i = 0; i < out.n; i++)
        lines += out.p[i] == '\n';
    assert_int_equal(lines, ARRAY_LEN(files));
    str_release(&out);
}

static void precedence(void **state)
{
    (void)state;
    tempdir_write(dir, "a", "x");
    tempdir_write(dir, "b", "x");
    tempdir_write(dir, "c", "x");
    tempdir_write(dir, "d", "x");
    tempdir_write(dir, "s/a", "x");
    tempdir_write(dir, ".git/info/exclude", "a\nd\n");
    tempdir_write(dir, ".gitignore", "!a\nb\nc\n");
    tempdir_write(dir, ".ignore", "!b\nc\n");
    tempdir_write(dir, ".semsearchignore", "b\n!c\n");
    expect_walk("", NULL, "+a\n+c\n+s/a\n");
    tempdir_write(dir, "s/.gitignore", "a\n");
    expect_walk("", NULL, "+a\n+c\n");
    expect_walk("s", NULL, "");
    tempdir_write(dir, "s/.semsearchignore", "!a\n");
    expect_walk("s", NULL, "+s/a\n");
}

static void globs_of_the_user(void **state)
{
    (void)state;
    tempdir_write(dir, "a.md", "x");
    tempdir_write(dir, "a.txt", "x");
    tempdir_write(dir, "docs/b.md", "x");
    tempdir_write(dir, "node/c.md", "x");
    const char *const include[] = {"*.md"}, *const exclude[] = {"node/", "/a.md"};
    struct walk_options o = {.include = include, .n_include = 1};
    expect_walk("", &o, "+a.md\n+docs/b.md\n+node/c.md\n");
    o.exclude = exclude;
    o.n_exclude = 2;
    expect_walk("", &o, "+docs/b.md\n");
}

static void odd_names(void **state)
{
    (void)state;
    static const char *const names[] = {"-rf", "a\nb", "a\"b'c", "\xff\xfe", "$(x)", "\x01"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        tempdir_write(dir, names[i], "x");
    expect_walk("", NULL, "+\x01\n+$(x)\n+-rf\n+a\nb\n+a\"b'c\n+\xff\xfe\n");
}

/* The walk as somebody who is not root, whom permissions concern. */
static void walk_as_nobody(const char *sub, struct str *out)
{
    const struct walk_options o = {0};
    struct err err = {0};
    const bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0);
    const int rc = walk_run(dir, sub, &o, note, out, &err);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc, 0);
}

static void unreadable(void **state)
{
    (void)state;
    struct str out = {0};
    tempdir_write(dir, "ok", "x");
    tempdir_write(dir, "no/x", "x");
    tempdir_write(dir, "rules/.gitignore", "x");
    tempdir_write(dir, "rules/y", "x");
    char *no = path_join(dir, "no"), *rules = path_join(dir, "rules/.gitignore");
    chmod(no, 0);
    chmod(rules, 0);
    chmod(dir, 0755);
    walk_as_nobody("", &out);
    walk_as_nobody("no/x", &out);
    chmod(no, 0700);
    free(no);
    free(rules);
    assert_string_equal(out.p,
                        "+ok\n!no (Permission denied)\n"
                        "!rules (cannot read its ignore file '.gitignore': Permission denied)\n"
                        "!no (Permission denied)\n");
    str_release(&out);
}

/* 3,000 levels: more than a path may be long, and more than the default limit of descriptors. */
static void deep_tree(void **state)
{
    (void)state;
    const int start = open(dir, O_RDONLY | O_DIRECTORY);
    int at = dup(start);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(mkdirat(at, "d", 0700), 0);
        const int next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    struct str out = {0};
    struct err err = {0};
    const struct walk_options o = {0};
    assert_int_equal(walk_run(dir, NULL, &o, note, &out, &err), 0);
    assert_non_null(out.p);
    assert_non_null(strstr(out.p, "(File name too long)"));
    str_release(&out);
    /* rm -r by descending again: unlink from the deepest level up */
    for (int i = 0; i < 3000; i++) {
        const int up = openat(at, "..", O_RDONLY | O_DIRECTORY);
        close(at);
        at = up;
        assert_int_equal(unlinkat(at, "d", AT_REMOVEDIR), 0);
    }
    close(at);
    close(start);
}

static int stop_at_two(void *ctx, const struct walk_entry *e, struct err *err)
{
    (void)e;
    (void)err;
    return ++*(int *)ctx == 2 ? 7 : 0;
}

static void callback_ends_the_walk(void **state)
{
    (void)state;
    tempdir_write(dir, "a", "x");
    tempdir_write(dir, "b", "x");
    tempdir_write(dir, "c", "x");
    int n = 0;
    struct err err = {0};
    const struct walk_options o = {0};
    assert_int_equal(walk_run(dir, NULL, &o, stop_at_two, &n, &err), 7);
    assert_int_equal(n, 2);
    assert_int_equal(walk_run("/nonexistent/folder", NULL, &o, stop_at_two, &n, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(walk_run(dir, "../x", &o, stop_at_two, &n, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
}

static void expect_why(const char *path, const struct walk_options *o, bool taken, const char *what,
                       const char *file, int line, const char *at)
{
    const struct walk_options none = {0};
    struct walk_reason r;
    struct err err = {0};
    assert_int_equal(walk_why(dir, path, o ? o : &none, &r, &err), 0);
    assert_int_equal(r.taken, taken);
    assert_string_equal(r.what, what);
    assert_int_equal(r.line, line);
    if (file)
        assert_string_equal(r.file, file);
    else
        assert_null(r.file);
    if (at)
        assert_string_equal(r.at, at);
    walk_reason_release(&r);
}

static void why(void **state)
{
    (void)state;
    tempdir_write(dir, ".gitignore", "# first\n\nbuild/\n*.o  \n!keep.o\n");
    tempdir_write(dir, "src/.semsearchignore", "/secret\n");
    tempdir_write(dir, "src/secret", "x");
    tempdir_write(dir, "src/main.c", "x");
    tempdir_write(dir, "keep.o", "x");
    tempdir_write(dir, "empty", "");
    tempdir_write(dir, "build/x/y", "x");
    link_to("src", "link");
    expect_why("build/x/y", NULL, false, "ignored by the rule 'build/'", ".gitignore", 3, "build");
    expect_why("gone/a.o", NULL, false, "ignored by the rule '*.o'", ".gitignore", 4, "gone/a.o");
    expect_why("keep.o", NULL, true, "taken back by the rule '!keep.o'", ".gitignore", 5, "keep.o");
    expect_why("src/secret", NULL, false, "ignored by the rule '/secret'", "src/.semsearchignore",
               1, "src/secret");
    expect_why("src/main.c", NULL, true, "no rule leaves it out", NULL, 0, "src/main.c");
    expect_why("src/.x", NULL, false,
               "hidden: its name begins with a dot (--hidden takes such files)", NULL, 0, "src/.x");
    expect_why(".git/config", NULL, false, "'.git' is never indexed", NULL, 0, ".git");
    expect_why("empty", NULL, false, "empty", NULL, 0, "empty");
    expect_why("link", NULL, false, "symbolic link (not followed)", NULL, 0, "link");
    expect_why("missing", NULL, false, "cannot be read: No such file or directory", NULL, 0,
               "missing");
    expect_why("", NULL, true, "the root of the index", NULL, 0, NULL);
    const char *const exclude[] = {"*.c"};
    const struct walk_options o = {.exclude = exclude, .n_exclude = 1};
    expect_why("src/main.c", &o, false, "left out by --exclude", NULL, 0, "src/main.c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(order_and_states, setup, teardown),
        cmocka_unit_test_setup_teardown(rules_of_every_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(precedence, setup, teardown),
        cmocka_unit_test_setup_teardown(globs_of_the_user, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_names, setup, teardown),
        cmocka_unit_test_setup_teardown(unreadable, setup, teardown),
        cmocka_unit_test_setup_teardown(deep_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(callback_ends_the_walk, setup, teardown),
        cmocka_unit_test_setup_teardown(why, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
