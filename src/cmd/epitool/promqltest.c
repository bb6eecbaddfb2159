/* promqltest.c — `epitool promqltest FILE…`: runs scripts on the storage of script_store.h and the
 * real engine. */
#include <stdio.h>

#include "base/json.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/script_store.h"

/* line: only the evaluations that begin there; 0: all */
struct reporter { const char *path; bool json, verbose; size_t line, passed, failed; };

static void put_json(size_t line, bool ok, str why)
{
    struct buf b = { 0 };
    struct json j = { .b = &b, .html = true };
    json_obj(&j);
    json_ki64(&j, S("line"), (int64_t)line);
    json_kbool(&j, S("ok"), ok);
    if (why.n) json_kstr(&j, S("why"), why);
    json_obj_end(&j);
    printf("%.*s\n", STR_ARG(buf_view(&b)));
    buf_fini(&b);
}

static void on_eval(void *ctx, size_t line, enum script_outcome outcome, str why)
{
    struct reporter *r = ctx;
    if (r->line && line != r->line) return;
    if (outcome == SCRIPT_PASSED) r->passed++;
    else r->failed++;
    if (r->json) put_json(line, outcome == SCRIPT_PASSED, why);
    else if (outcome == SCRIPT_FAILED) printf("%s:%zu: %.*s\n", r->path, line, STR_ARG(why));
    else if (r->verbose) printf("%s:%zu: passed\n", r->path, line);
}

static errc run_file(struct reporter *r, struct engine *en, struct err *e)
{
    struct arena a = { 0 };
    str text;
    struct script s = { 0 };
    errc rc = cmd_read_file(r->path, &a, &text, e);
    if (rc == OK) rc = script_parse(&s, text, e);
    if (rc == OK) {
        struct script_store store = { 0 };
        struct script_storage st = script_store_of(&store);
        struct script_report report = { r, on_eval };
        script_run(&s, &st, en, &report);
        script_store_fini(&store);
    }
    script_fini(&s);
    arena_fini(&a);
    return rc;
}

/* Options, wherever they stand; false: one that there is not. */
static bool read_options(struct reporter *r, int argc, char **argv)
{
    uint64_t line;
    for (int i = 1; i < argc; i++) {
        str w = str_z(argv[i]);
        if (str_eq(w, S("--json"))) r->json = true;
        else if (str_eq(w, S("--verbose"))) r->verbose = true;
        else if (str_has_prefix(w, S("--line=")) && str_u64(str_from(w, 7), &line) && line)
            r->line = (size_t)line;
        else if (str_has_prefix(w, S("--"))) return false;
    }
    return true;
}

static int run(int argc, char **argv)
{
    struct reporter r = { 0 };
    if (!read_options(&r, argc, argv)) return cmd_usage(&cmd_promqltest);
    struct engine_opts o = script_engine_opts();
    struct engine *en = engine_new(&o);
    size_t files = 0;
    for (int i = 1; i < argc; i++) {
        if (str_has_prefix(str_z(argv[i]), S("--"))) continue;
        struct err e = { 0 };
        r.path = argv[i];
        files++;
        if (run_file(&r, en, &e) == OK) continue;
        r.failed++;
        fprintf(stderr, "%s: %s\n", r.path, e.msg);
    }
    engine_free(en);
    if (files == 0) return cmd_usage(&cmd_promqltest);
    printf("%zu passed, %zu failed\n", r.passed, r.failed);
    if (r.line && r.passed + r.failed == 0) {
        fprintf(stderr, "no evaluation begins at line %zu\n", r.line);
        return EXIT_FAILED;
    }
    return r.failed ? EXIT_FAILED : EXIT_FINE;
}

const struct cmd cmd_promqltest = { "promqltest", "[--json] [--verbose] [--line=N] FILE...",
    "run scripts in the promqltest language", run };
