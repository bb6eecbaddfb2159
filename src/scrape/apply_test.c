/* Pages in, the storage's content out. A case is a list of pages that one target gives every
 * fifteen seconds. */
#include "scrape/apply.h"

#include "base/clock.h"
#include "base/test.h"
#include "scrape/test_store.h"

enum { PAGES = 4, STEP_MS = 15000 };

struct tune {
    bool honor_labels, ignore_timestamps, track_staleness, extra, legacy, openmetrics, drop_b;
    uint64_t samples, labels, name_length, value_length;
};

static struct target *target_of(const struct scrape_config *job, const char *extra_label)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct label l = { str_z(extra_label), S("target") };
    struct labels group = { &l, extra_label ? 1 : 0 }, out, discovered;
    bool keep;
    EXPECT_OK(target_labels(&out, &discovered, &keep, job, S("h:1"), group, &a, NULL));
    return target_new(job, out, discovered);
}

static void scrape(struct target *t, struct memstore *m, const char *text, const char *type,
    int64_t t_ms, struct scrape_outcome *out)
{
    struct buf body = { 0 };
    struct err failed = { .code = ERR_IO };
    buf_str(&body, str_z(text));
    memset(buf_room(&body, EXPO_PADDING), 0, EXPO_PADDING);
    struct scrape_page page = {
        .body = body.p, .n = body.n, .content_type = str_z(type), .t_ms = t_ms
    };
    if (!text) {
        err_set(&failed, ERR_IO, "server returned HTTP status 500 Internal Server Error");
        page.failed = &failed;
    }
    scrape_apply(t, memstore_appendable(m), &page, clock_mono_ns(), out);
    buf_fini(&body);
}

static struct scrape_config tuned_job(const struct tune *t, struct relabel_rule *drop)
{
    static const str name = S("__name__");
    struct scrape_config job = test_job("j");
    job.honor_labels = t->honor_labels;
    job.honor_timestamps = !t->ignore_timestamps;
    job.track_timestamps_staleness = t->track_staleness;
    job.legacy_names = t->legacy;
    job.sample_limit = t->samples;
    job.label_limit = t->labels;
    job.label_name_length_limit = t->name_length;
    job.label_value_length_limit = t->value_length;
    *drop = relabel_default();
    drop->action = RELABEL_DROP;
    drop->source = &name;
    drop->n_source = 1;
    drop->pattern = S("b");
    EXPECT_OK(relabel_compile(drop, NULL));
    if (t->drop_b) job.metric_relabel = (struct relabel_rules){ drop, 1 };
    return job;
}

/* What is stored, without the report. */
static str text_without_report(struct memstore *m, struct arena *a)
{
    str all = store_text(m, a, S(""), true), got = STR_EMPTY, line;
    while (all.n) {
        str_cut(all, '\n', &line, &all);
        if (str_find(line, S("__name__=\"up\"")) == SIZE_MAX &&
            str_find(line, S("__name__=\"scrape_")) == SIZE_MAX)
            got = arena_fmt(a, "%.*s%.*s\n", STR_ARG(got), STR_ARG(line));
    }
    return got;
}

#define L "instance=\"h:1\", job=\"j\"}"
#define FAILS NULL

