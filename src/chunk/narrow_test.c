#include "chunk/narrow.h"

#include "base/f64.h"
#include "base/prng.h"
#include "base/test.h"

#include <math.h>

enum { N = NARROW_SAMPLES_MAX };
static int64_t t[N], t2[N + 1];
static double v[N], v2[N + 1];
static uint8_t bytes[16 * N];

static void expect_back(size_t n, unsigned time_bytes, unsigned value_bytes)
{
    struct narrow w;
    narrow_of(&w, t, v, n);
    if (time_bytes != UINT32_MAX) EXPECT_EQ(w.time_bytes, time_bytes);
    if (value_bytes != UINT32_MAX) EXPECT_EQ(w.value_bytes, value_bytes);
    EXPECT_EQ(narrow_bytes(&w), n * (size_t)(w.time_bytes + w.value_bytes));
    narrow_put(&w, bytes, t, v);
    t2[n] = -1;
    v2[n] = -1;
    narrow_get(&w, bytes, t2, v2);
    EXPECT(!memcmp(t, t2, n * sizeof(*t)) && !memcmp(v, v2, n * sizeof(*v)));
    EXPECT(t2[n] == -1 && v2[n] == -1);
}

TEST(narrow_widths)
{
    static const struct {
        int64_t jitter;
        unsigned time_bytes;
        double least, step;
        unsigned value_bytes;
    } cases[] = {
        { 1, 0, 7, 0, 0 },
        { 20, 2, 1e9, 100, 2 },
        { 20, 2, -300, 1, 2 },
        { 100000, 4, 1e12, 1e6, 4 },
        { 1, 0, 1e12, 1e9, 8 },
        { 20, 2, 0.5, 1, 8 },
        { (int64_t)1 << 40, 8, 0x1p52, 1, 8 },
    };
    struct prng r = { test_seed() };
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        for (size_t i = 0; i < 120; i++) {
            t[i] = 1700000000000 + (int64_t)i * 15000;
            t[i] += (int64_t)prng_below(&r, (uint64_t)cases[c].jitter);
            v[i] = cases[c].least + (double)i * cases[c].step;
        }
        t[0] = 1700000000000;
        expect_back(120, cases[c].time_bytes, cases[c].value_bytes);
    }
}

TEST(narrow_any_bits)
{
    static const double odd[] = { 0.0, -0.0, INFINITY, -INFINITY, NAN, 1e300, 5e-324, 0x1p52,
        -0x1p52, 0x1p53, 32767, -32768, 65536 };
    struct prng r = { test_seed() };
    for (int round = 0; round < 5000; round++) {
        size_t n = 1 + prng_below(&r, round % 8 ? 20 : N);
        uint64_t at = prng_u64(&r) >> prng_below(&r, 64), step = prng_u64(&r) >> prng_below(&r, 64);
        unsigned kind = (unsigned)prng_below(&r, 4);
        for (size_t i = 0; i < n; i++) {
            t[i] = (int64_t)at;
            at += step + prng_below(&r, 30);
            v[i] = kind == 0 ? f64_of_bits(prng_u64(&r)) : (double)prng_below(&r, 40000) - 1000;
            if (kind == 2 && prng_below(&r, 4) == 0) v[i] = odd[prng_below(&r, ARRAY_LEN(odd))];
            if (kind == 3) v[i] = i ? v[0] : v[i];
        }
        expect_back(n, UINT32_MAX, UINT32_MAX);
    }
}
