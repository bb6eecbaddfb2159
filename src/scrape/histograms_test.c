/* Pages with histograms in, the storage's content out: native ones of protobuf pages, converted
 * ones of text pages, and what limits and switches make of them. */
#include "base/clock.h"
#include "base/pb_put.h"
#include "base/test.h"
#include "scrape/apply.h"
#include "scrape/test_store.h"

static const char text_type[] = "text/plain", om_type[] = "application/openmetrics-text";
static const char pb_type[] = "application/vnd.google.protobuf; "
                              "proto=io.prometheus.client.MetricFamily; encoding=delimited";

/* What a test target says, in protobuf. */

static void put_message(struct buf *b, unsigned number, struct buf *m)
{
    pb_put_bytes(b, number, buf_view(m));
    buf_fini(m);
    *m = (struct buf){ 0 };
}
static uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }

static struct buf instant(int64_t seconds)
{
    struct buf b = { 0 };
    pb_put_one(&b, 1, (uint64_t)seconds);
    return b;
}

static struct buf exemplar(const char *id, double v, int64_t seconds)
{
    struct buf pair = { 0 }, x = { 0 }, at = instant(seconds);
    pb_put_bytes(&pair, 1, S("id"));
    pb_put_bytes(&pair, 2, str_z(id));
    put_message(&x, 1, &pair);
    pb_put_f64(&x, 2, v);
    if (seconds) put_message(&x, 3, &at);
    buf_fini(&at);
    return x;
}

/* The counts of the buckets 1, 2, … of schema 1; also classic ones, le 1 and +Inf. */
struct native {
    const char *series;
    size_t n;
    int64_t counts[8];
    const char *exemplar;
    bool classic;
};

static void put_histogram(
    struct buf *page, const char *family, const struct native *at, size_t n, int64_t start)
{
    struct buf f = { 0 };
    pb_put_bytes(&f, 1, str_z(family));
    pb_put_bytes(&f, 2, S("words"));
    pb_put_one(&f, 3, 4);
    for (size_t i = 0; i < n; i++) {
        struct buf metric = { 0 }, h = { 0 }, pair = { 0 }, span = { 0 }, bucket = { 0 };
        int64_t total = 0, before = 0;
        for (size_t k = 0; k < at[i].n; k++) total += at[i].counts[k];
        pb_put_one(&h, 1, (uint64_t)total);
        pb_put_f64(&h, 2, 5);
        pb_put_one(&h, 5, zigzag(1));
        pb_put_one(&span, 1, zigzag(1));
        pb_put_one(&span, 2, at[i].n);
        put_message(&h, 12, &span);
        for (size_t k = 0; k < at[i].n; before = at[i].counts[k++])
            pb_put_one(&h, 13, zigzag(at[i].counts[k] - before));
        struct buf started = instant(start),
                   ex = exemplar(at[i].exemplar ? at[i].exemplar : "", 2, 9);
        if (start) put_message(&h, 15, &started);
        if (at[i].exemplar) put_message(&h, 16, &ex);
        buf_fini(&started);
        buf_fini(&ex);
        pb_put_one(&bucket, 1, 1);
        pb_put_f64(&bucket, 2, 1);
        if (at[i].classic) put_message(&h, 3, &bucket);
        buf_fini(&bucket);
        pb_put_bytes(&pair, 1, S("s"));
        pb_put_bytes(&pair, 2, str_z(at[i].series));
        put_message(&metric, 1, &pair);
        put_message(&metric, 7, &h);
        put_message(&f, 4, &metric);
    }
    buf_uvarint(page, f.n);
    buf_str(page, buf_view(&f));
    buf_fini(&f);
}

static struct buf one_histogram(const struct native *at, size_t n, int64_t start)
{
    struct buf page = { 0 };
    put_histogram(&page, "h", at, n, start);
    return page;
}

/* Targets and their store */

struct rig {
    struct scrape_config job;
    struct memstore *m;
    struct target *t;
    struct scrape_outcome out;
};

static void rig_open(struct rig *r)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct labels out, discovered;
    bool keep;
    EXPECT_OK(
        target_labels(&out, &discovered, &keep, &r->job, S("h:1"), (struct labels){ 0 }, &a, NULL));
    r->m = memstore_new();
    r->t = target_new(&r->job, out, discovered);
}

