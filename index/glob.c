/* glob.c - matching of gitignore patterns; see glob.h.
 *
 * A pattern is a sequence of components between slashes; `**` alone is a component that stands for
 * any number of path components. Both levels (stars within a name, `**` between names) are matched
 * with the same greedy rule: after a mismatch only the last star is tried again one step further.
 * That is complete, because whatever an earlier star could still take the last one can take too,
 * and it costs at most length x length, so that a hostile pattern cannot hang the walk (naive
 * recursion is exponential in the number of stars).
 *
 * The language is that of git's documentation (gitignore(5)) and, where that is silent, of its
 * behaviour: '!' or '^' negates a set, ']' first in a set is itself, a backslash quotes inside sets
 * too, POSIX classes are ASCII, an unclosed set or a backslash at the end matches nothing, and
 * stars beside other characters in a component are plain stars however many they are.
 */
#include "index/glob.h"

#include <stdint.h>
#include <string.h>

static bool is_between(unsigned char c, char low, char high)
{
    return c >= (unsigned char)low && c <= (unsigned char)high;
}

static bool is_alpha(unsigned char c)
{
    return is_between(c, 'a', 'z') || is_between(c, 'A', 'Z');
}

static bool is_digit(unsigned char c)
{
    return is_between(c, '0', '9');
}

static bool is_space(unsigned char c)
{
    return c == ' ' || is_between(c, '\t', '\r');
}

