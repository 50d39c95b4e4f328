/* pages.c - see pages.h. Format references are to sections of sqlite.org/fileformat2.html. */
#include "index/store/pages.h"

#include "index/store/internal.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    TABLE_LEAF = 0x0d,
    TABLE_INTERIOR = 0x05,
    FILE_HEADER = 100,
    MAX_DEPTH = 24,
    MAX_PAYLOAD = 1 << 30
};

/* ---- pages ---- */

int pages_open(struct pages *p, sqlite3 *db, struct err *err)
{
    *p = (struct pages){0};
    sqlite3_int64 bytes = 0;
    if (sqlite3_file_control(db, NULL, SQLITE_FCNTL_FILE_POINTER, &p->file) != SQLITE_OK ||
        !p->file || !p->file->pMethods ||
        p->file->pMethods->xFileSize(p->file, &bytes) != SQLITE_OK)
        return err_kind_set(err, ERR_IO, "cannot read the pages of the index file");
    p->n_pages = (bytes + PAGE_SIZE - 1) / PAGE_SIZE; /* the last one may be cut short */
    void *bits = NULL;
    if (mem_try(&bits, (size_t)p->n_pages / 8 + 2, "a page map", err))
        return -1;
    p->visited = bits;
    memset(p->visited, 0, (size_t)p->n_pages / 8 + 2);
    return 0;
}

void pages_close(struct pages *p)
{
    free(p->visited);
    str_release(&p->record);
    *p = (struct pages){0};
}

/* Fills buf [PAGE_SIZE]; what lies behind the end of the file reads as zeros. False: no such page,
 * or the disk refused. */
static bool page_read(struct pages *p, int64_t number, uint8_t *buf)
{
    if (number < 1 || number > p->n_pages)
        return false;
    const int rc = p->file->pMethods->xRead(p->file, buf, PAGE_SIZE, (number - 1) * PAGE_SIZE);
    return rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ;
}

/* True the first time. */
static bool visit(struct pages *p, int64_t number)
{
    if (number < 1 || number > p->n_pages)
        return false;
    uint8_t *byte = &p->visited[number / 8];
    const uint8_t bit = (uint8_t)(1 << number % 8);
    if (*byte & bit)
        return false;
    *byte |= bit;
    return true;
}

static uint32_t get2(const uint8_t *b)
{
    return (uint32_t)b[0] << 8 | b[1];
}

