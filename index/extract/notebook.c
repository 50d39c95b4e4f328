/* notebook.c - Jupyter notebooks (nbformat 4, and the worksheets of 3): Markdown cells as Markdown,
 * code cells as code, of the outputs what is text (images and HTML renderings are left out). */
#include "index/extract/adapter.h"

#include "src/base/json.h"

#include <string.h>

enum { MAX_OUTPUT_BYTES = 4000 }; /* of one output: a training log is no text to search */

/* A "multiline string": a string or an array of strings. Appends at most `max` bytes. */
static void put_text(const json_value *v, struct str *out, size_t max)
{
    const size_t until = max < SIZE_MAX - out->n ? out->n + max : SIZE_MAX;
    if (js_is_string(v))
        str_span(out, span_sub(js_string(v, ""), 0, max));
    for (size_t i = 0; js_is_array(v) && i < js_count(v) && out->n < until; i++)
        str_span(out, span_sub(js_string(js_at(v, i), ""), 0, until - out->n));
}

/* Begins a block's text after what is there; returns where. */
static size_t begin(struct doc *d)
{
    if (d->text.n)
        str_puts(&d->text, "\n\n");
    return d->text.n;
}

static void put_output(const json_value *output, struct doc *d)
{
    const size_t from = begin(d);
    put_text(js_get(output, "text"), &d->text, MAX_OUTPUT_BYTES);
    const json_value *data = js_get(output, "data");
    if (!js_get(data, "image/png")) /* beside an image stands only "<Figure ...>" */
        put_text(js_get(data, "text/plain"), &d->text, MAX_OUTPUT_BYTES);
    if (js_get(output, "ename"))
        str_span(&d->text, js_string(js_get(output, "ename"), ""));
    if (js_get(output, "evalue")) {
        str_puts(&d->text, ": ");
        put_text(js_get(output, "evalue"), &d->text, MAX_OUTPUT_BYTES);
    }
    if (d->text.n > from)
        doc_add_block(d, BLOCK_CODE, 0, 0, from, d->text.n);
}

static void put_cell(const json_value *cell, struct doc *d)
{
    const struct span type = js_string(js_get(cell, "cell_type"), "");
    const size_t from = begin(d);
    put_text(js_get(cell, "source"), &d->text, SIZE_MAX);
    put_text(js_get(cell, "input"), &d->text, SIZE_MAX);
    if (d->text.failed)
        return;
    if (span_eq(type, "markdown"))
        markdown_blocks(d, from, d->text.n);
    else if (span_eq(type, "heading"))
        doc_add_block(d, BLOCK_HEADING, 1, 0, from, d->text.n);
    else
        doc_add_block(d, BLOCK_CODE, 0, 0, from, d->text.n);
    const json_value *outputs = js_get(cell, "outputs");
    for (size_t i = 0; i < js_count(outputs); i++)
        put_output(js_at(outputs, i), d);
}

void adapt_notebook(struct job *job, struct extract_result *r)
{
    struct err err = {0};
    json_value *root = js_parse_text(str_view(&job->bytes), "notebook", &err);
    if (!js_is_object(root)) {
        result_fail(r, NULL, "broken notebook (not valid JSON)");
        js_free(root);
        return;
    }
    const json_value *cells = js_get(root, "cells");
    if (!cells)
        cells = js_get(js_at(js_get(root, "worksheets"), 0), "cells");
    doc_set_title(&r->doc, js_string(js_get(js_get(root, "metadata"), "title"), ""));
    for (size_t i = 0; i < js_count(cells); i++)
        put_cell(js_at(cells, i), &r->doc);
    js_free(root);
}
