/* checkpoint.c - the state of a run on disk, so that it goes on bit for bit; see run.h.
 *
 * OUT/checkpoint-STEP/
 *   config.json, model.safetensors, ...   a model folder like any other: it can be used as it is
 *   optimizer.safetensors                 "m.NAME" and "v.NAME" of every trained parameter
 *   state.json                            where the run stands, and size and hash of each file
 * above
 *
 * It is made as OUT/.tmp-checkpoint-STEP, every file synced, state.json last, then renamed, so that
 * a checkpoint of that name is whole; the hashes find what a disk damaged later. There is no state
 * of a random generator to keep: see draw.h.
 */
#include "encoder/train/run.h"
#include "encoder/weights/safetensors.h"
#include "encoder/weights/write.h"

#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX    "checkpoint-"
#define TEMPORARY ".tmp-"
enum { MAX_STATE_BYTES = 1 << 20 };

/* ---- writing ------------------------------------------------------------------------------------
 */

static int write_optimizer(const char *dir, const struct adamw *a, struct err *err)
{
    const struct params *p = a->params;
    struct tensor_out *t = xcalloc(2 * (size_t)p->n + 1, sizeof *t);
    size_t n = 0;
    for (int i = 0; i < p->n; i++)
        for (int k = 0; k < 2 && a->m[i]; k++)
            t[n++] = (struct tensor_out){.name = xasprintf("%c.%s", k ? 'v' : 'm', p->p[i]->name),
                                         .data = k ? a->v[i] : a->m[i],
                                         .rows = p->p[i]->rows,
                                         .cols = p->p[i]->cols};
    char *path = path_join(dir, "optimizer.safetensors");
    const int rc = safetensors_write(path, t, n, err);
    free(path);
    for (size_t i = 0; i < n; i++)
        free((char *)t[i].name);
    free(t);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, sorted; *n of them, owned. */
static char **names_in(const char *dir, size_t *n)
{
    char **name = NULL;
    size_t cap = 0;
    *n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        VEC_GROW(name, *n, cap);
        name[(*n)++] = xstrdup(e->d_name);
    }
    if (d)
        closedir(d);
    if (*n)
        qsort(name, *n, sizeof *name, by_name);
    return name;
}

static void free_names(char **name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(name[i]);
    free(name);
}

static int hash_file(const char *path, char hex[33], size_t *bytes, struct err *err)
{
    struct map m;
    if (map_open(&m, path, err))
        return -1;
    hash_hex(hash_bytes(m.p, m.n), hex);
    *bytes = m.n;
    map_close(&m);
    return 0;
}

/* "name": {"bytes", "hash"} for every file below dir but state.json. */
static int list_files(struct json_writer *w, const char *dir, const char *below, struct err *err)
{
    size_t n;
    int rc = 0;
    char **name = names_in(dir, &n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        char *path = path_join(dir, name[i]);
        char *shown = *below ? path_join(below, name[i]) : xstrdup(name[i]);
        char hex[33];
        size_t bytes;
        if (dir_exists(path)) {
            rc = list_files(w, path, shown, err);
        } else if (strcmp(shown, "state.json") != 0) {
            rc = hash_file(path, hex, &bytes, err);
            if (rc == 0) {
                jw_key(w, shown);
                jw_object(w);
                jw_kint(w, "bytes", (int64_t)bytes);
                jw_ktext(w, "hash", hex);
                jw_end(w);
            }
        }
        free(path);
        free(shown);
    }
    free_names(name, n);
    return rc;
}

