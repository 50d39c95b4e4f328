/* The indexing pipeline on real folders with a fake embedder: counts of every kind, what costs
 * tokens and what does not, pruning, limits, and kills. */
#include "index/update.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/index/fake_embedder.h"
#include "tests/unit/index/tempdir.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Where limits are tested, time passes by calls of this embedder alone, CALL_MS each: how busy the
 * machine is does not matter. Else it is the clock's. */
enum { CALL_MS = 30000 };
static struct fake_embedder *timer;

double __real_clock_ms(void);
double __wrap_clock_ms(void);
double __wrap_clock_ms(void)
{
    return timer ? (double)timer->n_calls * CALL_MS : __real_clock_ms();
}

/* A root, its index, and the options and report of the last run. */
struct fixture {
    char *root, *dir;
    struct embedder *e;
    struct update_options o;
    struct update_report r;
    struct str notes;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    f->root = tempdir_new();
    f->dir = path_join(f->root, ".semsearch");
    f->e = fake_embedder_new(1, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    timer = NULL;
    update_report_release(&f->r);
    str_release(&f->notes);
    f->e->close(f->e);
    free(f->dir);
    tempdir_free(f->root);
    free(f);
    return 0;
}

static void on_note(void *ctx, const char *line)
{
    str_puts(ctx, line);
}

static void nap(int ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

static int run(struct fixture *f, struct err *err)
{
    struct store *s;
    const struct progress_sink sink = {.note = on_note, .ctx = &f->notes};
    str_clear(&f->notes);
    update_report_release(&f->r);
    if (store_open(f->dir, STORE_CREATE, NULL, &s, err))
        fail_msg("%s", err->msg);
    const int rc = update_run(s, f->root, f->e, &f->o, &sink, &f->r, err);
    store_close(s);
    return rc;
}

/* A run that succeeds, with these counts. */
static void expect(struct fixture *f, int64_t indexed, int64_t unchanged, int64_t removed,
                   int64_t skipped, int64_t failed)
{
    struct err err = {0};
    if (run(f, &err))
        fail_msg("%s", err.msg);
    assert_true(f->r.complete);
    assert_int_equal(f->r.indexed, indexed);
    assert_int_equal(f->r.unchanged, unchanged);
    assert_int_equal(f->r.removed, removed);
    assert_int_equal(f->r.skipped, skipped);
    assert_int_equal(f->r.failed, failed);
    assert_int_equal(f->r.n_failures, failed);
}

static void count_problem(void *ctx, const struct store_problem *p)
{
    (void)p;
    ++*(int *)ctx;
}

static void expect_sound(struct fixture *f, int64_t documents)
{
    struct store *s;
    struct err err = {0};
    struct store_counts c;
    int problems = 0;
    assert_int_equal(store_open(f->dir, STORE_READ, NULL, &s, &err), 0);
    assert_int_equal(store_verify(s, count_problem, &problems, &err), 0);
    assert_int_equal(problems, 0);
    assert_int_equal(store_counts(s, &c, &err), 0);
    assert_int_equal(c.documents, documents);
    assert_true(c.vectors <= c.chunks);
    store_close(s);
}

static bool in_index(struct fixture *f, const char *path, enum doc_state state)
{
    struct store *s;
    struct err err = {0};
    struct store_doc d = {0};
    assert_int_equal(store_open(f->dir, STORE_READ, NULL, &s, &err), 0);
    const int found = store_doc_by_path(s, path, &d, &err);
    const bool ok = found == 1 && d.state == state;
    if (found == 1)
        store_doc_release(&d);
    store_close(s);
    return ok;
}

static void write_words(struct fixture *f, const char *rel, int seed, int n)
{
    struct str s = {0};
    for (int i = 0; i < n; i++)
        str_printf(&s, "word%d%s", seed * 1000 + i, i % 40 == 39 ? ".\n\n" : " ");
    tempdir_write(f->root, rel, s.p);
    str_release(&s);
}

/* Past the time in which a stamp is not trusted. */
static void settle(struct fixture *f)
{
    struct err err = {0};
    nap(60);
    assert_int_equal(run(f, &err), 0);
    nap(60);
}

static void first_second_and_changed(void **state)
{
    struct fixture *f = *state;
    write_words(f, "a.txt", 1, 200);
    write_words(f, "sub/b.txt", 2, 20);
    tempdir_write(f->root, "empty.txt", "");
    tempdir_write_bytes(f->root, "binary", "\0\1\2\3\0\0", 6);
    tempdir_write(f->root, ".gitignore", "ignored.txt\n");
    tempdir_write(f->root, "ignored.txt", "never");
    expect(f, 2, 0, 0, 2, 0);
    assert_true(f->r.tokens > 220 && f->r.chunks > 4);
    expect(f, 0, 2, 0, 2, 0);
    assert_int_equal(f->r.tokens, 0);
    settle(f);
    expect(f, 0, 2, 0, 2, 0);
    expect_sound(f, 2);
    /* a new stamp with the old content */
    write_words(f, "a.txt", 1, 200);
    expect(f, 0, 2, 0, 2, 0);
    assert_int_equal(f->r.tokens, 0);
    /* back in time is a change of the stamp too, but not of the content */
    char *path = path_join(f->root, "a.txt");
    const struct timespec past[2] = {{1000000000, 0}, {1000000000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path, past, 0), 0);
    free(path);
    expect(f, 0, 2, 0, 2, 0);
    write_words(f, "a.txt", 3, 20);
    expect(f, 1, 1, 0, 2, 0);
    expect_sound(f, 2);
    f->o.force = true;
    expect(f, 2, 0, 0, 2, 0);
    assert_int_equal(f->r.tokens, 0);
}

static void changed_paragraph_costs_its_passages(void **state)
{
    struct fixture *f = *state;
    struct str s = {0};
    for (int i = 0; i < 20; i++) {
        str_printf(&s, "# Section %d\n\n", i);
        for (int k = 0; k < 45; k++)
            str_printf(&s, "w%d ", i * 100 + k);
        str_puts(&s, "\n\n");
    }
    tempdir_write(f->root, "a.md", s.p);
    expect(f, 1, 0, 0, 0, 0);
    assert_true(f->r.chunks >= 20);
    const int64_t all = f->r.tokens;
    memcpy(strstr(s.p, "w1010"), "other", 5);
    tempdir_write(f->root, "a.md", s.p);
    expect(f, 1, 0, 0, 0, 0);
    assert_true(f->r.tokens > 0 && f->r.tokens < all / 8);
    str_release(&s);
    expect_sound(f, 1);
}

static void moves_and_copies_cost_nothing(void **state)
{
    struct fixture *f = *state;
    write_words(f, "old/a.txt", 1, 100);
    write_words(f, "old/b.txt", 2, 100);
    expect(f, 2, 0, 0, 0, 0);
    const int64_t chunks = f->r.chunks;
    char *from = path_join(f->root, "old"), *to = path_join(f->root, "new");
    assert_int_equal(rename(from, to), 0);
    free(from);
    free(to);
    write_words(f, "copy.txt", 1, 100);
    expect(f, 3, 0, 2, 0, 0);
    assert_int_equal(f->r.tokens, 0);
    assert_int_equal(f->r.chunks, chunks + chunks / 2);
    expect_sound(f, 3);
    /* another extension may be read differently: extracted again, but not embedded again */
    write_words(f, "copy.log", 1, 100);
    expect(f, 1, 3, 0, 0, 0);
    assert_int_equal(f->r.tokens, 0);
    /* the same text twice in one run is embedded once */
    write_words(f, "x1.txt", 7, 30);
    write_words(f, "x2.txt", 7, 30);
    expect(f, 2, 4, 0, 0, 0);
    const int64_t once = f->r.tokens;
    write_words(f, "y.txt", 8, 30);
    expect(f, 1, 6, 0, 0, 0);
    assert_int_equal(f->r.tokens, once);
    /* two files change places */
    write_words(f, "new/a.txt", 2, 100);
    write_words(f, "new/b.txt", 1, 100);
    expect(f, 2, 5, 0, 0, 0);
    assert_int_equal(f->r.tokens, 0);
    expect_sound(f, 7);
}

static void pruning(void **state)
{
    struct fixture *f = *state;
    write_words(f, "a.txt", 1, 10);
    write_words(f, "sub/b.txt", 2, 10);
    write_words(f, "sub/deep/c.txt", 3, 10);
    write_words(f, "subway/d.txt", 4, 10);
    write_words(f, "e.md", 5, 10);
    expect(f, 5, 0, 0, 0, 0);
    tempdir_remove(f->root, "a.txt");
    tempdir_remove(f->root, "sub/deep/c.txt");
    tempdir_remove(f->root, "subway/d.txt");
    f->o.no_prune = true;
    expect(f, 0, 2, 0, 0, 0);
    f->o.no_prune = false;
    const char *const subs[] = {"sub/deep", "./sub/", "sub"};
    f->o.sub = subs;
    f->o.n_sub = 3;
    expect(f, 0, 1, 1, 0, 0);
    assert_false(in_index(f, "sub/deep/c.txt", DOC_INDEXED));
    assert_true(in_index(f, "a.txt", DOC_INDEXED) && in_index(f, "subway/d.txt", DOC_INDEXED));
    f->o.n_sub = 0;
    /* a run that is narrowed by globs judges only what they select */
    const char *const markdown[] = {"*.md"};
    f->o.walk.include = markdown;
    f->o.walk.n_include = 1;
    expect(f, 0, 1, 0, 0, 0);
    f->o.walk.n_include = 0;
    expect(f, 0, 2, 2, 0, 0);
    /* what a new rule leaves out leaves the index */
    tempdir_write(f->root, ".gitignore", "*.md\n");
    expect(f, 0, 1, 1, 0, 0);
    expect_sound(f, 1);
}

/* Permissions concern nobody but root's others: the walk is done by somebody else. */
static void as_nobody(struct fixture *f, bool on)
{
    if (getuid() != 0)
        return;
    char *command = xasprintf("chmod -R a+rwX '%s'", f->dir);
    if (on && system(command) != 0)
        fail();
    free(command);
    assert_int_equal(seteuid(on ? 65534 : 0), 0);
}

static void unreadable_protects(void **state)
{
    struct fixture *f = *state;
    chmod(f->root, 0777);
    write_words(f, "a.txt", 1, 10);
    write_words(f, "b.txt", 1, 20);
    write_words(f, "locked/c.txt", 2, 10);
    write_words(f, "gone.txt", 3, 10);
    expect(f, 4, 0, 0, 0, 0);
    char *locked = path_join(f->root, "locked"), *b = path_join(f->root, "b.txt");
    tempdir_remove(f->root, "gone.txt");
    chmod(locked, 0);
    chmod(b, 0);
    as_nobody(f, true);
    expect(f, 0, 1, 0, 0, 2);
    expect(f, 0, 1, 0, 0, 2); /* failed again at every run */
    as_nobody(f, false);
    assert_non_null(strstr(f->notes.p, "'locked' could not be read"));
    assert_true(in_index(f, "locked/c.txt", DOC_INDEXED));
    assert_true(in_index(f, "gone.txt", DOC_INDEXED));
    assert_true(in_index(f, "locked", DOC_FAILED));
    assert_true(in_index(f, "b.txt", DOC_FAILED));
    chmod(locked, 0755);
    chmod(b, 0644);
    as_nobody(f, true);
    expect(f, 1, 2, 1, 0, 0);
    as_nobody(f, false);
    expect_sound(f, 3);
    free(locked);
    free(b);
}

static void broken_files_fail_every_time(void **state)
{
    struct fixture *f = *state;
    tempdir_write(f->root, "bad.docx", "PK\003\004 this is no archive at all, whatever it says");
    write_words(f, "ok.txt", 1, 10);
    struct err err = {0};
    assert_int_equal(run(f, &err), 0);
    assert_int_equal(f->r.failed, 1);
    assert_string_equal(f->r.failure[0].path, "bad.docx");
    char *reason = xstrdup(f->r.failure[0].reason);
    settle(f);
    expect(f, 0, 1, 0, 0, 1);
    assert_string_equal(f->r.failure[0].reason, reason);
    free(reason);
    write_words(f, "bad.docx", 2, 10); /* mended: now it is text */
    expect(f, 1, 1, 0, 0, 0);
}

static void odd_names(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"-rf.txt", "a\nb.txt", "\xff\xfe.txt", "it's \"q\".txt",
                                        "$(touch x).txt"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        write_words(f, names[i], (int)i, 10);
    expect(f, (int64_t)ARRAY_LEN(names), 0, 0, 0, 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_true(in_index(f, names[i], DOC_INDEXED));
    expect(f, 0, (int64_t)ARRAY_LEN(names), 0, 0, 0);
}

static void dry_run_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    write_words(f, "a.txt", 1, 100);
    f->o.dry_run = true;
    assert_int_equal(update_run(NULL, f->root, f->e, &f->o, NULL, &f->r, &err), 0);
    assert_int_equal(f->r.indexed, 1);
    const int64_t tokens = f->r.tokens;
    assert_false(dir_exists(f->dir));
    f->o.dry_run = false;
    expect(f, 1, 0, 0, 0, 0);
    assert_int_equal(f->r.tokens, tokens);
    write_words(f, "b.txt", 2, 100);
    tempdir_remove(f->root, "a.txt");
    f->o.dry_run = true;
    expect(f, 1, 0, 1, 0, 0);
    expect(f, 1, 0, 1, 0, 0);
    assert_true(in_index(f, "a.txt", DOC_INDEXED));
    assert_false(in_index(f, "b.txt", DOC_INDEXED));
}

static void another_model(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    write_words(f, "a.txt", 1, 100);
    write_words(f, "sub/b.txt", 2, 100);
    expect(f, 2, 0, 0, 0, 0);
    const int64_t tokens = f->r.tokens;
    f->e->close(f->e);
    f->e = fake_embedder_new(2, 0);
    assert_int_equal(run(f, &err), -1);
    assert_int_equal(err.kind, ERR_INCOMPATIBLE);
    assert_non_null(strstr(err.hint, "--reembed"));
    f->o = (struct update_options){.reembed = true};
    expect(f, 2, 0, 0, 0, 0);
    assert_int_equal(f->r.tokens, tokens);
    f->o = (struct update_options){0};
    expect(f, 0, 2, 0, 0, 0);
    expect_sound(f, 2);
}

static void time_limit(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    for (int i = 0; i < 12; i++) {
        char *name = xasprintf("f%02d.txt", i);
        write_words(f, name, i, 3000);
        free(name);
    }
    timer = fake_embedder_of(f->e);
    f->o.time_limit_s = 50;
    assert_int_equal(run(f, &err), 0);
    assert_int_equal(timer->n_calls, 2); /* the first one after the limit was the last */
    assert_false(f->r.complete);
    assert_true(f->r.indexed < 12);
    timer = NULL;
    f->o.time_limit_s = 0;
    const int64_t before = f->r.indexed;
    expect(f, 12 - before, before, 0, 0, 0);
    expect_sound(f, 12);
}

/* A file that takes longer than every run's limit is finished all the same. */
static void time_limit_inside_a_file(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    write_words(f, "large.txt", 1, 60000);
    timer = fake_embedder_of(f->e);
    f->o.time_limit_s = 100;
    int64_t tokens = 0;
    int runs = 0;
    do {
        assert_int_equal(run(f, &err), 0);
        tokens += f->r.tokens;
        if (runs == 1) { /* damage costs the work, nothing else */
            tempdir_write(f->root, ".semsearch/unfinished", "semsearch vectors 1\n nonsense");
            tokens = 0;
        }
    } while (!f->r.complete && ++runs < 60);
    assert_true(f->r.complete && runs > 2);
    const int64_t texts = fake_embedder_of(f->e)->n_texts;
    assert_true(texts > f->r.chunks);
    f->o.time_limit_s = 0;
    timer = NULL;
    expect(f, 0, 1, 0, 0, 0);
    expect_sound(f, 1);
    char *left = path_join(f->dir, "unfinished");
    assert_false(file_exists(left));
    free(left);
    /* every passage was embedded once since the damage */
    f->o.force = true;
    expect(f, 1, 0, 0, 0, 0);
    assert_int_equal(f->r.tokens, 0);
    f->e->close(f->e);
    f->e = fake_embedder_new(2, 0);
    f->o.force = false;
    f->o.reembed = true;
    expect(f, 1, 0, 0, 0, 0);
    assert_int_equal(f->r.tokens, tokens);
}

/* Reading a file to compare it may itself take longer than the limit. */
static void time_limit_inside_a_hash(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    tempdir_write(f->root, "a.txt", "short");
    char *path = path_join(f->root, "huge");
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, (off_t)1 << 42), 0); /* a hole of an hour */
    close(fd);
    f->o.walk.max_file_size = INT64_MAX;
    f->o.time_limit_s = 20; /* over when the other file is embedded */
    timer = fake_embedder_of(f->e);
    alarm(120);
    assert_int_equal(run(f, &err), 0);
    alarm(0);
    assert_false(f->r.complete);
    assert_int_equal(f->r.failed, 0);
    assert_int_equal(f->r.indexed, 1);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static struct file_stamp stored_stamp(struct fixture *f, const char *path)
{
    struct store *s;
    struct err err = {0};
    struct store_doc d;
    assert_int_equal(store_open(f->dir, STORE_READ, NULL, &s, &err), 0);
    assert_int_equal(store_doc_by_path(s, path, &d, &err), 1);
    const struct file_stamp stamp = d.stamp;
    store_doc_release(&d);
    store_close(s);
    return stamp;
}

/* A change while a fresh file is read may leave its stamp: that the reading took longer than stamps
 * need to settle must not make it trusted. */
static void slow_reading_of_a_fresh_file(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    int64_t ctime_ns = 1;
    tempdir_write(f->root, "a.txt", "the index is made before");
    settle(f);
    char *path = path_join(f->root, "hole");
    f->o.walk.max_file_size = INT64_MAX;
    for (int i = 0; i < 10 && ctime_ns; i++) { /* a busy machine may begin too late */
        const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(fd, (off_t)1 << 30), 0);
        close(fd);
        assert_int_equal(run(f, &err), 0);
        ctime_ns = stored_stamp(f, "hole").ctime_ns;
    }
    assert_int_equal(ctime_ns, 0);
    free(path);
}

