/* Helper programs under the sandbox (stand-ins named pdftotext), and the ends of workers: a stop
 * request, the death of the program. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extract_sample.h"
#include "src/base/clock.h"
#include "src/base/stop.h"
#include "tempdir.h"
#include "tests/unit/test.h"

static const char pdf[] = "%PDF-1.4 stands for a real one";
static char *dir;

/* A shell script named pdftotext, alone on PATH with the system's programs. */
static void stand_in(const char *script)
{
    char path[1024];
    tempdir_write(dir, "pdftotext", script);
    snprintf(path, sizeof path, "%s/pdftotext", dir);
    assert_int_equal(chmod(path, 0755), 0);
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", dir);
    setenv("PATH", path, 1);
}

static struct extract_result run(const struct extract_limits *limits, const char *script)
{
    stand_in(script);
    struct extractor *x = sample_open(limits);
    struct extract_result r = sample_bytes(x, pdf, sizeof pdf - 1, "a.pdf");
    extractor_close(x);
    return r;
}

static void check(struct extract_result r, enum extract_state state, const char *reason)
{
    if (r.state != state || !strstr(r.reason, reason))
        fail_msg("state %d, '%s'; expected '%s'", r.state, r.reason, reason);
    extract_result_release(&r);
}

static void test_input_and_pages(void **state)
{
    (void)state;
    struct extract_result r = run(NULL, "#!/bin/sh\nread -r line\n"
                                        "printf 'got %s\\n\\fsecond page\\n' \"$line\"\n");
    assert_int_equal(r.state, EXTRACT_OK);
    assert_true(sample_has(&r.doc, "got %PDF-1.4 stands for"));
    assert_int_equal(sample_block(&r.doc, BLOCK_PARAGRAPH, "second page")->page, 2);
    assert_string_equal(r.doc.extractor, "pdftotext 1");
    extract_result_release(&r);
}

static void test_failures(void **state)
{
    (void)state;
    const struct extract_limits limits = {.wall_seconds = 1, .output_bytes = 100000};
    const double t = clock_ms();
    check(run(&limits, "#!/bin/sh\nexec sleep 60\n"), EXTRACT_FAILED, "took longer than 1 s");
    assert_true(clock_ms() - t < 30000);
    const double t2 = clock_ms();
    check(run(NULL, "#!/bin/sh\nexec >&- 2>&-\nexec sleep 60\n"), EXTRACT_FAILED,
          "crashed (signal 9)");
    assert_true(clock_ms() - t2 < 30000);
    check(run(&limits, "#!/bin/sh\nexec yes\n"), EXTRACT_FAILED, "more than 97.7 KiB of text");
    check(run(NULL, "#!/bin/sh\necho 'Incorrect password' >&2\nexit 1\n"), EXTRACT_FAILED,
          "password-protected");
    check(run(NULL, "#!/bin/sh\nexit 3\n"), EXTRACT_FAILED, "broken file");
    check(run(NULL, "#!/bin/sh\nexit 0\n"), EXTRACT_SKIPPED, "image-only");
    check(run(NULL, "#!/nowhere/interpreter\n"), EXTRACT_FAILED, "cannot be started");
    unsetenv("PATH");
    setenv("PATH", "/nowhere", 1);
    struct extractor *x = sample_open(NULL);
    struct extract_result r = sample_bytes(x, pdf, sizeof pdf - 1, "a.pdf");
    assert_string_equal(r.hint, "install the package 'poppler-utils'");
    check(r, EXTRACT_FAILED, "needs the program 'pdftotext'");
    extractor_close(x);
}

/* What a taken-over program could do: read the user's files, write anything. */
static void test_sealed(void **state)
{
    (void)state;
    char line[128], script[4096], path[1024];
    struct err err = {0};
    assert_int_equal(extract_sandbox_describe(line, &err), 0);
    tempdir_write(dir, "secret", "the secret words\n");
    snprintf(script, sizeof script,
             "#!/bin/sh\necho x > %s/written\n"
             "read -r s < %s/secret\necho \"read: $s.\"\n",
             dir, dir);
    struct extract_result r = run(NULL, script);
    assert_int_equal(r.state, EXTRACT_OK);
    snprintf(path, sizeof path, "%s/written", dir);
    struct stat st;
    if (stat(path, &st) == 0)
        assert_int_equal(st.st_size, 0); /* at least nothing was written */
    if (strstr(line, "landlock")) {
        assert_false(sample_has(&r.doc, "secret words"));
        assert_int_equal(access(path, F_OK), -1);
    }
    extract_result_release(&r);
}

/* Processes whose command line holds both words. */
static int count_processes(const char *a, const char *b)
{
    int n = 0;
    DIR *proc = opendir("/proc");
    assert_non_null(proc);
    for (struct dirent *e; (e = readdir(proc));) {
        char path[300], line[4096];
        snprintf(path, sizeof path, "/proc/%s/cmdline", e->d_name);
        const int fd = open(path, O_RDONLY);
        const ssize_t got = fd >= 0 ? read(fd, line, sizeof line) : -1;
        if (got > 0)
            n += memmem(line, (size_t)got, a, strlen(a)) && memmem(line, (size_t)got, b, strlen(b));
        if (fd >= 0)
            close(fd);
    }
    closedir(proc);
    return n;
}

static void test_orphans_end(void **state)
{
    (void)state;
    setenv("SEMSEARCH_EXTRACT_FAULT", "spin", 1);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* a program that dies while its worker is busy */
        const struct extract_limits limits = {.memory_bytes = 777777777};
        struct extractor *x = sample_open(&limits);
        sample_bytes(x, "hello", 5, "fault.txt");
        _exit(0);
    }
    unsetenv("SEMSEARCH_EXTRACT_FAULT");
    int tries = 0;
    while (count_processes("--worker", "777777777") == 0 && tries++ < 500)
        usleep(20000);
    usleep(200000); /* it has taken the file by now */
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (tries = 0; count_processes("--worker", "777777777") > 0 && tries < 250; tries++)
        usleep(20000);
    assert_int_equal(count_processes("--worker", "777777777"), 0);
}

/* The last test: a stop request stays. */
static void test_stop(void **state)
{
    (void)state;
    setenv("SEMSEARCH_EXTRACT_FAULT", "hang", 1);
    struct extractor *x = sample_open(NULL);
    struct extract_result r;
    struct err err = {0};
    const int fd = open("tests/data/extract/marked.txt", O_RDONLY);
    stop_install();
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        usleep(300000);
        kill(parent, SIGINT);
        _exit(0);
    }
    const double t = clock_ms();
    assert_int_equal(extract_fd(x, fd, "fault.txt", &r, &err), -1);
    assert_int_equal(err.kind, ERR_STOPPED);
    assert_true(clock_ms() - t < 5000); /* a second, with room for a loaded machine */
    waitpid(pid, NULL, 0);
    close(fd);
    extractor_close(x);
    unsetenv("SEMSEARCH_EXTRACT_FAULT");
}

static int make_dir(void **state)
{
    (void)state;
    dir = tempdir_new();
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    tempdir_free(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input_and_pages),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_sealed),
        cmocka_unit_test(test_orphans_end),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
