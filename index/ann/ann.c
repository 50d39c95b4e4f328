/* ann.c - the table of kinds, and which one an index gets. */
#include "index/ann/ann.h"

#include <string.h>

static const struct ann_kind *const kinds[] = {&ann_flat, &ann_hnsw};

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
    return n_rows > ANN_FLAT_ROWS_MAX ? &ann_hnsw : &ann_flat;
}
