/* precision.c - the names of precision.h. */
#include "src/base/precision.h"

#include <string.h>

static const char *const names[PRECISIONS] = {"fp32", "bf16", "int8"};

const char *precision_name(enum precision p)
{
    return names[p];
}

bool precision_find(const char *name, enum precision *p)
{
    for (int i = 0; i < PRECISIONS; i++)
        if (strcmp(name, names[i]) == 0) {
            *p = (enum precision)i;
            return true;
        }
    return false;
}
