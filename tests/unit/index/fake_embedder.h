/* fake_embedder.h - a deterministic stand-in for an encoder, so that index/ is tested without one.
 *
 * Tokens are words (runs of letters, digits and non-ASCII bytes) and single punctuation marks. A
 * vector is the bag of lower-cased words hashed into 64 dimensions with signs and normalised: texts
 * that share words are near, others nearly orthogonal.
 */
#ifndef SEMSEARCH_TESTS_FAKE_EMBEDDER_H
#define SEMSEARCH_TESTS_FAKE_EMBEDDER_H

#include "src/base/embedder.h"

enum { FAKE_DIM = 64, FAKE_WINDOW = 64, FAKE_OVERHEAD = 2 };

struct fake_embedder {
    struct embedder base; /* first, so that a pointer to it is a pointer to the whole */
    int64_t n_texts;      /* texts embedded so far, over all calls */
    _Atomic int64_t n_calls;
    int fail_at_call; /* > 0: this call fails with ERR_FAILURE */
    int delay_ms;     /* slept in every call, for tests of limits and kills */
};

/* `seed` goes into the fingerprint and the hash: two seeds are two models. window 0: FAKE_WINDOW.
 * The result is closed by e->close(e). */
struct embedder *fake_embedder_new(int seed, int window);
struct fake_embedder *fake_embedder_of(struct embedder *e);

#endif
