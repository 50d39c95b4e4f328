/* update_parts.h - what the files of the indexing pipeline share; private to index/update*.c.
 *
 *   update_read.c   the reading thread: walk, compare, hash, extract, chunk -> items
 *   update_write.c  the writing side: batches in turn, embedded and stored
 *   update_batch.c  a batch: gathered, and what is new of it embedded
 *   update_put.c    a batch goes into the store
 *   update_known.c  what the index knew when the run began
 *   update_unfinished.c  vectors of a document that a run could not finish
 *   update.c        the run: threads, pruning, caches, report
 *
 * Items go through a queue whose content is bounded in bytes by a gate. The store belongs to the
 * writing thread alone; the reader sees only the table of known documents, taken before it starts.
 */
#ifndef SEMSEARCH_INDEX_UPDATE_PARTS_H
#define SEMSEARCH_INDEX_UPDATE_PARTS_H

#include "index/chunk.h"
#include "index/doc.h"
#include "index/extract/extract.h"
#include "index/store/store.h"
#include "index/update.h"
#include "src/base/hash.h"
#include "src/base/thread.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- what the index knew ---- */

struct known {
    struct hash128 path, content;
    struct file_stamp stamp;
    int64_t id;
    uint32_t name_key; /* of the extension, which decides how content is read */
    int version;       /* of extraction */
    enum doc_state state;
    bool retry;    /* failed for a reason that may be gone without the file changing */
    bool is_dir;   /* the record of a folder that could not be read */
    bool usable;   /* indexed with its passages: unchanged content need not be read again */
    bool seen;     /* met by this walk */
    bool replaced; /* this run puts something else in its place */
};
struct known_table {
    struct known *row; /* rising by path hash */
    size_t n, cap;
    struct known **by_content; /* the usable ones, rising by content hash */
    size_t n_content;
};
int known_load(struct known_table *t, struct store *s,
               struct err *err) WARN_UNUSED; /* s may be NULL */
void known_release(struct known_table *t);
struct known *known_find(struct known_table *t, const char *path);
/* A usable document with this content, read in the same way; NULL: none. */
struct known *known_copy(struct known_table *t, struct hash128 content, uint32_t name_key);
uint32_t known_name_key(const char *path);

bool stamp_equal(const struct file_stamp *a, const struct file_stamp *b);
struct file_stamp stamp_of(const struct stat *st);
bool hash_is_zero(struct hash128 h);

/* ---- items ---- */

enum { UNFINISHED_ROW = -2 };

enum item_kind {
    ITEM_DOC,   /* put `doc` with text and chunks (a skipped or failed one has none) */
    ITEM_COPY,  /* put `doc` with what document `source` has */
    ITEM_TOUCH, /* document `source` has the same content and a new stamp */
    ITEM_KEEP   /* document `source` failed before and was not tried again */
};
struct item {
    enum item_kind kind;
    struct store_doc doc;
    struct str text;
    struct chunk_list chunks;
    int64_t source;
    enum doc_state state; /* of TOUCH */
    size_t bytes;         /* what the gate has counted */
    /* the writing side's */
    struct hash128 *hash; /* [chunks.n]: embed_hash */
    int64_t *fresh;       /* [chunks.n]: row in the batch's vectors; -1: in the store; else
                             UNFINISHED_ROW minus the row among the unfinished ones */
    int64_t need;         /* vectors of the batch that must be there before it can be put */
};
void item_free(struct item *it);

/* Bounds the bytes between the threads. One item always passes, however large. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t room;
    size_t used, limit;
    bool closed;
};
void gate_init(struct gate *g, size_t limit);
void gate_release(struct gate *g);
bool gate_enter(struct gate *g, size_t bytes); /* waits; false: closed */
void gate_leave(struct gate *g, size_t bytes);
void gate_close(struct gate *g);

/* ---- vectors kept from an unfinished document ---- */

