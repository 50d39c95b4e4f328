/* export_dump.c - BASE TASK OUT [LABEL...]: opens a folder for training a task and saves it at
 * once. BASE of the form CONFIG,TOKENIZER makes a model of random weights. For check_export.py. */
#include "encoder/model/learner.h"
#include "src/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct err e = {0};
    struct learner *l = NULL;
    struct learner_options o = {.dropout = -1, .seed = 5};
    if (argc < 4 || !head_of_task(span_of(argv[2]), &o.head))
        return 2;
    o.n_labels = argc - 4;
    o.label = (const char *const *)(argv + 4);
    o.regression = argc == 5;
    char *comma = strchr(argv[1], ',');
    if (comma)
        *comma = 0;
    int rc =
        comma ? learner_random(argv[1], comma + 1, &o, &l, &e) : learner_open(argv[1], &o, &l, &e);
    if (rc == 0)
        rc = dir_make(argv[3], &e);
    if (rc == 0)
        rc = learner_save(l, argv[3], 0, &e);
    if (rc)
        fprintf(stderr, "%s\n", e.msg);
    learner_close(l);
    return rc ? 1 : 0;
}
