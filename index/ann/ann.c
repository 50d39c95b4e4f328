/* ann.c - the table of kinds, and which one an index gets.
 *
 * Measured with 1000 real questions to MiniLM-L6 vectors of 384 numbers (abstracts, code,
 * questions, sentences of documentation and novels), CPU time for one on a Zen 4 core that many
 * others were using; tests/bench/peers/ann.py takes it again, beside other libraries:
 *
 *                                  flat       bits                hnsw
 *     25 thousand rows, 10 nearest 0.30 ms    0.08 ms, .998       0.08 ms, .990 (ef 60)
 *     100 thousand, 10 nearest     2.6 ms     0.26 ms, .9994
 *     100 thousand, 300 nearest    2.4 ms     0.80 ms, .993
 *
 * A question asks for 300. For that many a walk multiplies thousands of rows that lie anywhere, and
 * a fresh process pays a page fault for nearly each; signs are read one after the other, and the
 * 1700 rows that are looked at again are all there is besides. Signs cost nothing to build and
 * nothing to keep up to date, so they serve until a scan of them is felt (about 1 ms a million
 * rows), and the graph comes after that, or when it is asked for.
 */
#include "index/ann/ann.h"

#include <string.h>

static const struct ann_kind *const kinds[] = {&ann_flat, &ann_bits, &ann_hnsw};

const struct ann_kind *ann_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

const struct ann_kind *ann_choose(const char *wish, int64_t n_rows)
{
    if (strcmp(wish, "auto") != 0)
        return ann_find(wish);
    if (n_rows <= ANN_FLAT_ROWS_MAX)
        return &ann_flat;
    return n_rows <= ANN_BITS_ROWS_MAX ? &ann_bits : &ann_hnsw;
}
