#include "base/test.h"
#include "ingest/exposition.h"

#include <stdio.h>

/* The entries of a page, one a word: a series by its name and value, a histogram by its labels. */
static void page_words(struct buf *out, enum expo_format format, const char *page, bool keep)
{
    struct expo_opts opts = { .convert_classic = true, .keep_classic = keep };
    struct arena a = { 0 };
    str text = str_z(page);
    uint8_t *body = arena_zalloc(&a, text.n + EXPO_PADDING);
    memcpy(body, text.p, text.n);
    struct expo x;
    expo_init(&x, format, body, text.n, &opts);
    enum expo_entry kind;
    while (expo_next(&x, &kind, NULL) == OK && kind != EXPO_END) {
        if (kind != EXPO_SERIES && kind != EXPO_HISTOGRAM) continue;
        struct labels l = expo_labels(&x, &a);
        struct expo_exemplar ex;
        buf_fmt(out, "%s%.*s", out->n ? " " : "", STR_ARG(labels_get(l, METRIC_NAME)));
        if (l.n > 1) buf_fmt(out, "/%.*s", STR_ARG(l.at[1].value));
        if (kind == EXPO_SERIES) buf_fmt(out, "=%g", x.value);
        else buf_fmt(out, "#%" PRIu64, expo_histogram(&x, &a).whole->count);
        while (expo_exemplar(&x, &a, &ex)) buf_fmt(out, "!%g", ex.value);
    }
    EXPECT_EQ(x.rc, OK);
    expo_fini(&x);
    arena_fini(&a);
}

TEST(nhcb_between_lines)
{
#define OF(labels, n)                                                                              \
    "h_bucket{" labels "le=\"1\"} 1\nh_bucket{" labels "le=\"+Inf\"} " n "\nh_sum{" labels "} 5\n" \
    "h_count{" labels "} " n "\n"
    static const struct {
        const char *name;
        bool om, keep;
        const char *page, *want;
    } cases[] = {
        { "one at the end", false, false, "# TYPE h histogram\n" OF("", "2"), "h#2" },
        { "two, told by labels", false, false,
            "# TYPE h histogram\n" OF("a=\"x\",", "2") OF("a=\"y\",", "3"), "h/x#2 h/y#3" },
        { "labels in another order", false, false,
            "# TYPE h histogram\nh_bucket{a=\"1\",b=\"2\",le=\"1\"} 1\n"
            "h_count{b=\"2\",a=\"1\"} 4\nx 1\n",
            "h/1#4 x=1" },
        { "told before what follows", false, false,
            "a 1\n# TYPE h histogram\n" OF("", "2") "# TYPE b gauge\nb 2\n", "a=1 h#2 b=2" },
        { "kept: lines first", false, true, "# TYPE h histogram\n" OF("", "2") "b 2\n",
            "h_bucket/1.0=1 h_bucket/+Inf=2 h_sum=5 h_count=2 h#2 b=2" },
        { "no histogram by its type", false, false, "# TYPE h gauge\nh_count 1\nh_sum 2\n",
            "h_count=1 h_sum=2" },
        { "another family's type", false, false, "# TYPE g histogram\nh_count 1\n", "h_count=1" },
        { "counts that do not fit are gone", false, false,
            "# TYPE h histogram\nh_bucket{le=\"1\"} 5\nh_bucket{le=\"2\"} 1\nh_count 5\nb 2\n",
            "b=2" },
        { "exemplars are the histogram's", true, true,
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {} 0.5\nh_bucket{le=\"+Inf\"} 2 # {} 7\n"
            "h_count 2\n# EOF\n",
            "h_bucket/1.0=1 h_bucket/+Inf=2 h_count=2 h#2!0.5!7" },
    };
    TEST_EACH (c, cases) {
        struct buf b = { 0 };
        page_words(&b, c->om ? EXPO_OPENMETRICS : EXPO_TEXT, c->page, c->keep);
        EXPECT_STR(buf_view(&b), str_z(c->want));
        buf_fini(&b);
    }
}
