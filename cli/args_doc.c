/* args_doc.c - help, manual page and shell completions, all generated from the tables of args.c. */
#include "cli/args_table.h"
#include "index/index.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Appends `text` in lines of at most 100 columns, all but the first indented. */
static void wrap(struct str *out, const char *text, size_t indent, size_t at)
{
    struct span rest = span_of(text), word;
    bool first = true;
    while (span_split(&rest, ' ', &word)) {
        if (!first && at + 1 + word.n > 100) {
            str_printf(out, "\n%*s", (int)indent, "");
            at = indent;
            first = true;
        }
        if (!first) {
            str_putc(out, ' ');
            at++;
        }
        str_span(out, word);
        at += word.n;
        first = false;
    }
    str_putc(out, '\n');
}

static void option_head(const struct option_row *o, struct str *out)
{
    if (o->letter)
        str_printf(out, "-%c, ", o->letter);
    str_printf(out, "--%s", o->name);
    if (o->meta)
        str_printf(out, " %s", o->meta);
}

static void help_options(const struct command *c, bool general, struct str *out)
{
    for (size_t i = 0; i < n_options; i++) {
        const struct option_row *o = &options[i];
        if (!option_applies(o, c) || (o->of[0] == '*') != general)
            continue;
        struct str head = {0};
        option_head(o, &head);
        str_printf(out, "  %-28s", head.p);
        if (head.n > 27)
            str_printf(out, "\n%30s", "");
        wrap(out, o->help, 30, 30);
        str_release(&head);
    }
}

void args_formats(struct str *out)
{
    static const char *const heads[] = {"built in: ", "by a program: "};
    const struct extract_format *f;
    for (int external = 0; external < 2; external++) {
        struct str list = {0};
        for (size_t i = 0; (f = extract_format_at(i)); i++) {
            if ((f->program != NULL) != external)
                continue;
            str_printf(&list, "%s%s", list.n ? " " : "", f->name);
            if (f->program)
                str_printf(&list, " (%s)", f->program);
        }
        str_printf(out, "  %s", heads[external]);
        wrap(out, list.p ? list.p : "", 4, 2 + strlen(heads[external]));
        str_release(&list);
    }
}

static void help_overview(struct str *out)
{
    str_puts(out, "semsearch: search your own documents by meaning, on this machine\n\n"
                  "  semsearch index ~/notes\n"
                  "  semsearch query \"why did the deploy fail\"\n\nCommands:\n");
    for (const struct command *c = commands; c->name; c++) {
        str_printf(out, "  %-12s  ", c->name);
        wrap(out, c->summary, 16, 16);
    }
    str_puts(out, "\nFormats:\n");
    args_formats(out);
    str_puts(out,
             "\nExit codes: 0 found or done, 1 nothing found, 2 usage or failure, 3 done but some "
             "files failed,\n"
             "4 no index here, or it is locked or of another model, 130/143 stopped by a signal.\n"
             "`semsearch help COMMAND` or `semsearch COMMAND --help` says more.\n");
}

void args_help(const struct command *c, struct str *out)
{
    if (!c) {
        help_overview(out);
        return;
    }
    str_printf(out, "semsearch %s %s\n\n", c->name, c->usage);
    str_putc(out, (char)(c->summary[0] >= 'a' && c->summary[0] <= 'z' ? c->summary[0] - 32
                                                                      : c->summary[0]));
    str_printf(out, "%s.\n", c->summary + 1);
    if (c->text)
        str_printf(out, "\n%s\n", c->text);
    str_puts(out, "\nOptions:\n");
    help_options(c, false, out);
    str_puts(out, "\nGeneral:\n");
    help_options(c, true, out);
    if (strcmp(c->name, "index") == 0) {
        str_puts(out, "\nFormats:\n");
        args_formats(out);
    }
    str_printf(out, "\nExample:\n  %s\n", c->example);
}

/* roff: a line must not begin with '.' or '\'', a backslash and a dash are written with one more
 * backslash. */
static void roff(struct str *out, const char *text)
{
    bool line_start = true;
    for (const char *p = text; *p; p++) {
        if (line_start && (*p == '.' || *p == '\''))
            str_puts(out, "\\&");
        if (*p == '\\')
            str_puts(out, "\\\\");
        else if (*p == '-')
            str_puts(out, "\\-");
        else
            str_putc(out, *p);
        line_start = *p == '\n';
    }
}

static void man_command(const struct command *c, struct str *out)
{
    str_puts(out, ".SS \"");
    roff(out, c->name);
    str_putc(out, ' ');
    roff(out, c->usage);
    str_puts(out, "\"\n");
    roff(out, c->summary);
    str_puts(out, ".\n");
    if (c->text) {
        str_puts(out, ".PP\n");
        roff(out, c->text);
        str_putc(out, '\n');
    }
    for (size_t i = 0; i < n_options; i++) {
        if (!option_applies(&options[i], c) || options[i].of[0] == '*')
            continue;
        struct str head = {0};
        option_head(&options[i], &head);
        str_puts(out, ".TP\n.B ");
        roff(out, head.p);
        str_putc(out, '\n');
        roff(out, options[i].help);
        str_putc(out, '\n');
        str_release(&head);
    }
    str_puts(out, ".PP\n.EX\n  ");
    roff(out, c->example);
    str_puts(out, "\n.EE\n");
}

