/* xor2_test.c — the XOR2 chunk against Prometheus' bytes, against itself, and against damage. */
#include "chunk/xor2.h"

#include "base/mem.h"
#include "base/test.h"
#include "base/test_vectors.h"
#include "chunk/chunk.h"
#include "model/sample.h"

enum { ROOM = 1024 };
static int64_t in_t[ROOM], in_st[ROOM], out_t[ROOM], out_st[ROOM];
static double in_v[ROOM], out_v[ROOM];
static uint8_t bytes[XOR2_ROOM(ROOM)];

/* The samples that come out, in steps; the error's code at the end. */
static errc decode(str chunk, size_t step, size_t *n)
{
    struct xor2_iter it;
    xor2_iter_init(&it, chunk);
    *n = 0;
    for (size_t got;; *n += got) {
        size_t cap = MIN(step, ROOM - *n);
        errc rc = xor2_iter_fill(&it, out_t + *n, out_v + *n, out_st + *n, cap, &got, NULL);
        if (rc != OK || !got) return rc;
    }
}

static void expect_samples(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        EXPECT_EQ(out_t[i], in_t[i]);
        EXPECT_EQ(out_st[i], in_st[i]);
        EXPECT_EQ(f64_bits(out_v[i]), f64_bits(in_v[i]));
    }
}

static str expect_round_trip(size_t n)
{
    size_t got;
    memset(bytes, 0xa5, sizeof(bytes));
    str chunk = str_of(bytes, xor2_encode(bytes, in_t, in_v, in_st, n));
    EXPECT_OK(chunk_check(CHUNK_XOR2, chunk, NULL));
    EXPECT_EQ(chunk_count(CHUNK_XOR2, chunk), n);
    for (size_t step = 1; step < 300; step += 97) {
        EXPECT_OK(decode(chunk, step, &got));
        EXPECT_EQ(got, n);
        expect_samples(n);
    }
    return chunk;
}

static void expect_vectors(const char *path)
{
    struct vectors v;
    vectors_open(&v, path);
    for (json_t *j; (j = vectors_next(&v)) != NULL;) {
        size_t i;
        json_t *s;
        json_array_foreach(json_object_get(j, "samples"), i, s) {
            in_t[i] = json_i64_of(s, "t");
            in_st[i] = json_object_get(s, "st") ? json_i64_of(s, "st") : 0;
            in_v[i] = f64_of_bits(json_bits_of(s, "v"));
        }
        EXPECT_STR(expect_round_trip(i), json_hex(&v.a, json_object_get(j, "bytes")));
    }
    EXPECT_EQ(v.n, 120);
    vectors_close(&v);
}

TEST_SHARED(xor2_vectors) { expect_vectors("golden/vectors/all/chunk_xor2.jsonl"); }
TEST_SHARED(xor2_st_vectors) { expect_vectors("golden/vectors/all/chunk_xor2_st.jsonl"); }

static size_t random_samples(struct prng *r)
{
    size_t n = prng_below(r, 300);
    uint64_t t = prng_u64(r) >> prng_below(r, 64), step = prng_below(r, 100000), st = 0;
    double v = 0;
    unsigned shape = (unsigned)prng_below(r, 7), jitter = (unsigned)prng_below(r, 5);
    unsigned starts = (unsigned)prng_below(r, 4);
    for (size_t i = 0; i < n; i++) {
        static const uint64_t widths[] = { 1, 3, 8192, 1048576, 0 };
        t += step + (widths[jitter] ? prng_below(r, widths[jitter]) : prng_u64(r));
        if (shape == 0) v += 1;
        if (shape == 1) v += (double)prng_below(r, 100);
        if (shape == 2 && prng_below(r, 3) == 0) v += 1e9 * prng_unit(r);
        if (shape == 3) v = f64_of_bits(prng_u64(r));
        if (shape == 4) v = prng_below(r, 2) ? stale_nan() : -0.0;
        if (shape == 5) v = prng_below(r, 4) ? (double)prng_below(r, 9) : stale_nan();
        if (starts == 1 && prng_below(r, 20) == 0) st = t - prng_below(r, 100000);
        if (starts == 2) st = t - step;
        if (starts == 3) st = prng_u64(r) >> prng_below(r, 64);
        in_t[i] = (int64_t)t;
        in_st[i] = (int64_t)st;
        in_v[i] = v;
    }
    return n;
}

TEST(xor2_round_trip)
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 2000; i++) expect_round_trip(random_samples(&r));
}

/* Each prefix gives good samples first and then an error; a sanitizer sees reads past its end. */
TEST(xor2_prefixes)
{
    struct prng r = { test_seed() };
    for (int round = 0; round < 20; round++) {
        size_t n = random_samples(&r), got;
        str whole = expect_round_trip(n);
        for (size_t cut = 0; cut < whole.n; cut++) {
            str part = mem_str(str_of(whole.p, cut));
            EXPECT_EQ(decode(part, 1 + prng_below(&r, 50), &got), ERR_CORRUPT);
            EXPECT(got < n || n == 0);
            expect_samples(got);
            mem_free((void *)part.p);
        }
    }
}

TEST(xor2_bit_flips)
{
    struct prng r = { test_seed() };
    for (int round = 0; round < 2000; round++) {
        size_t n = random_samples(&r), got;
        str copy = mem_str(str_of(bytes, xor2_encode(bytes, in_t, in_v, in_st, n)));
        for (size_t flips = 1 + prng_below(&r, 3); flips; flips--)
            ((uint8_t *)copy.p)[prng_below(&r, copy.n)] ^= (uint8_t)(1 << prng_below(&r, 8));
        errc rc = decode(copy, ROOM, &got);
        EXPECT(rc == OK || rc == ERR_CORRUPT);
        mem_free((void *)copy.p);
    }
}

TEST(xor2_full)
{
    struct xor2_app a;
    size_t n = 0, got;
    xor2_app_init(&a, bytes, 100);
    for (; xor2_append(&a, (int64_t)n * 1000003, (double)n * 1.7, 0); n++) {
        in_t[n] = (int64_t)n * 1000003;
        in_v[n] = (double)n * 1.7;
        in_st[n] = 0;
    }
    EXPECT(n > 2 && xor2_app_bytes(&a).n <= 100);
    EXPECT_OK(decode(xor2_app_bytes(&a), ROOM, &got));
    EXPECT_EQ(got, n);
    expect_samples(n);
}
