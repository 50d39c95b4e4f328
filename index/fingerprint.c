/* fingerprint.c - the identity of an index's vectors: the embedder's and the chunker's together,
 * because another way of cutting gives other passages of the same model. See update.h. */
#include "index/chunk.h"
#include "index/update.h"
#include "src/base/hash.h"

void update_fingerprint(const struct embedder *e, char out[33])
{
    struct hasher *h = hasher_new();
    hasher_text(h, span_of(e->fingerprint));
    hasher_int(h, CHUNKER_VERSION);
    hash_hex(hasher_finish(h), out);
}
