/* Damaged index files: any flipped byte is found, nothing crashes, repair keeps what is intact. */
#include "index/store/store.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "tests/unit/index/store_sample.h"
#include "tests/unit/index/tempdir.h"
#include "tests/unit/test.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    N_DOCS = 230,
    LATE = 60 /* more than were put after the dictionary was trained */,
    PAGE = 8192
};

/* A sound index of N_DOCS samples (version 1; some were replaced and deleted on the way). */
static struct {
    char *dir, *path; /* where the damaged copies are made */
    struct str sound; /* the bytes of its index.db */
    struct hash128 digest;
} ground;

static void must(int rc, const struct err *err, const char *what)
{
    if (rc)
        fail_msg("%s: %s", what, err->msg);
}

static int build(void **state)
{
    (void)state;
    struct err err = {0};
    struct store *s;
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1); /* hundreds of files, each synced: memory does as well */
    ground.dir = tempdir_new();
    ground.path = path_join(ground.dir, "index.db");
    must(store_open(ground.dir, STORE_CREATE, NULL, &s, &err), &err, "open");
    must(store_meta_set(s, "fingerprint", "0123456789abcdef", &err), &err, "meta");
    must(store_meta_set(s, "root", "/home/me/notes", &err), &err, "meta");
    for (int i = 0; i < N_DOCS + 20; i++) {
        store_vectors_are(s, (enum precision)(i % PRECISIONS));
        if (i % 9 == 0)
            must(sample_put(s, i, 2, &err), &err, "put");
        must(sample_put(s, i, 1, &err), &err, "put");
    }
    for (int i = N_DOCS; i < N_DOCS + 20; i++) {
        struct store_doc d;
        char *path = sample_path(i);
        assert_int_equal(store_doc_by_path(s, path, &d, NULL), 1);
        must(store_delete(s, d.id, &err), &err, "delete");
        store_doc_release(&d);
        free(path);
    }
    must(sample_digest(s, &ground.digest, &err), &err, "digest");
    store_close(s);
    must(file_read(ground.path, 1 << 30, &ground.sound, &err), &err, "read");
    return 0;
}

static int clear(void **state)
{
    (void)state;
    tempdir_free(ground.dir);
    free(ground.path);
    str_release(&ground.sound);
    return 0;
}

/* The damaged bytes as the index file, with nothing beside it. */
static void place(const void *p, size_t n)
{
    static const char *const beside[] = {"index.db", "index.db-wal", "index.db-shm"};
    for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
        char *path = path_join(ground.dir, beside[i]);
        unlink(path);
        free(path);
    }
    tempdir_write_bytes(ground.dir, "index.db", p, n);
}

static bool refusal(const struct err *e)
{
    return (e->kind == ERR_CORRUPT || e->kind == ERR_INCOMPATIBLE) && strstr(e->msg, ground.path);
}

/* True when the damage is told, or when there is none: all contents are as they were. */
static bool told_or_harmless(char why[1024])
{
    struct err err = {0};
    struct store *s;
    if (store_open(ground.dir, STORE_READ, NULL, &s, &err)) {
        snprintf(why, 1024, "%s", err.msg);
        return refusal(&err);
    }
    const int n = sample_verify(s, why, &err);
    struct hash128 now;
    struct err read_err = {0};
    const int read = sample_digest(s, &now, &read_err); /* must not crash in either case */
    store_close(s);
    if (n < 0)
        snprintf(why, 1024, "verify failed: %.900s", err.msg);
    return n > 0 || (n == 0 && read == 0 && hash_equal(now, ground.digest));
}

static void finds_any_flipped_byte(void **state)
{
    (void)state;
    char *copy = xmalloc(ground.sound.n);
    char why[1024];
    memcpy(copy, ground.sound.p, ground.sound.n);
    int n = 0;
    unsigned seed = 7;
    for (size_t page = 0; page < ground.sound.n; page += PAGE) {
        for (int k = 0; k < 14; k++) {
            seed = seed * 1664525u + 1013904223u;
            const size_t in_page = k < 5 ? (size_t)k : (seed >> 8) % PAGE;
            const char flip = (char)(k % 3 ? 1 << (seed >> 28) % 8 : 0xff);
            copy[page + in_page] ^= flip;
            place(copy, ground.sound.n);
            if (!told_or_harmless(why))
                fail_msg("byte %zu of page %zu: %s", in_page, page / PAGE + 1, why);
            copy[page + in_page] ^= flip;
            n++;
        }
    }
    free(copy);
    assert_true(n > 500);
}

