#include "base/spans.h"

#include "base/test.h"

/* However the whole is cut, and in whatever pieces it comes: each byte where it belongs. */
TEST(bytes_go_where_they_belong)
{
    enum { BYTES = 200, PLACES = 20, NOWHERE = 3 };
    struct prng r = { test_seed() };
    uint8_t whole[BYTES], to[BYTES];
    for (size_t i = 0; i < BYTES; i++) whole[i] = (uint8_t)(i + 1);
    for (int round = 0; round < 200; round++) {
        struct byte_span at[PLACES], part[PLACES];
        size_t n = 0, k = 0;
        bool wanted[BYTES] = { false };
        while (k < PLACES && n < BYTES) {
            size_t most = prng_below(&r, 25), step = MIN(most, BYTES - n);
            bool keeps = prng_below(&r, NOWHERE) != 0;
            at[k++] = (struct byte_span){ keeps ? to + n : NULL, step };
            for (size_t i = 0; i < step; i++) wanted[n++] = keeps;
        }
        struct spans s = { at, k };
        EXPECT_EQ(spans_bytes(s), n);
        memset(to, 0, sizeof(to));
        for (size_t off = 0; off < n;) {
            size_t step = 1 + (size_t)prng_below(&r, n - off), in = prng_below(&r, step);
            struct spans cut = spans_slice(s, off, step, part);
            EXPECT_EQ(spans_bytes(cut), step);
            spans_put(cut, in, str_of(whole + off + in, step - in));
            spans_put(s, off, str_of(whole + off, in));
            off += step;
        }
        for (size_t i = 0; i < BYTES; i++) EXPECT_EQ(to[i], wanted[i] ? whole[i] : 0);
        spans_put(s, n, str_of(whole, BYTES)); /* nothing fits */
    }
}
