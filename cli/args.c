/* args.c - the command line by the tables of args_table.c; see args.h. */
#include "cli/args.h"

#include "cli/args_table.h"
#include "src/base/mem.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is `word` one of the blank-separated words of `list`? */
static bool listed(const char *list, const char *word)
{
    struct span rest = span_of(list), piece;
    while (span_split(&rest, ' ', &piece))
        if (span_eq(piece, word))
            return true;
    return false;
}

bool option_applies(const struct option_row *o, const struct command *c)
{
    return o->of[0] == '*' || listed(o->of, c->name);
}

/* Keeps the nearest of the names offered so far; two edits, or a third of the length, is near
 * enough. */
struct nearest {
    const char *word, *best;
    int distance;
};

static void nearest_offer(struct nearest *n, const char *candidate)
{
    const int d = str_distance(n->word, candidate);
    const int limit = (int)strlen(n->word) / 3 > 2 ? (int)strlen(n->word) / 3 : 2;
    if (d <= limit && d < n->distance && d < (int)strlen(candidate)) {
        n->distance = d;
        n->best = candidate;
    }
}

const struct command *command_find(const char *name, struct err *err)
{
    struct nearest near = {name, NULL, 99};
    for (const struct command *c = commands; c->name; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
        nearest_offer(&near, c->name);
    }
    err_kind_set(err, ERR_USAGE, "unknown command '%s'", name);
    if (near.best)
        err_hint(err, "did you mean '%s'?", near.best);
    else
        err_hint(err,
                 "`semsearch help` lists the commands; to search, write: semsearch query \"%s\"",
                 name);
    return NULL;
}

static const struct option_row *find_long(const struct command *c, struct span name,
                                          struct err *err)
{
    char *word = xstrndup(name.p, name.n);
    struct nearest near = {word, NULL, 99};
    const struct option_row *hit = NULL, *elsewhere = NULL;
    for (size_t i = 0; i < n_options && !hit; i++) {
        const bool same = strcmp(options[i].name, word) == 0;
        if (!option_applies(&options[i], c)) {
            elsewhere = same ? &options[i] : elsewhere;
            continue;
        }
        if (same)
            hit = &options[i];
        nearest_offer(&near, options[i].name);
    }
    if (!hit) {
        err_kind_set(err, ERR_USAGE, "unknown option '--%s' of '%s'", word, c->name);
        if (near.best)
            err_hint(err, "did you mean '--%s'?", near.best);
        else if (elsewhere)
            err_hint(err, "'--%s' belongs to: %s", word, elsewhere->of);
        else
            err_hint(err, "`semsearch %s --help` lists the options", c->name);
    }
    free(word);
    return hit;
}

static const struct option_row *find_letter(const struct command *c, char letter, struct err *err)
{
    for (size_t i = 0; i < n_options; i++)
        if (options[i].letter == letter && option_applies(&options[i], c))
            return &options[i];
    err_kind_set(err, ERR_USAGE, "unknown option '-%c' of '%s'", letter, c->name);
    err_hint(
        err,
        "`semsearch %s --help` lists the options; put `--` before a text that begins with a dash",
        c->name);
    return NULL;
}

int parse_size(const char *text, int64_t *bytes, struct err *err)
{
    static const struct {
        char letter;
        double factor;
    } units[] = {{'k', 1024.0},    {'K', 1024.0},       {'m', 1048576.0},
                 {'M', 1048576.0}, {'g', 1073741824.0}, {'G', 1073741824.0}};
    char *end;
    const double v = strtod(text, &end);
    double factor = 1;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (*end == units[i].letter) {
            factor = units[i].factor;
            end++;
            break;
        }
    if (end == text || *end || !(v >= 0) || v * factor > 9e18) {
        err_kind_set(err, ERR_USAGE, "'%s' is not a size", text);
        return err_hint(err, "write a number of bytes, or with k, M, G: 500k, 64M, 2G");
    }
    *bytes = (int64_t)(v * factor);
    return 0;
}

static int bad_value(const struct option_row *o, const char *value, const char *expected,
                     struct err *err)
{
    err_kind_set(err, ERR_USAGE, "'%s' is no value for --%s", value, o->name);
    return err_hint(err, "expected %s", expected);
}

static int set_count(const struct option_row *o, const char *value, int64_t *out, struct err *err)
{
    char *end;
    errno = 0;
    const long long v = strtoll(value, &end, 10);
    const long long least = o->type == ARG_WHOLE ? 0 : 1;
    const long long most = o->type == ARG_WHOLE ? INT32_MAX : 1000000;
    if (end == value || *end || errno || v < least || v > most)
        return bad_value(o, value, least ? "a whole number from 1" : "a whole number from 0", err);
    *out = v;
    return 0;
}

