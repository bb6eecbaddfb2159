/* line_number_test.c — the fast reader of numbers beside the full parser: what it takes, it takes
 * with the same bits. */
#include "ingest/line_number.h"

#include "base/test.h"

enum { TEXT_MAX = 48, PADDING = 20 };

static void agree(const char *text, size_t n)
{
    uint8_t room[TEXT_MAX + PADDING] = { 0 };
    memcpy(room, text, n);
    room[n] = '\n';
    double fast = 0, full = 0;
    bool valid = f64_parse(str_of(room, n), &full);
    const uint8_t *q = line_number(room, room + n, &fast);
    test_case(text);
    if (valid) EXPECT(q == room + n);
    double brief = 0;
    const uint8_t *b = line_number_short(room, &brief);
    if (b) {
        EXPECT(valid && b == room + n);
        EXPECT(f64_bits(brief) == f64_bits(full));
    }
    if (!q) return;
    EXPECT(f64_parse(str_of(room, (size_t)(q - room)), &full));
    if (full != full) EXPECT(fast != fast);
    else EXPECT(f64_bits(fast) == f64_bits(full));
}

/* Digits in runs of all lengths, with a dot and an exponent or without. */
static size_t number_make(char *out, struct prng *r)
{
    size_t n = 0;
    if (prng_below(r, 4) == 0) out[n++] = '-';
    for (size_t k = prng_below(r, 22); k > 0; k--) out[n++] = (char)('0' + prng_below(r, 10));
    if (prng_below(r, 2)) {
        out[n++] = '.';
        for (size_t k = prng_below(r, 12); k > 0; k--) out[n++] = (char)('0' + prng_below(r, 10));
    }
    if (prng_below(r, 3) == 0) {
        out[n++] = prng_below(r, 2) ? 'e' : 'E';
        if (prng_below(r, 2)) out[n++] = "+-"[prng_below(r, 2)];
        for (size_t k = prng_below(r, 4); k > 0; k--) out[n++] = (char)('0' + prng_below(r, 10));
    }
    out[n] = 0;
    return n;
}

TEST(line_number_agrees_on_numbers)
{
    struct prng r = { test_seed() };
    char text[TEXT_MAX];
    for (size_t i = 0; i < 300000; i++) agree(text, number_make(text, &r));
}

TEST(line_number_agrees_on_anything)
{
    static const char letters[] = "0123456789.-+eE";
    struct prng r = { test_seed() };
    char text[TEXT_MAX];
    for (size_t i = 0; i < 300000; i++) {
        size_t n = 1 + prng_below(&r, 12);
        for (size_t k = 0; k < n; k++) text[k] = letters[prng_below(&r, sizeof(letters) - 1)];
        text[n] = 0;
        agree(text, n);
    }
}

TEST(line_number_agrees_on_edges)
{
    static const char *const texts[] = {
        "NaN",
        "+Inf",
        "-Inf",
        "0",
        "-0",
        "0.0",
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "-9007199254740993",
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "1e308",
        "1e309",
        "5e-324",
        "1e-400",
        "123456789012345678",
        "1234567890123456789",
        "12345678901234567890",
        "00000000000000000001",
        "0.000000000000000000001",
        "1.",
        ".5",
        ".",
        "-",
        "e5",
        "1e",
        "1e+",
        "1.7976931348623157e308",
        "2.2250738585072014e-308",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) agree(texts[i], strlen(texts[i]));
}

TEST(line_number_short_takes_what_is_common)
{
    static const char *const texts[] = { "0", "7", "-3", "42", "12345678", "123456789",
        "999999999999999", "-99999999999999", "0.5", "8.915", "1.", "-0", "-0.0", "0.0000000000001",
        "1234567.1234567" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        uint8_t room[TEXT_MAX + PADDING] = { 0 };
        size_t n = strlen(texts[i]);
        memcpy(room, texts[i], n);
        room[n] = '\n';
        double v = 0, want = 0;
        test_case(texts[i]);
        EXPECT(line_number_short(room, &v) == room + n);
        EXPECT(f64_parse(str_of(room, n), &want));
        EXPECT_EQ(f64_bits(v), f64_bits(want));
    }
}
