/* piece.h - a stretch of a document prepared for cutting: clean text, tokens, places to break.
 *
 * Documents are cut piece by piece (about a mebibyte, or one block) so that memory does not grow
 * with the file. Private to chunk.c.
 */
#ifndef SEMSEARCH_INDEX_PIECE_H
#define SEMSEARCH_INDEX_PIECE_H

#include "index/clean.h"
#include "index/doc.h"
#include "src/base/embedder.h"

/* How good a place is to end a passage; the largest is a must. */
enum {
    BREAK_NONE = 0,
    BREAK_WORD = 1,
    BREAK_AFTER_HEADING = 2,
    BREAK_CLAUSE = 4,
    BREAK_SOFT_LINE = 6,
    BREAK_SENTENCE = 20,
    BREAK_LINE = 25,
    BREAK_ITEM = 30,
    BREAK_BLANK_LINE = 45,
    BREAK_BLOCK = 60,
    BREAK_HEADING = 80, /* the lowest level; + 3 for each one higher */
    BREAK_PAGE = 255
};

/* A block, or what of it lies in the piece. */
struct part {
    const struct block *block;
    size_t start, end;             /* bytes of doc.text */
    size_t clean_start, clean_end; /* bytes of clean.text */
    size_t tok_start, tok_end;
};

struct piece {
    const struct doc *d;
    size_t base; /* where in doc.text the positions of `clean` count from */
    struct clean clean;
    struct part *part;
    size_t n_parts, cap_parts;
    struct token_range *tok; /* of clean.text, [n_tok] */
    size_t n_tok;
    uint8_t *score;    /* [n_tok]: of a break before the token */
    uint32_t *part_of; /* [n_tok] */
};

/* Fills the piece with blocks from *block (and, in it, from byte *pos; 0: its begin) on and moves
 * both behind what it took. False: nothing is left. */
int piece_next(struct piece *p, const struct doc *d, const struct embedder *e, size_t *block,
               size_t *pos, struct err *err) WARN_UNUSED; /* 1, 0 at the end, -1 */
void piece_release(struct piece *p);

/* Where a passage that begins with token `t`, or ends with it, begins and ends in doc.text. */
size_t piece_start_of(const struct piece *p, size_t t);
size_t piece_end_of(const struct piece *p, size_t t);

/* How a kind of block is cleaned. */
enum clean_style piece_style(const struct doc *d, enum block_kind kind);

#endif
