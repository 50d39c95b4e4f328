/* cmd_machine.c - `doctor`, `version`, `completions`, `help`: this machine and this program. */
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/precision.h"
#include "cli/registry.h"
#include "index/index.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/thread.h"
#include "src/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SEMSEARCH_VERSION
#define SEMSEARCH_VERSION "0"
#endif
#ifndef SEMSEARCH_BUILD
#define SEMSEARCH_BUILD "unknown"
#endif

int cmd_version(const struct args *a, struct err *err)
{
    if (a->n_pos)
        return err_kind_set(err, ERR_USAGE, "unexpected argument '%s'", a->pos[0]);
    struct str out = {0};
    if (a->json || a->jsonl) {
        struct json_writer w;
        json_begin(&w, &out);
        jw_ktext(&w, "version", SEMSEARCH_VERSION);
        jw_ktext(&w, "build", SEMSEARCH_BUILD ", " __VERSION__);
        jw_ktext(&w, "isa", kern.isa);
        jw_ktext(&w, "features", kern.features);
        jw_knull(&w, "blas"); /* all arithmetic is our own; no BLAS is linked */
        jw_kint(&w, "index_format", STORE_FORMAT);
        json_finish(&w);
    } else {
        str_printf(
            &out, "semsearch %s (%s, gcc %s)\narithmetic: %s (%s); no BLAS\nindex format %d\n",
            SEMSEARCH_VERSION, SEMSEARCH_BUILD, __VERSION__, kern.isa, kern.features, STORE_FORMAT);
    }
    out_str(&out);
    return EXIT_FOUND;
}

/* One line of the doctor's report. */
struct check {
    const char *name;
    bool ok, needed; /* needed: nothing works without it */
    char found[256]; /* what is there */
    char cost[256];  /* what its absence costs */
    char remedy[256];
};

static void check_arithmetic(struct check *c)
{
    *c = (struct check){.name = "arithmetic", .needed = true, .ok = true};
    snprintf(c->found, sizeof c->found, "%s (%s), %d threads", kern.isa, kern.features,
             thread_default_count());
}

static void check_model(struct check *c)
{
    *c = (struct check){.name = "default model", .needed = true};
    struct err err = {0};
    struct registry_entry from = {0};
    struct model *m = NULL;
    struct model_fitness fit[MODEL_FITNESSES];
    if (registry_resolve(NULL, &from, &err) == 0) {
        const struct model_options options = {.pooling = from.pooling};
        c->ok = model_inspect(from.path, &options, &m, &err) == 0 &&
                precision_check(&from, false, 1, fit, &err) == 0;
    }
    if (c->ok)
        snprintf(c->found, sizeof c->found, "%.60s in %.150s, --precision auto is %s", from.name,
                 from.path, precision_auto(fit));
    else
        snprintf(c->cost, sizeof c->cost, "only keyword search works without a model: %.180s",
                 err.msg);
    snprintf(c->remedy, sizeof c->remedy, "%.250s", err.hint);
    model_close(m);
    registry_entry_release(&from);
}

static void check_worker(struct check *c)
{
    *c = (struct check){.name = "extraction worker", .needed = true};
    struct err err = {0};
    char sandbox[128];
    c->ok = extract_sandbox_describe(sandbox, &err) == 0;
    snprintf(c->found, sizeof c->found, "%s", c->ok ? sandbox : "");
    if (!c->ok)
        snprintf(c->cost, sizeof c->cost, "no file can be indexed: %.200s", err.msg);
    snprintf(c->remedy, sizeof c->remedy, "%.250s", err.hint);
}

static void check_program(const struct extract_format *f, struct check *c)
{
    *c = (struct check){.name = f->program, .ok = extract_program_found(f->program)};
    snprintf(c->found, sizeof c->found, "reads %s", f->extensions);
    snprintf(c->cost, sizeof c->cost, "%s files cannot be indexed", f->extensions);
    snprintf(c->remedy, sizeof c->remedy, "apt-get install %s",
             f->package ? f->package : f->program);
}

