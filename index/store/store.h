/* store.h - the truth: documents, their texts, passages and vectors, in one SQLite file.
 *
 * <index folder>/index.db, WAL, one writer. A document is written in one transaction (row, text,
 * chunks, vectors); a reader sees it whole or not at all. Every row that matters carries a checksum
 * that store_verify() recomputes. Everything else in the index folder is a cache (see
 * index/snapshot.h) and can be rebuilt from here. Below this seam another engine may stand one day,
 * so it speaks of documents, never of SQL. A store handle belongs to one thread at a time.
 */
#ifndef SEMSEARCH_INDEX_STORE_H
#define SEMSEARCH_INDEX_STORE_H

#include "index/doc.h"
#include "src/base/err.h"
#include "src/base/hash.h"
#include "src/base/precision.h"

#include <stdint.h>

/* Of the file; a newer one is refused with a message (ERR_INCOMPATIBLE). Format 1 is read as it is:
 * it had no marks of precision, and a writer only changes the number. */
#define STORE_FORMAT 2

struct store;

enum store_mode {
    STORE_READ,  /* never writes, works on a read-only or full disk, never waits for a writer */
    STORE_WRITE, /* takes the writer lock: waits up to 10 s (sink->note says so), then ERR_LOCKED */
    STORE_CREATE /* as STORE_WRITE, makes the folder and the file where they do not exist */
};

struct progress_sink;
/* dir: the index folder. Missing: ERR_NO_INDEX. The lock dies with the process (flock), so a killed
 * writer locks nobody out. */
int store_open(const char *dir, enum store_mode mode, const struct progress_sink *sink,
               struct store **out, struct err *err) WARN_UNUSED;
void store_close(struct store *s);
const char *store_dir(const struct store *s);

/* ---- facts about the whole index
 * ------------------------------------------------------------------------------- */

/* Small named values: "root", "fingerprint", "model_name", "model_path", "dim", "calibration", ...
 * A missing one gives *value = NULL; the caller frees. */
int store_meta_get(struct store *s, const char *key, char **value, struct err *err) WARN_UNUSED;
int store_meta_set(struct store *s, const char *key, const char *value,
                   struct err *err) WARN_UNUSED;

/* Raised by every transaction that adds or removes passages; caches carry the generation that they
 * were built from. */
int store_generation(struct store *s, int64_t *generation, struct err *err) WARN_UNUSED;

struct store_counts {
    int64_t documents, chunks, failed, skipped, vectors; /* documents: indexed ones */
    int64_t by_precision[PRECISIONS];                    /* of vectors: what computed them */
};
int store_counts(struct store *s, struct store_counts *out, struct err *err) WARN_UNUSED;

/* ---- documents
 * ---------------------------------------------------------------------------------------------------
 */

enum doc_state { DOC_INDEXED = 0, DOC_SKIPPED = 1, DOC_FAILED = 2 };
const char *doc_state_name(enum doc_state s);

/* What the file system said: any difference means "look at the content". */
struct file_stamp {
    int64_t size, mtime_ns, ctime_ns, inode;
};

struct store_doc {
    int64_t id; /* given by the store; never used twice */
    char *path; /* bytes, relative to the root, '/' between, no NUL */
    enum doc_state state;
    char *reason, *hint; /* skipped, failed; else NULL */
    enum doc_kind kind;
    char *title;     /* NULL: none */
    char *extractor; /* NULL when not indexed */
    int extract_version;
    bool verbatim;
    int64_t src_offset;
    struct file_stamp stamp;
    struct hash128 content; /* of the file's bytes; zero when never read */
    int64_t text_bytes, n_chunks;
};
void store_doc_release(struct store_doc *d); /* frees the strings */

/* Found: 1, 0: no such document, -1: error. The strings in *out are owned by the caller. */
int store_doc_by_path(struct store *s, const char *path, struct store_doc *out,
                      struct err *err) WARN_UNUSED;
int store_doc_by_id(struct store *s, int64_t id, struct store_doc *out,
                    struct err *err) WARN_UNUSED;
/* An indexed document of the same content (moved, renamed, copied files), with the same
 * extract_version: 1, 0 or -1. */
int store_doc_by_content(struct store *s, struct hash128 content, int extract_version,
                         struct store_doc *out, struct err *err) WARN_UNUSED;

/* Calls fn for every document in order of path; its strings are borrowed. fn returns 0 to go on,
 * else its value ends the walk and is returned. */
int store_each_doc(struct store *s,
                   int (*fn)(void *ctx, const struct store_doc *d, struct err *err), void *ctx,
                   struct err *err) WARN_UNUSED;

/* A passage. `embed_hash` identifies what was embedded (the text given to the encoder), and so its
 * vector. */
struct store_chunk {
    int64_t id,
        doc_id; /* given by the store; ids rise, the chunks of one document follow one another */
    int ord;    /* 0, 1, ... within the document */
    int64_t start, end;             /* bytes of the document's text */
    int page, line_start, line_end; /* 0: none */
    char *heading;                  /* owned; NULL: none */
    int n_tokens;
    struct hash128 embed_hash;
};
void store_chunk_release(struct store_chunk *c);

/* Puts a document in the place of whatever has that path, in one transaction: row, text, chunks,
 * and those of the vectors that are not NULL (f16, `dim` each; a NULL one must be in the store
 * already). For a skipped or failed document text is empty and n_chunks 0. Ids are assigned (to *d
 * and chunks too), always new ones. Refused: a path that is empty, absolute or has '.' or '..' in
 * it, a chunk outside the text, vectors of another dimension than those that are there. */
