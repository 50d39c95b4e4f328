/* Ignore rules and globs: the input is a path, a NUL, and the bytes of an ignore file. */
#include "index/glob.h"
#include "index/ignore.h"
#include "src/base/mem.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    if (!nul)
        return 0;
    const struct span path = {(const char *)data, (size_t)(nul - data)};
    const struct span rules = {(const char *)nul + 1, size - path.n - 1};
    struct ignore_file f;
    ignore_parse(&f, xstrndup(rules.p, rules.n), rules.n);
    const struct ignore_rule *file = ignore_match(&f, path, false);
    const struct ignore_rule *folder = ignore_match(&f, path, true);
    if (file && file->dir_only)
        __builtin_trap(); /* a rule for folders decided about a file */
    if (file && !folder)
        __builtin_trap(); /* what is ignored as a file is ignored as a folder */
    ignore_release(&f);
    glob_match_path(rules, path);
    glob_match(rules, path);
    return 0;
}
