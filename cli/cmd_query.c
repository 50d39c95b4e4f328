/* cmd_query.c - `semsearch query` and `semsearch similar`: open index and model, search, write the
 * answers. */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/output.h"
#include "cli/place.h"
#include "cli/results.h"
#include "src/base/mem.h"
#include "src/base/stop.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_BYTES = 32 << 20 };

/* All that a search command holds open. */
struct session {
    struct place place;
    struct store *store;
    struct engine engine;
    struct searcher *searcher;
    char *model_name;
    struct search_options options;
    struct results_context context;
};

static void session_close(struct session *s)
{
    searcher_close(s->searcher);
    engine_close(&s->engine);
    store_close(s->store);
    place_release(&s->place);
    free(s->model_name);
}

/* A question takes some milliseconds, and pages that are given back and asked for again cost more
 * than what is written into them. */
static void keep_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES / 8);
    mallopt(M_TOP_PAD, KEPT_BYTES / 32);
#endif
}

static int session_open(const struct args *a, bool need_model, struct session *s, struct err *err)
{
    *s = (struct session){0};
    keep_memory();
    if (results_options(a, &s->options, err) ||
        place_open(a, STORE_READ, NULL, &s->place, &s->store, err))
        return -1;
    if (store_meta_get(s->store, "model_name", &s->model_name, err))
        return -1;
    if (need_model && s->options.mode != SEARCH_KEYWORD) {
        /* One question is a few hundred microseconds to a few milliseconds of work: a second thread
         * saves less of it than its start costs. Measured at 10,000 passages, 2 cores, int8: 8.8 ms
         * a process with one thread, 14.9 with two. */
        struct args with = *a;
        with.threads = a->threads ? a->threads : 1;
        if (engine_for_questions(&with, s->store, &s->engine, err))
            return -1;
        engine_adapt(&s->engine, s->place.index_dir);
    }
    s->context = (struct results_context){.a = a,
                                          .place = &s->place,
                                          .store = s->store,
                                          .model = s->model_name,
                                          .mode = a->mode ? a->mode : "hybrid"};
    return searcher_open(s->store, s->engine.embedder, &s->searcher, err);
}

/* Where the questions come from: the arguments, and standard input for "-". */
struct questions {
    const struct args *a;
    size_t next;
    bool stdin_open;
    char *line;
    size_t cap;
};

/* 1: a question, 0: no more. Blank lines of standard input are skipped. */
static int next_question(struct questions *q, struct span *text)
{
    for (;;) {
        if (q->stdin_open) {
            ssize_t n = getline(&q->line, &q->cap, stdin);
            if (n < 0) {
                q->stdin_open = false;
                continue;
            }
            *text = (struct span){q->line, (size_t)n};
            if (n && q->line[n - 1] == '\n')
                text->n--;
            if (text->n && text->p[text->n - 1] == '\r') /* lists written on other systems */
                text->n--;
            if (span_trim(*text).n == 0)
                continue;
            return 1;
        }
        if (q->next >= q->a->n_pos)
            return 0;
        const char *arg = q->a->pos[q->next++];
        if (strcmp(arg, "-") == 0) {
            q->stdin_open = true;
            continue;
        }
        *text = span_of(arg);
        return 1;
    }
}

/* One question: searched, and written unless it goes into the one document of --json. */
static int answer_one(struct session *s, struct span text, struct json_writer *w, bool *found,
                      struct err *err)
{
    struct search_answer answer = {0};
    int rc = search_text(s->searcher, text, &s->options, &answer, err);
    if (rc == 0) {
        *found |= answer.n > 0;
        if (s->context.a->json) {
            if (s->context.many) {
                jw_object(w);
                jw_kint(w, "schema", 1);
            }
            results_json(&s->context, text, &answer, w);
            if (s->context.many)
                jw_end(w);
        }
        rc = results_write(&s->context, text, &answer, err);
    }
    search_answer_release(&answer);
    return rc;
}

static int answer_all(struct session *s, const struct args *a, struct err *err)
{
    struct questions q = {.a = a};
    struct str out = {0};
    struct json_writer w;
    struct span text;
    bool found = false;
    json_begin(&w, &out);
    if (s->context.many) {
        jw_key(&w, "queries");
        jw_array(&w);
    }
    int rc = 0;
    while (rc == 0 && !out_failed() && !stop_requested() && next_question(&q, &text)) {
        rc = answer_one(s, text, &w, &found, err);
        if (!a->json && s->context.many && rc == 0)
            out_push(); /* whoever pipes questions in wants each answer when it is there */
    }
    if (rc == 0 && stop_requested()) /* while it searched, or waited for the next question */
        rc = err_kind_set(err, ERR_STOPPED, "stopped");
    json_finish(&w);
    if (rc == 0 && a->json)
        out_write(str_view(&out));
    str_release(&out);
    free(q.line);
    return rc ? rc : found ? EXIT_FOUND : EXIT_NOTHING;
}