void args_man(struct str *out)
{
    str_puts(
        out,
        ".TH SEMSEARCH 1\n.SH NAME\nsemsearch \\- search documents by meaning on this machine\n"
        ".SH SYNOPSIS\n.B semsearch\n.I COMMAND\n[OPTIONS] [ARGS]\n.SH COMMANDS\n");
    for (const struct command *c = commands; c->name; c++)
        man_command(c, out);
    str_puts(out, ".SH GENERAL OPTIONS\n");
    for (size_t i = 0; i < n_options; i++) {
        if (options[i].of[0] != '*')
            continue;
        struct str head = {0};
        option_head(&options[i], &head);
        str_puts(out, ".TP\n.B ");
        roff(out, head.p);
        str_putc(out, '\n');
        roff(out, options[i].help);
        str_putc(out, '\n');
        str_release(&head);
    }
    str_puts(out,
             ".SH EXIT STATUS\n0 found or done; 1 nothing found; 2 usage or failure; 3 done, some "
             "files failed; "
             "4 index missing, locked or incompatible; 130, 143 stopped by SIGINT, SIGTERM.\n");
}

static void complete_bash(struct str *out)
{
    str_puts(out,
             "_semsearch() {\n    local cur=${COMP_WORDS[COMP_CWORD]} cmd=${COMP_WORDS[1]} words\n"
             "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"");
    for (const struct command *c = commands; c->name; c++)
        str_printf(out, "%s%s", c == commands ? "" : " ", c->name);
    str_puts(out, "\"\n    else\n        case $cmd in\n");
    for (const struct command *c = commands; c->name; c++) {
        str_printf(out, "        %s) words=\"", c->name);
        for (size_t i = 0; i < n_options; i++)
            if (option_applies(&options[i], c))
                str_printf(out, "--%s ", options[i].name);
        str_puts(out, "\" ;;\n");
    }
    str_puts(out, "        *) words= ;;\n        esac\n    fi\n"
                  "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                  "    case $cur in -*) ;; *) [ \"$COMP_CWORD\" -gt 1 ] && COMPREPLY+=($(compgen "
                  "-f -- \"$cur\")) ;; esac\n"
                  "}\ncomplete -o filenames -F _semsearch semsearch\n");
}

/* Single quotes of sh: 'it'\''s'. */
static void quoted(struct str *out, const char *text)
{
    str_putc(out, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            str_puts(out, "'\\''");
        else
            str_putc(out, *text);
    }
    str_putc(out, '\'');
}

/* zsh describes "name:text", where a colon or bracket of the text is quoted. */
static void zsh_item(struct str *out, const char *name, const char *text)
{
    struct str item = {0};
    str_printf(&item, "%s[", name);
    for (const char *p = text; *p; p++) {
        if (*p == ':' || *p == '[' || *p == ']')
            str_putc(&item, '\\');
        str_putc(&item, *p);
    }
    str_putc(&item, ']');
    quoted(out, item.p);
    str_release(&item);
}

static void complete_zsh(struct str *out)
{
    str_puts(out, "#compdef semsearch\n_semsearch() {\n    if (( CURRENT == 2 )); then\n        "
                  "_values command");
    for (const struct command *c = commands; c->name; c++) {
        str_putc(out, ' ');
        zsh_item(out, c->name, c->summary);
    }
    str_puts(out, "\n        return\n    fi\n    case $words[2] in\n");
    for (const struct command *c = commands; c->name; c++) {
        str_printf(out, "    %s) _arguments", c->name);
        for (size_t i = 0; i < n_options; i++) {
            if (!option_applies(&options[i], c))
                continue;
            char *name = xasprintf("--%s%s", options[i].name, options[i].meta ? "=" : "");
            str_putc(out, ' ');
            zsh_item(out, name, options[i].help);
            free(name);
        }
        str_puts(out, " '*:file:_files' ;;\n");
    }
    str_puts(out, "    esac\n}\n_semsearch \"$@\"\n");
}

static void complete_fish(struct str *out)
{
    for (const struct command *c = commands; c->name; c++) {
        str_printf(out, "complete -c semsearch -n __fish_use_subcommand -a %s -d ", c->name);
        quoted(out, c->summary);
        str_putc(out, '\n');
        for (size_t i = 0; i < n_options; i++) {
            const struct option_row *o = &options[i];
            if (!option_applies(o, c))
                continue;
            str_printf(out, "complete -c semsearch -n '__fish_seen_subcommand_from %s' -l %s%s -d ",
                       c->name, o->name, o->meta ? " -r" : "");
            quoted(out, o->help);
            str_putc(out, '\n');
        }
    }
}

int args_completions(const char *shell, struct str *out, struct err *err)
{
    static const struct {
        const char *shell;
        void (*write)(struct str *out);
    } shells[] = {
        {"bash", complete_bash}, {"zsh", complete_zsh}, {"fish", complete_fish}, {"man", args_man}};
    for (size_t i = 0; i < ARRAY_LEN(shells); i++)
        if (strcmp(shells[i].shell, shell) == 0) {
            shells[i].write(out);
            return 0;
        }
    err_kind_set(err, ERR_USAGE, "no completions for '%s'", shell);
    return err_hint(err, "choose bash, zsh or fish (or man for the manual page)");
}