static uint32_t get4(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* ---- bounded reading: a cursor that fails for good at its end ---- */

struct bytes {
    const uint8_t *at, *end;
    bool failed;
};

static const uint8_t *take(struct bytes *b, size_t n)
{
    if (b->failed || (size_t)(b->end - b->at) < n) {
        b->failed = true;
        return NULL;
    }
    const uint8_t *p = b->at;
    b->at += n;
    return p;
}

/* Big-endian, seven bits a byte, the ninth gives eight (section 1.6). */
static int64_t take_varint(struct bytes *b)
{
    uint64_t v = 0;
    for (int i = 0; i < 9; i++) {
        const uint8_t *p = take(b, 1);
        if (!p)
            return 0;
        if (i == 8)
            return (int64_t)(v << 8 | *p);
        v = v << 7 | (*p & 0x7f);
        if (!(*p & 0x80))
            break;
    }
    return (int64_t)v;
}

static int64_t take_int(struct bytes *b, size_t n)
{
    const uint8_t *p = take(b, n);
    if (!p || n == 0)
        return 0;
    uint64_t v = p[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

/* ---- rows ---- */

/* How many bytes of a payload stand in the leaf cell itself (section 1.6). */
static size_t local_bytes(size_t payload)
{
    const size_t usable = PAGE_SIZE, most = usable - 35, least = (usable - 12) * 32 / 255 - 23;
    if (payload <= most)
        return payload;
    const size_t k = least + (payload - least) % (usable - 4);
    return k <= most ? k : least;
}

/* The whole payload of a cell into p->record, following its overflow pages. */
static bool gather(struct pages *p, struct bytes *cell, size_t payload)
{
    const size_t local = local_bytes(payload);
    const uint8_t *in_cell = take(cell, local);
    str_clear(&p->record);
    if (!in_cell)
        return false;
    str_add(&p->record, (const char *)in_cell, local);
    const uint8_t *link = payload > local ? take(cell, 4) : NULL;
    int64_t next = link ? get4(link) : 0;
    uint8_t page[PAGE_SIZE];
    while (p->record.n < payload) {
        const size_t rest = payload - p->record.n, room = PAGE_SIZE - 4;
        if (!page_read(p, next, page))
            return false;
        str_add(&p->record, (const char *)page + 4, rest < room ? rest : room);
        next = get4(page);
    }
    return !p->record.failed;
}

/* One column by its serial type (section 2.1). */
static bool take_value(struct bytes *body, int64_t serial, struct value *v)
{
    static const size_t width[] = {0, 1, 2, 3, 4, 6, 8};
    *v = (struct value){.type = SQLITE_INTEGER};
    if (serial >= 12) {
        const size_t n = (size_t)(serial - 12) / 2;
        v->type = serial % 2 ? SQLITE_TEXT : SQLITE_BLOB;
        const uint8_t *at = take(body, n);
        v->bytes = (struct span){(const char *)at, n};
    } else if (serial == 0) {
        v->type = SQLITE_NULL;
    } else if (serial >= 1 && serial <= 6) {
        v->number = take_int(body, width[serial]);
    } else if (serial == 8 || serial == 9) {
        v->number = serial - 8;
    } else {
        return false; /* a float, which no table of ours has, or a reserved type */
    }
    return !body->failed;
}

static bool parse_record(struct pages *p, struct record *r)
{
    const uint8_t *start = (const uint8_t *)p->record.p;
    struct bytes head = {start, start + p->record.n, false};
    const int64_t head_bytes = take_varint(&head);
    if (head.failed || head_bytes < 1 || (size_t)head_bytes > p->record.n)
        return false;
    struct bytes body = {start + head_bytes, start + p->record.n, false};
    head.end = start + head_bytes;
    for (r->n_columns = 0; head.at < head.end; r->n_columns++)
        if (r->n_columns == PAGES_MAX_COLUMNS ||
            !take_value(&body, take_varint(&head), &r->column[r->n_columns]) || head.failed)
            return false;
    return true;
}

static bool read_cell(struct pages *p, const uint8_t *page, uint32_t offset, struct record *r)
{
    struct bytes cell = {page + offset, page + PAGE_SIZE, offset >= PAGE_SIZE};
    const int64_t payload = take_varint(&cell);
    r->rowid = take_varint(&cell);
    /* A payload cannot be longer than the file; so a wrong length cannot make us read for long. */
    return !cell.failed && payload > 0 && payload < MAX_PAYLOAD &&
           payload <= p->n_pages * PAGE_SIZE && gather(p, &cell, (size_t)payload) &&
           parse_record(p, r);
}

/* ---- trees ---- */

struct walk {
    struct pages *pages;
    int table;
    pages_row_fn *fn;
    void *ctx;
};

static int leaf_rows(struct walk *w, const uint8_t *page, const uint8_t *header, struct err *err)
{
    const uint32_t n = get2(header + 3);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *pointer = header + 8 + 2 * (size_t)i;
        if (pointer + 2 > page + PAGE_SIZE)
            break;
        struct record r;
        if (!read_cell(w->pages, page, get2(pointer), &r))
            continue;
        const int rc = w->fn(w->ctx, w->table, &r, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int tree(struct walk *w, int64_t number, int depth, struct err *err)
{
    uint8_t page[PAGE_SIZE];
    if (depth > MAX_DEPTH || !visit(w->pages, number) || !page_read(w->pages, number, page))
        return 0;
    const uint8_t *header = page + (number == 1 ? FILE_HEADER : 0);
    if (header[0] == TABLE_LEAF)
        return leaf_rows(w, page, header, err);
    if (header[0] != TABLE_INTERIOR)
        return 0;
    const uint32_t n = get2(header + 3);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        const uint8_t *pointer = header + 12 + 2 * (size_t)i;
        const uint32_t cell = pointer + 2 <= page + PAGE_SIZE ? get2(pointer) : PAGE_SIZE;
        if (cell + 4 <= PAGE_SIZE)
            rc = tree(w, get4(page + cell), depth + 1, err);
    }
    return rc ? rc : tree(w, get4(header + 8), depth + 1, err);
}

int pages_tree(struct pages *p, int64_t root, int table, pages_row_fn *fn, void *ctx,
               struct err *err)
{
    struct walk w = {p, table, fn, ctx};
    return tree(&w, root, 0, err);
}

/* Free pages keep old rows; they are not to come back (section 1.5: a list of trunk pages). */
static void mark_free(struct pages *p)
{
    uint8_t page[PAGE_SIZE];
    if (!page_read(p, 1, page))
        return;
    int64_t trunk = get4(page + 32);
    while (trunk && visit(p, trunk) && page_read(p, trunk, page)) {
        uint32_t n = get4(page + 4);
        if (n > PAGE_SIZE / 4 - 2)
            n = PAGE_SIZE / 4 - 2;
        for (uint32_t i = 0; i < n; i++)
            visit(p, get4(page + 8 + 4 * (size_t)i));
        trunk = get4(page);
    }
}

int pages_orphans(struct pages *p, pages_row_fn *fn, void *ctx, struct err *err)
{
    struct walk w = {p, -1, fn, ctx};
    uint8_t page[PAGE_SIZE];
    mark_free(p);
    int rc = 0;
    for (int64_t i = 2; rc == 0 && i <= p->n_pages; i++)
        if (visit(p, i) && page_read(p, i, page) && page[0] == TABLE_LEAF)
            rc = leaf_rows(&w, page, page, err);
    return rc;
}
