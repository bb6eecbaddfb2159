/* test_histograms.h — rows of histograms as a client might send them: for tests.
 *
 * What        One series of random histograms: counts that grow, buckets that come, stay empty or
 *             go, resets, stale markers, changes of the layout; counters or gauges.
 * Invariants  the same seed gives the same row
 * Ownership   histograms lie in the caller's arena
 * Threads     none
 * Errors      none
 * Format      none
 *
 * Only test files include it.
 */
#ifndef EPI_CHUNK_TEST_HISTOGRAMS_H
#define EPI_CHUNK_TEST_HISTOGRAMS_H

#include "base/prng.h"
#include "chunk/histogram_state.h"

enum { TEST_HISTOGRAM_BUCKETS = 24 };
struct test_histograms {
    struct prng r;
    bool is_float, gauge, custom;
    int32_t schema;
    int64_t t, st;
    uint64_t zero, counts[2][TEST_HISTOGRAM_BUCKETS];
    bool there[2][TEST_HISTOGRAM_BUCKETS];
};

static inline struct test_histograms test_histograms_of(struct prng *r, bool is_float)
{
    struct test_histograms h = { .r = { prng_u64(r) }, .is_float = is_float };
    h.gauge = prng_below(r, 4) == 0;
    h.custom = prng_below(r, 3) == 0;
    h.schema = h.custom ? HISTOGRAM_CUSTOM_SCHEMA : (int32_t)prng_below(r, 13) - 4;
    h.t = (int64_t)prng_below(r, 1u << 31);
    return h;
}

static inline void test_histograms_grow(struct test_histograms *h)
{
    bool reset = prng_below(&h->r, 25) == 0;
    h->zero = h->custom ? 0 : reset ? 0 : h->zero + prng_below(&h->r, 3);
    for (int s = 0; s < 2; s++) {
        for (size_t i = 0; i < TEST_HISTOGRAM_BUCKETS; i++) {
            uint64_t *c = &h->counts[s][i];
            if (reset || (s == 1 && h->custom)) *c = 0;
            if (s == 1 && h->custom) continue;
            if (h->gauge && prng_below(&h->r, 9) == 0) *c = prng_below(&h->r, 9);
            if (prng_below(&h->r, 6) == 0) *c += prng_below(&h->r, 1u << prng_below(&h->r, 20));
            h->there[s][i] = *c || prng_below(&h->r, 12) == 0;
        }
    }
}

/* Spans over the buckets that are there; sometimes split or padded in needless ways. */
static inline size_t test_histograms_spans(struct test_histograms *h, int s, struct span *out)
{
    size_t n = 0;
    int32_t next = 0;
    for (int32_t i = 0; i < TEST_HISTOGRAM_BUCKETS; i++) {
        if (!h->there[s][i]) continue;
        bool on = n && i == next && prng_below(&h->r, 40);
        if (on) out[n - 1].length++;
        else out[n++] = (struct span){ i - next, 1 };
        if (!on && prng_below(&h->r, 60) == 0) out[n++] = (struct span){ 0, 0 };
        next = i + 1;
    }
    return n;
}

static inline void test_histograms_side(struct test_histograms *h, struct arena *a, int s,
                                        struct hist_words *w)
{
    struct span *spans = (struct span *)arena_array(a, 2 * TEST_HISTOGRAM_BUCKETS, sizeof(*spans));
    uint64_t *at = (uint64_t *)arena_array(a, TEST_HISTOGRAM_BUCKETS, sizeof(*at)), last = 0;
    size_t n = 0;
    for (size_t i = 0; i < TEST_HISTOGRAM_BUCKETS; i++) {
        if (!h->there[s][i]) continue;
        uint64_t c = h->counts[s][i];
        at[n++] = h->is_float ? f64_bits((double)c / 4) : c - last;
        last = c;
        w->head[HIST_COUNT] += c;
    }
    w->at[s] = at;
    w->layout.n_buckets[s] = n;
    w->layout.side[s] = (struct hist_spans){ spans, test_histograms_spans(h, s, spans) };
}

