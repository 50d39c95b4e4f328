/* cmd_model.c - `semsearch model add|list|show|remove|default`: the registry. */
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/precision.h"
#include "cli/registry.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/thread.h"

#include <stdlib.h>
#include <string.h>

static void info_json(const char *name, const struct model_info *m, const struct model_fitness *fit,
                      struct json_writer *w)
{
    jw_ktext(w, "name", name);
    jw_ktext(w, "path", m->path);
    jw_ktext(w, "family", m->family);
    jw_kint(w, "layers", m->layers);
    jw_kint(w, "hidden", m->hidden);
    jw_kint(w, "heads", m->heads);
    jw_kint(w, "vocab", m->vocab);
    jw_kint(w, "max_tokens", m->max_tokens);
    jw_kint(w, "dim", m->dim);
    jw_ktext(w, "pooling", m->pooling);
    jw_kbool(w, "normalize", m->normalize);
    jw_key(w, "prompts");
    jw_object(w);
    for (size_t i = 0; i < m->n_prompts; i++)
        jw_ktext(w, m->prompt[i].name, m->prompt[i].text);
    jw_end(w);
    jw_ktext(w, "default_prompt_name", m->default_prompt);
    jw_ktext(w, "task", m->task);
    jw_key(w, "labels");
    jw_array(w);
    for (size_t i = 0; i < m->n_labels; i++)
        jw_text(w, m->label[i]);
    jw_end(w);
    jw_kint(w, "parameters", m->parameters);
    jw_ktext(w, "fingerprint", m->fingerprint);
    precision_json(fit, w);
}

static void info_text(const char *name, const struct model_info *m, const struct model_fitness *fit,
                      struct str *out)
{
    str_printf(out, "name        %s\npath        ", name);
    printable(out, span_of(m->path), false);
    str_printf(out, "\nfamily      %s, %d layers, hidden %d, %d heads, vocabulary %d\n", m->family,
               m->layers, m->hidden, m->heads, m->vocab);
    str_printf(out, "window      %d tokens\nvector      %d numbers, pooling %s%s\n", m->max_tokens,
               m->dim, m->pooling, m->normalize ? ", normalised" : "");
    for (size_t i = 0; i < m->n_prompts; i++) {
        str_printf(out, "prompt      %s: \"", m->prompt[i].name);
        printable(out, span_of(m->prompt[i].text), false);
        str_puts(out, "\"\n");
    }
    str_printf(out, "task        %s\n", m->task ? m->task : "none");
    for (size_t i = 0; i < m->n_labels; i++) {
        str_puts(out, i ? ", " : "labels      ");
        printable(out, span_of(m->label[i]), false);
    }
    str_printf(out, "%sparameters  %lld\nfingerprint %s\n", m->n_labels ? "\n" : "",
               (long long)m->parameters, m->fingerprint);
    precision_text(fit, out);
}

static int model_show(const struct args *a, struct err *err)
{
    if (a->n_pos > 2)
        return err_kind_set(err, ERR_USAGE, "unexpected argument '%s'", a->pos[2]);
    struct registry_entry from = {0};
    struct model *m = NULL;
    int rc = registry_resolve(a->n_pos > 1 ? a->pos[1] : a->model, &from, err);
    const struct model_options options = {.pooling = a->pooling ? a->pooling : from.pooling};
    if (rc == 0)
        rc = model_inspect(from.path, &options, &m, err);
    struct model_fitness fit[MODEL_FITNESSES];
    if (rc == 0)
        rc = model_check(from.path, &options, false, 1, fit, err);
    if (rc == 0) {
        struct str out = {0};
        if (a->json || a->jsonl) {
            struct json_writer w;
            json_begin(&w, &out);
            info_json(from.name, model_info(m), fit, &w);
            json_finish(&w);
        } else {
            info_text(from.name, model_info(m), fit, &out);
        }
        out_str(&out);
    }
    model_close(m);
    registry_entry_release(&from);
    return rc;
}

