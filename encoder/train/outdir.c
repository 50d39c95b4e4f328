/* outdir.c - the folder that a run writes to; see run.h. */
#include "encoder/train/run.h"

#include "src/base/file.h"
#include "src/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define STAGING ".tmp-model"

/* What a run makes, by name; nothing else of a folder is ever removed. */
static const char *const made_here[] = {"checkpoint-[0-9]*",
                                        "metrics.jsonl",
                                        "mined.jsonl",
                                        "training.json",
                                        "config.json",
                                        "model.safetensors",
                                        "modules.json",
                                        "sentence_bert_config.json",
                                        "config_sentence_transformers.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "vocab.txt",
                                        "[0-9]_Pooling",
                                        "[0-9]_Dense",
                                        "[0-9]_Normalize",
                                        "[0-9]_LayerNorm"};

static bool empty_dir(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d)
        closedir(d);
    return n == 0;
}

bool outdir_same(const char *a, const char *b)
{
    struct err ignored;
    char *x = path_absolute(a, &ignored), *y = path_absolute(b, &ignored);
    const bool same = x && y && strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

int outdir_check(const struct train_options *o, struct err *err)
{
    if (!o->out)
        return err_kind_set(err, ERR_USAGE, "no folder to write to (--out DIR)");
    if (!file_exists(o->out))
        return 0;
    if (!dir_exists(o->out))
        return err_kind_set(err, ERR_USAGE, "'%s' is not a folder", o->out);
    if (o->base && outdir_same(o->base, o->out)) {
        err_kind_set(err, ERR_USAGE, "'%s' is the base model itself", o->out);
        return err_hint(err, "write the new model to another folder");
    }
    if (empty_dir(o->out) || o->overwrite)
        return 0;
    err_kind_set(err, ERR_USAGE, "the folder '%s' is not empty", o->out);
    return err_hint(err,
                    "go on with the run in it (--resume %s), replace what a run writes there "
                    "(--overwrite), or choose another folder",
                    o->out);
}

static int remove_made(const char *path, struct err *err)
{
    DIR *d = opendir(path);
    int rc = 0;
    for (struct dirent *e; d && rc == 0 && (e = readdir(d));) {
        bool ours = false;
        for (size_t i = 0; i < ARRAY_LEN(made_here); i++)
            ours |= fnmatch(made_here[i], e->d_name, 0) == 0;
        if (!ours)
            continue;
        char *file = path_join(path, e->d_name);
        if (dir_exists(file))
            rc = dir_remove_tree(file, err);
        else if (unlink(file))
            rc = err_errno(err, "cannot remove '%s'", file);
        free(file);
    }
    if (d)
        closedir(d);
    return rc;
}

int outdir_open(struct outdir *d, const char *path, bool overwrite, struct err *err)
{
    *d = (struct outdir){.path = path, .lock = -1};
    if (dir_make(path, err))
        return -1;
    d->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->lock < 0)
        return err_errno(err, "cannot open '%s'", path);
    if (flock(d->lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
        outdir_close(d);
        return err_kind_set(err, ERR_USAGE, "another run is writing to '%s'", path);
    }
    checkpoint_clean(path);
    return overwrite ? remove_made(path, err) : 0;
}

void outdir_close(struct outdir *d)
{
    if (d->lock > 0)
        close(d->lock);
    d->lock = -1;
}

static bool comes_last(const char *name)
{
    return strcmp(name, "config.json") == 0 || strcmp(name, "modules.json") == 0;
}

static int move_one(const char *from, const char *to, const char *name, struct err *err)
{
    char *a = path_join(from, name), *b = path_join(to, name);
    int rc = 0;
    if (dir_exists(a) && dir_exists(b)) /* of a run before: a folder cannot be renamed onto it */
        rc = dir_remove_tree(b, err);
    if (rc == 0 && rename(a, b))
        rc = err_errno(err, "cannot move '%s' to '%s'", a, b);
    free(a);
    free(b);
    return rc;
}

static int move_all(const char *from, const char *to, struct err *err)
{
    char **name = NULL;
    size_t n = 0, cap = 0;
    int rc = 0;
    DIR *d = opendir(from);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        VEC_GROW(name, n, cap);
        name[n++] = xstrdup(e->d_name);
    }
    if (d)
        closedir(d);
    for (int last = 0; last < 2; last++)
        for (size_t i = 0; i < n && rc == 0; i++)
            if (comes_last(name[i]) == (last == 1))
                rc = move_one(from, to, name[i], err);
    for (size_t i = 0; i < n; i++)
        free(name[i]);
    free(name);
    return rc;
}

int outdir_install(const struct outdir *d, struct learner *l, int max_tokens, struct err *err)
{
    char *staging = path_join(d->path, STAGING);
    int rc = dir_exists(staging) ? dir_remove_tree(staging, err) : 0;
    if (rc == 0)
        rc = dir_make(staging, err);
    if (rc == 0)
        rc = learner_save(l, staging, max_tokens, err);
    if (rc == 0)
        rc = move_all(staging, d->path, err);
    if (rc == 0 && fsync(d->lock))
        rc = err_errno(err, "cannot sync '%s'", d->path);
    if (dir_exists(staging))
        (void)!dir_remove_tree(staging, NULL);
    free(staging);
    return rc ? err_wrap(err, "the model was not written") : 0;
}
