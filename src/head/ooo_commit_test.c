/* The rules by which late samples are taken. */
#include "head/ooo_commit.h"

#include "head/test_ooo.h"
#include "io/thread.h"

TEST(late_samples_have_a_window)
{
    struct rig r;
    rig_open(&r, 3 * HOUR);
    put(r.head, S("a"), 10 * HOUR, 1);
    static const struct {
        const char *name; int64_t t; double v; errc want; const char *words;
    } cases[] = {
        { "the same again", 10 * HOUR, 1, OK, "" },
        { "another value", 10 * HOUR, 2, ERR_DUPLICATE,
            "duplicate sample for timestamp 36000000; overrides not allowed: existing 1, new "
            "value 2" },
        { "older", 10 * HOUR - 1, 1, OK, "" },
        { "before the bound of what is in order", 9 * HOUR - 1, 1, OK, "" },
        { "the oldest of the window", 7 * HOUR, 1, OK, "" },
        { "too old", 7 * HOUR - 1, 1, ERR_TOO_OLD, "too old sample" },
        { "newer", 10 * HOUR + 1, 1, OK, "" },
    };
    TEST_EACH(c, cases) {
        struct err e = { 0 };
        struct appender *a = begin(r.head);
        EXPECT_EQ(add(a, S("a"), c->t, c->v, &e), c->want);
        if (c->want != OK) EXPECT_STR(err_str(&e), str_z(c->words));
        a->ops->rollback(a);
    }
    /* What stands in the array is not replaced; a series may begin with a late sample. */
    put(r.head, S("a"), 9 * HOUR, 5);
    put(r.head, S("a"), 9 * HOUR, 6);
    put(r.head, S("b"), 8 * HOUR, 7);
    samples all = { 0 };
    read_back(r.head, S("a"), INT64_MIN, INT64_MAX, INT64_MIN, &all);
    EXPECT_EQ(all.n, 2);
    EXPECT(all.at[0].t == 9 * HOUR && all.at[0].v == 5);
    vec_fini(&all);
    EXPECT_EQ(count_of(r.head, S("b")), 1);
    EXPECT_EQ(head_min_ooo_time(r.head), 8 * HOUR);
    EXPECT_EQ(head_max_ooo_time(r.head), 9 * HOUR);
    EXPECT_EQ(head_min_time(r.head), 10 * HOUR);
    /* Who asks for it is refused them; a window of nothing takes none. */
    struct appender *a = begin(r.head);
    a->ops->refuse_late(a, true);
    EXPECT_EQ(add(a, S("a"), 9 * HOUR + 1, 1, NULL), ERR_OUT_OF_ORDER);
    a->ops->refuse_late(a, false);
    EXPECT_OK(add(a, S("a"), 9 * HOUR + 1, 1, NULL));
    a->ops->rollback(a);
    head_set_ooo_window(r.head, 0);
    a = begin(r.head);
    EXPECT_EQ(add(a, S("a"), 9 * HOUR + 1, 1, NULL), ERR_OUT_OF_ORDER);
    EXPECT_EQ(add(a, S("a"), 8 * HOUR, 1, NULL), ERR_OUT_OF_BOUNDS);
    a->ops->rollback(a);
    rig_close(&r);
}

