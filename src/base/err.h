/* err.h - how a function says that it failed.
 *
 * Fallible functions return int: 0 for success, -1 for failure, and take a `struct err *` as their
 * last argument. The message says what failed, on what, and why; the hint says what the user can
 * do. Nothing below cli/ prints or exits. `struct err e = {0}` is a ready value; an err is plain
 * data and owns nothing.
 */
#ifndef SEMSEARCH_BASE_ERR_H
#define SEMSEARCH_BASE_ERR_H

#define WARN_UNUSED            __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* The class of a failure. cli/ maps it to an exit code and to the "kind" string of a JSON error. */
enum err_kind {
    ERR_FAILURE = 0,  /* anything else: exit 2 */
    ERR_USAGE,        /* the caller's arguments: exit 2 */
    ERR_NOT_FOUND,    /* a named thing does not exist: exit 2 */
    ERR_IO,           /* the operating system refused: exit 2 */
    ERR_FORMAT,       /* a file is not what it claims to be: exit 2 */
    ERR_LIMIT,        /* a ceiling was met (size, time, depth): exit 2 */
    ERR_MEMORY,       /* a large allocation was refused: exit 2 */
    ERR_CORRUPT,      /* stored data fails its checksum: exit 2 */
    ERR_NO_INDEX,     /* no index here: exit 4 */
    ERR_LOCKED,       /* another writer holds the index: exit 4 */
    ERR_INCOMPATIBLE, /* an index of another model or format: exit 4 */
    ERR_STOPPED       /* SIGINT or SIGTERM asked us to stop: exit 130/143 */
};

struct err {
    enum err_kind kind;
    char msg[1024];
    char hint[512];
};

/* Sets the message (printf style; cut at the buffer's end) and returns -1, so that callers write
 * `return err_set(...)`. The kind is left as it is (ERR_FAILURE in a zeroed err); a NULL err is
 * allowed and only returns -1. */
int err_set(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The same with a kind. */
int err_kind_set(struct err *e, enum err_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Kind ERR_IO; appends ": " and strerror(errno) to the message. */
int err_errno(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Puts "context: " before an existing message (used at module borders). Returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Sets what the user can do about it. Returns -1. */
int err_hint(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* "usage", "io", "no-index", ...: the stable name of a kind in JSON output. */
const char *err_kind_name(enum err_kind kind);

#endif
