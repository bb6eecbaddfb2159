#include "ingest/line_hash.h"

#include "base/mem.h"
#include "base/test.h"

#include <stdlib.h>

enum { LONGEST = 300 };

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void expect_distinct(uint64_t *h, size_t n)
{
    qsort(h, n, sizeof(*h), by_value);
    for (size_t i = 1; i < n; i++) EXPECT(h[i] != h[i - 1]);
}

/* Of each length: the text, and the text with each of its bits turned, from a block of its own so
 * that a sanitizer sees a byte too many. */
TEST(line_hash_sees_every_bit)
{
    struct prng r = { test_seed() };
    uint64_t *h = mem_alloc_array(LONGEST * 8 + 1, sizeof(*h));
    for (size_t n = 0; n <= LONGEST; n++) {
        uint8_t *text = mem_alloc(n);
        for (size_t i = 0; i < n; i++) text[i] = (uint8_t)prng_u64(&r);
        size_t k = 0;
        h[k++] = line_hash(text, n);
        EXPECT_EQ(line_hash(text, n), h[0]);
        for (size_t bit = 0; bit < n * 8; bit++) {
            text[bit / 8] ^= (uint8_t)(1 << bit % 8);
            h[k++] = line_hash(text, n);
            text[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        expect_distinct(h, k);
        mem_free(text);
    }
    mem_free(h);
}

/* Zeros of all lengths, a word at all places of zeros, and the same words in another order. */
TEST(line_hash_sees_length_and_place)
{
    uint8_t text[LONGEST] = { 0 };
    uint64_t h[2 * LONGEST];
    size_t k = 0;
    for (size_t n = 0; n < LONGEST; n++) h[k++] = line_hash(text, n);
    for (size_t at = 0; at + 8 <= LONGEST; at++) {
        memcpy(text + at, "word=\"1\"", 8);
        h[k++] = line_hash(text, LONGEST);
        memset(text + at, 0, 8);
    }
    expect_distinct(h, k);
    for (size_t i = 0; i < LONGEST; i++) text[i] = (uint8_t)(i / 16);
    k = 0;
    for (size_t a = 0; a + 16 <= LONGEST; a += 16)
        for (size_t b = a; b + 16 <= LONGEST && k < 2 * LONGEST; b += b == a ? 48 : 16) {
            uint8_t other[LONGEST];
            memcpy(other, text, LONGEST);
            memcpy(other + a, text + b, 16);
            memcpy(other + b, text + a, 16);
            if (b > a || !a) h[k++] = line_hash(other, LONGEST);
        }
    expect_distinct(h, k);
}

/* Numbered lines, as pages have them: none of half a million collides, and all bits of the hash are
 * used alike. */
TEST(line_hash_of_numbered_lines)
{
    enum { MANY = 500000 };
    uint64_t *h = mem_alloc_array(MANY, sizeof(*h));
    size_t ones[64] = { 0 };
    char text[] = "http_requests_total{code=\"200\",id=\"0000000\",job=\"api\",method=\"get\"}";
    char *digits = strstr(text, "0000000");
    for (size_t i = 0; i < MANY; i++) {
        for (size_t k = 7, v = i; k-- > 0; v /= 10) digits[k] = (char)('0' + v % 10);
        h[i] = line_hash((const uint8_t *)text, sizeof(text) - 1);
        for (int bit = 0; bit < 64; bit++) ones[bit] += h[i] >> bit & 1;
    }
    expect_distinct(h, MANY);
    for (int bit = 0; bit < 64; bit++)
        EXPECT(ones[bit] > MANY / 2 - MANY / 50 && ones[bit] < MANY / 2 + MANY / 50);
    mem_free(h);
}
