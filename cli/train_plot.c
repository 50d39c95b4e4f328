/* train_plot.c - the curves of a run, from its metrics.jsonl; see train_files.h. */
#include "cli/plot.h"
#include "cli/train_files.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_METRICS_BYTES ((size_t)1 << 30)

/* Points of one name, in the order of the file. */
struct curve {
    char *name;
    double *x, *y;
    size_t n, cap_x, cap_y;
};
struct curves {
    struct curve *item;
    size_t n, cap;
};

static void add_point(struct curves *c, const char *name, double x, double y)
{
    size_t i = 0;
    while (i < c->n && strcmp(c->item[i].name, name) != 0)
        i++;
    if (i == c->n) {
        VEC_GROW(c->item, c->n, c->cap);
        c->item[c->n++] = (struct curve){.name = xstrdup(name)};
    }
    struct curve *k = &c->item[i];
    VEC_GROW(k->x, k->n, k->cap_x);
    VEC_GROW(k->y, k->n, k->cap_y);
    k->x[k->n] = x;
    k->y[k->n++] = y;
}

static void read_line(json_value *v, struct curves *c)
{
    static const char *const steps[] = {"loss", "lr", "grad_norm"};
    const double step = js_number(js_get(v, "step"), NAN);
    json_value *eval = js_get(v, "eval");
    for (size_t i = 0; !eval && i < ARRAY_LEN(steps); i++)
        add_point(c, steps[i], step, js_number(js_get(v, steps[i]), NAN));
    for (void *it = eval ? js_iter(eval) : NULL; it; it = js_iter_next(eval, it)) {
        const double y = js_number(js_iter_value(it), NAN);
        if (strcmp(js_iter_key(it), "n") == 0)
            continue;
        char *name = xasprintf("evaluation: %s", js_iter_key(it));
        add_point(c, name, step, y);
        free(name);
    }
}

/* How much was scored is no curve: every evaluation has the same. */
static bool is_count(const struct curve *c)
{
    bool same = c->n > 1 && strncmp(c->name, "evaluation", 10) == 0;
    for (size_t i = 1; same && i < c->n; i++)
        same = c->y[i] == c->y[0];
    return same;
}

static int draw(const struct curves *c, const char *file, const char *title, struct err *err)
{
    struct plot_series *series = xcalloc(c->n + 1, sizeof *series);
    struct plot_panel *panel = xcalloc(c->n + 1, sizeof *panel);
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct curve *k = &c->item[i];
        if (is_count(k))
            continue;
        series[n] = (struct plot_series){.name = k->name,
                                         .x = k->x,
                                         .y = k->y,
                                         .n = k->n,
                                         .dots = strncmp(k->name, "evaluation", 10) == 0,
                                         .smooth = strcmp(k->name, "loss") == 0};
        panel[n] = (struct plot_panel){.title = k->name, .series = &series[n], .n = 1};
        n++;
    }
    const int rc = plot_write(file, title, "step", panel, n, err);
    free(series);
    free(panel);
    return rc;
}

int train_plot(const char *dir, const char *file, const char *title, struct err *err)
{
    struct str text = {.max = MAX_METRICS_BYTES};
    struct curves c = {0};
    char *path = path_join(dir, "metrics.jsonl");
    int rc = file_read(path, MAX_METRICS_BYTES, &text, err);
    struct span rest = str_view(&text), line;
    while (rc == 0 && span_split(&rest, '\n', &line)) {
        struct err ignored;
        json_value *v = js_parse(line, path, &ignored);
        if (v)
            read_line(v, &c);
        js_free(v);
    }
    if (rc == 0)
        rc = draw(&c, file, title, err);
    for (size_t i = 0; i < c.n; i++) {
        free(c.item[i].name);
        free(c.item[i].x);
        free(c.item[i].y);
    }
    free(c.item);
    free(path);
    str_release(&text);
    return rc;
}
