/* fuzz_tokenizer.c - hostile tokenizer.json files and saved blobs. What loads must encode, save and
 * load again. A blob's checksum is put right first, so that the checks behind it are reached. */
#include "encoder/tokenizer/internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char sample[] =
    "Hello, w\xC3\xB6rld! \xE4\xB8\xAD\xE6\x96\x87 ab abc [CLS] 12345678901234567890 "
    "e\xCC\x81\xCC\xA3 \xEA\xB0\x80 \xFF x";

static void use(struct tokenizer *t)
{
    struct err err = {0};
    struct encoding e = {0};
    const struct span text = {sample, sizeof sample};
    const struct tokenize_options cut = {.max_length = 20};
    if (tokenizer_encode(t, text, NULL, NULL, &e, &err) == 0)
        for (int i = 0; i < e.n; i++)
            if (e.id[i] < 0 || e.id[i] >= tokenizer_vocab_size(t) || e.end[i] > text.n ||
                e.start[i] > e.end[i])
                abort();
    if (tokenizer_encode(t, text, &text, &cut, &e, &err) == 0 && e.n > 20)
        abort();
    encoding_release(&e);
}

static void load_blob(const uint8_t *data, size_t n)
{
    struct err err = {0};
    struct tokenizer *t;
    void *copy = aligned_alloc(64, (n + 63) / 64 * 64 + 64);
    if (!copy)
        return;
    memcpy(copy, data, n);
    const size_t from = offsetof(struct blob_header, byte_order);
    if (n >= sizeof(struct blob_header)) {
        struct blob_header *h = copy;
        h->n_bytes = n;
        h->checksum = hash64((const char *)copy + from, n - from);
    }
    if (tokenizer_from_blob(copy, n, &t, &err) == 0) {
        use(t);
        tokenizer_free(t);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err err = {0};
    struct tokenizer *t, *again;
    struct str blob = {0};
    if (n >= 8 && memcmp(data, "SSTOKEN1", 8) == 0) {
        load_blob(data, n);
        return 0;
    }
    if (tokenizer_from_json((struct span){(const char *)data, n}, "fuzz", &t, &err) != 0)
        return 0;
    use(t);
    tokenizer_save(t, &blob);
    if (!blob.failed) {
        if (tokenizer_from_blob(blob.p, blob.n, &again, &err) != 0)
            abort();
        tokenizer_free(again);
    }
    str_release(&blob);
    tokenizer_free(t);
    return 0;
}
