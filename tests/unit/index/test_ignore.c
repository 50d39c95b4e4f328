/* Ignore rules against git itself: random trees and rule files, compared with `git check-ignore`.
 * SEMSEARCH_TEST_ROUNDS sets the number of trees, SEMSEARCH_TEST_SEED the first seed. Skipped
 * without git. */
#include "index/walk.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/index/tempdir.h"
#include "tests/unit/test.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <stdlib.h>
#include <string.h>

static uint64_t rng;

static unsigned below(unsigned n)
{
    rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(rng >> 33) % n;
}

static const char *const names[] = {"a",   "b",   "ab",     "foo", "bar", "a.txt", "b.txt",
                                    "x y", "[a]", "e\\f",   "#h",  "!n",  "sp ",   "\xc3\xa9",
                                    "A",   "a-b", "foobar", "*",   "c]",  "foox"};
static const char *const pieces[] = {
    "a",     "b", "foo", "bar",      ".txt", "*", "**",  "?",    "[ab]", "[!a]",
    "/",     "/", "/",   "\\",       " ",    "[", "]",   "**/",  "/**",  "[[:alpha:]]",
    "[a-f]", "*", "\t",  "\xc3\xa9", "!",    "#", "\\ ", "/**/", "[^/]", "-"};

static void random_path(struct str *out)
{
    const unsigned depth = below(4);
    for (unsigned i = 0; i <= depth; i++) {
        if (i)
            str_putc(out, '/');
        str_puts(out, names[below(ARRAY_LEN(names))]);
    }
}

static void random_rules(struct str *out)
{
    if (below(8) == 0)
        str_puts(out, "\xEF\xBB\xBF");
    for (unsigned n = 1 + below(6); n > 0; n--) {
        if (below(4) == 0)
            str_putc(out, '!');
        if (below(4) == 0)
            str_puts(out, names[below(ARRAY_LEN(names))]);
        else
            for (unsigned k = 1 + below(5); k > 0; k--)
                str_puts(out, pieces[below(ARRAY_LEN(pieces))]);
        if (below(5) == 0)
            str_putc(out, '/');
        if (below(6) == 0)
            str_putc(out, ' ');
        str_puts(out, below(6) == 0 ? "\r\n" : "\n");
    }
}

/* Writes a file unless a folder or file of that name is in its way. */
static bool try_write(const char *dir, const char *rel, const char *text)
{
    for (const char *slash = strchr(rel, '/'); slash; slash = strchr(slash + 1, '/')) {
        char *parent = xasprintf("%s/%.*s", dir, (int)(slash - rel), rel);
        const bool blocked = file_exists(parent) && !dir_exists(parent);
        free(parent);
        if (blocked)
            return false;
    }
    char *path = path_join(dir, rel);
    const bool taken = file_exists(path);
    free(path);
    if (!taken)
        tempdir_write(dir, rel, text);
    return !taken;
}

static int note(void *ctx, const struct walk_entry *e, struct err *err)
{
    (void)err;
    str_add(ctx, e->path, strlen(e->path) + 1);
    return 0;
}

static bool has(const struct str *list, const char *path)
{
    for (size_t i = 0; i < list->n; i += strlen(list->p + i) + 1)
        if (strcmp(list->p + i, path) == 0)
            return true;
    return false;
}

static bool git(const char *dir, const char *command)
{
    char *line = xasprintf("cd '%s' && env -u GIT_DIR HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 "
                           "GIT_CONFIG_GLOBAL=/dev/null XDG_CONFIG_HOME=/nonexistent git %s "
                           ">.git-out 2>.git-err",
                           dir, command);
    const int rc = system(line);
    free(line);
    return rc == 0 || rc == 256; /* check-ignore: 1 when nothing is ignored */
}

static void one_tree(unsigned seed)
{
    rng = seed * 2654435761ULL + 12345;
    char *dir = tempdir_new();
    struct str files = {0}, rules = {0}, path = {0}, walked = {0}, ignored = {0};
    assert_true(git(dir, "init -q"));
    for (int i = 0; i < 40; i++) {
        str_clear(&path);
        random_path(&path);
        if (try_write(dir, path.p, "x"))
            str_add(&files, path.p, path.n + 1);
    }
    for (unsigned i = below(5); i < 5; i++) {
        str_clear(&rules);
        str_clear(&path);
        random_rules(&rules);
        if (i == 4) {
            str_puts(&path, ".gitignore");
        } else if (i == 3) {
            str_puts(&path, ".git/info/exclude");
            char *old = path_join(dir, path.p);
            remove(old);
            free(old);
        } else {
            random_path(&path);
            str_puts(&path, "/.gitignore");
        }
        try_write(dir, path.p, rules.p);
    }
    tempdir_write_bytes(dir, ".list", files.p, files.n);
    assert_true(git(dir, "check-ignore --no-index -z --stdin <.list"));
    char *result = path_join(dir, ".git-out");
    struct err err = {0};
    assert_int_equal(file_read(result, 1 << 20, &ignored, &err), 0);
    free(result);
    const struct walk_options o = {.hidden = true};
    assert_int_equal(walk_run(dir, NULL, &o, note, &walked, &err), 0);
    for (size_t i = 0; i < files.n; i += strlen(files.p + i) + 1) {
        const char *file = files.p + i;
        struct walk_reason r;
        assert_int_equal(walk_why(dir, file, &o, &r, &err), 0);
        if (has(&walked, file) == has(&ignored, file) || r.taken == has(&ignored, file))
            fail_msg("seed %u: '%s' is %s by git; why: %s (%s:%d)", seed, file,
                     has(&ignored, file) ? "ignored" : "not ignored", r.what, r.file ? r.file : "-",
                     r.line);
        walk_reason_release(&r);
    }
    str_release(&files);
    str_release(&rules);
    str_release(&path);
    str_release(&walked);
    str_release(&ignored);
    tempdir_free(dir);
}

static unsigned setting(const char *name, unsigned otherwise)
{
    const char *v = getenv(name);
    return v ? (unsigned)strtoul(v, NULL, 10) : otherwise;
}

static void same_as_git(void **state)
{
    (void)state;
    if (system("git --version >/dev/null 2>&1") != 0)
        skip();
    const unsigned first = setting("SEMSEARCH_TEST_SEED", 1);
    const unsigned rounds = setting("SEMSEARCH_TEST_ROUNDS", 40);
    for (unsigned i = 0; i < rounds; i++)
        one_tree(first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_git)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
