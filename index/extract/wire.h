/* wire.h - what travels between the main program and the worker over their socket.
 *
 * Both ends are one build on one machine, so records are plain structs in native order; `magic`
 * carries a version that refuses a worker of another build. One request is answered by one reply.
 * The worker may have been taken over by a hostile document: the main program checks every number
 * of a reply before it uses it.
 */
#ifndef SEMSEARCH_INDEX_EXTRACT_WIRE_H
#define SEMSEARCH_INDEX_EXTRACT_WIRE_H

#include <stdint.h>

#define WIRE_MAGIC 0x53584531u /* "SXE1": raise the digit with every change of this file */

enum { WIRE_SOCKET = 3 }; /* the worker's end, by number */

/* First thing from the worker: it is up, and this is how it is confined ("limits, seccomp"). */
struct wire_hello {
    uint32_t magic;
    char sandbox[124];
};

/* Followed by name_n bytes; the file itself comes as SCM_RIGHTS with the first byte. */
struct wire_request {
    uint32_t magic;
    uint32_t name_n;
};

enum wire_state {
    WIRE_OK,
    WIRE_SKIPPED,
    WIRE_FAILED,
    WIRE_PROGRAM /* run the program of row `format` on the file, or on `text` where text_n > 0 */
};

/* Followed by text, blocks, title, extractor, reason, hint, in this order, without NULs. */
struct wire_reply {
    uint32_t magic;
    uint32_t state;
    uint32_t kind;
    uint32_t format;
    uint32_t verbatim;
    uint32_t leaving; /* the worker ends itself after this reply: take a new one */
    uint64_t src_offset;
    uint64_t text_n, n_blocks;
    uint32_t title_n, extractor_n, reason_n, hint_n;
};

#endif
