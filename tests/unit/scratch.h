/* scratch.h - a folder for one test program, made before its tests and removed after them. It is
 * the cache folder too: what lies in the home of whoever runs the tests is neither read nor
 * written. */
#ifndef SEMSEARCH_TESTS_UNIT_SCRATCH_H
#define SEMSEARCH_TESTS_UNIT_SCRATCH_H

#include "src/base/file.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

static char dir[64];

static inline int scratch_make(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/semsearch-test-XXXXXX");
    return mkdtemp(dir) ? setenv("XDG_CACHE_HOME", dir, 1) : -1;
}

static inline int scratch_remove(void **state)
{
    (void)state;
    return dir_remove_tree(dir, NULL);
}

/* Writes a file of the folder; its path, owned. */
static inline char *scratch_put(const char *name, const void *p, size_t n)
{
    char *const path = path_join(dir, name);
    struct outfile f;
    assert_int_equal(outfile_open(&f, path, NULL), 0);
    outfile_write(&f, p, n);
    assert_int_equal(outfile_commit(&f, NULL), 0);
    return path;
}

#endif
