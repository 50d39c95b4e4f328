/* tempdir.h - folders for tests: made under $TMPDIR, filled, removed. Failures end the test
 * program. */
#ifndef SEMSEARCH_TESTS_TEMPDIR_H
#define SEMSEARCH_TESTS_TEMPDIR_H

#include <stddef.h>

char *tempdir_new(void);      /* owned: absolute path of a new folder */
void tempdir_free(char *dir); /* removes it with all contents */
void tempdir_write(const char *dir, const char *rel,
                   const char *text); /* makes folders on the way */
void tempdir_write_bytes(const char *dir, const char *rel, const void *p, size_t n);
void tempdir_remove(const char *dir, const char *rel);

#endif
