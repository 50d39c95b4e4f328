/* text.c - the texts of documents: zstd, level 3, one frame a document.
 *
 * Texts of a few KB gain from a dictionary: 15 to 38 % less on three sets of documentation. It is
 * trained, once, on the texts of this very index when TRAIN_AT documents are there (some 0.2 s);
 * those written before stay as they are. Each row names the dictionary that it needs (0: none).
 */
#include "index/store/internal.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <zdict.h>

enum {
    LEVEL = 3,
    MAX_TEXT = 1 << 30,
    TRAIN_AT = 200,         /* documents */
    DICT_BYTES = 65536,     /* larger ones gain 2 % more (measured up to 256 KiB) */
    SAMPLE_BYTES = 8192,    /* of each text */
    SAMPLES_BYTES = 1 << 22 /* of all */
};

void text_release(struct store *s)
{
    ZSTD_freeCCtx(s->cctx);
    ZSTD_freeDCtx(s->dctx);
    ZSTD_freeDDict(s->ddict);
    ZSTD_freeCDict(s->cdict);
    s->cctx = NULL;
    s->dctx = NULL;
    s->ddict = NULL;
    s->cdict = NULL;
    s->dict_id = 0;
    s->dict_sought = false;
}

void dict_forget(struct store *s)
{
    s->dict_id = 0;
    s->dict_sought = false;
}

/* ---- dictionaries ---- */

static int dict_load(struct store *s, int64_t id, struct err *err)
{
    if (s->dict_id == id)
        return 0;
    sqlite3_stmt *q = db_query(s, Q_DICT_GET, err);
    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, id);
    int rc = db_step(s, q, err);
    const struct span data = rc == 1 ? column_span(q, 0) : (struct span){0};
    if (rc == 0 || (rc == 1 && sqlite3_column_int64(q, 1) != sum_dict(s, id, data)))
        rc = db_corrupt(s, err, "dictionary %lld of the texts", (long long)id);
    if (rc == 1) {
        ZSTD_freeDDict(s->ddict);
        ZSTD_freeCDict(s->cdict);
        s->ddict = ZSTD_createDDict(data.p, data.n);
        s->cdict = s->mode == STORE_READ ? NULL : ZSTD_createCDict(data.p, data.n, LEVEL);
        s->dict_id = s->ddict ? id : 0;
        if (!s->ddict)
            rc = err_kind_set(err, ERR_MEMORY, "not enough memory for a dictionary");
    }
    db_done(q);
    return rc < 0 ? -1 : 0;
}

/* The beginnings of the texts that are there, end to end, with their sizes. */
struct samples {
    struct str bytes;
    size_t *size;
    size_t n, cap;
};

static int gather_samples(struct store *s, struct samples *all, struct err *err)
{
    struct str text = {0};
    int64_t after = 0;
    int rc = 0;
    while (all->bytes.n < SAMPLES_BYTES) {
        sqlite3_stmt *q = db_query(s, Q_TEXT_AFTER, err);
        if (!q)
            return -1;
        sqlite3_bind_int64(q, 1, after);
        rc = db_step(s, q, err);
        after = rc == 1 ? sqlite3_column_int64(q, 0) : after;
        db_done(q);
        str_clear(&text);
        if (rc != 1)
            break;
        if (text_read(s, after, &text, NULL) != 1)
            continue; /* a damaged one teaches nothing, and is for verify to tell */
        VEC_GROW(all->size, all->n, all->cap);
        all->size[all->n] = text.n < SAMPLE_BYTES ? text.n : SAMPLE_BYTES;
        str_add(&all->bytes, text.p, all->size[all->n++]);
    }
    str_release(&text);
    return rc < 0 ? -1 : 0;
}

static int dict_store(struct store *s, const void *p, size_t n, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_DICT_PUT, err);
    if (!q)
        return -1;
    const struct span data = {p, n};
    sqlite3_bind_int64(q, 1, 1);
    bind_blob(q, 2, p, n);
    sqlite3_bind_int64(q, 3, sum_dict(s, 1, data));
    return db_finish(s, q, err) || dict_load(s, 1, err) ? -1 : 0;
}

/* Texts that no dictionary can be made of (too alike, too short) go without. */
static int dict_train(struct store *s, struct err *err)
{
    struct samples all = {0};
    void *dict = NULL;
    int rc = gather_samples(s, &all, err);
    if (rc == 0)
        rc = mem_try(&dict, DICT_BYTES, "a dictionary", err);
    if (rc == 0 && all.n) {
        const size_t n =
            ZDICT_trainFromBuffer(dict, DICT_BYTES, all.bytes.p, all.size, (unsigned)all.n);
        if (!ZDICT_isError(n))
            rc = dict_store(s, dict, n, err);
    }
    free(dict);
    free(all.size);
    str_release(&all.bytes);
    return rc;
}