static const struct {
    const char *name;
    struct tune tune;
    const char *extra_label;
    const char *pages[PAGES];
    size_t n;
    const char *want, *error;                                  /* error: of the last page */
} page_cases[] = {
    { "new and known lines", { 0 }, NULL, { "a 1\nb{x=\"y\"} 2\n", "a 3\nb{x=\"y\"} 4\n" }, 2,
        "{__name__=\"a\", " L
        " 1@0 3@15000\n{__name__=\"b\", instance=\"h:1\", job=\"j\", x=\"y\"} 2@0 4@15000\n",
        "" },
    { "what disappears is stale, once", { 0 }, NULL, { "a 1\nb 1\n", "b 2\n", "b 3\n" }, 3,
        "{__name__=\"a\", " L " 1@0 stale@15000\n{__name__=\"b\", " L " 1@0 2@15000 3@30000\n",
        "" },
    { "and comes back", { 0 }, NULL, { "a 1\n", "b 1\n", "a 2\nb 2\n" }, 3,
        "{__name__=\"a\", " L " 1@0 stale@15000 2@30000\n{__name__=\"b\", " L " 1@15000 2@30000\n",
        "" },
    { "lines in another order", { 0 }, NULL, { "a 1\nb 1\nc 1\n", "c 2\na 2\nb 2\n" }, 2,
        "{__name__=\"a\", " L " 1@0 2@15000\n{__name__=\"b\", " L
        " 1@0 2@15000\n{__name__=\"c\", " L " 1@0 2@15000\n",
        "" },
    { "a failure makes all stale, once", { 0 }, NULL, { "a 1\n", FAILS, FAILS, "a 2\n" }, 4,
        "{__name__=\"a\", " L " 1@0 stale@15000 2@45000\n", "" },
    { "words of a failure", { 0 }, NULL, { "a 1\n", FAILS }, 2,
        "{__name__=\"a\", " L " 1@0 stale@15000\n",
        "server returned HTTP status 500 Internal Server Error" },
    { "an empty page", { 0 }, NULL, { "a 1\n", "" }, 2, "{__name__=\"a\", " L " 1@0 stale@15000\n",
        "" },
    { "of a broken page nothing is kept, but what it named is there", { 0 }, NULL,
        { "a 1\nz 1\n", "a 2\nb 1\nc {{\n", "a 3\n" }, 3,
        "{__name__=\"a\", " L " 1@0 3@30000\n{__name__=\"b\", " L
        " stale@30000\n{__name__=\"z\", " L " 1@0 stale@15000\n",
        "" },
    { "broken again and again", { 0 }, NULL,
        { "a 1\nb 1\n", "a 2\n}\n", "b 2\n}\n", "b 3\na 3\n" }, 4,
        "{__name__=\"a\", " L " 1@0 stale@30000 3@45000\n{__name__=\"b\", " L
        " 1@0 stale@15000 3@45000\n",
        "" },
    { "broken, then failing", { 0 }, NULL, { "a 1\nb 1\n", "a 2\n}\n", FAILS, "a 3\n" }, 4,
        "{__name__=\"a\", " L " 1@0 stale@30000 3@45000\n{__name__=\"b\", " L
        " 1@0 stale@15000\n",
        "" },
    { "broken from the start", { 0 }, NULL, { "a 1\n", "7&-\n", "a 3\n" }, 3,
        "{__name__=\"a\", " L " 1@0 stale@15000 3@30000\n", "" },
    { "words of a broken page", { 0 }, NULL, { "this is { not metrics\n" }, 1, "",
        "strconv.ParseFloat: parsing \"is\": invalid syntax while parsing: \"this is\"" },
    { "target labels win", { 0 }, "x", { "a{x=\"page\"} 1\n" }, 1,
        "{__name__=\"a\", exported_x=\"page\", instance=\"h:1\", job=\"j\", x=\"target\"} 1@0\n",
        "" },
    { "exported_ is taken", { 0 }, "x", { "a{x=\"page\",exported_x=\"p2\"} 1\n" }, 1,
        "{__name__=\"a\", exported_exported_x=\"page\", exported_x=\"p2\", instance=\"h:1\", "
        "job=\"j\", x=\"target\"} 1@0\n",
        "" },
    { "honor_labels", { .honor_labels = true }, "x", { "a{x=\"page\",job=\"k\"} 1\n" }, 1,
        "{__name__=\"a\", instance=\"h:1\", job=\"k\", x=\"page\"} 1@0\n", "" },
    { "honor_labels, an empty one", { .honor_labels = true }, "x", { "a{x=\"\",job=\"k\"} 1\n" }, 1,
        "{__name__=\"a\", instance=\"h:1\", job=\"k\"} 1@0\n", "" },
    { "rules drop a line", { .drop_b = true }, NULL, { "a 1\nb 1\n", "a 2\nb 2\n" }, 2,
        "{__name__=\"a\", " L " 1@0 2@15000\n", "" },
    { "time stamps of the page", { 0 }, NULL, { "a 1 5000\n", "a 2 6000\n" }, 2,
        "{__name__=\"a\", " L " 1@5000 2@6000\n", "" },
    { "and no marker for them", { 0 }, NULL, { "a 1 5000\n", "b 1\n" }, 2,
        "{__name__=\"a\", " L " 1@5000\n{__name__=\"b\", " L " 1@15000\n", "" },
    { "unless they are tracked", { .track_staleness = true }, NULL, { "a 1 5000\n", "b 1\n" }, 2,
        "{__name__=\"a\", " L " 1@5000 stale@15000\n{__name__=\"b\", " L " 1@15000\n", "" },
    { "an older one is not there", { .track_staleness = true }, NULL,
        { "a 1 5000\n", "a 2 4000\n", "a 3 4500\n", "a 4 16000\n" }, 4,
        "{__name__=\"a\", " L " 1@5000 stale@15000 4@16000\n", "" },
    { "time stamps ignored", { .ignore_timestamps = true }, NULL, { "a 1 5000\n", "b 1\n" }, 2,
        "{__name__=\"a\", " L " 1@0 stale@15000\n{__name__=\"b\", " L " 1@15000\n", "" },
    { "the same time stamp again", { 0 }, NULL, { "a 1 5000\nb 1\n", "a 2 5000\nb 2\n" }, 2,
        "{__name__=\"a\", " L " 1@5000\n{__name__=\"b\", " L " 1@0 2@15000\n", "" },
    { "an older time stamp", { 0 }, NULL, { "a 1 5000\n", "a 2 4000\n" }, 2,
        "{__name__=\"a\", " L " 1@5000\n", "" },
    { "a line twice: the first counts", { 0 }, NULL, { "a 1\na 2\n", "a 3\na 4\n" }, 2,
        "{__name__=\"a\", " L " 1@0 3@15000\n", "" },
    { "sample_limit", { .samples = 2 }, NULL, { "a 1\nb 1\n", "a 2\nb 2\nc 2\n", "a 3\n" }, 3,
        "{__name__=\"a\", " L " 1@0 3@30000\n{__name__=\"b\", " L " 1@0 stale@30000\n", "" },
    { "a known line behind the limit is not there", { .samples = 2 }, NULL,
        { "a 1\nb 1\n", "c 2\na 2\nb 2\n", "a 3\n" }, 3,
        "{__name__=\"a\", " L " 1@0 3@30000\n{__name__=\"b\", " L
        " 1@0 stale@15000\n{__name__=\"c\", " L " stale@30000\n",
        "" },
    { "words of sample_limit", { .samples = 1 }, NULL, { "a 1\nb 1\n" }, 1, "",
        "sample limit exceeded" },
    { "label_limit", { .labels = 3 }, NULL, { "a{x=\"y\"} 1\n" }, 1, "",
        "label_limit exceeded (metric: a, number of labels: 4, limit: 3)" },
    { "label_name_length_limit", { .name_length = 8 }, NULL, { "a{longer_than=\"y\"} 1\n" }, 1, "",
        "label_name_length_limit exceeded (metric: a, label name: longer_than, length: 11, limit: "
        "8)" },
    { "the first 50 runes are shown, quoted", { .value_length = 3 }, NULL,
        { "a{x=\"\xc3\xa4\\\"0123456789012345678901234567890123456789012345678901\"} 1\n" }, 1, "",
        "label_value_length_limit exceeded (metric: a, label name: x, value: "
        "\"\xc3\xa4\\\"012345678901234567890123456789012345678901234567\", length: 55, limit: 3)" },
    { "label_value_length_limit", { .value_length = 3 }, NULL, { "a{x=\"four\"} 1\n" }, 1, "",
        "label_value_length_limit exceeded (metric: a, label name: x, value: \"four\", length: 4, "
        "limit: 3)" },
    { "OpenMetrics", { .openmetrics = true }, NULL, { "# TYPE a counter\na_total 1\n# EOF\n" }, 1,
        "{__name__=\"a_total\", " L " 1@0\n", "" },
    { "OpenMetrics without its end", { .openmetrics = true }, NULL, { "a 1\n" }, 1, "",
        "data does not end with # EOF" },
    { "UTF-8 names", { 0 }, NULL, { "{\"a.b\",\"x.y\"=\"z\"} 1\n" }, 1,
        "{__name__=\"a.b\", instance=\"h:1\", job=\"j\", \"x.y\"=\"z\"} 1@0\n", "" },
    { "UTF-8 names are not wanted", { .legacy = true }, NULL, { "{\"a.b\"} 1\n" }, 1, "",
        "invalid metric name or label names: {__name__=\"a.b\", instance=\"h:1\", job=\"j\"}" },
};

