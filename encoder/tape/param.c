/* param.c - the set of parameters; see param.h. */
#include "encoder/tape/param.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

int params_get(struct params *s, const char *name, enum param_kind kind, int rows, int cols,
               struct err *err)
{
    for (int i = 0; i < s->n; i++) {
        const struct param *p = s->p[i];
        if (strcmp(p->name, name))
            continue;
        if (p->kind != kind || p->rows != rows || p->cols != cols)
            return err_set(err, "parameter '%s' is [%d, %d] in one place and [%d, %d] in another",
                           name, p->rows, p->cols, rows, cols);
        return i;
    }
    if (s->frozen)
        return err_set(err, "parameter '%s' was not loaded", name);
    VEC_GROW(s->p, s->n, s->cap);
    s->p[s->n] = xcalloc(1, sizeof **s->p);
    *s->p[s->n] = (struct param){.name = xstrdup(name), .kind = kind, .rows = rows, .cols = cols};
    return s->n++;
}

void params_release(struct params *s)
{
    for (int i = 0; i < s->n; i++) {
        free(s->p[i]->name);
        free(s->p[i]);
    }
    free(s->p);
    *s = (struct params){0};
}