/* Repairs whatever is there; the index must be sound then, and every document in it right. Returns
 * how many of the N_DOCS are missing. */
static int repair_and_count_lost(const char *what)
{
    struct err err = {0};
    struct store *s;
    int64_t n_fixed;
    char first[1024];
    if (store_open(ground.dir, STORE_WRITE, NULL, &s, &err)) {
        must(store_salvage(ground.dir, NULL, &n_fixed, &err), &err, what);
        must(store_open(ground.dir, STORE_WRITE, NULL, &s, &err), &err, what);
    } else {
        must(store_repair(s, &n_fixed, &err), &err, what);
    }
    if (sample_verify(s, first, &err) != 0)
        fail_msg("%s: after the repair: %s%s", what, first, err.msg);
    int lost = 0;
    for (int i = 0; i < N_DOCS; i++) {
        int found;
        const char *bad = sample_compare(s, i, 1, &found);
        char *fingerprint;
        must(store_meta_get(s, "fingerprint", &fingerprint, &err), &err, what);
        if (!fingerprint)
            bad = NULL, found = 0; /* then no vector may stay, see repair.c */
        free(fingerprint);
        if (bad)
            fail_msg("%s: document %d: %s", what, i, bad);
        lost += !found;
    }
    must(sample_put(s, 3, 1, &err), &err, what); /* and it takes new documents */
    must(sample_put(s, N_DOCS + 50, 1, &err), &err, what);
    if (sample_verify(s, first, &err) != 0)
        fail_msg("%s: after a put: %s%s", what, first, err.msg);
    store_close(s);
    return lost;
}

/* At most so many documents can have a row on this page. */
static int rows_at_stake(const unsigned char *page, bool first)
{
    const unsigned char *h = page + (first ? 100 : 0);
    if (h[0] == 0x0d)
        return first ? 0 : h[3] << 8 | h[4];
    return h[0] == 0x05 || h[0] == 0x02 || h[0] == 0x0a
               ? 0
               : LATE; /* else of the dictionary, or of one long text */
}

static void survives_a_page_of_garbage(void **state)
{
    (void)state;
    char *copy = xmalloc(ground.sound.n), what[64];
    int total = 0, pages = 0;
    for (size_t page = 0; page < ground.sound.n; page += PAGE, pages++) {
        memcpy(copy, ground.sound.p, ground.sound.n);
        for (size_t i = 0; i < PAGE; i++)
            copy[page + i] = pages % 2 ? 0 : (char)(i * 37 + page / 7);
        place(copy, ground.sound.n);
        snprintf(what, sizeof what, "page %d", pages + 1);
        const int lost = repair_and_count_lost(what);
        const bool dictionary = pages + 1 == 9; /* its one row serves many texts */
        const int most =
            dictionary ? LATE : rows_at_stake((unsigned char *)ground.sound.p + page, page == 0);
        const bool settings = pages + 1 == 3; /* the fingerprint is on it: all is made anew */
        if (lost > most && !settings)
            fail_msg("%s: %d documents lost, %d had a row there", what, lost, most);
        total += lost;
    }
    assert_true(pages > 20);
    assert_true(total > 0); /* else this test hits nothing */
    free(copy);
}

static void survives_being_cut_short(void **state)
{
    (void)state;
    char what[64], why[1024];
    for (int part = 1; part < 16; part++) {
        const size_t n = ground.sound.n * (size_t)part / 16 + (part % 3 ? 0 : 1234);
        snprintf(what, sizeof what, "cut to %zu of %zu bytes", n, ground.sound.n);
        place(ground.sound.p, n);
        if (!told_or_harmless(why))
            fail_msg("%s: not told", what);
        const int lost = repair_and_count_lost(what);
        if (part >= 12)
            assert_true(lost < N_DOCS * 3 / 4);
    }
}

