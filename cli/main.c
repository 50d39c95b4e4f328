/* main.c - from argv to a command, and from its result to an exit code.
 *
 * Errors of every command end here: the message on standard error, and with --json or --jsonl also
 * a JSON object on standard output. Nothing else prints errors or exits.
 */
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "src/base/stop.h"
#include "src/kernels/kernels.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int exit_code(enum err_kind kind)
{
    switch (kind) {
    case ERR_NO_INDEX:
    case ERR_LOCKED:
    case ERR_INCOMPATIBLE:
        return EXIT_INDEX;
    case ERR_STOPPED:
        return 128 + (stop_signal() ? stop_signal() : SIGINT);
    default:
        return EXIT_BAD;
    }
}

/* Did the caller ask for JSON? Looked up in argv itself, since parsing may be what failed. */
static bool wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "--jsonl") == 0)
            return true;
    return false;
}

static void report(const struct err *e, bool json)
{
    if (!e->msg[0])
        return;
    struct str line = {0};
    printable(&line, span_of(e->msg), true);
    fprintf(stderr, "semsearch: %s\n", line.p);
    str_clear(&line);
    if (e->hint[0]) {
        printable(&line, span_of(e->hint), true);
        fprintf(stderr, "  %s\n", line.p);
    }
    str_clear(&line);
    if (json) {
        struct json_writer w;
        json_begin(&w, &line);
        jw_key(&w, "error");
        jw_object(&w);
        jw_ktext(&w, "kind", err_kind_name(e->kind));
        jw_ktext(&w, "message", e->msg);
        jw_ktext(&w, "hint", e->hint[0] ? e->hint : NULL);
        json_finish(&w);
        out_write(str_view(&line));
    }
    str_release(&line);
}

static void print_help(const struct command *c)
{
    struct str text = {0};
    args_help(c, &text);
    out_str(&text);
}

static int run(int argc, char **argv, struct err *err)
{
    if (argc < 2) {
        struct str text = {0};
        args_help(NULL, &text);
        fputs(text.p, stderr);
        str_release(&text);
        return EXIT_BAD;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_help(NULL);
        return EXIT_FOUND;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        word = "version";
    if (word[0] == '-') {
        err_kind_set(err, ERR_USAGE, "'%s' stands where a command is expected", word);
        return err_hint(err, "semsearch COMMAND [OPTIONS]; `semsearch help` lists the commands");
    }
    const struct command *c = command_find(word, err);
    if (!c)
        return -1;
    struct args a;
    int rc = args_parse(c, argc - 2, argv + 2, &a, err);
    out_init(&a);
    if (rc == 0 && a.help)
        print_help(c);
    else if (rc == 0 &&
             (rc = kernels_init(err)) == 0) /* before any thread, for whoever multiplies */
        rc = c->run(&a, err);
    args_release(&a);
    return rc;
}

/* A stream that the caller closed must not become the descriptor of an index file, or messages
 * would be written into it. What is opened in its place fails at every use, as the closed one
 * would. */
static void guard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            return;
}

/* A file that was mapped (weights, our caches, training data) has lost bytes: another program
 * cut it short in place. The bytes cannot be had any more, so this ends the program, but says why.
 * An index takes no harm from an end at any moment. */
static void on_lost_bytes(int sig)
{
    static const char text[] = "semsearch: a file that was in use (a model, a cache, data) was cut "
                               "short by another program\n"
                               "  run it again\n";
    (void)sig;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(EXIT_BAD);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    guard_streams();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGBUS, on_lost_bytes);
    stop_install();
    struct err last = {0};
    int code = run(argc, argv, &err);
    if (code < 0) {
        (void)out_flush(&last); /* results first, then what ended them */
        code = exit_code(err.kind);
        report(&err, wants_json(argc, argv));
    }
    if (out_flush(&last)) {
        report(&last, false);
        code = EXIT_BAD;
    }
    return code;
}