TEST(scrape_pages)
{
    TEST_EACH(c, page_cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct relabel_rule drop;
        struct scrape_config job = tuned_job(&c->tune, &drop);
        struct memstore *m = memstore_new();
        struct target *t = target_of(&job, c->extra_label);
        struct scrape_outcome out = { 0 };
        for (size_t i = 0; i < c->n; i++)
            scrape(t, m, c->pages[i],
                c->tune.openmetrics ? "application/openmetrics-text; version=1.0.0"
                                    : "text/plain; version=0.0.4",
                (int64_t)i * STEP_MS, &out);
        EXPECT_STR(text_without_report(m, &a), str_z(c->want));
        if (*c->error) EXPECT_STR(err_str(&out.e), str_z(c->error));
        else EXPECT_OK_E(out.rc, &out.e);
        EXPECT_STR(buf_view(&t->shown.error), str_z(c->error));
        EXPECT_EQ(t->shown.health, *c->error ? HEALTH_DOWN : HEALTH_UP);
        target_unref(t);
        regex_free(drop.regex);
        memstore_free(m);
    }
}

TEST(scrape_report)
{
    static const struct {
        const char *name, *page;
        uint64_t limit;
        bool extra;
        double up, scraped, post, added, size, sample_limit;
    } cases[] = {
        { "good", "a 1\nb 2\n", 0, false, 1, 2, 2, 2, -9, -9 },
        { "good, with more", "a 1\nb 2\n", 5, true, 1, 2, 2, 2, 8, 5 },
        { "over the limit", "a 1\nb 2\nc 3\n", 2, true, 0, 3, 3, 2, 12, 2 },
        { "broken", "a 1\nb{{{\n", 0, true, 0, 1, 1, 1, 9, 0 },
        { "a label too many", "a 1\nb{x=\"1\",y=\"2\"} 1\n", 0, false, 0, 2, 1, 1, -9, -9 },
        { "failed", NULL, 0, true, 0, 0, 0, 0, 0, 0 },
    };
    TEST_EACH(c, cases) {
        struct scrape_config job = test_job("j");
        struct memstore *m = memstore_new();
        struct scrape_outcome out;
        double v;
        job.sample_limit = c->limit;
        job.extra_scrape_metrics = c->extra;
        job.label_limit = 4;
        struct target *t = target_of(&job, NULL);
        scrape(t, m, c->page, "text/plain", 1000, &out);
        const struct { str name; double want;
        } reports[] = {
            { S("up"), c->up },
            { S("scrape_samples_scraped"), c->scraped },
            { S("scrape_samples_post_metric_relabeling"), c->post },
            { S("scrape_series_added"), c->added },
            { S("scrape_body_size_bytes"), c->size },
            { S("scrape_sample_limit"), c->sample_limit },
        };
        for (size_t i = 0; i < ARRAY_LEN(reports); i++) {
            bool found = store_last(m, reports[i].name, S("job"), S("j"), &v);
            EXPECT_EQ(found, reports[i].want != -9);
            if (found && v != reports[i].want)
                test_fail(__FILE__, __LINE__, "%.*s is %g, expected %g", STR_ARG(reports[i].name),
                    v, reports[i].want);
        }
        EXPECT(store_last(m, S("scrape_duration_seconds"), S("job"), S("j"), &v) && v >= 0);
        target_unref(t);
        memstore_free(m);
    }
}