static int model_list(const struct args *a, struct err *err)
{
    if (a->n_pos > 1)
        return err_kind_set(err, ERR_USAGE, "unexpected argument '%s'", a->pos[1]);
    struct registry r;
    if (registry_load(&r, err))
        return -1;
    struct str out = {0};
    struct json_writer w;
    if (a->json) {
        json_begin(&w, &out);
        jw_ktext(&w, "default", r.standard);
        jw_key(&w, "models");
        jw_array(&w);
    }
    for (size_t i = 0; i < r.n; i++) {
        const bool standard = r.standard && strcmp(r.item[i].name, r.standard) == 0;
        const bool there = dir_exists(r.item[i].path);
        if (a->json)
            jw_object(&w);
        else if (a->jsonl)
            json_begin(&w, &out);
        if (a->json || a->jsonl) {
            jw_ktext(&w, "name", r.item[i].name);
            jw_ktext(&w, "path", r.item[i].path);
            jw_kbool(&w, "default", standard);
            jw_kbool(&w, "found", there);
            if (a->json)
                jw_end(&w);
            else
                json_finish(&w);
            continue;
        }
        str_printf(&out, "%c %-28s ", standard ? '*' : ' ', r.item[i].name);
        printable(&out, span_of(r.item[i].path), false);
        str_puts(&out, there ? "\n" : "  (folder is gone)\n");
    }
    if (a->json)
        json_finish(&w);
    out_str(&out);
    if (r.n == 0)
        note("no model is installed; run scripts/setup of the source tree, or: semsearch model add "
             "DIR");
    registry_release(&r);
    return EXIT_FOUND;
}

/* A name must not be mistaken for a path, an option or a line of a file. */
static int check_name(const char *name, struct err *err)
{
    bool ok = name[0] && name[0] != '-' && name[0] != '.';
    for (const char *p = name; *p; p++)
        ok = ok && *p != '/' && (unsigned char)*p > 0x20 && *p != 0x7F;
    return ok ? 0 : err_kind_set(err, ERR_USAGE, "'%s' cannot be a model's name", name);
}

/* Loads the model once and embeds a text: a folder that cannot do that is not registered. */
static int try_model(const char *path, const char *pooling, struct err *err)
{
    struct model *m = NULL;
    struct encoder *e = NULL;
    const struct model_options options = {.pooling = pooling};
    if (model_open(path, &options, &m, err))
        return -1;
    int rc = encoder_open(m, 1, &e, err);
    if (rc == 0) {
        float *v = xcalloc((size_t)model_info(m)->dim, sizeof *v);
        const struct span text = span_of("The quick brown fox jumps over the lazy dog.");
        const struct encode_options o = {.normalize = -1};
        rc = encoder_embed(e, &text, 1, &o, v, NULL, err);
        double sum = 0;
        for (int i = 0; rc == 0 && i < model_info(m)->dim; i++)
            sum += (double)v[i] * (double)v[i];
        if (rc == 0 && !(sum > 0 && sum < 1e12))
            rc = err_kind_set(err, ERR_FORMAT, "the model in '%s' does not compute finite numbers",
                              path);
        free(v);
        encoder_close(e);
    }
    model_close(m);
    return rc;
}

/* fit: NULL, or what was measured. */
static int say_model(const struct args *a, const char *what, const char *name, const char *path,
                     const struct model_fitness *fit)
{
    struct str out = {0};
    if (a->json || a->jsonl) {
        struct json_writer w;
        json_begin(&w, &out);
        jw_ktext(&w, "name", name);
        jw_ktext(&w, "path", path);
        if (fit)
            precision_json(fit, &w);
        json_finish(&w);
    } else {
        str_printf(&out, "%s %s\n", what, name);
        if (fit)
            precision_text(fit, &out);
    }
    out_str(&out);
    return EXIT_FOUND;
}

/* What the model's precisions are worth is measured now, so that no index has to wait for it. */
static int say_added(const struct args *a, const struct registry_entry *added, struct err *err)
{
    struct model_fitness fit[MODEL_FITNESSES];
    const int threads = a->threads ? (int)a->threads : thread_default_count();
    if (precision_check(added, true, threads, fit, err))
        return err_wrap(err, "'%s' is added, but", added->name);
    return say_model(a, "added", added->name, added->path, fit);
}

