/* classes.c - character classes as the Hugging Face `tokenizers` library sees them.
 *
 * The library's crates are of different ages: categories (Cc, Cf, Co, P*, Mn) are those of an early
 * Unicode version, NFD and combining classes are Unicode 9, lower-casing is as new as its compiler.
 * So the classes are the library's own answers for every code point, in a generated table
 * (classes_table.c, made by tests/golden/make_tokenizer.py). What a class leads to comes from
 * src/base/unicode.h: decompositions and combining classes of assigned characters never change
 * (Unicode stability policy), and the lower-case forms that are newer than that library's version
 * are the second table.
 */
#include "encoder/tokenizer/internal.h"
#include "src/base/unicode.h"

#include <string.h>

void class_fill(uint8_t class[0x10000])
{
    memset(class, 0, 0x10000);
    for (size_t i = 0; i < n_class_ranges && class_ranges[i].first < 0x10000; i++)
        memset(class + class_ranges[i].first, class_ranges[i].class,
               class_ranges[i].last - class_ranges[i].first + 1);
}

static uint8_t search(uint32_t cp)
{
    size_t lo = 0, hi = n_class_ranges;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (class_ranges[mid].last < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n_class_ranges && class_ranges[lo].first <= cp ? class_ranges[lo].class : 0;
}

uint8_t class_of(const struct tokenizer *t, uint32_t cp)
{
    return cp < 0x10000 ? t->class[cp] : search(cp);
}

int class_lower(uint32_t cp, uint32_t out[2])
{
    if (cp == 0x130) { /* the only full mapping to more than one code point: i, dot above */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    for (size_t i = 0; i < n_lower_ranges; i++)
        if (cp >= lower_ranges[i].first && cp <= lower_ranges[i].last) {
            out[0] = (uint32_t)((int32_t)cp - lower_ranges[i].by);
            return 1;
        }
    out[0] = uni_lower(cp);
    return 1;
}
