/* Who may be at the index at the same time, and what they may do there: one writer, any readers, on
 * folders and disks that take no writing too. */
#include "index/store/store.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/progress.h"
#include "tests/unit/index/store_sample.h"
#include "tests/unit/index/tempdir.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_DOCS = 30 };

struct ground {
    char *top, *dir;
};

static struct store *open_or_die(const char *dir, enum store_mode mode)
{
    struct err err = {0};
    struct store *s;
    if (store_open(dir, mode, NULL, &s, &err)) {
        fprintf(stderr, "open: %s\n", err.msg);
        abort();
    }
    return s;
}

static void put_or_die(struct store *s, int i, int v)
{
    struct err err = {0};
    if (sample_put(s, i, v, &err)) {
        fprintf(stderr, "put: %s\n", err.msg);
        abort();
    }
}

static int set_up(void **state)
{
    struct ground *g = xcalloc(1, sizeof *g);
    g->top = tempdir_new();
    g->dir = path_join(g->top, "index");
    chmod(g->top, 0755);
    struct store *s = open_or_die(g->dir, STORE_CREATE);
    for (int i = 0; i < N_DOCS; i++)
        put_or_die(s, i, 1);
    store_close(s);
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;
    chmod(g->dir, 0755);
    tempdir_free(g->top);
    free(g->dir);
    free(g);
    return 0;
}

/* 0 when samples 0..n-1 (version 1) are all there and verify finds nothing; else says what. */
static int look_over(struct store *s, int n)
{
    struct err err = {0};
    char first[1024];
    if (sample_verify(s, first, &err) != 0) {
        fprintf(stderr, "verify: %s%s\n", first, err.msg);
        return 1;
    }
    for (int i = 0; i < n; i++) {
        int found;
        const char *bad = sample_compare(s, i, 1, &found);
        if (bad || !found) {
            fprintf(stderr, "document %d: %s\n", i, bad ? bad : "missing");
            return 1;
        }
    }
    return 0;
}

static int open_and_look(const char *dir, int n)
{
    struct err err = {0};
    struct store *s;
    if (store_open(dir, STORE_READ, NULL, &s, &err)) {
        fprintf(stderr, "open: %s\n", err.msg);
        return 1;
    }
    const int rc = look_over(s, n);
    store_close(s);
    return rc;
}

/* ---- readers beside a writer ---- */

enum { WRITES = 150, ROUNDS = 40, PATIENCE_S = 600 };

struct crowd {
    const char *dir;
    atomic_bool stop;
    atomic_int rounds, bad;
};

static int count_row(void *ctx, const struct store_row *row, struct err *err)
{
    (void)err;
    *(int64_t *)ctx += row->text.n > 0;
    return 0;
}

static void *read_on(void *arg)
{
    struct crowd *c = arg;
    while (!atomic_load(&c->stop)) {
        struct store *s = open_or_die(c->dir, STORE_READ);
        for (int round = 0; round < 5 && !atomic_load(&c->stop); round++) {
            struct err err = {0};
            struct store_counts counts;
            int64_t n = 0, before, after; /* generations: counts may change there and back */
            int found;
            if (store_generation(s, &before, &err) || store_counts(s, &counts, &err) ||
                store_each_row(s, 0, true, count_row, &n, &err) ||
                store_generation(s, &after, &err)) {
                fprintf(stderr, "reader: %s\n", err.msg);
                atomic_fetch_add(&c->bad, 1);
            } else if (before == after && n != counts.chunks) {
                fprintf(stderr, "reader: %lld rows of %lld\n", (long long)n,
                        (long long)counts.chunks);
                atomic_fetch_add(&c->bad, 1);
            }
            const char *wrong = sample_compare(s, 1, 1, &found);
            if (wrong || !found)
                atomic_fetch_add(&c->bad, 1);
            atomic_fetch_add(&c->rounds, 1);
        }
        store_close(s);
    }
    return NULL;
}

/* Puts, replaces, deletes and groups until the readers have met enough of it. */
static void write_on(const struct crowd *c)
{
    const char *dir = c->dir;
    struct store *s = open_or_die(dir, STORE_WRITE);
    for (int i = 0; i < WRITES || atomic_load(&c->rounds) < ROUNDS; i++) {
        struct err err = {0};
        const bool grouped = i % 10 == 0;
        if (grouped && store_begin(s, &err))
            abort();
        for (int k = 0; k < (grouped ? 20 : 1); k++)
            put_or_die(s, 100 + (i * 7 + k) % 90, 1 + i % 2);
        if (grouped && store_commit(s, &err))
            abort();
        if (i % 50 == 0) {
            store_close(s); /* the checkpoint at the end, while readers are there */
            s = open_or_die(dir, STORE_WRITE);
        }
    }
    store_close(s);
}

