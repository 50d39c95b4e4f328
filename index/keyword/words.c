/* words.c - word splitting; see words.h.
 *
 * The text is read as atoms (runs of letters, digits and their marks) and connectors. Atoms joined
 * by single connectors make a cluster, such as `src/base/foo_bar.h`. Connectors have ranks; a
 * cluster is cut at its weakest-binding rank, each piece at the next rank, and so on:
 *
 *     rank 0   / \ @ & ::          src | base | foo_bar.h
 *     rank 1   - and hyphens
 *     rank 2   .                   foo_bar | h
 *     rank 3   _                   foo | bar
 *     rank 4   a change of case    fooBar: foo | Bar, HTMLParser: HTML | Parser
 *
 * Every piece of more than one atom is given as a whole (`foo_bar.h`, `foo_bar`), so that a
 * question finds `foo_bar` inside the path; the atoms are given as parts. Only single atoms are
 * stemmed, only they count in the length of a passage, and a plain hyphen between letters makes no
 * whole: it would count ordinary English ("long-term") twice.
 *
 * Also given whole: an option with its dashes (--force), a name with its dot (.gitignore), C++ and
 * C#. Folding: canonical decomposition without the combining marks of Latin, Greek, Cyrillic,
 * Hebrew and Arabic (marks of other scripts are letters in all but name), ligatures of typesetting
 * and full-width forms as their letters. Soft hyphens and joiners are passed over.
 */
#include "index/keyword/words.h"

#include "src/base/unicode.h"

#include <string.h>

enum { ATOMS_MAX = 48, CLUSTER_BYTES = 1024, RANKS = 5 };

struct atom {
    uint16_t at, len;  /* in cluster.buf */
    size_t start, end; /* in the text */
    int8_t rank;       /* of the connector before it; -1: first */
    char joint;        /* how that connector is written in a whole; 0: nothing */
    bool alpha;        /* ASCII letters only */
};

struct splitter {
    struct span text;
    uint32_t pos;
    void (*fn)(void *ctx, const struct word *w);
    void *ctx;
    char buf[CLUSTER_BYTES];
    uint16_t n_buf;
    struct atom atom[ATOMS_MAX];
    int n_atoms;
    const char *prefix; /* "--" or "." before the cluster, or NULL */
};

/* ---- stop words and stems */

/* Articles, pronouns, prepositions, auxiliaries and question words; not those that mean something
 * in a technical text (while, until, up, off, before). */
bool words_is_stop(struct span t)
{
    static const char *const by_letter[26] = {
        ['a' - 'a'] = " a about all also am an and any are as at ",
        ['b' - 'a'] = " be because been being between both but by ",
        ['c' - 'a'] = " can could ",
        ['d' - 'a'] = " did do does doing done ",
        ['e' - 'a'] = " each ",
        ['f' - 'a'] = " few for from ",
        ['h' - 'a'] = " had has have having he her here him his how ",
        ['i' - 'a'] = " i if in into is it its ",
        ['j' - 'a'] = " just ",
        ['m' - 'a'] = " may me might more most must my ",
        ['n' - 'a'] = " no nor not ",
        ['o' - 'a'] = " of on only or other our own ",
        ['s' - 'a'] = " same shall she should so some such ",
        ['t' - 'a'] = " than that the their them then there these they this those through to too ",
        ['u' - 'a'] = " us ",
        ['v' - 'a'] = " very ",
        ['w' - 'a'] = " was we were what when where which who whom whose why will with would ",
        ['y' - 'a'] = " you your ",
    };
    enum { LONGEST = 7 };
    char key[LONGEST + 3] = " ";
    if (t.n == 0 || t.n > LONGEST || t.p[0] < 'a' || t.p[0] > 'z' || !by_letter[t.p[0] - 'a'])
        return false;
    memcpy(key + 1, t.p, t.n);
    key[t.n + 1] = ' ';
    key[t.n + 2] = '\0';
    return strstr(by_letter[t.p[0] - 'a'], key) != NULL;
}

/* The S-stemmer of Harman, "How effective is suffixing?", JASIS 42(1), 1991. */
static size_t singular(char *w, size_t n)
{
    if (n < 4 || w[n - 1] != 's')
        return n;
    const char b = w[n - 2], c = w[n - 3];
    if (b == 'u' || b == 's')
        return n;
    if (b != 'e')
        return n - 1;
    if (c == 'i') {
        if (n < 5 || w[n - 4] == 'e' || w[n - 4] == 'a')
            return n - 1;
        w[n - 3] = 'y';
        return n - 2;
    }
    return c == 'a' || c == 'e' || c == 'o' ? n : n - 1;
}

