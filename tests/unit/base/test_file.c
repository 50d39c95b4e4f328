/* test_file.c - whole files, mappings, atomic replacement. */
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int entries(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void test_outfile(void **state)
{
    (void)state;
    struct err e = {0};
    char *path = path_join(dir, "a");
    struct outfile f;
    assert_int_equal(outfile_open(&f, path, &e), 0);
    char big[3000];
    memset(big, 'x', sizeof big);
    for (int i = 0; i < 100; i++)
        outfile_write(&f, big, sizeof big);
    assert_false(file_exists(path)); /* nothing under the final name before commit */
    assert_int_equal(outfile_commit(&f, &e), 0);
    struct map m;
    assert_int_equal(map_open(&m, path, &e), 0);
    assert_int_equal(m.n, 300000);
    map_close(&m);
    assert_int_equal(outfile_open(&f, path, &e), 0);
    outfile_write(&f, "new", 3);
    outfile_abandon(&f);
    assert_int_equal(map_open(&m, path, &e), 0);
    assert_int_equal(m.n, 300000); /* the old content stays */
    map_close(&m);
    assert_int_equal(entries(), 1); /* no temporary is left */
    free(path);
}

/* A full disk, played by a limit on the size of files: the final name keeps its old content. */
static void test_outfile_full(void **state)
{
    (void)state;
    struct err e = {0};
    char *path = path_join(dir, "b");
    struct outfile f;
    assert_int_equal(outfile_open(&f, path, &e), 0);
    outfile_write(&f, "old", 3);
    assert_int_equal(outfile_commit(&f, &e), 0);
    struct rlimit was, small = {100000, 100000};
    getrlimit(RLIMIT_FSIZE, &was);
    small.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(outfile_open(&f, path, &e), 0);
    char big[4096] = {0};
    for (int i = 0; i < 100; i++)
        outfile_write(&f, big, sizeof big);
    assert_int_equal(outfile_commit(&f, &e), -1);
    setrlimit(RLIMIT_FSIZE, &was);
    assert_int_equal(e.kind, ERR_IO);
    assert_non_null(strstr(e.msg, path));
    struct str s = {0};
    assert_int_equal(file_read(path, 100, &s, &e), 0);
    assert_string_equal(s.p, "old");
    str_release(&s);
    assert_int_equal(entries(), 1);
    free(path);
}

/* A device is written to, never replaced by a file of its name. */
static void test_outfile_device(void **state)
{
    (void)state;
    struct err e = {0};
    char *path = path_join(dir, "null");
    assert_int_equal(symlink("/dev/null", path), 0);
    struct outfile f;
    assert_int_equal(outfile_open(&f, path, &e), 0);
    outfile_write(&f, "gone", 4);
    assert_int_equal(outfile_commit(&f, &e), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    assert_int_equal(outfile_open(&f, dir, &e), -1); /* a folder */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/full", path), 0);
    assert_int_equal(outfile_open(&f, path, &e), 0);
    outfile_write(&f, "lost", 4);
    assert_int_equal(outfile_commit(&f, &e), -1);
    assert_int_equal(entries(), 1);
    free(path);
}

/* Whoever reads a settings file must not wait for the writer of a pipe. */
static void test_pipe(void **state)
{
    (void)state;
    struct err e = {0};
    struct map m;
    char *path = path_join(dir, "pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(map_open(&m, path, &e), -1);
    assert_null(js_read_file(path, 100, &e));
    free(path);
}

static void test_read(void **state)
{
    (void)state;
    struct err e = {0};
    struct str s = {0};
    struct map m;
    assert_int_equal(file_read("/nowhere/at/all", 10, &s, &e), -1);
    assert_int_equal(map_open(&m, dir, &e), -1); /* a folder */
    char *path = path_join(dir, "c");
    struct outfile f;
    assert_int_equal(outfile_open(&f, path, &e), 0);
    assert_int_equal(outfile_commit(&f, &e), 0);
    assert_int_equal(map_open(&m, path, &e), 0); /* empty */
    assert_null(m.p);
    assert_int_equal(outfile_open(&f, path, &e), 0);
    outfile_write(&f, "0123456789", 10);
    assert_int_equal(outfile_commit(&f, &e), 0);
    assert_int_equal(file_read(path, 9, &s, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    str_release(&s);
    free(path);
}

static void test_dirs(void **state)
{
    (void)state;
    struct err e = {0};
    char *deep = path_join(dir, "x/y/z"), *file = path_join(dir, "f"),
         *under = path_join(dir, "f/g");
    assert_int_equal(dir_make(deep, &e), 0);
    assert_int_equal(dir_make(deep, &e), 0);
    assert_true(dir_exists(deep));
    struct outfile f;
    assert_int_equal(outfile_open(&f, file, &e), 0);
    assert_int_equal(outfile_commit(&f, &e), 0);
    assert_int_equal(dir_make(file, &e), -1);
    assert_int_equal(dir_make(under, &e), -1);
    char *link_at = path_join(dir, "x/out");
    assert_int_equal(symlink("/etc", link_at), 0);
    char *x = path_join(dir, "x");
    assert_int_equal(dir_remove_tree(x, &e), 0);
    assert_true(dir_exists("/etc")); /* the link went, not what it points to */
    assert_false(dir_exists(x));
    free(deep);
    free(file);
    free(under);
    free(link_at);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_outfile, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_outfile_full, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_outfile_device, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_pipe, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_read, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_dirs, scratch_make, scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
