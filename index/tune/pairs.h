/* pairs.h - questions and their answers, made from a user's own documents without any labels.
 *
 * Documents answer questions that their authors wrote down elsewhere: a title asks for the page
 * below it, a heading for its section, the words of a link for the page it leads to, a docstring
 * for its code, and a paragraph's first sentence for the rest. Each gives a pair (anchor, passage)
 * to train on. What would teach wrong things is left out: anchors that head several documents
 * ("Introduction", "See also"), passages that are near duplicates of one another, and texts that
 * are too short to mean anything. An anchor never stands in its own passage.
 *
 * A share of the documents is held out: no pair of a held-out document (by its passage or by its
 * anchor) is among those to train on.
 */
#ifndef SEMSEARCH_INDEX_TUNE_PAIRS_H
#define SEMSEARCH_INDEX_TUNE_PAIRS_H

#include "index/store/store.h"
#include "src/base/err.h"
#include "src/base/progress.h"

enum pair_kind {
    PAIR_TITLE,     /* a document's title -> its first passage */
    PAIR_HEADING,   /* a heading -> the first passage of its section */
    PAIR_QUESTION,  /* a heading that asks -> the same */
    PAIR_LINK,      /* the words of a link -> the first passage of the page it leads to */
    PAIR_SENTENCE,  /* the first sentence of a passage -> the rest of it */
    PAIR_DOCSTRING, /* the first sentence of a comment -> the code it is about */
    PAIR_KINDS
};
const char *pair_kind_name(enum pair_kind kind);

struct pair {
    enum pair_kind kind;
    char *anchor, *passage;  /* owned; one line each, markup taken off */
    int64_t doc, anchor_doc; /* documents of passage and anchor; differ for links */
    int ord;                 /* of the passage in its document; code pieces count down from -1 */
    bool held;               /* of a held-out document: for measuring, never for training */
};

struct pair_list {
    struct pair *item;
    size_t n, cap;
    int64_t documents, held_documents; /* indexed ones that were read */
    int64_t found[PAIR_KINDS];         /* before anything was left out */
    int64_t common;                    /* left out: the anchor heads several passages */
    int64_t near;                      /* left out: near duplicate of an earlier passage */
    int64_t across;                    /* left out: a link between the two sides */
};
void pair_list_release(struct pair_list *l);

struct pairs_options {
    uint64_t seed;     /* which documents are held out */
    double held_share; /* 0..1 of the documents */
};

/* Reads every indexed document of the store. Order: by document path, then place in it; the same
 * for the same index, options and program. Fails on a corrupt store and when asked to stop. */
int pairs_collect(struct store *s, const struct pairs_options *o, const struct progress_sink *sink,
                  struct pair_list *out, struct err *err) WARN_UNUSED;

#endif
