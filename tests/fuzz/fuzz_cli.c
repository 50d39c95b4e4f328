/* Command lines and standard input: the first byte chooses between arguments for a command (the
 * rest, NUL between them, parsed only) and a command that reads lines (the rest is its standard
 * input). The tiny model of tests/data answers, so the fuzzer runs from the root of the source
 * tree. */
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "src/base/mem.h"
#include "src/kernels/kernels.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ARGS = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_arguments(const struct command *c, char *text, size_t n)
{
    char *argv[MAX_ARGS];
    int argc = 0;
    for (size_t at = 0; at < n && argc < MAX_ARGS; at += strlen(text + at) + 1)
        argv[argc++] = text + at;
    struct args a;
    struct err err = {0};
    if (args_parse(c, argc, argv, &a, &err) && !err.msg[0])
        __builtin_trap(); /* a refusal without a reason */
    args_release(&a);
}

static void fuzz_lines(size_t which, char *text, size_t n)
{
    static const struct {
        const char *command;
        int (*run)(const struct args *a, struct err *err);
        bool pair, json;
    } ways[] = {{"tokenize", cmd_tokenize, false, false},
                {"tokenize", cmd_tokenize, true, false},
                {"embed", cmd_embed, false, false},
                {"embed", cmd_embed, false, true},
                {"similarity", cmd_similarity, false, false}};
    which %= ARRAY_LEN(ways);
    FILE *was = stdin;
    stdin = n ? fmemopen(text, n, "r") : fopen("/dev/null", "r");
    struct args a = {.model = "tests/data/models/tiny",
                     .threads = 1,
                     .pair = ways[which].pair,
                     .input = ways[which].json ? "jsonl" : NULL};
    struct err err = {0};
    if (ways[which].run(&a, &err) < 0 && !err.msg[0])
        __builtin_trap();
    fclose(stdin);
    stdin = was;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (size < 2 || size > 4096 || kernels_init(&err))
        return 0;
    setenv("XDG_DATA_HOME", "/nonexistent", 1);
    setenv("XDG_CACHE_HOME", "/nonexistent", 1);
    char *text = xstrndup((const char *)data + 2, size - 2);
    if (data[0] % 4) {
        fuzz_lines(data[1], text, size - 2);
    } else {
        size_t n = 0;
        while (commands[n].name)
            n++;
        fuzz_arguments(&commands[data[1] % n], text, size - 2);
    }
    free(text);
    return 0;
}
