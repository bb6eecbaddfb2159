/* histogram_state_test.c — samples coded one after the other; both sides end in the same state. */
#include "chunk/histogram_state.h"

#include "base/mem.h"
#include "base/test.h"
#include "chunk/test_histograms.h"

static bool state_same(const struct hist_state *a, const struct hist_state *b)
{
    size_t n = hist_state_buckets(a);
    return a->n == b->n && a->t == b->t && memcmp(a->head, b->head, sizeof(a->head)) == 0
        && a->start.st == b->start.st && n == hist_state_buckets(b)
        && (n == 0 || memcmp(a->at, b->at, n * sizeof(*a->at)) == 0);
}

/* Every sample of the row has the buckets of the first. */
static struct hist_words like_first(struct test_histograms *h, struct arena *a,
                                    const struct test_histograms *first)
{
    struct hist_words w = test_histograms_next(h, a), empty = { .is_float = h->is_float };
    if (hist_words_stale(&w)) return w;
    memcpy(h->there, first->there, sizeof(h->there));
    empty.layout = w.layout;
    memcpy(empty.head, w.head, sizeof(w.head));
    for (int s = 0; s < 2; s++) test_histograms_side(h, a, s, &empty);
    return empty;
}

TEST(histogram_state_round_trip)
{
    struct prng r = { test_seed() };
    for (int round = 0; round < 400; round++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        SCOPED(hist_state_fini) struct hist_state out = { 0 }, in = { 0 };
        bool is_float = round & 1, with_st = round & 2;
        struct test_histograms h = test_histograms_of(&r, is_float), first;
        size_t n = 1 + prng_below(&r, 60), size = 0, got = 0;
        uint8_t *bytes = arena_alloc(&a, 64 * 1024);
        struct bits b = bits_resume(bytes, 0);
        hist_state_reset(&out, is_float, with_st, (struct xor_window){ BITS_NO_WINDOW, 0 });
        for (size_t i = 0; i < n; i++) {
            struct hist_words w = i ? like_first(&h, &a, &first) : test_histograms_next(&h, &a);
            if (i == 0) first = h;
            size_t before = size;
            hist_state_put(&out, &b, h.t, h.st, &w);
            size = (size_t)((bits_count(&b, bytes) + 7) / 8);
            struct hist_state at = { .n = (uint32_t)i };
            EXPECT(size - before <= hist_state_max_bytes(&at, &w));
            if (hist_words_stale(&w)) n = i + 1;               /* only stale ones may follow */
        }
        hist_state_reset(&in, is_float, with_st, (struct xor_window){ 0 });
        in.start.header = out.start.header;
        str exact = mem_str(str_of(bytes, size));
        struct bit_reader reader = bit_reader_of(exact);
        while (got < n && hist_state_take(&in, &reader, &a, NULL) == OK) got++;
        EXPECT_EQ(got, n);
        EXPECT(in.head[HIST_SUM] == STALE_NAN_BITS || state_same(&in, &out));
        EXPECT_EQ(reader.bit, bits_count(&b, bytes));
        mem_free((void *)exact.p);
    }
}

TEST(histogram_state_words)
{
    struct int_histogram i = { .count = 3, .zero_count = 1, .sum = 2.5, .hint = RESET_GAUGE };
    struct histogram f = { .count = 3, .zero_count = 1, .sum = 2.5, .schema = 2 };
    struct hist_words w = hist_words_of_int(&i);
    EXPECT(!w.is_float && w.hint == RESET_GAUGE && w.head[HIST_COUNT] == 3);
    EXPECT_EQ(w.head[HIST_SUM], f64_bits(2.5));
    w = hist_words_of_float(&f);
    EXPECT(w.is_float && w.layout.schema == 2 && w.head[HIST_ZERO_COUNT] == f64_bits(1));
    EXPECT(!hist_words_stale(&w));
    f.sum = stale_nan();
    w = hist_words_of_float(&f);
    EXPECT(hist_words_stale(&w));
}