static void rig_close(struct rig *r)
{
    target_unref(r->t);
    memstore_free(r->m);
}

static errc rig_scrape(struct rig *r, str text, const char *type, int64_t t_ms)
{
    struct buf body = { 0 };
    buf_str(&body, text);
    memset(buf_room(&body, EXPO_PADDING), 0, EXPO_PADDING);
    struct scrape_page page = {
        .body = body.p, .n = text.n, .content_type = str_z(type), .t_ms = t_ms
    };
    scrape_apply(r->t, memstore_appendable(r->m), &page, clock_mono_ns(), &r->out);
    buf_fini(&body);
    return r->out.rc;
}

static void rig_holds(struct rig *r, const char *prefix, const char *want)
{
    struct arena a = { 0 };
    str got = store_text(r->m, &a, str_z(prefix), false);
    EXPECT_STR(got, str_z(want));
    arena_fini(&a);
}

#define H1 "{__name__=\"h\", instance=\"h:1\", job=\"j\", s=\"x\"}"
#define OF(name, more) "{__name__=\"" name "\", instance=\"h:1\", job=\"j\", " more "s=\"x\"}"

TEST(scraped_native_histogram)
{
    static const struct native x[] = { { "x", 2, { 1, 2 }, "a", true } },
                               more[] = { { "x", 3, { 1, 2, 1 }, "b", true } };
    static const struct {
        const char *name;
        bool native, classic, convert;
        const char *want;
    } cases[] = {
        { "native", true, false, false,
            H1 " {count:3, sum:5, (1,1.414213562373095]:1, (1.414213562373095,2]:2}"
               " {count:4, sum:5, (1,1.414213562373095]:1, (1.414213562373095,2]:2, "
               "(2,2.82842712474619]:1} stale\n" },
        { "not wanted", false, false, false,
            OF("h_bucket", "le=\"+Inf\", ") " 3 4 stale\n" OF(
                "h_bucket", "le=\"1.0\", ") " 1 1 stale\n" OF("h_count",
                "") " 3 4 stale\n" OF("h_sum", "") " 5 5 stale\n" },
        { "both", true, true, false,
            H1 " {count:3, sum:5, (1,1.414213562373095]:1, (1.414213562373095,2]:2}"
               " {count:4, sum:5, (1,1.414213562373095]:1, (1.414213562373095,2]:2, "
               "(2,2.82842712474619]:1} stale\n" OF("h_bucket", "le=\"+Inf\", ") " 3 4 stale\n" OF(
                   "h_bucket", "le=\"1.0\", ") " 1 1 stale\n" OF("h_count",
                   "") " 3 4 stale\n" OF("h_sum", "") " 5 5 stale\n" },
        { "converted", false, false, true,
            H1 " {count:3, sum:5, [-Inf,1]:1, (1,+Inf]:2} {count:4, sum:5, [-Inf,1]:1, (1,+Inf]:3} "
               "stale\n" },
    };
    TEST_EACH (c, cases) {
        struct rig r = { .job = test_job("j") };
        r.job.scrape_native_histograms = c->native;
        r.job.always_scrape_classic_histograms = c->classic;
        r.job.convert_classic_histograms = c->convert;
        rig_open(&r);
        struct buf page = one_histogram(x, 1, 0), next = one_histogram(more, 1, 0);
        EXPECT_OK_E(rig_scrape(&r, buf_view(&page), pb_type, 1000), &r.out.e);
        EXPECT_OK_E(rig_scrape(&r, buf_view(&next), pb_type, 2000), &r.out.e);
        EXPECT_EQ(r.out.series_added, 0);
        EXPECT_OK_E(rig_scrape(&r, S("other 1\n"), text_type, 3000), &r.out.e);
        rig_holds(&r, "h", c->want);
        buf_fini(&page);
        buf_fini(&next);
        rig_close(&r);
    }
}