static bool has_vowel(const char *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strchr("aeiouy", w[i]))
            return true;
    return false;
}

size_t words_stem(char *w, size_t n)
{
    n = singular(w, n);
    size_t m = n;
    if (n >= 6 && memcmp(w + n - 3, "ing", 3) == 0 && has_vowel(w, n - 3))
        m = n - 3;
    else if (n >= 6 && w[n - 1] == 'd' && w[n - 2] == 'e' && w[n - 3] != 'e' && has_vowel(w, n - 2))
        m = n - 2;
    if (m < n && w[m - 1] == w[m - 2] && !strchr("aeioulsz", w[m - 1]))
        m--; /* stopped: stop */
    if (m >= 4 && w[m - 1] == 'e' && w[m - 2] != 'e')
        m--; /* cache meets caching */
    return m;
}

/* ---- character classes */

enum char_class { C_OTHER, C_WORD, C_UNSPACED, C_IGNORED };

static bool is_fold_mark(uint32_t cp)
{
    return (cp >= 0x300 && cp <= 0x36F) || (cp >= 0x483 && cp <= 0x487) ||
           (cp >= 0x591 && cp <= 0x5C7) || (cp >= 0x610 && cp <= 0x61A) ||
           (cp >= 0x64B && cp <= 0x65F) || cp == 0x670 || (cp >= 0x1AB0 && cp <= 0x1AFF) ||
           (cp >= 0x1DC0 && cp <= 0x1DFF) || (cp >= 0x20D0 && cp <= 0x20FF) ||
           (cp >= 0xFE20 && cp <= 0xFE2F) || (cp >= 0xFE00 && cp <= 0xFE0F);
}

/* Scripts without spaces between words: CJK, and Thai, Lao, Myanmar, Khmer. */
static bool is_unspaced(uint32_t cp)
{
    return uni_is_cjk(cp) || (cp >= 0xE01 && cp <= 0xE4E) || (cp >= 0xE81 && cp <= 0xECD) ||
           (cp >= 0x1000 && cp <= 0x103F) || (cp >= 0x1780 && cp <= 0x17D3);
}

static enum char_class class_of(uint32_t cp)
{
    if (cp < 0x80)
        return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') || (cp >= '0' && cp <= '9')
                   ? C_WORD
                   : C_OTHER;
    if (cp == 0xAD || (cp >= 0x200B && cp <= 0x200D) || cp == 0x2060 || cp == 0xFEFF)
        return C_IGNORED;
    if (is_unspaced(cp))
        return C_UNSPACED;
    const int major = uni_category(cp) >> 8;
    return major == 'L' || major == 'N' || major == 'M' ? C_WORD : C_OTHER;
}

static uint32_t char_at(const struct splitter *s, size_t i, int *len)
{
    uint32_t cp = 0;
    *len = 0;
    if (i >= s->text.n)
        return 0;
    if ((unsigned char)s->text.p[i] < 0x80) {
        *len = 1;
        return (unsigned char)s->text.p[i];
    }
    *len = utf8_next(s->text.p + i, s->text.n - i, &cp);
    return cp;
}

static bool word_at(const struct splitter *s, size_t i)
{
    int len;
    const uint32_t cp = char_at(s, i, &len);
    return len && class_of(cp) == C_WORD;
}

/* ---- folding */

static const char *ligature(uint32_t cp)
{
    static const char *const table[] = {"ff", "fi", "fl", "ffi", "ffl", "st", "st"};
    return cp >= 0xFB00 && cp <= 0xFB06 ? table[cp - 0xFB00] : NULL;
}

/* Writes the folded form of cp to out [cap], cap >= 1; returns its bytes, 0 for a mark or no room.
 */
