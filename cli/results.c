/* results.c - see results.h. */
#include "cli/results.h"

#include "cli/output.h"
#include "src/base/clock.h"
#include "src/base/json.h"
#include "src/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int results_kinds(const struct arg_list *list, uint32_t *mask, struct err *err)
{
    *mask = 0;
    for (size_t i = 0; i < list->n; i++) {
        const int kind = kind_parse(list->item[i]);
        if (kind < 0) {
            err_kind_set(err, ERR_USAGE, "unknown kind '%s'", list->item[i]);
            for (int k = 0; k < KIND_COUNT; k++)
                if (str_distance(kind_name((enum doc_kind)k), list->item[i]) <= 2)
                    return err_hint(err, "did you mean '%s'?", kind_name((enum doc_kind)k));
            return err_hint(
                err,
                "kinds: text markdown html code data mail pdf document slides sheet ebook notebook "
                "subtitle archive");
        }
        *mask |= 1u << kind;
    }
    return 0;
}

int results_options(const struct args *a, struct search_options *o, struct err *err)
{
    *o = (struct search_options){.mode = SEARCH_HYBRID,
                                 .k = (int)a->k,
                                 .min_score = a->min_score,
                                 .per_file = (int)a->per_file,
                                 .exact = a->exact,
                                 .path = a->path.item,
                                 .n_path = a->path.n,
                                 .since_ns = INT64_MIN,
                                 .until_ns = INT64_MAX};
    if (a->mode)
        o->mode = strcmp(a->mode, "vector") == 0    ? SEARCH_VECTOR
                  : strcmp(a->mode, "keyword") == 0 ? SEARCH_KEYWORD
                                                    : SEARCH_HYBRID;
    if (a->since && time_parse(a->since, 0, &o->since_ns, err))
        return -1;
    if (a->until && time_parse(a->until, 1, &o->until_ns, err))
        return -1;
    if (a->nul && !a->paths)
        return err_kind_set(err, ERR_USAGE, "-0 goes with --paths");
    if (a->paths && (a->json || a->jsonl))
        return err_kind_set(err, ERR_USAGE, "--paths and --json exclude each other");
    return results_kinds(&a->kind, &o->kinds, err);
}

/* An id as `show` takes it: d12 a document, c34 a chunk. */
static void json_id(struct json_writer *w, const char *key, char letter, int64_t id)
{
    char buf[32];
    snprintf(buf, sizeof buf, "%c%lld", letter, (long long)id);
    jw_ktext(w, key, buf);
}

static void json_rank(struct json_writer *w, const char *key, bool has, int rank)
{
    if (has)
        jw_kint(w, key, rank);
    else
        jw_knull(w, key);
}

static void json_signal(struct json_writer *w, const char *key, bool has, double v)
{
    if (has)
        jw_kfloat(w, key, v, 7);
    else
        jw_knull(w, key);
}

static void json_line(struct json_writer *w, const char *key, int line)
{
    if (line > 0)
        jw_kint(w, key, line);
    else
        jw_knull(w, key);
}

/* The fields of one result, into an object that is open. */
static void json_result(const struct results_context *c, const struct search_result *r,
                        struct json_writer *w)
{
    jw_kint(w, "rank", r->rank);
    jw_kfloat(w, "score", r->score, 6);
    if (r->weak)
        jw_kbool(w, "weak", true);
    jw_ktext(w, "path", r->doc.path);
    jw_ktext(w, "title", r->doc.title);
    jw_ktext(w, "heading", r->chunk.heading);
    json_line(w, "page", r->chunk.page);
    json_line(w, "line_start", r->chunk.line_start);
    json_line(w, "line_end", r->chunk.line_end);
    if (r->doc.verbatim) {
        jw_kint(w, "byte_start", r->doc.src_offset + r->chunk.start);
        jw_kint(w, "byte_end", r->doc.src_offset + r->chunk.end);
    } else {
        jw_knull(w, "byte_start");
        jw_knull(w, "byte_end");
    }
    jw_ktext(w, "kind", kind_name(r->doc.kind));
    char when[32];
    time_rfc3339(r->doc.stamp.mtime_ns, when);
    jw_ktext(w, "mtime", when);
    jw_ktext(w, "snippet", r->snippet);
    json_id(w, "doc_id", 'd', r->doc.id);
    json_id(w, "chunk_id", 'c', r->chunk.id);
    jw_key(w, "signals");
    jw_object(w);
    json_signal(w, "cosine", r->has_cosine, r->cosine);
    json_rank(w, "vector_rank", r->has_vector_rank, r->vector_rank);
    json_signal(w, "keyword", r->has_keyword, r->keyword);
    json_rank(w, "keyword_rank", r->has_keyword_rank, r->keyword_rank);
    jw_end(w);
    if (c->a->explain)
        jw_ktext(w, "explain", r->explain);
}