/* A line is counted as added once, however often its page fails. */
TEST(scrape_added_by_pages_that_fail)
{
    struct scrape_config job = test_job("j");
    struct memstore *m = memstore_new();
    struct target *t = target_of(&job, NULL);
    struct scrape_outcome out;
    static const struct { const char *page; uint64_t added; } pages[] = {
        { "a 1\nb 1\n}\n", 2 }, { "a 2\nb 2\n}\n", 0 }, { "a 3\nb 3\n", 0 }, { "c 4\n", 1 },
        { "a 5\nb 5\nc 5\n", 2 }
    };
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        scrape(t, m, pages[i].page, "text/plain", (int64_t)i * STEP_MS, &out);
        EXPECT_EQ(out.series_added, pages[i].added);
    }
    target_unref(t);
    memstore_free(m);
}

/* Pages that fail with ever other lines do not make the cache grow for ever. */
TEST(scrape_forgets_pages_that_fail)
{
    struct scrape_config job = test_job("j");
    struct memstore *m = memstore_new();
    struct target *t = target_of(&job, NULL);
    struct scrape_outcome out;
    for (int i = 0; i < 60; i++) {
        struct buf page = { 0 };
        for (int k = 0; k < 100; k++) buf_fmt(&page, "a{i=\"%d\",k=\"%d\"} 1\n", i, k);
        buf_fmt(&page, "}\n");
        buf_u8(&page, 0);
        scrape(t, m, (const char *)page.p, "text/plain", (int64_t)i * STEP_MS, &out);
        EXPECT(line_cache_count(t->cache) <= 1100);
        buf_fini(&page);
    }
    target_unref(t);
    memstore_free(m);
}

