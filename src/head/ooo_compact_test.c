#include "head/ooo_compact.h"

#include "chunk/chunk_iter.h"
#include "head/ooo_commit.h"
#include "head/test_ooo.h"

/* All that a view of [mint, maxt] gives of its only series; its chunks ascend, none overlap. */
static void view_read(struct head *h, int64_t mint, int64_t maxt, uint64_t last_ref, samples *out)
{
    struct head_chunks *c;
    const struct chunk_series *s;
    struct chunk_iter it;
    out->n = 0;
    EXPECT_OK(head_chunks_open_ooo(&c, h, mint, maxt, last_ref, NULL));
    struct chunk_series_set *set = head_chunks_series(c);
    EXPECT_OK(set->ops->next(set, &s, NULL));
    chunk_iter_init(&it);
    for (size_t i = 0; s && i < s->n; i++) {
        const struct chunk_view *v = &s->chunks[i];
        struct sample_batch b;
        EXPECT(!i || s->chunks[i - 1].maxt < v->mint);
        EXPECT_OK(chunk_iter_reset(&it, v->enc, v->data, NULL));
        size_t from = out->n;
        do {
            EXPECT_OK(chunk_iter_fill(&it, &b, NULL));
            for (size_t k = 0; k < b.n; k++)
                vec_push(out, ((struct sample){ b.t[k], b.v[k] }));
        } while (b.n);
        EXPECT(out->at[from].t == v->mint && vec_last(out).t == v->maxt);
    }
    if (s) EXPECT_OK(set->ops->next(set, &s, NULL));
    EXPECT(!s);
    chunk_iter_fini(&it);
    chunk_series_set_free(set);
    head_chunks_close(c);
}

static void expect_times(const samples *got, int64_t first, int64_t step, size_t n)
{
    EXPECT_EQ(got->n, n);
    for (size_t i = 0; i < n; i++) EXPECT_EQ(got->at[i].t, first + (int64_t)i * step);
}

TEST(late_samples_become_blocks)
{
    struct rig r;
    struct ooo_span span;
    samples got = { 0 };
    rig_open(&r, 5 * HOUR);
    put(r.head, S("in_order"), 10 * HOUR, 1);
    put(r.head, S("late"), 10 * HOUR, 1);
    for (int i = 0; i < 240; i++)              /* of two blocks; every other one goes backwards */
        put(r.head, S("late"), 6 * HOUR + (i % 2 ? i : 238 - i) * MINUTE, i);
    EXPECT_OK(head_ooo_begin(r.head, &span, NULL));
    EXPECT(span.mint == 6 * HOUR && span.maxt == 6 * HOUR + 239 * MINUTE);
    EXPECT(span.last_ref && !span.logged);
    put(r.head, S("late"), 6 * HOUR + 500, 7); /* in between: it stays */
    view_read(r.head, 6 * HOUR, 8 * HOUR - 1, span.last_ref, &got);
    expect_times(&got, 6 * HOUR, MINUTE, 120);
    view_read(r.head, 8 * HOUR, 10 * HOUR - 1, span.last_ref, &got);
    expect_times(&got, 8 * HOUR, MINUTE, 120);
    EXPECT_EQ(count_of(r.head, S("late")), 242);
    EXPECT_OK(head_ooo_end(r.head, &span, NULL));
    EXPECT_EQ(count_of(r.head, S("late")), 2);
    EXPECT_EQ(head_min_ooo_time(r.head), 6 * HOUR + 500);
    EXPECT_EQ(head_max_ooo_time(r.head), 6 * HOUR + 500);
    vec_fini(&got);
    rig_close(&r);
}

TEST(a_late_series_goes_with_its_samples)
{
    struct rig r;
    struct ooo_span span;
    samples got = { 0 };
    rig_open(&r, 5 * HOUR);
    put(r.head, S("in_order"), 10 * HOUR, 1);
    put(r.head, S("late"), 8 * HOUR, 1);
    EXPECT_EQ(head_series_count(r.head), 2);
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = S("late") };
    EXPECT_OK(head_delete(r.head, (struct matchers){ &m, 1 }, 0, 9 * HOUR, NULL));
    EXPECT_OK(head_ooo_begin(r.head, &span, NULL));
    view_read(r.head, 8 * HOUR, 10 * HOUR - 1, span.last_ref, &got);
    EXPECT_EQ(got.n, 0);                       /* what was deleted is in no block */
    EXPECT_OK(head_ooo_end(r.head, &span, NULL));
    EXPECT_EQ(head_series_count(r.head), 1);
    EXPECT(head_min_ooo_time(r.head) > head_max_ooo_time(r.head));
    EXPECT_OK(head_ooo_begin(r.head, &span, NULL));
    EXPECT(span.mint > span.maxt);             /* nothing is left */
    EXPECT_OK(head_ooo_end(r.head, &span, NULL));
    vec_fini(&got);
    rig_close(&r);
}
