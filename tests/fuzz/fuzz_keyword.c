/* Keyword search on any bytes: the first line is the question, the others are passages; then the
 * same question to postings of which the input's bytes have spoiled a part. */
#include "index/keyword/keyword.h"
#include "index/snapshot.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct cachefile *file, struct span question)
{
    struct postings p;
    if (postings_open(file, file->stamp.count, &p, NULL))
        return;
    const struct postings *part = &p;
    float weight[KEYWORD_TERMS_MAX];
    struct hit hit[8];
    struct topk top = {.item = hit, .k = 8};
    struct keyword_query *q = keyword_parse(question);
    keyword_weights(q, &part, 1, weight);
    keyword_search(q, &p, weight, NULL, 0, &top);
    for (int64_t i = 0; i < top.n; i++)
        if (hit[i].row < 0 || hit[i].row >= p.n_rows)
            abort();
    keyword_query_free(q);
}

static void ask_spoiled(const struct cachefile *file, struct span question, const uint8_t *data,
                        size_t size)
{
    unsigned char *copy = xmalloc(file->map.n);
    struct cachefile bad = *file;
    memcpy(copy, file->map.p, file->map.n);
    for (size_t i = 0; i + 3 < size && i < 400; i += 4)
        copy[((size_t)data[i] << 16 | (size_t)data[i + 1] << 8 | data[i + 2]) % file->map.n] ^=
            data[i + 3];
    bad.map.p = copy;
    ask(&bad, question);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = {(const char *)data, size}, question, line;
    struct postings_builder *b = postings_builder_new(NULL);
    struct cache_stamp stamp = {0};
    struct cache_writer *w;
    struct cachefile file;
    struct map map;
    if (!span_split(&rest, '\n', &question))
        question = rest;
    for (; span_split(&rest, '\n', &line); stamp.count++) {
        postings_row_begin(b);
        postings_row_text(b, line);
        if (postings_row_end(b, NULL))
            abort();
    }
    if (cache_writer_open(NULL, &w, NULL) || postings_write(b, w, 0, NULL) ||
        cache_writer_commit(w, &stamp, &map, NULL) || cachefile_of_map(map, "fuzz", &file, NULL))
        abort();
    postings_builder_free(b);
    ask(&file, question);
    ask_spoiled(&file, question, data, size);
    cachefile_close(&file);
    return 0;
}
