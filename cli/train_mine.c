/* train_mine.c - hard negatives from an index; see train_files.h. */
#include "cli/train_files.h"

#include "src/base/file.h"

#include <stdlib.h>

int train_mine(const struct args *a, struct train_options *o, struct mined *m, struct err *err)
{
    (void)a, (void)o, (void)m;
    return err_set(err, "no");
}

void mined_release(struct mined *m)
{
    if (m->dir)
        (void)!dir_remove_tree(m->dir, NULL);
    free(m->dir);
    free(m->file);
    *m = (struct mined){0};
}
