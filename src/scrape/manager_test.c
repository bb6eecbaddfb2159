/* The manager against an exporter on loopback, with short intervals. Tests wait for what they look
 * for, up to a bound. */
#include "scrape/manager.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/test.h"
#include "io/fs.h"
#include "io/pool.h"
#include "io/test_server.h"
#include "scrape/test_store.h"

#include <math.h>
#include <stdatomic.h>

enum { INTERVAL_MS = 100, PATIENCE_MS = 10000 };

static _Atomic unsigned asked, slow_open, gone;

static struct test_reply serve(void *ctx, const struct test_request *q)
{
    const char *path = q->path;
    (void)ctx;
    atomic_fetch_add(&asked, 1);
    while (strcmp(path, "/slow") == 0 && !atomic_load(&slow_open)) clock_sleep_ns(2000000);
    str page = atomic_load(&gone) ? S("n 1\n") : S("# HELP m words\n# TYPE m gauge\nm 1\n");
    return (struct test_reply){ strcmp(path, "/missing") == 0 ? 404 : 200,
        "text/plain; version=0.0.4", .body = page };
}

struct rig {
    struct test_server *exporter;
    struct memstore *store;
    struct pool *pool;
    struct scrape_manager *m;
    struct arena arena;
    str address;                       /* of the exporter */
    _Atomic unsigned released;
};

static void rig_start(struct rig *r)
{
    struct err e = { 0 };
    *r = (struct rig){ 0 };
    atomic_store(&asked, 0);
    atomic_store(&slow_open, 0);
    atomic_store(&gone, 0);
    r->exporter = test_server_new(serve, NULL);
    EXPECT(r->exporter);
    r->address = arena_fmt(&r->arena, "127.0.0.1:%u", test_server_port(r->exporter));
    r->store = memstore_new();
    r->pool = pool_new(&(struct pool_opts){ "test_scrape", 2, 1024 });
    struct scrape_manager_opts o = { .appendable = memstore_appendable(r->store),
        .pool = r->pool,
        .adjust_timestamps = true,
        .hostname = S("h"),
        .watch = watch_new };
    EXPECT_OK_E(scrape_manager_new(&r->m, &o, &e), &e);
}

static void rig_stop(struct rig *r, unsigned applied)
{
    atomic_store(&slow_open, 1);
    scrape_manager_free(r->m);
    EXPECT_EQ(atomic_load(&r->released), applied);
    pool_free(r->pool);
    test_server_free(r->exporter);
    memstore_free(r->store);
    arena_fini(&r->arena);
}

struct job_spec {
    const char *name, *path, *text, *failures;
    str targets[3];
    size_t n_targets;
    uint64_t target_limit, series_hash;
    const struct file_sd_config *files;
    int64_t interval_ms;
    struct relabel_rules relabel;
};

struct loaded { struct scrape_generation g; struct scrape_configs configs; struct rig *r; };

static void released(void *ctx)
{
    struct loaded *l = ctx;
    atomic_fetch_add(&l->r->released, 1);
}

static void apply(struct rig *r, const struct job_spec *specs, size_t n)
{
    struct scrape_config *jobs = arena_array(&r->arena, n + 1, sizeof(*jobs));
    for (size_t i = 0; i < n; i++) {
        struct target_group *g = arena_zalloc(&r->arena, sizeof(*g));
        str *targets = arena_array(&r->arena, specs[i].n_targets + 1, sizeof(*targets));
        for (size_t k = 0; k < specs[i].n_targets; k++) targets[k] = specs[i].targets[k];
        *g = (struct target_group){
            .source = S("0"), .targets = targets, .n_targets = specs[i].n_targets
        };
        jobs[i] = test_job(specs[i].name);
        if (specs[i].text) jobs[i].text = str_z(specs[i].text);
        if (specs[i].path) jobs[i].metrics_path = str_z(specs[i].path);
        jobs[i].interval_ms = jobs[i].timeout_ms =
            specs[i].interval_ms ? specs[i].interval_ms : INTERVAL_MS;
        jobs[i].series_hash = specs[i].series_hash;
        if (specs[i].failures) jobs[i].failure_log_file = str_z(specs[i].failures);
        jobs[i].target_limit = specs[i].target_limit;
        jobs[i].relabel = specs[i].relabel;
        jobs[i].static_groups = g;
        jobs[i].n_static_groups = 1;
        jobs[i].file_sd = specs[i].files;
        jobs[i].n_file_sd = specs[i].files ? 1 : 0;
    }
    struct loaded *l = ANEW(&r->arena, struct loaded);
    *l = (struct loaded){
        .configs = { .at = jobs, .n = n, .interval_ms = INTERVAL_MS, .timeout_ms = INTERVAL_MS },
        .r = r
    };
    l->g.configs = &l->configs;
    l->g.release = released;
    l->g.ctx = l;
    atomic_init(&l->g.refs, 1);
    scrape_manager_apply(r->m, &l->g);
}