/* The next one of the row; its time and start time are h->t and h->st. */
static inline struct hist_words test_histograms_next(struct test_histograms *h, struct arena *a)
{
    static const double bounds[TEST_HISTOGRAM_BUCKETS] = { -1, 0, 0.005, 0.01, 0.1, 1, 2.5, 10,
        33.25, 1000, 33554.43, 33554.431, 1e6, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18 };
    static const double thresholds[] = { 0, 0x1p-128, 0x1p-243, 0.001, 1024 };
    struct hist_words w = { .is_float = h->is_float };
    h->t += 1 + (int64_t)prng_below(&h->r, 30000);
    if (prng_below(&h->r, 10) == 0) h->st = h->t - (int64_t)prng_below(&h->r, 100000);
    if (prng_below(&h->r, 40) == 0) {
        w.head[HIST_SUM] = STALE_NAN_BITS;
        w.hint = h->gauge && prng_below(&h->r, 2) ? RESET_GAUGE : RESET_UNKNOWN;
        return w;
    }
    if (prng_below(&h->r, 60) == 0 && !h->custom) h->schema = (int32_t)prng_below(&h->r, 13) - 4;
    test_histograms_grow(h);
    w.layout.schema = h->schema;
    w.layout.zero_threshold = h->custom ? 0 : thresholds[(h->schema + 4) % 5];
    w.layout.custom = h->custom ? bounds : NULL;
    w.layout.n_custom = h->custom ? TEST_HISTOGRAM_BUCKETS - 1 : 0;
    for (int s = 0; s < 2; s++) test_histograms_side(h, a, s, &w);
    w.head[HIST_COUNT] += h->zero;
    w.head[HIST_ZERO_COUNT] = h->zero;
    for (int i = HIST_COUNT; i <= HIST_ZERO_COUNT && h->is_float; i++)
        w.head[i] = f64_bits((double)w.head[i] / 4);
    w.head[HIST_SUM] = f64_bits((double)prng_below(&h->r, 1000) / 8);
    w.hint = h->gauge ? RESET_GAUGE : prng_below(&h->r, 80) == 0 ? RESET_YES : RESET_UNKNOWN;
    return w;
}

/* The same as nouns. */
static inline const struct int_histogram *test_histogram_int(struct arena *a,
                                                             const struct hist_words *w)
{
    struct int_histogram *h = ANEW(a, struct int_histogram);
    *h = (struct int_histogram){ w->hint, w->layout.schema, w->head[HIST_ZERO_COUNT],
        w->head[HIST_COUNT], w->layout.zero_threshold, f64_of_bits(w->head[HIST_SUM]),
        .custom = w->layout.custom, .n_custom = w->layout.n_custom };
    struct int_histogram_side *sides[] = { &h->pos, &h->neg };
    for (int s = 0; s < 2; s++) {
        sides[s]->spans = (struct span *)(uintptr_t)w->layout.side[s].at;
        sides[s]->n_spans = w->layout.side[s].n;
        sides[s]->deltas = (int64_t *)(uintptr_t)w->at[s];
        sides[s]->n = w->layout.n_buckets[s];
    }
    return h;
}
static inline const struct histogram *test_histogram_float(struct arena *a,
                                                           const struct hist_words *w)
{
    struct histogram *h = ANEW(a, struct histogram);
    *h = (struct histogram){ w->hint, w->layout.schema, w->layout.zero_threshold,
        f64_of_bits(w->head[HIST_ZERO_COUNT]), f64_of_bits(w->head[HIST_COUNT]),
        f64_of_bits(w->head[HIST_SUM]), .custom = w->layout.custom,
        .n_custom = w->layout.n_custom };
    struct histogram_side *sides[] = { &h->pos, &h->neg };
    for (int s = 0; s < 2; s++) {
        sides[s]->spans = (struct span *)(uintptr_t)w->layout.side[s].at;
        sides[s]->n_spans = w->layout.side[s].n;
        sides[s]->at = (double *)(uintptr_t)w->at[s];
        sides[s]->n = w->layout.n_buckets[s];
    }
    return h;
}

#endif