static void readers_and_a_writer(void **state)
{
    enum { THREADS = 4, PROCESSES = 2 };
    struct ground *g = *state;
    struct crowd c = {.dir = g->dir};
    pid_t other[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        if ((other[i] = fork()) == 0) {
            alarm(PATIENCE_S);
            for (int k = 0; k < 40; k++)
                if (open_and_look(g->dir, N_DOCS))
                    _exit(1);
            _exit(0);
        }
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, read_on, &c), 0);
    write_on(&c);
    atomic_store(&c.stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        waitpid(other[i], &status, 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(atomic_load(&c.bad), 0);
    assert_int_equal(open_and_look(g->dir, N_DOCS), 0);
}

/* A view is taken as it was, whatever is written meanwhile; and the writer does not wait for it. */
static int write_meanwhile(void *ctx, const struct store_row *row, struct err *err)
{
    struct crowd *c = ctx;
    (void)row;
    (void)err;
    if (atomic_fetch_add(&c->rounds, 1) == 3) {
        struct store *w = open_or_die(c->dir, STORE_WRITE);
        for (int i = 200; i < 230; i++)
            put_or_die(w, i, 1);
        store_close(w);
    }
    return 0;
}

static void a_reader_keeps_its_view(void **state)
{
    struct ground *g = *state;
    struct crowd c = {.dir = g->dir};
    struct store *s = open_or_die(g->dir, STORE_READ);
    struct store_counts before, after;
    struct err err = {0};
    assert_int_equal(store_counts(s, &before, &err), 0);
    assert_int_equal(store_each_row(s, 0, true, write_meanwhile, &c, &err), 0);
    assert_int_equal(atomic_load(&c.rounds), before.chunks);
    assert_int_equal(store_counts(s, &after, &err), 0);
    assert_true(after.chunks > before.chunks);
    store_close(s);
}

/* ---- the lock ---- */

/* A process that holds the lock until a byte is written to *let_go, or it is killed. */
static pid_t hold_lock(const char *dir, int *let_go)
{
    int ends[2], back[2];
    if (pipe(ends) || pipe(back))
        abort();
    const pid_t pid = fork();
    if (pid == 0) {
        alarm(PATIENCE_S);
        struct store *s = open_or_die(dir, STORE_WRITE);
        struct err err = {0};
        if (store_begin(s, &err))
            _exit(1);
        put_or_die(s, 300, 1); /* in the midst of a transaction */
        if (write(ends[1], "x", 1) != 1)
            _exit(1);
        char x;
        if (read(back[0], &x, 1) != 1)
            _exit(1);
        store_rollback(s);
        store_close(s);
        _exit(0);
    }
    char x;
    if (read(ends[0], &x, 1) != 1)
        abort();
    close(ends[0]);
    close(ends[1]);
    close(back[0]);
    *let_go = back[1];
    return pid;
}

struct waiting {
    int let_go, notes;
    char noted[256];
};

/* The holder lets go when the one who waits has said so. */
static void note(void *ctx, const char *line)
{
    struct waiting *w = ctx;
    if (w->notes++ == 0 && write(w->let_go, "x", 1) != 1)
        abort();
    snprintf(w->noted, sizeof w->noted, "%s", line);
}

static void a_second_writer_waits(void **state)
{
    struct ground *g = *state;
    struct waiting w = {0};
    const pid_t pid = hold_lock(g->dir, &w.let_go);
    const struct progress_sink sink = {.note = note, .ctx = &w};
    struct err err = {0};
    struct store *s;
    if (store_open(g->dir, STORE_WRITE, &sink, &s, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(w.notes, 1);
    char who[32];
    snprintf(who, sizeof who, "process %ld", (long)pid);
    assert_non_null(strstr(w.noted, who));
    int found;
    sample_compare(s, 300, 1, &found);
    assert_int_equal(found, 0); /* it was rolled back */
    store_close(s);
    waitpid(pid, NULL, 0);
    close(w.let_go);
}

static void and_gives_up_after_ten_seconds(void **state)
{
    struct ground *g = *state;
    int let_go;
    const pid_t pid = hold_lock(g->dir, &let_go);
    struct err err = {0};
    struct store *s;
    assert_int_equal(open_and_look(g->dir, N_DOCS), 0); /* readers get in */
    const double asked = clock_ms();
    assert_int_equal(store_open(g->dir, STORE_WRITE, NULL, &s, &err), -1);
    if (err.kind != ERR_LOCKED)
        fail_msg("%s", err.msg);
    assert_true(clock_ms() - asked > 9900);
    assert_true(err.hint[0] != '\0');
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(let_go);
    s = open_or_die(g->dir, STORE_WRITE); /* a killed writer locks nobody out */
    assert_int_equal(look_over(s, N_DOCS), 0);
    store_close(s);
}

/* Handles of one process exclude each other as well: the note lets the second one in. */
static void close_first(void *ctx, const char *line)
{
    struct store **first = ctx;
    (void)line;
    store_close(*first);
    *first = NULL;
}

static void two_writers_in_one_process(void **state)
{
    struct ground *g = *state;
    struct store *a = open_or_die(g->dir, STORE_WRITE), *b;
    const struct progress_sink sink = {.note = close_first, .ctx = &a};
    struct err err = {0};
    if (store_open(g->dir, STORE_WRITE, &sink, &b, &err))
        fail_msg("%s", err.msg);
    assert_null(a);
    store_close(b);
}

/* ---- folders that take no writing ---- */

static void remove_one(const char *dir, const char *name)
{
    char *p = path_join(dir, name);
    unlink(p);
    free(p);
}

/* Leaves the index as a killed writer does, with `extra` documents in the WAL. */
static void kill_a_writer(const char *dir, int extra)
{
    const pid_t pid = fork();
    if (pid == 0) {
        struct store *s = open_or_die(dir, STORE_WRITE);
        for (int i = 0; i < extra; i++)
            put_or_die(s, N_DOCS + i, 1);
        kill(getpid(), SIGKILL);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status));
}

/* In a child: without the right to write (another user), or on a read-only mount. -1: not to be had
 * on this machine. */
static int look_unprivileged(const char *dir, int n)
{
    const pid_t pid = fork();
    if (pid == 0) {
        chmod(dir, 0555);
        if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
            _exit(77);
        struct err err = {0};
        struct store *s;
        if (store_open(dir, STORE_WRITE, NULL, &s, &err) == 0 || err.kind != ERR_IO)
            _exit(2); /* so the folder did take writing */
        _exit(open_and_look(dir, n));
    }
    int status;
    waitpid(pid, &status, 0);
    chmod(dir, 0755);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static int look_on_read_only_mount(const char *dir, int n)
{
    const pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
            mount(dir, dir, NULL, MS_BIND, NULL) ||
            mount(NULL, dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL))
            _exit(77);
        _exit(open_and_look(dir, n));
    }
    int status;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void look_both_ways(const char *dir, int n, const char *what)
{
    const int a = look_unprivileged(dir, n), b = look_on_read_only_mount(dir, n);
    if ((a && a != 77) || (b && b != 77))
        fail_msg("%s: other user %d, read-only mount %d", what, a, b);
}

static void reads_where_writing_is_refused(void **state)
{
    struct ground *g = *state;
    look_both_ways(g->dir, N_DOCS, "as a writer leaves it");
    remove_one(g->dir, "index.db-wal");
    remove_one(g->dir, "index.db-shm");
    look_both_ways(g->dir, N_DOCS, "the file alone");
    kill_a_writer(g->dir, 5);
    look_both_ways(g->dir, N_DOCS + 5, "after a kill");
    remove_one(g->dir, "index.db-shm");
    look_both_ways(g->dir, N_DOCS + 5, "after a kill, without the shared index");
    struct store *s = open_or_die(g->dir, STORE_WRITE); /* now beside a living writer */
    look_both_ways(g->dir, N_DOCS + 5, "beside a writer");
    put_or_die(s, N_DOCS + 5, 1);
    look_both_ways(g->dir, N_DOCS + 6, "beside a writer who writes");
    store_close(s);
}

/* A reader that holds no lock sees when a writer comes after all. */
static void a_frozen_reader_wakes_up(void **state)
{
    struct ground *g = *state;
    int to[2], from[2];
    if (geteuid() != 0)
        skip();
    remove_one(g->dir, "index.db-wal");
    remove_one(g->dir, "index.db-shm");
    assert_int_equal(pipe(to) | pipe(from), 0);
    chmod(g->dir, 0555);
    const pid_t pid = fork();
    if (pid == 0) {
        alarm(PATIENCE_S);
        if (setgid(65534) || setuid(65534))
            _exit(1);
        struct store *s = open_or_die(g->dir, STORE_READ);
        char x = 'x';
        if (look_over(s, N_DOCS) || write(from[1], &x, 1) != 1 || read(to[0], &x, 1) != 1)
            _exit(2);
        _exit(look_over(s, N_DOCS + 40));
    }
    char x;
    assert_int_equal(read(from[0], &x, 1), 1);
    struct store *s = open_or_die(g->dir, STORE_WRITE);
    for (int i = 0; i < N_DOCS + 40; i++)
        put_or_die(s, i, 1);
    store_close(s);
    assert_int_equal(write(to[1], "x", 1), 1);
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

int main(void)
{
    alarm(2 * PATIENCE_S); /* nothing here may hang */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readers_and_a_writer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_keeps_its_view, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_writer_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(and_gives_up_after_ten_seconds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_writers_in_one_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_where_writing_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_frozen_reader_wakes_up, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
