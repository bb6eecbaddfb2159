/* parse.c — how fast a scraped page of the text format is read: ns a line, one core.
 *
 * A page of 50,000 series lines of about 180 bytes, two thirds of the values moving. `first` is a
 * page never seen: tokenizer and labels.
 * `known` is the same page again: every line is predicted. `moved` is the page with one line in a
 * hundred gone.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/prng.h"
#include "ingest/line_cache.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINES = 50000, BATCH = 256, ROUNDS = 15 };

static void page_make(struct buf *b, uint64_t seed, bool moved)
{
    struct prng r = { seed };
    buf_reset(b);
    buf_fmt(b, "# HELP http_request_duration_seconds_total Time spent.\n# TYPE "
               "http_request_duration_seconds_total counter\n");
    for (size_t i = 0; i < LINES; i++) {
        uint64_t v = i % 3 ? prng_below(&r, 1000000) : i;
        if (moved && i % 100 == 50) continue;
        buf_fmt(b,
            "http_request_duration_seconds_total{cluster=\"eu-west-1a\",namespace=\"shop-backend\","
            "pod=\"checkout-%05zu-7d9f8b6c5d\","
            "method=\"POST\",handler=\"/api/v1/orders/%zu\",code=\"200\",instance=\"i%zu\"} "
            "%" PRIu64 "%s\n",
            i / 10, i % 10, i, v, i % 6 == 1 ? ".25" : "");
    }
    uint8_t *padding = buf_room(b, EXPO_PADDING);
    if (!padding) abort();
    memset(padding, 0, EXPO_PADDING);
}

struct result { size_t lines, known; double sum; };

/* As many lines as go on as last time. */
static void runs_read(struct line_cache *c, struct result *got)
{
    uint64_t handle[BATCH];
    double value[BATCH];
    uint32_t index[BATCH];
    size_t at[BATCH];
    uint8_t type[BATCH];
    struct line_run run = {
        .cap = BATCH, .handle = handle, .value = value, .index = index, .at = at, .type = type
    };
    do {
        run.n = 0;
        line_cache_run(c, &run);
        got->lines += run.n;
        got->known += run.n;
        for (size_t i = 0; i < run.n; i++) got->sum += value[i];
    } while (run.n == BATCH);
}

static struct result page_read(struct line_cache *c, const struct buf *page, struct arena *a)
{
    struct expo x;
    page->p[page->n] = 0;
    expo_init(&x, EXPO_TEXT, page->p, page->n, NULL);
    line_cache_begin(c, &x, false);
    struct result got = { 0 };
    struct line l;
    for (;;) {
        runs_read(c, &got);
        if (line_cache_next(c, &l, NULL) != OK || l.kind == LINE_END) break;
        if (l.kind == LINE_META) continue;
        got.lines++;
        got.sum += l.value;
        got.known += l.kind == LINE_KNOWN;
        if (l.kind == LINE_KNOWN) continue;
        struct arena_mark m = arena_mark(a);
        line_cache_learn(c, l.index, expo_labels(&x, a).n, false);
        arena_reset(a, m);
    }
    expo_fini(&x);
    return got;
}

static void nobody(void *ctx, uint64_t handle) { *(uint64_t *)ctx += handle; }

static void report(const char *name, const struct buf *page, struct result got, int64_t ns)
{
    printf("%-8s %6zu lines, %6zu known, %5.1f bytes a line: %6.1f ns a line, %.2f GB/s (sum %g)\n",
        name, got.lines, got.known, (double)page->n / (double)got.lines,
        (double)ns / (double)got.lines, (double)page->n / (double)ns, got.sum);
}

int main(void)
{
    struct buf page = { 0 }, gaps = { 0 };
    struct arena a;
    arena_init(&a, NULL, 0);
    page_make(&page, 1, false);
    page_make(&gaps, 2, true);
    int64_t best[3] = { INT64_MAX, INT64_MAX, INT64_MAX };
    struct result got[3] = { 0 };
    uint64_t gone = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct line_cache *c = line_cache_new(NULL);
        for (int k = 0; k < 3; k++) {
            const struct buf *p = k == 2 ? &gaps : &page;
            int64_t t = clock_cpu_ns();
            got[k] = page_read(c, p, &a);
            line_cache_commit(c, nobody, &gone);
            t = clock_cpu_ns() - t;
            if (t < best[k]) best[k] = t;
        }
        line_cache_free(c);
    }
    report("first", &page, got[0], best[0]);
    report("known", &page, got[1], best[1]);
    report("moved", &gaps, got[2], best[2]);
    arena_fini(&a);
    buf_fini(&page);
    buf_fini(&gaps);
    return gone == 0;
}
