/* fuzz_model.c - the JSON files of a model folder: refused with a message, or opened.
 *
 * Input: a byte that chooses the file, then its content; the rest of the folder is the tiny model
 * of tests/golden/models/dense_f16 (run from the root of the source tree).
 */
#include "encoder/encoder.h"
#include "src/base/file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const files[] = {"config.json",
                                    "modules.json",
                                    "sentence_bert_config.json",
                                    "1_Pooling/config.json",
                                    "2_Dense/config.json",
                                    "config_sentence_transformers.json",
                                    "3_LayerNorm/config.json"};
enum { FILES = sizeof files / sizeof *files };

static char folder[64];

static void restore(const char *file)
{
    char command[512];
    snprintf(command, sizeof command,
             "cp tests/golden/models/dense_f16/%s %s/%s 2>/dev/null || rm -f %s/%s", file, folder,
             file, folder, file);
    if (system(command))
        abort();
}

static void clean_up(void)
{
    struct err ignored = {0};
    if (dir_remove_tree(folder, &ignored))
        return;
}

static void set_up(void)
{
    char command[256];
    strcpy(folder, "/tmp/fuzz-model-XXXXXX");
    if (!mkdtemp(folder))
        abort();
    snprintf(command, sizeof command, "cp -r tests/golden/models/dense_f16/. %s", folder);
    if (system(command) || setenv("XDG_CACHE_HOME", "/dev/null", 1) || atexit(clean_up))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int last = -1;
    char path[256];
    struct model *m;
    struct err err = {0};
    if (!folder[0])
        set_up();
    if (size == 0)
        return 0;
    const int which = data[0] % FILES;
    if (last >= 0 && last != which)
        restore(files[last]);
    last = which;
    snprintf(path, sizeof path, "%s/%s", folder, files[which]);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data + 1, 1, size - 1, f) != size - 1 || fclose(f))
        abort();
    if (model_open(folder, NULL, &m, &err) == 0)
        model_close(m);
    else if (!err.msg[0])
        abort();
    return 0;
}
