#include "wal/samples_pack.h"

#include "base/compress.h"
#include "base/mem.h"
#include "base/test.h"
#include "wal/record.h"

#include <math.h>

enum { SAMPLES = 8192, SHORTEST = 16 << 10 };

/* The values that pages have, each by its number and a random one. */
struct shape {
    const char *name;
    double (*value)(uint64_t r, size_t i);
};

static double unit(uint64_t r) { return (double)(r >> 11) * 0x1p-53; }

#define SHAPE(shape, expr)                                                                         \
    static double shape(uint64_t r, size_t i)                                                      \
    {                                                                                              \
        (void)r, (void)i;                                                                          \
        return expr;                                                                               \
    }
SHAPE(zero, 0)
SHAPE(flag, i % 7 == 0)
SHAPE(small, (double)(r % 1000))
SHAPE(count, (double)(r % 1000000))
SHAPE(counter, (double)(i * 17 + r % 5))
SHAPE(nanos, (double)(r >> 24))
SHAPE(pages, (double)(r % 100000) * 4096)
SHAPE(milli, (double)(r % 10000) / 1000)
SHAPE(centi, (double)(r % 10000000) / 100)
SHAPE(quarter, (double)(r % 100000) / 4)
SHAPE(any, unit(r))
SHAPE(single, (float)unit(r))
SHAPE(signs, unit(r) - 0.5)
SHAPE(wide, exp2(unit(r) * 60 - 30))
SHAPE(bits, f64_of_bits(r))
SHAPE(bucket, (double)(i % 12 * (i / 12 % 50)))
SHAPE(since, 1.7e9 + unit(r) * 1000)
SHAPE(since_second, 1.7e9 + (double)(r % 100000))
SHAPE(nans, i % 3 ? NAN : (double)i)
SHAPE(mixed, i % 4 == 0 ? 0 : i % 4 == 1 ? small(r, i) : i % 4 == 2 ? any(r, i) : nanos(r, i))
SHAPE(half, i % 2 ? any(r, i) : small(r, i))
SHAPE(mostly_any, i % 10 ? any(r, i) : 0)
SHAPE(rarely_any, i % 10 ? 0 : any(r, i))
SHAPE(runs, i / 300 % 2 ? any(r, i) : count(r, i))
SHAPE(long_runs, i / 1000 % 2 ? any(r, i) : (double)(i % 12))
#undef SHAPE

#define SHAPE(f)                                                                                   \
    {                                                                                              \
#f, f                                                                                      \
    }
static const struct shape shapes[] = { SHAPE(zero), SHAPE(flag), SHAPE(small), SHAPE(count),
    SHAPE(counter), SHAPE(nanos), SHAPE(pages), SHAPE(milli), SHAPE(centi), SHAPE(quarter),
    SHAPE(any), SHAPE(single), SHAPE(signs), SHAPE(wide), SHAPE(bits), SHAPE(bucket), SHAPE(since),
    SHAPE(since_second), SHAPE(nans), SHAPE(mixed), SHAPE(half), SHAPE(mostly_any),
    SHAPE(rarely_any), SHAPE(runs), SHAPE(long_runs) };
#undef SHAPE

static void record_make(struct buf *b, struct prng *r, const struct shape *s, size_t n, bool gaps)
{
    struct ref_sample *at = mem_alloc_array(n, sizeof(*at));
    sref ref = 1 + prng_below(r, 1000000);
    for (size_t i = 0; i < n; i++) {
        at[i] =
            (struct ref_sample){ .ref = ref, .t = 1700000000000, .v = s->value(prng_u64(r), i) };
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

/* Beside the library's: never more than a fiftieth larger, whatever the values are. */
TEST(samples_pack_is_what_the_library_unpacks)
{
    struct prng r = { test_seed() };
    struct buf rec = { 0 }, packed = { 0 }, theirs = { 0 };
    static const size_t sizes[] = { 1700, SAMPLES, 30000 };
    TEST_EACH (s, shapes) {
        for (unsigned i = 0; i < 2 * ARRAY_LEN(sizes); i += TEST_STRIDE) {
            record_make(&rec, &r, s, sizes[i / 2], i % 2);
            buf_reset(&packed);
            buf_reset(&theirs);
            EXPECT(samples_pack(&packed, buf_view(&rec)));
            expect_back(&packed, buf_view(&rec));
            EXPECT_OK(compress_pack(&theirs, COMPRESS_SNAPPY, buf_view(&rec), 0, NULL));
            EXPECT(packed.n <= theirs.n + theirs.n / 50);
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
