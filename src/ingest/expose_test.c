#include "base/f64.h"
#include "base/test.h"
#include "ingest/expose.h"

static const double bounds[] = { 0.5, 1, 10 };
static const double quantiles[] = { 0.5, 0.99 };
static const struct metric_family families[] = {
    { .name = "req_total",
        .help = "Requests\nof \"all\" \\ kinds.",
        .kind = METRIC_COUNTER,
        .labels = { "code", "path" } },
    { .name = "temp", .help = "T.", .kind = METRIC_GAUGE },
    { .name = "took_seconds",
        .help = "H.",
        .kind = METRIC_HISTOGRAM,
        .bounds = bounds,
        .n_bounds = 3 },
    { .name = "lag_seconds",
        .help = "S.",
        .kind = METRIC_SUMMARY,
        .bounds = quantiles,
        .n_bounds = 2,
        .labels = { "job" } },
};

static void page(struct buf *b, enum expo_format format)
{
    static const char *const two[] = { "200", "/a\"b\\\n" }, *const job[] = { "x" };
    static const uint64_t cumulative[] = { 1, 2, 2, 5 };
    static const double quants[] = { 0.25, 1e-7 };
    const struct metric_point points[] = {
        { .family = &families[0], .values = two, .value = 1027 },
        { .family = &families[1], .value = -1.5 },
        { .family = &families[2], .value = 1e30, .count = 5, .cumulative = cumulative },
        { .family = &families[3], .values = job, .value = 3, .count = 4, .quantiles = quants },
    };
    struct expose x;
    expose_begin(&x, b, format);
    for (size_t i = 0; i < ARRAY_LEN(points); i++) expose_point(&x, &points[i]);
    expose_end(&x);
}

TEST(expose_text)
{
    struct buf b = { 0 };
    page(&b, EXPO_TEXT);
    EXPECT_STR(buf_view(&b),
        S("# HELP req_total Requests\\nof \"all\" \\\\ kinds.\n# TYPE req_total counter\n"
          "req_total{code=\"200\",path=\"/a\\\"b\\\\\\n\"} 1027\n"
          "# HELP temp T.\n# TYPE temp gauge\ntemp -1.5\n"
          "# HELP took_seconds H.\n# TYPE took_seconds histogram\n"
          "took_seconds_bucket{le=\"0.5\"} 1\ntook_seconds_bucket{le=\"1\"} 2\n"
          "took_seconds_bucket{le=\"10\"} 2\ntook_seconds_bucket{le=\"+Inf\"} 5\n"
          "took_seconds_sum 1e+30\ntook_seconds_count 5\n"
          "# HELP lag_seconds S.\n# TYPE lag_seconds summary\n"
          "lag_seconds{job=\"x\",quantile=\"0.5\"} 0.25\nlag_seconds{job=\"x\",quantile=\"0.99\"} "
          "1e-07\n"
          "lag_seconds_sum{job=\"x\"} 3\nlag_seconds_count{job=\"x\"} 4\n"));
    buf_fini(&b);
}

/* What is written is read back by this room's own parser, to the last line. */
TEST(expose_is_read_back)
{
    for (enum expo_format format = EXPO_TEXT; format <= EXPO_OPENMETRICS; format++) {
        struct buf b = { 0 };
        page(&b, format);
        uint8_t *padding = buf_room(&b, EXPO_PADDING);
        memset(padding, 0, EXPO_PADDING);
        struct expo x;
        expo_init(&x, format, b.p, b.n, NULL);
        enum expo_entry kind;
        size_t series = 0, meta = 0;
        double sum = 0;
        struct err e = { 0 };
        for (;;) {
            EXPECT_OK_E(expo_next(&x, &kind, &e), &e);
            if (kind == EXPO_END) break;
            series += kind == EXPO_SERIES;
            meta += kind != EXPO_SERIES;
            if (kind == EXPO_SERIES) sum += x.value;
        }
        EXPECT_EQ(series, 12);
        EXPECT_EQ(meta, 8);
        EXPECT(sum > 1e29);
        expo_fini(&x);
        buf_fini(&b);
    }
}
