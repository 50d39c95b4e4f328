/* Files that attack, and workers that go wrong: the file fails with a reason, the next one is read.
 */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extract_sample.h"
#include "src/base/clock.h"
#include "tests/unit/test.h"

#if defined(__SANITIZE_ADDRESS__)
static const bool sanitized = true; /* no memory limit then: ASan reserves all of it */
#else
static const bool sanitized = false;
#endif

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

static void check(struct extract_result r, enum extract_state state, const char *reason)
{
    if (r.state != state || !strstr(r.reason, reason))
        fail_msg("state %d, '%s'; expected %d, '%s'", r.state, r.reason, state, reason);
    assert_int_equal(r.doc.text.n, 0);
    extract_result_release(&r);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum extract_state state;
        const char *reason;
    } rows[] = {
        {"hostile-bomb.gz", EXTRACT_FAILED, "expands too far (zip bomb?)"},
        {"hostile-bomb.docx", EXTRACT_FAILED, "expands too far (zip bomb?)"},
        {"hostile-cut.docx", EXTRACT_FAILED, "broken or cut short"},
        {"hostile-garbage.docx", EXTRACT_FAILED, "not well-formed"},
        {"hostile-laughs.docx", EXTRACT_FAILED, "not well-formed"},
        {"hostile-matryoshka.zip", EXTRACT_SKIPPED, "archive without readable files"},
        {"hostile-packed-often.gz", EXTRACT_FAILED, "broken or cut short"},
        {"locked.epub", EXTRACT_FAILED, "protected by DRM"},
        {"locked.odt", EXTRACT_FAILED, "password-protected"},
        {"locked.xlsx", EXTRACT_FAILED, "password-protected"},
        {"memo.msg", EXTRACT_SKIPPED, "Outlook message"},
        {"noise.bin", EXTRACT_SKIPPED, "binary file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        print_message("%s\n", rows[i].name);
        check(sample_file(x, rows[i].name), rows[i].state, rows[i].reason);
    }
    struct extract_result locked = sample_file(x, "locked.odt");
    assert_int_equal(locked.doc.kind, KIND_DOCUMENT); /* known all the same */
    extract_result_release(&locked);
    if (extract_program_found("pdftotext"))
        check(sample_file(x, "hostile-cut.pdf"), EXTRACT_FAILED, "broken file");
    check(sample_bytes(x, "", 0, "empty.txt"), EXTRACT_SKIPPED, "empty file");
    check(sample_bytes(x, " \n\t\n", 4, "blank.md"), EXTRACT_SKIPPED, "no text");
    check(sample_bytes(x, "\0\1\2\3", 4, "x.docx"), EXTRACT_FAILED, "broken");
}

/* An entity that names a file of the machine stays empty, and a member's name is only a name. */
static void test_no_reach(void **state)
{
    (void)state;
    struct extract_result r = sample_file(x, "hostile-entity.docx");
    assert_int_equal(r.state, EXTRACT_OK);
    assert_true(sample_has(&r.doc, "before after"));
    assert_false(sample_has(&r.doc, "root:"));
    extract_result_release(&r);
    r = sample_file(x, "hostile-names.zip");
    assert_int_equal(r.state, EXTRACT_OK);
    assert_true(sample_has(&r.doc, "climbs out of the folder"));
    assert_int_equal(access("/tmp/semsearch-escape.txt", F_OK), -1);
    extract_result_release(&r);
}

/* n times `open`, then `middle`, then n times `close`. */
static struct str nested(const char *head, const char *open, const char *middle, const char *close,
                         int n)
{
    struct str s = {0};
    str_puts(&s, head);
    for (int i = 0; i < n; i++)
        str_puts(&s, open);
    str_puts(&s, middle);
    for (int i = 0; i < n; i++)
        str_puts(&s, close);
    return s;
}

