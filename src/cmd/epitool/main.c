/* main.c — epitool: looks into files, checks them, and asks our code questions that have known
 * answers. */
#include "cmd/epitool/cmd.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/log.h"
#include "io/fs.h"

static const struct cmd *const commands[] = {
    &cmd_bucket,
    &cmd_check,
    &cmd_conformance,
    &cmd_iobench,
    &cmd_promql,
    &cmd_promqltest,
    &cmd_query,
    &cmd_tsdb,
    &cmd_wal,
};

int cmd_usage(const struct cmd *c)
{
    fprintf(stderr, "usage: epitool %s %s\n", c->name, c->usage);
    return EXIT_USAGE;
}

int cmd_failed(errc rc, const struct err *e)
{
    str words = e->n ? err_str(e) : str_z(errc_name(rc));
    fprintf(stderr, "epitool: %.*s\n", STR_ARG(words));
    return EXIT_FAILED;
}

/* Text may hold NUL, which ends what printf prints. */
errc cmd_write(FILE *out, str s, struct err *e)
{
    enum { PIECE_BYTES = 1 << 20 };
    bool good = true;
    while (s.n && good) {
        str piece = str_slice(s, 0, PIECE_BYTES);
        size_t zero = str_index(piece, 0);
        if (zero != SIZE_MAX) piece.n = zero;
        good = fprintf(out, "%.*s", STR_ARG(piece)) >= 0;
        if (zero != SIZE_MAX) good &= fputc(0, out) == 0;
        s = str_from(s, piece.n + (zero != SIZE_MAX));
    }
    return good ? OK : err_set(e, ERR_IO, "the output cannot be written");
}

void cmd_print(FILE *out, str s)
{
    errc rc = cmd_write(out, s, NULL);
    (void)rc;
}

void cmd_warnings(const str_list *words)
{
    for (size_t i = 0; i < words->n; i++)
        fprintf(stderr, "warning: %.*s\n", STR_ARG(words->at[i]));
}

errc cmd_read_file(const char *path, struct arena *a, str *out, struct err *e)
{
    enum { FILE_BYTES_MAX = 1 << 30 };
    return fs_read_path(str_z(path), a, FILE_BYTES_MAX, out, e);
}

bool cmd_line(void *out, const struct opt *table, size_t n, const char *group, const char *about,
    int argc, char **argv, struct opts_run *run, int *code)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf text = { 0 };
    struct err e = { 0 };
    errc rc = opts_parse(out, table, n, argc, argv, run, &e);
    *code = EXIT_FINE;
    if (rc == OK && !run->help) return true;
    const char *prog = arena_cstr(&a, arena_fmt(&a, "epitool %s %s", group, argv[0]));
    opts_help(&text, prog, about, table, n);
    if (rc != OK) fprintf(stderr, "epitool: %.*s\n", STR_ARG(err_str(&e)));
    cmd_print(rc == OK ? stdout : stderr, buf_view(&text));
    if (rc != OK) *code = EXIT_USAGE;
    return false;
}

static bool asks_for_help(str word)
{
    return str_eq(word, S("help")) || str_eq(word, S("--help")) || str_eq(word, S("-h"));
}

static int group_help(const struct cmd_group *g, FILE *out)
{
    fprintf(out, "usage: epitool %s COMMAND%s ...\n\n", g->name, g->usage);
    for (size_t i = 0; i < g->n; i++)
        fprintf(out, "  %s %s\n        %s\n", g->at[i].name, g->at[i].usage, g->at[i].help);
    return out == stderr ? EXIT_USAGE : EXIT_FINE;
}

int cmd_group_run(const struct cmd_group *g, int argc, char **argv)
{
    if (argc < 2) return group_help(g, stderr);
    str word = str_z(argv[1]);
    if (asks_for_help(word)) return group_help(g, stdout);
    for (size_t i = 0; i < g->n; i++)
        if (str_eq(word, str_z(g->at[i].name))) return g->at[i].run(argc - 1, argv + 1);
    fprintf(stderr, "epitool: no command %s %s\n", g->name, argv[1]);
    return group_help(g, stderr);
}

static int help(FILE *out)
{
    fprintf(out, "usage: epitool [--log.level=LEVEL] COMMAND ...\n\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->help);
    return out == stderr ? EXIT_USAGE : EXIT_FINE;
}

/* Warnings and what is worse, unless the first word asks for another level. */
static bool set_level(const char *first)
{
    static const str levels[] = { [LOG_DEBUG] = S("debug"), [LOG_INFO] = S("info"),
        [LOG_WARN] = S("warn"), [LOG_ERROR] = S("error") };
    static const str before = S("--log.level=");
    log_set(LOG_WARN, LOG_LOGFMT);
    if (!first || !str_has_prefix(str_z(first), before)) return false;
    str word = str_from(str_z(first), before.n);
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (!str_eq(word, levels[i])) continue;
        log_set((enum log_level)i, LOG_LOGFMT);
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    bool level = set_level(argc > 1 ? argv[1] : NULL);
    argc -= level;
    argv += level;
    /* promtool wants to hear it for some commands; none of these does */
    bool experimental = argc > 1 && str_eq(str_z(argv[1]), S("--experimental"));
    argc -= experimental;
    argv += experimental;
    if (argc < 2) return help(stderr);
    str word = str_z(argv[1]);
    if (asks_for_help(word)) return help(stdout);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (str_eq(word, str_z(commands[i]->name))) return commands[i]->run(argc - 1, argv + 1);
    fprintf(stderr, "epitool: no command %s\n", argv[1]);
    return help(stderr);
}
