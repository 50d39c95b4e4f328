/* extract_sample.c - see extract_sample.h. */
#include "extract_sample.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file.h"
#include "tests/unit/test.h"

struct extractor *sample_open(const struct extract_limits *limits)
{
    struct extractor *x = NULL;
    struct err err = {0};
    setenv("SEMSEARCH_EXTRACT", EXTRACT_WORKER, 1);
    if (extractor_open(limits, &x, &err) < 0)
        fail_msg("%s", err.msg);
    return x;
}

static struct extract_result put(struct extractor *x, int fd, const char *name)
{
    struct extract_result r;
    struct err err = {0};
    if (extract_fd(x, fd, name, &r, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
    close(fd);
    return r;
}

struct extract_result sample_file(struct extractor *x, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "tests/data/extract/%s", name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail_msg("cannot open %s", path);
    return put(x, fd, name);
}

struct extract_result sample_bytes(struct extractor *x, const void *p, size_t n, const char *name)
{
    char path[] = "/tmp/semsearch-sample-XXXXXX";
    struct err err = {0};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    if (fd_write_all(fd, p, n, &err) < 0)
        fail_msg("%s", err.msg);
    return put(x, fd, name);
}

const struct block *sample_block(const struct doc *d, enum block_kind kind, const char *text)
{
    for (size_t i = 0; i < d->n_blocks; i++) {
        const struct block *b = &d->block[i];
        const struct span s = span_sub(str_view(&d->text), b->start, b->end);
        if (b->kind == kind && (!text || span_eq(s, text)))
            return b;
    }
    return NULL;
}

bool sample_has(const struct doc *d, const char *text)
{
    return d->text.n && memmem(d->text.p, d->text.n, text, strlen(text)) != NULL;
}