/* [:name:]; false in *known for a name that does not exist. */
static bool class_has(struct span name, unsigned char c, bool *known)
{
    const struct {
        const char *name;
        bool has;
    } classes[] = {
        {"alnum", is_alpha(c) || is_digit(c)},
        {"alpha", is_alpha(c)},
        {"blank", c == ' ' || c == '\t'},
        {"cntrl", c < 32 || c == 127},
        {"digit", is_digit(c)},
        {"graph", is_between(c, '!', '~')},
        {"lower", is_between(c, 'a', 'z')},
        {"print", is_between(c, ' ', '~')},
        {"punct", is_between(c, '!', '~') && !is_alpha(c) && !is_digit(c)},
        {"space", is_space(c)},
        {"upper", is_between(c, 'A', 'Z')},
        {"xdigit", is_digit(c) || is_between(c, 'a', 'f') || is_between(c, 'A', 'F')},
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (span_eq(name, classes[i].name))
            return classes[i].has;
    *known = false;
    return false;
}

/* Reads the set whose first byte after '[' is at *pos and moves *pos behind its ']'. *hit says
 * whether c is in it. False: the set is not closed or names an unknown class. */
static bool set_read(struct span p, size_t *pos, unsigned char c, bool *hit)
{
    size_t i = *pos;
    const bool negated = i < p.n && (p.p[i] == '!' || p.p[i] == '^');
    i += negated;
    bool found = false;
    int previous = 0; /* the low end of a range that '-' would begin; 0: none */
    for (const size_t first = i;;) {
        if (i >= p.n)
            return false;
        unsigned char ch = (unsigned char)p.p[i];
        if (ch == ']' && i > first)
            break;
        const char *close;
        if (ch == '-' && previous && i + 1 < p.n && p.p[i + 1] != ']') {
            i += p.p[i + 1] == '\\' ? 2 : 1;
            if (i >= p.n)
                return false;
            found |= c >= previous && c <= (unsigned char)p.p[i];
            previous = 0;
        } else if (ch == '[' && i + 1 < p.n && p.p[i + 1] == ':') {
            close = i + 2 < p.n ? memchr(p.p + i + 2, ']', p.n - i - 2) : NULL;
            if (!close)
                return false;
            const size_t end = (size_t)(close - p.p);
            if (end > i + 2 && p.p[end - 1] == ':') {
                bool known = true;
                found |= class_has(span_sub(p, i + 2, end - 1), c, &known);
                if (!known)
                    return false;
                previous = 0;
                i = end;
            } else {
                found |= c == '[';
                previous = '[';
            }
        } else {
            if (ch == '\\') {
                if (++i >= p.n)
                    return false;
                ch = (unsigned char)p.p[i];
            }
            found |= c == ch;
            previous = ch;
        }
        i++;
    }
    *pos = i + 1;
    *hit = found != negated;
    return true;
}

/* Does the element at *pos (not a star) match c? Then *pos moves behind it. */
static bool element_match(struct span p, size_t *pos, unsigned char c)
{
    size_t i = *pos;
    bool hit;
    switch (p.p[i]) {
    case '?':
        hit = true;
        i++;
        break;
    case '[':
        i++;
        if (!set_read(p, &i, c, &hit))
            return false;
        break;
    case '\\':
        if (++i >= p.n)
            return false;
        /* fall through */
    default:
        hit = (unsigned char)p.p[i] == c;
        i++;
    }
    if (hit)
        *pos = i;
    return hit;
}

/* One component of a pattern against one name. */
static bool name_match(struct span p, struct span name)
{
    size_t i = 0, k = 0, star = SIZE_MAX, star_k = 0;
    while (k < name.n) {
        if (i < p.n && p.p[i] == '*') {
            star = ++i;
            star_k = k;
        } else if (i < p.n && element_match(p, &i, (unsigned char)name.p[k])) {
            k++;
        } else if (star != SIZE_MAX) {
            i = star;
            k = ++star_k;
        } else {
            return false;
        }
    }
    while (i < p.n && p.p[i] == '*')
        i++;
    return i == p.n;
}

/* The end of the pattern's component that begins at `pos`: the position of its '/' or p.n. *skip
 * gets the separator's length (2 for a quoted slash). */
static size_t component_end(struct span p, size_t pos, size_t *skip)
{
    *skip = 1;
    while (pos < p.n && p.p[pos] != '/') {
        bool hit;
        if (p.p[pos] == '\\' && pos + 1 < p.n) {
            if (p.p[pos + 1] == '/') {
                *skip = 2;
                return pos;
            }
            pos += 2;
        } else if (p.p[pos] == '[') {
            pos++;
            if (!set_read(p, &pos, 0, &hit))
                return p.n; /* malformed: whatever follows, it cannot match */
        } else {
            pos++;
        }
    }
    return pos < p.n ? pos : p.n;
}

static size_t name_end(struct span t, size_t pos)
{
    const char *slash = pos < t.n ? memchr(t.p + pos, '/', t.n - pos) : NULL;
    return slash ? (size_t)(slash - t.p) : t.n;
}

static bool is_double_star(struct span component)
{
    size_t n = 0;
    while (n < component.n && component.p[n] == '*')
        n++;
    return n == component.n && n >= 2;
}

/* Positions are starts of components; one past the length means that nothing is left. */
bool glob_match(struct span p, struct span t)
{
    size_t i = 0, k = 0, star = SIZE_MAX, star_k = 0;
    while (k <= t.n) {
        size_t skip = 1;
        const size_t end = i <= p.n ? component_end(p, i, &skip) : 0;
        const struct span component = i <= p.n ? span_sub(p, i, end) : (struct span){0};
        const size_t k_end = name_end(t, k);
        if (i <= p.n && is_double_star(component)) {
            if (end == p.n)
                return true;
            star = i = end + skip;
            star_k = k = skip == 2 ? k_end + 1 : k; /* git: before a quoted slash at least one */
        } else if (i <= p.n && name_match(component, span_sub(t, k, k_end))) {
            i = end + skip;
            k = k_end + 1;
        } else if (star != SIZE_MAX) {
            i = star;
            k = star_k = name_end(t, star_k) + 1;
        } else {
            return false;
        }
    }
    return i > p.n;
}

bool glob_match_path(struct span pattern, struct span path)
{
    bool anchored = false;
    if (span_starts(pattern, "./")) {
        pattern = span_sub(pattern, 2, pattern.n);
        anchored = true;
    } else if (span_starts(pattern, "/")) {
        pattern = span_sub(pattern, 1, pattern.n);
        anchored = true;
    }
    const bool dir_only = span_ends(pattern, "/");
    pattern = span_sub(pattern, 0, pattern.n - dir_only);
    anchored = anchored || (pattern.n && memchr(pattern.p, '/', pattern.n));
    for (size_t start = 0, end; start <= path.n; start = end + 1) {
        end = name_end(path, start);
        if (end == path.n && dir_only)
            break;
        const struct span candidate = span_sub(path, anchored ? 0 : start, end);
        if (anchored ? glob_match(pattern, candidate) : name_match(pattern, candidate))
            return true;
    }
    return false;
}