static void write_fields(struct json_writer *w, const struct run_state *s)
{
    char hex[24];
    jw_kint(w, "version", 1);
    jw_kint(w, "step", s->step);
    jw_kint(w, "epoch", s->epoch);
    jw_kint(w, "group", s->group);
    jw_kint(w, "rows", s->rows);
    jw_kint(w, "tokens", s->tokens);
    jw_kint(w, "best_step", s->best_step);
    jw_kfloat(w, "best", s->best, 17);
    jw_kint(w, "worse", s->worse);
    jw_kint(w, "evaluated", s->evaluated);
    jw_kfloat(w, "log_loss", s->log_loss, 17);
    jw_kint(w, "log_steps", s->log_steps);
    jw_kint(w, "log_tokens", s->log_tokens);
    jw_kint(w, "micro_tokens", s->micro_tokens);
    jw_kbool(w, "cached", s->cached);
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)s->settings);
    jw_ktext(w, "settings", hex);
}

/* state.json: the fields, the files, and as "check" the hash of all that stands before it. */
static int write_state(const char *dir, const struct run_state *s, struct err *err)
{
    struct str text = {0};
    struct json_writer w;
    jw_init(&w, &text);
    jw_object(&w);
    write_fields(&w, s);
    jw_key(&w, "files");
    jw_object(&w);
    int rc = list_files(&w, dir, "", err);
    jw_end(&w);
    if (rc == 0) {
        char hex[33];
        hash_hex(hash_bytes(text.p, text.n), hex);
        jw_ktext(&w, "check", hex);
        jw_end(&w);
        str_putc(&text, '\n');
        char *path = path_join(dir, "state.json");
        struct outfile f;
        rc = outfile_open(&f, path, err);
        if (rc == 0) {
            outfile_write(&f, text.p, text.n);
            rc = outfile_commit(&f, err);
        }
        free(path);
    }
    str_release(&text);
    return rc;
}

static int sync_folder(const char *dir, struct err *err)
{
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;
    if (fd < 0 || fsync(fd))
        rc = err_errno(err, "cannot sync '%s'", dir);
    if (fd >= 0)
        close(fd);
    return rc;
}

static char *checkpoint_path(const char *out, const char *before, int64_t step)
{
    char name[64];
    snprintf(name, sizeof name, "%s" PREFIX "%lld", before, (long long)step);
    return path_join(out, name);
}

int checkpoint_save(const char *out, struct learner *l, const struct adamw *a,
                    const struct run_state *s, struct err *err)
{
    char *tmp = checkpoint_path(out, TEMPORARY, s->step), *path = checkpoint_path(out, "", s->step);
    int rc = dir_exists(tmp) ? dir_remove_tree(tmp, err) : 0;
    if (rc == 0)
        rc = dir_make(tmp, err);
    if (rc == 0)
        rc = learner_save(l, tmp, 0, err);
    if (rc == 0)
        rc = write_optimizer(tmp, a, err);
    if (rc == 0)
        rc = write_state(tmp, s, err);
    if (rc == 0)
        rc = sync_folder(tmp, err);
    if (rc == 0 && dir_exists(path)) /* of the same step, written before a resume */
        rc = dir_remove_tree(path, err);
    if (rc == 0 && rename(tmp, path))
        rc = err_errno(err, "cannot rename '%s' to '%s'", tmp, path);
    if (rc == 0)
        rc = sync_folder(out, err);
    if (rc) {
        (void)!dir_remove_tree(tmp, NULL);
        err_wrap(err, "checkpoint of step %lld not saved", (long long)s->step);
    }
    free(tmp);
    free(path);
    return rc;
}

/* ---- reading ------------------------------------------------------------------------------------
 */

static int damaged(const char *dir, const char *what, struct err *err)
{
    return err_kind_set(err, ERR_CORRUPT, "the checkpoint '%s' is damaged: %s", dir, what);
}

static int check_file(const char *dir, const char *name, const json_value *v, struct err *err)
{
    char hex[33], *path = path_join(dir, name);
    size_t bytes;
    int rc = hash_file(path, hex, &bytes, err);
    if (rc == 0 && ((int64_t)bytes != js_int(js_get(v, "bytes"), -1) ||
                    !span_eq(js_string(js_get(v, "hash"), ""), hex)))
        rc = damaged(dir, name, err);
    free(path);
    return rc;
}