/* Years past 2262 do not fit int64 nanoseconds. */
static void times_far_away(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    tempdir_write(f->root, "a.txt", "from another age");
    char *path = path_join(f->root, "a.txt");
    const struct timespec far[2] = {{12000000000, 0}, {12000000000, 0}}; /* the year 2350 */
    if (utimensat(AT_FDCWD, path, far, 0) == 0 && stat(path, &st) == 0 &&
        st.st_mtim.tv_sec == far[1].tv_sec) {
        expect(f, 1, 0, 0, 0, 0);
        assert_true(stored_stamp(f, "a.txt").mtime_ns == INT64_MAX);
    }
    free(path);
}

static void failing_embedder(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    for (int i = 0; i < 30; i++) {
        char *name = xasprintf("f%02d.txt", i);
        write_words(f, name, i, 1000);
        free(name);
    }
    fake_embedder_of(f->e)->fail_at_call = 3;
    assert_int_equal(run(f, &err), -1);
    assert_non_null(strstr(err.msg, "told to fail"));
    fake_embedder_of(f->e)->fail_at_call = 0;
    assert_int_equal(run(f, &err), 0);
    assert_int_equal(f->r.indexed + f->r.unchanged, 30);
    expect_sound(f, 30);
}

/* Killed at ten moments of the run; whatever was stored is sound, and the next run completes. */
static void killed_in_mid_run(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 60; i++) {
        char *name = xasprintf("d%d/f%02d.txt", i % 7, i);
        write_words(f, name, i, 400);
        free(name);
    }
    fake_embedder_of(f->e)->delay_ms = 5;
    for (int round = 0; round < 10; round++) {
        const pid_t child = fork();
        if (child == 0) {
            struct err err = {0};
            struct store *s;
            if (store_open(f->dir, STORE_CREATE, NULL, &s, &err) == 0)
                if (update_run(s, f->root, f->e, &f->o, NULL, &f->r, &err))
                    _exit(1);
            _exit(0);
        }
        nap(20 + round * 25);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    fake_embedder_of(f->e)->delay_ms = 0;
    struct err err = {0};
    assert_int_equal(run(f, &err), 0);
    assert_int_equal(f->r.indexed + f->r.unchanged, 60);
    expect(f, 0, 60, 0, 0, 0);
    expect_sound(f, 60);
}

