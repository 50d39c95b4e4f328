/* folder.c - finding and opening the weight files of a folder; see folder.h. */
#include "encoder/weights/folder.h"

#include "src/base/json.h"
#include "src/base/mem.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SHARDS_MAX = 4096 };

/* ---- what else people have in such folders ----------------------------------------------------
 */

static const struct {
    const char *ending, *what, *hint;
} refused[] = {
    {"pytorch_model.bin", "PyTorch pickle weights, which can run code when they are loaded",
     "convert them once in Python: AutoModel.from_pretrained(DIR).save_pretrained(OUT)"},
    {".bin.index.json", "sharded PyTorch pickle weights",
     "convert them once in Python: AutoModel.from_pretrained(DIR).save_pretrained(OUT)"},
    {".gguf", "GGUF weights (llama.cpp)", "take the original folder with model.safetensors"},
    {".h5", "TensorFlow weights", "take the original folder with model.safetensors"},
    {".msgpack", "Flax weights", "take the original folder with model.safetensors"},
    {".onnx", "an ONNX graph", "take the original folder with model.safetensors"},
    {"adapter_model.safetensors", "a LoRA adapter without its base model",
     "merge it into its base in Python: model.merge_and_unload().save_pretrained(OUT)"},
    {".pt", "PyTorch pickle weights", "save them as safetensors in Python"},
    {".ckpt", "a training checkpoint", "export it as a folder with model.safetensors"},
};

static int refuse(const char *dir, struct err *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return err_errno(err, "cannot open the model folder '%s'", dir);
    int found = -1;
    for (struct dirent *e; (e = readdir(d)) && found < 0;)
        for (size_t i = 0; i < ARRAY_LEN(refused) && found < 0; i++)
            if (span_ends(span_of(e->d_name), refused[i].ending))
                found = (int)i;
    closedir(d);
    if (found < 0) {
        err_kind_set(err, ERR_NOT_FOUND, "'%s' has no model.safetensors", dir);
        return err_hint(err, "a model folder holds config.json, model.safetensors and "
                             "tokenizer.json or vocab.txt");
    }
    err_kind_set(err, ERR_FORMAT, "'%s' has no model.safetensors, only %s", dir,
                 refused[found].what);
    return err_hint(err, "%s", refused[found].hint);
}

/* ---- the list -----------------------------------------------------------------------------------
 */

static int64_t nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int weight_list_add_file(struct weight_list *l, char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st)) {
        err_errno(err, "cannot open '%s'", path);
        free(path);
        return -1;
    }
    VEC_GROW(l->file, l->n, l->cap);
    l->file[l->n++] = (struct weight_file){.path = path,
                                           .size = (int64_t)st.st_size,
                                           .mtime_ns = nanoseconds(st.st_mtim),
                                           .ctime_ns = nanoseconds(st.st_ctim),
                                           .inode = (uint64_t)st.st_ino};
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool plain_name(struct span s)
{
    return s.n > 0 && s.n < 256 && s.p[0] != '.' && !memchr(s.p, '/', s.n);
}

/* The distinct file names of weight_map, sorted; they must be plain names inside the folder. */
static int add_shards(struct weight_list *l, const char *dir, const json_value *index,
                      const char *path, struct err *err)
{
    json_value *map = js_get(index, "weight_map");
    if (!js_is_object(map) || js_count(map) == 0)
        return err_kind_set(err, ERR_FORMAT, "'%s' has no weight_map", path);
    char **name = NULL;
    size_t n = 0, cap = 0;
    int rc = 0;
    for (void *it = js_iter(map); it && !rc; it = js_iter_next(map, it)) {
        const struct span s = js_string(js_iter_value(it), "");
        if (!plain_name(s)) {
            rc = err_kind_set(err, ERR_FORMAT, "'%s': '%.*s' is not a file name of this folder",
                              path, (int)(s.n < 200 ? s.n : 200), s.p);
            break;
        }
        size_t k = 0;
        while (k < n && !span_eq(s, name[k]))
            k++;
        if (k < n)
            continue;
        if (n == SHARDS_MAX) {
            rc = err_kind_set(err, ERR_LIMIT, "'%s' names more than %d files", path, SHARDS_MAX);
            break;
        }
        VEC_GROW(name, n, cap);
        name[n++] = xstrndup(s.p, s.n);
    }
    if (n)
        qsort(name, n, sizeof *name, compare_names);
    for (size_t i = 0; i < n; i++) {
        if (!rc)
            rc = weight_list_add_file(l, path_join(dir, name[i]), err);
        free(name[i]);
    }
    free(name);
    return rc;
}

int weight_list_add(struct weight_list *l, const char *dir, struct err *err)
{
    char *single = path_join(dir, "model.safetensors");
    char *sharded = path_join(dir, "model.safetensors.index.json");
    int rc;
    if (file_exists(single)) {
        rc = weight_list_add_file(l, xstrdup(single), err);
    } else if (file_exists(sharded)) {
        json_value *index = js_read_file(sharded, (size_t)64 << 20, err);
        rc = index ? add_shards(l, dir, index, sharded, err) : -1;
        js_free(index);
    } else {
        rc = refuse(dir, err);
    }
    free(single);
    free(sharded);
    return rc;
}

void weight_list_release(struct weight_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->file[i].path);
    free(l->file);
    *l = (struct weight_list){0};
}

/* ---- the open set -------------------------------------------------------------------------------
 */

static int check_distinct(const struct weights *w, struct err *err)
{
    for (size_t i = 1; i < w->n_files; i++)
        for (size_t k = 0; k < w->file[i].n_tensors; k++) {
            size_t first = i;
            weights_find(w, w->file[i].tensor[k].name, &first);
            if (first != i)
                return err_kind_set(err, ERR_FORMAT, "both '%s' and '%s' have a tensor '%s'",
                                    w->file[first].path, w->file[i].path,
                                    w->file[i].tensor[k].name);
        }
    return 0;
}

int weights_open(struct weights *w, const struct weight_list *l, size_t i0, size_t i1,
                 struct err *err)
{
    *w = (struct weights){.file = xcalloc(i1 - i0 + 1, sizeof *w->file)};
    for (size_t i = i0; i < i1; i++) {
        if (safetensors_open(&w->file[i - i0], l->file[i].path, err)) {
            weights_close(w);
            return -1;
        }
        w->n_files++;
    }
    if (check_distinct(w, err)) {
        weights_close(w);
        return -1;
    }
    return 0;
}

void weights_close(struct weights *w)
{
    for (size_t i = 0; i < w->n_files; i++)
        safetensors_close(&w->file[i]);
    free(w->file);
    *w = (struct weights){0};
}

const struct tensor *weights_find(const struct weights *w, const char *name, size_t *file)
{
    for (size_t i = 0; i < w->n_files; i++) {
        const struct tensor *t = safetensors_find(&w->file[i], name);
        if (t) {
            if (file)
                *file = i;
            return t;
        }
    }
    return NULL;
}