TEST(scrape_report_of_labels_that_collide)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct scrape_config job = test_job("j");
    struct memstore *m = memstore_new();
    struct target *t = target_of(&job, "exported_job");
    struct scrape_outcome out;
    scrape(t, m, "a 1\n", "text/plain", 0, &out);
    EXPECT_STR(store_text(m, &a, S("up"), true), S("{__name__=\"up\", " L " 1@0\n"));
    target_unref(t);
    memstore_free(m);
}

TEST(scrape_end_marks_everything)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct scrape_config job = test_job("j");
    struct memstore *m = memstore_new();
    struct target *t = target_of(&job, NULL);
    struct scrape_outcome out;
    scrape(t, m, "a 1\nb 2\n", "text/plain", 1000, &out);
    scrape_end(t, memstore_appendable(m), 31000);
    EXPECT_EQ(store_stale_count(m, S("")), 2 + REPORTS_ALWAYS);
    EXPECT_STR(store_text(m, &a, S("a"), true), S("{__name__=\"a\", " L " 1@1000 stale@31000\n"));
    target_unref(t);
    memstore_free(m);
}

/* Two targets that say the same: the second one's samples are duplicates and do no harm. */
TEST(scrape_the_same_series_by_two_targets)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct scrape_config job = test_job("j");
    struct memstore *m = memstore_new();
    struct target *one = target_of(&job, NULL), *two = target_of(&job, NULL);
    struct scrape_outcome out;
    scrape(one, m, "a 1\n", "text/plain", 1000, &out);
    scrape(two, m, "a 2\n", "text/plain", 1000, &out);
    EXPECT_OK(out.rc);
    scrape(two, m, "a 3\n", "text/plain", 2000, &out);
    EXPECT_STR(store_text(m, &a, S("a"), true), S("{__name__=\"a\", " L " 1@1000 3@2000\n"));
    target_unref(one);
    target_unref(two);
    memstore_free(m);
}