static void explains_what_is_no_index(void **state)
{
    (void)state;
    struct store *s;
    char *junk = xcalloc(1, 5 * PAGE);
    static const size_t length[] = {0, 1, 99, 4096, 5 * PAGE};
    for (int mode = STORE_READ; mode <= STORE_CREATE; mode++)
        for (size_t i = 0; i < ARRAY_LEN(length); i++) {
            struct err err = {0};
            memset(junk, 'x', 5 * PAGE);
            place(junk, length[i]);
            assert_int_equal(store_open(ground.dir, (enum store_mode)mode, NULL, &s, &err), -1);
            assert_int_equal(err.kind, ERR_CORRUPT);
            assert_non_null(strstr(err.msg, ground.path));
            assert_non_null(strstr(err.hint, "--repair"));
        }
    free(junk);
    assert_int_equal(repair_and_count_lost("junk"), N_DOCS);
}

/* A damaged vector is not kept when the same passage is put with its vector once more. */
static void a_vector_put_again_mends_a_damaged_one(void **state)
{
    (void)state;
    struct err err = {0};
    struct store *s;
    struct store_doc d;
    struct store_chunk *chunk;
    size_t n;
    uint16_t v[SAMPLE_DIM];
    char *path = sample_path(7), *copy = xmalloc(ground.sound.n), first[1024];
    place(ground.sound.p, ground.sound.n);
    must(store_open(ground.dir, STORE_READ, NULL, &s, &err), &err, "open");
    assert_int_equal(store_doc_by_path(s, path, &d, &err), 1);
    must(store_chunks_of(s, d.id, &chunk, &n, &err), &err, "chunks");
    assert_true(n > 0);
    const struct hash128 hash = chunk[0].embed_hash;
    assert_int_equal(store_vector(s, hash, v, SAMPLE_DIM, &err), 1);
    store_close(s);
    memcpy(copy, ground.sound.p, ground.sound.n);
    char *at = memmem(copy, ground.sound.n, v, sizeof v);
    assert_non_null(at);
    at[5] ^= 1;
    place(copy, ground.sound.n);
    must(store_open(ground.dir, STORE_WRITE, NULL, &s, &err), &err, "open");
    assert_int_equal(store_vector(s, hash, v, SAMPLE_DIM, &err), -1);
    assert_int_equal(err.kind, ERR_CORRUPT);
    must(sample_put(s, 7, 1, &err), &err, "put");
    assert_int_equal(store_vector(s, hash, v, SAMPLE_DIM, &err), 1);
    if (sample_verify(s, first, &err) != 0)
        fail_msg("%s", first);
    store_close(s);
    for (size_t i = 0; i < n; i++)
        store_chunk_release(&chunk[i]);
    free(chunk);
    store_doc_release(&d);
    free(path);
    free(copy);
}

/* user_version and application_id are big-endian at bytes 60 and 68 of the file. */
static void refuses_other_formats(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        char last_byte;
        const char *word;
    } other[] = {{60, 3, "newer"}, {60, 0, "again"}, {68, 9, "another"}};
    char *copy = xmalloc(ground.sound.n);
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        struct err err = {0};
        struct store *s;
        memcpy(copy, ground.sound.p, ground.sound.n);
        copy[other[i].at + 3] = other[i].last_byte;
        place(copy, ground.sound.n);
        assert_int_equal(store_open(ground.dir, STORE_CREATE, NULL, &s, &err), -1);
        assert_int_equal(err.kind, ERR_INCOMPATIBLE);
        assert_true(strstr(err.hint, other[i].word) || strstr(err.msg, other[i].word));
    }
    int64_t n;
    struct err err = {0};
    assert_int_equal(store_salvage(ground.dir, NULL, &n, &err), -1); /* not ours to rewrite */
    assert_int_equal(err.kind, ERR_INCOMPATIBLE);
    free(copy);
}