static int model_add(const struct args *a, struct err *err)
{
    if (a->n_pos != 2)
        return err_kind_set(err, ERR_USAGE, "expected one folder: semsearch model add DIR");
    char *path = path_absolute(a->pos[1], err);
    if (!path)
        return -1;
    const char *name = a->name ? a->name : strrchr(path, '/') + 1;
    struct registry r = {0};
    int rc = check_name(name, err);
    if (rc == 0)
        rc = try_model(path, a->pooling, err);
    if (rc == 0)
        rc = registry_load(&r, err);
    const struct registry_entry *old = registry_find(&r, name);
    if (rc == 0 && old && strcmp(old->path, path) != 0 && dir_exists(old->path)) {
        err_kind_set(err, ERR_USAGE, "there is a model '%s' already, in '%s'", name, old->path);
        rc = err_hint(err, "give this one another name: --name NAME");
    }
    if (rc == 0) {
        registry_set(&r, name, path, a->pooling);
        rc = registry_save(&r, err);
    }
    if (rc == 0)
        rc = say_added(a, registry_find(&r, name), err);
    registry_release(&r);
    free(path);
    return rc;
}

static int model_remove(const struct args *a, struct err *err)
{
    if (a->n_pos != 2)
        return err_kind_set(err, ERR_USAGE, "expected one name: semsearch model remove NAME");
    struct registry r;
    if (registry_load(&r, err))
        return -1;
    char *data = xdg_data_dir(err), *ours = data ? path_join(data, "models/") : NULL;
    const struct registry_entry *e = registry_find(&r, a->pos[1]);
    int rc = data ? 0 : -1;
    if (rc == 0 && !e) {
        err_kind_set(err, ERR_NOT_FOUND, "no model '%s'", a->pos[1]);
        rc = err_hint(err, "`semsearch model list` shows the names");
    }
    char *path = rc == 0 ? xstrdup(e->path) : NULL;
    if (rc == 0) {
        registry_drop(&r, a->pos[1]);
        rc = registry_save(&r, err);
    }
    /* what lies in our own folder would be found again: removing means deleting there, and only
     * there */
    if (rc == 0 && strncmp(path, ours, strlen(ours)) == 0 && dir_exists(path))
        rc = dir_remove_tree(path, err);
    if (rc == 0)
        rc = say_model(a, "removed", a->pos[1], path, NULL);
    free(path);
    free(ours);
    free(data);
    registry_release(&r);
    return rc;
}

static int model_default(const struct args *a, struct err *err)
{
    if (a->n_pos != 2)
        return err_kind_set(err, ERR_USAGE, "expected one name: semsearch model default NAME");
    struct registry r;
    if (registry_load(&r, err))
        return -1;
    int rc = 0;
    const struct registry_entry *e = registry_find(&r, a->pos[1]);
    if (!e) {
        err_kind_set(err, ERR_NOT_FOUND, "no model '%s'", a->pos[1]);
        rc = err_hint(err, "`semsearch model list` shows the names");
    } else {
        free(r.standard);
        r.standard = xstrdup(e->name);
        rc = registry_save(&r, err);
    }
    if (rc == 0)
        rc = say_model(a, "default is now", e->name, e->path, NULL);
    registry_release(&r);
    return rc;
}

int cmd_model(const struct args *a, struct err *err)
{
    static const struct {
        const char *word;
        int (*run)(const struct args *a, struct err *err);
    } verbs[] = {{"add", model_add},
                 {"list", model_list},
                 {"show", model_show},
                 {"remove", model_remove},
                 {"default", model_default}};
    const char *word = a->n_pos ? a->pos[0] : "list";
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].word, word) == 0)
            return verbs[i].run(a, err);
    err_kind_set(err, ERR_USAGE, "unknown 'model' command '%s'", word);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (str_distance(verbs[i].word, word) <= 2)
            return err_hint(err, "did you mean '%s'?", verbs[i].word);
    return err_hint(err, "add DIR, list, show [NAME|DIR], remove NAME, default NAME");
}
