/* fuzz_extract.h - puts bytes through the extraction adapters in this process, as the worker does.
 */
#ifndef SEMSEARCH_TESTS_FUZZ_EXTRACT_H
#define SEMSEARCH_TESTS_FUZZ_EXTRACT_H

#include "index/extract/adapter.h"

#include <stdlib.h>

/* Checks what doc.h promises, and aborts when it is broken. */
static void check_doc(const struct extract_result *r)
{
    size_t at = 0;
    for (size_t i = 0; r->state == EXTRACT_OK && i < r->doc.n_blocks; i++) {
        const struct block *b = &r->doc.block[i];
        if (b->start < at || b->end <= b->start || b->end > r->doc.text.n || b->level < 0 ||
            b->level > 6)
            abort();
        at = b->end;
    }
}

static inline void fuzz_extract(const uint8_t *data, size_t n, const char *name)
{
    struct budget budget = {.output_bytes = 1 << 22, .expand_left = 1 << 22, .packed_bytes = n};
    struct job job = {.name = name, .budget = &budget, .format = format_find("binary")};
    struct extract_result r = {0};
    str_add(&job.bytes, (const char *)data, n);
    extract_job(&job, &r);
    if (!job.needs_program)
        check_doc(&r);
    str_release(&job.bytes);
    extract_result_release(&r);
}

#endif
