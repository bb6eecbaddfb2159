/* tsdb_dump.c — `epitool tsdb dump` and `dump-openmetrics`: the samples of a data folder, which
 * stays as it is. */
#include "block/meta_codec.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/dump.h"
#include "cmd/epitool/dump_text.h"
#include "cmd/epitool/progress_bar.h"
#include "cmd/epitool/tsdb_commands.h"
#include "io/choice.h"
#include "promql/parse.h"
#include "tsdb/db.h"

#include <jansson.h>
#include <unistd.h>

enum { FORMAT_PROM, FORMAT_SERIES_JSON, FORMAT_JSONL };
static const char *const formats[] = { "prom", "seriesjson", "jsonl", NULL };

/* every: see dump.h; window, keeps: how a recorded case wants its folder opened. */
struct dump_args {
    str dir, sandbox;
    str storage_io;
    str case_path;
    int64_t mint, maxt;
    str_list match;
    int format;
    size_t every;
    int64_t ooo_window_ms;
    bool memory_snapshot;
    struct head_keeps keeps;
};

#define SHARED_OPTS \
    { "dir", .help = "The data folder.", OPT_AT(struct dump_args, dir), &opt_str, .def = "data/", \
        .flags = OPT_ARG }, \
    { "sandbox-dir-root", "DIR", "Not used: what an opening would change is kept in memory.", \
        OPT_AT(struct dump_args, sandbox), &opt_str }, \
    { "min-time", "MS", "The first time, in milliseconds since the epoch.", \
        OPT_AT(struct dump_args, mint), &opt_int, .def = "-9223372036854775808" }, \
    { "max-time", "MS", "The last time, in milliseconds since the epoch.", \
        OPT_AT(struct dump_args, maxt), &opt_int, .def = "9223372036854775807" }, \
    { "storage.io", "HOW", "How the folder is read; see the server's flag of that name.", \
        OPT_AT(struct dump_args, storage_io), &opt_str, .def = "auto" }, \
    { "match", "SELECTOR", "Which series; may be given more than once.", \
        OPT_AT(struct dump_args, match), &opt_strs, .def = "{__name__=~'(?s:.*)'}" }

static const struct opt dump_opts[] = {
    SHARED_OPTS,
    { "format", "F", "prom, seriesjson (labels only), or jsonl: one canonical line a series.",
        OPT_AT(struct dump_args, format), &opt_choice, .def = "prom", .choices = formats },
    { "case", "FILE", "How a recorded folder is to be opened and shown.",
        OPT_AT(struct dump_args, case_path), &opt_str, .flags = OPT_HIDDEN },
};
static const struct opt openmetrics_opts[] = { SHARED_OPTS };

static errc case_read(struct dump_args *a, struct err *e)
{
    enum { DIGEST_EVERY = 40 };
    SCOPED(arena_fini) struct arena mem = { 0 };
    str text;
    TRY(cmd_read_file(arena_cstr(&mem, a->case_path), &mem, &text, e));
    json_t *root = json_loadb((const char *)text.p, text.n, 0, NULL);
    if (!json_is_object(root))
        return err_set(e, ERR_BAD_INPUT, "%.*s: not a JSON object", STR_ARG(a->case_path));
    if (json_is_true(json_object_get(root, "digest_only"))) a->every = DIGEST_EVERY;
    a->ooo_window_ms = json_integer_value(json_object_get(root, "ooo_window_ms"));
    a->memory_snapshot = json_is_true(json_object_get(root, "memory_snapshot"));
    a->keeps = (struct head_keeps){
        .max_exemplars = (size_t)MAX(json_integer_value(json_object_get(root, "max_exemplars")), 0),
        .metadata = json_is_true(json_object_get(root, "metadata_wal")),
        .start_times = json_is_true(json_object_get(root, "st_storage")),
        .histogram_st = json_is_true(json_object_get(root, "histograms_st")),
        .float_xor2 = json_is_true(json_object_get(root, "xor2")),
    };
    json_decref(root);
    return OK;
}

/* Matchers. */

typedef VEC(struct matchers) matcher_sets;

static void sets_fini(matcher_sets *all)
{
    for (size_t i = 0; i < all->n; i++) promql_matchers_fini(all->at[i]);
    vec_fini(all);
}

