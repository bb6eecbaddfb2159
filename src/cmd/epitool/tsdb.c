/* tsdb.c — `epitool tsdb …`: looks into a data folder without touching it, or mends it as a start
 * of the server would. */
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/compact.h"
#include "cmd/epitool/dump.h"

#include "tsdb/db.h"

#include <jansson.h>
#include <stdio.h>

/* How a case wants its folder opened and shown: each 40th series with its samples, features of
 * the storage. */
struct how {
    size_t every;
    int64_t ooo_window_ms;
    struct head_keeps keeps;
};

static errc case_read(const char *path, struct how *how, struct err *e)
{
    enum { DIGEST_EVERY = 40 };
    struct arena a;
    arena_init(&a, NULL, 0);
    str text;
    errc rc = cmd_read_file(path, &a, &text, e);
    json_t *root = rc == OK ? json_loadb((const char *)text.p, text.n, 0, NULL) : NULL;
    if (rc == OK && !json_is_object(root))
        rc = err_set(e, ERR_BAD_INPUT, "%s: not a JSON object", path);
    if (json_is_true(json_object_get(root, "digest_only"))) how->every = DIGEST_EVERY;
    how->ooo_window_ms = json_integer_value(json_object_get(root, "ooo_window_ms"));
    how->keeps = (struct head_keeps){
        .max_exemplars = (size_t)MAX(json_integer_value(json_object_get(root, "max_exemplars")), 0),
        .metadata = json_is_true(json_object_get(root, "metadata_wal")),
        .start_times = json_is_true(json_object_get(root, "st_storage")),
        .histogram_st = json_is_true(json_object_get(root, "histograms_st")),
        .float_xor2 = json_is_true(json_object_get(root, "xor2")),
    };
    json_decref(root);
    arena_fini(&a);
    return rc;
}

/* The real opening, repairs included, over a layer that keeps every change in memory. */
static errc dump_folder(const char *dir, const struct how *how, struct err *e)
{
    struct fs *real = fs_real_new(str_z(dir));
    struct fs *over = fs_overlay_new(real);
    struct db_opts o = { .fs = over,
        .backend = IO_AUTO,
        .wal_compress = COMPRESS_SNAPPY,
        .ooo_window_ms = how->ooo_window_ms,
        .keeps = how->keeps,
        .no_lock = true,
        .no_thread = true,
        .salvage = true };
    struct db *db = NULL;
    struct fs_stat st;
    errc rc = fs_stat(real, S("."), &st, NULL) == OK || fs_exists(real, S(""))
                  ? OK
                  : err_set(e, ERR_NOT_FOUND, "%s: no such folder", dir);
    if (rc == OK) rc = db_open(&db, &o, NULL, e);
    if (rc == OK) rc = dump_jsonl(db_queryable(db), how->every, stdout, e);
    db_abandon(db);
    fs_free(over);
    fs_free(real);
    return rc;
}

static int dump_run(int argc, char **argv)
{
    const char *dir = NULL, *case_file = NULL, *format = "jsonl";
    for (int i = 1; i < argc; i++) {
        str arg = str_z(argv[i]), name, value;
        str_cut(arg, '=', &name, &value);
        bool takes = str_eq(name, S("--format")) || str_eq(name, S("--case"));
        const char *text = str_index(arg, '=') != SIZE_MAX ? (const char *)value.p
                           : takes && i + 1 < argc         ? argv[++i]
                                                           : NULL;
        if (str_eq(name, S("--format")) && text) format = text;
        else if (str_eq(name, S("--case")) && text) case_file = text;
        else if (!dir && arg.n && arg.p[0] != '-') dir = argv[i];
        else return cmd_usage(&cmd_tsdb);
    }
    if (!dir || strcmp(format, "jsonl") != 0) return cmd_usage(&cmd_tsdb);
    struct err e = { 0 };
    struct how how = { .every = 1 };
    errc rc = case_file ? case_read(case_file, &how, &e) : OK;
    if (rc == OK) rc = dump_folder(dir, &how, &e);
    return rc == OK ? EXIT_FINE : cmd_failed(rc, &e);
}

static void say_opened(const struct db_opened *what)
{
    printf("{\"series\":%" PRIu64 ",\"samples\":%" PRIu64 ",\"chunks\":%" PRIu64
           ",\"segments\":%u,\"records\":%" PRIu64 ",\"corruptions\":%" PRIu64
           ",\"unknown_refs\":%" PRIu64 ",\"unclean\":%s}\n",
        what->series, what->samples, what->chunks, what->segments, what->records, what->corruptions,
        what->unknown_refs, what->unclean ? "true" : "false");
}

/* The opening and the closing of a server that is started and stopped: takes the lock, mends what
 * is damaged, writes out what is closed. */
static int repair_run(int argc, char **argv)
{
    if (argc != 2 || argv[1][0] == '-') return cmd_usage(&cmd_tsdb);
    struct fs *real = fs_real_new(str_z(argv[1]));
    struct db_opts o = {
        .fs = real, .backend = IO_AUTO, .wal_compress = COMPRESS_SNAPPY, .no_thread = true
    };
    struct db *db = NULL;
    struct db_opened what = { 0 };
    struct err e = { 0 };
    errc rc =
        fs_exists(real, S("")) ? OK : err_set(&e, ERR_NOT_FOUND, "%s: no such folder", argv[1]);
    if (rc == OK) rc = db_open(&db, &o, &what, &e);
    if (rc == OK) rc = db_close(db, &e);
    fs_free(real);
    if (rc != OK) return cmd_failed(rc, &e);
    say_opened(&what);
    return EXIT_FINE;
}

static int tsdb_run(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "dump") == 0) return dump_run(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "repair") == 0) return repair_run(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "compact") == 0) return compact_run(argc - 1, argv + 1);
    return cmd_usage(&cmd_tsdb);
}

const struct cmd cmd_tsdb = { "tsdb",
    "dump [--format=jsonl] [--case FILE] DIR | repair DIR | compact DIR BLOCK…",
    "what a data folder holds, without touching it; mends it, or merges blocks of it", tsdb_run };