static void index_inside_the_root(void **state)
{
    struct fixture *f = *state;
    free(f->dir);
    f->dir = path_join(f->root, "my [index]");
    write_words(f, "a.txt", 1, 10);
    expect(f, 1, 0, 0, 0, 0);
    expect(f, 0, 1, 0, 0, 0);
}

static void the_disk_against_the_index(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct store *s;
    struct update_diff d;
    const struct walk_options none = {0};
    write_words(f, "a.txt", 1, 10);
    write_words(f, "b.txt", 2, 10);
    write_words(f, "c.txt", 3, 10);
    expect(f, 3, 0, 0, 0, 0);
    write_words(f, "a.txt", 1, 10); /* touched only */
    write_words(f, "b.txt", 4, 10);
    tempdir_remove(f->root, "c.txt");
    write_words(f, "d.txt", 5, 10);
    tempdir_write(f->root, "empty", "");
    assert_int_equal(store_open(f->dir, STORE_READ, NULL, &s, &err), 0);
    assert_int_equal(update_check(s, f->root, NULL, 0, &none, &d, &err), 0);
    store_close(s);
    assert_int_equal(d.changed, 1);
    assert_int_equal(d.added, 1);
    assert_int_equal(d.gone, 1);
}

/* More items than one batch holds: the first is on its way to the store while the next is gathered
 * and embedded. What both have is embedded once, and every row finds its vector. */
