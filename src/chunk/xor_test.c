/* xor_test.c — the XOR chunk against Prometheus' bytes, against itself, and against damage. */
#include "chunk/xor.h"

#include "base/mem.h"
#include "base/test.h"
#include "base/test_vectors.h"
#include "chunk/chunk.h"
#include "chunk/test_samples.h"

enum { ROOM = 2048 };
static int64_t in_t[ROOM], out_t[ROOM];
static double in_v[ROOM], out_v[ROOM];
static uint8_t bytes[XOR_ROOM(ROOM)], more[XOR_ROOM(ROOM)];

static size_t samples_of(const json_t *list)
{
    size_t i;
    json_t *s;
    json_array_foreach(list, i, s) {
        EXPECT(i < ROOM);
        in_t[i] = json_i64_of(s, "t");
        in_v[i] = f64_of_bits(json_bits_of(s, "v"));
    }
    return i;
}

static void expect_samples(const int64_t *t, const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        EXPECT_EQ(t[i], in_t[i]);
        EXPECT_EQ(f64_bits(v[i]), f64_bits(in_v[i]));
    }
}

/* ---- a plain decoder: a bit at a time, as the format is written down ---- */

struct plain { str chunk; size_t bit; bool bad; };

static uint64_t plain_bits(struct plain *p, unsigned n)
{
    uint64_t v = 0;
    for (; n > 0; n--, p->bit++) {
        if (p->bit >= 8 * p->chunk.n) { p->bad = true; return 0; }
        v = v << 1 | (p->chunk.p[p->bit / 8] >> (7 - p->bit % 8) & 1);
    }
    return v;
}

static uint64_t plain_uvarint(struct plain *p)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 10; i++) {
        uint64_t b = plain_bits(p, 8);
        if (i == 9 && b > 1) p->bad = true;
        v |= (b & 0x7f) << 7 * i;
        if (b < 0x80) return v;
    }
    p->bad = true;
    return 0;
}

static uint64_t plain_dod(struct plain *p)
{
    static const unsigned widths[] = { 14, 17, 20 };
    if (plain_bits(p, 1) == 0) return 0;
    for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
        if (plain_bits(p, 1) == 1) continue;
        uint64_t raw = plain_bits(p, widths[i]), half = (uint64_t)1 << (widths[i] - 1);
        return raw > half ? raw - 2 * half : raw;
    }
    return plain_bits(p, 64);
}

/* The samples of a chunk that are whole. */
static size_t plain_decode(str chunk, int64_t *t, double *v, size_t cap)
{
    struct plain p = { chunk, 16, chunk.n < 2 };
    uint64_t ts = 0, delta = 0, val = 0;
    unsigned lead = 0, sig = 64;
    size_t i = 0;
    for (; i < MIN(xor_count(chunk), cap); i++) {
        if (i == 0) {
            uint64_t u = plain_uvarint(&p);
            ts = (u >> 1) ^ (0 - (u & 1));
            val = plain_bits(&p, 64);
        } else {
            delta = i == 1 ? plain_uvarint(&p) : delta + plain_dod(&p);
            ts += delta;
            if (plain_bits(&p, 1) == 1) {
                if (plain_bits(&p, 1) == 1) {
                    lead = (unsigned)plain_bits(&p, 5);
                    sig = (unsigned)plain_bits(&p, 6);
                    if (sig == 0) sig = 64;
                    if (lead + sig > 64) return i;
                }
                val ^= plain_bits(&p, sig) << (64 - lead - sig);
            }
        }
        if (p.bad) return i;
        t[i] = (int64_t)ts;
        v[i] = f64_of_bits(val);
    }
    return i;
}

/* Any bytes: what the iterator gives, in steps of `step`, is what the plain decoder gives. Decoded
 * from an exact copy. */
static void expect_as_plain(str chunk, size_t step)
{
    static int64_t t[ROOM];
    static double v[ROOM];
    size_t want = plain_decode(chunk, t, v, ROOM), at = 0, got = 1;
    str copy = mem_str(chunk);
    struct xor_iter it;
    xor_iter_init(&it, copy);
    while (at < ROOM && got > 0 &&
           xor_iter_fill(&it, out_t + at, out_v + at, MIN(step, ROOM - at), &got, NULL) == OK)
        at += got;
    mem_free((void *)copy.p);
    EXPECT_EQ(at, want);
    EXPECT(memcmp(t, out_t, want * sizeof(*t)) == 0 && memcmp(v, out_v, want * sizeof(*v)) == 0);
}

/* ---- */

/* The n samples of in_t, in_v are encoded in all ways to the same bytes, which are decoded in all
 * ways to the samples. */
static str expect_round_trip(size_t n)
{
    str whole = str_of(bytes, xor_encode(bytes, in_t, in_v, n));
    struct xor_app app;
    struct xor_len len = xor_len_zero();
    memset(more, 0xee, sizeof(more));
    xor_app_init(&app, more, sizeof(more));
    for (size_t i = 0; i < n; i++) {
        EXPECT(xor_append(&app, in_t[i], in_v[i]));
        xor_len_add(&len, in_t[i], in_v[i]);
        EXPECT_EQ(len.bits, app.len.bits);
        EXPECT(memcmp(&len, &app.len, sizeof(len)) == 0);
    }
    EXPECT_STR(xor_app_bytes(&app), whole);
    size_t got;
    EXPECT_OK(xor_decode(whole, out_t, out_v, ROOM, &got, NULL));
    EXPECT_EQ(got, n);
    expect_samples(out_t, out_v, n);
    for (size_t step = 1; step < 40; step += 6) {
        struct xor_iter it;
        xor_iter_init(&it, whole);
        size_t at = 0;
        do {
            EXPECT_OK(xor_iter_fill(&it, out_t + at, out_v + at, step, &got, NULL));
            at += got;
        } while (got > 0);
        EXPECT_EQ(at, n);
        expect_samples(out_t, out_v, n);
    }
    return whole;
}

