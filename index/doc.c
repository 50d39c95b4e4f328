/* doc.c - see doc.h. */
#include "index/doc.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

static const char *const kind_names[KIND_COUNT] = {
    [KIND_TEXT] = "text",         [KIND_MARKDOWN] = "markdown", [KIND_HTML] = "html",
    [KIND_CODE] = "code",         [KIND_DATA] = "data",         [KIND_MAIL] = "mail",
    [KIND_PDF] = "pdf",           [KIND_DOCUMENT] = "document", [KIND_SLIDES] = "slides",
    [KIND_SHEET] = "sheet",       [KIND_EBOOK] = "ebook",       [KIND_NOTEBOOK] = "notebook",
    [KIND_SUBTITLE] = "subtitle", [KIND_ARCHIVE] = "archive",
};

const char *kind_name(enum doc_kind kind)
{
    return kind_names[kind];
}

int kind_parse(const char *name)
{
    for (int i = 0; i < KIND_COUNT; i++)
        if (strcmp(kind_names[i], name) == 0)
            return i;
    return -1;
}

void doc_release(struct doc *d)
{
    free(d->title);
    free(d->extractor);
    str_release(&d->text);
    free(d->block);
    *d = (struct doc){0};
}

void doc_add_block(struct doc *d, enum block_kind kind, int level, int page, size_t start,
                   size_t end)
{
    VEC_GROW(d->block, d->n_blocks, d->cap_blocks);
    d->block[d->n_blocks++] = (struct block){kind, level, page, start, end};
}
