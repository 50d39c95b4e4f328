/* pages.h - rows straight from the pages of an index file that SQLite itself refuses or half reads.
 *
 * Reads the file format of SQLite 3 (sqlite.org/fileformat2.html) as far as tables need it: b-tree
 * pages, overflow chains, records. Nothing is believed: every offset, length and page number is
 * checked, chains and trees are bounded. Whether a row is right is for its checksum to say.
 */
#ifndef SEMSEARCH_INDEX_STORE_PAGES_H
#define SEMSEARCH_INDEX_STORE_PAGES_H

#include "src/base/err.h"
#include "src/base/str.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum { PAGES_MAX_COLUMNS = 32 };

struct value {
    int type; /* SQLITE_INTEGER, SQLITE_FLOAT, SQLITE_TEXT, SQLITE_BLOB or SQLITE_NULL */
    int64_t number;
    struct span bytes; /* of texts and blobs */
};

struct record {
    int64_t rowid;
    int n_columns;
    struct value column[PAGES_MAX_COLUMNS];
};

struct pages {
    sqlite3_file
        *file; /* an open file of SQLite's: closing another descriptor would drop its locks */
    int64_t n_pages;
    uint8_t *visited;  /* one bit a page */
    struct str record; /* scratch: the payload of one row */
};
int pages_open(struct pages *p, sqlite3 *db, struct err *err) WARN_UNUSED;
void pages_close(struct pages *p);

/* Called for each row; not 0 ends the walk. `table` is what was given to pages_tree, -1 for a row
 * of a page that no tree reached. */
typedef int pages_row_fn(void *ctx, int table, const struct record *r, struct err *err);

/* The rows of the table whose b-tree begins at page `root`, as far as it can be followed. */
int pages_tree(struct pages *p, int64_t root, int table, pages_row_fn *fn, void *ctx,
               struct err *err) WARN_UNUSED;
/* After all trees: the rows of table pages that none of them reached and that are not free. */
int pages_orphans(struct pages *p, pages_row_fn *fn, void *ctx, struct err *err) WARN_UNUSED;

#endif
