/* fuzz_tokenize.c - any bytes as text, through a small vocabulary. The first byte chooses the
 * options and the limit. Checked: offsets rise and lie in the text, ids are in range, a limit is
 * kept and only cuts, and a text that is put together from two at a space has the tokens of both.
 */
#include "encoder/tokenizer/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char form[] =
    "{\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":%s,\"handle_chinese_chars\":%s,"
    "\"strip_accents\":%s,\"lowercase\":%s},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\",\"continuing_subword_prefix\":\"##\","
    "\"max_input_chars_per_word\":20,\"vocab\":{\"?\":0,\"a\":1,\"##a\":2,\"b\":3,\"##b\":4,"
    "\"ab\":5,\"##ba\":6,\"abababababab\":7,\"##c\":8,\"e\":9,\"##\\u0301\":10,\"\\u4e2d\":11,"
    "\".\":12,\"\\u1100\":13,\"##\\u1161\":14,\"i\":15,\"##\\u0307\":16,\"\\u00e9\":17,\"1\":18}}}";

static struct tokenizer *with_options(unsigned options)
{
    static struct tokenizer *made[16];
    char json[1024];
    struct err err = {0};
    const char *const word[2] = {"false", "true"};
    if (!made[options & 15]) {
        const int n = snprintf(json, sizeof json, form, word[options & 1], word[options >> 1 & 1],
                               word[options >> 2 & 1], word[options >> 3 & 1]);
        if (tokenizer_from_json((struct span){json, (size_t)n}, "fuzz", &made[options & 15], &err))
            abort();
    }
    return made[options & 15];
}

static void check(const struct tokenizer *t, const struct encoding *e, struct span text)
{
    for (int i = 0; i < e->n; i++) {
        if (e->id[i] < 0 || e->id[i] >= tokenizer_vocab_size(t) || e->start[i] > e->end[i] ||
            e->end[i] > text.n)
            abort();
        if (i && e->start[i] < e->start[i - 1])
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err err = {0};
    struct encoding whole = {0}, part = {0};
    if (n < 1)
        return 0;
    const struct tokenizer *t = with_options(data[0]);
    const struct span text = {(const char *)data + 1, n - 1};
    if (tokenizer_encode(t, text, NULL, NULL, &whole, &err) != 0)
        abort();
    check(t, &whole, text);

    const struct tokenize_options cut = {.max_length = 1 + (data[0] >> 4)};
    if (tokenizer_encode(t, text, NULL, &cut, &part, &err) != 0 || part.n > cut.max_length ||
        part.n != (whole.n < cut.max_length ? whole.n : cut.max_length) ||
        (part.n && memcmp(part.id, whole.id, (size_t)part.n * sizeof *part.id) != 0))
        abort();

    const char *space = text.n ? memchr(text.p, ' ', text.n) : NULL;
    if (space) {
        const size_t at = (size_t)(space - text.p);
        if (tokenizer_encode(t, span_sub(text, 0, at), NULL, NULL, &part, &err) != 0)
            abort();
        const int first = part.n;
        if (tokenizer_encode(t, span_sub(text, at, text.n), NULL, NULL, &part, &err) != 0 ||
            first + part.n != whole.n)
            abort();
    }
    encoding_release(&whole);
    encoding_release(&part);
    return 0;
}
