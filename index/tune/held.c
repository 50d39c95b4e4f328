/* held.c - see held.h. One passage of the index is one document of the collection, even when
 * several anchors ask for it: its text is that of the first pair, without that pair's anchor. */
#include "index/tune/held.h"

#include "src/base/file.h"
#include "src/base/hash.h"
#include "src/base/json.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* A pair in the order of drawing. */
struct drawn {
    uint64_t key;
    const struct pair *pair;
    size_t passage; /* its number in the collection */
};

static int by_key(const void *a, const void *b)
{
    const struct drawn *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->pair < y->pair ? -1 : x->pair > y->pair;
}

static int by_passage(const void *a, const void *b)
{
    const struct pair *x = ((const struct drawn *)a)->pair, *y = ((const struct drawn *)b)->pair;
    if (x->doc != y->doc)
        return x->doc < y->doc ? -1 : 1;
    if (x->ord != y->ord)
        return x->ord < y->ord ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool same_passage(const struct pair *a, const struct pair *b)
{
    return a->doc == b->doc && a->ord == b->ord;
}

/* Held-out pairs first, each side in the order of its keys. */
static struct drawn *draw(const struct pair_list *l, uint64_t seed)
{
    struct drawn *d = xcalloc(l->n + 1, sizeof *d);
    for (size_t i = 0; i < l->n; i++) {
        const uint64_t h = hash64_seed(l->item[i].anchor, strlen(l->item[i].anchor), seed);
        d[i] = (struct drawn){h >> 1 | (l->item[i].held ? 0 : (uint64_t)1 << 63), &l->item[i], 0};
    }
    qsort(d, l->n, sizeof *d, by_passage);
    for (size_t i = 1; i < l->n; i++) /* all pairs of one passage have its first pair's number */
        d[i].passage = same_passage(d[i].pair, d[i - 1].pair) ? d[i - 1].passage : i;
    qsort(d, l->n, sizeof *d, by_key);
    return d;
}

static void line(struct outfile *f, struct str *s)
{
    str_putc(s, '\n');
    outfile_write(f, s->p, s->n);
    str_clear(s);
}

static void write_text(struct outfile *f, const char *prefix, size_t id, const char *text)
{
    struct str s = {0}, name = {0};
    struct json_writer w;
    str_printf(&name, "%s%zu", prefix, id);
    jw_init(&w, &s);
    jw_object(&w);
    jw_ktext(&w, "_id", name.p);
    jw_ktext(&w, "title", "");
    jw_ktext(&w, "text", text);
    jw_end(&w);
    line(f, &s);
    str_release(&s);
    str_release(&name);
}

struct files {
    struct outfile corpus, queries, judged;
};

static int open_files(struct files *f, const char *dir, struct err *err)
{
    static const char *const name[] = {"corpus.jsonl", "queries.jsonl", "qrels/test.tsv"};
    struct outfile *file[] = {&f->corpus, &f->queries, &f->judged};
    char *qrels = path_join(dir, "qrels");
    int rc = dir_make(qrels, err);
    free(qrels);
    for (size_t i = 0; i < ARRAY_LEN(name) && rc == 0; i++) {
        char *path = path_join(dir, name[i]);
        rc = outfile_open(file[i], path, err);
        free(path);
        while (rc && i > 0)
            outfile_abandon(file[--i]);
        if (rc)
            return -1;
    }
    return rc;
}

static int close_files(struct files *f, struct err *err)
{
    int rc = outfile_commit(&f->corpus, err);
    if (rc == 0)
        rc = outfile_commit(&f->queries, err);
    else
        outfile_abandon(&f->queries);
    if (rc == 0)
        return outfile_commit(&f->judged, err);
    outfile_abandon(&f->judged);
    return rc;
}

int held_write(const struct pair_list *l, const char *dir, size_t max_questions,
               size_t max_passages, uint64_t seed, struct held_report *out, uint64_t **group,
               struct err *err)
{
    struct files f;
    *out = (struct held_report){0};
    *group = NULL;
    if (open_files(&f, dir, err))
        return -1;
    struct drawn *d = draw(l, seed);
    bool *written = xcalloc(l->n + 1, sizeof *written);
    *group = xcalloc(l->n + 1, sizeof **group);
    struct str s = {0};
    str_puts(&s, "query-id\tcorpus-id\tscore");
    line(&f.judged, &s);
    for (size_t i = 0; i < l->n && (d[i].pair->held || out->passages < max_passages); i++) {
        const struct pair *p = d[i].pair;
        if (!written[d[i].passage]) {
            written[d[i].passage] = true;
            write_text(&f.corpus, "p", d[i].passage, p->passage);
            out->passages++;
        }
        if (!p->held || out->questions == max_questions)
            continue;
        write_text(&f.queries, "q", out->questions, p->anchor);
        str_printf(&s, "q%zu\tp%zu\t1", out->questions, d[i].passage);
        line(&f.judged, &s);
        (*group)[out->questions++] = (uint64_t)p->anchor_doc;
    }
    str_release(&s);
    free(written);
    free(d);
    return close_files(&f, err);
}
