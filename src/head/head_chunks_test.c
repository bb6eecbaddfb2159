/* head_chunks_test.c — histograms of the head as chunks, for blocks and for readers. */
#include "head/head_chunks.h"

#include "chunk/chunk_iter.h"
#include "head/test_ooo.h"

static void put_histogram(struct head *h, int64_t t, int64_t count)
{
    static struct span one[] = { { 0, 1 } };
    struct label l = { METRIC_NAME, S("h") };
    struct int_histogram x = { .count = (uint64_t)count, .pos = { one, 1, &count, 1 } };
    struct appender *a = begin(h);
    series_handle s;
    EXPECT_OK(a->ops->series(a, (struct labels){ &l, 1 }, &s, NULL));
    EXPECT_OK(a->ops->histogram(a, s, t, 0, &x, NULL, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
}

struct seen { int64_t t[64]; uint64_t count[64]; size_t n, chunks; enum hist_header last; };

/* All samples of all series, and how the last chunk says that it began. */
static void read_chunks(struct head_chunks *c, struct seen *out)
{
    SCOPED(chunk_series_set_freep) struct chunk_series_set *set = head_chunks_series(c);
    struct chunk_iter it;
    struct sample_batch b;
    chunk_iter_init(&it);
    *out = (struct seen){ 0 };
    for (;;) {
        const struct chunk_series *s;
        EXPECT_OK(set->ops->next(set, &s, NULL));
        if (!s) break;
        for (size_t i = 0; i < s->n; i++, out->chunks++) {
            EXPECT_OK(chunk_iter_reset(&it, s->chunks[i].enc, s->chunks[i].data, NULL));
            out->last = hist_chunk_header(s->chunks[i].enc, s->chunks[i].data);
            do {
                EXPECT_OK(chunk_iter_fill(&it, &b, NULL));
                EXPECT(!b.n || b.kind == SAMPLE_HISTOGRAM);
                for (size_t k = 0; k < b.n; k++, out->n++) {
                    out->t[out->n] = b.t[k];
                    out->count[out->n] = b.ih[k]->count;
                }
            } while (!it.ended);
        }
    }
    chunk_iter_fini(&it);
}

/* An open chunk that began with a reset says so to a reader; in a block it does not. */
TEST(head_chunks_of_an_open_histogram)
{
    struct rig r;
    struct head_chunks *c;
    struct seen seen;
    struct matcher all = { .type = MATCH_EQ };
    rig_open(&r, 0);
    for (int64_t i = 0; i < 5; i++) put_histogram(r.head, HOUR + i * MINUTE, 10 + i);
    for (int64_t i = 5; i < 9; i++) put_histogram(r.head, HOUR + i * MINUTE, i);
    EXPECT_OK(head_chunks_select(&c, r.head, (struct matchers){ &all, 1 }, 0, INT64_MAX, NULL));
    read_chunks(c, &seen);
    EXPECT(seen.n == 9 && seen.chunks == 2);
    EXPECT_EQ(seen.last, HIST_RESET);
    head_chunks_close(c);
    EXPECT_OK(head_chunks_open(&c, r.head, 0, 2 * HOUR, NULL));
    read_chunks(c, &seen);
    EXPECT(seen.n == 9 && seen.chunks == 2);
    EXPECT_EQ(seen.last, HIST_UNKNOWN);
    head_chunks_close(c);
    rig_close(&r);
}

/* Late histograms stand between the others. */
TEST(head_chunks_of_late_histograms)
{
    struct rig r;
    struct head_chunks *c;
    struct seen seen;
    struct matcher all = { .type = MATCH_EQ };
    rig_open(&r, HOUR);
    for (int64_t i = 0; i < 10; i++) put_histogram(r.head, HOUR + 2 * i * MINUTE, 100 + 2 * i);
    for (int64_t i = 4; i > 0; i--)
        put_histogram(r.head, HOUR + (2 * i + 1) * MINUTE, 101 + 2 * i);
    EXPECT_OK(head_chunks_select(&c, r.head, (struct matchers){ &all, 1 }, 0, INT64_MAX, NULL));
    read_chunks(c, &seen);
    EXPECT_EQ(seen.n, 14);
    for (size_t i = 0; i < seen.n; i++) {
        EXPECT(i == 0 || seen.t[i] > seen.t[i - 1]);
        EXPECT_EQ((int64_t)seen.count[i], 100 + (seen.t[i] - HOUR) / MINUTE);
    }
    head_chunks_close(c);
    rig_close(&r);
}