#define WAIT_FOR(cond) \
    do { \
        int64_t end = clock_mono_ns() + (int64_t)PATIENCE_MS * 1000000; \
        while (!(cond) && clock_mono_ns() < end) clock_sleep_ns(5000000); \
        EXPECT(cond); \
    } while (0)

static bool last_is(struct rig *r, const char *name, const char *job, double want)
{
    double v;
    return store_last(r->store, str_z(name), S("job"), str_z(job), &v) &&
           (v == want || (isnan(v) && isnan(want)));
}

static struct scrape_target_view view_one(struct rig *r, size_t i, size_t n)
{
    struct scrape_view v = { 0 };
    scrape_manager_view(r->m, &r->arena, &v);
    EXPECT_EQ(v.active.n, n);
    return v.active.at[i];
}

TEST(manager_scrapes_and_shows)
{
    struct rig r;
    rig_start(&r);
    apply(&r,
        (struct job_spec[]){ { .name = "b", .targets = { r.address }, .n_targets = 1 },
            { .name = "a",
                .path = "/missing",
                .targets = { r.address, r.address },
                .n_targets = 2 },
            { .name = "c", .targets = { S("127.0.0.1:1") }, .n_targets = 1 } },
        3);
    WAIT_FOR(last_is(&r, "m", "b", 1) && last_is(&r, "up", "b", 1) && last_is(&r, "up", "a", 0) &&
             last_is(&r, "up", "c", 0));
    struct scrape_target_view a = view_one(&r, 0, 3), b = view_one(&r, 1, 3),
                              c = view_one(&r, 2, 3);
    EXPECT_STR(a.pool, S("a"));
    EXPECT_EQ(a.health, HEALTH_DOWN);
    EXPECT_STR(a.error, S("server returned HTTP status 404 Not Found"));
    EXPECT_EQ(b.health, HEALTH_UP);
    EXPECT_STR(b.error, S(""));
    EXPECT_STR(b.interval, S("100ms"));
    EXPECT(b.scraped_ns > 0);
    EXPECT_STR(c.error,
        S("Get \"http://127.0.0.1:1/metrics\": dial tcp 127.0.0.1:1: connect: connection refused"));
    scrape_metas metas = { 0 };
    scrape_manager_metadata(r.m, &r.arena, &metas);
    EXPECT_EQ(metas.n, 1);
    EXPECT_STR(metas.at[0].m.help, S("words"));
    str_list pools = { 0 };
    scrape_manager_pools(r.m, &r.arena, &pools);
    EXPECT_EQ(pools.n, 3);
    EXPECT_STR(pools.at[0], S("a"));
    unsigned before = atomic_load(&asked);
    WAIT_FOR(atomic_load(&asked) > before + 4);                /* and goes on */
    rig_stop(&r, 1);
}

TEST(manager_marks_what_a_removed_target_gave)
{
    struct rig r;
    rig_start(&r);
    struct job_spec with = {
        .name = "j", .targets = { r.address, S("127.0.0.1:1") }, .n_targets = 2
    };
    struct job_spec without = {
        .name = "j", .text = "changed", .targets = { S("127.0.0.1:1") }, .n_targets = 1
    };
    apply(&r, &with, 1);
    WAIT_FOR(last_is(&r, "m", "j", 1));
    apply(&r, &without, 1);
    WAIT_FOR(last_is(&r, "m", "j", NAN));
    struct arena a = { 0 };
    str m = store_text(r.store, &a, S("m"), false);
    EXPECT(str_has_suffix(m, S(" stale\n")));
    EXPECT_EQ(view_one(&r, 0, 1).health, HEALTH_DOWN);
    arena_fini(&a);
    rig_stop(&r, 2);
}

