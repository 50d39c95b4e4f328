/* ann.c - the table of kinds, and which one an index gets.
 *
 * Measured on 100 thousand vectors of 384 numbers (MiniLM-L6 on abstracts, code and short
 * questions, a part of them turned copies), CPU time of one Zen 4 core that others were using too:
 *
 *                          flat               hnsw (ef 200, 2 k beyond)
 *     10 nearest           2.8 ms, exact      0.46 ms, recall .9992
 *     200 nearest          3.2 ms, exact      0.86 ms, recall .9937
 *     fresh process, 200   5.0 ms             1.2 ms
 *     building             nothing            48 s
 *
 * Up to there the scan costs less than encoding the question does, and what it saves comes back at
 * every rebuild; beyond it grows with the rows and the graph does not.
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
