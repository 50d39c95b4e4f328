/* text.c - the texts of documents: zstd, level 3, one frame a document.
 *
 * Small texts gain from a dictionary (a note of 1 KB: a quarter less, and faster both ways). It is
 * trained on the texts of this very index once TRAIN_AT of them are there; texts written before
 * stay as they are, each row names the dictionary it needs (0: none).
 */
#include "index/store/internal.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { LEVEL = 3, MAX_TEXT = 1 << 30 };

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
}

/* ---- dictionaries ---- */

int dict_load(struct store *s, int64_t id, struct err *err)
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
    if (compress(s, text, err))
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