struct unfinished {
    struct str bytes; /* the file; the pointers go into it */
    const struct hash128 *hash;
    const char *vector; /* [n, dim] f16, unaligned */
    size_t n;
};
struct update;
void unfinished_load(struct update *u); /* a missing or bad file is an empty one */
void unfinished_release(struct unfinished *f);
int64_t unfinished_find(const struct unfinished *f, struct hash128 hash); /* its row, or -1 */
/* Writes what was loaded and n vectors more; a failure loses them and nothing else. */
void unfinished_save(struct update *u, const struct hash128 *hash, const uint16_t *vector,
                     size_t n);
void unfinished_remove(const struct update *u);

/* ---- batches of the writing side ---- */

/* A passage to embed. */
struct fresh {
    struct hash128 hash;
    struct span text;
    int n_tokens;
};

struct batch {
    struct update *u;
    struct item **item;
    size_t n, cap;
    size_t bytes;
    int64_t tokens;
    struct fresh *fresh;
    size_t n_fresh, cap_fresh;
    size_t n_embedded; /* of fresh, from the front */
    uint16_t *vector;  /* [n_fresh, dim] f16 */
    uint32_t *table;   /* open addressing: row of fresh + 1, by hash; [n_table], a power of 2 */
    size_t n_table;
};
/* Takes the item over. before: a batch that will be stored before this one (may be empty). */
int batch_add(struct batch *b, const struct batch *before, struct item *it,
              struct err *err) WARN_UNUSED;
bool batch_full(const struct batch *b);
/* From the front; ends early, with report->complete = false, at the time limit. In a dry run
 * nothing is embedded. */
int batch_embed(struct batch *b, struct err *err) WARN_UNUSED;
/* Stores the items whose passages are all embedded, in one transaction. */
int batch_store(struct batch *b, struct err *err) WARN_UNUSED;
void batch_clear(struct batch *b);   /* empties it, and the gate of its items */
void batch_release(struct batch *b); /* frees it, too */

/* ---- the run ---- */

struct update {
    struct store *s; /* NULL: dry run without an index */
    const char *root;
    int root_fd;
    struct embedder *embedder;
    const struct update_options *options;
    struct walk_options walk; /* options->walk and the index folder left out */
    char **sub;               /* normalised, none inside another; [n_sub] */
    size_t n_sub;
    char fingerprint[33];
    double start_ms, deadline_ms; /* deadline 0: none */
    const struct progress_sink *sink;
    struct update_report *report;
    struct known_table known;
    struct queue *queue;
    struct gate gate;
    atomic_bool quit;   /* set by the writing side: the reader ends */
    atomic_llong n_met; /* files met by the walk */
    atomic_bool walked; /* all of them are met */

    /* the reader's, read by others after it has ended */
    int64_t unchanged, skipped;
    int64_t lost_folders;
    char *lost_folder; /* the first of them */
    bool cut;          /* ended early: limit, stop, or quit */
    int reader_rc;
    struct err reader_err;

    /* the writing side's */
    struct unfinished unfinished;
    int64_t n_done;
    int64_t slice_tokens; /* what the encoder does in about half a second */
    int64_t built_at;     /* report->chunks when the caches were last written */
};

bool update_expired(const struct update *u); /* the time limit has passed */
void *reader_main(void *update);             /* the reading thread */

/* Takes items until the queue is drained. 0, also when the time limit ended it (then
 * report->complete is false); -1 with ERR_STOPPED or a failure. */
int writer_run(struct update *u, struct err *err) WARN_UNUSED;
void update_tell(struct update *u, const char *phase); /* progress; the main thread's */
void update_failed(struct update *u, const char *path, const char *reason, const char *hint);

/* One pass over a file. 0, or -1 with errno: ECANCELED when the program is to stop or, with u, the
 * run's time limit has passed. */
int content_hash(int fd, const struct update *u, struct hash128 *out);

#endif