static errc sets_parse(
    matcher_sets *all, const struct dump_args *a, struct arena *mem, struct err *e)
{
    static const struct parse_opts po = { 0 };
    for (size_t i = 0; i < a->match.n; i++) {
        struct matchers ms;
        str why;
        errc rc = promql_parse_selector(&ms, a->match.at[i], &po, mem, &why);
        if (rc != OK) return err_set_str(e, rc, why);
        vec_push(all, ms);
    }
    return OK;
}

static errc dump_matching(struct queryable *q, const struct dump_args *a, enum dump_text how,
    const matcher_sets *all, struct dump_progress *p, struct err *e)
{
    SCOPED(querier_freep) struct querier *querier = NULL;
    TRY(q->ops->querier(q, a->mint, a->maxt, &querier, e));
    struct select_hints hints = { .start = a->mint, .end = a->maxt, .sorted = all->n > 1 };
    struct series_set **sets = mem_zalloc(all->n * sizeof(struct series_set *));
    errc rc = OK;
    for (size_t i = 0; rc == OK && i < all->n; i++)
        rc = querier->ops->select(querier, all->at[i], &hints, &sets[i], e);
    if (rc == OK) rc = dump_text(sets, all->n, how, stdout, p, e);
    dump_warnings(querier);
    for (size_t i = 0; i < all->n; i++) series_set_free(sets[i]);
    mem_free(sets);
    return rc;
}

static errc dump_opened(struct db *db, const struct dump_args *a, enum dump_text how,
    struct dump_progress *p, struct err *e)
{
    SCOPED(arena_fini) struct arena mem = { 0 };
    matcher_sets all = { 0 };
    errc rc = sets_parse(&all, a, &mem, e);
    if (rc == OK) rc = dump_matching(db_queryable(db), a, how, &all, p, e);
    sets_fini(&all);
    return rc;
}

static void count_block(void *ctx, const struct block_meta *m)
{
    *(uint64_t *)ctx += m->stats.samples;
}

static errc dump_all(struct db *db, const struct dump_args *a, bool openmetrics,
    struct dump_progress *p, struct err *e)
{
    if (!openmetrics && a->format == FORMAT_JSONL)
        return dump_jsonl(db_queryable(db), a->every, stdout, p, e);
    enum dump_text how = openmetrics                  ? DUMP_OPENMETRICS
                         : a->format == FORMAT_PROM ? DUMP_PROM
                                                    : DUMP_SERIES_JSON;
    return dump_opened(db, a, how, p, e);
}

/* The real opening, repairs included, over a layer that keeps every change in memory. */
static errc dump(const struct dump_args *a, bool openmetrics, struct err *e)
{
    struct fs *real = NULL;
    struct db *db = NULL;
    struct io_plan plan;
    TRY_IN(e, io_plan_parse(&plan, a->storage_io, e), "--storage.io");
    io_plan_set(&plan);
    TRY(tsdb_folder(&real, a->dir, e));
    struct fs *over = fs_overlay_new(real);
    struct db_opts o = { .fs = over,
        .backend = IO_AUTO,
        .wal_compress = COMPRESS_SNAPPY,
        .ooo_window_ms = a->ooo_window_ms,
        .memory_snapshot = a->memory_snapshot,
        .keeps = a->keeps,
        .no_lock = true,
        .no_thread = true,
        .salvage = true };
    errc rc = db_open(&db, &o, NULL, e);
    struct progress_bar bar;
    struct dump_progress p = { isatty(STDOUT_FILENO) ? NULL : &bar.base, 0, 0 };
    progress_bar_begin(&bar);
    if (rc == OK) db_block_metas(db, count_block, &p.total);
    if (rc == OK) rc = dump_all(db, a, openmetrics, &p, e);
    progress_bar_end(&bar);
    db_abandon(db);
    fs_free(over);
    fs_free(real);
    return rc;
}

static int run_dump(bool openmetrics, const struct opt *table, size_t n, int argc, char **argv)
{
    struct dump_args a = { .every = 1 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    int code;
    if (tsdb_line(&a, table, n, "Show the samples of a data folder.", argc, argv, &run, &code)) {
        errc rc = a.case_path.n ? case_read(&a, &e) : OK;
        if (rc == OK) rc = dump(&a, openmetrics, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
    }
    opts_fini(&run);
    return code;
}

int tsdb_dump_run(int argc, char **argv)
{
    return run_dump(false, dump_opts, ARRAY_LEN(dump_opts), argc, argv);
}

int tsdb_dump_openmetrics_run(int argc, char **argv)
{
    return run_dump(true, openmetrics_opts, ARRAY_LEN(openmetrics_opts), argc, argv);
}