int store_put(struct store *s, struct store_doc *d, struct span text, struct store_chunk *chunks,
              size_t n_chunks, const uint16_t *const *vectors, int dim,
              struct err *err) WARN_UNUSED;

/* What computed the vectors that store_put is given from now on; fp32 unless said. A vector that
 * the store has already stays as it is. */
void store_vectors_are(struct store *s, enum precision p);

/* Only the stamp (and path, NULL: as it is) of an unchanged document: touched, or moved. Another
 * document of that path goes. */
int store_touch(struct store *s, int64_t id, const char *path, const struct file_stamp *stamp,
                struct err *err) WARN_UNUSED;
int store_delete(struct store *s, int64_t id, struct err *err) WARN_UNUSED;

/* Several of the calls above as one transaction (not nested). A call that fails in between is
 * undone alone; the group may go on. What is committed survives a kill at any moment; a power cut
 * may take the last second's commits (never the file), which the next index run then finds missing.
 */
int store_begin(struct store *s, struct err *err) WARN_UNUSED;
int store_commit(struct store *s, struct err *err) WARN_UNUSED;
void store_rollback(struct store *s);

/* All that is read in between is of one moment, and costs less: the file is locked and looked at
 * once. Inside a transaction or another view this does nothing (*began is false). Not for long: the
 * log of a writer can only grow meanwhile. */
int store_view_begin(struct store *s, bool *began, struct err *err) WARN_UNUSED;
void store_view_end(struct store *s, bool began);

/* ---- texts, chunks, vectors
 * ------------------------------------------------------------------------------------- */

/* The document's text, decompressed and checked; appended to *out. ERR_CORRUPT names the document.
 */
int store_text(struct store *s, int64_t doc_id, struct str *out, struct err *err) WARN_UNUSED;
int store_chunk(struct store *s, int64_t id, struct store_chunk *out,
                struct err *err) WARN_UNUSED; /* 1, 0, -1 */
int store_chunks_of(struct store *s, int64_t doc_id, struct store_chunk **out, size_t *n,
                    struct err *err) WARN_UNUSED;

/* The embedding cache. 1: found and copied to out [dim] f16; 0: not there; -1: error. */
int store_vector(struct store *s, struct hash128 embed_hash, uint16_t *out, int dim,
                 struct err *err) WARN_UNUSED;
/* Removes the vectors that no chunk uses any more; returns how many in *n. */
int store_vectors_prune(struct store *s, int64_t *n, struct err *err) WARN_UNUSED;
/* Removes everything derived from the model (chunks, vectors), for --reembed. The documents stay
 * listed with their texts, but with no stamp (size -1), no content hash and extract_version -1, so
 * that each counts as changed until it was put again, also after a kill in between. */
int store_forget_vectors(struct store *s, struct err *err) WARN_UNUSED;

/* Every chunk with id > after, in order of id: its ids, its text (a borrowed span of the document's
 * text), the document's title and path, and its vector. For building caches. want_text = false
 * leaves text empty and is much faster. fn may fetch single things through the same handle, but not
 * change them nor start another stream. A handle that writes first makes what is committed outlast
 * a power cut, so that no cache built from this can be ahead of the store. */
struct store_row {
    int64_t chunk_id, doc_id;
    struct span text, heading, title, path;
    const uint16_t *vector; /* [dim] f16 */
    size_t dim;             /* as stored: to be compared before `vector` is read */
};
int store_each_row(struct store *s, int64_t after, bool want_text,
                   int (*fn)(void *ctx, const struct store_row *row, struct err *err), void *ctx,
                   struct err *err) WARN_UNUSED;

/* Ids <= upto of chunks that were removed since the caches were last declared fresh (so that a
 * cache built before can leave them out); *ids owned by the caller, rising. store_removed_clear
 * forgets them, after new caches are in place. */
int store_removed(struct store *s, int64_t upto, int64_t **ids, size_t *n,
                  struct err *err) WARN_UNUSED;
int store_removed_clear(struct store *s, int64_t upto, struct err *err) WARN_UNUSED;

/* ---- integrity
 * --------------------------------------------------------------------------------------------------
 */

struct store_problem {
    const char *part; /* "database", "document", "text", "chunk", "vector" */
    char where[512];  /* path or id */
    char what[256];
    bool repairable;
};
/* Checks everything (SQLite's own check, every checksum, every reference); calls fn for each
 * problem. Safe beside a writer. ERR_STOPPED when asked to stop. */
int store_verify(struct store *s, void (*fn)(void *ctx, const struct store_problem *p), void *ctx,
                 struct err *err) WARN_UNUSED;
/* Drops what cannot be trusted (documents whose rows are broken are forgotten, so that the next
 * index run makes them anew) and what dangles; *n_fixed counts. */
int store_repair(struct store *s, int64_t *n_fixed, struct err *err) WARN_UNUSED;
/* The same for an index that store_open refuses as ERR_CORRUPT: every document that is intact moves
 * to a new file, which takes the old one's place. Takes the writer lock. A database of another
 * program is left alone (ERR_INCOMPATIBLE); of a file with nothing of an index in it an empty index
 * remains. */
int store_salvage(const char *dir, const struct progress_sink *sink, int64_t *n_fixed,
                  struct err *err) WARN_UNUSED;

#endif