TEST(late_within_one_batch)
{
    struct rig r;
    rig_open(&r, 3 * HOUR);
    struct appender *a = begin(r.head);
    for (int i = 0; i < 200; i++) EXPECT_OK(add(a, S("a"), 5 * HOUR - i * 1000, i, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
    EXPECT_EQ(count_of(r.head, S("a")), 200);
    EXPECT_EQ(head_max_time(r.head), 5 * HOUR);
    EXPECT_EQ(head_min_ooo_time(r.head), 5 * HOUR - 199000);
    rig_close(&r);
}

/* A histogram that tells its time: its count is minutes. */
static void put_histogram(struct head *h, str name, int64_t t, bool floats)
{
    struct span span = { .offset = 1, .length = 1 };
    int64_t delta = t / MINUTE;
    double count = (double)(t / MINUTE);
    struct int_histogram ih = { .schema = 2, .count = (uint64_t)delta };
    struct histogram fh = { .schema = 2, .count = count };
    ih.pos = (struct int_histogram_side){ &span, 1, &delta, 1 };
    fh.pos = (struct histogram_side){ &span, 1, &count, 1 };
    struct label l = { METRIC_NAME, name };
    struct appender *a = begin(h);
    series_handle handle;
    EXPECT_OK(a->ops->series(a, (struct labels){ &l, 1 }, &handle, NULL));
    EXPECT_OK(
        a->ops->histogram(a, handle, t, 0, floats ? NULL : &ih, floats ? &fh : NULL, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
}

static size_t count_histograms(struct head *h, str name)
{
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = name };
    struct querier *q;
    struct series_set *set;
    struct series *s;
    struct sample_iter *it = NULL;
    struct sample_batch b = { .n = 0 };
    size_t n = 0;
    int64_t last = INT64_MIN;
    EXPECT_OK(head_queryable(h)->ops->querier(
        head_queryable(h), INT64_MIN, INT64_MAX, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &m, 1 }, NULL, &set, NULL));
    EXPECT_OK(set->ops->next(set, &s, NULL));
    EXPECT_OK(s->ops->iterate(s, &it, NULL));
    do {
        EXPECT_OK(sample_iter_fill(it, &b, NULL));
        for (size_t i = 0; i < b.n; i++, n++) {
            EXPECT(b.t[i] > last);
            last = b.t[i];
            double want = (double)(b.t[i] / MINUTE);
            if (b.kind == SAMPLE_HISTOGRAM) EXPECT((double)b.ih[i]->count == want);
            else if (b.kind == SAMPLE_FLOAT_HISTOGRAM) EXPECT(b.h[i]->count == want);
            else EXPECT(b.v[i] == want);
        }
    } while (b.n);
    sample_iter_free(it);
    series_set_free(set);
    querier_free(q);
    return n;
}

TEST(late_histograms)
{
    struct rig r;
    rig_open(&r, 9 * HOUR);
    put_histogram(r.head, S("a"), 20 * HOUR, false);
    for (int i = 0; i < 150; i++) {            /* all kinds among each other, some of them twice */
        int64_t t = 15 * HOUR + (i * 37 % 200) * MINUTE;
        if (i % 3) put_histogram(r.head, S("a"), t, i % 3 == 1);
        else put(r.head, S("a"), t, (double)(t / MINUTE));
        if (i == 100) EXPECT_OK(ooo_seal_all(r.head, NULL));
    }
    put_histogram(r.head, S("a"), 15 * HOUR, true);
    EXPECT_EQ(count_histograms(r.head, S("a")), 151);
    EXPECT_OK(ooo_seal_all(r.head, NULL));
    EXPECT_EQ(count_histograms(r.head, S("a")), 151);
    rig_close(&r);
}

TEST(late_samples_are_deleted)
{
    struct rig r;
    rig_open(&r, 3 * HOUR);
    put(r.head, S("a"), 10 * HOUR, 1);
    for (int i = 1; i <= 100; i++) put(r.head, S("a"), 10 * HOUR - i * MINUTE, i);
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = S("a") };
    EXPECT_OK(head_delete(r.head, (struct matchers){ &m, 1 }, 9 * HOUR, 10 * HOUR - 1, NULL));
    EXPECT_EQ(count_of(r.head, S("a")), 41);
    rig_close(&r);
}

/* Threads: writers of late samples beside readers and the writer of chunks; each reader sees of
 * each series times that ascend, and no fewer than before. */

enum { WRITERS = 2, READERS = 2, LATE_PUTS = 600 };
struct crowd { struct head *head; _Atomic int writers_left; };
struct one { struct crowd *crowd; int id; };

static void write_late(void *ctx)
{
    struct one *me = ctx;
    struct prng rng = { (uint64_t)me->id + 1 };
    for (int i = 0; i < LATE_PUTS; i++) {
        int64_t t = 10 * HOUR - 1 - (i * WRITERS + me->id) * 1000;
        put(me->crowd->head, S("shared"), t, 1);
        if (i % 10 == 0) put(me->crowd->head, S("clock"), 10 * HOUR + i * 1000 + me->id, 2);
        if (prng_below(&rng, 100) == 0) EXPECT_OK(ooo_seal_all(me->crowd->head, NULL));
    }
    me->crowd->writers_left--;
}

static void read_late(void *ctx)
{
    struct one *me = ctx;
    size_t before = 0, written;
    while (me->crowd->writers_left > 0) {
        size_t n = count_of(me->crowd->head, S("shared"));
        EXPECT(n >= before);
        before = n;
        EXPECT_OK(head_write_sealed(me->crowd->head, 10, &written, NULL));
    }
}

TEST(threads_see_late_samples)
{
    struct rig r;
    rig_open(&r, 3 * HOUR);
    struct crowd c = { .head = r.head, .writers_left = WRITERS };
    struct one w[WRITERS + READERS];
    struct thread *all[WRITERS + READERS];
    put(r.head, S("shared"), 10 * HOUR, 1);
    for (int i = 0; i < WRITERS + READERS; i++) {
        w[i] = (struct one){ &c, i };
        all[i] = thread_start("late", i < WRITERS ? write_late : read_late, &w[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++) thread_join(all[i]);
    EXPECT_EQ(count_of(r.head, S("shared")), 1 + WRITERS * LATE_PUTS);
    rig_close(&r);
}