TEST_SHARED(xor_vectors)
{
    struct vectors v;
    vectors_open(&v, "golden/vectors/all/chunk_xor.jsonl");
    for (json_t *j; (j = vectors_next(&v)) != NULL;) {
        size_t n = samples_of(json_object_get(j, "samples"));
        EXPECT_EQ(json_i64_of(j, "enc"), CHUNK_XOR);
        str want = json_hex(&v.a, json_object_get(j, "bytes"));
        EXPECT_STR(expect_round_trip(n), want);
        EXPECT_OK(chunk_check(CHUNK_XOR, want, NULL));
        EXPECT_EQ(chunk_count(CHUNK_XOR, want), n);
    }
    EXPECT_EQ(v.n, 120);
    vectors_close(&v);
}

static size_t random_samples(struct prng *r) { return test_samples(r, in_t, in_v); }

TEST(xor_round_trip)
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 3000; i++) expect_round_trip(random_samples(&r));
    xor_use_plain(true);
    for (int i = 0; i < 1000; i++) expect_round_trip(random_samples(&r));
    xor_use_plain(false);
}

/* Good chunks, chunks cut short, with bits flipped, and noise that begins like a chunk, in both
 * builds of the loops. */
TEST(xor_as_the_plain_decoder)
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 20000; i++) {
        xor_use_plain(i % 2);
        size_t n = random_samples(&r), len = xor_encode(bytes, in_t, in_v, n),
               step = prng_below(&r, 4) ? ROOM : 1 + prng_below(&r, 40);
        if (prng_below(&r, 2)) len = prng_below(&r, len + 1);
        for (uint64_t flips = prng_below(&r, 4); len > 0 && flips > 0; flips--) {
            uint64_t bit = prng_below(&r, 8 * len);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        /* noise, with rows of one bit pattern in it */
        if (len > 24 && i % 8 == 0) {
            for (size_t k = 20; k < len; k++)
                bytes[k] = prng_below(&r, 3) ? bytes[k - 1] : (uint8_t)prng_u64(&r);
            bytes[0] = (uint8_t)prng_below(&r, 8);
        }
        expect_as_plain(str_of(bytes, len), step);
    }
    xor_use_plain(false);
}

TEST(xor_edges_of_the_time_classes)
{
    static const int64_t dods[] = { 0, 1, -1, 8192, -8191, 8193, -8192, 65536, -65535, 65537,
        -65536, 524288, -524287, 524289, -524288, INT64_MAX, INT64_MIN, 1, 0, 0, 0 };
    uint64_t t = 1700000000000, delta = 15000;
    in_t[0] = (int64_t)t;
    in_v[0] = 1;
    for (size_t i = 0; i < ARRAY_LEN(dods); i++) {
        delta += (uint64_t)dods[i];
        t += delta;
        in_t[i + 1] = (int64_t)t;
        in_v[i + 1] = 1;
    }
    expect_round_trip(ARRAY_LEN(dods) + 1);
}

TEST(xor_full_and_spare_bytes)
{
    struct xor_app a;
    xor_app_init(&a, more, 64);
    size_t n = 0;
    while (xor_append(&a, (int64_t)n * 1000003, (double)n * 1.7)) n++;
    EXPECT(n > 2 && xor_len_bytes(&a.len) <= 64);
    size_t got;
    EXPECT_OK(xor_decode(xor_app_bytes(&a), out_t, out_v, ROOM, &got, NULL));
    EXPECT_EQ(got, n);
    /* one byte more is nobody's business */
    str spare = str_of(more, xor_len_bytes(&a.len) + 1);
    more[spare.n - 1] = 0xff;
    EXPECT_OK(xor_decode(spare, out_t, out_v, ROOM, &got, NULL));
    EXPECT_EQ(got, n);
    EXPECT_EQ(xor_decode(spare, out_t, out_v, n - 1, &got, NULL), ERR_LIMIT);
}

/* Each prefix is refused, and what an iterator gave before it failed are the right samples. Exact
 * copies, so that a sanitizer sees reads past the end. */
TEST(xor_prefixes)
{
    struct prng r = { test_seed() };
    for (int round = 0; round < 30; round++) {
        size_t n = random_samples(&r), got;
        str whole = str_of(bytes, xor_encode(bytes, in_t, in_v, n));
        for (size_t cut = 0; cut < whole.n; cut++) {
            str part = mem_str(str_of(whole.p, cut));
            EXPECT_EQ(xor_decode(part, out_t, out_v, ROOM, &got, NULL),
                cut == 2 && n == 0 ? OK : ERR_CORRUPT);
            struct xor_iter it;
            xor_iter_init(&it, part);
            size_t at = 0;
            while (xor_iter_fill(&it, out_t + at, out_v + at, 7, &got, NULL) == OK) at += got;
            EXPECT(at < n);
            expect_samples(out_t, out_v, at);
            mem_free((void *)part.p);
        }
    }
}

TEST(xor_bit_flips)
{
    struct prng r = { test_seed() };
    for (int round = 0; round < 200; round++) {
        size_t n = random_samples(&r), got;
        str whole = str_of(bytes, xor_encode(bytes, in_t, in_v, n));
        str copy = mem_str(whole);
        size_t bit = prng_below(&r, 8 * copy.n);
        ((uint8_t *)copy.p)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        errc rc = xor_decode(copy, out_t, out_v, ROOM, &got, NULL);
        EXPECT(rc == OK || rc == ERR_CORRUPT || rc == ERR_LIMIT);
        mem_free((void *)copy.p);
    }
}
