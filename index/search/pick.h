/* pick.h - the k rows of a ranking that are shown: no neighbours, no copies, no file too often. */
#ifndef SEMSEARCH_INDEX_SEARCH_PICK_H
#define SEMSEARCH_INDEX_SEARCH_PICK_H

#include "index/search/rank.h"

struct picked {
    struct ranked_row row;
    struct store_chunk chunk;
    size_t text; /* which of picker.text holds its document */
    bool neighbour;
    struct hash128 passage; /* of its text without regard to white space */
};

/* The text of a document that passages were picked from. */
struct picked_text {
    int64_t doc_id;
    struct str text;
};

struct picker {
    struct store *store;
    int k, per_file;
    struct picked *item; /* best first */
    size_t n, cap;
    size_t n_plain; /* of them no neighbours */
    struct picked_text *text;
    size_t n_texts, cap_texts;
};

/* Looks at a ranking from its best row on, until k are found or the scores fall below min_score. */
int pick_rows(struct picker *p, const struct snapshot *s, const struct ranking *r, double min_score,
              struct err *err) WARN_UNUSED;
struct span pick_passage(const struct picker *p, const struct picked *i);
void picker_release(struct picker *p);

#endif
