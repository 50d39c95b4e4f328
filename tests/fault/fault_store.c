/* fault_store.c - the store under the n-th failing call, for n = 1, 2, 3 ... until all goes well.
 *
 * fault_store FAILIO.SO [SCENARIO [MODE]]. Each run is a child process under failio.so that works
 * on a copy of a prepared index and says through a pipe which steps it has finished. Whatever
 * happened to it, afterwards the index must be sound, every finished step must be there, every
 * other step whole or absent, and the next writer must get on. In mode `once` the child itself must
 * succeed when it repeats the step that failed.
 */
#include "index/store/store.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/index/store_sample.h"
#include "tests/unit/index/tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_DOCS = 12, ACK_FD = 3, GAVE_UP = 3, NOT_REPEATABLE = 4 };

/* ---- the child ---- */

enum step { OPEN, PUT, REPLACE, GROUP, PRUNE, SET, STREAM, CLOSE, SALVAGE, DIGEST, N_STEPS };

static int delete_path(struct store *s, int i, struct err *err)
{
    struct store_doc d;
    char *path = sample_path(i);
    int rc = store_doc_by_path(s, path, &d, err);
    free(path);
    if (rc == 1) {
        rc = store_delete(s, d.id, err);
        store_doc_release(&d);
    }
    return rc;
}

static int group(struct store *s, struct err *err)
{
    if (store_begin(s, err))
        return -1;
    if (sample_put(s, 101, 1, err) || delete_path(s, 5, err) || sample_put(s, 102, 1, err)) {
        store_rollback(s);
        return -1;
    }
    return store_commit(s, err);
}

static int ignore_row(void *ctx, const struct store_row *row, struct err *err)
{
    (void)ctx;
    (void)row;
    (void)err;
    return 0;
}

static int do_step(enum step step, const char *dir, enum store_mode mode, struct store **s,
                   struct err *err)
{
    int64_t n;
    struct hash128 digest;
    switch (step) {
    case OPEN:
        if (store_open(dir, mode, NULL, s, err))
            return -1;
        store_vectors_are(*s, PRECISION_INT8); /* counted beside those of the prepared index */
        return 0;
    case PUT:
        return sample_put(*s, 100, 2, err);
    case REPLACE:
        return sample_put(*s, 3, 2, err);
    case GROUP:
        return group(*s, err);
    case PRUNE:
        return store_vectors_prune(*s, &n, err);
    case SET:
        return store_meta_set(*s, "root", "/new", err);
    case STREAM:
        return store_each_row(*s, 0, true, ignore_row, NULL, err);
    case CLOSE:
        store_close(*s);
        *s = NULL;
        return 0;
    case SALVAGE:
        return store_salvage(dir, NULL, &n, err);
    case DIGEST:
        return sample_digest(*s, &digest, err);
    case N_STEPS:
        break;
    }
    return -1;
}

struct scenario {
    const char *name;
    enum store_mode mode;
    int step[10]; /* ended by -1 */
    bool prepared;
    bool live; /* the prepared index is that of a writer who was killed: half of it is in the WAL */
    bool damaged;
    bool must_not_notice; /* no fault at all may be seen: readers never write */
};

static const struct scenario scenarios[] = {
    {"create", STORE_CREATE, {OPEN, PUT, CLOSE, -1}, false, false, false, false},
    {"write",
     STORE_WRITE,
     {OPEN, PUT, REPLACE, GROUP, PRUNE, SET, STREAM, CLOSE, -1},
     true,
     true,
     false,
     false},
    {"salvage", STORE_WRITE, {SALVAGE, OPEN, PUT, CLOSE, -1}, true, false, true, false},
    {"read", STORE_READ, {OPEN, DIGEST, CLOSE, -1}, true, false, false, true},
    {"read-live", STORE_READ, {OPEN, DIGEST, CLOSE, -1}, true, true, false, true},
};

static int child(const struct scenario *sc, const char *dir)
{
    struct store *s = NULL;
    const bool once = strcmp(getenv("FAILIO_MODE"), "once") == 0;
    for (int i = 0; sc->step[i] >= 0; i++) {
        struct err err = {0};
        int rc = do_step((enum step)sc->step[i], dir, sc->mode, &s, &err);
        if (rc && !err.msg[0]) {
            fprintf(stderr, "step %d failed without a message\n", sc->step[i]);
            return NOT_REPEATABLE;
        }
        if (rc)
            fprintf(stderr, "step %d: %s\n", sc->step[i], err.msg);
        if (rc && once) {
            rc = do_step((enum step)sc->step[i], dir, sc->mode, &s, &err);
            if (rc) {
                fprintf(stderr, "step %d, repeated: %s\n", sc->step[i], err.msg);
                return NOT_REPEATABLE;
            }
        }
        if (rc) {
            store_close(s);
            return GAVE_UP;
        }
        const char ack = (char)sc->step[i];
        if (write(ACK_FD, &ack, 1) != 1)
            return NOT_REPEATABLE;
    }
    return 0;
}