void results_json(const struct results_context *c, struct span query,
                  const struct search_answer *answer, struct json_writer *w)
{
    jw_kstring(w, "query", query);
    jw_ktext(w, "mode", c->mode);
    jw_kfloat(w, "took_ms", answer->took_ms, 4);
    jw_ktext(w, "model", c->model);
    jw_key(w, "results");
    jw_array(w);
    for (size_t i = 0; i < answer->n; i++) {
        jw_object(w);
        json_result(c, &answer->item[i], w);
        jw_end(w);
    }
    jw_end(w);
}

static void write_jsonl(const struct results_context *c, struct span query,
                        const struct search_answer *answer)
{
    struct str out = {0};
    for (size_t i = 0; i < answer->n; i++) {
        struct json_writer w;
        json_begin(&w, &out);
        jw_kstring(&w, "query", query);
        json_result(c, &answer->item[i], &w);
        json_finish(&w);
    }
    out_str(&out);
}

static void write_paths(const struct results_context *c, const struct search_answer *answer)
{
    struct str out = {0};
    for (size_t i = 0; i < answer->n; i++) {
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++)
            seen = answer->item[j].doc.id == answer->item[i].doc.id;
        if (seen)
            continue;
        place_display(c->place, answer->item[i].doc.path, &out);
        str_putc(&out, c->a->nul ? '\0' : '\n');
    }
    out_str(&out);
}

/* "notes/a.md:12", or "book.pdf:p3" where lines mean nothing to the reader. */
static void location(const struct results_context *c, const struct search_result *r,
                     struct str *out)
{
    struct str path = {0};
    place_display(c->place, r->doc.path, &path);
    printable(out, str_view(&path), false);
    str_release(&path);
    if (r->chunk.page > 0)
        str_printf(out, ":p%d", r->chunk.page);
    else if (r->chunk.line_start > 0)
        str_printf(out, ":%d", r->chunk.line_start);
}

static void marked_snippet(const struct search_result *r, struct str *out)
{
    const struct span all = span_of(r->snippet);
    size_t at = 0;
    for (size_t i = 0; i < r->n_marks; i++) {
        printable(out, span_sub(all, at, r->mark[i].start), false);
        struct str word = {0};
        printable(&word, span_sub(all, r->mark[i].start, r->mark[i].end), false);
        styled(out, STYLE_MATCH, str_view(&word));
        str_release(&word);
        at = r->mark[i].end;
    }
    printable(out, span_sub(all, at, all.n), false);
}

/* Breaks a line with escape sequences in it at the terminal's width, four columns in. */
static void indented(struct str *out, struct span text, size_t columns)
{
    struct span rest = text, word;
    size_t at = 0;
    while (span_split(&rest, ' ', &word)) {
        size_t width = 0;
        bool escape = false;
        for (size_t i = 0; i < word.n; i++) {
            if (word.p[i] == '\x1b')
                escape = true;
            else if (escape)
                escape = word.p[i] != 'm';
            else if ((word.p[i] & 0xC0) != 0x80)
                width++;
        }
        if (at && at + 1 + width > columns) {
            str_putc(out, '\n');
            at = 0;
        }
        str_puts(out, at ? " " : "    ");
        str_span(out, word);
        at = (at ? at + 1 : 4) + width;
    }
    str_putc(out, '\n');
}