TEST(scraped_text_becomes_nhcb)
{
    static const char page[] =
        "a 1\n# TYPE h histogram\nh_bucket{s=\"x\",le=\"1\"} 1\n"
        "h_bucket{s=\"x\",le=\"+Inf\"} 3\nh_sum{s=\"x\"} 5\nh_count{s=\"x\"} 3\n"
        "# TYPE b gauge\nb 2\n";
    struct rig r = { .job = test_job("j") };
    r.job.convert_classic_histograms = true;
    rig_open(&r);
    for (int i = 1; i <= 3; i++) {
        EXPECT_OK_E(rig_scrape(&r, str_z(page), text_type, 1000 * i), &r.out.e);
        EXPECT_EQ(r.out.scraped, 3);
        EXPECT_EQ(r.out.added, 3);
        EXPECT_EQ(r.out.series_added, i == 1 ? 3 : 0);
    }
    EXPECT_OK_E(rig_scrape(&r, S("a 1\n"), text_type, 4000), &r.out.e);
    rig_holds(&r, "h",
        H1 " {count:3, sum:5, [-Inf,1]:1, (1,+Inf]:2}"
           " {count:3, sum:5, [-Inf,1]:1, (1,+Inf]:2}"
           " {count:3, sum:5, [-Inf,1]:1, (1,+Inf]:2} stale\n");
    rig_holds(&r, "b", "{__name__=\"b\", instance=\"h:1\", job=\"j\"} 2 2 2 stale\n");
    rig_close(&r);
}

TEST(scraped_histogram_limits)
{
    static const struct native x[] = { { "x", 4, { 1, 1, 1, 1 }, NULL, false } };
    static const struct {
        const char *name;
        uint64_t limit;
        double factor;
        const char *words, *want;
    } cases[] = {
        { "none", 0, 0, NULL,
            H1 " {count:4, sum:5, (1,1.414213562373095]:1, (1.414213562373095,2]:1, "
               "(2,2.82842712474619]:1, (2.82842712474619,4]:1}\n" },
        { "factor", 0, 2, NULL, H1 " {count:4, sum:5, (1,2]:2, (2,4]:2}\n" },
        { "buckets", 2, 0, NULL, H1 " {count:4, sum:5, (1,2]:2, (2,4]:2}\n" },
        { "one bucket", 1, 0, NULL, H1 " {count:4, sum:5, (1,4]:4}\n" },
    };
    TEST_EACH (c, cases) {
        struct rig r = { .job = test_job("j") };
        r.job.scrape_native_histograms = true;
        r.job.histogram_bucket_limit = c->limit;
        r.job.histogram_min_bucket_factor = c->factor;
        rig_open(&r);
        struct buf page = one_histogram(x, 1, 0);
        EXPECT_OK_E(rig_scrape(&r, buf_view(&page), pb_type, 1000), &r.out.e);
        rig_holds(&r, "h", c->want);
        buf_fini(&page);
        rig_close(&r);
    }
}

/* A custom one cannot be made coarser: the whole page is refused. */
TEST(scraped_histogram_over_the_limit)
{
    struct rig r = { .job = test_job("j") };
    r.job.convert_classic_histograms = true;
    r.job.histogram_bucket_limit = 1;
    rig_open(&r);
    EXPECT_EQ(rig_scrape(&r, S("a 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 3\n"),
                  text_type, 1000),
        ERR_LIMIT);
    EXPECT_STR(err_str(&r.out.e), S("histogram bucket limit exceeded"));
    rig_holds(&r, "h", "");
    rig_holds(&r, "a", "");
    rig_close(&r);
}

TEST(scraped_exemplars_of_histograms)
{
    static const struct native x[] = { { "x", 1, { 1 }, "first", false } };
    struct rig r = { .job = test_job("j") };
    const struct exemplar *got;
    r.job.scrape_native_histograms = true;
    rig_open(&r);
    struct buf page = one_histogram(x, 1, 0);
    EXPECT_OK_E(rig_scrape(&r, buf_view(&page), pb_type, 1000), &r.out.e);
    EXPECT_OK_E(rig_scrape(&r, buf_view(&page), pb_type, 2000), &r.out.e);
    EXPECT_EQ(memstore_exemplars(r.m, &got), 2);
    EXPECT_STR(labels_get(got[1].labels, S("id")), S("first"));
    EXPECT_EQ(got[1].t, 9000);
    EXPECT(got[1].v == 2);
    buf_fini(&page);
    rig_close(&r);
}