/* ---- the parent ---- */

static char *top, *self_path, *library;
static const char *where_now = "";

static void check(bool ok, const char *what, const char *detail)
{
    if (ok)
        return;
    fprintf(stderr, "fault_store: %s: %s: %s\n", where_now, what, detail);
    char *log = path_join(top, "log");
    struct str text = {0};
    if (file_read(log, 1 << 20, &text, NULL) == 0 && text.n)
        fprintf(stderr, "%s", text.p);
    exit(1);
}

static void copy_file(const char *from, const char *to, const char *name, bool damage)
{
    char *path = path_join(from, name);
    struct str bytes = {0};
    if (file_read(path, 1 << 30, &bytes, NULL) == 0) {
        if (damage)
            memset(bytes.p + 16, 'x', 60); /* no database any more */
        tempdir_write_bytes(to, name, bytes.p ? bytes.p : "", bytes.n);
    }
    str_release(&bytes);
    free(path);
}

/* Two indexes of the same contents: a closed one, and one as a killed writer leaves it. */
static void prepare(const char *dir, const char *live)
{
    struct err err = {0};
    struct store *s;
    check(store_open(dir, STORE_CREATE, NULL, &s, &err) == 0, "prepare", err.msg);
    check(store_meta_set(s, "fingerprint", "f", &err) == 0, "prepare", err.msg);
    for (int i = 0; i < N_DOCS; i++) {
        if (i == N_DOCS / 2) {
            store_close(s);
            check(store_open(dir, STORE_WRITE, NULL, &s, &err) == 0, "prepare", err.msg);
        }
        check(sample_put(s, i, 1, &err) == 0, "prepare", err.msg);
    }
    copy_file(dir, live, "index.db", false);
    copy_file(dir, live, "index.db-wal", false);
    store_close(s);
}