/* The passage with N lines around it, numbered as in the indexed text. */
static int write_context(const struct results_context *c, const struct search_result *r,
                         struct str *out, struct err *err)
{
    struct str text = {0};
    if (store_text(c->store, r->doc.id, &text, err)) {
        str_release(&text);
        return -1;
    }
    const int64_t from = r->chunk.line_start - c->a->context,
                  to = r->chunk.line_end + c->a->context;
    struct span rest = str_view(&text), line;
    for (int64_t n = 1; n <= to && span_split(&rest, '\n', &line); n++) {
        if (n < from || (!rest.p && line.n == 0))
            continue;
        const bool inside = n >= r->chunk.line_start && n <= r->chunk.line_end;
        struct str shown = {0};
        str_printf(&shown, "%7lld%c ", (long long)n, inside ? ':' : '-');
        printable(&shown, line, true);
        styled(out, inside ? STYLE_PLAIN : STYLE_DIM, str_view(&shown));
        str_putc(out, '\n');
        str_release(&shown);
    }
    str_release(&text);
    return 0;
}

static int write_result(const struct results_context *c, const struct search_result *r,
                        struct str *out, struct err *err)
{
    struct str where = {0}, line = {0};
    location(c, r, &where);
    if (!out_is_tty() && !out_color() &&
        c->a->context < 0) { /* one line a result, for grep, cut and editors */
        str_span(out, str_view(&where));
        str_printf(out, ":%.2f:%s", r->score, r->weak ? "(weak) " : "");
        printable(out, span_of(r->snippet), false);
        str_putc(out, '\n');
    } else {
        str_printf(out, "%2d. ", r->rank);
        styled(out, r->weak ? STYLE_DIM : STYLE_PATH, str_view(&where));
        str_printf(out, "  %.2f%s", r->score, r->weak ? " weak" : "");
        if (r->doc.title || r->chunk.heading) {
            str_puts(out, "  ");
            printable(&line, span_of(r->doc.title), false);
            if (r->doc.title && r->chunk.heading && strcmp(r->doc.title, r->chunk.heading) != 0)
                str_puts(&line, " > ");
            if (r->chunk.heading && !(r->doc.title && strcmp(r->doc.title, r->chunk.heading) == 0))
                printable(&line, span_of(r->chunk.heading), false);
            styled(out, r->weak ? STYLE_DIM : STYLE_BOLD, str_view(&line));
            str_clear(&line);
        }
        str_putc(out, '\n');
        if (c->a->context < 0) {
            marked_snippet(r, &line);
            indented(out, str_view(&line), (size_t)out_columns());
        }
    }
    if (c->a->explain)
        str_printf(out, "    %s\n", r->explain);
    const int rc = c->a->context >= 0 ? write_context(c, r, out, err) : 0;
    str_release(&where);
    str_release(&line);
    return rc;
}

static int write_text(const struct results_context *c, struct span query,
                      const struct search_answer *answer, struct err *err)
{
    struct str out = {0};
    if (c->many) {
        struct str head = {0};
        str_puts(&head, "# ");
        printable(&head, query, false);
        styled(&out, STYLE_BOLD, str_view(&head));
        str_putc(&out, '\n');
        str_release(&head);
    }
    int rc = 0;
    for (size_t i = 0; i < answer->n && rc == 0; i++)
        rc = write_result(c, &answer->item[i], &out, err);
    out_str(&out);
    return rc;
}

/* When --min-score leaves nothing, the best that was left out is worth a word. */
static void say_nothing_found(const struct results_context *c, const struct search_answer *answer)
{
    if (answer->closest_path && isfinite(answer->closest)) {
        struct str path = {0}, clean = {0};
        place_display(c->place, answer->closest_path, &path);
        printable(&clean, str_view(&path), false);
        note("nothing found; the closest is %s with a score of %.2f", clean.p, answer->closest);
        str_release(&path);
        str_release(&clean);
    } else {
        note("nothing found");
    }
}

int results_write(const struct results_context *c, struct span query,
                  const struct search_answer *answer, struct err *err)
{
    int rc = 0;
    if (c->a->jsonl)
        write_jsonl(c, query, answer);
    else if (c->a->paths)
        write_paths(c, answer);
    else if (!c->a->json)
        rc = write_text(c, query, answer, err);
    if (rc == 0 && answer->n == 0)
        say_nothing_found(c, answer);
    return rc;
}