static size_t fold_put(uint32_t cp, char *out, size_t cap)
{
    if (cp < 0x80) {
        *out = (char)(cp >= 'A' && cp <= 'Z' ? cp + 32 : cp);
        return 1;
    }
    const char *lig = ligature(cp);
    if (lig) {
        const size_t n = strlen(lig);
        if (n > cap)
            return 0;
        memcpy(out, lig, n);
        return n;
    }
    if (cp >= 0xFF01 && cp <= 0xFF5E)
        cp -= 0xFEE0;
    uint32_t parts[18];
    const int n_parts = uni_decompose(cp, parts);
    size_t n = 0;
    for (int i = 0; i < n_parts; i++) {
        char one[4];
        if (is_fold_mark(parts[i]))
            continue;
        const int k = utf8_put(uni_lower(parts[i]), one);
        if (n + (size_t)k > cap)
            return 0;
        memcpy(out + n, one, (size_t)k);
        n += (size_t)k;
    }
    return n;
}

/* ---- giving words */

static void give(struct splitter *s, struct span term, size_t start, size_t end, uint32_t cover,
                 bool part)
{
    const struct word w = {
        .term = term, .start = start, .end = end, .pos = s->pos, .cover = cover, .part = part};
    s->fn(s->ctx, &w);
}

static void give_character(struct splitter *s, struct span term, size_t start, size_t end,
                           bool lone)
{
    const struct word w = {.term = term,
                           .start = start,
                           .end = end,
                           .pos = s->pos,
                           .cover = 1,
                           .part = !lone,
                           .unit = true,
                           .minor = !lone};
    s->fn(s->ctx, &w);
    s->pos++;
}

static void give_atom(struct splitter *s, const struct atom *a, bool part)
{
    char term[WORD_BYTES_MAX];
    size_t n = a->len;
    memcpy(term, s->buf + a->at, n);
    const bool stop = a->alpha && words_is_stop((struct span){term, n}); /* "this", not "thi" */
    if (a->alpha)
        n = words_stem(term, n);
    const struct word w = {.term = {term, n},
                           .start = a->start,
                           .end = a->end,
                           .pos = s->pos,
                           .cover = 1,
                           .part = part,
                           .unit = true,
                           .stop = stop};
    s->fn(s->ctx, &w);
    s->pos++;
}

/* Writes atoms a..b joined by their connectors; 0 when that is too long. */
static size_t whole(const struct splitter *s, int a, int b, const char *prefix, char *out)
{
    size_t n = 0;
    for (; prefix && *prefix; prefix++)
        out[n++] = *prefix;
    for (int i = a; i < b; i++) {
        const struct atom *t = &s->atom[i];
        if (n + t->len + 2 > WORD_BYTES_MAX)
            return 0;
        if (i > a && t->joint)
            out[n++] = t->joint;
        memcpy(out + n, s->buf + t->at, t->len);
        n += t->len;
    }
    return n;
}

/* Is every connector inside a..b a hyphen between plain letters? */
static bool is_hyphenated_prose(const struct splitter *s, int a, int b)
{
    for (int i = a; i < b; i++)
        if (!s->atom[i].alpha || (i > a && s->atom[i].rank != 1))
            return false;
    return true;
}

static bool give_whole(struct splitter *s, int a, int b, const char *prefix, bool part)
{
    char out[WORD_BYTES_MAX + 2];
    const size_t n = whole(s, a, b, prefix, out);
    if (n == 0)
        return false;
    give(s, (struct span){out, n}, s->atom[a].start, s->atom[b - 1].end, (uint32_t)(b - a), part);
    return true;
}

/* Gives atoms a..b: the whole, then its pieces by rising rank. */
static void give_cluster(struct splitter *s, int a, int b, int rank, bool part)
{
    if (b - a == 1) {
        give_atom(s, &s->atom[a], part);
        return;
    }
    bool splits = false;
    for (; rank < RANKS && !splits; rank++)
        for (int i = a + 1; i < b; i++)
            splits |= s->atom[i].rank == rank;
    rank--;
    if (!is_hyphenated_prose(s, a, b))
        part |= give_whole(s, a, b, NULL, part);
    int from = a;
    for (int i = a + 1; i <= b; i++)
        if (i == b || s->atom[i].rank <= rank) {
            give_cluster(s, from, i, rank + 1, part);
            from = i;
        }
}

static void flush(struct splitter *s)
{
    if (s->n_atoms == 0)
        return;
    bool part = false;
    if (s->prefix)
        part = give_whole(s, 0, s->n_atoms, s->prefix, false);
    give_cluster(s, 0, s->n_atoms, 0, part);
    s->n_atoms = 0;
    s->n_buf = 0;
    s->prefix = NULL;
}

