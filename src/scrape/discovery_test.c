/* Discovery with a watch that the test rings: what is found, when, and that nothing is lost at a
 * reload. */
#include "scrape/discovery.h"

#include "base/clock.h"
#include "base/test.h"
#include "io/fs.h"

enum { PATIENCE_MS = 10000 };

static struct watch *fake;
static errc make_fake(struct watch **out, const struct watch_sink *sink, struct err *e)
{
    errc rc = watch_fake_new(out, sink, e);
    fake = *out;
    return rc;
}
static errc make_none(struct watch **out, const struct watch_sink *sink, struct err *e)
{
    (void)out, (void)sink;
    return err_set(e, ERR_IO, "no watches left");
}

struct rig {
    struct arena a;
    str dir;
    struct fs *fs;
    struct discovery *d;
    _Atomic unsigned changed;
};

static void on_changed(void *ctx) { atomic_fetch_add(&((struct rig *)ctx)->changed, 1); }

static void rig_start(struct rig *r, watch_maker watch)
{
    *r = (struct rig){ .fs = NULL };
    r->dir = arena_str(&r->a, str_z(test_tmpdir()));
    r->fs = fs_real_new(r->dir);
    r->d = discovery_new(&(struct discovery_opts){ watch, on_changed, r });
}

static void rig_stop(struct rig *r)
{
    discovery_free(r->d);
    fs_free(r->fs);
    arena_fini(&r->a);
}

static void put(struct rig *r, const char *name, const char *text)
{
    EXPECT_OK(fs_write_durable(r->fs, str_z(name), str_z(text), NULL));
}

/* Jobs j0, j1, … with one pattern each. */
static void apply(struct rig *r, const char *const *patterns, size_t n, int64_t refresh_ms)
{
    struct scrape_config *jobs = arena_zalloc(&r->a, (n + 1) * sizeof(*jobs));
    for (size_t i = 0; i < n; i++) {
        str *file = ANEW(&r->a, str);
        *file = arena_fmt(&r->a, "%.*s/%s", STR_ARG(r->dir), patterns[i]);
        struct file_sd_config *sd = ANEW(&r->a, struct file_sd_config);
        *sd = (struct file_sd_config){ file, 1, refresh_ms };
        jobs[i] = (struct scrape_config){
            .job_name = arena_fmt(&r->a, "j%zu", i), .file_sd = sd, .n_file_sd = 1
        };
    }
    discovery_apply(r->d, &(struct scrape_configs){ .at = jobs, .n = n }, PATIENCE_MS);
}

/* The first target of each group; "-": nothing was read yet. */
static str targets(struct rig *r, const char *job)
{
    struct found *f = discovery_found(r->d, str_z(job));
    if (!f) return S("-");
    str s = STR_EMPTY;
    for (size_t i = 0; i < f->files.n; i++)
        for (size_t k = 0; k < f->files.at[i]->groups.n; k++)
            s = arena_fmt(&r->a, "%.*s%s%.*s", STR_ARG(s), s.n ? " " : "",
                STR_ARG(f->files.at[i]->groups.at[k].targets[0]));
    found_unref(f);
    return s;
}

static bool becomes(struct rig *r, const char *job, const char *want)
{
    int64_t end = clock_mono_ns() + (int64_t)PATIENCE_MS * 1000000;
    while (!str_eq(targets(r, job), str_z(want)) && clock_mono_ns() < end) clock_sleep_ns(2000000);
    return str_eq(targets(r, job), str_z(want));
}

TEST(discovery_reads_before_it_answers)
{
    struct rig r;
    rig_start(&r, make_fake);
    EXPECT_STR(targets(&r, "j0"), S("-"));
    put(&r, "a.json", "[{\"targets\":[\"a:1\"]}]");
    apply(&r, (const char *const[]){ "*.json", "none.yml" }, 2, 300000);
    EXPECT_STR(targets(&r, "j0"), S("a:1"));
    EXPECT_STR(targets(&r, "j1"), S(""));
    EXPECT_STR(targets(&r, "j2"), S("-"));
    apply(&r, NULL, 0, 0);
    EXPECT_STR(targets(&r, "j0"), S("-"));
    rig_stop(&r);
}

TEST(discovery_looks_when_a_folder_changes)
{
    struct rig r;
    rig_start(&r, make_fake);
    apply(&r, (const char *const[]){ "*.json" }, 1, 300000);
    put(&r, "a.json", "[{\"targets\":[\"a:1\"]}]");
    clock_sleep_ns(50000000);
    EXPECT_STR(targets(&r, "j0"), S(""));                      /* nobody said so */
    while (!watch_fake_has(fake, r.dir)) clock_sleep_ns(1000000);
    unsigned before = atomic_load(&r.changed);
    watch_fake_change(fake, r.dir);
    EXPECT(becomes(&r, "j0", "a:1"));
    while (atomic_load(&r.changed) == before) clock_sleep_ns(1000000);
    put(&r, "a.json", "[{\"targets\":");
    watch_fake_change(fake, r.dir);
    put(&r, "b.json", "[{\"targets\":[\"b:1\"]}]");
    watch_fake_change(fake, r.dir);
    EXPECT(becomes(&r, "j0", "a:1 b:1"));
    discovery_look(r.d);
    EXPECT_OK(fs_unlink(r.fs, S("a.json"), NULL));
    discovery_look(r.d);
    EXPECT(becomes(&r, "j0", "b:1"));
    rig_stop(&r);
}

TEST(discovery_refreshes_without_a_watch)
{
    struct rig r;
    rig_start(&r, make_none);
    apply(&r, (const char *const[]){ "*.json" }, 1, 20);
    put(&r, "a.json", "[{\"targets\":[\"a:1\"]}]");
    EXPECT(becomes(&r, "j0", "a:1"));
    rig_stop(&r);
}

TEST(discovery_keeps_at_a_reload_what_a_broken_file_gave)
{
    struct rig r;
    rig_start(&r, NULL);
    put(&r, "a.json", "[{\"targets\":[\"a:1\"]}]");
    const char *const pattern[] = { "*.json" };
    apply(&r, pattern, 1, 300000);
    put(&r, "a.json", "broken");
    apply(&r, pattern, 1, 300000);
    EXPECT_STR(targets(&r, "j0"), S("a:1"));
    /* another configuration knows nothing */
    apply(&r, pattern, 1, 300001);
    EXPECT_STR(targets(&r, "j0"), S(""));
    rig_stop(&r);
}