/* The exemplar of a sample that is not taken is not taken. */
TEST(scraped_exemplar_waits_for_its_sample)
{
    struct rig r = { .job = test_job("j") };
    const struct exemplar *got;
    rig_open(&r);
    EXPECT_OK_E(
        rig_scrape(&r, S("a_total 1 5 # {} 1 4\nb_total 1 5 # {} 7 4\n# EOF\n"), om_type, 6000),
        &r.out.e);
    EXPECT_EQ(memstore_exemplars(r.m, &got), 2);
    EXPECT_OK_E(
        rig_scrape(&r, S("a_total 1 3 # {} 2 2\nb_total 1 6 # {} 8 5\n# EOF\n"), om_type, 7000),
        &r.out.e);
    EXPECT_EQ(memstore_exemplars(r.m, &got), 3);
    EXPECT(got[2].v == 8);
    rig_close(&r);
}

TEST(scraped_start_times)
{
    static const struct native x[] = { { "x", 1, { 1 }, NULL, false } };
    struct rig r = { .job = test_job("j") };
    r.job.scrape_native_histograms = true;
    r.job.features.start_times = true;
    rig_open(&r);
    struct buf page = one_histogram(x, 1, 3);
    for (int i = 4; i <= 5; i++)
        EXPECT_OK_E(rig_scrape(&r, buf_view(&page), pb_type, 1000 * i), &r.out.e);
    for (int i = 6; i <= 7; i++)
        EXPECT_OK_E(rig_scrape(&r,
                        S("# TYPE c counter\nc_total 7\nc_created 2.5\n# TYPE g gauge\n"
                          "g 1\n# EOF\n"),
                        om_type, 1000 * i),
            &r.out.e);
    rig_holds(&r, "h",
        H1 " {count:1, sum:5, (1,1.414213562373095]:1}^3000"
           " {count:1, sum:5, (1,1.414213562373095]:1}^3000 stale\n");
    rig_holds(&r, "c", "{__name__=\"c_total\", instance=\"h:1\", job=\"j\"} 7^2500 7^2500\n");
    rig_holds(&r, "g", "{__name__=\"g\", instance=\"h:1\", job=\"j\"} 1 1\n");
    buf_fini(&page);
    rig_close(&r);
}

TEST(scraped_type_and_unit)
{
    struct rig r = { .job = test_job("j") };
    r.job.features.type_and_unit_labels = true;
    rig_open(&r);
    for (int i = 1; i <= 2; i++)
        EXPECT_OK_E(rig_scrape(&r,
                        S("# TYPE c_s counter\n# UNIT c_s s\nc_s_total 7\n# TYPE g gauge\n"
                          "g 1\n# EOF\n"),
                        om_type, 1000 * i),
            &r.out.e);
    rig_holds(&r, "c",
        "{__name__=\"c_s_total\", __type__=\"counter\", __unit__=\"s\", "
        "instance=\"h:1\", job=\"j\"} 7 7\n");
    rig_close(&r);
}

/* Series that the storage dropped between two pages are found or made again where they stand. */
TEST(scraped_series_that_were_collected)
{
    static const struct native x[] = { { "x", 1, { 3 }, NULL, true } };
    static const struct {
        const char *name;
        bool native;
        const char *want;
    } cases[] = {
        { "parts of a family", false,
            OF("h_bucket", "le=\"+Inf\", ") " 3\n" OF("h_bucket", "le=\"1.0\", ") " 1\n"
            OF("h_count", "") " 3\n" OF("h_sum", "") " 5\n" },
        { "a histogram", true, H1 " {count:3, sum:5, (1,1.414213562373095]:3}\n" },
    };
    TEST_EACH(c, cases) {
        struct rig r = { .job = test_job("j") };
        r.job.scrape_native_histograms = c->native;
        rig_open(&r);
        struct buf page = one_histogram(x, 1, 0);
        EXPECT_OK_E(rig_scrape(&r, buf_view(&page), pb_type, 1000), &r.out.e);
        memstore_clear(r.m);
        EXPECT_OK_E(rig_scrape(&r, buf_view(&page), pb_type, 2000), &r.out.e);
        rig_holds(&r, "h", c->want);
        EXPECT_OK_E(rig_scrape(&r, buf_view(&page), pb_type, 3000), &r.out.e);
        EXPECT_EQ(r.out.series_added, 0);
        buf_fini(&page);
        rig_close(&r);
    }
}
