/* check.c — `epitool check config FILE…`: would a server start with this? And are the files there
 * that it names, and the addresses of its targets such ones? */
#include "cmd/epitool/cmd.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "io/fs.h"
#include "io/glob.h"
#include "scrape/file_sd.h"
#include "scrape/target.h"

struct check_opts { bool agent, syntax_only; };

static const char *env_of(const char *name) { return getenv(name); }

/* A file that is named by itself: is there one? */
static errc check_file(str path, const char *what, struct arena *a, struct err *e)
{
    str_list found = { 0 };
    if (!path.n) return OK;
    if (glob_paths(path, a, &found, NULL) == OK && found.n) return OK;
    return err_set(e, ERR_NOT_FOUND,
        "error checking %s \"%.*s\": stat %.*s: no such file or directory", what, STR_ARG(path),
        STR_ARG(path));
}

static errc check_rule_files(const struct config *c, size_t *found, struct arena *a, struct err *e)
{
    *found = 0;
    for (size_t i = 0; i < c->rule_files.n; i++) {
        str_list paths = { 0 };
        str pattern = c->rule_files.at[i];
        TRY(glob_paths(pattern, a, &paths, e));
        if (!paths.n && str_index(pattern, '*') == SIZE_MAX)
            return err_set(e, ERR_NOT_FOUND, "\"%.*s\" does not point to an existing file",
                STR_ARG(pattern));
        *found += paths.n;
    }
    return OK;
}

static errc check_tls(
    const struct tls_options *t, bool syntax_only, struct arena *a, struct err *e)
{
    if (t->cert_file.n && !t->key_file.n && !t->key.n)
        return err_set(e, ERR_BAD_INPUT,
            "client cert file \"%.*s\" specified without client key file", STR_ARG(t->cert_file));
    if (t->key_file.n && !t->cert_file.n && !t->cert.n)
        return err_set(e, ERR_BAD_INPUT,
            "client key file \"%.*s\" specified without client cert file", STR_ARG(t->key_file));
    if (syntax_only) return OK;
    TRY(check_file(t->cert_file, "client cert file", a, e));
    return check_file(t->key_file, "client key file", a, e);
}

static errc check_groups(const struct scrape_config *job, const struct target_group *groups,
    size_t n, bool named, struct arena *a, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        const struct target_group *g = &groups[i];
        for (size_t k = 0; k < g->n_targets; k++) {
            struct labels out, discovered;
            bool keep;
            TRY_IN(e,
                target_labels(&out, &discovered, &keep, job, g->targets[k], g->labels, a, e),
                "instance %zu in group %.*s", k, STR_ARG(named ? g->source : S("")));
        }
    }
    return OK;
}

/* The discovery files that are there; one that is not there yet may come. */
static errc check_discovery_files(const struct scrape_config *job, const struct file_sd_config *sd,
    struct arena *a, struct err *e)
{
    for (size_t i = 0; i < sd->n_files; i++) {
        str pattern = sd->files[i];
        str_list paths = { 0 };
        TRY(glob_paths(pattern, a, &paths, e));
        if (!paths.n)
            printf("  WARNING: file \"%.*s\" for file_sd in scrape job \"%.*s\" does not exist\n",
                STR_ARG(pattern), STR_ARG(job->job_name));
        for (size_t k = 0; k < paths.n; k++) {
            str text;
            target_groups groups = { 0 };
            errc rc = cmd_read_file(arena_cstr(a, paths.at[k]), a, &text, e);
            if (rc == OK) rc = file_sd_parse(&groups, paths.at[k], text, a, e);
            if (rc != OK) return err_in(e, rc, "checking SD file \"%.*s\"", STR_ARG(pattern));
            TRY(check_groups(job, groups.at, groups.n, false, a, e));
        }
    }
    return OK;
}

static errc check_job(
    const struct scrape_config *job, bool syntax_only, struct arena *a, struct err *e)
{
    if (!syntax_only)
        TRY(check_file(job->http.credentials_file,
            "authorization credentials or bearer token file", a, e));
    TRY(check_tls(&job->http.tls, syntax_only, a, e));
    TRY(check_groups(job, job->static_groups, job->n_static_groups, true, a, e));
    for (size_t i = 0; i < job->n_file_sd && !syntax_only; i++)
        TRY(check_discovery_files(job, &job->file_sd[i], a, e));
    return OK;
}

static errc check_all(const struct config *c, const struct check_opts *o, size_t *rule_files,
    struct arena *a, struct err *e)
{
    *rule_files = 0;
    if (!o->syntax_only) TRY(check_rule_files(c, rule_files, a, e));
    for (size_t i = 0; i < c->scrape.n; i++)
        TRY(check_job(&c->scrape.at[i], o->syntax_only, a, e));
    return config_served(c, false, e);
}

static errc check_one(const char *path, const struct check_opts *opts, struct err *e)
{
    struct arena a = { 0 };
    str text;
    struct config *c = NULL;
    struct config_opts o = { .agent = opts->agent, .env = env_of };
    size_t rule_files = 0;
    errc rc = cmd_read_file(path, &a, &text, e);
    if (rc == OK) rc = config_parse(&c, text, str_z(path), &o, e);
    if (rc == OK && !opts->syntax_only) {      /* again, with the jobs that stand in other files */
        config_free(STEAL(c));
        o.read_files = true;
        rc = config_parse(&c, text, str_z(path), &o, e);
        if (rc != OK) rc = err_in(e, rc, "error loading scrape configs");
    }
    if (rc == OK) rc = check_all(c, opts, &rule_files, &a, e);
    if (rc == OK) {
        if (rule_files) printf("  SUCCESS: %zu rule files found\n", rule_files);
        printf(" SUCCESS: %s is valid prometheus config file syntax\n", path);
        for (size_t i = 0; i < c->unsupported.n; i++)
            fprintf(stderr, "  note: section %.*s is not served\n", STR_ARG(c->unsupported.at[i]));
    }
    config_free(c);
    arena_fini(&a);
    return rc;
}

static int run(int argc, char **argv)
{
    struct check_opts o = { 0 };
    int at = 2, code = EXIT_FINE;
    if (argc < 2 || strcmp(argv[1], "config") != 0) return cmd_usage(&cmd_check);
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--agent") == 0) o.agent = true;
        else if (strcmp(argv[at], "--syntax-only") == 0) o.syntax_only = true;
        else return cmd_usage(&cmd_check);
    }
    if (at == argc) return cmd_usage(&cmd_check);
    for (; at < argc; at++) {
        printf("Checking %s\n", argv[at]);
        struct err e = { 0 };
        errc rc = check_one(argv[at], &o, &e);
        if (rc != OK) {
            fflush(stdout);
            fprintf(stderr, "  FAILED: %.*s\n", STR_ARG(e.n ? err_str(&e) : str_z(errc_name(rc))));
            code = EXIT_FAILED;
        }
        printf("\n");
    }
    return code;
}

const struct cmd cmd_check = { "check", "config [--agent] [--syntax-only] FILE...",
    "read a configuration as the server would, and look for the files that it names", run };
