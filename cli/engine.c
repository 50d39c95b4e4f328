/* engine.c - see engine.h. */
#include "cli/engine.h"

#include "cli/output.h"
#include "cli/precision.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/thread.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How --precision is understood. */
struct precision_choice {
    bool measure;          /* auto may run the model's gate where it never was */
    const char *unchecked; /* else auto is this then; NULL: fp32 */
};

static int open_model(const struct args *a, const char *model, const struct precision_choice *p,
                      struct engine *e, struct err *err)
{
    *e = (struct engine){.threads = a->threads ? (int)a->threads : thread_default_count()};
    if (registry_resolve(model, &e->from, err))
        return -1;
    if (a->pooling) {
        free(e->from.pooling);
        e->from.pooling = xstrdup(a->pooling);
    }
    struct model_options options = {
        .pooling = e->from.pooling, .precision = a->precision, .unchecked = p->unchecked};
    struct model_fitness fit[MODEL_FITNESSES];
    const bool measure = p->measure && a->precision && strcmp(a->precision, "auto") == 0;
    int rc = measure ? precision_check(&e->from, true, e->threads, fit, err) : 0;
    if (rc == 0 && measure)
        options.precision = precision_auto(fit); /* also where nothing can be remembered */
    if (rc == 0)
        rc = model_open(e->from.path, &options, &e->model, err);
    if (rc)
        engine_close(e);
    return rc;
}

int engine_open(const struct args *a, const char *model, struct engine *e, struct err *err)
{
    return open_model(a, model, &(struct precision_choice){.measure = true}, e, err);
}

int engine_embedder(struct engine *e, struct err *err)
{
    return encoder_embedder(e->model, e->threads, &e->embedder, err);
}

void engine_close(struct engine *e)
{
    if (e->embedder)
        e->embedder->close(e->embedder);
    model_close(e->model);
    registry_entry_release(&e->from);
    *e = (struct engine){0};
}

/* The model of the index has moved: a registered one of the same fingerprint is the same model. 1:
 * found and opened with its embedder, 0: none. */
static int open_twin(const struct args *a, const char *fingerprint,
                     const struct precision_choice *p, struct engine *e)
{
    struct registry r;
    int found = 0;
    if (!fingerprint || registry_load(&r, NULL))
        return 0;
    for (size_t i = 0; i < r.n && !found; i++) {
        char now[33];
        if (open_model(a, r.item[i].name, p, e, NULL) == 0 && engine_embedder(e, NULL) == 0) {
            update_fingerprint(e->embedder, now);
            found = strcmp(now, fingerprint) == 0;
        }
        if (!found)
            engine_close(e);
    }
    registry_release(&r);
    return found;
}

static int open_of_index(const struct args *a, struct store *s, bool measure, struct engine *e,
                         struct err *err)
{
    *e = (struct engine){0};
    char *name = NULL, *path = NULL, *pooling = NULL, *fingerprint = NULL, *precision = NULL;
    struct args with = *a;
    int rc = -1;
    if (store_meta_get(s, "model_name", &name, err) ||
        store_meta_get(s, "model_path", &path, err) ||
        store_meta_get(s, "model_pooling", &pooling, err) ||
        store_meta_get(s, "fingerprint", &fingerprint, err) ||
        store_meta_get(s, "precision", &precision, err))
        goto out;
    const struct precision_choice choice = {.measure = measure, .unchecked = precision};
    if (!with.precision)
        with.precision = "auto";
    if (!a->model && !a->pooling && pooling && *pooling)
        with.pooling = pooling;
    const char *model = a->model;
    if (!model && path && dir_exists(path))
        model = path;
    else if (!model)
        model = name;
    rc = open_model(&with, model, &choice, e, err);
    if (rc && model != a->model && err->kind == ERR_NOT_FOUND &&
        open_twin(&with, fingerprint, &choice, e)) {
        *err = (struct err){0};
        rc = 0;
        goto out;
    }
    if (rc && model != a->model)
        err_wrap(err, "the model of this index, '%s', cannot be opened", name ? name : "?");
    if (rc == 0 && name && !a->model) { /* called as it was when the index was made */
        free(e->from.name);
        e->from.name = xstrdup(name);
    }
    if (rc == 0 && engine_embedder(e, err)) {
        engine_close(e);
        rc = -1;
    }
out:
    free(name);
    free(path);
    free(pooling);
    free(fingerprint);
    free(precision);
    return rc;
}

int engine_of_index(const struct args *a, struct store *s, struct engine *e, struct err *err)
{
    return open_of_index(a, s, !a->dry_run, e, err);
}

int engine_for_questions(const struct args *a, struct store *s, struct engine *e, struct err *err)
{
    return open_of_index(a, s, false, e, err);
}

bool engine_adapt(struct engine *e, const char *index_dir)
{
    struct adapter *a;
    struct err why = {0};
    const int found = adapter_load(index_dir, e->embedder->fingerprint, e->embedder->dim, &a, &why);
    if (found < 0)
        note("%s; searching without it (%s)", why.msg, why.hint);
    if (found > 0)
        e->embedder = adapter_embedder(e->embedder, true, a);
    return found > 0;
}

double engine_cosine(const float *a, const float *b, int dim)
{
    const size_t n = (size_t)dim;
    const double aa = kern.dot_wide(a, a, n), bb = kern.dot_wide(b, b, n);
    return aa > 0 && bb > 0 ? kern.dot_wide(a, b, n) / sqrt(aa * bb) : 0;
}

void walk_options_of(const struct args *a, struct walk_options *o)
{
    *o = (struct walk_options){.hidden = a->hidden,
                               .no_ignore = a->no_ignore,
                               .max_file_size = a->max_file_size,
                               .include = a->include.item,
                               .n_include = a->include.n,
                               .exclude = a->exclude.item,
                               .n_exclude = a->exclude.n};
}