/* An index of before vectors had marks: read as it is, and a writer only changes its number. */
static void takes_the_former_format(void **state)
{
    (void)state;
    struct err err = {0};
    struct store *s;
    char *copy = xmalloc(ground.sound.n), first[1024];
    memcpy(copy, ground.sound.p, ground.sound.n);
    copy[63] = 1;
    place(copy, ground.sound.n);
    must(store_open(ground.dir, STORE_READ, NULL, &s, &err), &err, "open");
    if (sample_verify(s, first, &err) != 0)
        fail_msg("%s", first);
    store_close(s);
    must(store_open(ground.dir, STORE_WRITE, NULL, &s, &err), &err, "open");
    store_vectors_are(s, PRECISION_INT8);
    must(sample_put(s, 4, 3, &err), &err, "put");
    if (sample_verify(s, first, &err) != 0)
        fail_msg("%s", first);
    store_close(s);
    struct str now = {0};
    must(file_read(ground.path, 1 << 30, &now, &err), &err, "read");
    assert_int_equal(now.p[63], STORE_FORMAT);
    str_release(&now);
    free(copy);
}

/* index.db was deleted by hand, its WAL stayed: it must not be replayed over the new file. */
static void starts_anew_beside_an_old_wal(void **state)
{
    (void)state;
    struct err err = {0};
    struct store *s;
    place(ground.sound.p, ground.sound.n);
    must(store_open(ground.dir, STORE_WRITE, NULL, &s, &err), &err, "open");
    must(sample_put(s, 7, 2, &err), &err, "put");
    char *wal = path_join(ground.dir, "index.db-wal");
    struct str bytes = {0};
    must(file_read(wal, 1 << 30, &bytes, &err), &err, "read");
    assert_true(bytes.n > PAGE);
    store_close(s);
    unlink(ground.path);
    tempdir_write_bytes(ground.dir, "index.db-wal", bytes.p, bytes.n);
    must(store_open(ground.dir, STORE_CREATE, NULL, &s, &err), &err, "create");
    struct store_counts c;
    must(store_counts(s, &c, &err), &err, "counts");
    assert_int_equal(c.documents, 0);
    char first[1024];
    assert_int_equal(sample_verify(s, first, &err), 0);
    store_close(s);
    str_release(&bytes);
    free(wal);
}

static void count_any(void *ctx, const struct store_problem *p)
{
    (void)p;
    ++*(int *)ctx;
}

static void stop_at_problem(void *ctx, const struct store_problem *p)
{
    (void)p;
    if (++*(int *)ctx == 1)
        raise(SIGINT);
}

/* The last test: a stop request stays. It comes in the middle of SQLite's own check, which has more
 * to tell. */
static void stops_when_asked_to(void **state)
{
    (void)state;
    struct err err = {0};
    struct store *s;
    char *copy = xmalloc(ground.sound.n);
    int n = 0;
    memcpy(copy, ground.sound.p, ground.sound.n);
    for (size_t page = 10; page < 20; page++)
        memset(copy + page * PAGE + PAGE / 2, 'x', PAGE / 2);
    place(copy, ground.sound.n);
    must(store_open(ground.dir, STORE_READ, NULL, &s, &err), &err, "open");
    assert_int_equal(store_verify(s, count_any, &n, &err), 0);
    assert_true(n > 3);
    stop_install();
    n = 0;
    assert_int_equal(store_verify(s, stop_at_problem, &n, &err), -1);
    assert_int_equal(err.kind, ERR_STOPPED);
    assert_int_equal(n, 1);
    store_close(s);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_any_flipped_byte),
        cmocka_unit_test(survives_a_page_of_garbage),
        cmocka_unit_test(survives_being_cut_short),
        cmocka_unit_test(explains_what_is_no_index),
        cmocka_unit_test(refuses_other_formats),
        cmocka_unit_test(takes_the_former_format),
        cmocka_unit_test(starts_anew_beside_an_old_wal),
        cmocka_unit_test(a_vector_put_again_mends_a_damaged_one),
        cmocka_unit_test(stops_when_asked_to),
    };
    return cmocka_run_group_tests(tests, build, clear);
}