/* All checks, one for each program that some format needs; the caller frees. */
static struct check *examine(size_t *n)
{
    struct check *list = NULL;
    size_t cap = 0;
    *n = 0;
    static void (*const fixed[])(struct check *) = {check_arithmetic, check_model, check_worker};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        VEC_GROW(list, *n, cap);
        fixed[i](&list[(*n)++]);
    }
    const struct extract_format *f;
    for (size_t i = 0; (f = extract_format_at(i)); i++) {
        bool seen = !f->program;
        for (size_t j = 0; j < *n && !seen; j++)
            seen = strcmp(list[j].name, f->program) == 0;
        if (seen)
            continue;
        VEC_GROW(list, *n, cap);
        check_program(f, &list[(*n)++]);
    }
    return list;
}

static void doctor_json(const struct check *c, size_t n, bool ok, struct str *out)
{
    struct json_writer w;
    json_begin(&w, out);
    jw_kbool(&w, "ok", ok);
    jw_key(&w, "checks");
    jw_array(&w);
    for (size_t i = 0; i < n; i++) {
        jw_object(&w);
        jw_ktext(&w, "name", c[i].name);
        jw_kbool(&w, "ok", c[i].ok);
        jw_kbool(&w, "needed", c[i].needed);
        jw_ktext(&w, "found", c[i].ok ? c[i].found : NULL);
        jw_ktext(&w, "cost", c[i].ok ? NULL : c[i].cost);
        jw_ktext(&w, "remedy", c[i].ok || !c[i].remedy[0] ? NULL : c[i].remedy);
        jw_end(&w);
    }
    jw_end(&w);
    jw_key(&w, "formats");
    jw_array(&w);
    const struct extract_format *f;
    for (size_t i = 0; (f = extract_format_at(i)); i++) {
        jw_object(&w);
        jw_ktext(&w, "name", f->name);
        jw_ktext(&w, "extensions", f->extensions);
        jw_ktext(&w, "kind", kind_name(f->kind));
        jw_ktext(&w, "program", f->program);
        jw_kbool(&w, "available", !f->program || extract_program_found(f->program));
        jw_end(&w);
    }
    jw_end(&w);
    json_finish(&w);
}

int cmd_doctor(const struct args *a, struct err *err)
{
    if (a->n_pos)
        return err_kind_set(err, ERR_USAGE, "unexpected argument '%s'", a->pos[0]);
    size_t n;
    struct check *c = examine(&n);
    bool ok = true;
    struct str out = {0};
    for (size_t i = 0; i < n; i++)
        ok = ok && (c[i].ok || !c[i].needed);
    if (a->json || a->jsonl) {
        doctor_json(c, n, ok, &out);
    } else {
        for (size_t i = 0; i < n; i++) {
            styled(&out,
                   c[i].ok       ? STYLE_GOOD
                   : c[i].needed ? STYLE_BAD
                                 : STYLE_DIM,
                   span_of(c[i].ok ? "ok       " : "missing  "));
            str_printf(&out, "%-18s %s\n", c[i].name, c[i].ok ? c[i].found : c[i].cost);
            if (!c[i].ok && c[i].remedy[0])
                str_printf(&out, "%28s%s\n", "", c[i].remedy);
        }
        str_puts(&out, "formats\n");
        args_formats(&out);
    }
    free(c);
    out_str(&out);
    return ok ? EXIT_FOUND : EXIT_BAD;
}

int cmd_completions(const struct args *a, struct err *err)
{
    if (a->n_pos != 1) {
        err_kind_set(err, ERR_USAGE, "for which shell?");
        return err_hint(err, "semsearch completions bash|zsh|fish");
    }
    struct str out = {0};
    const int rc = args_completions(a->pos[0], &out, err);
    if (rc == 0)
        out_str(&out);
    str_release(&out);
    return rc;
}

int cmd_help(const struct args *a, struct err *err)
{
    const struct command *c = NULL;
    if (a->n_pos > 1)
        return err_kind_set(err, ERR_USAGE, "unexpected argument '%s'", a->pos[1]);
    if (a->n_pos == 1 && !(c = command_find(a->pos[0], err)))
        return -1;
    struct str out = {0};
    args_help(c, &out);
    out_str(&out);
    return EXIT_FOUND;
}
