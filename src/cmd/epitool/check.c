/* check.c — `epitool check config FILE…`: would a server start with this? */
#include "cmd/epitool/cmd.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"

static const char *env_of(const char *name) { return getenv(name); }

static errc check_one(const char *path, struct err *e)
{
    struct arena a = { 0 };
    str text;
    struct config *c = NULL;
    struct config_opts o = { .env = env_of, .read_files = true };
    errc rc = cmd_read_file(path, &a, &text, e);
    if (rc == OK) rc = config_parse(&c, text, str_z(path), &o, e);
    if (rc == OK) rc = config_served(c, false, e);
    if (rc == OK) {
        printf(" SUCCESS: %s is valid prometheus config file syntax\n\n", path);
        for (size_t i = 0; i < c->unsupported.n; i++)
            fprintf(stderr, "  note: section %.*s is not served\n", STR_ARG(c->unsupported.at[i]));
    }
    config_free(c);
    arena_fini(&a);
    return rc;
}

static int run(int argc, char **argv)
{
    if (argc < 3 || strcmp(argv[1], "config") != 0) return cmd_usage(&cmd_check);
    int code = EXIT_FINE;
    for (int i = 2; i < argc; i++) {
        printf("Checking %s\n", argv[i]);
        struct err e = { 0 };
        errc rc = check_one(argv[i], &e);
        if (rc == OK) continue;
        fprintf(stderr, "  FAILED: %.*s\n\n", STR_ARG(e.n ? err_str(&e) : str_z(errc_name(rc))));
        code = EXIT_FAILED;
    }
    return code;
}

const struct cmd cmd_check = { "check", "config FILE...",
    "read a configuration as the server would", run };