static void passages_of_two_batches(void **state)
{
    enum { COPIES = 700 };
    struct fixture *f = *state;
    write_words(f, "000/a.txt", 1, 10);
    expect(f, 1, 0, 0, 0, 0);
    const int64_t tokens = f->r.tokens;
    f->o.reembed = true; /* else they would be copies of the first, never embedded at all */
    f->e->close(f->e);
    f->e = fake_embedder_new(2, 0);
    for (int i = 1; i < COPIES; i++) {
        char rel[32];
        snprintf(rel, sizeof rel, "%03d/a.txt", i);
        write_words(f, rel, 1 + i / 100, 10);
    }
    fake_embedder_of(f->e)->delay_ms = 300; /* the reader gets ahead, so that batches are full */
    expect(f, COPIES, 0, 0, 0, 0);
    assert_int_equal(f->r.tokens, 7 * tokens); /* seven contents of one length */
    expect_sound(f, COPIES);
}

int main(void)
{
    setenv("SEMSEARCH_EXTRACT", EXTRACT_WORKER, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_second_and_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_paragraph_costs_its_passages, setup, teardown),
        cmocka_unit_test_setup_teardown(moves_and_copies_cost_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(pruning, setup, teardown),
        cmocka_unit_test_setup_teardown(unreadable_protects, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_files_fail_every_time, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_names, setup, teardown),
        cmocka_unit_test_setup_teardown(dry_run_writes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(another_model, setup, teardown),
        cmocka_unit_test_setup_teardown(time_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(time_limit_inside_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(time_limit_inside_a_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_reading_of_a_fresh_file, setup, teardown),
        cmocka_unit_test_setup_teardown(times_far_away, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_embedder, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_in_mid_run, setup, teardown),
        cmocka_unit_test_setup_teardown(index_inside_the_root, setup, teardown),
        cmocka_unit_test_setup_teardown(the_disk_against_the_index, setup, teardown),
        cmocka_unit_test_setup_teardown(passages_of_two_batches, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