/* Depth must neither crash nor hang; whether text comes out is the parser's choice. */
static void test_depth(void **state)
{
    (void)state;
    static const struct {
        const char *name, *head, *open, *middle, *close;
    } rows[] = {
        {"deep.html", "<html>", "<div>", "needle", "</div>"},
        {"deep-table.html", "<html>", "<table><tr><td>", "needle", "</td></tr></table>"},
        {"deep.xhtml", "<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\">",
         "<b>", "needle", "</b>"},
        {"deep.xml", "<?xml version=\"1.0\"?>", "<a>", "needle", "</a>"},
        {"deep.json", "", "[", "1", "]"},
        {"deep.ipynb", "", "{\"a\":", "1", "}"},
        {"deep.rtf", "{\\rtf1 ", "{", "needle", "}"},
        {"deep.md", "", "> ", "needle", ""},
        {"deep-list.md", "", "- ", "needle", ""},
        {"brackets.md", "", "[", "needle", "]("},
        {"stars.md", "", "*a ", "needle", "**"},
        {"deep.tex", "", "\\section{", "needle", "}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int n = strstr(rows[i].name, ".md") ? 20000 : 100000;
        struct str s = nested(rows[i].head, rows[i].open, rows[i].middle, rows[i].close, n);
        const double t = clock_ms();
        struct extract_result r = sample_bytes(x, s.p, s.n, rows[i].name);
        print_message("%s: %s %.0f ms\n", rows[i].name, r.reason, clock_ms() - t);
        assert_null(strstr(r.reason, "crashed"));
        assert_null(strstr(r.reason, "took"));
        extract_result_release(&r);
        str_release(&s);
    }
}

/* A mail of multiparts in multiparts, and one whose boundary never comes. */
static void test_mail(void **state)
{
    (void)state;
    struct str s = {0};
    for (int i = 0; i < 500; i++)
        str_printf(&s, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
    check(sample_bytes(x, s.p, s.n, "deep.eml"), EXTRACT_FAILED, "nested too deeply");
    str_clear(&s);
    str_puts(&s, "Subject: many\nContent-Type: multipart/mixed; boundary=b\n\n");
    for (int i = 0; i < 5000; i++)
        str_puts(&s, "--b\n\npart\n");
    check(sample_bytes(x, s.p, s.n, "wide.eml"), EXTRACT_FAILED, "too many parts");
    static const char lost[] =
        "Subject: lost\nContent-Type: multipart/mixed; boundary=zzz\n\nhello";
    struct extract_result r = sample_bytes(x, lost, sizeof lost - 1, "lost.eml");
    assert_int_equal(r.state, EXTRACT_OK);
    extract_result_release(&r);
    str_release(&s);
}

/* Every prefix of a container is either read or refused, never a crash. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    static const char *const names[] = {"kettle.docx", "samples.xlsx", "rivers.ods",
                                        "walks.epub",  "lamp.txt.zst", "letter.rtf",
                                        "letter.eml",  "study.ipynb"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[256], bytes[8192];
        snprintf(path, sizeof path, "tests/data/extract/%s", names[i]);
        const int fd = open(path, O_RDONLY);
        const ssize_t n = read(fd, bytes, sizeof bytes);
        close(fd);
        assert_true(n > 0);
        for (ssize_t cut = 1; cut < n; cut += 1 + n / 60) {
            struct extract_result r = sample_bytes(x, bytes, (size_t)cut, names[i]);
            if (strstr(r.reason, "crashed") || strstr(r.reason, "ended early"))
                fail_msg("%s cut at %zd: %s", names[i], cut, r.reason);
            extract_result_release(&r);
        }
    }
}

/* ---- workers that go wrong --------------------------------------------------------------------
 */

static void check_fault(const char *fault, int wall_seconds, const char *reason)
{
    const struct extract_limits limits = {
        .cpu_seconds = 1, .wall_seconds = wall_seconds, .memory_bytes = (size_t)512 << 20};
    setenv("SEMSEARCH_EXTRACT_FAULT", fault, 1);
    struct extractor *bad = sample_open(&limits);
    check(sample_bytes(bad, "hello", 5, "fault.txt"), EXTRACT_FAILED, reason);
    struct extract_result r = sample_bytes(bad, "hello", 5, "good.txt");
    assert_int_equal(r.state, EXTRACT_OK);
    extract_result_release(&r);
    extractor_close(bad);
    unsetenv("SEMSEARCH_EXTRACT_FAULT");
}

static void test_faults(void **state)
{
    (void)state;
    check_fault("hang", 1, "took longer than 1 s");
    check_fault("garbage", 60, "broken answer");
    check_fault("linger", 60, "the parser crashed (signal 9)"); /* it hung up and stayed */
    check_fault("spin", 60, "took more than 1 s of processor time");
    if (sanitized)
        return;
    check_fault("crash", 60, "the parser crashed (signal 11)");
    check_fault("memory", 60, "needs more than 512 MiB of memory");
}

/* A parser that was taken over finds the doors closed that this machine can close. */
static void test_confined(void **state)
{
    (void)state;
    static const struct {
        const char *fault, *layer;
    } doors[] = {
        {"socket", "seccomp"}, {"fork", "seccomp"}, {"open", "landlock"}, {"create", "landlock"}};
    char layers[128];
    struct err err = {0};
    assert_int_equal(extract_sandbox_describe(layers, &err), 0);
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++) {
        if (!strstr(layers, doors[i].layer))
            continue;
        setenv("SEMSEARCH_EXTRACT_FAULT", doors[i].fault, 1);
        struct extractor *other = sample_open(NULL);
        struct extract_result r = sample_bytes(other, "hello", 5, "fault.txt");
        if (r.state != EXTRACT_OK)
            fail_msg("%s: %s", doors[i].fault, r.reason);
        extract_result_release(&r);
        extractor_close(other);
    }
    unsetenv("SEMSEARCH_EXTRACT_FAULT");
}

static void test_output_limit(void **state)
{
    (void)state;
    const struct extract_limits limits = {.output_bytes = 1000};
    struct extractor *small = sample_open(&limits);
    char text[3000];
    memset(text, 'a', sizeof text);
    check(sample_bytes(small, text, sizeof text, "a.txt"), EXTRACT_FAILED, "more than 0.977 KiB");
    struct extract_result r = sample_bytes(small, text, 900, "b.txt");
    assert_int_equal(r.state, EXTRACT_OK);
    extract_result_release(&r);
    extractor_close(small);
}

/* The worker that died between two files is replaced without blaming the file. */
static void test_killed_idle(void **state)
{
    (void)state;
    setenv("SEMSEARCH_EXTRACT_FAULT", "die-after", 1);
    struct extractor *other = sample_open(NULL);
    unsetenv("SEMSEARCH_EXTRACT_FAULT");
    for (int i = 0; i < 3; i++) {
        struct extract_result r = sample_bytes(other, "hello", 5, "fault.txt");
        assert_int_equal(r.state, EXTRACT_OK);
        extract_result_release(&r);
        usleep(30000);
    }
    extractor_close(other);
}

static void test_no_zombies(void **state)
{
    (void)state;
    extractor_close(x);
    x = NULL;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    x = sample_open(NULL);
}

static void test_missing_worker(void **state)
{
    (void)state;
    struct extractor *none;
    struct err err = {0};
    setenv("SEMSEARCH_EXTRACT", "/nowhere/semsearch-extract", 1);
    assert_int_equal(extractor_open(NULL, &none, &err), -1);
    assert_non_null(strstr(err.msg, "/nowhere/semsearch-extract"));
    memset(&err, 0, sizeof err);
    setenv("SEMSEARCH_EXTRACT", "/bin/true", 1);
    assert_int_equal(extractor_open(NULL, &none, &err), -1);
    setenv("SEMSEARCH_EXTRACT", EXTRACT_WORKER, 1);
}

static void test_describe(void **state)
{
    (void)state;
    char line[128];
    struct err err = {0};
    assert_int_equal(extract_sandbox_describe(line, &err), 0);
    assert_true(strncmp(line, "limits", 6) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_no_reach),
        cmocka_unit_test(test_depth),          cmocka_unit_test(test_mail),
        cmocka_unit_test(test_cut_anywhere),   cmocka_unit_test(test_faults),
        cmocka_unit_test(test_confined),       cmocka_unit_test(test_output_limit),
        cmocka_unit_test(test_killed_idle),    cmocka_unit_test(test_no_zombies),
        cmocka_unit_test(test_missing_worker), cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests(tests, open_worker, close_worker);
}
