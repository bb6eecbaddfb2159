#include "base/f64.h"
#include "base/test.h"
#include "ingest/line_cache.h"
#include "ingest/line_number.h"

#include <stdio.h>

enum { POOL = 60, PAGES = 400, LINES = 80 };

/* The naive twin: for each series of the pool, whether it stood on the last page, and the handle it
 * was given (its number + 1). */
struct twin { bool live[POOL], page[POOL], gone[POOL]; bool known[POOL]; };

static void twin_gone(void *ctx, uint64_t handle)
{
    struct twin *t = ctx;
    EXPECT(handle >= 1 && handle <= POOL);
    EXPECT(!t->gone[handle - 1]);
    t->gone[handle - 1] = true;
}

static size_t series_number(const struct expo *x)
{
    size_t i = str_find(x->series, S("n=\""));
    size_t n = 0;
    for (i += 3; x->series.p[i] != '"'; i++) n = n * 10 + (size_t)(x->series.p[i] - '0');
    return n;
}

struct page_line { bool comment; size_t series; double value; bool has_ts; };
struct page { struct buf text; struct page_line at[LINES]; size_t n; };

static void page_add(struct page *p, struct prng *r, size_t series)
{
    if (p->n == LINES) return;
    bool slow = prng_below(r, 8) == 0;
    double v = slow ? (double)prng_u64(r) / 7.0 : (double)prng_below(r, 100000) - 300;
    struct page_line l = { .series = series, .value = v };
    if (prng_below(r, 10) == 0) {
        l.comment = true;
        buf_fmt(&p->text, "# HELP m%zu words %zu\n", series, (size_t)prng_below(r, 2));
    } else {
        buf_fmt(&p->text, "m{n=\"%zu\",raw=\"a\nb\"} ", series);
        buf_f64_g(&p->text, v);
        buf_fmt(&p->text, "\n");
    }
    p->at[p->n++] = l;
}

/* Mostly the pool in order; some lines left out, doubled, moved. */
static void page_make(struct page *p, struct prng *r, size_t shake)
{
    buf_reset(&p->text);
    p->n = 0;
    for (size_t s = 0; s < POOL; s++) {
        uint64_t dice = prng_below(r, shake);
        if (dice == 0) continue;
        if (dice == 1) page_add(p, r, prng_below(r, POOL));
        page_add(p, r, s);
    }
    uint8_t *padding = buf_room(&p->text, EXPO_PADDING);
    memset(padding, 0, EXPO_PADDING);
}

/* Some lines by the run, each checked against the page; *i: where the page stands. */
static void runs_read(struct line_cache *c, const struct page *p, const struct expo *x,
    struct prng *r, size_t *i, bool *seen)
{
    enum { MOST = 8 };
    uint64_t handle[MOST];
    double value[MOST];
    uint32_t index[MOST];
    size_t at[MOST];
    uint8_t type[MOST];
    struct line_run run = { .cap = prng_below(r, MOST + 1),
        .handle = handle,
        .value = value,
        .index = index,
        .at = at,
        .type = type };
    line_cache_run(c, &run);
    EXPECT(run.n <= run.cap);
    for (size_t k = 0; k < run.n; k++) {
        while (*i < p->n && p->at[*i].comment) ++*i;
        EXPECT(*i < p->n);
        const struct page_line *want = &p->at[(*i)++];
        EXPECT_EQ(f64_bits(value[k]), f64_bits(want->value));
        EXPECT_EQ(handle[k], want->series + 1);
        EXPECT(!seen[want->series] && want->series % 7 != 0);
        EXPECT(str_has_prefix(str_of(x->b + at[k], x->n - at[k]), S("m{n=")));
        seen[want->series] = true;
    }
}

/* The first lines while the page comes, in parts of any size; each part lies in a block of its own,
 * so that a sanitizer sees a byte too many. How many bytes were used. */
