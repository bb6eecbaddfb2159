#include "base/utf8.h"
#include "base/test.h"

TEST(utf8_valid_and_width)
{
    static const struct {
        const char *name;
        str in;
        bool valid;
        uint32_t rune;
        size_t width;
    } cases[] = {
        { "ascii", S("a"), true, 'a', 1 },
        { "two bytes", S("é"), true, 0xe9, 2 },
        { "three bytes", S("€"), true, 0x20ac, 3 },
        { "four bytes", S("😀"), true, 0x1f600, 4 },
        { "the replacement itself", S("\ufffd"), true, RUNE_ERROR, 3 },
        { "largest", S("\xf4\x8f\xbf\xbf"), true, 0x10ffff, 4 },
        { "above the largest", S("\xf4\x90\x80\x80"), false, RUNE_ERROR, 1 },
        { "surrogate", S("\xed\xa0\x80"), false, RUNE_ERROR, 1 },
        { "overlong 2", S("\xc0\x80"), false, RUNE_ERROR, 1 },
        { "overlong 3", S("\xe0\x9f\xbf"), false, RUNE_ERROR, 1 },
        { "overlong 4", S("\xf0\x8f\xbf\xbf"), false, RUNE_ERROR, 1 },
        { "continuation", S("\x80"), false, RUNE_ERROR, 1 },
        { "cut", S("\xe2\x82"), false, RUNE_ERROR, 1 },
        { "third byte wrong",
            S("\xe2\x82"
              "a"),
            false, RUNE_ERROR, 1 },
    };
    TEST_EACH(c, cases) {
        size_t width;
        EXPECT_EQ(utf8_rune(c->in, &width), c->rune);
        EXPECT_EQ(width, c->width);
        EXPECT_EQ(utf8_valid(c->in), c->valid);
        EXPECT_EQ(utf8_count(c->in), c->valid ? 1 : c->in.n);
    }
    EXPECT(utf8_valid(S("0123456789abcdef0123é456789")));
    EXPECT(!utf8_valid(S("0123456789abcdef0123\xe9" "456789")));
    EXPECT(utf8_valid(STR_EMPTY));
}

TEST(utf8_every_rune_comes_back)
{
    for (uint32_t r = 0; r <= 0x10ffff; r++) {
        uint8_t room[8];
        struct buf b = { .p = room, .cap = sizeof(room), .limit = sizeof(room) };
        size_t width;
        buf_rune(&b, r);
        uint32_t want = r >= 0xd800 && r <= 0xdfff ? RUNE_ERROR : r;
        if (utf8_rune(buf_view(&b), &width) != want || width != b.n)
            test_fail(__FILE__, __LINE__, "rune %x", r);
    }
}

TEST(utf8_classes)
{
    EXPECT(rune_is_print(' ') && !rune_is_print(0x7f) && !rune_is_print(0xa0) &&
           !rune_is_print(0xad) && rune_is_print(0x20ac));
    EXPECT(!rune_is_print(0x2028) && !rune_is_print(0xe000) && !rune_is_print(0x10ffff) &&
           rune_is_print(0x1f600));
    EXPECT(rune_is_letter('z') && rune_is_letter(0xe9) && !rune_is_letter('_') &&
           rune_is_letter(0x4e16));
    EXPECT(rune_is_digit('0') && rune_is_digit(0x661) && !rune_is_digit('a'));
}

TEST(go_quote)
{
    static const struct { const char *name; str in, want; } cases[] = {
        { "empty", S(""), S("\"\"") },
        { "plain", S("abc é世"), S("\"abc é世\"") },
        { "named", S("\a\b\t\n\v\f\r\"\\"), S("\"\\a\\b\\t\\n\\v\\f\\r\\\"\\\\\"") },
        { "hex", S("\x01\x7f"), S("\"\\x01\\x7f\"") },
        { "unicode", S("\u2028\u00a0\U0010ffff"), S("\"\\u2028\\u00a0\\U0010ffff\"") },
        { "invalid", S("\xff\xe2\x82"), S("\"\\xff\\xe2\\x82\"") },
        { "the replacement itself", S("\ufffd"), S("\"\ufffd\"") },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        buf_go_quote(&b, c->in);
        EXPECT_STR(buf_view(&b), c->want);
    }
}