/* The hash at its end must be that of all before it. */
static bool state_checks(const struct str *text)
{
    static const char mark[] = ",\"check\":\"";
    const char *at = text->p ? memmem(text->p, text->n, mark, sizeof mark - 1) : NULL;
    char hex[33];
    if (!at || text->n - (size_t)(at - text->p) < sizeof mark - 1 + 32)
        return false;
    hash_hex(hash_bytes(text->p, (size_t)(at - text->p)), hex);
    return memcmp(at + sizeof mark - 1, hex, 32) == 0;
}

static json_value *read_state(const char *dir, struct err *err)
{
    struct str text = {.max = MAX_STATE_BYTES};
    char *path = path_join(dir, "state.json");
    json_value *v = NULL;
    if (file_read(path, MAX_STATE_BYTES, &text, err) == 0) {
        if (!state_checks(&text))
            damaged(dir, "state.json", err);
        else
            v = js_parse(str_view(&text), path, err);
    }
    str_release(&text);
    free(path);
    return v;
}

/* All files are there with the hashes that state.json has. */
static int check(const char *dir, struct err *err)
{
    json_value *v = read_state(dir, err);
    json_value *files = js_get(v, "files");
    int rc = v ? 0 : -1;
    if (rc == 0 && js_count(files) == 0)
        rc = damaged(dir, "state.json", err);
    for (void *it = rc ? NULL : js_iter(files); it && rc == 0; it = js_iter_next(files, it))
        rc = check_file(dir, js_iter_key(it), js_iter_value(it), err);
    js_free(v);
    return rc;
}

int checkpoint_read_state(const char *dir, struct run_state *s, struct err *err)
{
    json_value *v = read_state(dir, err);
    if (!v)
        return -1;
    char hex[24] = "";
    const struct span settings = js_string(js_get(v, "settings"), "");
    snprintf(hex, sizeof hex, "%.*s", (int)(settings.n < 16 ? settings.n : 16), settings.p);
    *s = (struct run_state){.step = js_int(js_get(v, "step"), 0),
                            .epoch = js_int(js_get(v, "epoch"), 0),
                            .group = js_int(js_get(v, "group"), 0),
                            .rows = js_int(js_get(v, "rows"), 0),
                            .tokens = js_int(js_get(v, "tokens"), 0),
                            .best_step = js_int(js_get(v, "best_step"), 0),
                            .best = js_number(js_get(v, "best"), 0),
                            .worse = (int)js_int(js_get(v, "worse"), 0),
                            .evaluated = js_int(js_get(v, "evaluated"), -1),
                            .log_loss = js_number(js_get(v, "log_loss"), 0),
                            .log_steps = js_int(js_get(v, "log_steps"), 0),
                            .log_tokens = js_int(js_get(v, "log_tokens"), 0),
                            .micro_tokens = (int)js_int(js_get(v, "micro_tokens"), 0),
                            .cached = js_bool(js_get(v, "cached"), false),
                            .settings = strtoull(hex, NULL, 16)};
    js_free(v);
    if (s->step < 0 || s->epoch < 0 || s->group < 0 || s->micro_tokens < 1)
        return damaged(dir, "state.json", err);
    return 0;
}

static int read_moment(const struct safetensors *f, const char *dir, char which,
                       const struct param *p, float *out, struct err *err)
{
    char *name = xasprintf("%c.%s", which, p->name);
    const struct tensor *t = safetensors_find(f, name);
    const size_t n = (size_t)p->rows * (size_t)p->cols;
    free(name);
    if (!t || t->dtype != DTYPE_F32 || t->n_elements != (int64_t)n) {
        damaged(dir, "optimizer.safetensors is of another model", err);
        return err_hint(err, "the options that decide what is trained (--freeze, --base) must be "
                             "those of the run");
    }
    memcpy(out, t->data, n * sizeof *out);
    return 0;
}