TEST(manager_keeps_a_job_that_did_not_change)
{
    struct rig r;
    rig_start(&r);
    struct job_spec j[] = { { .name = "j", .targets = { r.address }, .n_targets = 1 },
        { .name = "k", .targets = { r.address }, .n_targets = 1 } };
    apply(&r, j, 2);
    WAIT_FOR(last_is(&r, "m", "j", 1) && last_is(&r, "m", "k", 1));
    /* k is gone as a whole: no markers, as in Prometheus */
    apply(&r, j, 1);
    /* j still knows how its last scrape went */
    EXPECT_EQ(view_one(&r, 0, 1).health, HEALTH_UP);
    unsigned before = atomic_load(&asked);
    WAIT_FOR(atomic_load(&asked) > before + 3);
    EXPECT(last_is(&r, "m", "j", 1));
    EXPECT_EQ(store_stale_count(r.store, S("")), 0);
    rig_stop(&r, 2);
}

static size_t ups(struct rig *r)
{
    struct arena a = { 0 };
    str text = store_text(r->store, &a, S("up"), false);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) n += text.p[i] == ' ';
    arena_fini(&a);
    return n;
}

/* A changed job whose pages give the same series knows what was on the page before: what is gone is
 * marked by the next scrape. One whose series are others starts anew, and what it had gets its
 * markers after more than two turns. */
TEST(manager_hands_on_what_pages_held)
{
    static const struct {
        const char *name;
        uint64_t series_hash;
        bool next;
    } cases[] = { { "the same series", 0, true }, { "others", 1, false } };
    TEST_EACH(c, cases) {
        struct rig r;
        rig_start(&r);
        struct job_spec j = {
            .name = "j", .targets = { r.address }, .n_targets = 1, .interval_ms = 3 * INTERVAL_MS
        };
        apply(&r, &j, 1);
        WAIT_FOR(last_is(&r, "m", "j", 1));
        j.text = "changed";
        j.series_hash = c->series_hash;
        atomic_store(&gone, 1);
        apply(&r, &j, 1);
        size_t before = ups(&r);
        WAIT_FOR(last_is(&r, "m", "j", NAN));
        if (c->next) EXPECT(ups(&r) <= before + 2);
        else EXPECT(ups(&r) >= before + 2);
        rig_stop(&r, 2);
    }
}

static size_t lines_of(struct fs *fs, const char *name, struct arena *a)
{
    str text;
    if (fs_read_all(fs, str_z(name), a, 1 << 20, &text, NULL) != OK) return 0;
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) n += text.p[i] == '\n';
    return n;
}

TEST(manager_logs_failures_and_opens_the_log_anew)
{
    struct rig r;
    rig_start(&r);
    str dir = str_z(test_tmpdir());
    struct fs *fs = fs_real_new(dir);
    struct job_spec j[] = {
        { .name = "a",
            .path = "/missing",
            .targets = { r.address },
            .n_targets = 1,
            .failures = (const char *)arena_fmt(&r.arena, "%.*s/f.log", STR_ARG(dir)).p },
        { .name = "b",
            .path = "/missing",
            .targets = { r.address, S("h:1") },
            .n_targets = 2,
            .target_limit = 1 },
    };
    j[1].failures = j[0].failures;
    apply(&r, j, 2);
    WAIT_FOR(lines_of(fs, "f.log", &r.arena) >= 2 && last_is(&r, "up", "b", 0));
    EXPECT_OK(fs_rename(fs, S("f.log"), S("old.log"), NULL));
    apply(&r, j, 2);
    WAIT_FOR(lines_of(fs, "f.log", &r.arena) >= 1);
    str text;
    EXPECT_OK(fs_read_all(fs, S("f.log"), &r.arena, 1 << 20, &text, NULL));
    EXPECT(str_find(text,
               S("\"msg\":\"server returned HTTP status 404 Not Found\",\"job_name\":\"a\"")) !=
           SIZE_MAX);
    EXPECT_EQ(str_find(text, S("target_limit")), SIZE_MAX);    /* no request, no failure */
    fs_free(fs);
    rig_stop(&r, 2);
}

TEST(manager_target_limit)
{
    struct rig r;
    rig_start(&r);
    apply(&r,
        &(struct job_spec){ .name = "j",
            .targets = { r.address, S("127.0.0.1:1") },
            .n_targets = 2,
            .target_limit = 1 },
        1);
    WAIT_FOR(last_is(&r, "up", "j", 0) && view_one(&r, 0, 2).health == HEALTH_DOWN);
    EXPECT_STR(
        view_one(&r, 0, 2).error, S("target_limit exceeded (number of targets: 2, limit: 1)"));
    EXPECT_EQ(atomic_load(&asked), 0);
    rig_stop(&r, 1);
}

