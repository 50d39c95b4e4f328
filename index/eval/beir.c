/* beir.c - reading BEIR folders: JSON lines of documents and questions, tab-separated judgements.
 *
 * qrels lines are query-id, corpus-id, score; the first line names the columns and is known by its
 * third field, which is no number. Ids are bytes and compared as such. Everything that does not fit
 * is an error with file and line: a score over half a collection would look like a result.
 */
#include "index/eval/beir.h"

#include "src/base/file.h"
#include "src/base/json.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON lines ---- */

static int each_line(const char *path, int (*fn)(void *ctx, const json_value *v, struct err *err),
                     void *ctx, struct err *err)
{
    struct map m;
    struct span rest, line;
    long long number = 0;
    int rc = 0;
    if (map_open(&m, path, err))
        return -1;
    rest = (struct span){(const char *)m.p, m.n};
    while (rc == 0 && rest.n && span_split(&rest, '\n', &line)) {
        number++;
        if (span_trim(line).n == 0)
            continue;
        json_value *v = js_parse_line(line, err);
        rc = v ? fn(ctx, v, err) : -1;
        js_free(v);
        if (rc)
            err_wrap(err, "'%s' line %lld", path, number);
    }
    map_close(&m);
    return rc;
}

/* "_id" is a string; some collections have it as a number. */
static int read_id(const json_value *v, char number[32], struct span *id, struct err *err)
{
    const json_value *x = js_get(v, "_id");
    if (js_is_number(x)) {
        snprintf(number, 32, "%lld", (long long)js_int(x, 0));
        *id = span_of(number);
    } else {
        *id = js_string(x, "");
    }
    if (memchr(id->p, '\0', id->n))
        return err_kind_set(err, ERR_FORMAT, "an \"_id\" with \\u0000");
    return id->n ? 0 : err_kind_set(err, ERR_FORMAT, "no \"_id\" here");
}

struct doc_walk {
    int (*fn)(void *ctx, const struct beir_doc *d, struct err *err);
    void *ctx;
};

static int doc_line(void *ctx, const json_value *v, struct err *err)
{
    const struct doc_walk *w = ctx;
    char number[32];
    struct beir_doc d = {.title = js_string(js_get(v, "title"), ""),
                         .text = js_string(js_get(v, "text"), "")};
    return read_id(v, number, &d.id, err) ? -1 : w->fn(w->ctx, &d, err);
}

int beir_each_doc(const char *dir, int (*fn)(void *ctx, const struct beir_doc *d, struct err *err),
                  void *ctx, struct err *err)
{
    struct doc_walk w = {fn, ctx};
    char *path = path_join(dir, "corpus.jsonl");
    const int rc = each_line(path, doc_line, &w, err);
    if (rc && !file_exists(path))
        err_hint(err,
                 "a judged collection is a folder with corpus.jsonl, queries.jsonl and qrels/");
    free(path);
    return rc;
}

static int add_name(void *ctx, const struct beir_doc *d, struct err *err)
{
    if (names_add(ctx, d->id) >= 0)
        return 0;
    return err_kind_set(err, ERR_FORMAT, "document '%.*s' comes twice",
                        (int)(d->id.n < 200 ? d->id.n : 200), d->id.p);
}

int beir_names(const char *dir, struct names *out, struct err *err)
{
    *out = (struct names){0};
    if (beir_each_doc(dir, add_name, out, err) == 0)
        return 0;
    names_release(out);
    return -1;
}

/* ---- judgements ---- */

struct reading {
    struct beir_queries *out;
    struct names ids; /* of the questions, numbers as in out->item */
    const struct names *docs;
    const char *path;
};

static int read_grade(struct span s, int *grade)
{
    char text[16] = "", *end;
    if (s.n == 0 || s.n >= sizeof text)
        return -1;
    memcpy(text, s.p, s.n);
    *grade = (int)strtol(text, &end, 10);
    return *end == '\0' ? 0 : -1;
}

static struct beir_query *query_of(struct reading *r, struct span id)
{
    int64_t n = names_find(&r->ids, id);
    if (n < 0) {
        n = names_add(&r->ids, id);
        VEC_GROW(r->out->item, r->out->n, r->out->cap);
        r->out->item[r->out->n++] =
            (struct beir_query){.id = arena_strndup(&r->out->memory, id.p, id.n)};
    }
    return &r->out->item[n];
}

static int judgement_line(struct reading *r, struct span line, long long number, struct err *err)
{
    struct span rest = line, field[3] = {{0}};
    int grade;
    for (int i = 0; i < 3; i++)
        if (!span_split(&rest, '\t', &field[i]))
            return err_kind_set(
                err, ERR_FORMAT,
                "'%s' line %lld: expected query-id, corpus-id and score between tabs", r->path,
                number);
    if (read_grade(span_trim(field[2]), &grade)) {
        if (number == 1)
            return 0;
        return err_kind_set(err, ERR_FORMAT, "'%s' line %lld: '%.*s' is no whole number", r->path,
                            number, (int)(field[2].n < 40 ? field[2].n : 40), field[2].p);
    }
    const int64_t doc = names_find(r->docs, field[1]);
    if (doc < 0) {
        err_kind_set(err, ERR_FORMAT,
                     "'%s' line %lld judges document '%.*s', which is not in the corpus", r->path,
                     number, (int)(field[1].n < 200 ? field[1].n : 200), field[1].p);
        return err_hint(err, "judgements and corpus.jsonl must be of the same collection");
    }
    struct beir_query *q = query_of(r, field[0]);
    VEC_GROW(q->judged, q->n_judged, q->cap);
    q->judged[q->n_judged++] = (struct beir_judgement){(uint32_t)doc, grade};
    q->n_relevant += grade > 0;
    return 0;
}

