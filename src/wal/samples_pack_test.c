#include "wal/samples_pack.h"

#include "base/compress.h"
#include "base/mem.h"
#include "base/test.h"
#include "wal/record.h"

enum { SAMPLES = 8192, SHORTEST = 16 << 10 };

/* The values that pages have: how they are made, and what packing them may cost beside the library,
 * in percent of its bytes. */
static const struct shape {
    const char *name;
    double (*value)(struct prng *r, size_t i);
    double most;
} shapes[];

static double zero(struct prng *r, size_t i)
{
    (void)r, (void)i;
    return 0;
}
static double flag(struct prng *r, size_t i)
{
    (void)r;
    return i % 7 == 0;
}
static double small(struct prng *r, size_t i)
{
    (void)i;
    return (double)prng_below(r, 1000);
}
static double count(struct prng *r, size_t i)
{
    (void)i;
    return (double)prng_below(r, 1000000);
}
static double nanos(struct prng *r, size_t i)
{
    (void)i;
    return (double)prng_below(r, 1ull << 40);
}
static double pages(struct prng *r, size_t i)
{
    (void)i;
    return (double)prng_below(r, 100000) * 4096;
}
static double milli(struct prng *r, size_t i)
{
    (void)i;
    return (double)prng_below(r, 10000) / 1000;
}
static double any(struct prng *r, size_t i)
{
    (void)i;
    return prng_unit(r);
}
static double bucket(struct prng *r, size_t i)
{
    (void)r;
    return (double)(i % 12 * (i / 12 % 50));
}
static double mixed(struct prng *r, size_t i)
{
    return i % 4 == 0 ? 0 : i % 4 == 1 ? small(r, i) : i % 4 == 2 ? any(r, i) : nanos(r, i);
}
static const struct shape shapes[] = {
    { "zeros", zero, 1 },
    { "flags", flag, 1 },
    { "small counts", small, 1 },
    { "counts", count, 2 },
    { "nanoseconds", nanos, 3 },
    { "bytes of pages", pages, 3 },
    { "thousandths", milli, 1 },
    { "any", any, 3 },
    { "buckets", bucket, 1 },
    { "mixed", mixed, 2 },
};

static void record_make(struct buf *b, struct prng *r, const struct shape *s, size_t n, bool gaps)
{
    struct ref_sample *at = mem_alloc_array(n, sizeof(*at));
    sref ref = 1 + prng_below(r, 1000000);
    for (size_t i = 0; i < n; i++) {
        at[i] = (struct ref_sample){ .ref = ref, .t = 1700000000000, .v = s->value(r, i) };
        ref += gaps ? 1 + prng_below(r, 500) : 1;
    }
    buf_reset(b);
    samples_encode(b, at, n);
    mem_free(at);
}

static void expect_back(const struct buf *packed, str rec)
{
    struct buf back = { 0 };
    EXPECT_OK(compress_unpack(&back, COMPRESS_SNAPPY, buf_view(packed), rec.n, NULL));
    EXPECT(str_eq(buf_view(&back), rec));
    buf_fini(&back);
}

TEST(samples_pack_is_what_the_library_unpacks)
{
    struct prng r = { test_seed() };
    struct buf rec = { 0 }, packed = { 0 }, theirs = { 0 };
    TEST_EACH (s, shapes) {
        for (int gaps = 0; gaps < 2; gaps++) {
            record_make(&rec, &r, s, SAMPLES, gaps);
            buf_reset(&packed);
            buf_reset(&theirs);
            EXPECT(samples_pack(&packed, buf_view(&rec)));
            expect_back(&packed, buf_view(&rec));
            EXPECT_OK(compress_pack(&theirs, COMPRESS_SNAPPY, buf_view(&rec), 0, NULL));
            EXPECT((double)packed.n <= (double)theirs.n * (1 + s->most / 100) + 64);
        }
    }
    buf_fini(&rec);
    buf_fini(&packed);
    buf_fini(&theirs);
}

/* Records of all lengths, each in a block of its own, so that a sanitizer sees a byte too many. */
TEST(samples_pack_of_any_length)
{
    struct prng r = { test_seed() };
    struct buf rec = { 0 }, packed = { 0 };
    for (int i = 0; i < 300; i++) {
        const struct shape *s = &shapes[prng_below(&r, ARRAY_LEN(shapes))];
        record_make(&rec, &r, s, 1 + prng_below(&r, 2500), prng_below(&r, 2));
        size_t cut = (size_t)(prng_below(&r, 2) * prng_below(&r, 40));
        size_t n = rec.n - MIN(rec.n - 1, cut);
        uint8_t *own = mem_alloc(n);
        memcpy(own, rec.p, n);
        buf_reset(&packed);
        buf_str(&packed, S("before"));
        bool done = samples_pack(&packed, str_of(own, n));
        EXPECT_EQ(done, n >= SHORTEST);
        EXPECT(str_has_prefix(buf_view(&packed), S("before")));
        if (!done) EXPECT_EQ(packed.n, 6);
        packed.n -= 6;
        memmove(packed.p, packed.p + 6, packed.n);
        if (done) expect_back(&packed, str_of(own, n));
        mem_free(own);
    }
    buf_fini(&rec);
    buf_fini(&packed);
}

TEST(samples_pack_leaves_other_records)
{
    struct prng r = { test_seed() };
    struct buf rec = { 0 }, packed = { 0 };
    struct ref_sample *at = mem_alloc_array(SAMPLES, sizeof(*at));
    for (size_t i = 0; i < SAMPLES; i++)
        at[i] = (struct ref_sample){ .ref = 1 + i / 100, .t = (int64_t)(i % 100) * 15000, .v = 1 };
    samples_encode(&rec, at, SAMPLES);
    EXPECT(!samples_pack(&packed, buf_view(&rec)));
    buf_reset(&rec);
    samples_encode_v2(&rec, at, SAMPLES);
    EXPECT(!samples_pack(&packed, buf_view(&rec)));
    EXPECT(!samples_pack(&packed, STR_EMPTY));
    /* any bytes behind the type: taken or not, but never changed */
    for (size_t i = 0; i < rec.n; i++) rec.p[i] = (uint8_t)(prng_below(&r, 3) ? 0 : prng_u64(&r));
    rec.p[0] = REC_SAMPLES;
    buf_reset(&packed);
    if (samples_pack(&packed, buf_view(&rec))) expect_back(&packed, buf_view(&rec));
    mem_free(at);
    buf_fini(&rec);
    buf_fini(&packed);
}