/* ---- reading */

/* The connector at byte i, when a word follows it: its bytes, rank and written form; 0: none. */
static size_t connector(const struct splitter *s, size_t i, int8_t *rank, char *joint)
{
    int len;
    const uint32_t cp = char_at(s, i, &len);
    size_t n = (size_t)len;
    switch (cp) {
    case '/':
    case '\\':
        *rank = 0, *joint = '/';
        break;
    case '@':
    case '&':
        *rank = 0, *joint = (char)cp;
        break;
    case ':':
        if (s->text.n - i < 2 || s->text.p[i + 1] != ':')
            return 0;
        *rank = 0, *joint = ':', n = 2;
        break;
    case '-':
    case 0x2010:
    case 0x2011:
        *rank = 1, *joint = '-';
        break;
    case '.':
        *rank = 2, *joint = '.';
        break;
    case '_':
        *rank = 3, *joint = '_';
        while (i + n < s->text.n && s->text.p[i + n] == '_')
            n++;
        break;
    default:
        return 0;
    }
    return word_at(s, i + n) ? n : 0;
}

static struct atom *atom_begin(struct splitter *s, size_t start, int8_t rank, char joint)
{
    struct atom *a = &s->atom[s->n_atoms++];
    *a = (struct atom){.at = s->n_buf,
                       .start = start,
                       .end = start,
                       .rank = s->n_atoms == 1 ? -1 : rank,
                       .joint = joint,
                       .alpha = true};
    return a;
}

static bool is_upper(uint32_t cp)
{
    return cp < 0x80 ? cp >= 'A' && cp <= 'Z' : uni_category(cp) == UNI_CAT('L', 'u');
}

static bool is_lower(uint32_t cp)
{
    return cp < 0x80 ? cp >= 'a' && cp <= 'z' : uni_category(cp) == UNI_CAT('L', 'l');
}

/* A new part begins before `cp` in fooBar (before B) and HTMLParser (before P), when the part
 * before has at least two letters and the new one too: mRNA, iPhone and IDs stay whole. */
static bool case_break(const struct splitter *s, size_t i, uint32_t prev, uint32_t cp, size_t run)
{
    if (run < 2 || !is_upper(cp))
        return false;
    int len, len2;
    char_at(s, i, &len);
    const uint32_t next = char_at(s, i + (size_t)len, &len2);
    if (is_lower(prev))
        return len2 && (is_lower(next) || is_upper(next));
    if (!is_upper(prev) || !len2 || !is_lower(next))
        return false;
    const uint32_t after = char_at(s, i + (size_t)len + (size_t)len2, &len);
    return len && is_lower(after); /* not the plural of URLs */
}

/* Reads one atom (several when the case changes inside) from byte i; returns its end. */
static size_t read_atom(struct splitter *s, size_t i, int8_t rank, char joint)
{
    struct atom *a = atom_begin(s, i, rank, joint);
    uint32_t prev = 0;
    size_t run = 0; /* characters since the last part began */
    while (i < s->text.n) {
        int len;
        const uint32_t cp = char_at(s, i, &len);
        const enum char_class c = class_of(cp);
        if (c != C_WORD && c != C_IGNORED)
            break;
        if (c == C_WORD) {
            if (s->n_atoms < ATOMS_MAX && case_break(s, i, prev, cp, run)) {
                a = atom_begin(s, i, 4, 0);
                run = 0;
            }
            size_t room = WORD_BYTES_MAX - (size_t)a->len;
            if (room > (size_t)(CLUSTER_BYTES - s->n_buf))
                room = (size_t)(CLUSTER_BYTES - s->n_buf);
            const size_t n = room ? fold_put(cp, s->buf + s->n_buf, room) : 0;
            s->n_buf = (uint16_t)(s->n_buf + n);
            a->len = (uint16_t)(a->len + n);
            for (size_t b = s->n_buf - n; b < s->n_buf; b++)
                a->alpha &= s->buf[b] >= 'a' && s->buf[b] <= 'z';
            prev = cp;
            run++;
        }
        i += (size_t)len;
        a->end = i;
    }
    if (a->len == 0)
        s->n_atoms--; /* marks only, or no room */
    return i;
}