static int judgements_read(struct reading *r, struct err *err)
{
    struct map m;
    struct span rest, line;
    long long number = 0;
    int rc = 0;
    if (map_open(&m, r->path, err))
        return -1;
    rest = (struct span){(const char *)m.p, m.n};
    while (rc == 0 && rest.n && span_split(&rest, '\n', &line)) {
        number++;
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n)
            rc = judgement_line(r, line, number, err);
    }
    map_close(&m);
    return rc;
}

static int judgement_cmp(const void *pa, const void *pb)
{
    const struct beir_judgement *a = pa, *b = pb;
    return (a->doc > b->doc) - (a->doc < b->doc);
}

/* Sorts by document; of judgements of the same one the highest counts. */
static void judgements_sort(struct beir_query *q)
{
    size_t kept = 0;
    if (q->n_judged > 1)
        qsort(q->judged, q->n_judged, sizeof *q->judged, judgement_cmp);
    q->n_relevant = 0;
    for (size_t i = 0; i < q->n_judged; i++) {
        const struct beir_judgement j = q->judged[i];
        if (kept == 0 || q->judged[kept - 1].doc != j.doc)
            q->judged[kept++] = j;
        else if (j.grade > q->judged[kept - 1].grade)
            q->judged[kept - 1].grade = j.grade;
    }
    q->n_judged = kept;
    for (size_t i = 0; i < kept; i++)
        q->n_relevant += q->judged[i].grade > 0;
}

int beir_grade(const struct beir_query *q, uint32_t doc)
{
    const struct beir_judgement key = {.doc = doc};
    const struct beir_judgement *found =
        q->n_judged ? bsearch(&key, q->judged, q->n_judged, sizeof key, judgement_cmp) : NULL;
    return found ? found->grade : 0;
}

/* ---- which files ---- */

/* The only .tsv of DIR/qrels; owned, NULL when there is none or more than one. */
static char *only_tsv(const char *folder)
{
    DIR *d = opendir(folder);
    char *found = NULL;
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (span_ends(span_of(e->d_name), ".tsv") && n++ == 0)
            found = path_join(folder, e->d_name);
    if (d)
        closedir(d);
    if (n > 1) {
        free(found);
        found = NULL;
    }
    return found;
}

static char *qrels_path(const char *dir, struct err *err)
{
    static const char *const usual[] = {"test.tsv", "dev.tsv", "train.tsv"};
    char *folder = path_join(dir, "qrels"), *path = NULL;
    for (size_t i = 0; i < ARRAY_LEN(usual) && !path; i++) {
        path = path_join(folder, usual[i]);
        if (!file_exists(path)) {
            free(path);
            path = NULL;
        }
    }
    if (!path)
        path = only_tsv(folder);
    if (!path) {
        err_kind_set(err, ERR_NOT_FOUND, "no judgements in '%s'", folder);
        err_hint(err, "put test.tsv there, or name one with --qrels FILE");
    }
    free(folder);
    return path;
}

static char *queries_path(const char *dir, const char *qrels)
{
    const char *name = strrchr(qrels, '/');
    struct span split = span_of(name ? name + 1 : qrels);
    if (span_ends(split, ".tsv"))
        split.n -= 4;
    char *file = xasprintf("queries.%.*s.jsonl", (int)split.n, split.p);
    char *path = path_join(dir, file);
    free(file);
    if (file_exists(path))
        return path;
    free(path);
    return path_join(dir, "queries.jsonl");
}

/* ---- questions ---- */

static int query_line(void *ctx, const json_value *v, struct err *err)
{
    struct reading *r = ctx;
    char number[32];
    struct span id;
    if (read_id(v, number, &id, err))
        return -1;
    const int64_t n = names_find(&r->ids, id);
    if (n >= 0) {
        const struct span text = js_string(js_get(v, "text"), "");
        if (memchr(text.p, '\0', text.n))
            return err_kind_set(err, ERR_FORMAT, "a question with \\u0000");
        r->out->item[n].text = arena_strndup(&r->out->memory, text.p, text.n);
    }
    return 0;
}

/* Sorts judgements, leaves out questions without a relevant document. */
static int settle(struct beir_queries *q, const char *path, struct err *err)
{
    size_t kept = 0;
    const char *without = NULL;
    for (size_t i = 0; i < q->n; i++) {
        struct beir_query it = q->item[i];
        if (!it.text)
            without = it.id;
        if (it.n_relevant == 0) {
            free(it.judged);
            continue;
        }
        judgements_sort(&it);
        q->item[kept++] = it;
    }
    q->n = kept;
    if (without)
        return err_kind_set(err, ERR_FORMAT, "'%s' has no question '%.200s', which is judged", path,
                            without);
    return kept ? 0 : err_kind_set(err, ERR_FORMAT, "no question has a relevant document");
}

int beir_queries_read(const char *dir, const char *qrels, const struct names *docs,
                      struct beir_queries *out, struct err *err)
{
    struct reading r = {.out = out, .docs = docs};
    char *found = qrels ? xstrdup(qrels) : qrels_path(dir, err), *queries = NULL;
    int rc = -1;
    *out = (struct beir_queries){0};
    if (found) {
        r.path = found;
        rc = judgements_read(&r, err);
    }
    if (rc == 0) {
        queries = queries_path(dir, found);
        rc = each_line(queries, query_line, &r, err) || settle(out, queries, err) ? -1 : 0;
    }
    free(found);
    free(queries);
    names_release(&r.ids);
    if (rc)
        beir_queries_release(out);
    return rc;
}

void beir_queries_release(struct beir_queries *q)
{
    for (size_t i = 0; i < q->n; i++)
        free(q->item[i].judged);
    free(q->item);
    arena_release(&q->memory);
    *q = (struct beir_queries){0};
}
