/* tsdb_bench.c — `epitool tsdb bench write`: scrapes of the series of a file into a database of its
 * own, as promtool has it: a thread for each thousand series, a hundred scrapes at a time. */
#include "base/clock.h"
#include "base/f64.h"
#include "base/path.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/progress_bar.h"
#include "cmd/epitool/tsdb_commands.h"
#include "io/pool.h"
#include "model/duration.h"
#include "tsdb/db.h"

enum { STEP_MS = 30000, SCRAPES_A_ROUND = 100, SERIES_A_BATCH = 1000, VALUE = 123456789,
    VALUE_STEP = 1000 };

struct bench_args { int what; str out, file; int64_t metrics, scrapes; };
static const char *const whats[] = { "write", NULL };
static const struct opt bench_opts[] = {
    { "out", "DIR", "The folder that is made anew for it.", OPT_AT(struct bench_args, out),
        &opt_str, .def = "benchout" },
    { "metrics", "N", "How many series of the file.", OPT_AT(struct bench_args, metrics), &opt_int,
        .def = "10000" },
    { "scrapes", "N", "How many scrapes.", OPT_AT(struct bench_args, scrapes), &opt_int,
        .def = "3000" },
    { "what", .help = "What is measured: write.", OPT_AT(struct bench_args, what), &opt_choice,
        .flags = OPT_ARG | OPT_REQUIRED, .choices = whats },
    { "file", .help = "Series, one a line: {\"name\":\"value\",…}.",
        OPT_AT(struct bench_args, file), &opt_str, .def = "../../tsdb/testdata/20kseries.json",
        .flags = OPT_ARG },
};

struct bench {
    const struct bench_args *args;
    struct arena arena;
    VEC(struct labels) series;
    struct db *db;
    int64_t base_ms;                           /* of the round */
    _Atomic uint64_t samples;
    _Atomic bool failed;
};

/* Stages. */

static int64_t stage_begin(const char *name)
{
    printf(">> start stage=%s\n", name);
    return clock_mono_ns();
}

static int64_t stage_end(const char *name, int64_t began_ns)
{
    SCOPED(buf_fini) struct buf text = { 0 };
    int64_t took = clock_mono_ns() - began_ns;
    buf_go_duration(&text, took);
    printf(">> completed stage=%s duration=%.*s\n", name, STR_ARG(buf_view(&text)));
    return took;
}

/* Series. */

static str unquoted(struct arena *a, str s)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '"' && s.p[i] != '{' && s.p[i] != '}') buf_u8(&b, s.p[i]);
    return arena_str(a, buf_view(&b));
}

static struct labels read_line(struct bench *k, str line)
{
    struct labels_builder lb;
    str rest = unquoted(&k->arena, line), pair, name, value;
    labels_builder_init(&lb, &k->arena);
    while (rest.n) {
        str_cut(rest, ',', &pair, &rest);
        str_cut(pair, ':', &name, &value);
        labels_builder_set(&lb, name, str_slice(value, 0, MIN(str_index(value, ':'), value.n)));
    }
    return labels_builder_done(&lb);
}

static errc read_series(struct bench *k, struct err *e)
{
    str text, line;
    TRY(cmd_read_file(arena_cstr(&k->arena, k->args->file), &k->arena, &text, e));
    while (text.n && (int64_t)k->series.n < k->args->metrics) {
        str_cut(text, '\n', &line, &text);
        struct labels l = read_line(k, line);
        if (l.n) vec_push(&k->series, l);
    }
    if (!k->series.n) return err_set(e, ERR_BAD_INPUT, "the file has no series");
    return OK;
}

/* Scrapes. */

static errc scrape(struct bench *k, const struct labels *at, series_handle *h, size_t n, int64_t t,
    double value, struct err *e)
{
    struct appendable *to = db_appendable(k->db);
    struct appender *a = NULL;
    errc rc = to->ops->begin(to, &a, e);
    if (rc != OK) return rc;
    for (size_t i = 0; rc == OK && i < n; i++) {
        if (!h[i]) rc = a->ops->series(a, at[i], &h[i], e);
        if (rc == OK) rc = a->ops->append(a, h[i], t, value, 0, e);
    }
    if (rc == OK) return a->ops->commit(a, e);
    a->ops->rollback(a);
    return rc;
}

