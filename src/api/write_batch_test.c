/* What requests share, without HTTP around it: series that are collected in the midst of a request,
 * and those that there is no room for. */
#include "api/write.h"

#include "base/pb_put.h"
#include "base/test.h"
#include "storage/memstore.h"

/* A storage whose look-up knows every series, by a handle that is no longer good; and whose
 * appender has room for so many series. */
struct fake {
    struct appendable base;
    struct memstore *m;
    unsigned looked_up, taught;
};

static errc fake_begin(struct appendable *base, struct appender **out, struct err *e)
{
    struct appendable *to = memstore_appendable(CONTAINER_OF(base, struct fake, base)->m);
    return to->ops->begin(to, out, e);
}

static bool fake_lookup(
    struct appendable *base, const uint8_t *raw UNUSED, size_t n UNUSED, series_handle *out)
{
    CONTAINER_OF(base, struct fake, base)->looked_up++;
    *out = 1000000;
    return true;
}

static void fake_teach(struct appendable *base, const uint8_t *raw UNUSED, size_t n UNUSED,
    series_handle h UNUSED)
{
    CONTAINER_OF(base, struct fake, base)->taught++;
}

static const struct appendable_ops fake_ops = { .begin = fake_begin,
    .lookup = fake_lookup,
    .teach = fake_teach };

static void put_sample(struct buf *ts, int64_t t)
{
    SCOPED(buf_fini) struct buf s = { 0 };
    buf_u8(&s, 1 << 3 | 1);
    buf_le64(&s, f64_bits(1.5));
    buf_u8(&s, 2 << 3);
    buf_uvarint(&s, (uint64_t)t);
    pb_put_bytes(ts, 2, buf_view(&s));
}

/* count 3, all of them zeros, at 5000 */
#define HISTOGRAM S("\x08\x03\x30\x03\x78\x88\x27")

static void put_v1(struct buf *b)
{
    SCOPED(buf_fini) struct buf ts = { 0 };
    pb_put_bytes(&ts, 1, S("\x0a\x08__name__\x12\x01m"));
    put_sample(&ts, 1000);
    put_sample(&ts, 2000);
    pb_put_bytes(&ts, 4, HISTOGRAM);
    pb_put_bytes(b, 1, buf_view(&ts));
}

static void put_v2(struct buf *b)
{
    SCOPED(buf_fini) struct buf ts = { 0 };
    pb_put_bytes(b, 4, S(""));
    pb_put_bytes(b, 4, S("__name__"));
    pb_put_bytes(b, 4, S("m"));
    pb_put_bytes(&ts, 1, S("\x01\x02"));
    put_sample(&ts, 1000);
    put_sample(&ts, 2000);
    pb_put_bytes(&ts, 3, HISTOGRAM);
    pb_put_bytes(b, 5, buf_view(&ts));
}

/* How many floats and histograms there are. */
static void count(struct memstore *m, size_t *floats, size_t *histograms)
{
    struct matcher name = { .type = MATCH_EQ, .name = METRIC_NAME, .value = S("m") };
    struct queryable *from = memstore_queryable(m);
    struct querier *q;
    struct series_set *set;
    struct series *s;
    struct sample_iter *it = NULL;
    struct sample_batch b;
    *floats = *histograms = 0;
    EXPECT_OK(from->ops->querier(from, 0, 10000, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &name, 1 }, NULL, &set, NULL));
    EXPECT_OK(set->ops->next(set, &s, NULL));
    EXPECT(s != NULL);
    EXPECT_OK(s->ops->iterate(s, &it, NULL));
    for (;;) {
        EXPECT_OK(sample_iter_fill(it, &b, NULL));
        if (!b.n) break;
        *(b.kind == SAMPLE_FLOAT ? floats : histograms) += b.n;
    }
    sample_iter_free(it);
    series_set_free(set);
    querier_free(q);
}

TEST(write_series_that_were_collected)
{
    for (int version = 1; version <= 2; version++) {
        struct fake f = { { &fake_ops }, memstore_new(), 0, 0 };
        SCOPED(buf_fini) struct buf b = { 0 };
        size_t floats, histograms;
        struct err e = { 0 };
        if (version == 1) {
            put_v1(&b);
            EXPECT_OK_E(write_v1_store(&f.base, buf_view(&b), &e), &e);
        } else {
            SCOPED(buf_fini) struct buf words = { 0 };
            struct write_v2_stats stats;
            put_v2(&b);
            EXPECT_OK_E(write_v2_store(&f.base, buf_view(&b), &(struct write_v2_opts){ 0 }, &stats,
                            &words, &e),
                &e);
            EXPECT(stats.samples == 2 && stats.histograms == 1 && !words.n);
        }
        EXPECT(f.looked_up == 1);
        count(f.m, &floats, &histograms);
        EXPECT_EQ(floats, 2);
        EXPECT_EQ(histograms, 1);
        memstore_free(f.m);
    }
}

/* An appender that makes one series, and says of all others that there is no room. */
struct small { struct appender base; struct appender *in; unsigned made; };

static errc small_series(
    struct appender *base, struct labels labels, series_handle *out, struct err *e)
{
    struct small *s = CONTAINER_OF(base, struct small, base);
    if (s->made++) return err_set(e, ERR_LIMIT, "no room");
    return s->in->ops->series(s->in, labels, out, e);
}
static errc small_batch(struct appender *base, const series_handle *h, const int64_t *t,
    const double *v, size_t n, uint8_t *results, struct err *e)
{
    struct small *s = CONTAINER_OF(base, struct small, base);
    return s->in->ops->append_batch(s->in, h, t, v, n, results, e);
}
static errc small_commit(struct appender *base, struct err *e)
{
    struct small *s = CONTAINER_OF(base, struct small, base);
    errc rc = s->in->ops->commit(s->in, e);
    mem_free(s);
    return rc;
}
static const struct appender_ops small_ops = { .series = small_series,
    .append_batch = small_batch,
    .commit = small_commit };

static errc small_begin(struct appendable *base, struct appender **out, struct err *e)
{
    struct small *s = NEW(struct small);
    s->base.ops = &small_ops;
    *out = &s->base;
    return fake_begin(base, &s->in, e);
}
static const struct appendable_ops small_storage_ops = { .begin = small_begin };

TEST(write_series_without_room)
{
    struct fake f = { { &small_storage_ops }, memstore_new(), 0, 0 };
    SCOPED(buf_fini) struct buf b = { 0 };
    size_t floats, histograms;
    struct err e = { 0 };
    static const char *const names[] = { "m", "n", "o" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        SCOPED(buf_fini) struct buf ts = { 0 };
        SCOPED(buf_fini) struct buf l = { 0 };
        pb_put_bytes(&l, 1, METRIC_NAME);
        pb_put_bytes(&l, 2, str_z(names[i]));
        pb_put_bytes(&ts, 1, buf_view(&l));
        put_sample(&ts, 1000);
        pb_put_bytes(&b, 1, buf_view(&ts));
    }
    EXPECT_EQ(write_v1_store(&f.base, buf_view(&b), &e), ERR_LIMIT);
    EXPECT_STR(err_str(&e), S("no room"));
    count(f.m, &floats, &histograms);          /* what there was room for is kept */
    EXPECT_EQ(floats, 1);
    memstore_free(f.m);
}