/* Once a handle: the dictionary that is there, or a new one when it is time for that. */
static int dict_seek(struct store *s, struct err *err)
{
    if (s->dict_id || s->dict_sought)
        return 0;
    sqlite3_stmt *q = db_query(s, Q_DICT_LAST, err);
    if (!q)
        return -1;
    const int rc = db_step(s, q, err);
    const int64_t last = rc == 1 ? sqlite3_column_int64(q, 0) : 0;
    db_done(q);
    if (rc < 0)
        return -1;
    if (last)
        return dict_load(s, last, err);
    if (s->now.documents < TRAIN_AT)
        return 0;
    s->dict_sought = true;
    return dict_train(s, err);
}

/* ---- writing ---- */

static int compress(struct store *s, struct span text, struct err *err)
{
    const size_t bound = ZSTD_compressBound(text.n);
    if (!s->cctx)
        s->cctx = ZSTD_createCCtx();
    void *to = NULL;
    if (!s->cctx || mem_try(&to, bound, "a compressed text", err))
        return err_kind_set(err, ERR_MEMORY, "not enough memory to compress %zu bytes", text.n);
    const size_t n = s->dict_id
                         ? ZSTD_compress_usingCDict(s->cctx, to, bound, text.p, text.n, s->cdict)
                         : ZSTD_compressCCtx(s->cctx, to, bound, text.p, text.n, LEVEL);
    if (ZSTD_isError(n))
        err_set(err, "cannot compress a text: %s", ZSTD_getErrorName(n));
    str_clear(&s->text);
    if (!ZSTD_isError(n))
        str_add(&s->text, to, n);
    free(to);
    return ZSTD_isError(n) ? -1 : 0;
}

int text_write(struct store *s, int64_t doc_id, struct span text, struct err *err)
{
    if (text.n > MAX_TEXT)
        return err_kind_set(err, ERR_LIMIT, "a text of %zu bytes is too long to store", text.n);
    if (dict_seek(s, err) || compress(s, text, err))
        return -1;
    sqlite3_stmt *q = db_query(s, Q_TEXT_PUT, err);
    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, doc_id);
    sqlite3_bind_int64(q, 2, (int64_t)text.n);
    sqlite3_bind_int64(q, 3, s->dict_id);
    bind_blob(q, 4, s->text.p, s->text.n);
    sqlite3_bind_int64(q, 5, sum_text(s, doc_id, (int64_t)text.n, s->dict_id, str_view(&s->text)));
    return db_finish(s, q, err);
}

/* ---- reading ---- */

static int decompress(struct store *s, struct span data, int64_t raw, int64_t dict, struct str *out,
                      struct err *err)
{
    if (raw < 0 || raw > MAX_TEXT || (dict && dict_load(s, dict, err)))
        return -1;
    if (!s->dctx)
        s->dctx = ZSTD_createDCtx();
    void *to = NULL;
    if (!s->dctx || mem_try(&to, (size_t)raw + 1, "a text", err))
        return err_kind_set(err, ERR_MEMORY, "not enough memory for a text of %lld bytes",
                            (long long)raw);
    const size_t room = (size_t)raw;
    const size_t n = dict ? ZSTD_decompress_usingDDict(s->dctx, to, room, data.p, data.n, s->ddict)
                          : ZSTD_decompressDCtx(s->dctx, to, room, data.p, data.n);
    const bool good = n == room;
    if (good && !out->p && !out->max) { /* nothing to append to: it becomes the text */
        *out = (struct str){.p = to, .n = n, .cap = room + 1};
        out->p[n] = '\0';
        return 0;
    }
    if (good)
        str_add(out, to, n);
    free(to);
    return good && !out->failed ? 0 : -1;
}

int text_read(struct store *s, int64_t doc_id, struct str *out, struct err *err)
{
    sqlite3_stmt *q = db_query(s, Q_TEXT_GET, err);
    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, doc_id);
    int rc = db_step(s, q, err);
    if (rc == 1) {
        const int64_t raw = sqlite3_column_int64(q, 0), dict = sqlite3_column_int64(q, 1);
        const struct span data = column_span(q, 2);
        struct err why = {0};
        if (sqlite3_column_int64(q, 3) != sum_text(s, doc_id, raw, dict, data))
            rc = db_corrupt(s, err, "the text of document %lld", (long long)doc_id);
        else if (decompress(s, data, raw, dict, out, &why)) {
            rc = why.msg[0] ? -1
                            : db_corrupt(s, &why, "the text of document %lld", (long long)doc_id);
            if (err)
                *err = why;
        }
    }
    db_done(q);
    return rc;
}
