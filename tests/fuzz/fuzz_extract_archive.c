/* fuzz_extract_archive.c - zip containers (office documents, books, archives), packed files and
 * OLE. The first byte chooses the name, and so the adapter. */
#include "fuzz_extract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"a.zip", "a.gz", "a.tar"};
    if (n > 0)
        fuzz_extract(data + 1, n - 1, names[data[0] % (sizeof names / sizeof *names)]);
    return 0;
}