static size_t ahead_read(
    struct line_cache *c, const struct page *p, struct prng *r, struct line_ahead *a)
{
    size_t from = 0;
    for (size_t shown = 0; shown < p->text.n && !a->over;) {
        size_t more = 1 + prng_below(r, 300);
        shown = MIN(shown + more, p->text.n);
        uint8_t *part = mem_alloc(shown - from);
        memcpy(part, p->text.p + from, shown - from);
        size_t used = line_cache_ahead(c, a, part, shown - from);
        EXPECT(used <= shown - from);
        mem_free(part);
        from += used;
    }
    return from;
}

static void ahead_take(
    struct line_cache *c, const struct page *p, struct line_ahead *a, size_t *i, bool *seen)
{
    uint64_t handle[3];
    double value[3];
    uint32_t index[3];
    size_t at[3];
    uint8_t type[3];
    struct line_run run = {
        .cap = 3, .n = 3, .handle = handle, .value = value, .index = index, .at = at, .type = type
    };
    while (run.n == 3) {
        run.n = 0;
        line_cache_take_ahead(c, a, &run);
        for (size_t k = 0; k < run.n; k++) {
            while (p->at[*i].comment) ++*i;
            const struct page_line *want = &p->at[(*i)++];
            EXPECT_EQ(f64_bits(value[k]), f64_bits(want->value));
            EXPECT_EQ(handle[k], want->series + 1);
            seen[want->series] = true;
        }
    }
}

static void page_read(
    struct line_cache *c, struct page *p, struct twin *t, struct prng *r, bool fail)
{
    struct expo x;
    struct line_ahead ahead = { 0 };
    double values[LINES];
    ahead.value = values;
    size_t from = line_cache_may_ahead(c) && prng_below(r, 2) ? ahead_read(c, p, r, &ahead) : 0;
    expo_init(&x, EXPO_TEXT, p->text.p + from, p->text.n - from, NULL);
    line_cache_begin(c, &x, false);
    bool seen[POOL] = { 0 };
    struct line l;
    size_t i = 0;
    ahead_take(c, p, &ahead, &i, seen);
    for (;;) {
        if (prng_below(r, 2)) runs_read(c, p, &x, r, &i, seen);
        EXPECT_OK(line_cache_next(c, &l, NULL));
        if (l.kind == LINE_META) continue;
        while (i < p->n && p->at[i].comment) i++;
        if (l.kind == LINE_END) break;
        EXPECT(i < p->n);
        const struct page_line *want = &p->at[i++];
        EXPECT_EQ(f64_bits(l.value), f64_bits(want->value));
        EXPECT_EQ(l.again, seen[want->series]);
        seen[want->series] = true;
        if (l.kind == LINE_NEW) {
            EXPECT_EQ(series_number(&x), want->series);
            line_cache_learn(c, l.index, want->series + 1, want->series % 7 == 0);
        } else {
            EXPECT_EQ(l.dropped, want->series % 7 == 0);
            if (!l.dropped) EXPECT_EQ(l.handle, want->series + 1);
        }
        if (fail && i > p->n / 2) break;
    }
    memset(t->gone, 0, sizeof(t->gone));
    if (fail) {
        (void)line_cache_rollback(c, twin_gone, t);
    } else {
        EXPECT_EQ(i, p->n);
        line_cache_commit(c, twin_gone, t);
    }
    for (size_t s = 0; s < POOL; s++) {
        EXPECT_EQ(t->gone[s], t->live[s] && !seen[s] && s % 7 != 0);
        t->live[s] = seen[s];
    }
    expo_fini(&x);
}

TEST(line_cache_model)
{
    struct prng r = { test_seed() };
    struct line_cache *c = line_cache_new(NULL);
    struct twin t = { 0 };
    struct page p = { 0 };
    for (size_t i = 0; i < PAGES; i++) {
        size_t shake = 3 + prng_below(&r, 60);
        page_make(&p, &r, shake);
        page_read(c, &p, &t, &r, prng_below(&r, 12) == 0);
        if (i % 100 == 99) {
            line_cache_clear(c);
            memset(&t, 0, sizeof(t));
        }
    }
    buf_fini(&p.text);
    line_cache_free(c);
}