/* Runs the child; its acknowledged steps as bits. */
static unsigned run(const struct scenario *sc, const char *dir, int *status)
{
    int ends[2];
    check(pipe(ends) == 0, "pipe", strerror(errno));
    const pid_t pid = fork();
    if (pid == 0) {
        char *log = path_join(top, "log");
        const int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        dup2(fd, 2);
        dup2(ends[1], ACK_FD);
        setenv("LD_PRELOAD", library, 1);
        execl(self_path, self_path, "--child", sc->name, dir, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    unsigned acks = 0;
    char step;
    while (read(ends[0], &step, 1) == 1)
        acks |= 1u << step;
    close(ends[0]);
    check(waitpid(pid, status, 0) == pid, "wait", strerror(errno));
    return acks;
}

static bool is_there(struct store *s, int i, int v)
{
    int found;
    const char *bad = sample_compare(s, i, v, &found);
    return found == 1 && !bad;
}

static bool is_absent(struct store *s, int i)
{
    int found;
    sample_compare(s, i, 1, &found);
    return found == 0;
}

static void check_contents(const struct scenario *sc, struct store *s, unsigned acks)
{
    for (int i = 0; i < N_DOCS && sc->prepared; i++)
        if (i != 3 && i != 5)
            check(is_there(s, i, 1), "a document that nobody touched", "is not what it was");
    const bool put = is_there(s, 100, 2), replaced = is_there(s, 3, 2);
    const bool group_done = is_there(s, 101, 1) && is_there(s, 102, 1) && is_absent(s, 5);
    check(put || (is_absent(s, 100) && !(acks & 1u << PUT)), "put", "not whole, or lost");
    if (sc->prepared) {
        check(replaced || (is_there(s, 3, 1) && !(acks & 1u << REPLACE)), "replace",
              "not whole, or lost");
        check(group_done || (is_absent(s, 101) && is_absent(s, 102) && is_there(s, 5, 1) &&
                             !(acks & 1u << GROUP)),
              "group", "not whole, or lost");
    }
    if (acks & 1u << SET) {
        char *root;
        check(store_meta_get(s, "root", &root, NULL) == 0 && root && strcmp(root, "/new") == 0,
              "setting", "lost");
        free(root);
    }
}

static void check_after(const struct scenario *sc, const char *dir, unsigned acks)
{
    struct err err = {0};
    struct store *s;
    char first[1024];
    if (store_open(dir, STORE_READ, NULL, &s, &err)) {
        const bool none = err.kind == ERR_NO_INDEX && !sc->prepared && !(acks & 1u << OPEN);
        const bool still = sc->damaged && err.kind == ERR_CORRUPT && !(acks & 1u << SALVAGE);
        check(none || still, "open for reading", err.msg);
        if (still) {
            int64_t n;
            check(store_salvage(dir, NULL, &n, &err) == 0, "salvage again", err.msg);
        }
    } else {
        check(sample_verify(s, first, &err) == 0, "verify", first[0] ? first : err.msg);
        check_contents(sc, s, acks);
        store_close(s);
    }
    check(store_open(dir, STORE_CREATE, NULL, &s, &err) == 0, "the next writer", err.msg);
    check(sample_put(s, 200, 1, &err) == 0, "the next writer", err.msg);
    check_contents(sc, s, acks);
    check(sample_verify(s, first, &err) == 0, "verify at last", first[0] ? first : err.msg);
    store_close(s);
}

struct plan {
    const char *name, *mode, *error, *ops;
};
static const struct plan plans[] = {
    {"kill", "kill", "EIO", "write,sync,rename,truncate,create"},
    {"full", "always", "ENOSPC", "write,sync,rename,truncate,create"},
    {"full-once", "once", "ENOSPC", "write,sync,rename,truncate,create"},
    {"eio-once", "once", "EIO", "write,sync,rename,truncate,create"},
    {"eio", "always", "EIO", "write,sync,rename,truncate,create"},
    {"memory", "once", "ENOMEM", "alloc"},
};

static void run_plan(const struct scenario *sc, const struct plan *p, const char *model,
                     const char *live)
{
    char *report = path_join(top, "report"), *work = path_join(top, "work"), at[16], line[128];
    setenv("FAILIO_MODE", p->mode, 1);
    setenv("FAILIO_ERRNO", p->error, 1);
    setenv("FAILIO_OPS", p->ops, 1);
    setenv("FAILIO_REPORT", report, 1);
    setenv("FAILIO_PATH", work, 1);
    setenv("FAILIO_ALLOC_MIN", "30000", 1);
    int n = 1;
    for (bool reached = true; reached; n++) {
        struct err err = {0};
        unlink(report);
        if (file_exists(work))
            check(dir_remove_tree(work, &err) == 0, "clean", err.msg);
        check(dir_make(work, &err) == 0, "make", err.msg);
        if (sc->prepared)
            copy_file(sc->live ? live : model, work, "index.db", sc->damaged);
        if (sc->live)
            copy_file(live, work, "index.db-wal", false);
        snprintf(at, sizeof at, "%d", n);
        setenv("FAILIO_AT", at, 1);
        snprintf(line, sizeof line, "%s, %s at call %d", sc->name, p->name, n);
        where_now = line;
        int status;
        const unsigned acks = run(sc, work, &status);
        reached = file_exists(report);
        const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        const bool asked = reached && ((strcmp(p->mode, "kill") == 0 && code == -9) ||
                                       (strcmp(p->mode, "always") == 0 && code == GAVE_UP));
        const bool fine = code == 0 && (!sc->must_not_notice || acks & 1u << DIGEST);
        if (sc->must_not_notice && strcmp(p->mode, "kill") != 0)
            check(fine, "a reader", "was disturbed by a disk that takes no writing");
        snprintf(at, sizeof at, "%d", code);
        check(fine || asked, "the run ended with status", at);
        check_after(sc, work, acks);
    }
    printf("%-9s %-10s sound after each of %d runs\n", sc->name, p->name, n - 1);
    free(report);
    free(work);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 4 && strcmp(argv[1], "--child") == 0 && i < ARRAY_LEN(scenarios);
         i++)
        if (strcmp(argv[2], scenarios[i].name) == 0)
            return child(&scenarios[i], argv[3]);
    struct err err = {0};
    if (argc < 2 || !(library = path_absolute(argv[1], &err))) {
        fprintf(stderr, "usage: fault_store FAILIO.SO [SCENARIO [PLAN]]\n");
        return 2;
    }
    /* The faults are made up, so memory is as good as a disk, and does not wait for syncs. */
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    self_path = path_absolute("/proc/self/exe", &err);
    top = tempdir_new();
    char *model = path_join(top, "model"), *live = path_join(top, "live");
    prepare(model, live);
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++)
        for (size_t k = 0; k < ARRAY_LEN(plans); k++)
            if ((argc < 3 || strcmp(argv[2], scenarios[i].name) == 0) &&
                (argc < 4 || strcmp(argv[3], plans[k].name) == 0))
                run_plan(&scenarios[i], &plans[k], model, live);
    tempdir_free(top);
    free(model);
    free(live);
    free(self_path);
    free(library);
    return 0;
}