/* Rules as Go marshals relabel.Config: of what is empty, source_labels, modulus and target_label
 * are left out. */
TEST(manager_shows_relabel_steps)
{
    static const str source[] = { { (const uint8_t *)"a", 1 } };
    struct relabel_rule rules[3] = { relabel_default(), relabel_default(), relabel_default() };
    rules[0].source = source, rules[0].n_source = 1, rules[0].target = S("b");
    rules[1].action = RELABEL_LABELDROP, rules[1].pattern = S("a");
    rules[2].action = RELABEL_DROP, rules[2].source = source, rules[2].n_source = 1;
    rules[2].pattern = S("");
    struct err e = { 0 };
    for (size_t i = 0; i < 3; i++) EXPECT_OK_E(relabel_compile(&rules[i], &e), &e);
    static const char *const shown[] = {
        "{\"source_labels\":[\"a\"],\"separator\":\";\",\"regex\":\"(.*)\","
        "\"target_label\":\"b\",\"replacement\":\"$1\",\"action\":\"replace\"}",
        "{\"separator\":\";\",\"regex\":\"a\",\"replacement\":\"$1\","
        "\"action\":\"labeldrop\"}",
        "{\"source_labels\":[\"a\"],\"separator\":\";\",\"regex\":\"\","
        "\"replacement\":\"$1\",\"action\":\"drop\"}",
    };
    struct rig r;
    rig_start(&r);
    apply(&r, &(struct job_spec){ .name = "j", .relabel = { rules, 3 } }, 1);
    scrape_steps steps = { 0 };
    struct label in[] = { { S("a"), S("1") } };
    EXPECT(!scrape_manager_relabel_steps(
        r.m, S("x"), (struct labels){ in, 1 }, &r.arena, &steps));
    EXPECT(scrape_manager_relabel_steps(r.m, S("j"), (struct labels){ in, 1 }, &r.arena, &steps));
    EXPECT_EQ(steps.n, 3);
    for (size_t i = 0; i < 3; i++) EXPECT_STR(steps.at[i].rule_json, str_z(shown[i]));
    EXPECT(steps.at[0].keep && steps.at[0].output.n == 2);
    EXPECT(steps.at[1].keep && steps.at[1].output.n == 1);
    EXPECT(!steps.at[2].keep && steps.at[2].output.n == 0);
    rig_stop(&r, 1);
    relabel_fini((struct relabel_rules){ rules, 3 });
}

TEST(manager_stops_while_scrapes_run)
{
    struct rig r;
    rig_start(&r);
    apply(&r,
        (struct job_spec[]){
            { .name = "j", .path = "/slow", .targets = { r.address }, .n_targets = 1 },
            { .name = "k", .targets = { r.address }, .n_targets = 1 } },
        2);
    WAIT_FOR(atomic_load(&asked) > 3);
    scrape_manager_stop(r.m);
    EXPECT_EQ(store_stale_count(r.store, S("m")), 0);
    rig_stop(&r, 1);
}

TEST(manager_follows_discovery_files)
{
    struct rig r;
    rig_start(&r);
    str dir = str_z(test_tmpdir());
    const str files[] = { arena_fmt(&r.arena, "%.*s/*.json", STR_ARG(dir)) };
    const struct file_sd_config sd = { files, 1, 300000 };
    struct fs *fs = fs_real_new(dir);
    apply(&r, &(struct job_spec){ .name = "j", .files = &sd }, 1);
    EXPECT_OK(fs_write_durable(fs, S("t.json"),
        arena_fmt(&r.arena, "[{\"targets\":[\"%.*s\"]}]", STR_ARG(r.address)), NULL));
    WAIT_FOR(last_is(&r, "m", "j", 1));
    EXPECT_STR(labels_get(view_one(&r, 0, 1).discovered, S("__meta_filepath")),
        arena_fmt(&r.arena, "%.*s/t.json", STR_ARG(dir)));
    EXPECT_OK(fs_unlink(fs, S("t.json"), NULL));
    WAIT_FOR(last_is(&r, "m", "j", NAN));
    fs_free(fs);
    rig_stop(&r, 1);
}