int cmd_query(const struct args *a, struct err *err)
{
    if (a->n_pos == 0) {
        err_kind_set(err, ERR_USAGE, "what are you looking for?");
        return err_hint(
            err,
            "semsearch query \"some words or a question\" (- reads questions from standard input)");
    }
    struct session s;
    int rc = session_open(a, true, &s, err);
    if (rc == 0) {
        s.context.many = a->n_pos > 1;
        for (size_t i = 0; i < a->n_pos; i++)
            s.context.many |= strcmp(a->pos[i], "-") == 0;
        rc = answer_all(&s, a, err);
    }
    session_close(&s);
    return rc;
}

/* "notes/a.md:12" as a document of the index and a line (0: none). An existing path with a colon
 * wins over a line. */
static int find_passage(struct session *s, const char *arg, struct store_doc *doc, int *line,
                        struct err *err)
{
    *line = 0;
    int found = place_doc(&s->place, s->store, arg, doc, err);
    if (found)
        return found;
    const char *colon = strrchr(arg, ':');
    char *end = NULL;
    const long n = colon ? strtol(colon + 1, &end, 10) : 0;
    if (colon && end != colon + 1 && !*end && n > 0 && n < 1 << 30) {
        char *head = xstrndup(arg, (size_t)(colon - arg));
        found = place_doc(&s->place, s->store, head, doc, err);
        *line = (int)n;
        free(head);
    }
    if (found)
        return found;
    err_kind_set(err, ERR_NOT_FOUND, "'%s' is not in the index", arg);
    return err_hint(err, "`semsearch why '%s'` says why; `semsearch index` takes in what is new",
                    arg);
}

/* The chunk that holds the line, else the nearest after it, else the last one. */
static int64_t chunk_at_line(const struct store_chunk *c, size_t n, int line)
{
    for (size_t i = 0; i < n; i++)
        if (line <= c[i].line_end)
            return c[i].id;
    return n ? c[n - 1].id : 0;
}

static int search_similar(struct session *s, const struct store_doc *doc, int line,
                          struct search_answer *answer, struct err *err)
{
    if (line == 0)
        return search_like_doc(s->searcher, doc->id, &s->options, answer, err);
    struct store_chunk *chunk = NULL;
    size_t n = 0;
    if (store_chunks_of(s->store, doc->id, &chunk, &n, err))
        return -1;
    const int64_t id = chunk_at_line(chunk, n, line);
    for (size_t i = 0; i < n; i++)
        store_chunk_release(&chunk[i]);
    free(chunk);
    if (!id)
        return err_kind_set(err, ERR_NOT_FOUND, "'%s' has no passages", doc->path);
    return search_like_chunk(s->searcher, id, &s->options, answer, err);
}

static int write_similar(struct session *s, const char *arg, const struct search_answer *answer,
                         struct err *err)
{
    if (s->context.a->json) {
        struct str out = {0};
        struct json_writer w;
        json_begin(&w, &out);
        results_json(&s->context, span_of(arg), answer, &w);
        json_finish(&w);
        out_str(&out);
    }
    return results_write(&s->context, span_of(arg), answer, err);
}

int cmd_similar(const struct args *a, struct err *err)
{
    if (a->n_pos != 1) {
        err_kind_set(err, ERR_USAGE, "expected one PATH or PATH:LINE");
        return err_hint(err, "semsearch similar notes/a.md:12");
    }
    struct session s;
    struct store_doc doc = {0};
    struct search_answer answer = {0};
    int line = 0, rc = session_open(a, false, &s, err);
    if (rc == 0)
        rc = find_passage(&s, a->pos[0], &doc, &line, err) < 0 ? -1 : 0;
    if (rc == 0 && doc.state != DOC_INDEXED)
        rc = err_kind_set(err, ERR_NOT_FOUND, "'%s' is in the index as %s: %s", a->pos[0],
                          doc_state_name(doc.state), doc.reason ? doc.reason : "");
    if (rc == 0)
        rc = search_similar(&s, &doc, line, &answer, err);
    if (rc == 0)
        rc = write_similar(&s, a->pos[0], &answer, err);
    if (rc == 0)
        rc = answer.n ? EXIT_FOUND : EXIT_NOTHING;
    search_answer_release(&answer);
    store_doc_release(&doc);
    session_close(&s);
    return rc;
}
