/* tune_report.c - what `semsearch tune` found, for people and for programs; see tune.h. */
#include "cli/tune.h"
#include "src/base/clock.h"

static const char *const mode_names[TUNE_MODES] = {
    [SEARCH_HYBRID] = "hybrid", [SEARCH_VECTOR] = "vector", [SEARCH_KEYWORD] = "keyword"};

static void report_json(const struct tune *t, struct str *out)
{
    struct json_writer w;
    json_begin(&w, out);
    jw_kint(&w, "documents", t->pairs.documents);
    jw_kint(&w, "held_out_documents", t->pairs.held_documents);
    jw_key(&w, "found");
    jw_object(&w);
    for (int k = 0; k < PAIR_KINDS; k++)
        jw_kint(&w, pair_kind_name((enum pair_kind)k), t->pairs.found[k]);
    jw_end(&w);
    jw_key(&w, "left_out");
    jw_object(&w);
    jw_kint(&w, "common", t->pairs.common);
    jw_kint(&w, "near_duplicate", t->pairs.near);
    jw_kint(&w, "across", t->pairs.across);
    jw_end(&w);
    jw_kint(&w, "trained_on", (int64_t)t->n_train);
    jw_kint(&w, "questions", (int64_t)t->held.questions);
    jw_kint(&w, "passages", (int64_t)t->held.passages);
    jw_key(&w, "ndcg@10");
    if (!t->measured)
        jw_null(&w);
    else
        jw_object(&w);
    for (int m = 0; t->measured && m < TUNE_MODES; m++) {
        jw_key(&w, mode_names[m]);
        jw_object(&w);
        jw_kfloat(&w, "before", t->verdict[m].before, 6);
        jw_kfloat(&w, "after", t->verdict[m].after, 6);
        jw_kfloat(&w, "low", t->verdict[m].low, 6);
        jw_kfloat(&w, "high", t->verdict[m].high, 6);
        jw_end(&w);
    }
    if (t->measured)
        jw_end(&w);
    jw_kbool(&w, "better", t->better);
    jw_kbool(&w, "switched", t->switched);
    jw_ktext(&w, "model", t->model);
    jw_kfloat(&w, "seconds", (clock_ms() - t->started_ms) / 1000, 6);
    json_finish(&w);
}

static void report_pairs(const struct tune *t, struct str *out)
{
    str_printf(out, "%lld documents, %lld of them held out; pairs:", (long long)t->pairs.documents,
               (long long)t->pairs.held_documents);
    for (int k = 0; k < PAIR_KINDS; k++)
        if (t->pairs.found[k])
            str_printf(out, " %lld %s", (long long)t->pairs.found[k],
                       pair_kind_name((enum pair_kind)k));
    str_printf(out,
               "\nleft out: %lld with an anchor of several passages, %lld near duplicates, %lld "
               "across the two sides\n",
               (long long)t->pairs.common, (long long)t->pairs.near, (long long)t->pairs.across);
}

static void report_text(const struct tune *t, struct str *out)
{
    report_pairs(t, out);
    if (t->a->dry_run) {
        str_printf(out, "would train on %zu pairs, measure with %zu questions over %zu passages\n",
                   t->n_train, t->held.questions, t->held.passages);
        return;
    }
    str_printf(out, "trained on %zu pairs, measured with %zu questions over %zu passages\n\n",
               t->n_train, t->held.questions, t->held.passages);
    if (!t->measured) {
        str_puts(out, "no map of questions was better than none on the documents kept aside; "
                      "nothing is changed\n");
        return;
    }
    str_puts(out, "nDCG@10  before   after    difference (95 % interval)\n");
    for (int m = 0; m < TUNE_MODES; m++) {
        const struct verdict *v = &t->verdict[m];
        str_printf(out, "%-7s  %.4f   %.4f   %+.4f (%+.4f to %+.4f)\n", mode_names[m], v->before,
                   v->after, v->after - v->before, v->low, v->high);
    }
    if (t->better)
        str_printf(out, "\nbetter: %s\n",
                   t->model ? "the index takes the new model"
                            : "queries now go through the new map (`semsearch tune --remove` "
                              "takes it away)");
    else
        str_puts(out, t->verdict[SEARCH_HYBRID].better < 0 || t->verdict[SEARCH_VECTOR].better < 0
                          ? "\nworse: nothing is changed\n"
                          : "\nno difference that these documents can show: nothing is changed\n");
    if (t->model && !t->better)
        str_printf(out, "the trained model stays in '%s'\n", t->model);
}

void tune_report(const struct tune *t)
{
    struct str out = {0};
    if (t->a->json || t->a->jsonl)
        report_json(t, &out);
    else
        report_text(t, &out);
    out_str(&out);
    out_push(); /* what follows may take minutes */
}
