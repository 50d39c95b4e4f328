/* fuzz_extract_text.c - formats whose file is the text. The first byte chooses the name, and so the
 * adapter. */
#include "fuzz_extract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"a.txt", "a.md",  "a.rst",   "a.adoc", "a.org", "a.tex",
                                        "a.c",   "a.csv", "a.jsonl", "a.json", "a.srt", "noname"};
    if (n > 0)
        fuzz_extract(data + 1, n - 1, names[data[0] % (sizeof names / sizeof *names)]);
    return 0;
}