static size_t count_gone;
static void gone_count(void *ctx, uint64_t handle)
{
    (void)ctx;
    count_gone += handle > 0;
}

static void read_page(struct line_cache *c, const char *text, bool track_ts,
    enum line_kind want_first, bool want_again_last)
{
    uint8_t body[512] = { 0 };
    size_t n = strlen(text);
    memcpy(body, text, n);
    struct expo x;
    expo_init(&x, EXPO_TEXT, body, n, NULL);
    line_cache_begin(c, &x, track_ts);
    struct line l;
    bool again = false;
    for (size_t i = 0;; i++) {
        EXPECT_OK(line_cache_next(c, &l, NULL));
        if (i == 0) EXPECT_EQ(l.kind, want_first);
        if (l.kind == LINE_END) break;
        again = l.again;
        if (l.kind == LINE_NEW) line_cache_learn(c, l.index, i + 1, false);
    }
    EXPECT_EQ(again, want_again_last);
    line_cache_commit(c, gone_count, NULL);
    expo_fini(&x);
}

TEST(line_cache_repeats_and_time_stamps)
{
    struct line_cache *c = line_cache_new(NULL);
    count_gone = 0;
    read_page(c, "a 1\nb 2\na 3\n", false, LINE_NEW, true);
    read_page(c, "a 1\nb 2\na 3\n", false, LINE_KNOWN, true);
    EXPECT_EQ(line_cache_stats(c).predicted, 3);
    read_page(c, "b 2\na 3\n", false, LINE_KNOWN, false);
    EXPECT_EQ(count_gone, 0);
    read_page(c, "b 2\na 3 1000\n", false, LINE_KNOWN, false);
    EXPECT_EQ(count_gone, 1);          /* it has time stamps of its own from here on */
    read_page(c, "b 2\n", false, LINE_KNOWN, false);
    EXPECT_EQ(count_gone, 1);
    read_page(c, "", false, LINE_END, false);
    EXPECT_EQ(count_gone, 2);
    line_cache_free(c);

    c = line_cache_new(NULL);
    count_gone = 0;
    read_page(c, "a 3 1000\n", true, LINE_NEW, false);
    read_page(c, "\n", true, LINE_END, false);
    EXPECT_EQ(count_gone, 1);
    line_cache_free(c);
}

TEST(line_number_is_exact)
{
    struct prng r = { test_seed() };
    for (size_t i = 0; i < 200000; i++) {
        uint8_t text[128] = { 0 };
        char *t = (char *)text;
        uint64_t a = prng_u64(&r) >> prng_below(&r, 64), b = prng_u64(&r) >> prng_below(&r, 64);
        const char *sign = prng_below(&r, 2) ? "-" : "";
        switch (prng_below(&r, 4)) {
        case 0: snprintf(t, 100, "%s%" PRIu64 "\n", sign, a); break;
        case 1: snprintf(t, 100, "%s%" PRIu64 ".%" PRIu64 "\n", sign, a, b); break;
        case 2:
            snprintf(t, 100, "%s%" PRIu64 ".%" PRIu64 "e%d\n", sign, a % 10, b,
                (int)prng_below(&r, 600) - 300);
            break;
        default: snprintf(t, 100, "%s0.%0*" PRIu64 "\n", sign, (int)prng_below(&r, 24), a); break;
        }
        double got, want;
        size_t n = strlen(t) - 1;
        const uint8_t *q = line_number(text, text + n + 1, &got);
        bool ok = f64_parse(str_of(text, n), &want);
        EXPECT_EQ(q != NULL, ok);
        if (!ok) continue;
        EXPECT_EQ(q - text, n);
        EXPECT_EQ(f64_bits(got), f64_bits(want));
    }
}
