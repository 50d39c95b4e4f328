/* extract.h - files to documents, in a separate, limited process.
 *
 * An extractor owns worker processes (semsearch-extract, found beside the program or in
 * ../libexec/semsearch, or where SEMSEARCH_EXTRACT says). Documents are hostile: the worker gets an
 * already opened file and sends back text and blocks under limits of CPU, memory, output and wall
 * time, without network; when it dies, hangs or exceeds a limit, that file has failed with a reason
 * and a new worker takes the next. Not thread-safe: one extractor per thread.
 */
#ifndef SEMSEARCH_INDEX_EXTRACT_H
#define SEMSEARCH_INDEX_EXTRACT_H

#include "index/doc.h"
#include "src/base/err.h"

struct extractor;

struct extract_limits {
    int cpu_seconds;     /* 0: 60 per file */
    int wall_seconds;    /* 0: 120 per file */
    size_t memory_bytes; /* 0: 1 GiB address space */
    size_t output_bytes; /* 0: 256 MiB of text */
};

int extractor_open(const struct extract_limits *limits, struct extractor **out,
                   struct err *err) WARN_UNUSED;
void extractor_close(struct extractor *x);

enum extract_state { EXTRACT_OK, EXTRACT_SKIPPED, EXTRACT_FAILED };
struct extract_result {
    enum extract_state state;
    char reason[256]; /* skipped, failed: "binary file", "no text (image-only PDF?)",
                         "password-protected", ... */
    char hint[256];   /* what the user can do, may be empty */
    struct doc doc;   /* filled when EXTRACT_OK; of the others only `kind` is known */
};
void extract_result_release(struct extract_result *r);

/* fd: the file opened for reading (not closed here; its position may move); name: its file name,
 * for the extension. Content is sniffed first, the extension second. -1 only when extraction as
 * such is impossible (worker program missing, stop requested); a bad file is result->state. */
int extract_fd(struct extractor *x, int fd, const char *name, struct extract_result *result,
               struct err *err) WARN_UNUSED;

/* The format table, for `doctor` and --help: NULL after the last. */
struct extract_format {
    const char *name;       /* "markdown" */
    const char *extensions; /* "md markdown" */
    enum doc_kind kind;
    const char *program; /* needed program, NULL: built in */
    const char *package; /* Debian package that has it */
};
const struct extract_format *extract_format_at(size_t i);

/* Whether the program (by name) is found on PATH. */
bool extract_program_found(const char *program);

/* How workers are confined on this machine: "limits, landlock ABI 7, seccomp". -1: no worker can be
 * started. */
int extract_sandbox_describe(char out[128], struct err *err) WARN_UNUSED;

/* The combined version of all adapters: a document extracted by another one is extracted again. */
int extract_version(void);

#endif