TEST(scrape_metadata)
{
    struct scrape_config job = test_job("j");
    struct memstore *m = memstore_new();
    struct target *t = target_of(&job, NULL);
    struct scrape_outcome out;
    scrape(t, m, "# HELP a first\n# TYPE a counter\na 1\n", "text/plain", 1000, &out);
    scrape(t, m, "# HELP a second\\nline\n# TYPE a gauge\na 1\n", "text/plain", 2000, &out);
    struct arena a = { 0 };
    struct meta_family *all;
    EXPECT_EQ(meta_cache_list(&t->meta, &a, &all), 1);
    EXPECT_STR(all->name, S("a"));
    EXPECT_STR(all->help, S("second\nline"));
    EXPECT_EQ(all->type, TYPE_GAUGE);
    arena_fini(&a);
    target_unref(t);
    memstore_free(m);
}

/* Pages that say the same again and again are read by what is known of them: the metadata stays,
 * until it goes from the page. */
TEST(scrape_metadata_stays)
{
    struct scrape_config job = test_job("j");
    struct memstore *m = memstore_new();
    struct target *t = target_of(&job, NULL);
    struct scrape_outcome out;
    int64_t at = 1000;
    const char *page = "# TYPE a counter\na 1\n# TYPE b gauge\nb 1\n";
    for (int i = 0; i < 5 * META_KEPT; i++) scrape(t, m, page, "text/plain", at += 1000, &out);
    EXPECT_EQ(meta_cache_size(&t->meta).families, 2);
    EXPECT_EQ(line_cache_stats(t->cache).predicted, 4 * (5 * META_KEPT - 1));
    for (int i = 0; i < 2 * META_KEPT; i++) scrape(t, m, FAILS, "text/plain", at += 1000, &out);
    for (int i = 0; i < 2 * META_KEPT; i++) scrape(t, m, page, "text/plain", at += 1000, &out);
    EXPECT_EQ(meta_cache_size(&t->meta).families, 2);
    for (int i = 0; i <= META_KEPT; i++)
        scrape(t, m, "# TYPE a counter\na 1\nb 1\n", "text/plain", at += 1000, &out);
    EXPECT_EQ(meta_cache_size(&t->meta).families, 1);
    /* what was forgotten elsewhere is told anew */
    meta_cache_fini(&t->meta);
    t->meta = (struct meta_cache){ 0 };
    meta_cache_init(&t->meta, NULL);
    for (int i = 0; i < META_KEPT; i++)
        scrape(t, m, "# TYPE a counter\na 1\nb 1\n", "text/plain", at += 1000, &out);
    EXPECT_EQ(meta_cache_size(&t->meta).families, 1);
    target_unref(t);
    memstore_free(m);
}

/* New lines and known ones; one without a time of its own gets its sample's. */
TEST(scrape_exemplars)
{
    static const char page[] = "# TYPE a counter\n"
                               "a_total 1 # {id=\"x\"} 0.5 12.5\n"
                               "a_total{b=\"c\"} 2 # {id=\"y\"} 1\n"
                               "a_total{b=\"d\"} 2\n"
                               "# EOF\n";
    static const struct { const char *name; str id; int64_t t; bool has_t; double v; } want[] = {
        { "its own time", S("x"), 12500, true, 0.5 },
        { "none", S("y"), 1000, false, 1 },
        { "known line", S("x"), 12500, true, 0.5 },
        { "known line, no time", S("y"), 2000, false, 1 },
    };
    struct scrape_config job = test_job("j");
    struct memstore *m = memstore_new();
    struct target *t = target_of(&job, NULL);
    struct scrape_outcome out;
    const struct exemplar *got;
    for (int i = 1; i <= 2; i++) {
        scrape(t, m, page, "application/openmetrics-text; version=1.0.0", 1000 * i, &out);
        EXPECT_OK_E(out.rc, &out.e);
    }
    EXPECT_EQ(memstore_exemplars(m, &got), ARRAY_LEN(want));
    TEST_EACH(c, want) {
        const struct exemplar *x = &got[c - want];
        EXPECT_STR(labels_get(x->labels, S("id")), c->id);
        EXPECT_EQ(x->t, c->t);
        EXPECT_EQ(x->has_t, c->has_t);
        EXPECT(x->v == c->v);
    }
    target_unref(t);
    memstore_free(m);
}
