/* registry.c - see registry.h. */
#include "cli/registry.h"

#include "src/base/file.h"
#include "src/base/mem.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 20 };

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct registry_entry *)a)->name,
                  ((const struct registry_entry *)b)->name);
}

void registry_entry_release(struct registry_entry *e)
{
    free(e->name);
    free(e->path);
    free(e->pooling);
    *e = (struct registry_entry){0};
}

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

void registry_set(struct registry *r, const char *name, const char *path, const char *pooling)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->item[i].name, name) == 0) {
            registry_entry_release(&r->item[i]);
            r->item[i] = (struct registry_entry){xstrdup(name), xstrdup(path), copy(pooling)};
            return;
        }
    VEC_GROW(r->item, r->n, r->cap);
    r->item[r->n++] = (struct registry_entry){xstrdup(name), xstrdup(path), copy(pooling)};
    qsort(r->item, r->n, sizeof *r->item, by_name);
    if (!r->standard)
        r->standard = xstrdup(name);
}

const struct registry_entry *registry_find(const struct registry *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->item[i].name, name) == 0)
            return &r->item[i];
    return NULL;
}

/* Who is the default where none was chosen: the first by name whose folder is there; owned. */
static char *first_there(const struct registry *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (dir_exists(r->item[i].path))
            return xstrdup(r->item[i].name);
    return r->n ? xstrdup(r->item[0].name) : NULL;
}

bool registry_drop(struct registry *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->item[i].name, name) != 0)
            continue;
        registry_entry_release(&r->item[i]);
        memmove(r->item + i, r->item + i + 1, (r->n - i - 1) * sizeof *r->item);
        r->n--;
        if (r->standard && strcmp(r->standard, name) == 0) {
            free(r->standard);
            r->standard = first_there(r);
        }
        return true;
    }
    return false;
}

/* Models that lie in our own folder. */
static void add_found(struct registry *r, const char *data)
{
    char *dir = path_join(data, "models");
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.' || registry_find(r, e->d_name))
            continue;
        char *model = path_join(dir, e->d_name), *config = path_join(model, "config.json");
        if (file_exists(config))
            registry_set(r, e->d_name, model, NULL);
        free(model);
        free(config);
    }
    if (d)
        closedir(d);
    free(dir);
}

int registry_load(struct registry *r, struct err *err)
{
    *r = (struct registry){0};
    char *data = xdg_data_dir(err);
    if (!data)
        return -1;
    char *file = path_join(data, "models.json");
    json_value *v = NULL;
    int rc = 0;
    if (file_exists(file)) {
        v = js_read_file(file, MAX_BYTES, err);
        rc = v ? 0 : err_hint(err, "remove that file and add your models again");
    }
    json_value *models = js_get(v, "models");
    for (void *it = models ? js_iter(models) : NULL; it; it = js_iter_next(models, it)) {
        const struct span path = js_string(js_get(js_iter_value(it), "path"), "");
        if (path.n)
            registry_set(r, js_iter_key(it), path.p,
                         js_string(js_get(js_iter_value(it), "pooling"), NULL).p);
    }
    if (rc == 0)
        add_found(r, data);
    const struct registry_entry *chosen = registry_find(r, js_string(js_get(v, "default"), "").p);
    free(r->standard);
    r->standard = chosen ? xstrdup(chosen->name) : first_there(r);
    js_free(v);
    free(file);
    free(data);
    return rc;
}

int registry_save(const struct registry *r, struct err *err)
{
    char *data = xdg_data_dir(err);
    if (!data)
        return -1;
    int rc = dir_make(data, err);
    char *file = path_join(data, "models.json");
    struct str text = {0};
    struct json_writer w;
    jw_init(&w, &text);
    jw_object(&w);
    jw_kint(&w, "schema", 1);
    jw_ktext(&w, "default", r->standard);
    jw_key(&w, "models");
    jw_object(&w);
    for (size_t i = 0; i < r->n; i++) {
        jw_key(&w, r->item[i].name);
        jw_object(&w);
        jw_ktext(&w, "path", r->item[i].path);
        if (r->item[i].pooling)
            jw_ktext(&w, "pooling", r->item[i].pooling);
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    str_putc(&text, '\n');
    struct outfile f;
    if (rc == 0)
        rc = outfile_open(&f, file, err);
    if (rc == 0) {
        outfile_write(&f, text.p, text.n);
        rc = outfile_commit(&f, err);
    }
    str_release(&text);
    free(file);
    free(data);
    return rc;
}

void registry_release(struct registry *r)
{
    for (size_t i = 0; i < r->n; i++)
        registry_entry_release(&r->item[i]);
    free(r->item);
    free(r->standard);
    *r = (struct registry){0};
}

static int unknown_model(const struct registry *r, const char *model, struct err *err)
{
    err_kind_set(err, ERR_NOT_FOUND, "no model '%s': neither a registered name nor a folder",
                 model);
    for (size_t i = 0; i < r->n; i++)
        if (str_distance(model, r->item[i].name) <= 3)
            return err_hint(err, "did you mean '%s'?", r->item[i].name);
    return err_hint(
        err,
        "`semsearch model list` shows the names; `semsearch model add DIR` registers a folder");
}

int registry_resolve(const char *model, struct registry_entry *out, struct err *err)
{
    *out = (struct registry_entry){0};
    struct registry r;
    const bool is_dir = model && dir_exists(model); /* a folder needs no registry */
    if (registry_load(&r, is_dir ? NULL : err) && !is_dir)
        return -1;
    int rc = 0;
    const struct registry_entry *e = registry_find(&r, model        ? model
                                                       : r.standard ? r.standard
                                                                    : "");
    if (e && !dir_exists(e->path)) {
        err_kind_set(err, ERR_NOT_FOUND, "the folder of the model '%s' is gone: '%s'", e->name,
                     e->path);
        rc = err_hint(err, "put it back, or: semsearch model remove '%s'", e->name);
    } else if (e) {
        *out = (struct registry_entry){xstrdup(e->name), xstrdup(e->path), copy(e->pooling)};
    } else if (is_dir) {
        out->path = path_absolute(model, err);
        rc = out->path ? 0 : -1;
        if (rc == 0)
            out->name = xstrdup(strrchr(out->path, '/') + 1);
    } else if (model) {
        rc = unknown_model(&r, model, err);
    } else {
        err_kind_set(err, ERR_NOT_FOUND, "no model is installed");
        rc = err_hint(
            err, "run scripts/setup of the source tree, or name a folder in Hugging Face layout: "
                 "semsearch model add DIR (or --model DIR)");
    }
    registry_release(&r);
    return rc;
}
