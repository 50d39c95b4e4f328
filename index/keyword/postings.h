/* postings.h - the inverted index of one set of rows: which row has which word, how much it counts
 * there, and at which positions.
 *
 * Built once by streaming the rows through (memory bounded, whatever their number), then read from
 * a mapped cache file. What a posting counts is its BM25 impact without the idf, a number in [0,
 * 1):
 *
 *     impact = tf / (tf + k1 * (1 - b + b * length / average length))
 *
 * kept in 16 bits (error below 1e-5), so that scoring is one multiplication and one addition and
 * adding rows later needs nothing rewritten. Robertson and Zaragoza, "The Probabilistic Relevance
 * Framework: BM25 and Beyond", 2009, without the constant factor k1 + 1.
 */
#ifndef SEMSEARCH_INDEX_KEYWORD_POSTINGS_H
#define SEMSEARCH_INDEX_KEYWORD_POSTINGS_H

#include "index/cachefile.h"
#include "src/base/err.h"
#include "src/base/str.h"

#include <stdint.h>

#define BM25_K1 1.2
#define BM25_B  0.6

/* ---- building */
struct postings_builder;

/* scratch_dir: where runs go that do not fit in memory; NULL: memory files. */
struct postings_builder *postings_builder_new(const char *scratch_dir);
void postings_builder_free(struct postings_builder *b); /* NULL is fine */
/* One row is any number of texts (title, heading, passage) between begin and end; phrases do not
 * cross from one to the next. Fails only on scratch space. */
void postings_row_begin(struct postings_builder *b);
void postings_row_text(struct postings_builder *b, struct span text);
int postings_row_end(struct postings_builder *b, struct err *err) WARN_UNUSED;
/* Writes the sections of the finished index. mean_length: the average to measure lengths by; 0:
 * that of these rows. */
int postings_write(struct postings_builder *b, struct cache_writer *w, double mean_length,
                   struct err *err) WARN_UNUSED;

/* ---- reading */
struct posting_term {
    uint64_t first; /* index of its first posting */
    uint32_t n;     /* rows that have it */
    uint32_t text;  /* offset in the strings */
    uint16_t n_text, top_impact;
    uint32_t zero;
};

struct postings {
    int64_t n_rows;
    double mean_length;
    const struct posting_term *term;
    const char *text;
    const uint32_t *slot; /* hash table: 1 + term number, 0: free; a power of two of slots */
    const uint32_t *row;
    const uint16_t *impact;
    const uint8_t *position; /* per posting: varint n, then n varint steps */
    const uint64_t *skip;    /* where posting 64 * i begins in `position` */
    int64_t n_terms, n_text, n_slots, n_postings, n_position, n_skip;
};

/* The rows of one word, rising. Content comes from a file: a reader checks row < n_rows. */
struct posting_list {
    const uint32_t *row;
    const uint16_t *impact;
    uint32_t n;
    uint64_t first;
    float top; /* its largest impact */
};

/* -1: the file has no usable postings for n_rows rows. */
int postings_open(const struct cachefile *f, int64_t n_rows, struct postings *p,
                  struct err *err) WARN_UNUSED;
/* n == 0 when no row has the word. */
struct posting_list postings_find(const struct postings *p, struct span term);
static inline float posting_impact(uint16_t v)
{
    return (float)v * (1.0f / 65535);
}
/* The positions of posting `at` of the list, rising, at most `cap` of them; returns how many. */
size_t postings_positions(const struct postings *p, const struct posting_list *l, uint32_t at,
                          uint32_t *out, size_t cap);

#endif