static int set_real(const struct option_row *o, const char *value, double *out, struct err *err)
{
    char *end;
    const double v = strtod(value, &end);
    const bool negative = o->type == ARG_SIGNED;
    if (end == value || *end || !(v >= (negative ? -1e12 : 0) && v < 1e12))
        return bad_value(o, value, negative ? "a number" : "a number that is not negative", err);
    if (strcmp(o->name, "min-score") == 0 && v > 1)
        return bad_value(o, value, "a number from 0 to 1", err);
    *out = v;
    return 0;
}

static int set_choice(const struct option_row *o, const char *value, const char **out,
                      struct err *err)
{
    struct span rest = span_of(o->meta), piece;
    struct nearest near = {value, NULL, 99};
    char word[32], best[32] = "";
    while (span_split(&rest, '|', &piece)) {
        if (span_eq(piece, value)) {
            *out = value;
            return 0;
        }
        snprintf(word, sizeof word, "%.*s", (int)piece.n, piece.p);
        nearest_offer(&near, word);
        if (near.best == word) { /* `word` is overwritten by the next one */
            strcpy(best, word);
            near.best = best;
        }
    }
    bad_value(o, value, o->meta, err);
    return best[0] ? err_hint(err, "did you mean '%s'? (%s)", best, o->meta) : -1;
}

static int set_value(const struct option_row *o, const char *value, struct args *a, struct err *err)
{
    void *field = (char *)a + o->offset;
    switch (o->type) {
    case ARG_FLAG:
        *(bool *)field = true;
        return 0;
    case ARG_TEXT:
        *(const char **)field = value;
        return 0;
    case ARG_CHOICE:
        return set_choice(o, value, field, err);
    case ARG_COUNT:
    case ARG_WHOLE:
        return set_count(o, value, field, err);
    case ARG_SIZE:
        return parse_size(value, field, err);
    case ARG_REAL:
    case ARG_SIGNED:
        return set_real(o, value, field, err);
    case ARG_LIST: {
        struct arg_list *list = field;
        VEC_GROW(list->item, list->n, list->cap);
        list->item[list->n++] = value;
        return 0;
    }
    }
    return 0;
}

static int missing_value(const char *option, struct err *err)
{
    return err_kind_set(err, ERR_USAGE, "option '%s' needs a value", option);
}

/* One argument that begins with two dashes; *i moves on when it takes the next one as its value. */
static int parse_long(const struct command *c, int n, char **argv, int *i, struct args *a,
                      struct err *err)
{
    const char *arg = argv[*i] + 2, *equals = strchr(arg, '=');
    const struct span name = {arg, equals ? (size_t)(equals - arg) : strlen(arg)};
    const struct option_row *o = find_long(c, name, err);
    if (!o)
        return -1;
    if (o->type == ARG_FLAG) {
        if (equals)
            return err_kind_set(err, ERR_USAGE, "option '--%s' takes no value", o->name);
        return set_value(o, NULL, a, err);
    }
    if (equals)
        return set_value(o, equals + 1, a, err);
    if (*i + 1 >= n)
        return missing_value(argv[*i], err);
    return set_value(o, argv[++*i], a, err);
}

/* "-k5", "-k 5", "-0", "-q0": letters without a value may be joined. */
static int parse_short(const struct command *c, int n, char **argv, int *i, struct args *a,
                       struct err *err)
{
    for (const char *p = argv[*i] + 1; *p; p++) {
        const struct option_row *o = find_letter(c, *p, err);
        if (!o)
            return -1;
        if (o->type == ARG_FLAG) {
            if (set_value(o, NULL, a, err))
                return -1;
            continue;
        }
        if (p[1])
            return set_value(o, p + 1, a, err);
        if (*i + 1 >= n)
            return missing_value(argv[*i], err);
        return set_value(o, argv[++*i], a, err);
    }
    return 0;
}

int args_parse(const struct command *c, int n, char **argv, struct args *a, struct err *err)
{
    *a = (struct args){.k = 10,
                       .min_score = -1,
                       .context = -1,
                       .train = TRAIN_ARGS_UNSET,
                       .word = argv,
                       .n_words = n};
    a->pos = xcalloc((size_t)n + 1, sizeof *a->pos);
    bool options_end = false;
    for (int i = 0; i < n; i++) {
        int rc = 0;
        if (options_end || argv[i][0] != '-' || !argv[i][1])
            a->pos[a->n_pos++] = argv[i];
        else if (strcmp(argv[i], "--") == 0)
            options_end = true;
        else if (argv[i][1] == '-')
            rc = parse_long(c, n, argv, &i, a, err);
        else
            rc = parse_short(c, n, argv, &i, a, err);
        if (rc)
            return -1;
    }
    return 0;
}

void args_release(struct args *a)
{
    free(a->pos);
    free(a->include.item);
    free(a->exclude.item);
    free(a->path.item);
    free(a->kind.item);
    free(a->columns.item);
    free(a->train.data.item);
    free(a->train.eval_data.item);
    free(a->train.freeze.item);
    *a = (struct args){0};
}