static void run_batch(void *ctx, size_t batch)
{
    struct bench *k = ctx;
    struct err e = { 0 };
    size_t from = batch * SERIES_A_BATCH, n = MIN(k->series.n - from, (size_t)SERIES_A_BATCH);
    series_handle handles[SERIES_A_BATCH] = { 0 };
    errc rc = OK;
    for (int64_t i = 1; rc == OK && i <= SCRAPES_A_ROUND; i++) {
        rc = scrape(k, k->series.at + from, handles, n, k->base_ms + i * STEP_MS,
            VALUE + (double)i * VALUE_STEP, &e);
        if (rc == OK) atomic_fetch_add_explicit(&k->samples, n, memory_order_relaxed);
    }
    if (rc == OK) return;
    fprintf(stderr, " err %.*s\n", STR_ARG(err_str(&e)));
    atomic_store_explicit(&k->failed, true, memory_order_relaxed);
}

static void ingest(struct bench *k)
{
    struct pool_opts po = { .name = "bench", .threads = pool_cores(), .queue_max = 64 };
    struct pool *pool = pool_new(&po);
    struct progress_bar bar;
    progress_bar_begin(&bar);
    size_t batches = (k->series.n + SERIES_A_BATCH - 1) / SERIES_A_BATCH;
    for (int64_t i = 0; i < k->args->scrapes; i += SCRAPES_A_ROUND) {
        k->base_ms = STEP_MS * i;
        progress_tell(&bar.base, S("scrapes"), (uint64_t)i, (uint64_t)k->args->scrapes);
        pool_each(pool, batches, run_batch, k);
    }
    progress_bar_end(&bar);
    pool_free(pool);
    printf("ingestion completed\n");
}

static errc measure(struct bench *k, struct fs *fs, struct err *e)
{
    SCOPED(buf_fini) struct buf rate = { 0 };
    struct db_opts o = { .fs = fs, .backend = IO_AUTO, .wal_compress = COMPRESS_SNAPPY,
        .fsync_interval_ms = 1000 };
    int64_t began = stage_begin("readData");
    TRY(read_series(k, e));
    stage_end("readData", began);
    TRY(db_open(&k->db, &o, NULL, e));
    began = stage_begin("ingestScrapes");
    ingest(k);
    int64_t took = stage_end("ingestScrapes", began);
    uint64_t n = atomic_load_explicit(&k->samples, memory_order_relaxed);
    buf_f64_g(&rate, (double)n * 1e9 / (double)MAX(took, (int64_t)1));
    printf(" > total samples: %" PRIu64 "\n > samples/sec: %.*s\n", n, STR_ARG(buf_view(&rate)));
    began = stage_begin("stopStorage");
    TRY(db_close(STEAL(k->db), e));
    stage_end("stopStorage", began);
    if (!atomic_load_explicit(&k->failed, memory_order_relaxed)) return OK;
    return err_set(e, ERR_IO, "samples could not be written");
}

static errc bench(const struct bench_args *a, struct err *e)
{
    struct bench k = { .args = a };
    str name, dir = path_in(&k.arena, a->out, S("storage"));
    struct fs *above = fs_real_of(a->out, &name);
    errc rc = fs_remove_tree(above, name, e);
    struct fs *fs = fs_real_new(dir);
    if (rc == OK) rc = measure(&k, fs, e);
    db_abandon(k.db);
    vec_fini(&k.series);
    arena_fini(&k.arena);
    fs_free(fs);
    fs_free(above);
    return rc;
}

int tsdb_bench_run(int argc, char **argv)
{
    struct bench_args a = { 0 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    int code;
    if (tsdb_line(&a, bench_opts, ARRAY_LEN(bench_opts),
            "Write scrapes into a database of its own, and say how long it took.", argc, argv, &run,
            &code)) {
        errc rc = bench(&a, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
    }
    opts_fini(&run);
    return code;
}