/* "'s" after a word is dropped: the dog's bone. Returns the bytes to pass over. */
static size_t possessive(const struct splitter *s, size_t i)
{
    int len, len2;
    const uint32_t cp = char_at(s, i, &len);
    if (cp != '\'' && cp != 0x2019)
        return 0;
    const uint32_t letter = char_at(s, i + (size_t)len, &len2);
    const size_t end = i + (size_t)len + (size_t)len2;
    return (letter == 's' || letter == 'S') && !word_at(s, end) ? end - i : 0;
}

/* C++, g++, C#, F#: the sign belongs to a short name that ends there. */
static size_t sign_suffix(struct splitter *s, size_t i)
{
    const struct span rest = span_sub(s->text, i, i + 2);
    const size_t n = span_eq(rest, "++") ? 2 : rest.n && rest.p[0] == '#' ? 1 : 0;
    if (n == 0 || s->n_atoms != 1 || s->atom[0].len > (n == 2 ? 8 : 2) || !s->atom[0].alpha)
        return 0;
    char term[WORD_BYTES_MAX];
    memcpy(term, s->buf + s->atom[0].at, s->atom[0].len);
    memcpy(term + s->atom[0].len, rest.p, n);
    give(s, (struct span){term, s->atom[0].len + n}, s->atom[0].start, i + n, 1, false);
    give_atom(s, &s->atom[0], true);
    s->n_atoms = 0;
    s->n_buf = 0;
    s->prefix = NULL;
    return n;
}

static size_t read_cluster(struct splitter *s, size_t i)
{
    int8_t rank = -1;
    char joint = 0;
    for (;;) {
        i = read_atom(s, i, rank, joint);
        const size_t n = connector(s, i, &rank, &joint);
        if (n == 0 || s->n_atoms >= ATOMS_MAX - 1 || s->n_buf > CLUSTER_BYTES - 2 * WORD_BYTES_MAX)
            break;
        i += n;
    }
    const size_t sign = sign_suffix(s, i);
    flush(s);
    return i + sign + possessive(s, i + sign);
}

/* A run of characters of a script without spaces: each alone, and each with its right neighbour. */
static size_t read_unspaced(struct splitter *s, size_t i)
{
    size_t before = i;
    char pair[16];
    size_t n_before = 0; /* bytes of the character before, at pair[0] */
    while (i < s->text.n) {
        int len;
        const uint32_t cp = char_at(s, i, &len);
        if (class_of(cp) != C_UNSPACED)
            break;
        const size_t n = (size_t)utf8_put(cp, pair + n_before), end = i + (size_t)len;
        if (n_before) {
            s->pos--;
            give(s, (struct span){pair, n_before + n}, before, end, 2, false);
            s->pos++;
        }
        int next_len;
        const uint32_t next = char_at(s, end, &next_len);
        const bool lone = !n_before && (!next_len || class_of(next) != C_UNSPACED);
        give_character(s, (struct span){pair + n_before, n}, i, end, lone);
        memmove(pair, pair + n_before, n);
        n_before = n;
        before = i;
        i = end;
    }
    return i;
}

/* What stands before byte i and belongs to the word there: "--" of an option, "." of a name. */
static const char *prefix_before(const struct splitter *s, size_t i)
{
    const char *t = s->text.p;
    const bool dot = i >= 1 && t[i - 1] == '.',
               dashes = i >= 2 && t[i - 1] == '-' && t[i - 2] == '-';
    const size_t n = dot ? 1 : dashes ? 2 : 0;
    if (n == 0)
        return NULL;
    if (i > n && !strchr(" \t\n\r\"'`([{,=/|<>*", t[i - n - 1]))
        return NULL;
    return dot ? "." : "--";
}

uint32_t words_split(struct span text, uint32_t pos, void (*fn)(void *ctx, const struct word *w),
                     void *ctx)
{
    struct splitter s = {.text = text, .pos = pos, .fn = fn, .ctx = ctx};
    size_t i = 0;
    while (i < text.n) {
        int len;
        const uint32_t cp = char_at(&s, i, &len);
        const enum char_class c = class_of(cp);
        if (c == C_UNSPACED) {
            i = read_unspaced(&s, i);
        } else if (c == C_WORD) {
            s.prefix = prefix_before(&s, i);
            i = read_cluster(&s, i);
        } else {
            i += (size_t)len;
        }
    }
    return s.pos;
}
