/* train_files.c - folders of training runs; see train_files.h. */
#include "cli/train_files.h"

#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

const char *train_version(void)
{
    return SEMSEARCH_VERSION;
}

char *train_out_dir(const char *out, const char *resume)
{
    struct err ignored;
    if (out || !resume)
        return out ? xstrdup(out) : NULL;
    char *state = path_join(resume, "state.json");
    char *dir = path_absolute(resume, &ignored);
    if (dir && file_exists(state)) /* one checkpoint: its run lies around it */
        *strrchr(dir, '/') = '\0';
    free(state);
    return dir;
}

int train_check_out(const char *out, bool overwrite, struct err *err)
{
    DIR *d = opendir(out);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d)
        closedir(d);
    if (n == 0 || overwrite)
        return 0;
    err_kind_set(err, ERR_USAGE, "the folder '%s' is not empty", out);
    return err_hint(err, "add --overwrite, or choose another folder");
}

int train_resume_hint(const char *resume, struct err *err)
{
    struct err ignored = {0};
    char *dir = train_out_dir(NULL, resume), *path = path_join(dir ? dir : resume, "training.json");
    json_value *v = js_read_file(path, 1 << 20, &ignored);
    const struct span command = js_string(js_get(v, "command"), "");
    if (command.n)
        err_hint(err, "the run was started with: %.*s", (int)(command.n < 440 ? command.n : 440),
                 command.p);
    else
        err_hint(err, "give the same options as before, and --resume");
    js_free(v);
    free(path);
    free(dir);
    return -1;
}
