/* cmd_show.c - `semsearch show ID|PATH[:FROM-TO]`: the indexed text of a document, some of its
 * lines, or a passage. */
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/place.h"
#include "src/base/clock.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is to be shown: a document and a range of its lines, or one of its chunks. */
struct shown {
    struct store_doc doc;
    struct store_chunk chunk;
    bool is_chunk;
    int from, to; /* lines; 0: all */
};

/* "d12" or "c34": the number, or -1. */
static int64_t parse_id(const char *arg, char letter)
{
    if (arg[0] != letter || arg[1] < '0' || arg[1] > '9')
        return -1;
    char *end;
    const long long id = strtoll(arg + 1, &end, 10);
    return *end ? -1 : id;
}

/* ":12", ":12-20" at the end of arg; the length of what stands before it, or 0. */
static size_t parse_lines(const char *arg, int *from, int *to)
{
    const char *colon = strrchr(arg, ':');
    if (!colon || colon == arg)
        return 0;
    char *end;
    const long a = strtol(colon + 1, &end, 10);
    long b = a;
    if (end == colon + 1)
        return 0;
    if (*end == '-') {
        const char *second = end + 1;
        b = strtol(second, &end, 10);
        if (end == second)
            return 0;
    }
    if (*end || a < 1 || b < a || b > 1 << 30)
        return 0;
    *from = (int)a;
    *to = (int)b;
    return (size_t)(colon - arg);
}

static int by_id(struct store *s, const char *arg, struct shown *out, struct err *err)
{
    const int64_t doc = parse_id(arg, 'd'), chunk = parse_id(arg, 'c');
    if (doc >= 0)
        return store_doc_by_id(s, doc, &out->doc, err);
    if (chunk < 0)
        return 0;
    const int found = store_chunk(s, chunk, &out->chunk, err);
    out->is_chunk = found == 1;
    return found == 1 ? store_doc_by_id(s, out->chunk.doc_id, &out->doc, err) : found;
}

static int find_shown(const struct place *p, struct store *s, const char *arg, struct shown *out,
                      struct err *err)
{
    int found = place_doc(p, s, arg, &out->doc, err);
    if (found == 0) {
        const size_t n = parse_lines(arg, &out->from, &out->to);
        if (n) {
            char *path = xstrndup(arg, n);
            found = place_doc(p, s, path, &out->doc, err);
            free(path);
        }
    }
    if (found == 0)
        found = by_id(s, arg, out, err);
    if (found < 0)
        return -1;
    if (found == 0) {
        err_kind_set(err, ERR_NOT_FOUND, "'%s' is not in the index", arg);
        return err_hint(
            err, "give a path, a doc_id (d12) or a chunk_id (c34) of `semsearch query --json`");
    }
    if (out->doc.state != DOC_INDEXED)
        return err_kind_set(err, ERR_NOT_FOUND, "'%s' is not indexed: %s (%s)", out->doc.path,
                            doc_state_name(out->doc.state), out->doc.reason ? out->doc.reason : "");
    return 0;
}

/* The bytes of lines from..to, and how many lines there are when that is beyond the end. */
static struct span take_lines(struct span text, int from, int to, int *last)
{
    struct span rest = text, line;
    size_t start = text.n, end = text.n;
    int n = 0;
    while (span_split(&rest, '\n', &line)) {
        if (!rest.p && line.n == 0)
            break;
        n++;
        if (n == from)
            start = (size_t)(line.p - text.p);
        if (n == to && rest.p)
            end = (size_t)(rest.p - text.p);
    }
    *last = n < to ? n : to;
    return span_sub(text, start, end);
}

static void show_json(const struct shown *x, struct span text, int from, int to)
{
    struct str out = {0};
    struct json_writer w;
    char buf[32];
    json_begin(&w, &out);
    jw_ktext(&w, "path", x->doc.path);
    snprintf(buf, sizeof buf, "d%lld", (long long)x->doc.id);
    jw_ktext(&w, "doc_id", buf);
    snprintf(buf, sizeof buf, "c%lld", (long long)x->chunk.id);
    jw_ktext(&w, "chunk_id", x->is_chunk ? buf : NULL);
    jw_ktext(&w, "title", x->doc.title);
    jw_ktext(&w, "heading", x->chunk.heading);
    jw_ktext(&w, "kind", kind_name(x->doc.kind));
    if (x->is_chunk && x->chunk.page > 0)
        jw_kint(&w, "page", x->chunk.page);
    else
        jw_knull(&w, "page");
    jw_kint(&w, "line_start", from);
    jw_kint(&w, "line_end", to);
    time_rfc3339(x->doc.stamp.mtime_ns, buf);
    jw_ktext(&w, "mtime", buf);
    jw_kstring(&w, "text", text);
    json_finish(&w);
    out_str(&out);
}

static int show(struct store *s, const struct args *a, struct shown *x, struct err *err)
{
    struct str text = {0};
    if (store_text(s, x->doc.id, &text, err)) {
        str_release(&text);
        return -1;
    }
    struct span part = str_view(&text);
    int from = 1, to = 0;
    if (x->is_chunk) {
        part = span_sub(part, (size_t)x->chunk.start, (size_t)x->chunk.end);
        from = x->chunk.line_start;
        to = x->chunk.line_end;
    } else {
        const int wanted = x->to ? x->to : 1 << 30;
        from = x->from ? x->from : 1;
        part = take_lines(part, from, wanted, &to);
    }
    int rc = 0;
    if (from > to && x->from) {
        err_kind_set(err, ERR_USAGE, "'%s' has %d lines", x->doc.path, to);
        rc = -1;
    } else if (a->json || a->jsonl) {
        show_json(x, part, from, to);
    } else if (out_is_tty()) {
        struct str clean = {0};
        printable(&clean, part, true);
        out_str(&clean);
    } else {
        out_write(part);
    }
    if (rc == 0 && !a->json && !a->jsonl && part.n && part.p[part.n - 1] != '\n')
        out_write(span_of("\n"));
    str_release(&text);
    return rc;
}

int cmd_show(const struct args *a, struct err *err)
{
    if (a->n_pos != 1) {
        err_kind_set(err, ERR_USAGE, "expected one ID or PATH");
        return err_hint(err, "semsearch show notes/a.md:10-20");
    }
    struct place p;
    struct store *s;
    if (place_open(a, STORE_READ, NULL, &p, &s, err))
        return -1;
    struct shown x = {0};
    int rc = find_shown(&p, s, a->pos[0], &x, err);
    if (rc == 0)
        rc = show(s, a, &x, err);
    store_doc_release(&x.doc);
    store_chunk_release(&x.chunk);
    store_close(s);
    place_release(&p);
    return rc;
}