int checkpoint_read_optimizer(const char *dir, const struct learner *l, struct adamw *a,
                              struct err *err)
{
    (void)l;
    struct safetensors f;
    char *path = path_join(dir, "optimizer.safetensors");
    int rc = safetensors_open(&f, path, err);
    free(path);
    if (rc)
        return -1;
    size_t trained = 0;
    for (int i = 0; i < a->params->n && rc == 0; i++) {
        if (!a->m[i])
            continue;
        trained++;
        rc = read_moment(&f, dir, 'm', a->params->p[i], a->m[i], err);
        if (rc == 0)
            rc = read_moment(&f, dir, 'v', a->params->p[i], a->v[i], err);
    }
    if (rc == 0 && f.n_tensors != 2 * trained)
        rc = damaged(dir, "optimizer.safetensors has moments of tensors that are not trained now",
                     err);
    safetensors_close(&f);
    return rc;
}

/* ---- which checkpoints there are ----------------------------------------------------------------
 */

static int newest_first(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* The steps of the checkpoints in a run's folder, falling; owned. */
static int64_t *steps_in(const char *out, size_t *n)
{
    size_t n_names, cap = 0;
    char **name = names_in(out, &n_names);
    int64_t *step = NULL;
    *n = 0;
    for (size_t i = 0; i < n_names; i++) {
        const char *digits = name[i] + strlen(PREFIX);
        char *end;
        if (strncmp(name[i], PREFIX, strlen(PREFIX)) != 0)
            continue;
        const long long s = strtoll(digits, &end, 10);
        if (end == digits || *end || s < 0)
            continue;
        VEC_GROW(step, *n, cap);
        step[(*n)++] = s;
    }
    free_names(name, n_names);
    if (*n)
        qsort(step, *n, sizeof *step, newest_first);
    return step;
}

char *checkpoint_find(const char *path, const struct train_sink *sink, struct err *err)
{
    char *own = path_join(path, "state.json");
    const bool is_one = file_exists(own);
    free(own);
    if (is_one)
        return check(path, err) ? NULL : xstrdup(path);
    size_t n;
    int64_t *step = steps_in(path, &n);
    char *found = NULL;
    struct err first = {0};
    for (size_t i = 0; i < n && !found; i++) {
        struct err why = {0};
        char *candidate = checkpoint_path(path, "", step[i]);
        if (check(candidate, &why) == 0) {
            found = candidate;
            break;
        }
        if (!first.msg[0])
            first = why;
        if (sink && sink->note) {
            char *line = xasprintf("%s; going back to the one before", why.msg);
            sink->note(sink->ctx, line);
            free(line);
        }
        free(candidate);
    }
    free(step);
    if (found)
        return found;
    if (n) {
        *err = first;
        return NULL;
    }
    err_kind_set(err, ERR_NOT_FOUND, "'%s' has no checkpoint to resume from", path);
    err_hint(err, "give the folder of a run (--out of it) or one checkpoint-N in it");
    return NULL;
}

int checkpoint_prune(const char *out, int keep, int64_t best, struct err *err)
{
    size_t n;
    int64_t *step = steps_in(out, &n);
    int rc = 0, kept = 0;
    for (size_t i = 0; i < n && keep > 0 && rc == 0; i++) {
        if (step[i] == best || kept < keep) {
            kept += step[i] != best;
            continue;
        }
        char *path = checkpoint_path(out, "", step[i]);
        rc = dir_remove_tree(path, err);
        free(path);
    }
    free(step);
    return rc;
}

void checkpoint_clean(const char *out)
{
    size_t n;
    char **name = names_in(out, &n);
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(out, name[i]);
        if (strncmp(name[i], TEMPORARY, strlen(TEMPORARY)) == 0 && dir_exists(path))
            (void)!dir_remove_tree(path, NULL);
        free(path);
    }
    free_names(name, n);
}
